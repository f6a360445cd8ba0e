"""Pairs of parameters: the metric over the levels of two at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import GOOD
from refine.analysis.levels import cells_of
from refine.analysis.selection import having
from refine.errors import AnalysisError
from refine.report.figures.axes import cell_axis, label_x, name_of, slant
from refine.report.figures.canvas import area_mark, axes, dot_mark, line_mark, title
from refine.report.figures.labels import shorten
from refine.report.figures.theme import drawing, lightness, page_width, points, tone
from refine.space.parameters import Parameter
from refine.utils.arrays import Floats, Ints
from refine.utils.format import number, percent, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLOURS = "viridis"  # even in lightness, told apart with every kind of colour vision and in grey print
_BESIDE = 2.1  # inches of a figure's width that are of labels and colour bar
_ON_LIGHT, _ON_DARK = (
    "#222222",
    "white",
)  # letters and frames on cells, whose colours are the same on every ground


@drawing
def pair(
    analysis: Analysis,
    a: str,
    b: str,
    new: Mapping[str, Parameter] | None = None,
    word: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """The median of the metric over the levels of two parameters, with where the good trials lie.

    The round's space-filling trials count, a trial between levels for the nearest and a pruned one as one of the
    worst. Light cells are good, whether more or less of the metric is better; the range of colours leaves out the
    worst cells where they would make all others look alike. A cross is a cell whose median is of a pruned or failed
    trial. A dot's area is the number of trials among the best fifth, the number in the corner that of all trials. Ordered axes of more than 12 levels share cells; choices without an order are sorted by
    their medians, the best at the right and at the top.

    Args:
        analysis: Of :func:`refine.analyze`.
        a: The parameter along the horizontal axis; not fixed.
        b: The one along the vertical axis.
        new: Parameters after a change, a space among them; the levels that stay are outlined. A name that is
            not in it keeps its levels.
        word: What the change is called: ``"proposed"`` or ``"decided"``.
        ax: Axes to draw into.

    Raises:
        AnalysisError: ``a`` and ``b`` are the same.
        KeyError: There is no evidence on one of them.
    """
    analysis = having(analysis, a, b)
    if a == b:
        raise AnalysisError(f"pair: needs two different parameters, got {a!r} twice; name another one")
    x, y = (
        cell_axis(analysis[n], new[n] if new is not None and n in new else None, analysis.sign)
        for n in (a, b)
    )

    def cell_of(table: pd.DataFrame) -> Ints:
        return y.of(table[b].to_numpy()) * x.count + x.of(table[a].to_numpy())

    cells, shape = cells_of(analysis, cell_of, y.count * x.count), (y.count, x.count)
    medians, good = cells.medians.reshape(shape), cells.good.reshape(shape)
    rows, inches = y.limits[1] - y.limits[0], page_width() - _BESIDE
    tall, wide = (
        float(np.interp(rows, [2, 4, 12, 24], [0.62, 0.5, 0.33, 0.2])),
        inches / (x.limits[1] - x.limits[0]),
    )
    ax = axes(ax, 1.45 + tall * rows + 0.45 * bool(slant(x, inches)))
    low, high = _colour_range(medians[np.isfinite(medians)], analysis.sign)
    _rectangle(ax, x.limits, y.limits, facecolor=tone().paper, edgecolor=tone().light, hatch="////", zorder=0)
    mesh = ax.pcolormesh(
        np.arange(x.count + 1) - 0.5,
        np.arange(y.count + 1) - 0.5,
        np.ma.masked_invalid(medians),
        cmap=_COLOURS if analysis.sign > 0 else f"{_COLOURS}_r",
        vmin=low,
        vmax=high,
        edgecolors=tone().paper,
        linewidth=0.7,
        zorder=1,
    )
    room = wide >= 0.34 and tall >= 0.24
    across = min(0.42 * wide if room else 0.7 * wide, 0.68 * tall)
    _marks(ax, mesh, medians, cells.n.reshape(shape), good, room, across)
    lost = np.nonzero(cells.tried.reshape(shape) & np.isnan(medians))  # the median is of none that finished
    ax.plot(lost[1], lost[0], "x", color=tone().ink, markersize=5, markeredgewidth=1.1, zorder=3)
    outside = int(np.sum((medians < low) | (medians > high)))
    _colour_bar(ax, mesh, analysis, bool(outside), tall * rows / 0.2)
    text = f"best {percent(GOOD)}{' with ties' if cells.ties else ''}: area = number, at most {good.max():,}"
    marks: list[Any] = [dot_mark(text, _ON_DARK, markeredgecolor=tone().ink)]
    if np.isnan(medians).sum() > len(lost[0]) or any(v.low or v.high for v in (x, y)):
        marks.append(area_mark("no trial", facecolor=tone().paper, edgecolor=tone().light, hatch="////"))
    if len(lost[0]):
        marks.append(dot_mark("median unfinished", tone().ink, "x"))
    if any(v.new is not None and v.new != v.evidence.parameter for v in (x, y)):
        for across_x in x.kept():
            for across_y in y.kept():  # amber on a dark line, which is seen on every colour
                for color, width in ((_ON_LIGHT, 4.2), (tone().amber, 2.4)):
                    frame: dict[str, Any] = {"fill": False, "joinstyle": "miter", "clip_on": False}
                    _rectangle(ax, across_x, across_y, edgecolor=color, linewidth=width, zorder=4, **frame)
        marks.append(line_mark(word, tone().amber, linewidth=3))
    label_x(ax, x, inches)
    ax.set_ylim(*y.limits)
    ax.set_yticks(*y.ticks())
    ax.set_xlabel(name_of(x))
    ax.set_ylabel(name_of(y))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    end, side = (low, "below") if analysis.sign > 0 else (high, "above")
    note = f"{plural(outside, 'cell')} {side} {number(end, 4)} in one colour" if outside else ""
    name = shorten(f"{shorten(a, 20)} and {shorten(b, 20)}", 44)
    # Beside a note there is no room for the metric, which stands at the colours anyway.
    title(ax, name if note else f"{name}: median {shorten(analysis.metric, 20)}", marks, note=note)
    return ax


def _rectangle(ax: Axes, x: tuple[float, float], y: tuple[float, float], **look: Any) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x[0], y[0]), x[1] - x[0], y[1] - y[0], **{"linewidth": 0, **look}))


def _colour_range(medians: Floats, sign: float) -> tuple[float, float]:
    """Ends of the colours: the better half of the cells gets at least a third of them."""
    v = sign * medians
    best, middle, worst = float(v.max()), float(np.median(v)), float(v.min())
    # As in MetricView: ties at the top are no reason to magnify rounding.
    reach = max(3 * (best - middle), 0.02 * abs(best))
    if best - reach > worst + 0.01 * reach:  # for less nothing is cut off
        worst = best - reach
    if worst == best:
        worst = best - (0.01 * abs(best) or 1.0)
    low, high = sorted((sign * worst, sign * best))
    return low, high


def _marks(ax: Axes, mesh: Any, medians: Floats, count: Ints, good: Ints, room: bool, across: float) -> None:
    """Dots for good trials and, where there is room, the number of all trials."""
    i, j = np.nonzero(good)
    sizes = np.maximum(min(72 * across, 17.0) ** 2 * good[i, j] / max(1, good.max()), 5.0)
    ax.scatter(j - 0.2 * room, i, s=sizes, color=_ON_DARK, edgecolor=_ON_LIGHT, linewidth=0.7, zorder=3)
    for row, column in zip(*np.nonzero(np.isfinite(medians) & room), strict=True):
        light = lightness(mesh.cmap(mesh.norm(medians[row, column]))) > 0.5
        look: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": points(7.5), "zorder": 3}
        text = f"{count[row, column]:,}"
        ax.text(column + 0.4, row, text, color=_ON_LIGHT if light else _ON_DARK, **look)


def _colour_bar(ax: Axes, mesh: Any, analysis: Analysis, cut: bool, aspect: float) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    side = "neither" if not cut else "min" if analysis.sign > 0 else "max"
    bar = figure.colorbar(mesh, ax=ax, extend=side, fraction=0.05, pad=0.02, aspect=aspect)
    bar.outline.set_visible(False)  # type: ignore[operator]
    better = "higher" if analysis.sign > 0 else "lower"
    bar.set_label(f"median {shorten(analysis.metric, 20)}\n({better} is better)")
