"""All rounds of a tree on one axis: the best so far, along every branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.analysis.metric_view import MetricView
from refine.errors import AnalysisError, did_you_mean
from refine.report.figures.look import page_width, points, style, tone
from refine.report.figures.metric_axis import hidden_note, metric_axis
from refine.report.figures.style import axes, dot_mark, line_mark, short_ids, shorten, thinned, title
from refine.trials.goal import check_direction, sign_of
from refine.utils.arrays import Floats
from refine.utils.format import plural, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (6, 1.5, 1.5, 1.5)))
_MARGIN = 1.0  # inches of a figure's width that its axes don't have


class RoundValues(NamedTuple):
    """What one round gave.

    Attributes:
        id: Its id, or whatever it is called.
        parent: Id of the round that it came from; ``None`` for a root.
        values: (n,) value of every trial in the order of running; NaN where one has none, or may not be best.
        note: What stands with the id, such as a tag.
    """

    id: str
    parent: str | None
    values: npt.ArrayLike
    note: str = ""


class _Piece(NamedTuple):
    """One round on the axis: its trials from ``start`` on, and the best of its branch up to each."""

    start: int
    values: Floats
    best: Floats
    parent: int | None

    @property
    def end(self) -> int:
        return self.start + len(self.values)


def best_by_round(
    rounds: Sequence[RoundValues],
    direction: str,
    metric: str = "value",
    winner: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Every trial of a tree's rounds, one round after the other, and the best so far along every branch.

    A round begins with the best of its parent's branch: what was known when it was decided upon. The way to the
    winner is blue, side branches have colours and dashes of their own. Rounds are bands below their
    ids; ids that have no room are left out, those of the best's way last.

    Args:
        rounds: In the order in which they were made, a parent before its children.
        direction: ``"maximize"`` or ``"minimize"``.
        metric: How to call the value.
        winner: Id of the round to lead to, whose best trial is orange; default the first that has the best of all.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: No trial has a value, a parent doesn't stand before its child, an id stands twice, ``winner``
            is the id of no round with a value, or ``direction`` is neither.
    """
    from matplotlib.ticker import MaxNLocator

    check_direction(direction)
    sign = sign_of(direction)
    pieces = _pieces(rounds, sign)
    y = np.concatenate([np.zeros(0), *(p.values for p in pieces)])
    finite = np.isfinite(y)
    if not finite.any():
        raise AnalysisError("best_by_round: no trial has a value yet; run a round first")
    view = MetricView(y[finite], direction)
    led = {
        r.id: i for i, (r, p) in enumerate(zip(rounds, pieces, strict=True)) if np.isfinite(p.values).any()
    }
    if winner is not None and winner not in led:
        raise AnalysisError(
            f"best_by_round: winner is the id of a round with a value, got {winner!r}; {did_you_mean(winner, led)}"
        )
    last = (
        led[winner]
        if winner is not None
        else max(led.values(), key=lambda i: np.nanmax(sign * pieces[i].values))
    )
    best = pieces[last].start + int(np.nanargmax(sign * pieces[last].values))
    way = _way(pieces, last)
    with style():
        ax = axes(ax, 3.4)
        few = thinned(finite & view.inside(y))
        look: dict[str, Any] = {"alpha": 0.5, "markeredgewidth": 0, "rasterized": True}
        ax.plot(few + 1, y[few], ".", color=tone().grey, markersize=4.0 if len(few) > 100 else 6.5, **look)
        for i, piece in enumerate(pieces):
            if i % 2:
                ax.axvspan(
                    piece.start + 0.5, piece.end + 0.5, color=tone().pale, linewidth=0, zorder=0, gid="band"
                )
            _line(ax, pieces, i, _look(pieces, i, way))
        ax.plot(best + 1, y[best], "o", color=tone().orange, markersize=6, zorder=6, gid="winner")
        ax.set_xlim(0.5, len(y) + 0.5 + 0.005 * len(y))
        metric_axis(ax, view, metric)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y")
        ax.set_xlabel("trials of all rounds")
        lift, left_out = _names(ax, rounds, pieces, way)
        marks = [line_mark("best so far", tone().blue, linewidth=2.2)]
        if len(way) < len(pieces):
            marks.append(line_mark("side branches", tone().green, linewidth=1.6))
        where = f"{score(float(y[best]))} at trial {best + 1:,}"
        marks.append(dot_mark(where, tone().orange))
        marks.append(dot_mark("trial", tone().grey, "."))
        notes = [hidden_note(view)] if hidden_note(view) else []
        notes += [f"{plural(left_out, 'id')} left out"] if left_out else []
        text = f"Best {shorten(metric, 24)} over {plural(len(pieces), 'round')}"
        title(ax, text, marks, note="; ".join(notes), lift=lift)
    return ax


def _pieces(rounds: Sequence[RoundValues], sign: float) -> list[_Piece]:
    known: dict[str, int] = {}
    pieces: list[_Piece] = []
    start = 0
    better = np.fmax.accumulate
    for i, found in enumerate(rounds):
        if found.id in known:
            raise AnalysisError(f"best_by_round: round {found.id!r} stands twice; leave one out")
        if found.parent is not None and found.parent not in known:
            raise AnalysisError(
                f"best_by_round: round {found.id!r} stands before its parent {found.parent!r}, or without it; give "
                "rounds in the order in which they were made"
            )
        values = np.asarray(found.values, dtype=float).ravel()
        values = np.where(np.isfinite(values), values, np.nan)
        parent = None if found.parent is None else known[found.parent]
        before = np.nan if parent is None else pieces[parent].best[-1]
        pieces.append(_Piece(start, values, sign * better(sign * np.concatenate([[before], values])), parent))
        known[found.id] = i
        start += len(values)
    return pieces


def _way(pieces: Sequence[_Piece], last: int) -> list[int]:
    """Numbers of the rounds that lead to one, itself last."""
    way = [last]
    while (parent := pieces[way[0]].parent) is not None:
        way.insert(0, parent)
    return way


def _look(pieces: Sequence[_Piece], i: int, way: Sequence[int]) -> dict[str, Any]:
    """Blue on the way to the best; a side branch has the look of its first round."""
    if i in way:
        return {"color": tone().blue, "linewidth": 2.2, "zorder": 5}
    first = next(j for j in _way(pieces, i) if j not in way)
    sides = [j for j, p in enumerate(pieces) if j not in way and (p.parent is None or p.parent in way)]
    k = sides.index(first)
    c = tone()
    colours = (c.green, c.pink, c.sky, c.ink)
    dashes = _DASHES[k // len(colours) % len(_DASHES)]
    return {"color": colours[k % len(colours)], "linestyle": dashes, "linewidth": 1.6, "zorder": 4}


def _line(ax: Axes, pieces: Sequence[_Piece], i: int, look: dict[str, Any]) -> None:
    """The best of a branch within one round, and from the end of its parent to its beginning."""
    piece = pieces[i]
    if piece.parent is not None and np.isfinite(piece.best[0]):
        ends = [pieces[piece.parent].end + 0.5, piece.start + 0.5]
        if ends[0] < ends[1]:
            thin = {**look, "linewidth": 0.8, "linestyle": ":"}
            ax.plot(ends, [piece.best[0]] * 2, gid="link", **thin)
    at = np.concatenate([[piece.start + 0.5], np.arange(piece.start, piece.end) + 1, [piece.end + 0.5]])
    best = np.append(piece.best, piece.best[-1])
    there = np.isfinite(best)
    ax.plot(at[there], best[there], drawstyle="steps-post", gid="best", **look)


def _names(
    ax: Axes, rounds: Sequence[RoundValues], pieces: Sequence[_Piece], way: Sequence[int]
) -> tuple[float, int]:
    """Ids above their bands; the points that they take, and how many had no room."""
    total = max(1, pieces[-1].end)
    short = short_ids([found.id for found in rounds])
    texts = [f"{text} {shorten(r.note, 16)}".strip() for text, r in zip(short, rounds, strict=True)]
    centres = [(page_width() - _MARGIN) * (p.start + p.end) / 2 / total for p in pieces]
    order = sorted(range(len(pieces)), key=lambda i: (i not in way, -len(pieces[i].values)))
    flat = _fit(order, centres, [0.062 * len(text) + 0.06 for text in texts])
    turned = len(flat) < len(pieces)
    shown = _fit(order, centres, [0.13] * len(texts)) if turned else flat
    for i in shown:
        place = (pieces[i].start + pieces[i].end + 1) / 2
        colour = _look(pieces, i, way)["color"]
        ax.annotate(
            texts[i],
            (place, 1.0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=90 if turned else 0,
            fontsize=points(7.5),
            color=colour,
            annotation_clip=False,
        )
    lift = 4.8 * max((len(texts[i]) for i in shown), default=0) + 3 if turned else 12.0
    return lift, len(pieces) - len(shown)


def _fit(order: Sequence[int], centres: Sequence[float], wide: Sequence[float]) -> list[int]:
    """Which of several labels have room on the axis, the first in the order before the others."""
    shown: list[int] = []
    for i in order:
        free = all(abs(centres[i] - centres[j]) >= (wide[i] + wide[j]) / 2 for j in shown)
        if free and (
            wide[i] / 2 <= centres[i] + 0.3 and centres[i] + wide[i] / 2 <= page_width() - _MARGIN + 0.1
        ):
            shown.append(i)
    return sorted(shown)
