"""Axes of the review page: where ticks are and what stands there, and which part of the values is drawn. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.metric_view import MetricView
from refine.trials.goal import sign_of
from refine.utils.format import number, plural

if TYPE_CHECKING:
    import numpy.typing as npt

    from refine.utils.arrays import Floats

MISSING = 0xFFFF
"""Position of a trial that has none, such as one outside the range."""

_VIEW_TICKS = 4
_MOST = 5  # ticks of an axis, about


def axis(low: float, high: float, *, log: bool = False, most: int = _MOST) -> list[dict[str, Any]]:
    """Ticks at round numbers between two ends: ``value`` and ``label``, no two alike.

    Args:
        low: Lower end.
        high: Upper end.
        log: Whether the axis is logarithmic; then both ends are positive.
        most: About how many.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    # Within a decade a logarithmic axis has room for what lies between.
    marks = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)) if log else ()
    places = [LogLocator(subs=subs, numticks=most) for subs in marks]
    values = [low]
    for place in [*places, MaxNLocator(most, steps=[1, 2, 2.5, 5, 10])] if high > low else []:
        values = [float(v) for v in place.tick_values(low, high) if low <= v <= high]
        if 2 <= len(values) <= most + 1:
            break
    for digits in range(3, 16):
        labels = [number(v, digits) for v in values]
        if len(set(labels)) == len(values):
            break
    return [{"value": v, "label": text} for v, text in zip(values, labels, strict=True)]


def view_of(values: Floats, metric: str, direction: str) -> dict[str, Any]:
    """The part of the values that is drawn to scale, by value and by rank.

    Returns:
        ``low``, ``high``, ``log`` and ``ticks`` of the scale, those by rank, how many values are ``beyond``, the median as the ``middle``
        from which on cards show values to scale (``None`` where the better half can't be spread), and what is said of each scale.
    """
    low, high, log, beyond, side, middle = 0.0, 1.0, False, 0, "", 0.5
    if len(values):
        middle = float(np.median(values))
        view = MetricView(values, direction)
        low, high, log, beyond, side = view.low, view.high, view.log, view.hidden, view.side
    end = low if side == "below" else high
    more = f"; {plural(beyond, 'trial')} {side} {number(end)} at the edge" if beyond else ""
    best = "top" if direction == "maximize" else "bottom"
    sign = sign_of(direction)
    return {
        "low": low,
        "high": high,
        "log": log,
        "ticks": axis(low, high, log=log, most=_VIEW_TICKS),
        "beyond": beyond,
        "middle": middle if low < middle < high else None,
        "middle_ticks": axis(*sorted((middle, high if sign > 0 else low)), log=log, most=_VIEW_TICKS),
        "text": f"dots: {metric}, the best at the {best}{', on a logarithmic scale' if log else ''}{more}",
        "middle_text": f"dots: {metric}, the best at the {best}; the worse half by rank",
    }


def rank_column(values: Floats) -> npt.NDArray[np.uint16]:
    """(n,) ranks of values from 0, the lowest, to 65534; equal values share theirs, 65535 where there is none."""
    from scipy.stats import rankdata

    found = np.full(len(values), MISSING, dtype="<u2")
    finite = np.isfinite(values)
    if finite.any():
        ranks = rankdata(values[finite])
        found[finite] = np.rint((ranks - 0.5) / len(ranks) * (MISSING - 1))
    return found
