"""Which trials a figure draws, and what is typical of some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.evidence import _medians
from refine.analysis.population import SPACE_FILLING, space_filling_rows
from refine.trials.frame import degenerate_rows
from refine.trials.trial import FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.space.parameters import Parameter

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def space_filling_trials(analysis: Analysis) -> tuple[pd.DataFrame, Floats]:
    """The round's own finished space-filling trials: what the analysis tested on."""
    table = analysis.table
    keep = space_filling_rows(table)
    return table[keep], np.asarray(table["value"], dtype=float)[keep]


def ranked_trials(analysis: Analysis) -> tuple[pd.DataFrame, Floats, Bools]:
    """Its space-filling trials that have a rank: finished ones, and pruned ones, which rank with the worst.

    Returns:
        The rows; (n,) values, of a pruned one the worst finished value; and (n,) which were pruned.
    """
    table = analysis.table
    finished, pruned = space_filling_rows(table), np.zeros(len(table), dtype=np.bool_)
    if "state" in table and finished.any():
        pruned = (table["state"] == "pruned").to_numpy() & _space_filling(table)
    value = np.asarray(table["value"], dtype=float)
    if pruned.any():
        worst = min if analysis.sign > 0 else max
        value = np.where(pruned, worst(value[finished]), value)
    keep = finished | pruned
    return table[keep], value[keep], pruned[keep]


def ended_trials(analysis: Analysis) -> tuple[pd.DataFrame, Bools]:
    """Its space-filling trials that have ended, and which of them gave no value or a degenerate model."""
    table = analysis.table
    finished, failed = space_filling_rows(table), np.zeros(len(table), dtype=np.bool_)
    pruned = failed
    if "state" in table:
        failed = table["state"].isin(FAILED).to_numpy() & _space_filling(table)
        pruned = (table["state"] == "pruned").to_numpy() & _space_filling(table)
    else:
        failed = ~finished & _space_filling(table)
    bad = failed | (finished & degenerate_rows(table, analysis.space))
    keep = finished | failed | pruned
    return table[keep], bad[keep]


def worthy(analysis: Analysis, table: pd.DataFrame) -> Bools:
    """Which rows have a value and may be called best: no degenerate ones, unless the round's best is one."""
    keep = np.isfinite(np.asarray(table["value"], dtype=float))
    if "state" in table:
        keep &= (table["state"] == "complete").to_numpy()
    if not degenerate_rows(analysis.best.to_frame().T, analysis.space)[0]:
        keep &= ~degenerate_rows(table, analysis.space)
    return np.asarray(keep, dtype=np.bool_)


def typical(
    codes: npt.NDArray[np.int64], y: Floats, pruned: Bools, k: int, sign: float
) -> Sequence[stats.Level]:
    """Median of each of ``k`` groups with its 95 % interval; NaN where one is a pruned trial's.

    Args:
        codes: (n,) group of each trial, from 0 to k - 1.
        y: (n,) values, in the metric's own sign.
        pruned: (n,) which were pruned.
        k: How many groups.
        sign: 1 to maximize, -1 to minimize.
    """
    return _medians(codes, sign * y, k, sign, pruned)


def stays(old: Parameter, new: Parameter) -> list[bool]:
    """Which levels of ``old`` lie inside ``new``."""
    values = np.empty(old.size, dtype=object)
    values[:] = old.grid
    return [bool(v) for v in new.contains(values)]


def _space_filling(table: pd.DataFrame) -> Bools:
    if "origin" not in table:
        return np.ones(len(table), dtype=np.bool_)
    return np.asarray(table["origin"].isin(SPACE_FILLING).to_numpy(), dtype=np.bool_)
