"""The fidelity of a training: epochs, share of the data, width, or another amount that makes it dearer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError
from refine.space.encoding import label, round_significant
from refine.space.parameters import Parameter, is_finite, number_of
from refine.utils.arrays import Bools, Floats
from refine.utils.keywords import helped
from refine.utils.types import JsonObject

_EQUAL = 1e-9  # relative difference of equal levels


@final
@helped
@dataclass(frozen=True, repr=False, init=False)
class Fidelity(Parameter):
    """A parameter that is not searched: most trials run at its first level, claims are about its last one.

    A space has at most one. Evenly drawn trials run at the first level. Other trials run at the last level,
    at configurations that look good and at some others: they show how far the cheap ones can be trusted. A
    trial is taken to cost as much as its level: 5 of 50 epochs cost a tenth.

    Args:
        levels: Two or more positive numbers, from the cheapest to the full level: ``Fidelity(5, 50)``. Levels
            between are used where trials of them are given or imported.

    Raises:
        SpaceError: Fewer than two levels, or levels that are not positive and increasing.

    Examples:
        >>> space = refine.Space({"lr": refine.Float(1e-4, 1, log=True), "epochs": refine.Fidelity(5, 50)})
        >>> space.varied, space["epochs"].cost
        (('lr',), 0.1)
    """

    ordered = True
    numeric = True
    levels: tuple[float, ...]
    grid: tuple[float, ...] = field(init=False)
    when: str | None = field(init=False, default=None)

    def __init__(self, *levels: float) -> None:
        if len(levels) < 2 or not all(map(is_finite, levels)):
            raise SpaceError(
                f"a fidelity needs two or more numbers, from cheap to full, got {levels!r}; for example "
                "Fidelity(5, 50)"
            )
        numbers = np.asarray(levels, dtype=float)
        if not numbers[0] > 0 or not (np.diff(numbers) > 0).all():
            raise SpaceError(
                f"levels of a fidelity must be positive and increase, from cheap to full, got {levels!r}"
            )
        typed_levels: tuple[float, ...] = tuple(map(round_significant, numbers.tolist()))
        if (numbers == np.floor(numbers)).all():
            typed_levels = tuple(map(int, levels))
        self._set(levels=typed_levels, grid=typed_levels[:1], when=None)

    @property
    def cheap(self) -> float:
        """The level of evenly drawn trials."""
        return self.levels[0]

    @property
    def full(self) -> float:
        """The level that claims are about."""
        return self.levels[-1]

    @property
    def cost(self) -> float:
        """Cost of a training at the cheapest level, as a share of one at the full level."""
        return self.cheap / self.full

    @property
    def full_share(self) -> float:
        """Share of a first round's trials at the full level: as much is spent on them as on cheap ones."""
        return self.full_share_at(0.5)

    def full_share_at(self, cheap_cost: float) -> float:
        """Share of trials at the full level, if cheap trials take a share of the cost."""
        return self.cost * (1 - cheap_cost) / (cheap_cost + self.cost * (1 - cheap_cost))

    @property
    def mean_cost(self) -> float:
        """Mean cost of a trial of a first round, in full trainings."""
        return self.mean_cost_of(self.full_share)

    def mean_cost_of(self, full_share: float) -> float:
        """Mean cost of a trial, in full trainings, if a share of the trials runs at the full level."""
        return full_share + (1 - full_share) * self.cost

    def index(self, value: object) -> int:
        """0 for the cheapest level; SpaceError for other values, which no design draws."""
        number = number_of(value)
        if number is not None and self.level_numbers([number])[0] == 0:
            return 0
        raise SpaceError(f"{value!r} is not the level of evenly drawn trials, {label(self.cheap)}")

    def level(self, value: object) -> float:
        """The level that equals a value; SpaceError for other values."""
        number = number_of(value)
        place = -1 if number is None else int(self.level_numbers([number])[0])
        if place < 0:
            levels = ", ".join(map(label, self.levels))
            raise SpaceError(f"{value!r} is not a level of this fidelity; levels: {levels}")
        return self.levels[place]

    def level_numbers(self, values: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """(n,) numbers of levels, 0 for the cheapest; -1 for other values."""
        x = np.array(
            [np.nan if number_of(v) is None else float(v) for v in np.ravel(np.asarray(values, dtype=object))]
        )
        levels = np.asarray(self.levels, dtype=float)
        with np.errstate(invalid="ignore"):
            equal = np.abs(x[:, None] - levels) <= _EQUAL * levels
        return np.where(equal.any(axis=1), equal.argmax(axis=1), -1)

    def column(self, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """The cheapest level, by number."""
        return np.asarray(self.grid)[indices]

    def contains(self, values: npt.ArrayLike) -> Bools:
        """Mask of the values that are levels."""
        return np.asarray(self.level_numbers(values) >= 0, dtype=np.bool_)

    def unit(self, values: npt.ArrayLike) -> Floats:
        """Positions of levels from 0, the cheapest, to 1, the full level, by ratio; NaN for other values."""
        places = np.log(np.asarray(self.levels, dtype=float) / self.cheap) / np.log(self.full / self.cheap)
        number = self.level_numbers(values)
        return np.asarray(np.where(number >= 0, places[number], np.nan), dtype=float)

    def volume_kept(self, new: Parameter) -> float:  # noqa: ARG002
        """1: a fidelity is not searched."""
        return 1.0

    def under(self, when: str | None) -> Fidelity:
        """The same fidelity; SpaceError for a condition."""
        if when is not None:
            raise SpaceError(
                f"a fidelity belongs to every training and takes no condition, got when={when!r}"
            )
        return self

    def to_json(self) -> JsonObject:
        """Kind and levels."""
        return {"type": "fidelity", "levels": list(self.levels)}

    def describe(self) -> str:
        """``fidelity: 5, 50``."""
        return f"fidelity: {', '.join(label(level) for level in self.levels)}"

    def code(self, spelled: Callable[[Any], str] | None = None) -> str:
        """See :meth:`Parameter.code`."""
        spelled = spelled or label
        return f"Fidelity({', '.join(spelled(level) for level in self.levels)})"


def check_one_fidelity(space: Mapping[str, Parameter]) -> None:
    """Raises SpaceError if a space has several fidelities."""
    names = [name for name, parameter in space.items() if isinstance(parameter, Fidelity)]
    if len(names) > 1:
        raise SpaceError(f"a space has at most one fidelity, got {' and '.join(names)}; fix all but one")


def fidelity_of(space: Mapping[str, Parameter]) -> tuple[str, Fidelity] | None:
    """Name and fidelity of a space; ``None`` without one."""
    for name, parameter in space.items():
        if isinstance(parameter, Fidelity):
            return name, parameter
    return None


def full_trainings(space: Mapping[str, Parameter], n: int, full_share: float) -> int:
    """Cost of ``n`` trials in full trainings, a share of them at the full level; ``n`` without a fidelity."""
    named = fidelity_of(space)
    if named is None:
        return n
    return round(n * named[1].mean_cost_of(full_share))


def at_full(space: Mapping[str, Parameter], frozen: Mapping[str, Any]) -> dict[str, Any]:
    """A frozen configuration at the full level of the space's fidelity; unchanged without one."""
    named = fidelity_of(space)
    if named is None:
        return dict(frozen)
    name, fidelity = named
    return {**frozen, name: fidelity.full}


def is_cheap(space: Mapping[str, Parameter], configuration: Mapping[str, Any]) -> bool:
    """True if a configuration is not at the full level of the space's fidelity."""
    named = fidelity_of(space)
    if named is None or named[0] not in configuration:
        return False
    name, fidelity = named
    return bool(fidelity.level_numbers([configuration[name]])[0] != len(fidelity.levels) - 1)
