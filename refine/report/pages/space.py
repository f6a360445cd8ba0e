"""A space as a table: its parameters with their actual levels."""

from __future__ import annotations

from collections.abc import Mapping

from refine.space.categorical import Categorical
from refine.space.parameters import Parameter
from refine.space.space import Space
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Grid, Page, Text
from refine.utils.provided import page_for


@page_for(Space)
def space_page(space: Space) -> Page:
    """The parameters with their actual levels, the constraints and the size."""
    size = f"{space.size:,} configurations{' before constraints' if space.constraints else ''}"
    halves = [
        n for n, p in space.items() if isinstance(p, Categorical) and any(v % 1 for v in p.grid if p.numeric)
    ]
    hints = [Text(text, "faint") for n in halves if (text := as_choices(n, space[n]))]
    add = Action("tree.add_round", Symbol("space"), Symbol("objective"), n=200)
    return Page(size, (space_grid(space), *hints), (add,))


def as_choices(name: str, parameter: Parameter) -> str:
    """What to say of a list of two numbers, which may be meant as a range; empty where it is none."""
    if not (isinstance(parameter, Categorical) and parameter.numeric and parameter.size == 2):
        return ""
    low, high = parameter.labels
    return f"{name}: a list is choices, here {low} and {high} alone; a range is written ({low}, {high})"


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
