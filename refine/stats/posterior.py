"""The posterior of the objective over candidate cells, the basis of claims, forecasts and winners.

A forest is robust and finds steps; a Gaussian process is smooth and finds slopes from few trials. Both are
overconfident where they are wrong. Half of the draws come from either model, and the spread of the mixture
includes their disagreement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from refine.errors import AnalysisError
from refine.stats._common import (
    BoolArray,
    FloatArray,
    IntArray,
    check_count,
    checked,
    column,
    matrix,
    same_length,
    subsample,
)
from refine.stats.kernel import Conditioned, Kernel, Parameters, embed, fit_kernel, partly_read
from refine.utils.arrays import rounded, rounded_scores, row_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from refine.stats._common import BoolArray


Float32Array = NDArray[np.float32]

T = TypeVar("T")

_FEWEST = 5  # fewest configurations for a process
_TAIL = 0.1
_SLACK = 1e-6  # draws that fall short of a bound by less reach it
_TREE_STEP = 2.0**-40  # of the predictions of a tree, shares from 0 to 1
_EDGE = 4.0  # largest score; normal deviations beyond carry no information


class Posterior(NamedTuple):
    """Joint draws of the objective over candidates, on the scale of normal scores.

    A score is the rank of a value in the evidence, as a standard normal deviation. `value` maps scores to the
    metric.
    """

    scores: Float32Array  # (S, c) draws, in single precision: of the forest, then of the Gaussian process
    forest: int  # number of draws of the forest
    mean: FloatArray  # (c,) posterior means of the scores
    # (m,) row numbers of the evidence with a `known_mean`: one row per configuration; of very many
    # configurations, the best and a sample of the rest
    known: IntArray
    known_mean: FloatArray  # (m,) posterior means of the scores of these rows
    knots: FloatArray  # (k,) increasing scores at which the metric's value is known
    values: FloatArray  # (k,) the metric's values there, not decreasing
    slope: float  # rise of the metric per score beyond the best knot
    n: int  # number of different configurations in the evidence
    sd: FloatArray = np.zeros(0)  # (c,) deviations of the scores; empty if draws were made
    powers: int = 0  # number of draws by processes on values by a power: the last ones

    @property
    def models(self) -> tuple[slice, slice, slice]:
        """Draws by trees, by processes on ranks, and by processes on values by a power."""
        start = len(self.scores) - self.powers
        return slice(0, self.forest), slice(self.forest, start), slice(start, len(self.scores))

    def value(self, scores: ArrayLike) -> FloatArray:
        """The metric's values at some scores, of any shape."""
        positions = np.asarray(scores, dtype=np.float64)
        beyond = np.maximum(positions - self.knots[-1], 0.0) * self.slope
        return np.asarray(np.interp(positions, self.knots, self.values) + beyond)

    def up_to(self, limit: float) -> Posterior:
        """The posterior with values limited from above, for example by 1 for an accuracy.

        `inf` for no limit.
        """
        if not (self.slope > 0 and np.isfinite(limit)):
            return self
        limit = max(float(limit), float(self.values[-1]))
        end = self.knots[-1] + (limit - self.values[-1]) / self.slope
        return self._replace(knots=np.r_[self.knots, end], values=np.r_[self.values, limit], slope=0.0)

    def lowest_within(self, scores: ArrayLike, epsilon: float) -> FloatArray:
        """Smallest scores with values within epsilon >= 0, in units of the metric, of (S,) scores."""
        if not epsilon >= 0.0:
            raise AnalysisError(f"epsilon: must be >= 0, got {epsilon!r}; 0 tolerates no loss")
        best = np.asarray(scores, dtype=np.float64)
        # Differences by rounding of the metric are no loss.
        rounding = 1e-9 * max(float(self.values[-1] - self.values[0]), 0.0)
        lowest_value = self.value(best) - epsilon - rounding
        index = np.searchsorted(self.values, lowest_value, side="left")
        low = np.clip(index - 1, 0, self.values.size - 1)
        high = np.clip(index, 0, self.values.size - 1)
        rise = self.values[high] - self.values[low]
        part = np.divide(lowest_value - self.values[low], rise, out=np.zeros_like(best), where=rise > 0)
        bound = self.knots[low] + part * (self.knots[high] - self.knots[low])
        bound = np.where(index == 0, -np.inf, bound)
        if self.slope > 0:
            with np.errstate(over="ignore"):  # a huge epsilon: the bound is minus infinity
                beyond = self.knots[-1] + (lowest_value - self.values[-1]) / self.slope
            bound = np.where(lowest_value > self.values[-1], beyond, bound)
        return np.asarray(np.minimum(bound, best))

    def within(self, epsilon: float) -> BoolArray:
        """(S, c) mask of candidates within epsilon >= 0, in units of the metric, of the best of the draw."""
        bound = self.lowest_within(self.scores.max(axis=1), epsilon)
        # Single precision: the bound must not lie above the best itself.
        return np.asarray(self.scores >= (bound - _SLACK).astype(np.float32)[:, None])

    def share_met(self) -> FloatArray:
        """(c,) probability of a slack of 0 or more, for the posterior of a slack.

        The share of draws; without draws, by a normal deviation.
        """
        if not len(self.scores):
            from scipy.special import ndtr

            return np.asarray(ndtr((self.mean - _bound(self)) / self.sd))
        return np.asarray((self.scores >= _bound(self)).mean(axis=0), dtype=np.float64)

    def best_known(self, count: int) -> IntArray:
        """Numbers of the evidence's rows with the largest posterior means, best first."""
        return self.known[np.argsort(-self.known_mean, kind="stable")[:count]]


class ScoredTrials(NamedTuple):
    """Trials as scores, every configuration once."""

    # (m,) number of one row per configuration, in an order that does not depend on the order of the rows
    rows: IntArray
    score: FloatArray  # (m,) mean normal score of the trials of the configuration
    knots: FloatArray  # (k,) scores of the different values, increasing
    values: FloatArray  # (k,) the different values
    slope: float  # rise of the values per score through the best tenth


def scored(X: FloatArray, y: FloatArray, exact: bool = False, power: bool = False) -> ScoredTrials:
    """Normal scores of the values, counting every configuration once.

    With ``power``, a power transform to near normality.

    The trials of a configuration share its weight: duplicated rows change nothing. The very best value counts
    by its rank only; its place in units of the metric follows from the best tenth, so that one absurd value
    moves nothing. Values declared `exact`, without noise, keep their place.
    """
    from scipy.special import ndtri

    code = row_codes(X)
    rows = np.lexsort((y, code))
    new = np.r_[True, np.diff(code[rows]) != 0]
    group = np.cumsum(new) - 1
    count = np.bincount(group)
    weight = 1.0 / count[group]
    values, value_number = np.unique(y[rows], return_inverse=True)
    mass = np.bincount(value_number, weights=weight, minlength=values.size)
    total = float(count.size)
    if power:
        knots = _powered(values, np.asarray(mass, dtype=np.float64))
    else:
        knots = ndtri((np.cumsum(mass) - mass / 2.0) / total)
    score = np.asarray(np.bincount(group, weights=weight * knots[value_number]), dtype=np.float64)
    first = rows[np.flatnonzero(new)]
    slope = top_slope(knots, values, total)
    shown = values
    if not exact and values.size > 2:
        expected_best = values[-2] + slope * (knots[-1] - knots[-2])
        shown = np.r_[values[:-1], min(float(values[-1]), float(expected_best))]
    return ScoredTrials(first, score, np.asarray(knots), shown, slope)


def _on_scale(scores: FloatArray, source: ScoredTrials, target: ScoredTrials) -> FloatArray:
    """Scores of one scale as scores of another, through the values at either.

    Both beyond the best value by their slope.
    """
    source_scores = np.asarray(scores, dtype=np.float64)
    value = np.interp(source_scores, source.knots, source.values)
    value += np.maximum(source_scores - source.knots[-1], 0.0) * source.slope
    mapped = np.interp(value, target.values, target.knots)
    if target.slope > 0:
        mapped += np.maximum(value - target.values[-1], 0.0) / target.slope
    return np.asarray(np.clip(mapped, -_EDGE, 2 * _EDGE))


def _powered(values: FloatArray, mass: FloatArray) -> FloatArray:
    """Distinct values, ``mass`` times each, raised to the power with the most normal result.

    Mean 0 and deviation 1.

    Source: Yeo and Johnson (2000), 'A new family of power transformations to improve normality or symmetry'.
    """
    # The unit is the deviation above the median: a few absurd values below must not squeeze the best values.
    middle = values[np.searchsorted(np.cumsum(mass), mass.sum() / 2)]
    above = values >= middle
    with np.errstate(over="ignore"):
        deviation = np.sqrt(np.average((values[above] - middle) ** 2, weights=mass[above]))
    unit = deviation or float(np.ptp(values)) or 1.0
    # The limit keeps powers of values far below the median from overflowing.
    z = np.maximum((values - middle) / unit, -1e30)
    powers = np.linspace(-2.9, 4.9, 40)[:, None]
    up = np.log1p(np.maximum(z, 0.0))
    down = np.log1p(np.maximum(-z, 0.0))
    raised = np.expm1(powers * up) / powers - np.expm1((2 - powers) * down) / (2 - powers)
    off = raised - np.average(raised, axis=1, weights=mass)[:, None]
    spread = np.sqrt(np.average(off * off, axis=1, weights=mass))
    likelihood = (powers[:, 0] - 1) * np.average(up - down, weights=mass) - np.log(spread + 1e-12)
    best = np.argmax(likelihood)
    # A small step keeps distinct values distinct if the power rounds them to one number.
    return np.asarray(off[best] / (spread[best] or 1.0)) + 1e-6 * np.arange(values.size)


def top_slope(knots: FloatArray, values: FloatArray, total: float) -> float:
    """Median slope between the values of the best tenth, the very best left out."""
    from scipy.special import ndtri

    if values.size < 3:
        return 0.0
    tail = min(_TAIL, 0.5)
    start = int(np.searchsorted(knots, ndtri(1.0 - max(tail, 6.0 / total)) if total > 12 else -np.inf))
    start = max(0, min(start, values.size - 4))
    top_knots = knots[start:-1]
    height = values[start:-1]
    if top_knots.size > 60:
        take = np.linspace(0, top_knots.size - 1, 60).astype(np.int64)
        top_knots = top_knots[take]
        height = height[take]
    i, j = np.triu_indices(top_knots.size, 1)
    if i.size:
        return float(np.median((height[j] - height[i]) / (top_knots[j] - top_knots[i])))
    return 0.0


class LeaveOneOut(NamedTuple):
    """Configurations and their predictions from the other configurations, in scores."""

    score: FloatArray  # (m,) scores of the configurations
    expected: FloatArray  # (m,) predictions from the other configurations
    variance: FloatArray  # (m,) variances of the predictions, without noise
    near: FloatArray  # (c, m) nearness of candidates and configurations, in [0, 1]


@dataclass(frozen=True, slots=True)
@checked("region", fewest=1, freedom=3)
class FrozenResiduals:
    """Adds residuals to draws.

    A deterministic objective has values that a smooth model cannot explain; the best of many cells owes part
    of its value to them, and smooth draws lack that part. The size of the residuals is measured on left-out
    configurations with good predictions: mean squared error less the variance of the draws. Every cell of
    every draw gets its own deviation of that size, with heavy tails.

    Configurations with better values than that explains hint at a narrow peak: cells near them deviate by
    more.

    Source: our own. On 24 grids of cross-validated scores, equal deviations with normal tails, or with 5
    degrees of freedom, claimed too much; deviations shared by neighbouring cells were no better.
    """

    region: float = 0.5  # share of configurations, by prediction, for measuring the size
    fewest: int = 12  # fewest configurations for measuring the size
    freedom: int = 3  # degrees of freedom of Student's t
    # weight of the residuals nearby in the size of a cell's deviation; 0 for the same size everywhere
    times: float = 3.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.times < np.inf:
            raise AnalysisError(f"times: must be finite and >= 0, got {self.times!r}; 3 is the default")

    def __call__(self, draws: FloatArray, left: LeaveOneOut, rng: np.random.Generator) -> FloatArray:
        """(S, c) draws, in scores, with a deviation added to every cell, of the size that `left` gives."""
        deviation = rng.standard_t(self.freedom, draws.shape)
        deviation *= np.hypot(self.deviation(left), self.times * self.local(left))
        deviation *= np.sqrt(1.0 - 2.0 / self.freedom)
        return np.asarray(draws + deviation)

    def local(self, left: LeaveOneOut) -> FloatArray:
        """(c,) standard deviation of the errors near every cell beyond `deviation`, in scores.

        Only values better than expected count, twice: symmetric deviations of the usual size give 0. The mean
        is taken over the neighbours and one more without an error.
        """
        expected = left.variance + self.deviation(left) ** 2
        excess = 2.0 * np.maximum(left.score - left.expected, 0.0) ** 2 - expected
        average = left.near @ excess / (left.near.sum(axis=1) + 1.0)
        return np.asarray(np.sqrt(np.maximum(average, 0.0)))

    def deviation(self, left: LeaveOneOut) -> float:
        """Standard deviation of what is left over, in scores."""
        if not left.score.size:
            raise AnalysisError("left: needs at least 1 configuration that was left out, got 0")
        count = max(self.fewest, round(self.region * left.score.size))
        best = np.argsort(-left.expected, kind="stable")[:count]
        missed = (left.score - left.expected)[best]
        return float(np.sqrt(max(float(np.mean(missed**2) - np.mean(left.variance[best])), 0.0)))


@dataclass(frozen=True, slots=True)
@checked(
    forest_draws=0,
    process_draws=0,
    power_draws=0,
    members=1,
    leaf=1,
    forest_rows=50,
    process_rows=20,
    kernels=1,
    features=50,
)
class MixedPosterior:
    """Draws of the objective from bootstrapped trees and from Gaussian processes, by default half and half.

    Both learn the normal scores of the values, and are unaffected by heavy tails, failures at the worst value
    and monotone transforms of the metric. A draw of the forest is the mean of a few random trees. A draw of
    the process is a joint draw over all candidates, with kernel parameters from a normal approximation of
    their posterior. Further draws may come from processes on values by a power (`power_draws`): ranks flatten
    a smooth peak, and hide how far beyond all trials it may rise.

    Large evidence is thinned: the best quarter stays, the rest is sampled and, for the forest, weighted up.
    The order of the rows changes nothing.

    Source: Geurts, Ernst and Wehenkel (2006) for the trees; Rasmussen and Williams (2006), chapter 5, for the
    process; Wilson et al. (2020), 'Efficiently sampling functions from Gaussian process posteriors', for
    joint draws; the mixture is our own.
    """

    forest_draws: int = 320  # draws of the forest
    process_draws: int = 320  # draws of the Gaussian process
    # draws of a Gaussian process on values transformed by a power, mapped to normal scores. Unlike ranks,
    # they keep the distances between the best values, and smooth peaks that ranks flatten
    power_draws: int = 0
    trees: int = 200  # number of trees in the forest
    members: int = 5  # trees averaged per draw
    leaf: int = 2  # fewest trials in a leaf
    forest_rows: int = 800  # largest number of configurations for the trees
    process_rows: int = 500  # largest number of configurations that the process is conditioned on
    kernels: int = 5  # number of drawn sets of kernel parameters; 1 takes the most probable set
    features: int = 1000  # random features of a prior draw
    # residuals of the draws if values have no noise
    frozen: FrozenResiduals = field(default_factory=FrozenResiduals)
    # scores by a power of the values instead of ranks, which keeps the distances between the best values
    power: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        alone = not (self.forest_draws or self.process_draws)
        if self.power_draws and (alone or self.power):
            raise AnalysisError(
                "power_draws= adds draws to draws on ranks: set forest_draws= or process_draws= too, "
                "and leave power= out"
            )
        if self.forest_draws + self.process_draws == 1:
            raise AnalysisError(
                "forest_draws and process_draws: must be at least 2 together, or 0 for the process's means "
                "and deviations alone, got 1"
            )
        check_count(self.trees, "trees", self.members)

    def __call__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        candidates: ArrayLike,
        cardinalities: Sequence[int],
        read: ArrayLike | None = None,
        candidates_read: ArrayLike | None = None,
        prior: tuple[ArrayLike, ArrayLike] | None = None,
        exact: bool = False,
    ) -> Posterior:
        """Draw from the posterior; AnalysisError under 5 configurations or without candidates.

        Args:
            X: (n, d) positions or codes of the evidence.
            y: (n,) values.
            candidates: (c, d) positions or codes of the cells that could be the optimum.
            cardinalities: d numbers, 0 for an ordered column, k for an unordered one.
            read: (n, d) bools, whether the objective read the parameter; None where all are read. A value
                that was not read counts as a value of its own kind, at one distance from all others.
            candidates_read: (c, d) the same of the candidates.
            prior: (n,) and (c,) what is thought of the evidence and of the candidates before anything is
                seen, in scores. Trees and processes learn what it leaves unexplained. None for the same
                everywhere.
            exact: whether values have no noise. Candidates that were run then have their values in every
                draw, and the others what processes leave over: see `FrozenResiduals`. All draws are the
                process's: trees shrink what is best, and left-out values of grids of cross-validated scores
                were predicted better without them.
        """
        if exact and not self.forest_draws + self.process_draws:
            raise AnalysisError(
                "exact: residuals are added to draws, but forest_draws and process_draws are both 0; "
                "set one of them, for example process_draws=320"
            )
        table = matrix(_blank(X, read), cardinalities)
        values = column(y, "y")
        same_length(table.shape[0], values.size)
        cells = matrix(_blank(candidates, candidates_read), cardinalities, "candidates")
        if values.size == 0 or cells.shape[0] == 0:
            raise AnalysisError(
                f"X: at least 5 trials and 1 candidate are needed, got {values.size} and {cells.shape[0]}; "
                "run more trials first"
            )
        was_read = read_mask(read, table.shape)
        if read is not None:
            keyed = np.concatenate([table, was_read], axis=1)
        else:
            keyed = table
        trials = scored(keyed, values, exact, self.power)
        m = trials.rows.size
        if m < 5:
            raise AnalysisError(
                f"X: at least 5 different configurations are needed, got {m}; run more trials first"
            )
        read_cells = read_mask(candidates_read, cells.shape)
        partly = partly_read(was_read, read_cells)
        rng = np.random.default_rng(self.seed)
        rows, weights = _thin(trials.score, max(self.forest_rows, self.process_rows), rng)
        row_numbers = trials.rows[rows]
        features = embed(table[row_numbers], was_read[row_numbers], cardinalities, partly)
        cell_features = embed(cells, read_cells, cardinalities, partly)
        score = trials.score[rows]
        thought = np.zeros(len(row_numbers))
        thought_cells = np.zeros(len(cells))
        if prior is not None:
            before = column(prior[0], "prior")
            thought_cells = column(prior[1], "prior")
            same_length(table.shape[0], before.size)
            same_length(cells.shape[0], thought_cells.size)
            thought = before[row_numbers]
            score = score - thought
        if exact:
            trees = 0
        else:
            trees = self.forest_draws
        sd = np.zeros(0)
        parts: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        if trees:
            parts.append(self._forest(features.table, score, weights, cell_features.table, rng))
        if exact or self.process_draws or not trees:
            if exact:
                paths = self.process_draws + self.forest_draws + self.power_draws
            else:
                paths = self.process_draws
            drawn, left_out, sd = self._process(features, score, cell_features, paths, rng)
            if exact:
                drawn = (self.frozen(drawn[0], left_out, np.random.default_rng(self.seed)), *drawn[1:])
            parts.append(drawn)
        draws_of = [float(len(part[0])) for part in parts]
        if self.power_draws and not exact:
            raised = scored(keyed, values, power=True)
            raised_score = raised.score[rows] - thought
            drawn, _, _ = self._process(features, raised_score, cell_features, self.power_draws, rng)
            # The prior mean is added on both scales, because each has mean 0 and deviation 1.
            mapped = _on_scale(drawn[0] + thought_cells, raised, trials) - thought_cells
            mapped_mean = _on_scale(drawn[1] + thought_cells, raised, trials) - thought_cells
            mapped_known = _on_scale(drawn[2] + thought, raised, trials) - thought
            parts.append((mapped, mapped_mean, mapped_known))
            draws_of.append(float(self.power_draws))
        scores = np.concatenate([part[0] for part in parts])
        if sum(draws_of):
            shares = draws_of
        else:
            shares = None
        mean, known_mean = (np.average([part[k] for part in parts], axis=0, weights=shares) for k in (1, 2))
        mean = mean + thought_cells
        known_mean = known_mean + thought
        if prior is not None:
            scores = np.clip(scores + thought_cells, -_EDGE, _EDGE)
        scores = rounded_scores(scores)
        mean = rounded(mean)
        known_mean = rounded(known_mean)
        if exact:
            if read is not None:
                of_cells = np.concatenate([cells, read_cells], axis=1)
            else:
                of_cells = cells
            ran, matches = same_rows(of_cells, keyed[trials.rows])
            scores[:, ran] = trials.score[matches].astype(np.float32)
            mean[ran], known_mean = trials.score[matches], trials.score[rows]
        return Posterior(
            scores,
            trees,
            mean=mean,
            known=row_numbers,
            known_mean=known_mean,
            knots=trials.knots,
            values=trials.values,
            slope=trials.slope,
            n=m,
            sd=rounded(sd),
            powers=0 if exact else self.power_draws,
        )

    def _forest(
        self,
        features: FloatArray,
        score: FloatArray,
        weights: FloatArray,
        cells: FloatArray,
        rng: np.random.Generator,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        from scipy.special import ndtr, ndtri

        from refine.stats.forest import fit_forest

        rows = np.arange(score.size)
        if score.size > self.forest_rows:
            rows, further_weights = _thin(score, self.forest_rows, rng)
            weights = weights[rows] * further_weights
        table = features.astype(np.float32)
        # Ranks instead of scores: the means of the trees must not depend on the few best values.
        target = rounded(ndtr(score[rows]))
        if np.all(weights == 1.0):
            unequal = None
        else:
            unequal = weights
        forest = _once(
            lambda: fit_forest(table[rows], target, unequal, self.trees, self.seed, self.leaf),
            (table[rows], target, weights),
            (self.trees, self.seed, self.leaf),
            rng,
        )
        edge = ndtr(_EDGE)
        # Multiples of a power of two: their sums are exact in any order, so cells that share their leaves are
        # equal on every processor.
        predicted = np.rint(forest.predict(cells.astype(np.float32)) / _TREE_STEP) * _TREE_STEP
        pick = np.zeros((self.forest_draws, self.trees))
        chosen = np.argsort(rng.random((self.forest_draws, self.trees)), axis=1)[:, : self.members]
        np.put_along_axis(pick, chosen, 1.0, axis=1)
        average = pick @ predicted / self.members
        drawn = np.asarray(ndtri(np.clip(average, 1.0 - edge, edge)))
        mean = np.asarray(ndtri(np.clip(predicted.mean(axis=0), 1.0 - edge, edge)))
        predicted_rows = forest.predict(table).mean(axis=0)
        return drawn, mean, np.asarray(ndtri(np.clip(predicted_rows, 1.0 - edge, edge)))

    def _process(
        self, features: Kernel, score: FloatArray, cells: Kernel, draws: int, rng: np.random.Generator
    ) -> tuple[tuple[FloatArray, FloatArray, FloatArray], LeaveOneOut, FloatArray]:
        from scipy.linalg import cho_solve, solve_triangular

        rows = np.arange(score.size)
        if score.size > self.process_rows:
            rows, _ = _thin(score, self.process_rows, rng)
        conditioned = features.take(rows)
        sets = _once(
            lambda: fit_kernel(conditioned, score[rows], self.kernels, rng),
            (conditioned.table, conditioned.owner, score[rows]),
            (conditioned.size, self.kernels),
            rng,
        )
        share = np.diff(np.linspace(0, draws, len(sets) + 1).astype(np.int64))
        # Means and squares of the expectations; the squares give the deviations if nothing is drawn.
        mean, square = np.zeros((2, len(cells.table)))
        row_means = np.zeros(score.size)
        parts = [np.zeros((0, len(mean)))]
        expected = np.zeros((len(sets), rows.size))
        variance = np.zeros(rows.size)
        near = np.zeros((len(cells.table), rows.size))
        for k, (parameters, paths) in enumerate(zip(sets, share, strict=True)):
            everywhere = features.scaled(parameters.lengths)
            x = everywhere[rows]
            c = cells.scaled(parameters.lengths)
            process = Conditioned.of(parameters, x, c)
            factor = process.factor
            across = process.across
            centre = float(score[rows].mean())
            solved = cho_solve(factor, score[rows] - centre)
            expects = centre + across @ solved
            mean += expects / len(sets)
            row_means += (centre + parameters.covariance(everywhere, x) @ solved) / len(sets)
            if not draws:
                explained = solve_triangular(factor[0], across.T, lower=True, check_finite=False)
                variance_left = np.maximum(parameters.variance - np.sum(explained * explained, axis=0), 0.0)
                square += (variance_left + expects**2) / len(sets)
                continue
            # Rasmussen and Williams (2006), section 5.4.2: the prediction of a row from the other rows.
            alone = 1.0 / np.diag(cho_solve(factor, np.eye(len(x))))
            expected[k] = score[rows] - solved * alone
            variance += np.maximum(alone - parameters.noise, 0.0) / len(sets)
            near += (across / parameters.variance) ** 4 / len(sets)
            drawn = process.paths((score[rows] - centre)[:, None], int(paths), self.features, rng)
            parts.append((drawn + centre).T)
        left_out = LeaveOneOut(score[rows], expected.mean(axis=0), variance + expected.var(axis=0), near)
        if draws:
            sd = np.zeros(0)
        else:
            sd = np.sqrt(np.maximum(square - mean**2, 1e-12))
        return (np.clip(np.concatenate(parts), -_EDGE, _EDGE), mean, row_means), left_out, sd


# The latest fit, with the state of the generator after the fit: a review asks for several sets of candidates
# on one evidence.
_FITTED: dict[tuple[Any, ...], tuple[Any, Any]] = {}

_KEPT = 8


def _once(
    fit: Callable[[], T],
    arrays: tuple[FloatArray | Float32Array | IntArray, ...],
    numbers: tuple[int, ...],
    rng: np.random.Generator,
) -> T:
    """The cached result of a fit; equal arrays, numbers and generator states give equal results."""
    key = (
        *(a.shape for a in arrays),
        *(a.tobytes() for a in arrays),
        *numbers,
        repr(rng.bit_generator.state),
    )
    if key not in _FITTED:
        result = fit()
        while len(_FITTED) >= _KEPT:
            _FITTED.pop(next(iter(_FITTED)), None)
        _FITTED[key] = result, rng.bit_generator.state
    result, rng.bit_generator.state = _FITTED[key]
    return result


def _thin(score: FloatArray, rows: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Row numbers of the best quarter and a sample of the rest, and weights that make up for the sample."""
    if score.size <= rows:
        return np.arange(score.size), np.ones(score.size)
    best = rows // 4
    order = np.argsort(-score, kind="stable")
    sampled = order[best:][subsample(score.size - best, rows - best, rng)]
    weights = np.full(rows, (score.size - best) / (rows - best))
    weights[:best] = 1.0
    return np.concatenate((order[:best], sampled)), weights


def same_rows(cells: FloatArray, trials: FloatArray) -> tuple[IntArray, IntArray]:
    """Numbers of the cells that are among known rows, and the matching row numbers."""
    code = row_codes(np.round(np.concatenate([trials, cells]), 9) + 0.0)
    row = {number: i for i, number in enumerate(code[: len(trials)].tolist())}
    matches = np.array([row.get(number, -1) for number in code[len(trials) :].tolist()], dtype=np.int64)
    return np.flatnonzero(matches >= 0), matches[matches >= 0]


def _blank(X: ArrayLike, read: ArrayLike | None) -> FloatArray:
    """The table with 0 for values that were not read."""
    table = np.asarray(X, dtype=np.float64)
    if read is None:
        return table
    return np.where(read_mask(read, table.shape), table, 0.0)


def read_mask(read: ArrayLike | None, shape: tuple[int, ...]) -> BoolArray:
    """(n, d) mask of the values that were read; by default all of them."""
    if read is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.asarray(read, dtype=np.bool_)
    if mask.shape != shape:
        raise AnalysisError(f"read: needs shape {shape}, one answer per trial and column, got {mask.shape}")
    return mask


def constrained(posterior: Posterior, slacks: Sequence[Posterior], feasible: BoolArray) -> Posterior:
    """The objective with constraints.

    Draws of it, at the worst score wherever the same draw of a constraint is broken.

    The best of a draw is then its best feasible candidate. In a draw without a feasible candidate all
    candidates are equally good, and no box loses it. Means are those of the draws: a rarely feasible
    candidate has a low mean.

    Source: Gardner et al. (2014), 'Bayesian optimization with inequality constraints', for separate models of
    the constraints; joint draws instead of expected improvement are our own.

    Args:
        posterior: Of the objective, over the candidates.
        slacks: Of every constraint, over the same candidates with as many draws; a slack of 0 or more meets
            the constraint.
        feasible: (n,) mask of the posterior's rows that meet all constraints.
    """
    if not slacks:
        return posterior
    floor = float(posterior.knots[0])
    allowed = np.ones(posterior.scores.shape, dtype=np.bool_)
    for slack in slacks:
        allowed &= slack.scores >= _bound(slack)
    worst = np.float32(posterior.scores.min(initial=np.float32(floor)) - 1.0)
    # Without draws, normal deviations give the probability of meeting each constraint.
    if len(allowed):
        share = allowed.mean(axis=0)
    else:
        share = np.prod([slack.share_met() for slack in slacks], axis=0)
    return posterior._replace(
        scores=np.where(allowed, posterior.scores, worst),
        mean=share * posterior.mean + (1.0 - share) * floor,
        known_mean=np.where(feasible[posterior.known], posterior.known_mean, floor),
    )


def _bound(slack: Posterior) -> float:
    """The score from which on a slack is 0 or more."""
    # Scores rise with slack, so the bound lies between the largest broken and the smallest met slack. Draws
    # are rounded: a bound just below a multiple does not depend on last bits.
    if slack.values[0] >= 0.0:
        return -np.inf
    if slack.values[-1] < 0.0:
        return np.inf
    return float(np.interp(0.0, slack.values, slack.knots)) - _SLACK


_SHAPE = 0.2  # variance, in scores, by which a prior mean may miss the shape of the values


@dataclass(frozen=True, slots=True)
@checked(rows=5)
class PriorEvidence:
    """Evidence of the trials for a prior mean, compared with its opposite.

    Both are Gaussian processes over normal scores of the values, with the most probable kernel without a
    prior mean. The comparison with the opposite, instead of no prior mean, does not refute a prior mean that
    rises in the right place by too much. Trials may have been chosen by earlier results: the choice cancels
    in the ratio. The shape of a prior mean is not meant to the letter, so values may deviate from it: without
    that, smooth values decide by the curvature of a narrow bump, not by its place.

    Source: Rasmussen and Williams (2006), equations 2.30 and 2.42, for the marginal likelihood with an
    unknown constant; Kass and Raftery (1995), 'Bayes Factors'. The opposite is our own.
    """

    rows: int = 180  # largest number of configurations
    seed: int = 0  # seed of their choice

    def __call__(self, X: ArrayLike, y: ArrayLike, prior: ArrayLike, cardinalities: Sequence[int]) -> float:
        """The natural logarithm of the ratio; 0 for a constant (n,) prior mean, in scores."""
        return float(self.parts(X, y, column(prior, "prior")[:, None], cardinalities)[0])

    def parts(
        self, X: ArrayLike, y: ArrayLike, priors: ArrayLike, cardinalities: Sequence[int]
    ) -> FloatArray:
        """(k,) contributions of (n, k) additive prior means to the logarithm; `__call__` gives their sum."""
        table = matrix(X, cardinalities)
        values = column(y, "y")
        thought = np.asarray(priors, dtype=float)
        same_length(table.shape[0], values.size)
        same_length(table.shape[0], len(thought))
        trials = scored(table, values)
        rng = np.random.default_rng(self.seed)
        take = subsample(trials.rows.size, self.rows, rng)
        rows = trials.rows[take]
        score = trials.score[take]
        if rows.size < 5 or not thought.size or np.ptp(thought[rows]) == 0 or np.ptp(score) == 0:
            return np.zeros(thought.shape[1])
        features = embed(table[rows], np.ones((rows.size, table.shape[1]), dtype=np.bool_), cardinalities, [])
        parameters = fit_kernel(features, score, 1, rng)[0]
        return _gain(features.scaled(parameters.lengths), score, thought[rows], parameters)


def _gain(x: FloatArray, score: FloatArray, thought: FloatArray, parameters: Parameters) -> FloatArray:
    from scipy.linalg import cho_factor, cho_solve

    covariance = parameters.covariance(x, x) + (parameters.noise + _SHAPE) * np.eye(len(x))
    factor = cho_factor(covariance, lower=True)
    precision_weights = cho_solve(factor, np.ones(len(x)))
    level = (precision_weights @ score) / precision_weights.sum()
    # The squares of the prior mean are equal in both and cancel.
    return np.asarray(
        2.0
        * (thought - (precision_weights @ thought) / precision_weights.sum()).T
        @ cho_solve(factor, score - level)
    )
