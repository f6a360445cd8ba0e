"""Questions asked to a tree with their answers, kept in the log of a store."""

from __future__ import annotations

import json
from contextlib import suppress

import sqlalchemy as sa

from refine.errors import unstorable
from refine.space.encoding import dumps
from refine.store.rows import logged
from refine.store.schema import t
from refine.store.validity import BROKEN, LATEST
from refine.trials.stored_answer import StoredAnswer

_KEY = "asked/"  # beginning of the keys of questions in the table ``meta``


def add_answer(connection: sa.Connection, tree: int, answer: StoredAnswer) -> bool:
    """Stores an answer, once per question, author and evidence, and returns whether it is new."""
    c = t.meta.c
    key = f"/{answer.digest}"
    if connection.execute(sa.select(c.key).where(c.key.like(f"{_KEY}{tree}/%{key}"))).first() is not None:
        return False
    row = {"key": f"{_KEY}{tree}/{answer.created:017.6f}{key}", "value": dumps(answer.to_json())}
    connection.execute(t.meta.insert().values(row))
    return True


def answers(engine: sa.Engine, tree: int) -> list[StoredAnswer]:
    """The stored answers of a tree, oldest first; damaged ones are left out."""
    stored = []
    for text in logged(engine, f"{_KEY}{tree}/"):
        with suppress(*BROKEN):
            answer = StoredAnswer.from_json(json.loads(text))
            if 0 <= answer.created <= LATEST and not unstorable(text):
                stored.append(answer)
    return stored
