"""Densities of all trials and of good trials, without mass outside the parameter's range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.errors import AnalysisError
from refine.stats._common import BoolArray, FloatArray, checked, codes_of, column, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_BINS = 512  # largest number of distinct positions; more are binned linearly before the kernels


class Ratio(NamedTuple):
    """Frequency of each level among the good trials, relative to its frequency among all trials."""

    levels: FloatArray  # (L,) positions, or codes of an unordered parameter
    # (L,) density of good trials over density of all trials; 1: no difference; NaN: no trial nearby
    ratio: FloatArray
    low: FloatArray  # (L,) ends of the pointwise intervals; 0 and infinity without a trial nearby
    high: FloatArray
    n: FloatArray  # (L,) effective number of trials behind each ratio


def scott_bandwidth(x: ArrayLike, weights: ArrayLike | None = None, dimensions: int = 1) -> float:
    """Scott's rule, 1.059 min(IQR / 1.34, sd) n^(-1 / (4 + dimensions)), in units of `x`.

    0 if all points coincide.

    The smaller of two spreads keeps a second mode or a few outliers from smearing the density; if more than
    half of the points coincide, the deviation alone decides. With weights, their effective number (sum w)^2 /
    sum w^2 counts as n.

    Source: Scott (1992), 'Multivariate Density Estimation'.
    """
    position, weight = _weighted(x, weights)
    total = weight.sum()
    mean = position @ weight / total
    sd = float(np.sqrt(np.maximum((position - mean) ** 2 @ weight / total, 0.0)))
    order = np.argsort(position)
    cumulated = np.cumsum(weight[order]) / total
    first, third = position[order][np.searchsorted(cumulated, [0.25, 0.75])]
    if third > first:
        spread = min((third - first) / 1.34, sd)
    else:
        spread = sd
    return float(1.059 * spread * (total**2 / (weight @ weight)) ** (-1.0 / (4 + dimensions)))


@dataclass(frozen=True, slots=True)
class BoundedDensity:
    """Kernel density on an interval, reflected at its ends.

    Normal kernels; mass beyond an end is mirrored back. The density integrates to 1 over the interval and
    isn't dragged down at the edges, a common place of optima.

    Source: Silverman (1986), 'Density Estimation', section 2.10.
    """

    # in units of x; None: by Scott's rule, at least 1 % of the length of the interval
    bandwidth: float | None = None
    low: float = 0.0  # ends of the interval; may be infinite
    high: float = 1.0

    def __post_init__(self) -> None:
        _check_interval(self.low, self.high, "low and high")
        _check_bandwidth(self.bandwidth)

    def __call__(self, x: ArrayLike, at: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
        """(q,) densities of `x`, inside the interval, per unit of x.

        0 outside the interval. Weights are >= 0.
        """
        position, weight = _weighted(x, weights)
        _inside(position, self.low, self.high, "x")
        width = self.bandwidth or _usable_width(scott_bandwidth(position, weight), position, self)
        position, weight = _binned(position, weight)
        kernels = _reflected(column(at, "at"), position, width, self.low, self.high)
        return np.asarray(kernels @ weight / weight.sum())


@dataclass(frozen=True, slots=True)
class BoundedDensity2D:
    """Product-kernel density of two columns, reflected at the ends of both.

    Made for a parameter against the metric: no contour leaves the bounds of the metric, such as 0 and 1 of an
    accuracy.
    """

    # for x and for y, in their units; None: by Scott's rule for two dimensions
    bandwidth: tuple[float, float] | None = None
    x_bounds: tuple[float, float] = (0.0, 1.0)  # interval of x
    y_bounds: tuple[float, float] = (-np.inf, np.inf)  # interval of y; unbounded by default

    def __post_init__(self) -> None:
        _check_interval(*self.x_bounds, "x_bounds")
        _check_interval(*self.y_bounds, "y_bounds")
        for width in self.bandwidth or ():
            _check_bandwidth(width)

    def __call__(self, x: ArrayLike, y: ArrayLike, at_x: ArrayLike, at_y: ArrayLike) -> FloatArray:
        """(p, q) joint densities on a grid, per unit of x and unit of y."""
        sides: list[FloatArray] = []
        first = column(x, "x")
        second = column(y, "y")
        same_length(first.size, second.size)
        widths = self.bandwidth or (None, None)
        cells, shares = _cells(first, second)
        for axis, (points, grid, bounds, width) in enumerate(
            zip((first, second), (at_x, at_y), (self.x_bounds, self.y_bounds), widths, strict=True)
        ):
            _inside(points, *bounds, "xy"[axis])
            density = BoundedDensity(width, *bounds)
            wide = width or _usable_width(scott_bandwidth(points, None, 2), points, density)
            sides.append(_reflected(column(grid, f"at_{'xy'[axis]}"), cells[axis], wide, *bounds))
        return np.asarray(sides[0] @ shares @ sides[1].T / first.size)


@dataclass(frozen=True, slots=True)
@checked("confidence")
class DensityRatio:
    """Density of the good trials over the density of all, level by level.

    With a common bandwidth, the ratio at a place is the kernel-weighted share of good trials over their
    overall share. Its interval is Wilson's at the kernel's effective number of trials: unlike a bootstrap,
    the interval stays honest at places without a good trial, and needs no random numbers.

    Source: l/g of Bergstra et al. (2011); Wilson (1927) for the interval.
    """

    confidence: float = 0.9

    def __call__(self, x: ArrayLike, good: ArrayLike, levels: ArrayLike, unordered: bool = False) -> Ratio:
        """Compare good trials, (n,) bools, with all trials, at (L,) increasing levels in [0, 1].

        Or at codes, without smoothing.
        """
        mask: BoolArray = np.asarray(good, dtype=np.bool_)
        places = column(levels, "levels")
        position = column(x, "x")
        same_length(position.size, mask.size)
        if not mask.any():
            raise AnalysisError("good: no trial is good; choose a larger top share")
        if unordered:
            codes = codes_of(position, int(places.max()) + 1)
            kernels = (places[:, None] == np.arange(places.max() + 1)[None, :]).astype(np.float64)
            everywhere = np.bincount(codes, minlength=kernels.shape[1]).astype(np.float64)
            hits = np.bincount(codes[mask], minlength=kernels.shape[1]).astype(np.float64)
        else:
            _inside(position, 0.0, 1.0, "x")
            density = BoundedDensity()
            width = _usable_width(scott_bandwidth(position[mask]), position[mask], density)
            spots, everywhere = _binned(position, np.ones(position.size))
            hits = _onto(position[mask], spots)
            kernels = _reflected(places, spots, width, 0.0, 1.0)
        return self._ratio(places, kernels, everywhere, hits, float(mask.mean()))

    def _ratio(
        self, places: FloatArray, kernels: FloatArray, everywhere: FloatArray, hits: FloatArray, share: float
    ) -> Ratio:
        from refine.stats.coverage import wilson

        near = kernels @ everywhere
        squares = kernels**2 @ everywhere
        n = np.divide(near**2, squares, out=np.zeros_like(near), where=squares > 0)
        # The far tail of a kernel is no evidence: trials nearby must weigh at least half a trial.
        if kernels.size:
            peak = kernels.max()
        else:
            peak = 1.0
        reliable = near > 0.5 * peak
        rate = np.divide(kernels @ hits, near, out=np.full_like(near, np.nan), where=reliable)
        low = np.zeros_like(near)
        high = np.full_like(near, np.inf)
        ends = wilson((rate * n)[reliable], n[reliable], self.confidence)
        low[reliable], high[reliable] = ends.low / share, ends.high / share
        return Ratio(places, rate / share, low, high, np.where(reliable, n, 0.0))


def _weighted(x: ArrayLike, weights: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    position = column(x, "x")
    if weights is None:
        weight = np.ones(position.size)
    else:
        weight = column(weights, "weights")
    same_length(position.size, weight.size)
    if position.size == 0 or weight.min() < 0 or weight.sum() <= 0:
        raise AnalysisError("x: a density needs at least one trial of positive weight; got none")
    return position, weight


def _check_interval(low: float, high: float, name: str) -> None:
    if not low < high:
        raise AnalysisError(f"{name}: low must be < high, got ({low!r}, {high!r}); swap them?")


def _check_bandwidth(width: float | None) -> None:
    if width is not None and not 0.0 < width < np.inf:
        raise AnalysisError(f"bandwidth: must be positive, got {width!r}; None chooses it")


def _inside(x: FloatArray, low: float, high: float, name: str) -> None:
    if x.size and (x.min() < low - 1e-9 or x.max() > high + 1e-9):
        raise AnalysisError(
            f"{name}: must lie in [{low:g}, {high:g}], got {x.min():g} to {x.max():g}; "
            "map positions to the unit scale, or give the bounds that hold"
        )


def _usable_width(width: float, x: FloatArray, density: BoundedDensity) -> float:
    """Scott's width, kept above 1 % of the scale, since coinciding points would make it 0."""
    length = density.high - density.low
    if not np.isfinite(length):
        length = float(np.ptp(x)) or max(1.0, abs(float(x[0])))
    return max(width, 0.01 * length)


def _binned(x: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A few distinct positions with summed weights: kernels then cost the same for any n."""
    distinct, inverse = np.unique(x, return_inverse=True)
    if distinct.size <= _BINS:
        total = np.bincount(inverse, weights=weight, minlength=distinct.size)
        return distinct, total.astype(np.float64)
    spots = np.linspace(distinct[0], distinct[-1], _BINS)
    return spots, _onto(x, spots, weight)


def _onto(x: FloatArray, spots: FloatArray, weight: FloatArray | None = None) -> FloatArray:
    """Linear binning: a point splits its weight between its two neighbouring spots."""
    if weight is None:
        weight = np.ones(x.size)
    right = np.clip(np.searchsorted(spots, x), 1, max(spots.size - 1, 1))
    if spots.size == 1:
        return np.array([weight.sum()])
    gap = spots[right] - spots[right - 1]
    share = np.clip((x - spots[right - 1]) / gap, 0.0, 1.0)
    total = np.bincount(right, weights=weight * share, minlength=spots.size)
    total += np.bincount(right - 1, weights=weight * (1.0 - share), minlength=spots.size)
    return np.asarray(total, dtype=np.float64)


def _cells(x: FloatArray, y: FloatArray) -> tuple[tuple[FloatArray, FloatArray], FloatArray]:
    """Counts of points per cell of the binned positions, (a, b)."""
    spots: list[FloatArray] = []
    index = []
    for points in (x, y):
        distinct, inverse = np.unique(points, return_inverse=True)
        if distinct.size > _BINS:
            distinct = np.linspace(distinct[0], distinct[-1], _BINS)
            inverse = np.searchsorted((distinct[1:] + distinct[:-1]) / 2.0, points)
        spots.append(distinct)
        index.append(inverse)
    flat = index[0] * spots[1].size + index[1]
    counts = np.bincount(flat, minlength=spots[0].size * spots[1].size)
    shaped = counts.reshape(spots[0].size, spots[1].size).astype(np.float64)
    return (spots[0], spots[1]), shaped


def _reflected(points: FloatArray, x: FloatArray, width: float, low: float, high: float) -> FloatArray:
    """(q, n) normal kernels around `x` at `points`, mirrored at the finite ends of [low, high]."""
    length = high - low
    images = [x]
    if np.isfinite(length):
        # Two mirrors repeat each other's images; images beyond 6 widths contribute nothing.
        for turn in range(1, 1 + int(np.ceil(0.5 + 3.0 * width / length))):
            images += [x + 2 * turn * length, x - 2 * turn * length]
        images += [2 * low - image for image in images]
    elif np.isfinite(low):
        images.append(2 * low - x)
    elif np.isfinite(high):
        images.append(2 * high - x)
    total = np.zeros((points.size, x.size))
    for image in images:
        total += np.exp(-0.5 * ((points[:, None] - image[None, :]) / width) ** 2)
    inside = (points >= low) & (points <= high)
    return np.asarray(total * inside[:, None] / (width * np.sqrt(2 * np.pi)))
