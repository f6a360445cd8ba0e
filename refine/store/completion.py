"""A glance at a SQLite file without a database engine, for whoever waits for a key to do something: names only.

Nothing is checked or written; :class:`refine.store.store.Store` is for all else.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

_URL = "sqlite:///"


class Glance(NamedTuple):
    """What a tree is made of."""

    parents: dict[str, str | None]  # id, oldest first -> id of the round it came from; ``None`` for a root
    notes: dict[str, str]  # id -> why it was made
    tags: dict[str, str]  # tag -> id
    parameters: dict[str, list[str]]  # id -> names of its parameters


def file_of(store: str) -> Path | None:
    """The file that a path or URL names; ``None`` where it names no SQLite file that exists."""
    path = Path(store.removeprefix(_URL))
    return path if ("://" not in store or store.startswith(_URL)) and path.is_file() else None


def trees_in(file: Path) -> list[str]:
    """Names of all trees, in order of creation."""
    with _opened(file) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM tree ORDER BY pk")]


def glance_at(file: Path, tree: str) -> Glance:
    """What a tree is made of; nothing where there is none of that name."""
    found = Glance({}, {}, {}, {})
    with _opened(file) as connection:
        rows = connection.execute(
            "SELECT node.id, node.content, node.note FROM node JOIN tree ON tree.pk = node.tree WHERE tree.name = ? "
            "ORDER BY node.pk",
            (tree,),
        )
        for id_, content, note in rows:
            told = json.loads(content)
            found.parents[id_] = told["parent"]
            found.notes[id_] = note
            found.parameters[id_] = [name for name, _ in told["space"]["parameters"]]
        rows = connection.execute(
            "SELECT tag.name, node.id FROM tag JOIN node ON node.pk = tag.node JOIN tree ON tree.pk = tag.tree "
            "WHERE tree.name = ? ORDER BY tag.name",
            (tree,),
        )
        found.tags.update(rows.fetchall())
    return found


def _opened(file: Path) -> contextlib.closing[sqlite3.Connection]:
    uri = f"file:{quote(str(file.absolute()))}?mode=ro"
    return contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0.2))
