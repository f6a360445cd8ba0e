"""How many trials of each state a round has, and which is its best, without reading the round again for every look.

What a process has counted it keeps, and of a round that grew it reads what is new. Rows that were taken away, run again or
written before the last one change how many there are in another way than what is new does: then all is counted anew.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from refine.store.marks import state_of
from refine.store.schema import t
from refine.store.sound import BROKEN, sift
from refine.store.texts import parsed
from refine.trials.goal import Goal
from refine.trials.rows import Rows
from refine.trials.trial import DEGENERATE

_BLOCK = 50_000
MANY = 20_000
"""More trials than are read here to find the best of them, where a database can name a few."""
_FEW = 2_000
"""Trials that a database names as the best ones; more have to be asked for where so many are equal."""
_NEAR = 1e-12
"""By which part of itself the best value may differ from what a database makes of its digits."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_@.:/ -]+", re.ASCII)
"""Names of metrics that stand in JSON, paths and patterns as they are."""
_WITH_JSON = (3, 38)
"""The SQLite that is never built without functions for JSON."""
_TRIES = 10
"""How often the best ones may be damaged before all are read here."""


class _Size(NamedTuple):
    """How far a round is: what was read of it holds for as long as this does.

    Attributes:
        rows: How many trials it has, replicates and earlier attempts among them.
        last: Row of the one that was written last.
        mark: Row of what was noted last about its trials: somebody may have excluded one.
    """

    rows: int
    last: int
    mark: int = 0


class Best(NamedTuple):
    """The best planned trial of a round.

    Attributes:
        value: Larger is better; -inf where there is none.
        row: Its row.
        position: Its number among the planned trials.
        of: How many planned trials were looked at.
    """

    value: float = -math.inf
    row: int = 0
    position: int = 0
    of: int = 0


class Tallies:
    """What a process knows of the rounds of a store."""

    def __init__(self) -> None:
        self._states: dict[int, tuple[_Size, dict[str, int]]] = {}
        self._best: dict[tuple[int, Goal], tuple[_Size, Best]] = {}

    def states(self, engine: sa.Engine, tree: int) -> dict[int, dict[str, int]]:
        """Node row -> state -> number of planned trials, the last attempt of each."""
        with engine.connect() as connection:
            sizes = _sizes(connection, t.node.c.tree == tree)
            known = {pk: self._states[pk] for pk in sizes if pk in self._states}
            grown = {
                pk: then
                for pk, (then, _) in known.items()
                if then != sizes[pk] and then.mark == sizes[pk].mark
            }
            new = [pk for pk in sizes if pk not in known or known[pk][0].mark != sizes[pk].mark]
            found = _counted(connection, t.trial.c.node.in_(new)) if new else {}
            for pk, then in grown.items():
                more = _counted(connection, _between(pk, then, sizes[pk])).get(pk)
                if more is None or more.again or then.rows + more.rows != sizes[pk].rows:
                    new.append(pk)
                    found |= _counted(connection, t.trial.c.node == pk)
                else:
                    counts = Counter(known[pk][1])
                    counts.update(more.states)
                    self._states[pk] = sizes[pk], _in_order(counts)
            repeated = [pk for pk in new if pk in found and found[pk].again]
            earlier = _superseded(connection, repeated) if repeated else {}
            for pk in new:
                counts = Counter(found[pk].states if pk in found else {})
                counts.subtract(earlier.get(pk, {}))
                self._states[pk] = sizes[pk], _in_order(counts)
            return {pk: dict(self._states[pk][1]) for pk in sizes if self._states[pk][1]}

    def best(self, engine: sa.Engine, pk: int, goal: Goal) -> Best:
        """The best planned trial of a round, the first of equal ones. Trials that can't be read are none.

        Args:
            engine: The store's.
            pk: Row of the round.
            goal: What they are judged by: a metric that is neither a function nor read off curves.
        """
        with engine.connect() as connection:
            size = _sizes(connection, t.node.c.pk == pk)[pk]
            then, found = self._best.get((pk, goal), (_Size(0, 0), Best()))
            if then == size:
                return found
            if then.mark != size.mark:
                then, found = _Size(0, 0), Best()
            c = t.trial.c
            mine = sa.func.sum(sa.case((c.replicate == 0, 1), else_=0))
            looked = sa.select(sa.func.count(), mine, sa.func.max(c.attempt))
            rows, planned, attempt = connection.execute(looked.where(_between(pk, then, size))).one()
            again = attempt not in (0, None)
            if again or then.rows + rows != size.rows:  # rows before it were taken away, or written later
                then, found, again = _Size(0, 0), Best(), True
            where = _between(pk, then, size) & (c.replicate == 0)
            if again:
                where &= c.pk.not_in(_earlier_rows([pk]))
                planned = connection.execute(sa.select(sa.func.count()).where(where)).scalar_one()
            top = _top(connection, where, goal, found, int(planned)) if planned > MANY else None
            found = top or _read(connection, where, goal, found)
            self._best[pk, goal] = size, found
            return found


class _Counts(NamedTuple):
    """Trials of a round.

    Attributes:
        states: State -> number of planned ones, earlier attempts among them.
        rows: How many there are, replicates among them.
        again: Whether one was run again.
    """

    states: dict[str, int]
    rows: int
    again: bool


def _sizes(connection: sa.Connection, which: sa.ColumnElement[bool]) -> dict[int, _Size]:
    c, node = t.trial.c, t.node.c
    rows = sa.select(sa.func.count()).select_from(t.trial).where(c.node == node.pk).scalar_subquery()
    last = sa.select(sa.func.max(c.pk)).where(c.node == node.pk).scalar_subquery()
    mark = sa.select(sa.func.max(t.mark.c.pk)).where(t.mark.c.node == node.pk).scalar_subquery()
    query = sa.select(node.pk, rows, last, mark).where(which)
    return {
        pk: _Size(int(n), int(top or 0), int(noted or 0)) for pk, n, top, noted in connection.execute(query)
    }


def _between(pk: int, then: _Size, now: _Size) -> sa.ColumnElement[bool]:
    """Trials of a round that were written after one look and before another."""
    return (t.trial.c.node == pk) & t.trial.c.pk.between(then.last + 1, now.last)


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {state: n for state, n in sorted(counts.items(), key=str) if n}


def _counted(connection: sa.Connection, which: sa.ColumnElement[bool]) -> dict[int, _Counts]:
    c = t.trial.c
    planned = sa.case((c.replicate == 0, 1), else_=0)
    state = state_of(connection)
    query = (
        sa.select(c.node, state, sa.func.count(), sa.func.sum(planned), sa.func.max(c.attempt))
        .where(which)
        .group_by(c.node, state)
        .order_by(c.node, state)
    )
    found: dict[int, _Counts] = {}
    for node, state, rows, mine, attempt in connection.execute(query):
        states, before, again = found.get(node, _Counts({}, 0, False))
        found[node] = _Counts({**states, state: int(mine)}, before + int(rows), again or attempt != 0)
    return found


def _superseded(connection: sa.Connection, nodes: list[int]) -> dict[int, dict[str, int]]:
    c = t.trial.c
    state = state_of(connection, nodes)
    query = (
        sa.select(c.node, state, sa.func.count())
        .where(c.pk.in_(_earlier_rows(nodes)))
        .group_by(c.node, state)
    )
    found: dict[int, dict[str, int]] = {}
    for node, state, number in connection.execute(query):
        found.setdefault(node, {})[state] = int(number)
    return found


def _earlier_rows(nodes: list[int]) -> sa.Select[tuple[int]]:
    """Rows of planned trials that were run again later: looked for from the few that are a second attempt."""
    c = t.trial.c
    latest = (
        sa.select(c.node, c.key, sa.func.max(c.attempt).label("attempt"))
        .where(c.node.in_(nodes), c.replicate == 0, c.attempt > 0)
        .group_by(c.node, c.key)
        .subquery()
    )
    first = t.trial.alias("first").c
    same = (first.node == latest.c.node) & (first.key == latest.c.key) & (first.replicate == 0)
    return sa.select(first.pk).join(latest, same & (first.attempt < latest.c.attempt))


def _read(connection: sa.Connection, where: sa.ColumnElement[bool], goal: Goal, found: Best) -> Best:
    """The best of trials and of what was known before, looked for here."""
    c = t.trial.c
    query = sa.select(c.pk, state_of(connection), c.metrics).where(where).order_by(c.pk)
    for rows in connection.execute(query, execution_options={"yield_per": _BLOCK}).partitions():
        found = _better(found, *zip(*rows, strict=True), goal=goal)
    return found


def _top(
    connection: sa.Connection, where: sa.ColumnElement[bool], goal: Goal, known: Best, n: int
) -> Best | None:
    """The same, where the database can name the few trials that may be best, a third of the time.

    What it makes of digits decides which trials are looked at, not which is best.

    Args:
        connection: To the store.
        where: Which trials.
        goal: What they are judged by.
        known: The best of those before them.
        n: How many they are.

    Returns:
        ``None`` where it can't.
    """
    name, c = goal.metric.name, t.trial.c
    sqlite = connection.dialect.name == "sqlite"
    if not _PLAIN_NAME.fullmatch(name) or (sqlite and sqlite3.sqlite_version_info < _WITH_JSON):
        return None
    number = _in_sqlite if sqlite else _in_postgresql
    value = number(name, goal.sign).label("value")
    state = state_of(connection)
    ended = where & ((c.state if state is c.state else state.element) == "complete")
    columns = (c.pk, state, c.metrics)

    def ranked(*which: sa.ColumnElement[bool]) -> list[sa.Row[Any]]:
        query = sa.select(*columns, value).where(ended, *which).order_by(value.desc().nulls_last(), c.pk)
        return [row for row in connection.execute(query.limit(_FEW)) if row.value is not None]

    rows, found, further = ranked(), Best(), []
    if rows and rows[0].value == math.inf:
        odd = connection.execute(sa.select(*columns).where(ended, value == math.inf).limit(_BLOCK)).all()
        if len(odd) == _BLOCK:
            return None
        found = _better(found, *zip(*sorted(map(tuple, odd)), strict=True), goal=goal)
        further.append(value < math.inf)
        rows = ranked(*further)
    for _ in range(_TRIES):
        if not rows:
            break
        least = rows[0].value - _NEAR * abs(rows[0].value)
        alike = [row[:3] for row in rows if row.value >= least]
        if len(alike) == _FEW:  # there may be more
            near = sa.select(*columns).where(ended, *further, value >= least)
            alike = [row[:3] for row in connection.execute(near.limit(_BLOCK))]
            if len(alike) == _BLOCK:
                return None
        mine = _better(Best(), *zip(*sorted(alike), strict=True), goal=goal)
        if mine.row:
            found = max(found, mine, key=lambda best: (best.value, -best.row))
            break
        # They are degenerate, or damaged.
        if not goal.allow_degenerate:
            further.append(sa.func.coalesce(number(DEGENERATE, 1.0), 0.0) < 0.5)
        further.append(value < least)
        rows = ranked(*further)
    else:
        return None
    if found.value <= known.value:
        return known._replace(of=known.of + n)
    before = connection.execute(sa.select(sa.func.count()).where(where, c.pk < found.row)).scalar_one()
    return Best(found.value, found.row, known.of + int(before), known.of + n)


def _in_sqlite(name: str, sign: float) -> sa.ColumnElement[float]:
    """A metric's number times a sign; null where there is none, infinity where SQLite takes the text for no JSON."""
    text = t.trial.c.metrics
    found = sign * sa.func.json_extract(text, f'$."{name}"', type_=sa.Double)
    return sa.case((sa.func.json_valid(text) == 1, found), else_=math.inf)


def _in_postgresql(name: str, sign: float) -> sa.ColumnElement[float]:
    """The same by cutting texts: one that is no JSON would break off everything, and patterns take twenty times as long.

    What is not written plainly, such as with an exponent, is infinity as well.
    """
    text = t.trial.c.metrics
    after = sa.func.split_part(text, f'"{name}": ', 2)
    digits = sa.func.split_part(sa.func.split_part(after, ",", 1), "}", 1)
    plain = (
        (sa.func.translate(digits, "0123456789.-", "") == "")
        & sa.func.length(digits).between(1, 40)  # more might not fit into a float
        & digits.not_in(("-", ".", "-."))
        & digits.not_like("%.%.%")
        & digits.not_like("_%-%")
        & (sa.func.strpos(text, "\\") == 0)  # before a quotation mark inside a name
    )
    return sa.case(
        (plain, sign * sa.cast(digits, sa.Double)),
        (sa.func.strpos(text, f'"{name}"') > 0, sa.cast("Infinity", sa.Double)),
    )


def _better(
    known: Best, pks: tuple[int, ...], states: tuple[str, ...], texts: tuple[str, ...], *, goal: Goal
) -> Best:
    def fault(low: int, high: int) -> str:
        try:
            Rows(parsed(texts[low:high])).numbers(goal.metric.name)
        except BROKEN as error:
            return str(error) or type(error).__name__
        return ""

    try:
        metrics = Rows(parsed(texts))
        values = goal.sign * metrics.numbers(goal.metric.name)
    except BROKEN:
        bad = sift(len(texts), fault)
        metrics = Rows(parsed(["{}" if i in bad else text for i, text in enumerate(texts)]))
        values = goal.sign * metrics.numbers(goal.metric.name)
    usable = np.isfinite(values) & np.array([s == "complete" for s in states], dtype=np.bool_)
    if not goal.allow_degenerate:
        usable &= ~(metrics.numbers(DEGENERATE) >= 0.5)
    of = known.of + len(pks)
    if usable.any():
        i = int(np.argmax(np.where(usable, values, -np.inf)))
        if values[i] > known.value:
            return Best(float(values[i]), pks[i], known.of + i, of)
    return known._replace(of=of)
