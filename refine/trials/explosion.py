"""Exploded values: huge but finite results of trainings that diverged. Pure functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refine.utils.arrays import Bools, Floats

FEWEST = 10  # finished trials below which no value counts as exploded
_TIE = 1e-9  # distances from the best value below this share of it are ties


class _Rule(NamedTuple):
    """Distances from the best value beyond which a result counts as exploded."""

    near: float  # quantile of the distances that stands for the best trials
    bulk: float  # quantile that stands for the usual trials
    decades: float  # orders of magnitude beyond the bulk that are needed at least
    growth: float  # and at least this multiple of the orders of magnitude between the two quantiles


# The first rule finds explosions of up to 60 % of the trials, the second one extreme explosions of up to 80
# %. The distances of a smooth loss over many decades grow evenly with rank on a log scale. Beyond the bulk
# they grow by 2 and 5.3 times what they grow between the two quantiles; the rules ask for 2.5 to 3 times
# that, for chance.
# A loss that grows steeply at an end of a range has a heavy tail without a gap; explosions lie beyond a gap.
_GAP = 3.0  # fewest orders of magnitude between results and explosions
_GAP_GROWTH = 2.0  # and at least this multiple of the orders of magnitude between the two quantiles
_RULES = (_Rule(0.1, 0.4, 5.0, 5.0), _Rule(0.05, 0.2, 9.0, 16.0))


def explosion_limit(y: npt.ArrayLike, scale: str | None = None) -> float:
    """The lowest value that is a result; lower values are explosions and count as diverged.

    Distances from the best value are compared on a log scale: with those of the usual trials, and with how
    fast they grow among the better ones. The limit does not depend on the scale or the offset of the metric,
    and a loss that is smooth over many decades has no explosions.

    Args:
        y: (n,) values of finished trials, larger is better.
        scale: One of :data:`refine.trials.declared.SCALES`, or ``None``. On a declared log scale, no large
            loss is an explosion.

    Returns:
        The limit, in units of the metric; ``-inf`` if no value is an explosion, or with fewer than ten
            values.

    Source: our own.
    """
    values = np.asarray(y, dtype=float)
    values = values[np.isfinite(values)]
    if values.size < FEWEST or scale == "log":
        return -np.inf
    best = float(values.max())
    halves = best / 2 - values / 2  # a difference of two finite numbers may overflow, their halves' does not
    halves = halves[halves > _TIE * abs(best)]
    if halves.size < FEWEST:
        return -np.inf
    logs = np.sort(np.log10(halves)) + np.log10(2.0)
    for rule in _RULES:
        near, bulk = np.quantile(logs, [rule.near, rule.bulk])
        limit = bulk + max(rule.decades, rule.growth * (bulk - near))
        gap = max(_GAP, _GAP_GROWTH * (bulk - near))
        above = np.flatnonzero((np.diff(logs) >= gap) & (logs[1:] > limit)) + 1
        if above.size:
            limit = max(limit, (logs[above[0] - 1] + logs[above[0]]) / 2)
            return best - 10.0 ** float(limit)
    return -np.inf


def exploded(y: npt.ArrayLike, limit: float) -> Bools:
    """(n,) whether values, larger is better, lie below a limit of :func:`explosion_limit`; NaN does not."""
    values: Floats = np.asarray(y, dtype=float)
    return np.asarray(values < limit, dtype=np.bool_)
