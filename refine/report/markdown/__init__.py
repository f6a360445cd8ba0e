"""Reports: a round, or a proposal, as markdown with figures. Computes nothing, reads no clock.

A report is a list of pages, pictures and sections: first what is handed over and what was decided, then, folded, the evidence.
Equal facts give equal markdown bytes. Links are relative, so a report renders wherever its folder lies.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from refine.errors import ReviewError
from refine.report.markdown.decision import decisions_parts
from refine.report.markdown.rendering import published
from refine.report.markdown.round_facts import Facts, finished, metric_of, states_text
from refine.report.markdown.sections import (
    against_parent,
    best_trials,
    checks_section,
    curves_section,
    decision_picture,
    densities,
    failures,
    front_section,
    optimism_section,
    pairs,
    planned_text,
    what_mattered,
    what_ran,
)
from refine.report.markdown.text import Part, Raw, Section, code, escape, fence, quote
from refine.utils.files import made_folder
from refine.utils.format import score

_NONE = "No trial has a value yet."

__all__ = ["Facts", "proposal_report", "round_report"]


def round_report(facts: Facts, folder: str | Path) -> Path:
    """Writes ``<folder>/<name>.md`` and its figures in ``<folder>/<name>/``.

    Returns:
        The markdown file.
    """
    where = Path(folder)
    made_folder(where / facts.stem)
    unread = facts.proposal if facts.glance is None else None
    head: list[Part] = [
        *_header(facts),
        decision_picture(facts, where),
        None if facts.winner is None else Raw("## What to hand over"),
        None if facts.winner is None else facts.winner.page(),
        Raw("## The decision"),
        *decisions_parts(facts),
    ]
    evidence = [
        what_ran(facts),
        best_trials(facts, where),
        front_section(facts, where),
        optimism_section(facts),
        curves_section(facts, where),
        against_parent(facts, where),
        what_mattered(facts, where),
        densities(facts, where),
        pairs(facts, where),
        failures(facts),
        checks_section(facts, where),
        None if unread is None else Section("The proposal", (unread.page(),)),
        None if facts.options is None else Section("Other risks", (facts.options.page(),)),
        Section("Reproduce", (fence(facts.reproduce, "python"),)),
    ]
    return published(where / f"{facts.stem}.md", _title("Round", facts), head, evidence)


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
    about = replace(
        facts,
        glance=facts.glance or facts.proposal.page(),
        decisions=tuple(d for d in facts.decisions if d.proposal == facts.proposal.digest),
    )
    head = [*_header(about), Raw("## The decision"), *decisions_parts(about)]
    return published(where / name, _title("Proposal for round", facts), head)


def _title(what: str, facts: Facts) -> Raw:
    return Raw(f"{what} {code(facts.node.id)} of {escape(facts.tree)}")


def _header(facts: Facts) -> list[Part]:
    """What is read first: the page of the review, else of the analysis, else what was planned and ran."""
    done = finished(facts)
    best = f"The best observed {metric_of(facts)} is {score(done['value'].iloc[0])}." if len(done) else _NONE
    ran = f"Configurations: {planned_text(facts)}; trials: {states_text(facts)}. {best}"
    looked = None if facts.analysis is None else facts.analysis.page()
    note = quote(facts.node.note) if facts.node.note.strip() else None
    return [facts.glance or looked or ran, note]
