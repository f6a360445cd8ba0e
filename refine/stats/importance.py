"""Importance for being among the best trials: PED-ANOVA less its noise floor.

A rank correlation is blind to an optimum in the middle of a range; PED-ANOVA detects it by comparing the
places of the best trials with the places of all. :func:`refine.stats.joined` combines the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import (
    FloatArray,
    IntArray,
    check_count,
    check_share,
    checked,
    codes_of,
    column,
    same_length,
    top_mask,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_GRID = 50  # steps of an ordered axis, as in Optuna
_BLOCK = 20_000  # permutations at a time, which bounds the memory
_NARROWEST = 0.5 / 1.64  # bandwidth in steps: 90 % of a kernel within its own step, as in Optuna


class Importance(NamedTuple):
    """PED-ANOVA's importance of one parameter."""

    # `raw` minus `floor`, in units of `raw`; near 0, with either sign, for a parameter without an effect
    estimate: float
    low: float  # ends of the estimate's confidence interval
    high: float
    p: float  # one-sided permutation p-value, (1 + b) / (1 + B)
    # Pearson divergence between the densities of the top set and the region, times (m / n)^2, times the share
    # of trials in the region that read the parameter.
    raw: float
    floor: float  # mean of `raw` over the permutation null
    n: int  # trials in the region that read the parameter
    top: int  # trials in the top set that read the parameter, ties included


class Detection(NamedTuple):
    """Evidence for any effect of a parameter, from several tests combined."""

    p: float  # combined p-value, see :func:`refine.stats.cauchy_p`; 1 without a possible test
    p_importance: float  # p-value of PED-ANOVA
    p_trend: float  # p-value of Spearman's test, or of Kruskal and Wallis' for choices
    seen_by: str  # 'importance', 'trend' or 'additive', whichever has the smallest p-value


@dataclass(frozen=True, slots=True)
@checked("top", "confidence", permutations=1, resamples=1)
class PedAnova:
    """PED-ANOVA, one axis at a time, against its own permutation null.

    I = (g'/g)^2 * sum_x p_g(x) (p_g'(x) / p_g(x) - 1)^2 with g' the top share and g the region's. Densities
    are Parzen estimates on a grid of levels: truncated discretised normal kernels of bandwidth 1.059 min(IQR
    / 1.34, sd) m^(-1/5), and one wide prior kernel. The raw value equals Optuna's evaluator on the same grid.
    Under the null the top set is a random subset with multivariate hypergeometric level counts; rows are not
    shuffled, and 999 draws cost some 20 ms at any n.

    Source: Watanabe, Bansal and Hutter (2023), 'PED-ANOVA', arXiv:2304.10255; for conditional parameters
    Baba, Ozaki and Watanabe (2026), 'Conditional PED-ANOVA', arXiv:2601.20800.
    """

    top: float = 0.1  # g', share of the trials that counts as best
    region: float = 1.0  # g, share within which the parameter is judged
    permutations: int = 999  # B; the smallest p-value is 1 / (1 + B), see `permutations_needed`
    confidence: float = 0.95
    resamples: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.top < self.region <= 1.0:
            raise AnalysisError(
                f"region: must be above top ({self.top!r}) and at most 1, got {self.region!r}"
            )

    def __call__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        cardinality: int = 0,
        levels: ArrayLike | None = None,
        read: ArrayLike | None = None,
    ) -> Importance:
        """Measure the importance of a parameter.

        A conditional parameter is judged within the trials that read it, by the place of the best of *all*
        trials among them, times their share of the region's trials. The importance of reading it at all
        belongs to the deciding parameter.

        Args:
            x: (n,) positions in [0, 1], or codes with `cardinality`; arbitrary for trials that don't read the
                parameter.
            y: (n,) values.
            cardinality: Number of choices of an unordered parameter, 0 for an ordered one.
            levels: Increasing positions of an ordered parameter's levels; an x counts for the nearest.
                Without levels, the distinct positions if at most 50, else 50 even steps.
            read: (n,) bools, whether a trial reads the parameter; None if all trials do.

        Returns:
            The importance; zeros with p = 1 without a comparison (one level, under 4 trials, no top trial, or
            a top set that is the whole region because of ties).
        """
        values = column(y, "y")
        if read is None:
            is_read = np.ones(values.size, np.bool_)
        else:
            is_read = np.asarray(read, dtype=np.bool_)
        same_length(np.size(x), values.size)
        same_length(is_read.size, values.size)
        index, size = _on_grid(np.asarray(x)[is_read], cardinality, levels)
        region = is_read
        best = is_read
        if values.size:
            region = top_mask(values, self.region)
            best = top_mask(values, self.top)
        region_size = int(region.sum())
        region = region[is_read]
        best = best[is_read]
        n = int(region.sum())
        m = int(best.sum())
        if n < 4 or m in (0, n) or size < 2:
            return Importance(0.0, 0.0, high=0.0, p=1.0, raw=0.0, floor=0.0, n=n, top=m)
        everywhere = np.bincount(index[region], minlength=size)
        among_best = np.bincount(index[best], minlength=size)
        scale = (m / n) ** 2 * n / region_size
        if cardinality:
            density = _choice_density
        else:
            density = _step_density
        rng = np.random.default_rng(self.seed)

        ground = density(everywhere[None, :])
        raw = float(scale * _divergence(density(among_best[None, :]), ground)[0])
        null = np.empty(self.permutations)
        for first in range(0, self.permutations, _BLOCK):
            block = slice(first, min(first + _BLOCK, self.permutations))
            drawn = rng.multivariate_hypergeometric(everywhere, m, size=block.stop - first)
            some, row_of = _distinct(drawn, m)
            null[block] = (scale * _divergence(density(some), ground))[row_of]
        floor = float(null.mean())
        p = (1 + np.count_nonzero(null >= raw * (1 - 1e-9))) / (1 + self.permutations)

        best_counts = rng.multinomial(m, among_best / m, size=self.resamples)
        not_best = everywhere - among_best
        rest_counts = rng.multinomial(n - m, not_best / (n - m), size=self.resamples)
        redone = scale * _divergence(density(best_counts), density(best_counts + rest_counts))
        tail = 50.0 * (1.0 - self.confidence)
        # A resample has the noise floor twice: from the sample and from the resampling.
        low, high = np.percentile(redone - 2.0 * floor, [tail, 100.0 - tail])
        estimate = raw - floor
        low = min(float(low), estimate)
        high = max(float(high), estimate)
        return Importance(estimate, low, high=high, p=float(p), raw=raw, floor=floor, n=n, top=m)


def permutations_needed(parameters: int, alpha: float) -> int:
    """Permutations for sufficiently small p-values: 4 x parameters / alpha, at least 999.

    Alpha is that of the round's FDR.
    """
    check_count(parameters, "parameters")
    check_share(alpha, "alpha")
    return max(999, int(np.ceil(4 * parameters / alpha)))


def _on_grid(x: ArrayLike, cardinality: int, levels: ArrayLike | None) -> tuple[IntArray, int]:
    """Level number of every trial, and number of levels."""
    if cardinality:
        return codes_of(x, cardinality), cardinality
    position = column(x, "x")
    if levels is None:
        distinct = np.unique(position)
        # Values that hardly repeat are a continuous axis, also with few trials.
        if distinct.size > min(_GRID, position.size / 2):
            step = np.ceil(position * (_GRID - 1) - 0.5)
            return np.clip(step, 0, _GRID - 1).astype(np.int64), _GRID
        return np.searchsorted(distinct, position), distinct.size
    declared = column(levels, "levels")
    if declared.size == 0 or np.any(np.diff(declared) <= 0):
        raise AnalysisError("levels: must increase strictly and not be empty; sort them")
    middles = (declared[1:] + declared[:-1]) / 2.0
    return np.searchsorted(middles, position), declared.size


def _distinct(counts: IntArray, total: int) -> tuple[IntArray, IntArray]:
    """Distinct rows of (B, L) counts that add up to `total`, and the number of the distinct row for each row.

    A small top set falls on the levels in few ways, and late looks at a branch draw a million of them.
    """
    size = counts.shape[1]
    if size * np.log2(total + 1.0) >= 62:  # too many possible rows: hardly any repeats
        return counts, np.arange(len(counts))
    number = counts @ (total + 1) ** np.arange(size, dtype=np.int64)
    _, first, row_of = np.unique(number, return_index=True, return_inverse=True)
    return counts[first], row_of


def _divergence(best: FloatArray, ground: FloatArray) -> FloatArray:
    """Pearson divergence, row by row."""
    ground = ground + 1e-12
    return np.asarray(np.sum(ground * ((best + 1e-12) / ground - 1.0) ** 2, axis=-1))


def _choice_density(counts: IntArray) -> FloatArray:
    """Smoothed shares of unordered choices from (B, k) counts."""
    size = counts.shape[1]
    total = counts.sum(axis=1, keepdims=True)
    # Each kernel gives some weight to the other choices; less, the more choices occurred.
    leak = 1.0 / (np.count_nonzero(counts, axis=1)[:, None] + 1.0)
    kernels = (counts + total * leak) / (1.0 + size * leak)
    return np.asarray((kernels + 1.0 / size) / (total + 1.0))


def _step_density(counts: IntArray) -> FloatArray:
    """Parzen densities on the steps 0..L-1 of an ordered axis from (B, L) counts."""
    size = counts.shape[1]
    total = counts.sum(axis=1)
    width = _scott_width(counts, total)
    prior = _kernel_sum(np.ones((1, 1)), np.array([float(size)]), np.array([(size - 1) / 2.0]), size)
    count_kernel = _kernel_sum(counts.astype(np.float64), width, np.arange(size, dtype=np.float64), size)
    return np.asarray((count_kernel + prior) / (total + 1.0)[:, None])


def _scott_width(counts: IntArray, total: IntArray) -> FloatArray:
    """Bandwidth in steps, with the quartiles read off the counts as Optuna reads them."""
    size = counts.shape[1]
    positions = np.arange(size)
    mean = counts @ positions / total
    square = np.maximum(counts @ positions**2 - total * mean**2, 0.0)
    sd = np.sqrt(square / np.maximum(total - 1, 1))
    cumulated = np.cumsum(counts, axis=1)
    lower = np.argmax(cumulated >= np.maximum(total // 4, 1)[:, None], axis=1)
    above = cumulated > (total * 3 // 4)[:, None]
    last = size - 1 - np.argmax(counts[:, ::-1] > 0, axis=1)
    upper = np.where(above.any(axis=1), np.argmax(above, axis=1), last)
    width = 1.059 * np.minimum((upper - lower) / 1.34, sd) * total**-0.2
    return np.asarray(np.maximum(width, _NARROWEST), dtype=np.float64)


def _kernel_sum(weights: FloatArray, width: FloatArray, centre: FloatArray, size: int) -> FloatArray:
    """(B, size) sums of truncated normal kernels around (c,) centres one apart, integrated over 0..size-1.

    `weights` is (B, c), `width` (B,); the kernels have no mass outside [-1/2, size - 1/2].
    """
    from scipy.special import ndtr

    # The distances between edges of steps and centres take few values: one table serves all pairs.
    offset = centre[0]
    c = centre.size
    edges = np.arange(-c + 0.5, size + 0.5) - offset
    table = ndtr(edges[None, :] / width[:, None])
    inside = table[:, c - 1 + size - np.arange(c)] - table[:, c - 1 - np.arange(c)]
    mass = np.diff(table, axis=1)
    # mass[:, s - j + c - 1] is the share of the kernel at centre j that falls on step s: the sum is a
    # convolution. With this length, the wrapped-around part ends before step 0.
    length = c + size - 1
    spectrum = np.fft.rfft(weights / inside, length) * np.fft.rfft(mass, length)
    return np.asarray(np.fft.irfft(spectrum, length)[:, c - 1 :])
