"""What differs between two rounds: space, settings, best values, and their trials as populations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from refine.analysis.population import LEAST_COMPARED, RoundComparison, compare_rounds, space_filling_values
from refine.errors import AnalysisError
from refine.space.space import SpaceDiff
from refine.store.engine import check_folder
from refine.tree.round import Round
from refine.tree.rounds import TreeRecord
from refine.utils.display import Shown
from refine.utils.plain import plain
from refine.utils.provided import provided

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
    """What differs between two rounds.

    Attributes:
        a: Id of the first.
        b: Id of the second.
        space: What changes from the first space to the second.
        volume_kept: Volume of the first space that the second keeps.
        best: Best values of both; NaN before the first trial.
        n: Planned configurations of both.
        other: Further differences of content: name -> (first, second).
        populations: The second's finished space-filling trials against the first's; ``None`` where they can't be compared.
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

    def _data(self) -> dict[str, Any]:
        return {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name != "rounds"}

    def report(self, folder: str | Path, *, html: bool = False) -> Path:
        """Writes the comparison as markdown with figures.

        Args:
            folder: Created if need be; holds ``compare-1-2.md``, by the rounds' numbers, and a folder of figures.
            html: Whether to write one self-contained HTML file instead.

        Returns:
            The file.

        Raises:
            StoreError: A file stands where the folder is to be.
        """
        written: Path = provided("comparison.report")(self, check_folder(folder), html)
        return written


def diff(self: TreeRecord, a: Round | str, b: Round | str) -> Comparison:
    """What differs between two rounds; it prints itself, and ``.report(folder)`` writes it.

    Examples:
        >>> child = root.branch({"lr": (0.5, 1.5, 11), "dropout": 0.0}, n=9).run(progress=False)
        >>> round(tree.diff(root, child).volume_kept, 2)
        0.04
    """
    return compare(self._resolve(a), self._resolve(b))


def compare(first: Round, second: Round) -> Comparison:
    """What differs between two rounds; see :meth:`refine.Tree.diff`."""
    x, y = first.node, second.node
    settings = {name: (getattr(x, name), getattr(y, name)) for name in _SETTINGS}
    best = [math.nan if (row := each.best) is None else float(row["value"]) for each in (first, second)]
    return Comparison(
        first.id,
        second.id,
        x.space.diff(y.space),
        x.space.volume_kept(y.space),
        (best[0], best[1]),
        (first.n, second.n),
        {name: pair for name, pair in settings.items() if pair[0] != pair[1]},
        _populations(first, second),
        (first, second),
    )


def _populations(first: Round, second: Round) -> RoundComparison | None:
    if first._judged_by != second._judged_by:
        return None
    tables = first.trials, second.trials
    if min(len(space_filling_values(t)) for t in tables) < LEAST_COMPARED:
        return None
    try:
        return compare_rounds(*tables, first.direction)
    except AnalysisError:  # trials were stopped for being behind
        return None
