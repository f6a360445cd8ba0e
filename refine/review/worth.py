"""Whether another round is worth it: what it would bring to the configuration that is handed over. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.evaluated import natural_limits
from refine.analysis.judgement import SHARE
from refine.analysis.reason import plain
from refine.proposal.alternatives import left_to_run, trial_seconds
from refine.proposal.forecast import cells_of
from refine.proposal.surrogate import cardinalities_of, known_enough, posterior_of
from refine.space.space import Space
from refine.utils.arrays import Bools, Floats
from refine.utils.display import Shown
from refine.utils.threads import one_thread

CONTINUE, CONFIRM, STOP = "CONTINUE", "CONFIRM", "STOP"

LIKELY = 0.1
"""Probability of more than epsilon from which on another round is worth it, where no price says what it must bring. Small, since an
end is not made good again, while a round too many costs a round."""

TOP = 5
"""Configurations that take part in a race, as in :meth:`refine.Tree.confirm`."""

RUNS = 15
"""Runs again that are looked at where nothing is left to run."""

_CELLS, _MOST_CELLS = 300, 1000
_KNOWN = 100
_SEED = 0
_NEAR = 0.3
_MOST_NOISE = 2.0


@dataclass(frozen=True, eq=False, repr=False)
class Worth(Shown):
    """What another round would bring. Gains are in units of the metric, positive where the configuration handed over improves.

    It is about the configuration with the best posterior mean (:meth:`refine.Tree.winner`) and its expected value, not about
    the best observed one: a lucky value is no gain.

    Attributes:
        verdict: ``"CONTINUE"``: another round brings more than ``epsilon`` with probability 0.1 or more; ``"CONFIRM"``: it
            doesn't, and running the best again brings more; ``"STOP"``: neither is worth it. With a price: whichever is
            expected to bring more, ``"STOP"`` where that is less than ``cost``.
        n: Trials of the round looked at, no more than are left; 0 where nothing is left to run.
        left: Configurations of its space that have not been run.
        seconds: What it takes one trial at a time; NaN where no times are known.
        probability: That the expected value of what is handed over improves by more than ``epsilon``.
        gain: How much it improves on average.
        low: Lower end of the 90 % interval of that; below 0, since a round may mislead.
        high: Upper end.
        again: How much it improves on average by as many runs of the best configurations again.
        epsilon: Difference that counts as none.
        noise: Deviation of retraining; NaN where it is not known.
        draws: Simulated rounds that the numbers are counted in.
        metric: Name of the metric.
        cost: Of the round, in units of the metric; NaN where no price was given.
    """

    verdict: str
    n: int
    left: int
    seconds: float
    probability: float
    gain: float
    low: float
    high: float
    again: float
    epsilon: float
    noise: float
    draws: int
    metric: str
    cost: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}


class Ahead(NamedTuple):
    """The posterior over what was run and what a round may run.

    Attributes:
        posterior: Of the configurations that were run, then of the cells.
        run: (c,) which were run.
        noise: Deviation of a single training, in scores.
    """

    posterior: stats.Posterior
    run: Bools
    noise: float


def ahead_of(analysis: Analysis, space: Space, n: int) -> Ahead | None:
    """The posterior that the next rounds are simulated on.

    Args:
        analysis: The evidence.
        space: What the next round searches.
        n: How many trials are to be run.

    Returns:
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
    extra, values = analysis.again or (np.zeros((0, run.shape[1])), np.zeros(0))
    posterior = posterior_of(analysis, np.concatenate([run, cells, extra]), exact=True)
    posterior = posterior.up_to(natural_limits(analysis.y)[1])
    noise = _in_scores(analysis, posterior, len(run))
    return Ahead(_given_again(posterior, values, noise), np.arange(len(run) + len(cells)) < len(run), noise)


def _in_scores(analysis: Analysis, posterior: stats.Posterior, run: int) -> float:
    """The noise of retraining on the scale of scores, at the configuration that is best by posterior mean.

    Where it isn't known, or the best are level, what the model leaves over.
    """
    at = float(posterior.mean[:run].max())
    slope = float(np.diff(posterior.value([at - _NEAR, at + _NEAR]))[0]) / (2 * _NEAR)
    if math.isfinite(analysis.noise.sd) and slope > 0:
        return min(_MOST_NOISE, analysis.noise.sd / slope)
    left = stats.left_over(analysis.X, analysis.y, cardinalities_of(analysis))
    return float(np.median(np.abs(left.score - left.expected) * left.share))


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
    """How the trials of a round are shared out inside its space, as :meth:`refine.Review.accept` does.

    Args:
        n: Its trials.
        exploit: Share of exploit trials.
        audit: Share outside its space, which can only refute.
    """
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
    """Whether another round is worth it.

    Args:
        analysis: The evidence.
        epsilon: Difference that counts as none; ``None`` for what the trials can tell apart.
        space: What the next round searches.
        n: How many trials it is to run.
        exploit: See :meth:`refine.Review.accept`.
        audit: See :meth:`refine.Review.accept`.
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
    noise = analysis.noise
    sd = noise.sd if noise.measured else math.nan
    low, high = np.quantile(rises, [0.05, 0.95])
    more = int(np.count_nonzero(rises > epsilon))
    probability = stats.share_of_draws(more, len(rises)) if n else 0.0
    return Worth(
        verdict=verdict_of(probability, float(rises.mean()), again, sd, (n or RUNS) * price),
        n=n,
        left=left,
        seconds=n * trial_seconds(analysis, space),
        probability=probability,
        gain=float(rises.mean()),
        low=float(low),
        high=float(high),
        again=again,
        epsilon=epsilon,
        noise=sd,
        draws=len(rises),
        metric=analysis.metric,
        cost=(n or RUNS) * price,
    )


def verdict_of(probability: float, gain: float, again: float, noise: float, cost: float = math.nan) -> str:
    """CONTINUE, CONFIRM or STOP.

    Source: with a price, stopping where what is expected is less than what it costs, Xie et al. (2025), arXiv 2507.12453.

    Args:
        probability: That another round brings more than epsilon.
        gain: What it brings on average.
        again: What as many runs again of the best bring on average.
        noise: Deviation of retraining; NaN where it is not known.
        cost: What either costs, in units of the metric; NaN where no price was given.
    """
    if math.isfinite(cost):
        return STOP if max(gain, again) < cost else CONTINUE if gain >= again else CONFIRM
    if probability >= LIKELY:
        return CONTINUE
    return CONFIRM if again > max(gain, SHARE * noise) else STOP
