"""What more or less risk would buy, as a table."""

from __future__ import annotations

from refine.proposal.options import Option, Options
from refine.space.edits import bounds_text
from refine.space.parameters import Range
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Grid, Page, Text
from refine.utils.format import join, percent, probability, risk_percent, score
from refine.utils.provided import page_for

OPTIONS_HEAD = ("risk", "what leaves", "volume kept", "probability", "best trials kept")
_MOST_LABELS = 4


@page_for(Options)
def options_page(found: Options) -> Page:
    """A row per risk."""
    within = f"within {score(found.epsilon)} of" if found.epsilon else "as good as"
    about = Text(
        f"probability: that the best {found.metric} inside is {within} the best anywhere in the present space.",
        "faint",
    )
    rows: tuple[tuple[str | Cell, ...], ...] = tuple(
        (Cell(row[0], "strong" if option.risk == found.chosen else ""), *row[1:])
        for option, row in zip(found.rows, option_rows(found), strict=True)
    )
    grid = Grid(OPTIONS_HEAD, rows, right=(0, 2, 4), wide=(1,))
    return Page(
        "What more or less risk would buy", (grid, about), (str(Action("review.at", risk=Symbol("risk"))),)
    )


def option_rows(found: Options) -> list[tuple[str, ...]]:
    """The rows as texts, in the order of :data:`OPTIONS_HEAD`."""
    return [
        (
            risk_percent(option.risk),
            leaves_text(option),
            percent(option.volume_kept),
            probability(option.probability),
            f"{option.top_kept} of {option.top}",
        )
        for option in found.rows
    ]


def leaves_text(option: Option) -> str:
    """``dropout 0.3 and 0.4; losses log_cosh``."""
    if not option.leaves:
        return "nothing"
    return "; ".join(
        f"{name}: outside {bounds_text(option.space[name])}"
        if isinstance(option.space[name], Range)
        else f"{name}: {join(labels) if len(labels) <= _MOST_LABELS else f'{len(labels)} levels, {labels[0]} to {labels[-1]}'}"
        for name, labels in option.leaves.items()
    )
