"""The best trials and their cost. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine.analysis.selection import candidates
from refine.errors import AnalysisError
from refine.trials.frame import value_column
from refine.utils.arrays import Floats, Ints

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis


class Cost(NamedTuple):
    """The metric against the duration of trials, over trials that may be best and have a duration."""

    seconds: Floats  # (n,) times
    values: Floats  # (n,) values, in the metric's own sign
    best: int  # row of the best trial
    cheapest: int  # row of the cheapest trial within the noise of the best
    front: Ints  # rows of the Pareto front by duration: each better than all cheaper ones
    noise: float  # standard deviation of the noise; NaN if unknown
    untimed: int  # trials that may be best and have no duration
    rank: int  # rank of the cheapest trial among all that may be best; equal ones in the table's order
    leads: bool  # whether the best trial also beats the trials without a duration


def cost_of(analysis: Analysis) -> Cost:
    """Duration against value; AnalysisError if no trial that may be best has a duration."""
    table = analysis.table
    if "seconds" not in table:
        raise AnalysisError("cost: the table has no column 'seconds'; add the time of each trial")
    seconds, y = (np.asarray(table[name], dtype=float) for name in ("seconds", "value"))
    may_win = candidates(analysis, table)
    timed = may_win & np.isfinite(seconds) & (seconds > 0)
    if not timed.any():
        raise AnalysisError(
            "cost: no finished trial has a time above 0, as in a table without durations; add a "
            "column 'seconds'"
        )
    x = seconds[timed]
    y = y[timed]
    value = analysis.sign * y
    noise = analysis.noise.sd
    best = int(np.argmax(value))  # of trials that tie the first, as everywhere
    near = np.flatnonzero(value >= value[best] - (noise if math.isfinite(noise) else 0.0))
    cheapest = int(near[np.lexsort((-value[near], x[near]))[0]])
    values = analysis.sign * value_column(table)[may_win]
    row = int(np.flatnonzero(timed[may_win])[cheapest])
    rank = int(np.flatnonzero(np.argsort(-values, kind="stable") == row)[0]) + 1
    untimed = int((may_win & ~timed).sum())
    leads = bool(value[best] == values.max())
    order = np.lexsort((-value, x))
    before = np.concatenate([[-np.inf], np.maximum.accumulate(value[order])[:-1]])
    return Cost(
        seconds=x,
        values=y,
        best=best,
        cheapest=cheapest,
        front=np.asarray(order[value[order] > before], dtype=np.int64),
        noise=noise,
        untimed=untimed,
        rank=rank,
        leads=leads,
    )
