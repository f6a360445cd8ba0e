"""Figures of parameters level by level: bars of shares, and violins of the metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.densities import metric_density
from refine.analysis.evidence import GOOD, LevelEvidence, ParameterEvidence
from refine.analysis.levels import cells_of, level_shares
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import having, ranked_trials, stays
from refine.report.figures.cells import CellAxis, cell_axis
from refine.report.figures.look import points, style, tone
from refine.report.figures.metric_axis import hidden_note, metric_axis
from refine.report.figures.style import (
    area_mark,
    axes,
    line_mark,
    shorten,
    spread,
    thinned,
    title,
    told_apart,
    wrapped,
)
from refine.space.parameters import Range
from refine.trials.frame import infeasible_rows
from refine.utils.arrays import Floats
from refine.utils.format import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from refine import stats
    from refine.space.parameters import Parameter


_LETTERS = 46  # of a level's label, on two lines


def levels(
    analysis: Analysis,
    name: str,
    new: Parameter | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """The metric at every level of any parameter: density, trials, median with its 95 % interval.

    One row per level, from top to bottom in the parameter's order; of an ordered parameter with more than 12
    levels neighbours share a row. Levels that stay after a change are shaded.

    Args:
        analysis: Of :func:`refine.analyze`.
        name: A parameter that is not fixed.
        new: The parameter after a change; ``None`` where there is none.
        label: What the change is called: ``"proposed"`` or ``"decided"``.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        KeyError: There is no evidence on the parameter.
    """
    analysis = having(analysis, name)
    evidence = analysis[name]
    with style():
        return violins(analysis, evidence, new, label, ax)


def share_bars(e: ParameterEvidence, new: Parameter | None, label: str, ax: Axes | None) -> Axes:
    """Bars per level: how often it is among the good trials, and among all."""
    rows = cell_axis(e, new, 1.0, most=len(e.levels), letters=_LETTERS, by_median=False)
    ax = axes(ax, 1.5 + row_height(rows.count) * (rows.limits[1] - rows.limits[0]))
    total = sum(v.n for v in e.levels)
    for row, v in enumerate(level_shares(e)):
        ax.barh(row - 0.19, v.everyone, height=0.36, color=tone().light)
        if not np.isfinite(v.good):
            ax.text(0, row, " no trial", va="center", fontsize=points(8), color=tone().grey)
            continue
        ax.barh(row + 0.19, v.good, height=0.36, color=tone().blue)
        ax.plot([v.low, v.high], [row + 0.19] * 2, color=tone().ink, linewidth=1.1, solid_capstyle="butt")
    marks = [
        area_mark(f"best {percent(GOOD)} (90 % interval)", tone().blue),
        area_mark(f"all ({total:,})", tone().light),
    ]
    mark_rows(ax, rows, label, marks)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
    ax.grid(axis="x")
    ax.set_xlabel("share of the trials")
    text = f"{shorten(e.name, 40)}: where the good trials lie"
    title(ax, text, marks)
    return ax


def violins(
    analysis: Analysis, e: ParameterEvidence, new: Parameter | None, label: str, ax: Axes | None
) -> Axes:
    """The values at every level: density, trials, median with its interval."""
    rows = cell_axis(e, new, analysis.sign, letters=_LETTERS, by_median=False)
    table, y, pruned = ranked_trials(analysis)
    at, barred = rows.of(table[e.name].to_numpy()), infeasible_rows(table)
    # A level alone shows what the tables say; levels that share a row are summarised together.
    found: Sequence[LevelEvidence | stats.Level] = e.levels
    if rows.count < len(e.levels):
        found = cells_of(analysis, lambda t: rows.of(t[e.name].to_numpy()), rows.count).summary
    view = MetricView(y[~pruned], analysis.direction)
    tall = row_height(rows.count)
    ax = axes(ax, 1.5 + tall * (rows.limits[1] - rows.limits[0]))
    for row, v in enumerate(found):
        here = y[(at == row) & ~pruned]
        if not here.size:
            words = "no trial" if not v.n else "none feasible" if barred[at == row].any() else "none finished"
            ax.text(
                0.01,
                row,
                words,
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize=points(8),
                color=tone().grey,
            )
        else:
            _row(ax, row, here, view)
        if np.isfinite(v.low) and np.isfinite(v.high):
            ends = np.clip([v.low, v.high], view.low, view.high)
            ax.plot(ends, [row, row], color=tone().orange, linewidth=2, solid_capstyle="butt")
        if np.isfinite(v.median):
            _median(ax, row, float(v.median), view)
        if v.n:
            beside(ax, row, f"n = {v.n:,}")
    marks = [
        area_mark("density of trials", tone().blue, alpha=0.28),
        line_mark("median, 95 % interval", tone().orange, marker="o", markersize=5, linewidth=2),
    ]
    mark_rows(ax, rows, label, marks)
    metric_axis(ax, view, analysis.metric, "x")
    ax.grid(axis="x")
    text = f"{shorten(e.name, 30)} against {shorten(analysis.metric, 30)}"
    title(ax, text, marks, note=hidden_note(view))
    return ax


def _row(ax: Axes, row: int, here: Floats, view: MetricView) -> None:
    """Density and trials of one level."""
    found = metric_density(here, view)
    if found is not None:
        at, height = found
        ax.fill_between(
            at, row - 0.4 * height, row + 0.4 * height, color=tone().blue, alpha=0.28, linewidth=0
        )
    few = thinned(view.inside(here))
    ax.plot(
        here[few],
        row + 0.5 * (spread(len(few)) - 0.5),
        ".",
        color=tone().ink,
        markersize=3.5 if len(few) > 40 else 5,
        alpha=0.4,
        markeredgewidth=0,
        rasterized=True,
    )


def _median(ax: Axes, row: int, median: float, view: MetricView) -> None:
    """A dot, or at the end of the axis an arrow towards it."""
    marker = "o" if view.inside(median) else "<" if median < view.low else ">"
    place = float(np.clip(median, view.low, view.high))
    ax.plot(place, row, marker, color=tone().orange, markersize=5, clip_on=False, zorder=5)


def row_height(count: int) -> float:
    """Inches per row: less where there are many."""
    return float(np.interp(count, [6, 12, 24, 40], [0.46, 0.4, 0.26, 0.2]))


def beside(ax: Axes, row: float, text: str, color: str = tone().grey) -> None:
    """A text at the right of a row."""
    ax.text(
        1.015, row, text, transform=ax.get_yaxis_transform(), va="center", fontsize=points(8), color=color
    )


def mark_rows(ax: Axes, rows: CellAxis, label: str, marks: list[Any]) -> None:
    """Names the rows on the vertical axis; shades those that stay and sets those that go in italics.

    Args:
        ax: The axes.
        rows: One cell per row; with its parameter after a change.
        label: What the change is called.
        marks: Handles of the legend, to which the shade is added.
    """
    high, low = rows.limits
    places, _ = rows.ticks()
    ax.set_yticks(places, row_names(rows))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(low + 0.05, high - 0.05)
    ax.set_ylabel(wrapped(rows.evidence.name, max(12, int(5 * rows.count))))
    old, new = rows.evidence.parameter, rows.new
    if new is None or new == old:
        return
    kept = rows.kept()
    for start, end in kept:
        ax.axhspan(start, end, color=tone().amber, alpha=0.18, linewidth=0, zorder=0)
    for place, tick in zip(places, ax.get_yticklabels(), strict=True):
        if not any(start < place + 0.5 and place - 0.5 < end for start, end in kept):
            tick.set_color(tone().grey)
            tick.set_fontstyle("italic")
    inside = stays(old, new)
    text = f"{sum(inside)} of {len(inside)}"
    if isinstance(old, Range) and isinstance(new, Range) and (rows.low or rows.high):
        text += f", and to {rows.high or rows.low}"
    marks.append(area_mark(f"{label}: {text}", tone().amber, alpha=0.3))


def row_names(rows: CellAxis) -> list[str]:
    """Labels on two lines where rows are tall enough, else on one."""
    texts = rows.ticks()[1]
    return [wrapped(text) for text in texts] if row_height(rows.count) >= 0.35 else told_apart(texts, 30)
