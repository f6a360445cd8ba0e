"""Running tasks: in this process, on a local cluster of subprocesses, or on anybody's executor.

One coordinator hands out tasks and takes in outcomes; whoever runs a task touches no store.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path
from typing import Protocol

from refine.errors import DesignError, ObjectiveError
from refine.objective import Objective, Outcome, Task, evaluate, wants_trial

_PER_WORKER = 2
_CRASHED = "the process that ran this trial died; it was tried once more, alone, and died again"

Loaded = tuple[Objective, bool]


class Tasks(Protocol):
    """Tasks in a list, or made one by one when they are taken."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Task]: ...


_loaded: dict[str, Loaded] = {}


def outcomes_of(
    stack: contextlib.ExitStack,
    objective: Objective,
    tasks: Tasks,
    *,
    workers: int,
    executor: Executor | None,
    threads: int,
    ahead: int = _PER_WORKER,
) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks in this process, on an executor, or on a local cluster that lives as long as ``stack``."""
    if executor is not None:
        return run_on(executor, objective, tasks, threads, workers, shared_disk=False, ahead=ahead)
    if workers > 1:
        cluster = stack.enter_context(local_cluster(min(workers, len(tasks)), threads))
        return run_on(cluster, objective, tasks, threads, workers, shared_disk=True, ahead=ahead)
    return run_here(objective, tasks, threads)


def run_here(objective: Objective, tasks: Iterable[Task], threads: int) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks one after the other in this process."""
    with_trial = wants_trial(objective)
    _prepare(objective, threads)
    for task in tasks:
        yield task, evaluate(objective, task, with_trial)


def run_on(
    executor: Executor,
    objective: Objective,
    tasks: Iterable[Task],
    threads: int,
    workers: int,
    shared_disk: bool,
    ahead: int = _PER_WORKER,
) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks on an executor, yielding outcomes as they come.

    Args:
        executor: Any ``concurrent.futures`` executor.
        objective: Travels by value (cloudpickle), so that it may be defined in a script or notebook.
        tasks: Taken lazily: never more than ``ahead`` per worker are in flight.
        threads: For each trial.
        workers: How many run at a time.
        shared_disk: Whether every worker sees this machine's temporary folder; then the objective and its
            data are written there once instead of travelling with every task.
        ahead: How many tasks per worker may be under way; the next is taken when one has ended.

    A task whose worker dies is tried once more when nothing else is running; if its worker dies again it
    is ``crashed``.
    """
    wants_trial(objective)
    payload = _pack(objective)
    name = hashlib.sha256(payload).hexdigest()
    with contextlib.ExitStack() as stack:
        source: bytes | str = payload
        if shared_disk:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="refine-"))
            path = Path(folder) / name
            path.write_bytes(payload)
            source = str(path)
        todo = iter(tasks)
        alone: deque[Task] = deque()
        flying: dict[Future[bytes], Task] = {}
        tried: set[tuple[str, int, int]] = set()

        def submit(task: Task) -> None:
            # One string of bytes there and one back: engines sample containers too to guess their size.
            order = pickle.dumps((source, name, tuple(task), threads, sys.path))
            flying[executor.submit(run_task, order)] = task

        while True:
            while len(flying) < ahead * workers and (task := next(todo, None)) is not None:
                submit(task)
            if not flying:
                if not alone:
                    return
                submit(alone.popleft())
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                task = flying.pop(future)
                identity = (task.key, task.replicate, task.attempt)
                error = future.exception()
                if error is None:
                    yield task, Outcome(*pickle.loads(future.result()))
                elif isinstance(error, ObjectiveError):
                    raise error
                elif identity not in tried:
                    tried.add(identity)
                    alone.append(task)
                else:
                    text = f"{_CRASHED}\n{type(error).__name__}: {error}"
                    yield task, Outcome("crashed", {}, {}, 0.0, text, None)


def run_task(order: bytes) -> bytes:
    """What a worker does: unpacks the objective once, then runs the task.

    Args:
        order: Pickled ``(objective or its file, name, task, threads, import path)``.

    Returns:
        The pickled outcome.
    """
    source, name, fields, threads, path = pickle.loads(order)
    if name not in _loaded:
        sys.path.extend(p for p in path if p not in sys.path)
        payload = Path(source).read_bytes() if isinstance(source, str) else source
        objective = pickle.loads(payload)
        _prepare(objective, threads)
        _loaded.clear()
        _loaded[name] = objective, wants_trial(objective)
    objective, with_trial = _loaded[name]
    return pickle.dumps(tuple(evaluate(objective, Task(*fields), with_trial)))


@contextlib.contextmanager
def local_cluster(workers: int, threads: int) -> Iterator[Executor]:
    """An executor over a local Dask cluster of subprocesses on the loopback interface.

    Subprocesses start from a clean interpreter: nothing is forked after TensorFlow is loaded, and a script
    without a main guard is not run again. When the coordinator dies, they end.
    """
    import dask
    from distributed import Client, Scheduler
    from distributed.deploy.spec import SpecCluster
    from distributed.deploy.subprocess import SubprocessWorker

    environment = {
        # What the person's script can import, a worker must be able to import.
        "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path),
        # To decide what to send from a thread, the engine would sample every message for its size, with the
        # very random generator that the trial was seeded with.
        "DASK_DISTRIBUTED__COMM__OFFLOAD": "False",
        # The engine's profiler keeps the stacks of an hour: half a megabyte a trial, which every collection of
        # garbage goes through again, so that trials took ever longer.
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    }
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment[variable] = str(threads)
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # retries are ours
        "distributed.scheduler.worker-saturation": 1.0,  # a dying worker takes one task with it
        "distributed.worker.daemon": False,
        "distributed.admin.system-monitor.gil.enabled": False,
    }
    options = {
        "host": "127.0.0.1",
        "nthreads": 1,
        "memory_limit": 0,
        "dashboard": False,
        "silence_logs": 40,
    }
    with tempfile.TemporaryDirectory(prefix="refine-dask-") as folder, dask.config.set(settings):
        worker = {
            "cls": SubprocessWorker,
            "options": {"worker_kwargs": {**options, "local_directory": folder}},
        }
        # Without an address of its own the scheduler would ask for port 8787 even with the dashboard off.
        scheduler = {
            "cls": Scheduler,
            "options": {
                "host": "127.0.0.1",
                "port": 0,
                "dashboard": False,
                "dashboard_address": "127.0.0.1:0",
            },
        }
        with (
            _environment(environment) as restore,  # what the subprocesses start with, and start again with
            SpecCluster(
                workers=dict.fromkeys(range(workers), worker),
                scheduler=scheduler,
                worker=worker,
                silence_logs=40,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            client.wait_for_workers(workers, timeout=120)
            restore()
            yield client.get_executor(pure=False, retries=0)


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[Callable[[], None]]:
    """Environment variables for subprocesses to start with; yields what puts the old ones back early."""
    before = dict(os.environ)

    def restore() -> None:
        os.environ.clear()
        os.environ.update(before)

    os.environ.update(changes)
    try:
        yield restore
    finally:
        restore()


def check_workers(workers: int, threads: int) -> None:
    """Raises DesignError unless both are whole numbers >= 1."""
    for name, value in (("workers", workers), ("threads", threads)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DesignError(f"{name} must be a whole number >= 1, got {value!r}")


def _prepare(objective: Objective, threads: int) -> None:
    prepare = getattr(objective, "prepare", None)
    if callable(prepare):
        prepare(threads)


def _pack(objective: Objective) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(objective))
    except Exception as error:
        raise ObjectiveError(
            f"an objective must be picklable to travel to workers, but {type(error).__name__}: {error}; build what "
            "can't travel inside the function, or run with workers=1"
        ) from error
