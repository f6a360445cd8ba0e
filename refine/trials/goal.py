"""Which of two values is the better one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from refine.errors import AnalysisError, did_you_mean
from refine.trials.metric import Metric

DIRECTIONS = ("maximize", "minimize")


class Goal(NamedTuple):
    """What trials are judged by.

    Attributes:
        metric: Which number of a trial is its value.
        direction: ``"maximize"`` or ``"minimize"``.
        allow_degenerate: Whether a degenerate trial may be called best.
    """

    metric: Metric
    direction: str = "maximize"
    allow_degenerate: bool = False

    @property
    def sign(self) -> float:
        """What values are multiplied by so that larger is better."""
        return sign_of(self.direction)

    def better(self, a: float, b: float) -> bool:
        """Whether the first value is better than the second; any number is better than NaN."""
        return self.sign * a > self.sign * b or (a == a and b != b)

    def best(self, values: Iterable[float]) -> float:
        """The best of some values; NaN where there is none."""
        return best_of(values, self.direction)


def sign_of(direction: str) -> float:
    """1 where larger is better, else -1."""
    return 1.0 if direction == "maximize" else -1.0


def best_of(values: Iterable[float], direction: str) -> float:
    """The best of some values; NaN where there is none."""
    sign = sign_of(direction)
    return float(max((v for v in values if v == v), key=lambda v: sign * v, default=math.nan))


def check_direction(direction: str) -> str:
    """``direction`` if it is one.

    Raises:
        AnalysisError: It is neither ``"maximize"`` nor ``"minimize"``.
    """
    if direction not in DIRECTIONS:
        hint = did_you_mean(direction, DIRECTIONS)
        tail = f"; {hint}" if hint.startswith("did") else ""
        raise AnalysisError(f"direction must be 'maximize' or 'minimize', got {direction!r}{tail}")
    return direction
