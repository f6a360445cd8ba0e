"""The options of every call that runs trials, checked in one place: what ends a run in order, and whom it tells what.

Whatever goes wrong in hooks, which are a person's, the round goes on.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from refine.errors import DesignError, RefineWarning, did_you_mean
from refine.run.resources import ResourceKeywords, Resources, is_whole
from refine.trials.trial import STATES, FinishedTrial
from refine.utils.format import plural

_log = logging.getLogger(__name__)
MOST_HOURS = 24.0 * 366 * 10

TrialHook = Callable[[FinishedTrial], object]


class RunKeywords(ResourceKeywords, total=False):
    """The options of :class:`RunOptions` as keywords."""

    progress: bool
    rerun: str | Collection[str] | None
    on_trial: TrialHook | Sequence[TrialHook] | None


class RoundKeywords(RunKeywords, total=False):
    """The same, with what ends a run before its plan is done."""

    hours: float | None
    trials: int | None


@dataclass(frozen=True, kw_only=True)
class RunOptions(Resources):
    """What trials run on, what is shown meanwhile, and which run again.

    Trials that ended in a state of ``rerun``, such as ``"failed"`` or ``["crashed", "timeout"]``, are run again as a new
    attempt. Every :class:`refine.trials.trial.FinishedTrial` goes to ``on_trial``, in the process that called. A run ends in
    order after so many ``hours`` or ``trials``. Raises DesignError: an option out of range.
    """

    progress: bool = True  # whether to show a progress bar
    rerun: str | Collection[str] | None = None
    again: frozenset[str] = field(init=False)  # the states of ``rerun``
    on_trial: TrialHook | Sequence[TrialHook] | None = None
    hooks: Hooks = field(init=False)
    hours: float | None = None
    trials: int | None = None
    ending: Ending = field(init=False)  # ``hours`` and ``trials``

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.progress, bool):
            raise DesignError(f"progress must be True or False, got {self.progress!r}; False shows no bar")
        object.__setattr__(self, "again", check_rerun(self.rerun))
        object.__setattr__(self, "hooks", Hooks(self.on_trial, "on_trial"))
        object.__setattr__(self, "ending", Ending(self.hours, self.trials))


def check_flag(name: str, value: object) -> None:
    """Raises DesignError unless an option is True or False."""
    if not isinstance(value, bool):
        raise DesignError(f"{name} must be True or False, got {value!r}")


def check_rerun(rerun: str | Collection[str] | None) -> frozenset[str]:
    """The states whose trials run again. Raises DesignError: something else than a state of trials, or several."""
    states = (rerun,) if isinstance(rerun, str) else () if rerun is None else rerun
    if not isinstance(states, Collection):
        raise DesignError(f"rerun must be a state of trials, or a list of them, got {rerun!r}")
    for state in states:
        if state not in STATES:
            raise DesignError(
                f"rerun must be a state of trials, got {state!r}; {did_you_mean(str(state), STATES)}"
            )
    return frozenset(states)


class Ending:
    """What ends a run before its plan is done; what runs by then comes to its end. Raises DesignError: a value that makes no sense."""

    def __init__(self, hours: float | None = None, trials: int | None = None) -> None:
        number = isinstance(hours, int | float) and not isinstance(hours, bool)
        if hours is not None and not (number and 0 < hours <= MOST_HOURS):
            raise DesignError(f"hours must be a number > 0, got {hours!r}; hours=0.5 is half an hour")
        if trials is not None and not is_whole(trials):
            raise DesignError(
                f"trials must be a whole number >= 1 of trials to run in this call, got {trials!r}; n= sizes the round"
            )
        self.hours, self.trials = hours, trials

    def begin(self) -> Callable[[], bool]:
        """Starts the clock; what it returns says whether no new trial may begin."""
        end = math.inf if self.hours is None else time.monotonic() + 3600 * self.hours
        return lambda: time.monotonic() >= end

    def why(self, run: int, late: bool) -> str:
        """Why a run of so many trials has ended, in words that complete "ended"; ``""`` where that isn't why."""
        if late:
            return f"after {self.hours:g} hours"
        return f"after {plural(run, 'trial')}" if self.trials is not None and run >= self.trials else ""


def log(level: int, text: str, *values: object, exc_info: bool = False) -> None:
    """Logs for ``refine.run``; a handler that raises ends no round."""
    with contextlib.suppress(Exception):
        _log.log(level, text, *values, exc_info=exc_info)


class Tracker(Protocol):
    """Follows rounds: see :class:`refine.report.trackers.Tracker`."""

    def start(self, found: Any, /) -> object:
        """A round's call begins."""

    def trial(self, trial: FinishedTrial, /) -> object:
        """A trial has ended."""

    def end(self, found: Any, /) -> object:
        """The round's call has ended."""


def trackers_of(track: Tracker | Sequence[Tracker] | None) -> tuple[Tracker, ...]:
    """The trackers that were given. Raises DesignError: something that is none."""
    given: tuple[Any, ...] = (
        () if track is None else tuple(track) if isinstance(track, list | tuple) else (track,)
    )
    for tracker in given:
        if isinstance(tracker, type) or not all(
            callable(getattr(tracker, name, None)) for name in ("start", "trial", "end")
        ):
            raise DesignError(
                f"track must be a tracker, or a list of them, got {tracker!r}; such as refine.report.trackers.MLflow()"
            )
    return given


def callables(given: Any, name: str) -> tuple[Callable[[Any], object], ...]:
    """The hooks that were given by an option. Raises DesignError: something that can't be called."""
    hooks = () if given is None else tuple(given) if isinstance(given, list | tuple) else (given,)
    for hook in hooks:
        if not callable(hook):
            raise DesignError(
                f"{name} must be a function, or a list of them, got {hook!r}; such as {name}=lambda ended: print(ended)"
            )
    return hooks


class Hooks:
    """Calls hooks one after the other."""

    def __init__(self, given: Any, name: str) -> None:
        self._hooks, self._name = callables(given, name), name
        self._told: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def call(self, argument: Any) -> None:
        """Calls all of them; an exception becomes one warning per hook, and its traceback goes to the log."""
        for i, hook in enumerate(self._hooks):
            try:
                hook(argument)
            except Exception as error:  # noqa: BLE001  # a person's code, whatever it raises
                called = getattr(hook, "__qualname__", type(hook).__name__)
                log(logging.ERROR, "%s: %s raised", self._name, called, exc_info=True)
                if i not in self._told:
                    self._told.add(i)
                    warnings.warn(
                        f"{self._name}: {called} raised {type(error).__name__}: {error}; the round goes on, and further "
                        f"errors of it only go to the log ({__name__})",
                        RefineWarning,
                        stacklevel=2,
                    )
