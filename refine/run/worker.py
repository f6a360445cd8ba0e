"""A worker's side of things: it ends with its coordinator, and leaves a mark while it runs a trial."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LOADING, RUNNING, ENDED = "loading", "running", "ended"
"""What a worker does with a trial: gets the objective, runs it, or has its outcome, which may be on its way. The
timeout counts while it runs."""

_EVERY = 0.5
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def leash(coordinator: int) -> None:
    """Ties this process to another one: when that is gone, it ends, whatever it does.

    Args:
        coordinator: Process id of the other one, which started this one.
    """
    threading.Thread(target=_watch, args=(coordinator,), daemon=True, name="refine-leash").start()


def die_with_parent() -> None:
    """Has the kernel end this process with the thread that started it."""
    if sys.platform.startswith("linux"):
        # The kernel does it even while a trial holds the interpreter's lock.
        with contextlib.suppress(OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _watch(coordinator: int) -> None:
    while os.getppid() == coordinator:
        time.sleep(_EVERY)
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def mark(folder: str | None, token: int) -> Iterator[Callable[[], None]]:
    """Says in the folder what this process does with a task, by the name of an empty file that the coordinator removes.

    Args:
        folder: Where the coordinator looks; ``None`` marks nothing.
        token: Number of the task.

    Yields:
        What to call when the trial itself begins.
    """
    if folder is None:
        yield lambda: None
        return
    here, pid = Path(folder), os.getpid()
    loading, running, ended = (here / name_of(token, pid, phase) for phase in (LOADING, RUNNING, ENDED))
    loading.touch()

    def begin() -> None:
        loading.replace(running)

    yield begin
    running.replace(ended)  # not where it died, or raised outside of the objective


def name_of(token: int, pid: int, phase: str) -> str:
    """The name of a mark."""
    return f"{token}.{pid}.{phase}"
