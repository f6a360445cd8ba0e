"""Densities: where the good trials lie, and a parameter against the metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.densities import Densities, density_curves, density_surface, level_spacing
from refine.analysis.evidence import GOOD, ParameterEvidence
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import having, space_filling_trials, stays
from refine.report.figures.levels import share_bars, violins
from refine.report.figures.look import style, tone
from refine.report.figures.metric_axis import hidden_note, metric_axis
from refine.report.figures.style import (
    Scale,
    area_mark,
    axes,
    line_mark,
    shades,
    shorten,
    spread,
    thinned,
    title,
)
from refine.space.edits import bounds_text
from refine.space.parameters import Parameter, Range, number_of
from refine.utils.format import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_FEW = 4  # an ordered parameter of fewer levels is shown level by level


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

    Args:
        analysis: Of :func:`refine.analyze`.
        name: A parameter that is not fixed.
        new: The parameter after a change; ``None`` where there is none.
        label: What the change is called: ``"proposed"`` or ``"decided"``.
        ax: Axes to draw into; default those of a new figure.
    """
    analysis = having(analysis, name)
    evidence = analysis[name]
    with style():
        if isinstance(evidence.parameter, Range) and evidence.parameter.size >= _FEW:
            return _density_range(analysis, evidence, evidence.parameter, new, label, ax)
        return share_bars(evidence, new, label, ax)


def _density_range(
    analysis: Analysis, e: ParameterEvidence, old: Range, new: Parameter | None, label: str, ax: Axes | None
) -> Axes:
    scale = Scale(old)
    found = density_curves(analysis, e.name)
    at, everyone, best = found.at, found.everyone, found.best
    ax = axes(ax, 2.9)
    ax.fill_between(scale.at(at), everyone, color=tone().light, alpha=0.6, linewidth=0)
    ax.plot(scale.at(at), everyone, color=tone().grey, linewidth=1.4)
    ax.plot(scale.at(at), best, color=tone().blue, linewidth=2)
    marks: list[Any] = [
        line_mark(_good_text(found), tone().blue, linewidth=2),
        line_mark(f"all ({found.n:,})", tone().grey, linewidth=1.4),
    ]
    scale.dress(ax, e.name, _shade(ax, old, new, label, marks), _ends(new))
    ax.set_ylim(0, 1.08 * max(1.0, float(everyone.max()), float(best.max())))
    ax.set_ylabel("density (1 = uniform)")
    title(ax, f"{shorten(e.name, 40)}: where the good trials lie", marks)
    return ax


def _shade(ax: Axes, old: Range, new: Parameter | None, label: str, marks: list[Any]) -> tuple[float, float]:
    """Marks the new bounds and returns the limits that show both old and new."""
    low, high = (float(v) for v in old.edges())
    if new is None or new == old:
        return low, high
    text = f"{label}: {shorten(bounds_text(new), 28)}"
    if isinstance(new, Range):
        a, b = (float(v) for v in new.edges())
        ax.axvspan(a, b, color=tone().amber, alpha=0.22, linewidth=0, zorder=0)
        marks.append(area_mark(text, tone().amber, alpha=0.35))
        ends = [a, b]
    else:
        ends = [float(v) for v in new.grid if number_of(v) is not None]
        for v in ends:
            ax.axvline(v, color=tone().amber, linewidth=2, zorder=0)
        marks.append(line_mark(text, tone().amber, linewidth=2))
    if not old.log or min(ends, default=1.0) > 0:
        outside = min([low, *ends]), max([high, *ends])
    else:
        outside = low, max([high, *ends])
    if outside != (low, high):
        # The range grew: lines say where it ended.
        for v in (low, high):
            ax.axvline(v, color=tone().ink, linewidth=1, linestyle="--")
        marks.append(line_mark(f"now: {bounds_text(old)}", tone().ink, linewidth=1, linestyle="--"))
    return outside


def density_2d(
    analysis: Analysis,
    name: str,
    new: Parameter | None = None,
    label: str = "proposed",
    ax: Axes | None = None,
) -> Axes:
    """A parameter against the metric.

    With an order: a two-dimensional kernel density that ends where the range and the metric end, the trials,
    and the median per level with its 95 % interval. Without, or with few levels: one violin per level.

    Args:
        analysis: Of :func:`refine.analyze`.
        name: A parameter that is not fixed.
        new: The parameter after a change, whose bounds are marked; ``None`` where there is none.
        label: What the change is called.
        ax: Axes to draw into; default those of a new figure.
    """
    analysis = having(analysis, name)
    evidence = analysis[name]
    with style():
        if evidence.parameter.ordered and evidence.parameter.size >= _FEW:
            return _surface(analysis, evidence, new, label, ax)
        return violins(analysis, evidence, new, label, ax)


def _surface(
    analysis: Analysis, e: ParameterEvidence, new: Parameter | None, label: str, ax: Axes | None
) -> Axes:
    table, y = space_filling_trials(analysis)
    x = e.parameter.unit(table[e.name].to_numpy())
    scale, view, step = Scale(e.parameter), MetricView(y, analysis.direction), level_spacing(e.parameter)
    ax = axes(ax, 3.6)
    found = density_surface(analysis, e.name, view)
    # Contours are closer at the low end, so that the slopes show beside the peak of a saturated metric.
    levels = float(found.density.max()) * np.linspace(0.12, 1.0, 11) ** 2
    ax.contourf(scale.at(found.x), found.y, found.density.T, levels=levels, cmap=shades(), alpha=0.85)
    few = thinned(view.inside(y))
    jitter = np.abs(x[few] + 0.4 * step * (spread(len(few)) - 0.5))
    ax.plot(
        scale.at(np.where(jitter > 1, 2 - jitter, jitter)),
        y[few],
        ".",
        color=tone().ink,
        markersize=3.6,
        alpha=0.45,
        markeredgewidth=0,
        rasterized=True,
    )
    marks: list[Any] = [
        area_mark("density of trials", tone().density[4]),
        line_mark("median per level, 95 % interval", tone().orange, marker="o", markersize=4, linewidth=1.4),
    ]
    seen = [(v, at) for v, at in zip(e.levels, scale.levels, strict=True) if np.isfinite(v.median)]
    ax.plot([at for _, at in seen], [v.median for v, _ in seen], color=tone().orange, linewidth=1, alpha=0.8)
    thin = 1.0 if len(seen) <= 20 else 0.6
    for v, at in seen:
        # An end's median sits on the frame: in front of it, and not cut in half. One out of view is an arrow.
        marker = "o" if view.inside(v.median) else "^" if v.median > view.high else "v"
        median = float(np.clip(v.median, view.low, view.high))
        ax.plot(at, median, marker, color=tone().orange, markersize=4.5 * thin, clip_on=False, zorder=5)
        if np.isfinite(v.low) and np.isfinite(v.high):
            ends = np.clip([v.low, v.high], view.low, view.high)
            look: dict[str, Any] = {"linewidth": 1.8 * thin, "solid_capstyle": "butt", "clip_on": False}
            ax.plot([at, at], ends, color=tone().orange, zorder=5, **look)
    scale.dress(ax, e.name, _bounds_lines(ax, e.parameter, new, label, marks), _ends(new))
    metric_axis(ax, view, analysis.metric)
    title(ax, f"{shorten(e.name, 30)} against {shorten(analysis.metric, 30)}", marks, note=hidden_note(view))
    return ax


def _bounds_lines(
    ax: Axes, old: Parameter, new: Parameter | None, label: str, marks: list[Any]
) -> tuple[float, float] | None:
    if new is None or new == old:
        return None
    text = f"{label}: {shorten(bounds_text(new), 24)}"
    if isinstance(old, Range):
        ends = [
            float(v)
            for v in (new.edges() if isinstance(new, Range) else new.grid)
            if number_of(v) is not None
        ]
        low, high = (float(v) for v in old.edges())
    else:
        stay = np.flatnonzero(stays(old, new))
        ends = [float(stay.min()) - 0.5, float(stay.max()) + 0.5] if stay.size else []
        low, high = -0.5, old.size - 0.5
    limits = min([low, *ends]), max([high, *ends])
    if ends:
        ax.plot(
            [min(ends), max(ends)],
            [0, 0],
            color=tone().amber,
            linewidth=7,
            solid_capstyle="butt",
            clip_on=False,
            transform=ax.get_xaxis_transform(),
            zorder=4,
        )
    for v in ends:
        if limits[0] < v < limits[1]:
            ax.axvline(v, color=tone().amber, linewidth=1.6, linestyle=(0, (4, 2)))
    marks.append(line_mark(text, tone().amber, linewidth=5))
    return limits


def _ends(new: Parameter | None) -> list[float]:
    """Both ends of a changed range, which get ticks of their own."""
    return [float(new.low), float(new.high)] if isinstance(new, Range) else []


def _good_text(found: Densities) -> str:
    return f"best {percent(GOOD)}{', with ties' if found.with_ties else ''} ({found.good:,})"
