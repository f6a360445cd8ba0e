"""Running a round: from its plan to finished trials in the store, resumable at any moment, and what is shown meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from refine.errors import ObjectiveError, RoundStoppedError, StoreError, did_you_mean
from refine.run.environment import commit_of, environment
from refine.run.identity import called, objective_code, source_file
from refine.run.objective import wants_trial
from refine.run.options import RunOptions, log
from refine.run.outcome import Outcome, Task, judged, storable, with_absent
from refine.run.plan import Learn, plan
from refine.run.protocols import Objective
from refine.run.signals import interruptible
from refine.run.steering import Steered
from refine.run.workers.executor import PER_WORKER, outcomes_of
from refine.space.space import decode_configuration
from refine.store.store import Store
from refine.trials.frame import Records
from refine.trials.goal import Goal
from refine.trials.metric import FUNCTION, Metric, is_bare_nan
from refine.trials.metric_constraint import SECONDS, all_met
from refine.trials.round_record import Node, StoredNode
from refine.trials.trial import FAILED, FinishedTrial, State, Trial
from refine.utils.action import Action
from refine.utils.display import line
from refine.utils.format import join, plural, score
from refine.utils.warning import warn


def run_round(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    goal: Goal,
    options: RunOptions,
    *,
    choose: Callable[[Records], list[Task]] | None = None,
    steer: Callable[[Records], Steered] | None = None,
    learn: Learn = list,
    told: bool = False,
) -> None:
    """Runs what is left of a round's plan, storing each trial when it is finished.

    A finite value of the goal's metric makes a trial complete; its direction says what the progress bar shows as best.
    ``choose`` says what to run instead of the plan, given all trials so far, replicates among them; ``steer`` makes the
    tasks of a round that results steer, given its trials so far with their curves; ``learn`` chooses exploit trials whenever
    all that were planned before have been handed out. ``told`` is whether a run just before has warned of edited code.

    Raises ObjectiveError: the objective can't be called with a configuration, or its outcome lacks the metric, or the
    metric is a function that is not at hand or can't score a trial; RoundStoppedError: the first trials all failed in the
    same way; RoundBusyError: another process is running this round.
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
            todo, tasks = plan(stored, store.inherited(stored.pk), beside, records, options.again, learn)
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
        log(logging.INFO, "round %s: %d of %d trials to run", node.id, todo, total)
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

        def tell(made: Trial, value: float | None) -> None:
            if options.hooks:  # what is stored is told, also where the round ends with it
                options.hooks.call(_finished(node.id, made, value, watch.done + watch.seen + 1, total))

        watch = stack.enter_context(Watch(node, total, todo, records, goal, options.progress))
        writer = stack.enter_context(store.writer(stored.pk, watch.say))
        learns = choose is None and stored.off_design(beside) > len(beside)
        ahead = 1 if learns else PER_WORKER
        if steered is not None:
            steered.begin(writer.keep_curve)
            ahead = steered.ahead
        outcomes = outcomes_of(
            stack,
            objective,
            with_absent(tasks, node.space.conditions),
            todo if most is None else min(todo, most),
            options,
            stop=lambda: stop() or over(),
            ahead=ahead,
        )
        for task, outcome in outcomes:
            held()
            outcome = storable(outcome)
            try:
                outcome, value = judged(outcome, metric, others=watch.metric_seen)
            except ObjectiveError:
                made = kept(task, outcome)
                writer.add(made)  # with all its metrics
                tell(made, None)
                raise
            made = kept(task, outcome)
            if steered is None:
                writer.add(made)
            else:
                steered.tell(task, outcome, value)
                writer.add(made._replace(shown=steered.shown(task)))
                steered.check(outcome)
            tell(made, value)
            watch.see(outcome, value if outcome.state == State.COMPLETE else None)
            log(logging.DEBUG, "round %s: trial %s %s, %s", node.id, task.key, outcome.state, value)
        left = todo - watch.seen
        log(logging.INFO, "round %s: %d trials run, %d left", node.id, watch.seen, left)
        if left > 0 and not stop() and (why := options.ending.why(watch.seen, over())):
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


_READ_BY = 10  # after so many trials the progress bar names varied parameters that none of them has read
_ALIKE = 5  # a round stops when its first trials, so many, all failed in the same way


# Where the progress is no line of a terminal that is overwritten, at most one line in so many seconds.
_LOG_SECONDS = 10


class _Lines:
    """Progress in a log: a line whenever the bar would be drawn anew."""

    def __init__(self) -> None:
        self.last = ""

    def write(self, text: str) -> None:
        said = text.strip()
        if said and said != self.last:
            sys.stderr.write(f"{said}\n")
        self.last = said or self.last

    def flush(self) -> None:
        sys.stderr.flush()


class Watch:
    """Watches a round go by: progress for the person, and an early end where all goes wrong."""

    def __init__(self, node: Node, n: int, todo: int, records: Records, goal: Goal, show: bool) -> None:
        metric = goal.metric
        self.node, self.goal, self.metric, self.sign = node, goal, metric, goal.sign
        self.total, self.done, self.show = n, n - todo, show
        self.alike: dict[str, int] = {}
        self.seen = self.failed = self.pruned = self.infeasible = 0
        self.first = min(_ALIKE, todo)
        seconds = records.columns["seconds"]
        curves = records.curves or [{}] * len(records.metrics)
        known = [
            None if state == "excluded" else metric.of(m, c, s if state == "complete" else None)
            for m, c, s, state in zip(records.metrics, curves, seconds, records.columns["state"], strict=True)
        ]
        self.metric_seen = any(v is not None for v in known)
        finite = [
            self.sign * v
            for v, m, s in zip(known, records.metrics, seconds, strict=True)
            if v is not None and math.isfinite(v) and goal.counts(m, s)
        ]
        self.best = max(finite, default=-math.inf)
        # A trial that read everything is recorded as None, and one that ended without a value may not have got there.
        rows = zip(records.columns["read"], records.columns["state"], strict=True)
        self.unread = set(node.space.varied)
        self.ended = 0
        for read, state in rows:
            self._notice(json.loads(read) if read else None, state)

    def _notice(self, read: Sequence[str] | None, state: str) -> None:
        if state == "complete":
            self.ended += 1
            self.unread = self.unread - set(read) if read is not None else set()

    def __enter__(self) -> Watch:
        from tqdm.auto import tqdm

        log = not sys.stderr.isatty() and "ipykernel" not in sys.modules
        self.bar: Any = tqdm(
            total=self.total,
            initial=self.done,
            desc=f"round {self.node.id}",
            unit="trial",
            disable=not self.show,
            mininterval=_LOG_SECONDS if log else 0.2,
            dynamic_ncols=not log,
            file=_Lines() if log else None,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self.bar.close()

    def say(self, text: str) -> None:
        """Says something, above the bar."""
        log(logging.INFO, "round %s: %s", self.node.id, text)
        if self.show:
            with contextlib.suppress(OSError):
                self.bar.write(line(text), file=sys.stderr)

    def say_left(self, why: str, left: int) -> None:
        """Says, below the bar, that the run ended in order and what is left."""
        if not self.show:
            return
        self.bar.close()
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            print(  # noqa: T201
                f"round {self.node.id}: ended {why}, {plural(left, 'trial')} left; {Action('round.run')} goes on",
                file=sys.stderr,
                flush=True,
            )

    def see(self, outcome: Outcome, value: float | None) -> None:
        """Takes in one ended trial, which is stored already."""
        state = outcome.state
        self.seen += 1
        self.failed += state in FAILED
        self.pruned += state == State.PRUNED
        counts = (
            value is not None and math.isfinite(value) and self.goal.counts(outcome.metrics, outcome.seconds)
        )
        if value is not None and counts:
            self.best = max(self.best, self.sign * value)
        self.infeasible += state == "complete" and not all_met(
            self.metric.subject_to, outcome.metrics, outcome.seconds
        )
        best = score(self.sign * self.best) if math.isfinite(self.best) else "-"
        self._notice(outcome.read, state)
        unread = [name for name in self.node.space if name in self.unread] if self.ended >= _READ_BY else []
        never = f", never read: {line(', '.join(unread))}" if unread else ""
        stopped = f", {self.pruned} pruned" if self.pruned else ""
        stopped += f", {self.infeasible} infeasible" if self.infeasible else ""
        with contextlib.suppress(OSError):  # a terminal that is gone ends no round
            self.bar.set_postfix_str(f"best {best}, {self.failed} failed{stopped}{never}", refresh=False)
            self.bar.update()
        self.metric_seen |= value is not None
        if state == "complete" and value is None:
            raise ObjectiveError(
                f"round {self.node.id}: metric {str(self.metric)!r} is not among what the objective returned; "
                f"{_instead(self.metric, outcome.metrics)}; the trial is stored with all its metrics"
            )
        if state == "complete" and not is_bare_nan(outcome.metrics):
            known = {SECONDS, *outcome.metrics}
            for constraint in self.metric.subject_to:
                if constraint.name not in known:
                    raise ObjectiveError(
                        f"round {self.node.id}: metric constraint '{constraint}' is about {constraint.name!r}, which is not "
                        f"among what the objective returned; {did_you_mean(constraint.name, known)}; the trial is stored with "
                        "all its metrics"
                    )
        if self.seen <= self.first and outcome.error:
            how = _signature(outcome.error)
            self.alike[how] = self.alike.get(how, 0) + 1
            if self.alike[how] == self.first > 1:
                raise RoundStoppedError(
                    f"round {self.node.id}: stopped, its first {self.first} trials all failed alike: "
                    f"{outcome.error.strip().splitlines()[-1]}; look at the tracebacks, fix "
                    "it and run again",
                    Action("round.failures"),
                    Action("round.run", rerun=str(state)),
                )


def _instead(metric: Metric, returned: Mapping[str, float]) -> str:
    """What to do where a metric is missing."""
    if metric.name.startswith("val_") and not any(n.startswith("val_") for n in returned):
        return f"known: {', '.join(returned)}, all of training; give fit validation_data=(x_val, y_val) and run again"
    hint = did_you_mean(metric.name, returned)
    of_validation = [n for n in returned if n.startswith("val_")]
    close = hint.split("'")[1] if hint.startswith("did") else [*of_validation, *returned][0]
    return f"{hint}; add the round with metric={str(metric._replace(name=close))!r} and run again"


def _signature(error: str) -> str:
    """What makes two tracebacks the same failure: the kind of error and where it arose."""
    lines = error.strip().splitlines()
    where = [line.strip() for line in lines if re.match(r"\s*File \".*\", line \d+", line)]
    return f"{where[-1] if where else ''} {lines[-1].split(':')[0]}"
