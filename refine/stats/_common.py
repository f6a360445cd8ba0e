"""Checks and small tools shared by the statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refine.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def column(x: ArrayLike, name: str) -> FloatArray:
    """`x` as a finite (n,) float array; otherwise AnalysisError."""
    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 1:
        raise AnalysisError(f"{name}: needs one dimension, got shape {array.shape}; pass one value per trial")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise AnalysisError(
            f"{name}: every value must be finite, got {bad} NaN or infinite of {array.size}; "
            "leave out failed and diverged trials first"
        )
    return array


def columns(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Two finite (n,) float arrays of equal length."""
    first = column(x, "x")
    second = column(y, "y")
    same_length(first.size, second.size)
    return first, second


def same_length(x: int, y: int) -> None:
    """Raise unless there are as many positions as values."""
    if x != y:
        raise AnalysisError(
            f"x and y must have one entry per trial, got {x} and {y}; take both from the same rows"
        )


def codes_of(codes: ArrayLike, k: int) -> IntArray:
    """`codes` as (n,) integers in 0..k-1; AnalysisError if one lies outside, or k < 1."""
    if k < 1:
        raise AnalysisError(f"k: an unordered parameter has at least one choice, got {k}")
    array = column(codes, "codes")
    integers = array.astype(np.int64)
    if array.size and (bool(np.any(integers != array)) or integers.min() < 0 or integers.max() >= k):
        raise AnalysisError(
            f"codes: must be whole numbers from 0 to {k - 1}, got {array.min():g} to "
            f"{array.max():g}; number the choices in their declared order"
        )
    return integers


def matrix(x: ArrayLike, cardinalities: Sequence[int], name: str = "X") -> FloatArray:
    """`x` as a finite (n, d) matrix with one cardinality per column."""
    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(cardinalities):
        raise AnalysisError(
            f"{name}: needs shape (n, {len(cardinalities)}), one column per cardinality, got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise AnalysisError(
            f"{name}: every value must be finite; leave out trials with unknown parameters first"
        )
    for j, k in enumerate(cardinalities):
        if k:
            codes_of(array[:, j], k)
    return array


def check_share(value: float, name: str) -> None:
    """Raise unless 0 < value < 1."""
    if not 0.0 < value < 1.0:
        raise AnalysisError(f"{name}: must lie strictly between 0 and 1, got {value!r}")


def check_count(value: int, name: str, least: int = 1) -> None:
    """Raise unless `value` is a whole number of at least `least`."""
    if value != int(value) or value < least:
        raise AnalysisError(f"{name}: must be a whole number >= {least}, got {value!r}")


def checked(*shares: str, **least: int) -> Callable[[type[T]], type[T]]:
    """Checks the options of a statistic on creation.

    Shares lie in (0, 1), counts are integers with a minimum.
    """

    def decorated(kind: type[T]) -> type[T]:
        more: Callable[[T], None] | None = kind.__dict__.get("__post_init__")

        def check(self: T) -> None:
            for name in shares:
                check_share(getattr(self, name), name)
            for name, fewest in least.items():
                check_count(getattr(self, name), name, fewest)
            if more is not None:
                more(self)

        setattr(kind, "__post_init__", check)  # noqa: B010 - a protocol of dataclass that types don't know
        return kind

    return decorated


def top_mask(y: ArrayLike, share: float) -> BoolArray:
    """(n,) mask of the best `share` of the trials, ties with the last of them included.

    The set depends on the values alone, not on the order of the rows; with a saturated metric it may be much
    larger than `share`, which is in (0, 1].
    """
    values = column(y, "y")
    if not 0.0 < share <= 1.0:
        raise AnalysisError(f"share: must lie in (0, 1], got {share!r}")
    if values.size == 0:
        return np.zeros(0, dtype=np.bool_)
    # The tiny slack keeps 0.1 * 30 = 3.0000000000000004 from counting as four.
    top_count = max(1, int(np.ceil(share * values.size - 1e-9)))
    cutoff = np.partition(values, values.size - top_count)[values.size - top_count]
    return np.asarray(values >= cutoff)


def subsample(n: int, size: int, rng: np.random.Generator) -> IntArray:
    """Sorted row numbers: all of them, or `size` drawn without replacement."""
    if n <= size:
        return np.arange(n)
    return np.sort(rng.choice(n, size=size, replace=False))


def resample_weights(n: int, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Bootstrap as weights: (resamples, n) counts, each row summing to n."""
    drawn = rng.integers(0, n, size=(resamples, n))
    drawn += np.arange(resamples)[:, None] * n
    counts = np.bincount(drawn.ravel(), minlength=resamples * n)
    return counts.reshape(resamples, n).astype(np.float64)


def share_of_draws(count: float | np.integer, draws: int) -> float:
    """Probability of an event in `count` of `draws` draws: (count + 1/2) / (draws + 1), never 0 or 1."""
    return float((count + 0.5) / (draws + 1))
