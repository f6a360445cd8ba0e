"""The figure of a decision: for every changed parameter the trials, where the good ones lie, and what stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.densities import density_curves, level_spacing
from refine.analysis.evidence import GOOD, ParameterEvidence
from refine.analysis.levels import level_shares
from refine.analysis.selection import check_tested, having, ranked_trials, stays
from refine.report.figures.axes import Scale, cell_axis, label_x
from refine.report.figures.canvas import Panels, panels, title
from refine.report.figures.labels import fitted, shorten
from refine.report.figures.marks import area_mark, dot_mark, dots, line_mark, spread, thinned
from refine.report.figures.theme import drawing, narrow, points, tone, within
from refine.space.edits import bounds_text
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Floats
from refine.utils.format import percent, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 4  # parameters that are drawn: those of which the least stays
_FEW = 4  # a range of fewer levels is drawn level by level
_BELOW = (-0.46, -0.04)  # where the densities stand, below the trials by rank from 0 to 1
_HALF = 0.35  # of the way to the next level of a range, which is shown with a level
_SHARES = (0.0, 0.5, 1 - GOOD, 1.0)  # ranks that the axis names


@drawing
def decision(
    analysis: Analysis,
    new: Mapping[str, Parameter],
    label: str = "proposed",
    texts: Mapping[str, str] | None = None,
) -> Panels:
    """What stays of the parameters that change most, over the trials and where the good ones lie.

    Above, every finished space-filling trial by its rank, the best on top; below, the densities of the good ones and of all, of
    choices their shares. What stays is shaded, and said in ``texts``, name -> words, by default the new bounds. Where
    nothing in ``new`` differs, the parameters that matter most are drawn. Returns (rows, columns) axes, a panel a
    parameter, at most :data:`MOST`: side by side, in a column below each other.

    Raises:
        AnalysisError: Results chose the trials.
    """
    check_tested(analysis)
    changed = [e for e in analysis.ranked if e.name in new and new[e.name] != e.parameter]
    changed.sort(key=lambda e: float(np.mean(stays(e.parameter, new[e.name]))))
    shown = (changed or analysis.ranked[: MOST - 1])[:MOST]
    rows, columns = (len(shown), 1) if narrow() else (1, len(shown))
    drawn = panels(rows, columns, 2.5 * rows + 0.9, sharey=True, sharex=False)
    within(drawn[0, 0], 0.2)
    inches = (drawn[0, 0].figure.get_figwidth() - 0.7) / columns - 0.2
    for ax, e in zip(drawn.flat, shown, strict=True):
        after = new.get(e.name, e.parameter)
        text = (texts or {}).get(e.name) or bounds_text(after)
        _panel(ax, analysis, e, after, f"→ {text}" if after != e.parameter else "stays as it is", inches)
    # Some ranks are named by their values.
    ordered = np.sort(analysis.sign * ranked_trials(analysis)[1])
    values = [score(analysis.sign * float(ordered[round(rank * (len(ordered) - 1))])) for rank in _SHARES]
    for ax in drawn.flat:
        ax.set_yticks(_SHARES, values)
        ax.grid(axis="y")
    for ax in drawn[:, 0]:
        ax.set_ylabel(f"{shorten(analysis.metric, 24)}, by rank", y=0.65)
    marks = [
        dot_mark("trial", tone().grey, markersize=4),
        dot_mark(f"one of the best {percent(GOOD)}", tone().blue, markersize=4),
        line_mark("where these lie", tone().blue, linewidth=2),
        area_mark("where all lie", tone().light, alpha=0.6),
        *([area_mark("stays", tone().amber, alpha=0.3)] if changed else []),
    ]
    text = f"What is {label}, and what the trials say" if changed else "Nothing changes"
    title(drawn[0, 0], text, marks, columns=5, lift=points(29))
    return drawn


def _panel(ax: Axes, whole: Analysis, e: ParameterEvidence, new: Parameter, text: str, inches: float) -> None:
    analysis = having(whole, e.name)
    table, y, _ = ranked_trials(analysis)
    better, values = analysis.sign * y, table[e.name].to_numpy()
    if isinstance(e.parameter, Range) and e.parameter.size >= _FEW:
        at = _range(ax, analysis, e.name, e.parameter, new, values)
    else:
        at = _choices(ax, e, new, values, inches)
    # From 0, the worst, to 1, the best; equal values share the middle of theirs.
    ordered, good = np.sort(better), stats.top_mask(better, GOOD)
    middle = (np.searchsorted(ordered, better) + np.searchsorted(ordered, better, side="right") - 1) / 2
    for mask, color, alpha in ((~good, tone().grey, 0.55), (good, tone().blue, 0.85)):
        few = thinned(mask & np.isfinite(at))
        look: dict[str, Any] = {"marker": "o", "markersize": 3.4, "zorder": 3, "clip_on": False}
        dots(ax, at[few], middle[few] / max(1, len(better) - 1), color=color, alpha=alpha, **look)
    ax.axhline(0.5 * _BELOW[1], color=tone().grey, linewidth=0.6)
    ax.set_ylim(_BELOW[0], 1.05)
    ax.tick_params(axis="y", length=0)
    log = " (log scale)" if isinstance(e.parameter, Range) and e.parameter.log else ""
    for line, weight, above in ((f"{shorten(e.name, 40)}{log}", "bold", 19), (text, "normal", 6)):
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        shown = fitted(line, 1.05 * inches, points(9), lines=1, bold=weight == "bold")
        ax.annotate(shown, (0, 1), (0, points(above)), fontsize=points(9), fontweight=weight, **place)


def _below(density: Floats, top: float) -> Floats:
    low, high = _BELOW
    return np.asarray(low + (high - low) * 0.92 * density / top)


def _shade(ax: Axes, low: float, high: float) -> None:
    ax.axvspan(low, high, color=tone().amber, alpha=0.22, linewidth=0, zorder=0)


def _range(ax: Axes, analysis: Analysis, name: str, old: Range, new: Parameter, values: Any) -> Floats:
    """Densities, the shade, and the axis; positions of the trials."""
    scale, curves = Scale(old), density_curves(analysis, name)
    top = max(1.0, float(curves.everyone.max()), float(curves.best.max()))
    at = scale.at(curves.at)
    ax.fill_between(at, _BELOW[0], _below(curves.everyone, top), color=tone().light, alpha=0.6, linewidth=0)
    ax.plot(at, _below(curves.best, top), color=tone().blue, linewidth=2)
    reach, ticks, ends = _HALF * level_spacing(old), [], [0.0, 1.0]
    if new != old:
        parts = [(new.low, new.high)] if isinstance(new, Range) else [(v, v) for v in new.grid]
        raw = np.array(parts, dtype=float)  # may lie outside what it was
        first, last = old.ends()
        stay = (old.scale(np.maximum(raw, 1e-300) if old.log else raw) - first) / (last - first)
        for part in stay:
            _shade(ax, *(float(v) for v in scale.at(part + np.array([-reach, reach]))))
        ends += list(stay.ravel())
        ticks = [float(new.low), float(new.high)] if isinstance(new, Range) else []
    low, high = (float(v) for v in scale.at([min(ends) - reach, max(ends) + reach]))
    scale.dress(ax, name, (low, high), ticks)
    ax.set_xlabel("")
    unit = old.unit(values)
    return scale.at(unit + 0.8 * reach * (2 * spread(len(unit)) - 1))


def _choices(ax: Axes, e: ParameterEvidence, new: Parameter, values: Any, inches: float) -> Floats:
    """Shares of every choice, the shade, and the axis; positions of the trials."""
    cells = cell_axis(e, new, 1.0, most=len(e.levels), letters=28, by_median=False)
    shares = level_shares(e)
    good, everyone = np.array([(np.nan_to_num(v.good), v.everyone) for v in shares]).T
    top = max(float(good.max()), float(everyone.max()), 1e-9)
    for at, share, color in ((-0.19, everyone, tone().light), (0.19, good, tone().blue)):
        places = np.arange(len(shares)) + at
        ax.bar(places, _below(share, top) - _BELOW[0], 0.36, bottom=_BELOW[0], color=color)
    if new != e.parameter:
        for run in cells.kept():
            _shade(ax, *run)
    label_x(ax, cells, inches)
    ax.tick_params(axis="x", length=0)
    index = cells.of(values)
    return np.where(index >= 0, index + 0.6 * (spread(len(index)) - 0.5), np.nan)
