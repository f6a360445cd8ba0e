"""Values as Python text, and what several libraries' codes have in common. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.space.categorical import Categorical
from refine.space.code.expressions import calculates
from refine.space.conditions import ABSENT
from refine.space.encoding import Reference, label
from refine.space.parameters import Integer, Parameter, Range
from refine.utils.format import plural

Space = Any
"""A :class:`refine.Space`, whose module leads here."""

MOST = 1000
"""Values that are written one by one."""


def literal(value: Any) -> str:
    """A value as Python text; a class or function as where it is imported from."""
    if isinstance(value, Reference):
        return value.path.replace(":", ".")
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def modules(values: Iterable[Any]) -> set[str]:
    """Modules that their texts need."""
    found = set()
    for value in values:
        if isinstance(value, Reference):
            found.add(value.path.partition(":")[0] if ":" in value.path else value.path.rpartition(".")[0])
        elif isinstance(value, tuple):
            found |= modules(value)
    return found


class Choices(NamedTuple):
    """What a library chooses from.

    Attributes:
        values: What it is given, in order.
        stand: Whether these are labels that stand for the values of ``VALUES``.
    """

    values: tuple[Any, ...]
    stand: bool

    @property
    def text(self) -> str:
        """As a list."""
        return f"[{', '.join(map(literal, self.values))}]"


def choices_of(parameter: Parameter, takes: Callable[[Sequence[Any]], bool]) -> Choices:
    """The levels of a parameter as a library takes them; labels where it doesn't take the values.

    Args:
        parameter: Choices, or anything with a list of levels.
        takes: Whether the library takes such values.
    """
    if takes(parameter.grid):
        return Choices(tuple(parameter.grid), False)
    labels = parameter.labels if isinstance(parameter, Categorical) else tuple(map(label, parameter.grid))
    return Choices(tuple(labels), True)


def plain(values: Sequence[Any], kinds: tuple[type, ...]) -> bool:
    """Whether all values are of these kinds."""
    return all(type(v) in kinds for v in values)


def steps(parameter: Parameter) -> list[Any] | None:
    """All values of a range with a step or a base, if they are not too many to be written; else ``None``."""
    lattice = parameter.lattice if isinstance(parameter, Range) else None
    if lattice is None:
        return None
    assert isinstance(parameter, Range)
    count = round(lattice.place(parameter.high)) - round(lattice.place(parameter.low)) + 1
    return lattice.between(parameter.low, parameter.high) if count <= MOST else None


def integers(parameter: Parameter) -> Sequence[int] | None:
    """All values of a range of integers without a step, if they are not too many to be written; else ``None``."""
    if isinstance(parameter, Integer) and parameter.lattice is None and parameter.high - parameter.low < MOST:
        return range(parameter.low, parameter.high + 1)
    return None


def lattice_text(parameter: Range) -> str:
    """``steps of 8``, ``powers of 2``."""
    lattice = parameter.lattice
    assert lattice is not None
    return (
        f"steps of {label(lattice.step)}" if lattice.step is not None else f"powers of {label(lattice.base)}"
    )


def listed(
    space: Space, extra: Callable[[Parameter], Sequence[Any] | None] = lambda _: None
) -> dict[str, npt.NDArray[Any]]:
    """Name -> values as constraints see them, of the parameters that have a list of values.

    Args:
        space: The space.
        extra: The values of a range, where they are given one by one.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for name, parameter in space.items():
        values = parameter.grid if isinstance(parameter, Categorical) else extra(parameter)
        if values is None:
            continue
        if parameter.numeric:
            found[name] = np.asarray(values, dtype=float)
        else:
            found[name] = np.empty(len(values), dtype=object)
            found[name][:] = [label(v) if isinstance(v, Reference | tuple) else v for v in values]
    return found


def stand_ins(space: Space, chosen: dict[str, Choices]) -> list[str]:
    """Lines that say what labels stand for."""
    mine = {name: c for name, c in chosen.items() if c.stand}
    lines = []
    for name, choices in mine.items():
        pairs = zip(choices.values, space[name].grid, strict=True)
        lines.append(f"    {name!r}: {{{', '.join(f'{a!r}: {literal(b)}' for a, b in pairs)}}},")
    return ["VALUES = {", *lines, "}", ""] if lines else []


def heading(
    space: Space, imports: Sequence[str], chosen: dict[str, Choices], notes: Sequence[str]
) -> list[str]:
    """The first lines of a code: what it is, what is lost, and what it imports.

    Args:
        space: The space.
        imports: Of the library.
        chosen: What it chooses from, by name.
        notes: What the library can't say.
    """
    held = [v for name, c in chosen.items() if c.stand for v in space[name].grid]
    held += [p.otherwise for p in space.values() if p.otherwise is not ABSENT]
    asked = [calculates(c) for c in (*space.constraints, *space.conditions.values())]
    needed = {"math"} if any(m for m, _ in asked) else set()
    first = sorted(f"import {m}" for m in needed | modules(held))
    numpy = ["import numpy as np"] if any(n for _, n in asked) else []
    size = f"{plural(len(space), 'parameter')}, {space.size:,} configurations on refine's grid"
    lines = [f"# A space of {size}{' before constraints' if space.constraints else ''}."]
    if any(isinstance(p, Range) for p in space.values()):
        lines.append("# A range may take every value between its ends here, not only its levels.")
    lines += [f"# {note}" for note in notes]
    return [*lines, *first, *numpy, *imports, "", *stand_ins(space, chosen)]


def after(text: str, comment: str) -> str:
    """A line with a comment."""
    return f"{text}  # {comment}" if comment else text


def plain_or_none(values: Sequence[Any]) -> bool:
    """Whether values may stand in code as they are, ``None`` among them."""
    return plain(values, (bool, int, float, str, type(None)))


def in_order(space: Space) -> list[str]:
    """Names, each after those that its condition names."""
    return [*(n for n in space if n not in space.conditions), *space.conditions]
