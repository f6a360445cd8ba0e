"""Limits on running trials: the worker of a trial beyond a limit is ended, with all descendants."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from refine.run.outcome import Outcome, Task, out_of_memory, timed_out
from refine.run.resources import Limits
from refine.run.supervisor import below, processes
from refine.run.workers.child import Child

_EVERY = 0.1  # seconds between checks


@dataclass(eq=False)
class Attempt:
    """A task handed out to a worker."""

    task: Task
    since: float = field(
        default_factory=time.monotonic
    )  # time of its last progress: handed out, received, begun
    child: Child | None = None  # the worker that has the task; ``None`` before, and on an executor
    runs: bool = False  # whether the trial has begun
    ending: Outcome | None = None  # the outcome, if a limit ended its worker

    def note_progress(self, child: Child, runs: bool) -> None:
        """Notes that a worker has the task, or that the trial has begun."""
        self.child = child
        self.runs = runs
        self.since = time.monotonic()


@contextlib.contextmanager
def watched(under_way: Mapping[Future[bytes], Attempt], limits: Limits) -> Iterator[None]:
    """Enforces limits on running trials inside the block.

    The timeout counts from the beginning of a trial.
    """
    if not limits.any:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        took = 0.0
        # At most a tenth of a core, with any number of processes.
        while not over.wait(max(_EVERY, 10 * took)):
            begun = time.thread_time()
            if limits.memory is None:
                children = {}
            else:
                children = processes()
            for future, attempt in list(under_way.items()):
                if attempt.child is not None and attempt.ending is None and not future.done():
                    attempt.ending = _exceeded(attempt, attempt.child, limits, children)
                    if attempt.ending is not None:
                        attempt.child.end()
            took = time.thread_time() - begun

    thread = threading.Thread(target=watch, daemon=True, name="refine-watchdog")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _exceeded(
    attempt: Attempt, child: Child, limits: Limits, children: Mapping[int, Sequence[int]]
) -> Outcome | None:
    timeout, memory = limits
    if attempt.runs:
        seconds = time.monotonic() - attempt.since
    else:
        seconds = 0.0
    if timeout is not None and seconds > timeout:
        return timed_out(timeout, seconds)
    if memory is not None:
        used = _memory_of(below(child.process.pid, children), memory)
        if used > memory:
            return out_of_memory(used, memory, seconds)
    return None


def _memory_of(family: Sequence[int], memory: int) -> int:
    """Bytes held by processes. If they seem to exceed ``memory``, shared pages are counted once."""
    import psutil

    def total(call: str, kind: str) -> int:
        size = 0
        for pid in family:
            with contextlib.suppress(psutil.Error):  # the process has ended
                size += getattr(getattr(psutil.Process(pid), call)(), kind)
        return size

    resident = total("memory_info", "rss")
    shares = psutil.LINUX and len(family) > 1 and resident > memory
    if shares:
        return total("memory_full_info", "pss")
    return resident
