"""Workers of our own: subprocesses on this machine that are replaced when they die and end when we do."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

from refine.run.resources import VISIBLE, visible
from refine.run.workers.child import Child, Children

_kept: ContextVar[list[Pool] | None] = ContextVar("refine_kept_workers", default=None)


class Pool:
    """Subprocesses, each of which runs one trial at a time, for a thread each.

    They start from a clean interpreter: nothing is forked after TensorFlow is loaded, and a script without a main
    guard is not run again. Jobs and answers go through a pipe of each, which has no address: nobody else can send one.
    ``threads`` are a trial's, ``loading`` the seconds that an objective may take to load in one of them, ``devices`` the GPUs
    that they see in turn, one each; ``None`` for those that ``CUDA_VISIBLE_DEVICES`` lists.
    """

    def __init__(
        self, count: int, threads: int, loading: float, devices: tuple[str, ...] | None = None
    ) -> None:
        self.asked = count, threads, loading, devices
        self._children = Children(lambda number: _environment(threads, number, devices))
        self._serving = ThreadPoolExecutor(count, thread_name_prefix="refine-worker")

    def close(self) -> None:
        """Ends the workers, whatever they do."""
        self._children.end()
        self._serving.shutdown(cancel_futures=True)
        self._children.close()

    def submit(self, job: bytes, at: Callable[[Child, bool], object]) -> Future[bytes]:
        """Has the next free worker run a job: see :meth:`Children.run`."""
        return self._serving.submit(self._children.run, job, self.asked[2], at)


@contextlib.contextmanager
def workers_kept() -> Iterator[list[Pool]]:
    """While the block runs, what runs one round after the other has the workers of the last one, which have loaded everything."""
    if (pools := _kept.get()) is not None:
        yield pools
        return
    token = _kept.set(pools := [])
    try:
        yield pools
    finally:
        _kept.reset(token)
        _close(pools)


@contextlib.contextmanager
def pool_of(
    workers: int, count: int, threads: int, loading: float, devices: tuple[str, ...] | None = None
) -> Iterator[Pool]:
    """Workers for so many tasks, as many as that or as there may be: new ones, or those that are kept."""
    fewest, options = min(workers, count), (threads, loading, devices)
    with workers_kept() as pools:
        if not (pools and fewest <= pools[0].asked[0] <= workers and pools[0].asked[1:] == options):
            _close(pools)
            pools.append(Pool(fewest, *options))
        try:
            yield pools[0]
        except BaseException:
            _close(pools)  # its workers may still be at something
            raise


def _close(pools: list[Pool]) -> None:
    while pools:
        pools.pop().close()


def _environment(threads: int, number: int, devices: tuple[str, ...] | None = None) -> dict[str, str]:
    """What a subprocess starts with, and starts again with; of several GPUs each sees one, in turn."""
    changes = {
        # What the person's script can import, a worker must be able to import.
        "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path),
        # Freed memory goes back to the system at once.
        "MALLOC_TRIM_THRESHOLD_": "65536",
    }
    changes |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    if devices is None and len(listed := visible()) > 1:
        devices = tuple(listed)  # else all of them would take the first, and the others would idle
    if devices is not None:
        changes[VISIBLE] = devices[number % len(devices)]
    return {**os.environ, **changes}
