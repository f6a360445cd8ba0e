"""Trials that no other one beats, where there are several goals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from refine.stats.pareto import non_dominated
from refine.trials.frame import may_be_best, metric_title
from refine.trials.goal import Goal

if TYPE_CHECKING:
    import pandas as pd


def front_rows(frame: pd.DataFrame, goals: Sequence[Goal], space: Iterable[str]) -> pd.DataFrame:
    """The front of a table of trials.

    Args:
        frame: One row per trial, with ``value`` for the first goal and a column per metric.
        goals: The goals.
        space: Names of parameters, whose columns have their names.

    Returns:
        The rows that may be called best, have a value in every goal and are dominated by no other; columns of the goals
        stand first, in place of ``value``. The best in the first goal first.
    """
    names = list(space)
    shown = frame.rename(columns={"value": str(goals[0].metric)}).loc[:, lambda t: ~t.columns.duplicated()]
    titles = [title_of(goal, names) if k else str(goal.metric) for k, goal in enumerate(goals)]
    missing = [title for title in titles if title not in shown.columns]
    if missing:
        return shown.iloc[:0]
    values = np.column_stack(
        [goal.sign * np.asarray(shown[title], dtype=float) for goal, title in zip(goals, titles, strict=True)]
    )
    usable = np.flatnonzero(
        may_be_best(frame, names, goals[0].allow_degenerate) & np.isfinite(values).all(axis=1)
    )
    on = usable[non_dominated(values[usable])]
    rest = [column for column in shown.columns if column not in titles and column not in names]
    order = on[np.lexsort((*values[on].T[:0:-1], -values[on, 0]))]
    return shown[[*titles, *(n for n in names if n in shown), *rest]].iloc[order]


def title_of(goal: Goal, space: Iterable[str]) -> str:
    """The column of a table that has a goal's values."""
    return metric_title(goal.metric.name, list(space))
