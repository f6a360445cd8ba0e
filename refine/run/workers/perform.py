"""What the process that runs a trial does with a job: it unpacks the objective once, and calls it."""

from __future__ import annotations

import contextlib
import faulthandler
import pickle
import platform
import sys
import threading
from collections.abc import Callable, Iterator

from refine.errors import ObjectiveError, RoundStoppedError
from refine.run.environment import environment
from refine.run.objective import evaluate, wants_trial
from refine.run.outcome import Outcome, Task, raised
from refine.run.protocols import Objective, offers
from refine.run.workers.packed_objective import unpack
from refine.run.workers.task import Job, opened

WANTED = b""  # what a worker answers that has not got the objective yet

_loaded: dict[str, tuple[Objective, bool]] = {}
_loading = threading.Lock()


def perform(packed: bytes, loaded: Callable[[], None] = lambda: None) -> bytes:
    """Runs a packed :class:`Job`: a pickled outcome, nothing where the objective is not here. ``loaded`` is called when it is.

    Raises RoundStoppedError: the job comes from another version, or the objective can't be loaded here.
    """
    job = opened(packed)
    with _loading:  # threads of one process get the same one
        if job.name not in _loaded:
            sys.path.extend(p for p in job.path if p not in sys.path)
            with _ends_after(job.loading):
                objective = _load(job)
            if objective is None:
                return WANTED
            _loaded.clear()
            _loaded[job.name] = objective, wants_trial(objective)
        objective, with_trial = _loaded[job.name]
    loaded()
    try:
        outcome = run(objective, Task(*job.task), with_trial, job.threads)
    except KeyboardInterrupt as error:  # nobody presses Ctrl-C at a worker: the objective itself raised it
        outcome = raised(error)._replace(environment=environment(job.threads))
    return pickle.dumps(tuple(outcome))


def run(objective: Objective, task: Task, with_trial: bool, threads: int) -> Outcome:
    """Runs a task in this process, and notes what it ran on: after it, since a trial may be the first to load Keras."""
    return evaluate(objective, task, with_trial)._replace(environment=environment(threads))


def _load(job: Job) -> Objective | None:
    try:
        objective = unpack(job.inline, job.file)
        if objective is not None:
            prepare(objective, job.threads)
    except ObjectiveError:
        raise
    except (Exception, SystemExit) as error:
        raise RoundStoppedError(
            f"an objective must load where its trials run, but on {platform.node()} {type(error).__name__}: {error}; what had "
            "finished is stored; install there what the objective imports, and run again"
        ) from error
    return objective


@contextlib.contextmanager
def _ends_after(seconds: float) -> Iterator[None]:
    """Ends this process if the block takes longer, and prints where it hangs: nothing else could end an import."""
    # Neither a thread of Python's nor a signal would come to it while code in C holds the interpreter's lock.
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def prepare(objective: Objective, threads: int) -> None:
    """Sets up the process, where the objective asks for that."""
    if offers(objective, "prepare"):
        objective.prepare(threads)  # type: ignore[attr-defined]
