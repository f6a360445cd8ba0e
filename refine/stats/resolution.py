"""The smallest meaningful difference: its source and its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.stats._common import BoolArray, FloatArray, IntArray, checked, column, matrix, same_length
from refine.stats.kernel import embed, fit_kernel, partly_read
from refine.stats.posterior import ScoredTrials, read_mask, scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

_MAD = 1.4826  # factor from a median absolute deviation to a standard deviation, for normal errors
_FEWEST = 12  # fewest configurations for residuals
_SLOPES = 12  # places among the best values at which slopes are compared
_ROWS = 300  # largest number of configurations for the model
_ROUNDING = 1e-6  # relative rounding error: metrics are often means in single precision
# relative error of a value in single and in double precision
_SINGLE = 2e-7
_DOUBLE = 1e-12
FLOOR = 0.05  # share of the distance from the median to the best value
_OCCUPIED = 0.2  # smallest share of the possible values that occurs in the better half
_GAPS = 2000  # largest number of distances between values
_ENDS = (0.0, 1.0, 100.0)  # ends of losses, shares and percentages
_EQUAL = 3  # fewest equal repeats of a deterministic objective


class NoiseEstimate(NamedTuple):
    """Noise of retraining and the smallest distinguishable difference, with its source."""

    # deviation of a run from the mean of its configuration, near the best values; 0 for a deterministic
    # objective, NaN if unknown
    sd: float
    # distance between neighbouring values of a metric with equally spaced values, such as one row of the
    # validation set; 0 for other metrics
    step: float
    # 'deterministic', 'replicates', 'residuals', 'neighbours' (runs of a table, one after the other),
    # 'below_step' (few repeats, equal up to the step of the metric) or 'none', for `sd`; 'step' if only the
    # step is known
    source: str
    # number of equal repeats for 'deterministic' and 'below_step', degrees of freedom for 'replicates',
    # number of configurations for 'residuals' and 'neighbours'
    n: int
    # standard error of the difference of two good models over folds or validation rows; 0 if unknown
    paired: float = 0.0
    paired_source: str = ""  # 'folds' or 'examples': the source of `paired`
    floor: float = 0.0  # 5 % of (best - median)
    floor_source: str = "range"  # 'decades' for a floor on a log scale
    freedom: float = 0.0  # degrees of freedom of `sd`; inf if deterministic, 0 if unknown

    @property
    def deterministic(self) -> bool:
        """True if a configuration gives the same value to the last bit on every run."""
        return self.source == "deterministic"

    @property
    def measured(self) -> bool:
        """True if `sd` is informative: among equal best values, residuals give an uninformative 0."""
        return self.deterministic or self.source == "replicates" or self.sd > 0

    @property
    def lower_sd(self) -> float:
        """Low estimate of the noise: `sd` less one standard error, on a log scale.

        0.6 of `sd` with 2 degrees of freedom, 0.8 with 10; `sd` itself with unknown or infinitely many.

        Source: Bartlett and Kendall (1946) for the variance of the logarithm, 1 / (2 freedom).
        """
        if not 0.0 < self.freedom < np.inf:
            return self.sd
        return float(self.sd * np.exp(-1.0 / np.sqrt(2.0 * self.freedom)))

    @property
    def epsilon(self) -> float:
        """The smallest meaningful difference, in units of the metric; NaN if unknown."""
        return self.tolerance()[0]

    @property
    def epsilon_source(self) -> str:
        """Source of `epsilon`: 'folds', 'examples', 'step', 'range' (the floor), or `source`."""
        return self.tolerance()[1]

    def tolerance(self, user_epsilon: float | None = None, share: float = 1.0) -> tuple[float, str]:
        """The tolerated loss and its source: the single place of this decision.

        The loss that the user set (None by default), in units of the metric; else from folds, validation
        rows, or repeated runs, in this order, and at least the step of the metric and 5 % of (best - median).
        Of an uncertain noise the low estimate counts: otherwise a proposal would cut ranges by ignorance of
        the noise. A `share` below 1 is for configurations with enough runs to detect smaller differences.
        """
        if user_epsilon is not None:
            return user_epsilon, "given"
        if self.paired > 0:
            epsilon = self.paired
            source = self.paired_source
        else:
            epsilon = share * self.lower_sd
            source = self.source
        for smallest, name in ((self.step, "step"), (self.floor, self.floor_source)):
            if smallest > 0 and not epsilon >= smallest:
                epsilon = smallest
                source = name
        return epsilon, source


@dataclass(frozen=True, slots=True)
@checked("region", least=1, fewest=3, rows=20)
class TopNoise:
    """Noise near the best values, from replicates if there are enough, else from residuals.

    Replicates: the deviation within configurations, pooled; single absurd values are pulled in to four robust
    deviations.

    Residuals: Gaussian processes on the normal scores of the values, with several kernels, state the noise of
    a score. Noise often grows with the loss, so the noise is scaled by the squared errors of predictions from
    the other configurations, in units of their variance, among the best predictions. The slope of the values
    over the scores among the best turns the noise into units of the metric. Values far from the best, or
    single values, do not decide.

    Source: Rasmussen and Williams (2006), section 5.4.2, for leaving one out; the combination is our own.
    """

    least: int = 5  # fewest degrees of freedom for an estimate from replicates
    region: float = 0.2  # share of the configurations, by prediction or by value, that counts as best
    fewest: int = 6  # fewest configurations that count as best
    rows: int = 300  # largest number of configurations for the model
    kernels: int = 8  # sets of kernel parameters drawn
    seed: int = 0  # seed of the sample of configurations

    def __call__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        cardinalities: Sequence[int],
        groups: ArrayLike | None = None,
        read: ArrayLike | None = None,
    ) -> NoiseEstimate:
        """Estimate the smallest distinguishable difference.

        'step' or 'none' under 12 configurations without replicates.

        `groups` are (n,) labels, equal for replicates of a configuration; `read` is (n, d) bools, whether the
        objective read the parameter, None if all are read.
        """
        values = column(y, "y")
        table = matrix(X, cardinalities)
        same_length(table.shape[0], values.size)
        step = smallest_step(values)
        if groups is not None:
            sd, freedom = within_groups(values, groups)
            if freedom >= self.least:
                return NoiseEstimate(sd, step, "replicates", freedom)
        was_read = read_mask(read, table.shape)
        table = np.where(was_read, table, 0.0)
        trials = scored(table if read is None else np.concatenate([table, was_read], axis=1), values)
        sparse = trials.rows.size < _FEWEST
        if sparse or np.ptp(trials.score) == 0:
            source = "residuals"
            sd = 0.0
            if sparse:
                source = "none"
                sd = np.nan
            if step > 0:
                source = "step"
            return NoiseEstimate(sd, step, source, trials.rows.size * (source != "none"))
        sd = self._top_slope(trials) * self._score_noise(table, was_read, trials, cardinalities)
        return NoiseEstimate(sd, step, "residuals", min(self.rows, trials.rows.size))

    def _top_slope(self, trials: ScoredTrials) -> float:
        """Median rise of the values per score among the best values."""
        order = np.sort(trials.score)[::-1]
        lowest = order[min(order.size - 1, max(4, round(self.region * order.size)))]
        scores = np.linspace(lowest, order[0], _SLOPES)
        values = np.interp(scores, trials.knots, trials.values)
        i, j = np.triu_indices(_SLOPES, 1)
        return float(np.median((values[j] - values[i]) / np.maximum(scores[j] - scores[i], 1e-12)))

    def _score_noise(
        self, table: FloatArray, was_read: BoolArray, trials: ScoredTrials, cardinalities: Sequence[int]
    ) -> float:
        """Standard deviation of the noise of a score near the best; the geometric mean over kernels."""
        rng = np.random.default_rng(self.seed)
        take = _best_and_others(trials.score, self.rows, rng)
        row_numbers = trials.rows[take]
        score = trials.score[take]
        features = embed(table[row_numbers], was_read[row_numbers], cardinalities, partly_read(was_read))
        count = max(self.fewest, round(self.region * score.size))
        logs = []
        for parameters in fit_kernel(features, score, self.kernels, rng):
            x = features.scaled(parameters.lengths)
            inverse = np.linalg.inv(parameters.covariance(x, x) + (parameters.noise + 1e-8) * np.eye(len(x)))
            variance = 1.0 / np.diag(inverse)
            missed = (inverse @ (score - score.mean())) * variance
            best = np.argsort(missed - score, kind="stable")[:count]
            excess = float(np.mean(missed[best] ** 2 / variance[best]))
            logs.append(np.log(parameters.noise * max(excess, 1e-12)) / 2)
        return float(np.exp(np.mean(logs)))


class LeaveOneOutNoise(NamedTuple):
    """Configurations and their predictions from the other configurations, in scores."""

    expected: FloatArray  # (m,) predictions from the other configurations
    score: FloatArray  # (m,) measured scores
    # (m,) part of the deviation of `score - expected` that is noise, in (0, 1]; the rest is error of the
    # model
    share: FloatArray
    # (m,) number of one row of each configuration
    rows: IntArray = np.zeros(0, dtype=np.int64)


def left_over(X: ArrayLike, y: ArrayLike, cardinalities: Sequence[int]) -> LeaveOneOutNoise:
    """Leave every configuration out once, with a Gaussian process on the normal scores of the values.

    Source: Rasmussen and Williams (2006), section 5.4.2.
    """
    values = column(y, "y")
    table = matrix(X, cardinalities)
    same_length(table.shape[0], values.size)
    everywhere = np.ones(table.shape, dtype=np.bool_)
    return _left_over(table, everywhere, scored(table, values), cardinalities, _ROWS, 0)


def _left_over(
    table: FloatArray,
    was_read: BoolArray,
    trials: ScoredTrials,
    cardinalities: Sequence[int],
    rows: int,
    seed: int,
) -> LeaveOneOutNoise:
    rng = np.random.default_rng(seed)
    take = _best_and_others(trials.score, rows, rng)
    row_numbers = trials.rows[take]
    score = trials.score[take]
    features = embed(table[row_numbers], was_read[row_numbers], cardinalities, partly_read(was_read))
    parameters = fit_kernel(features, score, 1, rng)[0]
    x = features.scaled(parameters.lengths)
    inverse = np.linalg.inv(parameters.covariance(x, x) + (parameters.noise + 1e-8) * np.eye(len(x)))
    variance = 1.0 / np.diag(inverse)
    missed = (inverse @ (score - score.mean())) * variance
    share = np.sqrt(np.minimum(parameters.noise / variance, 1.0))
    return LeaveOneOutNoise(score - missed, score, share, row_numbers)


def _best_and_others(score: FloatArray, rows: int, rng: np.random.Generator) -> IntArray:
    """Positions of at most ``rows`` scores: the best quarter, and a sample of the others."""
    if score.size <= rows:
        return np.arange(score.size)
    order = np.argsort(-score, kind="stable")
    best = rows // 4
    return np.r_[order[:best], rng.choice(order[best:], size=rows - best, replace=False)]


def within_groups(y: FloatArray, groups: ArrayLike) -> tuple[float, int]:
    """Pooled deviation within labelled groups of replicates, and its degrees of freedom.

    NaN and 0 without replicates.
    """
    import pandas as pd

    labels = np.asarray(groups)
    same_length(labels.size, y.size)
    index, names = pd.factorize(labels)
    freedom = labels.size - len(names)
    if not freedom:  # most rounds have no repeats
        return np.nan, 0
    several = (np.bincount(index) > 1)[index]
    values = pd.Series(y[several])
    group = index[several]
    # The median, because an absurd value would move the mean of its whole group.
    centre = values.groupby(group).transform("median")
    deviation = values - centre
    moved = deviation[deviation != 0].abs()
    if len(moved):
        robust = _MAD * float(moved.median())
    else:
        robust = 0.0
    drawn = centre + deviation.clip(-6.0 * robust, 6.0 * robust)
    sd = float(np.sqrt(np.sum((drawn - drawn.groupby(group).transform("mean")) ** 2) / freedom))
    # Rounding differences of equal values are not noise.
    return (0.0 if sd <= 1e-12 * float(np.abs(y).max()) else sd), freedom


def fold_error(scores: ArrayLike, ratio: float | None = None) -> float:
    """Standard error of the difference between two equally good configurations, from the choice of folds.

    The difference of two means over the same folds, the median over all pairs of (m, J) scores, in their
    units, corrected for shared training rows; 0 if unknown. `ratio` is rows tested on per row trained on, by
    default 1 / (J - 1), as for J folds.

    Source: Nadeau and Bengio (2003), 'Inference for the Generalization Error'.
    """
    table = np.asarray(scores, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 2:
        return 0.0
    folds = table.shape[1]
    i, j = np.triu_indices(len(table), 1)
    variance = float(np.median(np.var(table[i] - table[j], axis=1, ddof=1)))
    return float(np.sqrt(variance * (1 / folds + (1 / (folds - 1) if ratio is None else ratio))))


def floor_of(y: ArrayLike, even: ArrayLike | None = None) -> float:
    """The smallest loss worth mentioning: 5 % of (best - median) of (n,) finished values.

    The best value counts only as far up as the best tenth suggests, as in the posterior; an absurd value
    moves nothing.

    Args:
        y: (n,) finished values, larger is better.
        even: (m,) values of evenly drawn trials, for the median. Trials that a search chose gather near the
            best value: their median rises, and the tolerance would shrink round by round. Default ``y``.

    Source: our own, measured on families of functions; see docs/statistics.md.
    """
    values = np.asarray(y, dtype=float)
    if not values.size:
        return 0.0
    best = scored(np.arange(float(values.size))[:, None], values).values[-1]  # noqa: PD011 - of trials
    median = np.median(values if even is None else np.asarray(even, dtype=float))
    return FLOOR * max(0.0, float(best - median))


class ReplicateAgreement(NamedTuple):
    """Comparison of runs of the same configurations, to the last bit."""

    # number of runs that equal the first run of their configuration, without values of 0, 1 or 100: at the
    # ends of a metric, runs are equal in spite of noise
    equal: int
    unequal: int  # number of other runs

    def joined(self, other: ReplicateAgreement) -> ReplicateAgreement:
        """The sum of two comparisons."""
        return ReplicateAgreement(self.equal + other.equal, self.unequal + other.unequal)

    @property
    def deterministic(self) -> bool:
        """True if three runs or more agree that repeating a configuration gives an identical value.

        Two may agree by chance.
        """
        return not self.unequal and self.equal >= _EQUAL


def repeats(y: ArrayLike, groups: Sequence[object]) -> ReplicateAgreement:
    """Compare the runs of each configuration; runs of a configuration have equal labels."""
    first: dict[object, float] = {}
    equal = unequal = 0
    for value, group in zip(np.asarray(y, dtype=float).tolist(), groups, strict=True):
        if group not in first:
            first[group] = value
        elif value != first[group]:
            unequal += 1
        else:
            equal += not at_end(value)
    return ReplicateAgreement(equal, unequal)


def at_end(value: float) -> bool:
    """True if a value may be at the end of a metric's range, such as 1 for an accuracy."""
    return abs(value) in _ENDS


def repeats_often(y: FloatArray) -> bool:
    """True if more than one in ten configurations repeat the value of another; see `smallest_step`."""
    return bool(y.size > 1 and _gaps(y).size <= 0.9 * (y.size - 1))


def two_values(y: FloatArray) -> bool:
    """True if a metric has two distinct values, and more than one in ten configurations repeat a value."""
    return repeats_often(y) and _gaps(y).size == 1


def _gaps(y: FloatArray) -> FloatArray:
    """Differences between neighbouring values that rounding to single precision does not make."""
    gaps = np.diff(np.sort(y))
    return np.asarray(gaps[gaps > _ROUNDING * float(np.median(np.abs(y)))])


def smallest_step(y: FloatArray, further: FloatArray | None = None) -> float:
    """Difference between neighbouring values of a metric with equally spaced values, in its units.

    0 for other metrics, and if two of the ``further`` values, for example of later trials, lie closer
    together than half a step.

    Two distinct values show no step: their difference is the whole range, and as a tolerance would make the
    worse value as good as the better one. A metric counts as continuous if hardly any value occurs twice, if
    values are not whole numbers of steps apart, or if hardly any of the possible steps occurs, as with means
    over folds of unequal size.
    """
    if not repeats_often(y):
        return 0.0
    gaps = _gaps(y)
    if gaps.size < 2:
        return 0.0
    gaps = np.unique(gaps)
    if further is not None and further.size and (_gaps(further) < gaps[0] / 2).any():
        return 0.0
    with np.errstate(over="ignore"):
        if gaps.size and not np.isfinite(gaps[-1] / gaps[0]):
            return 0.0
    top = y[y >= np.median(y)]
    if not gaps.size or (_gaps(top).size + 1) * gaps[0] < _OCCUPIED * np.ptp(top):
        return 0.0
    gaps = gaps[np.linspace(0, gaps.size - 1, min(gaps.size, _GAPS)).round().astype(int)]
    if np.array_equal(np.float32(y), y):
        error = _SINGLE
    else:
        error = _DOUBLE
    size = float(np.median(np.abs(y)))
    # Every gap is compared with a multiple of the step; the longest gap so far gives the best estimate of the
    # step.
    step = float(gaps[0])
    largest = 1
    for gap in gaps.tolist():
        count = round(gap / step)
        allowed = error * max(size, gap) * (1 + count / largest)
        if allowed > 0.1 * step:  # longer gaps carry no information on the step
            if largest > 1:
                return step
            return 0.0
        if abs(gap - count * step) > allowed:
            return 0.0
        if count > largest:
            step = gap / count
            largest = count
    return step
