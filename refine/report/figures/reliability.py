"""How forecasts held: one row per child, or the calibration curve once there are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.errors import AnalysisError
from refine.proposal.forecast import WHAT
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import short_ids
from refine.report.figures.marks import area_mark, beside, dot_mark, interval, line_mark, named_rows, percents
from refine.report.figures.theme import drawing, narrow, tone
from refine.trials.goal import sign_of
from refine.utils.format import plural, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine.review.calibration import Calibration, Entry

CURVE_FROM = 10  # scored forecasts from which the curve is drawn
_MARKERS = {"median": "o", "best": "D"}
_REACH = 3.0


@drawing
def reliability(calibration: Calibration, ax: Axes | None = None) -> Axes:
    """Forecasts against what was seen.

    Up to 9 scored children one row each: the forecast's 5 to 95 % and 25 to 75 % intervals, of the space-filling trials'
    median and of their best, and what they turned out to be. Rows share a scale whatever the metric's spread:
    0 is the forecast's median, 1 is half the width of its 5 to 95 % interval, and better is to the right. From
    10 on, the calibration curve: the share of what was seen that lay at or below each percentile of its
    forecast, with the band in which 90 % of curves of true forecasts lie at each percentile. ``calibration`` is of
    :meth:`Tree.calibration`.

    Raises:
        AnalysisError: No forecast is scored yet.
    """
    entries = calibration.scored
    if not entries:
        raise AnalysisError(
            "reliability: no forecast is scored yet; run a child of an accepted proposal to its end first"
        )
    return _curve(entries, ax) if len(entries) >= CURVE_FROM else _rows(entries, ax)


def _colour(what: str) -> str:
    return tone().blue if what == "median" else tone().orange


def _rows(entries: tuple[Entry, ...], ax: Axes | None) -> Axes:
    ax = axes(ax, 1.45 + (0.8 if narrow() else 0.56) * len(entries))
    rows = [
        (e, what, i + at) for i, e in enumerate(entries) for what, at in zip(WHAT, (-0.19, 0.19), strict=True)
    ]
    reach = min(_REACH, max(1.3, *(_row(ax, *row) for row in rows)))
    ax.axvline(0, color=tone().grey, linewidth=1, zorder=0)
    ax.set_xlim(-reach - 0.12, reach + 0.12)
    ids = [e.child for e in entries]
    named_rows(ax, short_ids(ids) if narrow() else ids)
    ax.set_xlabel("distance from the forecast's median, in half widths of its 90 % interval; better →")
    marks: list[Any] = [dot_mark(f"{w} seen", _colour(w), _MARKERS[w], markersize=5.5) for w in WHAT]
    marks += [
        area_mark("50 % interval", tone().grey, alpha=0.55),
        line_mark("90 % interval", tone().grey, linewidth=1.4),
    ]
    if not all(e.covers(what, 0.9) for e in entries for what in WHAT):
        hollow: dict[str, Any] = {"markerfacecolor": tone().paper, "markeredgewidth": 1.4, "markersize": 5.5}
        marks.append(dot_mark("outside it", tone().grey, **hollow))
    title(ax, f"Forecasts of {plural(len(entries), 'child', 'children')} and what was seen", marks, columns=5)
    return ax


def _row(ax: Axes, entry: Entry, what: str, row: float) -> float:
    """Draws one forecast; returns how far from 0 it needs the axis to reach."""
    forecast = entry.decision.forecast
    assert forecast is not None
    sign, middle, real = sign_of(entry.seen.direction), forecast.quantile(what, 0.5), entry.realised(what)
    wide, inner = forecast.interval(what, 0.9), forecast.interval(what, 0.5)
    # A forecast without any doubt, as with a saturated metric, has no width to measure in.
    half = float(wide[1] - wide[0]) / 2 or abs(middle) * 0.01 or 1.0
    low, first, last, high = sorted(sign * (np.array([*wide, *inner]) - middle) / half)
    place, color = sign * (real - middle) / half, _colour(what)
    interval(ax, low, high, row, tone().grey, 1.4, zorder=1)
    box: dict[str, Any] = {"color": tone().grey, "alpha": 0.55, "linewidth": 0, "zorder": 2}
    ax.barh(row, last - first, left=first, height=0.2, **box)
    marker = _MARKERS[what] if abs(place) <= _REACH else ">" if place > 0 else "<"
    shown, held = float(np.clip(place, -_REACH, _REACH)), low <= place <= high
    look: dict[str, Any] = {"color": color if held else tone().paper, "markeredgecolor": color, "zorder": 4}
    ax.plot(shown, row, marker, markeredgewidth=1.4, markersize=5.5, **look)
    text = f"{what} {score(real)}{chr(10) if narrow() else ' '}({score(wide[0])} to {score(wide[1])})"
    beside(ax, row, text, tone().ink if held else color, size=7.5)
    return float(max(abs(shown), abs(low), abs(high))) + 0.05


def _curve(entries: tuple[Entry, ...], ax: Axes | None) -> Axes:
    from scipy.stats import binom

    n, at, ax = len(entries), np.linspace(0, 1, 201), axes(ax, 3.9)
    low, high = binom.ppf([[0.05], [0.95]], n, at) / n
    ax.fill_between(at, low, high, color=tone().pale, linewidth=0, step="mid", zorder=0)
    ax.plot([0, 1], [0, 1], color=tone().grey, linewidth=1, zorder=1)
    for what in WHAT:
        x = [0, *np.sort([e.percentile(what) for e in entries]), 1]
        ax.step(
            x, [0, *np.arange(1, n + 1) / n, 1], where="post", color=_colour(what), linewidth=1.8, zorder=3
        )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([0, 0.25, 0.5, 0.75, 1])
        axis.set_major_formatter(percents)
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
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
