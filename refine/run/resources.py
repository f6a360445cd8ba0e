"""What trials run on: workers, threads, limits and GPUs, checked in one place."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

from refine.errors import DesignError
from refine.run.signals import GRACE, check_grace

LEAST_MEMORY = 200_000_000  # bytes; a worker that has imported nothing but the engine holds half of it

VISIBLE = "CUDA_VISIBLE_DEVICES"
_MOST_DEVICES = 1024


def is_whole(value: object, least: int = 1) -> bool:
    """Whether a value is a whole number, and at least so large."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


class ResourceKeywords(TypedDict, total=False):
    """The options of :class:`Resources` as keywords."""

    workers: int
    executor: Executor | None
    threads: int
    timeout: float | None
    memory: int | str | None
    grace: float
    gpus: int | Sequence[int | str] | None


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What trials run on.

    A trial may run ``timeout`` seconds, counted from its start in its worker; then its worker is killed and the trial is a
    ``timeout``. A worker, with all below it, may hold so much resident ``memory``; then it is killed, and the trial is tried once
    more in a fresh one before it is ``crashed``. Workers get ``gpus`` in turn, one each: how many of those that are visible, or which, as
    ``CUDA_VISIBLE_DEVICES`` names them; 0 hides all, and ``None`` leaves it to that variable. More workers than GPUs share
    them. With any of these even one worker is a subprocess. Raises DesignError: an option out of range, or a limit or
    ``gpus`` together with an executor.
    """

    workers: int = 1  # 1 runs in this process, more on a local cluster of subprocesses
    # A ``concurrent.futures`` executor to run on instead; ``workers`` says how many trials at a time.
    executor: Executor | None = None
    threads: int = 1  # per trial; one by default, whatever the number of workers, or floats differ
    timeout: float | None = None
    memory: int | str | None = None  # in bytes, or as ``"2GB"``
    # Seconds that trials may still run after SIGTERM or SIGHUP, which otherwise end a round as one Ctrl-C does; less than
    # whoever sends them waits before it kills.
    grace: float = GRACE
    gpus: int | Sequence[int | str] | None = None
    limits: Limits = field(init=False)  # ``timeout`` and ``memory`` as numbers
    devices: tuple[str, ...] | None = field(
        init=False
    )  # what each worker may see; ``None`` where nobody said

    def __post_init__(self) -> None:
        for name, value in (("workers", self.workers), ("threads", self.threads)):
            if not is_whole(value):
                hint = f"{name}=2 is two at a time" if name == "workers" else "1 is the default"
                hint = "an objective is given by name: run(objective=...)" if callable(value) else hint
                raise DesignError(f"{name} must be a whole number >= 1, got {value!r}; {hint}")
        if self.executor is not None and not isinstance(self.executor, Executor):
            raise DesignError(
                f"executor must be one of concurrent.futures, got {self.executor!r}; such as ThreadPoolExecutor(2), of a "
                "Dask client client.get_executor(), or refine.RayExecutor()"
            )
        check_grace(self.grace)
        object.__setattr__(self, "limits", limits_of(self.timeout, self.memory, self.executor))
        object.__setattr__(self, "devices", devices_of(self.gpus, self.executor))

    @property
    def in_this_process(self) -> bool:
        """Whether trials run one after the other in this process."""
        alone = self.workers == 1 and self.executor is None
        return alone and not self.limits.any and self.devices is None


class Limits(NamedTuple):
    """What a trial may take before its worker is stopped."""

    timeout: float | None = None  # seconds from the trial's start in its worker; ``None`` for any
    memory: int | None = None  # resident bytes of the worker; ``None`` for any

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self != (None, None)


def limits_of(timeout: float | None, memory: int | str | None, executor: Executor | None) -> Limits:
    """Checked limits. Raises DesignError: out of range, or a limit for an executor whose processes can't be stopped."""
    if timeout is not None and (
        isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf
    ):
        raise DesignError(f"timeout must be a number of seconds > 0, got {timeout!r}; leave it out for none")
    limits = Limits(None if timeout is None else float(timeout), None if memory is None else _bytes(memory))
    if executor is not None and limits.any:
        name = "timeout" if limits.timeout is not None else "memory"
        raise DesignError(
            f"{name} needs workers that may be killed, and those of an executor are not ours to kill; use "
            f"workers=N without executor=, or leave {name} out and set a limit where the executor is made"
        )
    return limits


def _bytes(memory: Any) -> int:
    number = memory if is_whole(memory, 0) else None
    pattern = r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b?)\s*"
    if isinstance(memory, str) and (match := re.fullmatch(pattern, memory, re.IGNORECASE)):
        power = " kmgt".index((match[2] or " ").lower())
        number = float(match[1]) * (1024 if match[3] else 1000) ** power
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


def visible() -> list[str]:
    """The GPUs that ``CUDA_VISIBLE_DEVICES`` lists; empty where it lists none."""
    return [part.strip() for part in os.environ.get(VISIBLE, "").split(",") if part.strip()]


def devices_of(gpus: Any, executor: Any = None) -> tuple[str, ...] | None:
    """What each worker may see, in turn: values of ``CUDA_VISIBLE_DEVICES``; one that is empty for no GPU at all.

    ``gpus`` are how many of those that are visible, or which: numbers, or names such as ``"GPU-8932f937"``; ``None`` where nobody
    said. Raises DesignError: neither, more than are visible, or together with an ``executor``, whose workers are not ours.
    """
    if gpus is None:
        return None
    if executor is not None:
        raise DesignError(
            "gpus is for workers of this machine, and an executor has its own; have the executor's workers see one GPU each, and take "
            "those that offer one: on Dask executor=client.get_executor(pure=False, retries=0, resources={'GPU': 1}), on Ray "
            "executor=refine.RayExecutor(num_gpus=1)"
        )
    known = visible()
    if is_whole(gpus, 0) and gpus <= _MOST_DEVICES:
        if known and gpus > len(known):
            raise DesignError(
                f"gpus must be at most the {len(known)} that {VISIBLE} lists ({','.join(known)}), got {gpus}"
            )
        return tuple((known or [str(i) for i in range(gpus)])[:gpus]) or ("",)
    if isinstance(gpus, list | tuple) and gpus and all(_names_one(gpu) for gpu in gpus):
        return tuple(str(gpu) for gpu in gpus)
    raise DesignError(
        f"gpus must be how many, or a list of which, got {gpus!r}; such as gpus=2, gpus=[0, 3], or gpus=0 for none"
    )


def _names_one(gpu: Any) -> bool:
    if isinstance(gpu, str):
        return re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", gpu) is not None
    return is_whole(gpu, 0) and gpu <= _MOST_DEVICES
