"""Running tasks: in this process, on subprocesses, or on anybody's executor.

One coordinator hands out tasks and takes in outcomes; whoever runs a task touches no store.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from queue import Empty, SimpleQueue

from refine.errors import ObjectiveError, RoundStoppedError
from refine.run.child import ChildDiedError, run_in_child
from refine.run.cluster import Pulse
from refine.run.monitor import Watchdog
from refine.run.objective import Outcome, Task, wants_trial
from refine.run.options import Resources
from refine.run.order import LOAD_SECONDS, Order, opened, versions
from refine.run.parcel import Parcel, pack
from refine.run.perform import WANTED, perform, prepare, run
from refine.run.pool import Pool, pool_of
from refine.run.protocols import Objective
from refine.run.scratch import own_folder
from refine.run.together import Packs
from refine.run.worker import ENDED

PER_WORKER = 2
"""How many tasks per worker may be under way."""
_CRASHED = "the process that ran this trial died; it was tried once more, alone, and died again"
_BROKE = "this trial broke outside of its objective; it was tried once more, alone, and broke again"
_UNBEGUN = 5
"""A task that its worker had not begun, or had ended, when it died is handed out again, so many times before it is
suspected."""
_POLL = 0.25


def never() -> bool:
    """Nobody asks to stop."""
    return False


def outcomes_of(
    stack: contextlib.ExitStack,
    objective: Objective,
    tasks: Iterable[Task],
    count: int,
    resources: Resources,
    *,
    stop: Callable[[], bool] = never,
    ahead: int = PER_WORKER,
    together: bool = True,
) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks in this process, on an executor, or on subprocesses that live as long as ``stack``.

    Args:
        stack: Closes what is started here.
        objective: What to call.
        tasks: Taken lazily.
        count: How many they are, for not to start more workers than tasks.
        resources: What they run on; with a limit even one worker is a subprocess, since this process can't be killed.
        stop: Asked before a task is handed out; once it is true, what runs comes to its end and nothing else.
        ahead: How many tasks per worker may be under way.
        together: Whether several may run at once, by an objective that offers it.
    """
    workers, threads, limits = resources.workers, resources.threads, resources.limits
    tasks = itertools.takewhile(lambda _: not stop(), tasks)
    wants_trial(objective)
    packs = Packs(objective, count, workers, wanted=together and not limits.any)
    if resources.in_this_process:
        return run_here(objective, tasks, threads, packs)
    parcel = pack(objective)  # what can't travel is said before anything is started
    folder = stack.enter_context(own_folder())
    local, pulse, executor = None, None, resources.executor
    if executor is None:
        pool = stack.enter_context(pool_of(workers, count, threads, LOAD_SECONDS, resources.devices))
        send, local = pool.submit, (pool, stack.enter_context(Watchdog(folder, limits)))
    else:
        pulse = Pulse(executor)

        def send(order: bytes) -> Future[bytes]:
            return executor.submit(run_task, order)

    return run_on(
        send,
        parcel,
        folder,
        tasks,
        threads,
        workers,
        packs,
        stop=stop,
        ahead=ahead,
        local=local,
        pulse=pulse,
    )


def run_here(
    objective: Objective, tasks: Iterable[Task], threads: int, packs: Packs
) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks one after the other, or pack after pack, in this process."""
    with_trial = wants_trial(objective)
    prepare(objective, threads)
    todo = iter(tasks)
    while pack := packs.take(lambda: next(todo, None)):
        outcomes = run(objective, pack, with_trial, threads, together=packs.together)
        packs.tell(outcomes)
        yield from zip(pack, outcomes, strict=True)


def run_on(
    send: Callable[[bytes], Future[bytes]],
    parcel: Parcel,
    folder: Path,
    tasks: Iterable[Task],
    threads: int,
    workers: int,
    packs: Packs,
    *,
    stop: Callable[[], bool] = never,
    ahead: int = PER_WORKER,
    local: tuple[Pool, Watchdog] | None = None,
    pulse: Pulse | None = None,
) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks on whatever runs an order, yielding outcomes as they come.

    Args:
        send: Has somebody run an order: see :func:`refine.run.perform.perform`.
        parcel: The packed objective, which travels by value.
        folder: Where it is written, for the workers that see this machine's files.
        tasks: Taken lazily: never more than ``ahead`` per worker are in flight.
        threads: For each trial.
        workers: How many run at a time.
        packs: Says how many run together.
        stop: Whether to hand out nothing new.
        ahead: How many tasks per worker may be under way; the next is taken when one has ended.
        local: Workers on this machine, and who watches over them: they tell in the folder what they run.
        pulse: Tells whether anybody is left to run something, of somebody's executor.

    A task whose worker dies while it runs, with those that ran together with it, is tried once more when nothing else is
    running; if its worker dies again it is ``crashed``. One that was only waiting for that worker is handed out again.
    """
    watchdog = local[1] if local else None
    marks = str(folder) if watchdog else None
    inline = parcel.inline()
    path = parcel.write(folder) if inline is None else None
    todo = iter(tasks)
    back: deque[Task] = deque()
    alone: deque[Task] = deque()
    flying: dict[Future[bytes], tuple[int, tuple[Task, ...]]] = {}
    ended: SimpleQueue[Future[bytes]] = (
        SimpleQueue()
    )  # waiting for all would look at each of thousands every time
    tried: set[tuple[str, int, int]] = set()
    unbegun: Counter[tuple[str, int, int]] = Counter()
    tokens = itertools.count()

    def submit(pack: tuple[Task, ...], *, whole: bool = False, together: bool = packs.together) -> None:
        token = next(tokens)
        sent = parcel.inline(whole=True) if whole else inline
        fields = tuple(map(tuple, pack))
        order = Order(
            sent, path, parcel.name, fields, together, threads, sys.path, marks, token, LOAD_SECONDS
        ).packed()
        try:
            future = send(order)
        except RuntimeError as error:  # a pool one of whose processes died takes nothing any more
            raise RoundStoppedError(
                f"the executor takes no more trials ({type(error).__name__}: {error}); what had finished is stored; "
                "run again with a new executor, or with workers=N, where a dead process costs one trial"
            ) from error
        flying[future] = token, pack
        future.add_done_callback(ended.put)

    def next_task() -> Task | None:
        return back.popleft() if back else next(todo, None)

    try:
        while True:
            while not stop() and len(flying) < ahead * workers and (pack := packs.take(next_task)):
                submit(pack)
            if stop() and watchdog is not None:
                for future, (token, _) in list(flying.items()):
                    if watchdog.begun(token) is None and future.cancel():
                        del flying[future]
            if not flying:
                if not alone or stop():
                    return
                submit((alone.popleft(),), together=False)
            ends: ObjectiveError | None = None
            lost = False
            for future in _waited(ended):
                if future not in flying:  # was cancelled
                    continue
                token, pack = flying.pop(future)
                error = CancelledError("by the executor") if future.cancelled() else future.exception()
                if error is None:
                    if watchdog is not None:
                        watchdog.forget(token)
                    answer = future.result()
                    if answer != WANTED:
                        outcomes = [Outcome(*fields) for fields in pickle.loads(answer)]
                        packs.tell(outcomes)
                        yield from zip(pack, outcomes, strict=True)
                    elif not stop():
                        submit(pack, whole=True)
                    continue
                if local is None and isinstance(error, ImportError | AttributeError):
                    error = RoundStoppedError(  # no worker came so far as to say which versions it has
                        f"workers need the {versions()} of the coordinator, and one can't load it ({type(error).__name__}: {error}); "
                        "what had finished is stored; install the same there, and run again"
                    )
                if isinstance(error, ObjectiveError):
                    ends = error  # once those that ended beside it are stored
                    continue
                lost = True
                found = None if watchdog is None else watchdog.begun(token)
                verdict = None if watchdog is None else watchdog.verdict(token)
                for task in pack:
                    identity = (task.key, task.replicate, task.attempt)
                    if verdict is not None and verdict.state == "timeout":
                        yield task, Outcome("timeout", {}, {}, verdict.seconds, verdict.text, None)
                    elif (
                        watchdog is not None
                        and (found is None or found.phase == ENDED)
                        and unbegun[identity] < _UNBEGUN
                    ):
                        unbegun[identity] += 1
                        back.append(task)
                    elif identity not in tried:
                        tried.add(identity)
                        alone.append(task)
                    else:
                        died = watchdog is None or verdict is not None or isinstance(error, ChildDiedError)
                        how = f"{type(error).__name__}: {error}" if verdict is None else verdict.text
                        text = f"{_CRASHED if died else _BROKE}\n{how}"
                        yield task, Outcome("crashed", {}, {}, 0.0, text, None)
                if watchdog is not None:
                    watchdog.forget(token)
            if ends is not None:
                raise ends
            if pulse is not None:
                pulse.check(at_once=lost)
            if local is not None:
                local[0].check()
    finally:
        for future in flying:
            future.cancel()  # where nobody waits for it any more


def _waited(ended: SimpleQueue[Future[bytes]]) -> list[Future[bytes]]:
    """All that have ended, once one has; none after a while."""
    found = []
    with contextlib.suppress(Empty):
        found.append(ended.get(timeout=_POLL))
        while True:
            found.append(ended.get_nowait())
    return found


def run_task(order: bytes) -> bytes:
    """What a worker of somebody's executor does: runs the task where nobody else draws from the process' random generators.

    Pools that run tasks in their main thread have such processes. A thread of anything else, such as a worker of a Dask
    cluster or a pool of threads, has a child process run it.

    Args:
        order: See :func:`refine.run.perform.perform`.

    Returns:
        The pickled outcome; nothing where the objective is not here.
    """
    loading = opened(order).loading  # another version is refused here, where its name can be said
    if threading.current_thread() is threading.main_thread():
        return perform(order)
    return run_in_child(order, loading)
