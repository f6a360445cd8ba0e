"""Comparison of two rounds."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refine.analysis.population import RoundComparison, compare_rounds
from refine.errors import AnalysisError, NotFoundError, ReviewError
from refine.space.space import SpaceDiff
from refine.store.engine import check_folder
from refine.tree.context import judged
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.trials.frame import barred_rows
from refine.utils.action import Action
from refine.utils.display import Shown
from refine.utils.format import join
from refine.utils.plain import plain
from refine.utils.provided import provided
from refine.utils.types import JsonObject

if TYPE_CHECKING:
    import pandas as pd

_SETTINGS = (
    "method",
    "seed",
    "objective",
    "data",
    "pruner",
    "belief",
    "metric",
    "direction",
    "allow_degenerate",
    "subject_to",
    "goals",
)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown):
    """Differences between two rounds.

    Attributes:
        a: Id of the first round.
        b: Id of the second round.
        space: Changes from the first space to the second.
        volume_kept: Volume of the first space that the second keeps.
        best: Best values of both; NaN before the first trial.
        n: Planned configurations of both.
        other: Further differences of content: name -> (first, second).
        populations: The second's finished space-filling trials against the first's; ``None`` where they
            can't be compared.
        rounds: Both rounds.
    """

    a: str
    b: str
    space: SpaceDiff
    volume_kept: float
    best: tuple[float, float]
    n: tuple[int, int]
    other: dict[str, tuple[Any, Any]]
    populations: RoundComparison | None
    rounds: tuple[Round, Round] = field(repr=False)

    def _data(self) -> JsonObject:
        return {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name != "rounds"}

    def report(self, folder: str | Path, *, html: bool = False) -> Path:
        """Writes the comparison as markdown with figures.

        Args:
            folder: Created if need be; holds ``compare-<id>-<id>.md``, by the rounds' ids, and a folder of
                figures.
            html: Whether to write one self-contained HTML file instead.

        Returns:
            The file.

        Raises:
            StoreError: A file stands in place of the folder.
        """
        written: Path = provided("comparison.report")(self, check_folder(folder), html)
        return written


def diff(self: TreeRecord, a: Round | str, b: Round | str) -> Comparison:
    """Differences between two rounds, to print, or to write with ``.report(folder)``.

    Examples:
        >>> child = root.branch({"lr": (0.5, 1.5, 11), "dropout": 0.0}, n=9).run()
        >>> round(tree.diff(root, child).volume_kept, 2)
        0.04
    """
    return difference(self[a], self[b])


def difference(first: Round, second: Round) -> Comparison:
    """Differences between two rounds; see :meth:`refine.Tree.diff`."""
    x = first._node
    y = second._node
    settings = {name: (getattr(x, name), getattr(y, name)) for name in _SETTINGS}
    best = [math.nan if (row := round_.best) is None else float(row["value"]) for round_ in (first, second)]
    populations = None
    # An AnalysisError: trials were stopped for being behind, or too few have finished.
    with contextlib.suppress(AnalysisError):
        if first._judged_by == second._judged_by:
            populations = compare_rounds(population(first), population(second), first._direction)
    return Comparison(
        a=first.id,
        b=second.id,
        space=x.space.diff(y.space),
        volume_kept=x.space.volume_kept(y.space),
        best=(best[0], best[1]),
        n=(first.n, second.n),
        other={name: pair for name, pair in settings.items() if pair[0] != pair[1]},
        populations=populations,
        rounds=(first, second),
    )


def check_studies(tree: TreeRecord, other: TreeRecord | None) -> None:
    """Raises NotFoundError for a tree without rounds, ReviewError for two trees that cannot be compared."""
    if not isinstance(other, TreeRecord | None):
        raise ReviewError(
            f"the second study must be a tree, got {type(other).__name__}; for example "
            "refine.Tree(name, store=...)"
        )
    for argument, study in (("tree", tree), ("beside", other)):
        if study is not None and not len(study):
            raise NotFoundError(
                f"tree {study._name!r} has no round to show; add one", Action(f"{argument}.add_round", ...)
            )
    if other is None:
        return
    a, b = (f"tree {study._name!r} of {study._url}" for study in (tree, other))
    store = tree._context.store
    other_store = other._context.store
    same_database = store.engine.url == other_store.engine.url and not store.in_memory
    if tree._name == other._name and (store is other_store or same_database):
        raise ReviewError(f"two different studies can be compared, got {a} twice; name another store or tree")
    first = tree.rounds[0]._node
    second = other.rounds[0]._node
    if first.judged_by != second.judged_by:
        raise ReviewError(
            f"studies on one page must be judged by one metric in one direction, got {judged(first)} in "
            f"{a} and {judged(second)} in {b}; open a page for each"
        )
    names = [sorted({name for round_ in study.rounds for name in round_.space}) for study in (tree, other)]
    if set(names[0]).isdisjoint(names[1]):
        raise ReviewError(
            f"studies on one page must have a parameter in common, got {join(names[0])} in {a} and "
            f"{join(names[1])} in {b}; open a page for each"
        )


def population(round_: Round) -> pd.DataFrame:
    """Trials of a round without degenerate and infeasible ones, which count as failed."""
    trials = round_.trials
    return trials[~barred_rows(trials, round_.space, round_._node.allow_degenerate)]
