"""Rounds that results steer: adaptive ones, whose configurations a sampler asks for, and those that stop trials early.

Their tasks are made one by one, when a place is free, from what has ended by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from refine.analysis.pooling import added_since
from refine.design.optuna_samplers import Conversation, EndedTrial, OptunaRace, ended_trial, ended_trials
from refine.design.pruning import Limit, Pruner
from refine.design.samplers import check_needs, described
from refine.errors import DesignError, ObjectiveError
from refine.run.outcome import Outcome, Task
from refine.run.plan import Learn, beside_task, plan, stored_task
from refine.run.protocols import Objective
from refine.run.resources import Resources
from refine.space.space import decode_configuration, encode_configuration
from refine.store.store import Store
from refine.trials.frame import Records
from refine.trials.goal import Goal, sign_of
from refine.trials.metric import FUNCTION, Metric
from refine.trials.replicates import planned
from refine.trials.round_record import OPTUNA, Node, StoredNode
from refine.trials.trial import AUDITS, State
from refine.utils.format import score
from refine.utils.warning import warn


class AdaptiveTasks:
    """The tasks of a steered round, made when they are asked for. It hears how each of them ended.

    ``path`` leads from the root to the round; ``tools`` are samplers and pruners of Optuna given in this process, by what they
    are called in a node; ``records`` have curves; trials that ended in a state of ``rerun`` come again; ``learn``
    chooses exploit trials.
    """

    def __init__(
        self,
        store: Store,
        path: Sequence[StoredNode],
        metric: Metric,
        tools: Mapping[str, Any],
        records: Records,
        rerun: frozenset[str],
        learn: Learn = list,
    ) -> None:
        pk, self._node, n = path[-1].pk, path[-1].node, path[-1].n
        self._store, self._tools, self._metric = store, tools, metric
        self._sign = sign_of(self._node.direction)
        node = self._node
        inherited, beside = store.inherited(pk), store.beside(pk)
        self._outside = {b.key for b in beside if not node.space.holds(decode_configuration(b.configuration))}
        tasks = list(plan(path[-1], inherited, beside, records, rerun)[1])
        records = planned(records)
        self._taken = {*inherited, *records.columns["key"], *(t.key for t in tasks)}
        asked = [i for i, origin in enumerate(records.columns["origin"]) if origin == "adaptive"]
        self._asks = max(0, n - path[-1].off_design(beside) - len(asked)) if node.adaptive else 0
        tasks += [
            stored_task(records, i, attempt=records.columns["attempt"][i] + 1)
            for i in asked
            if records.columns["state"][i] in rerun
        ]
        self._planned, self._learn = tasks, learn
        self._unchosen = max(0, path[-1].off_design(beside) - len(beside))
        # What was stopped is run again to see its end.
        self._free = {t.key for t in tasks} if "pruned" in rerun else set()
        self._shown: dict[tuple[str, int], dict[str, Any]] = {}
        self._keep: Callable[[Sequence[float]], str] | None = None
        self._warned = False
        rule = node.pruner
        self._pruner = None if rule is None or "optuna" in rule else Pruner(**rule)
        self._races = rule is not None and "optuna" in rule
        self._series: list[Any] = []
        self._ends: list[float] = []
        self._basis = 0
        self._limit: Limit | None = None
        # What a trial that runs to its end would have been measured by.
        self._audited: dict[str, Limit | None] = {}
        self._digest: str | None = None
        for state, metrics, curve in zip(
            records.columns["state"], records.metrics, records.curves, strict=True
        ):
            self._note(state, curve.get(metric.name, ()), metric.of(metrics, curve))
        self._talk = self._conversation(path, records, pk, len(asked))

    # One at a time where a sampler waits for results, else as many as keep workers busy.
    @property
    def ahead(self) -> int:
        """How many tasks per worker may be under way."""
        return 1 if self._node.adaptive else 2

    def __len__(self) -> int:
        return len(self._planned) + self._asks + self._unchosen

    def __iter__(self) -> Iterator[Task]:
        for task in self._planned:
            self._shown[task.key, task.attempt] = {}
            yield self._limited(task)
        for _ in range(self._asks):
            assert self._talk is not None
            found = self._talk.ask(self._taken)
            self._taken.add(found.key)
            self._shown[found.key, 0] = found.shown
            cell = None if found.cell is None else str(found.cell)
            seed = self._node.trial_seed(found.key, 0)
            configuration = encode_configuration(found.configuration)
            yield self._limited(Task(found.key, configuration, cell, 0, 0, "adaptive", seed))
        while chosen := self._learn():
            for task in (beside_task(self._node, each) for each in chosen):
                self._taken.add(task.key)
                self._shown[task.key, 0] = {}
                yield self._limited(task)

    def begin(self, keep: Callable[[Sequence[float]], str]) -> None:
        """Takes what keeps a curve in the store and returns its digest."""
        self._keep = keep

    def shown(self, task: Task) -> dict[str, Any]:
        """What a task was shown; plain data."""
        return self._shown.pop((task.key, task.attempt), {})

    def tell(self, task: Task, outcome: Outcome, value: float | None) -> None:
        """Takes in how a task ended, before it is stored.

        Raises ObjectiveError: a round with a pruner, whose trials report nothing that could be compared.
        """
        state, series = outcome.state, outcome.curve.get(self._metric.name, [])
        if self._talk is not None:
            goal = Goal(self._metric, self._node.direction, self._node.allow_degenerate)
            flat = not goal.counts(outcome.metrics, outcome.seconds)
            if task.key not in self._outside and not task.replicate:
                ended = ended_trial(decode_configuration(task.configuration), state, value, series, flat)
                noted = self._talk.tell(task.key, ended)
                if noted:
                    self._shown[task.key, task.attempt]["rungs"] = noted
        if self._pruner is not None and not task.replicate:
            self._note(state, series, value)
            self._note_behind(task, series, state)

    def check(self, outcome: Outcome) -> None:
        """Looks, after a trial was stored, whether the pruner has anything to go by. Raises ObjectiveError: it has not."""
        if (
            self._node.pruner is not None
            and outcome.state == State.COMPLETE
            and self._metric.name not in outcome.curve
        ):
            known = ", ".join(outcome.curve) or "nothing"
            raise ObjectiveError(
                f"round {self._node.id}: a pruner compares {self._metric.name!r} epoch by epoch, but the objective "
                f"reports {known}; call trial.report(epoch, {{{self._metric.name!r}: ...}}) in every epoch, or leave the "
                "pruner out"
            )

    def _note(self, state: str, series: Sequence[float], value: float | None) -> None:
        if self._pruner is not None and state in ("complete", "pruned") and len(series):
            self._series.append(self._sign * np.asarray(series, dtype=float))
            self._ends.append(np.nan if state == "pruned" or value is None else self._sign * value)

    def _limited(self, task: Task) -> Task:
        """The task with what it is measured by, if it is."""
        # What is compared with others, or lies outside, runs to its end.
        if self._node.pruner is None or task.key in self._free or task.origin in (*AUDITS, "given"):
            return task
        shown = self._shown[task.key, task.attempt]
        if self._races:
            assert self._talk is not None
            running = self._talk.running(task.key)
            if running is None:
                running = self._talk.follow(task.key, decode_configuration(task.configuration))
            shown["told"] = self._talk.own
            return task._replace(limit=OptunaRace(self._metric.name, running))  # type: ignore[arg-type]
        assert self._pruner is not None
        basis = self._pruner.basis(np.isfinite(self._ends).tolist())
        if basis != self._basis:
            self._basis = basis
            self._limit = self._pruner.limit(
                self._metric.name, self._sign, self._series[:basis], np.array(self._ends[:basis])
            )
            assert self._keep is not None
            asked = None if self._limit is None else [self._sign * v for v in self._limit.thresholds]
            self._digest = None if asked is None else self._keep(asked)
        audited = self._pruner.audits(task.seed)
        shown.update({"basis": self._basis, "threshold": self._digest, "audited": audited, "behind": None})
        if not audited:
            return task._replace(limit=self._limit)
        self._audited[task.key] = self._limit
        return task

    def _note_behind(self, task: Task, series: Sequence[float], state: str) -> None:
        """Notes the epoch, from 1, at which a trial stopped or would have; says once where nobody asks, and it went on."""
        limit = task.limit or self._audited.pop(task.key, None)
        if limit is None or state not in ("complete", "pruned"):
            return
        race, asked = limit.session(), series if state == "pruned" else series[:-1]
        behind = next((epoch for epoch, value in enumerate(asked, 1) if race.behind(value)), None)
        self._shown[task.key, task.attempt]["behind"] = behind
        if behind is not None and state == "complete" and task.limit is not None and not self._warned:
            self._warned = True
            warn(
                f"round {self._node.id}: a trial that was behind, with {self._metric.name} "
                f"{score(series[-1])} at its end, went on: its objective stops nothing; ask trial.should_prune() after "
                "every report and return, train by refine.keras.fit, or give model.fit a refine.keras.PruningCallback()"
            )

    def _conversation(
        self, path: Sequence[StoredNode], records: Records, pk: int, asked: int
    ) -> Conversation | None:
        node, store = self._node, self._store
        if not node.adaptive and not self._races:
            return None
        sampler = pruner = None
        if node.method.startswith(OPTUNA):
            sampler = _tool(self._tools, node, node.method, "design")
        check_needs(node.method)
        if self._races:
            assert node.pruner is not None
            pruner = _tool(self._tools, node, node.pruner["optuna"], "pruner")
        own = ended_trials(node.space, records, records.configurations, self._metric, node.allow_degenerate)
        if pruner is not None:
            shown = store.shown(pk)
            keys = [key for key in records.columns["key"] if key not in self._outside]
            inside = [shown.get(key, {}).get("rungs", {}) for key in keys]
            own = [t._replace(rungs=r) for t, r in zip(own, inside, strict=False)]
        before: list[EndedTrial] = []
        bridges = added_since(node.space, [stored.node for stored in path])
        for added, ancestor in zip(bridges, path[:-1] if node.adaptive else (), strict=False):
            if added is not None:
                curves = self._metric.curves or ancestor.node.pruner is not None
                past = store.records([ancestor.pk], curves=curves)
                moved = past.configurations.under(node.space, added)
                before += ended_trials(node.space, past, moved, self._metric, node.allow_degenerate)
        return Conversation(node, sampler, [*before, *own], len(own), asked, pruner)


def _tool(tools: Mapping[str, Any], node: Node, name: str, what: str) -> Any:
    """A sampler or pruner of Optuna that was given in this process. Raises DesignError: it was not: the round was reopened."""
    if name not in tools:
        raise DesignError(
            f"round {node.id}: its {what} is {name}, an object that is not at hand after reopening; give it: "
            f"run({what}=...)"
        )
    return tools[name]


def how_text(node: Node, states: Mapping[str, int]) -> str:
    """What a tree says of a steered round behind its number of trials; empty for others."""
    said = [f"asked for by {node.method.removeprefix(OPTUNA)}"] if node.adaptive else []
    said += [f"{states.get('pruned', 0)} pruned"] if node.pruner is not None else []
    return f" ({', '.join(said)})" if said else ""


def check_pruner(
    pruner: Any, metric: Metric, parent: Mapping[str, Any] | None = None
) -> tuple[Mapping[str, Any] | None, Any]:
    """A pruner as a node's plain data and, where it is an object of Optuna, that object; ``"inherit"`` takes the ``parent``'s.

    Raises DesignError: it is none of these, or the metric has no value per epoch.
    """
    if pruner is None or pruner == "inherit":
        return (None if pruner is None else parent), None
    if metric.reduction == FUNCTION:
        raise DesignError(
            f"pruner: compares a metric epoch by epoch, and the function {metric.name!r} has a value only at the end; "
            "let the objective report what it computes, and give its name as metric="
        )
    if pruner == "median":
        pruner = Pruner()
    if isinstance(pruner, Pruner):
        return pruner.to_json(), None
    if callable(getattr(pruner, "prune", None)) and not isinstance(pruner, type):
        return {"optuna": described(pruner)}, pruner
    raise DesignError(
        f"pruner must be 'median', a refine.Pruner or, with workers=1, a pruner of Optuna, got {pruner!r}"
    )


def check_place(node: Node, objective: Objective, resources: Resources) -> None:
    """Raises where a pruner can't work in the place or on the objective that a round is to be run.

    Raises DesignError: a pruner of Optuna, and more than this process; ObjectiveError: the objective can't be stopped.
    """
    if node.pruner is None:
        return
    if "optuna" in node.pruner and not resources.in_this_process:
        raise DesignError(
            f"round {node.id}: a pruner of Optuna must see every trial at every epoch, so it needs workers=1, no "
            f"executor, timeout or memory, got workers={resources.workers}; refine.Pruner() works anywhere"
        )
    if getattr(objective, "stops", None) is False:
        raise ObjectiveError(
            f"round {node.id}: a pruner can't stop an objective that trains every configuration on several splits; use "
            "splits=1, or leave the pruner out"
        )
