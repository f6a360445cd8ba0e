"""What other tools' runs, read and not yet added, show of themselves."""

from __future__ import annotations

from collections.abc import Mapping

from refine.report.pages.space import space_grid
from refine.tree.exchange.readers import READERS
from refine.tree.exchange.runs import Runs
from refine.utils.display import Cell, Items, Page
from refine.utils.format import plural
from refine.utils.provided import page_for

_SHOWN = 12
_GUESS = (
    "the table does not say which columns are config and which are results: numbers whose names read like results, such as loss or "
    "val/..., are results, and the rest are parameters; say which are with parameters=[...] if that is wrong"
)


@page_for(Runs)
def imports_page(found: Runs) -> Page:
    """How many ended how, what is left out, what became of every column."""
    total = sum(found.states.values())
    title = f"{plural(total, 'run')} of {READERS[found.kind][0]} in {found.source}: {_counts(found.states)}; not added yet"
    lines: list[str | Cell] = []
    if found.left_out:
        lines.append(Cell(f"left out: {_counts(found.left_out)}", "warn"))
    lines.append(_value(found))
    if others := [f"{n} (in {count} of {total})" for n, count in found.results.items() if n != found.value]:
        lines.append(f"{'results' if found.value is None else 'other results'}: {_some(others)}")
    reasons: dict[str, list[str]] = {}
    for name, why in found.dropped.items():
        reasons.setdefault(why, []).append(name)
    lines += [f"no parameters, {why}: {_some(names)}" for why, names in reasons.items()]
    if found.guessed:
        lines.append(Cell(_GUESS, "warn"))
    return Page(title, (Items(tuple(lines)), space_grid(found.space)))


def _value(found: Runs) -> str | Cell:
    if found.value is None:
        return Cell("no value yet: several results could be; name one as value", "warn")
    told = f", {found.direction}" if found.direction else ""
    return (
        f"value: {found.value}{told}, in {found.results.get(found.value, 0)} of {sum(found.states.values())}"
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
