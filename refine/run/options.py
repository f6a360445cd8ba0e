"""The options of a call to run trials, and the graceful stop of a call."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refine.errors import DesignError, did_you_mean
from refine.run.hooks import Hooks, TrialHook, callables
from refine.run.machine import DEFAULT, Machine
from refine.utils.format import plural
from refine.utils.numbers import is_whole

if TYPE_CHECKING:
    from refine.run.outcome import Outcome
    from refine.run.progress_bar import ProgressBar


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """A machine, and the options of one call.

    Raises DesignError: an option out of range.
    """

    machine: Machine = DEFAULT
    bar: ProgressBar | None = None  # the bar that several calls share; default a bar for each call
    # a state such as ``"failed"``, or several, whose trials run again
    rerun: str | Collection[str] | None = None
    again: frozenset[str] = field(init=False)  # the states of ``rerun``
    trials: int | None = None  # of this call
    further_hooks: tuple[TrialHook, ...] = ()  # in addition to the callbacks of the machine
    hooks: Hooks = field(init=False)  # called with every stored trial, in the calling process
    begun: float = field(default_factory=time.monotonic)  # start of the call, for ``hours``

    def __post_init__(self) -> None:
        if self.trials is not None and not is_whole(self.trials):
            raise DesignError(
                f"trials must be a whole number >= 1 of trials to run in this call, got {self.trials!r}; n= "
                "sizes the round"
            )
        object.__setattr__(self, "again", check_rerun(self.rerun))
        functions = [*callables(self.machine.on_trial, "on_trial"), *self.further_hooks]
        object.__setattr__(self, "hooks", Hooks(functions, "on_trial"))

    def begin(self, seconds_left: float = math.inf) -> StopConditions:
        """The conditions that stop a run, which may train for ``seconds_left`` of a budget."""
        return StopConditions(self, seconds_left)


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


class StopConditions:
    """The conditions that stop a run under way; running trials then finish, and no further trial begins."""

    def __init__(self, options: RunOptions, seconds_left: float) -> None:
        self._limit = options.trials
        self._hours = options.machine.hours
        self._seconds_left = seconds_left
        self._trained = 0.0  # seconds of training by the trials of the run
        self._ended = 0  # trials of the run, without copied results
        self._end = math.inf
        if self._hours is not None:
            self._end = options.begun + 3600 * self._hours

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
            return f"after {self._hours:g} hours"
        if self._limit is not None and self._ended >= self._limit:
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
