"""A parameter level by level: shares of good trials, violins of the metric, and the isolation plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.densities import metric_density
from refine.analysis.evidence import GOOD, LevelEvidence, ParameterEvidence
from refine.analysis.levels import cells_of, level_bests, level_shares
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import candidates, having, ranked_trials, stays
from refine.report.figures.axes import CellAxis, cell_axis, hidden_note, metric_axis
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import shorten, told_apart, wrapped
from refine.report.figures.marks import (
    area_mark,
    beside,
    dot_mark,
    dots,
    interval,
    line_mark,
    percents,
    spread,
    thinned,
)
from refine.report.figures.theme import drawing, tone
from refine.space.parameters import Parameter, Range
from refine.trials.frame import infeasible_rows
from refine.utils.arrays import Floats
from refine.utils.format import percent, plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine import stats

_LETTERS = 46  # of a level's label, on two lines


@drawing
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
    """
    analysis = having(analysis, name)
    e = analysis[name]
    rows = cell_axis(e, new, analysis.sign, letters=_LETTERS, by_median=False)
    table, y, pruned = ranked_trials(analysis)
    at, barred = rows.of(table[e.name].to_numpy()), infeasible_rows(table)
    # A level alone shows what the tables say; levels that share a row are summarised together.
    summary: Sequence[LevelEvidence | stats.Level] = e.levels
    if rows.count < len(e.levels):
        summary = cells_of(analysis, lambda t: rows.of(t[e.name].to_numpy()), rows.count).summary
    view = MetricView(y[~pruned], analysis.direction)
    ax = axes(ax, _height(rows))
    for row, v in enumerate(summary):
        values = y[(at == row) & ~pruned]
        if values.size:
            _violin(ax, row, values, view)
        else:
            words = "none feasible" if barred[at == row].any() else "none finished"
            beside(ax, row, words if v.n else "no trial", at=0.01)
        median_mark(ax, row, v, view)
        if v.n:
            beside(ax, row, f"n = {v.n:,}")
    marks = [
        area_mark("density of trials", tone().blue, alpha=0.28),
        line_mark("median, 95 % interval", tone().orange, marker="o", markersize=5, linewidth=2),
    ]
    _name_rows(ax, rows, label, marks)
    metric_axis(ax, view, analysis.metric, "x")
    text = f"{shorten(e.name, 30)} against {shorten(analysis.metric, 30)}"
    title(ax, text, marks, note=hidden_note(view))
    return ax


def median_mark(
    ax: Axes,
    at: float,
    v: LevelEvidence | stats.Level,
    view: MetricView,
    *,
    upright: bool = False,
    size: float = 5,
) -> None:
    """A level's median with its interval; a median out of view is an arrow towards it at the end of the axis."""
    median, *ends = np.clip([v.median, v.low, v.high], view.low, view.high)
    look: dict[str, Any] = {"color": tone().orange, "clip_on": False, "zorder": 5}
    arrows = "v^" if upright else "<>"
    marker = "o" if view.inside(v.median) else arrows[int(v.median > view.high)]
    for values, shape in (
        ([median], {"marker": marker}),
        (ends, {"linewidth": 0.4 * size, "solid_capstyle": "butt"}),
    ):
        if np.isfinite(values).all():
            places = [at] * len(values)
            ax.plot(*((places, values) if upright else (values, places)), markersize=size, **look, **shape)


def _violin(ax: Axes, row: int, values: Floats, view: MetricView) -> None:
    """Density and trials of one level."""
    density = metric_density(values, view)
    if density is not None:
        at, height = 0.4 * density[1], density[0]
        ax.fill_between(height, row - at, row + at, color=tone().blue, alpha=0.28, linewidth=0)
    few = thinned(view.inside(values))
    look: dict[str, Any] = {"color": tone().ink, "alpha": 0.4, "markersize": 3.5 if len(few) > 40 else 5}
    dots(ax, values[few], row + 0.5 * (spread(len(few)) - 0.5), **look)


def share_bars(e: ParameterEvidence, new: Parameter | None, label: str, ax: Axes | None) -> Axes:
    """Bars per level: how often it is among the good trials, and among all."""
    rows = cell_axis(e, new, 1.0, most=len(e.levels), letters=_LETTERS, by_median=False)
    ax = axes(ax, _height(rows))
    for row, v in enumerate(level_shares(e)):
        ax.barh(row - 0.19, v.everyone, height=0.36, color=tone().light)
        if not np.isfinite(v.good):
            beside(ax, row, " no trial", at=0)
            continue
        ax.barh(row + 0.19, v.good, height=0.36, color=tone().blue)
        interval(ax, v.low, v.high, row + 0.19, tone().ink, 1.1)
    marks = [
        area_mark(f"best {percent(GOOD)} (90 % interval)", tone().blue),
        area_mark(f"all ({sum(v.n for v in e.levels):,})", tone().light),
    ]
    _name_rows(ax, rows, label, marks)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(percents)
    ax.set_xlabel("share of the trials")
    title(ax, f"{shorten(e.name, 40)}: where the good trials lie", marks)
    return ax


@drawing
def isolation(analysis: Analysis, name: str, ax: Axes | None = None) -> Axes:
    """The best trial of every level over all other parameters, and what is fair to compare: bests of equally many.

    The best of 50 trials is better than the best of 5 even where levels don't differ. So beside every level's best
    stands the expected best of as many of its trials as the level with the fewest has, and at the right how many it
    had. A band marks what retraining alone could explain below the best, one standard deviation of the noise.

    The round's space-filling trials count, pruned ones as some of the worst: exploit trials were chosen by results, more of them
    at some levels than at others. Degenerate ones count only where one may be best. Ordered parameters of many levels
    share rows. ``name`` is the scientific parameter; the others are nuisance parameters.

    Raises:
        AnalysisError: No space-filling trial may be called best.

    Source: Godbole, Dahl, Gilmer, Shallue and Nado (2023), Deep Learning Tuning Playbook, for the plot; Dodge et al.
    (2019) for bests at equal numbers of trials; see :func:`refine.stats.expected_best`.
    """
    analysis = having(analysis, name)
    rows = cell_axis(analysis[name], None, analysis.sign, letters=_LETTERS, by_median=False)
    bests = level_bests(analysis, lambda table: rows.of(table[name].to_numpy()), rows.count)
    table, y, _ = ranked_trials(analysis)
    finished = candidates(analysis, table)
    at, noise = rows.of(table[name].to_numpy()), analysis.noise.sd
    view = _close_view(analysis, y[finished], np.concatenate([bests.best, bests.equal]))
    ax = axes(ax, _height(rows))
    hollow: dict[str, Any] = {"markerfacecolor": tone().paper, "markeredgecolor": tone().blue}
    hollow |= {"marker": "D", "linewidth": 0, "markersize": 5.5, "markeredgewidth": 1.5}
    marks: list[Any] = [
        dot_mark("best trial", tone().orange, markersize=6),
        line_mark(f"expected best of {plural(bests.fewest, 'trial')}", tone().blue, **hollow),
        dot_mark("trial", tone().grey, "."),
    ]
    top = float(np.nanmax(analysis.sign * bests.best)) * analysis.sign
    if np.isfinite(noise) and noise > 0:
        ends = sorted((top, top - analysis.sign * noise))
        ax.axvspan(*ends, color=tone().amber, alpha=0.25, linewidth=0, zorder=0)
        side = "−" if analysis.sign > 0 else "+"
        marks.append(area_mark(f"best {side} noise ({score(noise)})", tone().amber, alpha=0.35))
    for row, (n, best, equal) in enumerate(zip(bests.n, bests.best, bests.equal, strict=True)):
        if not np.isfinite(best):
            beside(ax, row, "none finished" if n else "no trial", at=0.01)
            continue
        values = y[(at == row) & finished]
        few = thinned(view.inside(values))
        size = 4 if len(few) > 40 else 5.5
        dots(ax, values[few], row + 0.5 * (spread(len(few)) - 0.5), alpha=0.45, markersize=size)
        ax.plot([equal, best], [row, row], color=tone().blue, linewidth=1.1, zorder=3)
        ax.plot(best, row, "o", color=tone().orange, markersize=6, zorder=5, gid="best")
        ax.plot(equal, row, zorder=4, gid="equal", **hollow)
        beside(ax, row, f"n = {n:,}")
    _name_rows(ax, rows, "", marks)
    metric_axis(ax, view, analysis.metric, "x")
    title(ax, f"Best {shorten(analysis.metric, 22)} by {shorten(name, 22)}", marks, note=hidden_note(view))
    return ax


def _close_view(analysis: Analysis, y: Floats, bests: Floats) -> MetricView:
    """A view in which the bests differ visibly, with the better half of the trials at least."""
    view = MetricView(y, analysis.direction)
    places = analysis.sign * view.forward(bests[np.isfinite(bests)])
    noise = analysis.noise.sd if np.isfinite(analysis.noise.sd) and not view.log else 0.0
    reach = max(1.5 * float(np.ptp(places)), 4 * noise)
    far = min(float(places.min()) - reach, float(np.median(analysis.sign * view.forward(y))))
    if reach > 1e-6 * float(np.abs(places).max()):  # else ties: there is nothing to see closer
        view.cut(y, float(view.back(analysis.sign * far)))
    return view


def _row_height(count: int) -> float:
    """Inches per row: less where there are many."""
    return float(np.interp(count, [6, 12, 24, 40], [0.46, 0.4, 0.26, 0.2]))


def _height(rows: CellAxis) -> float:
    """Inches of a figure with these rows."""
    return 1.5 + _row_height(rows.count) * (rows.limits[1] - rows.limits[0])


def _name_rows(ax: Axes, rows: CellAxis, label: str, marks: list[Any]) -> None:
    """Names the rows on the vertical axis; shades those that stay after a change and sets those that go in italics."""
    high, low = rows.limits
    places, texts = rows.ticks()
    tall = _row_height(rows.count) >= 0.35
    ax.set_yticks(places, [wrapped(text) for text in texts] if tall else told_apart(texts, 30))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(low + 0.05, high - 0.05)
    ax.set_ylabel(wrapped(rows.evidence.name, max(12, int(5 * rows.count))))
    ax.grid(axis="x")
    old, new = rows.evidence.parameter, rows.new
    if new is None or new == old:
        return
    kept = rows.kept()
    for start, end in kept:
        ax.axhspan(start, end, color=tone().amber, alpha=0.18, linewidth=0, zorder=0)
    for place, tick in zip(places, ax.get_yticklabels(), strict=True):
        if not any(start < place + 0.5 and place - 0.5 < end for start, end in kept):
            tick.set(color=tone().grey, fontstyle="italic")
    inside = stays(old, new)
    text = f"{sum(inside)} of {len(inside)}"
    if isinstance(old, Range) and isinstance(new, Range) and (rows.low or rows.high):
        text += f", and to {rows.high or rows.low}"
    marks.append(area_mark(f"{label}: {text}", tone().amber, alpha=0.3))
