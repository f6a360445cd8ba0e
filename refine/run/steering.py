"""Rounds steered by results: a sampler chooses configurations, or a pruner stops trials.

Tasks are made one by one, as soon as a worker is free, from the trials ended so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from refine.analysis.pooling import added_since
from refine.design.optuna_samplers import (
    EndedTrial,
    OptunaPruning,
    SamplerSession,
    ended_trial,
    ended_trials,
)
from refine.design.pruning import Pruner
from refine.design.samplers import check_needs, described
from refine.errors import DesignError, ObjectiveError
from refine.run.machine import Machine
from refine.run.outcome import Outcome, Task
from refine.run.plan import Learn, beside_task, plan, stored_task
from refine.run.protocols import Objective
from refine.run.pruning_limits import PruningLimits
from refine.space.space import decode_configuration, encode_configuration
from refine.store.store import Store
from refine.trials.frame import Records
from refine.trials.goal import Goal, sign_of
from refine.trials.metric import FUNCTION, Metric
from refine.trials.replicates import planned
from refine.trials.round_record import OPTUNA, Node, StoredNode
from refine.trials.trial import AUDITS, State


class AdaptiveTasks:
    """The tasks of a steered round, made on demand; each ended trial is passed to :meth:`tell`.

    Args:
        store: The store of the round.
        path: Nodes from the root to the round.
        metric: The metric, whose values and curves steer.
        tools: Samplers and pruners of Optuna given in this process, by their names in a node.
        records: Trials of the round so far, with curves.
        rerun: States of trials to run again.
        learn: Chooses exploit trials.
    """

    def __init__(
        self,
        store: Store,
        path: Sequence[StoredNode],
        metric: Metric,
        tools: Mapping[str, object],
        records: Records,
        rerun: frozenset[str],
        learn: Learn = list,
    ) -> None:
        stored = path[-1]
        node = stored.node
        self._store = store
        self._tools = tools
        self._metric = metric
        self._node = node
        self._sign = sign_of(node.direction)
        inherited = store.inherited(stored.pk)
        extra = store.beside(stored.pk)
        self._outside = {b.key for b in extra if not node.space.holds(decode_configuration(b.configuration))}
        tasks = list(plan(stored, inherited, extra, records, rerun)[1])
        records = planned(records)
        self._taken = {*inherited, *records.columns["key"], *(task.key for task in tasks)}
        origins = records.columns["origin"]
        states = records.columns["state"]
        sampled = [row for row, origin in enumerate(origins) if origin == "adaptive"]
        self._n_to_sample = 0  # configurations that the sampler is still to choose
        if node.adaptive:
            self._n_to_sample = max(0, stored.n - stored.off_design(extra) - len(sampled))
        attempts = records.columns["attempt"]
        tasks += [
            stored_task(records, row, attempt=attempts[row] + 1) for row in sampled if states[row] in rerun
        ]
        self._planned = tasks
        self._learn = learn
        self._n_to_learn = max(0, stored.off_design(extra) - len(extra))  # exploit trials still to be chosen
        # Trials that were stopped and are run again run to their end.
        if "pruned" in rerun:
            self._unlimited = {task.key for task in tasks}
        else:
            self._unlimited = set()
        # (key, attempt) -> results that the task was given, as plain data
        self._shown: dict[tuple[str, int], dict[str, Any]] = {}
        rule = node.pruner
        self._by_optuna = rule is not None and "optuna" in rule
        self._pruning: PruningLimits | None = None  # of refine's own pruner
        if rule is not None and not self._by_optuna:
            self._pruning = PruningLimits(Pruner(**rule), node.id, metric, self._sign)
            for state, metrics, curve in zip(states, records.metrics, records.curves, strict=True):
                self._pruning.add(state, curve.get(metric.name, ()), metric.of(metrics, curve))
        self._session = self._sampler_session(path, records, len(sampled))

    @property
    def ahead(self) -> int:
        """Tasks per worker that may be under way: one if a sampler waits for results."""
        if self._node.adaptive:
            return 1
        return 2

    def __len__(self) -> int:
        return len(self._planned) + self._n_to_sample + self._n_to_learn

    def __iter__(self) -> Iterator[Task]:
        for task in self._planned:
            self._shown[task.key, task.attempt] = {}
            yield self._with_limit(task)
        for _ in range(self._n_to_sample):
            yield self._with_limit(self._sampled_task())
        while chosen := self._learn():
            for configuration in chosen:
                task = beside_task(self._node, configuration)
                self._taken.add(task.key)
                self._shown[task.key, 0] = {}
                yield self._with_limit(task)

    def _sampled_task(self) -> Task:
        assert self._session is not None
        sampled = self._session.ask(self._taken)
        self._taken.add(sampled.key)
        self._shown[sampled.key, 0] = sampled.shown
        if sampled.cell is None:
            cell = None
        else:
            cell = str(sampled.cell)
        configuration = encode_configuration(sampled.configuration)
        seed = self._node.trial_seed(sampled.key, 0)
        return Task(
            sampled.key, configuration, cell=cell, replicate=0, attempt=0, origin="adaptive", seed=seed
        )

    def begin(self, keep_curve: Callable[[Sequence[float]], str]) -> None:
        """Sets the function to write a curve into the store and return the digest."""
        if self._pruning is not None:
            self._pruning.keep_curve = keep_curve

    def shown(self, task: Task) -> dict[str, Any]:
        """The steering results of a task, as plain data."""
        return self._shown.pop((task.key, task.attempt), {})

    def tell(self, task: Task, outcome: Outcome, value: float | None) -> None:
        """Takes in an ended trial, before the trial is stored."""
        state = outcome.state
        curve = outcome.curve.get(self._metric.name, [])
        inside = task.key not in self._outside and not task.replicate
        if self._session is not None and inside:
            goal = Goal(self._metric, self._node.direction, self._node.allow_degenerate)
            barred = not goal.counts(outcome.metrics, outcome.seconds)
            ended = ended_trial(decode_configuration(task.configuration), state, value, curve, barred)
            rungs = self._session.tell(task.key, ended)
            if rungs:
                self._shown[task.key, task.attempt]["rungs"] = rungs
        if self._pruning is not None and not task.replicate:
            self._pruning.add(state, curve, value)
            behind = self._pruning.behind(task, curve, state)
            shown = self._shown[task.key, task.attempt]
            if "behind" in shown:
                shown["behind"] = behind

    def check(self, outcome: Outcome) -> None:
        """Checks, after a trial was stored, that the pruner can compare trials.

        Warns if it can never stop one.

        Raises ObjectiveError: a complete trial has not reported the metric by epoch.
        """
        if self._node.pruner is None:
            return
        if outcome.state == State.COMPLETE and self._metric.name not in outcome.curve:
            reported = ", ".join(outcome.curve) or "nothing"
            raise ObjectiveError(
                f"round {self._node.id}: a pruner compares {self._metric.name!r} epoch by epoch, but the "
                f"objective reports {reported}; call trial.report(epoch, {{{self._metric.name!r}: ...}}) in "
                "every epoch, or leave the pruner out"
            )
        if self._pruning is not None:
            self._pruning.warn_of_short_curves()

    def _with_limit(self, task: Task) -> Task:
        """The task with the limit for the trial, if a pruner may stop the trial."""
        # Other trials are compared with audits and given trials, which run to their end.
        to_compare = task.origin in (*AUDITS, "given")
        if self._node.pruner is None or task.key in self._unlimited or to_compare:
            return task
        shown = self._shown[task.key, task.attempt]
        if self._by_optuna:
            assert self._session is not None
            running = self._session.running(task.key)
            if running is None:
                running = self._session.follow(task.key, decode_configuration(task.configuration))
            shown["told"] = self._session.own
            return task._replace(limit=OptunaPruning(self._metric.name, running))  # type: ignore[arg-type]
        assert self._pruning is not None
        return self._pruning.limited(task, shown)

    def _sampler_session(self, path: Sequence[StoredNode], records: Records, n: int) -> SamplerSession | None:
        """The session with the sampler or with a pruner of Optuna, from all trials that have ended."""
        node = self._node
        if not node.adaptive and not self._by_optuna:
            return None
        if node.method.startswith(OPTUNA):
            sampler = _tool(self._tools, node, node.method, "design")
        else:
            sampler = None
        check_needs(node.method)
        pruner = None
        if self._by_optuna:
            assert node.pruner is not None
            pruner = _tool(self._tools, node, node.pruner["optuna"], "pruner")
        of_round = ended_trials(
            node.space, records, records.configurations, self._metric, node.allow_degenerate
        )
        if pruner is not None:
            shown = self._store.shown(path[-1].pk)
            keys = [key for key in records.columns["key"] if key not in self._outside]
            rungs = [shown.get(key, {}).get("rungs", {}) for key in keys]
            of_round = [ended._replace(rungs=r) for ended, r in zip(of_round, rungs, strict=False)]
        if node.adaptive:
            earlier = self._earlier_trials(path)
        else:
            earlier = []
        return SamplerSession(node, sampler, [*earlier, *of_round], len(of_round), n, pruner)

    def _earlier_trials(self, path: Sequence[StoredNode]) -> list[EndedTrial]:
        """Ended trials of ancestors inside the space of the round."""
        node = self._node
        earlier: list[EndedTrial] = []
        bridges = added_since(node.space, [stored.node for stored in path])
        for added, ancestor in zip(bridges, path[:-1], strict=False):
            if added is not None:
                curves = self._metric.curves or ancestor.node.pruner is not None
                records = self._store.records([ancestor.pk], curves=curves)
                configurations = records.configurations.under(node.space, added)
                earlier += ended_trials(
                    node.space, records, configurations, self._metric, node.allow_degenerate
                )
        return earlier


def _tool(tools: Mapping[str, object], node: Node, name: str, argument: str) -> Any:
    """A sampler or pruner of Optuna given in this process.

    Raises DesignError: none was given, since the round was reopened.
    """
    if name not in tools:
        raise DesignError(
            f"round {node.id}: its {argument} is {name}, an object that is not at hand after reopening; "
            f"repeat the call that created the round, with {argument}=..."
        )
    return tools[name]


def how_text(node: Node, states: Mapping[str, int]) -> str:
    """The note on a steered round behind its number of trials in a tree; empty for other rounds."""
    notes = []
    if node.adaptive:
        notes.append(f"asked for by {node.method.removeprefix(OPTUNA)}")
    if node.pruner is not None:
        notes.append(f"{states.get('pruned', 0)} pruned")
    if notes:
        return f" ({', '.join(notes)})"
    return ""


def check_pruner(
    pruner: object, metric: Metric, parent: Mapping[str, object] | None = None
) -> tuple[Mapping[str, object] | None, object]:
    """A pruner as plain data of a node, and the object if it is a pruner of Optuna.

    By default the ``parent``'s; ``"none"`` stops no trial.

    Raises DesignError: not a pruner, or a metric without a value per epoch.
    """
    if pruner is None:
        return parent, None
    if isinstance(pruner, str) and pruner == "none":
        return None, None
    if metric.reduction == FUNCTION:
        raise DesignError(
            f"pruner: compares a metric epoch by epoch, and the function {metric.name!r} has a value only at "
            "the end; let the objective report what it computes, and give its name as metric="
        )
    if isinstance(pruner, str) and pruner == "median":
        pruner = Pruner()
    if isinstance(pruner, Pruner):
        return pruner.to_json(), None
    if callable(getattr(pruner, "prune", None)) and not isinstance(pruner, type):
        return {"optuna": described(pruner)}, pruner
    raise DesignError(
        "pruner must be 'median', 'none', a refine.Pruner or, with workers=1, a pruner of Optuna, got "
        f"{pruner!r}"
    )


def check_place(node: Node, objective: Objective, machine: Machine) -> None:
    """Checks a round's pruner against the objective and the workers.

    Raises DesignError: a pruner of Optuna with more than this process; ObjectiveError: the objective cannot
    be stopped.
    """
    if node.pruner is None:
        return
    if "optuna" in node.pruner and not machine.in_this_process:
        raise DesignError(
            f"round {node.id}: a pruner of Optuna must see every trial at every epoch, so it needs "
            f"workers=1, no executor, timeout or memory, got workers={machine.workers}; refine.Pruner() "
            "works anywhere"
        )
    if getattr(objective, "stops", None) is False:
        raise ObjectiveError(
            f"round {node.id}: a pruner can't stop an objective that trains every configuration on several "
            "splits; use splits=1, or leave the pruner out"
        )
