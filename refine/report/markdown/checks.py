"""Section of a report with the questions to ask before deciding."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from refine.errors import AnalysisError
from refine.report import figures
from refine.report.markdown.rendering import drawn
from refine.report.markdown.round_facts import Facts
from refine.report.markdown.text import Raw, slug, values_table
from refine.report.pages.checks import figure, question, says

if TYPE_CHECKING:
    from collections.abc import Callable
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
        path = f"{facts.stem}/check-{slug(f'{check.key} {check.about}', taken)}.png"
        made = _drawn(facts, check, where, path)
        if made is not None:
            (folded if check.verdict == "pass" else shown).append(made)
    return {
        "table": values_table(["question", "verdict", "number", "what follows"], rows),
        "shown": shown,
        "folded": folded,
    }


def _drawn(facts: Facts, check: Check, where: Path, path: str) -> Raw | None:
    """A check's picture, if it has one that the report's other sections don't show."""
    analysis = facts.analysis
    if analysis is None or check.picture not in ("edges", "failing", "isolation", "gain", "cost"):
        return None
    draw: Callable[[], Any] = partial(getattr(figures, check.picture), analysis)
    if check.picture == "isolation":
        draw = partial(figures.isolation, analysis, check.about)
    elif check.picture == "gain":
        draw = partial(figures.gain, analysis, facts.before)
    try:
        return drawn(question(check), where, path, draw)
    except AnalysisError:  # there is nothing to draw, which the check says in words
        return None
