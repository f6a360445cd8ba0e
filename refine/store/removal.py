"""Taking something out of a store for good: damaged rows, trials, whole rounds.

Each removal leaves an entry for the log.
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
from refine.store.rows import checked_rows
from refine.store.schema import hanging_on, link, t
from refine.store.validity import BROKEN, LATEST, node_of

_KEY = "removed/"  # how the keys of entries of the log begin in the table ``meta``


# What a damaged round is set back to, where the rest of it is sound.
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
    """A stored row that can't be read.

    Of the table ``"node"`` it is the round itself, of ``"trial"`` one of its trials. ``"settings"`` are those
    of the round, such as its note, that can be set back while everything else of it stays.
    """

    round: str  # id of the round that it belongs to
    what: str  # its table
    text: str  # what is wrong with it
    row: tuple[Any, ...]  # its primary key
    node: int  # row of the round

    def __str__(self) -> str:
        of = "" if self.what == "node" else f"{self.what.replace('_', ' ')}: "
        return f"round {self.round}: {of}{self.text}"


class Removal(NamedTuple):
    """An entry of the log."""

    created: float  # when, in seconds since the epoch
    event: str  # ``"trials removed"``, ``"round removed"``, ``"repaired"`` or ``"unlocked"``
    round: str  # id of the round
    author: str  # who did it
    note: str  # why, and what was removed


def find_damage(engine: sa.Engine, tree: int) -> list[Damaged]:
    """Every row of a tree that can't be read; rows of a round that itself can't be are not looked at."""
    with _every_text(engine) as connection:
        sound, spoilt = read_nodes(connection, tree)
        query = sa.select(t.node).where(t.node.c.tree == tree)
        rows = {str(row.id): row._asdict() for row in connection.execute(query)}
        found = []
        for key, text in spoilt.items():
            what = "settings" if _only_settings(rows[key]) else "node"
            pk = rows[key]["pk"]
            found.append(Damaged(key, what, text, (pk,), pk))
        for key, stored in sound.items():
            for table in hanging_on(t.node):
                for keys, _, faults in checked_rows(connection, table, stored.pk):
                    found += [
                        Damaged(key, table.name, text, keys[i], stored.pk) for i, text in faults.items()
                    ]
    return found


def _only_settings(row: Mapping[str, Any]) -> bool:
    """Whether a round can't be read, and can once what is no part of its id is set back."""

    def sound(found: Mapping[str, Any]) -> bool:
        try:
            node_of(found)
        except BROKEN:
            return False
        return True

    return not sound(row) and sound({**row, **_SETTINGS})


@contextmanager
def _every_text(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that reads texts of a SQLite file that are none, with what is wrong in them as halves of letters."""
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        lite = connection.dialect.name == "sqlite" and raw is not None
        if lite:
            raw.text_factory = functools.partial(str, encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
        try:
            yield connection
        finally:
            if lite:
                raw.text_factory = str  # type: ignore[union-attr]


def remove_damaged(connection: sa.Connection, found: Sequence[Damaged]) -> None:
    """Takes damaged rows out, with all that hangs on them, and sets damaged settings back."""
    for each in found:
        if each.what == "settings":
            connection.execute(t.node.update().where(t.node.c.pk == each.row[0]).values(_SETTINGS))
            continue
        table = t.node if each.what == "node" else t.node.metadata.tables[each.what]
        same = [column == value for column, value in zip(table.primary_key, each.row, strict=True)]
        remove_rows(connection, table, sa.and_(*same))


def remove_rows(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    """Takes rows out, after all that hangs on them; how many."""
    if hanging := [*hanging_on(table), *((t.lease,) if table is t.node else ())]:
        inside = sa.select(table.c.pk).where(which)
        for below in hanging:
            remove_rows(connection, below, link(below, table).in_(inside))
    return connection.execute(table.delete().where(which)).rowcount


def remove_trials(connection: sa.Connection, node: int, numbers: Collection[int], curves: bool) -> int:
    """Takes trials out with all of their attempts, and what was noted about them; how many.

    ``numbers`` count what :func:`refine.store.log.read_records` reads of planned runs, with or without
    curves. What runs in their place has the same numbers, and nobody said anything about it.
    """
    rows = trial_rows(connection, node, curves)
    c, m = t.trial.c, t.mark.c
    chosen = [rows[number] for number in numbers]
    for pk in chosen:
        key, replicate = connection.execute(sa.select(c.key, c.replicate).where(c.pk == pk)).one()
        remove_rows(connection, t.trial, (c.node == node) & (c.key == key) & (c.replicate == replicate))
        remove_rows(connection, t.mark, (m.node == node) & (m.key == key))
    return len(chosen)


def note_removal(connection: sa.Connection, tree: int, removal: Removal) -> bool:
    """Keeps an entry for the log; whether it was not there yet."""
    text, c = json.dumps(removal._asdict()), t.meta.c
    key = f"{_KEY}{tree}/{removal.created:.6f}/{digest(text, 8)}"
    if connection.execute(sa.select(c.key).where(c.key == key)).first() is not None:
        return False
    connection.execute(t.meta.insert().values(key=key, value=text))
    return True


def removals(engine: sa.Engine, tree: int) -> list[Removal]:
    """What was removed from a tree, oldest first."""
    c = t.meta.c
    query = sa.select(c.value).where(c.key.like(f"{_KEY}{tree}/%")).order_by(c.key)
    found = []
    with engine.connect() as connection:
        for text in connection.execute(query).scalars():
            with suppress(*BROKEN):
                entry = Removal(**json.loads(text))
                if 0 <= entry.created <= LATEST and set(map(type, entry[1:])) == {str}:
                    found.append(entry)
    return found


def removal(event: str, round_id: str, note: str, author: str) -> Removal:
    """An entry of now."""
    return Removal(time.time(), event, round_id, author, note)
