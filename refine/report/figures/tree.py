"""The refinement tree: rounds as nodes, decisions on the edges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.errors import AnalysisError, did_you_mean
from refine.report.figures.look import narrow, page_width, points, style, tone
from refine.report.figures.style import axes, short_ids, shorten, title
from refine.trials.goal import check_direction, sign_of
from refine.utils.format import plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LANE = 0.2  # inches between neighbouring lanes
_LETTER = 0.067  # inches, of the text of a row
_SLANTED = 0.061  # the same of a note
_STRIP = 0.95  # inches, of the place of the best values
_CLOSE = 24  # rounds from which on rows are lower


class TreeNode(NamedTuple):
    """One round, and how it came about.

    Attributes:
        id: Its id.
        parent: Id of the round it came from; ``None`` for a root.
        best: Best value; NaN where there is none, or where it is judged by another metric.
        n: Trials that have ended.
        planned: Configurations planned.
        kind: Of the decision that led to it: ``"accepted"``, ``"edited"``, ``"branched"``; empty for a root.
        tags: Its names.
        note: Why, in the person's words.
    """

    id: str
    parent: str | None
    best: float
    n: int
    planned: int
    kind: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


class Place(NamedTuple):
    """Where a node stands: its row from the top, and its lane from the left."""

    row: int
    lane: int


def layout(parents: Sequence[int | None], first: Sequence[int] = ()) -> list[Place]:
    """Rows and lanes of a forest, so that no two nodes share a row and no edge crosses another.

    A node's main child stays in its lane and comes last; the others branch off one lane to the right, above it. The
    main child is the one in ``first``, else the one with the most nodes below it, else the last.

    Args:
        parents: Number of every node's parent, which stands before it; ``None`` for roots.
        first: Nodes of the way that is to be straight.

    Returns:
        One place per node.
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
        here = children.get(node, [])
        if here:
            main = max(here, key=lambda i: (i in first, below[i], i))
            stack.append((main, lane))
            stack += [(i, lane + 1) for i in reversed(here) if i != main]
    return places


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
    best value on a common scale, better to the right. Notes are shortened to what fits.

    Args:
        nodes: In the order in which they were made, a parent before its children.
        direction: ``"maximize"`` or ``"minimize"``.
        metric: How to call the value.
        winner: Id of the round to lead to; default the first that has the best value.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: No node, a parent doesn't stand before its child, an id stands twice, ``winner`` is no node's,
            or ``direction`` is neither.
    """
    check_direction(direction)
    sign = sign_of(direction)
    number = _numbers(nodes)
    parents = [None if node.parent is None else number[node.parent] for node in nodes]
    known = [i for i, node in enumerate(nodes) if math.isfinite(node.best)]
    if winner is not None and winner not in number:
        raise AnalysisError(
            f"tree: winner is the id of a round, got {winner!r}; {did_you_mean(winner, number)}"
        )
    first = max(known, key=lambda i: sign * nodes[i].best) if known else None
    last = first if winner is None else number[winner]
    way = set()
    at = last
    while at is not None:
        way.add(at)
        at = parents[at]
    places = layout(parents, tuple(way))
    with style():
        below = narrow() and any(node.note.strip() for node in nodes)  # notes have a line of their own
        tall = 0.42 if below else 0.3 if len(nodes) <= _CLOSE else 0.22
        ax = axes(ax, 0.95 + tall * len(nodes))
        _edges(ax, nodes, parents, places, way)
        for i, place in enumerate(places):
            colour = tone().orange if i == last else tone().blue if i in way else tone().paper
            edge = tone().orange if i == last else tone().blue if i in way else tone().grey
            size = 7.5 if i == last else 6.0
            look: dict[str, Any] = {
                "markerfacecolor": colour,
                "markeredgecolor": edge,
                "markeredgewidth": 1.4,
            }
            ax.plot(place.lane * _LANE, place.row, "o", markersize=size, zorder=4, gid="node", **look)
        _rows(ax, nodes, places, way, last, sign, below)
        ax.set_xlim(-0.12, page_width() - 0.3)
        ax.set_ylim(len(nodes) - (0.2 if below else 0.4), -1.15)
        ax.set_axis_off()
        title(ax, f"{plural(len(nodes), 'round')}: best {shorten(metric, 30)} and how each came about")
    return ax


def _numbers(nodes: Sequence[TreeNode]) -> Mapping[str, int]:
    if not nodes:
        raise AnalysisError("tree: there is no round yet; add one first")
    number: dict[str, int] = {}
    for i, node in enumerate(nodes):
        if node.id in number:
            raise AnalysisError(f"tree: round {node.id!r} stands twice; leave one out")
        if node.parent is not None and node.parent not in number:
            raise AnalysisError(
                f"tree: round {node.id!r} stands before its parent {node.parent!r}, or without it; give rounds in the "
                "order in which they were made"
            )
        number[node.id] = i
    return number


def _edges(
    ax: Axes, nodes: Sequence[TreeNode], parents: Sequence[int | None], places: Sequence[Place], way: set[int]
) -> None:
    for i, parent in enumerate(parents):
        if parent is None:
            continue
        (top, left), (row, lane) = places[parent], places[i]
        x, y = ([lane, lane], [top, float(row)])
        if lane != left:  # down the parent's lane, then over to its own
            x, y = [left, left, lane, lane], [top, row - 0.55, row - 0.2, row]
        colour, width, order = (tone().blue, 2.4, 3) if i in way else (tone().grey, 1.2, 2)
        dashes: Any = (0, (3, 1.5)) if nodes[i].kind == "branched" else "-"
        (line,) = ax.plot(np.array(x) * _LANE, y, color=colour, linewidth=width, zorder=order, gid="edge")
        line.set(linestyle=dashes, solid_joinstyle="round")


def _rows(
    ax: Axes,
    nodes: Sequence[TreeNode],
    places: Sequence[Place],
    way: set[int],
    winner: int | None,
    sign: float,
    below: bool,
) -> None:
    """What stands beside the lanes, in columns."""
    short = short_ids([node.id for node in nodes])
    texts = [score(node.best) for node in nodes]
    counts = [
        f"{node.n:,}" if node.n == node.planned else f"{node.n:,} of {node.planned:,}" for node in nodes
    ]
    x_id = (max(place.lane for place in places) + 1) * _LANE
    x_best = x_id + 1.15 * _LETTER * max(map(len, short)) + 0.15
    x_strip = x_best + _LETTER * max(map(len, texts)) + 0.22
    x_count = x_strip + _STRIP + 0.15 + _LETTER * max(len("trials"), *map(len, counts))
    x_kind = x_count + 0.18
    x_note = x_kind + _LETTER * max(len("decision"), *(len(node.kind) for node in nodes)) + 0.15
    letters = max(8, int((page_width() - 0.45 - x_note) / _LETTER))
    small: dict[str, Any] = {"fontsize": points(7.5), "color": tone().grey, "va": "center"}
    ax.text(x_id, -0.85, "round", **small)
    ax.text(x_best, -0.85, "best", **small)
    ax.text(x_strip + _STRIP, -0.85, "better →", ha="right", **small)
    ax.text(x_count, -0.85, "trials", ha="right", **small)
    ax.text(x_kind, -0.85, "decision", **small)
    if any(node.tags or (node.note and not below) for node in nodes):
        ax.text(x_note, -0.85, "tag" if below else "tag, note", **small)
    known = [sign * node.best for node in nodes if math.isfinite(node.best)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    for i, (node, place) in enumerate(zip(nodes, places, strict=True)):
        if place.row % 2:
            ax.axhspan(
                place.row - 0.5 + 0.18 * below,
                place.row + 0.5 + 0.18 * below,
                color=tone().pale,
                alpha=0.55,
                linewidth=0,
                zorder=0,
            )
        row: dict[str, Any] = {"va": "center", "fontsize": points(8.5), "zorder": 5}
        weight = "bold" if i == winner else "normal"
        ax.text(x_id, place.row, short[i], family="monospace", color=tone().ink, fontweight=weight, **row)
        ax.text(x_best, place.row, texts[i], fontweight=weight, **row)
        ax.text(x_count, place.row, counts[i], ha="right", **row)
        ax.text(x_kind, place.row, node.kind or "root", color=tone().ink if node.kind else tone().grey, **row)
        ax.plot([x_strip, x_strip + _STRIP], [place.row] * 2, color=tone().light, linewidth=0.7, zorder=1)
        if math.isfinite(node.best):
            share = (sign * node.best - low) / (high - low) if high > low else 1.0
            colour = tone().orange if i == winner else tone().blue if i in way else tone().grey
            ax.plot(
                x_strip + share * _STRIP, place.row, "o", color=colour, markersize=4.5, zorder=4, gid="best"
            )
        _words(ax, x_note, place.row, node._replace(note="") if below else node, letters)
        if below:
            whole = max(8, int((page_width() - 0.45 - x_id) / _LETTER))
            _words(ax, x_id, place.row + 0.4, node._replace(tags=()), whole)


def _words(ax: Axes, x: float, row: float, node: TreeNode, letters: int) -> None:
    """Tags on amber, and as much of the note as fits behind them."""
    tags = shorten(", ".join(node.tags), max(8, letters // 2)) if node.tags else ""
    if tags:
        box = {"facecolor": tone().amber, "alpha": 0.35, "edgecolor": "none", "boxstyle": "round,pad=0.2"}
        ax.text(x + 0.04, row, tags, va="center", fontsize=points(8), bbox=box, zorder=5)
    used = len(tags) + 2 if tags else 0
    line = " ".join(node.note.split())
    if line and letters - used >= 6:
        # Unlike a name, a sentence is understood by its beginning.
        left = int((letters - used) * _LETTER / _SLANTED)
        text = line if len(line) <= left else f"{line[: left - 1].rstrip()}…"
        style_of: dict[str, Any] = {
            "fontsize": points(8),
            "style": "italic",
            "color": tone().ink,
            "va": "center",
            "zorder": 5,
        }
        ax.text(x + _LETTER * used, row, text, **style_of)
