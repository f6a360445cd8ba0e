"""The metric: the number of a trial that is its value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from refine.errors import AnalysisError, did_you_mean
from refine.trials.metric_constraint import SECONDS, MetricConstraint

BARE = "value"
"""Name of the metric of an objective that returns a single number."""

REDUCTIONS = ("last", "max", "min")
FUNCTION = "function"

Curve = Mapping[str, Sequence[float]]
"""Metric name -> one value per epoch."""

Score = Callable[[Mapping[str, float]], float]
"""A function of a trial's metrics whose result is the trial's value."""


class Metric(NamedTuple):
    """The number of a trial that is its value."""

    name: str  # name of a metric of the objective, or the qualified name of a function
    # `"last"` epoch's value, the `"max"` or `"min"` over the curve, or `"function"` of the trial's metrics
    reduction: str = "last"
    # the function, if available; otherwise the value stored at the end of the trial counts
    function: Score | None = None
    # constraints on other metrics of a trial
    subject_to: tuple[MetricConstraint, ...] = ()

    @classmethod
    def parse(cls, text: str | Score, functions: Mapping[str, Score] | None = None) -> Metric:
        """A metric from ``"val_acc"``, ``"last:val_acc"``, ``"max:val_acc"`` or a function.

        ``"function:module.name"`` is the record of a function; ``functions`` are the available ones by name.
        AnalysisError otherwise.
        """
        if callable(text):
            return cls(_name_of(text), FUNCTION, text)
        if not isinstance(text, str) or not text:
            raise AnalysisError(
                "metric must be the name of a metric, such as 'val_acc' or 'max:val_acc', or a function "
                f"of the trial's metrics, got {text!r:.80}"
            )
        head, colon, tail = text.partition(":")
        if not colon:
            return cls(text)
        if head == FUNCTION and tail:
            return cls(tail, FUNCTION, (functions or {}).get(tail))
        if head in REDUCTIONS and not tail:
            raise AnalysisError(
                f"metric {text!r}: after the colon stands a metric's name, got none; write '{head}:val_acc'"
            )
        if head not in REDUCTIONS or not tail:
            raise AnalysisError(
                f"metric {text!r}: before the colon stands last, max or min, got {head!r}; "
                f"{did_you_mean(head, REDUCTIONS)}"
            )
        return cls(tail, head)

    def __str__(self) -> str:
        if self.reduction == "last":
            return self.name
        return f"{self.reduction}:{self.name}"

    @property
    def plain(self) -> bool:
        """True if the value is a stored metric without constraints."""
        return self.function is None and not (self.curves or self.subject_to or self.name == SECONDS)

    @property
    def curves(self) -> bool:
        """True if the value depends on values per epoch."""
        return self.reduction in ("max", "min")

    def of(self, metrics: Mapping[str, float], curve: Curve, seconds: float | None = None) -> float | None:
        """The value, or ``None`` without such a metric; a bare NaN is NaN for every metric.

        ``seconds``, the wall time, is the metric of that name if not reported. AnalysisError if a function
        raises, or does not return a number.
        """
        if self.function is not None:
            other_metrics = {name: value for name, value in metrics.items() if name != self.name}
            if other_metrics:
                return _called(self.function, self.name, other_metrics)
            return None
        series = curve.get(self.name)
        if self.curves and series:
            finite = [v for v in series if math.isfinite(v)]
            if self.reduction == "max":
                pick = max
            else:
                pick = min
            if finite:
                return float(pick(finite))
            return math.nan
        value = metrics.get(self.name, seconds if self.name == SECONDS else None)
        if value is None and is_bare_nan(metrics):
            return math.nan  # an objective with several metrics reports a failure so
        if value is None:
            return None
        return float(value)


def is_bare_nan(metrics: Mapping[str, float]) -> bool:
    """True if an objective returned NaN alone, a failure under any metric."""
    return len(metrics) == 1 and math.isnan(metrics.get(BARE, 0.0))


def _name_of(function: Score) -> str:
    named = getattr(function, "name", None)
    if isinstance(named, str) and named:
        name = named
    else:
        name = getattr(function, "__qualname__", "")
    if not name or "<lambda>" in name or ":" in name:
        raise AnalysisError(
            "a metric that is a function is recorded by its name, got "
            f"{name or type(function).__name__!r}; write def score(metrics): ... and pass score"
        )
    module = getattr(function, "__module__", "__main__")
    if named or module == "__main__":
        return name
    return f"{module}.{name}"


def _called(function: Score, name: str, metrics: dict[str, float]) -> float:
    try:
        return float(function(metrics))
    except Exception as error:
        raise AnalysisError(
            f"metric {name}: the function must give a number for a trial's metrics, but "
            f"{type(error).__name__}: {error}; this trial has {', '.join(metrics)}"
        ) from error
