"""Rounds: trials and best so far, distributions, the tree, and forecasts against results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.errors import AnalysisError, did_you_mean
from refine.proposal.forecast import WHAT
from refine.report.figures.axes import hidden_note, metric_axis, metric_view, progress_view
from refine.report.figures.canvas import (
    Style,
    area_mark,
    axes,
    beside,
    clipped,
    dot_mark,
    dots,
    fitting,
    interval,
    line_mark,
    named_rows,
    percents,
    short_ids,
    shorten,
    thinned,
    title,
)
from refine.report.figures.theme import drawing, narrow, page_width, points, tone, wide
from refine.trials.goal import check_direction, sign_of
from refine.utils.arrays import Bools, Floats
from refine.utils.format import plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine.review.calibration import Calibration, Entry

_LANE = 0.2  # inches between neighbouring lanes
_LETTER = 0.067  # inches per letter of a row
_SLANTED = 0.061  # inches per letter of a note
_STRIP = 0.95  # inches of the column of best values
_CLOSE = 24  # number of rounds from which rows are lower
_MARKERS = {"median": "o", "best": "D"}
_REACH = 3.0
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (6, 1.5, 1.5, 1.5)))
_MARGIN = 1.0  # inches of a figure's width outside its axes
_MOST = 8  # largest number of distinct populations
_EDF_DASHES = ("-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (7, 2, 1, 2)), (0, (3, 3)))


class TreeNode(NamedTuple):
    """A round and its origin."""

    id: str
    parent: str | None  # id of the parent round; None for a root
    best: float  # NaN without a value, or for another metric
    n: int  # ended trials
    planned: int  # configurations
    kind: str = ""  # of the decision: "accepted", "edited", "branched"; empty for a root
    tags: tuple[str, ...] = ()
    note: str = ""  # the person's reason
    name: str = ""  # printed before the id


def parents_of(rounds: Sequence[Any], figure: str) -> list[int | None]:
    """Number of each round's parent, ``None`` for a root.

    Raises:
        AnalysisError: A child before its parent, or an id given twice.
    """
    number: dict[str | None, int | None] = {None: None}
    parents = []
    for i, r in enumerate(rounds):
        if r.id in number:
            raise AnalysisError(f"{figure}: round {r.id!r} is given twice; leave one out")
        if r.parent not in number:
            raise AnalysisError(
                f"{figure}: round {r.id!r} stands before its parent {r.parent!r}, or the parent is missing; "
                "give rounds in the order of their creation"
            )
        parents.append(number[r.parent])
        number[r.id] = i
    return parents


def winner_of(goodness: Mapping[str, float], winner: str | None, rule: str) -> str | None:
    """The id of the winning round: ``winner``, or the first with the best value; ``None`` without a value.

    Raises:
        AnalysisError: ``winner`` is not among the ids; ``rule`` begins the text of the error.
    """
    if winner is None:
        finite = [key for key, value in goodness.items() if math.isfinite(value)]
        return max(finite, key=lambda key: goodness[key], default=None)
    if winner not in goodness:
        raise AnalysisError(f"{rule}, got {winner!r}; {did_you_mean(winner, goodness)}")
    return winner


def way_to(parents: Sequence[int | None], last: int) -> list[int]:
    """Numbers of the rounds from the root to a round, itself last."""
    way = [last]
    while (parent := parents[way[0]]) is not None:
        way.insert(0, parent)
    return way


class Place(NamedTuple):
    """A node's row from the top, and lane from the left."""

    row: int
    lane: int


def layout(parents: Sequence[int | None], first: Sequence[int]) -> list[Place]:
    """Rows and lanes of a forest: no two nodes share a row, and no edges cross.

    A node's main child stays in its lane and comes last; the others branch off one lane to the right, above.
    The main child is the one in ``first``, the straight way, else the one with the most descendants, else the
    last. ``parents`` holds the number of each node's parent, which comes before the node; ``None`` for roots.
    """
    below = [1] * len(parents)
    for i in range(len(parents) - 1, -1, -1):
        if (parent := parents[i]) is not None:
            below[parent] += below[i]
    children: dict[int | None, list[int]] = {}
    for i, parent in enumerate(parents):
        children.setdefault(parent, []).append(i)
    places = [Place(0, 0)] * len(parents)
    stack = [(root, 0) for root in reversed(children.get(None, []))]
    row = 0
    while stack:
        node, lane = stack.pop()
        places[node] = Place(row, lane)
        row += 1
        if branches := children.get(node, []):
            main = max(branches, key=lambda i: (i in first, below[i], i))
            stack.append((main, lane))
            stack += [(i, lane + 1) for i in reversed(branches) if i != main]
    return places


@drawing
def tree(
    nodes: Sequence[TreeNode],
    direction: str,
    metric: str = "value",
    winner: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The refinement tree, one row per round: lanes and edges at the left, facts in columns at the right.

    The lower end of an edge names the decision; a branch made without a proposal is dashed. The way to the
    winner is blue and straight, and the winner orange. A dot shows each best value on a common scale, better
    to the right. Notes are shortened to the room. Nodes are in order of creation, parents before children.
    ``winner`` is the id of the winning round; default the first with the best value.

    Raises:
        AnalysisError: No node, a child before its parent, an id given twice, an unknown ``winner``, or
            ``direction`` is neither ``"maximize"`` nor ``"minimize"``.
    """
    check_direction(direction)
    if not nodes:
        raise AnalysisError("there is no round yet; add one first")
    parents = parents_of(nodes, "tree")
    goodness = {node.id: sign_of(direction) * node.best for node in nodes}
    winner = winner_of(goodness, winner, "tree: winner is the id of a round")
    c = tone()
    colours = [c.grey] * len(nodes)
    way: list[int] = []
    if winner is not None:
        way = way_to(parents, list(goodness).index(winner))
        for i in way:
            colours[i] = c.blue
        colours[way[-1]] = c.orange
    places = layout(parents, way)
    below = narrow() and any(node.note.strip() for node in nodes)  # notes get lines of their own
    tall = 0.3
    if len(nodes) > _CLOSE:
        tall = 0.22
    if below:
        tall = 0.42
    ax = axes(ax, 0.95 + tall * len(nodes))
    for i, (place, parent) in enumerate(zip(places, parents, strict=True)):
        style: Style = {"markeredgecolor": colours[i], "markeredgewidth": 1.4, "zorder": 4}
        style |= {"markerfacecolor": c.paper, "markersize": 6.0}
        if i in way:
            style["markerfacecolor"] = colours[i]
        if nodes[i].id == winner:
            style["markersize"] = 7.5
        ax.plot(place.lane * _LANE, place.row, "o", gid="node", **style)
        if parent is not None:
            _edge(ax, places[parent], place, i in way, nodes[i].kind == "branched")
    _rows(ax, nodes, places, colours, winner, list(goodness.values()), below=below)
    ax.set_xlim(-0.12, page_width() - 0.3)
    ax.set_ylim(len(nodes) - (0.2 if below else 0.4), -1.15)
    ax.set_axis_off()
    title(ax, f"{plural(len(nodes), 'round')}: best {clipped(metric, 30)} and decision of each")
    return ax


def _edge(ax: Axes, parent: Place, child: Place, on_way: bool, dashed: bool) -> None:
    """Down the parent's lane, then over to the child's lane."""
    (top, parent_lane) = parent
    (row, lane) = child
    x = [lane, lane]
    y = [top, float(row)]
    if lane != parent_lane:
        x = [parent_lane, parent_lane, lane, lane]
        y = [top, row - 0.55, row - 0.2, row]
    style: Style = {"color": tone().grey, "linewidth": 1.2, "zorder": 2}
    if on_way:
        style = {"color": tone().blue, "linewidth": 2.4, "zorder": 3}
    if dashed:
        style["linestyle"] = (0, (3, 1.5))
    ax.plot(np.array(x) * _LANE, y, solid_joinstyle="round", gid="edge", **style)


class _Columns(NamedTuple):
    """Horizontal places of the columns next to the lanes."""

    name: float
    id: float
    best: float
    strip: float
    trials: float  # the right end
    decision: float
    note: float


class _Labels(NamedTuple):
    """Texts of a round in the columns."""

    name: str
    id: str
    best: str
    trials: str


def _labels_of(nodes: Sequence[TreeNode]) -> list[_Labels]:
    return [
        _Labels(
            shorten(node.name, 18),
            short_id,
            score(node.best),
            f"{node.n:,}" if node.n == node.planned else f"{node.n:,} of {node.planned:,}",
        )
        for node, short_id in zip(nodes, short_ids([node.id for node in nodes]), strict=True)
    ]


def _columns_of(nodes: Sequence[TreeNode], places: Sequence[Place], labels: Sequence[_Labels]) -> _Columns:
    names, ids, bests, counts = (list(map(len, column)) for column in zip(*labels, strict=True))
    x_name = (max(place.lane for place in places) + 1) * _LANE
    x_id = x_name
    if max(names):
        x_id += 1.05 * _LETTER * max(*names, len("round")) + 0.12
    x_best = x_id + 1.15 * _LETTER * max(ids) + 0.15
    x_strip = x_best + _LETTER * max(bests) + 0.22
    x_trials = x_strip + _STRIP + 0.15 + _LETTER * max(len("trials"), *counts)
    x_decision = x_trials + 0.18
    x_note = x_decision + _LETTER * max(len("decision"), *(len(node.kind) for node in nodes)) + 0.15
    return _Columns(
        name=x_name,
        id=x_id,
        best=x_best,
        strip=x_strip,
        trials=x_trials,
        decision=x_decision,
        note=x_note,
    )


def _heads(ax: Axes, x: _Columns, nodes: Sequence[TreeNode], *, below: bool) -> None:
    heads = [(x.name, "round", "left"), (x.best, "best", "left"), (x.strip + _STRIP, "better →", "right")]
    heads += [(x.trials, "trials", "right"), (x.decision, "decision", "left")]
    columns = []
    if any(node.tags for node in nodes):
        columns.append("tag")
    if not below and any(node.note for node in nodes):
        columns.append("note")
    if columns:
        heads.append((x.note, ", ".join(columns), "left"))
    for place, text, side in heads:
        ax.text(place, -0.85, text, ha=side, fontsize=points(7.5), color=tone().grey, va="center")


def _rows(
    ax: Axes,
    nodes: Sequence[TreeNode],
    places: Sequence[Place],
    colours: Sequence[str],
    winner: str | None,
    goodness: Sequence[float],
    *,
    below: bool,
) -> None:
    """The columns next to the lanes."""
    labels = _labels_of(nodes)
    x = _columns_of(nodes, places, labels)
    _heads(ax, x, nodes, below=below)
    finite = [value for value in goodness if math.isfinite(value)]
    for i, (node, (row, _)) in enumerate(zip(nodes, places, strict=True)):
        if row % 2:
            middle = row + 0.18 * below
            ax.axhspan(middle - 0.5, middle + 0.5, color=tone().pale, alpha=0.55, linewidth=0, zorder=0)
        style: Style = {"va": "center", "fontsize": points(8.5), "zorder": 5}
        weight = "normal"
        if node.id == winner:
            weight = "bold"
        id_colour = tone().ink
        if labels[i].name:
            ax.text(x.name, row, labels[i].name, fontweight=weight, **style)
            id_colour = tone().grey
        ax.text(x.id, row, labels[i].id, family="monospace", color=id_colour, **style)
        ax.text(x.best, row, labels[i].best, fontweight=weight, **style)
        ax.text(x.trials, row, labels[i].trials, ha="right", **style)
        ax.text(x.decision, row, node.kind or "root", color=tone().ink if node.kind else tone().grey, **style)
        ax.plot([x.strip, x.strip + _STRIP], [row] * 2, color=tone().light, linewidth=0.7, zorder=1)
        if math.isfinite(node.best):
            share = 1.0
            if np.ptp(finite) > 0:
                share = (goodness[i] - min(finite)) / np.ptp(finite)
            dot: Style = {"color": colours[i], "markersize": 4.5, "zorder": 4}
            ax.plot(x.strip + share * _STRIP, row, "o", gid="best", **dot)
        used = _tags(ax, x.note, row, node.tags)
        if below:
            _note(ax, x.name, row + 0.4, node.note)
        else:
            _note(ax, x.note + used, row, node.note)


def _tags(ax: Axes, x: float, row: float, tags: Sequence[str]) -> float:
    """Tags on amber; returns their width."""
    if not tags:
        return 0.0
    letters = max(8, int((page_width() - 0.45 - x) / _LETTER))
    text = shorten(", ".join(tags), max(8, letters // 2))
    box = {"facecolor": tone().amber, "alpha": 0.35, "edgecolor": "none", "boxstyle": "round,pad=0.2"}
    ax.text(x + 0.04, row, text, va="center", fontsize=points(8), bbox=box, zorder=5)
    return _LETTER * (len(text) + 2)


def _note(ax: Axes, x: float, row: float, note: str) -> None:
    """The beginning of a note, as far as it fits: a sentence is understood from its beginning."""
    room = page_width() - 0.45 - x
    if note.strip() and room >= 6 * _LETTER:
        text = clipped(note, int(room / _SLANTED))
        ax.text(x, row, text, va="center", fontsize=points(8), style="italic", zorder=5)


@drawing
def reliability(
    calibration: Calibration, names: Mapping[str, str] | None = None, ax: Axes | None = None
) -> Axes:
    """Forecasts against results.

    One row per scored child: the forecast's 5 to 95 % and 25 to 75 % intervals of the median and the best of
    the space-filling trials, and the results. Rows share a scale for all metrics: 0 is the forecast's median,
    1 is half the width of its 5 to 95 % interval, and better is to the right. ``calibration`` is
    :meth:`Tree.calibration`, and ``names`` holds the names of rounds by id.

    Raises:
        AnalysisError: No forecast is scored yet.
    """
    entries = calibration.scored
    if not entries:
        raise AnalysisError(
            "reliability: no forecast is scored yet; run a child of an accepted proposal to its end first"
        )
    ax = axes(ax, 1.45 + (0.8 if narrow() else 0.56) * len(entries))
    rows = [
        (e, quantity, i + offset)
        for i, e in enumerate(entries)
        for quantity, offset in zip(WHAT, (-0.19, 0.19), strict=True)
    ]
    reach = min(_REACH, max(1.3, *(_forecast(ax, *row) for row in rows)))
    ax.axvline(0, color=tone().grey, linewidth=1, zorder=0)
    ax.set_xlim(-reach - 0.12, reach + 0.12)
    ids = [e.child for e in entries]
    labels = short_ids(ids) if narrow() else ids
    named_rows(ax, [(names or {}).get(key) or label for key, label in zip(ids, labels, strict=True)])
    ax.set_xlabel("distance from the forecast's median, in half widths of its 90 % interval; better →")
    marks: list[Any] = [dot_mark(f"observed {w}", _colour(w), _MARKERS[w], markersize=5.5) for w in WHAT]
    marks += [
        area_mark("50 % interval", tone().grey, alpha=0.55),
        line_mark("90 % interval", tone().grey, linewidth=1.4),
    ]
    if not all(e.covers(quantity, 0.9) for e in entries for quantity in WHAT):
        hollow: Style = {"markerfacecolor": tone().paper, "markeredgewidth": 1.4, "markersize": 5.5}
        marks.append(dot_mark("outside the 90 % interval", tone().grey, **hollow))
    title(ax, f"Forecasts of {plural(len(entries), 'child', 'children')} and results", marks, columns=5)
    return ax


def _forecast(ax: Axes, entry: Entry, quantity: str, row: float) -> float:
    """Draws one forecast; returns the needed reach of the axis."""
    forecast = entry.decision.forecast
    assert forecast is not None
    sign = sign_of(entry.outcome.direction)
    middle = forecast.quantile(quantity, 0.5)
    real = entry.realised(quantity)
    wide = forecast.interval(quantity, 0.9)
    inner = forecast.interval(quantity, 0.5)
    # A forecast of width 0, as with a saturated metric, needs another unit.
    half = float(wide[1] - wide[0]) / 2 or abs(middle) * 0.01 or 1.0
    low, first, last, high = sorted(sign * (np.array([*wide, *inner]) - middle) / half)
    place = sign * (real - middle) / half
    color = _colour(quantity)
    interval(ax, low, high, row, tone().grey, 1.4, zorder=1)
    box: Style = {"color": tone().grey, "alpha": 0.55, "linewidth": 0, "zorder": 2}
    ax.barh(row, last - first, left=first, height=0.2, **box)
    shown = float(np.clip(place, -_REACH, _REACH))
    marker = _MARKERS[quantity]
    if place != shown:
        marker = "<>"[int(place > 0)]
    covered = low <= place <= high
    style: Style = {"color": tone().paper, "markeredgecolor": color, "zorder": 4}
    colour_of_text = color
    if covered:
        style["color"] = color
        colour_of_text = tone().ink
    ax.plot(shown, row, marker, markeredgewidth=1.4, markersize=5.5, **style)
    text = f"{quantity} {score(real)}{chr(10) if narrow() else ' '}({score(wide[0])} to {score(wide[1])})"
    beside(ax, row, text, colour_of_text, size=7.5)
    return float(max(abs(shown), abs(low), abs(high))) + 0.05


def _colour(quantity: str) -> str:
    if quantity == "median":
        return tone().blue
    return tone().orange


class RoundValues(NamedTuple):
    """The results of one round."""

    id: str
    parent: str | None  # id of the parent round; None for a root
    values: npt.ArrayLike  # (n,) in running order; NaN for a trial without a value or that may not be best
    name: str = ""  # printed instead of the id


class _Piece(NamedTuple):
    """A round on the axis: its trials from ``start``, and the best of its branch up to each trial."""

    start: int
    y: Floats
    best: Floats
    parent: int | None

    @property
    def end(self) -> int:
        return self.start + len(self.y)


@drawing
def best_so_far(
    rounds: Sequence[RoundValues],
    direction: str,
    metric: str = "value",
    winner: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Every trial of one round, or of a tree's rounds in turn, and the best so far along every branch.

    A round begins with the best of its parent's branch, known at the decision. The way to the winner is blue;
    side branches have their own colours and dashes. Several rounds are bands below their names; names without
    room are left out, those on the winner's way last. Rounds are in order of creation, parents before
    children. ``winner`` is the id of the winning round, whose best trial is orange; default the first with
    the best value. Values worse than the median and than the first value are cut off, with a note, if the
    line then gets twice as much room.

    Raises:
        AnalysisError: No trial has a value, a child before its parent, an id given twice, ``winner`` is not a
            round with a value, or ``direction`` is neither ``"maximize"`` nor ``"minimize"``.
    """
    from matplotlib.ticker import MaxNLocator

    check_direction(direction)
    sign = sign_of(direction)
    pieces = _pieces(rounds, sign)
    y = np.concatenate([[], *(p.y for p in pieces)])
    finite = np.isfinite(y)
    last = _winning(rounds, pieces, sign, winner)
    way = way_to([p.parent for p in pieces], last)
    view = progress_view(y[finite], direction)
    ax = axes(ax, 3.4 if len(pieces) > 1 else 2.8)
    best = pieces[last].start + int(np.nanargmax(sign * pieces[last].y))
    drawn_rows = thinned(finite & view.inside(y))
    dots(ax, drawn_rows + 1, y[drawn_rows])
    ax.plot(best + 1, y[best], "o", color=tone().orange, markersize=6, zorder=6, gid="winner")
    marks = [line_mark("best so far", tone().blue, linewidth=2.2)]
    if len(way) < len(pieces):
        marks.append(line_mark("side branches", tone().green, linewidth=1.6))
    best_text = f"{score(float(y[best]))} after {plural(best + 1, 'trial')}"
    marks += [dot_mark(best_text, tone().orange), dot_mark("trial", tone().grey, ".")]
    marks += _without_value(ax, ~finite)
    styles = [_look(pieces, i, way) for i in range(len(pieces))]
    for piece, style in zip(pieces, styles, strict=True):
        _line(ax, pieces, piece, style)
    for piece in pieces[1::2]:
        ax.axvspan(piece.start + 0.5, piece.end + 0.5, color=tone().pale, lw=0, zorder=0, gid="band")
    ax.set_xlim(0.5, len(y) + 0.5 + 0.005 * len(y))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    metric_axis(ax, view, metric)
    if len(pieces) == 1:
        ax.set_xlabel("trial")
        title(ax, f"Best {clipped(metric, 40)} so far", marks, note=hidden_note(view))
        return ax
    ax.set_xlabel("trials of all rounds")
    lift, left_out = _names(ax, rounds, pieces, styles, way)
    notes = [hidden_note(view), f"{plural(left_out, 'name')} left out" if left_out else ""]
    text = f"Best {clipped(metric, 24)} over {plural(len(pieces), 'round')}"
    title(ax, text, marks, note="; ".join(filter(None, notes)), lift=lift)
    return ax


def _winning(rounds: Sequence[RoundValues], pieces: Sequence[_Piece], sign: float, winner: str | None) -> int:
    """The number of the winning round: ``winner``, or the first with the best value."""
    named = {r.id: p for r, p in zip(rounds, pieces, strict=True)}
    tops = {key: float(np.nanmax(sign * p.y)) for key, p in named.items() if np.isfinite(p.y).any()}
    if not tops:
        raise AnalysisError("no trial has a value yet; run a round first")
    winner = winner_of(tops, winner, "best_so_far: winner is the id of a round with a value")
    return [r.id for r in rounds].index(str(winner))


def _without_value(ax: Axes, lost: Bools) -> list[Any]:
    """Crosses at the foot for trials without a usable value; returns the legend entry, if any."""
    if not lost.any():
        return []
    numbers = thinned(lost) + 1
    cross: Style = {"marker": "x", "markeredgewidth": 0.9}
    if len(numbers) > 80:  # strokes instead of overlapping crosses
        cross = {"marker": "|", "markeredgewidth": 0.6}
    cross |= {"color": tone().ink, "linewidth": 0, "markersize": 4}
    ax.plot(numbers, np.full(len(numbers), 0.02), transform=ax.get_xaxis_transform(), **cross)
    return [line_mark(f"no usable value ({lost.sum():,})", **cross)]


def _pieces(rounds: Sequence[RoundValues], sign: float) -> list[_Piece]:
    pieces = list[_Piece]()
    start = 0
    for r, parent in zip(rounds, parents_of(rounds, "best_so_far"), strict=True):
        y = np.asarray(r.values, dtype=float).ravel()
        y = np.where(np.isfinite(y), y, np.nan)
        before = np.nan
        if parent is not None:
            before = pieces[parent].best[-1]
        best = sign * np.fmax.accumulate(sign * np.concatenate([[before], y]))
        pieces.append(_Piece(start, y, best, parent))
        start = pieces[-1].end
    return pieces


def _look(pieces: Sequence[_Piece], i: int, way: Sequence[int]) -> Style:
    """Blue on the way to the winner; side branches share the style of their first round."""
    c = tone()
    if i in way:
        return {"color": c.blue, "linewidth": 2.2, "zorder": 5}
    first = next(j for j in way_to([p.parent for p in pieces], i) if j not in way)
    sides = [j for j, p in enumerate(pieces) if j not in way and (p.parent is None or p.parent in way)]
    repeat, k = divmod(sides.index(first), 4)
    dashes = _DASHES[repeat % len(_DASHES)]
    return {"color": (c.green, c.pink, c.sky, c.ink)[k], "linestyle": dashes, "linewidth": 1.6, "zorder": 4}


def _line(ax: Axes, pieces: Sequence[_Piece], piece: _Piece, style: Style) -> None:
    """The best of a branch within a round, and the link from the parent's end."""
    if piece.parent is not None and np.isfinite(piece.best[0]):
        ends = [pieces[piece.parent].end + 0.5, piece.start + 0.5]
        if ends[0] < ends[1]:
            ax.plot(ends, [piece.best[0]] * 2, gid="link", **style | {"linewidth": 0.8, "linestyle": ":"})
    positions = np.array([piece.start + 0.5, *range(piece.start + 1, piece.end + 1), piece.end + 0.5])
    best = np.append(piece.best, piece.best[-1])
    finite = np.isfinite(best)
    ax.plot(positions[finite], best[finite], drawstyle="steps-post", gid="best", **style)


def _names(
    ax: Axes,
    rounds: Sequence[RoundValues],
    pieces: Sequence[_Piece],
    styles: Sequence[Style],
    way: Sequence[int],
) -> tuple[float, int]:
    """Names above their bands; returns their height in points, and the number left out."""
    total = max(1, pieces[-1].end)
    size = points(7.5)
    room = page_width() - _MARGIN
    texts = [
        shorten(r.name, 16) or text for text, r in zip(short_ids([r.id for r in rounds]), rounds, strict=True)
    ]
    centres = [room * (p.start + p.end) / 2 / total for p in pieces]
    widths = [wide(text, size) for text in texts]
    order = sorted(range(len(pieces)), key=lambda i: (i not in way, -len(pieces[i].y)))
    inner = [i for i in order if centres[i] + 0.3 >= widths[i] / 2 <= room + 0.1 - centres[i]]
    shown = fitting(centres, [width + 0.06 for width in widths], inner)
    turned = len(shown) < len(pieces)
    if turned:
        shown = fitting(centres, [0.13] * len(texts), order)
    for i in shown:
        place = (pieces[i].start + pieces[i].end + 1) / 2, 1.0
        style: Style = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        style |= {"ha": "center", "va": "bottom", "rotation": 90 * turned, "annotation_clip": False}
        ax.annotate(texts[i], place, (0, 3), fontsize=size, color=styles[i]["color"], **style)
    lift = 12.0
    if turned:
        lift = 72 * max((widths[i] for i in shown), default=0) + 5
    return lift, len(pieces) - len(shown)


@drawing
def edf(curves: Mapping[str, npt.ArrayLike], metric: str, direction: str, ax: Axes | None = None) -> Axes:
    """The share of trials at least as good as each value, round by round, with 95 % bootstrap bands.

    The higher of two curves is the better population, in either direction. The last round is blue, its parent
    grey. Of more than 8 rounds the first and the last 7 are shown. ``curves`` maps labels to (n,) values of
    finished space-filling trials, the oldest round first.

    Raises:
        AnalysisError: No round, a round without trials or with values that are not finite, or ``direction``
            is neither ``"maximize"`` nor ``"minimize"``.

    Source: Radosavovic et al. (2020), 'Designing Network Design Spaces', arXiv:2003.13678, equation 1.
    """
    check_direction(direction)
    rounds = [(label, np.asarray(v, dtype=float).ravel()) for label, v in curves.items()]
    if not rounds:
        raise AnalysisError("no round has a finished space-filling trial yet; run one first")
    left_out = max(0, len(rounds) - _MOST)
    rounds = rounds[:1] + rounds[1 + left_out :]
    sign = sign_of(direction)
    c = tone()
    measured = [(label, stats.Edf()(sign * v)) for label, v in rounds]
    view = metric_view(np.concatenate([v for _, v in rounds]), direction)
    ax = axes(ax, 3.3)
    earlier = zip((c.orange, c.green, c.amber, c.pink, c.sky, c.ink), _EDF_DASHES, [1.4] * 6, strict=True)
    styles = [*list(earlier)[: max(0, len(rounds) - 2)], (c.grey, "--", 1.8), (c.blue, "-", 2.2)]
    marks: list[Any] = []
    for (label, curve), (color, dash, width) in zip(measured, styles[-len(rounds) :], strict=True):
        # From the bad end of the view to a share of 0. A step holds up to its value: the share of trials at
        # least as good as the values before.
        values = curve[0]
        bad = min(sign * view.low, sign * view.high, values[0])
        x = sign * np.array([bad, *values, values[-1]])
        middle, low, high = (np.array([1.0, *v, 0.0]) for v in (curve.better, curve.low, curve.high))
        ax.fill_between(x, low, high, step="pre", color=color, alpha=0.07 * width, linewidth=0)
        ax.plot(x, middle, color=color, drawstyle="steps-pre", linestyle=dash, linewidth=width)
        text = f"{shorten(label, 32)} (n = {curve.n:,})"
        marks.append(line_mark(text, color, linestyle=dash, linewidth=width))
    metric_axis(ax, view, metric, "x")
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(percents)
    ax.grid()
    ax.set_ylabel("share of trials at least as good")
    if sign > 0:
        ax.set_xlabel(f"{ax.get_xlabel()} (better →)")
    title(ax, f"Distribution of {clipped(metric, 30)}, round by round", note=hidden_note(view))
    # Nearly all trials reach bad values, so the legend stands there. The newest round comes first.
    head = "95 % bands"
    if left_out:
        head += f"; {plural(left_out, 'round')} between left out"
    box: Style = {"frameon": True, "framealpha": 0.85, "edgecolor": "none", "alignment": "left"}
    box["loc"] = "lower right"
    if sign > 0:
        box["loc"] = "lower left"
    ax.legend(handles=marks[::-1], title=head, title_fontsize=points(8), **box)
    return ax
