"""A lease on a round: one coordinator at a time, and the lease of a dead one is recognised."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from refine.errors import RoundBusyError, StoreError
from refine.store.engine import checkpoint, lasting, use_wal, warn_of_network_drive
from refine.store.schema import t
from refine.store.validity import is_number

LEASE_SECONDS = 60.0  # a lease without renewal for this long is free

_held_here: set[tuple[str, int]] = set()  # leases of this process: store and round

_guard = threading.Lock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held_here.clear)


class LeaseRow(NamedTuple):
    """A lease in the store."""

    node: int  # row of the round
    host: str  # name of the machine
    pid: int  # number of the process
    alive: bool  # the process may still run; the next run of the round takes over from a dead one


def leases(engine: sa.Engine) -> list[LeaseRow]:
    """All leases of a store."""
    with engine.connect() as connection:
        return lease_rows(connection)


def lease_rows(connection: sa.Connection) -> list[LeaseRow]:
    """All leases, read over a connection."""
    rows = connection.execute(sa.select(t.lease)).all()
    server_time = _now(connection)
    return [
        LeaseRow(row.node, str(row.host).partition("/")[0], row.pid, _alive(row, server_time)) for row in rows
    ]


def _now(connection: sa.Connection) -> float:
    """Seconds since the epoch by a clock of all processes: the server's, or this machine's for a file."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one())


@contextlib.contextmanager
def lease(engine: sa.Engine, pk: int, round_name: str) -> Iterator[Callable[[], None]]:
    """Holds a round for this process inside the block; a thread renews the lease every 15 s.

    Yields a function to call before writing. The function raises RoundBusyError if another process took over,
    after a standstill of this process. Raises RoundBusyError: a living process holds the round.
    """
    warn_of_network_drive(engine)
    host, pid = _me()
    identity = (_same(engine), pk)
    c = t.lease.c
    with _guard:
        if identity in _held_here:
            raise _busy(round_name, host, pid)
        _held_here.add(identity)
    try:
        use_wal(engine)  # a restored backup has no -wal mode
        lasting(engine, lambda: _take(engine, pk, round_name))
    except BaseException:
        _held_here.discard(identity)
        raise
    own_row = (c.node == pk, c.host == host, c.pid == pid)
    over = threading.Event()
    lives = bool(engine.url.database)  # a store in memory has one connection, which threads must not share
    lost = threading.Event()
    beats = [time.monotonic(), time.time()]

    def renew() -> bool:
        with engine.begin() as connection:
            beat = t.lease.update().where(*own_row).values(beat=_now(connection))
            renewed = connection.execute(beat).rowcount
        beats[:] = time.monotonic(), time.time()
        checkpoint(engine)
        return renewed > 0

    def pulse() -> None:
        while not over.wait(LEASE_SECONDS / 4):
            # A busy store must not end the round: the next beat comes in time.
            with contextlib.suppress(sa.exc.SQLAlchemyError, StoreError):
                if not renew():
                    lost.set()

    def check() -> None:
        # The wall clock counts time asleep; the monotonic clock is never set back.
        late = max(time.monotonic() - beats[0], time.time() - beats[1]) > LEASE_SECONDS / 2
        if lost.is_set() or (lives and late and not lasting(engine, renew)):
            lost.set()
            raise RoundBusyError(
                f"{round_name}: this process was suspended for over {LEASE_SECONDS:g} seconds, so "
                "another process took over the round; finished trials are stored, the running ones are left "
                "to the other process"
            )

    thread = threading.Thread(target=pulse, daemon=True, name="refine-lease")
    if lives:
        thread.start()
    try:
        yield check
    finally:
        over.set()
        if thread.ident is not None:
            thread.join()
        # If the store cannot be written, the error to show is the one that ended the block. A lease of this
        # process, or of a dead process, is free.
        with contextlib.suppress(sa.exc.SQLAlchemyError, StoreError), engine.begin() as connection:
            connection.execute(t.lease.delete().where(*own_row))
        checkpoint(engine)
        _held_here.discard(identity)


def _take(engine: sa.Engine, pk: int, round_name: str) -> None:
    """Writes the lease. Raises RoundBusyError: a living process has it."""
    c = t.lease.c
    host, pid = _me()
    with engine.begin() as connection:
        row = connection.execute(sa.select(t.lease).where(c.node == pk).with_for_update()).first()
        server_time = _now(connection)
        # A lease that this process could not give back, for example on a full disk, is its own again.
        busy = row is not None and _alive(row, server_time) and (row.host, row.pid) != (host, pid)
        if row is not None:
            # Exactly this row: another process may have taken over in the meantime.
            found = (c.node == pk, c.host == row.host, c.pid == row.pid, c.beat == row.beat)
            if not busy:
                connection.execute(t.lease.delete().where(*found))
            elif row.beat > server_time:
                # The clock of the process is ahead, so the lease would hold for too long. Renewed now by this
                # clock, the lease of a dead process expires; a living process renews the lease within 15 s.
                connection.execute(t.lease.update().where(*found).values(beat=server_time))
        if not busy:
            try:
                connection.execute(t.lease.insert().values(node=pk, host=host, pid=pid, beat=server_time))
            except sa.exc.IntegrityError:
                raise RoundBusyError(
                    f"{round_name} has just been started by another process; wait for it"
                ) from None
    if row is not None and busy:
        raise _busy(round_name, row.host, row.pid, min(row.beat, server_time) + LEASE_SECONDS - server_time)


def _busy(round_name: str, host: str, pid: int, seconds: float = 0.0) -> RoundBusyError:
    """The error of a round that a process holds, whose lease expires in ``seconds`` unless renewed."""
    rule = f"{round_name} is being run by process {pid} on {host.partition('/')[0]}"
    if host.rpartition(" ")[0] == _place():
        return RoundBusyError(f"{rule}; wait for it or stop it first")
    wait = int(max(0.0, seconds)) + 1
    moment = time.strftime("%H:%M:%S", time.localtime(time.time() + wait))
    return RoundBusyError(
        f"{rule}; wait for it or stop it first. If that machine is gone, run again in {wait} s, at {moment}: "
        "the lease of a dead process expires then"
    )


def _same(engine: sa.Engine) -> str:
    """An identifier of a store, equal for all spellings of its path. Every store in memory is different."""
    url = engine.url
    if url.get_backend_name() != "sqlite":
        return str(url)
    if url.database:
        return os.path.realpath(url.database)
    return f"memory {id(engine)}"


def _me() -> tuple[str, int]:
    """This process, distinct from later processes: host, boot, container and start time; and its number."""
    pid = os.getpid()
    return f"{_place()} {_born(pid)}", pid


def _place() -> str:
    """The scope of process numbers: the host, since its last start, inside one container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8])
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return "/".join(parts)


def _born(pid: int) -> str | None:
    """The start time of a process; empty if it does not exist, or has ended and was not reaped."""
    if sys.platform.startswith("linux"):
        try:
            # The fields after the name, which may hold any characters: state, ..., ticks since boot.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if fields[0] in "ZX":
            return None
        return fields[19]
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return None


def _here(row: Any) -> bool:
    """True if a lease belongs to a process of this machine, known to the system."""
    return bool(row.host.rpartition(" ")[0] == _place())


def _alive(row: Any, server_time: float) -> bool:
    # A row written by hand may hold anything, and the process number becomes part of a path.
    if not (isinstance(row.host, str) and isinstance(row.pid, int) and is_number(row.beat)):
        return False
    beats = server_time - row.beat <= LEASE_SECONDS
    if not _here(row):  # only the beats show the life of a process on another machine
        return beats
    # On this machine, a trial that holds the interpreter's lock may keep a living process from beating. A
    # stopped process counts as dead.
    return _born(row.pid) == row.host.rpartition(" ")[2] and (beats or not _stopped(row.pid))


def _stopped(pid: int) -> bool:
    import psutil

    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    return True
