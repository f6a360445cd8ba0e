"""Running a round: from its plan to finished trials in the store, resumable at any moment."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

from refine.canonical import decode, encode, freeze
from refine.design import design_named, draw, how_many
from refine.environment import environment
from refine.errors import AnalysisError, DesignError, ObjectiveError, RoundStopped, did_you_mean
from refine.execute import check_workers, outcomes_of
from refine.node import Node
from refine.objective import Objective, Outcome, Task, called, objective_code, wants_trial
from refine.space import permutation_key
from refine.store import Store, StoredNode
from refine.trials import DEGENERATE, FUNCTION, STATES, Metric, Records, Trial
from refine.words import score

_ALIKE = 5
"""A round stops when its first trials, so many, all failed in the same way."""

_READ_BY = 10
"""After so many trials the progress bar names varied parameters that none of them has read."""


def run_round(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    metric: Metric,
    direction: str,
    *,
    workers: int = 1,
    executor: Executor | None = None,
    threads: int = 1,
    progress: bool = True,
    rerun: str | None = None,
    choose: Callable[[Records], list[Task]] | None = None,
) -> None:
    """Runs what is left of a round's plan.

    Args:
        store: Where trials go, each when it is finished.
        stored: The round.
        objective: What to call.
        metric: Whose finite value makes a trial complete.
        direction: For the best so far in the progress bar.
        workers: 1 runs in this process; more start a local cluster of subprocesses.
        executor: Runs on this instead; ``workers`` then says how many trials it runs at a time.
        threads: Threads per trial.
        progress: Whether to show a progress bar.
        rerun: A state, such as ``"failed"``: trials that ended so are run again as a new attempt.
        choose: Says what to run instead of the plan, given all trials so far, replicates among them.

    Raises:
        DesignError: An option out of range.
        ObjectiveError: The objective can't be called with a permutation, or its outcome lacks the metric, or the metric
            is a function that is not at hand or can't score a trial.
        RoundStopped: The first trials all failed in the same way.
        RoundBusy: Another process is running this round.
    """
    check_workers(workers, threads)
    wants_trial(objective)
    if rerun is not None and rerun not in STATES:
        raise DesignError(
            f"rerun must be a state of trials, got {rerun!r}; {did_you_mean(str(rerun), STATES)}"
        )
    node, code = stored.node, objective_code(objective)
    if metric.reduction == FUNCTION and metric.function is None:
        raise ObjectiveError(
            f"round {node.id}: its metric is the function {metric.name!r}, which is not at hand after reopening; give "
            "it: run(metric=function)"
        )
    with ExitStack() as stack:
        stack.enter_context(store.lease(stored.pk, f"round {node.id}"))
        if metric.function is not None:
            store.store_scores(stored.pk, metric)
        records = store.records([stored.pk], curves=metric.curves, replicates=choose is not None)
        if choose is None:
            tasks = plan(node, stored.n, store.inherited(stored.pk), store.beside(stored.pk), records, rerun)
        else:
            tasks = choose(records)
        if not tasks:
            return
        store.add_environment(stored.pk, {**environment(threads), **called(node.objective, objective)})
        writer = stack.enter_context(store.writer(stored.pk))
        watch = stack.enter_context(
            _Watch(
                node,
                stored.n if choose is None else len(tasks),
                len(tasks),
                records,
                metric,
                direction,
                progress,
            )
        )
        outcomes = outcomes_of(stack, objective, tasks, workers=workers, executor=executor, threads=threads)
        for task, outcome in outcomes:
            state = outcome.state
            try:
                outcome, value = _scored(outcome, metric)
            except ObjectiveError:
                writer.add(_trial(task, outcome, state, code))  # with all its metrics
                raise
            if state == "complete" and value is not None and not math.isfinite(value):
                state = "diverged"
            if state == "complete" and value is None and watch.metric_seen:
                names = ", ".join(outcome.metrics)
                state = "failed"
                outcome = outcome._replace(
                    error=f"this trial has no metric {str(metric)!r}, others have; it has {names}"
                )
            writer.add(_trial(task, outcome, state, code))
            watch.see(outcome, state, value)


def plan(
    node: Node,
    n: int,
    inherited: frozenset[str],
    extra: Sequence[tuple[str, dict[str, Any]]],
    records: Records,
    rerun: str | None,
) -> list[Task]:
    """What is left to run: the design's first cells and the extra ones, less those that have ended.

    Args:
        node: The round.
        n: How many permutations it plans, the extra ones among them.
        inherited: Keys that ancestors had completed.
        extra: ``(origin, encoded permutation)`` of what runs beside the design's cells.
        records: The round's trials so far.
        rerun: Trials that ended in this state come again.
    """
    ended: dict[str, tuple[str, int]] = {}
    columns = records.columns
    for key, replicate, state, attempt in zip(
        *(columns[c] for c in ("key", "replicate", "state", "attempt")), strict=True
    ):
        if replicate == 0:
            ended[key] = state, attempt
    space = node.space
    encoded = [[encode(v) for v in p.grid] for p in space.values()]
    tasks = []
    others = [(permutation_key({m: decode(v) for m, v in p.items()}), origin, p) for origin, p in extra]
    skip = inherited | {key for key, _, _ in others}
    for row in draw(design_named(node.method), space, n - len(others), node.design_seed, skip):
        frozen = {name: freeze(p.grid[i]) for (name, p), i in zip(space.items(), row, strict=True)}
        key = permutation_key(frozen)
        state, attempt = ended.get(key, ("", -1))
        if state in ("", rerun):
            permutation = {name: encoded[j][i] for j, (name, i) in enumerate(zip(space, row, strict=True))}
            cell = str(space.number(row))
            tasks.append(Task(key, permutation, cell, 0, attempt + 1, "even", node.trial_seed(key, 0)))
    for key, origin, permutation in others:
        state, attempt = ended.get(key, ("", -1))
        if state in ("", rerun):
            tasks.append(Task(key, permutation, None, 0, attempt + 1, origin, node.trial_seed(key, 0)))
    return tasks


def planned_cells(store: Store, stored: StoredNode, n: int | None) -> list[int]:
    """Numbers of the first ``n`` cells of a round's design; default all that are planned evenly.

    Raises:
        DesignError: More than exist.
    """
    space = stored.node.space
    extra = store.beside(stored.pk)
    count = stored.n - len(extra) if n is None else how_many(space, n, None)
    skip = store.inherited(stored.pk) | {
        permutation_key({m: decode(v) for m, v in p.items()}) for _, p in extra
    }
    rows = draw(design_named(stored.node.method), space, count, stored.node.design_seed, skip)
    return [space.number(row) for row in rows]


class _Watch:
    """Watches a round go by: progress for the person, and an early end where all goes wrong."""

    def __init__(
        self, node: Node, n: int, todo: int, records: Records, metric: Metric, direction: str, show: bool
    ) -> None:
        self.node, self.metric, self.sign = node, metric, 1.0 if direction == "maximize" else -1.0
        self.total, self.done, self.show = n, n - todo, show
        self.alike: dict[str, int] = {}
        self.seen = self.failed = 0
        self.first = min(_ALIKE, todo)
        known = [
            metric.of(m, c)
            for m, c in zip(records.metrics, records.curves or [{}] * len(records.metrics), strict=True)
        ]
        self.metric_seen = any(v is not None for v in known)
        finite = [
            self.sign * v
            for v, m in zip(known, records.metrics, strict=True)
            if v is not None and math.isfinite(v) and self._worthy(m)
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

    def __enter__(self) -> _Watch:
        from tqdm.auto import tqdm

        self.bar: Any = tqdm(
            total=self.total,
            initial=self.done,
            desc=f"round {self.node.id}",
            unit="trial",
            disable=not self.show,
            mininterval=0.2,
            dynamic_ncols=True,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self.bar.close()

    def _worthy(self, metrics: Mapping[str, float]) -> bool:
        return self.node.degenerate or not metrics.get(DEGENERATE, 0.0) >= 0.5

    def see(self, outcome: Outcome, state: str, value: float | None) -> None:
        """Takes in one ended trial, which is stored already."""
        self.seen += 1
        self.failed += state != "complete"
        if value is not None and math.isfinite(value) and self._worthy(outcome.metrics):
            self.best = max(self.best, self.sign * value)
        best = score(self.sign * self.best) if math.isfinite(self.best) else "-"
        self._notice(outcome.read, state)
        unread = [name for name in self.node.space if name in self.unread] if self.ended >= _READ_BY else []
        never = f", never read: {', '.join(unread)}" if unread else ""
        self.bar.set_postfix_str(f"best {best}, {self.failed} failed{never}", refresh=False)
        self.bar.update()
        self.metric_seen |= value is not None
        if state == "complete" and value is None:
            raise ObjectiveError(
                f"round {self.node.id}: metric {str(self.metric)!r} is not among what the objective returned; "
                f"{did_you_mean(self.metric.name, outcome.metrics)}; the trial is stored with all its metrics"
            )
        if self.seen <= self.first and outcome.error:
            how = _signature(outcome.error)
            self.alike[how] = self.alike.get(how, 0) + 1
            if self.alike[how] == self.first > 1:
                raise RoundStopped(
                    f"round {self.node.id}: stopped, its first {self.first} trials all failed alike: "
                    f"{outcome.error.strip().splitlines()[-1]}; fix it and run again with rerun='failed'; "
                    "tracebacks are in round.failures"
                )


def _scored(outcome: Outcome, metric: Metric) -> tuple[Outcome, float | None]:
    """An outcome and its value; what a function made of its metrics is kept among them."""
    if metric.function is None:
        return outcome, metric.of(outcome.metrics, outcome.curve)
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


def _signature(error: str) -> str:
    """What makes two tracebacks the same failure: the kind of error and where it arose."""
    lines = error.strip().splitlines()
    where = [line.strip() for line in lines if re.match(r"\s*File \".*\", line \d+", line)]
    return f"{where[-1] if where else ''} {lines[-1].split(':')[0]}"


def _trial(task: Task, outcome: Outcome, state: str, code: str) -> Trial:
    return Trial(
        key=task.key,
        permutation=task.permutation,
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
