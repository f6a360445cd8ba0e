"""Section of a report with the questions to ask before deciding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refine.errors import AnalysisError
from refine.report import figures
from refine.report.markdown.round_facts import Facts
from refine.report.markdown.text import Raw, picture, slug, values_table
from refine.report.pages.checks import figure, question, says

if TYPE_CHECKING:
    from pathlib import Path

    from refine.review.checks import Check

_MARKS = {"pass": "✓ pass", "warn": "▲ warn", "fail": "✗ fail", "unknown": "? unknown"}


def checks_section(facts: Facts, where: Path) -> dict[str, Any] | None:
    """The checks as a table, with the pictures that stand nowhere else in the report; ``None`` without checks.

    Pictures of checks that pass can be unfolded.
    """
    if facts.checks is None:
        return None
    rows = [[question(c), _MARKS[c.verdict], figure(c), says(c)] for c in facts.checks.checks]
    taken: set[str] = set()
    seen: set[tuple[str, str]] = set()
    shown: list[Raw] = []
    folded: list[Raw] = []
    for check in facts.checks.checks:
        if (check.picture, check.about) in seen:
            continue
        seen.add((check.picture, check.about))
        path = f"{facts.node.id}/check-{slug(f'{check.key} {check.about}', taken)}.png"
        if _drawn(facts, check, where / path):
            (folded if check.verdict == "pass" else shown).append(picture(question(check), path))
    return {
        "table": values_table(["question", "verdict", "number", "what follows"], rows),
        "shown": shown,
        "folded": folded,
    }


def _drawn(facts: Facts, check: Check, path: Path) -> bool:
    """Draws a check's picture, if it has one that the report's other sections don't show."""
    analysis = facts.analysis
    if analysis is None or check.picture not in ("edges", "failing", "isolation", "gain", "cost"):
        return False
    try:
        if check.picture == "isolation":
            ax = figures.isolation(analysis, check.about)
        elif check.picture == "gain":
            ax = figures.gain(analysis, facts.before)
        else:
            ax = getattr(figures, check.picture)(analysis)
    except AnalysisError:  # there is nothing to draw, which the check says in words
        return False
    figures.save(ax, path)
    return True
