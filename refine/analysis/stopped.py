"""Trials that a pruner stopped: what they would have reached, and what stopping saved and lost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refine.stats.coverage import wilson
from refine.utils.arrays import Bools, Floats

LEAST = 5  # nearest trials that ran to their end, from which a forecast is made
_TOP = 10  # how many of the best the losses are told of


def forecasts(series: Sequence[Floats], values: Floats) -> Floats:
    """What trials without a value would have reached at their end, larger is better; NaN where too few others tell.

    The mean of what the 5 with the nearest curves up to there reached, weighted by one over the squared distance, and moved by
    half of what lies between at the last epoch; within the values that are known.

    Args:
        series: (n,) values per epoch of each trial.
        values: (n,) final values; NaN of a trial that was stopped.
    """
    out, lengths = np.full(len(values), np.nan), np.array(list(map(len, series)), dtype=int)
    ended = np.flatnonzero(np.isfinite(values))
    for epoch in np.unique(lengths[np.isnan(values) & (lengths > 0)]).tolist():
        here, others = np.flatnonzero(np.isnan(values) & (lengths == epoch)), ended[lengths[ended] >= epoch]
        if others.size < LEAST:
            continue
        curves = np.nan_to_num(np.stack([series[i][:epoch] for i in (*here.tolist(), *others.tolist())]))
        mine, known = curves[: here.size], curves[here.size :]
        far = (mine**2).mean(axis=1)[:, None] + (known**2).mean(axis=1) - 2 * mine @ known.T / epoch
        near = np.argsort(far, axis=1)[:, :LEAST]
        weights = 1 / np.maximum(
            np.take_along_axis(far, near, axis=1), 1e-6 * max(float(known.var()), 1e-300)
        )
        reached = values[others][near] + (mine[:, -1:] - known[near, -1]) / 2
        mean = (weights * reached).sum(axis=1) / weights.sum(axis=1)
        out[here] = np.clip(mean, values[ended].min(), values[ended].max())
    return out


class Stopping(NamedTuple):
    """What stopping trials saved and lost."""

    stopped: int  # trials that were stopped
    audited: int  # trials that were behind and ran to their end
    saved: float  # share of the epochs of all
    won: int  # audited ones that beat every trial that never was behind
    good: int  # audited ones at least as good as the ``top``-th best of these
    top: int
    # estimated number of the stopped ones that would have been as good, with its 95 % interval: audited ones stand for them
    lost: float
    low: float
    high: float


def stopping_of(lengths: Sequence[int], values: Floats, behind: Bools) -> Stopping | None:
    """What stopping lost, by those that were behind and ran to their end; ``None`` where nothing was stopped.

    Args:
        lengths: (n,) epochs of each trial.
        values: (n,) final values, larger is better; NaN of a trial that was stopped.
        behind: (n,) which were stopped or would have been.

    Source: Horvitz and Thompson (1952), with the share of those behind that were audited in place of its expectation.
    """
    done = np.isfinite(values)
    stopped, through, free = int((~done).sum()), values[done & behind], np.sort(values[done & ~behind])[::-1]
    if not stopped or not free.size:
        return None
    epochs = np.asarray(lengths, dtype=float)
    full = stopped * float(np.median(epochs[done]))
    top = min(_TOP, free.size)
    good, won = int((through >= free[top - 1]).sum()), int((through > free[0]).sum())
    share = wilson(good, through.size)
    rates = good / max(1, through.size), float(share.low), float(share.high)
    lost, low, high = (stopped * rate for rate in rates)
    saved = 1 - float(epochs.sum()) / (float(epochs[done].sum()) + full)
    return Stopping(stopped, through.size, saved, won, good, top, lost, low, high)
