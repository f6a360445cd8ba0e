"""Two rounds beside each other, two studies beside each other, and what earlier studies suggest for a new one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ParameterEvidence
from refine.analysis.population import LEAST_COMPARED, RoundComparison, compare_rounds, space_filling_values
from refine.errors import AnalysisError
from refine.proposal.posterior import surrogate_of
from refine.space.belief import Belief, Near, belief_of
from refine.space.categorical import Categorical
from refine.space.encoding import label
from refine.space.parameters import Parameter, Range
from refine.space.space import Space, SpaceDiff
from refine.store.engine import check_folder
from refine.tree.lineage import analyze
from refine.tree.record import RoundRecord
from refine.tree.round import Round
from refine.tree.rounds import TreeRecord
from refine.utils.action import Action
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
    return difference(self._resolve(a), self._resolve(b))


def difference(first: Round, second: Round) -> Comparison:
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


# Studies.

ALIKE, APART = 0.5, 0.1
"""Overlap of where the best value lies, from which on a parameter behaves alike, and up to which it does not."""

OTHER = 0.15
"""By how much of the new range the best values of two studies are taken to lie apart in any case: another data set."""

NEW = 0.2
"""Probability that is left to choices of which earlier studies say nothing, and to all others evenly."""

_BINS = 20
_ENDS = (0.1, 0.9)


class Side(NamedTuple):
    """A parameter in one of two studies.

    Attributes:
        effect: Rank correlation with what is better, so that values of several metrics can be compared: positive where larger
            values of the parameter are better. Of a choice the square root of epsilon squared, which has no sign.
        low: Lower end of its 95 % interval.
        high: Upper end.
        matters: Whether it was seen to matter.
        best: Where the best value lies: the middle and the ends of 80 % of the posterior's draws, or the choice that most of
            them have, with its share.
    """

    effect: float
    low: float
    high: float
    matters: bool
    best: tuple[Any, ...]


class SharedParameter(NamedTuple):
    """A parameter that two studies have.

    Attributes:
        name: Its name.
        ordered: Whether its values have an order in both.
        first: In the first study.
        second: In the second.
        overlap: Share of the posteriors' draws of where the best value lies that they have in common, in [0, 1].
    """

    name: str
    ordered: bool
    first: Side
    second: Side
    overlap: float

    @property
    def verdict(self) -> str:
        """``"alike"``, ``"apart"`` or ``"partly"`` by where the best value lies; ``"unknown"`` where it matters in neither."""
        if not (self.first.matters or self.second.matters):
            return "unknown"
        return "alike" if self.overlap >= ALIKE else "apart" if self.overlap <= APART else "partly"


@dataclass(frozen=True, eq=False, repr=False)
class StudyComparison(Shown):
    """Which parameters behave alike in two studies.

    Attributes:
        names: What they are called.
        metrics: Metric and direction of each.
        rounds: Ids of the rounds that are compared: the oldest of each that can be analysed, whose spaces are the widest.
        parameters: Those that both have, the most alike first.
        only: Names of parameters that only one of them has.
    """

    names: tuple[str, str]
    metrics: tuple[tuple[str, str], tuple[str, str]]
    rounds: tuple[str, str]
    parameters: tuple[SharedParameter, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]

    def plot(self, ax: Any = None) -> Any:
        """Effects of every shared parameter in both studies, with 95 % intervals, and how far the best values overlap."""
        return provided("studies.plot")(self, ax)


Study = TreeRecord | RoundRecord


def compare(self: TreeRecord, other: Study) -> StudyComparison:
    """Another study beside this one, such as of other data or another model: which parameters behave alike.

    Of each tree the oldest round that can be analysed is compared, whose space is the widest. What is better is compared, not
    the values, so that metrics and directions may differ.

    Args:
        other: A tree, in any store, or a round.

    Returns:
        Effects and places of the best value of every parameter that both have; prints itself, and ``.plot()`` draws it.

    Raises:
        AnalysisError: One of them has too few trials, or they share no parameter.
    """
    if not isinstance(other, TreeRecord | RoundRecord):
        raise AnalysisError(
            f"compare takes a tree or a round, got {type(other).__name__}; rounds of one tree differ by tree.diff"
        )
    first, second = (_analysed(study, "compare", oldest=True) for study in (self, other))
    a, b = first.analysis, second.analysis
    x, y = first.best, second.best
    shared = [e.name for e in a.parameters if e.name in y]
    if not shared:
        raise AnalysisError("compare: the two studies have no parameter in common that varies in both")
    rows = [_shared(name, a, b, x[name], y[name]) for name in shared]
    rows.sort(key=lambda row: (row.verdict == "unknown", -row.overlap))
    title = f"{other.context.name} {other.id}" if isinstance(other, RoundRecord) else other.name
    return StudyComparison(
        (self.name, title),
        ((a.metric, a.direction), (b.metric, b.direction)),
        (first.round, second.round),
        tuple(rows),
        (
            tuple(e.name for e in a.parameters if e.name not in y),
            tuple(e.name for e in b.parameters if e.name not in x),
        ),
    )


class _Analysed(NamedTuple):
    """What a study is known by: a round's id and analysis, and every parameter's value in the best candidate of each draw."""

    round: str
    analysis: Analysis
    best: dict[str, npt.NDArray[Any]]


def _analysed(study: Study, what: str, *, oldest: bool = False) -> _Analysed:
    """A round's analysis with its posterior; of a tree the latest, or oldest, round's that can be analysed.

    Raises:
        AnalysisError: It has no round with enough trials; ``what`` begins the message.
    """
    if isinstance(study, RoundRecord):
        rounds: Sequence[RoundRecord] = [study]
    else:
        rounds = study.rounds if oldest else study.rounds[::-1]
    for each in rounds:
        try:
            analysis = analyze(each)
        except AnalysisError:
            continue
        if (surrogate := surrogate_of(analysis)) is not None:
            best = surrogate.posterior.scores.argmax(axis=1)
            values = {e.name: np.asarray(surrogate.columns[e.name])[best] for e in analysis.parameters}
            return _Analysed(each.id, analysis, values)
    raise AnalysisError(
        f"{what}: {_name(study)} has no round with enough trials to learn from; run one first",
        Action("round.run"),
    )


def _name(study: Study) -> str:
    return f"round {study.id}" if isinstance(study, RoundRecord) else f"tree {study.name}"


def _shared(name: str, a: Analysis, b: Analysis, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> SharedParameter:
    ordered = a[name].correlation is not None and b[name].correlation is not None
    parameters = a.space[name], b.space[name]
    if ordered and not any(isinstance(p, Categorical) and not p.numeric for p in parameters):
        first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        log = any(isinstance(p, Range) and p.log for p in parameters)
        overlap = _overlap(first, second, log)
        ends: list[tuple[Any, ...]] = [tuple(np.quantile(n, (0.5, *_ENDS)).tolist()) for n in (first, second)]
    else:
        shares = _choice_shares(x), _choice_shares(y)
        overlap = float(sum(min(share, shares[1].get(choice, 0.0)) for choice, share in shares[0].items()))
        ends = [max(s.items(), key=lambda item: item[1]) for s in shares]
    return SharedParameter(name, ordered, _side(a, a[name], ends[0]), _side(b, b[name], ends[1]), overlap)


def _side(analysis: Analysis, e: ParameterEvidence, best: tuple[Any, ...]) -> Side:
    if e.correlation is not None:
        c = e.correlation
        ends = sorted((analysis.sign * c.low, analysis.sign * c.high))
        return Side(analysis.sign * c.estimate, ends[0], ends[1], e.matters, best)
    assert e.association is not None
    low, high = (
        math.sqrt(max(0.0, v)) if v == v else math.nan for v in (e.association.low, e.association.high)
    )
    return Side(e.effect, low, high, e.matters, best)


def _overlap(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], log: bool) -> float:
    """What two samples have in common, by a histogram over both."""
    if log and min(x.min(), y.min()) > 0:
        x, y = np.log(x), np.log(y)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    if low == high:
        return 1.0
    first, second = (np.histogram(v, _BINS, (low, high))[0] / len(v) for v in (x, y))
    return float(np.minimum(first, second).sum())


def _choice_shares(values: npt.NDArray[Any]) -> dict[str, float]:
    names = [label(v) for v in values.tolist()]
    return {name: names.count(name) / len(names) for name in dict.fromkeys(names)}


# What earlier studies suggest.


def belief_like(sources: Sequence[Study], space: Space) -> Belief:
    """What the latest posteriors of earlier studies, which count equally, suggest of parameters that a new space shares with them.

    A number is believed near the median of their draws, as widely as these spread and 15 % of the new range wider; a choice
    has the share of draws with it, less a fifth that is left to all.

    Args:
        sources: Trees, of which the latest round that can be analysed speaks, or rounds.
        space: The new space.

    Raises:
        AnalysisError: No source, one without enough trials, or none that shares a parameter with the space.
    """
    if not isinstance(sources, list | tuple) or not sources:
        raise AnalysisError(f"like must be a list of trees or rounds, got {sources!r}; such as like=[tree]")
    studies = [_analysed(source, "like").best for source in sources]
    said = {}
    for name in space.varied:
        drawn = [best[name] for best in studies if name in best]
        if drawn and (what := _suggested(space[name], drawn)) is not None:
            said[name] = what
    if not said:
        raise AnalysisError(
            "like: earlier studies share no parameter with this space whose values they know; leave like out, or say a belief"
        )
    names = tuple(dict.fromkeys(_name(source) for source in sources))
    return replace(belief_of(said, space), like=names)


def _suggested(parameter: Parameter, drawn: list[npt.NDArray[Any]]) -> Near | dict[str, float] | None:
    """What the draws of several studies say of one parameter; ``None`` where they know none of its values."""
    if isinstance(parameter, Categorical) and not parameter.numeric:
        shares = np.zeros(parameter.size)
        for values in drawn:
            at = parameter.positions(values)
            known = at[at >= 0]
            if len(known):
                shares += np.bincount(known, minlength=parameter.size) / len(known)
        if not shares.sum():
            return None
        shares = (1 - NEW) * shares / shares.sum() + NEW / parameter.size
        rounded = [float(s) for s in np.round(shares[:-1], 3)]  # the last choice has what is left
        return dict(zip(parameter.labels[:-1], rounded, strict=True))
    log = isinstance(parameter, Range) and parameter.log
    low, high = float(min(parameter.grid)), float(max(parameter.grid))
    scaled = np.log if log else np.asarray
    quantiles = []  # of every study as many, so that they count equally
    for values in drawn:
        try:
            numbers = np.asarray(values, dtype=float)
        except ValueError:
            continue
        numbers = numbers[numbers > 0] if log else numbers
        if len(numbers):
            quantiles.append(np.quantile(scaled(np.clip(numbers, low, high)), np.linspace(0.01, 0.99, 50)))
    if not quantiles:
        return None
    width = math.hypot(float(np.std(quantiles)), OTHER * float(np.ptp(scaled([low, high]))))
    middle = float(np.median(quantiles))
    centre = min(high, max(low, float(f"{math.exp(middle) if log else middle:.3g}")))
    if log:
        return Near(centre, within_factor=float(f"{math.exp(width):.3g}"))
    return Near(centre, within=float(f"{width:.3g}"))
