"""A lease on a round: one coordinator at a time, and a dead one is recognised."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from refine.errors import RoundBusy
from refine.schema import t

LEASE_SECONDS = 60.0
"""A lease that was not renewed for so long is anybody's."""


@contextlib.contextmanager
def lease(engine: sa.Engine, pk: int, what: str) -> Iterator[None]:
    """Holds a round for this process while the block runs; a thread says every 15 s that it is alive.

    Args:
        engine: The store's.
        pk: Row of the round.
        what: What to call it in the error.

    Raises:
        RoundBusy: Another process holds it and is alive.
    """
    host, pid = socket.gethostname(), os.getpid()
    c = t.lease.c
    with engine.begin() as connection:
        row = connection.execute(sa.select(t.lease).where(c.node == pk).with_for_update()).first()
        if row is not None:
            if _alive(row, host):
                raise RoundBusy(
                    f"{what} is being run by process {row.pid} on {row.host}; wait for it or stop it first"
                )
            connection.execute(t.lease.delete().where(c.node == pk))
        try:
            connection.execute(t.lease.insert().values(node=pk, host=host, pid=pid, beat=time.time()))
        except sa.exc.IntegrityError:
            raise RoundBusy(f"{what} has just been started by another process; wait for it") from None
    over = threading.Event()
    pulse = threading.Thread(target=_renew, args=(engine, pk, (host, pid), over), daemon=True)
    if engine.url.database:  # an in-memory database has one connection, which threads must not share
        pulse.start()
    try:
        yield
    finally:
        over.set()
        if pulse.ident is not None:
            pulse.join()
        with engine.begin() as connection:
            mine = (c.node == pk, c.host == host, c.pid == pid)
            connection.execute(t.lease.delete().where(*mine))


def _renew(engine: sa.Engine, pk: int, me: tuple[str, int], over: threading.Event) -> None:
    while not over.wait(LEASE_SECONDS / 4):
        # A store that is busy for a moment must not end the round: the next beat comes soon enough.
        with contextlib.suppress(sa.exc.SQLAlchemyError), engine.begin() as connection:
            c = t.lease.c
            mine = (c.node == pk, c.host == me[0], c.pid == me[1])
            connection.execute(t.lease.update().where(*mine).values(beat=time.time()))


def _alive(row: Any, host: str) -> bool:
    if time.time() - row.beat > LEASE_SECONDS:
        return False
    if row.host != host:
        return True
    try:
        os.kill(row.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
