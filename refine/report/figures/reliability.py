"""How forecasts held: one row per child, or the calibration curve once there are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.errors import AnalysisError
from refine.proposal.forecast import WHAT
from refine.report.figures.look import narrow, points, style, tone
from refine.report.figures.style import area_mark, axes, dot_mark, line_mark, short_ids, title
from refine.trials.goal import sign_of
from refine.utils.format import plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine.review.calibration import Calibration, Entry

CURVE_FROM = 10
"""Number of scored forecasts from which the curve is drawn."""

_MARKERS = {"median": "o", "best": "D"}
_REACH = 3.0


def reliability(calibration: Calibration, ax: Axes | None = None) -> Axes:
    """Forecasts against what was seen.

    Up to 9 scored children one row each: the forecast's 5 to 95 % and 25 to 75 % intervals, of the space-filling trials'
    median and of their best, and what they turned out to be. Rows share a scale whatever the metric's spread:
    0 is the forecast's median, 1 is half the width of its 5 to 95 % interval, and better is to the right. From
    10 on, the calibration curve: the share of what was seen that lay at or below each percentile of its
    forecast, with the band in which 90 % of curves of true forecasts lie at each percentile.

    Args:
        calibration: Of :meth:`Tree.calibration`.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: No forecast is scored yet.
    """
    found = calibration.scored
    if not found:
        raise AnalysisError(
            "reliability: no forecast is scored yet; run a child of an accepted proposal to its end first"
        )
    with style():
        return _curve(found, ax) if len(found) >= CURVE_FROM else _rows(found, ax)


def _colour(what: str) -> str:
    return tone().blue if what == "median" else tone().orange


def _rows(found: tuple[Entry, ...], ax: Axes | None) -> Axes:
    ax = axes(ax, 1.45 + (0.8 if narrow() else 0.56) * len(found))
    reach = 1.3
    for row, entry in enumerate(found):
        for what, offset in zip(WHAT, (-0.19, 0.19), strict=True):
            reach = max(reach, _row(ax, entry, what, row + offset))
    reach = min(reach, _REACH)
    ax.axvline(0, color=tone().grey, linewidth=1, zorder=0)
    ax.set_xlim(-reach - 0.12, reach + 0.12)
    ax.set_ylim(len(found) - 0.45, -0.55)
    ax.set_yticks(
        range(len(found)), short_ids([e.child for e in found]) if narrow() else [e.child for e in found]
    )
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel("distance from the forecast's median, in half widths of its 90 % interval; better →")
    marks: list[Any] = [dot_mark(f"{w} seen", _colour(w), _MARKERS[w], markersize=5.5) for w in WHAT]
    marks += [
        area_mark("50 % interval", tone().grey, alpha=0.55),
        line_mark("90 % interval", tone().grey, linewidth=1.4),
    ]
    if not all(e.covers(what, 0.9) for e in found for what in WHAT):
        hollow: dict[str, Any] = {"markerfacecolor": tone().paper, "markeredgewidth": 1.4, "markersize": 5.5}
        marks.append(dot_mark("outside it", tone().grey, **hollow))
    title(ax, f"Forecasts of {plural(len(found), 'child', 'children')} and what was seen", marks, columns=5)
    return ax


def _row(ax: Axes, entry: Entry, what: str, at: float) -> float:
    """Draws one forecast; returns how far from 0 it needs the axis to reach."""
    made = entry.decision.forecast
    assert made is not None
    sign = sign_of(entry.seen.direction)
    middle = made.quantile(what, 0.5)
    ends = np.array([*made.interval(what, 0.9), *made.interval(what, 0.5)])
    # A forecast without any doubt, as with a saturated metric, has no width to measure in.
    half = float(ends[1] - ends[0]) / 2 or abs(middle) * 0.01 or 1.0
    low, high, inner_low, inner_high = (
        np.sort(sign * (ends[:2] - middle) / half).tolist()
        + np.sort(sign * (ends[2:] - middle) / half).tolist()
    )
    real = entry.realised(what)
    place = sign * (real - middle) / half
    color = _colour(what)
    ax.plot([low, high], [at, at], color=tone().grey, linewidth=1.4, solid_capstyle="butt", zorder=1)
    ax.barh(
        at,
        inner_high - inner_low,
        left=inner_low,
        height=0.2,
        color=tone().grey,
        alpha=0.55,
        linewidth=0,
        zorder=2,
    )
    marker = _MARKERS[what] if abs(place) <= _REACH else ">" if place > 0 else "<"
    shown = float(np.clip(place, -_REACH, _REACH))
    held = low <= place <= high
    ax.plot(
        shown,
        at,
        marker,
        color=color if held else tone().paper,
        markeredgecolor=color,
        markeredgewidth=1.4,
        markersize=5.5,
        zorder=4,
    )
    ax.text(
        1.015,
        at,
        f"{what} {score(real)}{chr(10) if narrow() else ' '}({score(ends[0])} to {score(ends[1])})",
        transform=ax.get_yaxis_transform(),
        va="center",
        fontsize=points(7.5),
        color=tone().ink if held else color,
    )
    return max(abs(shown), abs(low), abs(high), 0.0) + 0.05


def _curve(found: tuple[Entry, ...], ax: Axes | None) -> Axes:
    from scipy.stats import binom

    ax = axes(ax, 3.9)
    n = len(found)
    at = np.linspace(0, 1, 201)
    low, high = binom.ppf([[0.05], [0.95]], n, at) / n
    ax.fill_between(at, low, high, color=tone().pale, linewidth=0, step="mid", zorder=0)
    ax.plot([0, 1], [0, 1], color=tone().grey, linewidth=1, zorder=1)
    for what in WHAT:
        places = np.sort([e.percentile(what) for e in found])
        steps = np.arange(1, n + 1) / n
        ax.step([0, *places, 1], [0, *steps, 1], where="post", color=_colour(what), linewidth=1.8, zorder=3)
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.01, 1.01)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    ax.set_xticks(ticks, [f"{100 * t:.0f} %" for t in ticks])
    ax.set_yticks(ticks, [f"{100 * t:.0f} %" for t in ticks])
    ax.grid()
    ax.set_xlabel("percentile of the forecast")
    ax.set_ylabel("share seen at or below it")
    marks = [
        *(line_mark(w, _colour(w), linewidth=1.8) for w in WHAT),
        line_mark("true forecasts", tone().grey, linewidth=1),
        area_mark("90 % of such curves", tone().light, alpha=0.5),
    ]
    title(ax, f"Calibration of {n:,} forecasts", marks)
    return ax
