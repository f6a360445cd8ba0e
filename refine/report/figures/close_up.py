"""A part of a parameter's range, closer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.densities import Densities, MedianLine, density_between, level_spacing, median_line
from refine.analysis.evidence import GOOD, ParameterEvidence
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import having, ranked_trials
from refine.errors import AnalysisError
from refine.report.figures.look import style, tone
from refine.report.figures.metric_axis import hidden_note, metric_axis
from refine.report.figures.style import (
    Scale,
    area_mark,
    axes,
    dot_mark,
    line_mark,
    shorten,
    spread,
    thinned,
    title,
)
from refine.space.edits import bounds_text
from refine.space.parameters import Parameter, Range, number_of
from refine.utils.arrays import Bools, Floats
from refine.utils.format import number, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LEAST = 10
"""Fewest trials within the bounds that are drawn."""

_STRIP = 0.24  # of the axes' height, for the density


def close_up(
    analysis: Analysis,
    name: str,
    low: float,
    high: float,
    new: Parameter | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """The metric against an ordered parameter between two bounds, with where the round's best fifth lies.

    Above the trials and their median with its 95 % interval: at every place where trials lie on few, as levels do,
    else running over the nearest 15 % of the trials shown. Below the densities of the best fifth of the whole
    round and of all trials, each relative to a uniform spread between the bounds. Pruned trials count as some of the
    worst in the median and are not drawn.

    Args:
        analysis: Of :func:`refine.analyze`.
        name: A parameter that has an order and is not fixed.
        low: Lower bound, in the parameter's units; within its range.
        high: Upper bound.
        new: The parameter after a change, whose bounds are marked; ``None`` where there is none.
        label: What the change is called.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: The parameter has no order, the bounds are reversed or lie outside its range, or fewer than 10
            space-filling trials with a rank lie between them.
        KeyError: There is no evidence on the parameter.
    """
    analysis = having(analysis, name)
    e = analysis[name]
    _check(e, low, high)
    table, y, pruned = ranked_trials(analysis)
    values = np.asarray(table[name], dtype=float)
    slack = 1e-9 * (high - low)
    inside = (values >= low - slack) & (values <= high + slack)
    if int(inside.sum()) < LEAST:
        raise AnalysisError(
            f"close_up: {name} from {number(low)} to {number(high)} holds {plural(int(inside.sum()), 'space-filling trial')}, "
            f"but at least {LEAST} are needed; take wider bounds"
        )
    with style():
        return _draw(analysis, e, (low, high), (table, y, pruned, inside), new, label, ax)


def _check(e: ParameterEvidence, low: float, high: float) -> None:
    p = e.parameter
    if not (p.ordered and p.numeric):
        raise AnalysisError(
            f"close_up: {e.name} has no order of numbers, so that nothing lies between two bounds; use levels({e.name!r})"
        )
    for which, end in (("low", low), ("high", high)):
        if number_of(end) is None or not math.isfinite(end):
            raise AnalysisError(f"close_up: {which} must be a finite number, got {end!r}")
    if low >= high:
        raise AnalysisError(f"close_up: low must be < high, got {low!r} and {high!r}; swap them?")
    first, last = p.grid[0], p.grid[-1]
    if low < first or high > last:
        raise AnalysisError(
            f"close_up: bounds must lie within {e.name}'s range, {number(first)} to {number(last)}, got {low!r} and "
            f"{high!r}; outside it no trial ran"
        )


def _draw(
    analysis: Analysis,
    e: ParameterEvidence,
    bounds: tuple[float, float],
    trials: tuple[Any, Floats, Bools, Bools],
    new: Parameter | None,
    label: str,
    ax: Axes | None,
) -> Axes:
    table, y, pruned, inside = trials
    scale = Scale(e.parameter)
    unit = e.parameter.unit(table[e.name].to_numpy())
    drawn = inside & ~pruned
    if not drawn.any():
        raise AnalysisError(
            f"close_up: every trial between the bounds of {e.name} was pruned; none has a value"
        )
    view = MetricView(y[drawn], analysis.direction)
    ax = axes(ax, 3.9)
    line = median_line(unit[inside], y[inside], pruned[inside], analysis.sign)
    few = thinned(drawn & view.inside(y))
    jitter = 0.35 * level_spacing(e.parameter) * (spread(len(few)) - 0.5) * (not line.running)
    ends = _limits(e.parameter, bounds)
    at = np.clip(unit[few] + jitter, *ends)
    size = 5.0 if len(few) <= 300 else 3.6
    look: dict[str, Any] = {"markersize": size, "alpha": 0.45, "markeredgewidth": 0, "rasterized": True}
    ax.plot(scale.at(at), y[few], ".", color=tone().ink, **look)
    marks: list[Any] = [dot_mark("trial", tone().ink, ".", alpha=0.6)]
    _medians(ax, scale, line, view)
    words = "running median, 95 % band" if line.running else "median, 95 % interval"
    marks.append(line_mark(words, tone().orange, marker=None if line.running else "o", markersize=4))
    limits = tuple(float(v) for v in scale.at(ends))
    scale.dress(ax, e.name, (limits[0], limits[1]), [float(v) for v in bounds])
    _mark(ax, scale, new, e.parameter, label, marks)
    metric_axis(ax, view, analysis.metric)
    _strip(ax, scale, density_between(analysis, e.name, inside, ends), marks)
    span = f"{number(bounds[0])} to {number(bounds[1])}"
    text = f"{shorten(e.name, 24)} from {span} against {shorten(analysis.metric, 20)}"
    title(ax, text, marks, note=hidden_note(view), columns=3)
    return ax


def _limits(parameter: Parameter, bounds: tuple[float, float]) -> Floats:
    """Unit-scale ends of what is shown; integers and ordered choices own their half step beyond a bound."""
    unit = parameter.unit(np.array(bounds))
    if isinstance(parameter, Range):
        if isinstance(parameter.low, int):
            beyond = parameter.unit(np.clip([bounds[0] - 0.5, bounds[1] + 0.5], *parameter.edges()))
            inner = np.isfinite(beyond)
            unit = np.where(inner, beyond, [0.0, 1.0])
        return np.asarray(unit)
    grid = np.asarray(parameter.grid, dtype=float)
    shown = np.flatnonzero((grid >= bounds[0]) & (grid <= bounds[1]))
    return np.array([shown[0] / parameter.size, (shown[-1] + 1) / parameter.size])


def _medians(ax: Axes, scale: Scale, line: MedianLine, view: MetricView) -> None:
    at = scale.at(line.at)
    low, high = (np.clip(v, view.low, view.high) for v in (line.low, line.high))
    if line.running:
        ax.fill_between(at, low, high, color=tone().orange, alpha=0.2, linewidth=0)
        ax.plot(at, line.median, color=tone().orange, linewidth=1.8)
        return
    ax.plot(at, line.median, color=tone().orange, linewidth=1, alpha=0.8)
    ax.vlines(at, low, high, color=tone().orange, linewidth=1.8)
    inside = view.inside(line.median)
    ax.plot(
        at[inside], line.median[inside], "o", color=tone().orange, markersize=4.5, clip_on=False, zorder=5
    )


def _mark(
    ax: Axes, scale: Scale, new: Parameter | None, old: Parameter, label: str, marks: list[Any]
) -> None:
    """Shades what stays of a change."""
    if new is None or new == old:
        return
    if isinstance(scale.parameter, Range) and isinstance(new, Range):
        ends = [float(v) for v in new.edges()]
    elif isinstance(scale.parameter, Range):
        ends = [float(v) for v in new.grid if number_of(v) is not None]
    else:
        grid = list(scale.parameter.grid)
        found = [grid.index(v) for v in new.grid if v in grid]
        ends = [min(found) - 0.5, max(found) + 0.5] if found else []
    if len(ends) > 1:
        ax.axvspan(min(ends), max(ends), color=tone().amber, alpha=0.18, linewidth=0, zorder=0)
    for v in ends if len(ends) <= 2 else (min(ends), max(ends)):
        ax.axvline(v, color=tone().amber, linewidth=1.6, linestyle=(0, (4, 2)))
    marks.append(area_mark(f"{label}: {shorten(bounds_text(new), 24)}", tone().amber, alpha=0.35))


def _strip(ax: Axes, scale: Scale, found: Densities, marks: list[Any]) -> None:
    """Densities of the best fifth and of all between the bounds, below the trials."""
    place = scale.at(found.at)
    below = ax.inset_axes((0.0, 0.0, 1.0, _STRIP), sharex=ax)
    below.patch.set_alpha(0.0)
    below.fill_between(place, found.everyone, color=tone().light, alpha=0.6, linewidth=0)
    top = float(found.everyone.max())
    if found.good:
        below.plot(place, found.best, color=tone().blue, linewidth=1.8)
        top = max(top, float(found.best.max()))
    below.set_ylim(0, 1.25 * top)
    below.set_yticks([])
    below.tick_params(axis="x", which="both", bottom=False, labelbottom=False)
    for side in ("left", "bottom"):
        below.spines[side].set_visible(False)
    # The trials end where the densities begin.
    low, high = ax.get_ylim()
    if ax.get_yscale() == "log":
        ax.set_ylim(high * (low / high) ** (1 / (1 - _STRIP)), high)
    else:
        ax.set_ylim(high - (high - low) / (1 - _STRIP), high)
    ax.axhspan(ax.get_ylim()[0], low, color=tone().paper, zorder=2, linewidth=0)
    ax.axhline(low, color=tone().grey, linewidth=0.8, zorder=2.1)
    ax.set_yticks([v for v in ax.get_yticks() if low <= v <= high])
    marks.append(
        line_mark(f"density of the best {percent(GOOD)} ({found.good:,} here)", tone().blue, linewidth=1.8)
    )
    marks.append(area_mark(f"of all ({found.n:,})", tone().light, alpha=0.6))
