"""Running the race that confirms a tree's winner: everything it knows is in the store, so that it can go on at any time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from refine.analysis.evaluated import RanRound
from refine.analysis.judgement import race_of
from refine.analysis.winner import Candidate, Judged, Winner
from refine.errors import AnalysisError
from refine.run.objective import Task
from refine.run.options import RunOptions
from refine.run.protocols import Objective
from refine.run.replicates import check_times, replicate_tasks
from refine.run.runner import run_round
from refine.tree.context import Context
from refine.tree.winner import Goals, field_in, ran
from refine.trials.frame import Records
from refine.trials.round_record import StoredNode
from refine.utils.action import Action

_STAGES = 6
"""A race is looked at about so often: starting workers takes seconds, and looking more often gained nothing in simulations."""


def confirm(
    context: Context,
    rounds: Goals,
    of: str,
    epsilon: float | None,
    budget: int,
    top: int,
    objective: tuple[Objective | None, str | None],
    options: RunOptions,
) -> Winner:
    """Runs the race: see :meth:`refine.Tree.confirm`.

    Args:
        context: Where trials are read and written.
        rounds: Whose trials are evidence.
        of: What it is the winner of, as it is shown.
        epsilon: Loss that counts as none; ``None`` where nobody said it.
        budget: How many runs under new seeds.
        top: How many configurations.
        objective: What to call where a round was reopened, and its name.
        options: What trials run on.

    Raises:
        AnalysisError: No trial has finished that may be called best.
        DesignError: ``budget`` or ``top`` is no whole number >= 1.
    """
    check_times(top, budget, "budget")
    found = ran(context.store, rounds)
    field = field_in(context.store, rounds, found)
    if field is None:
        raise AnalysisError(
            f"{of}: no trial has finished that may be called best; run a round first", Action("round.run")
        )
    batch = max(options.workers, math.ceil(budget / _STAGES))
    before = -1
    while True:
        judged = field.judged(found)
        spent, planned = spent_on(judged, found)
        race = race_of(judged, spent, top, budget, batch, epsilon, planned)
        if race.verdict != "open" or race.runs == before:
            return judged.winner(of, epsilon, race)
        before = race.runs
        shares = zip(race.racers, race.following, strict=True)
        run_again(context, rounds, [(field.candidates[i], n) for i, n in shares if n], objective, options)
        found = ran(context.store, rounds)


def spent_on(judged: Judged, rounds: list[RanRound]) -> tuple[list[int], int]:
    """Per candidate how many of its runs under new seeds have ended, in whatever way; how many of all were in a plan."""
    spent, planned = [0] * len(judged.field.candidates), 0
    for each in rounds:
        columns = each.records.columns
        rows = zip(columns["key"], columns["replicate"], columns["state"], strict=True)
        for key, replicate, state in rows:
            number = judged.field.places.get((each.id, key))
            if replicate and state != "running" and number is not None:
                spent[number] += 1
                planned += replicate < each.seeds.get(key, 1)
    return spent, planned


def run_again(
    context: Context,
    rounds: Goals,
    racers: Sequence[tuple[Candidate, int]],
    objective: tuple[Objective | None, str | None],
    options: RunOptions,
) -> None:
    """Runs configurations under new seeds, round by round.

    Args:
        context: Where trials are read and written.
        rounds: Those that ran them first.
        racers: Which, and how many times more.
        objective: What to call where a round was reopened, and its name.
        options: What trials run on.
    """
    given, name = objective
    for stored, goal in rounds:
        mine = [(c, n) for c, n in racers if c.round == stored.node.id]
        if mine:
            called = context.objective_of(stored.node, given, name)
            choose = partial(_tasks, stored, mine=mine, options=options)
            run_round(context.store, stored, called, goal, options, choose=choose)


def _tasks(
    stored: StoredNode, records: Records, mine: Sequence[tuple[Candidate, int]], options: RunOptions
) -> list[Task]:
    tasks = []
    for candidate, more in mine:
        numbers = zip(records.columns["key"], records.columns["replicate"], strict=True)
        has = max(number for key, number in numbers if key == candidate.key)
        tasks += replicate_tasks(stored.node, records, [candidate.key], has + more, options.again)
    return tasks
