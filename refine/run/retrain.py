"""Training again what was found: replicates of the best configurations."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Executor
from typing import TypedDict

from refine.run.identity import Objective
from refine.run.objective import Task
from refine.run.replicates import best_keys, check_times, known_best, replicate_tasks
from refine.run.runner import check_rerun, run_round
from refine.tree.context import Context
from refine.trials.frame import Records
from refine.trials.metric import Metric
from refine.trials.round_record import Node


class HowOptions(TypedDict, total=False):
    """Where to run what: see :meth:`refine.Round.run`."""

    workers: int
    executor: Executor | None
    threads: int
    timeout: float | None
    memory: int | str | None
    objective: Objective | None
    name: str | None


class RunOptions(HowOptions, total=False):
    """The same, and what is shown and run again."""

    progress: bool
    rerun: str | Collection[str] | None


def run_replicates(
    home: Context,
    node: Node,
    metric: Metric,
    direction: str,
    top: int,
    seeds: int,
    *,
    workers: int = 1,
    executor: Executor | None = None,
    threads: int = 1,
    progress: bool = True,
    rerun: str | Collection[str] | None = None,
    timeout: float | None = None,
    memory: int | str | None = None,
    objective: Objective | None = None,
    name: str | None = None,
) -> None:
    """Runs the best configurations of a round again under new seeds: see :meth:`refine.Round.replicate`.

    Raises:
        AnalysisError: No trial has finished that may be called best.
        DesignError: ``top`` or ``seeds`` is no whole number >= 1.
    """
    check_times(top, seeds)
    chosen = home.objective_of(node, objective, name)
    again = check_rerun(rerun)

    def choose(records: Records) -> list[Task]:
        keys = best_keys(node.space, records, metric, direction, node.allow_degenerate)
        return replicate_tasks(node, records, known_best(keys, top, node.id), seeds, again)

    run_round(
        home.store,
        home.store.nodes(home.tree)[node.id],
        chosen,
        metric,
        direction,
        workers=workers,
        executor=executor,
        threads=threads,
        progress=progress,
        rerun=rerun,
        timeout=timeout,
        memory=memory,
        choose=choose,
    )
