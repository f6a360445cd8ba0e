"""What more or less risk would buy, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from refine.proposal.options import Option, Options
from refine.report.pages.goal import judged_text
from refine.report.pages.preview import PROBABILITY, TOP_KEPT, VOLUME_KEPT, short_probability
from refine.space.encoding import label
from refine.space.parameters import Range
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Grid, Page, Text
from refine.utils.format import chance, difference, join, percent, risk_percent
from refine.utils.provided import page_for

OPTIONS_HEAD = ("risk", "what leaves", "keeps", "chance of a loss", "best trials kept")
_MOST_LABELS = 4


@page_for(Options)
def options_page(found: Options) -> Page:
    """A row per proposal."""
    loss = f"more than {difference(found.epsilon)}" if found.epsilon else "anything"
    best = judged_text(found.metric, found.subject_to)
    what = (
        "a point of the front, by more than epsilon in a goal"
        if found.front
        else f"{loss} of the best {best}"
    )
    about = Text(f"loss: {what}.", "faint")
    rows: tuple[tuple[str | Cell, ...], ...] = tuple(
        (Cell(row[0], "strong" if option is found.now else ""), *row[1:])
        for option, row in zip(found.rows, option_rows(found), strict=True)
    )
    grid = Grid(OPTIONS_HEAD, rows, right=(0, 2, 4), wide=(1,))
    return Page(
        "What more or less risk would buy", (grid, about), (Action("review.at", risk=Symbol("risk")),)
    )


def option_rows(found: Options) -> list[tuple[str, ...]]:
    """The rows as texts, in the order of :data:`OPTIONS_HEAD`."""
    return [
        (
            risks_text(option),
            leaves_text(option),
            percent(option.volume_kept),
            chance(1 - option.probability),
            f"{option.top_kept} of {option.top}",
        )
        for option in found.rows
    ]


def risks_text(option: Option) -> str:
    """``5 %``, or ``5 to 15 %`` where more risk up to there buys nothing more."""
    if option.up_to == option.risk:
        return risk_percent(option.risk)
    return f"{risk_percent(option.risk).removesuffix(' %')} to {risk_percent(option.up_to)}"


def leaves_text(option: Option) -> str:
    """``dropout above 0.2; losses log_cosh (widened: lr up to 10)``."""
    leaves = [f"{name} {_gone(option, name, labels)}" for name, labels in option.leaves.items()]
    wider = [f"{name} {text}" for name in option.old if (text := _gained(option, name))]
    return "; ".join(leaves or ["nothing"]) + (f" (widened: {', '.join(wider)})" if wider else "")


def _gone(option: Option, name: str, labels: Sequence[str]) -> str:
    old, new = option.old[name], option.space[name]
    if isinstance(old, Range) and isinstance(new, Range):
        below = f"below {label(new.low)}" if new.low > old.low else ""
        above = f"above {label(new.high)}" if new.high < old.high else ""
        return join([text for text in (below, above) if text])
    if len(labels) <= _MOST_LABELS:
        return join(labels)
    return f"{len(labels)} levels, {labels[0]} to {labels[-1]}"


def _gained(option: Option, name: str) -> str:
    """How far a range goes beyond its present ends, or which choices come back; empty where none does."""
    old, new = option.old[name], option.space[name]
    if not (isinstance(old, Range) and isinstance(new, Range)):
        added = [label(v) for v in new.grid if not old.contains([v])[0]]
        return f"by {join(added)}" if added else ""
    below = f"down to {label(new.low)}" if new.low < old.low else ""
    above = f"up to {label(new.high)}" if new.high > old.high else ""
    return join([text for text in (below, above) if text])


def option_numbers(option: Option, probable: str = PROBABILITY) -> dict[str, str]:
    """What is kept at a risk, under the names that :func:`~refine.report.pages.preview.decision_numbers` gives.

    Args:
        option: A row of the proposals by risk.
        probable: What its probability is called.
    """
    return {
        VOLUME_KEPT: percent(option.volume_kept),
        probable: short_probability(option.probability),
        TOP_KEPT: f"{option.top_kept} of {option.top}",
    }
