"""Axes, positions and densities that the review page draws, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refine.analysis.densities import density_curves
from refine.analysis.metric_view import MetricView
from refine.analysis.selection import other_trials, top_trials, unusable
from refine.report.figures.axes import distinct_labels
from refine.space.encoding import round_significant
from refine.space.limits import widened
from refine.space.parameters import Integer, Parameter, Range
from refine.trials.frame import infeasible_rows
from refine.trials.goal import sign_of
from refine.ui.web.messages import Content
from refine.utils.arrays import objects
from refine.utils.format import number, plural

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis
    from refine.utils.arrays import Floats

# Position of a trial without a position, for example outside the range.
MISSING = 0xFFFF

_VIEW_TICKS = 4
_MOST = 5  # approximate number of ticks of an axis
_MOST_OUTSIDE = 40  # stops beyond an end of a range
_LONGEST_TICK = 6  # letters of a level that is a label of its axis
_POINTS = 120  # points of a density, as many as a panel can show


def axis(low: float, high: float, *, log: bool = False, max_ticks: int = _MOST) -> list[Content]:
    """Ticks at round numbers between two ends: ``value`` and ``label``, all different.

    Args:
        low: Lower end.
        high: Upper end.
        log: Whether the axis is logarithmic; then both ends are positive.
        max_ticks: Largest number of ticks, about.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    # Within a decade, a logarithmic axis has room for more ticks.
    marks = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)) if log else ()
    places = [LogLocator(subs=subs, numticks=max_ticks) for subs in marks]
    values = [low]
    for place in [*places, MaxNLocator(max_ticks, steps=[1, 2, 2.5, 5, 10])] if high > low else []:
        values = [float(v) for v in place.tick_values(low, high) if low <= v <= high]
        if 2 <= len(values) <= max_ticks + 1:
            break
    for digits in range(3, 16):
        labels = [number(v, digits) for v in values]
        if all(math.isclose(float(text), v) for text, v in zip(labels, values, strict=True)):
            break
    return [{"value": v, "label": text} for v, text in zip(values, labels, strict=True)]


def view_of(values: Floats, metric: str, direction: str) -> Content:
    """The scale of drawn values, by value and by rank.

    Returns:
        ``low``, ``high``, ``log`` and ``ticks`` of the scale; ``beyond``, the number of values outside;
        ``middle``, the median from which cards show values to scale (``None`` if the better half cannot be
        spread), with ``middle_ticks``; ``text`` and ``middle_text``, the captions of both scales.
    """
    low = 0.0
    high = 1.0
    log = False
    beyond = 0
    middle = 0.5
    hidden_text = ""
    if len(values):
        middle = float(np.median(values))
        view = MetricView(values, direction)
        low = view.low
        high = view.high
        log = view.log
        beyond = view.hidden
        if beyond:
            end = {"below": low, "above": high}[view.side]
            hidden_text = f"; {plural(beyond, 'trial')} {view.side} {number(end)} at the edge"
    sign = sign_of(direction)
    return {
        "low": low,
        "high": high,
        "log": log,
        "ticks": axis(low, high, log=log, max_ticks=_VIEW_TICKS),
        "beyond": beyond,
        "middle": middle if low < middle < high else None,
        "middle_ticks": axis(*sorted((middle, high if sign > 0 else low)), log=log, max_ticks=_VIEW_TICKS),
        "title": metric,
        "text": f"height: {metric}, best at the top{', on a logarithmic scale' if log else ''}{hidden_text}",
        "middle_text": "worse half: by rank, not to scale",
    }


def rank_column(values: Floats) -> npt.NDArray[np.uint16]:
    """(n,) ranks of values from 0, the lowest, to 65534; equal values share a rank; 65535 if missing."""
    from scipy.stats import rankdata

    column = np.full(len(values), MISSING, dtype="<u2")
    finite = np.isfinite(values)
    if finite.any():
        ranks = rankdata(values[finite])
        column[finite] = np.rint((ranks - 0.5) / len(ranks) * (MISSING - 1))
    return column


def proposed_content(old: Parameter, new: Parameter) -> list[object] | None:
    """Bounds of a range, or numbers of the kept levels; ``None`` if a range becomes one value."""
    if isinstance(old, Range):
        if isinstance(new, Range):
            return [float(new.low), float(new.high)]
        return None
    inside = new.contains(objects(old.grid))
    return [i for i, is_inside in enumerate(inside) if is_inside]


def range_content(name: str, p: Range, new: Parameter, listed: Sequence[Parameter]) -> Content:
    """The axis of a range: its ends, ticks and levels, the possible bounds and the proposed bounds.

    ``listed`` is the parameter in proposals of other risks.
    """
    low, high = p.edges()
    stops = {float(v) for v in p.grid}
    for side in ("low", "high"):
        farthest = _farthest(name, p, side)
        if farthest is not None:
            stops |= _outside(p, farthest)
    stops |= {
        float(v) for bounds in (new, *listed) if isinstance(bounds, Range) for v in (bounds.low, bounds.high)
    }
    # The levels if their labels fit, else round numbers between the ends.
    ticks = [{"value": float(v), "label": number(float(v), 6)} for v in p.grid]
    if max(len(str(tick["label"])) for tick in ticks) > _LONGEST_TICK:
        ticks = axis(float(p.low), float(p.high), log=p.log)
    return {
        "kind": "range",
        "log": p.log,
        "edges": [float(low), float(high)],
        "grid": [float(v) for v in p.grid],
        "stops": sorted(stops),
        "labels": distinct_labels(sorted(stops), range(3, 7)),
        "ticks": ticks,
        "proposed": proposed_content(p, new),
    }


def _farthest(name: str, p: Range, side: str) -> float | None:
    """The farthest bound beyond an end: one width of the range further, or a limit before."""
    width = float(p.scale(p.high) - p.scale(p.low))
    wider = p
    for _ in range(p.size):
        further = widened(name, wider, wider, side)
        if further is None or float(p.scale(wider.high) - p.scale(wider.low)) >= 2 * width:
            break
        wider = further
    if wider is p:
        return None
    return float(wider.high if side == "high" else wider.low)


def _outside(p: Range, farthest: float) -> set[float]:
    """Stops beyond an end of a range, on its spacing, up to the farthest one."""
    levels = [float(v) for v in (p.grid if farthest > p.high else p.grid[::-1])]
    edge = levels[-1]
    before = levels[-2]
    stops = {farthest}
    steps = (farthest - edge) / (edge - before)
    if p.log:
        steps = math.log(farthest / edge) / math.log(edge / before)
    elif abs(farthest) < 1e-6 * abs(edge - before):  # a limit that itself is no value, such as 0
        stops = set()
    if steps > _MOST_OUTSIDE:  # listed levels that lie close together at this end
        return stops
    for step in range(1, math.ceil(steps)):
        value = edge + step * (edge - before)
        if p.log:
            value = edge * (edge / before) ** step
        stops.add(float(round(value)) if isinstance(p, Integer) else round_significant(value))
    return stops


def densities(analysis: Analysis, name: str) -> dict[str, list[float]]:
    """Densities of all trials and of the top trials along a range."""
    curves = density_curves(analysis, name, _POINTS)
    return {"everyone": np.round(curves.everyone, 4).tolist(), "best": np.round(curves.best, 4).tolist()}


def values_view(analysis: Analysis, allow_degenerate: bool) -> Content:
    """The range of values that figures show, and whether its scale is logarithmic."""
    values = np.asarray(analysis.table["value"], dtype=float)
    usable = values[np.isfinite(values) & ~unusable(analysis.table, analysis.space, allow_degenerate)]
    other_values = other_trials(analysis).observed
    drawn = np.concatenate([usable, other_values[np.isfinite(other_values)]])
    return view_of(drawn, analysis.metric, analysis.direction)


def trials_content(analysis: Analysis, allow_degenerate: bool) -> bytes:
    """Every trial of the round, then those of other rounds inside its space, column by column, little-endian.

    In this order:

    - a uint16 column per panel: position on the parameter's axis from 0 to 65534; 65535 if missing;
    - a uint16 column of ranks by value, the lowest first; 65535 if missing or infeasible;
    - a float64 column of values; NaN if missing;
    - a byte of flags: 1 good, 2 failed or unusable, 4 infeasible, 8 of another round.
    """
    table = analysis.table
    other_rounds = other_trials(analysis)
    names = [e.name for e in analysis.parameters]
    columns = []
    for e in analysis.ranked:
        round_positions = e.parameter.unit(table[e.name].to_numpy())
        positions = np.concatenate([round_positions, other_rounds.positions[:, names.index(e.name)]])
        columns.append(_positions(e.parameter, positions))
    values = np.array(table["value"], dtype="<f8")
    bad = unusable(table, analysis.space, allow_degenerate)
    good, good_others = top_trials(analysis, np.isfinite(values) & ~bad)
    broken = infeasible_rows(table) & np.isfinite(values)
    values[(bad & ~broken) | ~np.isfinite(values)] = np.nan
    flags = (good.astype("u1") * 1) | (bad.astype("u1") * 2) | (broken.astype("u1") * 4)
    failed_others = ~np.isfinite(other_rounds.observed)
    flags_of_others = (good_others.astype("u1") * 1) | (failed_others.astype("u1") * 2) | 8
    columns.append(rank_column(np.concatenate([np.where(broken, np.nan, values), other_rounds.observed])))
    all_values = np.concatenate([values, other_rounds.observed])
    all_flags = np.concatenate([flags, flags_of_others]).astype("u1")
    return b"".join(c.tobytes() for c in (*columns, all_values, all_flags))


def _positions(p: Parameter, positions: Floats) -> npt.NDArray[np.uint16]:
    """Unit positions as they are sent."""
    if not p.ordered:
        positions = (positions + 0.5) / p.size
    finite = np.isfinite(positions)
    out = np.full(len(positions), MISSING, dtype="<u2")
    out[finite] = np.rint(np.clip(positions[finite], 0, 1) * (MISSING - 1))
    return out
