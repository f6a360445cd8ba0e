"""What two studies side by side show of themselves."""

from __future__ import annotations

from refine.report.figures.effects import studies
from refine.tree.studies import SharedParameter, Side, StudyComparison
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Grid, Page, Text
from refine.utils.format import join, number, percent, signed
from refine.utils.provided import page_for, provides

VERDICTS = {
    "alike": Cell("alike", "good"),
    "partly": Cell("partly alike", ""),
    "apart": Cell("apart", "warn"),
    "unknown": Cell("matters in neither", "faint"),
}


@page_for(StudyComparison)
def studies_page(found: StudyComparison) -> Page:
    """A row per shared parameter: its effect and where the best value lies in both studies, and what that comes to."""
    a, b = found.names
    head = ("parameter", f"effect: {a}", f"effect: {b}", f"best: {a}", f"best: {b}", "overlap", "verdict")
    rows = tuple(_row(row) for row in found.parameters)
    about = (
        f"effect: rank correlation with what is better, with its 95 % interval; of a choice without a sign. best: where the "
        f"posterior's draws have the best value, the middle and 80 % of them; overlap: what the draws of both have in common. "
        f"{a} is judged by {' '.join(found.metrics[0])}, {b} by {' '.join(found.metrics[1])}."
    )
    blocks: list[Block] = [Grid(head, rows, right=(5,)), Text(about, "faint")]
    blocks += [
        Text(f"only in {name}: {join(only)}")
        for name, only in zip(found.names, found.only, strict=True)
        if only
    ]
    return Page(f"{a} and {b}", tuple(blocks), (Action("comparison.plot"),))


def _row(row: SharedParameter) -> tuple[str | Cell, ...]:
    sides = (row.first, row.second)
    effects = [f"{signed(s.effect)} ({signed(s.low)} to {signed(s.high)})" for s in sides]
    return (
        Cell(row.name, "strong"),
        *(Cell(text, "" if s.matters else "faint") for text, s in zip(effects, sides, strict=True)),
        *(_best(s) for s in sides),
        percent(row.overlap),
        VERDICTS[row.verdict],
    )


def _best(side: Side) -> str:
    if len(side.best) == 3:
        middle, low, high = (number(v, 3) for v in side.best)
        return f"{middle} ({low} to {high})"
    name, share = side.best
    return f"{name} ({percent(share)})"


@provides("studies.plot")
def _plot(found: StudyComparison, ax: object = None) -> object:
    return studies(found, ax)
