"""The search space: an ordered set of parameters, their grid, and constraints over them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError, UnknownNameError, did_you_mean, unstorable
from refine.space.categorical import Categorical, surface
from refine.space.constraints import Constraint
from refine.space.encoding import Reference, decode, digest, encode, freeze, label, value_key
from refine.space.parameters import Mask, Parameter, number_of
from refine.space.parsing import parameter_from_json, parse, parse_talos
from refine.utils.display import Shown

if TYPE_CHECKING:
    import pandas as pd

RESERVED = ("state", "value", "seconds", "seed", "cell", "origin")
"""Column names of the table of trials; no parameter or metric may use them."""

Indices = npt.NDArray[np.integer[Any]]
"""Level numbers, one row per configuration, one column per parameter."""


class SpaceDiff(NamedTuple):
    """What differs between two spaces.

    Attributes:
        added: Parameters only the second one has.
        removed: Parameters only the first one has.
        changed: Name -> (before, after) for parameters whose levels, scale or kind differ.
        constraints_added: Constraints only the second one has.
        constraints_removed: Constraints only the first one has.
    """

    added: dict[str, Parameter]
    removed: dict[str, Parameter]
    changed: dict[str, tuple[Parameter, Parameter]]
    constraints_added: tuple[str, ...]
    constraints_removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return any(bool(part) for part in tuple(self))

    def __str__(self) -> str:
        lines = [f"+ {name}: {p.describe()}" for name, p in self.added.items()]
        lines += [f"- {name}: {p.describe()}" for name, p in self.removed.items()]
        lines += [f"~ {name}: {a.describe()}  ->  {b.describe()}" for name, (a, b) in self.changed.items()]
        lines += [f"+ constraint: {c}" for c in self.constraints_added]
        lines += [f"- constraint: {c}" for c in self.constraints_removed]
        return "\n".join(lines) or "no difference"


@final
class Space(Shown, Mapping[str, Parameter]):
    """An immutable, ordered mapping from names to parameters, with constraints.

    Args:
        parameters: Name -> :class:`Float`, :class:`Integer`, :class:`Categorical`, or the notation of
            :func:`refine.space.parsing.parse`: ``(low, high[, levels])``, a list of choices, or a fixed value.
        constraints: Conditions such as ``"hidden_layers > 0 or shape != 'funnel'"``.

    Raises:
        SpaceError: A name or an entry breaks a rule; the text names the parameter, the rule, the value and
            what to write instead.

    The grid is never built: ``size`` is an exact integer, ``configuration`` and ``cell`` convert between a
    configuration and its number (mixed radix, the last parameter fastest) at any size.
    """

    def __init__(self, parameters: Mapping[str, Any], constraints: Iterable[str] = ()) -> None:
        if not isinstance(parameters, Mapping):
            raise SpaceError(
                f"a space needs a mapping of names to parameters, got {type(parameters).__name__}; write "
                '{"dropout": (0, 0.5), "units": [8, 16]}'
            )
        if not parameters:
            raise SpaceError("a space needs at least one parameter, got none")
        self._parameters: dict[str, Parameter] = {}
        for name, value in parameters.items():
            _check_name(name)
            try:
                self._parameters[name] = parse(value)
            except SpaceError as error:
                raise SpaceError(f"{name}: {error}") from error.__cause__
        if isinstance(constraints, str):
            raise SpaceError(
                f"constraints must be a list of expressions, got the text {constraints!r}; put it in [...]"
            )
        if not isinstance(constraints, Iterable):
            raise SpaceError(
                f"constraints must be a list of expressions, got {constraints!r}; for none give []"
            )
        unique = {Constraint(c.expression if isinstance(c, Constraint) else c) for c in constraints}
        self.constraints: tuple[Constraint, ...] = tuple(sorted(unique, key=str))
        for constraint in self.constraints:
            for name in sorted(constraint.names - set(self._parameters)):
                text = any(isinstance(p, Categorical) and name in p.labels for p in self.values())
                hint = "a text stands in quotes" if text else did_you_mean(name, self)
                raise SpaceError(f"constraint {str(constraint)!r}: unknown parameter {name!r}; {hint}")
        if self.constraints:
            # Every level once, so that a comparison that can't be made is found now and not in the 900th cell.
            rows = np.arange(max(self.radices))
            self.valid(np.stack([rows % r for r in self.radices], axis=1))

    @classmethod
    def from_talos(cls, parameters: Mapping[str, Any], constraints: Iterable[str] = ()) -> Space:
        """A Talos dictionary with Talos' own meaning of tuples: see :func:`refine.space.parsing.parse_talos`."""
        if not isinstance(parameters, Mapping):
            return cls(parameters)  # raises, with the text of the notation
        converted = {}
        for name, value in parameters.items():
            try:
                converted[name] = parse_talos(value)
            except SpaceError as error:
                raise SpaceError(f"{name}: {error}") from None
        return cls(converted, constraints)

    # A mapping.

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self._parameters[name]
        except KeyError:
            raise UnknownNameError(f"unknown parameter {name!r}; {did_you_mean(name, self)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    # The grid.

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the parameters that are not fixed."""
        return tuple(n for n, p in self.items() if not p.fixed)

    @cached_property
    def radices(self) -> tuple[int, ...]:
        """Number of levels per parameter."""
        return tuple(p.size for p in self.values())

    @property
    def size(self) -> int:
        """Number of cells of the grid, exact; constraints are not counted."""
        return math.prod(self.radices)

    def indices(self, cell: int) -> tuple[int, ...]:
        """The level numbers of a cell.

        Raises:
            SpaceError: ``cell`` is no integer in [0, size).
        """
        if isinstance(cell, bool) or not isinstance(cell, int | np.integer) or not 0 <= cell < self.size:
            raise SpaceError(f"a cell must be an integer >= 0 and < {self.size}, got {cell!r}")
        rest, out = int(cell), []
        for radix in reversed(self.radices):
            rest, digit = divmod(rest, radix)
            out.append(digit)
        return tuple(reversed(out))

    def number(self, indices: Sequence[int] | npt.NDArray[Any]) -> int:
        """The cell of level numbers; the inverse of :meth:`indices`."""
        cell = 0
        for digit, radix in zip(indices, self.radices, strict=True):
            cell = cell * radix + int(digit)
        return cell

    def configuration(self, cell: int) -> dict[str, Any]:
        """The configuration of a cell: name -> value. Classes and functions are themselves where at hand."""
        return self.at(self.indices(cell))

    def at(self, indices: Sequence[int] | npt.NDArray[Any]) -> dict[str, Any]:
        """The configuration of one row of level numbers."""
        return {n: surface(p.grid[int(i)]) for (n, p), i in zip(self.items(), indices, strict=True)}

    def cell(self, configuration: Mapping[str, Any]) -> int:
        """The number of a configuration; the inverse of :meth:`configuration`.

        Raises:
            SpaceError: A name is missing or unknown, or a value is no level.
        """
        self.check_names(configuration)
        found = []
        for name, parameter in self.items():
            try:
                found.append(parameter.index(configuration[name]))
            except SpaceError as error:
                raise SpaceError(f"{name}: {error}") from None
        return self.number(found)

    def on_grid(self, configuration: Mapping[str, Any]) -> bool:
        """Whether every value is a level."""
        try:
            self.cell(configuration)
        except ValueError:
            return False
        return True

    def check_names(self, names: Iterable[str]) -> None:
        """Raises SpaceError unless ``names`` are exactly this space's."""
        given = list(names)
        for name in given:
            if name not in self._parameters:
                raise SpaceError(f"unknown parameter {name!r}; {did_you_mean(name, self)}")
        missing = [n for n in self if n not in given]
        if missing:
            raise SpaceError(f"a configuration needs every parameter, missing: {', '.join(missing)}")

    # Columns: many configurations at once.

    def columns(self, indices: Indices) -> dict[str, npt.NDArray[Any]]:
        """Level numbers of shape (n, parameters) as table columns: numbers, or labels of choices."""
        return {n: p.column(indices[:, j]) for j, (n, p) in enumerate(self.items())}

    def valid(self, indices: Indices) -> Mask:
        """Which rows of level numbers meet every constraint."""
        mask = np.ones(len(indices), dtype=np.bool_)
        if self.constraints:
            named = set().union(*(c.names for c in self.constraints))
            columns = {n: _plain(p)[indices[:, j]] for j, (n, p) in enumerate(self.items()) if n in named}
            for constraint in self.constraints:
                mask &= constraint(columns)
        return mask

    def contains(self, frame: pd.DataFrame) -> Mask:
        """Which rows of a table lie inside: bounds and choices, then the constraints.

        Being on a level is not required.

        Args:
            frame: One column per parameter; others are ignored.

        Returns:
            Mask of shape (rows,).

        Raises:
            SpaceError: A parameter has no column, or it is no table.
        """
        if not hasattr(frame, "columns"):
            raise SpaceError(
                f"contains needs a table, one row per configuration, got {type(frame).__name__}; of one configuration "
                "pd.DataFrame([configuration])"
            )
        missing = [n for n in self if n not in frame.columns]
        if missing:
            raise SpaceError(f"the table needs a column for every parameter, missing: {', '.join(missing)}")
        mask = np.ones(len(frame), dtype=np.bool_)
        for name, parameter in self.items():
            mask &= parameter.contains(frame[name].to_numpy())
        if self.constraints and mask.any():
            columns = {n: _plain_column(p, frame[n].to_numpy()[mask]) for n, p in self.items()}
            inside = np.ones(int(mask.sum()), dtype=np.bool_)
            for constraint in self.constraints:
                inside &= constraint(columns)
            mask[mask] = inside
        return mask

    def unit(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Positions for statistics, shape (rows, parameters): see :meth:`Parameter.unit`."""
        return np.column_stack([p.unit(frame[n].to_numpy()) for n, p in self.items()])

    def broken_constraints(self, configuration: Mapping[str, Any]) -> list[Constraint]:
        """The constraints that a frozen configuration does not meet; its values need not be levels."""
        columns = {
            n: np.array([float(v)]) if p.numeric and number_of(v) is not None else _as_objects([_bare(v)])
            for (n, p), v in zip(self.items(), (configuration[n] for n in self), strict=True)
        }
        return [c for c in self.constraints if not c(columns)[0]]

    def holds(self, configuration: Mapping[str, Any]) -> bool:
        """Whether a frozen configuration lies inside: bounds and choices, then the constraints; on a level or not."""
        inside = all(bool(p.contains(_as_objects([configuration[n]]))[0]) for n, p in self.items())
        return inside and not self.broken_constraints(configuration)

    # Identity and relations.

    def frozen(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration in this space's order with canonical values; levels are not required."""
        self.check_names(configuration)
        return {n: freeze(configuration[n]) for n in self}

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is the inverse."""
        return {
            "parameters": [[name, parameter.to_json()] for name, parameter in self.items()],
            "constraints": [str(c) for c in self.constraints],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Space:
        """The space of :meth:`to_json`'s output. Imports nothing: classes stay references until a round runs."""
        if not isinstance(data, dict) or not {"parameters", "constraints"} <= set(data):
            raise SpaceError(
                f"from_json needs the dictionary that to_json gives, got {type(data).__name__}; of a text json.loads(text)"
            )
        try:
            pairs = {n: parameter_from_json(p) for n, p in data["parameters"]}
        except SpaceError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise SpaceError(
                f"from_json needs what to_json gives, a list of names with their parameters, got something else ({error!r:.100})"
            ) from None
        return cls(pairs, data["constraints"])

    @cached_property
    def digest(self) -> str:
        """Hash of the canonical content, order of parameters included."""
        return digest(self.to_json(), 64)

    def replace(self, changes: Mapping[str, Any]) -> Space:
        """This space with some parameters changed or, at the end, added."""
        return Space({**self._parameters, **changes}, [str(c) for c in self.constraints])

    def volume_kept(self, new: Space) -> float:
        """measure(new within this) / measure(this): shares per axis, each in its declared scale, multiplied."""
        return math.prod(p.volume_kept(new[n]) for n, p in self.items() if n in new and not p.fixed)

    def narrower_than(self, other: Space) -> bool:
        """Whether every configuration of this space lies inside ``other``, judged axis by axis.

        True for equal spaces. Constraints must include all of ``other``'s.
        """
        if set(self) != set(other) or not set(other.constraints) <= set(self.constraints):
            return False
        return all(bool(np.all(other[n].contains(_as_objects(p.grid)))) for n, p in self.items())

    def diff(self, other: Space) -> SpaceDiff:
        """What changes from this space to ``other``."""
        mine, theirs = {str(c) for c in self.constraints}, {str(c) for c in other.constraints}
        return SpaceDiff(
            added={n: p for n, p in other.items() if n not in self},
            removed={n: p for n, p in self.items() if n not in other},
            changed={n: (p, other[n]) for n, p in self.items() if n in other and p != other[n]},
            constraints_added=tuple(sorted(theirs - mine)),
            constraints_removed=tuple(sorted(mine - theirs)),
        )

    def describe(self) -> str:
        """Every parameter with its actual levels, the constraints and the size, as text."""
        width = max(len(n) for n in self)
        lines = [f"{name:<{width}}  {parameter.describe()}" for name, parameter in self.items()]
        lines += [f"{'':<{width}}  constraint: {c}" for c in self.constraints]
        note = " before constraints" if self.constraints else ""
        return "\n".join([*lines, f"{self.size:,} configurations{note}"])

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        inner = ", ".join(f"{n!r}: {p!r}" for n, p in self.items())
        tail = f", constraints={[str(c) for c in self.constraints]}" if self.constraints else ""
        return f"Space({{{inner}}}{tail})"


def configuration_key(frozen: Mapping[str, Any]) -> str:
    """The hash of a frozen configuration: equal for ``4`` and ``4.0``, whatever the order of names."""
    return digest({name: value_key(value) for name, value in frozen.items()}, 16)


def encode_configuration(frozen: Mapping[str, Any]) -> dict[str, Any]:
    """A frozen configuration as plain JSON data."""
    return {name: encode(value) for name, value in frozen.items()}


def decode_configuration(encoded: Mapping[str, Any]) -> dict[str, Any]:
    """The frozen configuration of :func:`encode_configuration`'s output. Imports nothing."""
    return {name: decode(value) for name, value in encoded.items()}


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.strip():
        raise SpaceError(f"a parameter's name must be a text that is not empty, got {name!r}")
    if bad := unstorable(name):
        raise SpaceError(f"a parameter's name {bad}")
    if name in RESERVED:
        raise SpaceError(
            f"{name}: this name is reserved for the table of trials ({', '.join(RESERVED)}); rename the parameter"
        )


def _as_objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _plain(parameter: Parameter) -> npt.NDArray[Any]:
    """The levels as constraints see them: numbers as floats; classes, functions and tuples by label."""
    if parameter.numeric:
        # Integers would overflow, and refuse negative powers, where the same column of a table does not.
        return np.asarray(parameter.grid, dtype=float)
    return _as_objects([_bare(v) for v in parameter.grid])


def _bare(value: Any) -> Any:
    """A choice as constraints see it."""
    return label(value) if isinstance(value, Reference | tuple) else value


def _plain_column(parameter: Parameter, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if isinstance(parameter, Categorical):
        return _plain(parameter)[parameter.positions(values)]
    return np.asarray(values, dtype=float)
