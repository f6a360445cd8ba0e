"""Where a parameter is read: seen from what the objective read in its trials. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine.analysis.evidence import ParameterEvidence, level_axis
from refine.utils.arrays import Bools, Floats

if TYPE_CHECKING:
    import pandas as pd

    from refine.space.space import Space


def read_at(found: Sequence[ParameterEvidence], columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, Bools]:
    """Where each conditional parameter would be read.

    Args:
        found: Evidence of all parameters.
        columns: Name -> (n,) values of configurations.

    Returns:
        Name -> (n,) mask; without the parameters that are read everywhere, or whose condition is not known. Outside the
        analysed space a parameter counts as read.
    """
    parameters = {e.name: e.parameter for e in found}
    masks = {}
    for e in found:
        where = e.condition
        if where is None or where.name not in columns:
            continue
        parent = parameters[where.name]
        at = parent.unit(columns[where.name])
        known = np.isfinite(at)
        axis = level_axis(parent)
        level = axis.index(np.where(known, at, 0.0))
        masks[e.name] = ~known | np.isin(level, where.levels)
    return masks


def reading(found: Sequence[ParameterEvidence], positions: Floats) -> Bools | None:
    """Which conditional parameters configurations would read, by their positions; ``None`` without such parameters.

    What no trial reads counts as read: where that is all there is, one configuration would be left.

    Args:
        found: Evidence of all parameters.
        positions: (n, parameters) where they lie on the axes of these.
    """
    at = {e.name: j for j, e in enumerate(found)}
    read = np.ones(positions.shape, dtype=np.bool_)
    for j, e in enumerate(found):
        if e.condition is not None:
            axis = level_axis(found[at[e.condition.name]].parameter)
            read[:, j] = np.isin(axis.index(positions[:, at[e.condition.name]]), e.condition.levels)
    return None if read.all() else read


def inside_of(
    space: Space, old: Space, found: Sequence[ParameterEvidence], columns: Mapping[str, Any]
) -> Bools:
    """Which configurations lie inside a space, whatever the values are that they do not read.

    Constraints are not judged.

    Args:
        space: The space.
        old: The analysed space, whose parameters count.
        found: Evidence of its parameters.
        columns: Name -> (n,) values of configurations.
    """
    read = read_at(found, columns)
    inside = np.ones(len(next(iter(columns.values()))), dtype=np.bool_)
    for name in old:
        if name in space:
            here = space[name].contains(columns[name])
            inside &= here | ~read[name] if name in read else here
    return inside


def as_read(space: Space, found: Sequence[ParameterEvidence], frame: pd.DataFrame) -> pd.DataFrame:
    """A table in which what a trial did not read is a value of the space, so that it does not lie outside by that.

    Args:
        space: The space that the trials are judged by.
        found: Evidence of the parameters of their own space.
        frame: One row per trial.
    """
    columns = {name: frame[name].to_numpy() for name in (e.name for e in found) if name in frame}
    changed = {}
    for name, read in read_at(found, columns).items():
        if name in space and not read.all():
            value = space[name].column(np.zeros(1, dtype=np.intp))[0]
            # A column of integers may get a real number.
            column = frame[name].astype(object)
            changed[name] = column.where(read, value)
    return frame.assign(**changed)


def unread_in(space: Space, found: Sequence[ParameterEvidence]) -> tuple[str, ...]:
    """Conditional parameters that no configuration of a space reads."""
    parameters = {e.name: e.parameter for e in found}
    unread = []
    for e in found:
        where = e.condition
        if where is None or where.name not in space:
            continue
        values = np.empty(len(where.levels), dtype=object)
        values[:] = [parameters[where.name].grid[i] for i in where.levels]
        if not space[where.name].contains(values).any():
            unread.append(e.name)
    return tuple(unread)


def different(space: Space, found: Sequence[ParameterEvidence], count: int) -> int:
    """How many configurations of a space differ in what is read, of ``count`` that exist.

    With constraints the share of those that differ is taken from the grid without them.
    """
    parameters = {e.name: e.parameter for e in found}
    share = 1.0
    for e in found:
        where = e.condition
        if where is None or where.name not in space or e.name not in space:
            continue
        parent = space[where.name]
        values = np.empty(len(where.levels), dtype=object)
        values[:] = [parameters[where.name].grid[i] for i in where.levels]
        levels = np.empty(parent.size, dtype=object)
        levels[:] = parent.grid
        at = parameters[where.name].unit(levels)
        axis = level_axis(parameters[where.name])
        reading = np.isin(axis.index(np.where(np.isfinite(at), at, 0.0)), where.levels) | ~np.isfinite(at)
        read, size = float(reading.mean()), space[e.name].size
        share *= read + (1 - read) / size
    return max(1, round(count * share)) if count else 0
