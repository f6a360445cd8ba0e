"""Parallel coordinates: every trial a line over all parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import read_at
from refine.analysis.evidence import GOOD, ParameterEvidence
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import candidates, first_where_absent, space_filling_trials
from refine.errors import AnalysisError
from refine.report.figures.cells import CellAxis, cell_axis
from refine.report.figures.look import narrow, page_width, points, present, style, tone
from refine.report.figures.style import axes, fitted, line_mark, shorten, spread, told_apart
from refine.report.figures.style import title as set_title
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Floats
from refine.utils.format import number, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST = 10
"""Parameters that are shown where none are named."""

_OTHERS = 300  # lines of other trials
_GOOD = 120  # lines of good ones
_LABELS = 8  # levels of one axis that are named


class _Upright(NamedTuple):
    """One upright axis.

    Attributes:
        name: What stands above it.
        at: (trials,) heights in [0, 1].
        ticks: Heights that are named.
        labels: Their names.
        kept: Runs of heights that stay after a change; empty where nothing changes.
        beyond: Where the range grows: height of the end and its new value in words.
    """

    name: str
    at: Floats
    ticks: Floats
    labels: Sequence[str]
    kept: Sequence[tuple[float, float]] = ()
    beyond: Sequence[tuple[float, str]] = ()


def parallel(
    analysis: Analysis,
    names: Sequence[str] | None = None,
    top: float = GOOD,
    new: Mapping[str, Parameter] | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """Every trial as a line over the parameters and the metric, the good ones in colour above the others.

    Parameters stand in the order of what is known of them, the clearest first, on their declared scales; the metric
    stands last, better upwards. Trials at one level spread a little around it, so that their number shows. At most
    300 other and 120 good trials are drawn, evenly spread over the table; the legend counts all. The round's
    finished space-filling trials count, and of these degenerate ones only where one may be best. A line has a gap where
    its trial did not read the parameter.

    Args:
        analysis: Of :func:`refine.analyze`.
        names: Which parameters, in this order; default the first 10 by what is known of them.
        top: Share of the trials that counts as good, in (0, 1).
        new: Parameters after a change, a space among them; what stays is marked on their axes.
        label: What the change is called.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: ``top`` is no share, no name is given or one twice.
        KeyError: There is no evidence on a name.
    """
    if isinstance(top, bool) or not isinstance(top, int | float) or not 0 < top < 1:
        raise AnalysisError(
            f"parallel: top must lie between 0 and 1, the share of trials that are good, got {top!r}"
        )
    with style():
        chosen = _chosen(analysis, names)
    table, y = space_filling_trials(analysis)
    keep = candidates(analysis, table)
    table, y = table[keep], y[keep]
    view = MetricView(y, analysis.direction)
    good = stats.top_mask(analysis.sign * y, float(top))
    with style():
        table = first_where_absent(analysis, table)
        uprights = [_upright(e, table[e.name].to_numpy(), new, analysis.sign, len(chosen)) for e in chosen]
        read = read_at(
            analysis.parameters, {n: table[n].to_numpy() for n in (e.name for e in analysis.parameters)}
        )
        uprights = [
            u._replace(at=np.where(read[e.name], u.at, np.nan)) if e.name in read else u
            for e, u in zip(chosen, uprights, strict=True)
        ]
        uprights.append(_metric(analysis, y, view))
        return _draw(analysis, uprights, good, y, (float(top), label, view, names is None), ax)


def _chosen(analysis: Analysis, names: Sequence[str] | None) -> list[ParameterEvidence]:
    if names is None:
        return list(analysis.ranked[: MOST * 3 // 5 if narrow() else MOST])
    if isinstance(names, str) or not len(names):
        raise AnalysisError(f"parallel: names must be a list of parameters, got {names!r}; write [{names!r}]")
    twice = [name for i, name in enumerate(names) if name in list(names)[:i]]
    if twice:
        raise AnalysisError(f"parallel: needs different parameters, got {twice[0]!r} twice; leave one out")
    return [analysis[name] for name in names]


def _upright(
    e: ParameterEvidence, values: Any, new: Mapping[str, Parameter] | None, sign: float, count: int
) -> _Upright:
    p = e.parameter
    after = new[e.name] if new is not None and e.name in new else None
    letters = int(page_width() / (count + 1) / 0.07) - 2
    if p.ordered:
        levels = np.linspace(0.0, 1.0, p.size) if not isinstance(p, Range) else p.unit(np.asarray(p.grid))
        at = p.unit(values)
        if not isinstance(p, Range):  # the middle of its share of the axis; its ends lie on the frame
            at = (at * p.size - 0.5) / max(1, p.size - 1)
        cells = cell_axis(e, after, sign, most=p.size)
    else:
        cells = cell_axis(e, after, sign, most=max(_LABELS, p.size), letters=40, by_median=True)
        levels = (np.arange(cells.count) + 0.5) / cells.count
        at = levels[cells.of(values)]
    most = max(6, letters)
    labels = told_apart(cells.labels, most)
    if p.numeric:  # a number can't be shortened in its middle
        labels = [text if len(text) <= most else f"{float(text):.2g}" for text in cells.labels]
    gap = float(np.diff(levels).min()) if len(levels) > 1 else 1.0
    on = np.abs(at[:, None] - levels[None, :]).min(axis=1).max() < 1e-6 if len(at) else True
    if on and gap > 0.02:  # so that lines at one level don't hide each other
        at = np.clip(at + min(0.5 * gap, 0.1) * (_shuffled(len(at), e.name) - 0.5), 0.0, 1.0)
    shown = _named(len(levels)) if p.ordered else np.arange(len(levels))
    name = f"{e.name} (log)" if isinstance(p, Range) and p.log else e.name
    kept, beyond = _kept(e, after, cells, levels)
    return _Upright(name, at, levels[shown], [labels[i] for i in shown], kept, beyond)


def _named(count: int) -> npt.NDArray[np.int64]:
    """Which levels of an ordered axis are named: at equal steps where there are such, and both ends."""
    if count <= _LABELS:
        return np.arange(count)
    space_filling = [n for n in range(_LABELS, 3, -1) if (count - 1) % (n - 1) == 0]
    return np.rint(np.linspace(0, count - 1, space_filling[0] if space_filling else _LABELS - 2)).astype(
        np.int64
    )


def _kept(
    e: ParameterEvidence, new: Parameter | None, cells: CellAxis, levels: Floats
) -> tuple[list[tuple[float, float]], list[tuple[float, str]]]:
    """What stays, as runs of heights, and where the range grows."""
    old = e.parameter
    if new is None or new == old:
        return [], []
    if isinstance(old, Range) and isinstance(new, Range):
        edges = np.clip(new.edges(), *old.edges())
        low, high = (float(v) for v in old.unit(edges))
        beyond = [(-0.035, f"to {number(new.low)}")] * (new.low < old.low)
        beyond += [(1.035, f"to {number(new.high)}")] * (new.high > old.high)
        return [(low - 0.02 * (new.low < old.low), high + 0.02 * (new.high > old.high))], beyond
    # Cell i reaches half-way to its neighbours.
    borders = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    at = np.arange(cells.count + 1) - 0.5
    return [(float(np.interp(a, at, borders)), float(np.interp(b, at, borders))) for a, b in cells.kept()], []


def _metric(analysis: Analysis, y: Floats, view: MetricView) -> _Upright:
    from matplotlib.ticker import MaxNLocator

    low, high = (float(v) for v in view.forward([view.low, view.high]))
    at = np.clip((view.forward(y) - low) / (high - low), 0.0, 1.0)
    ticks = np.array(MaxNLocator(5).tick_values(low, high))
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    labels = [number(float(v), 4) for v in view.back(ticks)]
    places = (ticks - low) / (high - low)
    if analysis.sign < 0:  # better upwards
        at, places = 1 - at, 1 - places
    return _Upright(f"{analysis.metric}{' (log)' if view.log else ''}", at, places, labels)


def _shuffled(count: int, name: str) -> Floats:
    """Numbers in [0, 1) that look random, differ between axes and are the same every time."""
    seed = sum(ord(letter) * (i + 1) for i, letter in enumerate(name)) % 997
    return np.asarray((spread(count) * (seed + 2)) % 1.0)


def _draw(
    analysis: Analysis,
    uprights: Sequence[_Upright],
    good: npt.NDArray[np.bool_],
    y: Floats,
    rest: tuple[float, str, MetricView, bool],
    ax: Axes | None,
) -> Axes:
    from matplotlib.collections import LineCollection

    top, label, view, default = rest
    ax = axes(ax, 4.2)
    places = np.column_stack([u.at for u in uprights])
    at = np.arange(len(uprights))
    best = int(np.argmax(analysis.sign * y))
    other = _some(np.flatnonzero(~good), _OTHERS)
    shown = _some(np.flatnonzero(good), _GOOD)
    for rows, colour, width, alpha, order in (
        (other, tone().grey, 0.5, 0.35, 1),
        (shown, tone().blue, 0.9, 0.55, 2),
        (np.array([best]), tone().orange, 2.0, 1.0, 3),
    ):
        lines = [np.column_stack([at, places[row]]) for row in rows]
        drawn = LineCollection(lines, colors=colour, linewidths=width, alpha=alpha, zorder=order)
        ax.add_collection(drawn)
    marked = any(u.kept for u in uprights)
    for x, upright in enumerate(uprights):
        _axis(ax, x, upright, last=x == len(uprights) - 1)
    ax.set_xlim(-0.45, len(uprights) - 0.45)
    ax.set_ylim(-0.07, 1.07)
    ax.set_xticks(at, [])
    ax.set_yticks([])
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    _names(ax, uprights)
    ties = ", with ties" if good.sum() > 1.1 * top * len(good) + 1 else ""
    marks: list[Any] = [
        line_mark("best trial", tone().orange, linewidth=2),
        line_mark(_counted(f"best {percent(top)}{ties}", good.sum(), len(shown)), tone().blue, linewidth=1.4),
    ]
    if len(other):
        text = _counted("others", (~good).sum(), len(other))
        marks.append(line_mark(text, tone().grey, linewidth=1))
    if marked:
        marks.append(line_mark(label, tone().amber, linewidth=5, alpha=0.8))
    left = len(analysis.parameters) - len(uprights) + 1
    notes = [f"{plural(left, 'parameter')} of less effect left out"] if default and left else []
    notes += [f"{plural(view.hidden, 'trial')} {view.side} the axis"] if view.hidden else []
    set_title(ax, f"Where {shorten(analysis.metric, 24)} is best", marks, note="; ".join(notes))
    return ax


def _axis(ax: Axes, x: int, upright: _Upright, last: bool) -> None:
    ax.plot([x, x], [0, 1], color=tone().ink, linewidth=1.0, zorder=4)
    for low, high in upright.kept:
        ax.plot(
            [x, x], [low, high], color=tone().amber, linewidth=6, alpha=0.8, solid_capstyle="butt", zorder=3.5
        )
    box = {"facecolor": tone().paper, "alpha": 0.85, "edgecolor": "none", "pad": 0.6}
    for place, text in zip(upright.ticks, upright.labels, strict=True):
        ax.plot([x - 0.035, x + 0.035], [place, place], color=tone().ink, linewidth=0.8, zorder=4)
        side: dict[str, Any] = {"ha": "left" if last else "right", "va": "center"}
        ax.text(x + (0.07 if last else -0.07), place, text, fontsize=points(7), bbox=box, zorder=5, **side)
    for place, text in upright.beyond:
        ax.text(
            x, place, text, fontsize=points(7), ha="center", va="bottom" if place > 1 else "top", zorder=5
        )


def _some(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most so many rows, evenly spread over the table."""
    if len(rows) <= most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)])


def _counted(text: str, count: int, drawn: int) -> str:
    return f"{text} ({int(count):,}{f', {drawn} drawn' if drawn < count else ''})"


def _names(ax: Axes, uprights: Sequence[_Upright]) -> None:
    """Names below the axes: upright on a few lines where every part of them has room, else slanted."""
    foot = -0.1 if any(place < 0 for u in uprights for place, _ in u.beyond) else -0.05
    size, last = points(8.5), len(uprights) - 1
    step = 0.95 * (present().width - 0.2) / len(uprights)
    texts = [fitted(u.name, step, size, lines=3, bold=x == last, least=1) for x, u in enumerate(uprights)]
    fit = not any("…" in text for text in texts)
    side: dict[str, Any] = (
        {"ha": "center"} if fit else {"ha": "right", "rotation": 30, "rotation_mode": "anchor"}
    )
    for x, (text, upright) in enumerate(zip(texts, uprights, strict=True)):
        shown = text if fit else shorten(upright.name, 28)
        weight = "bold" if x == last else "normal"
        ax.text(x, foot, shown, va="top", fontsize=size, fontweight=weight, **side)
