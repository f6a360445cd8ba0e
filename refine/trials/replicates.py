"""Replicates: repeats of the best configurations under new seeds.

They are kept apart from the planned trials and inform about noise and luck. Tables, tests and densities leave
them out: one configuration would count several times.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.space.space import Space
from refine.trials.frame import Records, table, usable_values
from refine.trials.goal import Goal
from refine.trials.metric import Curve, Metric
from refine.trials.rows import JsonRows
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


class FinishedReplicates(NamedTuple):
    """Finished replicates."""

    values: Floats  # (n,) values, in the metric's own sign
    groups: list[str]  # n labels, equal for one configuration of one round
    # (n,) values of the planned runs of their configurations; NaN without one by the same code
    planned: Floats
    # (n, s) values by split, if the objective gave `name@1`, `name@2`, ...; else `None`
    splits: Floats | None = None


def planned(records: Records) -> Records:
    """The planned runs among records."""
    if not any(records.columns["replicate"]):
        return records
    return selected(records, [r == 0 for r in records.columns["replicate"]])


def again(records: Records) -> Records:
    """The replicates among records."""
    if not any(records.columns["replicate"]):  # most rounds have none
        return Records(JsonRows(), JsonRows(), (), {name: [] for name in records.columns}, records.damaged)
    return selected(records, [r > 0 for r in records.columns["replicate"]])


def selected(records: Records, mask: Sequence[bool]) -> Records:
    """The records that a mask selects."""
    curves: Sequence[Curve] = ()
    if records.curves:
        curves = list(compress(records.curves, mask))
    columns = {name: list(compress(values, mask)) for name, values in records.columns.items()}
    configurations = records.configurations.chosen(mask)
    return Records(configurations, records.metrics.chosen(mask), curves, columns, records.damaged)


def best_keys(records: Records, goal: Goal, limit: int | None = None) -> list[str]:
    """Keys of the configurations whose planned run may be best, best first; at most ``limit``."""
    first = planned(records)
    values = goal.sign * usable_values(first, goal)
    usable = np.flatnonzero(np.isfinite(values))
    ranked = usable[np.argsort(-values[usable], kind="stable")]
    keys = [first.columns["key"][i] for i in ranked.tolist()]
    return list(dict.fromkeys(keys))[:limit]


def replicate_table(space: Space, records: Records, metric: Metric) -> pd.DataFrame:
    """The table of a round's replicates, with their numbers in ``replicate``."""
    replicates = again(records)
    frame = table(space, replicates, metric)
    if "replicate" in frame:
        title = "replicate (trial)"
    else:
        title = "replicate"
    frame.insert(len(space), title, replicates.columns["replicate"])
    return frame


def finished_replicates(rounds: Mapping[int, Records], goal: Goal) -> FinishedReplicates:
    """Finished replicates of rounds, given as row of a round -> its trials, replicates included.

    Degenerate models are left out if they cannot be best: one of them would dominate the deviation.
    """
    metric = goal.metric
    values = list[float]()
    groups = list[str]()
    first = list[float]()
    splits = list[list[float]]()
    for pk, records in rounds.items():
        replicates = again(records)
        if not replicates.metrics:
            continue
        run_first = planned(records)
        versions = zip(run_first.columns["key"], run_first.columns["code"], strict=True)
        planned_values = dict(zip(versions, usable_values(run_first, goal).tolist(), strict=True))
        curves = replicates.curves or [{}] * len(replicates.metrics)
        columns = (replicates.columns[name] for name in ("state", "key", "code", "seconds"))
        for metrics, curve, state, key, code, seconds in zip(
            replicates.metrics, curves, *columns, strict=True
        ):
            if state == "complete":
                value = metric.of(metrics, curve, seconds)
            else:
                value = None
            if value is not None and np.isfinite(value) and goal.counts(metrics, seconds):
                values.append(value)
                groups.append(f"{pk} {key}")
                first.append(planned_values.get((key, code), np.nan))
                splits.append(scores_by_split(metric.name, metrics))
    several = len({len(s) for s in splits}) == 1 and len(splits[0]) > 1
    if several:
        by_split = np.asarray(splits, dtype=float)
    else:
        by_split = None
    return FinishedReplicates(
        np.asarray(values, dtype=float), groups, np.asarray(first, dtype=float), by_split
    )


def with_planned(replicates: FinishedReplicates, labels: Collection[str]) -> FinishedReplicates:
    """The replicates, and the planned runs of configurations that the plan of a round repeats.

    No result was the reason for these repeats, so the planned run, for example of a baseline, is a run like
    its replicates. ``labels`` are those of the configurations, as in ``groups``.
    """
    planned_values = dict(zip(replicates.groups, replicates.planned.tolist(), strict=True))
    first = {label: v for label, v in planned_values.items() if label in labels and np.isfinite(v)}
    if not first:
        return replicates
    counted = np.isin(replicates.groups, [*first])
    return FinishedReplicates(
        np.concatenate([[*first.values()], replicates[0]]),
        [*first, *replicates.groups],
        np.concatenate([[np.nan] * len(first), np.where(counted, np.nan, replicates.planned)]),
    )


def runs_compared(rounds: Mapping[int, Records], goal: Goal) -> stats.ReplicateAgreement:
    """The comparison of equal configurations' values, to the last bit, given trials by row of their round."""
    repeat_values, groups, before, _ = finished_replicates(rounds, goal)
    first = {g: v for g, v in zip(groups, before, strict=True) if np.isfinite(v)}
    return stats.repeats([*first.values(), *repeat_values], [*first, *groups])


def scores_by_split(name: str, metrics: Mapping[str, float]) -> list[float]:
    """A trial's scores ``name@1``, ``name@2``, ..., by fold; empty without."""
    values: list[float] = []
    while (value := metrics.get(f"{name}@{len(values) + 1}")) is not None:
        values.append(value)
    return values
