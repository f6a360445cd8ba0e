"""A plan of rounds, simulated on the posterior before anything is paid for. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.reason import plain
from refine.errors import AnalysisError, DesignError
from refine.proposal.alternatives import left_to_run, trial_seconds
from refine.proposal.forecast import limits_of
from refine.review.worth import ahead_of, batch_of
from refine.space.space import Space
from refine.utils.display import Shown
from refine.utils.threads import one_thread

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Levels of the quantiles: the ends of the 90 % and of the 50 % interval, and the median."""

_FEWEST = 10
"""Trials of a round below which it could not be analysed."""

_MOST_ROUNDS = 20
_WIDER = 2.0
"""How far intervals are drawn out from the median. On tables to tune on those of the simulation held 71 % where they state 90;
drawn out, 91 %: the draws are too sure of the level of what is handed over."""

_SEED = 0


@dataclass(frozen=True)
class Plan:
    """Some rounds of equal size, and what is expected of them.

    Attributes:
        rounds: How many.
        n: Trials of each.
        quantiles: For every round, the quantiles of :data:`LEVELS` of the expected value of what is handed over after it, in
            the metric's own sign, the worst first.
        mean: For every round, the mean of that value.
        likely: Probability that the whole plan improves what is handed over by more than epsilon.
        seconds: What the plan takes one trial at a time; NaN where no times are known.
    """

    rounds: int
    n: int
    quantiles: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...]
    likely: float
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class Rehearsal(Shown):
    """Plans of equal cost beside each other. What is forecast is the expected value of the configuration that is handed over.

    Attributes:
        round: Id of the round that the plans follow.
        metric: Name of the metric.
        direction: ``"maximize"`` or ``"minimize"``.
        now: Expected value of what is handed over now.
        epsilon: Difference that counts as none.
        plans: What was asked for first, then others that cost the same, the fewest rounds first.
        left: Configurations of the space that have not been run.
        simulated: Truths that every plan was simulated on.
    """

    round: str
    metric: str
    direction: str
    now: float
    epsilon: float
    plans: tuple[Plan, ...]
    left: int
    simulated: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{name: plain(getattr(self, name)) for name in self.__dataclass_fields__ if name != "plans"},
            "levels": list(LEVELS),
            "plans": [
                {name: plain(getattr(plan, name)) for name in plan.__dataclass_fields__}
                for plan in self.plans
            ],
        }


def check_plan(rounds: object, n: object) -> None:
    """Raises DesignError unless a plan of so many rounds of so many trials can be rehearsed."""
    for name, value, least in (("rounds", rounds, 1), ("n", n, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise DesignError(
                f"{name} must be a whole number >= {least}, got {value!r}; such as rounds=4, n=30"
            )
    if isinstance(rounds, int) and rounds > _MOST_ROUNDS:
        raise DesignError(
            f"rounds must be <= {_MOST_ROUNDS}, got {rounds}: nothing known now tells anything of so many rounds"
        )


def plans_beside(rounds: int, n: int) -> list[tuple[int, int]]:
    """The plan asked for, and others of as many trials: in one round, in half as many rounds, and in twice as many.

    Args:
        rounds: How many rounds were asked for.
        n: Trials of each.
    """
    budget = rounds * n
    others = sorted({1, max(1, rounds // 2), min(2 * rounds, _MOST_ROUNDS)} - {rounds})
    return [(rounds, n), *((k, budget // k) for k in others if budget // k >= _FEWEST)]


@one_thread
def rehearse(
    round_id: str,
    analysis: Analysis,
    epsilon: float,
    space: Space,
    plans: Sequence[tuple[int, int]],
    exploit: float = 0.5,
    audit: float = 0.05,
) -> Rehearsal:
    """Simulates plans on the posterior.

    Args:
        round_id: Id of the round that they follow.
        analysis: The evidence.
        epsilon: Difference that counts as none.
        space: What the rounds search. Later ones would narrow it; in the simulation they look where the optimum is then
            plausible with their exploit share.
        plans: Rounds and trials of each.
        exploit: See :meth:`refine.Review.accept`.
        audit: See :meth:`refine.Review.accept`.

    Raises:
        AnalysisError: The evidence says nothing about the space, or nothing is left to run.
    """
    most = max(rounds * n for rounds, n in plans)
    ahead, left = ahead_of(analysis, space, most), left_to_run(analysis, space)
    if ahead is None:
        raise AnalysisError(
            f"round {round_id}: its trials say nothing about this space, so that no plan can be rehearsed on them; run a "
            "round on it first"
        )
    if not left or ahead.run.all():
        raise AnalysisError(
            f"round {round_id}: every configuration of the space was run; nothing is left to plan"
        )
    simulate = stats.RoundsAhead(seed=_SEED)
    found, now = [], math.nan
    for rounds, n in plans:
        values = simulate(*ahead, [batch_of(n, exploit, audit)] * rounds)
        # Every plan starts from the same: the differences are what it brings.
        found.append(_plan(analysis, space, rounds, n, values, epsilon))
        now = analysis.sign * float(values[:, 0].mean())
    return Rehearsal(
        round_id, analysis.metric, analysis.direction, now, epsilon, tuple(found), left, len(values)
    )


def _plan(analysis: Analysis, space: Space, rounds: int, n: int, values: Any, epsilon: float) -> Plan:
    own = analysis.sign * values[:, 1:]
    levels = LEVELS if analysis.sign > 0 else LEVELS[::-1]
    at = np.quantile(own, levels, axis=0).T
    middle = at[:, [LEVELS.index(0.5)]]
    at = np.clip(middle + _WIDER * (at - middle), *limits_of(analysis))
    more = int(np.count_nonzero(values[:, -1] - values[:, 0] > epsilon))
    return Plan(
        rounds=rounds,
        n=n,
        quantiles=tuple(tuple(float(v) for v in row) for row in at),
        mean=tuple(float(v) for v in own.mean(axis=0)),
        likely=stats.share_of_draws(more, len(values)),
        seconds=rounds * n * trial_seconds(analysis, space),
    )
