"""A space as a table: its parameters with their actual levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from refine.utils.display import Cell, Grid

if TYPE_CHECKING:
    from refine.space.parameters import Parameter
    from refine.space.space import Space


def as_choices(name: str, parameter: Parameter) -> str:
    """What to say of a list of two numbers, which may be meant as a range; empty where it is none."""
    kind, _, levels = parameter.describe().partition(": ")
    if kind != "ordered choice" or parameter.size != 2:
        return ""
    return f"{name}: a list is choices, here {levels.replace(', ', ' and ')} alone; a range is written ({levels})"


def space_grid(space: Space, roles: Mapping[str, str] | None = None) -> Grid:
    """The parameters with their actual levels, and the constraints.

    Args:
        space: The space.
        roles: The role of every parameter, for a column more.
    """
    rows: list[tuple[str | Cell, ...]] = []
    for name, parameter in space.items():
        kind, _, levels = parameter.describe().partition(": ")
        rows.append((Cell(name, "strong"), kind, levels, *([roles[name]] if roles else [])))
    rows += [(Cell("constraint", "faint"), "", str(c), *([""] if roles else [])) for c in space.constraints]
    return Grid(("parameter", "kind", "levels", *(["role"] if roles else [])), tuple(rows))
