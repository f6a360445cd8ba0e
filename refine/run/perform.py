"""What the process that runs a trial does with an order: it unpacks the objective once, and calls it."""

from __future__ import annotations

import contextlib
import faulthandler
import pickle
import platform
import sys
import threading
import traceback
from collections.abc import Callable, Iterator

from refine.errors import ObjectiveError, RoundStoppedError
from refine.run.environment import environment
from refine.run.objective import Outcome, Task, evaluate, wants_trial
from refine.run.order import opened
from refine.run.parcel import unpack
from refine.run.protocols import Objective, Prepares
from refine.run.worker import mark

WANTED = b""
"""What a worker answers that has not got the objective yet."""

_loaded: dict[str, tuple[Objective, bool]] = {}
_loading = threading.Lock()


def perform(order: bytes, loaded: Callable[[], None] = lambda: None) -> bytes:
    """Runs a task in this process; unpacks the objective once.

    Args:
        order: A packed :class:`refine.run.order.Order`.
        loaded: Called when the objective is there, before the trial begins.

    Returns:
        The pickled outcome; nothing where the objective is not here.

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
        try:
            outcome = evaluate(objective, Task(*found.task), with_trial)
        except KeyboardInterrupt:  # nobody presses Ctrl-C at a worker: the objective itself raised it
            outcome = Outcome("failed", {}, {}, 0.0, traceback.format_exc(), None)
        return pickle.dumps(tuple(outcome._replace(environment=environment(found.threads))))


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
