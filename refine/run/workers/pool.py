"""Workers of our own: subprocesses on this machine that are replaced when they die and end when we do."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from pathlib import Path

from refine.errors import RoundStoppedError
from refine.run.resources import VISIBLE, visible
from refine.run.workers.child import Child, ChildDiedError

_kept: ContextVar[list[Pool] | None] = ContextVar("refine_kept_workers", default=None)
_MOST_STRIKES = 8
"""A worker that ends before it has come up is a strike; after so many in a row no other is started."""
_PAUSE = 0.5  # seconds, times the strikes, until the next is started


class Pool:
    """Subprocesses, each of which runs one trial at a time. A context manager.

    They start from a clean interpreter: nothing is forked after TensorFlow is loaded, and a script without a main
    guard is not run again. Jobs and answers go through a pipe of each, which has no address: nobody else can send one.
    ``threads`` are a trial's, ``loading`` the seconds that an objective may take to load in one of them, ``devices`` the GPUs
    that they see in turn, one each; ``None`` for those that ``CUDA_VISIBLE_DEVICES`` lists.
    """

    def __init__(
        self, count: int, threads: int, loading: float, devices: tuple[str, ...] | None = None
    ) -> None:
        self.asked = count, threads, loading, devices
        self._trial_threads, self._loading, self._devices = threads, loading, devices
        self._jobs: queue.SimpleQueue[tuple[Future[bytes], bytes] | None] = queue.SimpleQueue()
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._strikes = 0
        self._given_up: RoundStoppedError | None = None
        self._threads = [
            threading.Thread(target=self._serve, args=(i,), daemon=True, name="refine-worker")
            for i in range(count)
        ]

    def __enter__(self) -> Pool:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for _ in self._threads:
            self._jobs.put(None)
        with self._lock:
            for child in self._children:
                child.end()
        for thread in self._threads:
            thread.join()

    def submit(self, job: bytes) -> Future[bytes]:
        """Has the next free worker run a job; a :class:`refine.run.workers.child.ChildDiedError` where that died."""
        future: Future[bytes] = Future()
        self._jobs.put((future, job))
        return future

    def check(self) -> None:
        """Raises RoundStoppedError where workers do not come up."""
        if self._given_up is not None:
            raise self._given_up

    def _serve(self, number: int) -> None:
        child: Child | None = None
        try:
            while (child := self._ready(number, child)) and (item := self._jobs.get()) is not None:
                future, job = item
                if not future.set_running_or_notify_cancel():
                    continue
                if (child := self._ready(number, child)) is None:  # it may have died while it waited
                    future.set_exception(ChildDiedError("its process was ended"))
                    return
                try:
                    answer = child.ask(job, self._loading)
                except (ChildDiedError, RoundStoppedError) as error:
                    child.close()
                    answer = error
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        except RoundStoppedError as error:
            self._given_up = error
        finally:
            if child is not None:
                child.close()

    def _ready(self, number: int, child: Child | None) -> Child | None:
        """This worker or, where it died, another that has come up; ``None`` where none is wanted any more.

        Raises RoundStoppedError: none comes up.
        """
        while child is None or not child.lives:
            if child is not None:
                child.close()
            if self._over.wait(_PAUSE * self._strikes):
                return None
            with self._lock:
                if self._over.is_set():
                    return None
                self._children = [other for other in self._children if other.lives]
                child = Child(_environment(self._trial_threads, number, self._devices))
                self._children.append(child)
            try:
                child.greet()
                self._strikes = 0
            except RoundStoppedError:
                child.close()
                raise
            except ChildDiedError as error:
                self._strikes += 1
                if self._strikes >= _MOST_STRIKES and not self._over.is_set():
                    raise RoundStoppedError(
                        f"workers end as soon as they start, {self._strikes} times in a row, and of the last one {error}; what "
                        "had finished is stored; see what they print, and run again"
                    ) from None
        return child


@contextlib.contextmanager
def workers_kept() -> Iterator[None]:
    """While the block runs, what runs one round after the other has the workers of the last one, which have loaded everything."""
    if _kept.get() is not None:
        yield
        return
    pools: list[Pool] = []
    token = _kept.set(pools)
    try:
        yield
    finally:
        _kept.reset(token)
        _close(pools)


@contextlib.contextmanager
def pool_of(
    workers: int, count: int, threads: int, loading: float, devices: tuple[str, ...] | None = None
) -> Iterator[Pool]:
    """Workers for so many tasks, as many as that or as there may be: new ones, or those that are kept."""
    pools, fewest, options = _kept.get(), min(workers, count), (threads, loading, devices)
    if pools is None:
        with Pool(fewest, *options) as pool:
            yield pool
        return
    if not (pools and fewest <= pools[0].asked[0] <= workers and pools[0].asked[1:] == options):
        _close(pools)
        pools.append(Pool(fewest, *options).__enter__())
    try:
        yield pools[0]
    except BaseException:
        _close(pools)  # its workers may still be at something
        raise


def _close(pools: list[Pool]) -> None:
    while pools:
        pools.pop().__exit__()


def _environment(threads: int, number: int, devices: tuple[str, ...] | None = None) -> dict[str, str]:
    """What a subprocess starts with, and starts again with; of several GPUs each sees one, in turn."""
    changes = {
        # What the person's script can import, a worker must be able to import.
        "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path),
        # Freed memory goes back to the system at once.
        "MALLOC_TRIM_THRESHOLD_": "65536",
    }
    changes |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    listed = visible()
    if (
        devices is None and len(listed) > 1
    ):  # else all of them would take the first, and the others would idle
        devices = tuple(listed)
    if devices is not None:
        changes[VISIBLE] = devices[number % len(devices)]
    return {**os.environ, **changes}
