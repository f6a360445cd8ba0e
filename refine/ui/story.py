"""Two rounds and the decision between them, told as they go: what ``refine demo`` and the main example print."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import typer

from refine.report import figures
from refine.report.pages.winner import conclusion
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.utils.format import duration, percent, score


def two_rounds(tree: Tree, root: Round, folder: Path, n: int, workers: int = 1) -> Round:
    """Runs a round, decides on its proposal, runs what is left, and prints what one would look at.

    Where a parameter could be fixed without a loss that is seen, the one that saves the most time is.

    Returns:
        The second round.
    """
    _run(root, workers)
    review = root.propose()
    picture = folder / "decision.png"
    figures.save(review.plot(), picture)
    typer.echo(f"{review}\n\nThe trials, and what stays: {picture}")

    note = "as proposed"
    if offers := sorted(review.proposal.offers, key=lambda offer: -offer.saving):
        best = offers[0]
        note = f"{best.name} fixed at {best.value}: no loss is seen, a trial takes {percent(best.saving)} less time"
        review = review.edit({best.name: best.value})
    size = min(n, review.preview().left)  # a bold proposal may leave fewer than were planned
    # Most of the next round covers what is left evenly; the rest goes where the best values are expected.
    child = review.accept(note=note, n=size, exploit=0.3)
    typer.echo(f"Decided: {note}. The next round has {size} configurations.")
    _run(child, workers)
    before, after = root.trials["value"], child.trials["value"]
    sides = max if root.direction == "maximize" else min
    won = tree.winner()
    said = f"{won}\n\n{conclusion(won)}" if won else "No trial may be called best."
    typer.echo(
        f"What came of it: the median trial went from {score(before.median())} to {score(after.median())}, the best from "
        f"{score(sides(before.dropna()))} to {score(sides(after.dropna()))}.\n\n{said}\n"
    )
    where = shlex.quote(tree.store.removeprefix("sqlite:///"))
    typer.echo(f"Decide on the next round by looking:\n\n    refine review {where} {child.id}")
    return child


def _run(found: Round, workers: int) -> None:
    started = time.perf_counter()
    found.run(workers=workers)
    took = duration(time.perf_counter() - started)
    typer.echo(f"Round {found.id}: {len(found.trials)} configurations of {found.space.size:,} in {took}.")
