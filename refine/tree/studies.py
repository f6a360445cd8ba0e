"""Two studies side by side: which parameters behave alike in both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ParameterEvidence
from refine.errors import AnalysisError
from refine.space.categorical import Categorical
from refine.space.encoding import label
from refine.space.parameters import Parameter, Range
from refine.tree.like import Study, analysed, best_of
from refine.tree.round import Round
from refine.utils.display import Shown
from refine.utils.provided import provided

ALIKE, APART = 0.5, 0.1
"""Overlap of where the best value lies, from which on a parameter behaves alike, and up to which it does not."""

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


def compare_studies(first: Study | Round, second: Study | Round) -> StudyComparison:
    """Two studies side by side; see :meth:`refine.Tree.compare`."""
    found = [analysed(source, "compare", oldest=True) for source in (first, second)]
    (a, _), (b, _) = found
    draws = [best_of(analysis, surrogate) for analysis, surrogate in found]
    shared = [e.name for e in a.parameters if e.name in draws[1]]
    if not shared:
        raise AnalysisError("compare: the two studies have no parameter in common that varies in both")
    rows = [_shared(name, a, b, draws[0][name], draws[1][name]) for name in shared]
    known = {"unknown": 1}
    rows.sort(key=lambda row: (known.get(row.verdict, 0), -row.overlap))
    return StudyComparison(
        (_title(first), _title(second)),
        ((a.metric, a.direction), (b.metric, b.direction)),
        (_round(first, a), _round(second, b)),
        tuple(rows),
        (
            tuple(e.name for e in a.parameters if e.name not in draws[1]),
            tuple(e.name for e in b.parameters if e.name not in draws[0]),
        ),
    )


def _title(source: Study | Round) -> str:
    return f"{source.context.name} {source.id}" if isinstance(source, Round) else source.name


def _round(source: Study | Round, analysis: Analysis) -> str:
    if isinstance(source, Round):
        return source.id
    return next(r.id for r in source.rounds if r.space == analysis.space)


def _shared(name: str, a: Analysis, b: Analysis, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> SharedParameter:
    ordered = a[name].correlation is not None and b[name].correlation is not None
    numbers = _numbers(a.space[name], x), _numbers(b.space[name], y)
    if ordered and numbers[0] is not None and numbers[1] is not None:
        log = any(isinstance(s.space[name], Range) and s.space[name].log for s in (a, b))  # type: ignore[attr-defined]
        overlap = _overlap(numbers[0], numbers[1], log)
        ends: list[tuple[Any, ...]] = [
            tuple(float(v) for v in np.quantile(n, (0.5, *_ENDS))) for n in numbers if n is not None
        ]
    else:
        overlap, ends = _common(x, y), [_mode(x), _mode(y)]
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


def _numbers(parameter: Parameter, values: npt.NDArray[Any]) -> npt.NDArray[np.float64] | None:
    """Drawn values as numbers; ``None`` where they are none."""
    if isinstance(parameter, Categorical) and not parameter.numeric:
        return None
    return np.asarray(values, dtype=float)


def _overlap(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], log: bool) -> float:
    """What two samples have in common, by a histogram over both."""
    if log and min(x.min(), y.min()) > 0:
        x, y = np.log(x), np.log(y)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    if low == high:
        return 1.0
    first, second = (np.histogram(v, _BINS, (low, high))[0] / len(v) for v in (x, y))
    return float(np.minimum(first, second).sum())


def _common(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """Share of draws that two samples of choices have in common."""
    shares = [_shares(x), _shares(y)]
    return float(sum(min(shares[0][name], shares[1].get(name, 0.0)) for name in shares[0]))


def _mode(values: npt.NDArray[Any]) -> tuple[str, float]:
    shares = _shares(values)
    best = max(shares, key=lambda name: shares[name])
    return best, shares[best]


def _shares(values: npt.NDArray[Any]) -> dict[str, float]:
    names = [label(v) for v in values.tolist()]
    return {name: names.count(name) / len(names) for name in dict.fromkeys(names)}
