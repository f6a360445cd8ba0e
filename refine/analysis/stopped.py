"""What stopping trials early saved and lost. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refine.stats.coverage import wilson
from refine.utils.arrays import Bools, Floats, Ints

_TOP = 10  # how many of the best the losses are told of


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


def stopping_of(lengths: Ints, values: Floats, behind: Bools) -> Stopping | None:
    """What stopping lost, by those that were behind and ran to their end; ``None`` where nothing was stopped.

    Args:
        lengths: (n,) epochs of each trial.
        values: (n,) final values, larger is better; NaN of a trial that was stopped, minus infinity of one that may not be
            called best.
        behind: (n,) which were stopped or would have been.

    Source: Horvitz and Thompson (1952), with the share of those behind that were audited in place of its expectation.
    """
    done = ~np.isnan(values)
    stopped, through = int((~done).sum()), values[done & behind]
    free = np.sort(values[np.isfinite(values) & ~behind])[::-1]
    if not stopped or not free.size:
        return None
    epochs, top = lengths.astype(float), min(_TOP, free.size)
    saved = 1 - float(epochs.sum()) / float(epochs[done].sum() + stopped * np.median(epochs[done]))
    good, won = int((through >= free[top - 1]).sum()), int((through > free[0]).sum())
    rates = good / max(1, through.size), *map(float, wilson(good, through.size))
    return Stopping(stopped, through.size, saved, won, good, top, *(stopped * rate for rate in rates))
