"""Running a round: from its plan to finished trials in the store, resumable at any moment."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from refine.errors import ObjectiveError, StoreError
from refine.run.environment import commit_of, environment
from refine.run.identity import called, objective_code, source_file
from refine.run.objective import wants_trial
from refine.run.options import RunOptions
from refine.run.outcome import Outcome, Task, judged, storable, with_absent
from refine.run.plan import plan
from refine.run.progress import Watch
from refine.run.protocols import Objective
from refine.run.signals import interruptible
from refine.run.steering import Steered
from refine.run.workers.executor import PER_WORKER, outcomes_of
from refine.space.space import decode_configuration
from refine.store.store import Store
from refine.trials.frame import Records
from refine.trials.goal import Goal
from refine.trials.metric import FUNCTION
from refine.trials.round_record import Node, StoredNode
from refine.trials.trial import FinishedTrial, State, Trial
from refine.utils.action import Action
from refine.utils.format import join, plural
from refine.utils.warning import warn

_log = logging.getLogger(__name__)


def run_round(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    goal: Goal,
    options: RunOptions,
    *,
    choose: Callable[[Records], list[Task]] | None = None,
    steer: Callable[[Records], Steered] | None = None,
    told: bool = False,
) -> None:
    """Runs what is left of a round's plan, storing each trial when it is finished.

    A finite value of the goal's metric makes a trial complete; its direction says what the progress bar shows as best.
    ``choose`` says what to run instead of the plan, given all trials so far, replicates among them; ``steer`` makes the
    tasks of a round that results steer, given its trials so far with their curves. ``told`` is whether a run just before
    has warned of edited code.

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
        total = stored.n + sum(b.seeds - 1 for b in beside)
        if steered is not None:
            todo, tasks = len(steered), iter(steered)
        elif choose is None:
            todo, tasks = plan(node, stored.n, store.inherited(stored.pk), beside, records, options.again)
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

        def kept(task: Task, outcome: Outcome) -> Trial:
            made = _trial(task, outcome, code)
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
            outcome = storable(outcome)
            try:
                outcome, value = judged(outcome, metric, others=watch.metric_seen)
            except ObjectiveError:
                writer.add(kept(task, outcome))  # with all its metrics
                raise
            made = kept(task, outcome)
            if steered is None:
                writer.add(made)
            else:
                steered.tell(task, outcome, value)
                writer.add(made._replace(shown=steered.shown(task)))
                steered.check(outcome)
            watch.see(outcome, value if outcome.state == State.COMPLETE else None)
            _log.debug("round %s: trial %s %s, %s", node.id, task.key, outcome.state, value)
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


def _finished(round_id: str, trial: Trial, value: float | None, ended: int, planned: int) -> FinishedTrial:
    names = ("key", "state", "metrics", "curve", "seconds", "seed", "replicate", "origin", "error")
    known = {name: getattr(trial, name) for name in names}
    known["state"] = str(trial.state)  # what hooks send it to may keep the name of an enum
    params = decode_configuration(trial.configuration)
    return FinishedTrial(round=round_id, params=params, value=value, ended=ended, planned=planned, **known)


def _trial(task: Task, outcome: Outcome, code: str) -> Trial:
    known = {
        name: getattr(outcome, name) for name in ("state", "metrics", "curve", "seconds", "error", "read")
    }
    examples = outcome.examples if outcome.state == State.COMPLETE else None
    # The task's first fields are the trial's.
    return Trial(*task[:7], code=code, finished=time.time(), examples=examples, **known)
