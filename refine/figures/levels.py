"""Figures of parameters level by level: bars of shares, and violins of the metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis import Analysis
from refine.figures.style import (
    AMBER,
    BLUE,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    View,
    axes,
    shorten,
    spread,
    thinned,
    title,
    wrapped,
)
from refine.parameter_evidence import GOOD, ParameterEvidence, level_positions
from refine.population import even_rows
from refine.words import percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from refine.parameters import Parameter

Floats = npt.NDArray[np.float64]


def bars(e: ParameterEvidence, new: Parameter | None, label: str, ax: Axes | None) -> Axes:
    """Bars per level: how often it is among the good trials, and among all."""
    from matplotlib.patches import Patch

    ax = axes(ax, 1.5 + 0.42 * len(e.levels))
    total = sum(v.n for v in e.levels)
    for row, v in enumerate(e.levels):
        everyone = v.n / total
        ax.barh(row - 0.19, everyone, height=0.36, color=LIGHT)
        if not np.isfinite(v.ratio):
            ax.text(0, row, " no trial", va="center", fontsize=8, color=GREY)
            continue
        ax.barh(row + 0.19, v.ratio * everyone, height=0.36, color=BLUE)
        ends = np.array([v.ratio_low, v.ratio_high]) * everyone
        ax.plot(np.minimum(ends, 1.0), [row + 0.19] * 2, color=INK, linewidth=1.1, solid_capstyle="butt")
    marks = [
        Patch(color=BLUE, label=f"best {percent(GOOD)} (90 % interval)"),
        Patch(color=LIGHT, label=f"all ({total:,})"),
    ]
    _mark_levels(ax, e, new, label, marks)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
    ax.grid(axis="x")
    ax.set_xlabel("share of the trials")
    title(ax, f"{e.name}: where the good trials lie", marks)
    return ax


def violins(
    analysis: Analysis, e: ParameterEvidence, new: Parameter | None, label: str, ax: Axes | None
) -> Axes:
    """The values at every level: density, trials, median with its interval."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    table, y = even_trials(analysis)
    unit = e.parameter.unit(table[e.name].to_numpy())
    at = stats.Axis(level_positions(e.parameter), unordered=not e.parameter.ordered).index(unit)
    view = View(y, analysis.direction)
    ax = axes(ax, 1.5 + 0.46 * len(e.levels))
    grid = view.grid()
    for row, v in enumerate(e.levels):
        here = y[at == row]
        if not here.size:
            ax.text(
                0.01, row, "no trial", transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=GREY
            )
            continue
        if here.size >= 5:
            width = view.smoothing(stats.scott_bandwidth(here))
            shape = stats.BoundedDensity(width, *view.bounds)(here, grid)
            half = 0.4 * shape / shape.max() if shape.max() > 0 else shape
            ax.fill_between(grid, row - half, row + half, color=BLUE, alpha=0.28, linewidth=0)
        few = thinned(view.inside(here))
        ax.plot(
            here[few],
            row + 0.5 * (spread(len(few)) - 0.5),
            ".",
            color=INK,
            markersize=3.5,
            alpha=0.4,
            markeredgewidth=0,
            rasterized=True,
        )
        if np.isfinite(v.low) and np.isfinite(v.high):
            ax.plot([v.low, v.high], [row, row], color=ORANGE, linewidth=2, solid_capstyle="butt")
        ax.plot(v.median, row, "o", color=ORANGE, markersize=5)
        ax.text(
            1.015,
            row,
            f"n = {v.n:,}",
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=GREY,
        )
    marks = [
        Patch(color=BLUE, alpha=0.28, label="density of trials"),
        Line2D([], [], color=ORANGE, marker="o", markersize=5, linewidth=2, label="median, 95 % interval"),
    ]
    _mark_levels(ax, e, new, label, marks)
    ax.set_xlim(view.low, view.high)
    ax.grid(axis="x")
    ax.set_xlabel(shorten(analysis.metric))
    title(ax, f"{e.name} against {analysis.metric}", marks, note=view.note)
    return ax


def _mark_levels(ax: Axes, e: ParameterEvidence, new: Parameter | None, label: str, marks: list[Any]) -> None:
    """Names the levels on the vertical axis; shades those that stay and strikes those that go."""
    from matplotlib.patches import Patch

    inside = [True] * len(e.levels)
    if new is not None and new != e.parameter:
        inside = stays(e.parameter, new)
    ax.set_yticks(range(len(e.levels)), [wrapped(v.label) for v in e.levels])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(e.levels) - 0.45, -0.55)
    ax.set_ylabel(shorten(e.name, 30))
    if new is None or new == e.parameter:
        return
    for row, stay in enumerate(inside):
        if stay:
            ax.axhspan(row - 0.5, row + 0.5, color=AMBER, alpha=0.18, linewidth=0, zorder=0)
        else:
            ax.get_yticklabels()[row].set_color(GREY)
            ax.get_yticklabels()[row].set_fontstyle("italic")
    marks.append(Patch(color=AMBER, alpha=0.3, label=f"{label}: {sum(inside)} of {len(inside)}"))


def stays(old: Parameter, new: Parameter) -> list[bool]:
    """Which levels of ``old`` lie inside ``new``."""
    values = np.empty(old.size, dtype=object)
    values[:] = old.grid
    return [bool(v) for v in new.contains(values)]


def even_trials(analysis: Analysis) -> tuple[pd.DataFrame, Floats]:
    """The round's own finished even trials: what the analysis tested on."""
    table = analysis.table
    keep = even_rows(table)
    return table[keep], np.asarray(table["value"], dtype=float)[keep]
