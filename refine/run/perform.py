"""What the process that runs a trial does with an order: it unpacks the objective once, and calls it."""

from __future__ import annotations

import contextlib
import faulthandler
import pickle
import platform
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence

from refine.errors import ObjectiveError, RoundStoppedError
from refine.run.environment import TOGETHER, environment
from refine.run.objective import Outcome, Task, evaluate, evaluate_many, wants_trial
from refine.run.order import opened
from refine.run.parcel import unpack
from refine.run.protocols import Objective, Prepares
from refine.run.worker import mark

WANTED = b""
"""What a worker answers that has not got the objective yet."""

_loaded: dict[str, tuple[Objective, bool]] = {}
_loading = threading.Lock()


def perform(order: bytes, loaded: Callable[[], None] = lambda: None) -> bytes:
    """Runs an order's tasks in this process; unpacks the objective once.

    Args:
        order: A packed :class:`refine.run.order.Order`.
        loaded: Called when the objective is there, before the trial begins.

    Returns:
        The pickled outcomes; nothing where the objective is not here.

    Raises:
        RoundStoppedError: The order comes from another version, or the objective can't be loaded here.
    """
    found = opened(order)
    with mark(found.marks, found.token) as begin:
        with _loading:  # threads of one process get the same one
            if found.name not in _loaded:
                sys.path.extend(p for p in found.path if p not in sys.path)
                with _ends_after(found.loading):
                    objective = _load(found.inline, found.file, found.threads)
                if objective is None:
                    begin()
                    return WANTED
                _loaded.clear()
                _loaded[found.name] = objective, wants_trial(objective)
            objective, with_trial = _loaded[found.name]
        begin()
        loaded()
        tasks = [Task(*fields) for fields in found.tasks]
        try:
            outcomes = run(objective, tasks, with_trial, found.threads, together=found.together)
        except KeyboardInterrupt:  # nobody presses Ctrl-C at a worker: the objective itself raised it
            here = environment(found.threads)
            outcomes = [Outcome("failed", {}, {}, 0.0, traceback.format_exc(), None, None, here)] * len(tasks)
        return pickle.dumps([tuple(outcome) for outcome in outcomes])


def run(
    objective: Objective, tasks: Sequence[Task], with_trial: bool, threads: int, *, together: bool
) -> list[Outcome]:
    """Runs tasks in this process, and notes what they ran on.

    Args:
        objective: What to call.
        tasks: One, or several for an objective that runs them at once.
        with_trial: Whether it takes the running trial.
        threads: For each trial.
        together: Whether it runs several at once.
    """
    if together:
        outcomes = evaluate_many(objective, tasks, with_trial)
    else:
        outcomes = [evaluate(objective, task, with_trial) for task in tasks]
    here = environment(threads)  # after them: a trial may be the first to load Keras
    if together:
        here[TOGETHER] = str(len(tasks))
    return [outcome._replace(environment=here) for outcome in outcomes]


def _load(inline: bytes | None, file: str | None, threads: int) -> Objective | None:
    try:
        objective = unpack(inline, file)
        if objective is not None:
            prepare(objective, threads)
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
    if isinstance(objective, Prepares):
        objective.prepare(threads)
