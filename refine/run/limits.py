"""Limits of a trial: seconds and memory."""

from __future__ import annotations

import math
import re
from concurrent.futures import Executor
from typing import Any, NamedTuple

from refine.errors import DesignError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}

LEAST_MEMORY = 200_000_000
"""Bytes. A worker that has imported nothing but the engine holds about half of it."""


class Limits(NamedTuple):
    """What a trial may take before its worker is stopped.

    Attributes:
        timeout: Seconds from the trial's start in its worker; ``None`` for any.
        memory: Resident bytes of the worker; ``None`` for any.
    """

    timeout: float | None = None
    memory: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self.timeout is not None or self.memory is not None


def limits_of(timeout: float | None, memory: int | str | None, executor: Executor | None) -> Limits:
    """Checked limits.

    Args:
        timeout: Seconds.
        memory: Bytes, or text such as ``"2GB"`` or ``"1.5 GiB"``.
        executor: Somebody's executor, if trials run on one.

    Raises:
        DesignError: Out of range, or a limit for an executor whose processes can't be stopped.
    """
    if timeout is not None and (
        isinstance(timeout, bool)
        or not isinstance(timeout, int | float)
        or not math.isfinite(timeout)
        or timeout <= 0
    ):
        raise DesignError(f"timeout must be a number of seconds > 0, got {timeout!r}; leave it out for none")
    found = Limits(None if timeout is None else float(timeout), None if memory is None else _bytes(memory))
    if executor is not None and found.any:
        name = "timeout" if found.timeout is not None else "memory"
        raise DesignError(
            f"{name} needs workers that may be killed, and those of an executor are not ours to kill; use "
            f"workers=N without executor=, or leave {name} out and set a limit where the executor is made"
        )
    return found


def _bytes(memory: Any) -> int:
    number: float | None = None
    if isinstance(memory, int) and not isinstance(memory, bool):
        number = memory
    elif isinstance(memory, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b?)\s*", memory, re.IGNORECASE)
        if match:
            unit = (match[2] or "").lower()
            number = float(match[1]) * (_BINARY[unit] if match[3] else _UNITS[unit])
    if number is None:
        raise DesignError(f"memory must be bytes or a text such as '2GB' or '1.5GiB', got {memory!r}")
    if number < LEAST_MEMORY:
        raise DesignError(
            f"memory must be at least {LEAST_MEMORY // 10**6} MB, what a worker needs to start, got {memory!r}; "
            "TensorFlow alone takes half a gigabyte"
        )
    return int(number)


def bytes_text(number: float) -> str:
    """``2.13 GB``."""
    return f"{number / 1e9:.3g} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
