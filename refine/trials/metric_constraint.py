"""Constraints on a trial's other metrics: ``latency_ms <= 5``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refine.errors import AnalysisError
from refine.utils.arrays import Floats

FEASIBLE = "feasible"
"""Column of a table of trials that says which of them meet all metric constraints."""

SECONDS = "seconds"
"""The wall time of a trial, which is a metric of every trial."""

_FORM = re.compile(r"(.+?)\s*(<=|>=|<|>|==|=)\s*(\S+)", re.DOTALL)
_TURNED = {"<=": ">=", ">=": "<="}


class MetricConstraint(NamedTuple):
    """A bound that a metric of a usable trial must meet."""

    name: str  # name of a metric of the objective, or `seconds`, the wall time
    relation: str  # `"<="` or `">="`
    bound: float  # the number on the right

    @classmethod
    def parse(cls, text: str) -> MetricConstraint:
        """A constraint from ``"latency_ms <= 5"`` or ``"val_recall >= 0.9"``; AnalysisError otherwise."""
        if isinstance(text, str):
            match = _FORM.fullmatch(text.strip())
        else:
            match = None
        if match is None:
            raise AnalysisError(
                "a metric constraint must be a metric, <= or >=, and a number, for example 'latency_ms "
                f"<= 5', got {text!r}"
            )
        name, relation, bound = match.groups()
        if relation not in _TURNED:
            if "=" in relation:
                reason = "measured numbers are never met exactly"
            else:
                reason = "a bound itself is met"
            raise AnalysisError(f"metric constraint {text!r}: write <= or >=, not {relation}; {reason}")
        if _is_number(name) and not _is_number(bound):
            name, relation, bound = bound, _TURNED[relation], name
        if not _is_number(bound) or not math.isfinite(float(bound)):
            raise AnalysisError(
                f"metric constraint {text!r}: right of {relation} stands a number, got {bound!r}; a bound "
                "that depends on another metric is one on their difference, which the objective can return"
            )
        return cls(name, relation, float(bound))

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound:g}"

    def slack(self, values: npt.ArrayLike) -> Floats:
        """Distance of values from the bound: 0 or more if met, NaN without a value."""
        if self.relation == ">=":
            turned = 1.0
        else:
            turned = -1.0
        return np.asarray(turned * (np.asarray(values, dtype=float) - self.bound))

    def met(self, value: float | None) -> bool:
        """True if a value meets the bound; a missing value or NaN does not."""
        return value is not None and bool(self.slack(value) >= 0)


def metric_constraints(texts: Iterable[str | MetricConstraint] | str) -> tuple[MetricConstraint, ...]:
    """Constraints from texts, without repetition, in a fixed order.

    AnalysisError for an invalid constraint, or for two contradictory constraints.
    """
    if not isinstance(texts, Iterable):
        raise AnalysisError(
            f"subject_to must be texts, got {texts!r:.40}; for example subject_to=['seconds <= 60']"
        )
    listed = [texts] if isinstance(texts, str) else list(texts)
    constraints = sorted(
        {c if isinstance(c, MetricConstraint) else MetricConstraint.parse(c) for c in listed}
    )
    for a in constraints:
        for b in constraints:
            if a.name == b.name and a.relation == "<=" and b.relation == ">=" and a.bound < b.bound:
                raise AnalysisError(
                    f"metric constraints '{a}' and '{b}' can't both be met; correct one of them"
                )
    return tuple(constraints)


def all_met(constraints: Sequence[MetricConstraint], metrics: Mapping[str, float], seconds: float) -> bool:
    """True if a trial's metrics meet every constraint.

    Its wall time stands in for an unreported ``seconds``.
    """
    values = {SECONDS: seconds, **metrics}
    return all(constraint.met(values.get(constraint.name)) for constraint in constraints)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
