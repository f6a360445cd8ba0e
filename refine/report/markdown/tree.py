"""Report of a whole tree: from the question to the winner, with every decision and how its claim turned out.

Computes nothing, reads no clock: equal facts give equal markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_url

import numpy as np

from refine.design.space_filling import IMPORTED
from refine.report import figures
from refine.report.markdown.decision import KIND_WORDS, by_whom
from refine.report.markdown.rendering import drawn, published
from refine.report.markdown.text import (
    Raw,
    code,
    escape,
    fence,
    joined,
    page_text,
    quote,
    slug,
    table,
    values_table,
)
from refine.report.markdown.winner import winner_sentence
from refine.report.pages.calibration import (
    author_rows,
    authors_head,
    belief_score_sentence,
    coverage_sentences,
    edit_sentences,
    entry_sentences,
    suggestion_items,
)
from refine.report.pages.difference import decision_grid, difference_grid
from refine.report.pages.proposal import branch_sentence, why, within_text
from refine.review.branch_claim import BranchClaim
from refine.space.edits import bounds_text
from refine.utils.files import made_folder
from refine.utils.format import duration, percent, plural, probability, score

if TYPE_CHECKING:
    from refine.analysis.optimism import Optimism
    from refine.analysis.winner import Winner
    from refine.proposal.proposal import Proposal
    from refine.review.calibration import Calibration, Entry
    from refine.review.decision import Decision
    from refine.run.holdout import HoldoutResult
    from refine.space.space import Space
    from refine.trials.round_record import Node

_SEEN = 5
"""Sentences on what a round taught; the others stand in the round's own report."""


@dataclass(frozen=True, eq=False)
class Step:
    """One round of the tree.

    Attributes:
        node: The round.
        n: Configurations planned.
        states: State -> number of trials.
        seconds: Time of all trials together; NaN where it is not known.
        values: (n,) value of every trial in the order of running; NaN where it has none or may not be best.
        space_filling: (n,) values of finished space-filling trials.
        best: Best value; NaN before the first.
        at: The best configuration as shown: name -> text.
        tags: Its names.
        seen: What it taught, in sentences, the clearest first.
        decision: The decision that led to it; ``None`` for a root.
        proposal: The proposal decided upon; ``None`` where there is none.
        entry: What became of the forecast and of the claim; ``None`` for a root.
        holdout_results: What the hold-out showed.
        declined: Decisions on this round that led to no child.
        claim: What the decisions that led to it claim together; ``None`` where that can't be stated.
    """

    node: Node
    n: int
    states: dict[str, int]
    seconds: float
    values: np.ndarray[Any, np.dtype[np.float64]]
    space_filling: np.ndarray[Any, np.dtype[np.float64]]
    best: float
    at: dict[str, str]
    tags: tuple[str, ...]
    seen: tuple[str, ...]
    decision: Decision | None
    proposal: Proposal | None
    entry: Entry | None
    holdout_results: tuple[HoldoutResult, ...]
    declined: tuple[Decision, ...]
    claim: BranchClaim | None


@dataclass(frozen=True, eq=False)
class TreeFacts:
    """Everything a tree's report says.

    Attributes:
        name: Name of the tree.
        metric: What rounds are judged by.
        direction: ``"maximize"`` or ``"minimize"``.
        steps: All rounds, oldest first.
        way: Ids from the root to the round that the story leads to; empty before the first value.
        optimism: How much of that round's best is chance; ``None`` where that can't be told.
        calibration: Forecasts and claims.
        reproduce: Python that makes the round with the best observed trial again.
        winner: The configuration to hand over; ``None`` where no trial may be called best.
        certificate: Name of the file with its certificate, beside the report; ``None`` without one.
        told: Of how many rounds it says what they taught: of the last ones on the way, where it is not of all.
    """

    name: str
    metric: str
    direction: str
    steps: tuple[Step, ...]
    way: tuple[str, ...]
    optimism: Optimism | None
    calibration: Calibration
    reproduce: str
    winner: Winner | None = None
    certificate: str | None = None
    told: int = 0


def tree_report(facts: TreeFacts, folder: str | Path) -> Path:
    """Writes ``<folder>/<name of the tree>.md`` and its figures beside it.

    Returns:
        The markdown file.
    """
    where, name = Path(folder), slug(facts.name, set())
    made_folder(where / name)
    on_way = [s for s in facts.steps if s.node.id in facts.way]
    off_way = [s for s in facts.steps if s.node.id not in facts.way]
    context = {
        "name": facts.name,
        "summary": _summary(facts),
        "pictures": _pictures(facts, where, name),
        "rounds": _rounds(facts),
        "steps": [_step(facts, s, i) for i, s in enumerate(on_way, 1)],
        "others": [_step(facts, s, 0) for s in off_way],
        "winner": None if facts.winner is None else page_text(facts.winner.page()),
        "certificate": None
        if facts.certificate is None
        else Raw(f"[certificate]({quote_url(facts.certificate)})"),
        "best": _best(facts),
        "held": [Raw(line) for line in coverage_sentences(facts.calibration)],
        "people": _people(facts.calibration),
        "reproduce": fence(facts.reproduce, "python") if facts.way else None,
    }
    return published(where / f"{name}.md", "tree.md.j2", context)


def _people(found: Calibration) -> dict[str, Any] | None:
    """What people decided and believed, beside what was proposed; ``None`` where nobody edited or believed anything."""
    edits = edit_sentences(found)
    suggested = [cell.text for cell in suggestion_items(found)]
    said = [*suggested, *edits, *(belief_score_sentence(b) for b in found.beliefs)]
    if not said:
        return None
    return {
        "table": values_table(list(authors_head(found)), author_rows(found)) if edits else None,
        "said": said,
    }


def _summary(facts: TreeFacts) -> Raw:
    trials = sum(sum(s.states.values()) for s in facts.steps)
    seconds = float(np.nansum([s.seconds for s in facts.steps]))
    parts = [
        f"{plural(len(facts.steps), 'round')} with {plural(trials, 'trial')}, {duration(seconds)} of computing."
    ]
    if not facts.way:
        return Raw(f"{parts[0]} No trial has a value yet.")
    by_id = {s.node.id: s for s in facts.steps}
    first, last = by_id[facts.way[0]], by_id[facts.way[-1]]
    kept = first.node.space.volume_kept(last.node.space)
    parts.append(
        f"The best observed {escape(facts.metric)} of round {code(last.node.id)} is {score(last.best)}, after "
        f"{plural(len(facts.way) - 1, 'decision')}."
        if len(facts.way) > 1
        else f"The best observed {escape(facts.metric)} is {score(last.best)}, in the first round {code(last.node.id)}."
    )
    if len(facts.way) > 1:
        parts.append(f"Its space keeps {percent(kept)} of the first one.")
    if last.claim is not None and last.claim.claims > 1:
        parts.append(branch_sentence(last.claim))
    equal = sum(s.best == last.best for s in facts.steps) - 1
    if equal:
        parts.append(f"{plural(equal, 'other round')} {'reaches' if equal == 1 else 'reach'} the same value.")
    parts.append(winner_sentence(facts.winner))
    tested = [e for e in facts.calibration.entries if e.refuted is not None]
    if tested:
        refuted = sum(bool(e.refuted) for e in tested)
        parts.append(
            f"Audit trials tested {plural(len(tested), 'narrowing')} and refuted {refuted or 'none'}."
        )
    if facts.told < len(facts.steps):
        parts.append(
            f"Only the last {facts.told} rounds on the way say here what they taught; for any other, read its own report."
        )
    holdout_results = sum(len(s.holdout_results) for s in facts.steps)
    parts.append(
        f"The hold-out was opened {holdout_results} {'time' if holdout_results == 1 else 'times'}."
        if holdout_results
        else "No hold-out was opened."
    )
    return Raw(" ".join(part for part in parts if part))


def _pictures(facts: TreeFacts, where: Path, name: str) -> list[Raw]:
    made: list[Raw] = []
    nodes = [
        figures.TreeNode(
            s.node.id,
            s.node.parent,
            s.best,
            sum(s.states.values()),
            s.n,
            s.decision.kind if s.decision else "",
            s.tags,
            s.node.note,
        )
        for s in facts.steps
    ]
    winner = facts.way[-1] if facts.way else None
    made.append(
        drawn(
            "The rounds, their best values, and the decisions between them",
            where,
            f"{name}/tree.png",
            lambda: figures.tree(nodes, facts.direction, facts.metric, winner),
        )
    )
    if facts.way:
        rounds = [figures.RoundValues(s.node.id, s.node.parent, s.values) for s in facts.steps]
        made.append(
            drawn(
                "Every trial, and the best so far along every branch",
                where,
                f"{name}/best-by-round.png",
                lambda: figures.best_by_round(rounds, facts.direction, facts.metric, winner),
            )
        )
    curves = {f"round {s.node.id}": s.space_filling for s in facts.steps if len(s.space_filling) > 1}
    if len(curves) > 1:
        made.append(
            drawn(
                "Distribution of the values, round by round",
                where,
                f"{name}/edf.png",
                lambda: figures.edf(curves, facts.metric, facts.direction),
            )
        )
    return made


def _rounds(facts: TreeFacts) -> Raw:
    rows: list[list[object]] = []
    for s in facts.steps:
        median = float(np.median(s.space_filling)) if len(s.space_filling) else float("nan")
        rows.append(
            [
                Raw(code(s.node.id) + (" ★" if facts.way and s.node.id == facts.way[-1] else "")),
                Raw(code(s.node.parent)) if s.node.parent else "-",
                s.decision.kind if s.decision else "root",
                s.node.author,
                f"{sum(s.states.values()):,}",
                score(median),
                score(s.best),
                ", ".join(s.tags) or "-",
            ]
        )
    head = ["round", "from", "how", "by", "trials", f"median {facts.metric}", "best observed", "tags"]
    return values_table(head, rows)


def _step(facts: TreeFacts, s: Step, number: int) -> dict[str, Any]:
    states = ", ".join(f"{count:,} {state}" for state, count in s.states.items()) or "not run"
    before = next((t.node.space for t in facts.steps if t.node.id == s.node.parent), None)
    of = "finished elsewhere" if s.node.method == IMPORTED else f"of {s.node.space.size:,} configurations"
    at = joined([f"{name} = {value}" for name, value in s.at.items()])
    best = (
        f" The best observed {escape(facts.metric)} is {score(s.best)}{', with ' + at if at else ''}."
        if np.isfinite(s.best)
        else ""
    )
    return {
        "title": Raw(f"{f'{number}. ' if number else ''}Round {code(s.node.id)}"),
        "decided": None if s.decision is None else _decided(s, s.decision, before),
        "ran": Raw(f"{escape(states)}, {of}, {duration(s.seconds)} of computing.{best}")
        if np.isfinite(s.seconds) and s.states
        else Raw(f"{escape(states)}, {of}.{best}"),
        "note": quote(s.node.note) if s.node.note.strip() and s.decision is None else None,
        "seen": [Raw(escape(text)) for text in s.seen[:_SEEN]],
        "turned": None if s.entry is None else Raw(escape(entry_sentences(s.entry))),
        "declined": [_declined(d) for d in s.declined],
    }


def _decided(s: Step, d: Decision, old: Space | None) -> dict[str, Any]:
    proposal = s.proposal
    decided = None if old is None or proposal is None else decision_grid(old, d, proposal)
    reasons = [] if proposal is None else [c for c in proposal.changes if c.kind != "keep"]
    claim = None
    if d.probability is not None and proposal is not None:
        claim = Raw(
            f"The claim: with probability {probability(d.probability)} the best inside is {within_text(proposal.claim)} the best anywhere in the space "
            f"before, of which it keeps {percent(d.volume_kept)}."
        )
    return {
        "how": Raw(f"{KIND_WORDS.get(d.kind, escape(d.kind))}{by_whom(d)}"),
        "note": quote(d.note) if d.note.strip() else None,
        "table": None if decided is None else table(decided),
        "reasons": [Raw(f"{escape(c.name)}: {escape(why(c))}") for c in reasons],
        "claim": claim,
        "branch": _branched(old, d) if d.kind == "branched" and old is not None else None,
    }


def _branched(old: Space, d: Decision) -> Raw | None:
    """What a branch changed."""
    if d.space is None:
        return None
    found = old.diff(d.space)
    return table(difference_grid(found, "before", "decided")) if found else None


def _declined(d: Decision) -> Raw:
    note = f": {escape(d.note)}" if d.note.strip() else "."
    return Raw(f"A proposal on it was declined{by_whom(d)}{note}")


def _best(facts: TreeFacts) -> dict[str, Any] | None:
    if not facts.way:
        return None
    s = next(s for s in facts.steps if s.node.id == facts.way[-1])
    rows: list[list[object]] = [[name, value] for name, value in s.at.items()]
    rows += [[name, bounds_text(p)] for name, p in s.node.space.items() if p.fixed]
    values: list[list[object]] = [["best observed", score(s.best), "chosen because it was the best"]]
    if facts.optimism is not None:
        optimism = facts.optimism
        if np.isfinite(optimism.expected):
            values.append(["expected when trained again", score(optimism.expected), "by the noise alone"])
        if optimism.seeds is not None:
            values.append(
                [
                    "under new seeds",
                    score(optimism.seeds.value),
                    f"mean of {plural(optimism.seeds.runs, 'run')}",
                ]
            )
        if optimism.examples is not None:
            values.append(
                ["on other validation examples", score(optimism.examples.value), "bootstrap of the examples"]
            )
    values += _holdout_results(facts)
    return {
        "round": code(s.node.id),
        "table": values_table(["parameter", "value"], rows),
        "worth": values_table([facts.metric, "value", "how"], values),
    }


def _holdout_results(facts: TreeFacts) -> Sequence[list[object]]:
    rows: list[list[object]] = []
    for s in facts.steps:
        for o in s.holdout_results:
            if len(o.table):
                first = o.table.iloc[0]
                what = Raw(f"on the hold-out, round {code(s.node.id)}")
                how = f"mean of {plural(int(first['runs']), 'model')}, opened by {o.author}"
                rows.append([what, score(float(first["holdout"])), how])
    return rows
