"""The figures of a tree: its rounds and the decisions between them, and how its forecasts held."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.errors import AnalysisError, did_you_mean
from refine.proposal.forecast import WHAT
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import short_ids, shorten
from refine.report.figures.marks import area_mark, beside, dot_mark, interval, line_mark, named_rows, percents
from refine.report.figures.theme import drawing, narrow, page_width, points, tone
from refine.trials.goal import check_direction, sign_of
from refine.utils.format import plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine.review.calibration import Calibration, Entry

_LANE = 0.2  # inches between neighbouring lanes
_LETTER = 0.067  # inches, of the text of a row
_SLANTED = 0.061  # the same of a note
_STRIP = 0.95  # inches, of the place of the best values
_CLOSE = 24  # rounds from which on rows are lower
CURVE_FROM = 10  # scored forecasts from which the curve is drawn
_MARKERS = {"median": "o", "best": "D"}
_REACH = 3.0


class TreeNode(NamedTuple):
    """One round, and how it came about."""

    id: str
    parent: str | None  # id of the round it came from; None for a root
    best: float  # NaN where there is none, or where it is judged by another metric
    n: int  # trials that have ended
    planned: int  # configurations
    kind: str = ""  # of the decision that led to it: "accepted", "edited", "branched"; empty for a root
    tags: tuple[str, ...] = ()
    note: str = ""  # why, in the person's words


def numbers_of(rounds: Sequence[Any], figure: str) -> dict[str, int]:
    """Id -> number of every round, each with ``id`` and ``parent``, a parent before its children."""
    number: dict[str, int] = {}
    for i, r in enumerate(rounds):
        if r.id in number:
            raise AnalysisError(f"{figure}: round {r.id!r} stands twice; leave one out")
        if r.parent is not None and r.parent not in number:
            raise AnalysisError(
                f"{figure}: round {r.id!r} stands before its parent {r.parent!r}, or without it; give rounds in the "
                "order in which they were made"
            )
        number[r.id] = i
    return number


def way_to(parents: Sequence[int | None], last: int) -> list[int]:
    """Numbers of the rounds that lead to one, itself last."""
    way = [last]
    while (parent := parents[way[0]]) is not None:
        way.insert(0, parent)
    return way


class Place(NamedTuple):
    """Where a node stands: its row from the top, and its lane from the left."""

    row: int
    lane: int


def layout(parents: Sequence[int | None], first: Sequence[int] = ()) -> list[Place]:
    """Rows and lanes of a forest, so that no two nodes share a row and no edge crosses another.

    A node's main child stays in its lane and comes last; the others branch off one lane to the right, above it. The
    main child is the one in ``first``, the way that is to be straight, else the one with the most nodes below it, else
    the last. ``parents`` are numbers of every node's parent, which stands before it; ``None`` for roots.
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
    """The refinement tree, one row per round: lanes and edges at the left, what each round is beside them.

    An edge is named by the decision that it stands for, at its lower end; a branch made without regard to a proposal
    is dashed. The way to the winner is blue and straight, and the winner orange. A dot shows each
    best value on a common scale, better to the right. Notes are shortened to what fits. Nodes stand in the order in
    which they were made, a parent before its children; ``winner`` is the id of the round to lead to, by default the
    first that has the best value.

    Raises:
        AnalysisError: No node, a parent doesn't stand before its child, an id stands twice, ``winner`` is no node's,
            or ``direction`` is neither.
    """
    check_direction(direction)
    if not nodes:
        raise AnalysisError("tree: there is no round yet; add one first")
    sign, number = sign_of(direction), numbers_of(nodes, "tree")
    if winner is not None and winner not in number:
        raise AnalysisError(
            f"tree: winner is the id of a round, got {winner!r}; {did_you_mean(winner, number)}"
        )
    parents = [None if node.parent is None else number[node.parent] for node in nodes]
    known = [i for i, node in enumerate(nodes) if math.isfinite(node.best)]
    first = max(known, key=lambda i: sign * nodes[i].best) if known else None
    last = first if winner is None else number[winner]
    way = [] if last is None else way_to(parents, last)
    c = tone()
    colours = [c.orange if i == last else c.blue if i in way else c.grey for i in range(len(nodes))]
    places = layout(parents, way)
    below = narrow() and any(node.note.strip() for node in nodes)  # notes have a line of their own
    tall = 0.42 if below else 0.3 if len(nodes) <= _CLOSE else 0.22
    ax = axes(ax, 0.95 + tall * len(nodes))
    for i, (place, parent) in enumerate(zip(places, parents, strict=True)):
        look: dict[str, Any] = {"markeredgecolor": colours[i], "markeredgewidth": 1.4, "zorder": 4}
        look |= {
            "markerfacecolor": colours[i] if i in way else c.paper,
            "markersize": 7.5 if i == last else 6.0,
        }
        ax.plot(place.lane * _LANE, place.row, "o", gid="node", **look)
        if parent is not None:
            _edge(ax, places[parent], place, i in way, nodes[i].kind == "branched")
    _rows(ax, nodes, places, colours, last, sign, below)
    ax.set_xlim(-0.12, page_width() - 0.3)
    ax.set_ylim(len(nodes) - (0.2 if below else 0.4), -1.15)
    ax.set_axis_off()
    title(ax, f"{plural(len(nodes), 'round')}: best {shorten(metric, 30)} and how each came about")
    return ax


def _edge(ax: Axes, parent: Place, child: Place, on_way: bool, dashed: bool) -> None:
    """Down the parent's lane, then over to the child's."""
    (top, left), (row, lane) = parent, child
    x, y = [lane, lane], [top, float(row)]
    if lane != left:
        x, y = [left, left, lane, lane], [top, row - 0.55, row - 0.2, row]
    colour, width, order = (tone().blue, 2.4, 3) if on_way else (tone().grey, 1.2, 2)
    (line,) = ax.plot(np.array(x) * _LANE, y, color=colour, linewidth=width, zorder=order, gid="edge")
    line.set(linestyle=(0, (3, 1.5)) if dashed else "-", solid_joinstyle="round")


def _rows(
    ax: Axes,
    nodes: Sequence[TreeNode],
    places: Sequence[Place],
    colours: Sequence[str],
    winner: int | None,
    sign: float,
    below: bool,
) -> None:
    """What stands beside the lanes, in columns."""
    short = short_ids([node.id for node in nodes])
    bests = [score(node.best) for node in nodes]
    counts = [f"{n.n:,}" if n.n == n.planned else f"{n.n:,} of {n.planned:,}" for n in nodes]
    x_id = (max(place.lane for place in places) + 1) * _LANE
    x_best = x_id + 1.15 * _LETTER * max(map(len, short)) + 0.15
    x_strip = x_best + _LETTER * max(map(len, bests)) + 0.22
    x_count = x_strip + _STRIP + 0.15 + _LETTER * max(map(len, ["trials", *counts]))
    x_kind = x_count + 0.18
    x_note = x_kind + _LETTER * max(map(len, ["decision", *(node.kind for node in nodes)])) + 0.15
    heads = [(x_id, "round", "left"), (x_best, "best", "left"), (x_strip + _STRIP, "better →", "right")]
    heads += [(x_count, "trials", "right"), (x_kind, "decision", "left")]
    if any(node.tags or (node.note and not below) for node in nodes):
        heads.append((x_note, "tag" if below else "tag, note", "left"))
    for x, text, side in heads:
        ax.text(x, -0.85, text, ha=side, fontsize=points(7.5), color=tone().grey, va="center")
    known = [sign * node.best for node in nodes if math.isfinite(node.best)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    for i, (node, (row, _)) in enumerate(zip(nodes, places, strict=True)):
        if row % 2:
            middle = row + 0.18 * below
            ax.axhspan(middle - 0.5, middle + 0.5, color=tone().pale, alpha=0.55, linewidth=0, zorder=0)
        look: dict[str, Any] = {"va": "center", "fontsize": points(8.5), "zorder": 5}
        bold: dict[str, Any] = {"fontweight": "bold" if i == winner else "normal"}
        ax.text(x_id, row, short[i], family="monospace", **bold, **look)
        ax.text(x_best, row, bests[i], **bold, **look)
        ax.text(x_count, row, counts[i], ha="right", **look)
        ax.text(x_kind, row, node.kind or "root", color=tone().ink if node.kind else tone().grey, **look)
        ax.plot([x_strip, x_strip + _STRIP], [row] * 2, color=tone().light, linewidth=0.7, zorder=1)
        if math.isfinite(node.best):
            share = (sign * node.best - low) / (high - low) if high > low else 1.0
            dot: dict[str, Any] = {"color": colours[i], "markersize": 4.5, "zorder": 4}
            ax.plot(x_strip + share * _STRIP, row, "o", gid="best", **dot)
        used = _tags(ax, x_note, row, node.tags)
        line, at = (x_id, row + 0.4) if below else (x_note + used, row)
        _note(ax, line, at, node.note)


def _tags(ax: Axes, x: float, row: float, tags: Sequence[str]) -> float:
    """Tags on amber; how far they reach."""
    if not tags:
        return 0.0
    letters = max(8, int((page_width() - 0.45 - x) / _LETTER))
    text = shorten(", ".join(tags), max(8, letters // 2))
    box = {"facecolor": tone().amber, "alpha": 0.35, "edgecolor": "none", "boxstyle": "round,pad=0.2"}
    ax.text(x + 0.04, row, text, va="center", fontsize=points(8), bbox=box, zorder=5)
    return _LETTER * (len(text) + 2)


def _note(ax: Axes, x: float, row: float, note: str) -> None:
    """As much of a note as there is room for: unlike a name, a sentence is understood by its beginning."""
    text, room = " ".join(note.split()), page_width() - 0.45 - x
    most = int(room / _SLANTED)
    if text and room >= 6 * _LETTER:
        shown = text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
        ax.text(x, row, shown, va="center", fontsize=points(8), style="italic", zorder=5)


@drawing
def reliability(calibration: Calibration, ax: Axes | None = None) -> Axes:
    """Forecasts against what was seen.

    Up to 9 scored children one row each: the forecast's 5 to 95 % and 25 to 75 % intervals, of the space-filling trials'
    median and of their best, and what they turned out to be. Rows share a scale whatever the metric's spread:
    0 is the forecast's median, 1 is half the width of its 5 to 95 % interval, and better is to the right. From
    10 on, the calibration curve: the share of what was seen that lay at or below each percentile of its
    forecast, with the band in which 90 % of curves of true forecasts lie at each percentile. ``calibration`` is of
    :meth:`Tree.calibration`.

    Raises:
        AnalysisError: No forecast is scored yet.
    """
    entries = calibration.scored
    if not entries:
        raise AnalysisError(
            "reliability: no forecast is scored yet; run a child of an accepted proposal to its end first"
        )
    return _curve(entries, ax) if len(entries) >= CURVE_FROM else _forecasts(entries, ax)


def _colour(what: str) -> str:
    return tone().blue if what == "median" else tone().orange


def _forecasts(entries: tuple[Entry, ...], ax: Axes | None) -> Axes:
    ax = axes(ax, 1.45 + (0.8 if narrow() else 0.56) * len(entries))
    rows = [
        (e, what, i + at) for i, e in enumerate(entries) for what, at in zip(WHAT, (-0.19, 0.19), strict=True)
    ]
    reach = min(_REACH, max(1.3, *(_forecast(ax, *row) for row in rows)))
    ax.axvline(0, color=tone().grey, linewidth=1, zorder=0)
    ax.set_xlim(-reach - 0.12, reach + 0.12)
    ids = [e.child for e in entries]
    named_rows(ax, short_ids(ids) if narrow() else ids)
    ax.set_xlabel("distance from the forecast's median, in half widths of its 90 % interval; better →")
    marks: list[Any] = [dot_mark(f"{w} seen", _colour(w), _MARKERS[w], markersize=5.5) for w in WHAT]
    marks += [
        area_mark("50 % interval", tone().grey, alpha=0.55),
        line_mark("90 % interval", tone().grey, linewidth=1.4),
    ]
    if not all(e.covers(what, 0.9) for e in entries for what in WHAT):
        hollow: dict[str, Any] = {"markerfacecolor": tone().paper, "markeredgewidth": 1.4, "markersize": 5.5}
        marks.append(dot_mark("outside it", tone().grey, **hollow))
    title(ax, f"Forecasts of {plural(len(entries), 'child', 'children')} and what was seen", marks, columns=5)
    return ax


def _forecast(ax: Axes, entry: Entry, what: str, row: float) -> float:
    """Draws one forecast; returns how far from 0 it needs the axis to reach."""
    forecast = entry.decision.forecast
    assert forecast is not None
    sign, middle, real = sign_of(entry.seen.direction), forecast.quantile(what, 0.5), entry.realised(what)
    wide, inner = forecast.interval(what, 0.9), forecast.interval(what, 0.5)
    # A forecast without any doubt, as with a saturated metric, has no width to measure in.
    half = float(wide[1] - wide[0]) / 2 or abs(middle) * 0.01 or 1.0
    low, first, last, high = sorted(sign * (np.array([*wide, *inner]) - middle) / half)
    place, color = sign * (real - middle) / half, _colour(what)
    interval(ax, low, high, row, tone().grey, 1.4, zorder=1)
    box: dict[str, Any] = {"color": tone().grey, "alpha": 0.55, "linewidth": 0, "zorder": 2}
    ax.barh(row, last - first, left=first, height=0.2, **box)
    marker = _MARKERS[what] if abs(place) <= _REACH else ">" if place > 0 else "<"
    shown, held = float(np.clip(place, -_REACH, _REACH)), low <= place <= high
    look: dict[str, Any] = {"color": color if held else tone().paper, "markeredgecolor": color, "zorder": 4}
    ax.plot(shown, row, marker, markeredgewidth=1.4, markersize=5.5, **look)
    text = f"{what} {score(real)}{chr(10) if narrow() else ' '}({score(wide[0])} to {score(wide[1])})"
    beside(ax, row, text, tone().ink if held else color, size=7.5)
    return float(max(abs(shown), abs(low), abs(high))) + 0.05


def _curve(entries: tuple[Entry, ...], ax: Axes | None) -> Axes:
    from scipy.stats import binom

    n, at, ax = len(entries), np.linspace(0, 1, 201), axes(ax, 3.9)
    low, high = binom.ppf([[0.05], [0.95]], n, at) / n
    ax.fill_between(at, low, high, color=tone().pale, linewidth=0, step="mid", zorder=0)
    ax.plot([0, 1], [0, 1], color=tone().grey, linewidth=1, zorder=1)
    for what in WHAT:
        x = [0, *np.sort([e.percentile(what) for e in entries]), 1]
        ax.step(
            x, [0, *np.arange(1, n + 1) / n, 1], where="post", color=_colour(what), linewidth=1.8, zorder=3
        )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([0, 0.25, 0.5, 0.75, 1])
        axis.set_major_formatter(percents)
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.grid()
    ax.set_xlabel("percentile of the forecast")
    ax.set_ylabel("share seen at or below it")
    marks = [
        *(line_mark(w, _colour(w), linewidth=1.8) for w in WHAT),
        line_mark("true forecasts", tone().grey, linewidth=1),
        area_mark("90 % of such curves", tone().light, alpha=0.5),
    ]
    title(ax, f"Calibration of {n:,} forecasts", marks)
    return ax
