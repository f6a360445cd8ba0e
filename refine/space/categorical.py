"""Parameters that are lists of choices: numbers, or values that can be stored."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError, did_you_mean
from refine.space.encoding import Reference, dumps, encode, freeze, label, value_key
from refine.space.parameters import Parameter, number_of
from refine.utils.arrays import Bools, Floats, Ints, objects
from refine.utils.keywords import helped
from refine.utils.types import JsonObject

C = TypeVar("C", bound=type)


def _of_one_list(cls: C) -> C:
    """A class that refuses choices as separate arguments, and names the call to write."""
    initialize = vars(cls)["__init__"]

    @functools.wraps(initialize)
    def checked(self: object, *values: object, **keywords: object) -> None:
        if len(values) > 1:
            if isinstance(values[0], list | tuple):
                fix = "pass the other options by name, as in Categorical([8, 16], ordered=True)"
            else:
                fix = f"write Categorical({list(values)!r:.80})"
            raise SpaceError(f"choices must be one list, got {len(values)} arguments; {fix}")
        initialize(self, *values, **keywords)

    setattr(cls, "__init__", checked)  # noqa: B010  # by setattr, for the type checker
    return cls


@final
@helped
@_of_one_list
@dataclass(frozen=True, repr=False)
class Categorical(Parameter):
    """A list of values to choose from.

    Numbers are sorted, and ordered unless ``ordered=False``. Other values keep their order of writing, which
    statistics use only with ``ordered=True``. A single value makes a fixed parameter, without an order.

    Args:
        values: The choices.
        ordered: Whether statistics, samplers and proposals may use an order of the choices. Default: True if
            all choices are numbers; the attribute holds the result.
        when: As for :class:`Float`.

    Raises:
        SpaceError: No values, a repeated value, NaN, an object that can't be imported again, or ``ordered``
            is not a bool.

    Examples:
        >>> refine.Categorical([32, 16, 64]).ordered, refine.Categorical(["adam", "sgd"]).ordered
        (True, False)
    """

    values: Sequence[Any] = field(compare=False)
    ordered: bool | None = field(default=None, kw_only=True)  # type: ignore[assignment]
    grid: tuple[Any, ...] = field(init=False)
    when: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.values, str | bytes | dict | set | frozenset) or not isinstance(
            self.values, Iterable
        ):
            fix = "write [...]"
            if isinstance(self.values, str):
                fix = f"write [{self.values!r:.80}]"
            kind = type(self.values).__name__
            raise SpaceError(f"choices must be a list, whose order is kept, got {kind}; {fix}")
        grid = tuple(freeze(v) for v in self.values)
        if not grid:
            raise SpaceError("choices must not be empty, got []; give at least one value")
        keys = [value_key(v) for v in grid]
        if len(set(keys)) < len(keys):
            twice = next(v for i, v in enumerate(grid) if keys[i] in keys[:i])
            raise SpaceError(f"choices must differ, got {label(twice)} twice; leave one out")
        if self.ordered is not None and not isinstance(self.ordered, bool):
            raise SpaceError(f"ordered must be True, False or None, got {self.ordered!r}")
        self._check_condition()
        numeric = all(number_of(v) is not None for v in grid)
        if numeric:
            grid = tuple(sorted(grid))  # statistics use the order of numbers, not of writing
        if self.ordered is None or len(grid) == 1:
            ordered = numeric
        else:
            ordered = self.ordered
        self._set(grid=grid, ordered=ordered, values=tuple(surface(v) for v in grid))

    def __eq__(self, other: object) -> bool:
        # Compares JSON, not tuples: to Python 1, 1.0 and True are equal, to a stored space they are not.
        return isinstance(other, Categorical) and dumps(self.to_json()) == dumps(other.to_json())

    def __hash__(self) -> int:
        return hash(dumps(self.to_json()))

    @property
    def numeric(self) -> bool:  # type: ignore[override]
        """True if every value is a number."""
        return all(number_of(v) is not None for v in self.grid)

    @property
    def declared_order(self) -> bool | None:
        """``ordered`` if it differs from the default for these values, else ``None``."""
        if self.ordered == self.numeric:
            return None
        return self.ordered

    def like(self, values: Sequence[object]) -> Categorical:
        """Other choices with the declared order and the condition of these."""
        return Categorical(values, ordered=self.declared_order, when=self.when)

    def under(self, when: str | None) -> Categorical:
        """The same choices under another condition."""
        return Categorical(self.grid, ordered=self.declared_order, when=when)

    @property
    def labels(self) -> tuple[str, ...]:
        """One distinct text per value: ``Adam``, or the whole path if labels repeat; ``1.0`` is not ``1``."""
        short = [exact(v) for v in self.grid]
        if len(set(short)) == len(short):
            return tuple(short)
        return tuple(v.path if isinstance(v, Reference) else repr(v) for v in self.grid)

    def index(self, value: object) -> int:
        """The level number of a value, or of its label."""
        keys = [value_key(v) for v in self.grid]
        try:
            key = value_key(freeze(value))
        except SpaceError:
            key = ""
        if key in keys:
            return keys.index(key)
        if isinstance(value, str):
            level = self.labelled(value)
            if level is not None:
                return level
        raise SpaceError(
            f"{value!r} is not a choice of this parameter; {did_you_mean(str(value), self.labels)}"
        )

    def labelled(self, text: str) -> int | None:
        """The number of the level with a label; ``None`` without a level, or with several."""
        for texts in (self.labels, tuple(label(v) for v in self.grid)):
            if texts.count(text) == 1:
                return texts.index(text)
        return None

    def column(self, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Numbers if all choices are numbers, else labels."""
        if self.numeric:
            return np.asarray(self.grid)[indices]
        return np.asarray(self.labels, dtype=object)[indices]

    def positions(self, values: npt.ArrayLike) -> Ints:
        """Level numbers of values or labels; -1 for a value that is not a choice."""
        if isinstance(values, np.ndarray) and values.dtype.kind in "if":
            numbers, places = np.unique(values.ravel(), return_inverse=True)
            return np.array([self._position(v) for v in numbers], dtype=np.int64)[places]
        array = np.asarray(values, dtype=object).ravel().tolist()
        keys = [_kind_and_value(v) for v in array]
        position_of_key = {key: self._position(v) for key, v in dict(zip(keys, array, strict=True)).items()}
        return np.fromiter(map(position_of_key.__getitem__, keys), dtype=np.int64, count=len(keys))

    def _position(self, value: object) -> int:
        try:
            return self.index(value)
        except SpaceError:
            # A table read from a file holds numbers as text, labels as numbers and None as a missing value.
            keys = [value_key(v) for v in self.grid]
            if _missing(value):
                if "null" in keys:
                    return keys.index("null")
                return -1
            if isinstance(value, float | int | np.generic):
                text = label(value)
            else:
                text = str(value)
            if text in self.labels:
                return self.labels.index(text)
            try:
                key = value_key(freeze(float(text)))  # 4.0 is 4
            except (ValueError, SpaceError):
                return -1
            if key in keys:
                return keys.index(key)
            return -1

    def contains(self, values: npt.ArrayLike) -> Bools:
        """Mask of the values, or labels, that are choices."""
        return np.asarray(self.positions(values) >= 0)

    def unit(self, values: npt.ArrayLike) -> Floats:
        """See :meth:`Parameter.unit`."""
        positions = self.positions(values).astype(float)
        positions[positions < 0] = np.nan
        if self.ordered:
            return (positions + 0.5) / self.size
        return positions

    def volume_kept(self, new: Parameter) -> float:
        """Share of these choices that lie within ``new``."""
        return float(np.mean(new.contains(objects(self.grid))))

    def to_json(self) -> JsonObject:
        """Kind and encoded values; the order only if declared."""
        content: JsonObject = {"type": "categorical", "values": [encode(v) for v in self.grid]}
        if self.declared_order is not None:
            content["ordered"] = self.ordered
        if self.when is not None:
            content["when"] = self.when
        return content

    def describe(self) -> str:
        """Kind and labels."""
        if self.fixed:
            return f"fixed{self._condition_text()}: {self.labels[0]}"
        kind = "categorical"
        if self.ordered:
            kind = "ordered categorical"
        return f"{kind}{self._condition_text()}: {', '.join(self.labels)}"

    def code(self, spelled: Callable[[Any], str] | None = None) -> str:
        """See :meth:`Parameter.code`."""
        values = ", ".join(map(spelled or (lambda v: repr(v) if isinstance(v, str) else exact(v)), self.grid))
        arguments = f"[{values}]"
        if self.declared_order is not None:
            arguments += f", ordered={self.ordered}"
        if self.when is not None:
            arguments += f", when={self.when!r}"
        return f"Categorical({arguments})"


def exact(value: object) -> str:
    """The text of a choice; floats keep their point: ``1.0`` may mean a share and ``1`` a count."""
    text = label(value)
    if isinstance(value, float) and text.lstrip("-").isdigit():
        return f"{text}.0"
    return text


def surface(value: object) -> Any:
    """A frozen value as a user gave it: the class itself if it is loaded, else its reference."""
    if isinstance(value, Reference) and value.target is not None:
        return value.target
    if isinstance(value, tuple):
        return tuple(map(surface, value))
    return value


def _kind_and_value(value: object) -> Any:
    """A hashable key of a table's value that distinguishes 1 from True and 1.0."""
    if isinstance(value, str):
        return value
    return type(value), value if isinstance(value, int | float) else repr(value)


def _missing(value: object) -> bool:
    """True if a value of a table is missing: None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # NA has no truth value; nor has an array
        return str(value) == "<NA>"
