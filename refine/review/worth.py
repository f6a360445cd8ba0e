"""The outlook of another round, simulated on the posterior before anything is run. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.new_data import MOST_FACTOR, off_log_scale, on_log_scale
from refine.analysis.reason import plain
from refine.proposal.alternatives import left_to_run, trial_seconds
from refine.proposal.damping import damped, excess_of_best
from refine.proposal.forecast import cells_of
from refine.proposal.new_data import deviations_of, on_log
from refine.proposal.posterior import cardinalities_of, known_enough, noise_in_scores, posterior_of
from refine.proposal.proposal import claimed_data
from refine.space.fidelity import full_trainings
from refine.space.space import Space
from refine.stats.posterior import top_slope
from refine.trials.budget import NO_BUDGET, BudgetState
from refine.utils.arrays import Bools, Floats
from refine.utils.display import Shown
from refine.utils.threads import one_thread
from refine.utils.types import JsonObject

CONTINUE = "CONTINUE"
CONFIRM = "CONFIRM"
STOP = "STOP"

# Probability of a gain of more than epsilon from which another round pays, without a price. Small: a stop is
# final, while a round too many costs one round.
LIKELY = 0.2

# Probability from which a gain is called probable. On 86 development rounds gains came in 63 % from
# here on, in 48 % between the two, and in 20 % below; no probability came true in 85 %.
PROBABLE = 0.5

# Rounds are simulated on processes of ranks, and as often on processes of values by a power. Ranks hide how
# far apart the best values are, and so the gains; powers follow a slope beyond all trials. On 54 first rounds
# of functions and of surrogates of trainings, Brier scores were 0.31 by ranks, 0.30 by powers, 0.26 by both.
SIMULATED = (
    stats.MixedPosterior(forest_draws=0, process_draws=320),
    stats.MixedPosterior(forest_draws=0, process_draws=320, power=True),
)

# The same without noise. By ranks, the residuals of a model would promise a gain next to every trial.
SIMULATED_EXACT = (stats.MixedPosterior(forest_draws=0, process_draws=640, power=True),)

# Factor by which intervals are stretched from the median, and their least width to either side in tolerances:
# the draws are too sure, and equal draws know no interval. On 238 development rounds, intervals stretched by
# 2 held in 85 %, by 3 and with this width in 90 %.
_WIDER = 3.0
_LEAST_WIDTH = 0.25

_SHARE = 0.1  # share of the noise's standard deviation that repeats must gain, for CONFIRM

_LUCK = 2.0  # standard deviations of the noise by which an earlier best may be lucky

TOP = 5  # configurations of a race, as in :meth:`refine.Tree.confirm`
RUNS = 15  # repeats that are simulated if no configuration is left to run
# Values beyond the best trial are damped in units of this factor times the mean excess of the best fifth.
# Without damping, gains on losses with a heavy tail were stated 2.8 times too large; with a factor of 1,
# gains on smooth functions were stated 3 times too small.
_BEYOND = 2.0
_SLOPED = 3  # fewest values with a slope beyond the best: see :func:`refine.stats.posterior.top_slope`
_BEYOND_KNOTS = np.geomspace(0.02, 1000, 60)
_CELLS = 300
_MOST_CELLS = 1000
_KNOWN = 100
_SEED = 0
_DESIGNS = 12  # sets of cells for which a round is simulated


@dataclass(frozen=True, eq=False, repr=False)
class Worth(Shown):
    """The outlook of another round. Gains are in units of the metric, positive if the winner improves.

    The gain is that of the expected value of the winner (:meth:`refine.Tree.winner`), not of the best
    observed trial: a lucky value is no gain.
    """

    # ``"CONTINUE"``: another round gains more than ``epsilon`` with probability 0.2 or more; ``"CONFIRM"``:
    # it does not, and repeats of the best gain more; ``"STOP"``: neither pays, or repeats have decided.
    # With a budget: ``"CONTINUE"`` while the budget leaves trials for a round, then ``"CONFIRM"`` if values
    # are noisy and repeats are left.
    # With a price: the option with the larger expected gain, ``"STOP"`` if that is less than ``cost``
    verdict: str
    n: int  # trials of the round, at most those left; 0 if none is left
    left: int  # configurations of its space that are left to run
    seconds: float  # duration, one trial at a time; NaN without measured times
    probability: float  # model probability that the winner's expected value improves by more than ``epsilon``
    gain: float  # expected gain
    low: float  # lower end of its 90 % interval; below 0 if a round may mislead
    high: float  # upper end
    again: float  # expected gain of as many repeats of the best configurations
    epsilon: float  # difference that counts as none
    noise: float  # standard deviation of the noise; NaN if unknown
    draws: int  # simulated rounds behind the numbers
    metric: str  # name of the metric
    cost: float = math.nan  # cost of the round in units of the metric; NaN without a price
    repeats: int = RUNS  # repeats compared with the round
    budget: str = ""  # the budget that limits the round, such as ``"24 of 60 trials left"``
    decided: bool = False  # whether repeats have decided the winner, so that more would not help
    data: str = ""  # data that gains are about: see :attr:`refine.proposal.proposal.Claim.data`

    def to_json(self) -> JsonObject:
        """Plain data."""
        return {name: plain(value) for name, value in vars(self).items()}


class Ahead(NamedTuple):
    """The posterior over the configurations run and the cells of the next round."""

    posterior: stats.Posterior  # over the configurations run, then the cells
    run: Bools  # (c,) configurations that were run
    noise: float  # standard deviation of the noise, in scores
    deviations: Floats | None  # (draws, c) value on new data - value; ``None`` without scores by row or fold

    @property
    def evidence(self) -> tuple[stats.Posterior, Bools, float]:
        """The first arguments of a simulation."""
        return self.posterior, self.run, self.noise


def aheads_of(analysis: Analysis, space: Space, n: int) -> tuple[Ahead, ...]:
    """The posteriors behind simulations of the next rounds, of ``n`` trials on a space.

    Empty if the evidence does not cover the space: see :func:`refine.proposal.forecast.forecast`.
    """
    if not known_enough(analysis):
        return ()
    limit = min(max(_CELLS, 2 * n), _MOST_CELLS)
    sampled = cells_of(analysis, space, 1, _SEED, most=limit + min(len(analysis.y), limit))
    if sampled is None:
        return ()
    # Rows are in the order of their values: equal configurations are found by their positions alone.
    best = np.argsort(-analysis.y, kind="stable")
    best = best[analysis.at_full[best]]
    if not len(best):
        return ()
    first = best[np.sort(np.unique(analysis.configurations[best], return_index=True)[1])]
    run = analysis.X[first]
    run_rows = {row.tobytes() for row in np.round(run, 9) + 0.0}
    rows = np.round(sampled.positions, 9) + 0.0
    untried = np.array([row.tobytes() not in run_rows for row in rows], dtype=bool)
    run = run[:_KNOWN]
    cells = sampled.positions[untried][:limit]
    positions = np.concatenate([run, cells])
    has_run = np.arange(len(positions)) < len(run)
    deviations = _deviations(analysis, positions)
    models: tuple[stats.MixedPosterior, ...] = SIMULATED
    if analysis.noise.deterministic:
        models = SIMULATED_EXACT
    posteriors = [_simulated(analysis, positions, len(run), model) for model in models]
    return tuple(Ahead(posterior, has_run, noise, deviations) for posterior, noise in posteriors)


def _simulated(
    analysis: Analysis, positions: Floats, count: int, model: stats.MixedPosterior
) -> tuple[stats.Posterior, float]:
    """The posterior over (c, parameters) cells, of which the first ``count`` have run, and its noise."""
    extra, values = analysis.replicates or (np.zeros((0, positions.shape[1])), np.zeros(0))
    posterior = posterior_of(analysis, np.concatenate([positions, extra]), exact=True, model=model)
    noise = noise_in_scores(analysis, posterior, float(posterior.mean[:count].max()))
    if on_log(analysis):
        posterior = _damped_decades(analysis, posterior)
    else:
        posterior = _damped(posterior, _BEYOND * excess_of_best(analysis), _highest(analysis))
    return _given_again(posterior, values, noise), noise


def _highest(analysis: Analysis) -> float:
    """The best possible value, larger is better: a limit of the metric, or of losses compared by factors."""
    best = float(analysis.y.max())
    highest = max(analysis.limits.facing(analysis.sign)[1], best)
    if on_log(analysis):  # such losses stay positive
        highest = min(highest, best / MOST_FACTOR)
    return highest


def _damped(posterior: stats.Posterior, unit: float, highest: float) -> stats.Posterior:
    """The posterior with damped values beyond the best one, which approach the best possible value.

    See :func:`refine.proposal.damping.damped`.
    """
    knots, values, slope = _open_ended(posterior)
    best = float(values[-1])
    room = highest - best
    if not (slope > 0 and unit > 0 and room > 0):
        return posterior._replace(knots=knots, values=np.minimum(values, highest), slope=0.0)
    beyond = unit * _BEYOND_KNOTS
    rise = damped(best + beyond, best, unit) - best
    if math.isfinite(room):
        rise = -room * np.expm1(-rise / room)
    return posterior._replace(
        knots=np.concatenate([knots, knots[-1] + beyond / slope]),
        values=np.concatenate([values, best + rise]),
        slope=0.0,
    )


def _open_ended(posterior: stats.Posterior) -> tuple[Floats, Floats, float]:
    """Knots, values and slope without the knot of a limit: see :meth:`refine.stats.Posterior.up_to`."""
    knots = posterior.knots
    values = posterior.values
    if posterior.slope > 0 or len(knots) <= _SLOPED:
        return knots, values, posterior.slope
    slope = 0.0
    if knots[-1] > knots[-2]:
        slope = float((values[-1] - values[-2]) / (knots[-1] - knots[-2]))
    return knots[:-1], values[:-1], slope


def _damped_decades(analysis: Analysis, posterior: stats.Posterior) -> stats.Posterior:
    """The posterior of losses that are compared by factors, damped by decades beyond the best loss."""
    unit = _BEYOND * excess_of_best(analysis, on_log_scale(analysis.y))
    knots, values, _ = _open_ended(posterior)
    values = on_log_scale(values)
    on_decades = posterior._replace(knots=knots, values=values, slope=top_slope(knots, values, posterior.n))
    highest = math.inf
    if analysis.limits.facing(analysis.sign)[1] < 0:
        highest = -math.log10(-_highest(analysis))
    on_decades = _damped(on_decades, unit, highest)
    return on_decades._replace(values=off_log_scale(on_decades.values))


def _deviations(analysis: Analysis, positions: Floats) -> Floats | None:
    """(draws, c) value on new data - value of cells, larger is better; by the factor near the best value."""
    shift = deviations_of(analysis, positions, cardinalities_of(analysis))
    if shift is None or not on_log(analysis):
        return shift
    best = analysis.y.max()
    return np.asarray(off_log_scale(on_log_scale(best) + shift) - best)


def _given_again(posterior: stats.Posterior, values: Floats, noise: float) -> stats.Posterior:
    """The posterior given the values of repeats, whose candidates come last and are dropped."""
    draws = posterior.scores
    count = posterior.scores.shape[1] - len(values)
    if len(values):
        rng = np.random.default_rng(_SEED)
        shown = np.interp(values, posterior.values, posterior.knots)
        chance = noise * rng.standard_normal((len(draws), len(values)))
        columns = np.arange(count, count + len(values))
        moved = stats.conditioned(
            draws.astype(np.float64), columns, shown + chance, np.full(len(values), noise**2)
        )
        draws = moved.astype(np.float32)
    return posterior._replace(scores=draws[:, :count], mean=posterior.mean[:count])


def batch_of(n: int, exploit: float, audit: float) -> stats.Batch:
    """Even and exploit trials of a round inside the space, as :meth:`refine.Review.accept` creates it."""
    best = round(exploit * n)
    outside = round(audit * n)
    return stats.Batch(max(0, n - best - outside), best)


@one_thread
def worth_of(
    analysis: Analysis,
    epsilon: float | None,
    space: Space,
    n: int,
    shares: tuple[float, float] = (0.0, 0.05),
    price: float = math.nan,
    budget: BudgetState = NO_BUDGET,
    before: float = math.nan,
) -> Worth | None:
    """The outlook of a round of ``n`` trials on a space: see :meth:`refine.Review.worth`.

    Args:
        analysis: The evidence.
        epsilon: Tolerance in units of the metric; default the tolerance of the analysis.
        space: Space of the round.
        n: Trials of the round.
        shares: Shares of exploit trials and of audit trials.
        price: Cost of a trial in units of the metric; NaN without a price.
        budget: The budget of the tree, which limits repeats.
        before: Best value of earlier rounds outside the evidence, in the metric's own sign; NaN without one.
            Only the excess over this value is a gain.

    Returns:
        ``None`` if the evidence does not cover the space: see :func:`refine.proposal.forecast.forecast`.
    """
    aheads = aheads_of(analysis, space, n)
    if not aheads:
        return None
    epsilon = analysis.noise.tolerance(epsilon)[0]
    if not math.isfinite(epsilon):
        epsilon = 0.0
    remaining = left_to_run(analysis, space)
    n = min(n, remaining)
    if aheads[0].run.all():
        n = 0
    rises = np.zeros(1)
    probability = 0.0
    shortfall = _shortfall(analysis, before)
    if n:
        batch = batch_of(n, *shares)
        if analysis.levels is not None:  # even trials are cheap
            batch = batch._replace(space_filling=0)
        simulate = stats.NextRound(designs=_DESIGNS // len(aheads), seed=_SEED)
        rises = np.concatenate([simulate(*ahead.evidence, batch, ahead.deviations) for ahead in aheads])
        rises = _above(rises, shortfall)
        probability = stats.share_of_draws(np.count_nonzero(rises > epsilon), len(rises))
    smallest = -math.inf
    largest = math.inf
    if aheads[0].deviations is None:
        present = min(a.posterior.value(a.posterior.mean[a.run].max()) for a in aheads)
        largest = _highest(analysis) - float(present)
    if analysis.noise.deterministic and aheads[0].deviations is None:
        smallest = 0.0  # the best known configuration keeps its value
        largest = _highest(analysis) - float(analysis.y.max())
        rises = np.clip(rises, smallest, largest)
    if shortfall:
        smallest = 0.0
        largest = max(0.0, largest - shortfall)
    repeats = full_trainings(space, n, shares[0]) or RUNS
    if budget.full_left is not None:
        repeats = min(repeats, budget.full_left)
    repeat_gain = 0.0
    if repeats:
        repeat = stats.RunsAgain(TOP, _SEED)
        repeat_rises = [repeat(*ahead.evidence, repeats, ahead.deviations) for ahead in aheads]
        repeat_gain = float(_above(np.concatenate(repeat_rises), shortfall).mean())
    sd = math.nan
    if analysis.noise.measured:
        sd = analysis.noise.sd
    low, middle, high = np.quantile(rises, [0.05, 0.5, 0.95])
    width = _LEAST_WIDTH * epsilon * (n > 0)
    gain = float(rises.mean())
    cost = (n or repeats) * price
    verdict = verdict_of(probability, gain, repeat_gain, sd, cost)
    if budget.left is not None and math.isnan(cost):  # few trials underrate the gain of a round
        verdict = STOP
        if n:
            verdict = CONTINUE
        elif repeats and not analysis.noise.deterministic:
            verdict = CONFIRM
    return Worth(
        verdict=verdict,
        n=n,
        left=remaining,
        seconds=n * trial_seconds(analysis, space, shares[0]),
        probability=probability,
        gain=gain,
        low=max(smallest, float(middle + _WIDER * (low - middle)) - width),
        high=min(largest, float(middle + _WIDER * (high - middle)) + width),
        again=repeat_gain,
        epsilon=epsilon,
        noise=sd,
        draws=len(rises),
        metric=analysis.metric,
        cost=cost,
        repeats=repeats,
        budget="" if budget.left is None else str(budget),
        data=claimed_data(analysis),
    )


def _shortfall(analysis: Analysis, before: float) -> float:
    """The best value of earlier rounds minus the best of the evidence; 0 if the noise may explain it."""
    shortfall = analysis.sign * before - float(analysis.y.max())
    if analysis.noise.measured:
        shortfall -= _LUCK * analysis.noise.sd
    return max(0.0, shortfall) if math.isfinite(shortfall) else 0.0


def _above(rises: Floats, shortfall: float) -> Floats:
    """Gains over the winner, which stands ``shortfall`` above the best of the evidence."""
    if not shortfall:
        return rises
    return np.maximum(rises - shortfall, 0.0)


def verdict_of(
    probability: float, gain: float, repeat_gain: float, noise: float, cost: float = math.nan
) -> str:
    """CONTINUE, CONFIRM or STOP, by the chance of a gain and the expected gains of a round and of repeats.

    Source: with a price, to stop if the expected gain is less than the cost, Xie et al. (2025), arXiv
    2507.12453.
    """
    if math.isfinite(cost):
        if max(gain, repeat_gain) < cost:
            return STOP
        if gain >= repeat_gain:
            return CONTINUE
        return CONFIRM
    if probability >= LIKELY:
        return CONTINUE
    if repeat_gain > max(gain, _SHARE * noise):
        return CONFIRM
    return STOP
