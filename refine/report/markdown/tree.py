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
    Part,
    Raw,
    Section,
    code,
    escape,
    fence,
    opened,
    quote,
    slug,
    values_table,
)
from refine.report.pages.calibration import entry_sentences
from refine.report.pages.difference import decision_grid, difference_grid
from refine.space.edits import bounds_text
from refine.utils.display import Items
from refine.utils.files import made_folder
from refine.utils.format import duration, join, percent, plural, score

if TYPE_CHECKING:
    from refine.analysis.optimism import Optimism
    from refine.analysis.winner import Winner
    from refine.proposal.proposal import Proposal
    from refine.review.calibration import Calibration, Entry
    from refine.review.decision import Decision
    from refine.run.holdout import HoldoutResult
    from refine.space.space import Space
    from refine.trials.round_record import Node
    from refine.utils.display import Page

_FEW = 12
"""Rounds of a tree whose report shows them before its folds."""

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
        glance: Its page: rounds, and what was decided between them.
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
    glance: Page | None = None


def tree_report(facts: TreeFacts, folder: str | Path) -> Path:
    """Writes ``<folder>/<name of the tree>.md`` and its figures beside it.

    Returns:
        The markdown file.
    """
    where, name = Path(folder), slug(facts.name, set())
    made_folder(where / name)
    on_way = [s for s in facts.steps if s.node.id in facts.way]
    off_way = [s for s in facts.steps if s.node.id not in facts.way]
    pictures = _pictures(facts, where, name)
    few = len(facts.steps) <= _FEW
    head: list[Part] = [_summary(facts)]
    if facts.winner is not None:
        head += [Raw("## What to hand over"), facts.winner.page()]
    if facts.certificate is not None:
        link = f"[certificate]({quote_url(facts.certificate)})"
        head.append(Raw(f"How that is known, how it was found and how to train it again: its {link}."))
    head += [Raw("## The decisions"), pictures[0], facts.glance if few else None]
    steps = [_step(facts, s, i) for i, s in enumerate(on_way, 1)]
    others = [_step(facts, s, 0) for s in off_way]
    evidence = [
        Section("From the root to the best round", tuple(steps)) if steps else None,
        Section("Other branches" if steps else "Rounds", tuple(others)) if others else None,
        Section("The rounds", (None if few else facts.glance, _rounds(facts), *pictures[1:])),
        _best(facts),
        Section("Forecasts, claims and people", (facts.calibration.page(),)),
        Section("Reproduce the best round", (fence(facts.reproduce, "python"),)) if facts.way else None,
    ]
    return published(where / f"{name}.md", f"The refinement of {facts.name}", head, evidence)


def _summary(facts: TreeFacts) -> str:
    trials = sum(sum(s.states.values()) for s in facts.steps)
    seconds = float(np.nansum([s.seconds for s in facts.steps]))
    parts = [
        f"{plural(len(facts.steps), 'round')} with {plural(trials, 'trial')}, {duration(seconds)} of computing."
    ]
    if not facts.way:
        return f"{parts[0]} No trial has a value yet."
    by_id = {s.node.id: s for s in facts.steps}
    first, last = by_id[facts.way[0]], by_id[facts.way[-1]]
    after = f"after {plural(len(facts.way) - 1, 'decision')}" if len(facts.way) > 1 else "the first round"
    parts.append(f"The best observed {facts.metric} is {score(last.best)}, in round {last.node.id}, {after}.")
    if len(facts.way) > 1:
        parts.append(
            f"Its space keeps {percent(first.node.space.volume_kept(last.node.space))} of the first one."
        )
    equal = sum(s.best == last.best for s in facts.steps) - 1
    if equal:
        parts.append(f"{plural(equal, 'other round')} {'reaches' if equal == 1 else 'reach'} the same value.")
    if facts.told < len(facts.steps):
        parts.append(
            f"Only the last {facts.told} rounds on the way say here what they taught; for any other, read its own report."
        )
    opened = sum(len(s.holdout_results) for s in facts.steps)
    parts.append(
        f"The hold-out was opened {plural(opened, 'time')}." if opened else "No hold-out was opened."
    )
    return " ".join(parts)


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


def _step(facts: TreeFacts, s: Step, number: int) -> Section:
    states = ", ".join(f"{count:,} {state}" for state, count in s.states.items()) or "not run"
    before = next((t.node.space for t in facts.steps if t.node.id == s.node.parent), None)
    of = "finished elsewhere" if s.node.method == IMPORTED else f"of {s.node.space.size:,} configurations"
    took = f", {duration(s.seconds)} of computing" if np.isfinite(s.seconds) and s.states else ""
    at = join([f"{name} = {value}" for name, value in s.at.items()])
    best = f" The best observed {facts.metric} is {score(s.best)}{', with ' + at if at else ''}."
    return Section(
        f"{f'{number}. ' if number else ''}Round {s.node.id}",
        (
            *([] if s.decision is None else _decided(s, s.decision, before)),
            quote(s.node.note) if s.node.note.strip() and s.decision is None else None,
            f"{states}, {of}{took}.{best if np.isfinite(s.best) else ''}",
            None if s.entry is None else f"Outcome: {entry_sentences(s.entry)}",
            Items(s.seen[:_SEEN], numbered=True) if s.seen else None,
            *(
                f"A proposal on it was declined{by_whom(d)}{f': {d.note}' if d.note.strip() else '.'}"
                for d in s.declined
            ),
        ),
    )


def _decided(s: Step, d: Decision, old: Space | None) -> list[Part]:
    proposal = s.proposal
    parts: list[Part] = [
        Raw(f"**{escape(f'{KIND_WORDS.get(d.kind, d.kind)}{by_whom(d)}')}.**"),
        quote(d.note) if d.note.strip() else None,
    ]
    if proposal is not None and old is not None:
        parts.append(decision_grid(old, d, proposal))
    if d.kind == "branched" and old is not None and d.space is not None and (found := old.diff(d.space)):
        parts.append(difference_grid(found, "before", "decided"))
    if proposal is not None:
        folds = [f for f in proposal.page().folds if f.why]
        parts.append(Section("Why it was proposed", tuple(opened(folds))))
    return parts


def _best(facts: TreeFacts) -> Section | None:
    if not facts.way:
        return None
    s = next(s for s in facts.steps if s.node.id == facts.way[-1])
    rows: list[list[object]] = [[name, value] for name, value in s.at.items()]
    rows += [[name, bounds_text(p)] for name, p in s.node.space.items() if p.fixed]
    results = _holdout_results(facts)
    return Section(
        "The round with the best observed trial",
        (
            f"Round {s.node.id} has it:",
            values_table(["parameter", "value"], rows),
            None if facts.optimism is None else facts.optimism.page(),
            values_table([facts.metric, "value", "how"], results) if results else None,
        ),
    )


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
