"""Parameters that are ranges of numbers, each with its grid levels; and what every parameter can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, final

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError
from refine.space.encoding import label, round_significant, value_key
from refine.utils.arrays import Floats

DEFAULT_LEVELS = 10
ALL_INTEGERS_UP_TO = 20
LARGEST_INTEGER = 2**53
MOST_LEVELS = 100_000

Mask = npt.NDArray[np.bool_]
Within = tuple[float | None, float | None]
"""Hard limits of a range, below and above; ``None`` where there is none."""


class Parameter(ABC):
    """One axis of a space. Immutable; knows nothing of its name.

    Attributes:
        grid: The levels, in order, as frozen values.
    """

    grid: tuple[Any, ...]

    @property
    def size(self) -> int:
        """Number of levels."""
        return len(self.grid)

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to vary."""
        return self.size == 1

    @property
    @abstractmethod
    def ordered(self) -> bool:
        """Whether levels have an order that statistics may use."""

    @property
    @abstractmethod
    def numeric(self) -> bool:
        """Whether all levels are numbers."""

    @abstractmethod
    def index(self, value: Any) -> int:
        """The level number of a value.

        Raises:
            SpaceError: The value is no level.
        """

    @abstractmethod
    def column(self, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Levels by number, as a table shows them: numbers, or labels of choices."""

    @abstractmethod
    def contains(self, values: npt.ArrayLike) -> Mask:
        """Which values lie inside, whether or not they are on a level."""

    @abstractmethod
    def unit(self, values: npt.ArrayLike) -> Floats:
        """Positions for statistics, NaN where a value is outside.

        Returns:
            In [0, 1] on the declared scale for ordered parameters, the level number for unordered ones.
        """

    @abstractmethod
    def volume_kept(self, new: Parameter) -> float:
        """measure(new within this) / measure(this), in this parameter's declared scale."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain data; :func:`parameter_from_json` is the inverse."""

    @abstractmethod
    def describe(self) -> str:
        """Kind and actual levels in one line."""


class Range(Parameter):
    """What floats and integers have in common: two ends, a scale and levels between."""

    low: float
    high: float
    log: bool
    within: Within | None

    @property
    def ordered(self) -> bool:
        """Ranges are ordered."""
        return True

    @property
    def numeric(self) -> bool:
        """Ranges are of numbers."""
        return True

    def index(self, value: Any) -> int:
        """The level number of ``value``, equal to 12 significant digits."""
        number = number_of(value)
        if number is not None:
            key = value_key(round_significant(float(number)))
            for i, level in enumerate(self.grid):
                if value_key(level) == key:
                    return i
        raise SpaceError(f"{value!r} is no level; levels: {_levels_text(self.grid)}")

    def column(self, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Levels by number as a numeric array."""
        return np.asarray(self.grid)[indices]

    def contains(self, values: npt.ArrayLike) -> Mask:
        """``low <= x <= high``, to within rounding."""
        x = _numeric(values)
        slack = 1e-9 * (self.high - self.low)
        with np.errstate(invalid="ignore"):
            return np.asarray((x >= self.low - slack) & (x <= self.high + slack), dtype=np.bool_)

    def unit(self, values: npt.ArrayLike) -> Floats:
        """Position between the ends of the measure, in [0, 1]; NaN outside."""
        x = _numeric(values)
        inside = self.contains(x)
        low, high = self.ends()
        out = np.full(x.shape, np.nan)
        out[inside] = (self.scale(x[inside]) - low) / (high - low)
        return np.clip(out, 0.0, 1.0)

    def scale(self, x: Any) -> Any:
        """``x`` on the declared scale."""
        return np.log(x) if self.log else np.asarray(x, dtype=float)

    def volume_kept(self, new: Parameter) -> float:
        """Overlap of the two ranges on this one's scale, or the share of levels where ``new`` is a list."""
        if isinstance(new, Range):
            low, high = self.ends()
            # Cut to this range first: beyond it a logarithm may not exist.
            inner_low, inner_high = (float(self.scale(e)) for e in np.clip(new.edges(), *self.edges()))
            return float(max(0.0, min(1.0, (inner_high - inner_low) / (high - low))))
        values = [v for v in new.grid if number_of(v) is not None]
        inside = int(self.contains(values).sum()) if values else 0
        return min(1.0, inside / self.size)

    def ends(self) -> tuple[float, float]:
        """Both ends of the measure on the declared scale."""
        low, high = self.edges()
        return float(self.scale(low)), float(self.scale(high))

    @abstractmethod
    def edges(self) -> tuple[float, float]:
        """Both ends of the measure: an integer owns half a unit on either side."""

    @property
    def evenly_spaced(self) -> bool:
        """Whether the levels are what ``(low, high, size)`` would give."""
        return self.grid == type(self)(self.low, self.high, self.size, log=self.log).grid  # type: ignore[call-arg]

    def to_json(self) -> dict[str, Any]:
        """Kind, explicit levels and scale; limits only where they are declared, so that other ids stay as they were."""
        kind = "int" if isinstance(self, Integer) else "float"  # as every version has hashed it
        limits = {} if self.within is None else {"within": list(self.within)}
        return {"type": kind, "levels": list(self.grid), "log": self.log, **limits}

    def describe(self) -> str:
        """``float, log: 0.001, 0.01, 0.1``."""
        kind = type(self).__name__.lower() + (", log" if self.log else "")
        limits = f", within {_limits_text(self.within)}" if self.within else ""
        return f"{kind}{limits}: {_levels_text(self.grid)}"

    def __repr__(self) -> str:
        levels = str(self.size) if self.evenly_spaced else f"[{', '.join(label(v) for v in self.grid)}]"
        log = ", log=True" if self.log else ""
        limits = f", within={_limits_text(self.within)}" if self.within else ""
        kind = type(self).__name__
        return f"{kind}({label(self.low)}, {label(self.high)}, levels={levels}{log}{limits})"


@final
@dataclass(frozen=True, repr=False)
class Float(Range):
    """A range of real numbers, both ends included.

    Args:
        low: Lower end, the first level.
        high: Upper end, the last level.
        levels: How many levels, spaced evenly (by ratio if ``log``), or the levels themselves, increasing
            from ``low`` to ``high``.
        log: Whether the scale is logarithmic; then ``low`` must be positive.
        within: Hard limits ``(low, high)`` that no proposal and no edit may pass, both allowed as values; ``None`` for
            an end without one. Left out, limits are inferred: see :func:`refine.space.limits.limit_of`.

    Raises:
        SpaceError: Ends that are no finite numbers, reversed or equal; fewer than 2 levels; a logarithm
            of zero or less.
    """

    low: float
    high: float
    levels: int | Sequence[float] = field(default=DEFAULT_LEVELS, compare=False)
    log: bool = False
    grid: tuple[float, ...] = field(init=False)
    within: Within | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, self.log)
        low, high = float(self.low), float(self.high)
        if isinstance(self.levels, int | np.integer) and not isinstance(self.levels, bool):
            count = _check_count(int(self.levels))
            at = np.arange(count) / (count - 1)
            raw = low * (high / low) ** at if self.log else low + (high - low) * at
        else:
            raw = np.asarray(_check_levels(self.levels, low, high), dtype=float)
        grid = tuple(round_significant(float(v)) for v in raw)
        if len(set(grid)) != len(grid):
            raise SpaceError(
                f"levels must differ in their first 12 digits, but {len(grid)} levels between {low} and {high} "
                "do not; ask for fewer"
            )
        _freeze_range(self, (round_significant(low), *grid[1:-1], round_significant(high)))

    def edges(self) -> tuple[float, float]:
        """``(low, high)``."""
        return self.low, self.high


@final
@dataclass(frozen=True, repr=False)
class Integer(Range):
    """A range of integers, both ends included.

    Args:
        low: Lower end, the first level.
        high: Upper end, the last level.
        levels: How many levels, spaced as evenly as integers allow, or the levels themselves. Without it
            every integer up to 20 of them, else 10.
        log: Whether the scale is logarithmic; then ``low`` must be positive.
        within: As for :class:`Float`.

    Raises:
        SpaceError: Ends that are no integers, reversed, equal or beyond 2**53; more levels than integers.
    """

    low: int
    high: int
    levels: int | Sequence[int] | None = field(default=None, compare=False)
    log: bool = False
    grid: tuple[int, ...] = field(init=False)
    within: Within | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, self.log)
        for end in (self.low, self.high):
            if end != int(end):
                raise SpaceError(
                    f"an integer range needs integer ends, got {end}; use Float for real numbers"
                )
            if abs(end) > LARGEST_INTEGER:
                raise SpaceError(
                    f"an integer range must lie within -2**53 and 2**53, where floats are exact, got {end}; use Float"
                )
        low, high = int(self.low), int(self.high)
        integers = high - low + 1
        levels = self.levels
        if levels is None:
            levels = integers if integers <= ALL_INTEGERS_UP_TO else DEFAULT_LEVELS
        if isinstance(levels, int | np.integer) and not isinstance(levels, bool):
            count = _check_count(int(levels))
            if count > integers:
                raise SpaceError(
                    f"levels must be <= the number of integers, got {count} levels for the {integers} integers "
                    f"from {low} to {high}; use levels={integers} or less"
                )
            grid = _integer_levels(low, high, count, self.log)
        else:
            given = _check_levels(levels, low, high)
            if any(float(v) != int(v) for v in given):
                raise SpaceError(f"levels of an integer range must be integers, got {list(given)}; use Float")
            grid = tuple(int(v) for v in given)
        _freeze_range(self, grid)

    def edges(self) -> tuple[float, float]:
        """Half an integer beyond both ends, so that one integer has a width."""
        return self.low - 0.5, self.high + 0.5


def _freeze_range(target: Any, grid: tuple[Any, ...]) -> None:
    object.__setattr__(target, "within", _check_within(target.within, grid[0], grid[-1]))
    object.__setattr__(target, "grid", grid)
    object.__setattr__(target, "low", grid[0])
    object.__setattr__(target, "high", grid[-1])
    object.__setattr__(target, "levels", len(grid))


def _check_within(within: Any, low: float, high: float) -> Within | None:
    """Declared limits, checked; ``None`` where there are none."""
    if within is None:
        return None
    if not isinstance(within, tuple | list) or len(within) != 2:
        raise SpaceError(
            f"within must be the hard limits (low, high), got {within!r}; such as within=(0, 1), or within=(0, None) for "
            "a lower one alone"
        )
    if any(v is not None and (number_of(v) is None or not _finite(v)) for v in within):
        raise SpaceError(
            f"a hard limit must be a finite number, or None for no limit, got within={tuple(within)!r}"
        )
    least, most = (None if v is None else round_significant(float(v)) for v in within)
    if (least is not None and low < least) or (most is not None and high > most):
        raise SpaceError(
            f"({label(low)}, {label(high)}) must lie within its hard limits {_limits_text((least, most))}; change the range, or "
            "declare other limits with within="
        )
    return least, most


def _limits_text(within: Within) -> str:
    return f"({', '.join('None' if v is None else label(v) for v in within)})"


def number_of(value: Any) -> float | int | None:
    """The value if it is a number, and no bool; else ``None``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    return value  # type: ignore[return-value]


def _numeric(values: npt.ArrayLike) -> Floats:
    array = np.asarray(values)
    if array.dtype == object or array.dtype.kind in "US":
        import pandas as pd

        array = pd.to_numeric(pd.Series(array.ravel()), errors="coerce").to_numpy()
    return np.atleast_1d(np.asarray(array, dtype=float))


def _check_ends(low: Any, high: Any, log: Any) -> None:
    for name, end in (("low", low), ("high", high)):
        if number_of(end) is None or not _finite(end):
            raise SpaceError(f"{name} must be a finite number, got {end!r}")
    if low > high:
        raise SpaceError(f"low must be < high, got ({low}, {high}); swap them?")
    if low == high:
        raise SpaceError(
            f"low must be < high, got ({low}, {high}); to fix the parameter give the value alone: {low}"
        )
    if not isinstance(log, bool):
        raise SpaceError(f"log must be True or False, got {log!r}")
    if log and low <= 0:
        raise SpaceError(
            f"low must be > 0 on a logarithmic scale, got {low}; start above zero or leave log out"
        )
    if not _finite(float(high) / float(low) if log else float(high) - float(low)):
        raise SpaceError(
            f"the distance from low to high must be a finite number, got ({low}, {high}); bring them closer"
        )


def _finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an int beyond every float
        return False


def _check_count(count: int) -> int:
    if count < 2:
        raise SpaceError(
            f"levels must be >= 2 so that both ends are levels, got {count}; to fix the parameter give "
            "the value alone"
        )
    if count > MOST_LEVELS:
        shown = f"{float(count):.6g}" if _finite(count) else "a number beyond every float"
        raise SpaceError(f"levels must be <= {MOST_LEVELS:,}, got {shown}; give fewer: (low, high, levels)")
    return count


def _check_levels(levels: Any, low: float, high: float) -> Sequence[float]:
    if isinstance(levels, str | bytes) or not isinstance(levels, Iterable):
        raise SpaceError(f"levels must be a whole number or a list of numbers, got {levels!r}")
    given = list(levels)
    if any(number_of(v) is None or not _finite(v) for v in given):
        raise SpaceError(f"levels must be finite numbers, got {given}")
    if len(given) < 2 or any(a >= b for a, b in pairwise(given)):
        raise SpaceError(f"levels must be two or more, each larger than the one before, got {given}")
    if given[0] != low or given[-1] != high:
        raise SpaceError(f"levels must begin at low and end at high, got {given} for ({low}, {high})")
    return given


def _integer_levels(low: int, high: int, count: int, log: bool) -> tuple[int, ...]:
    at = np.arange(count) / (count - 1)
    raw = low * (high / low) ** at if log else low + (high - low) * at
    levels = [math.floor(v + 0.5) for v in raw]
    levels[0], levels[-1] = low, high
    # Rounding a logarithmic scale can merge small levels: push them apart, first up, then down from the end.
    for i in range(1, count):
        levels[i] = max(levels[i], levels[i - 1] + 1)
    levels[-1] = high
    for i in range(count - 2, -1, -1):
        levels[i] = min(levels[i], levels[i + 1] - 1)
    return tuple(levels)


def _levels_text(grid: Sequence[Any], most: int = 12) -> str:
    if len(grid) <= most:
        return ", ".join(label(v) for v in grid)
    head = ", ".join(label(v) for v in grid[: most - 2])
    return f"{head}, ... {label(grid[-1])} ({len(grid)} levels)"
