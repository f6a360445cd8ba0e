"""What the page says first, in the words of a review's own page: what is proposed, whether it is safe, whether it is worth it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refine.report.pages.analysis import caution_facts
from refine.report.pages.proposal import next_text
from refine.report.pages.review import branch_facts, safe_cell
from refine.report.pages.worth import short_worth
from refine.space.edits import bounds_text
from refine.utils.display import Cell
from refine.utils.format import join

if TYPE_CHECKING:
    from refine.review.review import Review
    from refine.space.space import Space

_MOST = 4
"""So many changed parameters are named."""


def change_sentence(old: Space, new: Space) -> str:
    """What the next round varies otherwise: ``lr 1 to 1.5 and optimizer without SGD``; empty where nothing.

    Args:
        old: The present space.
        new: The next round's.
    """
    changed = {name: p for name, p in new.items() if name not in old or p != old[name]}
    named = [f"{n} {next_text(old[n], p) if n in old else bounds_text(p)}" for n, p in changed.items()]
    more = [f"{len(named) - _MOST} more"] if len(named) > _MOST + 1 else []
    return f"Next round: {join([*named[:_MOST], *more] if more else named)}." if named else ""


def safe_fact(review: Review) -> dict[str, str]:
    """What accepting a review as it stands may lose."""
    return _fact("Safe?", safe_cell(review))


def other_facts(review: Review) -> list[dict[str, str]]:
    """Whether another round is worth it, where that can be told, what the branch's claims come to, and what to keep in mind."""
    worth = [] if review._worth is None else [_fact("Worth it?", Cell(short_worth(review._worth)))]
    more = [*(("Branch", Cell(text)) for text in branch_facts(review)), *caution_facts(review.analysis)]
    return [*worth, *(_fact(name, cell) for name, cell in more)]


def _fact(name: str, cell: Cell) -> dict[str, str]:
    return {"name": name, "text": cell.text, "tone": cell.tone}
