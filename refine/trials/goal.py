"""Goals: the metric, its direction and its constraints."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from refine.errors import AnalysisError, did_you_mean
from refine.trials.declared import Declared, Limits
from refine.trials.metric import BARE, Metric, Score
from refine.trials.metric_constraint import all_met, metric_constraints
from refine.trials.trial import DEGENERATE
from refine.utils.keywords import helped
from refine.utils.numbers import is_real
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
        subject_to: Metric constraints, such as ``["latency_ms <= 5", "val_recall >= 0.9"]``; ``seconds`` is
            the wall time of a trial. A trial that breaks a constraint is infeasible: it cannot be best, and
            proposals are about the feasible trials.
        noise: ``"none"`` declares that repeats give identical values: refine repeats no configuration on its
            own, and copies the result of an equal configuration that the same code completed in the tree.
            ``"retraining"`` declares that repeats differ; refine then repeats nothing on its own either.
            Default: refine repeats the best configuration at the end of a round to find out.
        limits: Lowest and highest possible value of the metric, such as ``(0, None)``: see
            :func:`refine.analyze`.
        scale: ``"log"`` or ``"linear"``, to compare losses by factors or by differences: see
            :func:`refine.analyze`.
        epsilon: Loss that counts as none in proposals, in units of the metric; default the smallest
            difference that the trials can resolve: see :meth:`refine.Round.propose`.

    Attributes:
        metric: The metric with its constraints.
        direction: ``"maximize"`` or ``"minimize"``.
        allow_degenerate: As given, like ``noise``, ``limits``, ``scale`` and ``epsilon``.

    Raises:
        AnalysisError: An invalid metric, direction, constraint or declaration.

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
    noise: str | None
    limits: Limits | None
    scale: str | None
    epsilon: float | None
    _undirected: bool = field(init=False, compare=False, repr=False)  # no direction was given

    def __init__(
        self,
        metric: Metric | str | Score,
        direction: str | None = ASK,
        allow_degenerate: bool = False,
        *,
        subject_to: Iterable[str] = (),
        noise: str | None = None,
        limits: Limits | None = None,
        scale: str | None = None,
        epsilon: float | None = None,
    ) -> None:
        if not isinstance(allow_degenerate, bool):
            raise AnalysisError(
                f"allow_degenerate must be True or False, got {allow_degenerate!r}; True lets such trials be "
                "best"
            )
        if isinstance(metric, Metric):
            chosen = metric
        else:
            chosen = Metric.parse(metric)
        if constraints := metric_constraints(subject_to):
            chosen = chosen._replace(subject_to=constraints)
        declared = Declared.checked(noise, limits, scale)
        object.__setattr__(self, "metric", chosen)
        object.__setattr__(self, "direction", direction_of(chosen.name, direction))
        object.__setattr__(self, "allow_degenerate", allow_degenerate)
        object.__setattr__(self, "noise", declared.noise)
        object.__setattr__(self, "limits", declared.limits)
        object.__setattr__(self, "scale", declared.scale)
        object.__setattr__(self, "epsilon", check_epsilon(epsilon))
        object.__setattr__(self, "_undirected", isinstance(direction, str) and direction == ASK)

    @property
    def declared(self) -> Declared:
        """Noise, limits and scale as declared."""
        return Declared(self.noise, self.limits, self.scale)

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
    metric: Metric | str | Score | Goal | Sequence[Goal], direction: str | None = ASK
) -> tuple[Goal, ...]:
    """One to three goals from a user's arguments.

    ``metric`` is a metric with its direction, see :class:`Goal`; or a goal, or several, with directions of
    their own. Constraints and the noise of any goal hold for all.

    Raises:
        AnalysisError: An invalid goal, a goal given twice, or more than three.
    """
    if isinstance(metric, Goal):
        goals: list[Any] = [metric]
    elif isinstance(metric, Sequence) and not isinstance(metric, str | Metric):
        goals = list(metric)
    else:
        return (Goal(metric, direction),)
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
    return _together(goals)


def _together(goals: Sequence[Goal]) -> tuple[Goal, ...]:
    """Goals of one round: constraints of any of them hold for all."""
    if len(goals) == 1:
        return tuple(goals)
    names = [str(goal.metric) for goal in goals]
    if len(set(names)) < len(names):
        raise AnalysisError(f"every goal needs a metric of its own, got {', '.join(names)}")
    for goal in goals[1:]:
        if goal.metric.function is not None or goal.metric.curves:
            raise AnalysisError(
                f"goal {str(goal.metric)!r}: the second and third goal are metrics as the last epoch "
                "gives them; let the objective return it, or make it the first goal"
            )
        for fact in ("limits", "scale", "epsilon"):
            if getattr(goal, fact) is not None:
                raise AnalysisError(
                    f"goal {str(goal.metric)!r}: only the first goal takes {fact}, got "
                    f"{getattr(goal, fact)!r}; leave it out"
                )
    constraints = metric_constraints([c for goal in goals for c in goal.metric.subject_to])
    free = any(goal.allow_degenerate for goal in goals)
    noise = Declared.nearest([goal.declared for goal in reversed(goals)]).noise
    return tuple(
        replace(goal, metric=goal.metric._replace(subject_to=constraints), allow_degenerate=free, noise=noise)
        for goal in goals
    )


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


def check_meant(objective: str, goal: Goal) -> None:
    """Raises AnalysisError if a function called ``error`` returns a bare number without a direction."""
    function_name = objective.rpartition(".")[2]
    words = _words(function_name)
    named_like_loss = any(map(_LESS.fullmatch, words)) and not any(map(_MORE.fullmatch, words))
    undeclared = goal._undirected and str(goal.metric) == BARE
    if undeclared and function_name.isidentifier() and named_like_loss:
        raise AnalysisError(
            f"objective {function_name!r} reads like something to minimize, and no direction was given; say "
            "direction='minimize', or direction='maximize' if larger is better"
        )


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()))


def check_epsilon(epsilon: float | None) -> float | None:
    """``epsilon`` as a float, or ``None``; AnalysisError if it is no tolerable loss."""
    if epsilon is None:
        return None
    largest = sys.float_info.max  # an int may lie beyond every float, and below infinity
    if not is_real(epsilon) or not 0 <= epsilon <= largest:
        raise AnalysisError(
            f"epsilon must be a number >= 0 in units of the metric, got {epsilon!r}; leave it out to use the "
            "smallest loss that the trials can detect"
        )
    return float(epsilon)


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


# Options of a goal that a project file states next to its metric.
FACTS = ("subject_to", "noise", "limits", "scale")


def stating(
    metric: str | Goal | Sequence[Goal], direction: str | None, facts: Mapping[str, Any]
) -> Goal | list[Goal]:
    """A metric as a goal with some facts; of several goals, the first one gets them."""
    if isinstance(metric, str):
        return Goal(metric, direction, **facts)
    first, *further = goals_of(metric, direction)
    return [Goal(first.metric, first.direction, **facts), *further]


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
