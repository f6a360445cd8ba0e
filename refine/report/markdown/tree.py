"""Reports of a whole tree, from the question to the winner, and of a comparison of two rounds."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_url

import numpy as np

from refine.analysis.population import space_filling_values
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError
from refine.report import figures
from refine.report.markdown.facts import counted, decision_parts
from refine.report.markdown.rendering import comparison_name, published, written
from refine.report.markdown.script import reproduce
from refine.report.markdown.text import (
    Part,
    Picture,
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
from refine.report.pages.analysis import seen as seen_in
from refine.report.pages.calibration import entry_sentences
from refine.report.pages.phrases import by
from refine.report.pages.tree import tree_page, value_text
from refine.review.calibration import Calibration, Entry
from refine.space.edits import bounds_text
from refine.tree.comparison import Comparison
from refine.tree.outcome import beliefs_of, entries_of, suggestions_of
from refine.tree.overview import RoundOverview, overview_of
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.trials.frame import may_be_best
from refine.utils.display import Items
from refine.utils.format import duration, join, percent, plural, score
from refine.utils.provided import provides

if TYPE_CHECKING:
    from refine.run.holdout import HoldoutResult
    from refine.space.space import Space
    from refine.trials.round_record import Node

TOLD = 20  # of how many rounds a report of a larger tree says what they taught: it would analyse every one of them
_FEW = 12  # rounds of a tree whose report shows them before its folds
_SEEN = 5  # sentences on what a round taught; the others stand in the round's own report


@dataclass(frozen=True, eq=False)
class _Step:
    """One round of the tree: what ran, what it taught, and the decision that led to it with what became of its claim.

    ``values`` are those of all trials in the order of running, NaN where one has none or may not be best; ``best`` is NaN
    before the first one, ``seconds`` where no time is known; ``entry`` is ``None`` for a root.
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
    entry: Entry | None
    holdout_results: tuple[HoldoutResult, ...]
    declined: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> str:
        return "" if self.entry is None else self.entry.decision.kind


@provides("tree.report")
def write_tree(tree: Tree, folder: Path, winner: Round | None, html: bool) -> Path:
    """Writes the report of a tree, which leads to ``winner``, and the certificate beside it: see :meth:`refine.Tree.report`."""
    tree = tree._at_once()
    rounds, metric, won = tree.rounds, tree.rounds[0].metric, tree.winner()
    entries, overview = entries_of(rounds), overview_of(rounds)
    chosen = overview.winner if winner is None else winner.id
    last = next((r for r in rounds if r.id == chosen), None)
    way = [] if last is None else [node.id for node in last.path]
    told = {r.id for r in rounds} if len(rounds) <= 2 * TOLD else set(way[-TOLD:])
    by_child = {e.child: e for e in entries}
    steps = {r.id: _step_of(r, by_child.get(r.id), r.id in told) for r in overview.rounds}
    glance, few = tree_page(tree, named=True), len(steps) <= _FEW
    figure, *figures_below = _pictures(list(steps.values()), rounds[0].direction, metric, last)
    head: list[Part] = [_summary(steps, way, metric, len(told))]
    if won is not None:
        link = f"[certificate]({quote_url(won.report(folder, html=html).name)})"
        known = Raw(f"How that is known, how it was found and how to train it again: its {link}.")
        head += [Raw("## What to hand over"), won.page(), known]
    head += [Raw("## The decisions"), figure, glance if few else None]
    on_way = [_step(steps, metric, steps[key], i) for i, key in enumerate(way, 1)]
    others = [_step(steps, metric, s, 0) for key, s in steps.items() if key not in way]
    calibration = Calibration(tree.name, entries, beliefs_of(rounds), suggestions_of(rounds))
    evidence = [
        Section("From the root to the best round", tuple(on_way)),
        Section("Other branches" if on_way else "Rounds", tuple(others)),
        Section("The rounds", (None if few else glance, _rounds(steps, way, metric), *figures_below)),
        None if last is None else _best(last, steps),
        Section("Forecasts, claims and people", (calibration.page(),)),
        None if last is None else Section("Reproduce the best round", (fence(reproduce(last), "python"),)),
    ]
    name, title = f"{slug(tree.name, set())}.md", f"The refinement of {tree.name}"
    return written(lambda where: published(where / name, title, head, evidence), folder, html)


def _best(last: Round, steps: dict[str, _Step]) -> Section:
    fixed = [(name, bounds_text(p)) for name, p in last.space.items() if p.fixed]
    table = values_table(["parameter", "value"], [*steps[last.id].at.items(), *fixed])
    parts: list[Part] = [f"Round {last.id} has it:", table]
    with contextlib.suppress(AnalysisError):
        parts.append(last.optimism().page())
    parts += [opening.page() for s in steps.values() for opening in s.holdout_results]
    return Section("The round with the best observed trial", tuple(parts))


def _step_of(each: RoundOverview, entry: Entry | None, told: bool) -> _Step:
    found, comparable = each.round, each.comparable
    trials, node, best = found.trials, found.node, each.best if comparable else None
    values = np.asarray(trials["value"], dtype=float) if comparable else np.full(len(trials), np.nan)
    seen: tuple[str, ...] = ()
    with contextlib.suppress(AnalysisError):  # too few trials yet
        seen = tuple(seen_in(found.analyze())) if told else ()
    seconds = np.asarray(trials["seconds"], dtype=float)
    return _Step(
        node=node,
        n=each.n,
        states={str(k): int(v) for k, v in trials["state"].value_counts().items()},
        seconds=float(np.nansum(seconds)) if np.isfinite(seconds).any() else float("nan"),
        values=np.where(may_be_best(trials, node.space, node.allow_degenerate), values, np.nan),
        space_filling=space_filling_values(trials) if comparable else np.zeros(0),
        best=float("nan") if best is None else float(best["value"]),
        at={} if best is None else {n: value_text(best[n]) for n in node.space.varied},
        tags=each.tags,
        seen=seen,
        entry=entry,
        holdout_results=found.holdout_results,
        declined=tuple((d.author, d.note) for d in found.decisions if d.kind == "declined"),
    )


def _summary(steps: dict[str, _Step], way: list[str], metric: str, told: int) -> str:
    trials = sum(sum(s.states.values()) for s in steps.values())
    seconds = duration(float(np.nansum([s.seconds for s in steps.values()])))
    ran = f"{plural(len(steps), 'round')} with {plural(trials, 'trial')}, {seconds} of computing."
    if not way:
        return f"{ran} No trial has a value yet."
    first, last, decisions = steps[way[0]], steps[way[-1]], len(way) - 1
    after = f"after {plural(decisions, 'decision')}" if decisions else "the first round"
    parts = [ran, f"The best observed {metric} is {score(last.best)}, in round {last.node.id}, {after}."]
    if decisions:
        kept = percent(first.node.space.volume_kept(last.node.space))
        parts.append(f"Its space keeps {kept} of the first one.")
    if equal := sum(s.best == last.best for s in steps.values()) - 1:
        parts.append(f"{plural(equal, 'other round')} {'reaches' if equal == 1 else 'reach'} the same value.")
    if told < len(steps):
        only = f"Only the last {told} rounds on the way say here what they taught"
        parts.append(f"{only}; for any other, read its own report.")
    openings = sum(len(s.holdout_results) for s in steps.values())
    parts.append(
        f"The hold-out was opened {plural(openings, 'time')}." if openings else "No hold-out was opened."
    )
    return " ".join(parts)


def _pictures(steps: list[_Step], direction: str, metric: str, last: Round | None) -> list[Picture]:
    winner, trials = None if last is None else last.id, [sum(s.states.values()) for s in steps]
    nodes = [
        figures.TreeNode(s.node.id, s.node.parent, s.best, ran, s.n, s.kind, s.tags, s.node.note)
        for s, ran in zip(steps, trials, strict=True)
    ]
    rounds = [figures.RoundValues(s.node.id, s.node.parent, s.values) for s in steps]
    curves = {f"round {s.node.id}": s.space_filling for s in steps if len(s.space_filling) > 1}
    title = "The rounds, their best values, and the decisions between them"
    made = [Picture(title, "tree", partial(figures.tree, nodes, direction, metric, winner))]
    if winner is not None:
        draw = partial(figures.best_so_far, rounds, direction, metric, winner)
        made.append(Picture("Every trial, and the best so far along every branch", "best-by-round", draw))
    if len(curves) > 1:
        draw = partial(figures.edf, curves, metric, direction)
        made.append(Picture("Distribution of the values, round by round", "edf", draw))
    return made


def _rounds(steps: dict[str, _Step], way: list[str], metric: str) -> Raw:
    rows = [
        [
            Raw(code(s.node.id) + (" ★" if s.node.id in way[-1:] else "")),
            Raw(code(s.node.parent)) if s.node.parent else "-",
            s.kind or "root",
            s.node.author,
            f"{sum(s.states.values()):,}",
            score(float(np.median(s.space_filling)) if len(s.space_filling) else None),
            score(s.best),
            ", ".join(s.tags) or "-",
        ]
        for s in steps.values()
    ]
    head = ["round", "from", "how", "by", "trials", f"median {metric}", "best observed", "tags"]
    return values_table(head, rows)


def _step(steps: dict[str, _Step], metric: str, s: _Step, number: int) -> Section:
    of = "finished elsewhere" if s.node.method == IMPORTED else f"of {s.node.space.size:,} configurations"
    took = f", {duration(s.seconds)} of computing" if np.isfinite(s.seconds) and s.states else ""
    at = join([f"{name} = {value}" for name, value in s.at.items()])
    best = f" The best observed {metric} is {score(s.best)}{', with ' + at if at else ''}."
    parts: list[Part] = []
    if s.entry is not None:
        parts += _decided(s.entry, steps[s.node.parent or ""].node.space)
    elif s.node.note.strip():
        parts.append(quote(s.node.note))
    parts.append(f"{counted(s.states) or 'not run'}, {of}{took}.{best if np.isfinite(s.best) else ''}")
    if s.entry is not None:
        parts.append(f"Outcome: {entry_sentences(s.entry)}")
    if s.seen:
        parts.append(Items(s.seen[:_SEEN], numbered=True))
    for author, note in s.declined:
        parts.append(f"A proposal on it was declined{by(author)}{f': {note}' if note.strip() else '.'}")
    return Section(f"{f'{number}. ' if number else ''}Round {s.node.id}", tuple(parts))


def _decided(entry: Entry, old: Space) -> list[Part]:
    parts = decision_parts(entry.decision, old, entry.proposal)
    if entry.proposal is not None:
        folds = [fold for fold in entry.proposal.page().folds if fold.why]
        parts.append(Section("Why it was proposed", tuple(opened(folds))))
    return parts


@provides("comparison.report")
def write_comparison(found: Comparison, folder: Path, html: bool) -> Path:
    """Writes the report of a comparison: see :meth:`refine.tree.comparison.Comparison.report`."""
    first, name = found.rounds[0], comparison_name(*found.rounds, folder)
    head: list[Part] = [found.page()]
    if found.populations is not None:
        curves = {f"round {r.id}": space_filling_values(r.trials) for r in found.rounds}
        draw = partial(figures.edf, curves, first.metric, first.direction)
        head.append(Picture(f"Distribution of {first.metric} in both rounds", "edf", draw))
    title = Raw(f"Rounds {code(found.a)} and {code(found.b)} of {escape(first.context.name)}")
    return written(lambda where: published(where / f"{name}.md", title, head), folder, html)
