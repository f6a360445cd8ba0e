"""How rounds progress: every trial and the best so far, of a round and of a tree, and rounds as populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.metric_view import MetricView
from refine.errors import AnalysisError, did_you_mean
from refine.report.figures.axes import hidden_note, metric_axis
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import fitting, short_ids, shorten
from refine.report.figures.marks import dot_mark, dots, line_mark, percents, thinned
from refine.report.figures.theme import drawing, page_width, points, tone, wide
from refine.report.figures.tree import numbers_of, way_to
from refine.trials.goal import check_direction, sign_of
from refine.utils.arrays import Floats
from refine.utils.format import plural, score

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (6, 1.5, 1.5, 1.5)))
_MARGIN = 1.0  # inches of a figure's width that its axes don't have
_MOST = 8  # populations that are told apart
_EDF_DASHES = ("-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (7, 2, 1, 2)), (0, (3, 3)))


@drawing
def best_so_far(
    table: pd.DataFrame,
    direction: str,
    metric: str = "value",
    ax: Axes | None = None,
    candidates: npt.ArrayLike | None = None,
) -> Axes:
    """Every trial's ``value`` in the table's order, and the best up to each.

    ``candidates``, (n,), are the trials that may be called best, by default all that have a value and the ``state``
    complete, where the table has states.

    Raises:
        AnalysisError: No trial has a value, or ``direction`` is neither.
    """
    check_direction(direction)
    y = np.asarray(table["value"], dtype=float)
    finished = np.isfinite(y)
    if "state" in table:
        finished &= (table["state"] == "complete").to_numpy()
    may_win = finished if candidates is None else finished & np.asarray(candidates, dtype=np.bool_)
    if not may_win.any():
        raise AnalysisError("best_so_far: no trial has a value yet; run the round first")
    at, sign = np.arange(1, len(y) + 1), sign_of(direction)
    best = sign * np.maximum.accumulate(np.where(may_win, sign * y, -np.inf))
    view, ax = MetricView(y[finished], direction), axes(ax, 2.8)
    known, first = np.isfinite(best), int(np.argmax(best == best[-1]))
    marks = _values(ax, y, finished, view, first)
    ax.step(at[known], best[known], where="post", color=tone().blue, linewidth=2, gid="best")
    if not finished.all():
        lost = at[thinned(~finished)]
        dense = len(lost) > 80  # crosses that would cover each other become strokes
        look: dict[str, Any] = {"marker": "|" if dense else "x", "color": tone().ink, "linewidth": 0}
        look |= {"markersize": 4, "markeredgewidth": 0.6 if dense else 0.9}
        foot = np.full(len(lost), 0.02 if sign > 0 else 0.98)
        ax.plot(lost, foot, transform=ax.get_xaxis_transform(), **look)
        marks.append(line_mark(f"without a value ({(~finished).sum():,})", **look))
    metric_axis(ax, view, metric)
    ax.set_xlim(0.5 - 0.01 * len(y), len(y) + 0.5 + 0.01 * len(y))
    ax.set_xlabel("trial")
    title(ax, f"Best {shorten(metric, 40)} so far", marks, note=hidden_note(view))
    return ax


def _values(ax: Axes, y: Floats, finished: npt.NDArray[np.bool_], view: MetricView, best: int) -> list[Any]:
    """Draws the trials and the best of them; marks of the legend."""
    from matplotlib.ticker import MaxNLocator

    few = thinned(finished & view.inside(y))
    dots(ax, few + 1, y[few])
    ax.plot(best + 1, y[best], "o", color=tone().orange, markersize=6, zorder=6, gid="winner")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    return [
        line_mark("best so far", tone().blue, linewidth=2.2),
        dot_mark(f"{score(float(y[best]))} at trial {best + 1:,}", tone().orange),
        dot_mark("trial", tone().grey, "."),
    ]


class RoundValues(NamedTuple):
    """What one round gave."""

    id: str
    parent: str | None  # id of the round that it came from; None for a root
    values: npt.ArrayLike  # (n,) in the order of running; NaN where a trial has none, or may not be best
    note: str = ""  # what stands with the id, such as a tag


class _Piece(NamedTuple):
    """One round on the axis: its trials from ``start`` on, and the best of its branch up to each."""

    start: int
    y: Floats
    best: Floats
    parent: int | None

    @property
    def end(self) -> int:
        return self.start + len(self.y)


@drawing
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
    ids; ids that have no room are left out, those of the best's way last. Rounds stand in the order in which they were
    made, a parent before its children; ``winner`` is the id of the round to lead to, whose best trial is orange, by
    default the first that has the best of all.

    Raises:
        AnalysisError: No trial has a value, a parent doesn't stand before its child, an id stands twice, ``winner``
            is the id of no round with a value, or ``direction`` is neither.
    """
    check_direction(direction)
    sign = sign_of(direction)
    pieces = _pieces(rounds, sign)
    y = np.concatenate([np.zeros(0), *(p.y for p in pieces)])
    finite = np.isfinite(y)
    if not finite.any():
        raise AnalysisError("best_by_round: no trial has a value yet; run a round first")
    tops = {
        r.id: (float(np.nanmax(sign * p.y)), i)
        for i, (r, p) in enumerate(zip(rounds, pieces, strict=True))
        if np.isfinite(p.y).any()
    }
    if winner is not None and winner not in tops:
        raise AnalysisError(
            f"best_by_round: winner is the id of a round with a value, got {winner!r}; {did_you_mean(winner, tops)}"
        )
    _, last = tops[winner] if winner is not None else max(tops.values(), key=lambda top: top[0])
    way = way_to([p.parent for p in pieces], last)
    view, ax = MetricView(y[finite], direction), axes(ax, 3.4)
    best = pieces[last].start + int(np.nanargmax(sign * pieces[last].y))
    marks = _values(ax, y, finite, view, best)
    looks = [_look(pieces, i, way) for i in range(len(pieces))]
    for i, piece in enumerate(pieces):
        if i % 2:
            band: dict[str, Any] = {"color": tone().pale, "linewidth": 0, "zorder": 0, "gid": "band"}
            ax.axvspan(piece.start + 0.5, piece.end + 0.5, **band)
        _line(ax, pieces, piece, looks[i])
    ax.set_xlim(0.5, len(y) + 0.5 + 0.005 * len(y))
    metric_axis(ax, view, metric)
    ax.set_xlabel("trials of all rounds")
    lift, left_out = _names(ax, rounds, pieces, looks, way)
    if len(way) < len(pieces):
        marks.insert(1, line_mark("side branches", tone().green, linewidth=1.6))
    notes = [hidden_note(view), f"{plural(left_out, 'id')} left out" if left_out else ""]
    text = f"Best {shorten(metric, 24)} over {plural(len(pieces), 'round')}"
    title(ax, text, marks, note="; ".join(filter(None, notes)), lift=lift)
    return ax


def _pieces(rounds: Sequence[RoundValues], sign: float) -> list[_Piece]:
    number, pieces = numbers_of(rounds, "best_by_round"), list[_Piece]()
    for r in rounds:
        y = np.asarray(r.values, dtype=float).ravel()
        y = np.where(np.isfinite(y), y, np.nan)
        parent = None if r.parent is None else number[r.parent]
        before = np.nan if parent is None else pieces[parent].best[-1]
        best = sign * np.fmax.accumulate(sign * np.concatenate([[before], y]))
        pieces.append(_Piece(pieces[-1].end if pieces else 0, y, best, parent))
    return pieces


def _look(pieces: Sequence[_Piece], i: int, way: Sequence[int]) -> dict[str, Any]:
    """Blue on the way to the best; a side branch has the look of its first round."""
    c = tone()
    if i in way:
        return {"color": c.blue, "linewidth": 2.2, "zorder": 5}
    first = next(j for j in way_to([p.parent for p in pieces], i) if j not in way)
    sides = [j for j, p in enumerate(pieces) if j not in way and (p.parent is None or p.parent in way)]
    again, k = divmod(sides.index(first), 4)
    dashes = _DASHES[again % len(_DASHES)]
    return {"color": (c.green, c.pink, c.sky, c.ink)[k], "linestyle": dashes, "linewidth": 1.6, "zorder": 4}


def _line(ax: Axes, pieces: Sequence[_Piece], piece: _Piece, look: dict[str, Any]) -> None:
    """The best of a branch within one round, and from the end of its parent to its beginning."""
    if piece.parent is not None and np.isfinite(piece.best[0]):
        ends = [pieces[piece.parent].end + 0.5, piece.start + 0.5]
        if ends[0] < ends[1]:
            ax.plot(ends, [piece.best[0]] * 2, gid="link", **look | {"linewidth": 0.8, "linestyle": ":"})
    at = np.concatenate([[piece.start + 0.5], np.arange(piece.start, piece.end) + 1, [piece.end + 0.5]])
    best = np.append(piece.best, piece.best[-1])
    known = np.isfinite(best)
    ax.plot(at[known], best[known], drawstyle="steps-post", gid="best", **look)


def _names(
    ax: Axes,
    rounds: Sequence[RoundValues],
    pieces: Sequence[_Piece],
    looks: Sequence[dict[str, Any]],
    way: Sequence[int],
) -> tuple[float, int]:
    """Ids above their bands; the points that they take, and how many had no room."""
    total, size, room = max(1, pieces[-1].end), points(7.5), page_width() - _MARGIN
    texts = [
        f"{text} {shorten(r.note, 16)}".strip()
        for text, r in zip(short_ids([r.id for r in rounds]), rounds, strict=True)
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
        look: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        look |= {"ha": "center", "va": "bottom", "rotation": 90 * turned, "annotation_clip": False}
        ax.annotate(texts[i], place, (0, 3), fontsize=size, color=looks[i]["color"], **look)
    lift = 72 * max((widths[i] for i in shown), default=0) + 5 if turned else 12.0
    return lift, len(pieces) - len(shown)


@drawing
def edf(curves: Mapping[str, npt.ArrayLike], metric: str, direction: str, ax: Axes | None = None) -> Axes:
    """The share of trials at least as good as every value, round by round, with 95 % bootstrap bands.

    The higher of two curves is the better population, for more and for less is better alike. The last round
    is blue, the one before it, its parent, grey; of more than 8 rounds the first and the last 7 are shown. ``curves``
    are label -> (n,) values of a round's finished space-filling trials, the oldest round first.

    Raises:
        AnalysisError: No round, a round without trials or with values that are not finite, or ``direction``
            is neither.

    Source: Radosavovic et al. (2020), 'Designing Network Design Spaces', arXiv:2003.13678, equation 1.
    """
    check_direction(direction)
    rounds = [(label, np.asarray(v, dtype=float).ravel()) for label, v in curves.items()]
    if not rounds:
        raise AnalysisError("edf: no round has a finished space-filling trial yet; run one first")
    left_out = max(0, len(rounds) - _MOST)
    rounds = rounds[:1] + rounds[1 + left_out :]
    sign, c = sign_of(direction), tone()
    measured = [(label, stats.Edf()(sign * v)) for label, v in rounds]
    view, ax = MetricView(np.concatenate([v for _, v in rounds]), direction), axes(ax, 3.3)
    earlier = zip((c.orange, c.green, c.amber, c.pink, c.sky, c.ink), _EDF_DASHES, [1.4] * 6, strict=True)
    looks = [*list(earlier)[: max(0, len(rounds) - 2)], (c.grey, "--", 1.8), (c.blue, "-", 2.2)]
    marks: list[Any] = []
    for (label, curve), (color, dash, width) in zip(measured, looks[-len(rounds) :], strict=True):
        # From the bad end of the view until no trial is left. A step holds up to its value: the share of trials at
        # least as good as what lies before it.
        bad = view.low if sign > 0 else -view.high
        values = curve[0]
        x = sign * np.array([min(bad, values[0]), *values, values[-1]])
        middle, low, high = (np.array([1.0, *v, 0.0]) for v in (curve.better, curve.low, curve.high))
        ax.fill_between(x, low, high, step="pre", color=color, alpha=0.07 * width, linewidth=0)
        look: dict[str, Any] = {"linestyle": dash, "linewidth": width}
        ax.plot(x, middle, color=color, drawstyle="steps-pre", **look)
        marks.append(line_mark(f"{shorten(label, 32)} (n = {curve.n:,})", color, **look))
    metric_axis(ax, view, metric, "x")
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(percents)
    ax.grid()
    ax.set_ylabel("share of trials at least as good")
    ax.set_xlabel(f"{ax.get_xlabel()} ({'better →' if sign > 0 else '← better'})")
    title(ax, f"Distribution of {shorten(metric, 30)}, round by round", note=hidden_note(view))
    # Bad values are reached by nearly all trials. The newest round first, the highest curve where refinement works.
    place: dict[str, Any] = {"loc": "lower left" if sign > 0 else "lower right", "alignment": "left"}
    head = "95 % bands" + (f"; {plural(left_out, 'round')} between left out" if left_out else "")
    box: dict[str, Any] = {"frameon": True, "framealpha": 0.85, "edgecolor": "none"}
    ax.legend(handles=marks[::-1], title=head, title_fontsize=points(8), **place, **box)
    return ax
