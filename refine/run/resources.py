"""Workers, threads, limits and GPUs of a run, checked in one place."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypedDict

from refine.errors import DesignError
from refine.run.executors import Capabilities, Limits, TrialExecutor
from refine.run.signals import GRACE, check_grace
from refine.utils.numbers import is_real, is_whole

LEAST_MEMORY = 200_000_000  # bytes; a worker that has imported nothing but the engine holds half of it

VISIBLE = "CUDA_VISIBLE_DEVICES"
_MOST_DEVICES = 1024


def shell_option(
    default: object,
    kind: object,
    help_text: str,
    *,
    parse: Callable[[Any], Any] | None = None,
    heading: str = "Objective",
    **settings: object,
) -> Any:
    """A field of run options that is an option of ``refine run`` too: the shell takes the option from here.

    Args:
        default: Default value.
        kind: Type of the typed value.
        help_text: Sentence of the help.
        parse: Makes the value of the field from the typed value; default the typed value.
        heading: Heading of the help.
        settings: Further settings of ``typer.Option``, and ``flags``.
    """
    shell = {"kind": kind, "help": help_text, "parse": parse, "rich_help_panel": heading, **settings}
    return field(default=default, metadata={"shell": shell})


def _typed_gpus(text: str) -> int | list[str]:
    if text.isdecimal():
        return int(text)
    return [part.strip() for part in text.split(",") if part.strip()]


class ResourceKeywords(TypedDict, total=False):
    """The options of :class:`Resources` as keywords."""

    workers: int
    executor: Executor | TrialExecutor | None
    threads: int
    timeout: float | None
    memory: int | str | None
    grace: float
    gpus: int | Sequence[int | str] | None


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Workers of a run, and limits of their trials.

    Args:
        workers: Number of trials at a time.
        executor: An executor to run on, of refine or of ``concurrent.futures``.
        threads: Threads of a trial.
        timeout: Seconds from the start of a trial in a worker; then the worker is killed, and the trial is a
            ``timeout``.
        memory: Resident memory of a worker with its child processes; then the worker is killed, and the trial
            is repeated once in a new worker before it is ``crashed``.
        grace: Seconds of running trials after SIGTERM or SIGHUP.
        gpus: GPUs for the workers in turn, one per worker: a number of visible GPUs, or a list of names as in
            ``CUDA_VISIBLE_DEVICES``. 0 hides every GPU; without a value that variable is used. More workers
            than GPUs share GPUs.

    With ``timeout``, ``memory`` or ``gpus``, even one worker is a subprocess.

    Raises DesignError: an option out of range, a limit that the executor cannot keep, or ``gpus`` together
    with an executor.
    """

    # 1 runs in this process, more on a local cluster of subprocesses
    workers: int = shell_option(1, int, "Run this many trials at a time.", flags=("--workers", "-w"), min=1)
    executor: Executor | TrialExecutor | None = None  # runs ``workers`` trials at a time
    # per trial; one by default, whatever the number of workers, or floats differ
    threads: int = shell_option(1, int, "Give each trial this many threads.", min=1)
    timeout: float | None = shell_option(None, float, "Stop a trial after this many seconds; default none.")
    # in bytes, or as ``"2GB"``
    memory: int | str | None = shell_option(
        None, str, "Limit the memory of a worker, for example 2GB; default none."
    )
    # Grace period of running trials after SIGTERM or SIGHUP, in seconds; shorter than the sender waits before
    # it kills.
    grace: float = shell_option(
        GRACE,
        float,
        "Let trials run this many seconds after SIGTERM or SIGHUP (sent by Slurm, docker stop).",
    )
    gpus: int | Sequence[int | str] | None = shell_option(
        None,
        str,
        "Assign GPUs to workers in turn: a number, or names (0,3); 0 hides all; default all.",
        parse=_typed_gpus,
    )
    limits: Limits = field(init=False)  # ``timeout`` and ``memory`` as numbers
    devices: tuple[str, ...] | None = field(
        init=False
    )  # visible GPUs of each worker; ``None`` without ``gpus``

    def __post_init__(self) -> None:
        for name, value in (("workers", self.workers), ("threads", self.threads)):
            if not is_whole(value):
                hint = "1 is the default"
                if callable(value):
                    hint = "an objective is given by name: run(objective=...)"
                elif name == "workers":
                    hint = "workers=2 runs two at a time"
                raise DesignError(f"{name} must be a whole number >= 1, got {value!r}; {hint}")
        if type(self.executor).__module__.partition(".")[0] == "distributed":
            raise DesignError(
                f"executor must notice a lost cluster, got {type(self.executor).__name__} of Dask; pass the "
                "client: executor=refine.DaskExecutor(client)"
            )
        if self.executor is not None and not isinstance(self.executor, Executor | TrialExecutor):
            raise DesignError(
                f"executor must be an executor of refine or of concurrent.futures, got {self.executor!r}; "
                "for example ThreadPoolExecutor(2), refine.DaskExecutor(client), or refine.RayExecutor()"
            )
        check_grace(self.grace)
        object.__setattr__(self, "limits", limits_of(self.timeout, self.memory, self.executor))
        object.__setattr__(self, "devices", devices_of(self.gpus, self.executor))

    @property
    def in_this_process(self) -> bool:
        """True if trials run one after the other in this process."""
        alone = self.workers == 1 and self.executor is None
        return alone and not self.limits.any and self.devices is None


def limits_of(
    timeout: float | None, memory: int | str | None, executor: Executor | TrialExecutor | None
) -> Limits:
    """The limits, checked. Raises DesignError: a limit out of range, or too much for the executor."""
    if timeout is not None and not (is_real(timeout) and 0 < timeout < math.inf):
        raise DesignError(
            f"timeout must be a number of seconds > 0, got {timeout!r}; leave timeout= out for no limit"
        )
    limits = Limits(None if timeout is None else float(timeout), None if memory is None else _bytes(memory))
    if executor is not None:
        capabilities = Capabilities()
        if isinstance(executor, TrialExecutor):
            capabilities = executor.capabilities
        for name, limit, able in (
            ("timeout", limits.timeout, capabilities.timeout),
            ("memory", limits.memory, capabilities.memory),
        ):
            if limit is not None and not able:
                raise DesignError(
                    f"{name}= needs an executor that can end a trial at a limit, and "
                    f"{type(executor).__name__} cannot; use workers=N without executor=, or set the limit in "
                    "your engine"
                )
    return limits


def _bytes(memory: Any) -> int:
    """A number of bytes, from a number or a text such as ``"2GB"``."""
    if is_whole(memory, 0):
        number = memory
    else:
        number = None
    pattern = r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b?)\s*"
    if isinstance(memory, str) and (match := re.fullmatch(pattern, memory, re.IGNORECASE)):
        power = " kmgt".index((match[2] or " ").lower())
        number = float(match[1]) * (1024 if match[3] else 1000) ** power
    if number is None:
        raise DesignError(
            f"memory must be a number of bytes, or a text like '2GB' or '1.5GiB', got {memory!r}"
        )
    if number < LEAST_MEMORY:
        raise DesignError(
            f"memory must be at least {LEAST_MEMORY // 10**6} MB, which a worker needs to start, got "
            f"{memory!r}{' (bytes)' if is_whole(memory, 0) else ''}; write memory='2GB'"
        )
    return int(number)


def visible() -> list[str]:
    """The GPUs in ``CUDA_VISIBLE_DEVICES``; an empty list if the variable is not set."""
    return [part.strip() for part in os.environ.get(VISIBLE, "").split(",") if part.strip()]


def devices_of(gpus: Any, executor: object = None) -> tuple[str, ...] | None:
    """Values of ``CUDA_VISIBLE_DEVICES``, which workers get in turn; an empty text hides all GPUs.

    Args:
        gpus: A number of visible GPUs, or a list of numbers or names such as ``"GPU-8932f937"``; ``None`` if
            not set.
        executor: The executor of the run, whose workers refine does not start.

    Raises:
        DesignError: Not a number or a list of GPUs, more than are visible, or together with an executor.
    """
    if gpus is None:
        return None
    if executor is not None:
        raise DesignError(
            "gpus= cannot be combined with executor=, which has workers of its own; let each of them see one "
            "GPU, and ask for workers with a GPU: executor=refine.DaskExecutor(client, {'GPU': 1}) on Dask, "
            "executor=refine.RayExecutor(num_gpus=1) on Ray"
        )
    listed = visible()
    if is_whole(gpus, 0) and gpus <= _MOST_DEVICES:
        if listed and gpus > len(listed):
            raise DesignError(
                f"gpus must be at most the {len(listed)} that {VISIBLE} lists ({','.join(listed)}), got "
                f"{gpus}"
            )
        return tuple((listed or [str(i) for i in range(gpus)])[:gpus]) or ("",)
    if isinstance(gpus, list | tuple) and gpus and all(_is_gpu_name(gpu) for gpu in gpus):
        return tuple(str(gpu) for gpu in gpus)
    raise DesignError(
        f"gpus must be a number of GPUs or a list of them, got {gpus!r}; for example gpus=2, gpus=[0, 3], or "
        "gpus=0 to hide all"
    )


def _is_gpu_name(gpu: Any) -> bool:
    if isinstance(gpu, str):
        return re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", gpu) is not None
    return is_whole(gpu, 0) and gpu <= _MOST_DEVICES
