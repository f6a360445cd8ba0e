"""Selections of a round's trials for figures, pages and tables. Pure functions of an analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refine import stats
from refine.analysis.conditions import read_at
from refine.analysis.evidence import GOOD, level_values
from refine.analysis.population import finished_rows, space_filling_rows
from refine.errors import AnalysisError
from refine.trials.frame import (
    barred_rows,
    degenerate_rows,
    infeasible_rows,
    may_be_best,
    space_filling,
    value_column,
)
from refine.trials.trial import FAILED
from refine.utils.action import Action, Symbol
from refine.utils.arrays import Bools, Floats

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.space.parameters import Parameter
    from refine.space.space import Space


def having(analysis: Analysis, *names: str) -> Analysis:
    """An analysis whose table holds only trials that have and read some parameters, for their figures."""
    conditional = [n for n in names if n in analysis.space.conditions]
    if conditional:
        active = analysis.space.active_in(analysis.table)
    else:
        active = {}
    read = read_at(
        analysis.parameters, {e.name: analysis.table[e.name].to_numpy() for e in analysis.parameters}
    )
    masks = [part[n] for part in (active, read) for n in names if n in part]
    if masks:
        keep = np.logical_and.reduce(masks)
    else:
        keep = np.ones(len(analysis.table), dtype=np.bool_)
    if keep.all():
        return analysis
    return replace(analysis, table=analysis.table[keep].reset_index(drop=True))


def space_filling_trials(analysis: Analysis) -> tuple[pd.DataFrame, Floats]:
    """The round's own finished space-filling trials, the tested ones, and their (n,) values.

    AnalysisError if a search chose them.
    """
    check_tested(analysis)
    table = analysis.table
    keep = space_filling_rows(table)
    return table[keep], value_column(table)[keep]


def ranked_trials(analysis: Analysis, *, even: bool = True) -> tuple[pd.DataFrame, Floats, Bools]:
    """Trials with a rank: finished ones; pruned and infeasible ones rank with the worst.

    Only space-filling trials of the round if ``even``, else all of the round.
    Returns the trials, (n,) values (for a pruned one the worst finished value), and the (n,) mask of pruned
    or infeasible ones. AnalysisError if a search chose the trials.
    """
    check_tested(analysis)
    table = analysis.table
    counted = np.ones(len(table), dtype=np.bool_)
    if even:
        counted = space_filling(table)
    finished = finished_rows(table) & counted
    pruned = np.zeros(len(table), dtype=np.bool_)
    if "state" in table and finished.any():
        pruned = (table["state"] == "pruned").to_numpy() & counted
    infeasible = finished & infeasible_rows(table)
    finished = finished & ~infeasible
    pruned = pruned | infeasible
    value = value_column(table)
    if pruned.any():
        worst = analysis.sign * (analysis.sign * value[finished]).min()
        value = np.where(pruned, worst, value)
    keep = finished | pruned
    return table[keep], value[keep], pruned[keep]


def ended_trials(analysis: Analysis) -> tuple[pd.DataFrame, Bools]:
    """Space-filling trials that have ended, and the mask of failed, degenerate and infeasible ones."""
    check_tested(analysis)
    table = analysis.table
    finished = space_filling_rows(table)
    even = space_filling(table)
    failed = even & ~finished
    pruned = np.zeros(len(table), dtype=np.bool_)
    if "state" in table:
        failed = even & table["state"].isin(FAILED).to_numpy()
        pruned = even & (table["state"] == "pruned").to_numpy()
    bad = failed | (finished & barred_rows(table, analysis.space, False))
    keep = finished | failed | pruned
    return table[keep], bad[keep]


def check_tested(analysis: Analysis) -> None:
    """Raises AnalysisError if an analysis tested nothing."""
    if not analysis.tested:
        raise AnalysisError(
            "untested: results chose the trials, so the place of the good ones follows that choice; "
            "draw some evenly",
            Action("round.branch", Symbol("round.space"), n=...),
        )


def candidates(analysis: Analysis, table: pd.DataFrame) -> Bools:
    """Mask of rows that may be best; degenerate ones only if the round's best is one."""
    degenerate = bool(degenerate_rows(analysis.best.to_frame().T, analysis.space)[0])
    return may_be_best(table, analysis.space, degenerate)


def unusable(table: pd.DataFrame, space: Space, allow_degenerate: bool) -> Bools:
    """Mask of rows without a usable model: failed and infeasible ones, and degenerate ones unless allowed."""
    bad = barred_rows(table, space, allow_degenerate)
    if "state" in table:
        return bad | table["state"].isin(FAILED).to_numpy()
    return bad


def good_rows(analysis: Analysis, usable: Bools) -> Bools:
    """Mask of the best fifth of the round's usable finished trials, evenly drawn or not."""
    values = value_column(analysis.table)
    rows = np.flatnonzero(finished_rows(analysis.table) & usable)
    good = np.zeros(len(values), dtype=np.bool_)
    if len(rows):
        good[rows[stats.top_mask(analysis.sign * values[rows], GOOD)]] = True
    return good


def finished_trials(analysis: Analysis) -> tuple[pd.DataFrame, Bools]:
    """The round's finished trials, evenly drawn or not, and the (n,) mask of the top trials.

    The top trials are the best fifth of the trials that may be best.
    """
    good = good_rows(analysis, candidates(analysis, analysis.table))
    keep = finished_rows(analysis.table)
    return analysis.table[keep], good[keep]


def stays(old: Parameter, new: Parameter) -> list[bool]:
    """Per level of ``old``, whether it lies inside ``new``."""
    return [bool(v) for v in new.contains(level_values(old))]
