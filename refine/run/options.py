"""The options of calls to run trials: graceful stopping, callbacks and trackers.

An exception in a callback or tracker never ends a round.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from refine.errors import DesignError, RefineWarning, did_you_mean
from refine.run.resources import ResourceKeywords, Resources, shell_option
from refine.utils.format import plural
from refine.utils.numbers import is_real, is_whole

if TYPE_CHECKING:
    from refine.run.outcome import Outcome
    from refine.run.progress_bar import ProgressBar
    from refine.trials.trial import FinishedTrial

_log = logging.getLogger(__name__)
MOST_HOURS = 24.0 * 366 * 10

TrialHook = Callable[["FinishedTrial"], object]
# Functions that are called with a round.
RoundHook = Callable[[Any], object]


class RunKeywords(ResourceKeywords, total=False):
    """The options of :class:`RunOptions` as keywords."""

    progress: bool
    rerun: str | Collection[str] | None
    on_trial: TrialHook | Sequence[TrialHook] | None


class SearchKeywords(RunKeywords, total=False):
    """The options of a search: :class:`RunKeywords`, the unit of an improvement, and repeats at the end."""

    per: str
    check_noise: bool


class RoundKeywords(SearchKeywords, total=False):
    """The options of a round: :class:`SearchKeywords`, limits that stop a run early, and listeners."""

    hours: float | None
    trials: int | None
    on_round: RoundHook | Sequence[RoundHook] | None
    track: Tracker | Sequence[Tracker] | None


@dataclass(frozen=True, kw_only=True)
class RunOptions(Resources):
    """Workers, limits, progress and callbacks of a call to run trials.

    Raises DesignError: an option out of range.
    """

    progress: bool = True  # shows a progress bar
    bar: ProgressBar | None = None  # the bar that several calls share; default a bar for each call
    # a state such as ``"failed"``, or several, whose trials run again
    rerun: str | Collection[str] | None = shell_option(
        None,
        list[str],
        "Re-run trials that ended in this state, for example failed.",
        heading="",
        metavar="STATE",
    )
    again: frozenset[str] = field(init=False)  # the states of ``rerun``
    on_trial: TrialHook | Sequence[TrialHook] | None = (
        None  # called with every stored trial, in the calling process
    )
    hooks: Hooks = field(init=False)
    hours: float | None = shell_option(
        None, float, "Start no new trials after this many hours.", heading="Graceful stop"
    )
    trials: int | None = shell_option(None, int, "Stop after this many trials.", heading="Graceful stop")
    ending: Ending = field(init=False)  # ``hours`` and ``trials``
    # unit of the improvement by exploit trials: ``"trial"`` or ``"second"``
    per: str = shell_option(
        "trial",
        str,
        "Set the unit of the improvement by exploit trials: per trial, or per second.",
        metavar="trial|second",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.progress, bool):
            raise DesignError(f"progress must be True or False, got {self.progress!r}; False shows no bar")
        if self.per not in ("trial", "second"):
            raise DesignError(
                f"per must be 'trial' or 'second', the unit of an expected improvement, got {self.per!r}; "
                "for example per='second'"
            )
        object.__setattr__(self, "again", check_rerun(self.rerun))
        object.__setattr__(self, "hooks", Hooks(self.on_trial, "on_trial"))
        object.__setattr__(self, "ending", Ending(self.hours, self.trials))


def check_noise_option(value: object) -> None:
    """Raises DesignError unless the option ``check_noise`` is True or False."""
    if not isinstance(value, bool):
        raise DesignError(f"check_noise must be True or False, got {value!r}")


def check_rerun(rerun: str | Collection[str] | None) -> frozenset[str]:
    """The states of trials to run again.

    Raises DesignError: ``rerun`` names an unknown state.
    """
    from refine.trials.trial import STATES  # the shell reads the options of a run without NumPy

    if rerun is None:
        return frozenset()
    states = (rerun,) if isinstance(rerun, str) else rerun
    if not isinstance(states, Collection):
        raise DesignError(f"rerun must be a state of trials, or a list of them, got {rerun!r}")
    for state in states:
        if state not in STATES:
            raise DesignError(
                f"rerun must be a state of trials, got {state!r}; {did_you_mean(str(state), STATES)}"
            )
    return frozenset(states)


class Ending:
    """The graceful stop of a run: limits after which no further trial begins; running trials finish.

    Raises DesignError: a limit out of range.
    """

    def __init__(self, hours: float | None = None, trials: int | None = None) -> None:
        if hours is not None and not (is_real(hours) and 0 < hours <= MOST_HOURS):
            raise DesignError(f"hours must be a number > 0, got {hours!r}; hours=0.5 is half an hour")
        if trials is not None and not is_whole(trials):
            raise DesignError(
                f"trials must be a whole number >= 1 of trials to run in this call, got {trials!r}; n= sizes "
                "the round"
            )
        self.hours = hours
        self.trials = trials

    def begin(self, seconds_left: float = math.inf) -> StopConditions:
        """Starts the clock of a run, which may train for ``seconds_left`` of a budget."""
        return StopConditions(self, seconds_left)


class StopConditions:
    """The conditions that stop a run under way: those of :class:`Ending`, and the budget of training time."""

    def __init__(self, ending: Ending, seconds_left: float) -> None:
        self._ending = ending
        self._seconds_left = seconds_left
        self._trained = 0.0  # seconds of training by the trials of the run
        self._ended = 0  # trials of the run, without copied results
        self._end = math.inf
        if ending.hours is not None:
            self._end = time.monotonic() + 3600 * ending.hours

    def add(self, outcome: Outcome) -> None:
        """Counts a trial that has ended."""
        self._ended += 1
        self._trained += outcome.seconds

    def reached(self) -> bool:
        """True if no further trial may begin."""
        return bool(self.reason())

    def reason(self) -> str:
        """The limit that is reached, in words to follow "stopped"; empty below all limits."""
        if self._budget_spent:
            return "since the budget of training time is spent"
        if time.monotonic() >= self._end:
            return f"after {self._ending.hours:g} hours"
        if self._ending.trials is not None and self._ended >= self._ending.trials:
            return f"after {plural(self._ended, 'trial')}"
        return ""

    @property
    def fix(self) -> str:
        """The way to run the trials that are left, in words."""
        if self._budget_spent:
            return "raise the budget and run it again to resume"
        return "run it again to resume"

    @property
    def _budget_spent(self) -> bool:
        return self._trained >= self._seconds_left


def log(level: int, text: str, *values: object, exc_info: bool = False) -> None:
    """Logs for ``refine.run``; a handler that raises does not end a round."""
    with contextlib.suppress(Exception):
        _log.log(level, text, *values, exc_info=exc_info)


class Tracker(Protocol):
    """Follows rounds: see :class:`refine.report.trackers.Tracker`."""

    def start(self, record: object, /) -> object:
        """A round's call begins."""

    def trial(self, trial: FinishedTrial, /) -> object:
        """A trial has ended."""

    def end(self, record: object, /) -> object:
        """The round's call has ended."""


def trackers_of(track: Tracker | Sequence[Tracker] | None) -> tuple[Tracker, ...]:
    """The trackers of the option ``track``. Raises DesignError: an object that is not a tracker."""
    trackers: tuple[Any, ...] = _several(track)
    for tracker in trackers:
        methods = [getattr(tracker, name, None) for name in ("start", "trial", "end")]
        if isinstance(tracker, type) or not all(map(callable, methods)):
            raise DesignError(
                f"track must be a tracker or a list of trackers, got {tracker!r}; for example "
                "refine.report.trackers.MLflow()"
            )
    return trackers


def _several(value: object) -> tuple[Any, ...]:
    """The items of an option that takes one value, a list, or ``None``."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(value)
    return (value,)


def callables(hooks: object, name: str) -> tuple[Callable[[Any], object], ...]:
    """The functions of the option ``name``. Raises DesignError: an object that cannot be called."""
    functions = _several(hooks)
    for function in functions:
        if not callable(function):
            raise DesignError(
                f"{name} must be a function or a list of functions, got {function!r}; for example "
                f"{name}=lambda ended: print(ended)"
            )
    return functions


class Hooks:
    """The functions of an option, called one after the other."""

    def __init__(self, hooks: object, name: str) -> None:
        self._hooks = callables(hooks, name)
        self._name = name
        self._warned: set[int] = set()  # positions of functions that have raised

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def call(self, argument: object) -> None:
        """Calls every function.

        An exception becomes a warning, once per function, with a traceback in the log.
        """
        for i, hook in enumerate(self._hooks):
            try:
                hook(argument)
            except Exception as error:  # noqa: BLE001  # a person's code, whatever it raises
                called = getattr(hook, "__qualname__", type(hook).__name__)
                log(logging.ERROR, "%s: %s raised", self._name, called, exc_info=True)
                if i not in self._warned:
                    self._warned.add(i)
                    warnings.warn(
                        f"{self._name}: {called} raised {type(error).__name__}: {error}; the round "
                        f"continues, and further errors of {called} only go to the log ({__name__})",
                        RefineWarning,
                        stacklevel=2,
                    )
