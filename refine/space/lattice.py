"""Values that a range may take at all: multiples of a step, or powers of a base. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refine.errors import SpaceError
from refine.space.encoding import label, round_significant

_SLACK = 1e-6  # of a step: a value this near to the lattice is on it, as 0.1 + 0.2 is 0.3

MOST = 100_000


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
        if last - first >= MOST:
            raise SpaceError(
                f"levels must be <= {MOST:,}, got {last - first + 1:,} of {self} from {label(low)} to {label(high)}; "
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
