"""Reports of a round and of a proposal: what is handed over and what was decided, then, folded, the evidence."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refine.errors import AnalysisError, ReviewError
from refine.proposal.proposal import Proposal
from refine.report.markdown.facts import Facts, decisions_parts
from refine.report.markdown.rendering import file_name, published, written
from refine.report.markdown.script import reproduce
from refine.report.markdown.sections import EVIDENCE, decision_picture
from refine.report.markdown.text import Part, Raw, Section, code, escape, fence, quote
from refine.review.review import Review
from refine.run.environment import spread
from refine.run.fingerprint import versions_of
from refine.tree.lineage import read_curves, read_optimism
from refine.tree.round import Round
from refine.utils.format import score
from refine.utils.provided import provides

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.analysis import Analysis

_NONE = "No trial has a value yet."

__all__ = ["Facts", "proposal_report", "round_report"]


def round_report(facts: Facts, folder: str | Path) -> Path:
    """Writes ``<folder>/<name>.md`` and its figures in ``<folder>/<name>/``."""
    unread = facts.proposal if facts.glance is None else None
    head: list[Part] = [
        *_header(facts),
        decision_picture(facts),
        None if facts.winner is None else Raw("## What to hand over"),
        None if facts.winner is None else facts.winner.page(),
        Raw("## The decision"),
        *decisions_parts(facts),
    ]
    evidence = [
        *(section(facts) for section in EVIDENCE),
        None if unread is None else Section("The proposal", (unread.page(),)),
        None if facts.options is None else Section("Other risks", (facts.options.page(),)),
        Section("Reproduce", (fence(facts.reproduce, "python"),)),
    ]
    return published(Path(folder) / f"{facts.stem}.md", _title("Round", facts), head, evidence)


def proposal_report(facts: Facts, folder: str | Path) -> Path:
    """Writes ``<folder>/<name>-proposal-<digest>.md``: the proposal and what was decided on it.

    Raises ReviewError: there is no proposal.
    """
    if facts.proposal is None:
        raise ReviewError(
            f"a proposal's report needs a proposal, but round {facts.node.id} has none; propose first"
        )
    name = f"{facts.stem}-proposal-{facts.proposal.digest}.md"
    about = replace(
        facts,
        glance=facts.glance or facts.proposal.page(),
        decisions=tuple(d for d in facts.decisions if d.proposal == facts.proposal.digest),
    )
    head = [*_header(about), Raw("## The decision"), *decisions_parts(about)]
    return published(Path(folder) / name, _title("Proposal for round", facts), head)


def _title(what: str, facts: Facts) -> Raw:
    return Raw(f"{what} {code(facts.node.id)} of {escape(facts.tree)}")


def _header(facts: Facts) -> list[Part]:
    """What is read first: the page of the review, else of the analysis, else what was planned and ran."""
    best = "No trial has a value yet."
    if len(facts.finished):
        best = f"The best observed {facts.metric} is {score(facts.finished['value'].iloc[0])}."
    ran = f"Configurations: {facts.planned}; trials: {facts.states}. {best}"
    looked = None if facts.analysis is None else facts.analysis.page()
    note = quote(facts.node.note) if facts.node.note.strip() else None
    return [facts.glance or looked or ran, note]


@provides("round.report")
def write_round(
    found: Round,
    folder: Path,
    proposal: Proposal | None,
    only_proposal: bool,
    html: bool,
    by_id: bool = False,
) -> Path:
    """Writes the report of a round, or of its proposal alone: see :meth:`refine.Round.report`.

    With ``by_id`` the files have the round's id for a name, as in an exported tree, where they stay the same whatever is
    said of the round and whichever number it has.
    """
    facts = gather(found, proposal)
    if not by_id:
        tail = f"-proposal-{facts.proposal.digest}" if only_proposal and facts.proposal is not None else ""
        name = file_name(found._at_once(), folder, f"{tail}{'.html' if html else '.md'}")
        facts = replace(facts, name=name)
    return written(partial(proposal_report if only_proposal else round_report, facts), folder, html)


def gather(found: Round, proposal: Proposal | None = None) -> Facts:
    """Everything a report of a round says; of proposals by default the one decided upon last, else the last one stored, else none."""
    found = found._at_once()
    home, stored = found.context, found._stored
    decisions = found.decisions
    if proposal is None:
        kept = home.reader.proposals(stored.pk)
        decided = [d.proposal for d in decisions if d.proposal in kept]
        chosen = decided[-1] if decided else next(reversed(kept), None)
        proposal = None if chosen is None else Proposal.from_json(json.loads(kept[chosen]))
    try:
        analysis = found.analyze()
    except AnalysisError:
        analysis = None  # too few trials yet: the report says what ran
    review = _review(found, proposal, analysis)
    options = None if review is None else review.options()
    optimism = None
    with contextlib.suppress(AnalysisError):  # nothing can be called best yet
        optimism = read_optimism(found.context.reader, found._stored.pk, found.goal, analysis, 0)
    checks = None
    if analysis is not None:
        with contextlib.suppress(AnalysisError):  # no trial may be called best
            checks = found.checks(analysis, proposal) if review is None else review.checks()
    curves = read_curves(*found._judged, None if analysis is None else analysis.noise.sd)
    records = home.reader.records([stored.pk])
    ran_on = home.reader.ran_on(stored.pk)
    environments = [found for found, _ in ran_on] or home.reader.environments(stored.pk)[-1:]
    return Facts(
        tree=home.name,
        node=found.node,
        ancestors=tuple(n.id for n in found.path[:-1]),
        n=stored.n,
        analysis=analysis,
        proposal=proposal,
        options=options,
        decisions=decisions,
        table=_trials(found, records.columns["error"]),
        codes=versions_of(records.columns["code"]),
        environment=environments[0] if environments else {},
        spread=spread(ran_on),
        reproduce=reproduce(found),
        store=home.store.name,
        parent=_parent_trials(found),
        optimism=optimism,
        curves=curves,
        holdout_results=found.holdout_results,
        checks=checks,
        before=found._best_before(),
        winner=found.recommend(),
        glance=None if review is None else review.page(),
    )


def _trials(found: Round, errors: list[Any]) -> pd.DataFrame:
    """The trials with what went wrong; of those that somebody left out with the reason."""
    frame, why = found.trials.assign(error=errors), found.marks
    out = why.index[why["excluded"].notna()]
    frame.loc[out, "error"] = [f"{why['excluded'][i]} ({why['author'][i]})" for i in out]
    return frame


def _review(found: Round, proposal: Proposal | None, analysis: Analysis | None) -> Review | None:
    """The review of a proposal; ``None`` without one, or where trials have come since it was proposed."""
    if proposal is None or analysis is None or proposal.evidence != analysis.digest:
        return None
    if proposal.posterior is not None:
        return Review(found, proposal, analysis)
    with contextlib.suppress(ReviewError):  # read from the store, without its posterior
        return found.review(proposal)
    return None


def _parent_trials(found: Round) -> pd.DataFrame | None:
    """The parent's own trials, where they were judged by what this round is judged by."""
    parent = found.parent
    if parent is None or parent.node.judged_by != found._judged_by:
        return None
    return parent.trials
