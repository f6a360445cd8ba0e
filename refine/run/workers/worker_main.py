"""Jobs in the process of the trials: the objective is unpacked once, and called per job."""

from __future__ import annotations

import faulthandler
import pickle
import platform
import sys
import threading
from collections.abc import Callable

from refine.errors import ObjectiveError, RoundStoppedError
from refine.run.environment import environment
from refine.run.objective import evaluate, wants_trial
from refine.run.outcome import Outcome, Task, raised
from refine.run.protocols import Objective, offers
from refine.run.workers.packed_objective import unpack
from refine.run.workers.task import Job, opened

WANTED = b""  # answer of a worker that needs the objective

_loaded: dict[str, tuple[Objective, bool]] = {}
_loading = threading.Lock()


def perform(packed: bytes, loaded: Callable[[], None] = lambda: None) -> bytes:
    """Runs a packed :class:`Job`, and returns the pickled outcome.

    Args:
        packed: The job.
        loaded: Called when the objective is loaded.

    Returns:
        The outcome, or :data:`WANTED` if the objective must be sent.

    Raises:
        RoundStoppedError: The job comes from another version, or the objective cannot be loaded here.
    """
    job = opened(packed)
    with _loading:  # threads of one process share the objective
        if job.name not in _loaded:
            sys.path.extend(p for p in job.path if p not in sys.path)
            # Imports have no timeout: this prints the stack and ends the process. Threads and signal handlers
            # of Python do not run while code in C holds the interpreter's lock.
            faulthandler.dump_traceback_later(job.loading, exit=True, file=2)
            try:
                objective = _load(job)
            finally:
                faulthandler.cancel_dump_traceback_later()
            if objective is None:
                return WANTED
            _loaded.clear()
            _loaded[job.name] = objective, wants_trial(objective)
        objective, with_trial = _loaded[job.name]
    loaded()
    try:
        outcome = run(objective, Task(*job.task), with_trial, job.threads)
    except KeyboardInterrupt as error:  # raised by the objective itself: workers get no Ctrl-C
        outcome = raised(error)._replace(environment=environment(job.threads))
    return pickle.dumps(tuple(outcome))


def run(objective: Objective, task: Task, with_trial: bool, threads: int) -> Outcome:
    """Runs a task in this process, and notes the environment after the trial, which may load Keras."""
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
            f"an objective must load on every worker, but on {platform.node()} {type(error).__name__}: "
            f"{error}; finished trials are stored; install the objective's imports there, and run again"
        ) from error
    return objective


def prepare(objective: Objective, threads: int) -> None:
    """Sets up the process, if the objective has a setup method."""
    if offers(objective, "prepare"):
        objective.prepare(threads)  # type: ignore[attr-defined]
