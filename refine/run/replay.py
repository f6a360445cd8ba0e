"""Replay: stored trials are repeated from their seeds and compared with the store."""

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
from refine.run.machine import Machine
from refine.run.outcome import Outcome, completed
from refine.run.plan import plan, stored_task
from refine.run.protocols import Objective
from refine.run.workers.dispatch import outcomes_of
from refine.space.encoding import check_seed
from refine.space.fidelity import is_cheap
from refine.space.space import Space, decode_configuration
from refine.store.store import Store
from refine.trials.frame import Records, table
from refine.trials.metric import Metric
from refine.trials.round_record import Node, StoredNode
from refine.trials.rows import JsonRows
from refine.trials.trial import State, ended_state
from refine.utils.action import Action
from refine.utils.display import Shown
from refine.utils.numbers import is_whole

if TYPE_CHECKING:
    import pandas as pd

# States that follow from the configuration and the seed alone.
_REPEATABLE = ("complete", "cheap", "diverged", "failed")


@dataclass(frozen=True, eq=False, repr=False)
class Replay(Shown):
    """Stored trials, repeated.

    Attributes:
        round: Id of the round.
        metric: Name of the metric.
        table: One row per trial: the parameters, ``seed``, ``state`` and ``value`` as stored, ``state_now``
            and ``value_now``, ``difference`` (the largest difference of any metric; infinite if only one side
            has a metric) and ``same`` (an equal state, and every metric within ``tolerance``).
        tolerance: Largest difference that counts as equal.
        planned: Whether the round's design, rebuilt from its content, gives every stored configuration and
            seed.
        environment: Differences between then and now: name -> (then, now), with all values if the trials ran
            in several environments; ``-`` if one side lacks the name.
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
        """True if the trials equal the stored trials, and the design gives the trials."""
        return self.planned and bool(self.table["same"].all())


def replay(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    metric: Metric,
    sample: int | None,
    seed: int,
    tolerance: float,
    machine: Machine,
) -> Replay:
    """Repeats stored trials: see :meth:`refine.Round.replay`."""
    if sample is not None and not is_whole(sample):
        raise DesignError(f"sample must be a whole number >= 1, or None for all trials, got {sample!r}")
    if not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise DesignError(f"tolerance must be a number >= 0, got {tolerance!r}; 0 asks for equal bits")
    seed = check_seed(seed, 0)
    node = stored.node
    records = store.records([stored.pk], curves=metric.curves)
    numbers = [i for i, state in enumerate(records.columns["state"]) if state in _REPEATABLE]
    if not numbers:
        raise AnalysisError(
            f"round {node.id} has no finished trials to replay; run the round first", Action("round.run")
        )
    if sample is not None and sample < len(numbers):
        rng = np.random.Generator(np.random.PCG64(seed))
        numbers = sorted(rng.choice(numbers, sample, replace=False).tolist())
    as_planned = _as_planned(store, stored, records)  # before any trial runs: an imported round has no plan
    tasks = [stored_task(records, number) for number in numbers]
    number_of = {task.key: number for number, task in zip(numbers, tasks, strict=True)}
    rows = {}
    environments: list[Mapping[str, str]] = []
    with ExitStack() as stack:
        for task, outcome in outcomes_of(
            stack, objective, completed(tasks, node.space, node.space.conditions), len(tasks), machine
        ):
            rows[task.key] = _row(node.space, records, number_of[task.key], outcome, metric, tolerance)
            if outcome.environment is not None and outcome.environment not in environments:
                environments.append(outcome.environment)
    before = store.environments_of(stored.pk, list(rows))
    of_coordinator = {**commit_of(source_file(objective)), **called(node.objective, objective)}
    after = [{**versions, **of_coordinator} for versions in environments]
    names = dict.fromkeys(name for versions in (*before, *after) for name in versions)
    pairs = {name: (_values(before, name), _values(after, name)) for name in names}
    codes = tuple(sorted(set(records.columns["code"])))
    return Replay(
        node.id,
        str(metric),
        table=_table(node, records, numbers, [rows[task.key] for task in tasks]),
        tolerance=float(tolerance),
        planned=as_planned,
        environment={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        code=(codes, objective_code(objective)),
    )


def _row(
    space: Space, records: Records, i: int, outcome: Outcome, metric: Metric, tolerance: float
) -> dict[str, Any]:
    before = records.metrics[i]
    after = outcome.metrics
    if records.curves:
        curve = records.curves[i]
    else:
        curve = {}
    value = metric.of(before, curve, records.columns["seconds"][i])
    value_now = metric.of(after, outcome.curve, outcome.seconds)
    state = ended_state(outcome.state, value_now)
    if state == State.COMPLETE and is_cheap(space, decode_configuration(records.configurations[i])):
        state = State.CHEAP
    names = before.keys() | after.keys()
    if (
        metric.function is not None
    ):  # its value is stored among the metrics, but the objective does not return it
        names -= {metric.name}
    difference = max((difference_of(before.get(name), after.get(name)) for name in names), default=0.0)
    return {
        "seed": records.columns["seed"][i],
        "state": records.columns["state"][i],
        "state_now": state,
        "value": math.nan if value is None else value,
        "value_now": math.nan if value_now is None else value_now,
        "difference": difference,
        "same": state == records.columns["state"][i] and difference <= tolerance,
    }


def difference_of(a: float | None, b: float | None) -> float:
    """The absolute difference of two values of a metric: 0 for two NaN, infinite if one is missing."""
    if a is None or b is None:
        return math.inf
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    difference = abs(a - b)
    if math.isnan(difference):
        return math.inf
    return difference


def _table(node: Node, records: Records, numbers: list[int], rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    parameters = table(node.space, records, Metric("value"))[list(node.space)]
    return pd.concat([parameters.iloc[numbers].reset_index(drop=True), pd.DataFrame(rows)], axis=1)


def _as_planned(store: Store, stored: StoredNode, records: Records) -> bool:
    """True if the node's design gives every stored configuration with its seed.

    For a sampler, only the seeds count.
    """
    node = stored.node
    no_records = Records(JsonRows(), JsonRows(), (), {name: [] for name in records.columns})
    _, tasks = plan(stored, store.inherited(stored.pk), store.beside(stored.pk), no_records, frozenset())
    seeds = {task.key: task.seed for task in tasks if not task.replicate}
    columns = (records.columns[name] for name in ("key", "seed", "origin"))
    return all(
        seed == (node.trial_seed(key, 0) if origin == "adaptive" else seeds.get(key))
        for key, seed, origin in zip(*columns, strict=True)
    )


def _values(environments: Sequence[Mapping[str, str]], name: str) -> str:
    """The values of a name in several environments, in one text; ``-`` for a missing name."""
    return ", ".join(sorted({versions.get(name, "-") for versions in environments})) or "-"
