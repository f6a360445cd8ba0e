"""The coordinator's side: which worker runs which trial since when, and the end of those that go too far."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from refine.run.limits import Limits, bytes_text
from refine.run.worker import ENDED, RUNNING, name_of

_EVERY = 0.1
"""Seconds between looks at the marks."""


class Verdict(NamedTuple):
    """Why a trial's worker was killed.

    Attributes:
        state: ``"timeout"``, or ``"crashed"`` where it took too much memory.
        text: The same in words.
        seconds: How long the trial ran.
    """

    state: str
    text: str
    seconds: float


class Mark(NamedTuple):
    """A task that a worker has begun: number, process, and whether it is loading, running or ended."""

    token: int
    pid: int
    phase: str


class Watchdog:
    """Reads the marks of workers on this machine and enforces limits. A context manager.

    Args:
        folder: Where workers leave their marks.
        limits: What a trial may take.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self._limits = folder, limits
        self._verdicts: dict[int, Verdict] = {}
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
        """The mark of a task that a worker has begun, until it is forgotten."""
        return next((m for m in self._marks(f"{token}.*")), None)

    def verdict(self, token: int) -> Verdict | None:
        """Why the task's worker was killed, if it was from here."""
        return self._verdicts.get(token)

    def forget(self, token: int) -> None:
        """Removes the mark of a task whose outcome is known."""
        for found in self._marks(f"{token}.*"):
            (self.folder / name_of(*found)).unlink(missing_ok=True)
        self._verdicts.pop(token, None)

    def _marks(self, pattern: str = "*.*") -> Iterator[Mark]:
        for path in self.folder.glob(pattern):
            parts = path.name.split(".")
            if len(parts) == 3 and parts[0].isdigit():
                yield Mark(int(parts[0]), int(parts[1]), parts[2])

    def _watch(self) -> None:
        while not self._over.wait(_EVERY):
            seen = set()
            for found in self._marks():
                seen.add(found.token)
                if found.phase != ENDED and found.token not in self._verdicts:
                    self._look(found)
            for token in set(self._processes) - seen:
                self._processes.pop(token, None)
                self._began.pop(token, None)

    def _look(self, found: Mark) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):
            # Remembers when the process started, so that another one of the same number is never taken for it.
            process = self._processes.get(found.token)
            if process is None:
                process = self._processes[found.token] = psutil.Process(found.pid)
            if found.phase == RUNNING:
                self._began.setdefault(found.token, time.monotonic())
            seconds = time.monotonic() - self._began.get(found.token, time.monotonic())
            verdict = self._judge(process, seconds)
            if verdict is not None and process.is_running() and (self.folder / name_of(*found)).exists():
                self._verdicts[found.token] = verdict
                children = process.children(recursive=True)
                for victim in (process, *children):
                    with contextlib.suppress(psutil.Error):
                        victim.kill()

    def _judge(self, process: Any, seconds: float) -> Verdict | None:
        timeout, memory = self._limits
        if timeout is not None and seconds > timeout:
            text = f"stopped: it ran longer than timeout={timeout:g} seconds"
            return Verdict("timeout", text, seconds)
        if memory is not None and (held := process.memory_info().rss) > memory:
            text = (
                f"its process held {bytes_text(held)}, more than memory={bytes_text(memory)}, and was killed"
            )
            return Verdict("crashed", text, seconds)
        return None
