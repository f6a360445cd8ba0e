"""Number of trials by state, and the best trial of a round, cached for frequent looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from refine.store.exclusions import state_of
from refine.store.json_columns import number_rows, parsed
from refine.store.schema import t
from refine.store.validity import BROKEN, said, sift
from refine.trials.goal import Goal
from refine.trials.rows import JsonRows
from refine.trials.trial import DEGENERATE, State, StateCounts

_BLOCK = 50_000


def _count_states(connection: sa.Connection, tree: int) -> StateCounts:
    """Node row -> state -> number of planned trials, last attempts only; answered from an index."""
    c = t.trial.c
    state = state_of(connection)
    of_tree = c.node.in_(sa.select(t.node.c.pk).where(t.node.c.tree == tree))
    count = sa.select(c.node, state, sa.func.count(), sa.func.max(c.attempt)).group_by(c.node, state)
    rows = connection.execute(count.where(of_tree, c.replicate == 0).order_by(c.node, state)).all()
    repeated = sorted({node for node, _, _, attempt in rows if attempt})
    if repeated:
        earlier = connection.execute(count.where(c.pk.in_(earlier_rows(repeated)))).all()
    else:
        earlier = ()
    superseded = {(node, state): number for node, state, number, _ in earlier}
    states: StateCounts = {}
    for node, state, number, _ in rows:
        if remaining := int(number) - int(superseded.get((node, state), 0)):
            states.setdefault(node, {})[state] = remaining
    return states


def earlier_rows(nodes: list[int]) -> sa.Select[tuple[int]]:
    """Rows of planned trials with a later attempt, found from the few that are a second attempt."""
    c = t.trial.c
    latest = (
        sa.select(c.node, c.key, sa.func.max(c.attempt).label("attempt"))
        .where(c.node.in_(nodes), c.replicate == 0, c.attempt > 0)
        .group_by(c.node, c.key)
        .subquery()
    )
    first = t.trial.alias("first").c
    same_trial = (first.node == latest.c.node) & (first.key == latest.c.key) & (first.replicate == 0)
    return sa.select(first.pk).join(latest, same_trial & (first.attempt < latest.c.attempt))


class _Size(NamedTuple):
    """The size of a round, which tells whether it has changed."""

    rows: int = 0
    last: int = 0
    mark: int = 0


def _sizes(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> dict[int, _Size]:
    c = t.trial.c
    m = t.mark.c
    node = t.node.c
    # Each query alone reads one index.
    rows = sa.select(sa.func.count()).select_from(t.trial).where(c.node == node.pk)
    last = sa.select(sa.func.max(c.pk)).where(c.node == node.pk)
    mark = sa.select(sa.func.max(m.pk)).where(m.node == node.pk)
    query = sa.select(node.pk, *(subquery.scalar_subquery() for subquery in (rows, last, mark))).where(
        condition
    )
    return {pk: _Size(*(number or 0 for number in numbers)) for pk, *numbers in connection.execute(query)}


class Best(NamedTuple):
    """The best planned trial of a round."""

    value: float = -math.inf  # larger is better; -inf without a value
    row: int = 0  # row of the trial
    position: int = 0  # number of the trial among the planned trials


class Counts:
    """Cached counts of the rounds of a store; of a round that has grown only the new trials are read."""

    def __init__(self) -> None:
        self._states: dict[int, tuple[dict[int, _Size], StateCounts]] = {}
        self._best: dict[tuple[int, Goal], tuple[_Size, Best]] = {}

    def states(self, engine: sa.Engine, tree: int) -> StateCounts:
        """Node row -> state -> number of planned trials, last attempts only."""
        with engine.connect() as connection:
            sizes = _sizes(connection, t.node.c.tree == tree)
            if tree not in self._states or self._states[tree][0] != sizes:
                self._states[tree] = sizes, _count_states(connection, tree)
            return {pk: dict(states) for pk, states in self._states[tree][1].items()}

    def best(self, engine: sa.Engine, pk: int, goal: Goal) -> Best:
        """The best planned trial of a round, the first of equal ones, without damaged trials.

        The goal's metric must be neither a function nor based on curves.
        """
        c = t.trial.c
        of_round = c.node == pk
        with engine.connect() as connection:
            size = _sizes(connection, t.node.c.pk == pk)[pk]
            earlier_size, best = self._best.get((pk, goal), (_Size(), Best()))
            if earlier_size == size:
                return best
            new = sa.select(sa.func.count(), sa.func.max(c.attempt)).where(of_round, c.pk > earlier_size.last)
            rows, attempt = connection.execute(new).one()
            condition = planned = of_round & (c.replicate == 0)
            # Some rows ran again, were removed or excluded, or were written before the last row.
            if attempt or earlier_size.rows + rows != size.rows or earlier_size.mark != size.mark:
                earlier_size = _Size()
                best = Best()
                condition &= c.pk.not_in(earlier_rows([pk]))
            if (
                new_best := _best(connection, condition & (c.pk > earlier_size.last), goal)
            ).value > best.value:
                before = sa.select(sa.func.count()).where(
                    planned, c.pk.not_in(earlier_rows([pk])), c.pk < new_best.row
                )
                best = new_best._replace(position=int(connection.execute(before).scalar_one()))
            self._best[pk, goal] = size, best
            return best


def _best(connection: sa.Connection, condition: sa.ColumnElement[bool], goal: Goal) -> Best:
    c = t.trial.c
    state = state_of(connection)
    complete = condition & (getattr(state, "element", state) == State.COMPLETE)
    best = -math.inf
    place = 0
    read = 0
    query = sa.select(c.metrics).where(complete).order_by(c.pk)
    for texts in connection.execute(query, execution_options={"yield_per": _BLOCK}).scalars().partitions():
        metrics = number_rows(texts) or _readable(texts, goal.metric.name)
        values = goal.sign * metrics.numbers(goal.metric.name)
        usable = np.isfinite(values)
        if not goal.allow_degenerate:
            usable &= ~(metrics.numbers(DEGENERATE) >= 0.5)
        values = np.where(usable, values, -np.inf)
        i = int(np.argmax(values))
        if values[i] > best:
            best = float(values[i])
            place = read + i
        read += len(texts)
    if best == -math.inf:
        return Best()
    row = sa.select(c.pk).where(complete).order_by(c.pk).offset(place).limit(1)
    return Best(best, int(connection.execute(row).scalar_one()))


def _readable(texts: Sequence[str], metric: str) -> JsonRows:
    """Metrics of trials; empty for damaged trials."""

    def fault(low: int, high: int) -> str:
        try:
            for name in (metric, DEGENERATE):
                JsonRows(parsed(texts[low:high])).numbers(name)
        except BROKEN as error:
            return said(error)
        return ""

    bad = sift(len(texts), fault)
    return JsonRows(parsed(["{}" if i in bad else text for i, text in enumerate(texts)]))
