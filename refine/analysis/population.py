"""A round as a population: its whole distribution compared with its parent's. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.errors import AnalysisError, did_you_mean
from refine.trials.frame import complete_rows, space_filling, value_column
from refine.trials.goal import best_of, check_direction, sign_of
from refine.utils.action import Action
from refine.utils.arrays import Bools, Floats

if TYPE_CHECKING:
    import pandas as pd

_SHAPES = 0.05  # two-sided p of the largest distance below which distributions differ in shape


class RoundComparison(NamedTuple):
    """A child round against its parent, both by their finished space-filling trials."""

    direction: str  # ``"maximize"`` or ``"minimize"``
    # probability that a child's trial beats a parent's, its interval, and the largest distance of the two
    # distributions; above 0.5 is an improvement
    comparison: stats.Comparison
    parent_median: float  # median value of the parent's trials, in the metric's own sign
    child_median: float  # median value of the child's trials
    parent_best: float  # best value of the parent's trials
    child_best: float  # best value of the child's trials

    @property
    def verdict(self) -> str:
        """``"better"``, ``"worse"`` or ``"unclear"``, by the side of 1/2 on which the whole interval lies."""
        if self.comparison.low > 0.5:
            return "better"
        if self.comparison.high < 0.5:
            return "worse"
        return "unclear"

    @property
    def spread_differs(self) -> bool:
        """Whether the distributions differ in shape: p of their largest distance is below 0.05."""
        return self.comparison.ks_p < _SHAPES


def compare_rounds(parent_table: pd.DataFrame, child_table: pd.DataFrame, direction: str) -> RoundComparison:
    """Compares a child with its parent by their finished space-filling trials.

    Each table has one row per trial with ``value`` and, optionally, ``state`` and ``origin``.

    Raises:
        AnalysisError: Trials were pruned, or one has fewer than 2 finished space-filling trials or no column
            ``value``, or ``direction`` is neither ``"maximize"`` nor ``"minimize"``.

    Source: Mann and Whitney's statistic with the variance of DeLong et al. (1988) and of Brunner and Munzel
    (2000); see :class:`refine.stats.Compare`.
    """
    check_direction(direction)
    sign = sign_of(direction)
    for owner, part in (("parent's", parent_table), ("child's", child_table)):
        if "state" in part and (stopped := int((part["state"] == "pruned").sum())):
            raise AnalysisError(
                f"rounds with trials stopped early can't be compared, got {stopped} in the {owner} table: "
                "those left are the better ones; run them to their end",
                Action("round.run", rerun="pruned"),
            )
    old = space_filling_values(parent_table)
    new = space_filling_values(child_table)
    comparison = stats.Compare()(sign * old, sign * new)
    medians = float(np.median(old)), float(np.median(new))
    return RoundComparison(direction, comparison, *medians, best_of(old, direction), best_of(new, direction))


def space_filling_rows(table: pd.DataFrame) -> Bools:
    """(n,) mask of finished space-filling trials; AnalysisError without a column ``value``.

    Without ``state`` every row is complete, without ``origin`` every row is space-filling. An imported table
    of finished runs counts as space-filling, as in an analysis.
    """
    return np.asarray(finished_rows(table) & space_filling(table), dtype=np.bool_)


def finished_rows(table: pd.DataFrame) -> Bools:
    """(n,) mask of finished trials with a value; AnalysisError without a column ``value``."""
    if "value" not in table.columns:
        raise AnalysisError(
            "a table of trials needs a column 'value'; "
            + did_you_mean("value", [str(c) for c in table.columns])
        )
    return complete_rows(table)


def space_filling_values(table: pd.DataFrame) -> Floats:
    """Values of :func:`space_filling_rows`, in the table's order and the metric's own sign."""
    keep = space_filling_rows(table)
    return value_column(table)[keep]
