"""The end of trials that go too far: their workers are ended, with everything that they started."""

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

_EVERY = 0.1  # seconds between looks


@dataclass(eq=False)
class Attempt:
    """A task that was handed out, and what is known of it."""

    task: Task
    since: float = field(
        default_factory=time.monotonic
    )  # when it was handed out, got by a worker of ours, or began
    child: Child | None = None  # the worker of ours that has got it
    runs: bool = False  # whether the trial itself has begun there
    ending: Outcome | None = None  # how it ended, where its worker was ended from here

    def at(self, child: Child, runs: bool) -> None:
        """Notes that a worker has got it, or that it has begun there."""
        self.child, self.runs, self.since = child, runs, time.monotonic()


@contextlib.contextmanager
def watched(under_way: Mapping[Future[bytes], Attempt], limits: Limits) -> Iterator[None]:
    """Enforces limits on what is under way while the block runs. The timeout counts from when a trial has begun."""
    if not limits.any:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        took = 0.0
        # A tenth of a core at most, however many processes there are.
        while not over.wait(max(_EVERY, 10 * took)):
            begun = time.thread_time()
            children = {} if limits.memory is None else processes()
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
    seconds = time.monotonic() - attempt.since if attempt.runs else 0.0
    if timeout is not None and seconds > timeout:
        return timed_out(timeout, seconds)
    if memory is not None and (used := _held(below(child.process.pid, children), memory)) > memory:
        return out_of_memory(used, memory, seconds)
    return None


def _held(family: Sequence[int], memory: int) -> int:
    """Bytes that processes hold: where that seems too much, with what they share counted once."""
    import psutil

    def total(call: str, kind: str) -> int:
        held = 0
        for pid in family:
            with contextlib.suppress(psutil.Error):  # it has ended
                held += getattr(getattr(psutil.Process(pid), call)(), kind)
        return held

    resident = total("memory_info", "rss")
    shares = psutil.LINUX and len(family) > 1 and resident > memory
    return total("memory_full_info", "pss") if shares else resident
