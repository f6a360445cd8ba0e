"""The budget of a study: trials or training time, spent and remaining."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from html import escape

from refine.errors import DesignError
from refine.utils.action import Action
from refine.utils.format import duration, plural
from refine.utils.numbers import is_whole
from refine.utils.types import JsonObject
from refine.utils.warning import warn

CONFIRM_SHARE = 0.15
"""Share of a budget that advice keeps for repeats of the plausible winners.

Nine repeats of 60 trials let three finalists run three more times each, the fewest runs that decide a race.
"""

FIRST_SHARE = 1 / 3
"""Share of a budget for the first round: later rounds learn from the first one."""

FEWEST_FIRST = 12
"""Fewest trials of a first round.

With a budget of 30 on ten truths, 12 even trials left 13 % regret, and 20 even trials 15 %.
"""

LARGEST_BUDGET = 10**12
"""Largest budget, in trials or in seconds of training time."""

Budget = int | str | None

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # by the first letter of the unit
_LONGEST = 100  # characters of a budget
_UNITS = r"s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?"
_PART = re.compile(rf"\s*(\d+(?:\.\d+)?)\s*({_UNITS})(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class BudgetState:
    """A budget and the spent trials. Without a budget, the number of trials is unlimited.

    Examples:
        >>> from refine.trials.budget import BudgetState
        >>> state = BudgetState(limit=60, spent=36, running=0, repeats=3, seconds=90.0)
        >>> state.left, state.for_rounds(), str(state)
        (24, 18, '24 of 60 trials left')
    """

    limit: Budget = None  # trials, or training time such as ``"8 h"``; ``None`` without a budget
    spent: int = 0  # trials that ran, failed ones and repeats included
    running: int = 0  # trials that calls in progress will still run
    repeats: int = 0  # repeats among the spent trials
    seconds: float = 0.0  # training time of the spent trials, summed over trials
    # configurations of the largest space, if the training time left is enough for more; else ``None``
    configurations: int | None = None
    cheap: int = 0  # cheap trials among the spent trials
    cheap_cost: float = 1.0  # cost of a cheap trial in full trainings; 1 without a fidelity
    mean_cost: float = 1.0  # mean cost of a trial of a round in full trainings; 1 without a fidelity

    @property
    def spent_cost(self) -> float:
        """Cost of the spent trials, in full trainings."""
        return self.spent - self.cheap * (1.0 - self.cheap_cost)

    @property
    def full_left(self) -> int | None:
        """Remaining trainings at the full level, such as repeats; ``None`` if :attr:`left` is."""
        if self.left is None:
            return None
        if isinstance(self.limit, int):
            return max(0, math.floor(self.limit - self.spent_cost - self.running * self.mean_cost + 1e-9))
        return math.floor(self.left * self.mean_cost + 1e-9)

    @property
    def seconds_left(self) -> float:
        """Training time left; infinite without a budget of time."""
        if isinstance(self.limit, str):
            return max(0.0, seconds_of(self.limit) - self.seconds)
        return math.inf

    @property
    def left(self) -> int | None:
        """Remaining trials; ``None`` without a budget, or with a training time before the first trial.

        The remaining training time is divided by the mean training time of the trials so far.
        """
        if isinstance(self.limit, int):
            trials = math.floor((self.limit - self.spent_cost) / self.mean_cost + 1e-9)
            return max(0, trials - self.running)
        if self.limit is None or not self.spent or self.seconds <= 0:
            return None
        n_left = min(self.seconds_left * self.spent / self.seconds, LARGEST_BUDGET)
        return max(0, int(n_left) - self.running)

    def reserve(self, *, noisy: bool = True) -> int:
        """Trials of the budget kept for confirming the winner; 0 if values are not noisy."""
        if self.left is None or not noisy:
            return 0
        total = self.spent + self.running + self.left
        if self.mean_cost < 1 and self.full_left is not None:
            total = round(self.spent_cost + self.running * self.mean_cost) + self.full_left
        if self.configurations is not None:
            total = min(total, self.configurations)
        assert self.full_left is not None
        return min(self.full_left, max(0, round(CONFIRM_SHARE * total) - self.repeats))

    def reserve_text(self, *, noisy: bool = True) -> str:
        """The reserve as the end of a sentence on the budget: ``; 8 kept to confirm the winner``.

        Empty without a reserve.
        """
        reserved = self.reserve(noisy=noisy)
        if not reserved:
            return ""
        return f"; {reserved:,} kept to confirm the winner"

    def for_rounds(self, *, noisy: bool = True) -> int | None:
        """Trials left for rounds: without the reserve for confirming the winner."""
        if self.left is None:
            return None
        if self.mean_cost == 1:
            return self.left - self.reserve(noisy=noisy)
        assert self.full_left is not None
        return math.floor((self.full_left - self.reserve(noisy=noisy)) / self.mean_cost + 1e-9)

    def warn_of_reserve(self, count: int, subject: str, *, noisy: bool) -> None:
        """Warns if ``count`` further trials use trials that are kept to confirm the winner.

        Args:
            count: Number of trials that a person asked for.
            subject: Beginning of the message, for example ``"round 1a2b"``.
            noisy: False if values are not noisy: nothing is kept.
        """
        available = self.for_rounds(noisy=noisy)
        reserved = self.reserve(noisy=noisy)
        if available is None or count <= available or not reserved:
            return
        used = min(count - available, reserved)
        if available:
            fix = f"ask for {available:,} or fewer, or raise the budget"
        else:
            fix = "confirm the winner first, or raise the budget"
        warn(
            f"{subject}: {plural(count, 'trial')} would use {used:,} of the {reserved:,} kept to confirm the "
            f"winner; {fix}"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>"

    def __str__(self) -> str:
        if self.limit is None:
            return "no budget"
        if isinstance(self.limit, int):
            text = f"{self.left:,} of {self.limit:,} trials left"
            if self.mean_cost < 1:
                text = f"{self.full_left:,} of {self.limit:,} full trainings left"
        else:
            text = f"{duration(self.seconds_left)} of {_in_whole_units(self.limit)} left"
        if self.configurations is not None:
            text += f", enough for the whole space: {plural(self.configurations, 'configuration')}"
        elif isinstance(self.limit, str) and self.left is not None:
            text += f", about {self.left:,} trials"
        if self.running:
            text += f", {self.running:,} running"
        return text

    def to_json(self) -> JsonObject:
        """Plain data."""
        return {
            "budget": self.limit,
            "spent": self.spent,
            "running": self.running,
            "left": self.left,
            "reserve": self.reserve(),
            "configurations": self.configurations,
            "text": str(self),
        }

    def check(self, count: int, subject: str, fix: str, *, full: bool = False) -> None:
        """Raises DesignError if ``count`` further trials exceed the budget.

        Args:
            count: Number of trials about to run.
            subject: Beginning of the message, for example ``"round 1a2b"``.
            fix: A smaller call, with ``{left}`` for the largest possible number.
            full: Whether all of them run at the full level of the fidelity.
        """
        if isinstance(self.limit, int):
            remaining = self.left or 0
            cost = self.mean_cost
            if full:
                remaining = self.full_left or 0
                cost = 1.0
            if count <= remaining:
                return
            smaller = ""
            if remaining:
                smaller = f"{fix.format(left=remaining)}, or "
            raise DesignError(
                f"{subject}: the budget allows {remaining:,} more trials ({self}), got {count:,}; "
                f"{smaller}raise the budget",
                Action("tree.budget", self.limit + math.ceil((count - remaining) * cost)),
            )
        if self.limit is not None and self.seconds_left <= 0:
            larger = f"{math.ceil(2 * seconds_of(self.limit) / 3600)} h"
            raise DesignError(
                f"{subject}: the budget of {_in_whole_units(self.limit)} is spent: the trials trained for "
                f"{duration(self.seconds)}; raise the budget",
                Action("tree.budget", larger),
            )


NO_BUDGET = BudgetState()
"""The state of a tree without a budget, without counts."""


def checked_budget(value: object) -> Budget:
    """A budget as stored: a whole number of trials, a duration as text, or ``None``.

    Raises DesignError: neither a whole number >= 1 nor a duration > 0, or more than a million million trials
    or seconds.
    """
    if value is None:
        return None
    budget = value
    if isinstance(value, timedelta):
        budget = _as_text(value)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= _LONGEST:
        budget = int(value)
    if is_whole(budget, 1, LARGEST_BUDGET):
        return budget
    if isinstance(budget, str) and 0 < seconds_of(budget) <= LARGEST_BUDGET:
        return budget.strip()
    if isinstance(value, int) and value > LARGEST_BUDGET:
        raise DesignError(
            f"budget must be at most {LARGEST_BUDGET:,} trials, got more; for example budget=60"
        )
    raise DesignError(
        f"budget must be a whole number of trials >= 1, or a training time, got {value!r:.60}; for example "
        "budget=60 or budget='8 h' (units: d, h, min, s)"
    )


def _as_text(time: timedelta) -> str:
    """A training time in hours, or in seconds if the hours are not a short decimal number."""
    hours = f"{time.total_seconds() / 3600:.4f}".rstrip("0").rstrip(".")
    if float(hours) * 3600 == time.total_seconds():
        return f"{hours} h"
    return f"{time.total_seconds():.6f}".rstrip("0").rstrip(".") + " s"


def raised(present: Budget, proposed: Budget) -> Budget:
    """The larger of two budgets; a budget of the other kind replaces the present budget."""
    if proposed is None:
        return present
    if isinstance(present, int) and isinstance(proposed, int):
        return max(present, proposed)
    if isinstance(present, str) and isinstance(proposed, str) and seconds_of(present) >= seconds_of(proposed):
        return present
    return proposed


def seconds_of(text: str) -> float:
    """Seconds of a duration, for example ``"8 h"`` or ``"1 h 30 min"``; 0 for a text without a duration."""
    parts = list(_PART.finditer(text[:_LONGEST]))
    if not parts or len(text) > _LONGEST or _PART.sub("", text).strip():
        return 0.0
    return sum(float(part[1]) * _SECONDS[part[2][0].lower()] for part in parts)


def _in_whole_units(text: str) -> str:
    """A training time without decimals, to compare with a measured one: ``3 min`` for ``0.05 h``."""
    if "." not in text:
        return text
    return duration(seconds_of(text)).removesuffix(" 0 s").removesuffix(" 0 min")


def first_size(budget: Budget, mean_cost: float = 1.0) -> int | None:
    """Advised size of a first round; ``None`` without a budget of trials.

    ``mean_cost`` is that of its trials, in full trainings.
    """
    if not isinstance(budget, int):
        return None
    return round(min(budget, max(FEWEST_FIRST, round(FIRST_SHARE * budget))) / mean_cost)
