"""Running a round: from its plan to finished trials in the store, resumable at any moment."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import numpy as np

from refine.design.space_filling import design_named, draw, how_many
from refine.errors import AnalysisError, DesignError, ObjectiveError, StoreError
from refine.run.environment import commit_of, environment
from refine.run.executor import PER_WORKER, outcomes_of
from refine.run.identity import called, objective_code, source_file
from refine.run.objective import Outcome, Task, wants_trial, with_absent
from refine.run.options import RunOptions
from refine.run.progress import Watch
from refine.run.protocols import Objective
from refine.run.signals import interruptible
from refine.space.encoding import encode, freeze
from refine.space.space import configuration_key, decode_configuration, encode_configuration
from refine.store.reader import Reader
from refine.store.sound import MOST_SECONDS, outcome_fault
from refine.store.store import Store
from refine.trials.frame import Records
from refine.trials.goal import Goal
from refine.trials.metric import FUNCTION, Metric
from refine.trials.round_record import Beside, Node, StoredNode
from refine.trials.trial import FinishedTrial, Trial
from refine.utils.action import Action
from refine.utils.format import join, plural
from refine.utils.warning import warn

_log = logging.getLogger(__name__)


class Steering(Protocol):
    """Tasks that are made one by one from what has ended: see :class:`refine.run.steering.Steered`."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Task]: ...

    @property
    def ahead(self) -> int:
        """How many tasks per worker may be under way."""

    def begin(self, keep: Callable[[Sequence[float]], str]) -> None:
        """Takes what keeps a curve in the store and returns its digest."""

    def tell(self, task: Task, outcome: Outcome, state: str, value: float | None) -> None:
        """Takes in how a task ended, before it is stored."""

    def shown(self, task: Task) -> dict[str, Any]:
        """What a task was shown."""

    def check(self, outcome: Outcome, state: str) -> None:
        """Looks, after a trial was stored, whether the round can go on."""


def run_round(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    goal: Goal,
    options: RunOptions,
    *,
    choose: Callable[[Records], list[Task]] | None = None,
    steer: Callable[[Records], Steering] | None = None,
    told: bool = False,
) -> None:
    """Runs what is left of a round's plan.

    Args:
        store: Where trials go, each when it is finished.
        stored: The round.
        objective: What to call.
        goal: Its metric's finite value makes a trial complete; its direction says what the progress bar shows as best.
        options: What trials run on, what is shown, and which run again.
        choose: Says what to run instead of the plan, given all trials so far, replicates among them.
        steer: Makes the tasks of a round that results steer, given its trials so far with their curves.
        told: Whether a run just before has warned of edited code.

    Raises:
        ObjectiveError: The objective can't be called with a configuration, or its outcome lacks the metric, or the metric
            is a function that is not at hand or can't score a trial.
        RoundStoppedError: The first trials all failed in the same way.
        RoundBusyError: Another process is running this round.
    """
    wants_trial(objective)
    metric = goal.metric
    node, code = stored.node, objective_code(objective)
    if metric.reduction == FUNCTION and metric.function is None:
        raise ObjectiveError(
            f"round {node.id}: its metric is the function {metric.name!r}, which is not at hand after reopening; give "
            "it: run(metric=function)"
        )
    with ExitStack() as stack:
        stop = stack.enter_context(interruptible(f"round {node.id}", options.grace))
        held = stack.enter_context(store.lease(stored.pk, f"round {node.id}"))
        if metric.function is not None:
            store.store_scores(stored.pk, metric)
        curves = metric.curves or steer is not None
        beside = store.beside(stored.pk)
        several = choose is not None or any(b.seeds > 1 for b in beside)
        records = store.records([stored.pk], curves=curves, replicates=several)
        if records.damaged:
            raise StoreError(
                f"round {node.id}: {plural(len(records.damaged), 'stored trial')} can't be read, first {records.damaged[0]}; it "
                "can be run again once what is damaged is removed",
                Action("tree.repair"),
            )
        store.check_plan(stored.pk)
        steered = None if steer is None else steer(records)
        tasks: Iterator[Task]
        if steered is not None:
            todo, tasks = len(steered), iter(steered)
            total = stored.n + sum(b.seeds - 1 for b in beside)
        elif choose is None:
            todo, tasks = plan(node, stored.n, store.inherited(stored.pk), beside, records, options.again)
            total = stored.n + sum(b.seeds - 1 for b in beside)
        else:
            chosen = choose(records)
            total = todo = len(chosen)
            tasks = iter(chosen)
        if steered is None:
            if (first := next(tasks, None)) is None:
                return
            tasks = itertools.chain([first], tasks)
        elif not todo:
            return
        most = options.ending.trials
        tasks = tasks if most is None else itertools.islice(tasks, most)
        over = options.ending.begin()
        _log.info("round %s: %d of %d trials to run", node.id, todo, total)
        if not told:
            _warn_of_code(node, records, code)
        ours = {**commit_of(source_file(objective)), **called(node.objective, objective)}
        store.add_environment(stored.pk, {**environment(options.threads), **ours})
        known: dict[tuple[tuple[str, str], ...], str] = {}

        def kept(task: Task, outcome: Outcome, state: str) -> Trial:
            made = _trial(task, outcome, state, code)
            if outcome.environment is None:
                return made
            mark = tuple(outcome.environment.items())
            if mark not in known:
                known[mark] = store.add_environment(stored.pk, {**outcome.environment, **ours})
            return made._replace(environment=known[mark])

        writer = stack.enter_context(store.writer(stored.pk))
        watch = stack.enter_context(Watch(node, total, todo, records, goal, options.progress))
        ahead = PER_WORKER
        if steered is not None:
            steered.begin(writer.keep_curve)
            ahead = steered.ahead
        outcomes = outcomes_of(
            stack,
            objective,
            with_absent(tasks, node.space.conditions),
            todo if most is None else min(todo, most),
            options,
            stop=lambda: stop() or bool(over()),
            ahead=ahead,
            together=steered is None,
        )
        for task, outcome in outcomes:
            held()
            if text := outcome_fault(outcome.metrics, outcome.curve, outcome.seconds):
                error = f"what the objective returned can't be stored: {text}"
                outcome = outcome._replace(
                    state="failed", metrics={}, curve={}, error=error, seconds=_kept(outcome.seconds)
                )
            state = outcome.state
            try:
                outcome, value = _scored(outcome, metric)
            except ObjectiveError:
                writer.add(kept(task, outcome, state))  # with all its metrics
                raise
            if state == "complete" and value is not None and not math.isfinite(value):
                state = "diverged"
            if state == "complete" and value is None and watch.metric_seen:
                names = ", ".join(outcome.metrics)
                state = "failed"
                outcome = outcome._replace(
                    error=f"this trial has no metric {str(metric)!r}, others have; it has {names}"
                )
            made = kept(task, outcome, state)
            if steered is None:
                writer.add(made)
            else:
                steered.tell(task, outcome, state, value)
                writer.add(made._replace(shown=steered.shown(task)))
                steered.check(outcome, state)
            watch.see(outcome, state, value if state == "complete" else None)
            _log.debug("round %s: trial %s %s, %s", node.id, task.key, state, value)
            if options.hooks:
                options.hooks.call(_finished(node.id, made, value, watch.ended_here(), total))
        left = todo - watch.seen
        _log.info("round %s: %d trials run, %d left", node.id, watch.seen, left)
        if left > 0 and not stop() and (why := over() or options.ending.of_trials(watch.seen)):
            watch.say_left(why, left)


def _warn_of_code(node: Node, records: Records, code: str) -> None:
    """Warns where finished trials of a round ran other code than what runs now."""
    ran = zip(records.columns["code"], records.columns["state"], strict=True)
    finished = [c for c, state in ran if state == "complete"]
    others = [c for c in finished if c not in ("", code)]
    if others:
        warn(
            f"round {node.id}: {len(others)} of its {plural(len(finished), 'finished trial')} ran another version of the "
            f"objective's code ({join(list(dict.fromkeys(others)))}; now {code}); if the change alters values, they can't be compared: "
            "make a new round, with another seed or name, or exclude them"
        )


def plan(
    node: Node,
    n: int,
    inherited: frozenset[str],
    extra: Sequence[Beside],
    records: Records,
    again: frozenset[str] = frozenset(),
) -> tuple[int, Iterator[Task]]:
    """What is left to run, less what has ended: what was given, under all its seeds; the design's first cells; the rest.

    Args:
        node: The round.
        n: How many configurations it plans, the extra ones among them.
        inherited: Keys that ancestors had completed.
        extra: What runs beside the design's cells.
        records: The round's trials so far, with the replicates of what runs under several seeds.
        again: Trials that ended in one of these states come again.

    Returns:
        How many tasks (1 where there is none), and the tasks. They are made when they are taken: a million of them would take gigabytes.
    """
    columns = (records.columns[c] for c in ("key", "replicate", "state", "attempt"))
    ended = {(key, r): (state, attempt) for key, r, state, attempt in zip(*columns, strict=True)}
    space = node.space
    skip = inherited | {b.key for b in extra}
    # Before anything runs, so that a design with too few cells is an error and not half a round.
    # What a sampler asks for is not known beforehand.
    rows = (
        np.zeros((0, len(space)), dtype=np.int32)
        if node.adaptive
        else draw(design_named(node.method), space, n - len(extra), node.design_seed, skip)
    )
    left = n - sum(state not in again for (_, r), (state, _) in ended.items() if not r)
    copies = [(b, r) for b in extra for r in range(1, b.seeds)]
    left += sum(ended.get((b.key, r), ("",))[0] in ("", *again) for b, r in copies)

    def runs(found: Beside) -> Iterator[Task]:
        for replicate in range(found.seeds):
            state, attempt = ended.get((found.key, replicate), ("", -1))
            if not state or state in again:
                seed = node.trial_seed(found.key, replicate)
                yield Task(found.key, found.configuration, None, replicate, attempt + 1, found.origin, seed)

    def tasks() -> Iterator[Task]:
        for found in extra:
            if found.origin == "given":
                yield from runs(found)
        encoded = [[encode(v) for v in p.grid] for p in space.values()]
        for row in rows:
            frozen = (
                space.frozen(space.at(row))
                if space.conditions
                else {name: freeze(p.grid[i]) for (name, p), i in zip(space.items(), row, strict=True)}
            )
            key = configuration_key(frozen)
            state, attempt = ended.get((key, 0), ("", -1))
            if not state or state in again:
                configuration = (
                    encode_configuration(frozen)
                    if space.conditions
                    else {name: encoded[j][i] for j, (name, i) in enumerate(zip(space, row, strict=True))}
                )
                cell = str(space.number(row))
                yield Task(key, configuration, cell, 0, attempt + 1, "space_filling", node.trial_seed(key, 0))
        for found in extra:
            if found.origin != "given":
                yield from runs(found)

    return max(1, left), tasks()


def planned_cells(reader: Reader, stored: StoredNode, n: int | None) -> list[int]:
    """Numbers of the first ``n`` cells of a round's design; default all that are planned evenly.

    Raises:
        DesignError: More than exist.
    """
    space = stored.node.space
    if stored.node.adaptive:
        raise DesignError(
            f"round {stored.node.id}: design {stored.node.method!r} asks for one configuration after the other, so that "
            "no cells are planned; what it asked for is in round.trials"
        )
    extra = reader.beside(stored.pk)
    count = stored.n - len(extra) if n is None else how_many(space, n, None)
    skip = reader.inherited(stored.pk) | {b.key for b in extra}
    rows = draw(design_named(stored.node.method), space, count, stored.node.design_seed, skip)
    return [space.number(row) for row in rows]


def _scored(outcome: Outcome, metric: Metric) -> tuple[Outcome, float | None]:
    """An outcome and its value; what a function made of its metrics is kept among them."""
    if metric.function is None:
        ended = outcome.seconds if outcome.state == "complete" else None
        return outcome, metric.of(outcome.metrics, outcome.curve, ended)
    if metric.name in outcome.metrics:
        raise ObjectiveError(
            f"metric {metric.name!r}: the objective returns a metric of that name too; give the function another name"
        )
    try:
        value = metric.of(outcome.metrics, outcome.curve)
    except AnalysisError as error:
        raise ObjectiveError(f"{error}; the trial is stored, correct the function and run again") from error
    return (
        outcome if value is None else outcome._replace(metrics={**outcome.metrics, metric.name: value})
    ), value


def _kept(seconds: float) -> float:
    return seconds if 0 <= seconds <= MOST_SECONDS else 0.0


def _finished(round_id: str, made: Trial, value: float | None, ended: int, planned: int) -> FinishedTrial:
    return FinishedTrial(
        round=round_id,
        key=made.key,
        params=decode_configuration(made.configuration),
        state=made.state,
        value=value,
        metrics=made.metrics,
        curve=made.curve,
        seconds=made.seconds,
        seed=made.seed,
        replicate=made.replicate,
        origin=made.origin,
        error=made.error,
        ended=ended,
        planned=planned,
    )


def _trial(task: Task, outcome: Outcome, state: str, code: str) -> Trial:
    return Trial(
        key=task.key,
        configuration=task.configuration,
        cell=task.cell,
        replicate=task.replicate,
        attempt=task.attempt,
        origin=task.origin,
        seed=task.seed,
        state=state,
        metrics=outcome.metrics,
        curve=outcome.curve,
        seconds=outcome.seconds,
        error=outcome.error,
        code=code,
        read=outcome.read,
        finished=time.time(),
        examples=outcome.examples if state == "complete" else None,
    )
