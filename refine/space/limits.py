"""Where a range may go on: hard limits, declared or inferred, and the range continued past one of its ends. Pure."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from refine.space.encoding import round_significant
from refine.space.parameters import Float, Integer, Range
from refine.space.rounding import round_levels

DECADES = (1.0, 2.0)
"""A logarithmic range is continued by its own width, but by no less and no more than this many decades."""

_MOST_LEVELS = 12
_LEFT = 0.1  # share of the distance to a limit that is no value itself which is left beyond the new end

_OPEN_SHARES = re.compile(r"drop|momentum|beta_?\d|\brho\b|prob")
_SHARES = re.compile(r"subsample|colsample|fraction|\bfrac|_frac|share|proportion|l1_ratio|keep")


class Limit(NamedTuple):
    """A value that a range does not pass."""

    at: float  # the value
    closed: bool  # whether the value itself is allowed
    # `"declared"`; or what it was inferred from: `"sign"` (no value has the other sign) or `"share"`
    # (its name and its values are a share's, such as a rate of dropout)
    why: str


def limit_of(name: str, parameter: Range, side: str) -> Limit | None:
    """The hard limit of one end, ``"low"`` or ``"high"``; ``None`` where there is none.

    Declared limits (``within=``) stand in place of all inferred ones. Without them no range changes its sign, a positive count
    stays positive, and a share stays below 1 (a range of shares is known by its name: one that ends at 1 is none by that).
    """
    low, high = parameter.low, parameter.high
    if parameter.within is not None:
        at = parameter.within[side == "high"]
        return None if at is None else Limit(at, True, "declared")
    if side == "low":
        if isinstance(parameter, Integer) and low > 0:
            return Limit(1, True, "sign")
        return None if low < 0 or parameter.log else Limit(0, low == 0, "sign")
    if high <= 0:
        return Limit(0, high == 0, "sign")
    if isinstance(parameter, Float) and low >= 0 and high <= 1:
        if _OPEN_SHARES.search(name.lower()):
            return Limit(1, high == 1, "share")
        if _SHARES.search(name.lower()):
            return Limit(1, True, "share")
    return None


def widened(name: str, old: Range, new: Range, side: str) -> Range | None:
    """``new``, what is left of ``old``, continued past one end of it (``side``); ``None`` where that is a limit.

    On a linear scale by the width of ``old``, on a logarithmic one by its width too, but by one decade at least and two at
    most; never past a limit. Levels are spread over all of it, with the spacing of ``old`` as long as that makes no more than
    12.
    """
    up = side == "high"
    edge: float = old.high if up else old.low
    sign = 1 if up else -1
    if old.log:
        decades = min(max(math.log10(old.high / old.low), DECADES[0]), DECADES[1])
        far = float(edge * 10 ** (sign * decades))
    else:
        far = edge + sign * (old.high - old.low)
    limit = limit_of(name, old, side)
    if limit is not None:
        beyond = sign * (far - limit.at)
        if edge == limit.at:
            return None
        if beyond > 0 or (beyond == 0 and not limit.closed):
            far = limit.at if limit.closed else edge + (limit.at - edge) * (1 - _LEFT)
    lattice = old.lattice
    if lattice is not None:
        further = lattice.between(*sorted((edge, far)))
        far = (further[-1] if up else further[0]) if further else edge
    low, high = (new.low, far) if up else (far, new.high)
    gap = float(old.scale(old.high) - old.scale(old.low)) / (old.size - 1)
    if isinstance(old, Integer):
        low, high = math.floor(low + 0.5), math.floor(high + 0.5)
    else:
        low, high = round_significant(low), round_significant(high)
    if (high <= old.high) if up else (low >= old.low):
        return None
    count = round(float(old.scale(high) - old.scale(low)) / gap) + 1
    count = min(max(count, 3), max(old.size, _MOST_LEVELS))
    if lattice is not None:
        count = min(count, len(lattice.between(low, high)))
        return type(old)(low, high, count, **old.declared)  # type: ignore[call-arg]
    return old.with_levels(round_levels(low, high, old.log, isinstance(old, Integer), count))
