"""One parameter: where the good trials lie, and the parameter against the metric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.densities import (
    density_curves,
    density_surface,
    level_spacing,
)
from refine.analysis.evidence import GOOD, ParameterEvidence
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import having, space_filling_trials
from refine.errors import AnalysisError
from refine.report.figures.axes import Scale, hidden_note, mark_change, metric_axis
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import shorten
from refine.report.figures.levels import levels, median_mark, share_bars
from refine.report.figures.marks import area_mark, dots, line_mark, spread, thinned
from refine.report.figures.theme import drawing, shades, tone
from refine.space.parameters import Parameter, Range, number_of
from refine.utils.arrays import Bools, Floats
from refine.utils.format import number, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 10  # fewest trials between two bounds that are drawn
_FEW = 4  # an ordered parameter of fewer levels is shown level by level


@drawing
def density(
    analysis: Analysis,
    name: str,
    new: Parameter | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """Where the good trials lie and where all lie, on the parameter's declared scale.

    A range shows two densities that end where the range ends (1 is a uniform spread); choices show bars per
    level with the interval of the good trials' share. The new bounds are shaded.
    """
    analysis = having(analysis, name)
    e = analysis[name]
    if not (isinstance(e.parameter, Range) and e.parameter.size >= _FEW):
        return share_bars(e, new, label, ax)
    scale, curves = Scale(e.parameter), density_curves(analysis, name)
    at, ax = scale.at(curves.at), axes(ax, 2.9)
    ax.fill_between(at, curves.everyone, color=tone().light, alpha=0.6, linewidth=0)
    ax.plot(at, curves.everyone, color=tone().grey, linewidth=1.4)
    ax.plot(at, curves.best, color=tone().blue, linewidth=2)
    ties = ", with ties" if curves.with_ties else ""
    marks: list[Any] = [
        line_mark(f"best {percent(GOOD)}{ties} ({curves.good:,})", tone().blue, linewidth=2),
        line_mark(f"all ({curves.n:,})", tone().grey, linewidth=1.4),
    ]
    scale.dress(ax, name, mark_change(ax, e.parameter, new, label, marks), _ends(new))
    ax.set_ylim(0, 1.08 * max(1.0, float(curves.everyone.max()), float(curves.best.max())))
    ax.set_ylabel("density (1 = uniform)")
    title(ax, f"{shorten(name, 40)}: where the good trials lie", marks)
    return ax


@drawing
def density_2d(
    analysis: Analysis,
    name: str,
    new: Parameter | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
) -> Axes:
    """A parameter against the metric, over its whole range or closer, from ``low`` to ``high``.

    With an order: a two-dimensional kernel density that ends where the range and the metric end, the trials,
    and the median per level with its 95 % interval. Without, or with few levels: one violin per level.

    Raises:
        AnalysisError: Bounds are given of a parameter without an order of numbers or with few levels, are reversed or lie
            outside its range, or fewer than 10 space-filling trials lie between them.
    """
    analysis = having(analysis, name)
    e = analysis[name]
    p, part = e.parameter, low is not None or high is not None
    if part and not (p.ordered and p.numeric and p.size >= _FEW):
        raise AnalysisError(
            f"density_2d: {name} has no order of {_FEW} numbers or more, so that little lies between two bounds; leave them out"
        )
    if not (p.ordered and p.size >= _FEW):
        return levels(analysis, name, new, label, ax)
    table, y = space_filling_trials(analysis)
    low, high = (p.grid[0] if low is None else low), (p.grid[-1] if high is None else high)
    inside = np.ones(len(y), np.bool_)
    if part:
        inside = _between(e, np.asarray(table[name], dtype=float), low, high)
    x = p.unit(table[name].to_numpy())
    scale, view = Scale(p), MetricView(y[inside], analysis.direction)
    surface, ax = density_surface(analysis, name, view), axes(ax, 3.6)
    # Contours are closer at the low end, so that the slopes show beside the peak of a saturated metric.
    contours = float(surface.density.max()) * np.linspace(0.12, 1.0, 11) ** 2
    at, height = scale.at(surface.x), surface.density.T
    ax.contourf(at, surface.y, height, levels=contours, cmap=shades(), alpha=0.85)
    few = thinned(inside & view.inside(y))
    jitter = np.abs(x[few] + 0.4 * level_spacing(p) * (spread(len(few)) - 0.5))
    place = scale.at(np.where(jitter > 1, 2 - jitter, jitter))
    dots(ax, place, y[few], color=tone().ink, markersize=3.6, alpha=0.45)
    rows = zip(e.levels, scale.levels, p.grid, strict=True)
    known = [(v, at) for v, at, level in rows if np.isfinite(v.median) and (not part or low <= level <= high)]
    medians = [at for _, at in known], [v.median for v, _ in known]
    ax.plot(*medians, color=tone().orange, linewidth=1, alpha=0.8)
    for v, at in known:
        median_mark(ax, at, v, view, upright=True, size=4.5 if len(known) <= 20 else 2.7)
    marks: list[Any] = [
        area_mark("density of trials", tone().towards_blue(0.5)),
        line_mark("median per level, 95 % interval", tone().orange, marker="o", markersize=4, linewidth=1.4),
    ]
    limits = mark_change(ax, p, new, label, marks, covered=True)
    if part:
        limits = tuple(scale.at(p.unit([low, high])))
    scale.dress(ax, name, limits, [low, high] if part else _ends(new))
    metric_axis(ax, view, analysis.metric)
    span = f" from {number(low)} to {number(high)}" if part else ""
    text = f"{shorten(name, 30)}{span} against {shorten(analysis.metric, 30)}"
    title(ax, text, marks, note=hidden_note(view))
    return ax


def _ends(new: Parameter | None) -> list[float]:
    """Both ends of a changed range, which get ticks of their own."""
    return [float(new.low), float(new.high)] if isinstance(new, Range) else []


def _between(e: ParameterEvidence, values: Floats, low: float, high: float) -> Bools:
    """Which trials lie within."""
    for which, end in (("low", low), ("high", high)):
        if number_of(end) is None or not math.isfinite(end):
            raise AnalysisError(f"density_2d: {which} must be a finite number, got {end!r}")
    if low >= high:
        raise AnalysisError(f"density_2d: low must be < high, got {low!r} and {high!r}; swap them?")
    first, last = e.parameter.grid[0], e.parameter.grid[-1]
    if low < first or high > last:
        raise AnalysisError(
            f"density_2d: bounds must lie within {e.name}'s range, {number(first)} to {number(last)}, got {low!r} and "
            f"{high!r}; outside it no trial ran"
        )
    slack = 1e-9 * (high - low)
    inside = (values >= low - slack) & (values <= high + slack)
    if int(inside.sum()) < LEAST:
        raise AnalysisError(
            f"density_2d: {e.name} from {number(low)} to {number(high)} holds "
            f"{plural(int(inside.sum()), 'space-filling trial')}, but at least {LEAST} are needed; take wider bounds"
        )
    return inside
