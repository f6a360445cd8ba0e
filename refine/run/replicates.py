"""Repeating the best configurations under new seeds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import chain, compress

import numpy as np

from refine import stats
from refine.analysis.pooling import replicate_groups
from refine.design.space_filling import enough_for
from refine.errors import AnalysisError, DesignError, NotFoundError
from refine.run.hooks import log
from refine.run.options import RunOptions
from refine.run.outcome import Task
from refine.run.plan import attempts, stored_task
from refine.run.protocols import Objective
from refine.run.runner import TaskSource, run_round
from refine.stats.resolution import at_end
from refine.store.store import Store
from refine.trials.budget import BudgetState
from refine.trials.frame import Records, usable_values
from refine.trials.goal import Goal
from refine.trials.replicates import best_keys, planned, runs_compared
from refine.trials.round_record import Node, StoredNode, repeats_of
from refine.trials.trial import State
from refine.utils.action import Action
from refine.utils.numbers import is_whole
from refine.utils.standard_streams import print_error
from refine.utils.warning import warn


def run_repeats(
    store: Store,
    stored: StoredNode,
    objective: Objective,
    goal: Goal,
    options: RunOptions,
    *,
    after_run: bool,
) -> None:
    """Runs the repeats that a person added to the plan of a round: see :meth:`refine.Round.add`.

    A repeat waits for the planned run of its configuration, so a removed trial delays its repeats.
    """
    repeats = repeats_of(stored.additions)

    def choose(records: Records) -> list[Task]:
        rows = zip(records.columns["key"], records.columns["replicate"], strict=True)
        ended = {key for key, replicate in rows if replicate == 0}
        tasks = [
            replicate_tasks(stored.node, records, [key], number, options.again)
            for key, number in repeats.items()
            if key in ended
        ]
        return sorted(chain.from_iterable(tasks), key=lambda task: task.replicate)

    source = TaskSource(choose=choose)
    run_round(store, stored, objective, goal, options, source=source, trials="repeats", after_run=after_run)


MIN_TRIALS = (
    10  # trials with a value that a round needs before its noise is measured, so that repeats stay few
)


def measure_noise(
    store: Store, path: Sequence[StoredNode], objective: Objective, goal: Goal, options: RunOptions
) -> None:
    """Repeats the best configuration of a finished round, to see whether the objective is deterministic.

    A repeat with another value shows noise. An equal value may be chance, so two more repeats follow. Values
    of 0, 1 and 100 are skipped, since saturated metrics hide noise. No repeat runs if the answer is known
    from replicates of the round, or of an ancestor with the same objective, or from configurations with equal
    values of all parameters read. If no repeat has a value, the noise stays unmeasured, with a warning.
    The budget of the tree pays for the repeats; no repeat runs if too few trials are left.
    """
    stored = path[-1]
    node = stored.node
    tree = store.tree_of(stored.pk)
    for repeats in (1, 3):
        best = _to_repeat(store, path, goal)
        if best is None:
            return
        budget = enough_for(store.budget(tree), [node.space])
        missing = max(1, repeats - 1)
        if budget.seconds_left <= 0 or (budget.full_left is not None and budget.full_left < missing):
            _say(f"round {node.id}: noise not measured: {budget}")
            return

        def choose(
            records: Records, best: str = best, repeats: int = repeats, budget: BudgetState = budget
        ) -> list[Task]:
            tasks = replicate_tasks(node, records, [best], repeats, options.again)
            if tasks and repeats == 1:
                _announce(node, budget)
            return tasks

        states_before = _states(store, stored, best)
        run_round(
            store,
            stored,
            objective,
            goal,
            options,
            source=TaskSource(choose=choose),
            trials="repeats",
            after_run=True,
        )
        states = _states(store, stored, best)
        if State.COMPLETE not in states:
            if states != states_before:
                warn(
                    f"round {node.id}: noise not measured: repeating the best configuration ended as "
                    f"{states[-1]}; the trials of the round are not affected"
                )
            return


def _announce(node: Node, budget: BudgetState) -> None:
    paid = ""
    if budget.limit is not None:
        paid = f"; the budget pays, {budget}"
    skip = "noise='retraining' skips this"
    _say(f"round {node.id}: repeating the best configuration to measure noise{paid} ({skip})")


def _say(text: str) -> None:
    """Logs a text and prints the text, also without a progress bar: the caller did not ask for repeats."""
    log(logging.INFO, text)
    print_error(text)


def _to_repeat(store: Store, path: Sequence[StoredNode], goal: Goal) -> str | None:
    """Key of the configuration to repeat for the noise.

    Empty if the plan has not ended, or the noise is known.
    """
    stored = path[-1]
    node = path[-1].node
    of_objective = [s for s in path if (s.node.objective, s.node.data) == (node.objective, node.data)]
    records = {s.pk: store.records([s.pk], curves=goal.metric.curves, replicates=True) for s in of_objective}
    trials = planned(records[stored.pk])
    values = usable_values(trials, goal)
    has_value = np.isfinite(values)
    if len(trials.metrics) < stored.n or has_value.sum() < MIN_TRIALS:
        return None
    agreement = runs_compared(records, goal)
    if agreement.unequal:
        return None
    groups = list(compress(replicate_groups(trials), has_value))
    agreement = agreement.joined(stats.repeats(values[has_value], groups))
    if agreement.unequal or agreement.deterministic:
        return None
    saturated = {key for key, value in zip(trials.columns["key"], values, strict=True) if at_end(value)}
    return next((key for key in best_keys(trials, goal) if key not in saturated), None)


def _states(store: Store, stored: StoredNode, key: str) -> list[str]:
    """States of the replicates of a configuration."""
    columns = store.records([stored.pk], replicates=True).columns
    rows = zip(columns["key"], columns["replicate"], columns["state"], strict=True)
    return [state for row_key, replicate, state in rows if row_key == key and replicate > 0]


def check_times(top: int, runs: int, called: str = "seeds") -> None:
    """Raises DesignError unless both are whole numbers >= 1."""
    for name, value in (("top", top), (called, runs)):
        if not is_whole(value):
            raise DesignError(f"{name} must be a whole number >= 1, got {value!r}")


def replicate_tasks(
    node: Node, records: Records, keys: Sequence[str], seeds: int, rerun: frozenset[str]
) -> list[Task]:
    """Remaining replicates of some configurations, seed by seed, with replicates in a state of ``rerun``.

    Raises NotFoundError: the trial of a configuration was removed meanwhile.
    """
    attempt_of = attempts(records, rerun)
    rows = enumerate(zip(records.columns["key"], records.columns["replicate"], strict=True))
    planned_row = {key: row for row, (key, replicate) in rows if replicate == 0}
    if missing := [key for key in keys if key not in planned_row]:
        raise NotFoundError(
            f"round {node.id}: the trial of configuration {missing[0]} was removed before it could be "
            "repeated; make the same call again"
        )
    tasks = []
    for replicate in range(1, seeds + 1):
        for key in keys:
            attempt = attempt_of(key, replicate)
            if attempt is not None:
                changes = {
                    "replicate": replicate,
                    "attempt": attempt,
                    "seed": node.trial_seed(key, replicate),
                }
                tasks.append(stored_task(records, planned_row[key], **changes))
    return tasks


def known_best(keys: Sequence[str], top: int, round_id: str) -> list[str]:
    """The first ``top`` keys. Raises AnalysisError: there is none."""
    if not keys:
        raise AnalysisError(
            f"round {round_id}: has no finished trial that may be called best; run it first",
            Action("round.run"),
        )
    return list(keys[:top])
