"""Many trials: as columns, and as a table."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine.errors import AnalysisError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import decode, label, value_key
from refine.space.parameters import Parameter
from refine.space.space import RESERVED, Space
from refine.stats.pareto import non_dominated
from refine.trials.goal import Goal, sign_of
from refine.trials.metric import Curve, Metric
from refine.trials.metric_constraint import FEASIBLE, SECONDS, MetricConstraint
from refine.trials.rows import JsonRows
from refine.trials.trial import DEGENERATE, SPACE_FILLING, State
from refine.utils.arrays import Bools, Column, Floats

if TYPE_CHECKING:
    import pandas as pd


CHEAP_VALUE = "cheap value"
"""Column of the metric of cheap trials, as measured at their level of the fidelity."""

_SHOWN = ("state", "seconds", "seed", "cell", "origin")


class Records(NamedTuple):
    """Trials as columns, as a store reads them: fast where there are hundreds of thousands."""

    configurations: JsonRows  # per trial name -> plain JSON data
    metrics: JsonRows  # per trial metric name -> last value
    curves: Sequence[Curve]  # per trial its curve; an empty tuple if not read
    # `key`, `cell`, `replicate`, `attempt`, `origin`, `seed`, `state`, `seconds`, `code`,
    # `read`, `error`, `finished`, each a list as long as the others
    columns: dict[str, list[Any]]
    # a sentence on each stored trial that cannot be read and is left out
    damaged: tuple[str, ...] = ()


def names_read(stored: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Names of the parameters read by a trial, from the column ``read``; ``None`` without a record."""
    if isinstance(stored, str):
        stored = json.loads(stored)
    if stored is None:
        return None
    return tuple(stored)


def joined_records(parts: Sequence[Records]) -> Records:
    """The trials of several rounds, one round after the other; at least one round."""
    if len(parts) == 1:
        return parts[0]
    names = parts[0].columns
    return Records(
        JsonRows.joined(part.configurations for part in parts),
        JsonRows.joined(part.metrics for part in parts),
        [c for part in parts for c in part.curves],
        {name: [v for part in parts for v in part.columns[name]] for name in names},
        tuple(text for part in parts for text in part.damaged),
    )


def value_column(frame: pd.DataFrame) -> Floats:
    """(n,) values of the trials in a table."""
    return np.asarray(frame["value"], dtype=float)


def degenerate_rows(frame: pd.DataFrame, space: Iterable[str]) -> Bools:
    """(n,) mask of trials with a constant prediction, by the metric ``degenerate``.

    The metric is 1, or the share of several models, of which half is enough. A parameter of that name in
    ``space`` changes the title.
    """
    title = metric_title(DEGENERATE, space)
    if title not in frame.columns:
        return np.zeros(len(frame), dtype=np.bool_)
    return np.asarray(np.asarray(frame[title], dtype=float) >= 0.5, dtype=np.bool_)


def infeasible_rows(frame: pd.DataFrame) -> Bools:
    """(n,) mask of finished trials that break a metric constraint, by the column ``feasible``.

    None without it.
    """
    if FEASIBLE not in frame.columns or frame[FEASIBLE].dtype != bool:  # a parameter or metric of that name
        return np.zeros(len(frame), dtype=np.bool_)
    finished = np.isfinite(value_column(frame))
    return np.asarray(finished & ~frame[FEASIBLE].to_numpy(), dtype=np.bool_)


def barred_rows(frame: pd.DataFrame, space: Iterable[str], allow_degenerate: bool) -> Bools:
    """Mask of finished trials that may not be best: infeasible ones, and degenerate ones unless allowed."""
    barred = infeasible_rows(frame)
    if allow_degenerate:
        return barred
    return barred | degenerate_rows(frame, space)


def slacks(frame: pd.DataFrame, space: Iterable[str], constraints: Sequence[MetricConstraint]) -> Floats:
    """(constraints, n) slack of every trial: 0 or more if the constraint is met.

    AnalysisError if no trial has such a metric.
    """
    slack_rows = np.empty((len(constraints), len(frame)))
    for row, constraint in zip(slack_rows, constraints, strict=True):
        title = metric_title(constraint.name, space)
        if title not in frame.columns and constraint.name == SECONDS:
            title = SECONDS
        if title not in frame.columns:
            metric_names = [str(c) for c in frame.columns if c not in space]
            raise AnalysisError(
                f"metric constraint '{constraint}': no trial has a metric {constraint.name!r}; "
                f"{did_you_mean(constraint.name, metric_names)}"
            )
        row[:] = constraint.slack(frame[title])
    return slack_rows


def metric_title(metric: str, space: Iterable[str]) -> str:
    """The column of a metric."""
    taken = metric in space or (metric in RESERVED and metric != "value")
    if taken:
        return f"{metric} (metric)"
    return metric


def space_filling(frame: pd.DataFrame) -> Bools:
    """(n,) mask of trials drawn without regard to results, by their ``origin``; all without one."""
    if "origin" not in frame:
        return np.ones(len(frame), dtype=np.bool_)
    return np.asarray(frame["origin"].isin(SPACE_FILLING), dtype=np.bool_)


def complete_rows(frame: pd.DataFrame) -> Bools:
    """Mask of rows that finished with a value; without ``state``, rows count as complete."""
    finished = np.isfinite(value_column(frame))
    if "state" in frame:
        finished &= (frame["state"] == "complete").to_numpy()
    return np.asarray(finished, dtype=np.bool_)


def may_be_best(frame: pd.DataFrame, space: Iterable[str], allow_degenerate: bool) -> Bools:
    """Mask of :func:`complete_rows` that may be best."""
    return complete_rows(frame) & ~np.asarray(barred_rows(frame, space, allow_degenerate), dtype=np.bool_)


def best_first(
    frame: pd.DataFrame, direction: str, space: Iterable[str] = (), allow_degenerate: bool = False
) -> pd.DataFrame:
    """Trials that may be best, by ``value``, best first; equal ones in the table's order."""
    candidates: pd.DataFrame = frame[may_be_best(frame, space, allow_degenerate)]
    return candidates.iloc[np.argsort(-sign_of(direction) * value_column(candidates), kind="stable")]


def table(space: Space, records: Records, metric: Metric, part: slice = slice(None)) -> pd.DataFrame:
    """The table of trials, one row each, in the order given; ``part`` has the column types of the whole.

    Columns are the parameters, a choice by its label, then ``state``, ``value``, ``seconds``, ``seed``,
    ``cell``, ``origin`` and the metrics. ``value`` is the goal's metric, NaN if missing. A metric with the
    name of a parameter gets the suffix `` (metric)``. With constraints, ``feasible`` says which trials meet
    them all.
    """
    import pandas as pd

    data: dict[str, Any] = _parameter_columns(space, records.configurations, part)
    values = _values(records, metric)[part]
    shown = {name: records.columns[name][part] for name in _SHOWN}
    data |= {"state": shown["state"], "value": values, "seconds": np.asarray(shown["seconds"], dtype=float)}
    data |= {
        "seed": np.asarray(shown["seed"], dtype=np.int64),
        "cell": shown["cell"],
        "origin": shown["origin"],
    }
    for name in records.metrics.names:
        title = metric_title(name, space)
        if title != "value":
            data[title] = records.metrics.numbers(name)[part]
    if State.CHEAP in shown["state"]:
        data[CHEAP_VALUE] = _values(records, metric, State.CHEAP)[part]
    if metric.subject_to:
        if FEASIBLE in data and FEASIBLE not in space:
            data[f"{FEASIBLE} (metric)"] = data.pop(FEASIBLE)
        data[FEASIBLE] = _feasible(records, metric)[part]
    return pd.DataFrame(data, index=range(len(records.metrics))[part])


def tables(space: Space, read: Callable[[], Iterable[Records]], metric: Metric) -> Iterator[pd.DataFrame]:
    """The :func:`table` of trials in parts, with the columns and types of the whole.

    ``read`` gives the trials in blocks and is called twice: first for the columns.
    """
    first = JsonRows()
    kinds_seen: set[object] = set()
    names: dict[str, float] = {}
    for block in read():
        names |= dict.fromkeys(block.metrics.names, math.nan)
        if first:
            examples = []
        else:
            examples = [0]
        for name, parameter in space.items():
            if parameter.numeric:
                examples += _kinds(name, block.configurations.column(name), kinds_seen)
        first.extend([block.configurations[i] for i in examples])
    n = len(first)
    # None of them has ended, so no metric is computed for them.
    shown: dict[str, list[object]] = {
        "state": ["running"],
        "seconds": [0.0],
        "seed": [0],
        "cell": [None],
        "origin": [""],
    }
    no_curves: list[Curve] = [{}] * n
    for block in read():
        joined = Records(
            JsonRows.joined([first, block.configurations]),
            JsonRows.joined([JsonRows([names] * n), block.metrics]),
            [*no_curves, *block.curves] if block.curves else (),
            {name: [*(shown[name] * n), *block.columns[name]] for name in _SHOWN},
        )
        yield table(space, joined, metric, slice(n, None))


def _kinds(name: str, column: Sequence[object] | Column, kinds_seen: set[Any]) -> Iterator[int]:
    """Rows of a column with the first value of a type that is not among ``kinds_seen``.

    Adds the type to ``kinds_seen``.
    """
    # An array has one type.
    for i, value in enumerate(column[:1] if isinstance(column, np.ndarray) else column):
        kind = (name, type(value), np.asarray(value).dtype.kind if isinstance(value, int) else "")
        if kind not in kinds_seen:
            kinds_seen.add(kind)
            yield i


def best_row(space: Space, records: Records, goal: Goal) -> pd.Series | None:
    """The first row of :func:`best_first`, without building the :func:`table`.

    ``None`` if none may be best.
    """
    import pandas as pd

    values = goal.sign * usable_values(records, goal)
    usable = np.isfinite(values)
    if not usable.any():
        return None
    i = int(np.argmax(np.where(usable, values, -np.inf)))
    row_table = table(space, records, goal.metric, slice(i, i + 1))
    if row_table["cell"].iloc[0] is None and any(cell is not None for cell in records.columns["cell"]):
        row_table["cell"] = pd.Series([None, "0"], index=[i, i + 1])  # None as in a column with texts
    return row_table.iloc[0]


def configuration_table(space: Space, configurations: JsonRows) -> pd.DataFrame:
    """The parameters alone, of encoded configurations, as in :func:`table`."""
    import pandas as pd

    return pd.DataFrame(_parameter_columns(space, configurations))


def usable_values(records: Records, goal: Goal) -> Floats:
    """(n,) values of trials; NaN without a value, or if a trial may not be best."""
    values = _values(records, goal.metric)
    if not goal.allow_degenerate:
        values[records.metrics.numbers(DEGENERATE) >= 0.5] = np.nan
    if goal.metric.subject_to:
        values[~_feasible(records, goal.metric)] = np.nan
    return values


def _feasible(records: Records, metric: Metric) -> Bools:
    """Mask of trials that meet all constraints of a metric."""
    met = np.ones(len(records.metrics), dtype=np.bool_)
    for constraint in metric.subject_to:
        met &= constraint.slack(_numbers(records, constraint.name)) >= 0
    return met


def _numbers(records: Records, name: str) -> Floats:
    """The last values of a metric, or wall times if asked for and not reported."""
    if name == SECONDS and name not in records.metrics.names:
        return np.array(records.columns[SECONDS], dtype=float)
    return records.metrics.numbers(name)


def _parameter_columns(
    space: Space, configurations: JsonRows, part: slice = slice(None)
) -> dict[str, Column]:
    columns = {}
    for name, parameter in space.items():
        column = configurations.column(name)
        if name in space.conditions and not (present := configurations.has(name)).all():
            # Missing rows are NaN among numbers, else ``None``.
            values = _parameter_column(parameter, list(itertools.compress(column, present)))
            with_gaps = np.full(len(present), np.nan)
            if values.dtype.kind not in "if":
                with_gaps = np.full(len(present), None)
            with_gaps[present] = values
            columns[name] = with_gaps[part]
        elif parameter.numeric:  # all rows decide the type of a column
            columns[name] = _parameter_column(parameter, column)[part]
        else:
            columns[name] = _parameter_column(parameter, column[part])
    return columns


def _values(records: Records, metric: Metric, state: State = State.COMPLETE) -> Floats:
    """(n,) values of the metric; NaN for trials in another state."""
    states = records.columns["state"]
    if metric.function is not None:
        # The function's present answer counts, not the one stored when the trial ended.
        numbers: Iterable[float | None] = (
            metric.of(m, {}) if s == state else None for m, s in zip(records.metrics, states, strict=True)
        )
    elif not metric.curves:
        numbers = _numbers(records, metric.name)
    else:
        curves: Sequence[Curve] = records.curves or [{}] * len(records.metrics)
        numbers = (metric.of(m, c) for m, c in zip(records.metrics, curves, strict=True))
    if isinstance(numbers, np.ndarray):
        values = numbers
    else:
        values = np.array([math.nan if v is None else v for v in numbers], dtype=float)
    values[np.array([s != state for s in states], dtype=np.bool_)] = np.nan
    return values


def _parameter_column(parameter: Parameter, encoded: Sequence[object] | Column) -> Column:
    if parameter.numeric and (column := np.asarray(encoded)).dtype.kind in "if":
        return column
    if parameter.numeric and not isinstance(parameter, Categorical):
        return np.asarray([math.nan if v is None else v for v in encoded])
    assert isinstance(parameter, Categorical)
    labels = {value_key(v): text for v, text in zip(parameter.grid, parameter.labels, strict=True)}
    if isinstance(encoded, np.ndarray):
        values = encoded.tolist()
    else:
        values = encoded
    # A reference or tuple arrives as a dictionary, which cannot be a key.
    keys = [v if isinstance(v, str) else (type(v), str(v)) for v in values]
    shown = {}
    for key, value in dict(zip(keys, values, strict=True)).items():
        frozen = decode(value)
        shown[key] = labels.get(value_key(frozen), label(frozen))
    return np.array(list(map(shown.__getitem__, keys)), dtype=object)


def front_rows(frame: pd.DataFrame, goals: Sequence[Goal], space: Iterable[str]) -> pd.DataFrame:
    """Undominated rows that may be best and have a value in every goal; the best in the first goal first.

    Rows of a :func:`table`, with ``value`` for the first goal. Columns of the goals stand first, in place of
    ``value``.
    """
    names = list(space)
    shown = frame.rename(columns={"value": str(goals[0].metric)}).loc[:, lambda t: ~t.columns.duplicated()]
    titles = [str(goals[0].metric), *(metric_title(goal.metric.name, names) for goal in goals[1:])]
    if not set(titles) <= set(shown.columns):
        return shown.iloc[:0]
    signs = [goal.sign for goal in goals]
    values = shown[titles].to_numpy(dtype=float) * signs
    usable = np.flatnonzero(
        may_be_best(frame, names, goals[0].allow_degenerate) & np.isfinite(values).all(axis=1)
    )
    on = usable[non_dominated(values[usable])]
    other_columns = [column for column in shown.columns if column not in titles and column not in names]
    order = on[np.lexsort((*values[on].T[:0:-1], -values[on, 0]))]
    return shown[[*titles, *(n for n in names if n in shown), *other_columns]].iloc[order]
