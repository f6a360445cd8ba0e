"""The bar grid: the metric by the levels of up to four parameters at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.analysis.analysis import Analysis
from refine.analysis.levels import cells_of
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import having, ranked_trials
from refine.errors import AnalysisError
from refine.report.figures.axes import CellAxis, cell_axis, label_x, metric_axis, name_of, slant
from refine.report.figures.canvas import Panels, dot_mark, head, legend_of, panels
from refine.report.figures.labels import shorten, wrapped
from refine.report.figures.theme import drawing, narrow, page_width, points, present, tone
from refine.utils.arrays import Ints
from refine.utils.format import join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from refine import stats

_MARKERS = ("o", "s", "^", "D", "v", "P")
_PANELS = 4  # beside each other, so that each stays readable
_MARGIN = 0.95  # inches of the figure's width that no panel has
_SHOWS = 0.4  # of the largest median: differences from which on bars that start at 0 show them


class _Grid(NamedTuple):
    """Cells of row, column, hue and x, and what is known of their combinations in that order."""

    axes: tuple[CellAxis | None, ...]
    levels: Sequence[stats.Level]  # of every combination
    tried: npt.NDArray[np.bool_]  # whether a trial ended there
    view: MetricView
    bars: bool  # whether bars from 0 show the differences
    beside: int  # panels beside each other
    inches: float  # width of a panel

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells of row, column, hue and x."""
        return tuple(1 if axis is None else axis.count for axis in self.axes)


@drawing
def bars(
    analysis: Analysis, x: str, hue: str | None = None, column: str | None = None, row: str | None = None
) -> npt.NDArray[Any]:
    """The median of the metric by the levels of up to four parameters: along x, by colour, by panel.

    Bars that start at 0 where these show the differences. Where they would not, as with accuracies from 0.9 to 1,
    points on an axis that doesn't start at 0, and the figure says so: a bar's length would lie there. The median is
    drawn, not the mean, which a few trials that never learned would decide; its 95 % interval needs 6 trials, and a
    hollow point has none. A combination that no trial tried, and one whose median is of none that finished, is
    marked.

    The round's space-filling trials count, pruned ones as some of the worst. Ordered parameters of many levels share cells, of
    choices without an order the worst by their medians do; columns wrap where there is no row.

    Args:
        analysis: Of :func:`refine.analyze`.
        x: The parameter along the horizontal axis; not fixed.
        hue: The one told by colour and marker.
        column: One panel per level of it.
        row: One row of panels per level of it.

    Returns:
        (rows, columns) axes of a new figure; those that wrapping leaves over are not visible.

    Raises:
        AnalysisError: The same parameter twice.
        KeyError: There is no evidence on one of them.
    """
    names = {"x": x, "hue": hue, "column": column, "row": row}
    roles: dict[str, str] = {}
    for role, name in names.items():
        if name in roles:
            raise AnalysisError(
                f"bars: needs different parameters, got {name!r} as {roles[name]} and as {role}; name another one"
            )
        if name is not None:
            roles[name] = role
    analysis = having(analysis, *roles)
    for name in roles:
        analysis[name]
    grid = _measured(analysis, names)
    rows, columns, hues, along = grid.axes
    assert along is not None
    deep = grid.shape[0] * -(-grid.shape[1] // grid.beside)
    turned = slant(along, grid.inches)
    labels = (0.078 if turned == 90 else 0.05) * max(map(len, along.labels)) if turned else 0
    legend = 0.2 * -(-((hues.count if hues else 0) + 4) // 4)
    shown = panels(
        deep, grid.beside, 1.1 + (1.75 if deep > 1 or hues else 2.0) * deep + labels + legend, sharey=True
    )
    parts = np.arange(len(grid.levels)).reshape(grid.shape[0] * grid.shape[1], -1)
    for panel, (ax, codes) in enumerate(zip(shown.flat, parts, strict=False)):
        _panel(ax, grid, codes.reshape(-1, along.count))
        if columns is not None:
            name = f"{shorten(columns.evidence.name, 16)} = {columns.labels[panel % grid.shape[1]]}"
            look: dict[str, Any] = {"loc": "left", "fontsize": points(8.5), "fontweight": "normal"}
            ax.set_title(shorten(name, int(grid.inches / 0.078)), **look)
    for ax in shown.flat[len(parts) :]:
        ax.set_visible(False)
    if rows is not None:
        for ax, text in zip(shown[:, -1], rows.labels, strict=True):
            place: dict[str, Any] = {"transform": ax.transAxes, "rotation": 270, "va": "center", "ha": "left"}
            label = wrapped(f"{shorten(rows.evidence.name, 16)} = {text}", 22)
            ax.text(1.03, 0.5, label, fontsize=points(8.5), **place)
    _dress(analysis, grid, shown)
    return shown


def _measured(analysis: Analysis, names: dict[str, str | None]) -> _Grid:
    def axis(role: str, most: int) -> CellAxis | None:
        name = names[role]
        options: dict[str, Any] = {"letters": 24, "by_median": False, "others": True}
        return None if name is None else cell_axis(analysis[name], None, analysis.sign, most=most, **options)

    most = _PANELS // 2 if narrow() else _PANELS
    row = axis("row", _PANELS)
    columns = axis("column", most if row else 2 * _PANELS)
    hue = axis("hue", len(_MARKERS))
    count = columns.count if columns else 1
    beside = count if row or count <= most else -(-count // -(-count // most))  # what doesn't fit goes below
    inches = (page_width() - _MARGIN) / beside
    # Points of one place side by side need room; of choices at least six are told apart.
    room = int(inches / (0.075 * (hue.count if hue else 1)))
    along = axis("x", int(np.clip(room, 3 if analysis[str(names["x"])].parameter.ordered else 6, 12)))
    cells = (row, columns, hue, along)

    def codes(table: Any) -> Ints:
        out = np.zeros(len(table), dtype=np.int64)
        for cell in filter(None, cells):
            out = out * cell.count + cell.of(table[cell.evidence.name].to_numpy())
        return out

    summary = cells_of(analysis, codes, int(np.prod([1 if c is None else c.count for c in cells])))
    medians = summary.medians[np.isfinite(summary.medians)]
    same = bool((medians >= 0).all() or (medians <= 0).all())
    shows = not same or float(np.ptp(medians)) >= _SHOWS * float(np.abs(medians).max())
    _, y, pruned = ranked_trials(analysis)
    view = MetricView(y[~pruned], analysis.direction)
    return _Grid(cells, summary.summary, summary.tried, view, shows and not view.log, beside, inches)


def _colours() -> tuple[str, ...]:
    """Of the levels of ``hue``, in this order."""
    c = tone()
    return c.blue, c.orange, c.green, c.pink, c.amber, c.sky


def _panel(ax: Axes, grid: _Grid, codes: Ints) -> None:
    x = grid.axes[3]
    assert x is not None
    hues = len(codes)
    # Each colour has its place, so that a missing one leaves a gap.
    step = 0.8 / hues
    for h, line in enumerate(codes):
        at, colour = np.arange(x.count) + step * (h - (hues - 1) / 2), _colours()[h]
        medians, low, high = np.array([grid.levels[code][2:] for code in line], dtype=float).T
        if grid.bars:
            ax.bar(at, np.nan_to_num(medians), width=0.86 * step, color=colour, alpha=0.55, linewidth=0)
        elif hues == 1 and x.evidence.parameter.ordered:
            ax.plot(at, medians, color=colour, linewidth=0.9, alpha=0.6)
        seen = np.isfinite(medians)
        sure = seen & np.isfinite(low + high)
        ax.vlines(at[sure], low[sure], high[sure], color=tone().ink if grid.bars else colour, linewidth=1.3)
        size = max(2.4, min(5.0, 40 * step * grid.inches / x.count))
        look: dict[str, Any] = {"color": colour, "linewidth": 0, "markersize": size, "zorder": 4}
        for mask, face in ((sure, colour), (seen & ~sure, tone().paper)):
            ax.plot(at[mask], medians[mask], _MARKERS[h], markerfacecolor=face, **look)
        foot: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "linewidth": 0, "markersize": 4.5}
        tried = grid.tried[line]
        for mask, marker, color, gid in (
            (~seen & tried, "x", colour, "lost"),
            (~seen & ~tried, "_", tone().grey, "none"),
        ):
            ax.plot(at[mask], np.full(mask.sum(), 0.035), marker, color=color, gid=gid, **foot)
    if x.count > 1 and hues > 1:
        for border in np.arange(x.count - 1) + 0.5:
            ax.axvline(border, color=tone().grey, linewidth=0.4, alpha=0.4)
    ax.grid(axis="y")


def _dress(analysis: Analysis, grid: _Grid, shown: Panels) -> None:
    figure, metric = shown[0, 0].figure, shorten(analysis.metric, 22)
    row, columns, hue, x = grid.axes
    assert x is not None
    drawn = [ax for ax in shown.flat if ax.get_visible()]
    name = (
        name_of(x, by_median=False) if grid.inches > 2 else shorten(x.evidence.name, int(grid.inches / 0.09))
    )
    for place, ax in enumerate(drawn):
        label_x(ax, x, grid.inches)
        foot = place + grid.beside >= len(drawn)  # nothing drawn below it
        ax.tick_params(axis="x", length=0, labelbottom=foot)
        ax.set_xlabel(name if foot else "")
    _limit(grid, drawn[0])
    how = "\n(log scale)" if grid.view.log else "" if grid.bars else "\n(axis not from 0)"
    figure.supylabel(f"median {metric}{how}", fontsize=points(9), multialignment="center")
    others = join([shorten(a.evidence.name, 18) for a in (x, hue, columns, row) if a is not None])
    head(figure, f"Median {shorten(analysis.metric, 62 - len(others))} by {others}")
    legend: dict[str, Any] = {"loc": "outside lower center", "title_fontsize": points(8.5)}
    legend["title"] = None if hue is None else shorten(hue.evidence.name, 60)
    legend_of(figure, _legend(grid, drawn), 4, present().width - 0.2, **legend)


def _limit(grid: _Grid, ax: Axes) -> None:
    """Limits of the axis that all panels share: every median, and of intervals what doesn't squeeze these."""
    view = grid.view
    at = view.forward([v.median for v in grid.levels if math.isfinite(v.median)])
    ends = view.forward([e for v in grid.levels for e in (v.low, v.high) if math.isfinite(e)])
    low, high = float(at.min()), float(at.max())
    reach = max(high - low, 0.25 * float(np.ptp(ends)) if ends.size else 0.0) or 0.02 * abs(high) or 0.5
    inner = ends[(ends >= low - reach) & (ends <= high + reach)]
    low, high = float(np.min([low, *inner])), float(np.max([high, *inner]))
    pad = 0.08 * (high - low) or 0.02 * abs(high) or 0.5
    from_0 = grid.bars and low >= 0
    to_0 = grid.bars and high <= 0
    low, high = 0.0 if from_0 else low - 1.4 * pad, 0.0 if to_0 else high + pad
    if view.log:
        view.low, view.high = (float(v) for v in view.back([low, high]))
        metric_axis(ax, view, "")
        ax.set_ylabel("")  # one label for all panels
        return
    ax.set_ylim(low, high)


def _legend(grid: _Grid, drawn: Sequence[Axes]) -> list[Any]:
    hue, marks = grid.axes[2], []
    if hue is not None:
        looks = zip(hue.labels, _colours(), _MARKERS, strict=False)
        marks += [dot_mark(shorten(text, 28), c, m, markersize=5.5) for text, c, m in looks]
    marks.append(dot_mark("95 % interval", tone().ink, "|", markersize=9))
    few = sum(math.isfinite(v.median) and not math.isfinite(v.low + v.high) for v in grid.levels)
    if few:
        hollow: dict[str, Any] = {"markerfacecolor": tone().paper, "markersize": 5}
        marks.append(dot_mark(f"too few for one ({few:,})", tone().grey, **hollow))
    for gid, marker, text in (("lost", "x", "median unfinished"), ("none", "_", "no trial")):
        lines = [line for ax in drawn for line in ax.lines if line.get_gid() == gid]
        count = sum(np.size(line.get_xdata()) for line in lines)
        if count:
            marks.append(dot_mark(f"{text} ({count:,})", tone().grey, marker, markersize=5))
    return marks
