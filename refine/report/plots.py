"""``round.plot`` and ``tree.plot``: figures of a round and of a tree by name."""

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
from refine.report.pages.review import risk_of
from refine.review.review import Review
from refine.space.edits import edit_space
from refine.space.parameters import Parameter
from refine.tree.comparison import population
from refine.tree.lineage import lineage, read_curves
from refine.tree.names import names_of
from refine.tree.overview import RoundOverview, overview_of
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.trials.frame import may_be_best
from refine.utils.provided import provides

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine.analysis.analysis import Analysis

_ANALYSES: WeakKeyDictionary[Round, tuple[str, Analysis]] = WeakKeyDictionary()
# The last analysis per round, with the digest of its trials: reading trials takes a hundredth of the time of
# an analysis, and every figure makes a new `round.plot`.


def _figure(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A drawing method with the arguments ``width`` and ``theme`` of a new figure."""
    signature = inspect.signature(draw)

    @wraps(draw)
    def method(
        *args: object, width: Width = "text", theme: ThemeName | None = None, **options: object
    ) -> Any:
        ax = signature.bind(*args, **options).arguments.get("ax")
        if ax is not None and (width != "text" or theme is not None):
            raise AnalysisError(
                "width= and theme= cannot be combined with ax=: your axes already have a size and colours; "
                "leave ax out, or set the size of your figure and plt.style.use('dark_background')"
            )
        with themed(width, theme):
            return draw(*args, **options)

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in (("width", "text"), ("theme", None))
    ]
    all_parameters = [*signature.parameters.values(), *added]
    method.__signature__ = signature.replace(parameters=all_parameters)  # type: ignore[attr-defined]
    return method


def _of_analysis(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A round's method for a figure of the analysis; ``new`` may be an edit."""
    parameters = [
        p for p in inspect.signature(draw).parameters.values() if p.name not in ("analysis", "label", "word")
    ]
    signature = inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters])

    @wraps(draw)
    def method(self: Plots, *args: object, **options: object) -> Any:
        arguments = signature.bind(self, *args, **options).arguments
        if arguments.get("new") is not None:
            arguments["new"] = self._edited(arguments["new"], arguments.get("name"))
        return draw(self._analysis, **{name: value for name, value in arguments.items() if name != "self"})

    method.__signature__ = signature  # type: ignore[attr-defined]
    return _figure(method)


@provides("round.plot")
class Plots:
    """Figures of one round; each returns matplotlib axes, with several panels an array.

    ``new`` is a parameter after a change: a parameter, for example ``review.proposal.space["lr"]``, or an
    edit like those of ``review.accept``, for example ``(0, 0.3)``. Figures of several parameters take a
    mapping. ``ax`` are axes to draw into, by default those of a new figure. ``width="column"`` is for one of
    two columns of a page. ``theme`` is ``"light"`` or ``"dark"``; default: matplotlib's present style
    (``plt.style.use(...)``).

    Args:
        round_: The round, analysed when a figure first needs the analysis, and again after new trials.
        analysis: The analysis, if already made.
    """

    def __init__(self, round_: Round, analysis: Analysis | None = None) -> None:
        self._round = round_
        self._given = analysis

    @cached_property
    def _analysis(self) -> Analysis:
        if self._given is not None:
            return self._given
        r = self._round
        snapshot = r._at_once()
        trials = lineage(snapshot._context.reader, snapshot._context.path(r._node), r._goal)
        digest = hashlib.sha256(pickle.dumps((r._value, r._direction, trials))).hexdigest()
        cached = _ANALYSES.get(r)
        if cached is None or cached[0] != digest:
            cached = _ANALYSES[r] = digest, snapshot.analyze()
        return cached[1]

    correlation = _of_analysis(figures.correlation)
    density = _of_analysis(figures.density)
    density_2d = _of_analysis(figures.density_2d)
    levels = _of_analysis(figures.levels)
    isolation = _of_analysis(figures.isolation)
    pair = _of_analysis(figures.pair)
    failing = _of_analysis(figures.failing)
    cost = _of_analysis(figures.cost)

    @_figure
    def front(self, ax: Axes | None = None) -> Axes:
        """The trials by the first two goals, with the front, for rounds with several goals."""
        r = self._round
        return figures.front(r.trials, r._goals, r.space, ax=ax)

    @_figure
    def best_so_far(self, ax: Axes | None = None) -> Axes:
        """The best value after every trial."""
        r = self._round
        return figures.best_so_far(values_of([r]), r._direction, r._value, ax=ax)

    @_figure
    def edf(self, ax: Axes | None = None) -> Axes:
        """Distribution of the values of finished space-filling trials, of this round and its ancestors."""
        return figures.edf(populations(self._lineage()), self._round._value, self._round._direction, ax=ax)

    @_figure
    def curves(self, top: int = 4) -> Any:
        """Loss and metric by epoch of the best trials, up to 4, with findings; (rows, trials) axes."""
        if top not in range(1, MOST + 1):
            raise AnalysisError(f"curves: top must be a whole number from 1 to {MOST}, got {top!r}")
        r = self._round
        try:
            noise = self._analysis.noise.sd
        except AnalysisError:
            noise = None  # too few trials: curves are judged without the noise
        trials = read_curves(*r._judged, noise, top)
        if not trials:
            raise AnalysisError(
                "curves: the best trials reported no loss and no metric by epoch; call trial.report(epoch, "
                "metrics)"
            )
        return figures.curves(trials, r._value, r._direction)

    def _edited(self, new: object, name: str | None) -> Any:
        """Parameters after the edits of ``new``; unknown names are left to the figure, which raises."""
        space = self._round.space
        if name is not None:
            if name in space and not isinstance(new, Parameter):
                return edit_space(space, space, {name: new})[name]
            return new
        if not isinstance(new, Mapping):
            raise AnalysisError(
                f"new: takes a mapping of parameters to edits, for example {{'lr': (0, 0.3)}}, or "
                f"review.proposal.space, got {reprlib.repr(new)}"
            )
        edits = {name: value for name, value in new.items() if not isinstance(value, Parameter)}
        space = edit_space(space, space, edits)
        return {name: space[name] if name in edits else value for name, value in new.items()}

    def _lineage(self) -> list[Round]:
        """The rounds with the same metric and direction, from the root to this round."""
        rounds = [self._round._at_once()]
        while (parent := rounds[-1].parent) is not None:
            rounds.append(parent)
        return [r for r in reversed(rounds) if r._judged_by == self._round._judged_by]


@provides("review.plot")
def decision_of(review: Review, width: Width = "text", theme: ThemeName | None = None) -> Any:
    """The figure of a decision: see :meth:`refine.review.review.Review.plot`."""
    space = review.space
    proposal = review.proposal
    label = "decided"
    if space == proposal.space:
        label = "proposed"
    texts = {n: next_text(old, space[n], 18) for n, old in proposal.old.items() if n in space}
    risk = ""
    if space != review.proposal.old:
        view = risk_of(review)
        risk = f"Risk: {view.headline if width == 'column' else view.text}"
    with themed(width, theme):
        return figures.decision(review.proposal.analysis, space, label, texts, risk)


@provides("tree.plot")
class TreePlots:
    """Figures of a tree's rounds; each returns matplotlib axes and takes ``width`` and ``theme``.

    Rounds with another metric or direction than the oldest root can't be compared: their values are left out,
    as in :meth:`Tree.best`.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    @_figure
    def tree(self, ax: Axes | None = None) -> Axes:
        """The rounds with best values, tags, notes and decisions."""
        rounds = self._tree._at_once().rounds
        return figures.tree(nodes_of(overview_of(rounds).rounds), *_goal(rounds), ax=ax)

    @_figure
    def best_so_far(self, ax: Axes | None = None) -> Axes:
        """The best value after every trial of all rounds, along every branch."""
        alike = self._alike()
        return figures.best_so_far(values_of(alike), *_goal(alike), ax=ax)

    @_figure
    def edf(self, ax: Axes | None = None) -> Axes:
        """Distribution of the values of finished space-filling trials, round by round."""
        alike = self._alike()
        direction, metric = _goal(alike)
        return figures.edf(populations(alike), metric, direction, ax=ax)

    @_figure
    def reliability(self, ax: Axes | None = None) -> Axes:
        """Forecasts of accepted proposals against the results of their children."""
        return figures.reliability(self._tree.calibration(), names_in(self._tree._at_once().rounds), ax=ax)

    def _alike(self) -> list[Round]:
        rounds = self._tree._at_once().rounds
        return [r for r in rounds if r._judged_by == rounds[0]._judged_by]


def nodes_of(rounds: Sequence[RoundOverview]) -> list[figures.TreeNode]:
    """The nodes of the tree's figure."""
    names = names_of({r.id: r.parent for r in rounds}, {r.id: r.tags for r in rounds})
    nodes = []
    for r in rounds:
        best = np.nan
        if r.best is not None and r.comparable:
            best = float(r.best["value"])
        kind = ["branched", *r.kinds][-1]
        if r.parent is None:
            kind = IMPORTED * (r.round._node.method == IMPORTED)
        node = figures.TreeNode(r.id, r.parent, best, r.ended, r.n, kind, name=names[r.id])
        tags = tuple(tag for tag in r.tags if tag != names[r.id])
        nodes.append(node._replace(tags=tags, note=r.round._node.note))
    return nodes


def names_in(rounds: Iterable[Round]) -> dict[str, str]:
    """Id -> name of every round in the trees of these rounds: a tag, else a path such as ``1.2``."""
    names: dict[str, str] = {}
    for r in rounds:
        if r.id in names:
            continue
        context = r._context
        tags = {node_id: (tag,) for tag, node_id in reversed(context.reader.tags(context.tree).items())}
        names |= names_of({key: stored.node.parent for key, stored in context.nodes.items()}, tags)
    return names


def values_of(rounds: Sequence[Round]) -> list[figures.RoundValues]:
    """Values of comparable rounds, by name; NaN for a trial without a value or that may not be best."""
    ids = {r.id for r in rounds}
    names = names_in(rounds)
    values_of_rounds = []
    for r in rounds:
        may_win = may_be_best(r.trials, r.space, r._node.allow_degenerate)
        values = np.where(may_win, np.asarray(r.trials["value"], dtype=float), np.nan)
        parent = next((node.id for node in reversed(r._path[:-1]) if node.id in ids), None)
        values_of_rounds.append(figures.RoundValues(r.id, parent, values, names[r.id]))
    return values_of_rounds


def _goal(rounds: Sequence[Round]) -> tuple[str, str]:
    """Direction and metric of the first round."""
    if rounds:
        return (rounds[0]._direction, rounds[0]._value)
    return ("maximize", "value")


def populations(rounds: Iterable[Round]) -> dict[str, Any]:
    """Label -> values of finished space-filling trials, of the rounds with such trials."""
    values = {}
    rounds = list(rounds)
    names = names_in(rounds)
    for r in rounds:
        label = f"round {names[r.id]}"
        if label in values:  # a round of another tree
            label = f"{label} {r.id}"
        values[label] = space_filling_values(population(r))
    return {label: v for label, v in values.items() if len(v)}
