"""Running a round: from its plan to finished trials in the store, resumable at any moment."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from refine.errors import ObjectiveError, StoreError
from refine.run.environment import commit_of, environment
from refine.run.hooks import log
from refine.run.identity import called, objective_code, source_file
from refine.run.objective import wants_trial
from refine.run.options import RunOptions
from refine.run.outcome import Outcome, Task, completed, judged, same_rows, storable
from refine.run.plan import Learn, plan
from refine.run.progress import ProgressMonitor
from refine.run.progress_bar import ProgressBar
from refine.run.protocols import Objective
from refine.run.signals import interruptible
from refine.run.steering import AdaptiveTasks
from refine.run.workers.dispatch import PER_WORKER, outcomes_of
from refine.space.fidelity import is_cheap
from refine.space.space import decode_configuration
from refine.store.log import TrialWriter
from refine.store.store import Store
from refine.trials.frame import Records, names_read
from refine.trials.goal import Goal
from refine.trials.metric import FUNCTION
from refine.trials.round_record import Node, StoredNode
from refine.trials.trial import FinishedTrial, State, Trial
from refine.utils.action import Action
from refine.utils.format import join, plural
from refine.utils.warning import warn


@dataclass(frozen=True, kw_only=True)
class TaskSource:
    """The source of the tasks of a call, in place of the plan of the round or in addition.

    Attributes:
        choose: Chooses the tasks instead of the plan, from all trials so far, replicates included.
        steer: Makes the tasks of a steered round, from its trials so far with their curves.
        learn: Chooses exploit trials when all planned tasks have been handed out.
        equal: Rows of rounds whose results are copied instead of running an equal configuration, for an
            objective that is declared deterministic; only results of the same code.
        extend: Adds configurations to the plan, and returns the round with its new size; called with the
            lease of the round, so that a refused call leaves the plan unchanged.
        begin: Called before the first trial, after the last check that refuses a call.
        continues: Whether a further call of the same run has tasks; then a finished plan gives no warning.
    """

    choose: Callable[[Records], list[Task]] | None = None
    steer: Callable[[Records], AdaptiveTasks] | None = None
    learn: Learn = list
    equal: Sequence[int] = ()
    extend: Callable[[], StoredNode] | None = None
    begin: Callable[[], object] = bool
    continues: bool = False


def run_round(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    goal: Goal,
    options: RunOptions,
    *,
    source: TaskSource | None = None,
    trials: str = "trials",
    after_run: bool = False,
) -> int:
    """Runs the remaining trials of a round's plan, and stores a trial as soon as the trial has ended.

    Args:
        store: The store of the round.
        stored: The round.
        objective: The objective, in this process.
        goal: The metric, whose finite value makes a trial complete, and its direction.
        options: The options of the call.
        source: Source of the tasks; default the plan of the round.
        trials: The noun for the tasks, in messages.
        after_run: Whether a run of the round ended just before: then edited code gives no second warning,
            and equal failures of the first tasks do not stop the round.

    Returns:
        The number of trials that ended.

    Raises:
        ObjectiveError: The objective cannot be called with a configuration, or its outcome lacks the metric,
            or a metric function is missing or cannot score a trial.
        RoundStoppedError: The first trials all failed in the same way, or the objective returned None.
        DesignError: The trials exceed the budget of the tree; nothing has run.
        RoundBusyError: Another process is running this round.
        StoreError: Stored trials of the round cannot be read.
    """
    wants_trial(objective)
    source = source or TaskSource()
    node = stored.node
    metric = goal.metric
    if metric.reduction == FUNCTION and metric.function is None:
        raise ObjectiveError(
            f"round {node.id}: its metric is the function {metric.name!r}, which is not stored; pass it "
            "again, with the first round: tree.add_round(..., metric=function)"
        )
    with ExitStack() as stack:
        stop_requested = stack.enter_context(interruptible(f"round {node.id}", options.machine.grace))
        check_lease = stack.enter_context(store.lease(stored.pk, f"round {node.id}"))
        if source.extend is not None:
            stored = source.extend()
        if metric.function is not None:
            store.store_scores(stored.pk, metric)
        records = _records(
            store, stored, goal, replicates=source.choose is not None, curves=source.steer is not None
        )
        store.check_plan(stored.pk)
        work = _work(store, stored, records, options, source)
        if work is None:
            source.begin()
            if source.choose is None and not after_run and not source.continues:
                _warn_of_edited_code(node, records, objective_code(objective), runs=False)
            return 0
        limit = options.trials
        tasks = work.tasks
        count = work.todo
        if limit is not None:
            count = min(count, limit)
        fix = "run fewer, trials={left}"
        if source.choose is not None:
            fix = "ask for {left} or fewer"
        claim = store.claim(stored.pk, count, f"round {node.id}", fix)
        stop_conditions = options.begin(stack.enter_context(claim).seconds_left)
        source.begin()
        log(logging.INFO, "round %s: %d of %d trials to run", node.id, work.todo, work.total)
        recorder = _Recorder(store, stored, objective, options)
        if not after_run:
            _warn_of_edited_code(node, records, recorder.code)
        bar = options.bar
        if bar is None:
            ended = work.total - work.todo
            bar = ProgressBar(f"round {node.id}", work.total, ended, show=options.machine.progress)
            stack.enter_context(bar)
        bar.start()
        monitor = ProgressMonitor(
            node,
            work.total,
            work.todo,
            records,
            goal,
            bar=bar,
            trials=trials,
            stops=not after_run,
        )
        writer = stack.enter_context(store.writer(stored.pk, monitor.say))
        if work.adaptive is not None:
            work.adaptive.begin(writer.keep_curve)
        take_in = partial(
            _take_in, goal=goal, adaptive=work.adaptive, recorder=recorder, writer=writer, monitor=monitor
        )
        if source.equal and work.adaptive is None:
            tasks = _unknown(tasks, _known_outcomes(store, source.equal, goal, recorder.code), take_in)
        outcomes = outcomes_of(
            stack,
            objective,
            completed(itertools.islice(tasks, limit), node.space, node.space.conditions),
            count,
            options.machine,
            stop=lambda: stop_requested() or stop_conditions.reached(),
            ahead=work.ahead,
        )
        for task, outcome in outcomes:
            check_lease()
            stop_conditions.add(outcome)
            take_in(task, outcome)
        remaining = work.todo - monitor.ended
        log(logging.INFO, "round %s: %d trials run, %d left", node.id, monitor.ended, remaining)
        if remaining > 0 and not stop_requested() and stop_conditions.reached():
            monitor.say_left(stop_conditions.reason(), remaining, stop_conditions.fix)
        return monitor.ended


class _Work(NamedTuple):
    """The tasks of a call."""

    tasks: Iterator[Task]
    todo: int  # number of tasks
    total: int  # number of trials of the round, those that have ended included
    adaptive: AdaptiveTasks | None  # the tasks of a round that results steer
    ahead: int  # tasks per worker that may be under way


def _records(store: Store, stored: StoredNode, goal: Goal, *, replicates: bool, curves: bool) -> Records:
    """Trials of the round so far. Raises StoreError: some cannot be read."""
    replicates = replicates or any(extra.seeds > 1 for extra in store.beside(stored.pk))
    records = store.records([stored.pk], curves=goal.metric.curves or curves, replicates=replicates)
    if records.damaged:
        damaged = plural(len(records.damaged), "stored trial")
        raise StoreError(
            f"round {stored.node.id}: {damaged} cannot be read, first {records.damaged[0]}; remove the "
            "damaged rows, then run the round again",
            Action("tree.repair"),
        )
    return records


def _work(
    store: Store,
    stored: StoredNode,
    records: Records,
    options: RunOptions,
    source: TaskSource,
) -> _Work | None:
    """The tasks of a call; ``None`` if nothing is left to run. For the arguments see :func:`run_round`."""
    extra = store.beside(stored.pk)
    total = stored.n + sum(configuration.seeds - 1 for configuration in extra)
    if source.steer is not None:
        adaptive = source.steer(records)
        if not len(adaptive):
            return None
        return _Work(iter(adaptive), len(adaptive), total, adaptive, adaptive.ahead)
    if source.choose is not None:
        chosen = source.choose(records)
        if chosen:
            return _Work(iter(chosen), len(chosen), len(chosen), None, PER_WORKER)
        return None
    todo, tasks = plan(stored, store.inherited(stored.pk), extra, records, options.again, source.learn)
    first = next(tasks, None)
    if first is None:
        return None
    # Exploit trials that are still to be chosen learn from all that have ended.
    if stored.off_design(extra) > len(extra):
        ahead = 1
    else:
        ahead = PER_WORKER
    return _Work(itertools.chain([first], tasks), todo, total, None, ahead)


def _known_outcomes(store: Store, rounds: Sequence[int], goal: Goal, code: str) -> dict[str, Outcome]:
    """Hash of a configuration -> outcome of a completed planned run by the same code, of some rounds."""
    records = store.records(rounds, curves=True)
    columns = records.columns
    outcomes: dict[str, Outcome] = {}
    for row, key in enumerate(columns["key"]):
        if columns["state"][row] != State.COMPLETE or columns["code"][row] != code:
            continue
        curve = {name: list(values) for name, values in records.curves[row].items()}
        metrics = dict(records.metrics[row])
        if goal.metric.function is not None:
            metrics.pop(goal.metric.name, None)  # computed anew for every trial
        names = names_read(columns["read"][row])
        outcome = Outcome(State.COMPLETE, metrics, curve, float(columns["seconds"][row]), None, names)
        outcomes.setdefault(key, outcome)
    return outcomes


def _unknown(
    tasks: Iterator[Task], known_outcomes: Mapping[str, Outcome], copy: Callable[[Task, Outcome], None]
) -> Iterator[Task]:
    """The tasks without a known outcome; the other tasks are copied when their turn comes."""
    for task in tasks:
        if task.attempt == 0 and task.key in known_outcomes:
            copy(task, known_outcomes[task.key])
        else:
            yield task


class _Recorder:
    """Makes trials to store of outcomes, with the code and the environment of the runs."""

    def __init__(self, store: Store, stored: StoredNode, objective: Objective, options: RunOptions) -> None:
        self.code = objective_code(objective)
        self._store = store
        self._stored = stored
        self._hooks = options.hooks
        self._of_coordinator = {
            **commit_of(source_file(objective)),
            **called(stored.node.objective, objective),
        }
        store.add_environment(stored.pk, {**environment(options.machine.threads), **self._of_coordinator})
        self._digests: dict[tuple[tuple[str, str], ...], str] = {}
        # metric -> number of validation rows with a score in the trials of the round
        self.row_totals = store.row_totals(stored.pk)

    def trial(self, task: Task, outcome: Outcome) -> Trial:
        """The trial to store."""
        trial = _trial(task, outcome, self.code)
        if outcome.environment is None:
            return trial
        content = tuple(outcome.environment.items())
        if content not in self._digests:
            complete = {**outcome.environment, **self._of_coordinator}
            self._digests[content] = self._store.add_environment(self._stored.pk, complete)
        return trial._replace(environment=self._digests[content])

    def call_hooks(self, trial: Trial, value: float | None, monitor: ProgressMonitor) -> None:
        """Calls the hooks with a stored trial, also with the last trial of a round."""
        if self._hooks:
            ended = monitor.ended_before + monitor.ended + 1
            names = ("key", "metrics", "curve", "seconds", "seed", "replicate", "origin", "error")
            finished = FinishedTrial(
                round=self._stored.node.id,
                params=decode_configuration(trial.configuration),
                value=value,
                ended=ended,
                planned=monitor.total,
                state=str(trial.state),  # a tracker may otherwise keep the name of an enum
                **{name: getattr(trial, name) for name in names},
            )
            self._hooks.call(finished)


def _take_in(
    task: Task,
    outcome: Outcome,
    goal: Goal,
    adaptive: AdaptiveTasks | None,
    recorder: _Recorder,
    writer: TrialWriter,
    monitor: ProgressMonitor,
) -> None:
    """Judges an outcome by the metric, and stores and shows the trial."""
    outcome = same_rows(storable(outcome), recorder.row_totals)
    try:
        outcome, value = judged(outcome, goal.metric, metric_known=monitor.metric_seen)
    except ObjectiveError:
        trial = recorder.trial(task, outcome)
        writer.add(trial)  # with all its metrics
        recorder.call_hooks(trial, None, monitor)
        raise
    if outcome.state == State.COMPLETE and is_cheap(
        monitor.node.space, decode_configuration(task.configuration)
    ):
        outcome = outcome._replace(state=State.CHEAP)
    trial = recorder.trial(task, outcome)
    if adaptive is None:
        writer.add(trial)
    else:
        adaptive.tell(task, outcome, value)
        writer.add(trial._replace(shown=adaptive.shown(task)))
        adaptive.check(outcome)
    recorder.call_hooks(trial, value, monitor)
    monitor.add(outcome, value if outcome.state in (State.COMPLETE, State.CHEAP) else None)
    log(logging.DEBUG, "round %s: trial %s %s, %s", monitor.node.id, task.key, outcome.state, value)


def _warn_of_edited_code(node: Node, records: Records, code: str, *, runs: bool = True) -> None:
    """Warns if complete trials of a round ran another version of the objective's code than runs now.

    ``runs`` is False if nothing is left to run.
    """
    versions = zip(records.columns["code"], records.columns["state"], strict=True)
    complete = [version for version, state in versions if state == State.COMPLETE]
    other_versions = [version for version in complete if version not in ("", code)]
    if not other_versions:
        return
    consequence = "the trials cannot be compared: make a new round, with another seed or name, or exclude "
    consequence += "the old trials"
    if not runs:
        consequence = "make a new round, with another seed or name: this round is finished, so nothing runs"
    warn(
        f"round {node.id}: {len(other_versions)} of its {plural(len(complete), 'finished trial')} ran "
        f"another version of the objective's code ({join(list(dict.fromkeys(other_versions)))}; now "
        f"{code}); if the change alters values, {consequence}"
    )


def _trial(task: Task, outcome: Outcome, code: str) -> Trial:
    names = ("state", "metrics", "curve", "seconds", "error", "read")
    fields: Mapping[str, Any] = {name: getattr(outcome, name) for name in names}
    if outcome.state == State.COMPLETE:
        examples = outcome.examples
        row_scores = outcome.row_scores or {}
    else:
        examples = None
        row_scores = {}
    # The first seven fields of a task are those of a trial.
    time_finished = time.time()
    return Trial(
        *task[:7], code=code, finished=time_finished, examples=examples, row_scores=row_scores, **fields
    )
