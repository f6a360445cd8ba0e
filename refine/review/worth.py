"""Whether another round is worth it, and plans of rounds, simulated on the posterior before anything is paid for. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.reason import plain
from refine.errors import AnalysisError, DesignError
from refine.proposal.alternatives import left_to_run, trial_seconds
from refine.proposal.forecast import cells_of, limits_of
from refine.proposal.posterior import known_enough, noise_in_scores, posterior_of
from refine.space.space import Space
from refine.utils.arrays import Bools, Floats
from refine.utils.display import Shown
from refine.utils.threads import one_thread

CONTINUE, CONFIRM, STOP = "CONTINUE", "CONFIRM", "STOP"

# Probability of more than epsilon from which on another round is worth it, where no price says what it must bring. Small, since an
# end is not made good again, while a round too many costs a round.
LIKELY = 0.2

# Rounds are simulated on processes over values by a power: ranks hide how far apart the best values are, and with them gains.
SIMULATED = stats.MixedPosterior(forest_draws=0, process_draws=640, power=True)

_SHARE = 0.1  # share of the noise's standard deviation that repeats must gain, for CONFIRM

TOP = 5  # configurations that take part in a race, as in :meth:`refine.Tree.confirm`
RUNS = 15  # runs again that are looked at where nothing is left to run
_CELLS, _MOST_CELLS = 300, 1000
_KNOWN = 100
_SEED = 0


@dataclass(frozen=True, eq=False, repr=False)
class Worth(Shown):
    """What another round would bring. Gains are in units of the metric, positive where the configuration handed over improves.

    It is about the configuration with the best posterior mean (:meth:`refine.Tree.winner`) and its expected value, not about
    the best observed one: a lucky value is no gain.
    """

    # ``"CONTINUE"``: another round brings more than ``epsilon`` with probability 0.2 or more; ``"CONFIRM"``: it doesn't, and running the
    # best again brings more; ``"STOP"``: neither is worth it. With a price: whichever is expected to bring more, ``"STOP"`` where that is
    # less than ``cost``
    verdict: str
    n: int  # trials of the round looked at, no more than are left; 0 where nothing is left to run
    left: int  # configurations of its space that have not been run
    seconds: float  # what it takes one trial at a time; NaN where no times are known
    probability: float  # that the expected value of what is handed over improves by more than ``epsilon``
    gain: float  # how much it improves on average
    low: float  # lower end of the 90 % interval of that; below 0, since a round may mislead
    high: float  # upper end
    again: float  # how much it improves on average by as many runs of the best configurations again
    epsilon: float  # difference that counts as none
    noise: float  # deviation of retraining; NaN where it is not known
    draws: int  # simulated rounds that the numbers are counted in
    metric: str  # name of the metric
    cost: float = math.nan  # of the round, in units of the metric; NaN where no price was given

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: plain(value) for name, value in vars(self).items()}


class Ahead(NamedTuple):
    """The posterior over what was run and what a round may run."""

    posterior: stats.Posterior  # of the configurations that were run, then of the cells
    run: Bools  # (c,) which were run
    noise: float  # deviation of a single training, in scores


def ahead_of(analysis: Analysis, space: Space, n: int) -> Ahead | None:
    """The posterior that the next rounds, of ``n`` trials on a space, are simulated on.

    ``None`` where the evidence says nothing about the space; see :func:`refine.proposal.forecast.forecast`.
    """
    if not known_enough(analysis):
        return None
    most = min(max(_CELLS, 2 * n), _MOST_CELLS)
    found = cells_of(analysis, space, 1, _SEED, most=most + min(len(analysis.y), most))
    if found is None:
        return None
    # Rows are in the order of their values' positions: equal configurations are told by these alone.
    best = np.argsort(-analysis.y, kind="stable")
    first = best[np.sort(np.unique(analysis.configurations[best], return_index=True)[1])]
    run = analysis.X[first]
    seen = {row.tobytes() for row in np.round(run, 9) + 0.0}
    fresh = np.array([row.tobytes() not in seen for row in np.round(found.positions, 9) + 0.0], dtype=bool)
    run, cells = run[:_KNOWN], found.positions[fresh][:most]
    extra, values = analysis.replicates or (np.zeros((0, run.shape[1])), np.zeros(0))
    posterior = posterior_of(analysis, np.concatenate([run, cells, extra]), exact=True, model=SIMULATED)
    posterior = posterior.up_to(analysis.limits.facing(analysis.sign)[1])
    noise = noise_in_scores(analysis, posterior, float(posterior.mean[: len(run)].max()))
    return Ahead(_given_again(posterior, values, noise), np.arange(len(run) + len(cells)) < len(run), noise)


def _given_again(posterior: stats.Posterior, values: Floats, noise: float) -> stats.Posterior:
    """The posterior without its last candidates, given what runs again showed of those."""
    draws, count = posterior.scores, posterior.scores.shape[1] - len(values)
    if len(values):
        rng = np.random.default_rng(_SEED)
        shown = np.interp(values, posterior.values, posterior.knots)
        chance = noise * rng.standard_normal((len(draws), len(values)))
        at = np.arange(count, count + len(values))
        moved = stats.conditioned(
            draws.astype(np.float64), at, shown + chance, np.full(len(values), noise**2)
        )
        draws = moved.astype(np.float32)
    return posterior._replace(scores=draws[:, :count], mean=posterior.mean[:count])


def batch_of(n: int, exploit: float, audit: float) -> stats.Batch:
    """How the trials of a round are shared out inside its space, as :meth:`refine.Review.accept` does."""
    best, outside = round(exploit * n), round(audit * n)
    return stats.Batch(max(0, n - best - outside), best)


@one_thread
def worth_of(
    analysis: Analysis,
    epsilon: float | None,
    space: Space,
    n: int,
    exploit: float = 0.0,
    audit: float = 0.05,
    price: float = math.nan,
) -> Worth | None:
    """Whether another round of ``n`` trials on a space is worth it: see :meth:`refine.Review.worth`.

    Args:
        analysis: The evidence.
        epsilon: Difference that counts as none; ``None`` for what the trials can tell apart.
        space: What the next round searches.
        n: How many trials it is to run.
        exploit: Its share of exploit trials.
        audit: Its share of audit trials.
        price: Of a trial, in units of the metric; NaN where nobody said.

    Returns:
        ``None`` where the evidence says nothing about the space; see :func:`refine.proposal.forecast.forecast`.
    """
    ahead = ahead_of(analysis, space, n)
    if ahead is None:
        return None
    epsilon = analysis.noise.tolerance(epsilon)[0]
    epsilon = epsilon if math.isfinite(epsilon) else 0.0
    left = left_to_run(analysis, space)
    n = min(n, left) if not ahead.run.all() else 0
    rises = np.zeros(1)
    if n:
        rises = stats.NextRound(seed=_SEED)(*ahead, batch_of(n, exploit, audit))
    again = float(stats.RunsAgain(TOP, _SEED)(*ahead, n or RUNS).mean())
    sd = analysis.noise.sd if analysis.noise.measured else math.nan
    low, high = np.quantile(rises, [0.05, 0.95])
    probability = stats.share_of_draws(np.count_nonzero(rises > epsilon), len(rises)) if n else 0.0
    gain, cost = float(rises.mean()), (n or RUNS) * price
    return Worth(
        verdict=verdict_of(probability, gain, again, sd, cost),
        n=n,
        left=left,
        seconds=n * trial_seconds(analysis, space),
        probability=probability,
        gain=gain,
        low=float(low),
        high=float(high),
        again=again,
        epsilon=epsilon,
        noise=sd,
        draws=len(rises),
        metric=analysis.metric,
        cost=cost,
    )


def verdict_of(probability: float, gain: float, again: float, noise: float, cost: float = math.nan) -> str:
    """CONTINUE, CONFIRM or STOP, by the probability that a round brings more than epsilon and what it and runs again bring on average.

    Source: with a price, stopping where what is expected is less than what it costs, Xie et al. (2025), arXiv 2507.12453.
    """
    if math.isfinite(cost):
        return STOP if max(gain, again) < cost else CONTINUE if gain >= again else CONFIRM
    if probability >= LIKELY:
        return CONTINUE
    return CONFIRM if again > max(gain, _SHARE * noise) else STOP


# Levels of the quantiles: the ends of the 90 % and of the 50 % interval, and the median.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)

_FEWEST = 10  # trials of a round below which it could not be analysed
_MOST_ROUNDS = 20
# How far intervals are drawn out from the median. On tables to tune on those of the simulation held 71 % where they state 90;
# drawn out, 91 %: the draws are too sure of the level of what is handed over.
_WIDER = 2.0


@dataclass(frozen=True)
class Plan:
    """Some rounds of equal size, and what is expected of them."""

    rounds: int  # how many
    n: int  # trials of each
    # for every round, the quantiles of :data:`LEVELS` of the expected value of what is handed over after it, in the metric's own sign, the
    # worst first
    quantiles: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...]  # for every round, the mean of that value
    likely: float  # probability that the whole plan improves what is handed over by more than epsilon
    seconds: float  # what the plan takes one trial at a time; NaN where no times are known


@dataclass(frozen=True, eq=False, repr=False)
class Rehearsal(Shown):
    """Plans of equal cost beside each other. What is forecast is the expected value of the configuration that is handed over."""

    round: str  # id of the round that the plans follow
    metric: str  # name of the metric
    direction: str  # ``"maximize"`` or ``"minimize"``
    now: float  # expected value of what is handed over now
    epsilon: float  # difference that counts as none
    # what was asked for first, then others that cost the same, the fewest rounds first
    plans: tuple[Plan, ...]
    left: int  # configurations of the space that have not been run
    simulated: int  # truths that every plan was simulated on
    exploit: float  # share of every round that looks where the optimum is then plausible, and
    audit: float  # share outside the space

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{name: plain(value) for name, value in vars(self).items() if name != "plans"},
            "levels": list(LEVELS),
            "plans": [{name: plain(value) for name, value in vars(plan).items()} for plan in self.plans],
        }


def check_plan(rounds: object, n: object) -> None:
    """Raises DesignError unless a plan of so many rounds of so many trials can be rehearsed."""
    for name, value in (("rounds", rounds), ("n", n)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DesignError(f"{name} must be a whole number >= 1, got {value!r}; such as rounds=4, n=30")
    if isinstance(rounds, int) and rounds > _MOST_ROUNDS:
        raise DesignError(
            f"rounds must be <= {_MOST_ROUNDS}, got {rounds}: nothing known now tells anything of so many rounds"
        )


def plans_beside(rounds: int, n: int) -> list[tuple[int, int]]:
    """The plan asked for, and others of as many trials: in one round, in half as many rounds, and in twice as many."""
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
    """Simulates plans, rounds and trials of each, on the posterior: see :meth:`refine.Review.rehearse`.

    Later rounds would narrow the space; in the simulation they look where the optimum is then plausible with their exploit share.

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
    goal = analysis.metric, analysis.direction
    return Rehearsal(round_id, *goal, now, epsilon, tuple(found), left, len(values), exploit, audit)


def _plan(analysis: Analysis, space: Space, rounds: int, n: int, values: Any, epsilon: float) -> Plan:
    own = analysis.sign * values[:, 1:]
    levels = LEVELS if analysis.sign > 0 else LEVELS[::-1]
    at = np.quantile(own, levels, axis=0).T
    middle = at[:, [LEVELS.index(0.5)]]
    at = np.clip(middle + _WIDER * (at - middle), *limits_of(analysis))
    more = np.count_nonzero(values[:, -1] - values[:, 0] > epsilon)
    return Plan(
        rounds=rounds,
        n=n,
        quantiles=tuple(tuple(float(v) for v in row) for row in at),
        mean=tuple(float(v) for v in own.mean(axis=0)),
        likely=stats.share_of_draws(more, len(values)),
        seconds=rounds * n * trial_seconds(analysis, space),
    )
