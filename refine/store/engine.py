"""Where things are kept: a store by its URL or path, with the connections to it, and what a database says when it can't go on."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
import weakref
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from refine.errors import NotFoundError, StoreError, unstorable
from refine.store.schema import shown_url
from refine.utils.action import Action
from refine.utils.extras import load

URL = sa.URL

BUSY_SECONDS = 30.0
"""A SQLite file that another process has locked is waited for so long, unless the URL says otherwise."""

_KEPT = "everything that was written before is kept, and the same call goes on from there"

_open: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
"""Engines with sockets, which a forked process must not share with its parent."""


class NotWritableError(StoreError):
    """A store that may be looked at only."""


def _after_fork() -> None:
    for engine in _open:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def url_of(given: str | os.PathLike[str]) -> sa.URL:
    """The URL of what a person calls a store. Raises StoreError: it is neither a URL nor a path."""
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else ""
    if not isinstance(text, str) or not text or "\0" in text:
        raise StoreError(
            f"a store is a URL or the path of a SQLite file, got {given!r}; such as store='refine.db'"
        )
    if bad := unstorable(text):  # bytes of another encoding, in a path
        raise StoreError(f"a store's path or URL {bad}")
    if "://" not in text:  # a path may hold what means something in a URL
        return sa.URL.create("sqlite", database=None if text == ":memory:" else text)
    try:
        found = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise StoreError(
            "a store is a URL such as sqlite:///refine.db, got one that can't be parsed"
        ) from None
    if found.get_backend_name() == "sqlite" and found.database == ":memory:":
        return sa.URL.create(found.drivername, query=found.query)
    return (
        found.set(drivername="postgresql+psycopg")
        if found.drivername in ("postgresql", "postgres")
        else found
    )


def check_place(url: sa.URL, create: bool) -> None:
    """Looks whether a store can be there; without ``create`` whether its SQLite file is.

    Raises StoreError: it is neither SQLite nor PostgreSQL, its folder is not there, or it is a folder; NotFoundError: its
    file is not there.
    """
    kind, name = url.get_backend_name(), shown_url(url)
    if kind not in ("sqlite", "postgresql"):
        raise StoreError(
            f"store {name}: must be SQLite or PostgreSQL, got {kind}; a path such as 'refine.db' is a SQLite file"
        )
    if kind != "sqlite":
        return
    if url.host:
        raise StoreError(
            f"store {name}: a SQLite URL has three slashes before a path, and a fourth where the path starts with one; "
            f"write sqlite:///{url.host}{f'/{url.database}' if url.database else ''}"
        )
    if not url.database:
        return
    path = Path(url.database).resolve()
    if not path.parent.is_dir():
        raise StoreError(
            f"store {name}: the folder must exist, but {path.parent} does not; create it, or check the path"
        )
    if path.is_dir():
        raise StoreError(f"store {name}: is a folder; name a file in it, such as {path / 'refine.db'}")
    if not create and not path.exists():
        raise NotFoundError(
            f"store {name}: no such file; check the path, or leave create=False out to create it"
        )


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """``folder`` if files can be written into it; it need not be there yet.

    Raises StoreError: it is no path, or a file stands in the way.
    """
    if not isinstance(folder, str | os.PathLike):
        raise StoreError(f"a folder is given by its path, got {folder!r}; such as 'reports'")
    path = Path(folder)
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise StoreError(f"folder {path}: {place} is a file; give a folder, which is created if need be")
    return path


def absolute(url: sa.URL) -> sa.URL:
    """The same store, wherever this process goes: an objective may change the working directory."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return url
    return url.set(database=os.path.abspath(url.database))  # noqa: PTH100  # links stay as they are


def may_be_written(url: sa.URL) -> bool:
    """Whether a SQLite file and its folder, where its journal lies, may be written; True of every other store."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return True
    path = Path(url.database)
    return not path.exists() or (os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK))


def reading_engine(url: sa.URL) -> sa.Engine:
    """Where connections to a SQLite file come from that may not be written, such as one on a read-only medium."""
    path, patience = Path(url.database or ""), patience_of(url)

    def connect() -> sqlite3.Connection:
        # Without the files beside it, which only who may write can make, SQLite opens it if told that nobody changes
        # it. Somebody may before the next look: every look opens it anew.
        still = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{still}", uri=True, timeout=patience)

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool)
    engine.url = url
    say_clearly(engine, shown_url(url))
    return engine


def engine_of(url: sa.URL) -> sa.Engine:
    """Where connections to a store come from; none is opened yet.

    Raises StoreError: the URL of a SQLite file has a timeout that is no number of seconds, or the extra ``postgresql`` is
    not installed.
    """
    if url.drivername == "postgresql+psycopg":
        load(
            "psycopg",
            f"store {shown_url(url)}",
            StoreError,
            "a path is a SQLite file, which needs nothing more",
        )
    sqlite = url.get_backend_name() == "sqlite"
    # A round that runs keeps a connection, and there may be any number of them in a process.
    options: dict[str, Any] = {"max_overflow": -1}
    if sqlite:
        patience = patience_of(url)
        options |= {"connect_args": {"timeout": patience}}
    else:
        options |= {"pool_pre_ping": True}
    if sqlite and not url.database:
        options = {"poolclass": sa.pool.StaticPool, "connect_args": {"check_same_thread": False}}
    engine = sa.create_engine(url, **options)
    if not sqlite:
        _open.add(engine)
    if sqlite:
        sa.event.listen(engine, "connect", lambda connection, _: _tune_sqlite(connection, patience))
    say_clearly(engine, shown_url(url))
    return engine


def _tune_sqlite(connection: sqlite3.Connection, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # Of processes that change the mode of a file at once SQLite refuses some without waiting.
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


# What a database says when it can't go on, in words that say what to do.


def patience_of(url: sa.URL) -> float:
    """For how many seconds the lock of another process is waited for.

    Raises StoreError: the URL says something that is no such number.
    """
    said = url.query.get("timeout", BUSY_SECONDS)
    with contextlib.suppress(TypeError, ValueError):
        if 0 <= (seconds := float(said)) < math.inf:  # type: ignore[arg-type]
            return seconds
    raise StoreError(
        f"store: timeout is a number of seconds, got {said!r}; such as sqlite:///refine.db?timeout=300"
    )


def say_clearly(engine: sa.Engine, name: str) -> None:
    """Turns a full disk, a lock and a failing disk into a :class:`StoreError`, wherever they happen."""

    @sa.event.listens_for(engine, "handle_error")
    def _(context: sa.engine.ExceptionContext) -> None:
        if (text := forbidden(context.original_exception)) is not None:
            raise NotWritableError(f"store {name}: {text}") from context.original_exception
        text = explained(context.original_exception, engine)
        if text is not None:
            raise StoreError(f"store {name}: {text}; {_KEPT}") from context.original_exception


def say_the_rest(engine: sa.Engine, name: str) -> None:
    """Turns what else a database may say of itself, once it was opened, into a :class:`StoreError`.

    A server that went away, a damaged file, a table that is not there: not what a row breaks, which is our affair.
    """

    @sa.event.listens_for(engine, "handle_error")
    def _(context: sa.engine.ExceptionContext) -> None:
        kind = context.sqlalchemy_exception
        broken = isinstance(
            kind, sa.exc.OperationalError | sa.exc.InternalError | sa.exc.DataError | sa.exc.ProgrammingError
        )
        if (broken or type(kind) is sa.exc.DatabaseError) and not context.is_pre_ping:
            said = str(context.original_exception).strip().splitlines()[0]
            if "Could not decode to UTF-8" in said:
                raise StoreError(
                    f"store {name}: a stored text is damaged ({said}); remove what is damaged",
                    Action("tree.repair"),
                ) from context.original_exception
            raise StoreError(
                f"store {name}: the database says: {said}; see that it is there and in order, then make the same call again"
            ) from context.original_exception


def explained(error: BaseException, engine: sa.Engine) -> str | None:
    """What a full disk, a lock or a failing disk means, and the way out; ``None`` where it is none of these."""
    kind, said = getattr(error, "sqlite_errorname", None) or "", first_line(error)
    if kind == "SQLITE_FULL":
        return "the disk is full; make room"
    if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return (
            f"another process has it locked, and a write waits {patience_of(engine.url):g} seconds for that; let it end, or wait longer "
            "with sqlite:///...?timeout=300"
        )
    if kind.startswith("SQLITE_IOERR"):
        return f"the disk can't be read or written ({error}); see that it has room and is in order"
    if getattr(error, "sqlstate", None) in ("53100", "58030"):  # disk_full, io_error
        return f"the server's disk is full or failing ({said}); make room there"
    return None


def forbidden(error: BaseException) -> str | None:
    """Who may not write, and the way out; ``None`` where that is not what a database says."""
    rule = "it may be read and not be written"
    if (getattr(error, "sqlite_errorname", None) or "").startswith("SQLITE_READONLY"):
        return f"{rule} ({error}); see who owns the file and its folder, or copy it to where you may write"
    # insufficient_privilege, read_only_sql_transaction
    if getattr(error, "sqlstate", None) in ("42501", "25006"):
        return f"{rule} by this role ({first_line(error)}); ask its owner for the right to write, or use another role"
    return None


def first_line(error: BaseException) -> str:
    """What an error says first."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
