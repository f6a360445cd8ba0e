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
from refine.report.figures.cells import CellAxis, cell_axis, label_x, name_of, slant
from refine.report.figures.look import narrow, page_width, points, present, style, tone
from refine.report.figures.metric_axis import metric_axis
from refine.report.figures.style import dot_mark, head, legend_columns, panels, shorten, wrapped
from refine.utils.arrays import Ints
from refine.utils.format import join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from refine import stats


_MARKERS = ("o", "s", "^", "D", "v", "P")
_PANELS = 4  # beside each other, so that each stays readable
_LETTERS = 24  # of a choice's label
_MARGIN = 0.95  # inches of the figure's width that no panel has
_SHOWS = 0.4  # of the largest median: differences from which on bars that start at 0 show them


def _colours() -> tuple[str, ...]:
    """Of the levels of ``hue``, in this order."""
    c = tone()
    return c.blue, c.orange, c.green, c.pink, c.amber, c.sky


class _Grid(NamedTuple):
    """Cells of the four axes, and what is known of their combinations, in the order row, column, hue, x.

    Attributes:
        axes: The axes; ``None`` where there is none.
        found: Median per combination.
        tried: Whether a trial ended there.
        bars: Whether bars from 0 show the differences.
        inches: Width of a panel.
    """

    axes: tuple[CellAxis | None, ...]
    found: Sequence[stats.Level]
    tried: npt.NDArray[np.bool_]
    bars: bool
    inches: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells of row, column, hue and x."""
        return tuple(1 if axis is None else axis.count for axis in self.axes)


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
    analysis = having(analysis, *[n for n in (x, hue, column, row) if n is not None])
    names = {"x": x, "hue": hue, "column": column, "row": row}
    given = {role: name for role, name in names.items() if name is not None}
    for role, name in given.items():
        first = next(r for r, n in given.items() if n == name)
        if first != role:
            raise AnalysisError(
                f"bars: needs different parameters, got {name!r} as {first} and as {role}; name another one"
            )
    for name in given.values():
        analysis[name]
    with style():
        grid = _measured(analysis, names)
        return _draw(analysis, grid)


def _measured(analysis: Analysis, names: dict[str, str | None]) -> _Grid:
    def axis(role: str, most: int) -> CellAxis | None:
        name = names[role]
        if name is None:
            return None
        options: dict[str, Any] = {"letters": _LETTERS, "by_median": False, "others": True}
        return cell_axis(analysis[name], None, analysis.sign, most=most, **options)

    row = axis("row", _PANELS)
    columns = axis("column", _panels() if row else 2 * _PANELS)
    hue = axis("hue", len(_MARKERS))
    beside = _columns(columns, row)
    inches = (page_width() - _MARGIN) / beside
    # Points of one place side by side need room; of choices at least six are told apart.
    room = int(inches / (0.075 * (hue.count if hue else 1)))
    x = analysis[str(names["x"])].parameter
    along = axis("x", int(np.clip(room, 3 if x.ordered else 6, 12)))
    cells = (row, columns, hue, along)
    size = int(np.prod([1 if c is None else c.count for c in cells]))
    found = cells_of(analysis, lambda table: _codes(cells, table), size)
    medians = found.medians[np.isfinite(found.medians)]
    same = bool((medians >= 0).all() or (medians <= 0).all())
    shows = not same or float(np.ptp(medians)) >= _SHOWS * float(np.abs(medians).max())
    _, y, pruned = ranked_trials(analysis)
    log = MetricView(y[~pruned], analysis.direction).log
    return _Grid(cells, found.summary, found.tried, shows and not log, inches)


def _panels() -> int:
    return _PANELS // 2 if narrow() else _PANELS


def _columns(columns: CellAxis | None, row: CellAxis | None) -> int:
    """Panels beside each other; what doesn't fit goes below."""
    count = 1 if columns is None else columns.count
    return count if row is not None or count <= _panels() else -(-count // -(-count // _panels()))


def _codes(cells: Sequence[CellAxis | None], table: Any) -> Ints:
    out = np.zeros(len(table), dtype=np.int64)
    for axis in cells:
        if axis is not None:
            out = out * axis.count + axis.of(table[axis.evidence.name].to_numpy())
    return out


def _draw(analysis: Analysis, grid: _Grid) -> npt.NDArray[Any]:
    row, columns, hue, x = grid.axes
    assert x is not None
    rows_of, columns_of, _, _ = grid.shape
    wide = _columns(columns, row)
    deep = rows_of * -(-columns_of // wide)
    turned = slant(x, grid.inches)
    letters = max(len(text) for text in x.labels) if turned else 0
    labels = (0.078 if turned == 90 else 0.05) * letters
    legend = 0.2 * -(-((hue.count if hue else 0) + 4) // 4)
    height = 1.1 + (1.75 if deep > 1 or hue else 2.0) * deep + labels + legend
    shown = panels(deep, wide, height, sharey=True)
    parts = np.arange(len(grid.found)).reshape(rows_of * columns_of, -1)
    for panel, (ax, codes) in enumerate(zip(shown.flat, parts, strict=False)):
        _panel(ax, grid, codes.reshape(-1, x.count))
        if columns is not None:
            name = f"{shorten(columns.evidence.name, 16)} = {columns.labels[panel % columns_of]}"
            ax.set_title(
                shorten(name, int(grid.inches / 0.078)), loc="left", fontsize=points(8.5), fontweight="normal"
            )
    for ax in shown.flat[len(parts) :]:
        ax.set_visible(False)
    if row is not None:
        for ax, text in zip(shown[:, -1], row.labels, strict=True):
            label = wrapped(f"{shorten(row.evidence.name, 16)} = {text}", 22)
            place: dict[str, Any] = {"rotation": 270, "va": "center", "ha": "left", "fontsize": points(8.5)}
            ax.text(1.03, 0.5, label, transform=ax.transAxes, **place)
    _dress(analysis, grid, shown)
    return shown


def _panel(ax: Axes, grid: _Grid, codes: Ints) -> None:
    x = grid.axes[3]
    assert x is not None
    hues = len(codes)
    # Each colour has its place, so that a missing one leaves a gap.
    step = 0.8 / hues
    for h, line in enumerate(codes):
        at = np.arange(x.count) + step * (h - (hues - 1) / 2)
        colour, marker = _colours()[h], _MARKERS[h]
        levels = [grid.found[code] for code in line]
        medians = np.array([v.median for v in levels])
        ends = np.array([[v.low, v.high] for v in levels])
        if grid.bars:
            ax.bar(at, np.nan_to_num(medians), width=0.86 * step, color=colour, alpha=0.55, linewidth=0)
        elif hues == 1 and x.evidence.parameter.ordered:
            ax.plot(at, medians, color=colour, linewidth=0.9, alpha=0.6)
        sure = np.isfinite(ends).all(axis=1) & np.isfinite(medians)
        ax.vlines(
            at[sure], ends[sure, 0], ends[sure, 1], color=tone().ink if grid.bars else colour, linewidth=1.3
        )
        size = min(5.0, 40 * step * grid.inches / x.count)
        look: dict[str, Any] = {
            "marker": marker,
            "color": colour,
            "linewidth": 0,
            "markersize": max(size, 2.4),
        }
        ax.plot(at[sure], medians[sure], zorder=4, **look)
        doubtful = np.isfinite(medians) & ~sure
        ax.plot(at[doubtful], medians[doubtful], markerfacecolor=tone().paper, zorder=4, **look)
        lost = np.isnan(medians) & grid.tried[line]
        none = np.isnan(medians) & ~grid.tried[line]
        at_foot: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "linewidth": 0, "markersize": 4.5}
        ax.plot(at[lost], np.full(lost.sum(), 0.035), "x", color=colour, gid="lost", **at_foot)
        ax.plot(at[none], np.full(none.sum(), 0.035), "_", color=tone().grey, gid="none", **at_foot)
    if x.count > 1 and hues > 1:
        for border in np.arange(x.count - 1) + 0.5:
            ax.axvline(border, color=tone().grey, linewidth=0.4, alpha=0.4)
    ax.grid(axis="y")


def _dress(analysis: Analysis, grid: _Grid, shown: npt.NDArray[Any]) -> None:
    figure = shown[0, 0].figure
    row, columns, hue, x = grid.axes
    assert x is not None
    drawn = [ax for ax in shown.flat if ax.get_visible()]
    wide = shown.shape[1]
    for place, ax in enumerate(drawn):
        label_x(ax, x, grid.inches)
        foot = place + wide >= len(drawn)  # nothing drawn below it
        ax.tick_params(axis="x", length=0, labelbottom=foot)
        if foot:
            name = f"{shorten(x.evidence.name, int(grid.inches / 0.09))}"
            ax.set_xlabel(name_of(x, by_median=False) if grid.inches > 2 else name)
    _limit(analysis, grid, drawn[0])
    log = drawn[0].get_yscale() == "log"
    how = "\n(log scale)" if log else "" if grid.bars else "\n(axis not from 0)"
    text = f"median {shorten(analysis.metric, 22)}{how}"
    figure.supylabel(text, fontsize=points(9), multialignment="center")
    others = [shorten(a.evidence.name, 18) for a in (x, hue, columns, row) if a is not None]
    head(figure, f"Median {shorten(analysis.metric, 62 - len(join(others)))} by {join(others)}")
    marks = _legend(grid, drawn)
    figure.legend(
        handles=marks,
        loc="outside lower center",
        ncols=legend_columns([str(m.get_label()) for m in marks], 4, present().width - 0.2),
        title=None if hue is None else shorten(hue.evidence.name, 60),
        title_fontsize=points(8.5),
        handlelength=1.4,
        columnspacing=1.4,
    )


def _limit(analysis: Analysis, grid: _Grid, ax: Axes) -> None:
    """Limits of the axis that all panels share: every median, and of intervals what doesn't squeeze these."""
    medians = np.array([v.median for v in grid.found if np.isfinite(v.median)])
    _, y, pruned = ranked_trials(analysis)
    view = MetricView(y[~pruned], analysis.direction)
    ends = np.array([e for v in grid.found for e in (v.low, v.high) if np.isfinite(e)])
    at, ends = view.forward(medians), view.forward(ends)
    low, high = float(at.min()), float(at.max())
    reach = max(high - low, 0.25 * float(np.ptp(ends)) if ends.size else 0.0) or 0.02 * abs(high) or 0.5
    inner = ends[(ends >= low - reach) & (ends <= high + reach)]
    low, high = float(np.min([low, *inner])), float(np.max([high, *inner]))
    pad = 0.08 * (high - low) or 0.02 * abs(high) or 0.5
    low, high = low - 1.4 * pad, high + pad
    if grid.bars:
        low, high = (0.0 if low + 1.4 * pad >= 0 else low), (0.0 if high - pad <= 0 else high)
    if view.log:
        view.low, view.high = (float(v) for v in view.back([low, high]))
        metric_axis(ax, view, "")
        ax.set_ylabel("")  # one label for all panels
        return
    ax.set_ylim(low, high)


def _legend(grid: _Grid, drawn: Sequence[Axes]) -> list[Any]:
    hue = grid.axes[2]
    marks: list[Any] = []
    if hue is not None:
        marks += [
            dot_mark(shorten(text, 28), c, m, markersize=5.5)
            for text, c, m in zip(hue.labels, _colours(), _MARKERS, strict=False)
        ]
    marks.append(dot_mark("95 % interval", tone().ink, "|", markersize=9))
    few = sum(math.isfinite(v.median) and not math.isfinite(v.low + v.high) for v in grid.found)
    if few:
        hollow: dict[str, Any] = {"markerfacecolor": tone().paper, "markersize": 5}
        text = f"too few for one ({few:,})"
        marks.append(dot_mark(text, tone().grey, **hollow))
    for gid, marker, text in (("lost", "x", "median unfinished"), ("none", "_", "no trial")):
        lines = [line for ax in drawn for line in ax.lines if line.get_gid() == gid]
        count = sum(np.size(line.get_xdata()) for line in lines)
        if count:
            label = f"{text} ({count:,})"
            marks.append(dot_mark(label, tone().grey, marker, markersize=5))
    return marks
