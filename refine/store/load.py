"""Rounds of an exported folder or an import, written into a tree in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import sqlalchemy as sa

from refine.errors import StoreError, first_line
from refine.store.engine import inserted, lasting
from refine.store.rows import NodeBundle, Row, blocks, identity_of, sound_rows, to_plain
from refine.store.schema import hanging_on, link, own_columns, t
from refine.store.store import Store

# Columns in which equal rounds, runs of a trial, or decisions of two people may differ.
_UNCOMPARED = frozenset({"author", "code", "created", "environment", "finished", "scientific", "seconds"})


def load_rounds(store: Store, tree: int, parts: Sequence[NodeBundle], matching: str = "") -> None:
    """Adds rounds to a tree.

    Args:
        store: The store of the tree.
        tree: Row of the tree.
        parts: Rounds checked by :func:`refine.store.import_buffer.kept`, parents before children.
        matching: Name of the tree, if its rounds must match ``parts``: they then get the rows that only
            ``parts`` holds. If empty, rounds of the tree stay as they are.

    Raises:
        StoreError: The tree does not match ``parts``, or the store refuses; nothing was written.
        RoundBusyError: A round of the tree that may grow is being run.
    """

    def once() -> None:
        _load(store, tree, parts, matching)

    try:
        with suppress(sa.exc.IntegrityError):
            return lasting(store.engine, once)
        # Another process wrote some of the rounds in the meantime: now they are there.
        return lasting(store.engine, once)
    except sa.exc.SQLAlchemyError as error:
        reason = first_line(getattr(error, "orig", None) or error)
        raise StoreError(f"store {store.name}: can't be loaded into: {reason}") from None


def _load(store: Store, tree: int, parts: Sequence[NodeBundle], matching: str) -> None:
    stored = {node_id: node.pk for node_id, node in store.nodes(tree).items()}
    ids = {part.id for part in parts}
    others = sorted(set(stored) - ids)
    if matching and others:
        raise _refused(matching, f"the folder lacks round {others[0]}")
    with ExitStack() as stack:
        if matching:
            for node_id in sorted(ids & set(stored)):
                stack.enter_context(store.lease(stored[node_id], f"round {node_id}"))
        with store.engine.begin() as connection:
            loading = _Loading(connection, tree, stored, matching)
            for part in parts:
                if part.id not in stored:
                    loading.add(part)
                elif matching:
                    loading.extend(part)


def _refused(tree: str, difference: str) -> StoreError:
    return StoreError(
        f"load: tree {tree!r} is in the store already and must hold nothing that the folder lacks, but "
        f"{difference}; give the loaded tree another name"
    )


class _Loading:
    """One load, inside its transaction."""

    def __init__(self, connection: sa.Connection, tree: int, pks: dict[str, int], name: str) -> None:
        self.connection = connection
        self.tree = tree
        self.pks = dict(pks)
        self.name = name

    def add(self, part: NodeBundle) -> None:
        """Adds a round that the tree lacks."""
        parent = part.node.parent
        if parent is not None and parent not in self.pks:
            raise StoreError(f"round {part.id}: its parent {parent} is missing; load the whole tree")
        pk = inserted(self.connection, t.node, {**part.row, "tree": self.tree})
        self.pks[part.id] = pk
        for table in hanging_on(t.node):
            for rows in blocks(part.rows.get(table.name, ())):
                self.insert(table, t.node, pk, rows)

    def extend(self, part: NodeBundle) -> None:
        """Adds the rows that a round of the tree lacks; other rows must be equal."""
        pk = self.pks[part.id]
        ours = self.connection.execute(sa.select(t.node).where(t.node.c.pk == pk)).mappings().one()
        for column in own_columns(t.node):
            here = ours[column.name]
            there = part.row[column.name]
            if column.name not in _UNCOMPARED and here != there:
                difference = (
                    f"{column.name} of round {part.id} is {here!r} in the store, {there!r} in the folder"
                )
                raise _refused(self.name, difference)
        for table in hanging_on(t.node):
            for rows in blocks(part.rows.get(table.name, ())):
                self.insert(table, t.node, pk, self.missing(part, table, pk, rows))

    def missing(self, part: NodeBundle, table: sa.Table, pk: int, rows: list[Row]) -> list[Row]:
        """The rows that are not stored yet."""
        names = identity_of(table)
        condition = None
        if table is t.trial:
            condition = t.trial.c.key.in_(sorted({row["key"] for row in rows}))
        stored = {_values(row, names): row for _, row in sound_rows(self.connection, table, pk, condition)}
        missing = []
        for row in rows:
            identity = _values(row, names)
            if identity not in stored:
                missing.append(row)
            elif _plain(table, stored[identity]) != _plain(table, row):
                shown = " ".join(map(str, identity))[:60]
                raise _refused(self.name, f"{table.name} {shown} of round {part.id} differs")
        return missing

    def insert(self, table: sa.Table, owner: sa.Table, pk: int, rows: list[Row]) -> None:
        """Inserts rows with their nested rows."""
        if not rows:
            return
        values = [
            {
                **{c.name: row[c.name] for c in own_columns(table) if c.name in row},
                link(table, owner).name: pk,
            }
            for row in rows
        ]
        if table is t.tag:
            self.check_tags(rows)
            values = [{**row, "tree": self.tree} for row in values]
        inner = hanging_on(table)
        if not any(other.name in row for row in rows for other in inner):
            self.connection.execute(table.insert(), values)
            return
        returning = table.insert().returning(table.c.pk, sort_by_parameter_order=True)
        pks = [int(i) for i in self.connection.execute(returning, values).scalars()]
        for other in inner:
            column = link(other, table).name
            below = [
                {**nested_row, column: row_pk}
                for row, row_pk in zip(rows, pks, strict=True)
                for nested_row in row.get(other.name, [])
            ]
            if below:
                self.connection.execute(other.insert(), below)

    def check_tags(self, rows: list[Row]) -> None:
        """Raises StoreError: a tag names another round of the tree."""
        c = t.tag.c
        names = [row["name"] for row in rows]
        query = sa.select(c.name, t.node.c.id).join(t.node, t.node.c.pk == c.node)
        used = self.connection.execute(query.where(c.tree == self.tree, c.name.in_(names))).first()
        if used is not None:
            raise _refused(self.name, f"tag {used[0]!r} names round {used[1]} in the store")


def _values(row: Row, names: Iterable[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _plain(table: sa.Table, row: Row) -> Row:
    """A row for comparisons, with unpacked numbers, because versions of zlib pack differently."""
    return {name: value for name, value in to_plain(table.name, row).items() if name not in _UNCOMPARED}
