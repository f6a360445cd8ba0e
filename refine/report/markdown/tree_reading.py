"""Gathers from the store what a tree's report says."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from refine.analysis.population import space_filling_values
from refine.errors import AnalysisError
from refine.report.markdown.rendering import in_one_file
from refine.report.markdown.round_facts import shown
from refine.report.markdown.script import reproduce
from refine.report.markdown.tree import Step, TreeFacts, tree_report
from refine.report.pages.analysis import seen as seen_in
from refine.report.pages.tree import tree_page
from refine.review.calibration import Calibration, Entry
from refine.tree.outcome import beliefs_of, entries_of, suggestions_of
from refine.tree.overview import RoundOverview, overview_of
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.trials.frame import may_be_best
from refine.utils.provided import provides

TOLD = 20
"""Of how many rounds a report of a larger tree says what they taught: it would analyse every one of them."""


@provides("tree.report")
def write_tree(tree: Tree, folder: Path, winner: Round | None, html: bool) -> Path:
    """Writes the report of a tree, and its winner's certificate beside it: see :meth:`refine.Tree.report`."""
    facts = facts_of(tree, winner)
    beside = None if facts.winner is None else facts.winner.report(folder, html=html).name
    write = partial(tree_report, replace(facts, certificate=beside))
    return in_one_file(write, folder) if html else write(folder)


def facts_of(tree: Tree, winner: Round | None = None) -> TreeFacts:
    """Everything a tree's report says.

    Args:
        tree: A tree with at least one round.
        winner: Where the story leads; default the round with the best observed trial.
    """
    tree = tree._at_once()
    rounds = tree.rounds
    first = rounds[0]
    entries = entries_of(rounds)
    by_child = {e.child: e for e in entries}
    seen = overview_of(rounds)
    chosen = seen.winner if winner is None else winner.id
    last = next((r for r in rounds if r.id == chosen), None)
    optimism = None
    with contextlib.suppress(AnalysisError):
        optimism = None if last is None else last.optimism()
    way = () if last is None else tuple(node.id for node in last.path)
    told = {r.id for r in rounds} if len(rounds) <= 2 * TOLD else set(way[-TOLD:])
    return TreeFacts(
        name=tree.name,
        metric=first.metric,
        direction=first.direction,
        steps=tuple(_step(each, by_child.get(each.id), each.id in told) for each in seen.rounds),
        way=way,
        optimism=optimism,
        calibration=Calibration(tree.name, entries, beliefs_of(rounds), suggestions_of(rounds)),
        reproduce="" if last is None else reproduce(last),
        winner=tree.winner(),
        told=len(told),
        glance=tree_page(tree, named=True),
    )


def _step(each: RoundOverview, entry: Entry | None, told: bool) -> Step:
    found, comparable = each.round, each.comparable
    trials, node, best = found.trials, found.node, each.best if comparable else None
    values = np.asarray(trials["value"], dtype=float) if comparable else np.full(len(trials), np.nan)
    seen: tuple[str, ...] = ()
    with contextlib.suppress(AnalysisError):  # too few trials yet
        seen = tuple(seen_in(found.analyze())) if told else ()
    seconds = np.asarray(trials["seconds"], dtype=float)
    return Step(
        node=node,
        n=each.n,
        states={str(k): int(v) for k, v in trials["state"].value_counts().items()},
        seconds=float(np.nansum(seconds)) if np.isfinite(seconds).any() else float("nan"),
        values=np.where(may_be_best(trials, node.space, node.allow_degenerate), values, np.nan),
        space_filling=space_filling_values(trials) if comparable else np.zeros(0),
        best=float("nan") if best is None else float(best["value"]),
        at={} if best is None else {n: shown(best[n]) for n in node.space.varied},
        tags=each.tags,
        seen=seen,
        decision=None if entry is None else entry.decision,
        proposal=None if entry is None else entry.proposal,
        entry=entry,
        holdout_results=found.holdout_results,
        declined=tuple(d for d in found.decisions if d.kind == "declined"),
    )
