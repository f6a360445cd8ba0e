"""What people noted about trials: stars, notes, and which trials are left out of every analysis, with the reason."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from refine.store.schema import t
from refine.store.sound import fault_of
from refine.trials.trial import EXCLUDED


class Mark(NamedTuple):
    """One note about a planned trial. Of several on the same matter the last one counts.

    Attributes:
        key: Hash of its configuration.
        attempt: Which attempt.
        excluded: Whether it is left out; ``None`` where that is not what is said.
        starred: Whether it has a star; ``None`` where that is not what is said.
        note: Why it is left out or taken back, or something about the trial; ``None`` where nothing is said.
        author: Who said so.
        created: When, in seconds since the epoch.
    """

    key: str
    attempt: int
    excluded: bool | None
    starred: bool | None
    note: str | None
    author: str
    created: float = 0.0


def add_marks(connection: sa.Connection, pk: int, marks: Sequence[Mark]) -> None:
    """Keeps notes, all as of now.

    Args:
        connection: In a transaction.
        pk: Row of the node.
        marks: What is noted.
    """
    now = time.time()
    rows = [
        {
            **mark._asdict(),
            "excluded": None if mark.excluded is None else int(mark.excluded),
            "starred": None if mark.starred is None else int(mark.starred),
            "node": pk,
            "created": now,
        }
        for mark in marks
    ]
    if rows:
        connection.execute(t.mark.insert(), rows)


def read_marks(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[Mark]]:
    """Node row -> what was noted about its trials, oldest first; what is damaged is left out."""
    m = t.mark.c
    query = sa.select(t.mark).where(m.node.in_(list(pks))).order_by(m.created, m.pk)
    found: dict[int, list[Mark]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query).mappings():
            if not fault_of(t.mark, dict(row)):
                out, star = (None if row[n] is None else bool(row[n]) for n in ("excluded", "starred"))
                mark = Mark(row["key"], row["attempt"], out, star, row["note"], row["author"], row["created"])
                found.setdefault(row["node"], []).append(mark)
    return found


def last_marks(engine: sa.Engine, tree: int) -> dict[int, int]:
    """Node row -> row of what was noted last about its trials; nodes without any are left out."""
    m, node = t.mark.c, t.node.c
    query = sa.select(m.node, sa.func.max(m.pk)).join(t.node, node.pk == m.node).where(node.tree == tree)
    with engine.connect() as connection:
        return {pk: int(row) for pk, row in connection.execute(query.group_by(m.node))}


def last_exclusions(engine: sa.Engine, tree: int) -> dict[int, int]:
    """Node row -> row that last left a trial of it out, or took it back; nodes without any are left out."""
    m, node = t.mark.c, t.node.c
    query = sa.select(m.node, sa.func.max(m.pk)).join(t.node, node.pk == m.node)
    query = query.where(node.tree == tree, m.excluded.is_not(None)).group_by(m.node)
    with engine.connect() as connection:
        return {pk: int(row) for pk, row in connection.execute(query)}


def state_of(connection: sa.Connection, nodes: Sequence[int] | None = None) -> sa.ColumnElement[Any]:
    """The state of a trial as a column: the stored one, or that it is excluded.

    Args:
        connection: To the store, which is asked whether anything was excluded at all: that takes no time, and what is
            not asked of a million trials neither.
        nodes: Rows of nodes that matter; default all.
    """
    m, c = t.mark.c, t.trial.c
    some = sa.select(m.pk).where(m.excluded == 1)
    if nodes is not None:
        some = some.where(m.node.in_(list(nodes)))
    if connection.execute(some.limit(1)).scalar() is None:
        return c.state
    later = t.mark.alias("later_mark").c
    same = (later.node == m.node) & (later.key == m.key) & (later.attempt == m.attempt)
    after = (later.created > m.created) | ((later.created == m.created) & (later.pk > m.pk))
    taken_back = sa.exists().where(same & later.excluded.is_not(None) & after)
    mine = (m.node == c.node) & (m.key == c.key) & (m.attempt == c.attempt)
    out = sa.exists().where(mine & (m.excluded == 1) & ~taken_back)
    return sa.case(((c.replicate == 0) & out, EXCLUDED), else_=c.state).label("state")
