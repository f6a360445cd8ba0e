"""``round.plot`` and ``tree.plot``: the figures of a round and of a tree by name."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from refine.analysis.population import space_filling_values
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError
from refine.report import figures
from refine.report.figures.checks import MOST
from refine.report.figures.theme import ThemeName, Width, themed
from refine.report.pages.proposal import next_text
from refine.review.review import Review
from refine.space.edits import edit_space
from refine.space.parameters import Parameter
from refine.tree.comparison import population
from refine.tree.lineage import lineage, read_curves
from refine.tree.overview import RoundOverview, overview_of
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.trials.frame import may_be_best
from refine.utils.provided import provides

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis

_ANALYSES: WeakKeyDictionary[Round, tuple[str, Analysis]] = WeakKeyDictionary()
# What was analysed last of every round at hand, with the digest of the trials that it is of: reading these takes a
# hundredth of the time of an analysis, and `round.plot` is made anew for every figure.


def _figure(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A method that draws, with ``width`` and ``theme`` of a new figure."""
    taken = inspect.signature(draw)

    @wraps(draw)
    def method(*args: Any, width: Width = "text", theme: ThemeName | None = None, **options: Any) -> Any:
        ax = taken.bind(*args, **options).arguments.get("ax")
        if ax is not None and (width != "text" or theme is not None):
            raise AnalysisError(
                "width and theme are of new figures, but ax gives axes that have a width and colours already; leave ax out, or "
                "make its figure as wide as you like under plt.style.use('dark_background')"
            )
        with themed(width, theme):
            return draw(*args, **options)

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in (("width", "text"), ("theme", None))
    ]
    method.__signature__ = taken.replace(parameters=[*taken.parameters.values(), *added])  # type: ignore[attr-defined]
    return method


def _of_analysis(draw: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a round that draws a figure of its analysis: ``new`` may be an edit, and is what is proposed."""
    taken = [
        p for p in inspect.signature(draw).parameters.values() if p.name not in ("analysis", "label", "word")
    ]
    signature = inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *taken])

    @wraps(draw)
    def method(self: Plots, *args: Any, **options: Any) -> Any:
        given = signature.bind(self, *args, **options).arguments
        if given.get("new") is not None:
            given["new"] = self._edited(given["new"], given.get("name"))
        return draw(self._analysis, **{name: value for name, value in given.items() if name != "self"})

    method.__signature__ = signature  # type: ignore[attr-defined]
    return _figure(method)


@provides("round.plot")
class Plots:
    """Figures of one round; each returns matplotlib axes, those of several panels an array of them.

    What a figure takes as ``new`` is what a parameter would become: a parameter, such as ``review.proposal.space["lr"]``,
    or an edit as ``review.accept`` takes it, such as ``(0, 0.3)``; figures of several take a mapping of those. ``ax``
    are axes to draw into, by default those of a new figure. ``width="column"`` is for one of two columns of a page; ``theme``
    is ``"light"`` or ``"dark"``, and by default as matplotlib's present style, of ``plt.style.use(...)``, has it.

    Args:
        of: The round. It is analysed when a figure first needs it, and again only when there are other trials.
        analysis: Of it, where it was made already.
    """

    def __init__(self, of: Round, analysis: Analysis | None = None) -> None:
        self._round = of
        self._given = analysis

    @cached_property
    def _analysis(self) -> Analysis:
        if self._given is not None:
            return self._given
        r = self._round
        snapshot = r._at_once()
        trials = lineage(snapshot.context.reader, snapshot.context.path(r.node), r.goal)
        digest = hashlib.sha256(pickle.dumps((r.metric, r.direction, trials))).hexdigest()
        known = _ANALYSES.get(r)
        if known is None or known[0] != digest:
            known = _ANALYSES[r] = digest, snapshot.analyze()
        return known[1]

    correlation = _of_analysis(figures.correlation)
    density = _of_analysis(figures.density)
    density_2d = _of_analysis(figures.density_2d)
    levels = _of_analysis(figures.levels)
    isolation = _of_analysis(figures.isolation)
    pair = _of_analysis(figures.pair)
    failing = _of_analysis(figures.failing)
    cost = _of_analysis(figures.cost)

    @_figure
    def front(self, ax: Any = None) -> Any:
        """Of a round with several goals, every trial by the first two of them, with the front."""
        r = self._round
        return figures.front(r.trials, r.goals, r.space, ax=ax)

    @_figure
    def best_so_far(self, ax: Any = None) -> Any:
        """The best value after every trial; from the first trial on."""
        r = self._round
        return figures.best_so_far(values_of([r]), r.direction, r.metric, ax=ax)

    @_figure
    def edf(self, ax: Any = None) -> Any:
        """Distribution of this round's values and its ancestors', by their finished space-filling trials."""
        return figures.edf(populations(self._lineage()), self._round.metric, self._round.direction, ax=ax)

    @_figure
    def curves(self, top: int = 4) -> Any:
        """Loss and metric by epoch of the best trials, up to 4, with what their curves show; (rows, trials) axes."""
        if top not in range(1, MOST + 1):
            raise AnalysisError(f"curves: top must be a whole number from 1 to {MOST}, got {top!r}")
        r = self._round
        try:
            noise = self._analysis.noise.sd
        except AnalysisError:
            noise = None  # too few trials: the curves are looked at without it
        trials = read_curves(*r._judged, noise, top)
        if not trials:
            raise AnalysisError(
                "curves: the best trials reported no loss and no metric by epoch; call trial.report(epoch, metrics)"
            )
        return figures.curves(trials, r.metric, r.direction)

    def _edited(self, new: Any, name: str | None) -> Any:
        """What ``new`` makes of a parameter, or of several; an unknown name is left to the figure, which says what there is."""
        space = self._round.space
        if name is not None:
            return (
                edit_space(space, space, {name: new})[name]
                if name in space and not isinstance(new, Parameter)
                else new
            )
        if not isinstance(new, Mapping):
            raise AnalysisError(
                f"new: takes what several parameters would become, such as {{'lr': (0, 0.3)}} or "
                f"review.proposal.space, got {reprlib.repr(new)}"
            )
        given = {name: value for name, value in new.items() if not isinstance(value, Parameter)}
        space = edit_space(space, space, given)
        return {name: space[name] if name in given else value for name, value in new.items()}

    def _lineage(self) -> list[Round]:
        """The rounds from the root to this one that are judged alike."""
        rounds = [self._round._at_once()]
        while (parent := rounds[-1].parent) is not None:
            rounds.append(parent)
        return [r for r in reversed(rounds) if r._judged_by == self._round._judged_by]


@provides("review.plot")
def decision_of(review: Review, width: Width = "text", theme: ThemeName | None = None) -> Any:
    """The figure of a decision: see :meth:`refine.review.review.Review.plot`."""
    space, proposal = review.space, review.proposal
    label = "proposed" if space == proposal.space else "decided"
    texts = {n: next_text(old, space[n], 18) for n, old in proposal.old.items() if n in space}
    with themed(width, theme):
        return figures.decision(review.analysis, space, label, texts)


@provides("tree.plot")
class TreePlots:
    """Figures of all rounds of a tree; each returns matplotlib axes, and takes ``width`` and ``theme`` as a round's do.

    Rounds that differ in metric or direction from the oldest root can't be compared with the others: their values
    are left out, as in :meth:`Tree.best`.
    """

    def __init__(self, of: Tree) -> None:
        self._tree = of

    @_figure
    def tree(self, ax: Any = None) -> Any:
        """The rounds with their best values, tags, notes and the decisions between them."""
        rounds = self._tree._at_once().rounds
        return figures.tree(nodes_of(overview_of(rounds).rounds), *_goal(rounds), ax=ax)

    @_figure
    def best_so_far(self, ax: Any = None) -> Any:
        """The best value after every trial of all rounds, along every branch."""
        alike = self._alike()
        return figures.best_so_far(values_of(alike, self._tree.tags), *_goal(alike), ax=ax)

    @_figure
    def edf(self, ax: Any = None) -> Any:
        """Distribution of every round's values, by its finished space-filling trials."""
        alike = self._alike()
        direction, metric = _goal(alike)
        return figures.edf(populations(alike), metric, direction, ax=ax)

    @_figure
    def reliability(self, ax: Any = None) -> Any:
        """Forecasts of accepted proposals against what their children showed."""
        return figures.reliability(self._tree.calibration(), ax=ax)

    def _alike(self) -> list[Round]:
        rounds = self._tree._at_once().rounds
        return [r for r in rounds if r._judged_by == rounds[0]._judged_by]


def nodes_of(rounds: Sequence[RoundOverview]) -> list[figures.TreeNode]:
    """What the figure of a tree shows of its rounds."""
    nodes = []
    for r in rounds:
        best = np.nan if r.best is None or not r.comparable else float(r.best["value"])
        kind = r.kinds[-1] if r.kinds else "branched"
        if r.parent is None:
            kind = IMPORTED if r.round.node.method == IMPORTED else ""
        nodes.append(figures.TreeNode(r.id, r.parent, best, r.ended, r.n, kind, r.tags, r.round.node.note))
    return nodes


def values_of(rounds: Sequence[Round], tags: Mapping[str, str] | None = None) -> list[figures.RoundValues]:
    """Values of rounds that are judged alike, NaN where a trial has none or may not be best, with tags by tag -> id."""
    known, named = {r.id for r in rounds}, {node_id: tag for tag, node_id in (tags or {}).items()}
    made = []
    for r in rounds:
        may_win = may_be_best(r.trials, r.space, r.node.allow_degenerate)
        values = np.where(may_win, np.asarray(r.trials["value"], dtype=float), np.nan)
        parent = next((node.id for node in reversed(r.path[:-1]) if node.id in known), None)
        made.append(figures.RoundValues(r.id, parent, values, named.get(r.id, "")))
    return made


def _goal(rounds: Sequence[Round]) -> tuple[str, str]:
    """Direction and metric of the first round."""
    return (rounds[0].direction, rounds[0].metric) if rounds else ("maximize", "value")


def populations(rounds: Iterable[Round]) -> dict[str, Any]:
    """Label -> values of the finished space-filling trials of every round that has some."""
    values = {f"round {r.id}": space_filling_values(population(r)) for r in rounds}
    return {label: v for label, v in values.items() if len(v)}
