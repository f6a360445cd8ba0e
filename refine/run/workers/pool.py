"""The workers of ``workers=N``: subprocesses on this machine, replaced when they die."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

from refine.errors import ObjectiveError
from refine.run.executors import Capabilities, Limits, NotBegunError, TrialExecutor
from refine.run.machine import VISIBLE, Machine, visible
from refine.run.workers.child import Children
from refine.run.workers.watchdog import Attempt, watched

_kept: ContextVar[list[Pool] | None] = ContextVar("refine_kept_workers", default=None)


class Pool(TrialExecutor):
    """Subprocesses for one trial at a time, with a serving thread per subprocess.

    They start from a clean interpreter: no process is forked after TensorFlow is loaded, and a script without
    a main guard does not run again. Jobs and answers go through pipes without an address, out of reach of
    other processes.

    Args:
        count: Number of subprocesses.
        threads: Threads of a trial.
        loading: Time limit for loading the objective, in seconds.
        devices: GPUs for the workers in turn; without a value, those in ``CUDA_VISIBLE_DEVICES``.
    """

    capabilities = Capabilities(timeout=True, memory=True, cancel=True, local=True)

    def __init__(
        self, count: int, threads: int, loading: float, devices: tuple[str, ...] | None = None
    ) -> None:
        self.count = count
        self.options = (threads, loading, devices)
        self._loading = loading
        self._children = Children(lambda number: _environment(threads, number, devices))
        self._serving = ThreadPoolExecutor(count, thread_name_prefix="refine-worker")
        self.attempts: set[Attempt] = set()  # jobs that workers have

    def close(self) -> None:
        """Ends the workers, also during a trial."""
        self._children.end()
        self._serving.shutdown(cancel_futures=True)
        self._children.close()

    def submit(self, job: bytes, limits: Limits) -> Future[bytes]:
        """Runs a job in the next free worker: see :meth:`Children.run`."""
        return self._serving.submit(self._run, job, Attempt(limits))

    def _run(self, job: bytes, attempt: Attempt) -> bytes:
        self.attempts.add(attempt)
        try:
            return self._children.run(job, self._loading, attempt.note_progress)
        except ObjectiveError:
            raise
        except Exception as error:
            if attempt.ending is not None:
                raise attempt.ending from error
            if attempt.child is None:
                raise NotBegunError(str(error)) from error
            raise
        finally:
            self.attempts.discard(attempt)


@contextlib.contextmanager
def workers_kept() -> Iterator[list[Pool]]:
    """Inside the block consecutive rounds reuse the previous round's warm workers."""
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
def pool_of(machine: Machine, count: int, loading: float) -> Iterator[Pool]:
    """A pool for up to ``count`` trials at a time, reused if a suitable one is kept.

    Inside the block, limits of ``machine`` are enforced.
    """
    needed = min(machine.workers, count)
    options = (machine.threads, loading, machine.devices)
    with workers_kept() as pools:
        if not (pools and needed <= pools[0].count <= machine.workers and pools[0].options == options):
            _close(pools)
            pools.append(Pool(needed, *options))
        try:
            with watched(pools[0].attempts, machine.limits):
                yield pools[0]
        except BaseException:
            _close(pools)  # its workers may still run trials
            raise


def _close(pools: list[Pool]) -> None:
    while pools:
        pools.pop().close()


def _environment(threads: int, number: int, devices: tuple[str, ...] | None = None) -> dict[str, str]:
    """Environment variables of a subprocess; a worker sees one of several GPUs, in turn."""
    changes = {
        # A worker must be able to import the modules that the user's script imports.
        "PYTHONPATH": os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path),
        # Freed memory is returned to the system at once.
        "MALLOC_TRIM_THRESHOLD_": "65536",
    }
    changes |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    if devices is None and len(listed := visible()) > 1:
        devices = tuple(listed)  # otherwise every worker would use the first GPU
    if devices is not None:
        changes[VISIBLE] = devices[number % len(devices)]
    return {**os.environ, **changes}
