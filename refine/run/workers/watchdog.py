"""Limits on running trials: the worker of a trial beyond a limit is ended, with all descendants."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from refine.run.executors import LimitExceededError, Limits, MemoryLimitError, TimeLimitError
from refine.run.supervisor import below, processes
from refine.run.workers.child import Child

_EVERY = 0.1  # seconds between checks


@dataclass(eq=False)
class Attempt:
    """A job that a worker of the pool has, or waits for."""

    limits: Limits
    child: Child | None = None  # the worker that has the job; ``None`` before
    time_of_progress: float = 0.0  # time of its last progress, from :func:`time.monotonic`: received, begun
    runs: bool = False  # whether the trial has begun
    ending: LimitExceededError | None = None  # the limit, if a limit ended its worker

    def note_progress(self, child: Child, runs: bool) -> None:
        """Notes that a worker has the job, or that the trial has begun."""
        self.child = child
        self.runs = runs
        self.time_of_progress = time.monotonic()


@contextlib.contextmanager
def watched(attempts: Collection[Attempt], limits: Limits) -> Iterator[None]:
    """Ends workers of attempts beyond their limits inside the block, if the block has ``limits``.

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
            for attempt in tuple(attempts):
                if attempt.child is not None and attempt.ending is None:
                    attempt.ending = _exceeded(attempt, attempt.child, children)
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
    attempt: Attempt, child: Child, children: Mapping[int, Sequence[int]]
) -> LimitExceededError | None:
    timeout, memory = attempt.limits
    seconds = 0.0
    if attempt.runs:
        seconds = time.monotonic() - attempt.time_of_progress
    if timeout is not None and seconds > timeout:
        return TimeLimitError(timeout, seconds)
    if memory is not None:
        used = _memory_of(below(child.process.pid, children), memory)
        if used > memory:
            return MemoryLimitError(memory, seconds, used)
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
