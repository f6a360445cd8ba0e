"""Selections of a round's trials for figures, pages and tables. Pure functions of an analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.conditions import read_at, reading
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
    from collections.abc import Sequence

    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.space.parameters import Parameter
    from refine.space.space import Space


def having(analysis: Analysis, *names: str) -> Analysis:
    """An analysis of only the trials that have and read some parameters, for their figures."""
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
    having_all = _reading_all(analysis, names)
    if keep.all() and having_all.all():
        return analysis
    return replace(
        analysis,
        table=analysis.table[keep].reset_index(drop=True),
        X=analysis.X[having_all],
        y=analysis.y[having_all],
        own=None if analysis.own is None else analysis.own[having_all],
        failed=None if analysis.failed is None else analysis.failed[having_all],
    )


def _reading_all(analysis: Analysis, names: Sequence[str]) -> Bools:
    """(n,) mask of the evidence that reads all of some parameters."""
    read = reading(analysis.parameters, analysis.X)
    if read is None:
        return np.ones(len(analysis.X), dtype=np.bool_)
    return np.logical_and.reduce([read[:, j] for j, e in enumerate(analysis.parameters) if e.name in names])


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


class OtherTrials(NamedTuple):
    """Evidence inside the space of a round beside its own values: trials of other rounds, and cheap ones."""

    positions: Floats  # (m, parameters) on the unit scale; NaN if the trial did not read the parameter
    observed: Floats  # (m,) values in the metric's own sign; NaN without a usable model


def other_trials(analysis: Analysis) -> OtherTrials:
    """The trials of other rounds that count as evidence, and cheap trials by their forecasts."""
    of_round = analysis.at_full
    if analysis.failed is not None:
        of_round |= analysis.failed
    if analysis.own is not None:
        of_round &= analysis.own
    if of_round.all():
        return OtherTrials(np.zeros((0, len(analysis.parameters))), np.zeros(0))
    positions = np.array(analysis.X)
    read = reading(analysis.parameters, positions)
    if read is not None:
        positions[~read] = np.nan
    values = analysis.sign * analysis.y
    if analysis.failed is not None:
        values = np.where(analysis.failed, np.nan, values)
    return OtherTrials(positions[~of_round], values[~of_round])


def positions_of_others(analysis: Analysis, name: str) -> tuple[Floats, Bools]:
    """Positions of a parameter in the usable trials of other rounds, and the mask of these trials."""
    trials = other_trials(analysis)
    usable = np.isfinite(trials.observed)
    number = [e.name for e in analysis.parameters].index(name)
    return trials.positions[usable, number], usable


def top_trials(analysis: Analysis, usable: Bools) -> tuple[Bools, Bools]:
    """Masks of the best fifth of all evidence: of the round's trials, and of those of other rounds.

    ``usable`` is the mask of the round's trials that count, if finished.
    """
    values = value_column(analysis.table)
    other_values = other_trials(analysis).observed
    own_rows = np.flatnonzero(finished_rows(analysis.table) & usable)
    other_rows = np.flatnonzero(np.isfinite(other_values))
    good = np.zeros(len(values), dtype=np.bool_)
    good_others = np.zeros(len(other_values), dtype=np.bool_)
    joined = np.concatenate([values[own_rows], other_values[other_rows]])
    if len(joined):
        top = stats.top_mask(analysis.sign * joined, GOOD)
        good[own_rows[top[: len(own_rows)]]] = True
        good_others[other_rows[top[len(own_rows) :]]] = True
    return good, good_others


def finished_positions(analysis: Analysis, name: str) -> tuple[Floats, Bools]:
    """(n,) positions of a parameter in all finished evidence that has the parameter, and the top trials.

    The round's trials come first, then those of other rounds. The top trials are the best fifth of the trials
    that may be best.
    """
    good, good_others = top_trials(analysis, candidates(analysis, analysis.table))
    finished = finished_rows(analysis.table)
    other_positions, usable = positions_of_others(analysis, name)
    round_positions = analysis[name].parameter.unit(analysis.table[name].to_numpy()[finished])
    positions = np.concatenate([round_positions, other_positions])
    top = np.concatenate([good[finished], good_others[usable]])
    present = np.isfinite(positions)  # under other conditions a trial has none
    return positions[present], top[present]


def stays(old: Parameter, new: Parameter) -> list[bool]:
    """Per level of ``old``, whether it lies inside ``new``."""
    return [bool(v) for v in new.contains(level_values(old))]
