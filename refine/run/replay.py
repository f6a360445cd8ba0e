"""Replay: stored trials run again from their seeds, and compared with what the store has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.errors import AnalysisError, DesignError
from refine.run.environment import commit_of
from refine.run.identity import called, objective_code, source_file
from refine.run.outcome import Outcome, of_value, with_absent
from refine.run.plan import plan, stored_task
from refine.run.protocols import Objective
from refine.run.resources import Resources, is_whole
from refine.run.workers.executor import outcomes_of
from refine.space.encoding import check_seed
from refine.store.store import Store
from refine.trials.frame import Records, table
from refine.trials.metric import Metric
from refine.trials.round_record import Node, StoredNode
from refine.trials.rows import Rows
from refine.utils.action import Action
from refine.utils.display import Shown

if TYPE_CHECKING:
    import pandas as pd

_ENDED = ("complete", "diverged", "failed")  # states that the configuration and the seed alone lead to


@dataclass(frozen=True, eq=False, repr=False)
class Replay(Shown):
    """What running stored trials again gave.

    Attributes:
        round: Id of the round.
        metric: Name of the metric.
        table: One row per trial: the parameters, ``seed``, ``state`` and ``value`` as stored, ``state_now`` and
            ``value_now``, ``apart`` (the largest difference of any metric; infinite where one side has none) and
            ``same`` (the same state, and every metric within ``tolerance``).
        tolerance: Largest difference that counts as none.
        planned: Whether the round's design, built anew from its content, gives every stored configuration and seed.
        environment: What differs between then and now: name -> (then, now), with all values where the trials ran on
            several environments; ``-`` where one side has none.
        code: Fingerprints of the code then, and now.
    """

    round: str
    metric: str
    table: pd.DataFrame
    tolerance: float
    planned: bool
    environment: dict[str, tuple[str, str]]
    code: tuple[tuple[str, ...], str]

    @property
    def same(self) -> bool:
        """Whether every trial gave what is stored, and the design gives every trial."""
        return self.planned and bool(self.table["same"].all())


def replay(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    metric: Metric,
    sample: int | None,
    seed: int,
    tolerance: float,
    resources: Resources,
) -> Replay:
    """Runs stored trials again: see :meth:`refine.Round.replay`."""
    if sample is not None and not is_whole(sample):
        raise DesignError(f"sample must be a whole number >= 1, or None for all trials, got {sample!r}")
    if not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise DesignError(f"tolerance must be a number >= 0, got {tolerance!r}; 0 asks for equal bits")
    seed = check_seed(seed, 0)
    node = stored.node
    records = store.records([stored.pk], curves=metric.curves)
    ended = [i for i, state in enumerate(records.columns["state"]) if state in _ENDED]
    if not ended:
        raise AnalysisError(
            f"round {node.id}: no trial has ended that could be run again; run it first", Action("round.run")
        )
    if sample is not None and sample < len(ended):
        rng = np.random.Generator(np.random.PCG64(seed))
        ended = sorted(rng.choice(ended, sample, replace=False).tolist())
    as_planned = _as_planned(store, stored, records)  # before anything runs: an imported round has no plan
    c = records.columns
    tasks = [stored_task(records, i) for i in ended]
    at = {task.key: i for i, task in zip(ended, tasks, strict=True)}
    rows = {}
    now: list[Mapping[str, str]] = []
    with ExitStack() as stack:
        for task, outcome in outcomes_of(
            stack, objective, with_absent(tasks, node.space.conditions), len(tasks), resources
        ):
            rows[task.key] = _row(records, at[task.key], outcome, metric, tolerance)
            if outcome.environment is not None and outcome.environment not in now:
                now.append(outcome.environment)
    then = store.environments_of(stored.pk, list(rows))
    ours = {**commit_of(source_file(objective)), **called(node.objective, objective)}
    return Replay(
        node.id,
        str(metric),
        _table(node, records, [at[t.key] for t in tasks], [rows[t.key] for t in tasks]),
        float(tolerance),
        as_planned,
        _differences(then, [{**found, **ours} for found in now]),
        (tuple(sorted(set(c["code"]))), objective_code(objective)),
    )


def _row(records: Records, i: int, outcome: Outcome, metric: Metric, tolerance: float) -> dict[str, Any]:
    before, after = records.metrics[i], outcome.metrics
    curve = records.curves[i] if records.curves else {}
    value = metric.of(before, curve, records.columns["seconds"][i])
    now = metric.of(after, outcome.curve, outcome.seconds)
    state = of_value(outcome.state, now)
    # What a function made of the metrics is stored among them; the objective doesn't return it.
    names = (before.keys() | after.keys()) - ({metric.name} if metric.function is not None else set())
    apart = max((apart_by(before.get(n), after.get(n)) for n in names), default=0.0)
    return {
        "seed": records.columns["seed"][i],
        "state": records.columns["state"][i],
        "state_now": state,
        "value": math.nan if value is None else value,
        "value_now": math.nan if now is None else now,
        "apart": apart,
        "same": state == records.columns["state"][i] and apart <= tolerance,
    }


def apart_by(a: float | None, b: float | None) -> float:
    """By how much two values of a metric differ: 0 for NaN twice, infinite where one side has none."""
    if a is None or b is None:
        return math.inf
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    difference = abs(a - b)
    return math.inf if math.isnan(difference) else difference


def _table(node: Node, records: Records, at: list[int], rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = table(node.space, records, Metric("value"))[list(node.space)].iloc[at].reset_index(drop=True)
    return pd.concat([frame, pd.DataFrame(rows)], axis=1)


def _as_planned(store: Store, stored: StoredNode, records: Records) -> bool:
    """Whether the design of the node's content has every stored configuration, with its seed; of a sampler's the seeds."""
    node = stored.node
    nothing = Records(Rows(), Rows(), (), {name: [] for name in records.columns})
    inherited, beside = store.inherited(stored.pk), store.beside(stored.pk)
    _, tasks = plan(stored, inherited, beside, nothing, frozenset())
    seeds = {task.key: task.seed for task in tasks if not task.replicate}
    columns = (records.columns[name] for name in ("key", "seed", "origin"))
    return all(
        seed == (node.trial_seed(key, 0) if origin == "adaptive" else seeds.get(key))
        for key, seed, origin in zip(*columns, strict=True)
    )


def _differences(
    then: Sequence[Mapping[str, str]], now: Sequence[Mapping[str, str]]
) -> dict[str, tuple[str, str]]:
    names = dict.fromkeys(name for found in (*then, *now) for name in found)
    both = {name: (_all_of(then, name), _all_of(now, name)) for name in names}
    return {name: (a, b) for name, (a, b) in both.items() if a != b}


def _all_of(environments: Sequence[Mapping[str, str]], name: str) -> str:
    """The values of a name, all of them where trials ran on several environments; ``-`` for none."""
    return ", ".join(sorted({found.get(name, "-") for found in environments})) or "-"
