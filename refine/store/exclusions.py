"""Exclusions of trials from every analysis, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from refine.store.schema import t
from refine.store.validity import fault_of
from refine.trials.trial import EXCLUDED


class Mark(NamedTuple):
    """One mark on a planned trial. The last exclusion or inclusion counts."""

    key: str  # hash of the trial's configuration
    attempt: int  # number of the attempt
    # the trial is excluded, or included again; ``None`` for a note on a trial, which version 0.1.0 wrote
    excluded: bool | None
    note: str | None  # reason of the exclusion or inclusion, or the note; ``None`` without one
    author: str  # author of the mark
    created: float = 0.0  # time, in seconds since the epoch


def read_marks(engine: sa.Engine, pks: Collection[int]) -> dict[int, list[Mark]]:
    """Node row -> marks on its trials, oldest first, without damaged ones and stars of version 0.1.0."""
    m = t.mark.c
    query = sa.select(t.mark).where(m.node.in_(list(pks)), m.starred.is_(None)).order_by(m.created, m.pk)
    marks: dict[int, list[Mark]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query).mappings():
            if not fault_of(t.mark, dict(row)):
                excluded = None
                if row["excluded"] is not None:
                    excluded = bool(row["excluded"])
                mark = Mark(
                    key=row["key"],
                    attempt=row["attempt"],
                    excluded=excluded,
                    note=row["note"],
                    author=row["author"],
                    created=row["created"],
                )
                marks.setdefault(row["node"], []).append(mark)
    return marks


def state_of(connection: sa.Connection, nodes: Sequence[int] | None = None) -> sa.ColumnElement[Any]:
    """The state of a trial as a column: the stored state, or excluded.

    A first query finds out at once if no trial is excluded, instead of searching millions of trials.

    Args:
        connection: A connection.
        nodes: Rows of the nodes to consider, by default all.
    """
    m = t.mark.c
    c = t.trial.c
    some = sa.select(m.pk).where(m.excluded == 1)
    if nodes is not None:
        some = some.where(m.node.in_(list(nodes)))
    if connection.execute(some.limit(1)).scalar() is None:
        return c.state
    later = t.mark.alias("later_mark").c
    same_trial = (later.node == m.node) & (later.key == m.key) & (later.attempt == m.attempt)
    after = (later.created > m.created) | ((later.created == m.created) & (later.pk > m.pk))
    taken_back = sa.exists().where(same_trial & later.excluded.is_not(None) & after)
    of_trial = (m.node == c.node) & (m.key == c.key) & (m.attempt == c.attempt)
    out = sa.exists().where(of_trial & (m.excluded == 1) & ~taken_back)
    return sa.case(((c.replicate == 0) & out, EXCLUDED), else_=c.state).label("state")
