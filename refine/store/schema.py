"""The tables of a store."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from refine.errors import StoreError

SCHEMA_VERSION = 1

_LOCK = 0x726566696E65  # "refine": the key of PostgreSQL's advisory lock, the same for everybody

MIGRATIONS: dict[int, tuple[str, ...]] = {}
"""A version -> the statements that make a store of the version before one of it; new tables are made beforehand. None yet."""

metadata = sa.MetaData()


def _table(name: str, *columns: Any) -> sa.Table:
    return sa.Table(name, metadata, *columns)


def _pk() -> sa.Column[int]:
    return sa.Column("pk", sa.Integer, primary_key=True)


def _of(table: str, name: str | None = None, **options: bool) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.pk")
    return sa.Column(name or table, sa.Integer, key, nullable=False, **options)  # type: ignore[arg-type]


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _number(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


t = SimpleNamespace(
    meta=_table("meta", sa.Column("key", sa.Text, primary_key=True), _text("value")),
    tree=_table("tree", _pk(), sa.Column("name", sa.Text, nullable=False, unique=True), _number("created")),
    # `content` is the canonical JSON that the id is the hash of; the rest is no part of it.
    node=_table(
        "node",
        _pk(),
        _of("tree"),
        _text("id"),
        _text("content"),
        _text("metric"),
        _text("direction"),
        sa.Column("allow_degenerate", sa.Integer, nullable=False),
        _text("scientific", nullable=True),  # JSON: names, see refine.space.roles
        sa.Column(
            "epsilon", sa.Double, nullable=True
        ),  # the loss that counts as none, where somebody said it
        _text("subject_to", nullable=True),  # JSON: metric constraints
        _text("goals", nullable=True),  # JSON: metric and direction of further goals
        _text("note"),
        _text("author"),
        _number("created"),
        sa.UniqueConstraint("tree", "id"),
    ),
    # How many configurations were asked for; a larger n adds a row.
    plan=_table("plan", _pk(), _of("node"), _int("n"), _number("created"), sa.Index("plan_node", "node")),
    # What trials of a round ran on, each environment once; they refer to it by its digest.
    run=_table(
        "run", _pk(), _of("node"), _text("environment"), _number("created"), sa.Index("run_node", "node")
    ),
    # Configurations that ancestors had completed when the node was made: not run again.
    inherited=_table("inherited", _of("node", primary_key=True), sa.Column("key", sa.Text, primary_key=True)),
    # Cells that are run beside the design's: where the optimum is plausible, or outside the space.
    cell_plan=_table(
        "cell_plan",
        _of("node", primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        _text("origin"),
        _text("configuration"),
    ),
    tag=_table(
        "tag",
        _pk(),
        _of("tree"),
        _text("name"),
        _of("node"),
        _number("created"),
        sa.UniqueConstraint("tree", "name"),
    ),
    trial=_table(
        "trial",
        _pk(),
        _of("node"),
        _text("key"),
        _int("replicate"),
        _int("attempt"),
        _text("cell", nullable=True),
        _text("origin"),
        _int("seed"),
        _text("state"),
        _text("configuration"),
        _text("metrics"),
        _number("seconds"),
        _text("code"),
        _text("read", nullable=True),
        _text("error", nullable=True),
        _number("finished"),
        _text("environment", nullable=True),
        sa.UniqueConstraint("node", "key", "replicate", "attempt"),
        # Reads a round in the order of finishing without sorting it.
        sa.Index("trial_node", "node", "pk"),
    ),
    # What people noted about planned trials, never changed: the last word on each matter counts.
    mark=_table(
        "mark",
        _pk(),
        _of("node"),
        _text("key"),
        _int("attempt"),
        sa.Column("excluded", sa.Integer, nullable=True),  # 1: left out of every analysis; 0: no longer
        sa.Column("starred", sa.Integer, nullable=True),
        _text("note", nullable=True),  # beside `excluded` why, else about the trial
        _text("author"),
        _number("created"),
        sa.Index("mark_node", "node", "key"),
    ),
    # Values per epoch: zlib over JSON.
    curve=_table("curve", _of("trial", primary_key=True), sa.Column("data", sa.LargeBinary, nullable=False)),
    # What a trial of an adaptive or pruned round was shown: JSON.
    shown=_table("shown", _of("trial", primary_key=True), _text("content")),
    # Curves that trials were measured by, each once: zlib over JSON.
    threshold=_table(
        "threshold",
        _of("node", primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    ),
    # What was predicted for validation examples: zlib over float16, example by example.
    prediction=_table(
        "prediction",
        _of("trial", primary_key=True),
        _int("examples"),
        sa.Column("data", sa.LargeBinary, nullable=False),
    ),
    # What was right for them, the same for all trials of a round: zlib over float32.
    target=_table(
        "target",
        _of("node", primary_key=True),
        _int("total"),
        sa.Column("data", sa.LargeBinary, nullable=False),
    ),
    # Who opened a hold-out, and what for; written before anything is seen.
    opening=_table(
        "opening",
        _pk(),
        _of("node"),
        _text("digest"),
        _text("content"),
        _text("author"),
        _text("note"),
        _number("created"),
        sa.UniqueConstraint("node", "digest"),
    ),
    # What it showed, one row per trained model.
    opened=_table(
        "opened",
        _of("opening", primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("replicate", sa.Integer, primary_key=True),
        _int("seed"),
        _text("state"),
        _text("metrics"),
        _number("seconds"),
        _text("error", nullable=True),
        _number("finished"),
    ),
    proposal=_table(
        "proposal",
        _pk(),
        _of("node"),
        _text("digest"),
        _text("content"),
        _number("created"),
        sa.UniqueConstraint("node", "digest"),
    ),
    decision=_table(
        "decision",
        _pk(),
        _of("node"),
        _text("digest"),
        _text("content"),
        _text("child", nullable=True),
        _number("created"),
        sa.UniqueConstraint("node", "digest"),
    ),
    lease=_table("lease", _of("node", primary_key=True), _text("host"), _int("pid"), _number("beat")),
)


def hanging_on(table: sa.Table) -> tuple[sa.Table, ...]:
    """Tables whose rows belong to a row of this one, in the schema's order. Leases belong to processes."""
    return tuple(
        other
        for other in metadata.tables.values()
        if other is not t.lease
        and other is not t.node
        and any(k.column.table is table for k in other.foreign_keys)
    )


def link(table: sa.Table, owner: sa.Table) -> sa.Column[Any]:
    """The column by which rows of a table belong to rows of its owner."""
    return next(k.parent for k in table.foreign_keys if k.column.table is owner)  # type: ignore[return-value]


def own_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """Columns that say something of their own: no row numbers, no links."""
    return [c for c in table.columns if c.name != "pk" and not c.foreign_keys]


def shown_url(url: sa.URL) -> str:
    """A URL without its password, wherever that stands."""
    secret = [
        name for name in url.query if any(word in name.lower() for word in ("pass", "pwd", "secret", "token"))
    ]
    return url.update_query_dict(dict.fromkeys(secret, "***")).render_as_string(hide_password=True)


def migrate(connection: sa.Connection, name: str) -> None:
    """Makes the tables of a new store, or brings one of an earlier version up to :data:`SCHEMA_VERSION`, in one transaction.

    Args:
        connection: To the store.
        name: Of the store.

    Raises:
        StoreError: It is of a version that this refine does not know.
    """
    if version_of(connection, name) == SCHEMA_VERSION:
        return
    # Of processes that open such a store at once, one makes it and the others find it done.
    _lock(connection)
    version = version_of(connection, name)
    if version == SCHEMA_VERSION:
        return
    metadata.create_all(connection)
    if version is None:
        connection.execute(t.meta.insert().values(key="schema", value=str(SCHEMA_VERSION)))
        return
    for statement in (s for later in range(version + 1, SCHEMA_VERSION + 1) for s in MIGRATIONS[later]):
        connection.execute(sa.text(statement))
    connection.execute(t.meta.update().where(t.meta.c.key == "schema").values(value=str(SCHEMA_VERSION)))


def _lock(connection: sa.Connection) -> None:
    """Lets no other process change the tables until the connection's transaction ends, nor see them half made."""
    if connection.dialect.name == "sqlite":
        # Unasked, sqlite3 begins a transaction before a row is written, not before a table is made.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def version_of(connection: sa.Connection, name: str) -> int | None:
    """The schema of a store; ``None`` where it is none.

    Args:
        connection: To the store.
        name: Of the store.

    Raises:
        StoreError: It is of a version that this refine does not know.
    """
    tables = sa.inspect(connection).get_table_names()
    if t.meta.name not in tables:
        return None
    stored = connection.execute(sa.select(t.meta.c.value).where(t.meta.c.key == "schema")).scalar()
    if stored is None:
        return None
    version = known_version(stored, SCHEMA_VERSION, f"store {name}: its schema", "begin a new store")
    if version == SCHEMA_VERSION and (missing := sorted(set(metadata.tables) - set(tables))):
        raise StoreError(
            f"store {name}: must have a table {missing[0]!r} and has none; it is damaged, or a refine before the first "
            "release wrote it; begin a new store"
        )
    return version


def known_version(stored: object, newest: int, what: str, otherwise: str) -> int:
    """The version of a store or an exported folder, if this refine knows it.

    Args:
        stored: What it says of itself.
        newest: The newest that is known.
        what: What it is the version of.
        otherwise: What to do where upgrading refine does not help.

    Raises:
        StoreError: It is none from 1 to ``newest``.
    """
    text = str(stored)
    if not (text.isdecimal() and 1 <= int(text[:9]) <= newest):
        raise StoreError(
            f"{what} must be {'from 1 to ' * (newest > 1)}{newest}, got {text[:20]!r}; a newer refine wrote it, or one before "
            f"the first release: upgrade refine, or {otherwise}"
        )
    return int(text)
