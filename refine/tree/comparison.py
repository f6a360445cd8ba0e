"""Comparison of two rounds, and beliefs from earlier studies."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.population import RoundComparison, compare_rounds
from refine.errors import AnalysisError, NotFoundError, ReviewError
from refine.proposal.posterior import surrogate_of
from refine.space.belief import Belief, Near, belief_of
from refine.space.categorical import Categorical
from refine.space.parameters import Parameter, Range
from refine.space.space import Space, SpaceDiff
from refine.store.engine import check_folder
from refine.tree.context import judged
from refine.tree.lineage import analyze
from refine.tree.round import Round
from refine.tree.round_record import RoundRecord
from refine.tree.tree_record import TreeRecord
from refine.trials.frame import barred_rows
from refine.utils.action import Action
from refine.utils.arrays import Column
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
    return difference(self._resolve(a), self._resolve(b))


def difference(first: Round, second: Round) -> Comparison:
    """Differences between two rounds; see :meth:`refine.Tree.diff`."""
    x = first.node
    y = second.node
    settings = {name: (getattr(x, name), getattr(y, name)) for name in _SETTINGS}
    best = [math.nan if (row := round_.best) is None else float(row["value"]) for round_ in (first, second)]
    populations = None
    # An AnalysisError: trials were stopped for being behind, or too few have finished.
    with contextlib.suppress(AnalysisError):
        if first._judged_by == second._judged_by:
            populations = compare_rounds(population(first), population(second), first.direction)
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
                f"tree {study.name!r} has no round to show; add one", Action(f"{argument}.add_round", ...)
            )
    if other is None:
        return
    a, b = (f"tree {study.name!r} of {study.store}" for study in (tree, other))
    store = tree._context.store
    other_store = other._context.store
    same_database = store.engine.url == other_store.engine.url and not store.in_memory
    if tree.name == other.name and (store is other_store or same_database):
        raise ReviewError(f"two different studies can be compared, got {a} twice; name another store or tree")
    first = tree.rounds[0].node
    second = other.rounds[0].node
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
    return trials[~barred_rows(trials, round_.space, round_.node.allow_degenerate)]


# Suggestions from earlier studies.

# By how much of the new range the best values of two studies are taken to lie apart in any case: another
# data set.
OTHER = 0.15

# Probability that is left to choices of which earlier studies say nothing, and to all others evenly.
NEW = 0.2

Study = TreeRecord | RoundRecord


def _best_of(study: Study) -> dict[str, Column]:
    """Parameter -> its value in the best candidate of each draw of the posterior of a round."""
    rounds: Sequence[RoundRecord] = [study] if isinstance(study, RoundRecord) else study.rounds[::-1]
    for round_ in rounds:
        with contextlib.suppress(AnalysisError):
            analysis = analyze(round_)
            if (surrogate := surrogate_of(analysis)) is not None:
                best = surrogate.posterior.scores.argmax(axis=1)
                return {e.name: np.asarray(surrogate.columns[e.name])[best] for e in analysis.parameters}
    raise AnalysisError(
        f"like: {_name(study)} has no round with enough trials to learn from; run one first",
        Action("round.run"),
    )


def _name(study: Study) -> str:
    if isinstance(study, RoundRecord):
        return f"round {study.id}"
    return f"tree {study.name}"


def belief_like(sources: Sequence[Study], space: Space) -> Belief:
    """Belief about shared parameters from the latest posteriors of earlier studies, equally weighted.

    A number is believed near the median of their draws, as widely as these spread and 15 % of the new range
    wider; a choice has the share of draws with it, less a fifth that is left to all.

    Args:
        sources: Trees, of which the latest round that can be analysed speaks, or rounds.
        space: The new space.

    Raises:
        AnalysisError: No source, one without enough trials, or none that shares a parameter with the space.
    """
    listed = isinstance(sources, list | tuple) and len(sources) > 0
    if not listed or not all(isinstance(source, Study) for source in sources):
        raise AnalysisError(
            f"like must be a list of trees or rounds, got {sources!r}; for example like=[tree]"
        )
    studies = [_best_of(source) for source in sources]
    beliefs = {}
    for name in space.varied:
        drawn = [best[name] for best in studies if name in best]
        if drawn and (suggestion := _suggested(space[name], drawn)) is not None:
            beliefs[name] = suggestion
    if not beliefs:
        raise AnalysisError(
            "like: earlier studies share no parameter with this space whose values they know; leave like "
            "out, or say a belief"
        )
    names = tuple(dict.fromkeys(_name(source) for source in sources))
    return replace(belief_of(beliefs, space), like=names)


def _suggested(parameter: Parameter, drawn: list[Column]) -> Near | dict[str, float] | None:
    """Belief about one parameter from the draws of several studies; ``None`` without common values."""
    import pandas as pd

    if isinstance(parameter, Categorical) and not parameter.numeric:
        shares_by_study = []
        for values in drawn:
            positions = parameter.positions(values)
            positions = positions[positions >= 0]
            if len(positions):
                shares_by_study.append(np.bincount(positions, minlength=parameter.size) / len(positions))
        if not shares_by_study:
            return None
        shares = (1 - NEW) * np.mean(shares_by_study, axis=0) + NEW / parameter.size
        rounded = [float(s) for s in np.round(shares[:-1], 3)]  # the last choice has the rest
        return dict(zip(parameter.labels[:-1], rounded, strict=True))
    log = isinstance(parameter, Range) and parameter.log
    low = float(min(parameter.grid))
    high = float(max(parameter.grid))
    scaled = np.log if log else np.asarray
    numbers = [np.asarray(pd.to_numeric(values, errors="coerce"), dtype=float) for values in drawn]
    clipped = [np.clip(n[n > (0 if log else -np.inf)], low, high) for n in numbers]
    # The same number from every study, so that studies count equally.
    quantiles = [np.quantile(scaled(n), np.linspace(0.01, 0.99, 50)) for n in clipped if len(n)]
    if not quantiles:
        return None
    width = math.hypot(float(np.std(quantiles)), OTHER * float(np.ptp(scaled([low, high]))))
    middle = float(np.median(quantiles))
    centre = min(high, max(low, float(f"{math.exp(middle) if log else middle:.3g}")))
    if log:
        return Near(centre, within_factor=float(f"{math.exp(width):.3g}"))
    return Near(centre, within=float(f"{width:.3g}"))
