"""A sealed hold-out: rows unseen by rounds, opened on purpose, with a log of openings."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from refine.errors import AnalysisError, ObjectiveError
from refine.run.machine import Machine
from refine.run.outcome import Task, completed
from refine.run.plan import stored_task
from refine.run.protocols import Objective, offers
from refine.run.replicates import known_best
from refine.run.running_trial import RunningTrial
from refine.run.signals import interruptible
from refine.run.workers.dispatch import outcomes_of
from refine.space.encoding import seed_of
from refine.store.reader import Reader
from refine.store.store import Store
from refine.trials.frame import Records, table
from refine.trials.goal import Goal
from refine.trials.metric import Metric
from refine.trials.round_record import HoldoutRun, Node, StoredNode, StoredOpening
from refine.utils.display import Shown
from refine.utils.format import plural
from refine.utils.warning import warn

if TYPE_CHECKING:
    import pandas as pd


class Visit(NamedTuple):
    """An opening of a hold-out, as asked for."""

    seeds: int  # number of models per configuration
    note: str
    author: str


@dataclass(frozen=True, eq=False, repr=False)
class HoldoutResult(Shown):
    """Values measured on a hold-out.

    Attributes:
        round: Id of the round of the opening.
        author: Who opened.
        note: Why.
        created: When, in seconds since the epoch.
        metric: Name of the metric.
        table: One row per configuration, in the order chosen: the parameters, ``validation`` (the planned
            run's value), ``holdout`` (mean over the new models), ``sd`` (their deviation), ``runs`` (models
            with a value), ``removed`` (whether the trial was removed since; its parameters and
            ``validation`` are missing then).
        runs: One row per model: ``configuration`` (row of ``table``), ``replicate``, ``seed``, ``state``,
            ``value``, ``seconds``, ``error``.
    """

    round: str
    author: str
    note: str
    created: float
    metric: str
    table: pd.DataFrame
    runs: pd.DataFrame

    def only(self, number: int) -> HoldoutResult:
        """The result of a configuration."""
        runs = self.runs[self.runs["configuration"] == number].assign(configuration=0)
        return replace(
            self, table=self.table.iloc[[number]].reset_index(drop=True), runs=runs.reset_index(drop=True)
        )


class OnHoldout:
    """An objective with the return value of another objective's ``holdout(params, trial)``."""

    def __init__(self, objective: Objective) -> None:
        self.objective: Any = objective

    def __call__(self, params: Mapping[str, object], trial: RunningTrial) -> Any:
        """The hold-out metrics of a configuration, retrained."""
        return self.objective.holdout(params, trial)

    def prepare(self, threads: int) -> None:
        """Sets up the process, as the objective does."""
        if offers(self.objective, "prepare"):
            self.objective.prepare(threads)


def branch_of(node: Node, nodes: Mapping[str, StoredNode]) -> dict[str, StoredNode]:
    """The round with the ancestors and descendants."""
    members = {node.id: nodes[node.id]}
    parent = node.parent
    while parent is not None:
        members[parent] = nodes[parent]
        parent = nodes[parent].node.parent
    below = {node.id}
    for i, stored in nodes.items():  # oldest first, so parents before children
        if stored.node.parent in below:
            below.add(i)
            members[i] = stored
    return members


def open_holdout(
    store: Store,
    stored: StoredNode,
    branch: Mapping[str, StoredNode],
    objective: Objective,
    goal: Goal,
    choose: Callable[[], Sequence[str]],
    visit: Visit,
    machine: Machine,
) -> HoldoutResult:
    """Opens a round's hold-out: see :meth:`refine.Tree.open_holdout`.

    Earlier openings are looked for in its branch.

    ``choose`` gives the hashes of the configurations to measure, best first.
    """
    node = stored.node
    if not offers(objective, "holdout"):
        raise ObjectiveError(
            f"round {node.id}: the objective {node.objective!r} has no hold-out; make it with "
            "KerasObjective(..., holdout=0.2), or give it a method holdout(params, trial)"
        )
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(interruptible(f"hold-out of round {node.id}", machine.grace))
        check_lease = stack.enter_context(store.lease(stored.pk, f"round {node.id}"))
        records = store.records([stored.pk], curves=goal.metric.curves)
        keys = known_best(choose(), len(records.metrics), node.id)
        opening = _begin(store, stored.pk, keys, visit, branch)
        tasks = _tasks(node, opening, records)
        outcomes = outcomes_of(
            stack,
            OnHoldout(objective),
            completed(tasks, node.space, node.space.conditions),
            max(1, len(tasks)),
            machine,
            stop=stop,
        )
        for task, outcome in outcomes if tasks else ():
            check_lease()
            run = (outcome.state, outcome.metrics, outcome.seconds, outcome.error)
            store.add_holdout_run(opening.pk, HoldoutRun(task.key, task.replicate, task.seed, *run))
    shown = next(o for o in store.openings(stored.pk) if o.pk == opening.pk)
    return holdout_result_of(store, node, shown, goal.metric)


def _begin(
    store: Store, pk: int, keys: Sequence[str], visit: Visit, branch: Mapping[str, StoredNode]
) -> StoredOpening:
    """Logs an opening before values are known, and warns about a repeated opening."""
    models = (tuple(keys), visit.seeds)
    if all((o.keys, o.seeds) != models for o in store.openings(pk)):
        before = [(s.node.id, o) for s in branch.values() for o in store.openings(s.pk)]
        if before:
            _warn(before, branch, pk, keys)
        store.add_opening(pk, keys, visit.seeds, visit.note, visit.author)
    return next(o for o in store.openings(pk) if (o.keys, o.seeds) == models)


def _warn(
    before: Sequence[tuple[str, StoredOpening]],
    branch: Mapping[str, StoredNode],
    pk: int,
    keys: Sequence[str],
) -> None:
    round_id, last = max(before, key=lambda pair: pair[1].created)
    own_id = next(i for i, s in branch.items() if s.pk == pk)
    configurations = {(i, k) for i, o in before for k in o.keys} | {(own_id, k) for k in keys}
    m = len(configurations)
    # Blom's (1958) approximation of the mean of the largest of m standard normal values.
    if m > 1:
        cost = NormalDist().inv_cdf((m - 0.375) / (m + 0.25))
    else:
        cost = 0.0
    day = datetime.fromtimestamp(last.created, UTC).date().isoformat()
    warn(
        f"round {own_id}: the hold-out was opened {plural(len(before), 'time')} before on this branch, last "
        f"by {last.author} on {day} at round {round_id}. With this opening {plural(m, 'configuration')} will "
        "have been measured on the same rows: choosing among them by it overstates the winner by up to "
        f"{cost:.1f} standard errors of a hold-out value, and so does going on with what was learnt. Only "
        "the first opening is unbiased."
    )


def _tasks(node: Node, opening: StoredOpening, records: Records) -> list[Task]:
    done = {(row.key, row.replicate) for row in opening.runs}
    row_of = {key: i for i, key in enumerate(records.columns["key"])}
    todo = itertools.product(range(1, opening.seeds + 1), opening.keys)
    new = {"attempt": 0, "origin": "space_filling"}
    return [
        stored_task(records, row_of[key], replicate=r, seed=seed_of(node.id, key, "holdout", r), **new)
        for r, key in todo
        if (key, r) not in done
    ]


def holdout_result_of(store: Reader, node: Node, opening: StoredOpening, metric: Metric) -> HoldoutResult:
    """The values measured when a hold-out was opened.

    Of a metric's epochs the last counts. Raises AnalysisError: models were measured without the metric.
    """
    import pandas as pd

    rows = []
    for row in opening.runs:
        if row.state == "complete":
            value = metric.of(row.metrics, {})
        else:
            value = None
        if row.state == "complete" and value is None:
            raise AnalysisError(
                f"round {node.id}: the hold-out gave no metric {metric.name!r}, it gave "
                f"{', '.join(row.metrics)}; holdout(params, trial) must return the metrics that calling the "
                "objective does"
            )
        place = opening.keys.index(row.key)
        rows.append((place, row.replicate, row.seed, row.state, value, row.seconds, row.error))
    columns = ["configuration", "replicate", "seed", "state", "value", "seconds", "error"]
    runs = pd.DataFrame(rows, columns=columns).sort_values(["configuration", "replicate"], ignore_index=True)
    runs["value"] = runs["value"].astype(float)
    records = store.records([opening.node], curves=metric.curves)
    frame = table(node.space, records, metric)
    row_of = {key: i for i, key in enumerate(records.columns["key"])}
    chosen = frame.reindex([row_of.get(key, -1) for key in opening.keys]).reset_index(drop=True)
    grouped = runs.groupby("configuration")["value"]
    summary = chosen[list(node.space)].assign(
        validation=chosen["value"],
        holdout=grouped.mean().reindex(range(len(chosen))),
        sd=grouped.std().reindex(range(len(chosen))),
        runs=grouped.count().reindex(range(len(chosen)), fill_value=0),
        removed=[key not in row_of for key in opening.keys],
    )
    return HoldoutResult(
        node.id,
        opening.author,
        note=opening.note,
        created=opening.created,
        metric=str(metric),
        table=summary,
        runs=runs,
    )
