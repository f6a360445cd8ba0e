"""Conditions of parameters, declared or concluded from the values read. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.evidence import ActiveWhere, ParameterEvidence, ReadWhere, level_axis, level_labels
from refine.errors import SpaceError
from refine.space.constraints import one_of
from refine.space.encoding import bare, value_key
from refine.space.parameters import Float, Parameter
from refine.space.space import inside_bounds
from refine.utils.arrays import Bools, Column, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

    from refine.space.space import Space


def read_at(evidence: Sequence[ParameterEvidence], columns: Mapping[str, Column]) -> dict[str, Bools]:
    """Name -> (n,) mask of configurations that read a conditional parameter, by (n,) values.

    Parameters that are always read, or without a known condition, are left out. Outside the analysed space a
    parameter counts as read.
    """
    parameters = {e.name: e.parameter for e in evidence}
    masks = {}
    for e in evidence:
        condition = e.condition
        if condition is None or not set(condition.names) <= set(columns):
            continue
        levels = {}
        usable = np.ones(len(columns[condition.names[0]]), dtype=np.bool_)
        for name in condition.names:
            levels[name], on_level = _levels(parameters[name], columns[name])
            usable &= on_level
        masks[e.name] = ~usable | condition.at(levels)
    return masks


def _levels(parameter: Parameter, values: Column) -> tuple[Ints, Bools]:
    """Numbers of the nearest levels, the first one for a missing value, and a mask of values inside."""
    positions = np.array(parameter.unit(values), dtype=float)
    usable = np.isfinite(positions)
    if parameter.when is not None:
        usable |= np.array([v is None or v != v for v in values], dtype=np.bool_)
    return level_axis(parameter).index(np.where(np.isfinite(positions), positions, 0.0)), usable


def active_where(space: Space, name: str) -> ReadWhere | ActiveWhere | None:
    """The declared condition of a parameter over the levels of others; ``None`` without a condition."""
    parents = set[str]()
    queue = [name]
    while queue:
        for other in space.conditions[queue.pop()].names - parents:
            parents.add(other)
            queue += [other] if other in space.conditions else []
    names = [n for n in space.varied if n in parents]
    sizes = [space[n].size for n in names]
    if not names:
        return None
    rows = np.zeros((math.prod(sizes), len(space)), dtype=np.int64)
    for n, level_numbers in zip(names, np.unravel_index(np.arange(len(rows)), sizes), strict=True):
        rows[:, list(space).index(n)] = level_numbers
    active = space.active(rows)[name]
    if active.all():
        return None
    if len(names) == 1:
        levels = np.flatnonzero(active).tolist()
        labels = level_labels(space[names[0]])
        return ReadWhere(names[0], tuple(levels), tuple(labels[i] for i in levels))
    return ActiveWhere(tuple(names), str(space.conditions[name]), tuple(sizes), tuple(active.tolist()))


def reading(evidence: Sequence[ParameterEvidence], positions: Floats) -> Bools | None:
    """(n, parameters) mask of the conditional parameters that configurations read, by positions.

    ``None`` without conditional parameters. A parameter without a reading trial counts as read:
    otherwise the configurations could become one.
    """
    parents = {name for e in evidence if e.condition is not None for name in e.condition.names}
    columns = ((e, positions[:, j]) for j, e in enumerate(evidence) if e.name in parents)
    levels = {e.name: level_axis(e.parameter).index(column) for e, column in columns}
    read = np.ones(positions.shape, dtype=np.bool_)
    for j, e in enumerate(evidence):
        if e.condition is not None:
            read[:, j] = e.condition.at(levels)
    if read.all():
        return None
    return read


def configuration_keys(evidence: Sequence[ParameterEvidence], positions: Floats) -> list[bytes]:
    """Keys of (n, parameters) positions, equal for configurations that differ in unread values alone."""
    return [row.tobytes() for row in np.round(marked_unread(evidence, positions), 9) + 0.0]


def marked_unread(evidence: Sequence[ParameterEvidence], positions: Floats) -> Floats:
    """(n, parameters) positions with -1 for values that were not read."""
    read = reading(evidence, positions)
    if read is None:
        return positions
    return np.where(read, positions, -1.0)


def inside_of(
    space: Space, old: Space, evidence: Sequence[ParameterEvidence], columns: Mapping[str, Any]
) -> Bools:
    """Mask of configurations, name -> (n,) values, inside a space, whatever their unread values.

    Constraints are not evaluated; the parameters of the analysed space ``old`` count.
    """
    return inside_bounds(space, old, columns, read_at(evidence, columns))


def as_read(space: Space, evidence: Sequence[ParameterEvidence], frame: pd.DataFrame) -> pd.DataFrame:
    """A table in which unread values lie inside the space."""
    columns = {name: frame[name].to_numpy() for name in (e.name for e in evidence) if name in frame}
    changed = {}
    for name, read in read_at(evidence, columns).items():
        if name in space and not read.all():
            value = space[name].column(np.zeros(1, dtype=np.intp))[0]
            changed[name] = frame[name].astype(object).where(read, value)  # integers may get a real number
    return frame.assign(**changed)


def read_share(e: ParameterEvidence, evidence: Sequence[ParameterEvidence], space: Space) -> float:
    """Share of a space's level combinations at which a parameter is read.

    Levels beyond the analysed ones count as read.
    """
    if e.condition is None or not set(e.condition.names) <= set(space):
        return 1.0
    sizes = [space[n].size for n in e.condition.names]
    level_numbers = np.unravel_index(np.arange(math.prod(sizes)), sizes)
    columns = {n: space[n].column(levels) for n, levels in zip(e.condition.names, level_numbers, strict=True)}
    return float(read_at(evidence, columns)[e.name].mean())


def unread_in(space: Space, evidence: Sequence[ParameterEvidence]) -> tuple[str, ...]:
    """Conditional parameters that no configuration of a space reads."""
    return tuple(e.name for e in evidence if read_share(e, evidence, space) == 0)


def different(space: Space, evidence: Sequence[ParameterEvidence], count: int) -> int:
    """Number of a space's ``count`` configurations that differ in the values read.

    With constraints, the share is that of the grid without constraints.
    """
    share = 1.0
    for e in evidence:
        # A declared condition is counted already.
        if isinstance(e.condition, ReadWhere) and e.parameter.when is None and e.name in space:
            read = read_share(e, evidence, space)
            share *= read + (1 - read) / space[e.name].size
    if count:
        return max(1, round(count * share))
    return 0


_FEWEST = 5  # runs with a parameter, and runs without it, before a condition is concluded from them


def expression_of(condition: ReadWhere, parent: Parameter) -> str:
    """A concluded condition as an expression over the parent parameter."""
    values = [parent.grid[i] for i in condition.levels]
    if (
        parent.ordered
        and parent.numeric
        and condition.levels == tuple(range(condition.levels[0], parent.size))
    ):
        return f"{condition.name} >= {values[0]!r}"
    if parent.ordered and parent.numeric and condition.levels == tuple(range(condition.levels[-1] + 1)):
        return f"{condition.name} <= {values[-1]!r}"
    return one_of(condition.name, values)


def declared(
    e: ParameterEvidence, evidence: Sequence[ParameterEvidence], current: Parameter
) -> Parameter | None:
    """The next parameter ``current`` under the condition that trials showed.

    ``None`` without such a condition, or if ``current`` has one already.
    """
    if not isinstance(e.condition, ReadWhere) or current.when is not None or current.fixed:
        return None
    name = e.condition.name
    parent = next(other.parameter for other in evidence if other.name == name)
    if name.isidentifier():
        return current.under(expression_of(e.condition, parent))
    return None


def conditioned(space: Space, runs: Sequence[Mapping[str, object]], fewest: int = _FEWEST) -> Space:
    """A space with the conditions that finished runs (name -> frozen value) followed.

    A condition is concluded if a second parameter separates the runs with and without the parameter, with at
    least ``fewest`` runs on either side. A number never seen on the boundary stays outside.
    """
    present = {n: np.array([n in run for run in runs], dtype=np.bool_) for n in space}
    changes = {}
    for name, mask in present.items():
        if min(int(mask.sum()), int((~mask).sum())) >= fewest:
            candidates = [
                n for n in space if n != name and n.isidentifier() and not (mask & ~present[n]).any()
            ]
            texts = (_told(n, space[n], mask, present[n], runs) for n in candidates)
            if text := next(filter(None, texts), None):
                changes[name] = space[name].under(text)
    if not changes:
        return space
    try:
        return space.replace(changes)
    except SpaceError:  # two parameters that appear together imply each other
        return space


def _told(
    name: str, parent: Parameter, mask: Bools, present: Bools, runs: Sequence[Mapping[str, Any]]
) -> str:
    """The condition on a parameter that separates the runs with another parameter; empty without one."""
    values_read = [run[name] for run, is_read in zip(runs, mask, strict=True) if is_read]
    values_unread = [
        run[name]
        for run, is_read, is_present in zip(runs, mask, present, strict=True)
        if is_present and not is_read
    ]
    if not values_unread:
        return ""
    if parent.numeric and not isinstance(parent, Float):
        if min(values_read) > max(values_unread):
            return f"{name} >= {min(values_read)!r}"
        if max(values_read) < min(values_unread):
            return f"{name} <= {max(values_read)!r}"
    keys = {value_key(v): v for v in values_read}
    if isinstance(parent, Float) or set(keys) & {value_key(v) for v in values_unread}:
        return ""
    return one_of(name, sorted(keys.values(), key=lambda value: repr(bare(value))))
