"""Section of a report with the questions to ask before deciding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine.errors import AnalysisError
from refine.report import figures
from refine.report.markdown.facts import Facts
from refine.report.markdown.text import Raw, picture, slug, table

if TYPE_CHECKING:
    from pathlib import Path

    from refine.review.checks import Card

_MARKS = {"pass": "✓ pass", "warn": "▲ warn", "fail": "✗ fail", "unknown": "? unknown"}


def gate_section(facts: Facts, where: Path) -> dict[str, Any] | None:
    """The cards as a table, with the pictures that stand nowhere else in the report; ``None`` without cards.

    Pictures of cards that pass can be unfolded.
    """
    if facts.gate is None:
        return None
    rows = [[c.question, _MARKS[c.verdict], c.number, c.says] for c in facts.gate.cards]
    taken: set[str] = set()
    seen: set[tuple[str, str]] = set()
    shown: list[Raw] = []
    folded: list[Raw] = []
    for card in facts.gate.cards:
        if (card.picture, card.about) in seen:
            continue
        seen.add((card.picture, card.about))
        path = f"{facts.node.id}/gate-{slug(f'{card.key} {card.about}', taken)}.png"
        if _drawn(facts, card, where / path):
            (folded if card.verdict == "pass" else shown).append(picture(card.question, path))
    return {
        "table": table(["question", "verdict", "number", "what follows"], rows),
        "shown": shown,
        "folded": folded,
    }


def _drawn(facts: Facts, card: Card, path: Path) -> bool:
    """Draws a card's picture, if it has one that the report's other sections don't show."""
    analysis = facts.analysis
    if analysis is None or card.picture not in ("edges", "failing", "isolation", "gain", "cost"):
        return False
    try:
        if card.picture == "isolation":
            ax = figures.isolation(analysis, card.about)
        elif card.picture == "gain":
            ax = figures.gain(analysis, facts.before)
        else:
            ax = getattr(figures, card.picture)(analysis)
    except AnalysisError:  # there is nothing to draw, which the card says in words
        return False
    figures.save(ax, path)
    return True
