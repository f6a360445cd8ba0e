"""Reports: a round, or a proposal, as markdown with figures. Computes nothing, reads no clock.

Equal facts give equal markdown bytes. Links are relative, so a report renders wherever its folder lies.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from refine.errors import ReviewError
from refine.report.markdown.against_parent import against_parent
from refine.report.markdown.checks import checks_section
from refine.report.markdown.curves import curves_section
from refine.report.markdown.decision import decision_section, proposal_section, summary
from refine.report.markdown.front import front_section
from refine.report.markdown.optimism import optimism_section
from refine.report.markdown.pairs import pairs
from refine.report.markdown.rendering import published
from refine.report.markdown.round_facts import Facts
from refine.report.markdown.sections import (
    best_trials,
    decision_picture,
    densities,
    failures,
    untested,
    what_mattered,
    what_ran,
)
from refine.report.markdown.text import code, fence, page_text, quote
from refine.utils.files import made_folder

__all__ = ["Facts", "proposal_report", "round_report"]


def round_report(facts: Facts, folder: str | Path) -> Path:
    """Writes ``<folder>/<name>.md`` and its figures in ``<folder>/<name>/``.

    Returns:
        The markdown file.
    """
    where = Path(folder)
    made_folder(where / facts.stem)
    context = {
        **_header(facts),
        "picture": decision_picture(facts, where),
        "ran": what_ran(facts),
        "best": best_trials(facts, where),
        "front": front_section(facts, where),
        "winner": None if facts.winner is None else page_text(facts.winner.page()),
        "optimism": optimism_section(facts),
        "curves": curves_section(facts, where),
        "parent": against_parent(facts, where),
        "mattered": what_mattered(facts, where),
        "untested": untested(facts),
        "densities": densities(facts, where),
        "pairs": pairs(facts, where),
        "failures": failures(facts),
        "checks": checks_section(facts, where),
        "reproduce": fence(facts.reproduce, "python"),
    }
    return published(where / f"{facts.stem}.md", "round.md.j2", context)


def proposal_report(facts: Facts, folder: str | Path) -> Path:
    """Writes ``<folder>/<name>-proposal-<digest>.md``: the proposal and what was decided on it.

    Returns:
        The markdown file.

    Raises:
        ReviewError: There is no proposal.
    """
    if facts.proposal is None:
        raise ReviewError(
            f"a proposal's report needs a proposal, but round {facts.node.id} has none; propose first"
        )
    where = Path(folder)
    made_folder(where)
    name = f"{facts.stem}-proposal-{facts.proposal.digest}.md"
    about = tuple(d for d in facts.decisions if d.proposal == facts.proposal.digest)
    return published(where / name, "proposal.md.j2", _header(replace(facts, decisions=about)))


def _header(facts: Facts) -> dict[str, Any]:
    return {
        "tree": facts.tree,
        "id": code(facts.node.id),
        "note": quote(facts.node.note) if facts.node.note.strip() else None,
        "author": facts.node.author,
        "summary": summary(facts),
        "glance": None if facts.glance is None else page_text(facts.glance),
        "proposal": proposal_section(facts),
        "decisions": [decision_section(facts, d) for d in facts.decisions],
    }
