"""Ranges of numbers with their grid levels and lattices, and the interface of all parameters."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, Self, final

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError
from refine.space.constraints import condition_of
from refine.space.encoding import label, round_significant, value_key
from refine.space.rounding import ABOUT, round_levels
from refine.utils.arrays import Bools, Floats
from refine.utils.keywords import helped
from refine.utils.types import JsonObject

ALL_UP_TO = 20
"""Largest number of values of a range of integers that are all levels by default."""

LARGEST_INTEGER = 2**53
MOST_LEVELS = 100_000

Within = tuple[float | None, float | None]
"""Hard limits of a range, lower and upper; ``None`` for no limit."""


class Parameter(ABC):
    """One axis of a space. Immutable, and without a name.

    A parameter with ``when="optimizer == 'sgd'"`` is *active* in configurations that meet the expression and
    absent from all others. A condition may name conditional parameters; an expression about an absent
    parameter is not met.

    Attributes:
        grid: The levels, in order, as frozen values.
        when: The condition in its canonical spelling; ``None`` if the parameter is always active.
        ordered: Whether statistics may use an order of the levels.
        numeric: Whether all levels are numbers.
    """

    grid: tuple[Any, ...]
    when: str | None
    ordered: bool
    numeric: bool

    @property
    def size(self) -> int:
        """Number of levels."""
        return len(self.grid)

    @property
    def fixed(self) -> bool:
        """True if the parameter has a single value."""
        return self.size == 1

    @property
    def cardinality(self) -> int:
        """Number of choices without an order; 0 for an ordered parameter."""
        if self.ordered:
            return 0
        return self.size

    @abstractmethod
    def index(self, value: object) -> int:
        """The number of a level, given by value (equal to 12 significant digits) or by the label of a choice.

        Raises:
            SpaceError: The value is not a level.
        """

    @abstractmethod
    def column(self, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Levels by number, in table form: numbers, or labels of choices."""

    @abstractmethod
    def contains(self, values: npt.ArrayLike) -> Bools:
        """Mask of the values inside, up to rounding; values between levels count."""

    @abstractmethod
    def unit(self, values: npt.ArrayLike) -> Floats:
        """Positions for statistics; NaN for values outside.

        Ordered parameters: in [0, 1] on the declared scale, ``(i + 1/2) / size`` for choices. Unordered ones:
        the level number.
        """

    @abstractmethod
    def volume_kept(self, new: Parameter) -> float:
        """Share of this parameter's measure on its declared scale, or of its choices, that ``new`` keeps."""

    @abstractmethod
    def under(self, when: str | None) -> Self:
        """The same parameter under another condition.

        Raises:
            SpaceError: ``when`` is not an expression.
        """

    @abstractmethod
    def to_json(self) -> JsonObject:
        """Declared properties as plain data; :func:`parameter_from_json` is the inverse."""

    @abstractmethod
    def describe(self) -> str:
        """Kind and levels in one line: ``float, log: 0.001, 0.01, 0.1`` or ``categorical: Adam, Nadam``."""

    @abstractmethod
    def code(self, spelled: Callable[[Any], str] | None = None) -> str:
        """The constructor call, without a module; ``spelled`` writes values, by default as labels."""

    def __repr__(self) -> str:
        return self.code()

    def _set(self, **fields: object) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _check_condition(self) -> None:
        """Makes the condition canonical; raises SpaceError for an invalid one."""
        if self.when is not None:
            self._set(when=condition_of(self.when).expression)

    def _condition_text(self) -> str:
        """``, when optimizer == 'sgd'``; empty without a condition."""
        if self.when is None:
            return ""
        return f", when {self.when}"


@dataclass(frozen=True, repr=False)
class Range(Parameter):
    """The common part of floats and integers: two ends, a scale and the levels between."""

    ordered = True
    numeric = True
    low: float
    high: float
    levels: int | Sequence[float] | None = field(default=None, compare=False)
    log: bool = False
    grid: tuple[float, ...] = field(init=False)
    within: Within | None = field(default=None, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    base: float | None = field(default=None, kw_only=True)
    when: str | None = field(default=None, kw_only=True)
    default_levels: bool = field(init=False, compare=False)  # True if made without ``levels=``

    def __post_init__(self) -> None:
        self._set(default_levels=self.levels is None)
        _check_ends(self.low, self.high, self.log)
        grid = self._made()
        self._check_condition()
        self._set(within=_check_within(self.within, grid[0], grid[-1]))
        self._set(grid=grid, low=grid[0], high=grid[-1], levels=len(grid))

    @abstractmethod
    def _made(self) -> tuple[Any, ...]:
        """The levels that the arguments define."""

    @property
    def lattice(self) -> Lattice | None:
        """The admissible values, if a step or a base is declared."""
        return lattice_of(self, self.low)

    @property
    def declared(self) -> dict[str, Any]:
        """Keyword arguments that a derived range inherits: scale, limits, step or base, and condition."""
        return {name: getattr(self, name) for name in ("log", "within", "step", "base", "when")}

    def under(self, when: str | None) -> Self:
        """The same range under another condition."""
        return replace(self, levels=self.grid, when=when)

    def with_levels(self, levels: Sequence[float]) -> Self:
        """A range with other levels, of this kind, scale, limits and step."""
        return replace(self, low=levels[0], high=levels[-1], levels=levels)

    def index(self, value: object) -> int:
        """The level number of ``value``."""
        number = number_of(value)
        if number is not None:
            level = self._level_by_key.get(value_key(round_significant(float(number))))
            if level is not None:
                return level
        raise SpaceError(f"{value!r} is not a level; levels: {levels_text(self.grid)}")

    @cached_property
    def _level_by_key(self) -> dict[str, int]:
        """Level numbers by key, made once because a child after many trials looks up many values."""
        return {value_key(level): number for number, level in enumerate(self.grid)}

    def column(self, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Levels by number as a numeric array."""
        return np.asarray(self.grid)[indices]

    def contains(self, values: npt.ArrayLike) -> Bools:
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
        if self.log:
            return np.log(x)
        return np.asarray(x, dtype=float)

    def distance(self, a: float, b: float) -> float:
        """The distance from ``a`` to ``b`` on the declared scale; negative if ``b`` is smaller."""
        return float(self.scale(b) - self.scale(a))

    @property
    def gap(self) -> float:
        """The mean distance of neighbouring levels on the declared scale."""
        return self.distance(self.low, self.high) / (self.size - 1)

    def gaps(self, a: float, b: float) -> int:
        """The number of gaps of neighbouring levels that fit best between ``a`` and ``b``, at least 1."""
        return max(1, round(min(self.distance(a, b) / self.gap, LARGEST_INTEGER)))

    def volume_kept(self, new: Parameter) -> float:
        """Overlap of the two ranges on this range's scale; for a list, the share of levels."""
        if isinstance(new, Range):
            low, high = self.ends()
            # Clip to this range first: a logarithm may not exist beyond.
            inner_low, inner_high = (float(self.scale(e)) for e in np.clip(new.edges(), *self.edges()))
            return float(max(0.0, min(1.0, (inner_high - inner_low) / (high - low))))
        values = [v for v in new.grid if number_of(v) is not None]
        return min(1.0, int(self.contains(values).sum()) / self.size)

    def ends(self) -> tuple[float, float]:
        """Both ends of the measure on the declared scale."""
        low, high = self.edges()
        return float(self.scale(low)), float(self.scale(high))

    @abstractmethod
    def edges(self) -> tuple[float, float]:
        """Both ends of the measure: an integer occupies half a unit on either side."""

    @property
    def stated_levels(self) -> int | tuple[float, ...] | None:
        """The shortest ``levels=`` that gives these levels: a count, ``None`` for the default, or a list."""
        for levels in (None, self.size) if self.lattice else (self.size, None):
            with contextlib.suppress(SpaceError):  # a small step has too many values without a count
                if self.grid == replace(self, levels=levels).grid:
                    return levels
        return self.grid

    def to_json(self) -> JsonObject:
        """Kind, explicit levels and scale, and the properties that were declared."""
        kind = type(self).__name__.lower()
        if self.within is None:
            within = None
        else:
            within = list(self.within)
        stated = {"within": within, "step": self.step, "base": self.base, "when": self.when}
        declared = {n: v for n, v in stated.items() if v is not None}
        return {"type": kind, "levels": list(self.grid), "log": self.log, **declared}

    def describe(self) -> str:
        """``float, log: 0.001, 0.01, 0.1``."""
        kind = type(self).__name__.lower() + (", log" if self.log and self.base is None else "")
        if self.step is not None:
            kind += f", step {label(self.step)}"
        if self.base is not None:
            kind += f", powers of {label(self.base)}"
        if self.within:
            kind += f", within {_limits_text(self.within)}"
        return f"{kind}{self._condition_text()}: {levels_text(self.grid)}"

    def code(self, spelled: Callable[[Any], str] | None = None) -> str:
        """See :meth:`Parameter.code`."""
        spelled = spelled or label
        stated = self.stated_levels
        options = [spelled(self.low), spelled(self.high)]
        if isinstance(stated, tuple):
            options.append(f"levels=[{', '.join(map(spelled, stated))}]")
        elif stated is not None:
            options.append(f"levels={stated}")
        if self.log and self.base is None:
            options.append("log=True")
        if self.within:
            options.append(f"within={_limits_text(self.within)}")
        if self.step is not None:
            options.append(f"step={spelled(self.step)}")
        if self.base is not None:
            options.append(f"base={spelled(self.base)}")
        if self.when is not None:
            options.append(f"when={self.when!r}")
        return f"{type(self).__name__}({', '.join(options)})"


@final
@helped
@dataclass(frozen=True, repr=False)
class Float(Range):
    """A range of real numbers, both ends included.

    Args:
        low: Lower end, the first level.
        high: Upper end, the last level.
        levels: Number of levels, spaced evenly (by ratio if ``log``), or the levels themselves, increasing
            from ``low`` to ``high``. Default: about ten round numbers, see
            :func:`refine.space.rounding.round_levels`.
        log: Whether the scale is logarithmic; ``low`` must then be positive.
        within: Hard limits ``(low, high)`` that no proposal and no edit passes; the limits themselves are
            allowed. ``None`` for an open end. Default: inferred, see :func:`refine.space.limits.limit_of`.
        step: Distance between admissible values, counted from ``low``; proposals and edits keep to these
            values. Without ``levels`` and ``log``, all admissible values are levels.
        base: Ratio between admissible values; makes the scale logarithmic.
        when: Condition on other parameters, for example ``"optimizer == 'sgd'"``; configurations that do not
            meet the condition lack this parameter, see :class:`Parameter`.

    Raises:
        SpaceError: Ends that are not finite, reversed, equal or off the step; fewer than 2 levels; a
            logarithm of zero or less.

    Examples:
        >>> refine.Float(0, 0.5, 6).grid
        (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
        >>> refine.Float(1e-3, 10, 5, log=True).grid
        (0.001, 0.01, 0.1, 1.0, 10.0)
    """

    def _made(self) -> tuple[float, ...]:
        low = float(self.low)
        high = float(self.high)
        lattice = _lattice(self, round_significant(low), round_significant(high))
        if lattice is not None:
            raw = np.asarray(_on_lattice(lattice, low, high, self.levels, self.log), dtype=float)
        elif self.levels is None:
            raw = np.asarray(round_levels(low, high, self.log))
        elif _is_count(self.levels):
            raw = _spaced(low, high, checked_levels(int(self.levels)), self.log)  # type: ignore[arg-type]
        else:
            raw = np.asarray(_check_levels(self.levels, low, high), dtype=float)
        grid = tuple(round_significant(float(v)) for v in raw)
        if len(set(grid)) != len(grid):
            raise SpaceError(
                f"levels must differ in their first 12 digits, but {len(grid)} levels between {low} and "
                f"{high} do not; ask for fewer"
            )
        return (round_significant(low), *grid[1:-1], round_significant(high))

    def edges(self) -> tuple[float, float]:
        """``(low, high)``."""
        return self.low, self.high


@final
@helped
@dataclass(frozen=True, repr=False)
class Integer(Range):
    """A range of integers, both ends included.

    Args:
        low: Lower end, the first level.
        high: Upper end, the last level.
        levels: Number of levels, spaced as evenly as integers allow, or the levels themselves. Default: every
            integer if there are at most 20, else about ten round ones.
        log: Whether the scale is logarithmic; ``low`` must then be positive.
        within: As for :class:`Float`, like ``step``, ``base`` and ``when``.

    Raises:
        SpaceError: Ends that are not integers, reversed, equal, beyond 2**53 or off the step; more levels
            than integers.

    Examples:
        >>> refine.Integer(16, 128, base=2).grid, refine.Integer(8, 32, step=8).grid
        ((16, 32, 64, 128), (8, 16, 24, 32))
    """

    low: int
    high: int
    levels: int | Sequence[int] | None = field(default=None, compare=False)
    grid: tuple[int, ...] = field(init=False)

    def _made(self) -> tuple[int, ...]:
        for end in (self.low, self.high):
            if end != int(end):
                raise SpaceError(
                    f"an integer range needs integer ends, got {end}; use Float for real numbers"
                )
            if abs(end) > LARGEST_INTEGER:
                raise SpaceError(
                    "an integer range must lie between -2**53 and 2**53, in which floats are exact, got "
                    f"{end}; use Float"
                )
        low = int(self.low)
        high = int(self.high)
        integers = high - low + 1
        lattice = _lattice(self, low, high)
        levels: Any = self.levels
        if lattice is not None:
            levels = _on_lattice(lattice, low, high, levels, self.log)
        elif levels is None:
            if integers <= ALL_UP_TO:
                levels = integers
            else:
                levels = round_levels(low, high, self.log, integral=True)
        if not _is_count(levels):
            levels_given = _check_levels(levels, low, high)
            if any(float(v) != int(v) for v in levels_given):
                raise SpaceError(
                    f"levels of an integer range must be integers, got {list(levels_given)}; use Float"
                )
            return tuple(int(v) for v in levels_given)
        count = checked_levels(int(levels))
        if count > integers:
            raise SpaceError(
                f"levels must be <= the number of integers, got {count} levels for the {integers} integers "
                f"from {low} to {high}; use levels={integers} or fewer"
            )
        return tuple(_apart([math.floor(v + 0.5) for v in _spaced(low, high, count, self.log)], low, high))

    def edges(self) -> tuple[float, float]:
        """Half an integer beyond both ends, so that a single integer has a width."""
        return self.low - 0.5, self.high + 0.5


def _lattice(target: Range, low: float, high: float) -> Lattice | None:
    """The lattice that a range declares, checked; makes step and base canonical."""
    lattice = lattice_of(target, low)
    if lattice is not None:
        lattice.check([high], "high: ")
        target._set(step=lattice.step, base=lattice.base, log=target.log or lattice.base is not None)
    return lattice


def _on_lattice(lattice: Lattice, low: float, high: float, levels: Any, log: bool) -> Sequence[float]:
    """The levels of a range on a lattice."""
    if levels is not None and not _is_count(levels):
        numbers = _check_levels(levels, low, high)
        lattice.check(numbers, "levels: ")
        return [lattice.nearest(v) for v in numbers]
    by_ratio = log and lattice.base is None
    last = round(lattice.place(high))
    if levels is None:
        if not by_ratio or last < ALL_UP_TO:
            return lattice.between(low, high)
        levels = min(ABOUT, last + 1)
    count = checked_levels(int(levels))
    if count > last + 1:
        raise SpaceError(
            f"levels must be <= the number of values, got {count} levels for the {last + 1} on {lattice}, up "
            f"to {label(high)}; use levels={last + 1} or fewer"
        )
    if by_ratio:
        places = [round(lattice.place(float(v))) for v in _spaced(low, high, count, log=True)]
    else:
        places = [math.floor(v + 0.5) for v in _spaced(0, last, count, log=False)]
    return [lattice.at(k) for k in _apart(places, 0, last)]


def _check_within(within: object, low: float, high: float) -> Within | None:
    """Declared limits, checked; ``None`` without limits."""
    if within is None:
        return None
    if not isinstance(within, tuple | list) or len(within) != 2:
        raise SpaceError(
            f"within must be the hard limits (low, high), got {within!r}; for example within=(0, 1), or "
            "within=(0, None) for a lower limit only"
        )
    if any(v is not None and not is_finite(v) for v in within):
        raise SpaceError(
            f"a hard limit must be a finite number, or None for no limit, got within={tuple(within)!r}"
        )
    lower, upper = (None if v is None else round_significant(float(v)) for v in within)
    if (lower is not None and low < lower) or (upper is not None and high > upper):
        raise SpaceError(
            f"({label(low)}, {label(high)}) must lie within its hard limits {_limits_text((lower, upper))}; "
            "change the range, or declare wider limits with within="
        )
    return lower, upper


def _limits_text(within: Within) -> str:
    return f"({', '.join('None' if v is None else label(v) for v in within)})"


def number_of(value: object) -> float | int | None:
    """The value if it is a number and not a bool, else ``None``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    return value  # type: ignore[return-value]


def is_finite(value: Any) -> bool:
    """True if a value is a number, not a bool, and finite as a float."""
    try:
        return number_of(value) is not None and math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def _numeric(values: npt.ArrayLike) -> Floats:
    array = np.asarray(values)
    if array.dtype == object or array.dtype.kind in "US":
        import pandas as pd

        array = pd.to_numeric(pd.Series(array.ravel()), errors="coerce").to_numpy()
    return np.atleast_1d(np.asarray(array, dtype=float))


def _check_ends(low: Any, high: Any, log: Any) -> None:
    for name, end in (("low", low), ("high", high)):
        if not is_finite(end):
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
    if not is_finite(float(high) / float(low) if log else float(high) - float(low)):
        raise SpaceError(
            f"the distance from low to high must be a finite number, got ({low}, {high}); bring them closer"
        )


def checked_levels(count: int) -> int:
    """A number of levels, checked.

    Raises:
        SpaceError: Fewer than 2 levels, or more than :data:`MOST_LEVELS`.
    """
    if count < 2:
        raise SpaceError(
            f"levels must be >= 2 so that both ends are levels, got {count}; to fix the parameter give "
            "the value alone"
        )
    if count > MOST_LEVELS:
        if is_finite(count):
            shown = f"{float(count):.6g}"
        else:
            shown = "a number beyond every float"
        raise SpaceError(f"levels must be <= {MOST_LEVELS:,}, got {shown}; give fewer: (low, high, levels)")
    return count


def _check_levels(levels: object, low: float, high: float) -> Sequence[float]:
    if isinstance(levels, str | bytes) or not isinstance(levels, Iterable):
        raise SpaceError(f"levels must be a whole number or a list of numbers, got {levels!r}")
    numbers = list(levels)
    if not all(map(is_finite, numbers)):
        raise SpaceError(f"levels must be finite numbers, got {numbers}")
    if len(numbers) < 2 or any(a >= b for a, b in pairwise(numbers)):
        raise SpaceError(f"levels must be two or more, each larger than the one before, got {numbers}")
    if numbers[0] != low or numbers[-1] != high:
        raise SpaceError(f"levels must begin at low and end at high, got {numbers} for ({low}, {high})")
    return numbers


def _is_count(levels: object) -> bool:
    return isinstance(levels, int | np.integer) and not isinstance(levels, bool)


def _spaced(low: float, high: float, count: int, log: bool) -> Floats:
    """Numbers from low to high, evenly spaced or by ratio."""
    shares = np.arange(count) / (count - 1)
    return np.asarray(low * (high / low) ** shares if log else low + (high - low) * shares)


def _apart(levels: list[int], low: int, high: int) -> list[int]:
    """Distinct integers from low to high: merged ones are moved up, then down from the end."""
    levels[0] = low
    levels[-1] = high
    for i in range(1, len(levels)):
        levels[i] = max(levels[i], levels[i - 1] + 1)
    levels[-1] = high
    for i in range(len(levels) - 2, -1, -1):
        levels[i] = min(levels[i], levels[i + 1] - 1)
    return levels


def levels_text(grid: Sequence[object]) -> str:
    """Levels as a list of at most 12; the middle of a longer list is left out."""
    if len(grid) <= 12:
        return ", ".join(label(v) for v in grid)
    head = ", ".join(label(v) for v in grid[:10])
    return f"{head}, ... {label(grid[-1])} ({len(grid)} levels)"


_SLACK = 1e-6  # share of a step by which a value on the lattice may be off: 0.1 + 0.2 is 0.3


class Lattice(NamedTuple):
    """Equally spaced values through a given value, on a linear scale (``step``) or by ratio (``base``)."""

    through: float  # a value of the lattice
    step: float | None  # distance of neighbours; `None` for powers
    base: float | None  # ratio of neighbours; `None` for steps
    integral: bool  # True for integers

    def place(self, value: float) -> float:
        """Number of steps from ``through`` to a value: whole on the lattice, NaN if no power exists."""
        if self.step is not None:
            return (value - self.through) / self.step
        assert self.base is not None
        if value > 0:
            return math.log(value / self.through) / math.log(self.base)
        return math.nan

    def at(self, place: int) -> float:
        """The value at a place."""
        if self.step is not None:
            value = self.through + place * self.step
        else:
            assert self.base is not None
            value = self.through * self.base**place
        if self.integral:
            return math.floor(value + 0.5)
        return round_significant(value)

    def holds(self, value: float) -> bool:
        """True if a value is on the lattice."""
        place = self.place(value)
        if not math.isfinite(place) or abs(place - round(place)) > _SLACK:
            return False
        exact = self.at(round(place))  # 1, 2.5 and 6.25 are powers; as integers 2 is none of them
        return abs(exact - value) <= _SLACK * max(abs(value), abs(exact))

    def nearest(self, value: float) -> float:
        """The nearest value of the lattice."""
        return self.at(round(self.place(value)))

    def between(self, low: float, high: float) -> list[float]:
        """The values from ``low`` to ``high``, both included."""
        first = math.ceil(self.place(low) - _SLACK)
        last = math.floor(self.place(high) + _SLACK)
        if last - first >= MOST_LEVELS:
            raise SpaceError(
                f"levels must be <= {MOST_LEVELS:,}, got {last - first + 1:,} of {self} from {label(low)} to "
                f"{label(high)}; use a larger step or base, or give the number of levels with levels="
            )
        return [self.at(k) for k in range(first, last + 1)]

    def check(self, values: Sequence[float], prefix: str = "") -> None:
        """Raises SpaceError, which names the nearest values, unless all values are on the lattice."""
        for value in values:
            if self.holds(value):
                continue
            place = self.place(value)
            if not math.isfinite(place):
                raise SpaceError(f"{prefix}{label(value)} must be on {self}, whose values are all above zero")
            below = self.at(math.floor(place))
            above = self.at(math.ceil(place))
            raise SpaceError(
                f"{prefix}{label(value)} must be on {self}; the nearest are {label(below)} and {label(above)}"
            )

    def __str__(self) -> str:
        if self.step is not None:
            text = f"step of {label(self.step)}"
        else:
            text = f"powers of {label(self.base)}"
        return f"the {text} from {label(self.through)}"


def lattice_of(target: Range, low: float) -> Lattice | None:
    """The lattice of a range through its lower end ``low``; ``None`` without a step and a base.

    Raises:
        SpaceError: Both are given, or the one that is given is invalid.
    """
    step: Any = target.step
    base: Any = target.base
    integral = isinstance(target, Integer)
    if step is None and base is None:
        return None
    if step is not None and base is not None:
        raise SpaceError(f"a range takes step= or base=, got step={step!r} and base={base!r}; leave one out")
    name = "step"
    value = step
    minimum = 0
    example = "step=8"
    if base is not None:
        name = "base"
        value = base
        minimum = 1
        example = "base=2"
    if not is_finite(value) or not value > minimum:
        raise SpaceError(f"{name} must be a number > {minimum}, got {value!r}; for example {example}")
    if integral and float(value) != int(value):
        raise SpaceError(f"{name} of an integer range must be a whole number, got {value!r}; use Float")
    if base is not None and low <= 0:
        raise SpaceError(
            f"low must be > 0 for powers of a base, got {label(low)}; start above zero, or use step="
        )
    exact = int(value) if integral else round_significant(float(value))
    return Lattice(low, exact if base is None else None, None if base is None else exact, integral)
