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
from refine.report.figures.axes import CellAxis, cell_axis, label_x, name_of, slant
from refine.report.figures.canvas import axes, panels, title
from refine.report.figures.labels import shorten
from refine.report.figures.marks import area_mark, dot_mark, line_mark
from refine.report.figures.theme import drawing, lightness, narrow, page_width, points, tone
from refine.space.parameters import Parameter
from refine.utils.arrays import Floats, Ints
from refine.utils.format import join, number, percent, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLOURS = "viridis"  # even in lightness, told apart with every kind of colour vision and in grey print
_PANELS = 4  # of a third parameter
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
    *,
    by: str | None = None,
) -> Any:
    """The median of the metric over the levels of two parameters, ``a`` across and ``b`` up, with where the good trials lie.

    The round's space-filling trials count, a trial between levels for the nearest and a pruned one as one of the
    worst. Light cells are good, whether more or less of the metric is better; the range of colours leaves out the
    worst cells where they would make all others look alike. A cross is a cell whose median is of a pruned or failed
    trial. A dot's area is the number of trials among the best fifth, the number in the corner that of all trials.
    Ordered axes of more than 12 levels share cells; choices without an order are sorted by their medians, the best at
    the right and at the top. With ``by``, a third parameter, each of its levels has a panel, at most four; the axes are an
    array then. The levels that stay of what is in ``new`` are outlined.

    Raises:
        AnalysisError: Two of the parameters are the same, or ``by`` and ``ax`` are given.
    """
    names = [a, b] if by is None else [a, b, by]
    analysis = having(analysis, *names)
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise AnalysisError(f"pair: needs two different parameters, got {twice[0]!r} twice; name another one")
    if by is not None and ax is not None:
        raise AnalysisError(
            "pair: by makes a figure of several panels, but ax gives one of them; leave one out"
        )
    sign, changes = analysis.sign, [None if new is None or n not in new else new[n] for n in (a, b)]
    x, y = (cell_axis(analysis[n], change, sign) for n, change in zip((a, b), changes, strict=True))
    z = (
        None
        if by is None
        else cell_axis(analysis[by], None, sign, most=_PANELS, by_median=False, others=True)
    )
    shape = (1 if z is None else z.count, y.count, x.count)

    def cell_of(table: pd.DataFrame) -> Ints:
        panel = 0 if z is None else z.of(table[z.evidence.name].to_numpy())
        return (panel * y.count + y.of(table[b].to_numpy())) * x.count + x.of(table[a].to_numpy())

    cells = cells_of(analysis, cell_of, int(np.prod(shape)))
    medians, good, count = cells.medians.reshape(shape), cells.good.reshape(shape), cells.n.reshape(shape)
    lost = cells.tried.reshape(shape) & np.isnan(medians)  # the median is of none that finished
    beside = shape[0] if z is not None and not narrow() else 1
    inches = (page_width() - _BESIDE) / beside
    rows, columns = y.limits[1] - y.limits[0], x.limits[1] - x.limits[0]
    tall, wide = float(np.interp(rows, [2, 4, 12, 24], [0.62, 0.5, 0.33, 0.2])), inches / columns
    height = 1.45 + (tall * rows + 0.45 * bool(slant(x, inches)) + 0.3 * (z is not None)) * (
        shape[0] // beside
    )
    drawn = (
        np.array([axes(ax, height)]) if z is None else panels(shape[0] // beside, beside, height, sharey=True)
    )
    room = wide >= 0.34 and tall >= 0.24
    across = min(0.42 * wide if room else 0.7 * wide, 0.68 * tall)
    low, high = _colour_range(medians[np.isfinite(medians)], sign)
    changed = any(v.new is not None and v.new != v.evidence.parameter for v in (x, y))
    for k, panel in enumerate(drawn.flat):
        mesh = _mesh(panel, x, y, medians[k], f"{_COLOURS}{'_r' * (sign < 0)}", (low, high))
        _marks(panel, mesh, medians[k], count[k], good[k], good.max(), room, across)
        panel.plot(
            *np.nonzero(lost[k])[::-1], "x", color=tone().ink, markersize=5, markeredgewidth=1.1, zorder=3
        )
        if changed:
            _outline(panel, x, y)
        label_x(panel, x, inches)
        panel.set_ylim(*y.limits)
        panel.set_yticks(*y.ticks())
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        if k >= len(drawn.flat) - beside:
            panel.set_xlabel(name_of(x))
        if k % beside == 0:
            panel.set_ylabel(name_of(y))
        if z is not None:
            panel.set_title(
                f"{shorten(z.evidence.name, 16)} = {z.labels[k]}", fontsize=points(8.5), fontweight="normal"
            )
    outside = int(np.sum((medians < low) | (medians > high)))
    _colour_bar(drawn, mesh, analysis, bool(outside), tall * rows / 0.2)
    text = f"best {percent(GOOD)}{' with ties' if cells.ties else ''}: area = number, at most {good.max():,}"
    marks: list[Any] = [dot_mark(text, _ON_DARK, markeredgecolor=tone().ink)]
    if np.isnan(medians).sum() > lost.sum() or any(v.low or v.high for v in (x, y)):
        marks.append(area_mark("no trial", facecolor=tone().paper, edgecolor=tone().light, hatch="////"))
    if lost.any():
        marks.append(dot_mark("median unfinished", tone().ink, "x"))
    if changed:
        marks.append(line_mark(word, tone().amber, linewidth=3))
    end, side = (low, "below") if sign > 0 else (high, "above")
    note = f"{plural(outside, 'cell')} {side} {number(end, 4)} in one colour" if outside else ""
    name = shorten(join([shorten(n, 20) for n in names]), 44)
    # Beside a note there is no room for the metric, which stands at the colours anyway.
    text = name if note else f"{name}: median {shorten(analysis.metric, 20)}"
    title(drawn.flat[0], text, marks, note=note, lift=0.0 if z is None else points(14))
    return drawn if z is not None else drawn.flat[0]


def _mesh(
    ax: Axes, x: CellAxis, y: CellAxis, medians: Floats, colours: str, ends: tuple[float, float]
) -> Any:
    """Cells in colour, hatched where nothing ran."""
    _rectangle(ax, x.limits, y.limits, facecolor=tone().paper, edgecolor=tone().light, hatch="////", zorder=0)
    borders = np.arange(x.count + 1) - 0.5, np.arange(y.count + 1) - 0.5
    look: dict[str, Any] = {"cmap": colours, "vmin": ends[0], "vmax": ends[1], "linewidth": 0.7, "zorder": 1}
    return ax.pcolormesh(*borders, np.ma.masked_invalid(medians), edgecolors=tone().paper, **look)


def _outline(ax: Axes, x: CellAxis, y: CellAxis) -> None:
    """What stays, framed: amber on a dark line, which is seen on every colour."""
    for across in x.kept():
        for up in y.kept():
            for color, width in ((_ON_LIGHT, 4.2), (tone().amber, 2.4)):
                frame: dict[str, Any] = {"fill": False, "joinstyle": "miter", "clip_on": False, "zorder": 4}
                _rectangle(ax, across, up, edgecolor=color, linewidth=width, **frame)


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


def _marks(
    ax: Axes, mesh: Any, medians: Floats, count: Ints, good: Ints, most: int, room: bool, across: float
) -> None:
    """Dots for good trials and, where there is room, the number of all trials."""
    i, j = np.nonzero(good)
    sizes = np.maximum(min(72 * across, 17.0) ** 2 * good[i, j] / max(1, most), 5.0)
    ax.scatter(j - 0.2 * room, i, s=sizes, color=_ON_DARK, edgecolor=_ON_LIGHT, linewidth=0.7, zorder=3)
    for row, column in zip(*np.nonzero(np.isfinite(medians) & room), strict=True):
        light = lightness(mesh.cmap(mesh.norm(medians[row, column]))) > 0.5
        look: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": points(7.5), "zorder": 3}
        text = f"{count[row, column]:,}"
        ax.text(column + 0.4, row, text, color=_ON_LIGHT if light else _ON_DARK, **look)


def _colour_bar(drawn: Any, mesh: Any, analysis: Analysis, cut: bool, aspect: float) -> None:
    figure = drawn.flat[0].get_figure(root=True)
    side = "neither" if not cut else "min" if analysis.sign > 0 else "max"
    bar = figure.colorbar(mesh, ax=list(drawn.flat), extend=side, fraction=0.05, pad=0.02, aspect=aspect)
    bar.outline.set_visible(False)
    better = "higher" if analysis.sign > 0 else "lower"
    bar.set_label(f"median {shorten(analysis.metric, 20)}\n({better} is better)")
