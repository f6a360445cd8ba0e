"""Luck in the best value: of many noisy values, of seeds, of validation examples, and of effort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import FloatArray, check_count, checked, column, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Inflation(NamedTuple):
    """The best value, corrected for the selection."""

    best: float  # the best measured value
    expected: float  # mean overstatement of the true value, in units of the metric, >= 0
    honest: float  # best - expected: the expected value of the winner when trained again
    n: int  # number of values that the best was chosen from


@dataclass(frozen=True, slots=True)
@checked(draws=10, rows=10)
class Optimism:
    """Expected overstatement of the best of n noisy values.

    True values are modelled by the measured ones, shrunk towards their median to the spread without noise,
    sqrt(S^2 - sd^2); S is measured above the median only, since failures say nothing about the top. New noise
    is added many times, and the winner compared with its own truth.

    This corrects for the noise of retraining only. Seeds don't renew the validation split: all trials share
    its chance, which only a sealed hold-out reveals.

    Source: the shrinkage is James and Stein's (1961); the simulation of the upper half is ours.
    """

    draws: int = 400  # simulated rounds
    rows: int = 2000  # number of best values in the simulation; other values never win
    seed: int = 0

    def __call__(self, y: ArrayLike, sd: float) -> Inflation:
        """Estimate the overstatement.

        `sd` is the noise of retraining, in units of the metric, as from `TopNoise`.
        """
        values = column(y, "y")
        if values.size == 0:
            raise AnalysisError("y: at least one trial is needed, got none")
        if not 0.0 <= sd < np.inf:
            raise AnalysisError(f"sd: must be finite and >= 0, got {sd!r}; 0 declares exact values")
        median = float(np.median(values))
        above = values[values > median] - median
        if above.size:
            spread2 = float(np.mean(above**2))
        else:
            spread2 = 0.0
        if spread2 > 0:
            shrink = np.sqrt(max(0.0, 1.0 - sd**2 / spread2))
        else:
            shrink = 0.0
        truth = median + shrink * (np.sort(values)[-self.rows :] - median)
        noise = np.random.default_rng(self.seed).normal(scale=sd, size=(self.draws, truth.size))
        winner = np.argmax(truth + noise, axis=1)
        expected = max(0.0, float(noise[np.arange(self.draws), winner].mean()))
        best = float(values.max())
        return Inflation(best, expected, best - expected, values.size)


class NewSeedsEstimate(NamedTuple):
    """The winner of a round after retraining."""

    best: float  # its measured value when it won
    value: float  # mean of its runs under new seeds, which had no part in the choice
    low: float  # ends of the interval of its mean over all seeds
    high: float
    runs: int  # number of its new runs
    # degrees of freedom of the interval, from all repeated configurations; with 0, the ends are NaN
    freedom: int


@dataclass(frozen=True, slots=True)
@checked("confidence")
class NewSeeds:
    """The winner's mean over new seeds, with Student's interval on the deviation pooled over configurations.

    New seeds are independent of the selection: the mean is unbiased. Three runs of a single configuration
    alone would give an interval at least twice as wide, for want of degrees of freedom. The best of the new
    means would be a selection again, and isn't used.

    It corrects for the chance of seeds, not of the validation rows: see `ExampleBootstrap`.

    Source: Student (1908), with the pooled variance of the one-way layout.
    """

    confidence: float = 0.95

    def __call__(self, best: float, y: ArrayLike, groups: ArrayLike, winner: object) -> NewSeedsEstimate:
        """The winner, with the value `best` when chosen, by (n,) new runs of several configurations.

        `groups` are the labels of their configurations, `winner` is the label of the winner.
        """
        from scipy.special import stdtrit

        values = column(y, "y")
        labels = np.asarray(groups)
        same_length(labels.size, values.size)
        own_runs = values[labels == winner]
        if own_runs.size == 0:
            raise AnalysisError(f"winner: {winner!r} has no new run; replicate it first")
        _, index = np.unique(labels, return_inverse=True)
        size = np.bincount(index)
        centred = values - (np.bincount(index, weights=values) / size)[index]
        freedom = int(values.size - size.size)
        value = float(own_runs.mean())
        if freedom == 0:
            return NewSeedsEstimate(float(best), value, np.nan, np.nan, own_runs.size, 0)
        error = np.sqrt(centred @ centred / freedom / own_runs.size)
        half = float(stdtrit(freedom, 0.5 + self.confidence / 2.0) * error)
        return NewSeedsEstimate(float(best), value, value - half, value + half, own_runs.size, freedom)


Scorer = Callable[[FloatArray], FloatArray]
"""Weights of examples (b, n) -> scores (models, b), higher is better; NaN where undefined."""


class Corrected(NamedTuple):
    """The winner on examples that had no part in the choice."""

    best: float  # best score on all examples
    value: float  # mean score of the winners on the examples that were left out
    low: float  # ends of the interval
    high: float
    models: int  # number of models chosen from
    examples: int  # number of examples


def paired_error(scores: Scorer, examples: int, resamples: int = 200, seed: int = 0) -> float:
    """Standard error of the difference of two equally good models, from the validation examples.

    The difference of two models' scores on the same examples, the median over all pairs, in units of the
    score; 0 if unknown. Examples that all models get right, or wrong, cancel: the error is smaller than that
    of either score. At least 10 examples are needed.

    Source: the paired bootstrap, Efron and Tibshirani (1993), chapter 6.
    """
    if examples < 10:
        raise AnalysisError(f"examples: at least 10 are needed, got {examples}")
    check_count(resamples, "resamples", 20)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(examples, np.full(examples, 1.0 / examples), size=resamples)
    errors = scores(drawn.astype(float))
    errors = errors[:, np.isfinite(errors).all(axis=0)]
    if len(errors) < 2 or errors.shape[1] < 20:
        return 0.0
    covariance = np.cov(errors)
    i, j = np.triu_indices(len(errors), 1)
    variance = covariance[i, i] + covariance[j, j] - 2.0 * covariance[i, j]
    return float(np.sqrt(np.median(np.maximum(variance, 0.0))))


@dataclass(frozen=True, slots=True)
@checked("confidence", resamples=20)
class ExampleBootstrap:
    """Bootstrap bias correction: choose on drawn examples, measure on the rest.

    As many examples as there are get drawn with replacement. The best model on the drawn ones (ties at
    random) is measured on the others, about 37 %. The interval holds the central share of the scores. The
    choice sees 63 % of the examples only, and the measurement 37 %: the value errs to the low side and the
    interval to the wide one.

    Models are taken as trained: the correction is for the chance of the examples, not of seeds.

    Source: Tsamardinos, Greasidou and Borboudakis (2018), BBC-CV, on one split instead of pooled folds.
    """

    resamples: int = 500
    confidence: float = 0.95
    seed: int = 0

    def __call__(self, scores: Scorer, examples: int) -> Corrected:
        """Correct the best score of the models, on at least 10 examples."""
        if examples < 10:
            raise AnalysisError(f"examples: at least 10 are needed, got {examples}")
        rng = np.random.default_rng(self.seed)
        overall = scores(np.ones((1, examples)))[:, 0]
        drawn = rng.multinomial(examples, np.full(examples, 1.0 / examples), size=self.resamples).astype(
            float
        )
        inside = scores(drawn)
        outside = scores((drawn == 0).astype(float))
        if not np.isfinite(overall).any():
            raise AnalysisError("scores: none is defined on these examples")
        # Metrics of few examples tie often. The list is sorted by all examples, so a tie must not go to the
        # first.
        best = np.where(np.isnan(inside), -np.inf, inside)
        tied = best == best.max(axis=0)
        winner = np.where(tied, rng.random(best.shape), -1.0).argmax(axis=0)
        corrected = outside[winner, np.arange(self.resamples)]
        corrected = corrected[np.isfinite(corrected)]
        if corrected.size == 0:
            raise AnalysisError("scores: none is defined on the examples left out")
        tail = (1.0 - self.confidence) / 2.0
        low, high = np.quantile(corrected, (tail, 1.0 - tail))
        best_whole = float(np.nanmax(overall))
        return Corrected(best_whole, float(corrected.mean()), float(low), float(high), len(overall), examples)


_MOST_CLASSES = 20

ACCURACY = ("acc", "accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
CONFUSION = ("fmeasure", "f1", "f1_score", "precision", "recall", "balanced_accuracy", "matthews", "mcc")
DISTANCES: dict[str, Callable[[FloatArray], FloatArray]] = {
    **dict.fromkeys(("mse", "mean_squared_error"), np.square),
    **dict.fromkeys(("mae", "mean_absolute_error"), np.abs),
}


def scorer(name: str, predictions: ArrayLike, targets: ArrayLike) -> Scorer | None:
    """A function of example weights that gives the metric of all models, in its own sign.

    ``None`` for an unknown metric.

    Args:
        name: Name of the metric, without ``val_``: an accuracy, ``fmeasure``, ``precision``, ``recall``,
            ``balanced_accuracy``, ``matthews`` (binary or macro, as in `refine.keras`), or a mean squared or
            absolute error.
        predictions: (models, n, outputs): one output is a probability of class 1, several are scores of
            classes.
        targets: (n,) numbers of classes, or quantities.
    """
    outputs = np.asarray(predictions, dtype=np.float32)
    right = np.asarray(targets, dtype=np.float32)
    if name in DISTANCES:
        if outputs.shape[2] != 1:
            return None
        return row_means(DISTANCES[name](np.asarray(outputs[:, :, 0] - right, dtype=float)))
    if name not in (*ACCURACY, *CONFUSION) or not np.array_equal(right, np.round(right)):
        return None
    classes = max(2, outputs.shape[2])
    if right.min() < 0 or right.max() >= classes:
        return None
    if outputs.shape[2] > 1:
        picked = outputs.argmax(axis=2)
    else:
        picked = (outputs[:, :, 0] > 0.5).astype(int)
    if name in ACCURACY:
        return row_means((picked == right).astype(float))
    if classes > _MOST_CLASSES:
        return None
    return _confusion(name, picked, right.astype(int), classes)


def row_means(values: FloatArray) -> Scorer:
    """A function of example weights that gives the weighted means of (models, n) scores by example."""

    def scores(weights: FloatArray) -> FloatArray:
        return np.asarray(values @ weights.T / weights.sum(axis=1), dtype=float)

    return scores


def _confusion(name: str, picked: FloatArray, right: FloatArray, classes: int) -> Scorer:
    def scores(weights: FloatArray) -> FloatArray:
        matrix = np.empty((classes, classes, len(picked), len(weights)))
        for i in range(classes):
            of_class = right == i
            for j in range(classes):
                matrix[i, j] = (picked[:, of_class] == j).astype(float) @ weights[:, of_class].T
        return _ratio(name, matrix)

    return scores


def _ratio(name: str, matrix: FloatArray) -> FloatArray:
    hits = np.einsum("iimb->imb", matrix)
    true = matrix.sum(axis=1)
    predicted = matrix.sum(axis=0)
    if name in ("matthews", "mcc"):
        total = true.sum(axis=0)
        share_true = true / total
        share_predicted = predicted / total
        covariance = hits.sum(axis=0) / total - (share_true * share_predicted).sum(axis=0)
        spread = (share_true * (1 - share_true)).sum(axis=0) * (share_predicted * (1 - share_predicted)).sum(
            axis=0
        )
        return _divide(covariance, np.sqrt(spread))
    if name == "balanced_accuracy":
        return _divide(_divide(hits, true).sum(axis=0), (true > 0).sum(axis=0).astype(float))
    if name == "precision":
        score = _divide(hits, predicted)
    elif name == "recall":
        score = _divide(hits, true)
    else:
        score = _divide(2 * hits, predicted + true)
    if len(matrix) == 2:
        return score[1]
    occurs = predicted + true > 0
    return _divide((score * occurs).sum(axis=0), occurs.sum(axis=0).astype(float))


def _divide(a: FloatArray, b: FloatArray) -> FloatArray:
    """Quotient, 0 where the denominator is 0."""
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b > 0)


class Components(NamedTuple):
    """Standard deviations, in units of the metric; NaN if unknown."""

    # between the true values of the repeated configurations. These were chosen for being good, so all
    # configurations of the space differ by more.
    configuration: float
    seed: float  # within a configuration, between seeds; each value is a mean over the splits
    # part of the mean over the splits that depends on the choice of the splits and differs between
    # configurations, so that it can change their order
    split: float
    groups: int  # number of configurations
    runs: int  # number of runs


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Components of variance of runs that are grouped by configuration, by the analysis of variance.

    Negative estimates are 0. Source: Searle, Casella and McCulloch (1992), chapter 3: the unbalanced one-way
    model, and for splits the interaction of the two-way model of configurations' means.
    """

    def __call__(self, y: ArrayLike, groups: ArrayLike, splits: ArrayLike | None = None) -> Components:
        """Estimate the components of (n,) runs.

        `groups` are (n,) sortable labels of configurations; `splits` (n, s) the values of the runs on s
        common splits, of which `y` is the mean.
        """
        values = column(y, "y")
        labels = np.asarray(groups)
        same_length(labels.size, values.size)
        names, index = np.unique(labels, return_inverse=True)
        if values.size:
            size = np.bincount(index)
        else:
            size = np.zeros(0, dtype=np.int64)
        freedom = int(np.sum(size - 1))
        centred = values - (np.bincount(index, weights=values) / np.maximum(size, 1))[index]
        if freedom:
            seed = float(np.sqrt(centred @ centred / freedom))
        else:
            seed = np.nan
        configuration = np.nan
        if len(names) > 1 and np.isfinite(seed):
            means = np.bincount(index, weights=values) / size
            grand = values.mean()
            between = float(size @ (means - grand) ** 2) / (len(names) - 1)
            typical = (values.size - float(size @ size) / values.size) / (len(names) - 1)
            configuration = float(np.sqrt(max(0.0, (between - seed**2) / typical)))
        if splits is None:
            split = np.nan
        else:
            split = _split(np.asarray(splits, dtype=float), index, size)
        return Components(configuration, float(seed), split, len(names), int(values.size))


def _split(table: np.ndarray, index: np.ndarray, size: np.ndarray) -> float:
    """Deviation that configuration-by-split interaction adds to a mean over the splits."""
    if table.ndim != 2 or len(table) != len(index) or not np.isfinite(table).all():
        raise AnalysisError(
            f"splits: needs one finite value per run and split, shape ({len(index)}, s), got {table.shape}"
        )
    k = len(size)
    s = table.shape[1]
    if k < 2 or s < 2:
        return float("nan")
    means = np.stack([np.bincount(index, weights=table[:, j]) / size for j in range(s)], axis=1)
    deviations = means - means.mean(axis=1, keepdims=True) - means.mean(axis=0) + means.mean()
    interaction = float((deviations**2).sum()) / ((k - 1) * (s - 1))
    # The interaction includes the effect of seeds on single splits, which the repeats of a configuration
    # show.
    within = table - table.mean(axis=1, keepdims=True)
    centre = np.stack([np.bincount(index, weights=within[:, j]) / size for j in range(s)], axis=1)[index]
    freedom = int(np.sum(size - 1)) * (s - 1)
    if freedom:
        noise = float(((within - centre) ** 2).sum()) / freedom
    else:
        noise = 0.0
    return float(np.sqrt(max(0.0, interaction - noise * float(np.mean(1.0 / size))) / s))


def expected_best(y: ArrayLike, m: int) -> float:
    """Average best of m of n trials over all subsets of m.

    The mean of `y` for m = 1, its largest value for m = n.

    The best of 50 trials beats the best of 5 even without a difference: compare bests at equal numbers. The
    i-th smallest value is the best of C(i - 1, m - 1) of the C(n, m) subsets. The average is unbiased for the
    best of m new trials, unlike draws with replacement. It has no interval: the best of m new trials exceeds
    all n values with probability m / (n + m), and for m near n no interval exists.

    Source: Dodge et al. (2019), 'Show Your Work'; Tang et al. (2020), 'Showing Your Work Doesn't Always
    Work', for the unbiased mean.
    """
    check_count(m, "m")
    values = np.sort(column(y, "y"))
    n = values.size
    if m > n:
        raise AnalysisError(f"m: must be <= the number of trials, got the best of {m} of {n}; ask for fewer")
    # C(i - 1, m - 1) / C(n, m), from the largest value down: m / n first, then times (i - m) / (i - 1) each.
    i = np.arange(n, m, -1)
    weights = m / n * np.concatenate(([1.0], np.cumprod((i - m) / (i - 1.0))))
    return float(weights @ values[::-1][: weights.size])
