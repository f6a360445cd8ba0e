"""What the process that runs a trial does with an order: it unpacks the objective once, and calls it."""

from __future__ import annotations

import pickle
import sys
import threading
import traceback

from refine.run.objective import Outcome, Task, evaluate, wants_trial
from refine.run.parcel import unpack
from refine.run.protocols import Objective, Prepares
from refine.run.worker import mark

WANTED = b""
"""What a worker answers that has not got the objective yet."""

_loaded: dict[str, tuple[Objective, bool]] = {}
_loading = threading.Lock()


def perform(order: bytes) -> bytes:
    """Runs a task in this process; unpacks the objective once.

    Args:
        order: Pickled ``(objective or None, its file, its name, task, threads, import path, (folder of marks, number))``.

    Returns:
        The pickled outcome; nothing where the objective is not here.
    """
    inline, file, name, fields, threads, path, place = pickle.loads(order)
    with mark(*place) as begin:
        with _loading:  # threads of one process get the same one
            if name not in _loaded:
                sys.path.extend(p for p in path if p not in sys.path)
                found = unpack(inline, file)
                if found is None:
                    begin()
                    return WANTED
                prepare(found, threads)
                _loaded.clear()
                _loaded[name] = found, wants_trial(found)
            objective, with_trial = _loaded[name]
        begin()
        try:
            outcome = evaluate(objective, Task(*fields), with_trial)
        except KeyboardInterrupt:  # nobody presses Ctrl-C at a worker: the objective itself raised it
            outcome = Outcome("failed", {}, {}, 0.0, traceback.format_exc(), None)
        return pickle.dumps(tuple(outcome))


def prepare(objective: Objective, threads: int) -> None:
    """Sets up the process, where the objective asks for that."""
    if isinstance(objective, Prepares):
        objective.prepare(threads)
