"""Removal from a store for good: damaged rows, trials, whole rounds.

Each removal leaves an entry in the log.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import sqlalchemy as sa

from refine.space.encoding import digest
from refine.store.log import trial_rows
from refine.store.reader import read_nodes
from refine.store.rows import checked_rows, logged
from refine.store.schema import hanging_on, link, t
from refine.store.validity import BROKEN, LATEST, node_of

_KEY = "removed/"  # beginning of the keys of log entries in the table ``meta``


# Defaults for damaged settings of a round that is otherwise sound.
_SETTINGS: Mapping[str, Any] = {
    "scientific": "[]",
    "epsilon": None,
    "subject_to": None,
    "goals": None,
    "note": "",
    "author": "",
    "created": 0.0,
}


class Damaged(NamedTuple):
    """A damaged row of a store.

    In the table ``"node"`` the row is a round, in ``"trial"`` a trial. ``"settings"`` are columns of a round
    to be reset, for example its note, while the rest of the round stays.
    """

    round: str  # id of the round of the damaged row
    what: str  # table of the row
    text: str  # the damage, in words
    row: tuple[Any, ...]  # primary key of the row
    node: int  # row of the round

    def __str__(self) -> str:
        if self.what == "node":
            kind = ""
        else:
            kind = f"{self.what.replace('_', ' ')}: "
        return f"round {self.round}: {kind}{self.text}"


ROUND_REMOVED = "round removed"
"""Event of the log: a round was removed, with all that hangs on it."""


class Removal(NamedTuple):
    """An entry of the log."""

    created: float  # time, in seconds since the epoch
    event: str  # ``"trials removed"``, ``"round removed"`` or ``"repaired"``; ``"unlocked"`` in older stores
    round: str  # id of the round
    author: str
    note: str  # reason, and the removed data


def find_damage(engine: sa.Engine, tree: int) -> list[Damaged]:
    """Every damaged row of a tree; rows of a damaged round are not checked."""
    with _every_text(engine) as connection:
        sound, spoilt = read_nodes(connection, tree)
        query = sa.select(t.node).where(t.node.c.tree == tree)
        rows = {str(row.id): row._asdict() for row in connection.execute(query)}
        damaged = []
        for key, text in spoilt.items():
            if _only_settings(rows[key]):
                kind = "settings"
            else:
                kind = "node"
            pk = rows[key]["pk"]
            damaged.append(Damaged(key, kind, text, (pk,), pk))
        for key, stored in sound.items():
            for table in hanging_on(t.node):
                for keys, _, faults in checked_rows(connection, table, stored.pk):
                    damaged += [
                        Damaged(key, table.name, text, keys[i], stored.pk) for i, text in faults.items()
                    ]
    return damaged


def _only_settings(row: Mapping[str, object]) -> bool:
    """True if resetting the columns that are not part of its id makes a damaged round readable."""

    def sound(columns: Mapping[str, object]) -> bool:
        try:
            node_of(columns)
        except BROKEN:
            return False
        return True

    return not sound(row) and sound({**row, **_SETTINGS})


@contextmanager
def _every_text(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that also reads texts of a SQLite file with invalid UTF-8, as surrogates."""
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        lite = connection.dialect.name == "sqlite" and raw is not None
        if lite:
            decode = functools.partial(str, encoding="utf-8", errors="surrogateescape")
            raw.text_factory = decode  # type: ignore[union-attr]
        try:
            yield connection
        finally:
            if lite:
                raw.text_factory = str  # type: ignore[union-attr]


def remove_damaged(connection: sa.Connection, damaged: Sequence[Damaged]) -> None:
    """Removes damaged rows with their nested rows, and resets damaged settings."""
    for row in damaged:
        if row.what == "settings":
            connection.execute(t.node.update().where(t.node.c.pk == row.row[0]).values(_SETTINGS))
            continue
        table = t.node.metadata.tables[row.what]
        key = [column == value for column, value in zip(table.primary_key, row.row, strict=True)]
        remove_rows(connection, table, sa.and_(*key))


def remove_rows(connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
    """Removes rows, after their nested rows, and returns their number."""
    if hanging := [*hanging_on(table), *((t.lease,) if table is t.node else ())]:
        inside = sa.select(table.c.pk).where(condition)
        for below in hanging:
            remove_rows(connection, below, link(below, table).in_(inside))
    return connection.execute(table.delete().where(condition)).rowcount


def remove_trials(connection: sa.Connection, node: int, numbers: Collection[int], curves: bool) -> int:
    """Removes trials with all attempts and marks, and returns their number.

    Trials run later in their place have equal numbers, and no marks.

    Args:
        connection: A connection.
        node: Row of the round.
        numbers: Positions among the planned trials, as read by :func:`refine.store.log.read_records`.
        curves: Whether those trials were read with their curves.
    """
    rows = trial_rows(connection, node, curves)
    c = t.trial.c
    m = t.mark.c
    chosen = [rows[number] for number in numbers]
    for pk in chosen:
        key, replicate = connection.execute(sa.select(c.key, c.replicate).where(c.pk == pk)).one()
        remove_rows(connection, t.trial, (c.node == node) & (c.key == key) & (c.replicate == replicate))
        remove_rows(connection, t.mark, (m.node == node) & (m.key == key))
    return len(chosen)


def note_removal(connection: sa.Connection, tree: int, removal: Removal) -> bool:
    """Stores an entry of the log, and returns whether it is new."""
    text = json.dumps(removal._asdict())
    c = t.meta.c
    key = f"{_KEY}{tree}/{removal.created:.6f}/{digest(text, 8)}"
    if connection.execute(sa.select(c.key).where(c.key == key)).first() is not None:
        return False
    connection.execute(t.meta.insert().values(key=key, value=text))
    return True


def removals(engine: sa.Engine, tree: int) -> list[Removal]:
    """Removals from a tree, oldest first."""
    entries = []
    for text in logged(engine, f"{_KEY}{tree}/"):
        with suppress(*BROKEN):
            entry = Removal(**json.loads(text))
            if 0 <= entry.created <= LATEST and set(map(type, entry[1:])) == {str}:
                entries.append(entry)
    return entries


def removal(event: str, round_id: str, note: str, author: str) -> Removal:
    """An entry of the log, dated now."""
    return Removal(time.time(), event, round_id, author, note)
