"""Goals: the metric, its direction and its constraints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refine.errors import AnalysisError, did_you_mean
from refine.trials.metric import Metric, Score
from refine.trials.metric_constraint import all_met, metric_constraints
from refine.trials.trial import DEGENERATE
from refine.utils.keywords import helped
from refine.utils.warning import warn

DIRECTIONS = ("maximize", "minimize")
ASK = "ask"
"""The default direction: larger is better, and the name of a loss is an error."""

_LESS = re.compile(
    r"loss(es)?|logloss|nll|crossentropy|entropy|errors?|err|r?mse|mae|r?msle|mape|perplexity|ppl|bp[bcw]|"
    r"[wc]er|fid|brier|ece|deviance|"
    r"regret|cost|latency|seconds|duration|distance|divergence|"
    r"times?|runtime|walltime|elapsed|crps|hinge|misclassifications?|f[pn]r|eer|energy|flops"
)
_MORE = re.compile(
    r"acc|accuracy|auc|auroc|f1|precision|recall|scores?|r2|map|m?iou|dice|bleu|rouge|rewards?|return|gain|"
    r"likelihood|fmeasure|correlation|kappa|mcc"
)


@helped
@dataclass(frozen=True, init=False)
class Goal:
    """A goal for trials.

    Args:
        metric: The name of a metric, such as ``"val_acc"`` or ``"max:val_acc"``, or a function of a trial's
            metrics.
        direction: ``"maximize"`` or ``"minimize"``. Default: larger is better, and the name of a loss or an
            error raises a question; ``None`` infers the direction from the name, with a warning.
        allow_degenerate: Whether a degenerate trial may be best.
        subject_to: Metric constraints, such as ``["latency_ms <= 5", "val_recall >= 0.9"]``. A trial that
            breaks one is infeasible: it cannot be best, and proposals are about the feasible trials.

    Attributes:
        metric: The metric with its constraints.
        direction: ``"maximize"`` or ``"minimize"``.
        allow_degenerate: As given.

    Raises:
        AnalysisError: An invalid metric, direction or constraint.

    Examples:
        >>> def both(p):
        ...     return {"auc": 1 - 1 / p["units"], "latency": p["units"] / 8}
        >>> fast = refine.Goal("latency", "minimize", subject_to=["latency <= 5"])
        >>> goals = [refine.Goal("auc", "maximize"), fast]
        >>> both_goals = tree.add_round({"units": (8, 64, 8)}, both, metric=goals, n=8)
        >>> both_goals.run().front["units"].tolist()
        [40, 32, 24, 16, 8]
    """

    metric: Metric
    direction: str
    allow_degenerate: bool

    def __init__(
        self,
        metric: Metric | str | Score,
        direction: str | None = ASK,
        allow_degenerate: bool = False,
        *,
        subject_to: Iterable[str] = (),
    ) -> None:
        if isinstance(metric, Metric):
            chosen = metric
        else:
            chosen = Metric.parse(metric)
        if constraints := metric_constraints(subject_to):
            chosen = chosen._replace(subject_to=constraints)
        object.__setattr__(self, "metric", chosen)
        object.__setattr__(self, "direction", direction_of(chosen.name, direction))
        object.__setattr__(self, "allow_degenerate", allow_degenerate)

    @property
    def sign(self) -> float:
        """Factor that makes larger values better."""
        return sign_of(self.direction)

    def better(self, a: float, b: float) -> bool:
        """True if the first value is better than the second; any number is better than NaN."""
        return self.sign * a > self.sign * b or (a == a and b != b)

    def best(self, values: Iterable[float]) -> float:
        """The best of some values; NaN without any."""
        return best_of(values, self.direction)

    def counts(self, metrics: Mapping[str, float], seconds: float = math.nan) -> bool:
        """True if a finished trial may be best.

        Not degenerate, unless allowed, and within all constraints.
        """
        usable = self.allow_degenerate or not metrics.get(DEGENERATE, 0.0) >= 0.5
        return usable and all_met(self.metric.subject_to, metrics, seconds)


MOST_GOALS = 3


def goals_of(
    metric: Metric | str | Score | Goal | Sequence[Goal],
    direction: str | None = ASK,
    subject_to: Iterable[str] = (),
    allow_degenerate: bool = False,
) -> tuple[Goal, ...]:
    """One to three goals from a user's arguments.

    ``metric`` is a metric with the other arguments, see :class:`Goal`; or a goal, or several, with directions
    of their own. Constraints of any goal, and of the other arguments, hold for all.

    Raises:
        AnalysisError: An invalid goal, a goal given twice, or more than three.
    """
    if not isinstance(allow_degenerate, bool):
        raise AnalysisError(
            f"allow_degenerate must be True or False, got {allow_degenerate!r}; True lets such trials be best"
        )
    if isinstance(metric, Goal):
        goals: list[Any] = [metric]
    elif isinstance(metric, Sequence) and not isinstance(metric, str | Metric):
        goals = list(metric)
    else:
        return (Goal(metric, direction, allow_degenerate, subject_to=subject_to),)
    if not all(isinstance(goal, Goal) for goal in goals) or not 1 <= len(goals) <= MOST_GOALS:
        raise AnalysisError(
            "several goals are a list of 2 or 3, such as [Goal('val_acc'), Goal('latency_ms', 'minimize')], "
            f"got {metric!r}"
        )
    if direction != ASK:
        calls = ", ".join(f"Goal({str(goal.metric)!r}, {goal.direction!r})" for goal in goals)
        raise AnalysisError(
            f"direction={direction!r}: every Goal has its own; write "
            f"metric={calls if isinstance(metric, Goal) else f'[{calls}]'}"
        )
    return _together(goals, subject_to, allow_degenerate)


def _together(goals: Sequence[Goal], subject_to: Iterable[str], allow_degenerate: bool) -> tuple[Goal, ...]:
    """Goals of one round: constraints of any of them hold for all."""
    names = [str(goal.metric) for goal in goals]
    if len(set(names)) < len(names):
        raise AnalysisError(f"every goal needs a metric of its own, got {', '.join(names)}")
    for goal in goals[1:]:
        if goal.metric.function is not None or goal.metric.curves:
            raise AnalysisError(
                f"goal {str(goal.metric)!r}: the second and third goal are metrics as the last epoch "
                "gives them; let the objective return it, or make it the first goal"
            )
    constraints = metric_constraints(
        [*(c for goal in goals for c in goal.metric.subject_to), *metric_constraints(subject_to)]
    )
    free = allow_degenerate or any(goal.allow_degenerate for goal in goals)
    return tuple(Goal(goal.metric._replace(subject_to=constraints), goal.direction, free) for goal in goals)


def sign_of(direction: str) -> float:
    """1 to maximize, -1 to minimize."""
    if direction == "maximize":
        return 1.0
    return -1.0


def turned(low: float, high: float, sign: float) -> tuple[float, float]:
    """The ends of an interval of values, larger is better, in the metric's own sign; and the inverse."""
    if sign > 0:
        return low, high
    return -high, -low


def best_of(values: Iterable[float], direction: str) -> float:
    """The best of some values; NaN without any."""
    sign = sign_of(direction)
    return float(max((v for v in values if v == v), key=lambda v: sign * v, default=math.nan))


def direction_of(name: str, direction: str | None) -> str:
    """The direction of a metric.

    As given, ``"maximize"`` by default (:data:`ASK`), or by its name (``None``).

    An inferred direction gives a warning.

    Raises:
        AnalysisError: An invalid direction; a name without a clear direction; or the name of a loss without a
            direction.
    """
    if direction is not None and not (isinstance(direction, str) and direction == ASK):
        return check_direction(direction)
    words = _words(name)
    patterns = [_LESS, _MORE]
    if "neg" in words or "negative" in words:  # as scikit-learn negates losses
        patterns.reverse()
    lower_is_better, higher_is_better = (any(map(p.fullmatch, words)) for p in patterns)
    if direction == ASK:
        if lower_is_better and not higher_is_better:
            raise AnalysisError(
                f"metric {name!r} reads like something to minimize, and no direction was given; say "
                "direction='minimize', or direction='maximize' if larger is better"
            )
        return "maximize"
    if lower_is_better == higher_is_better:
        raise AnalysisError(
            f"the direction of metric {name!r} can't be told by its name; say direction='maximize' or "
            "direction='minimize'"
        )
    if lower_is_better:
        inferred = "minimize"
    else:
        inferred = "maximize"
    warn(f"metric {name!r}: {inferred}, by its name; direction={inferred!r} says so")
    return inferred


def check_meant(objective: str, metric: object, direction: str | None) -> None:
    """Raises AnalysisError if a function called ``error`` returns a bare number without a direction."""
    function_name = objective.rpartition(".")[2]
    words = _words(function_name)
    named_like_loss = any(map(_LESS.fullmatch, words)) and not any(map(_MORE.fullmatch, words))
    undeclared = (
        isinstance(metric, str) and isinstance(direction, str) and (metric, direction) == ("value", ASK)
    )
    if undeclared and function_name.isidentifier() and named_like_loss:
        raise AnalysisError(
            f"objective {function_name!r} reads like something to minimize, and no direction was given; say "
            "direction='minimize', or direction='maximize' if larger is better"
        )


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()))


def check_direction(direction: str) -> str:
    """``direction`` if valid; AnalysisError otherwise."""
    if not isinstance(direction, str) or direction not in DIRECTIONS:
        hint = did_you_mean(str(direction), DIRECTIONS)
        if hint.startswith("did"):
            tail = f"; {hint}"
        else:
            tail = ""
        raise AnalysisError(f"direction must be 'maximize' or 'minimize', got {direction!r}{tail}")
    return direction


def typed_goals(texts: Sequence[str]) -> str | Goal | list[Goal]:
    """A metric, or the goals typed as ``METRIC:DIRECTION``."""
    goals: list[str | Goal] = []
    for text in texts:
        name, _, direction = text.rpartition(":")
        if direction in DIRECTIONS:
            goals.append(Goal(name, direction))
        else:
            goals.append(text)
    if len(goals) == 1:
        return goals[0]
    return [Goal(goal) if isinstance(goal, str) else goal for goal in goals]
