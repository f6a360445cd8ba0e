"""Ranges that are searched by value, where what is good is told apart by magnitude. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.selection import good_rows
from refine.proposal.change import Change
from refine.space.parameters import Float, Integer

DECADE = 10.0
"""Such a range spans this factor at least, ..."""

LOWEST, CROWDED = 0.1, 0.5
"""... and the lowest tenth of it holds this share of the good trials inside: more is known there than its levels can tell apart."""

_EVEN = 3.0
"""Gaps between levels that differ by less: levels by magnitude differ more."""


class Rescaling(NamedTuple):
    """A proposed range on a logarithmic scale."""

    new: Float | Integer  # the same bounds, with levels by magnitude
    factor: float  # upper bound by lower bound
    crowded: int  # how many good trials have a value in the lowest tenth of the range
    good: int  # how many have one in the range


def by_magnitude(analysis: Analysis, change: Change) -> Rescaling | None:
    """The range of a change on a logarithmic scale, where the evidence says that this resolves what is good; else ``None``.

    So it is where the range was cut from above by what was found, spans a decade or more all the same, and most good trials inside
    lie in its lowest tenth, which levels that are even by value leave to the lowest one. Not of a range that has a logarithmic
    scale, a step, or levels by magnitude already.
    """
    old, new = change.old, change.new
    if (
        not (isinstance(old, Float | Integer) and isinstance(new, Float | Integer))
        or new.log
        or new.step is not None
    ):
        return None
    low, high, before = float(new.grid[0]), float(new.grid[-1]), float(old.grid[-1])
    if not 0 < low <= high / DECADE or high >= before:
        return None
    gaps = np.diff(np.asarray(old.grid, dtype=float))
    if gaps.max() > _EVEN * gaps.min():
        return None
    values = np.asarray(analysis.table[change.name], dtype=float)
    inside = good_rows(analysis, np.isfinite(values)) & (values >= low) & (values <= high)
    good, crowded = int(inside.sum()), int((inside & (values <= low + LOWEST * (high - low))).sum())
    if not good or crowded < CROWDED * good:
        return None
    return Rescaling(replace(new, levels=None, log=True), high / low, crowded, good)
