"""Extensions of a range: hard limits, declared or inferred, and continuation past an end. Pure functions."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from refine.space.encoding import round_significant
from refine.space.parameters import Float, Integer, Range
from refine.space.rounding import cut, round_between, round_levels

HALF_DECADE = 0.5
"""Largest extension of a logarithmic range, in decades: values beyond its end were never tried."""

_MOST_LEVELS = 12  # levels of an extended grid, unless the old grid has more
_FEWEST_BEYOND = 3  # levels added beyond the old end
_ROUND = 0.1  # share of the extension that may be lost by rounding the new end
_LEFT = 0.1  # share of the distance to an open limit that stays beyond the new end

_OPEN_SHARES = re.compile(r"drop|momentum|beta_?\d|\brho\b|prob")
_SHARES = re.compile(r"subsample|colsample|fraction|\bfrac|_frac|share|proportion|l1_ratio|keep")


class Limit(NamedTuple):
    """A value that a range does not pass."""

    at: float  # the value
    closed: bool  # whether the value itself is allowed
    # `"declared"`, or the basis of an inferred limit: `"sign"` (all values have one sign) or `"share"`
    # (name and values are those of a share, for example a dropout rate)
    why: str


def limit_of(name: str, parameter: Range, side: str) -> Limit | None:
    """The hard limit of an end, ``"low"`` or ``"high"``; ``None`` without a limit.

    Declared limits (``within=``) replace inferred ones. Without them a range does not change its sign, a
    positive count stays positive, and a share stays below 1. A share is recognised by its name, not by an end
    of 1.
    """
    low = parameter.low
    high = parameter.high
    if parameter.within is not None:
        declared = parameter.within[side == "high"]
        if declared is None:
            return None
        return Limit(declared, True, "declared")
    if side == "low":
        if isinstance(parameter, Integer) and low > 0:
            return Limit(1, True, "sign")
        if low < 0 or parameter.log:
            return None
        return Limit(0, low == 0, "sign")
    if high <= 0:
        return Limit(0, high == 0, "sign")
    if isinstance(parameter, Float) and low >= 0 and high <= 1:
        if _OPEN_SHARES.search(name.lower()):
            return Limit(1, high == 1, "share")
        if _SHARES.search(name.lower()):
            return Limit(1, True, "share")
    return None


def widened(name: str, old: Range, new: Range, side: str) -> Range | None:
    """``new``, the kept part of ``old``, continued past the end ``side`` of ``old``.

    A linear range is continued by one step of its grid. A logarithmic range is continued by the steps that
    fit into half a decade, at most by its own width, and by half a decade if a step is longer. If ``new`` is
    ``old``, its levels stay; otherwise levels are spread evenly over the kept and the new part.

    Returns:
        ``None`` if the end is a limit (:func:`limit_of`), which a range never passes.
    """
    if side == "high":
        sign = 1
        edge = old.high
        narrowed = new.low > old.low
    else:
        sign = -1
        edge = old.low
        narrowed = new.high < old.high
    gap = old.gap
    if old.log:
        steps = min(int(HALF_DECADE * math.log(10) / gap + 1e-9), old.size - 1)
        decades = HALF_DECADE
        if steps:
            decades = steps * gap / math.log(10)
        new_end = round_significant(float(edge * 10 ** (sign * decades)))
    else:
        new_end = edge + sign * gap
    limit = limit_of(name, old, side)
    if limit is not None:
        if edge == limit.at:
            return None
        excess = sign * (new_end - limit.at)
        if excess > 0 or (excess == 0 and not limit.closed):
            if limit.closed:
                new_end = limit.at
            else:
                new_end = edge + (limit.at - edge) * (1 - _LEFT)
    bounded = limit is not None and new_end == limit.at
    added = _levels_beyond(old, edge, new_end, max(_FEWEST_BEYOND, _MOST_LEVELS - new.size), bounded)
    if not added:
        return None
    grid = sorted([*new.grid, *added])
    # Spread the levels: otherwise nearly all would lie in the part already tried.
    if narrowed and old.lattice is None:
        spacing = old.distance(new.low, new.high) / max(1, new.size - 1)
        count = round(old.distance(grid[0], grid[-1]) / min(gap, spacing or gap)) + 1
        count = min(max(count, 3), max(old.size, _MOST_LEVELS))
        grid = round_levels(grid[0], grid[-1], old.log, isinstance(old, Integer), count)
    return new.with_levels(grid)


def _levels_beyond(old: Range, edge: float, new_end: float, room: int, bounded: bool) -> list[float]:
    """Levels from an end of a range, ``edge`` (excluded), to ``new_end``, in order of distance from the end.

    There are at most ``room`` levels, but at least one.
    ``bounded`` tells whether ``new_end`` is a limit, which is not rounded. Empty if no value of the parameter
    lies in between.
    """
    low, high = sorted((edge, new_end))
    if old.lattice is not None:
        values = [v for v in old.lattice.between(low, high) if v != edge]
        parts = old.gaps(low, high)
        return (values if new_end > edge else values[::-1])[:: -max(1, len(values) // min(parts, room))][::-1]
    integral = isinstance(old, Integer)
    if not bounded:
        if old.log:
            nearer = edge * (new_end / edge) ** (1 - _ROUND)
        else:
            nearer = edge + (new_end - edge) * (1 - _ROUND)
        new_end = round_between(min(nearer, new_end), new_end, max(nearer, new_end), integral)
    if new_end == edge:
        return []
    low, high = sorted((edge, new_end))
    parts = min(old.gaps(low, high), max(1, room))
    inner = cut(low, high, parts, old.log, integral)
    if new_end > edge:
        return [*inner, new_end]
    return [*inner[::-1], new_end]
