"""Where an axis has its ticks, and what stands there. Pure."""

from __future__ import annotations

import itertools
import math
from typing import Any

from refine.utils.format import number

MOST = 5
"""Ticks of an axis, about."""

_STEPS = (1, 2, 2.5, 5, 10)


def ticks(
    low: float, high: float, *, log: bool = False, whole: bool = False, most: int = MOST
) -> list[float]:
    """Round numbers between two ends, about so many.

    Args:
        low: Lower end.
        high: Upper end.
        log: Whether the axis is logarithmic; then both ends are positive.
        whole: Whether only whole numbers make sense there.
        most: About how many.
    """
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
    low: float, high: float, *, log: bool = False, whole: bool = False, most: int = MOST
) -> list[dict[str, Any]]:
    """The same with what stands there: ``value`` and ``label``, no two alike.

    Args:
        low: Lower end.
        high: Upper end.
        log: Whether the axis is logarithmic.
        whole: Whether only whole numbers make sense there.
        most: About how many.
    """
    values = ticks(low, high, log=log, whole=whole, most=most)
    labels: list[str] = []
    for digits in range(3, 16):
        labels = [f"{v:,.0f}" if whole else number(v, digits) for v in values]
        if len(set(labels)) == len(values):
            break
    return [{"value": v, "label": text} for v, text in zip(values, labels, strict=True)]
