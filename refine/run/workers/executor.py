"""Running tasks, in this process, on subprocesses, or on anybody's executor; whoever runs one touches no store."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue
from typing import NamedTuple

from refine.errors import ObjectiveError, RoundStoppedError
from refine.run.objective import wants_trial
from refine.run.outcome import Outcome, Task, crashed
from refine.run.protocols import Objective
from refine.run.resources import Resources
from refine.run.workers.child import ChildDiedError, run_in_child
from refine.run.workers.packed_objective import PackedObjective, pack
from refine.run.workers.perform import WANTED, perform, prepare, run
from refine.run.workers.pool import pool_of
from refine.run.workers.pulse import Pulse
from refine.run.workers.task import LOAD_SECONDS, Job, opened, versions
from refine.run.workers.temp_folder import own_folder
from refine.run.workers.watchdog import Attempt, watched
from refine.trials.trial import State

PER_WORKER = 2  # how many tasks per worker may be under way
# A task that no worker had got when it died is handed out again, so many times before it is suspected.
_UNBEGUN = 5
_POLL = 0.25


def outcomes_of(
    stack: contextlib.ExitStack,
    objective: Objective,
    tasks: Iterable[Task],
    count: int,
    resources: Resources,
    *,
    stop: Callable[[], bool] = lambda: False,
    ahead: int = PER_WORKER,
) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks in this process, on an executor, or on subprocesses that live as long as ``stack``.

    A task whose worker dies while it runs is tried once more when nothing else is running; if its worker dies again it is
    ``crashed``. One that was only waiting for that worker is handed out again. With a limit even one worker is a subprocess,
    since this process can't be killed.

    Tasks are taken lazily, never more than ``ahead`` per worker are under way, and there are ``count`` of them, for not to start
    more workers. ``stop`` is asked before one is handed out; once it is true, what runs comes to its end and nothing else.
    """
    tasks = itertools.takewhile(lambda _: not stop(), tasks)
    with_trial = wants_trial(objective)
    if resources.in_this_process:
        prepare(objective, resources.threads)
        return ((task, run(objective, task, with_trial, resources.threads)) for task in tasks)
    packed = pack(objective)  # what can't travel is said before anything is started
    inline = packed.inline()
    path = packed.write(stack.enter_context(own_folder())) if inline is None else None
    if (executor := resources.executor) is not None:
        way = _Way(lambda job, _: executor.submit(run_task, job), Pulse(executor).check, ours=False)
    else:
        start = resources.workers, count, resources.threads, LOAD_SECONDS, resources.devices
        pool = stack.enter_context(pool_of(*start))
        way = _Way(lambda job, attempt: pool.submit(job, attempt.at), lambda _: None, ours=True)
    dispatch = _Dispatch(way, packed, inline, path, tasks, resources, stop)
    stack.enter_context(watched(dispatch.under_way, resources.limits))
    return dispatch.outcomes(ahead)


class _Way(NamedTuple):
    """How jobs reach workers."""

    submit: Callable[[bytes, Attempt], Future[bytes]]  # has somebody run a packed job
    check: Callable[[bool], None]  # raises where nobody is left to run one; told whether a job was just lost
    ours: bool  # whether it says of an attempt what a worker does with it


class _Dispatch:
    """Hands out tasks and takes in outcomes. Arguments: see :func:`outcomes_of`; a large objective is not inline but at a path."""

    def __init__(
        self,
        way: _Way,
        packed: PackedObjective,
        inline: bytes | None,
        path: str | None,
        tasks: Iterable[Task],
        resources: Resources,
        stop: Callable[[], bool],
    ) -> None:
        self._way, self._packed, self._stop = way, packed, stop
        self._threads, self._workers = resources.threads, resources.workers
        self._inline, self._path = inline, path
        self._todo = iter(tasks)
        self._again: deque[Task] = deque()
        self._alone: deque[Task] = deque()
        self.under_way: dict[Future[bytes], Attempt] = {}
        # Waiting for all would look at each of thousands every time.
        self._ended: SimpleQueue[Future[bytes]] = SimpleQueue()
        self._tried: set[tuple[str, int, int]] = set()
        self._unbegun: Counter[tuple[str, int, int]] = Counter()

    def outcomes(self, ahead: int) -> Iterator[tuple[Task, Outcome]]:
        """Runs all, yielding outcomes as they come."""
        stop, under_way, most = self._stop, self.under_way, ahead * self._workers
        try:
            while True:
                while not stop() and len(under_way) < most and (task := self._next_task()) is not None:
                    self._submit(task)
                if stop() and self._way.ours:
                    for future in [future for future in under_way if future.cancel()]:
                        del under_way[future]
                if not under_way:
                    if not self._alone or stop():
                        return
                    self._submit(self._alone.popleft())
                lost = False
                refused: ObjectiveError | None = None
                for future in self._waited():
                    if future not in under_way:  # was cancelled
                        continue
                    attempt = under_way.pop(future)
                    error = CancelledError("by the executor") if future.cancelled() else future.exception()
                    outcome = None
                    if error is None:
                        outcome = self._answered(future.result(), attempt.task)
                    elif (stopped := self._stopping(error)) is not None:
                        refused = stopped  # raised once those that ended beside it are stored
                        continue
                    else:
                        lost = True
                        outcome = self._lost(attempt, error)
                    if outcome is not None:
                        yield attempt.task, outcome
                if refused is not None:
                    raise refused
                self._way.check(lost)
        finally:
            for future in under_way:
                future.cancel()  # where nobody waits for it any more

    def _next_task(self) -> Task | None:
        return self._again.popleft() if self._again else next(self._todo, None)

    def _submit(self, task: Task, *, whole: bool = False) -> None:
        inline = self._packed.inline(whole=True) if whole else self._inline
        job = Job(inline, self._path, self._packed.name, tuple(task), self._threads, sys.path, LOAD_SECONDS)
        attempt = Attempt(task)
        try:
            future = self._way.submit(job.packed(), attempt)
        except Exception as error:  # a pool one of whose processes died, or a client that was closed
            raise RoundStoppedError(
                f"the executor takes no more trials ({type(error).__name__}: {error}); what had finished is stored; "
                "run again with a new executor, or with workers=N, where a dead process costs one trial"
            ) from error
        self.under_way[future] = attempt
        future.add_done_callback(self._ended.put)

    def _waited(self) -> list[Future[bytes]]:
        """All that have ended, once one has; none after a while."""
        futures = []
        with contextlib.suppress(Empty):
            futures.append(self._ended.get(timeout=_POLL))
            while True:
                futures.append(self._ended.get_nowait())
        return futures

    def _answered(self, answer: bytes, task: Task) -> Outcome | None:
        if answer != WANTED:
            return Outcome(*pickle.loads(answer))
        if not self._stop():
            self._submit(task, whole=True)
        return None

    def _stopping(self, error: BaseException) -> ObjectiveError | None:
        """The error, if it ends the round and not a trial."""
        if not self._way.ours and isinstance(error, ImportError | AttributeError):
            return RoundStoppedError(  # no worker came so far as to say which versions it has
                f"workers need the {versions()} of the coordinator, and one can't load it ({type(error).__name__}: {error}); "
                "what had finished is stored; install the same there, and run again"
            )
        return error if isinstance(error, ObjectiveError) else None

    def _lost(self, attempt: Attempt, error: BaseException) -> Outcome | None:
        """How a task ended whose worker is gone; ``None`` where it is kept to be handed out again, or tried alone."""
        task, ending = attempt.task, attempt.ending
        identity = (task.key, task.replicate, task.attempt)
        if ending is not None and ending.state == State.TIMEOUT:
            return ending
        if self._way.ours and attempt.child is None and self._unbegun[identity] < _UNBEGUN:
            self._unbegun[identity] += 1
            self._again.append(task)
            return None
        if identity not in self._tried:
            self._tried.add(identity)
            self._alone.append(task)
            return None
        if ending is not None:
            return crashed(str(ending.error), ending.seconds, died=True)
        died = not self._way.ours or isinstance(error, ChildDiedError)
        return crashed(f"{type(error).__name__}: {error}", time.monotonic() - attempt.since, died=died)


def run_task(job: bytes) -> bytes:
    """What a worker of somebody's executor does: a job, in its process if it has that for itself, as in pools of processes.

    A thread of anything else, such as of a Dask worker, has a child process run it: others would draw from its random numbers.
    """
    loading = opened(job).loading  # another version is refused here, where its name can be said
    if threading.current_thread() is threading.main_thread():
        return perform(job)
    return run_in_child(job, loading)
