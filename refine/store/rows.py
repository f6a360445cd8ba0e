"""A tree as rows without row numbers, and rows as plain data, for exported folders.

Tables and columns are read off the schema, so new columns are exported too. Rows are nested in the row they
refer to: trials in their node, a curve in its trial.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from refine.errors import StoreError
from refine.space.encoding import dumps
from refine.store.reader import Reader
from refine.store.schema import hanging_on, link, metadata, own_columns, t
from refine.store.validity import (
    BROKEN,
    fault_of,
    faults_of,
    is_number,
    node_of,
    packed_curve,
    said,
    short,
    unpacked,
    value_fault,
)
from refine.trials.round_record import Node

T = TypeVar("T")
Row = dict[str, Any]

# Rows per read, with all rows that depend on them: predictions may be long. An old SQLite compares at most
# 999 values at once.
BLOCK = 900

_PLAIN_JSON = {
    # Texts that are JSON: shown as such, so that people and git can read them.
    ("node", "content"),
    ("node", "scientific"),
    ("run", "environment"),
    ("cell_plan", "configuration"),
    ("trial", "configuration"),
    ("trial", "metrics"),
    ("trial", "read"),
    ("opening", "content"),
    ("opened", "metrics"),
    ("proposal", "content"),
    ("decision", "content"),
}
_AS_WRITTEN = {("trial", "metrics"), ("opened", "metrics")}  # the order of metrics is the objective's


_PACKED = ("prediction", "target", "row_score")  # tables of numbers as compressed bytes


class ReiterableQuery(Iterable[T]):
    """A query for several iterations, without keeping its rows."""

    def __init__(self, read: Callable[[], Iterator[T]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[T]:
        return self._read()


class NodeBundle(NamedTuple):
    """One node with its rows in all tables: its own row without row numbers, and table -> rows.

    Rows come in the order of writing and are read on every iteration. Nested rows stand inside their row,
    under the name of their table. A table without rows may be missing.
    """

    row: Row
    rows: Mapping[str, Iterable[Row]]

    @property
    def id(self) -> str:
        """Id of the node."""
        return str(self.row["id"])

    @property
    def node(self) -> Node:
        """The node."""
        return node_of(self.row)


def logged(engine: sa.Engine, beginning: str) -> list[str]:
    """Values in the table ``meta`` whose keys begin with ``beginning``, in the order of their keys."""
    c = t.meta.c
    query = sa.select(c.value).where(c.key.startswith(beginning, autoescape=True)).order_by(c.key)
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def identity_of(table: sa.Table) -> list[str]:
    """Columns that identify a row among the rows of its owner."""
    named = {c.name for c in own_columns(table)}
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint) and (
            keys := [c.name for c in constraint if c.name in named]
        ):
            return keys
    keys = [c.name for c in table.primary_key if c.name in named]
    linked = any(c.foreign_keys for c in table.primary_key)
    if keys or linked:
        return keys
    return sorted(named)


NODE_TABLES = tuple(table.name for table in hanging_on(t.node))  # tables whose rows belong to a node
NODE_FIELDS = frozenset(column.name for column in own_columns(t.node))  # columns of a node's own row


def parts_of(store: Reader, tree: int) -> Iterator[NodeBundle]:
    """Nodes of a tree with their rows, oldest first, one at a time, without damaged rows."""
    readable = store.nodes(tree)
    with store.engine.connect() as connection:
        query = sa.select(t.node).where(t.node.c.tree == tree).order_by(t.node.c.pk)
        nodes = connection.execute(query).all()
    for node in nodes:
        if node.id in readable:
            row = {c.name: getattr(node, c.name) for c in own_columns(t.node)}
            yield NodeBundle(
                row, {other.name: _stored(store, other, node.pk) for other in hanging_on(t.node)}
            )


def _stored(store: Reader, table: sa.Table, node: int) -> ReiterableQuery[Row]:
    def read() -> Iterator[Row]:
        with store.engine.connect() as connection:
            yield from (row for _, row in sound_rows(connection, table, node))

    return ReiterableQuery(read)


def sound_rows(
    connection: sa.Connection, table: sa.Table, node: int, condition: sa.ColumnElement[bool] | None = None
) -> Iterator[tuple[int, Row]]:
    """Readable rows of a node in the order of writing, with nested rows and row numbers.

    The row number is 0 in a table without row numbers.
    """
    for keys, some, faults in checked_rows(connection, table, node, condition):
        pks = [key[0] if "pk" in table.c else 0 for key in keys]
        yield from ((pk, row) for i, (pk, row) in enumerate(zip(pks, some, strict=True)) if i not in faults)


def checked_rows(
    connection: sa.Connection, table: sa.Table, node: int, condition: sa.ColumnElement[bool] | None = None
) -> Iterator[tuple[list[tuple[Any, ...]], list[Row], dict[int, str]]]:
    """Rows of a node in blocks, in the order of writing.

    A block has primary keys, rows with nested rows, and faults.
    """
    keys = list(table.primary_key)
    of_node = link(table, t.node) == node
    query = sa.select(table).where(of_node if condition is None else of_node & condition).order_by(*keys)
    names = [c.name for c in own_columns(table)]
    for some in connection.execute(query, execution_options={"yield_per": BLOCK}).partitions():
        out = [{name: getattr(row, name) for name in names} for row in some]
        for inner in hanging_on(table):
            # One query for all trials: a query per trial would take longer than everything else.
            key = link(inner, table)
            inside = [c.name for c in own_columns(inner)]
            owners = {row.pk: values for row, values in zip(some, out, strict=True)}
            hanging = sa.select(inner).where(key.in_(owners)).order_by(*inner.primary_key)
            for row in connection.execute(hanging):
                values = {name: getattr(row, name) for name in inside}
                owners[getattr(row, key.name)].setdefault(inner.name, []).append(values)
        yield [tuple(getattr(row, k.name) for k in keys) for row in some], out, faults_of(table, out)


def blocks(rows: Iterable[T]) -> Iterator[list[T]]:
    """Lists of :data:`BLOCK` items; the last list may be shorter."""
    iterator = iter(rows)
    while block := list(islice(iterator, BLOCK)):
        yield block


# To plain data and back.


def to_plain(name: str, row: Row) -> Row:
    """A row of the table of that name as strict JSON data."""
    table = metadata.tables[name]
    out: Row = {}
    for column in own_columns(table):
        value = row[column.name]
        if value is None:
            continue
        key = (table.name, column.name)
        if key == ("curve", "data"):
            out[column.name] = _spelled(json.loads(unpacked(bytes(value))))
        elif isinstance(column.type, sa.LargeBinary):
            # Versions of zlib compress equal numbers differently.
            raw = unpacked(bytes(value)) if key[0] in _PACKED else bytes(value)
            out[column.name] = base64.b64encode(raw).decode()
        elif key in _PLAIN_JSON:
            content = json.loads(value)
            # A text that JSON would not restore exactly stays a text.
            if _text(key, content) == value:
                out[column.name] = _spelled(content)
            else:
                out[column.name] = value
        else:
            out[column.name] = value
    for inner in hanging_on(table):
        if row.get(inner.name):
            out[inner.name] = [to_plain(inner.name, r) for r in row[inner.name]]
    return out


def from_plain(name: str, data: object, place: str) -> Row:
    """The row of :func:`to_plain`'s output, checked, without running or importing anything.

    Raises StoreError: the data is not such a row; the text gives place and reason.
    """
    if not isinstance(data, dict):
        raise StoreError(f"{place}: a row must be an object, got {type(data).__name__}")
    table = metadata.tables[name]
    inner = {other.name: other for other in hanging_on(table)}
    columns = {c.name: c for c in own_columns(table)}
    if unknown := sorted(set(data) - set(columns) - set(inner)):
        raise StoreError(f"{place}: unknown field {unknown[0]!r}; the folder is damaged or of a newer refine")
    row: Row = {}
    for field, column in columns.items():
        if field not in data or data[field] is None:
            if not column.nullable:
                raise StoreError(f"{place}: the field {field!r} is missing; the folder is damaged")
            row[field] = None
            continue
        row[field] = _value(table, column, data[field], f"{place}: {field}")
    for below, other in inner.items():
        if below in data:
            rows = data[below]
            if not isinstance(rows, list):
                raise StoreError(f"{place}: {below} must be a list, got {type(rows).__name__}")
            row[below] = [from_plain(other.name, r, f"{place}: {below} {i + 1}") for i, r in enumerate(rows)]
    if text := fault_of(table, {**row, **dict.fromkeys(inner, ())}):
        raise StoreError(f"{place}: {text}; the folder is damaged")
    return row


def _value(table: sa.Table, column: sa.Column[Any], value: Any, place: str) -> Any:
    key = (table.name, column.name)
    if isinstance(column.type, sa.LargeBinary):
        try:
            return _bytes_from_plain(key, value)
        except BROKEN as error:
            raise StoreError(f"{place}: holds no such data: {said(error)}; the folder is damaged") from None
    if key in _PLAIN_JSON and not isinstance(value, str):
        if not isinstance(value, dict | list):
            raise StoreError(f"{place}: must be an object or a list, got {short(value)}")
        try:
            return _text(key, _unspelled(value) if key in _AS_WRITTEN else value)
        except BROKEN as error:
            raise StoreError(f"{place}: {said(error)}; the folder is damaged") from None
    if isinstance(column.type, sa.Double) and is_number(value):
        value = float(value)
    if text := value_fault(column, value):
        raise StoreError(f"{place}: {text}; the folder is damaged")
    return value


def _text(key: tuple[str, str], content: object) -> str:
    if key in _AS_WRITTEN:
        return json.dumps(content)
    return dumps(content)


def _spelled(data: object) -> Any:
    """The data with NaN and infinity as texts, readable by every reader of JSON."""
    if isinstance(data, dict):
        return {k: _spelled(v) for k, v in data.items()}
    if isinstance(data, list):
        return [_spelled(v) for v in data]
    if isinstance(data, float) and not math.isfinite(data):
        if math.isnan(data):
            return "NaN"
        if data > 0:
            return "Infinity"
        return "-Infinity"
    return data


def _unspelled(data: object) -> dict[str, float]:
    """Metric -> number."""
    if not isinstance(data, dict):
        raise TypeError(f"metrics must be an object of numbers, got {type(data).__name__}")
    return {str(k): _number(v) for k, v in data.items()}


def _number(value: Any) -> float:
    if isinstance(value, str):
        if value not in ("NaN", "Infinity", "-Infinity"):
            raise ValueError(f"{value[:40]!r} is not a number")
        return float(value)
    if not is_number(value):
        raise TypeError(f"{short(value)} is not a number that a float can hold")
    return value


def _bytes_from_plain(key: tuple[str, str], value: Any) -> bytes:
    if key == ("curve", "data"):
        return packed_curve({str(name): map(_number, values) for name, values in value.items()})
    raw = base64.b64decode(value, validate=True)
    packed = key[0] in _PACKED
    if packed:
        return zlib.compress(raw, 6)
    return raw
