"""The engine of a store: URL or path, connections, and errors of the database with their fixes."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
import sqlite3
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from refine.errors import NotFoundError, StoreError, first_line, unstorable
from refine.store.schema import shown_url
from refine.utils.action import Action
from refine.utils.extras import load
from refine.utils.files import possible_path
from refine.utils.warning import warn

T = TypeVar("T")
URL = sa.URL

# Seconds to wait for a locked file or an absent server, unless the URL of the store names another time.
PATIENCE = {"sqlite": 30.0, "postgresql": 60.0}
# Largest row that SQLite reads, in bytes: a thousand long curves, and still little memory.
LONGEST = 2**26
# SQLite stops a statement after 500 times so many steps, which are enough to read 10^8 trials.
_STEPS = 10_000_000

_KEPT = "everything written before is kept; make the same call again to continue"

# File systems of network drives. Machines do not see each other's locks there, or cannot share the memory
# that the processes of SQLite share.
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afpfs",
    "afs",
    "webdav",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
}
_NETWORK |= {
    f"fuse.{name}" for name in ("sshfs", "ceph-fuse", "glusterfs", "davfs2", "s3fs", "rclone", "gcsfuse")
}

# Engines with sockets, which a forked process must not share with its parent.
_open: weakref.WeakSet[sa.Engine] = weakref.WeakSet()

_warned_of = set[Path]()  # files on network drives


class NotWritableError(StoreError):
    """A store that can only be read."""


class GoneError(StoreError):
    """A database server that cannot be reached."""


def _after_fork() -> None:
    for engine in _open:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def url_of(location: str | os.PathLike[str]) -> sa.URL:
    """The URL of a store, from a URL or a path. Raises StoreError: neither a URL nor a path."""
    if isinstance(location, str | os.PathLike):
        text = os.fspath(location)
    else:
        text = ""
    if not isinstance(text, str) or not text or "\0" in text:
        raise StoreError(
            f"a store is a URL or the path of a SQLite file, got {location!r}; such as store='refine.db'"
        )
    if bad := unstorable(text):  # bytes of another encoding, in a path
        raise StoreError(f"a store's path or URL {bad}")
    if "://" not in text:  # a path may hold characters with a meaning in a URL
        return sa.URL.create("sqlite", database=None if text == ":memory:" else text)
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise StoreError(
            "a store is a URL such as sqlite:///refine.db, got one that can't be parsed"
        ) from None
    if url.get_backend_name() == "sqlite" and url.database == ":memory:":
        return sa.URL.create(url.drivername, query=url.query)
    server = url.drivername in ("postgresql", "postgres")
    if server:
        return url.set(drivername="postgresql+psycopg")
    return url


def file_of(url: sa.URL) -> Path | None:
    """The file of a SQLite store; ``None`` for a store in memory or on a server."""
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database)
    return None


def wal_of(file: Path) -> tuple[Path, int]:
    """The file with SQLite's last writes, until they are moved into the database, and its size in bytes."""
    wal = (real := file.resolve()).with_name(f"{real.name}-wal")
    return wal, wal.stat().st_size if wal.exists() else 0


def check_place(url: sa.URL, create: bool) -> None:
    """Checks the place of a store, and, without ``create``, that its SQLite file exists.

    Raises:
        StoreError: Neither SQLite nor PostgreSQL, a missing folder, or not a database file.
        NotFoundError: The file does not exist, and ``create`` is false.
    """
    kind = url.get_backend_name()
    name = shown_url(url)
    if kind not in PATIENCE:
        raise StoreError(
            f"store {name}: must be SQLite or PostgreSQL, got {kind}; a path such as 'refine.db' is a SQLite "
            "file"
        )
    if kind != "sqlite":
        return
    if url.host:
        raise StoreError(
            f"store {name}: a SQLite URL has three slashes before a path, and a fourth where the path starts "
            f"with one; write sqlite:///{url.host}{f'/{url.database}' if url.database else ''}"
        )
    if not url.database:
        return
    path = possible_path(url.database, "store", "refine.db").resolve()
    if not path.parent.is_dir():
        raise StoreError(
            f"store {name}: the folder must exist, but {path.parent} does not; create it, or check the path"
        )
    if path.is_dir():
        raise StoreError(f"store {name}: is a folder; name a file in it, such as {path / 'refine.db'}")
    if path.exists() and not path.is_file():
        raise StoreError(f"store {name}: is a device or a pipe, not a file; check the path")
    if path.exists():
        if os.access(path, os.W_OK) and _is_mount_point(path):
            raise StoreError(
                f"store {name}: is mounted as a single file; mount its folder instead, for example "
                "docker run -v /home/ann/study:/study: SQLite keeps the last writes in a second file there"
            )
        _check_file(path, name)
    elif not create:
        raise NotFoundError(
            f"store {name}: no such file; check the path, or leave create=False out to create it"
        )


def _check_file(path: Path, name: str) -> None:
    """Checks a file before SQLite opens it.

    SQLite would turn a file of one byte into a store, and write last pages of another store into the file.
    """
    try:
        wal, pages = wal_of(path)
        with path.open("rb") as file:
            head = file.read(20)
        size = path.stat().st_size
    except OSError:  # SQLite reports a missing permission
        return
    if head and not head.startswith(b"SQLite format 3\0"):
        raise StoreError(f"store {name}: can't be opened: file is not a database; check the path or URL")
    mode = head[18:19]
    page = int.from_bytes(head[16:18])
    # A file with a -wal file says so in its header.
    if pages and mode == b"\1":
        raise StoreError(
            f"store {name}: replaced another file, whose last writes are still in {wal} and would be mixed "
            "into it; to keep the new file, move that one away"
        )
    if not pages and mode == b"\2" and size <= page:
        raise StoreError(
            f"store {name}: holds no page but the first; the rest is in {wal.name}, next to the file that "
            "was copied: copy both, or make a complete copy with refine export STORE --backup FILE"
        )


def _is_mount_point(path: Path) -> bool:
    """True if a file itself is mounted, not its folder; on Linux, where containers mount files."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return False
    escaped = str(path)
    for character in "\\ \t\n":  # the backslash first
        escaped = escaped.replace(character, f"\\{ord(character):03o}")
    return any(line.split(" ")[4] == escaped for line in mounts.splitlines())


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """``folder`` as a path, if files can be written into it; it need not exist.

    Raises StoreError: not a path, or a file stands in the way.
    """
    path = possible_path(folder, "folder", "reports")
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise StoreError(f"folder {path}: {place} is a file; give a folder, which is created if need be")
    return path


def inserted(connection: sa.Connection, table: sa.Table, row: Mapping[str, object]) -> int:
    """Inserts a row into a table and returns its primary key."""
    key = connection.execute(table.insert().values(row)).inserted_primary_key
    assert key is not None  # every table has one
    return int(key[0])


def absolute(url: sa.URL) -> sa.URL:
    """The same store by its absolute path, since an objective may change the working directory."""
    file = file_of(url)
    if file is None:
        return url
    return url.set(database=os.path.abspath(file))  # noqa: PTH100  # links stay as they are


def may_be_written(url: sa.URL) -> bool:
    """True if a SQLite file and the folder of its journal may be written; True for every other store."""
    path = file_of(url)
    if path is None or not path.exists():
        return True
    return os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK)


def engine_of(url: sa.URL, writable: bool = True) -> sa.Engine:
    """An engine for a store, without an open connection.

    Args:
        url: URL of the store.
        writable: Whether a SQLite file may be written.

    Raises:
        StoreError: The URL has an invalid ``patience``, or the extra ``postgresql`` is not installed.
    """
    if url.drivername == "postgresql+psycopg":
        hint = "a path is a SQLite file, which needs nothing more"
        load("psycopg", f"store {shown_url(url)}", StoreError, hint)
    sqlite = url.get_backend_name() == "sqlite"
    file = file_of(url)
    patience = patience_of(url)
    if file:
        opened = _File(file, patience)
    else:
        opened = None
    # Each running round holds a connection, and a process may run any number of rounds.
    options: dict[str, object] = {"max_overflow": -1}
    if not sqlite:
        options |= {"pool_pre_ping": True}
    elif opened is None:
        options = {"poolclass": sa.pool.StaticPool, "connect_args": {"check_same_thread": False}}
    elif writable:
        options |= {"creator": opened.connect}
    else:
        options = {"poolclass": sa.pool.NullPool, "creator": opened.look}
    engine = sa.create_engine(url.difference_update_query(["patience"]), **options)
    engine.url = url
    _say_clearly(engine, shown_url(url))
    if not sqlite:
        _open.add(engine)
        return engine

    @sa.event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
        # SQLite advises the last two for files from other people.
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "trusted_schema=OFF", "cell_size_check=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "before_cursor_execute")
    def _(_c: object, cursor: sqlite3.Cursor, _s: str, _p: object, context: Any, _m: bool) -> None:
        answers = itertools.chain(itertools.repeat(0, 500), itertools.repeat(1))
        cursor.connection.set_progress_handler(partial(next, answers), _STEPS)
        if opened and context is not None and (context.isinsert or context.isupdate or context.isdelete):
            opened.check()

    return engine


class _File:
    """A SQLite file, with its identity at the first opening."""

    def __init__(self, path: Path, patience: float) -> None:
        self.path = path
        self.patience = patience
        self.inode: tuple[int, int] | None = None

    def look(self) -> sqlite3.Connection:
        """A connection to a file that may not be written, as on a read-only medium or a full disk."""
        # Only a process with write permission can create the -wal files. Without them, SQLite opens the file
        # as immutable. The file may change later, so each read opens it again.
        return self._opened("ro" if wal_of(self.path)[1] else "ro&immutable=1")

    def connect(self) -> sqlite3.Connection:
        """A connection for writing; the first one makes the file."""
        self.check()
        connection = self._opened("rw" if self.inode else "rwc")
        self.inode = self.inode or self._inode()
        return connection

    def check(self) -> None:
        """Raises StoreError: the file is no longer at its place."""
        if self.inode and self._inode() != self.inode:
            raise StoreError(
                f"store sqlite:///{self.path}: its file was moved, replaced or deleted after it was opened, "
                "so new writes would be lost; restore it with its -wal and -shm files, or open the file that "
                "is there now, and make the same call again"
            )

    def _opened(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.resolve().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=self.patience, check_same_thread=False)

    def _inode(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            return (status := self.path.stat()).st_dev, status.st_ino
        return None


def use_wal(engine: sa.Engine) -> None:
    """Turns on SQLite's write-ahead log, for readers in other processes while the file is written."""
    if file_of(engine.url) is None:
        return
    deadline = time.monotonic() + patience_of(engine.url)
    with engine.connect() as connection:
        while connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
            raw: Any = connection.connection.driver_connection
            try:
                raw.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as error:
                # SQLite refuses some of several processes that change the mode of a file at once, without
                # waiting. For a file that cannot be changed, such as a read-only file, the next write gives
                # the reason.
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= deadline:
                    return
            time.sleep(0.01)


def warn_of_network_drive(engine: sa.Engine) -> None:
    """Warns once for a SQLite file on a network drive: what a second machine writes may be lost."""
    import psutil

    file = file_of(engine.url)
    if file is None or file.resolve() in _warned_of:
        return
    place = file.resolve()
    _warned_of.add(place)
    mounts: dict[Path, str] = {}
    with contextlib.suppress(OSError):
        mounts |= {Path(p.mountpoint): p.fstype for p in psutil.disk_partitions(all=True)}
    kind = next((mounts[folder] for folder in place.parents if folder in mounts), "")
    if kind in _NETWORK:
        warn(
            f"store {shown_url(engine.url)}: lies on a network drive ({kind}), where one machine may "
            "overwrite what another one writes; run rounds from a single machine, or use PostgreSQL"
        )


def checkpoint(engine: sa.Engine) -> None:
    """Moves the last writes into the SQLite file, unless another process reads.

    The file of a process that is killed later is then complete by itself.
    """
    if file_of(engine.url) is not None:
        with contextlib.suppress(sa.exc.SQLAlchemyError, StoreError), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def backup(engine: sa.Engine, target: Path) -> None:
    """Writes a complete copy of a SQLite file as a single file, also while other processes write."""
    name = shown_url(engine.url)
    if engine.url.get_backend_name() != "sqlite":
        raise StoreError(
            f"store {name}: only a SQLite file can be backed up; use the server's own tool, for example "
            "pg_dump, or export the tree",
            Action("tree.export", "folder"),
        )
    if target.exists() or target.is_symlink():
        raise StoreError(f"backup: {target} is there already; give the name of a new file, or remove it")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        with engine.connect() as connection, contextlib.closing(sqlite3.connect(part)) as copy:
            raw: Any = connection.connection.driver_connection
            raw.backup(copy)
            # The copy then differs from a file with its last writes in a -wal file.
            copy.execute("PRAGMA journal_mode=DELETE")
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"backup: {target} can't be written ({error}); give a place that has room and may be written"
        ) from error


def lasting(engine: sa.Engine, act: Callable[[], T], say: Callable[[str], object] = str) -> T:
    """Calls a function, and repeats the call if the server went away, until the URL's patience ends.

    The function may have succeeded before the connection was lost, so it must find out.

    Raises GoneError: the server does not come back.
    """
    deadline = None
    pause = 0.01
    while True:
        try:
            return act()
        except GoneError as error:
            if deadline is None:
                patience = patience_of(engine.url)
                deadline = time.monotonic() + patience
                say(
                    f"{error.args[0].partition(';')[0]}; it is waited for up to {patience:g} s, and nothing "
                    "is lost"
                )
            if time.monotonic() >= deadline:
                raise
            time.sleep(pause := min(2 * pause, 0.5))


def while_restarting(url: sa.URL, connect: Callable[[], T]) -> T:
    """Calls a function that connects, and repeats the call while a server restarts, until the patience ends.

    A server that says nothing at the first call may not exist, and is not waited for.
    """
    deadline = time.monotonic() + patience_of(url)
    restarts = False
    while True:
        try:
            return connect()
        except sa.exc.OperationalError as error:
            restarts = restarts or _RESTARTS.search(str(error)) is not None
            if not restarts or time.monotonic() >= deadline:
                raise
        time.sleep(0.2)


_RESTARTS = re.compile(
    "the database system is (starting up|shutting down|in recovery mode|not yet accepting connections)"
)


# Errors of databases, in words that name the fix.


def patience_of(url: sa.URL) -> float:
    """Seconds to wait for another process's lock, or for a lost server.

    Raises StoreError: not such a number.
    """
    if "timeout" in url.query:
        raise StoreError(
            "store: a URL has no timeout; it is called patience, as in sqlite:///refine.db?patience=300"
        )
    patience = url.query.get("patience", PATIENCE[url.get_backend_name()])
    with contextlib.suppress(TypeError, ValueError):
        if 0 <= (seconds := float(patience)) < math.inf:  # type: ignore[arg-type]
            return seconds
    raise StoreError(
        f"store: patience is a number of seconds, got {patience!r}; such as sqlite:///refine.db?patience=300"
    )


_READ_ONLY = "it may be read and not be written"
# Beginnings of error codes of SQLite and PostgreSQL -> meaning and fix.
_MEANS = {
    ("SQLITE_FULL",): "the disk is full; make room",
    ("SQLITE_BUSY", "SQLITE_LOCKED"): (
        "another process has it locked, and a write waits {patience:g} seconds for that; let it end, or wait "
        "longer with sqlite:///...?patience=300"
    ),
    ("SQLITE_PROTOCOL", *(f"SQLITE_IOERR_{lock}LOCK" for lock in ("", "RD", "UN", "SHM", "CHECKRESERVED"))): (
        "its file system takes no locks ({said}), as some network drives; put it on a disk of this machine, "
        "or on PostgreSQL"
    ),
    ("SQLITE_IOERR",): "the disk can't be read or written ({said}); check its free space and its health",
    ("SQLITE_INTERRUPT", "SQLITE_TOOBIG"): (
        "holds what takes longer to read than 10^8 trials, or a row of more than {longest:,} bytes ({said}); "
        "it is damaged, or made to harm: take nothing from it"
    ),
    # disk_full, io_error
    ("53100", "58030"): "the server's disk is full or failing ({said}); make room there",
    ("SQLITE_READONLY",): (
        f"{_READ_ONLY} ({{said}}); see who owns the file and its folder and that the disk has room, or copy "
        "it to where you may write"
    ),
    # insufficient_privilege, read_only_sql_transaction
    ("42501", "25006"): (
        f"{_READ_ONLY} by this role ({{said}}); ask its owner for the right to write, or use another role"
    ),
}


def _say_clearly(engine: sa.Engine, name: str) -> None:
    """Turns a full disk, a lock and a failing disk into a :class:`StoreError`, wherever they occur."""

    @sa.event.listens_for(engine, "handle_error")
    def _(context: sa.engine.ExceptionContext) -> None:
        error = context.original_exception
        code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None) or ""
        if code == "SQLITE_BUSY" and _takes_no_locks(file_of(engine.url)):
            code = "SQLITE_PROTOCOL"
        for codes, text in _MEANS.items():
            if code.startswith(codes):
                message = text.format(
                    said=first_line(error), patience=patience_of(engine.url), longest=LONGEST
                )
                if text.startswith(_READ_ONLY):
                    raise NotWritableError(f"store {name}: {message}") from error
                raise StoreError(f"store {name}: {message}; {_KEPT}") from error


def _takes_no_locks(file: Path | None) -> bool:
    """True if the file system takes no locks, tested on a new file; SQLite would report another's lock."""
    with (
        contextlib.suppress(ImportError, OSError),
        tempfile.TemporaryFile(dir=file and file.parent) as file_here,
    ):
        import fcntl

        try:
            fcntl.lockf(file_here, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def say_the_rest(engine: sa.Engine, name: str) -> None:
    """Turns other errors of an open database into a :class:`StoreError`.

    These are a lost server, a damaged file or a missing table. A broken constraint is refine's own error.
    """

    @sa.event.listens_for(engine, "handle_error")
    def _(context: sa.engine.ExceptionContext) -> None:
        kind = context.sqlalchemy_exception
        cause = context.original_exception
        broken = sa.exc.OperationalError | sa.exc.InternalError | sa.exc.DataError | sa.exc.ProgrammingError
        if not (isinstance(kind, broken) or type(kind) is sa.exc.DatabaseError) or context.is_pre_ping:
            return
        message = first_line(cause)
        if "Could not decode to UTF-8" in message:
            text = f"a stored text is damaged ({message}); remove what is damaged"
            raise StoreError(f"store {name}: {text}", Action("tree.repair")) from cause
        lost = context.is_disconnect or context.connection is None or context.connection.invalidated
        server_gone = lost and engine.url.get_backend_name() != "sqlite"
        raise (GoneError if server_gone else StoreError)(
            f"store {name}: the database says: {message}; check that it is reachable and undamaged, then "
            "make the same call again"
        ) from cause
