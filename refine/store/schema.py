"""The tables of a store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from refine.errors import NotFoundError, StoreError

SCHEMA_VERSION = 3

# Parts of a database that run code on reads or writes. refine makes none: triggers, rules, views, generated
# columns, and rows that change with rows of another table.
_RUNS = {
    "sqlite": sa.text(
        "SELECT type, name FROM sqlite_master WHERE type != 'index' AND (ifnull(rootpage, 0) = 0 OR EXISTS "
        "(SELECT 1 FROM pragma_table_xinfo(sqlite_master.name) WHERE hidden > 0) OR name IN :names AND (sql "
        "LIKE '%CHECK%' OR sql LIKE '%CONFLICT%' OR sql LIKE '%DELETE%' OR sql LIKE '%UPDATE%' OR sql LIKE "
        "'%DEFAULT%' OR sql LIKE '%COLLATE%')) OR type = 'index' AND sql LIKE '%(%(%'"
    ).bindparams(sa.bindparam("names", expanding=True)),
    "postgresql": sa.text(
        r"""WITH own AS (
            SELECT oid, relname, relkind FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:names)
        )
        SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table of a foreign kind' END,
        relname
        FROM own WHERE relkind != 'r'
        UNION ALL SELECT 'trigger', tgname FROM pg_trigger JOIN own ON tgrelid = own.oid
        WHERE NOT tgisinternal
        UNION ALL SELECT 'rule', rulename FROM pg_rewrite JOIN own ON ev_class = own.oid WHERE relkind = 'r'
        UNION ALL SELECT 'policy', polname FROM pg_policy JOIN own ON polrelid = own.oid
        UNION ALL SELECT 'table', inhrelid::regclass::text FROM pg_inherits JOIN own ON inhparent = own.oid
        UNION ALL SELECT 'check', conname FROM pg_constraint JOIN own ON conrelid = own.oid
        WHERE contype IN ('c', 'x') OR confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')
        UNION ALL SELECT 'index', indexrelid::regclass::text FROM pg_index JOIN own ON indrelid = own.oid
        WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
        UNION ALL SELECT 'column', attname FROM pg_attribute
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum JOIN own ON attrelid = own.oid
        WHERE attnum > 0 AND (
            atttypid >= 16384
            OR pg_get_expr(adbin, adrelid) !~ '^nextval\(''[^'']*''::regclass\)$'
        )"""
    ),
}

_LOCK = 0x726566696E65  # "refine": the key of PostgreSQL's advisory lock, the same for all stores

# A version -> the statements that make a store of the version before one of it; new tables are made
# beforehand. Version 2 adds the table ``row_score``, version 3 the table ``addition``.
MIGRATIONS: dict[int, tuple[str, ...]] = {2: (), 3: ()}

metadata = sa.MetaData()


def _table(name: str, columns: Sequence[Any]) -> sa.Table:
    return sa.Table(name, metadata, *columns)


def _of(table: str, **options: bool) -> sa.Column[int]:
    """A column with the row of another table to which a row belongs."""
    key = sa.ForeignKey(f"{table}.pk")
    return sa.Column(table, sa.Integer, key, nullable=False, **options)  # type: ignore[arg-type]


def _columns(kind: Any, *names: str, nullable: bool = False, key: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable, primary_key=key) for name in names]


_pk = partial(_columns, sa.Integer, "pk", key=True)
_texts = partial(_columns, sa.Text)
_ints = partial(_columns, sa.Integer)
_numbers = partial(_columns, sa.Double)
_data = partial(_columns, sa.LargeBinary, "data")

t = SimpleNamespace(
    meta=_table("meta", [*_texts("key", key=True), *_texts("value")]),
    tree=_table("tree", [*_pk(), *_texts("name"), *_numbers("created"), sa.UniqueConstraint("name")]),
    # `content` is the canonical JSON whose hash is the id; the other columns are not part of the id.
    # `subject_to` (metric constraints) and `goals` (metric and direction of further goals, and declared
    # noise, limits and scale) are JSON. `epsilon` is the tolerance that a person set. `scientific`, a list of
    # version 0.1.0, stays in old stores and exports; nothing uses the list.
    node=_table(
        "node",
        [
            *_pk(),
            _of("tree"),
            *_texts("id", "content", "metric", "direction"),
            *_ints("allow_degenerate"),
            *_texts("scientific", "subject_to", "goals", nullable=True),
            *_numbers("epsilon", nullable=True),
            *_texts("note", "author"),
            *_numbers("created"),
            sa.UniqueConstraint("tree", "id"),
        ],
    ),
    # Asked numbers of configurations; a larger n adds a row.
    plan=_table(
        "plan", [*_pk(), _of("node"), *_ints("n"), *_numbers("created"), sa.Index("plan_node", "node")]
    ),
    # Environments of the trials of a round, each once; trials refer to an environment by its digest.
    run=_table(
        "run",
        [*_pk(), _of("node"), *_texts("environment"), *_numbers("created"), sa.Index("run_node", "node")],
    ),
    # Configurations that ancestors had completed when the node was made; the round skips them.
    inherited=_table("inherited", [_of("node", primary_key=True), *_texts("key", key=True)]),
    # Cells in addition to those of the design: exploit, audit and given trials.
    cell_plan=_table(
        "cell_plan",
        [_of("node", primary_key=True), *_ints("position", key=True), *_texts("origin", "configuration")],
    ),
    # Additions of a person to the plan that no configuration shows yet. With a key: ``total`` repeats of that
    # configuration. Without a key: exploit trials to be chosen while the round runs, from number ``first`` to
    # below number ``total`` of the round's exploit trials, by improvement ``per`` trial or second.
    addition=_table(
        "addition",
        [
            *_pk(),
            _of("node"),
            *_texts("key"),
            *_ints("first", "total"),
            *_texts("per"),
            *_numbers("created"),
            sa.Index("addition_node", "node"),
        ],
    ),
    tag=_table(
        "tag",
        [
            *_pk(),
            _of("tree"),
            *_texts("name"),
            _of("node"),
            *_numbers("created"),
            sa.UniqueConstraint("tree", "name"),
        ],
    ),
    trial=_table(
        "trial",
        [
            *_pk(),
            _of("node"),
            *_texts("key"),
            *_ints("replicate", "attempt"),
            *_texts("cell", nullable=True),
            *_texts("origin"),
            *_ints("seed"),
            *_texts("state", "configuration", "metrics"),
            *_numbers("seconds"),
            *_texts("code"),
            *_texts("read", "error", nullable=True),
            *_numbers("finished"),
            *_texts("environment", nullable=True),
            sa.UniqueConstraint("node", "key", "replicate", "attempt"),
            # Reads a round in the order of finishing without sorting it.
            sa.Index("trial_node", "node", "pk"),
            # Counts trials of each state without reading them.
            sa.Index("trial_state", "node", "replicate", "state", "attempt"),
        ],
    ),
    # Exclusions of planned trials. Rows never change: the latest row counts. `excluded` is 1 for a trial that
    # no analysis uses, and 0 for a trial that is included again; `note` is the reason. Version 0.1.0 also
    # wrote stars (`starred`), which nothing reads, and notes on trials (`note` alone), which the log shows.
    mark=_table(
        "mark",
        [
            *_pk(),
            _of("node"),
            *_texts("key"),
            *_ints("attempt"),
            *_ints("excluded", "starred", nullable=True),
            *_texts("note", nullable=True),
            *_texts("author"),
            *_numbers("created"),
            sa.Index("mark_node", "node", "key"),
        ],
    ),
    # Values per epoch: zlib over JSON.
    curve=_table("curve", [_of("trial", primary_key=True), *_data()]),
    # Results that a trial of an adaptive or pruned round was chosen or stopped by: JSON.
    shown=_table("shown", [_of("trial", primary_key=True), *_texts("content")]),
    # Curves that trials were compared with, each once: zlib over JSON.
    threshold=_table("threshold", [_of("node", primary_key=True), *_texts("digest", key=True), *_data()]),
    # Predictions for validation examples: zlib over float16, example by example.
    prediction=_table("prediction", [_of("trial", primary_key=True), *_ints("examples"), *_data()]),
    # True values of these examples, the same for all trials of a round: zlib over float32.
    target=_table("target", [_of("node", primary_key=True), *_ints("total"), *_data()]),
    # Scores of a trial by validation row, whose mean is the metric: see refine.store.row_scores.
    row_score=_table(
        "row_score", [_of("trial", primary_key=True), *_texts("metric", key=True), *_ints("total"), *_data()]
    ),
    # Author and reason of the opening of a hold-out, written before any result is seen.
    opening=_table(
        "opening",
        [
            *_pk(),
            _of("node"),
            *_texts("digest", "content", "author", "note"),
            *_numbers("created"),
            sa.UniqueConstraint("node", "digest"),
        ],
    ),
    # Results on the hold-out, one row per trained model.
    opened=_table(
        "opened",
        [
            _of("opening", primary_key=True),
            *_texts("key", key=True),
            *_ints("replicate", key=True),
            *_ints("seed"),
            *_texts("state", "metrics"),
            *_numbers("seconds"),
            *_texts("error", nullable=True),
            *_numbers("finished"),
        ],
    ),
    proposal=_table(
        "proposal",
        [
            *_pk(),
            _of("node"),
            *_texts("digest", "content"),
            *_numbers("created"),
            sa.UniqueConstraint("node", "digest"),
        ],
    ),
    decision=_table(
        "decision",
        [
            *_pk(),
            _of("node"),
            *_texts("digest", "content"),
            *_texts("child", nullable=True),
            *_numbers("created"),
            sa.UniqueConstraint("node", "digest"),
        ],
    ),
    lease=_table("lease", [_of("node", primary_key=True), *_texts("host"), *_ints("pid"), *_numbers("beat")]),
)


def hanging_on(table: sa.Table) -> tuple[sa.Table, ...]:
    """Tables whose rows belong to a row of this table, in the schema's order. Leases belong to processes."""
    tables = (other for other in metadata.tables.values() if other is not t.lease and other is not t.node)
    return tuple(other for other in tables if any(k.column.table is table for k in other.foreign_keys))


def link(table: sa.Table, owner: sa.Table) -> sa.Column[Any]:
    """The column by which rows of a table belong to rows of its owner."""
    return next(k.parent for k in table.foreign_keys if k.column.table is owner)  # type: ignore[return-value]


def own_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """Columns with content: neither row numbers nor links."""
    return [c for c in table.columns if c.name != "pk" and not c.foreign_keys]


def shown_url(url: sa.URL) -> str:
    """A URL without its password."""
    secret = [
        name for name in url.query if any(word in name.lower() for word in ("pass", "pwd", "secret", "token"))
    ]
    return url.update_query_dict(dict.fromkeys(secret, "***")).render_as_string(hide_password=True)


def migrate(connection: sa.Connection, name: str, create: bool) -> bool:
    """Creates the tables of a new store, or updates an earlier version, in one transaction.

    Returns whether the tables were created.

    Raises:
        StoreError: The database is not a refine store, or has an unknown version.
        NotFoundError: There are no tables, and ``create`` is false.
    """
    version = version_of(connection, name)
    if version is None and not create:
        raise NotFoundError(f"store {name}: holds no tree yet; refine.Tree('NAME', store=...) makes one")
    if version == SCHEMA_VERSION:
        return False
    # If several processes open a new store at once, one creates the tables.
    if connection.dialect.name == "sqlite":
        # By default, sqlite3 begins a transaction before a row is written, but not before a table is made.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    version = version_of(connection, name)
    if version == SCHEMA_VERSION:
        return False
    metadata.create_all(connection, checkfirst=version is not None)
    if version is None:
        connection.execute(t.meta.insert().values(key="schema", value=str(SCHEMA_VERSION)))
        return True
    for statement in (s for later in range(version + 1, SCHEMA_VERSION + 1) for s in MIGRATIONS[later]):
        connection.execute(sa.text(statement))
    connection.execute(t.meta.update().where(t.meta.c.key == "schema").values(value=str(SCHEMA_VERSION)))
    return False


def version_of(connection: sa.Connection, name: str) -> int | None:
    """The schema version of a store; ``None`` without tables.

    Raises StoreError: the tables belong to another program, have an unknown version, or would run code on
    reading or writing.
    """
    tables = sa.inspect(connection).get_table_names()
    stored = None
    if {t.meta.name, t.tree.name} <= set(tables):
        _check_computes(connection, f"store {name}", list(metadata.tables))
        stored = connection.execute(sa.select(t.meta.c.value).where(t.meta.c.key == "schema")).scalar()
    if stored is None and not tables:
        return None
    if stored is None:
        raise StoreError(
            f"store {name}: is not a refine store, {_whose(set(tables))}; give another file or database"
        )
    version = known_version(stored, SCHEMA_VERSION, f"store {name}: its schema", "begin a new store")
    if version == SCHEMA_VERSION and (missing := sorted(set(metadata.tables) - set(tables))):
        raise StoreError(
            f"store {name}: must have a table {missing[0]!r} and has none; it is damaged, or a refine before "
            "the first release wrote it; begin a new store"
        )
    return version


def _check_computes(connection: sa.Connection, name: str, names: list[str]) -> None:
    """Raises StoreError: a trigger, view, generated column or the like belongs to tables of these names."""
    if odd := connection.execute(_RUNS[connection.dialect.name], {"names": names}).first():
        raise StoreError(
            f"{name}: has a {odd[0]} {odd[1]!r} that refine does not make, and that would compute something "
            "at a look or a write; take nothing from it, or remove that first"
        )


def tables_of(engine: sa.Engine, name: str) -> set[str]:
    """The tables of another program's database, by an engine that does not write.

    Raises StoreError: one of them would run code on reading.
    """
    with engine.connect() as connection:
        _check_computes(connection, name, [])
        return set(sa.inspect(connection).get_table_names())


def _whose(tables: set[str]) -> str:
    """The program to which tables belong, and how to import them."""
    if {"studies", "trials", "version_info"} <= tables:
        return "it is an Optuna storage, whose studies refine import and tree.add_runs read"
    if {"experiments", "runs", "alembic_version"} <= tables:
        return "it is MLflow's, whose runs come in as a table, by mlflow.search_runs and tree.add_runs"
    return f"its tables are another program's ({', '.join(map(repr, sorted(tables)[:3]))})"


def known_version(stored: object, newest: int, name: str, otherwise: str) -> int:
    """The version of a store or an exported folder.

    Raises StoreError: not a version from 1 to ``newest``.
    """
    text = str(stored)
    if not (text.isdecimal() and 1 <= int(text[:9]) <= newest):
        raise StoreError(
            f"{name} must be {'from 1 to ' * (newest > 1)}{newest}, got {text[:20]!r}; a newer refine wrote "
            f"it, or one before the first release: upgrade refine, or {otherwise}"
        )
    return int(text)
