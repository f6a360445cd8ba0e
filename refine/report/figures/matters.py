"""Effects of parameters, and the metric over two parameters."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.evidence import GOOD, ParameterEvidence
from refine.analysis.finding import MATTERS
from refine.analysis.levels import Cells, cells_of
from refine.analysis.selection import having
from refine.errors import AnalysisError
from refine.report.figures.axes import NO_VALUES, CellAxis, Ends, cell_axis, label_x, name_of, slant
from refine.report.figures.canvas import (
    Style,
    area_mark,
    axes,
    beside,
    beside_rows,
    clipped,
    dot_mark,
    interval,
    line_mark,
    named_rows,
    shorten,
    title,
)
from refine.report.figures.theme import drawing, lightness, page_width, points, tone
from refine.space.parameters import Parameter
from refine.utils.arrays import Floats, Ints
from refine.utils.format import join, number, p_value, percent, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


_COLOURS = "viridis"  # uniform lightness, for all kinds of colour vision and grey print
_BESIDE = 2.1  # inches of a figure's width for labels and colour bar
# texts on cells, whose colours do not depend on the theme
_ON_LIGHT = "#222222"
_ON_DARK = "white"


@drawing
def correlation(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Ranked chart of the effects of parameters on the metric, in the printed order of importance.

    Ordered parameters show Spearman's rank correlation; unordered ones the square root of epsilon squared,
    without a sign, as a hatched bar with a diamond. Intervals are 95 %. Parameters with q <= 0.1 are
    coloured.
    """
    shown = analysis.ranked
    ax = axes(ax, 1.5 + 0.3 * max(1, len(shown)))
    for row, e in enumerate(shown):
        _effect(ax, row, e, analysis.findings[e.name].verdict == MATTERS)
    ax.axvline(0, color=tone().grey, linewidth=1)
    named_rows(ax, [beside_rows(e.name) for e in shown])
    ax.set_xlim(-1.02, 1.02)
    ax.set_xlabel(f"rank correlation with {shorten(analysis.metric)}; without an order: √ε², no sign")
    marks: list[object] = [line_mark("ordered", marker="o", linewidth=1.4)]
    if any(e.association for e in shown):
        marks.append(line_mark("unordered", marker="D", linewidth=1.4))
    marks += [area_mark("q ≤ 0.1", tone().blue, alpha=0.45), area_mark("no effect detected", tone().light)]
    trials = f"{analysis.n_space_filling:,} trials, 95 % intervals"
    title(ax, f"Effects on {clipped(analysis.metric, 30)} ({trials})", marks)
    return ax


def _effect(ax: Axes, row: int, e: ParameterEvidence, matters: bool) -> None:
    color = tone().light
    edge = tone().grey
    ink = tone().grey
    if matters:
        color = edge = tone().blue
        ink = tone().ink
    marker = "o"
    hatch = None
    if e.correlation is not None:
        estimate, low, high = e.correlation[:3]
    else:
        assert e.association is not None
        estimate = e.effect
        marker = "D"
        hatch = "////"
        low, high = (float(np.sqrt(max(0.0, v))) for v in (e.association.low, e.association.high))
    if np.isfinite(estimate):
        ax.barh(row, estimate, height=0.56, color=color, alpha=0.45, hatch=hatch, edgecolor=edge, linewidth=0)
        ax.plot(estimate, row, marker, color=edge, markersize=5)
        interval(ax, low, high, row, edge)
    beside(ax, row, "never read" if e.read == 0 else f"q {p_value(e.q)}", ink)


@drawing
def pair(
    analysis: Analysis,
    a: str,
    b: str,
    new: Mapping[str, Parameter] | None = None,
    word: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """The median of the metric over two parameters, ``a`` across and ``b`` up, with the top trials.

    Space-filling trials of the round count, a trial between levels at the nearest level, a pruned trial among
    the worst. Light cells are good in either direction; the range of colours leaves out the worst cells if
    these would make all others look alike. A cross is a cell whose median is a pruned or failed trial. The
    area of a dot is the number of trials among the best fifth, the number in the corner that of all trials.
    Ordered axes of more than 12 levels share cells. Choices without an order are sorted by median, the best
    at the right and at the top. Levels kept by ``new`` are outlined.

    Raises:
        AnalysisError: ``a`` and ``b`` are the same parameter.
    """
    analysis = having(analysis, a, b)
    if a == b:
        raise AnalysisError(f"pair: needs two different parameters, got {a!r} twice; name another one")
    sign = analysis.sign
    x, y = (cell_axis(analysis[name], (new or {}).get(name), sign) for name in (a, b))

    def cell_of(table: pd.DataFrame) -> Ints:
        return y.of(table[b].to_numpy()) * x.count + x.of(table[a].to_numpy())

    cells = cells_of(analysis, cell_of, y.count * x.count)
    shape = y.count, x.count
    medians = cells.medians.reshape(shape)
    inches = page_width() - _BESIDE
    rows = y.limits[1] - y.limits[0]
    tall = float(np.interp(rows, [2, 4, 12, 24], [0.62, 0.5, 0.33, 0.2]))
    wide = inches / (x.limits[1] - x.limits[0])
    ax = axes(ax, 1.45 + tall * rows + 0.45 * bool(slant(x, inches)))
    if not np.isfinite(medians).any():
        raise AnalysisError(NO_VALUES)
    ends = _colour_range(medians[np.isfinite(medians)], sign)
    mesh = _mesh(ax, x, y, medians, f"{_COLOURS}{'_r' * (sign < 0)}", ends)
    _marks(ax, mesh, medians, cells, wide, tall)
    _outline(ax, x, y)
    label_x(ax, x, inches)
    ax.set_ylim(*y.limits)
    ax.set_yticks(*y.ticks())
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(name_of(x))
    ax.set_ylabel(name_of(y))
    outside = int(np.sum((medians < ends[0]) | (medians > ends[1])))
    _colour_bar(ax, mesh, analysis, bool(outside), tall * rows / 0.2)
    marks = _legend_of_cells(cells, x, y)
    if x.changed or y.changed:
        marks.append(line_mark(word, tone().blue, linewidth=3))
    name = clipped(join([clipped(n, 20) for n in (a, b)]), 44)
    if not outside:
        title(ax, f"{name}: median {clipped(analysis.metric, 20)}", marks)
        return ax
    # Next to a note there is no room for the metric, which labels the colour bar.
    worst = f"below {number(ends[0], 4)}"
    if sign < 0:
        worst = f"above {number(ends[1], 4)}"
    title(ax, name, marks, note=f"{plural(outside, 'cell')} {worst} in one colour")
    return ax


def _legend_of_cells(cells: Cells, x: CellAxis, y: CellAxis) -> list[Any]:
    """The legend of top trials, of cells without a trial, and of cells whose median trial did not finish."""
    text = f"best {percent(GOOD)}{' with ties' * cells.ties}: area = number, at most {cells.good.max():,}"
    marks: list[Any] = [dot_mark(text, _ON_DARK, markeredgecolor=tone().ink)]
    if not cells.tried.all() or any(v.low or v.high for v in (x, y)):
        marks.append(area_mark("no trial", facecolor=tone().paper, edgecolor=tone().light, hatch="////"))
    if (cells.tried & np.isnan(cells.medians)).any():
        marks.append(dot_mark("median trial unfinished", tone().ink, "x"))
    return marks


def _mesh(ax: Axes, x: CellAxis, y: CellAxis, medians: Floats, colours: str, ends: Ends) -> Any:
    """Coloured cells, hatched without trials."""
    _rectangle(ax, x.limits, y.limits, facecolor=tone().paper, edgecolor=tone().light, hatch="////", zorder=0)
    borders = np.arange(x.count + 1) - 0.5, np.arange(y.count + 1) - 0.5
    style: Style = {"cmap": colours, "vmin": ends[0], "vmax": ends[1], "linewidth": 0.7, "zorder": 1}
    return ax.pcolormesh(*borders, np.ma.masked_invalid(medians), edgecolors=tone().paper, **style)


def _outline(ax: Axes, x: CellAxis, y: CellAxis) -> None:
    """A frame of the kept levels after a change: blue on a light line, visible on all colours."""
    if not (x.changed or y.changed):
        return
    frame: Style = {"fill": False, "joinstyle": "miter", "clip_on": False, "zorder": 4}
    for across, up in product(x.kept(), y.kept()):
        _rectangle(ax, across, up, edgecolor=_ON_DARK, linewidth=5, **frame)
        _rectangle(ax, across, up, edgecolor=tone().blue, linewidth=2.4, **frame)


def _rectangle(ax: Axes, x: Ends, y: Ends, **style: Any) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x[0], y[0]), x[1] - x[0], y[1] - y[0], **{"linewidth": 0, **style}))


def _colour_range(medians: Floats, sign: float) -> Ends:
    """Ends of the colours: the better half of the cells gets at least a third of the range."""
    v = sign * medians
    best = float(v.max())
    middle = float(np.median(v))
    worst = float(v.min())
    # As in MetricView: ties at the top must not magnify rounding.
    reach = max(3 * (best - middle), 0.02 * abs(best))
    if best - reach > worst + 0.01 * reach:  # a smaller cut is not worth a note
        worst = best - reach
    if worst == best:
        worst = best - (0.01 * abs(best) or 1.0)
    low, high = sorted((sign * worst, sign * best))
    return low, high


def _marks(ax: Axes, mesh: Any, medians: Floats, cells: Cells, wide: float, tall: float) -> None:
    """Dots for top trials, crosses for unfinished medians and, with enough room, the number of trials."""
    room = wide >= 0.34 and tall >= 0.24
    across = min(0.42 * wide if room else 0.7 * wide, 0.68 * tall)
    good = cells.good.reshape(medians.shape)
    count = cells.n.reshape(medians.shape)
    i, j = np.nonzero(good)
    sizes = np.maximum(min(72 * across, 17.0) ** 2 * good[i, j] / max(1, good.max()), 5.0)
    ax.scatter(j - 0.2 * room, i, s=sizes, color=_ON_DARK, edgecolor=_ON_LIGHT, linewidth=0.7, zorder=3)
    for row, column in zip(*np.nonzero(np.isfinite(medians) & room), strict=True):
        light = lightness(mesh.cmap(mesh.norm(medians[row, column]))) > 0.5
        style: Style = {"ha": "right", "va": "center", "fontsize": points(7.5), "zorder": 3}
        text = f"{count[row, column]:,}"
        ax.text(column + 0.4, row, text, color=_ON_LIGHT if light else _ON_DARK, **style)
    lost = cells.tried.reshape(medians.shape) & np.isnan(medians)
    cross: Style = {"color": tone().ink, "markersize": 5, "markeredgewidth": 1.1, "zorder": 3}
    ax.plot(*np.nonzero(lost)[::-1], "x", **cross)


def _colour_bar(ax: Axes, mesh: object, analysis: Analysis, cut: bool, aspect: float) -> None:
    figure: Any = ax.get_figure(root=True)
    side = "max"
    better = "lower"
    if analysis.sign > 0:
        side = "min"
        better = "higher"
    if not cut:
        side = "neither"
    bar = figure.colorbar(mesh, ax=ax, extend=side, fraction=0.05, pad=0.02, aspect=aspect)
    bar.outline.set_visible(False)
    bar.set_label(f"median {shorten(analysis.metric, 20)}\n({better} is better)")
