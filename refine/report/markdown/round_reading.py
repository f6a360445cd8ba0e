"""Gathers from the store what a report says."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refine.errors import AnalysisError, ReviewError
from refine.proposal.proposal import Proposal
from refine.report.markdown import proposal_report, round_report
from refine.report.markdown.names import file_name
from refine.report.markdown.rendering import in_one_file
from refine.report.markdown.round_facts import Facts
from refine.report.markdown.script import reproduce
from refine.review.review import Review
from refine.run.environment import spread
from refine.run.fingerprint import versions_of
from refine.tree.reading import read_curves, read_optimism
from refine.tree.round import Round
from refine.utils.provided import provides

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.analysis import Analysis


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
        facts = replace(
            facts, name=file_name(found._at_once(), folder, f"{tail}{'.html' if html else '.md'}")
        )
    write = partial(proposal_report if only_proposal else round_report, facts)
    return in_one_file(write, folder) if html else write(folder)


def gather(found: Round, proposal: Proposal | None = None) -> Facts:
    """Everything a report of a round says.

    Args:
        found: The round.
        proposal: Which proposal to show; default the one that was decided upon last, else the last one
            stored, else none.
    """
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
