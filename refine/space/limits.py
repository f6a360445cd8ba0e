"""Where a range may go on: hard limits, declared or inferred, and the range continued past one of its ends. Pure."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from refine.space.encoding import round_significant
from refine.space.parameters import Float, Integer, Range
from refine.space.rounding import cut, round_between, round_levels

HALF_DECADE = 0.5
"""Decades by which a logarithmic range is continued at most: nothing is known of values beyond its end."""

_MOST_LEVELS = 12  # a grid that grows beyond this number gets no more than
_FEWEST_BEYOND = 3  # so many levels beyond its end
_ROUND = 0.1  # share of the continuation that rounding the new end to a short number may take off
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
    """``new``, the part of ``old`` that is kept, continued past the end ``side`` of ``old``.

    A linear range is continued by one step of its grid. A logarithmic one is continued by the steps that fit into half
    a decade, at most by its own width, and by half a decade if a step is longer. If ``new`` is ``old``, its levels stay; else
    levels are spread evenly over the kept and the new part.

    Returns:
        ``None`` if the end is a limit (:func:`limit_of`), which a range never passes.
    """
    up = side == "high"
    sign = 1 if up else -1
    edge: float = old.high if up else old.low
    gap = float(old.scale(old.high) - old.scale(old.low)) / (old.size - 1)
    if old.log:
        steps = min(int(HALF_DECADE * math.log(10) / gap + 1e-9), old.size - 1)
        decades = steps * gap / math.log(10) if steps else HALF_DECADE
        far = round_significant(float(edge * 10 ** (sign * decades)))
    else:
        far = edge + sign * gap
    limit = limit_of(name, old, side)
    if limit is not None:
        if edge == limit.at:
            return None
        excess = sign * (far - limit.at)
        if excess > 0 or (excess == 0 and not limit.closed):
            far = limit.at if limit.closed else edge + (limit.at - edge) * (1 - _LEFT)
    bounded = limit is not None and far == limit.at
    further = _levels_beyond(old, edge, far, gap, max(_FEWEST_BEYOND, _MOST_LEVELS - new.size), bounded)
    if not further:
        return None
    grid = [*new.grid, *further] if up else [*further[::-1], *new.grid]
    narrowed = new.low > old.low if up else new.high < old.high
    if (
        narrowed and old.lattice is None
    ):  # spread the levels, or nearly all would lie in what is known already
        spacing = float(old.scale(new.high) - old.scale(new.low)) / max(1, new.size - 1)
        count = round(float(old.scale(grid[-1]) - old.scale(grid[0])) / min(gap, spacing or gap)) + 1
        count = min(max(count, 3), max(old.size, _MOST_LEVELS))
        grid = round_levels(grid[0], grid[-1], old.log, isinstance(old, Integer), count)
    return new.with_levels(grid)


def _levels_beyond(old: Range, edge: float, far: float, gap: float, room: int, bounded: bool) -> list[float]:
    """Levels from an end of a range, ``edge`` (left out), to ``far``, the nearest to the end first.

    ``gap`` is the spacing of ``old`` on its scale. There are at most ``room`` levels, but at least one; ``bounded``
    says whether ``far`` is a limit, which is not rounded. Empty if no value of the parameter lies in between.
    """
    low, high = sorted((edge, far))
    if old.lattice is not None:
        values = [v for v in old.lattice.between(low, high) if v != edge]
        parts = max(1, round(float(old.scale(high) - old.scale(low)) / gap))
        return (values if far > edge else values[::-1])[:: -max(1, len(values) // min(parts, room))][::-1]
    whole = isinstance(old, Integer)
    if not bounded:
        nearer = edge * (far / edge) ** (1 - _ROUND) if old.log else edge + (far - edge) * (1 - _ROUND)
        far = round_between(min(nearer, far), far, max(nearer, far), whole)
    if far == edge:
        return []
    low, high = sorted((edge, far))
    parts = round(float(old.scale(high) - old.scale(low)) / gap)
    inner = cut(low, high, max(1, min(parts, room)), old.log, whole)
    return [*inner, far] if far > edge else [*inner[::-1], far]
