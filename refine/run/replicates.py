"""Running the best configurations again under new seeds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import compress

import numpy as np

from refine import stats
from refine.analysis.pooling import replicate_groups
from refine.errors import AnalysisError, DesignError
from refine.run.options import RunOptions
from refine.run.outcome import Task
from refine.run.plan import attempts, stored_task
from refine.run.protocols import Objective
from refine.run.resources import is_whole
from refine.run.runner import run_round
from refine.stats.resolution import at_end
from refine.store.store import Store
from refine.trials.frame import Records, usable_values
from refine.trials.goal import Goal
from refine.trials.replicates import best_keys, planned, runs_compared
from refine.trials.round_record import Node, StoredNode
from refine.utils.action import Action


def run_replicates(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    goal: Goal,
    top: int,
    seeds: int,
    options: RunOptions,
) -> None:
    """Runs the best configurations of a round again under new seeds: see :meth:`refine.Round.replicate`."""
    check_times(top, seeds)
    node = stored.node

    def choose(records: Records) -> list[Task]:
        keys = best_keys(records, goal)
        return replicate_tasks(node, records, known_best(keys, top, node.id), seeds, options.again)

    run_round(store, stored, objective, goal, options, choose=choose)


# Finished trials that a round has before its best one runs again, so that it costs a tenth at most.
FEWEST = 10


def measure_noise(
    store: Store, path: Sequence[StoredNode], objective: Objective, goal: Goal, options: RunOptions
) -> None:
    """Runs a round's best configuration again once its plan has ended, to see whether the value is the same.

    That is the best one whose value is not 0, 1 or 100: where a metric ends, noise doesn't show. Nothing runs where it is known, from
    runs again of this round or of one that it came from with the same objective, or from configurations that agree on all that was
    read. Where the value is the same, which may be chance, it runs two times more.
    """
    stored, node = path[-1], path[-1].node
    alike = [s for s in path if (s.node.objective, s.node.data) == (node.objective, node.data)]
    curves = goal.metric.curves
    for runs in (1, 3):
        every = {s.pk: store.records([s.pk], curves=curves, replicates=True) for s in alike}
        own = planned(every[stored.pk])
        values = usable_values(own, goal)
        known = np.isfinite(values)
        same = runs_compared(every, goal)
        if len(own.metrics) < stored.n or known.sum() < FEWEST or same.unequal:
            return
        same = same.joined(stats.repeats(values[known], list(compress(replicate_groups(own), known))))
        if same.unequal or same.deterministic:
            return
        ends = {key for key, v in zip(own.columns["key"], values, strict=True) if at_end(v)}
        best = [key for key in best_keys(own, goal) if key not in ends][:1]
        if not best:
            return
        if options.progress and runs == 1:
            print(  # noqa: T201
                f"round {node.id}: its best configuration runs again, to measure the noise "
                "(check_noise=False leaves that out)",
                file=sys.stderr,
                flush=True,
            )

        def choose(records: Records, best: list[str] = best, runs: int = runs) -> list[Task]:
            return replicate_tasks(node, records, best, runs, options.again)

        run_round(store, stored, objective, goal, options, choose=choose, told=True)


def check_times(top: int, runs: int, called: str = "seeds") -> None:
    """Raises DesignError unless both are whole numbers >= 1."""
    for name, value in (("top", top), (called, runs)):
        if not is_whole(value):
            raise DesignError(f"{name} must be a whole number >= 1, got {value!r}")


def replicate_tasks(
    node: Node, records: Records, keys: Sequence[str], seeds: int, rerun: frozenset[str] = frozenset()
) -> list[Task]:
    """What is left to run of some configurations' replicates, seed by seed, and again what ended in a state of ``rerun``."""
    c, attempt_of = records.columns, attempts(records, rerun)
    first = {key: i for i, (key, r) in enumerate(zip(c["key"], c["replicate"], strict=True)) if r == 0}
    todo = [(key, r, attempt_of(key, r)) for r in range(1, seeds + 1) for key in keys]
    return [
        stored_task(records, first[key], replicate=r, attempt=attempt, seed=node.trial_seed(key, r))
        for key, r, attempt in todo
        if attempt is not None
    ]


def known_best(keys: Sequence[str], top: int, round_id: str) -> list[str]:
    """The first ``top`` keys. Raises AnalysisError: there is none."""
    if not keys:
        raise AnalysisError(
            f"round {round_id}: has no finished trial that may be called best; run it first",
            Action("round.run"),
        )
    return list(keys[:top])
