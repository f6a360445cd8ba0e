"""Epochs saved and good trials lost by early stopping. Pure functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refine.stats.coverage import wilson
from refine.utils.arrays import Bools, Floats, Ints

_TOP = 10  # number of best trials that losses are compared with


class Stopping(NamedTuple):
    """Savings and losses of early stopping."""

    stopped: int  # trials that were stopped
    audited: int  # trials behind that ran to their end
    saved: float  # share of all epochs saved
    won: int  # audited trials better than every trial that was never behind
    good: int  # audited trials at least as good as the ``top``-th best of these
    top: int
    # estimated number of stopped trials that would have been as good, with its 95 % interval: audited trials
    # stand for them
    lost: float
    low: float
    high: float


def stopping_of(lengths: Ints, values: Floats, behind: Bools) -> Stopping | None:
    """Losses of early stopping, by trials behind that ran to their end; ``None`` without stopped trials.

    Args:
        lengths: (n,) epochs per trial.
        values: (n,) final values, larger is better; NaN for a stopped trial, minus infinity for one that may
            not be best.
        behind: (n,) trials that were stopped or would have been.

    Source: Horvitz and Thompson (1952), with the audited share of the trials behind in place of its
    expectation.
    """
    done = ~np.isnan(values)
    stopped = int((~done).sum())
    through = values[done & behind]
    free = np.sort(values[np.isfinite(values) & ~behind])[::-1]
    if not stopped or not free.size:
        return None
    epochs = lengths.astype(float)
    top = min(_TOP, free.size)
    saved = 1 - float(epochs.sum()) / float(epochs[done].sum() + stopped * np.median(epochs[done]))
    good = int((through >= free[top - 1]).sum())
    won = int((through > free[0]).sum())
    low, high = wilson(good, through.size)
    return Stopping(
        stopped=stopped,
        audited=through.size,
        saved=saved,
        won=won,
        good=good,
        top=top,
        lost=stopped * (good / max(1, through.size)),
        low=stopped * float(low),
        high=stopped * float(high),
    )
