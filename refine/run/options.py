"""The options of every call that runs trials, checked in one place; and what ends a run in order before its plan is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from refine.errors import DesignError, did_you_mean
from refine.run.hooks import Hooks, TrialHook
from refine.run.resources import ResourceKeywords, Resources, is_whole
from refine.trials.trial import STATES
from refine.utils.format import plural

MOST_HOURS = 24.0 * 366 * 10


class RunKeywords(ResourceKeywords, total=False):
    """The options of :class:`RunOptions` as keywords."""

    progress: bool
    rerun: str | Collection[str] | None
    on_trial: TrialHook | Sequence[TrialHook] | None


class RoundKeywords(RunKeywords, total=False):
    """The same, with what ends a run before its plan is done."""

    hours: float | None
    until: datetime | str | None
    trials: int | None


@dataclass(frozen=True, kw_only=True)
class RunOptions(Resources):
    """What trials run on, what is shown meanwhile, and which run again.

    Trials that ended in a state of ``rerun``, such as ``"failed"`` or ``["crashed", "timeout"]``, are run again as a new
    attempt. Every :class:`refine.trials.trial.FinishedTrial` goes to ``on_trial``, in the process that called. A run ends in
    order after so many ``hours`` or ``trials``, or at a time. Raises DesignError: an option out of range.
    """

    progress: bool = True  # whether to show a progress bar
    rerun: str | Collection[str] | None = None
    again: frozenset[str] = field(init=False)  # the states of ``rerun``
    on_trial: TrialHook | Sequence[TrialHook] | None = None
    hooks: Hooks = field(init=False)
    hours: float | None = None
    until: datetime | str | None = None  # a ``datetime``, or a time in ISO form
    trials: int | None = None
    ending: Ending = field(init=False)  # ``hours``, ``until`` and ``trials``

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
    """What ends a run before its plan is done; what runs by then comes to its end. A time without a zone is local.

    Raises DesignError: a value that makes no sense, or a time that has passed.
    """

    def __init__(
        self, hours: float | None = None, until: datetime | str | None = None, trials: int | None = None
    ) -> None:
        number = isinstance(hours, int | float) and not isinstance(hours, bool)
        if hours is not None and not (number and 0 < hours <= MOST_HOURS):
            raise DesignError(f"hours must be a number > 0, got {hours!r}; hours=0.5 is half an hour")
        if trials is not None and not is_whole(trials):
            raise DesignError(
                f"trials must be a whole number >= 1 of trials to run in this call, got {trials!r}; n= sizes the round"
            )
        self.hours, self.until, self.trials = hours, _until(until), trials

    @property
    def any(self) -> bool:
        """Whether anything ends a run early."""
        return (self.hours, self.until, self.trials) != (None, None, None)

    def begin(self) -> Callable[[], str]:
        """Starts the clock; what it returns says why no new trial may begin, in words that complete "ended", ``""`` while one may."""
        # Two clocks: hours are counted whatever somebody does to the time of day.
        end = math.inf if self.hours is None else time.monotonic() + 3600 * self.hours

        def why() -> str:
            if time.monotonic() >= end:
                return f"after {self.hours:g} hours"
            if self.until is not None and datetime.now(self.until.tzinfo) >= self.until:
                return f"at {self.until:%Y-%m-%d %H:%M}"
            return ""

        return why

    def of_trials(self, run: int) -> str:
        """Why a run of so many trials has ended, in words that complete "ended"; ``""`` where that isn't why."""
        return f"after {plural(run, 'trial')}" if self.trials is not None and run >= self.trials else ""


def _until(until: Any) -> datetime | None:
    if until is None:
        return None
    shape = 'such as until="2030-01-31 06:00"'
    if isinstance(until, str):
        try:
            until = datetime.fromisoformat(until)
        except ValueError:
            raise DesignError(f"until must be a date and time in ISO form, got {until!r}; {shape}") from None
    if not isinstance(until, datetime):
        raise DesignError(f"until must be a datetime, or one in ISO form, got {until!r}; {shape}")
    if until <= datetime.now(until.tzinfo):
        raise DesignError(
            f"until must be in the future, got {until:%Y-%m-%d %H:%M}; hours=0.5 is half an hour"
        )
    return until
