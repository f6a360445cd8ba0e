"""How trials are run: the options that every call that runs trials takes, checked in one place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from refine.errors import DesignError, did_you_mean
from refine.run.devices import devices_of
from refine.run.ending import Ending
from refine.run.hooks import Hooks, TrialHook
from refine.run.limits import Limits, limits_of
from refine.run.signals import GRACE, check_grace
from refine.trials.trial import STATES


class ResourceKeywords(TypedDict, total=False):
    """The options of :class:`Resources` as keywords."""

    workers: int
    executor: Executor | None
    threads: int
    timeout: float | None
    memory: int | str | None
    grace: float
    gpus: int | Sequence[int | str] | None


class RunKeywords(ResourceKeywords, total=False):
    """The options of :class:`RunOptions` as keywords."""

    progress: bool
    rerun: str | Collection[str] | None
    on_trial: TrialHook | Sequence[TrialHook] | None


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What trials run on.

    Attributes:
        workers: 1 runs in this process, more on a local cluster of subprocesses.
        executor: A ``concurrent.futures`` executor to run on instead; ``workers`` says how many trials at a time.
        threads: Threads per trial; one by default, whatever the number of workers, or floats differ.
        timeout: Seconds that a trial may run, counted from its start in its worker; then its worker is killed and the
            trial is a ``timeout``. One worker is then a subprocess as well.
        memory: Resident memory that a worker may hold, in bytes or as ``"2GB"``; then it is killed, and the trial is
            tried once more in a fresh one before it is ``crashed``. One worker is then a subprocess as well.
        grace: Seconds that trials may still run after SIGTERM or SIGHUP, which otherwise end a round as one Ctrl-C does;
            less than whoever sends them waits before it kills.
        gpus: GPUs that workers get in turn, one each: how many of those that are visible, or which, as
            ``CUDA_VISIBLE_DEVICES`` names them; 0 hides all. More workers than GPUs share them. One worker is then a
            subprocess as well. ``None`` leaves it to ``CUDA_VISIBLE_DEVICES``.
        limits: ``timeout`` and ``memory`` as numbers.
        devices: What each worker may see, in turn; ``None`` where nobody said.

    Raises:
        DesignError: An option out of range, or a limit or ``gpus`` together with an executor.
    """

    workers: int = 1
    executor: Executor | None = None
    threads: int = 1
    timeout: float | None = None
    memory: int | str | None = None
    grace: float = GRACE
    gpus: int | Sequence[int | str] | None = None
    limits: Limits = field(init=False)
    devices: tuple[str, ...] | None = field(init=False)

    def __post_init__(self) -> None:
        for name, value in (("workers", self.workers), ("threads", self.threads)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                hint = f"{name}=2 is two at a time" if name == "workers" else "1 is the default"
                hint = "an objective is given by name: run(objective=...)" if callable(value) else hint
                raise DesignError(f"{name} must be a whole number >= 1, got {value!r}; {hint}")
        if self.executor is not None and not isinstance(self.executor, Executor):
            raise DesignError(
                f"executor must be one of concurrent.futures, got {self.executor!r}; such as ThreadPoolExecutor(2), or "
                "of a Dask client client.get_executor()"
            )
        check_grace(self.grace)
        object.__setattr__(self, "limits", limits_of(self.timeout, self.memory, self.executor))
        object.__setattr__(self, "devices", devices_of(self.gpus, self.executor))

    @property
    def in_this_process(self) -> bool:
        """Whether trials run one after the other in this process."""
        alone = self.workers == 1 and self.executor is None
        return alone and not self.limits.any and self.devices is None


@dataclass(frozen=True, kw_only=True)
class RunOptions(Resources):
    """What trials run on, what is shown meanwhile, and which run again.

    Attributes:
        progress: Whether to show a progress bar.
        rerun: A state, such as ``"failed"``, or several, such as ``["crashed", "timeout"]``: trials that ended so are
            run again as a new attempt.
        again: Those states.
        on_trial: Called with every :class:`refine.trials.trial.FinishedTrial`, in the process that called.
        hooks: Those calls.
        hours: Ends in order after so many hours.
        until: Ends in order at a time, a ``datetime`` or one in ISO form.
        trials: Ends in order after so many trials.
        ending: These three.

    Raises:
        DesignError: An option out of range.
    """

    progress: bool = True
    rerun: str | Collection[str] | None = None
    again: frozenset[str] = field(init=False)
    on_trial: TrialHook | Sequence[TrialHook] | None = None
    hooks: Hooks = field(init=False)
    hours: float | None = None
    until: datetime | str | None = None
    trials: int | None = None
    ending: Ending = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.progress, bool):
            raise DesignError(f"progress must be True or False, got {self.progress!r}; False shows no bar")
        object.__setattr__(self, "again", check_rerun(self.rerun))
        object.__setattr__(self, "hooks", Hooks(self.on_trial, "on_trial"))
        object.__setattr__(self, "ending", Ending(self.hours, self.until, self.trials))


def check_flag(name: str, value: object) -> None:
    """Raises DesignError unless an option is True or False."""
    if not isinstance(value, bool):
        raise DesignError(f"{name} must be True or False, got {value!r}")


def check_rerun(rerun: str | Collection[str] | None) -> frozenset[str]:
    """The states whose trials run again.

    Raises:
        DesignError: Something else than a state of trials, or several.
    """
    states = (rerun,) if isinstance(rerun, str) else () if rerun is None else rerun
    if not isinstance(states, Collection):
        raise DesignError(f"rerun must be a state of trials, or a list of them, got {rerun!r}")
    for state in states:
        if state not in STATES:
            raise DesignError(
                f"rerun must be a state of trials, got {state!r}; {did_you_mean(str(state), STATES)}"
            )
    return frozenset(states)
