"""Axes of the review page: where ticks are and what stands there, and which part of the values is drawn. Pure."""

from __future__ import annotations

import itertools
import math
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
_SHARES = ((0.0, "best"), (0.2, "20 %"), (0.5, "50 %"), (1.0, "worst"))
_MOST = 5  # ticks of an axis, about

_STEPS = (1, 2, 2.5, 5, 10)


def _ticks(low: float, high: float, log: bool, whole: bool, most: int) -> list[float]:
    if not high > low:
        return [low]
    found = _decades(low, high, most) if log else []
    if len(found) < 2:  # an axis within a decade has room for what lies between
        found = _even(low, high, whole, most)
    return found


def _even(low: float, high: float, whole: bool, most: int) -> list[float]:
    rough = (high - low) / most
    ten = 10.0 ** math.floor(math.log10(rough))
    step = next(s * ten for s in _STEPS if s * ten >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 3 - math.floor(math.log10(step)))
    return [round(i * step, digits) + 0.0 for i in range(first, last + 1)]


def _decades(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = -(-(last - first) // most)
    inside = [10.0**i for i in range(first, last + 1, every) if low <= 10.0**i <= high]
    for between in ((1, 2, 5), (1, 3)):
        more = [m * 10.0**i for i, m in itertools.product(range(first, last + 1), between)]
        found = [v for v in more if low <= v <= high]
        if len(found) <= most + 1:
            return found
    return inside


def axis(
    low: float, high: float, *, log: bool = False, whole: bool = False, most: int = _MOST
) -> list[dict[str, Any]]:
    """Ticks at round numbers between two ends: ``value`` and ``label``, no two alike.

    Args:
        low: Lower end.
        high: Upper end.
        log: Whether the axis is logarithmic; then both ends are positive.
        whole: Whether only whole numbers make sense there.
        most: About how many.
    """
    values = _ticks(low, high, log, whole, most)
    labels: list[str] = []
    for digits in range(3, 16):
        labels = [f"{v:,.0f}" if whole else number(v, digits) for v in values]
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
        "ranks": [{"share": 1 - s if sign > 0 else s, "label": label} for s, label in _SHARES],
        "beyond": beyond,
        "middle": middle if low < middle < high else None,
        "middle_ticks": axis(*sorted((middle, high if sign > 0 else low)), log=log, most=_VIEW_TICKS),
        "text": f"dots: {metric}, the best at the {best}{', on a logarithmic scale' if log else ''}{more}",
        "middle_text": f"dots: {metric}, the best at the {best}; the worse half by rank",
        "rank_text": f"dots: rank by {metric}, the best at the {best}",
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
