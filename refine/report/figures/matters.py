"""What matters: effects of parameters in one study and in two, and trials as lines over all parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import read_at
from refine.analysis.evidence import GOOD, ParameterEvidence
from refine.analysis.finding import MATTERS
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import candidates, first_where_absent, space_filling_trials
from refine.errors import AnalysisError
from refine.report.figures.axes import CellAxis, cell_axis
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import beside_rows, fitted, shorten, told_apart
from refine.report.figures.marks import area_mark, beside, interval, line_mark, named_rows, spread, thinned
from refine.report.figures.theme import drawing, narrow, page_width, points, present, tone
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Floats
from refine.utils.format import number, p_value, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST = 10  # parameters that are shown where none are named
_OTHERS, _GOOD = 300, 120  # lines that are drawn
_LABELS = 8  # levels of one axis that are named


@drawing
def correlation(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Ranked chart of what each parameter has to do with the metric.

    Parameters with an order show Spearman's rank correlation, those without the square root of epsilon
    squared, which has no sign, as a hatched bar with a diamond; both with 95 % intervals. Parameters with
    q <= 0.1 are coloured.
    """
    shown = analysis.ranked
    ax = axes(ax, 1.5 + 0.3 * max(1, len(shown)))
    for row, e in enumerate(shown):
        _effect(ax, row, e, analysis.findings[e.name].verdict == MATTERS)
    metric = shorten(analysis.metric)
    _effect_axis(
        ax, [e.name for e in shown], f"rank correlation with {metric}; without an order: √ε², no sign"
    )
    marks: list[Any] = [line_mark("ordered", marker="o", linewidth=1.4)]
    if any(e.association for e in shown):
        marks.append(line_mark("unordered", marker="D", linewidth=1.4))
    marks += [area_mark("q ≤ 0.1", tone().blue, alpha=0.45), area_mark("no effect seen", tone().light)]
    trials = f"{analysis.n_space_filling:,} trials, 95 % intervals"
    title(ax, f"What {shorten(analysis.metric, 18)} depends on ({trials})", marks)
    return ax


def _effect(ax: Axes, row: int, e: ParameterEvidence, matters: bool) -> None:
    color, edge = (tone().blue, tone().blue) if matters else (tone().light, tone().grey)
    if e.correlation is not None:
        (at, low, high), marker, hatch = e.correlation[:3], "o", None
    else:
        assert e.association is not None
        at, marker, hatch = e.effect, "D", "////"
        low, high = (float(np.sqrt(max(0.0, v))) for v in (e.association.low, e.association.high))
    if np.isfinite(at):
        ax.barh(row, at, height=0.56, color=color, alpha=0.45, hatch=hatch, edgecolor=edge, linewidth=0)
        ax.plot(at, row, marker, color=edge, markersize=5)
        interval(ax, low, high, row, edge)
    note = "never read" if e.read == 0 else f"q {p_value(e.q)}"
    beside(ax, row, note, tone().ink if matters else tone().grey)


def _effect_axis(ax: Axes, names: Sequence[str], label: str) -> None:
    ax.axvline(0, color=tone().grey, linewidth=1)
    named_rows(ax, [beside_rows(name) for name in names])
    ax.set_xlim(-1.02, 1.02)
    ax.set_xlabel(label)


class _Upright(NamedTuple):
    """One upright axis."""

    name: str
    at: Floats  # (trials,) heights in [0, 1]
    ticks: Floats  # heights that are named
    labels: Sequence[str]
    kept: Sequence[tuple[float, float]] = ()  # runs of heights that stay after a change
    beyond: Sequence[tuple[float, str]] = ()  # where the range grows: height of the end and its new value


@drawing
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
    its trial did not read the parameter. ``names`` are parameters in the order wanted, by default the first 10; ``top``,
    in (0, 1), is the share of the trials that counts as good; what stays of the parameters in ``new`` is marked.

    Raises:
        AnalysisError: ``top`` is no share, no name is given or one twice.
    """
    from matplotlib.collections import LineCollection

    if isinstance(top, bool) or not isinstance(top, int | float) or not 0 < top < 1:
        raise AnalysisError(
            f"parallel: top must lie between 0 and 1, the share of trials that are good, got {top!r}"
        )
    chosen = _chosen(analysis, names)
    table, y = space_filling_trials(analysis)
    keep = candidates(analysis, table)
    table, y = first_where_absent(analysis, table[keep]), y[keep]
    view, good = MetricView(y, analysis.direction), stats.top_mask(analysis.sign * y, float(top))
    read = read_at(analysis.parameters, {e.name: table[e.name].to_numpy() for e in analysis.parameters})
    uprights = []
    for e in chosen:
        after = new[e.name] if new is not None and e.name in new else None
        upright = _upright(e, table[e.name].to_numpy(), after, analysis.sign, len(chosen))
        uprights.append(upright._replace(at=np.where(read.get(e.name, True), upright.at, np.nan)))
    uprights.append(_metric(analysis, y, view))
    ax = axes(ax, 4.2)
    heights, at = np.column_stack([u.at for u in uprights]), np.arange(len(uprights))
    other, shown = thinned(~good, _OTHERS), thinned(good, _GOOD)
    for rows, colour, width, alpha, order in (
        (other, tone().grey, 0.5, 0.35, 1),
        (shown, tone().blue, 0.9, 0.55, 2),
        ([int(np.argmax(analysis.sign * y))], tone().orange, 2.0, 1.0, 3),
    ):
        lines = [np.column_stack([at, heights[row]]) for row in rows]
        ax.add_collection(LineCollection(lines, colors=colour, linewidths=width, alpha=alpha, zorder=order))
    for x, upright in enumerate(uprights):
        _axis(ax, x, upright, last=x == len(uprights) - 1)
    ax.set(xlim=(-0.45, len(uprights) - 0.45), ylim=(-0.07, 1.07), yticks=[])
    ax.set_xticks(at, [])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    _names(ax, uprights)
    ties = ", with ties" if good.sum() > 1.1 * top * len(good) + 1 else ""
    marks: list[Any] = [
        line_mark("best trial", tone().orange, linewidth=2),
        line_mark(
            _counted(f"best {percent(float(top))}{ties}", good.sum(), len(shown)), tone().blue, linewidth=1.4
        ),
    ]
    if len(other):
        marks.append(line_mark(_counted("others", (~good).sum(), len(other)), tone().grey, linewidth=1))
    if any(u.kept for u in uprights):
        marks.append(line_mark(label, tone().amber, linewidth=5, alpha=0.8))
    left = len(analysis.parameters) - len(chosen)
    notes = [f"{plural(left, 'parameter')} of less effect left out"] if names is None and left else []
    notes += [f"{plural(view.hidden, 'trial')} {view.side} the axis"] if view.hidden else []
    title(ax, f"Where {shorten(analysis.metric, 24)} is best", marks, note="; ".join(notes))
    return ax


def _chosen(analysis: Analysis, names: Sequence[str] | None) -> list[ParameterEvidence]:
    if names is None:
        return list(analysis.ranked[: MOST * 3 // 5 if narrow() else MOST])
    if isinstance(names, str) or not len(names):
        raise AnalysisError(f"parallel: names must be a list of parameters, got {names!r}; write [{names!r}]")
    twice = [name for i, name in enumerate(names) if name in list(names)[:i]]
    if twice:
        raise AnalysisError(f"parallel: needs different parameters, got {twice[0]!r} twice; leave one out")
    return [analysis[name] for name in names]


def _upright(e: ParameterEvidence, values: Any, new: Parameter | None, sign: float, count: int) -> _Upright:
    p = e.parameter
    if p.ordered:
        levels = np.linspace(0.0, 1.0, p.size) if not isinstance(p, Range) else p.unit(np.asarray(p.grid))
        at = p.unit(values)
        if not isinstance(p, Range):  # the middle of its share of the axis; its ends lie on the frame
            at = (at * p.size - 0.5) / max(1, p.size - 1)
        cells = cell_axis(e, new, sign, most=p.size)
    else:
        cells = cell_axis(e, new, sign, most=max(_LABELS, p.size), letters=40)
        levels = (np.arange(cells.count) + 0.5) / cells.count
        at = levels[cells.of(values)]
    most = max(6, int(page_width() / (count + 1) / 0.07) - 2)
    labels = told_apart(cells.labels, most)
    if p.numeric:  # a number can't be shortened in its middle
        labels = [text if len(text) <= most else f"{float(text):.2g}" for text in cells.labels]
    gap = float(np.diff(levels).min()) if len(levels) > 1 else 1.0
    on = np.abs(at[:, None] - levels[None, :]).min(axis=1).max() < 1e-6 if len(at) else True
    if on and gap > 0.02:  # so that lines at one level don't hide each other, another way on every axis
        seed = sum(ord(letter) * (i + 1) for i, letter in enumerate(e.name)) % 997
        jitter = (spread(len(at)) * (seed + 2)) % 1.0 - 0.5
        at = np.clip(at + min(0.5 * gap, 0.1) * jitter, 0.0, 1.0)
    shown = _named(len(levels)) if p.ordered else np.arange(len(levels))
    name = f"{e.name} (log)" if isinstance(p, Range) and p.log else e.name
    return _Upright(name, at, levels[shown], [labels[i] for i in shown], *_kept(p, new, cells, levels))


def _named(count: int) -> npt.NDArray[np.int64]:
    """Which levels of an ordered axis are named: at equal steps where there are such, and both ends."""
    if count <= _LABELS:
        return np.arange(count)
    equal = [n for n in range(_LABELS, 3, -1) if (count - 1) % (n - 1) == 0]
    return np.rint(np.linspace(0, count - 1, equal[0] if equal else _LABELS - 2)).astype(np.int64)


def _kept(
    old: Parameter, new: Parameter | None, cells: CellAxis, levels: Floats
) -> tuple[list[tuple[float, float]], list[tuple[float, str]]]:
    """What stays, as runs of heights, and where the range grows."""
    if new is None or new == old:
        return [], []
    if isinstance(old, Range) and isinstance(new, Range):
        low, high = (float(v) for v in old.unit(np.clip(new.edges(), *old.edges())))
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
    places = (ticks - low) / (high - low)
    if analysis.sign < 0:  # better upwards
        at, places = 1 - at, 1 - places
    labels = [number(float(v), 4) for v in view.back(ticks)]
    return _Upright(f"{analysis.metric}{' (log)' if view.log else ''}", at, places, labels)


def _axis(ax: Axes, x: int, upright: _Upright, last: bool) -> None:
    ax.plot([x, x], [0, 1], color=tone().ink, linewidth=1.0, zorder=4)
    kept: dict[str, Any] = {"color": tone().amber, "linewidth": 6, "alpha": 0.8, "solid_capstyle": "butt"}
    for run in upright.kept:
        ax.plot([x, x], run, zorder=3.5, **kept)
    box = {"facecolor": tone().paper, "alpha": 0.85, "edgecolor": "none", "pad": 0.6}
    side: dict[str, Any] = {"ha": "left" if last else "right", "va": "center", "bbox": box}
    small: dict[str, Any] = {"fontsize": points(7), "zorder": 5}
    for height, text in zip(upright.ticks, upright.labels, strict=True):
        ax.plot([x - 0.035, x + 0.035], [height, height], color=tone().ink, linewidth=0.8, zorder=4)
        ax.text(x + (0.07 if last else -0.07), height, text, **side, **small)
    for height, text in upright.beyond:
        ax.text(x, height, text, ha="center", va="bottom" if height > 1 else "top", **small)


def _counted(text: str, count: int, drawn: int) -> str:
    return f"{text} ({int(count):,}{f', {drawn} drawn' if drawn < count else ''})"


def _names(ax: Axes, uprights: Sequence[_Upright]) -> None:
    """Names below the axes: upright on a few lines where every part of them has room, else slanted."""
    foot = -0.1 if any(height < 0 for u in uprights for height, _ in u.beyond) else -0.05
    size, last = points(8.5), len(uprights) - 1
    step = 0.95 * (present().width - 0.2) / len(uprights)
    texts = [fitted(u.name, step, size, lines=3, bold=x == last, least=1) for x, u in enumerate(uprights)]
    side: dict[str, Any] = {"ha": "center"}
    if any("…" in text for text in texts):
        texts = [shorten(u.name, 28) for u in uprights]
        side = {"ha": "right", "rotation": 30, "rotation_mode": "anchor"}
    for x, text in enumerate(texts):
        ax.text(x, foot, text, va="top", fontsize=size, fontweight="bold" if x == last else "normal", **side)
