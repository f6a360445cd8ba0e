"""Hands tasks to this process or to an executor, and takes in outcomes. Workers never access the store."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue
from typing import NamedTuple

from refine.errors import ObjectiveError, RoundStoppedError
from refine.run.executors import NotBegunError, TimeLimitError, TrialExecutor
from refine.run.machine import Machine
from refine.run.objective import wants_trial
from refine.run.outcome import Outcome, Task, crashed, timed_out
from refine.run.protocols import Objective
from refine.run.workers.child import ChildDiedError
from refine.run.workers.cluster_health import ClusterHealth
from refine.run.workers.concurrent_executor import trial_executor
from refine.run.workers.packed_objective import PackedObjective, pack
from refine.run.workers.pool import pool_of
from refine.run.workers.task import LOAD_SECONDS, Job, versions
from refine.run.workers.temp_folder import own_folder
from refine.run.workers.worker_main import WANTED, prepare, run

PER_WORKER = 2  # tasks per worker that may be under way
_UNBEGUN = 5  # times that a task is handed out again whose worker died before it got the task
_POLL = 0.25  # seconds to wait for an ended task


def outcomes_of(
    stack: contextlib.ExitStack,
    objective: Objective,
    tasks: Iterable[Task],
    count: int,
    machine: Machine,
    *,
    stop: Callable[[], bool] = lambda: False,
    ahead: int = PER_WORKER,
) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks in this process, on an executor, or on subprocesses.

    If a worker dies while running a task, the task is tried once more without other tasks; if the worker dies
    again, the trial is ``crashed``. A task still waiting for a dead worker is handed out again. With a limit
    even one worker is a subprocess, since this process cannot be killed.

    Args:
        stack: Ends the subprocesses at its close.
        objective: The objective.
        tasks: The tasks, taken one by one.
        count: Number of tasks, which caps the number of workers started.
        machine: Workers and limits.
        stop: Called before a task is handed out. Once true, running tasks finish and no task begins.
        ahead: Tasks per worker that may be under way.
    """
    tasks = itertools.takewhile(lambda _: not stop(), tasks)
    with_trial = wants_trial(objective)
    if machine.in_this_process:
        prepare(objective, machine.threads)
        return ((task, run(objective, task, with_trial, machine.threads)) for task in tasks)
    packed = pack(objective)  # an objective that cannot be pickled is an error before any worker starts
    inline = packed.inline()
    if inline is None:
        path = packed.write(stack.enter_context(own_folder()))
    else:
        path = None
    if machine.executor is None:
        executor: TrialExecutor = stack.enter_context(pool_of(machine, count, LOAD_SECONDS))
    else:
        executor = trial_executor(machine.executor)
    dispatch = _Dispatch(executor, packed, inline=inline, path=path, tasks=tasks, machine=machine, stop=stop)
    return dispatch.outcomes(ahead)


class _Attempt(NamedTuple):
    """A task handed out."""

    task: Task
    handed_out: float  # time, from :func:`time.monotonic`
    with_objective: bool  # whether the objective was sent with the task


class _Dispatch:
    """Hands out tasks and takes in outcomes.

    For the arguments see :func:`outcomes_of`. A small objective is sent ``inline``, a large one lies at
    ``path``.
    """

    def __init__(
        self,
        executor: TrialExecutor,
        packed: PackedObjective,
        inline: bytes | None,
        path: str | None,
        tasks: Iterable[Task],
        machine: Machine,
        stop: Callable[[], bool],
    ) -> None:
        self._executor = executor
        self._health = ClusterHealth(executor.cluster)
        self._packed = packed
        self._stop = stop
        self._threads = machine.threads
        self._limits = machine.limits
        self._workers = machine.workers
        self._inline = inline
        self._path = path
        self._tasks = iter(tasks)
        self._to_resubmit: deque[Task] = deque()
        self._to_run_alone: deque[Task] = deque()
        self._under_way: dict[Future[bytes], _Attempt] = {}
        # Ended futures; waiting for all of thousands would check every one of them each time.
        self._ended: SimpleQueue[Future[bytes]] = SimpleQueue()
        self._lost_once: set[tuple[str, int, int]] = set()
        self._unbegun: Counter[tuple[str, int, int]] = Counter()

    def outcomes(self, ahead: int) -> Iterator[tuple[Task, Outcome]]:
        """Runs the tasks, and yields outcomes as the tasks end."""
        try:
            while self._hand_out(ahead * self._workers):
                lost = False
                stopping: ObjectiveError | None = None
                for future in self._wait():
                    if future not in self._under_way:  # cancelled
                        continue
                    attempt = self._under_way.pop(future)
                    error = CancelledError("by the executor") if future.cancelled() else future.exception()
                    if error is None:
                        try:
                            outcome = self._outcome(future.result(), attempt)
                        except RoundStoppedError as unreadable:
                            stopping = unreadable
                            continue
                    elif stopping_error := self._stopping_error(error):
                        stopping = stopping_error  # raised when trials that ended at the same time are stored
                        continue
                    else:
                        lost = True
                        outcome = self._outcome_of_lost(attempt, error)
                    if outcome is not None:
                        yield attempt.task, outcome
                if stopping is not None:
                    raise stopping
                self._health.check(lost)
        finally:
            for future in self._under_way:
                future.cancel()

    def _hand_out(self, limit: int) -> bool:
        """Submits tasks until ``limit`` are under way. Returns True if tasks are under way."""
        while not self._stop() and len(self._under_way) < limit:
            task = self._to_resubmit.popleft() if self._to_resubmit else next(self._tasks, None)
            if task is None:
                break
            self._submit(task)
        if self._stop() and self._executor.capabilities.cancel:
            for future in [future for future in self._under_way if future.cancel()]:
                del self._under_way[future]
        if not self._under_way and self._to_run_alone and not self._stop():
            self._submit(self._to_run_alone.popleft())
        return bool(self._under_way)

    def _submit(self, task: Task, *, send_objective: bool = False) -> None:
        if send_objective:
            inline = self._packed.inline(any_size=True)
        else:
            inline = self._inline
        job = Job(
            inline,
            self._path,
            name=self._packed.name,
            task=tuple(task),
            threads=self._threads,
            path=sys.path,
            loading=LOAD_SECONDS,
        )
        attempt = _Attempt(task, time.monotonic(), inline is not None)
        try:
            future = self._executor.submit(job.packed(), self._limits)
        except Exception as error:  # a pool with a dead process, or a closed client
            raise RoundStoppedError(
                f"the executor takes no more trials ({type(error).__name__}: {error}); finished trials are "
                "stored; run again with a new executor, or with workers=N, where a dead process costs one "
                "trial"
            ) from error
        self._under_way[future] = attempt
        future.add_done_callback(self._ended.put)

    def _wait(self) -> list[Future[bytes]]:
        """Futures that have ended, as soon as one has; an empty list after a while."""
        futures = []
        with contextlib.suppress(Empty):
            futures.append(self._ended.get(timeout=_POLL))
            while True:
                futures.append(self._ended.get_nowait())
        return futures

    def _outcome(self, answer: bytes, attempt: _Attempt) -> Outcome | None:
        """The outcome in a worker's answer.

        ``None`` if the worker needs the objective, which is then sent.

        Raises:
            RoundStoppedError: The answer cannot be read.
        """
        if answer == WANTED and not attempt.with_objective:
            if not self._stop():
                self._submit(attempt.task, send_objective=True)
            return None
        try:
            return Outcome(*pickle.loads(answer))
        except Exception as error:
            raise RoundStoppedError(
                f"an executor must return the bytes of run_task unchanged, and the answer {answer!r:.40} "
                f"cannot be read ({type(error).__name__}: {error}); finished trials are stored; keep an "
                "objective's prints out of the answer, for example by python -m refine.run.workers.run_task"
            ) from error

    def _stopping_error(self, error: BaseException) -> ObjectiveError | None:
        """The error, if the whole round must stop and not one trial."""
        if not self._executor.capabilities.local and isinstance(error, ImportError | AttributeError):
            return RoundStoppedError(  # the worker failed before it could compare versions
                f"workers need the {versions()} of the coordinator, and one cannot load it "
                f"({type(error).__name__}: {error}); finished trials are stored; install the same there, and "
                "run again"
            )
        if isinstance(error, ObjectiveError):
            return error
        return None

    def _outcome_of_lost(self, attempt: _Attempt, error: BaseException) -> Outcome | None:
        """The outcome of a task whose worker is gone; ``None`` if the task will be handed out again."""
        task = attempt.task
        identity = (task.key, task.replicate, task.attempt)
        if isinstance(error, TimeLimitError):
            return timed_out(error)
        if isinstance(error, NotBegunError) and self._unbegun[identity] < _UNBEGUN:
            self._unbegun[identity] += 1
            self._to_resubmit.append(task)
            return None
        if identity not in self._lost_once:
            self._lost_once.add(identity)
            self._to_run_alone.append(task)
            return None
        died = not self._executor.capabilities.local or isinstance(error, ChildDiedError)
        return crashed(error, time.monotonic() - attempt.handed_out, died=died)
