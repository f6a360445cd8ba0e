"""What a database says when it can't go on, in words that say what to do."""

from __future__ import annotations

import contextlib
import math

import sqlalchemy as sa

from refine.errors import StoreError
from refine.utils.action import Action

BUSY_SECONDS = 30.0
"""A SQLite file that another process has locked is waited for so long, unless the URL says otherwise."""

_KEPT = "everything that was written before is kept, and the same call goes on from there"


class NotWritableError(StoreError):
    """A store that may be looked at only."""


def patience_of(url: sa.URL) -> float:
    """For how many seconds the lock of another process is waited for.

    Raises:
        StoreError: The URL says something that is no such number.
    """
    said = url.query.get("timeout", BUSY_SECONDS)
    with contextlib.suppress(TypeError, ValueError):
        if 0 <= (seconds := float(said)) < math.inf:  # type: ignore[arg-type]
            return seconds
    raise StoreError(
        f"store: timeout is a number of seconds, got {said!r}; such as sqlite:///refine.db?timeout=300"
    )


def say_clearly(engine: sa.Engine, name: str) -> None:
    """Turns a full disk, a lock and a failing disk into a :class:`StoreError`, wherever they happen.

    Args:
        engine: Of a store.
        name: The store's URL without its password.
    """

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

    Args:
        engine: Of a store.
        name: The store's URL without its password.
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
    """What a SQLite error means, and the way out; ``None`` where it is none of these."""
    kind = getattr(error, "sqlite_errorname", None) or ""
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
        return f"the server's disk is full or failing ({first_line(error)}); make room there"
    return None


def forbidden(error: BaseException) -> str | None:
    """Who may not write, and the way out; ``None`` where that is not what a database says."""
    if (getattr(error, "sqlite_errorname", None) or "").startswith("SQLITE_READONLY"):
        return (
            f"it may be read and not be written ({error}); see who owns the file and its folder, or copy it to where you "
            "may write"
        )
    if getattr(error, "sqlstate", None) in (
        "42501",
        "25006",
    ):  # insufficient_privilege, read_only_sql_transaction
        return (
            f"it may be read and not be written by this role ({first_line(error)}); ask its owner for the right to write, or "
            "use another role"
        )
    return None


def first_line(error: BaseException) -> str:
    """What an error says first."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
