"""What the objective may look like over candidate cells: one posterior that everything else is read off.

A forest is robust and sees steps, a Gaussian process is smooth and sees slopes from few trials; each is sure of itself where
it is wrong. Half of the draws come from either, so that the spread of the mixture holds their disagreement as well.
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
from refine.stats.kernel import Kernel, Parameters, embed, fit_kernel
from refine.utils.arrays import row_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from refine.stats._common import BoolArray


Float32Array = NDArray[np.float32]

T = TypeVar("T")

_TAIL = 0.1
_EDGE = 4.0  # scores beyond which a normal deviation says nothing


class Posterior(NamedTuple):
    """Joint draws of the objective over candidates, on the scale of normal scores.

    A score is where a value lies in the evidence, as a standard normal deviation. `value` maps scores to the metric.
    """

    scores: Float32Array  # (S, c) draws, single precision; the forest's first, then the Gaussian process's
    forest: int  # number of draws of the forest
    mean: FloatArray  # (c,) posterior means of the scores
    # (m,) numbers of the caller's rows for which `known_mean` is given: one of every configuration, of the
    # best ones and a sample of the others where there are many
    known: IntArray
    known_mean: FloatArray  # (m,) posterior means of their scores
    knots: FloatArray  # (k,) increasing scores at which the metric's value is known
    values: FloatArray  # (k,) the metric's values there, not decreasing
    slope: float  # rise of the metric per score beyond the best knot
    n: int  # number of different configurations behind it
    sd: FloatArray = np.zeros(0)  # (c,) deviations of the scores, where nothing was drawn

    def value(self, scores: ArrayLike) -> FloatArray:
        """The metric's values at some scores, of any shape."""
        at = np.asarray(scores, dtype=np.float64)
        beyond = np.maximum(at - self.knots[-1], 0.0) * self.slope
        return np.asarray(np.interp(at, self.knots, self.values) + beyond)

    def up_to(self, limit: float) -> Posterior:
        """The same where no value can pass a limit, such as 1 for an accuracy; `inf` for none."""
        if not (self.slope > 0 and np.isfinite(limit)):
            return self
        limit = max(float(limit), float(self.values[-1]))
        end = self.knots[-1] + (limit - self.values[-1]) / self.slope
        return self._replace(knots=np.r_[self.knots, end], values=np.r_[self.values, limit], slope=0.0)

    def lowest_within(self, scores: ArrayLike, epsilon: float) -> FloatArray:
        """Smallest scores whose values are within epsilon >= 0, in units of the metric, of the values at (S,) scores."""
        if not epsilon >= 0.0:
            raise AnalysisError(f"epsilon: must be >= 0, got {epsilon!r}; 0 tolerates no loss")
        at = np.asarray(scores, dtype=np.float64)
        # What rounding of the metric changes is no loss.
        rounding = 1e-9 * max(float(self.values[-1] - self.values[0]), 0.0)
        wanted = self.value(at) - epsilon - rounding
        index = np.searchsorted(self.values, wanted, side="left")
        low = np.clip(index - 1, 0, self.values.size - 1)
        high = np.clip(index, 0, self.values.size - 1)
        rise = self.values[high] - self.values[low]
        part = np.divide(wanted - self.values[low], rise, out=np.zeros_like(at), where=rise > 0)
        found = self.knots[low] + part * (self.knots[high] - self.knots[low])
        found = np.where(index == 0, -np.inf, found)
        if self.slope > 0:
            beyond = self.knots[-1] + (wanted - self.values[-1]) / self.slope
            found = np.where(wanted > self.values[-1], beyond, found)
        return np.asarray(np.minimum(found, at))

    def within(self, epsilon: float) -> BoolArray:
        """(S, c) whether a candidate's value is within epsilon >= 0, in units of the metric, of the best of its draw."""
        bound = self.lowest_within(self.scores.max(axis=1), epsilon)
        # Single precision: the bound must not lie above the best itself.
        return np.asarray(self.scores >= (bound - 1e-6).astype(np.float32)[:, None])

    def share_met(self) -> FloatArray:
        """(c,) share of the draws of a slack, which this is the posterior of, that are 0 or more."""
        return np.asarray((self.scores >= _bound(self)).mean(axis=0), dtype=np.float64)

    def best_known(self, count: int) -> IntArray:
        """Numbers of the evidence's rows with the largest posterior means, best first."""
        return self.known[np.argsort(-self.known_mean, kind="stable")[:count]]


class ScoredTrials(NamedTuple):
    """Trials as scores, every configuration once."""

    # (m,) number of one of the caller's rows per configuration, in an order that doesn't depend on theirs
    rows: IntArray
    score: FloatArray  # (m,) mean normal score of its trials
    knots: FloatArray  # (k,) scores of the different values, increasing
    values: FloatArray  # (k,) the different values
    slope: float  # rise of the values per score through the best tenth


def scored(X: FloatArray, y: FloatArray, exact: bool = False, power: bool = False) -> ScoredTrials:
    """Normal scores of the values, with every configuration counted once; with ``power``, what a power makes nearly normal.

    A configuration's trials share its weight, so that rows given twice change nothing. The very best value counts by
    its rank only: where it lies in units of the metric follows from the best tenth, and one absurd value moves nothing. But where
    values are `exact`, have no noise, it is what it is.
    """
    from scipy.special import ndtri

    code = row_codes(X)
    rows = np.lexsort((y, code))
    new = np.r_[True, np.diff(code[rows]) != 0]
    group = np.cumsum(new) - 1
    count = np.bincount(group)
    weight = 1.0 / count[group]
    values, which = np.unique(y[rows], return_inverse=True)
    mass = np.bincount(which, weights=weight, minlength=values.size)
    total = float(count.size)
    knots = (
        _powered(values, np.asarray(mass, dtype=np.float64))
        if power
        else ndtri((np.cumsum(mass) - mass / 2.0) / total)
    )
    score = np.asarray(np.bincount(group, weights=weight * knots[which]), dtype=np.float64)
    first = rows[np.flatnonzero(new)]
    slope = _top_slope(knots, values, total)
    shown = values if exact else _without_best(knots, values, slope)
    return ScoredTrials(first, score, np.asarray(knots), shown, slope)


def _powered(values: FloatArray, mass: FloatArray) -> FloatArray:
    """Different values, each ``mass`` times there, by the power that makes them most nearly normal; mean 0 and deviation 1.

    Source: Yeo and Johnson (2000), 'A new family of power transformations to improve normality or symmetry'.
    """
    # In units of what lies above the median: a few absurd values below it must not squeeze the best.
    middle = values[np.searchsorted(np.cumsum(mass), mass.sum() / 2)]
    above = values >= middle
    unit = (
        np.sqrt(np.average((values[above] - middle) ** 2, weights=mass[above]))
        or float(np.ptp(values))
        or 1.0
    )
    # No power of what lies so far below overflows.
    z, powers = np.maximum((values - middle) / unit, -1e30), np.linspace(-2.9, 4.9, 40)[:, None]
    up, down = np.log1p(np.maximum(z, 0.0)), np.log1p(np.maximum(-z, 0.0))
    raised = np.expm1(powers * up) / powers - np.expm1((2 - powers) * down) / (2 - powers)
    off = raised - np.average(raised, axis=1, weights=mass)[:, None]
    spread = np.sqrt(np.average(off * off, axis=1, weights=mass))
    likelihood = (powers[:, 0] - 1) * np.average(up - down, weights=mass) - np.log(spread + 1e-12)
    best = np.argmax(likelihood)
    # Where a power tells values apart no more, they are a little apart all the same.
    return np.asarray(off[best] / (spread[best] or 1.0)) + 1e-6 * np.arange(values.size)


def _top_slope(knots: FloatArray, values: FloatArray, total: float) -> float:
    """Median slope between the values of the best tenth, the very best left out."""
    from scipy.special import ndtri

    if values.size < 3:
        return 0.0
    tail = min(_TAIL, 0.5)
    start = int(np.searchsorted(knots, ndtri(1.0 - max(tail, 6.0 / total)) if total > 12 else -np.inf))
    start = max(0, min(start, values.size - 4))
    at, height = knots[start:-1], values[start:-1]
    if at.size > 60:
        take = np.linspace(0, at.size - 1, 60).astype(np.int64)
        at, height = at[take], height[take]
    i, j = np.triu_indices(at.size, 1)
    return float(np.median((height[j] - height[i]) / (at[j] - at[i]))) if i.size else 0.0


def _without_best(knots: FloatArray, values: FloatArray, slope: float) -> FloatArray:
    if values.size < 3:
        return values
    guess = values[-2] + slope * (knots[-1] - knots[-2])
    return np.r_[values[:-1], min(float(values[-1]), float(guess))]


class LeftOut(NamedTuple):
    """Configurations against what the others say of them, in scores."""

    score: FloatArray  # (m,) what they have
    expected: FloatArray  # (m,) what is predicted without them
    variance: FloatArray  # (m,) variance of that prediction, noise left out
    near: FloatArray  # (c, m) how near the candidates are to them, in [0, 1]


@dataclass(frozen=True, slots=True)
@checked("region", fewest=1, freedom=3)
class FrozenResiduals:
    """Adds to draws what they leave over.

    A deterministic objective has values that no smooth model explains, and the best of many cells has a share of them that
    smooth draws lack. How large they are is measured on configurations that are left out, where predictions are good:
    the mean square of what they miss, less the variance that the draws have already. Every cell of every draw gets a
    deviation of that size of its own, with heavy tails.

    Where configurations came out better than that explains, there may be a peak that is narrower than all else: cells near
    them deviate by more.

    Source: our own. On 24 grids of cross-validated scores, with the same deviation everywhere, normal tails and those of 5 degrees
    of freedom claimed too much; deviations that neighbouring cells share were no better.
    """

    region: float = 0.5  # share of the configurations, by prediction, that the size is measured on
    fewest: int = 12  # configurations that it is measured on at least
    freedom: int = 3  # degrees of freedom of Student's t
    # in what multiples of what is missed near them cells deviate by more; 0 for the same everywhere
    times: float = 3.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.times < np.inf:
            raise AnalysisError(f"times: must be finite and >= 0, got {self.times!r}; 3 is the default")

    def __call__(
        self, draws: NDArray[np.float32], left: LeftOut, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """(S, c) draws, in scores, with a deviation of its own in every cell, of the size that `left` tells."""
        deviation = rng.standard_t(self.freedom, draws.shape)
        deviation *= np.hypot(self.deviation(left), self.times * self.local(left))
        deviation *= np.sqrt(1.0 - 2.0 / self.freedom)
        return np.asarray(draws + deviation, dtype=np.float32)

    def local(self, left: LeftOut) -> FloatArray:
        """(c,) standard deviation of what is missed near every cell beyond `deviation`, in scores.

        Only what came out better than expected counts, twice: deviations alike on both sides, and no larger, give 0. The mean is
        over neighbours, and one more that misses nothing.
        """
        expected = left.variance + self.deviation(left) ** 2
        excess = 2.0 * np.maximum(left.score - left.expected, 0.0) ** 2 - expected
        average = left.near @ excess / (left.near.sum(axis=1) + 1.0)
        return np.asarray(np.sqrt(np.maximum(average, 0.0)))

    def deviation(self, left: LeftOut) -> float:
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
    members=1,
    leaf=1,
    forest_rows=50,
    process_rows=20,
    kernels=1,
    features=50,
)
class MixedPosterior:
    """Draws of the objective from bootstrapped trees and from Gaussian processes, half and half.

    Both learn the normal scores of the values, so that heavy tails, failures at the worst value and monotone transforms
    of the metric change nothing. A draw of the forest is the mean of a few of its trees, taken at random. A draw of the
    process is a joint one over all candidates, with the kernel's parameters drawn as well: from a normal approximation
    of their posterior.

    Large evidence is thinned: the best quarter stays, the others are drawn at random and, for the forest, weighted up.
    The order of the rows changes nothing.

    Source: Geurts, Ernst and Wehenkel (2006) for the trees; Rasmussen and Williams (2006), chapter 5, for the process;
    Wilson et al. (2020), 'Efficiently sampling functions from Gaussian process posteriors', for joint draws; the mixture
    is our own.
    """

    forest_draws: int = 320  # draws of the forest
    process_draws: int = 320  # draws of the Gaussian process
    trees: int = 200  # size of the forest that draws are taken from
    members: int = 5  # trees averaged per draw
    leaf: int = 2  # fewest trials of a leaf
    forest_rows: int = 800  # most configurations that the trees learn from
    process_rows: int = 500  # most configurations that the process is conditioned on
    kernels: int = 5  # how many sets of the kernel's parameters are drawn; 1 takes the most probable
    features: int = 1000  # random features of a prior draw
    # what draws leave over where values have no noise
    frozen: FrozenResiduals = field(default_factory=FrozenResiduals)
    # scores by a power of the values, which keeps how far apart the best are, in place of ranks
    power: bool = False
    seed: int = 0  # of everything random

    def __post_init__(self) -> None:
        if self.forest_draws + self.process_draws == 1:
            raise AnalysisError(
                "forest_draws and process_draws: at least 2 draws are needed together, or 0 for the process's means and deviations alone"
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
            read: (n, d) bools, whether the objective read the parameter; None where all are read. A value that was
                not read counts as a value of its own kind, at one distance from all others.
            candidates_read: (c, d) the same of the candidates.
            prior: (n,) and (c,) what is thought of the evidence and of the candidates before anything is seen, in scores.
                Trees and processes learn what it leaves unexplained. None for the same everywhere.
            exact: whether values have no noise. Candidates that were run then have their values in every draw, and the others
                what processes leave over: see `FrozenResiduals`. All draws are the process's: trees shrink what is best, and
                left-out values of grids of cross-validated scores were predicted better without them.
        """
        if exact and not self.forest_draws + self.process_draws:
            raise AnalysisError(
                "exact: what processes leave over is a part of draws, but forest_draws and process_draws are both 0; "
                "set one of them, such as process_draws=320"
            )
        table, values = matrix(_blank(X, read), cardinalities), column(y, "y")
        same_length(table.shape[0], values.size)
        cells = matrix(_blank(candidates, candidates_read), cardinalities, "candidates")
        if values.size == 0 or cells.shape[0] == 0:
            raise AnalysisError(
                f"X: at least 5 trials and 1 candidate are needed, got {values.size} and {cells.shape[0]}; "
                "run more trials first"
            )
        seen = read_mask(read, table.shape)
        keyed = np.concatenate([table, seen], axis=1) if read is not None else table
        known = scored(keyed, values, exact, self.power)
        m = known.rows.size
        if m < 5:
            raise AnalysisError(
                f"X: at least 5 different configurations are needed, got {m}; run more trials first"
            )
        read_cells = read_mask(candidates_read, cells.shape)
        partly = [j for j in range(table.shape[1]) if not (seen[:, j].all() and read_cells[:, j].all())]
        rng = np.random.default_rng(self.seed)
        rows, weights = _thin(known.score, max(self.forest_rows, self.process_rows), rng)
        at = known.rows[rows]
        features = embed(table[at], seen[at], cardinalities, partly)
        cell_features = embed(cells, read_cells, cardinalities, partly)
        score = known.score[rows]
        thought, thought_cells = np.zeros(len(at)), np.zeros(len(cells))
        if prior is not None:
            before, thought_cells = column(prior[0], "prior"), column(prior[1], "prior")
            same_length(table.shape[0], before.size)
            same_length(cells.shape[0], thought_cells.size)
            thought = before[at]
            score = score - thought
        trees, sd = 0 if exact else self.forest_draws, np.zeros(0)
        parts: list[tuple[Float32Array, FloatArray, FloatArray]] = []
        if trees:
            parts.append(self._forest(features.table, score, weights, cell_features.table, rng))
        if exact or self.process_draws or not trees:
            paths = self.process_draws + self.forest_draws - trees
            drawn, left, sd = self._process(features, score, cell_features, paths, rng)
            if exact:
                drawn = (self.frozen(drawn[0], left, np.random.default_rng(self.seed)), *drawn[1:])
            parts.append(drawn)
        scores = np.concatenate([part[0] for part in parts])
        mean, known_mean = (np.mean([part[k] for part in parts], axis=0) for k in (1, 2))
        mean, known_mean = mean + thought_cells, known_mean + thought
        if prior is not None:
            scores = np.clip(scores + thought_cells.astype(np.float32), -_EDGE, _EDGE)
        if exact:
            of_cells = np.concatenate([cells, read_cells], axis=1) if read is not None else cells
            ran, which = _same_rows(of_cells, keyed[known.rows])
            scores[:, ran] = known.score[which].astype(np.float32)
            mean[ran], known_mean = known.score[which], known.score[rows]
        return Posterior(scores, trees, mean, at, known_mean, known.knots, known.values, known.slope, m, sd)

    def _forest(
        self,
        features: FloatArray,
        score: FloatArray,
        weights: FloatArray,
        cells: FloatArray,
        rng: np.random.Generator,
    ) -> tuple[Float32Array, FloatArray, FloatArray]:
        from scipy.special import ndtr, ndtri

        from refine.stats.forest import fit_forest

        rows = np.arange(score.size)
        if score.size > self.forest_rows:
            rows, again = _thin(score, self.forest_rows, rng)
            weights = weights[rows] * again
        table = features.astype(np.float32)
        # Ranks, not scores: the trees' means must not hang on the few best.
        target = np.asarray(ndtr(score[rows]))
        unequal = None if np.all(weights == 1.0) else weights
        forest = _once(
            lambda: fit_forest(table[rows], target, unequal, self.trees, self.seed, self.leaf),
            (table[rows], target, weights),
            (self.trees, self.seed, self.leaf),
            rng,
        )
        edge = ndtr(_EDGE)
        predicted = forest.predict(cells.astype(np.float32)).astype(np.float32)
        pick = np.zeros((self.forest_draws, self.trees), dtype=np.float32)
        chosen = np.argsort(rng.random((self.forest_draws, self.trees)), axis=1)[:, : self.members]
        np.put_along_axis(pick, chosen, np.float32(1.0 / self.members), axis=1)
        drawn = ndtri(np.clip(pick @ predicted, 1.0 - edge, edge)).astype(np.float32)
        mean = np.asarray(ndtri(np.clip(predicted.mean(axis=0, dtype=np.float64), 1.0 - edge, edge)))
        own = forest.predict(table).mean(axis=0)
        return drawn, mean, np.asarray(ndtri(np.clip(own, 1.0 - edge, edge)))

    def _process(
        self, features: Kernel, score: FloatArray, cells: Kernel, draws: int, rng: np.random.Generator
    ) -> tuple[tuple[Float32Array, FloatArray, FloatArray], LeftOut, FloatArray]:
        from scipy.linalg import cho_factor, cho_solve, solve_triangular

        rows = np.arange(score.size)
        if score.size > self.process_rows:
            rows, _ = _thin(score, self.process_rows, rng)
        known = features.take(rows)
        sets = _once(
            lambda: fit_kernel(known, score[rows], self.kernels, rng),
            (known.table, known.owner, score[rows]),
            (known.size, self.kernels),
            rng,
        )
        share = np.diff(np.linspace(0, draws, len(sets) + 1).astype(np.int64))
        # Of what is expected; squares tell deviations where nothing is drawn.
        mean, square = np.zeros((2, len(cells.table)))
        own, parts = np.zeros(score.size), [np.zeros((0, len(mean)), dtype=np.float32)]
        expected, variance = np.zeros((len(sets), rows.size)), np.zeros(rows.size)
        near = np.zeros((len(cells.table), rows.size))
        for k, (parameters, paths) in enumerate(zip(sets, share, strict=True)):
            everywhere = features.scaled(parameters.lengths)
            x, c = everywhere[rows], cells.scaled(parameters.lengths)
            covariance = parameters.covariance(x, x)
            factor = cho_factor(covariance + (parameters.noise + 1e-6) * np.eye(len(x)), lower=True)
            across = parameters.covariance(c, x)
            centre = float(score[rows].mean())
            solved = cho_solve(factor, score[rows] - centre)
            expects = centre + across @ solved
            mean += expects / len(sets)
            own += (centre + parameters.covariance(everywhere, x) @ solved) / len(sets)
            if not draws:
                told = solve_triangular(factor[0], across.T, lower=True, check_finite=False)
                rest = np.maximum(parameters.variance - np.sum(told * told, axis=0), 0.0)
                square += (rest + expects**2) / len(sets)
                continue
            # Rasmussen and Williams (2006), section 5.4.2: what is predicted of a row without it.
            alone = 1.0 / np.diag(cho_solve(factor, np.eye(len(x))))
            expected[k] = score[rows] - solved * alone
            variance += np.maximum(alone - parameters.noise, 0.0) / len(sets)
            near += (across / parameters.variance) ** 4 / len(sets)
            # A prior draw from random features, moved by what it misses at the trials (Matheron's rule).
            omega = rng.standard_normal((x.shape[1], self.features))
            omega *= np.sqrt(5.0 / rng.chisquare(5.0, self.features))
            phase = rng.uniform(0.0, 2.0 * np.pi, self.features)
            weight = np.sqrt(2.0 * parameters.variance / self.features)
            weight = weight * rng.standard_normal((self.features, int(paths)))
            missed = (score[rows] - centre)[:, None] - np.cos(x @ omega + phase) @ weight
            missed -= np.sqrt(parameters.noise) * rng.standard_normal(missed.shape)
            update = cho_solve(factor, missed).astype(np.float32)
            wave = np.cos((c @ omega + phase).astype(np.float32))
            drawn = wave @ weight.astype(np.float32) + across.astype(np.float32) @ update
            parts.append((drawn + np.float32(centre)).T)
        left = LeftOut(score[rows], expected.mean(axis=0), variance + expected.var(axis=0), near)
        sd = np.zeros(0) if draws else np.sqrt(np.maximum(square - mean**2, 1e-12))
        return (np.clip(np.concatenate(parts), -_EDGE, _EDGE), mean, own), left, sd


# What was fitted last, and the generator's state after it: a review asks for several sets of candidates on one evidence.
_FITTED: dict[tuple[Any, ...], tuple[Any, Any]] = {}

_KEPT = 4


def _once(
    fit: Callable[[], T],
    arrays: tuple[FloatArray | Float32Array | IntArray, ...],
    numbers: tuple[int, ...],
    rng: np.random.Generator,
) -> T:
    """What a fit gives, without fitting the same again. Equal arrays, numbers and states of the generator give the same."""
    key = (
        *(a.shape for a in arrays),
        *(a.tobytes() for a in arrays),
        *numbers,
        repr(rng.bit_generator.state),
    )
    if key not in _FITTED:
        found = fit()
        while len(_FITTED) >= _KEPT:
            _FITTED.pop(next(iter(_FITTED)), None)
        _FITTED[key] = found, rng.bit_generator.state
    found, rng.bit_generator.state = _FITTED[key]
    return found


def _thin(score: FloatArray, rows: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Row numbers, the best quarter and a sample of the others, and the weights that make up for the sample."""
    if score.size <= rows:
        return np.arange(score.size), np.ones(score.size)
    best = rows // 4
    order = np.argsort(-score, kind="stable")
    others = order[best:][subsample(score.size - best, rows - best, rng)]
    weights = np.full(rows, (score.size - best) / (rows - best))
    weights[:best] = 1.0
    return np.concatenate((order[:best], others)), weights


def _same_rows(cells: FloatArray, known: FloatArray) -> tuple[IntArray, IntArray]:
    """Numbers of the cells that are among known rows, and the numbers of those rows."""
    code = row_codes(np.round(np.concatenate([known, cells]), 9) + 0.0)
    row = {number: i for i, number in enumerate(code[: len(known)].tolist())}
    which = np.array([row.get(number, -1) for number in code[len(known) :].tolist()], dtype=np.int64)
    return np.flatnonzero(which >= 0), which[which >= 0]


def _blank(X: ArrayLike, read: ArrayLike | None) -> FloatArray:
    """What was not read has no value; 0 stands for it."""
    table = np.asarray(X, dtype=np.float64)
    return table if read is None else np.where(read_mask(read, table.shape), table, 0.0)


def read_mask(read: ArrayLike | None, shape: tuple[int, ...]) -> BoolArray:
    """What was read as (n, d) bools, everything where nobody said."""
    if read is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.asarray(read, dtype=np.bool_)
    if mask.shape != shape:
        raise AnalysisError(f"read: needs shape {shape}, one answer per trial and column, got {mask.shape}")
    return mask


def constrained(posterior: Posterior, slacks: Sequence[Posterior], feasible: BoolArray) -> Posterior:
    """The objective where it counts: draws of it, at the worst score wherever the same draw of a constraint is broken.

    The best of a draw is then its best feasible candidate; of a draw without one every candidate is as good, so that it
    is lost by no box. Means are those of the draws, so that a candidate that is rarely feasible has a low one.

    Source: Gardner et al. (2014), 'Bayesian optimization with inequality constraints', for modelling constraints apart
    from the objective; joint draws of both in place of expected improvement are our own.

    Args:
        posterior: Of the objective, over the candidates.
        slacks: Of every constraint, over the same candidates with as many draws: by how much it is met, 0 or more where
            it is.
        feasible: (n,) which of the rows that the posterior learned from meet all constraints.
    """
    if not slacks:
        return posterior
    floor = float(posterior.knots[0])
    allowed = np.ones(posterior.scores.shape, dtype=np.bool_)
    for slack in slacks:
        allowed &= slack.scores >= _bound(slack)
    worst = np.float32(posterior.scores.min(initial=np.float32(floor)) - 1.0)
    # Without draws a normal deviation tells how often each is met.
    share = allowed.mean(axis=0) if len(allowed) else _chance(slacks)
    return posterior._replace(
        scores=np.where(allowed, posterior.scores, worst),
        mean=share * posterior.mean + (1.0 - share) * floor,
        known_mean=np.where(feasible[posterior.known], posterior.known_mean, floor),
    )


def _chance(slacks: Sequence[Posterior]) -> FloatArray:
    """(candidates,) probability that every slack is 0 or more, by means and deviations."""
    from scipy.special import ndtr

    return np.asarray(np.prod([ndtr((slack.mean - _bound(slack)) / slack.sd) for slack in slacks], axis=0))


def _bound(slack: Posterior) -> float:
    """The score from which on a slack is 0 or more."""
    # Scores rise with slack: the bound lies between the largest broken one seen and the smallest met one.
    if slack.values[0] >= 0.0:
        return -np.inf
    return np.inf if slack.values[-1] < 0.0 else float(np.interp(0.0, slack.values, slack.knots))


@dataclass(frozen=True, slots=True)
@checked(rows=5)
class PriorEvidence:
    """How much more probable the trials are with a prior mean than with its opposite.

    Both are Gaussian processes over normal scores of the values, with the kernel that is most probable without a prior
    mean. Held against its opposite, and not against none, a prior mean that is right in where it rises is not refuted by
    rising too far. Trials may have been chosen by the results of others: what chose them cancels in the ratio.

    Source: Rasmussen and Williams (2006), equations 2.30 and 2.42, for the marginal likelihood with a constant that is not
    known; Kass and Raftery (1995), 'Bayes Factors'. The opposite is our own.
    """

    rows: int = 180  # most configurations that are looked at
    seed: int = 0  # of their choice

    def __call__(self, X: ArrayLike, y: ArrayLike, prior: ArrayLike, cardinalities: Sequence[int]) -> float:
        """The natural logarithm of the ratio; 0 where the (n,) prior mean, in scores, is the same for all."""
        return float(self.parts(X, y, column(prior, "prior")[:, None], cardinalities)[0])

    def parts(
        self, X: ArrayLike, y: ArrayLike, priors: ArrayLike, cardinalities: Sequence[int]
    ) -> FloatArray:
        """(k,) what each of (n, k) prior means that add up adds to the logarithm; that of each alone, too."""
        table, values, thought = matrix(X, cardinalities), column(y, "y"), np.asarray(priors, dtype=float)
        same_length(table.shape[0], values.size)
        same_length(table.shape[0], len(thought))
        known = scored(table, values)
        rng = np.random.default_rng(self.seed)
        take = subsample(known.rows.size, self.rows, rng)
        rows, score = known.rows[take], known.score[take]
        if rows.size < 5 or not thought.size or np.ptp(thought[rows]) == 0 or np.ptp(score) == 0:
            return np.zeros(thought.shape[1])
        features = embed(table[rows], np.ones((rows.size, table.shape[1]), dtype=np.bool_), cardinalities, [])
        parameters = fit_kernel(features, score, 1, rng)[0]
        return _gain(features.scaled(parameters.lengths), score, thought[rows], parameters)


def _gain(x: FloatArray, score: FloatArray, thought: FloatArray, parameters: Parameters) -> FloatArray:
    from scipy.linalg import cho_factor, cho_solve

    covariance = parameters.covariance(x, x) + (parameters.noise + 1e-6) * np.eye(len(x))
    factor = cho_factor(covariance, lower=True)
    ones = cho_solve(factor, np.ones(len(x)))
    level = (ones @ score) / ones.sum()
    # Squares of the prior mean are the same in both and cancel.
    return np.asarray(2.0 * (thought - (ones @ thought) / ones.sum()).T @ cho_solve(factor, score - level))
