"""Ending a run in order before its plan is done: after a time, at a time, or after a number of trials."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from refine.errors import DesignError
from refine.utils.format import plural

MOST_HOURS = 24.0 * 366 * 10


class Ending:
    """What ends a run before its plan is done; what runs by then comes to its end.

    Args:
        hours: Hours from the call on, more than 0.
        until: A time of day and date, as a ``datetime`` or in ISO form; without a time zone it is local.
        trials: How many trials at most this call runs.

    Raises:
        DesignError: A value that makes no sense, or a time that has passed.
    """

    def __init__(
        self, hours: float | None = None, until: datetime | str | None = None, trials: int | None = None
    ) -> None:
        self.hours, self.until, self.trials = _hours(hours), _until(until), _trials(trials)

    @property
    def any(self) -> bool:
        """Whether anything ends a run early."""
        return (self.hours, self.until, self.trials) != (None, None, None)

    def begin(self) -> Callable[[], str]:
        """Starts the clock.

        Returns:
            Asked now and then, says why no new trial may begin, in words that complete "ended"; ``""`` while one may.
        """
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


def _hours(hours: Any) -> float | None:
    if hours is None:
        return None
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MOST_HOURS:
        raise DesignError(f"hours must be a number > 0, got {hours!r}; hours=0.5 is half an hour")
    return float(hours)


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


def _trials(trials: Any) -> int | None:
    if trials is None:
        return None
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise DesignError(
            f"trials must be a whole number >= 1 of trials to run in this call, got {trials!r}; n= sizes the round"
        )
    return trials
