"""Which worker runs which trial since when, by marks that workers leave in a folder, and the end of those that go too far."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from refine.run.outcome import Outcome, out_of_memory, timed_out
from refine.run.resources import Limits
from refine.run.supervisor import below, processes

LOADING, RUNNING, ENDED = "loading", "running", "ended"
"""What a worker does with a trial: gets the objective, runs it, or has its outcome, which may be on its way. The
timeout counts while it runs."""

_EVERY = 0.1  # seconds between looks at the marks


class Mark(NamedTuple):
    """A job that a worker has begun, as the name of an empty file says it: number, process, and what it does."""

    token: int
    pid: int
    phase: str

    def __str__(self) -> str:
        return f"{self.token}.{self.pid}.{self.phase}"


@contextlib.contextmanager
def mark(folder: str | None, token: int) -> Iterator[Callable[[], None]]:
    """Says in a folder what this process does with a job, by a file that the coordinator removes; ``None`` marks nothing.

    Yields what to call when the trial itself begins.
    """
    if folder is None:
        yield lambda: None
        return
    loading, running, ended = (
        Path(folder, str(Mark(token, os.getpid(), phase))) for phase in (LOADING, RUNNING, ENDED)
    )
    loading.touch()

    def begin() -> None:
        loading.replace(running)

    yield begin
    with contextlib.suppress(
        FileNotFoundError
    ):  # somebody removed the folder: what the trial gave is not lost
        running.replace(ended)  # not where it died, or raised outside of the objective


class Watchdog:
    """Reads the marks of workers on this machine and enforces limits. A context manager."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self._limits = folder, limits
        self._endings: dict[int, Outcome] = {}
        self._processes: dict[int, Any] = {}
        self._began: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="refine-watchdog")

    def __enter__(self) -> Watchdog:
        if self._limits.any:
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def begun(self, token: int) -> Mark | None:
        """The mark of a job that a worker has begun, until it is forgotten."""
        return next((m for m in self._marks(f"{token}.*")), None)

    def since(self, known: Mark) -> float:
        """When a worker began what it does, in seconds since the epoch: its mark was renamed then."""
        with contextlib.suppress(OSError):
            return (self.folder / str(known)).stat().st_ctime
        return time.time()

    def ending(self, token: int) -> Outcome | None:
        """How the job's trials ended, if their worker was killed from here."""
        return self._endings.get(token)

    def forget(self, token: int) -> None:
        """Removes the mark of a job whose outcome is known."""
        for known in self._marks(f"{token}.*"):
            (self.folder / str(known)).unlink(missing_ok=True)
        self._endings.pop(token, None)

    def _marks(self, pattern: str = "*.*") -> Iterator[Mark]:
        for path in self.folder.glob(pattern):
            parts = path.name.split(".")
            if len(parts) == 3 and parts[0].isdigit():
                yield Mark(int(parts[0]), int(parts[1]), parts[2])

    def _watch(self) -> None:
        took = 0.0
        # A tenth of a core at most, however many processes there are.
        while not self._over.wait(max(_EVERY, 10 * took)):
            seen, begun = set(), time.thread_time()
            children = {} if self._limits.memory is None else processes()
            for known in self._marks():
                seen.add(known.token)
                if known.phase != ENDED and known.token not in self._endings:
                    self._look(known, children)
            took = time.thread_time() - begun
            for token in set(self._processes) - seen:
                self._processes.pop(token, None)
                self._began.pop(token, None)

    def _look(self, known: Mark, children: Mapping[int, Sequence[int]]) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):
            # Remembers when the process started, so that another one of the same number is never taken for it.
            process = self._processes.get(known.token)
            if process is None:
                process = self._processes[known.token] = psutil.Process(known.pid)
            if known.phase == RUNNING:
                self._began.setdefault(known.token, time.monotonic())
            seconds = time.monotonic() - self._began.get(known.token, time.monotonic())
            ending = self._exceeded(process, seconds, children)
            if ending is not None and process.is_running() and (self.folder / str(known)).exists():
                self._endings[known.token] = ending
                process.kill()  # and its supervisor what it started

    def _exceeded(
        self, process: Any, seconds: float, children: Mapping[int, Sequence[int]]
    ) -> Outcome | None:
        timeout, memory = self._limits
        if timeout is not None and seconds > timeout:
            return timed_out(timeout, seconds)
        if memory is not None and (used := _held(process, memory, children)) > memory:
            return out_of_memory(used, memory, seconds)
        return None


def _held(process: Any, memory: int, children: Mapping[int, Sequence[int]]) -> int:
    """Bytes that a process and those below it hold: where that seems too much, with what they share counted once."""
    import psutil

    def total(call: str, field: str) -> int:
        held = 0
        for pid in family:
            with contextlib.suppress(psutil.Error):  # it has ended
                held += getattr(getattr(psutil.Process(pid), call)(), field)
        return held

    family = [process.pid, *below(process.pid, children)]
    resident = total("memory_info", "rss")
    shares = psutil.LINUX and len(family) > 1 and resident > memory
    return total("memory_full_info", "pss") if shares else resident
