"""The search space: an ordered set of parameters, their grid, and constraints on configurations."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError, UnknownNameError, did_you_mean, unstorable
from refine.space.categorical import Categorical, surface
from refine.space.constraints import Constraint, joined, ordered_conditions
from refine.space.encoding import bare, decode, digest, encode, freeze, value_key
from refine.space.fidelity import check_one_fidelity
from refine.space.parameters import Parameter, number_of
from refine.space.parsing import parameter_from_json, parse, parse_talos
from refine.utils.arrays import Bools, Column, Floats, as_pandas, objects
from refine.utils.display import Shown
from refine.utils.keywords import helped
from refine.utils.types import JsonObject

if TYPE_CHECKING:
    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

RESERVED = ("state", "value", "seconds", "seed", "cell", "origin", "cheap value")
"""Column names of the table of trials; no parameter or metric may use them."""

_TRIED = 10_000  # combinations of values on which a new space tries its constraints
_MOST_JOINED = 1_000_000  # largest number of combinations of joined parameters that are counted
Indices = npt.NDArray[np.integer[Any]]  # level numbers, one row per configuration, one column per parameter


class _Counted(NamedTuple):
    """The parameters joined by conditions, their number of configurations, and parameters never active."""

    names: frozenset[str]
    count: int  # type: ignore[assignment]  # hides tuple.count, which is not used
    never: frozenset[str]


class SpaceDiff(NamedTuple):
    """The differences between two spaces.

    ``added`` and ``removed`` hold parameters of only one space; ``changed`` holds ``(before, after)`` of
    parameters whose levels, scale or kind differ.
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
@helped
class Space(Shown, Mapping[str, Parameter]):
    """An immutable, ordered mapping from names to parameters, with constraints.

    Args:
        parameters: Name -> :class:`Float`, :class:`Integer`, :class:`Categorical`, :class:`Fidelity`, or the
            notation of :func:`refine.space.parsing.parse`: ``(low, high[, levels])``, a list of choices, or a
            fixed value.
        constraints: Conditions such as ``"hidden_layers > 0 or shape != 'funnel'"``.

    Raises:
        SpaceError: A name or an entry breaks a rule. The text names the parameter, the rule, the value and
            the fix.

    The grid is never built: ``size`` is an exact integer. ``configuration`` and ``cell`` convert between a
    configuration and its number (mixed radix, the last parameter fastest) at any size.

    Examples:
        >>> momentum = refine.Float(0, 0.9, 10, when="optimizer == 'sgd'")
        >>> space = refine.Space({"optimizer": ["adam", "sgd"], "momentum": momentum, "layers": (1, 3)})
        >>> space.size, space.configuration(0)
        (33, {'optimizer': 'adam', 'layers': 1})
    """

    def __init__(self, parameters: Mapping[str, object], constraints: Iterable[str] = ()) -> None:
        self._parameters: dict[str, Parameter] = _parsed(parameters, parse)
        if isinstance(constraints, str) or not isinstance(constraints, Iterable):
            shown = f"{constraints!r}; for none give []"
            if isinstance(constraints, str):
                shown = f"the text {constraints!r}; put it in [...]"
            raise SpaceError(f"constraints must be a list of expressions, got {shown}")
        unique = {Constraint(c.expression if isinstance(c, Constraint) else c) for c in constraints}
        self.constraints: tuple[Constraint, ...] = tuple(sorted(unique, key=str))
        for constraint in self.constraints:
            for name in sorted(constraint.names - set(self._parameters)):
                raise SpaceError(f"constraint {str(constraint)!r}: {self.unknown_name(name)}")
        check_one_fidelity(self)
        self.conditions: dict[str, Constraint] = ordered_conditions({n: p.when for n, p in self.items()})
        for name, condition in self.conditions.items():
            try:
                condition(self._tried(condition.names))
            except SpaceError as error:
                raise SpaceError(f"{name}: {str(error).replace('constraint ', 'when ', 1)}") from None
        for constraint in self.constraints:
            # Finds an impossible comparison now, not in the 900th cell.
            constraint(self._tried(constraint.names))

    @classmethod
    def from_talos(cls, parameters: Mapping[str, object], constraints: Iterable[str] = ()) -> Space:
        """A Talos dictionary, with Talos' meaning of tuples: see :func:`refine.space.parsing.parse_talos`."""
        return cls(_parsed(parameters, parse_talos), constraints)

    # A mapping.

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self._parameters[name]
        except (KeyError, TypeError):  # a list has no hash
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
        """Names of the parameters that are not fixed and that some configuration has."""
        return tuple(n for n, p in self.items() if not p.fixed and n not in self._counted.never)

    @cached_property
    def radices(self) -> tuple[int, ...]:
        """Number of levels per parameter."""
        return tuple(p.size for p in self.values())

    @cached_property
    def size(self) -> int:
        """Exact number of configurations of the grid, constraints not applied.

        Configurations that differ only in an inactive parameter count once.
        """
        alone = math.prod(p.size for n, p in self.items() if n not in self._counted.names)
        return alone * self._counted.count

    @cached_property
    def cells(self) -> int:
        """Number of cells of the grid: ``size``, or more if conditions merge cells to one configuration."""
        return math.prod(self.radices)

    @cached_property
    def _counted(self) -> _Counted:
        """Counts the configurations of the parameters joined by conditions."""
        count = 1
        never = set(self.conditions)
        for group in joined(self.conditions):
            named = [n for n in self if n in group & self._asked]
            sizes = [self[n].size for n in named]
            if math.prod(sizes) > _MOST_JOINED:
                raise SpaceError(
                    f"parameters named by conditions must have at most {_MOST_JOINED:,} combinations of "
                    "values, got "
                    f"{math.prod(sizes):,} for {', '.join(named)}; use fewer levels or fewer conditions"
                )
            rows = _all_rows(sizes)
            columns = {n: _plain(self[n])[rows[:, j]] for j, n in enumerate(named)}
            present = self._present(columns, len(rows), group)
            never -= {n for n, mask in present.items() if mask.any()}
            once = np.ones(len(rows), dtype=np.bool_)
            for j, name in enumerate(named):
                if name in present:
                    once &= present[name] | (rows[:, j] == 0)
            children = [n for n in present if n not in named]
            patterns, counts = np.unique(
                np.array([present[n][once] for n in children]).reshape(len(children), -1),
                axis=1,
                return_counts=True,
            )
            count *= sum(
                int(k)
                * math.prod(
                    self[n].size for n, is_present in zip(children, column, strict=True) if is_present
                )
                for column, k in zip(patterns.T, counts, strict=True)
            )
        return _Counted(frozenset().union(*joined(self.conditions)), count, frozenset(never))

    def _present(
        self,
        columns: Mapping[str, Column],
        n: int,
        among: Collection[str] = (),
        missing: Collection[str] = (),
    ) -> dict[str, Bools]:
        """Per conditional parameter (of ``among``, if given), a mask of the n rows that have the parameter.

        ``columns`` holds the values of the parameters that conditions name. A condition on a ``missing``
        parameter, whose values are unknown, is not met.
        """
        present: dict[str, Bools] = {}
        certain: dict[str, Bools] = {}
        for name, condition in self.conditions.items():
            if not among or name in among:
                values = {other: columns[other] for other in condition.names}
                if n:
                    present[name] = condition(values, certain, unknown=False)
                else:
                    present[name] = np.zeros(0, dtype=np.bool_)
                if name in missing:
                    certain[name] = np.zeros(n, dtype=np.bool_)
                else:
                    certain[name] = present[name]
        return present

    @cached_property
    def _asked(self) -> frozenset[str]:
        """The parameters that conditions name."""
        return frozenset().union(*(c.names for c in self.conditions.values()))

    def active(self, indices: Indices) -> dict[str, Bools]:
        """Per conditional parameter, a mask of the rows of level numbers that have the parameter."""
        columns = {n: _plain(self[n])[indices[:, self._at[n]]] for n in self._asked}
        return self._present(columns, len(indices))

    def active_in(self, frame: pd.DataFrame) -> dict[str, Bools]:
        """Per conditional parameter, a mask of the table's rows that have the parameter.

        The table needs a column for every parameter that a condition names, unless the parameter is
        conditional itself.
        """
        columns = {name: _plain_column(self[name], _column_of(frame, name)) for name in self._asked}
        return self._present(columns, len(frame))

    def canonical(self, indices: Indices) -> Indices:
        """Rows of level numbers with inactive parameters at their first level: one row per configuration."""
        if not self.conditions:
            return indices
        rows = np.array(indices)
        for name, present in self.active(rows).items():
            rows[~present, self._at[name]] = 0
        return rows

    @cached_property
    def _at(self) -> dict[str, int]:
        return {name: j for j, name in enumerate(self)}

    def has(self, configuration: Mapping[str, object]) -> frozenset[str]:
        """The active parameters of a configuration, given by values or labels.

        Raises:
            SpaceError: The configuration lacks a parameter that a condition names.
        """
        if not self.conditions:
            return frozenset(self)
        columns = {}
        names = set(self) - set(self.conditions)
        for name in self._asked:
            if name not in configuration and name in names:
                raise SpaceError(f"a configuration needs every parameter, missing: {name}")
            columns[name] = _one(self[name], configuration.get(name))
        present = self._present(columns, 1, missing=[n for n in self.conditions if n not in configuration])
        return frozenset(names | {name for name, mask in present.items() if mask[0]})

    def indices(self, cell: int) -> tuple[int, ...]:
        """The level numbers of a cell.

        Raises:
            SpaceError: ``cell`` is not an integer in [0, cells).
        """
        if isinstance(cell, bool) or not isinstance(cell, int | np.integer) or not 0 <= cell < self.cells:
            raise SpaceError(f"a cell must be an integer >= 0 and < {self.cells}, got {cell!r}")
        remaining = int(cell)
        digits = []
        for radix in reversed(self.radices):
            remaining, digit = divmod(remaining, radix)
            digits.append(digit)
        return tuple(reversed(digits))

    def number(self, indices: Sequence[int] | Column) -> int:
        """The cell of level numbers; the inverse of :meth:`indices`."""
        cell = 0
        for digit, radix in zip(indices, self.radices, strict=True):
            cell = cell * radix + int(digit)
        return cell

    def configuration(self, cell: int) -> dict[str, Any]:
        """The configuration of a cell, name -> value; classes and functions are resolved if possible."""
        return self.at(self.indices(cell))

    def at(self, indices: Sequence[int] | Column) -> dict[str, Any]:
        """The configuration of a row of level numbers, without inactive parameters."""
        absent: set[str] = set()
        if self.conditions:
            absent = {n for n, mask in self.active(np.asarray(indices)[None, :]).items() if not mask[0]}
        levels = zip(self.items(), indices, strict=True)
        return {n: surface(p.grid[int(i)]) for (n, p), i in levels if n not in absent}

    def cell(self, configuration: Mapping[str, object]) -> int:
        """The number of a configuration; the inverse of :meth:`configuration`.

        Raises:
            SpaceError: An unknown or missing parameter, or a value that is not a level.
        """
        present = self.check_names(configuration)
        levels = []
        for name, parameter in self.items():
            try:
                levels.append(parameter.index(configuration[name]) if name in present else 0)
            except SpaceError as error:
                raise SpaceError(f"{name}: {error}") from None
        return self.number(levels)

    def on_grid(self, configuration: Mapping[str, object]) -> bool:
        """True if every value is a level."""
        try:
            self.cell(configuration)
        except ValueError:
            return False
        return True

    def check_names(self, configuration: Mapping[str, object]) -> frozenset[str]:
        """The active parameters of a configuration.

        Raises:
            SpaceError: An unknown parameter, or a missing one that is active.
        """
        for name in configuration:
            if name not in self._parameters:
                raise SpaceError(f"unknown parameter {name!r}; {did_you_mean(name, self)}")
        missing = [n for n in self if n not in configuration and n not in self.conditions]
        if not missing:
            present = self.has(configuration)
        else:
            present = frozenset(self)
        missing = [n for n in self if n not in configuration and n in present]
        if missing:
            raise SpaceError(f"a configuration needs every parameter, missing: {', '.join(missing)}")
        return present

    # Columns: many configurations at once.

    def columns(self, indices: Indices) -> dict[str, npt.NDArray[Any]]:
        """Level numbers of shape (n, parameters) as table columns: numbers, or labels of choices.

        Inactive parameters keep the value of their level number.
        """
        return {n: p.column(indices[:, j]) for j, (n, p) in enumerate(self.items())}

    def _tried(self, names: Collection[str]) -> dict[str, Column]:
        """Columns of some parameters: all combinations of values, or every level and a sample of many."""
        chosen = [(n, self[n]) for n in self if n in names]
        sizes = [p.size for _, p in chosen]
        if math.prod(sizes) <= _TRIED:
            rows = _all_rows(sizes)
        else:
            all_levels = np.arange(max(sizes))[:, None] % np.array(sizes)
            rows = np.concatenate(
                [all_levels, np.random.default_rng(0).integers(0, sizes, (_TRIED, len(sizes)))]
            )
        return {n: _plain(p)[rows[:, j]] for j, (n, p) in enumerate(chosen)}

    def tried(self, *conditions: Constraint) -> list[Bools]:
        """Answers of conditions over shared combinations of values: all, or a sample of many.

        A condition on an absent parameter is false.
        """
        names = set().union(*(c.names for c in conditions))
        while (
            further := set().union(*(self.conditions[n].names for n in names & set(self.conditions))) - names
        ):
            names |= further
        columns = self._tried(names)
        conditional = names & set(self.conditions)
        length = len(next(iter(columns.values())))
        if conditional:
            present = self._present(columns, length, conditional)
        else:
            present = {}
        return [c({n: columns[n] for n in c.names}, present, unknown=False) for c in conditions]

    def unknown_name(self, name: str) -> str:
        """The error of an expression with a name that is not a parameter, with a fix."""
        hint = did_you_mean(name, self)
        if any(isinstance(p, Categorical) and name in p.labels for p in self.values()):
            hint = f"choices go in quotes: {name!r}"
        return f"unknown parameter {name!r}; {hint}"

    def meets(self, condition: Constraint, frame: pd.DataFrame) -> Bools:
        """Mask, (rows,), of a table's rows in which a condition is true.

        Args:
            condition: An expression over parameters of the space; false if a parameter is inactive.
            frame: A table with a column for every parameter.
        """
        columns = {n: _plain_column(self[n], frame[n].to_numpy()) for n in condition.names}
        return condition(columns, self.active_in(frame), unknown=False)

    def valid(self, indices: Indices) -> Bools:
        """Mask of the rows of level numbers that meet every constraint and are :meth:`canonical`.

        A constraint on an inactive parameter excludes no row.
        """
        mask = np.ones(len(indices), dtype=np.bool_)
        present = self.active(indices)
        for name, in_rows in present.items():
            mask &= in_rows | (indices[:, self._at[name]] == 0)
        if self.constraints and len(indices):
            named = set().union(*(c.names for c in self.constraints))
            columns = {n: _plain(p)[indices[:, j]] for j, (n, p) in enumerate(self.items()) if n in named}
            for constraint in self.constraints:
                mask &= constraint(columns, present)
        return mask

    def contains(self, frame: IntoFrame) -> Bools:
        """Mask, (rows,), of a table's rows that lie inside: bounds and choices, then constraints.

        Values between levels count. A conditional parameter is checked only in rows that meet its condition,
        and needs no column if no row does.

        Raises:
            SpaceError: An unconditional parameter has no column, or ``frame`` is not a table.
        """
        frame = as_pandas(frame, SpaceError)
        missing = [n for n in self if n not in frame.columns and n not in self.conditions]
        if missing:
            raise SpaceError(f"the table needs a column for every parameter, missing: {', '.join(missing)}")
        mask = np.ones(len(frame), dtype=np.bool_)
        present = self.active_in(frame)
        for name, parameter in self.items():
            if name in frame:
                in_range = parameter.contains(frame[name].to_numpy())
            else:
                in_range = np.zeros_like(mask)
            mask &= in_range | ~present[name] if name in present else in_range
        if self.constraints and mask.any():
            columns = {n: _plain_column(p, frame[n].to_numpy()[mask]) for n, p in self.items() if n in frame}
            inside = np.ones(int(mask.sum()), dtype=np.bool_)
            present_inside = {n: m[mask] for n, m in present.items()}
            for constraint in self.constraints:
                named = {n: columns.get(n, np.full(len(inside), np.nan)) for n in constraint.names}
                inside &= constraint(named, present_inside)
            mask[mask] = inside
        return mask

    def unit(self, frame: pd.DataFrame) -> Floats:
        """Positions for statistics, shape (rows, parameters): see :meth:`Parameter.unit`.

        Inactive parameters are at their first level.
        """
        present = self.active_in(frame)
        positions = []
        for name, parameter in self.items():
            unit = np.array(parameter.unit(_column_of(frame, name)), dtype=float)
            if name in present:
                unit[~present[name]] = parameter.unit(objects(parameter.grid[:1]))[0]
            positions.append(unit)
        return np.column_stack(positions)

    def broken_constraints(self, configuration: Mapping[str, object]) -> list[Constraint]:
        """The constraints that a frozen configuration breaks; its values need not be levels."""
        present = self.has(configuration)
        columns = {n: _one(p, configuration.get(n)) for n, p in self.items()}
        masks = {n: np.array([n in present]) for n in self.conditions}
        return [c for c in self.constraints if not c({n: columns[n] for n in c.names}, masks)[0]]

    def holds(self, configuration: Mapping[str, object]) -> bool:
        """True if a frozen configuration meets bounds, choices and constraints, on a level or not."""
        present = self.has(configuration)
        inside = all(
            bool(p.contains(objects([configuration[n]]))[0]) for n, p in self.items() if n in present
        )
        return inside and not self.broken_constraints(configuration)

    # Identity and relations.

    def frozen(self, configuration: Mapping[str, object]) -> dict[str, Any]:
        """The configuration in this space's order with canonical values, without inactive parameters."""
        present = self.check_names(configuration)
        return {n: freeze(configuration[n]) for n in self if n in present}

    def frozen_at(self, indices: Sequence[int] | Column) -> dict[str, Any]:
        """The configuration of a row of level numbers as :meth:`frozen` returns it."""
        return self.frozen(self.at(indices))

    def to_json(self) -> JsonObject:
        """Plain data; :meth:`from_json` is the inverse."""
        return {
            "parameters": [[name, parameter.to_json()] for name, parameter in self.items()],
            "constraints": [str(c) for c in self.constraints],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Space:
        """The space of :meth:`to_json`'s output. Imports no module: classes stay references."""
        if not isinstance(data, dict) or not {"parameters", "constraints"} <= set(data):
            raise SpaceError(
                f"from_json takes the dictionary of to_json, got {type(data).__name__}; for a string call "
                "json.loads first"
            )
        try:
            pairs = {n: parameter_from_json(p) for n, p in data["parameters"]}
        except SpaceError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise SpaceError(
                "from_json takes the output of to_json, pairs of a name and a parameter, got other data "
                f"({error!r:.100})"
            ) from None
        return cls(pairs, data["constraints"])

    @cached_property
    def digest(self) -> str:
        """Hash of the canonical content, order of parameters included."""
        return digest(self.to_json(), 64)

    def replace(self, changes: Mapping[str, object]) -> Space:
        """This space with some parameters changed or, at the end, added."""
        return Space({**self._parameters, **changes}, [str(c) for c in self.constraints])

    def volume_kept(self, new: Space) -> float:
        """measure(new within this) / measure(this): the product over all axes, on declared scales."""
        return math.prod(p.volume_kept(new[n]) for n, p in self.items() if n in new and not p.fixed)

    def diff(self, other: Space) -> SpaceDiff:
        """The differences from this space to ``other``."""
        own_constraints = {str(c) for c in self.constraints}
        other_constraints = {str(c) for c in other.constraints}
        return SpaceDiff(
            added={n: p for n, p in other.items() if n not in self},
            removed={n: p for n, p in self.items() if n not in other},
            changed={n: (p, other[n]) for n, p in self.items() if n in other and p != other[n]},
            constraints_added=tuple(sorted(other_constraints - own_constraints)),
            constraints_removed=tuple(sorted(own_constraints - other_constraints)),
        )

    def describe(self) -> str:
        """Every parameter with its levels, the constraints and the size, as text."""
        width = max(len(n) for n in self)
        never = {n: "no configuration has it: " if n in self._counted.never else "" for n in self}
        lines = [f"{name:<{width}}  {never[name]}{p.describe()}" for name, p in self.items()]
        lines += [f"{'':<{width}}  constraint: {c}" for c in self.constraints]
        note = ""
        if self.constraints:
            note = " before constraints"
        return "\n".join([*lines, f"{self.size:,} configurations{note}"])

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        inner = ", ".join(f"{n!r}: {p!r}" for n, p in self.items())
        if self.constraints:
            tail = f", constraints={[str(c) for c in self.constraints]}"
        else:
            tail = ""
        return f"Space({{{inner}}}{tail})"


def space_of(space: Space | Mapping[str, object]) -> Space:
    """A space, given as such or as its mapping."""
    if isinstance(space, Space):
        return space
    return Space(space)


def inside_bounds(
    space: Space, names: Iterable[str], columns: Mapping[str, Any], present: Mapping[str, Bools]
) -> Bools:
    """(n,) mask of rows whose values of some parameters lie in a space; constraints are not evaluated.

    Args:
        space: The space; parameters that the space lacks do not count.
        names: Parameters to compare.
        columns: Name -> (n,) values.
        present: Name -> (n,) mask of rows that have a parameter; rows without the parameter lie inside.
    """
    inside = np.ones(len(next(iter(columns.values()))), dtype=np.bool_)
    for name in names:
        if name in space:
            contained = space[name].contains(columns[name])
            if name in present:
                contained |= ~present[name]
            inside &= contained
    return inside


def configuration_key(frozen: Mapping[str, object]) -> str:
    """The hash of a frozen configuration: equal for ``4`` and ``4.0``, and for every order of names."""
    return digest({name: value_key(value) for name, value in frozen.items()}, 16)


def encode_configuration(frozen: Mapping[str, object]) -> dict[str, object]:
    """A frozen configuration as plain JSON data."""
    return {name: encode(value) for name, value in frozen.items()}


def decode_configuration(encoded: Mapping[str, object]) -> dict[str, Any]:
    """The frozen configuration of :func:`encode_configuration`'s output. Imports nothing."""
    return {name: decode(value) for name, value in encoded.items()}


def _parsed(parameters: object, parse_one: Callable[[Any], Parameter]) -> dict[str, Parameter]:
    if not isinstance(parameters, Mapping):
        raise SpaceError(
            f"a space needs a mapping of names to parameters, got {type(parameters).__name__}; write "
            '{"dropout": (0, 0.5), "units": [8, 16]}'
        )
    if not parameters:
        raise SpaceError("a space needs at least one parameter, got none")
    parsed: dict[str, Parameter] = {}
    for name, value in parameters.items():
        if not isinstance(name, str) or not name.strip():
            raise SpaceError(f"a parameter's name must be a non-empty string, got {name!r}")
        if bad := unstorable(name):
            raise SpaceError(f"a parameter's name {bad}")
        if name in RESERVED:
            raise SpaceError(
                f"{name}: this name is reserved for the table of trials ({', '.join(RESERVED)}); rename the "
                "parameter"
            )
        try:
            parsed[name] = parse_one(value)
        except SpaceError as error:
            raise SpaceError(f"{name}: {error}") from error.__cause__
    return parsed


def _all_rows(sizes: Sequence[int]) -> Indices:
    """The combinations of level numbers, in the order of their cells."""
    return np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), axis=1)


def _column_of(frame: pd.DataFrame, name: str) -> Column:
    """A column of a table; ``None`` in the rows of a missing column."""
    if name in frame:
        return frame[name].to_numpy()
    return np.full(len(frame), None)


def _plain(parameter: Parameter) -> Column:
    """The levels as constraints see them: numbers as floats; classes, functions and tuples by label."""
    if parameter.numeric:
        # As floats, like the columns of a table: integers would overflow and refuse negative powers.
        return np.asarray(parameter.grid, dtype=float)
    return objects([bare(v) for v in parameter.grid])


def _one(parameter: Parameter, value: object) -> Column:
    """One value, or the label of a choice, as constraints see it."""
    if isinstance(parameter, Categorical):
        position = int(parameter.positions(objects([value]))[0])
        if position >= 0:
            value = parameter.grid[position]
    number = number_of(value)
    if parameter.numeric and number is not None:
        return np.array([float(number)])
    return objects([bare(value)])


def _plain_column(parameter: Parameter, values: Column) -> Column:
    if isinstance(parameter, Categorical):
        return _plain(parameter)[parameter.positions(values)]
    if values.dtype == object:
        return np.array([np.nan if v is None else v for v in values], dtype=float)
    return np.asarray(values, dtype=float)
