"""Parameters that are ranges of numbers, each with its grid levels and lattice; and what every parameter can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple, Self, final

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError
from refine.space.constraints import condition_of
from refine.space.encoding import label, round_significant, value_key
from refine.space.rounding import ABOUT, round_levels
from refine.utils.arrays import Floats
from refine.utils.keywords import helped

ALL_UP_TO = 20
"""All values of a range are its levels where they are no more than this many and nobody stated others."""

LARGEST_INTEGER = 2**53
MOST_LEVELS = 100_000

Mask = npt.NDArray[np.bool_]
Within = tuple[float | None, float | None]
"""Hard limits of a range, below and above; ``None`` where there is none."""


class Parameter(ABC):
    """One axis of a space. Immutable; knows nothing of its name.

    A parameter with ``when="optimizer == 'sgd'"`` is *active* in the configurations that meet the expression, and in the others
    it is absent. A condition may name parameters that have conditions themselves; what it says of an absent one is not true.

    Attributes:
        grid: The levels, in order, as frozen values.
        when: The condition under which configurations have it, in its canonical spelling; ``None`` for always.
        ordered: Whether levels have an order that statistics may use.
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
        """Whether there is nothing to vary."""
        return self.size == 1

    @abstractmethod
    def index(self, value: Any) -> int:
        """The level number of a value, equal to 12 significant digits, or of a choice's label; SpaceError where it is no level."""

    @abstractmethod
    def column(self, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Levels by number, as a table shows them: numbers, or labels of choices."""

    @abstractmethod
    def contains(self, values: npt.ArrayLike) -> Mask:
        """Which values lie inside, to within rounding, whether or not they are on a level."""

    @abstractmethod
    def unit(self, values: npt.ArrayLike) -> Floats:
        """Positions for statistics; NaN where a value is outside.

        In [0, 1] on the declared scale for ordered parameters (``(i + 1/2) / size`` for choices), the level number for
        unordered ones.
        """

    @abstractmethod
    def volume_kept(self, new: Parameter) -> float:
        """measure(new within this) / measure(this), in this parameter's declared scale; a share of the levels for choices."""

    @abstractmethod
    def under(self, when: str | None) -> Self:
        """The same parameter under another condition; SpaceError where that is no expression."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain data; :func:`parameter_from_json` is the inverse. What isn't declared is left out."""

    @abstractmethod
    def describe(self) -> str:
        """Kind and actual levels in one line: ``float, log: 0.001, 0.01, 0.1``, ``categorical: Adam, Nadam`` or ``fixed: 150``."""

    @abstractmethod
    def code(self, spelled: Callable[[Any], str] | None = None) -> str:
        """The call that makes it, without its module; ``spelled`` writes its values, by default as they are shown."""

    def __repr__(self) -> str:
        return self.code()

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _check_condition(self) -> None:
        """Makes the condition canonical; SpaceError where it is none."""
        if self.when is not None:
            self._set(when=condition_of(self.when).expression)

    def _condition_text(self) -> str:
        """``, when optimizer == 'sgd'``; empty where there is none."""
        return "" if self.when is None else f", when {self.when}"


@dataclass(frozen=True, repr=False)
class Range(Parameter):
    """What floats and integers have in common: two ends, a scale and levels between."""

    ordered = numeric = True
    low: float
    high: float
    levels: int | Sequence[float] | None = field(default=None, compare=False)
    log: bool = False
    grid: tuple[float, ...] = field(init=False)
    within: Within | None = field(default=None, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    base: float | None = field(default=None, kw_only=True)
    when: str | None = field(default=None, kw_only=True)
    default_levels: bool = field(init=False, compare=False)  # whether it was made without ``levels=``

    def __post_init__(self) -> None:
        self._set(default_levels=self.levels is None)
        _check_ends(self.low, self.high, self.log)
        grid = self._made()
        self._check_condition()
        self._set(within=_check_within(self.within, grid[0], grid[-1]))
        self._set(grid=grid, low=grid[0], high=grid[-1], levels=len(grid))

    @abstractmethod
    def _made(self) -> tuple[Any, ...]:
        """The levels, of what was given."""

    @property
    def lattice(self) -> Lattice | None:
        """The values that it may take at all, where a step or a base is declared."""
        return lattice_of(self.low, self.step, self.base, isinstance(self, Integer))

    @property
    def declared(self) -> dict[str, Any]:
        """What a range made of this one has in common with it: scale, limits, step or base, and condition."""
        return {name: getattr(self, name) for name in ("log", "within", "step", "base", "when")}

    def under(self, when: str | None) -> Self:
        """The same range under another condition."""
        return replace(self, levels=self.grid, when=when)

    def with_levels(self, levels: Sequence[float]) -> Self:
        """A range of this kind, scale, limits and step with other levels."""
        return replace(self, low=levels[0], high=levels[-1], levels=levels)

    def index(self, value: Any) -> int:
        """The level number of ``value``."""
        number = number_of(value)
        if number is not None:
            key = value_key(round_significant(float(number)))
            for i, level in enumerate(self.grid):
                if value_key(level) == key:
                    return i
        raise SpaceError(f"{value!r} is no level; levels: {levels_text(self.grid)}")

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
    def stated_levels(self) -> int | tuple[float, ...] | None:
        """The shortest ``levels=`` that gives these levels: a count, ``None`` for what is given without it, or a list."""
        for levels in (None, self.size) if self.lattice else (self.size, None):
            if self.grid == replace(self, levels=levels).grid:
                return levels
        return self.grid

    def to_json(self) -> dict[str, Any]:
        """Kind, explicit levels and scale; what else is declared only where it is."""
        kind, within = type(self).__name__.lower(), None if self.within is None else list(self.within)
        stated = {"within": within, "step": self.step, "base": self.base, "when": self.when}
        declared = {n: v for n, v in stated.items() if v is not None}
        return {"type": kind, "levels": list(self.grid), "log": self.log, **declared}

    def describe(self) -> str:
        """``float, log: 0.001, 0.01, 0.1``."""
        kind = type(self).__name__.lower() + (", log" if self.log and self.base is None else "")
        lattice = "" if self.step is None else f", step {label(self.step)}"
        lattice += "" if self.base is None else f", powers of {label(self.base)}"
        limits = f", within {_limits_text(self.within)}" if self.within else ""
        return f"{kind}{lattice}{limits}{self._condition_text()}: {levels_text(self.grid)}"

    def code(self, spelled: Callable[[Any], str] | None = None) -> str:
        """See :meth:`Parameter.code`."""
        spelled, stated = spelled or label, self.stated_levels
        levels = f"[{', '.join(map(spelled, stated))}]" if isinstance(stated, tuple) else str(stated)
        options = [spelled(self.low), spelled(self.high)]
        options += [] if stated is None else [f"levels={levels}"]
        options += ["log=True"] if self.log and self.base is None else []
        options += [f"within={_limits_text(self.within)}"] if self.within else []
        options += [
            f"{n}={spelled(v)}" for n, v in (("step", self.step), ("base", self.base)) if v is not None
        ]
        options += [] if self.when is None else [f"when={self.when!r}"]
        return f"{type(self).__name__}({', '.join(options)})"


@final
@helped
@dataclass(frozen=True, repr=False)
class Float(Range):
    """A range of real numbers, both ends included.

    Args:
        low: Lower end, the first level.
        high: Upper end, the last level.
        levels: How many levels, spaced evenly (by ratio if ``log``), or the levels themselves, increasing
            from ``low`` to ``high``. Without it about ten round numbers: see
            :func:`refine.space.rounding.round_levels`.
        log: Whether the scale is logarithmic; then ``low`` must be positive.
        within: Hard limits ``(low, high)`` that no proposal and no edit may pass, both allowed as values; ``None`` for
            an end without one. Left out, limits are inferred: see :func:`refine.space.limits.limit_of`.
        step: Distance of the values that it may take, counted from ``low``; kept by every proposal and edit. Without
            ``levels`` and ``log`` all of them are levels, else as many as those say.
        base: Ratio of the values that it may take, as ``step`` is their distance; makes the scale logarithmic.
        when: Condition on other parameters under which configurations have this one, such as
            ``"optimizer == 'sgd'"``: see :class:`Parameter`. Elsewhere it is absent.

    Raises:
        SpaceError: Ends that are no finite numbers, reversed or equal, or off the step; fewer than 2 levels; a
            logarithm of zero or less.

    Examples:
        >>> refine.Float(0, 0.5, 6).grid
        (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
        >>> refine.Float(1e-3, 10, 5, log=True).grid
        (0.001, 0.01, 0.1, 1.0, 10.0)
    """

    def _made(self) -> tuple[float, ...]:
        low, high = float(self.low), float(self.high)
        lattice = _lattice(self, round_significant(low), round_significant(high))
        if lattice is not None:
            raw = np.asarray(_on_lattice(lattice, low, high, self.levels, self.log), dtype=float)
        elif self.levels is None:
            raw = np.asarray(round_levels(low, high, self.log))
        elif _is_count(self.levels):
            raw = _spaced(low, high, check_count(int(self.levels)), self.log)  # type: ignore[arg-type]
        else:
            raw = np.asarray(_check_levels(self.levels, low, high), dtype=float)
        grid = tuple(round_significant(float(v)) for v in raw)
        if len(set(grid)) != len(grid):
            raise SpaceError(
                f"levels must differ in their first 12 digits, but {len(grid)} levels between {low} and {high} "
                "do not; ask for fewer"
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
        levels: How many levels, spaced as evenly as integers allow, or the levels themselves. Without it
            every integer up to 20 of them, else about ten round ones.
        log: Whether the scale is logarithmic; then ``low`` must be positive.
        within: As for :class:`Float`, like ``step``, ``base`` and ``when``.

    Raises:
        SpaceError: Ends that are no integers, reversed, equal, beyond 2**53 or off the step; more levels than integers.

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
                    f"an integer range must lie within -2**53 and 2**53, where floats are exact, got {end}; use Float"
                )
        low, high = int(self.low), int(self.high)
        integers = high - low + 1
        lattice = _lattice(self, low, high)
        levels: Any = self.levels
        if lattice is not None:
            levels = _on_lattice(lattice, low, high, levels, self.log)
        elif levels is None:
            levels = integers if integers <= ALL_UP_TO else round_levels(low, high, self.log, whole=True)
        if not _is_count(levels):
            given = _check_levels(levels, low, high)
            if any(float(v) != int(v) for v in given):
                raise SpaceError(f"levels of an integer range must be integers, got {list(given)}; use Float")
            return tuple(int(v) for v in given)
        count = check_count(int(levels))
        if count > integers:
            raise SpaceError(
                f"levels must be <= the number of integers, got {count} levels for the {integers} integers "
                f"from {low} to {high}; use levels={integers} or less"
            )
        return tuple(_apart([math.floor(v + 0.5) for v in _spaced(low, high, count, self.log)], low, high))

    def edges(self) -> tuple[float, float]:
        """Half an integer beyond both ends, so that one integer has a width."""
        return self.low - 0.5, self.high + 0.5


def _lattice(target: Range, low: float, high: float) -> Lattice | None:
    """The lattice that a range declares, checked; its step and base become canonical."""
    lattice = lattice_of(low, target.step, target.base, isinstance(target, Integer))
    if lattice is not None:
        lattice.check([high], "high: ")
        target._set(step=lattice.step, base=lattice.base, log=target.log or lattice.base is not None)
    return lattice


def _on_lattice(lattice: Lattice, low: float, high: float, levels: Any, log: bool) -> Sequence[float]:
    """The levels of a range on a lattice."""
    if levels is not None and not _is_count(levels):
        given = _check_levels(levels, low, high)
        lattice.check(given, "levels: ")
        return [lattice.nearest(v) for v in given]
    by_ratio = log and lattice.base is None
    last = round(lattice.place(high))
    if levels is None:
        if not by_ratio or last < ALL_UP_TO:
            return lattice.between(low, high)
        levels = min(ABOUT, last + 1)
    count = check_count(int(levels))
    if count > last + 1:
        raise SpaceError(
            f"levels must be <= the number of values, got {count} levels for the {last + 1} on {lattice}, up to "
            f"{label(high)}; use levels={last + 1} or less"
        )
    if by_ratio:
        places = [round(lattice.place(float(v))) for v in _spaced(low, high, count, log=True)]
    else:
        places = [math.floor(v + 0.5) for v in _spaced(0, last, count, log=False)]
    return [lattice.at(k) for k in _apart(places, 0, last)]


def _check_within(within: Any, low: float, high: float) -> Within | None:
    """Declared limits, checked; ``None`` where there are none."""
    if within is None:
        return None
    if not isinstance(within, tuple | list) or len(within) != 2:
        raise SpaceError(
            f"within must be the hard limits (low, high), got {within!r}; such as within=(0, 1), or within=(0, None) for "
            "a lower one alone"
        )
    if any(v is not None and not is_finite(v) for v in within):
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


def is_finite(value: Any) -> bool:
    """Whether a value is a number, no bool, and finite as a float."""
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


def check_count(count: int) -> int:
    """A number of levels, if a range may have so many, else SpaceError."""
    if count < 2:
        raise SpaceError(
            f"levels must be >= 2 so that both ends are levels, got {count}; to fix the parameter give "
            "the value alone"
        )
    if count > MOST_LEVELS:
        shown = f"{float(count):.6g}" if is_finite(count) else "a number beyond every float"
        raise SpaceError(f"levels must be <= {MOST_LEVELS:,}, got {shown}; give fewer: (low, high, levels)")
    return count


def _check_levels(levels: Any, low: float, high: float) -> Sequence[float]:
    if isinstance(levels, str | bytes) or not isinstance(levels, Iterable):
        raise SpaceError(f"levels must be a whole number or a list of numbers, got {levels!r}")
    given = list(levels)
    if not all(map(is_finite, given)):
        raise SpaceError(f"levels must be finite numbers, got {given}")
    if len(given) < 2 or any(a >= b for a, b in pairwise(given)):
        raise SpaceError(f"levels must be two or more, each larger than the one before, got {given}")
    if given[0] != low or given[-1] != high:
        raise SpaceError(f"levels must begin at low and end at high, got {given} for ({low}, {high})")
    return given


def _is_count(levels: Any) -> bool:
    return isinstance(levels, int | np.integer) and not isinstance(levels, bool)


def _spaced(low: float, high: float, count: int, log: bool) -> Floats:
    """Numbers from low to high, evenly or by ratio."""
    at = np.arange(count) / (count - 1)
    return np.asarray(low * (high / low) ** at if log else low + (high - low) * at)


def _apart(levels: list[int], low: int, high: int) -> list[int]:
    """Integers from low to high, pushed apart where rounding merged them: first up, then down from the end."""
    levels[0], levels[-1] = low, high
    for i in range(1, len(levels)):
        levels[i] = max(levels[i], levels[i - 1] + 1)
    levels[-1] = high
    for i in range(len(levels) - 2, -1, -1):
        levels[i] = min(levels[i], levels[i + 1] - 1)
    return levels


def levels_text(grid: Sequence[Any], most: int = 12) -> str:
    """Levels as they are listed, the middle of many left out."""
    if len(grid) <= most:
        return ", ".join(label(v) for v in grid)
    head = ", ".join(label(v) for v in grid[: most - 2])
    return f"{head}, ... {label(grid[-1])} ({len(grid)} levels)"


_SLACK = 1e-6  # of a step: a value this near to the lattice is on it, as 0.1 + 0.2 is 0.3


class Lattice(NamedTuple):
    """Equally spaced values through one of them, on a linear scale (``step``) or by ratio (``base``)."""

    through: float  # one of its values
    step: float | None  # distance of neighbours; `None` for powers
    base: float | None  # ratio of neighbours; `None` for steps
    whole: bool  # whether its values are integers

    def place(self, value: float) -> float:
        """How many steps above ``through`` a value lies; whole on the lattice, NaN where no power is."""
        if self.step is not None:
            return (value - self.through) / self.step
        assert self.base is not None
        return math.log(value / self.through) / math.log(self.base) if value > 0 else math.nan

    def at(self, place: int) -> float:
        """The value of a place."""
        if self.step is not None:
            value = self.through + place * self.step
        else:
            assert self.base is not None
            value = self.through * self.base**place
        return math.floor(value + 0.5) if self.whole else round_significant(value)

    def holds(self, value: float) -> bool:
        """Whether a value is on it."""
        place = self.place(value)
        if not math.isfinite(place) or abs(place - round(place)) > _SLACK:
            return False
        exact = self.at(round(place))  # 1, 2.5 and 6.25 are powers; as integers 2 is none of them
        return abs(exact - value) <= _SLACK * max(abs(value), abs(exact))

    def nearest(self, value: float) -> float:
        """The value of the lattice that is nearest."""
        return self.at(round(self.place(value)))

    def between(self, low: float, high: float) -> list[float]:
        """Its values from ``low`` to ``high``, both included."""
        first = math.ceil(self.place(low) - _SLACK)
        last = math.floor(self.place(high) + _SLACK)
        if last - first >= MOST_LEVELS:
            raise SpaceError(
                f"levels must be <= {MOST_LEVELS:,}, got {last - first + 1:,} of {self} from {label(low)} to {label(high)}; "
                "take a larger one, or say how many with levels="
            )
        return [self.at(k) for k in range(first, last + 1)]

    def check(self, values: Sequence[float], what: str = "") -> None:
        """Raises SpaceError, which names the nearest values, unless all values are on it."""
        for value in values:
            if self.holds(value):
                continue
            place = self.place(value)
            if not math.isfinite(place):
                raise SpaceError(f"{what}{label(value)} must be on {self}, all of which are above zero")
            below, above = self.at(math.floor(place)), self.at(math.ceil(place))
            raise SpaceError(
                f"{what}{label(value)} must be on {self}; the nearest are {label(below)} and {label(above)}"
            )

    def __str__(self) -> str:
        what = f"step of {label(self.step)}" if self.step is not None else f"powers of {label(self.base)}"
        return f"the {what} from {label(self.through)}"


def lattice_of(low: float, step: Any, base: Any, whole: bool) -> Lattice | None:
    """The lattice of a range, through its lower end, or SpaceError; ``None`` where it declares neither step nor base."""
    if step is None and base is None:
        return None
    if step is not None and base is not None:
        raise SpaceError(f"a range has a step or a base, got step={step!r} and base={base!r}; leave one out")
    name, value = ("step", step) if base is None else ("base", base)
    least = 0 if base is None else 1
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not value > least:
        such = "step=8" if base is None else "base=2"
        raise SpaceError(f"{name} must be a number > {least}, got {value!r}; such as {such}")
    if whole and float(value) != int(value):
        raise SpaceError(f"{name} of an integer range must be a whole number, got {value!r}; use Float")
    if base is not None and low <= 0:
        raise SpaceError(
            f"low must be > 0 for powers of a base, got {label(low)}; start above zero, or use step="
        )
    exact = int(value) if whole else round_significant(float(value))
    return Lattice(low, exact if base is None else None, None if base is None else exact, whole)
