"""The machine of calls that run trials: workers, limits, a time limit, progress and callbacks."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, replace
from typing import Any

from refine.errors import DesignError
from refine.run.executors import Capabilities, Limits, TrialExecutor
from refine.run.hooks import RoundHook, Tracker, TrialHook, callables, trackers_of
from refine.run.signals import GRACE, check_grace
from refine.utils.keywords import helped
from refine.utils.numbers import is_real, is_whole

MOST_HOURS = 24.0 * 366 * 10
_NO_TIME = 1e-9  # hours in which no trial starts

LEAST_MEMORY = 200_000_000  # bytes; a worker that has imported nothing but the engine holds half of it

VISIBLE = "CUDA_VISIBLE_DEVICES"
_MOST_DEVICES = 1024


@helped
@dataclass(frozen=True, kw_only=True, repr=False)
class Machine:
    """Workers, limits, progress and callbacks of calls that run trials.

    :attr:`refine.Tree.machine` holds the machine of a tree; ``machine=`` replaces the machine for a call.

    Args:
        workers: Trials at a time: 1 runs in this process, more run in as many subprocesses.
        executor: An executor of refine or of ``concurrent.futures`` instead of subprocesses; ``workers``
            limits the trials at a time.
        threads: Threads per trial; the default of one gives equal floats for any number of workers.
        timeout: Seconds per trial, counted from the start in the worker. Then refine kills the worker and
            records a ``timeout``. With ``timeout``, ``memory`` or ``gpus``, one worker is a subprocess too.
        memory: Limit on the resident memory of a worker, in bytes or as ``"2GB"``, checked ten times a
            second. Above the limit, refine kills the worker and repeats the trial once before ``crashed``.
        grace: Seconds for running trials after SIGTERM or SIGHUP. Slurm and Kubernetes kill after 30 seconds,
            ``docker stop`` after 10: choose fewer.
        gpus: Number or list of visible GPUs, handed to the workers in turn, one each; 0 hides all GPUs. More
            workers than GPUs share GPUs.
        hours: Start no new trials after this many hours of a call.
        progress: Whether to show a progress bar.
        on_trial: A function, or several, called in this process with every stored
            :class:`refine.trials.trial.FinishedTrial`. Exceptions give a warning and log entries.
        on_round: A function, or several, called with the round at the end of :meth:`refine.Round.run`, unless
            the call is refused before its first trial.
        track: A tracker, such as :class:`refine.report.trackers.MLflow`, or several, for the ended trials of
            :meth:`refine.Round.run`.

    Raises:
        DesignError: An option out of range, a limit that the executor cannot keep, or ``gpus`` together with
            an executor.

    Examples:
        >>> import dataclasses
        >>> tree.machine = refine.Machine(workers=4, timeout=600)
        >>> dataclasses.replace(tree.machine, workers=2)
        Machine(workers=2, timeout=600)
    """

    workers: int = 1  # 1 runs in this process, more on a local cluster of subprocesses
    executor: Executor | TrialExecutor | None = None  # runs ``workers`` trials at a time
    threads: int = 1  # per trial; one by default, whatever the number of workers, or floats differ
    timeout: float | None = None
    memory: int | str | None = None  # in bytes, or as ``"2GB"``
    grace: float = GRACE  # shorter than the sender of a signal waits before it kills
    gpus: int | Sequence[int | str] | None = None
    hours: float | None = None
    progress: bool = True
    on_trial: TrialHook | Sequence[TrialHook] | None = None
    on_round: RoundHook | Sequence[RoundHook] | None = None
    track: Tracker | Sequence[Tracker] | None = None
    limits: Limits = field(init=False, compare=False)  # ``timeout`` and ``memory`` as numbers
    # visible GPUs of each worker; ``None`` without ``gpus``
    devices: tuple[str, ...] | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for name, value in (("workers", self.workers), ("threads", self.threads)):
            if not is_whole(value):
                hint = "1 is the default"
                if name == "workers":
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
        if self.hours is not None and not (is_real(self.hours) and 0 < self.hours <= MOST_HOURS):
            raise DesignError(f"hours must be a number > 0, got {self.hours!r}; hours=0.5 is half an hour")
        if not isinstance(self.progress, bool):
            raise DesignError(f"progress must be True or False, got {self.progress!r}; False shows no bar")
        callables(self.on_trial, "on_trial")
        callables(self.on_round, "on_round")
        trackers_of(self.track)
        object.__setattr__(self, "limits", limits_of(self.timeout, self.memory, self.executor))
        object.__setattr__(self, "devices", devices_of(self.gpus, self.executor))

    @property
    def in_this_process(self) -> bool:
        """True if trials run one after the other in this process."""
        alone = self.workers == 1 and self.executor is None
        return alone and not self.limits.any and self.devices is None

    def __repr__(self) -> str:
        values = [(f.name, getattr(self, f.name), f.default) for f in fields(self) if f.init]
        changed = [f"{name}={value!r}" for name, value, default in values if value != default]
        return f"Machine({', '.join(changed)})"


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


DEFAULT = Machine()
"""The machine of a tree until you assign another one."""


def machine_of(default: Machine, machine: Machine | None, workers: int | None = None) -> Machine:
    """The machine of a call, by default the machine of the tree; with ``workers`` if given.

    Raises DesignError: not a machine, or ``workers`` next to a machine with a different number of workers.
    """
    chosen = machine
    if chosen is None:
        chosen = default
    if not isinstance(chosen, Machine):
        raise DesignError(
            f"machine must be a refine.Machine, got {machine!r}; for example "
            "machine=refine.Machine(workers=4)"
        )
    if workers is None:
        return chosen
    if machine is not None and machine.workers not in (1, workers):
        raise DesignError(
            f"workers={workers!r} differs from machine={machine!r}; give the number of workers once"
        )
    return replace(chosen, workers=workers)


def rest_of(machine: Machine, begun: float) -> Machine:
    """The machine with the hours left of a call of several runs; ``begun`` is from :func:`time.monotonic`."""
    if machine.hours is None:
        return machine
    return replace(machine, hours=max(_NO_TIME, machine.hours - (time.monotonic() - begun) / 3600))
