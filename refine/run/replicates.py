"""Replicates: the best configurations run again under new seeds.

They are kept beside the planned trials and count for the noise and for how much of the best value is chance. They
are in no table, test or density, where one configuration would count several times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.pooling import Fresh
from refine.errors import AnalysisError, DesignError
from refine.run.objective import Task
from refine.space.space import Space
from refine.store.store import Store
from refine.trials.frame import Records, best_first, table
from refine.trials.metric import Metric
from refine.trials.round_record import Node
from refine.trials.trial import DEGENERATE

if TYPE_CHECKING:
    import pandas as pd


def check_times(top: int, seeds: int) -> None:
    """Raises DesignError unless both are whole numbers >= 1."""
    for name, value in (("top", top), ("seeds", seeds)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DesignError(f"{name} must be a whole number >= 1, got {value!r}")


def planned(records: Records) -> Records:
    """The planned runs among records."""
    return _where(records, [r == 0 for r in records.columns["replicate"]])


def again(records: Records) -> Records:
    """The replicates among records."""
    return _where(records, [r > 0 for r in records.columns["replicate"]])


def _where(records: Records, keep: Sequence[bool]) -> Records:
    def some(values: Sequence[Any]) -> list[Any]:
        return [v for v, k in zip(values, keep, strict=True) if k]

    return Records(
        some(records.configurations),
        some(records.metrics),
        some(records.curves) if records.curves else (),
        {name: some(values) for name, values in records.columns.items()},
    )


def best_keys(
    space: Space, records: Records, metric: Metric, direction: str, allow_degenerate: bool
) -> list[str]:
    """Keys of the configurations whose planned run may be called best, best first.

    Args:
        space: Whose parameters they set.
        records: Trials of a round; replicates among them say nothing here.
        metric: Which metric is the value.
        direction: ``"maximize"`` or ``"minimize"``.
        allow_degenerate: Whether degenerate trials may be best.
    """
    first = planned(records)
    ranked = best_first(table(space, first, metric), direction, space, allow_degenerate)
    return list(dict.fromkeys(first.columns["key"][i] for i in ranked.index))


def replicate_tasks(
    node: Node,
    records: Records,
    keys: Sequence[str],
    seeds: int,
    rerun: frozenset[str] = frozenset(),
) -> list[Task]:
    """What is left to run of some configurations' replicates, seed by seed.

    Args:
        node: The round.
        records: Its trials so far, replicates among them.
        keys: Hashes of configurations that it has run.
        seeds: How many replicates of each there shall be.
        rerun: Replicates that ended in one of these states come again.
    """
    c = records.columns
    first = {key: i for i, (key, r) in enumerate(zip(c["key"], c["replicate"], strict=True)) if r == 0}
    rows = zip(c["key"], c["replicate"], c["state"], c["attempt"], strict=True)
    ended = {(key, r): (state, attempt) for key, r, state, attempt in rows}
    tasks = []
    for replicate in range(1, seeds + 1):
        for key in keys:
            i = first[key]
            state, attempt = ended.get((key, replicate), ("", -1))
            if not state or state in rerun:
                seed = node.trial_seed(key, replicate)
                place = (
                    records.configurations[i],
                    c["cell"][i],
                    replicate,
                    attempt + 1,
                    c["origin"][i],
                    seed,
                )
                tasks.append(Task(key, *place))
    return tasks


def replicate_table(space: Space, records: Records, metric: Metric) -> pd.DataFrame:
    """The table of a round's replicates, as :func:`refine.trials.frame.table`, with their numbers in ``replicate``."""
    found = again(records)
    frame = table(space, found, metric)
    title = "replicate (trial)" if "replicate" in frame else "replicate"
    frame.insert(len(space), title, found.columns["replicate"])
    return frame


def fresh_runs(store: Store, pks: Sequence[int], metric: Metric, allow_degenerate: bool = False) -> Fresh:
    """Finished replicates of some rounds.

    A training that came to a constant prediction is left out where such a model can't be called best: it is another
    thing than the noise of a training that works, and one of them would be most of the deviation.

    Args:
        store: The store.
        pks: Rows of the rounds.
        metric: Which metric is the value.
        allow_degenerate: Whether degenerate trials may be best.
    """
    values: list[float] = []
    groups: list[str] = []
    splits: list[list[float]] = []
    for pk in pks:
        found = again(store.records([pk], curves=metric.curves, replicates=True))
        curves = found.curves or [{}] * len(found.metrics)
        for metrics, curve, state, key in zip(
            found.metrics, curves, found.columns["state"], found.columns["key"], strict=True
        ):
            value = metric.of(metrics, curve) if state == "complete" else None
            usable = allow_degenerate or not metrics.get(DEGENERATE, 0.0) >= 0.5
            if value is not None and np.isfinite(value) and usable:
                values.append(value)
                groups.append(f"{pk} {key}")
                splits.append(_by_split(metric.name, metrics))
    several = len({len(s) for s in splits}) == 1 and len(splits[0]) > 1
    by_split = np.asarray(splits, dtype=float) if several else None
    return Fresh(np.asarray(values, dtype=float), groups, by_split)


def _by_split(name: str, metrics: Mapping[str, float]) -> list[float]:
    found: list[float] = []
    while (value := metrics.get(f"{name}@{len(found) + 1}")) is not None:
        found.append(value)
    return found


def known_best(keys: Sequence[str], top: int, round_id: str) -> list[str]:
    """The first ``top`` keys.

    Raises:
        AnalysisError: There is none.
    """
    if not keys:
        raise AnalysisError(
            f"round {round_id}: has no finished trial that may be called best; run it first: .run()"
        )
    return list(keys[:top])
