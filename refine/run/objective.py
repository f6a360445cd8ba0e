"""Calling an objective in the process of the trial. Touches no store."""

from __future__ import annotations

import inspect
import os
import time
import traceback
from collections.abc import Collection
from typing import Any, NoReturn

from refine.errors import ObjectiveError
from refine.run.configuration import Configuration
from refine.run.identity import objective_name
from refine.run.outcome import Outcome, Task, raised, returned
from refine.run.protocols import Objective
from refine.run.running_trial import RunningTrial, _running
from refine.run.seeding import seed_everything
from refine.run.signals import may_come_from_keyboard
from refine.run.working_folder import kept_working_folder
from refine.space.encoding import decode, thaw
from refine.trials.trial import State
from refine.utils.standard_streams import flush_streams


def wants_trial(objective: Objective, names: Collection[str] = ()) -> bool:
    """True if an objective takes the running trial: its second positional parameter is required or ``trial``.

    Args:
        objective: The objective.
        names: Parameters of the space, to recognise a function with a parameter for every name.

    Raises:
        ObjectiveError: The objective cannot be called with a configuration.
    """
    rule = "an objective must be a function of a configuration, got"
    if not callable(objective):
        raise ObjectiveError(
            f"{rule} {type(objective).__name__}; write def objective(params): ... and give objective itself, "
            "without brackets"
        )
    if inspect.isclass(objective):
        raise ObjectiveError(
            f"{rule} the class {objective.__name__}; give an instance that can be called, or one of its "
            "methods"
        )
    try:
        parameters = inspect.signature(objective).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p.name for p in positional if p.default is p.empty]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    takes = f"{objective_name(objective)}: an objective takes a configuration"
    if len(required) > 2 or (len(required) == 2 and set(required) <= set(names)):
        raise ObjectiveError(
            f"{takes}, or a configuration and the running trial, but it requires ({', '.join(required)}); "
            f"{_instead(required, names)}"
        )
    if keywords or not (positional or any(p.kind is p.VAR_POSITIONAL for p in parameters)):
        needs = "takes no argument"
        if keywords:
            needs = f"requires {', '.join(keywords)} by name"
        elif parameters:
            needs = "takes keywords alone"
        raise ObjectiveError(
            f"{takes} as its first argument, but it {needs}; write def objective(params): ..."
        )
    return len(required) == 2 or [p.name for p in positional[1:2]] == ["trial"]


def _instead(required: list[str], names: Collection[str]) -> str:
    """The signature to write instead of a signature with too many required parameters."""
    if len(required) == 5 and not set(required) & set(names):
        return (
            "a model function (x_train, y_train, x_val, y_val, params) goes into refine.keras.KerasObjective"
        )
    if required[0] in names:
        key = required[0]
    else:
        key = "name"
    return f"write def objective(params): ... and read params[{key!r}]"


def evaluate(objective: Objective, task: Task, with_trial: bool) -> Outcome:
    """Runs a trial in this process, seeded first; the working directory stays.

    An exception of the objective is a ``failed`` outcome with its traceback, even SystemExit, or a
    KeyboardInterrupt raised by the objective. Raises KeyboardInterrupt: Ctrl-C was pressed.
    """
    process = os.getpid()
    running = RunningTrial(task.seed, task.limit)
    token = _running.set(running)
    started = time.perf_counter()
    read: set[str] = set()
    try:
        values = {name: thaw(decode(value)) for name, value in task.configuration.items()}
        configuration = Configuration(values, read, task.absent)
        seed_everything(task.seed)
        started = time.perf_counter()
        with kept_working_folder():
            if with_trial:
                result = objective(configuration, running)
            else:
                result = objective(configuration)
    except BaseException as error:  # any exception of the objective is an outcome of the trial
        pressed = isinstance(error, KeyboardInterrupt) and may_come_from_keyboard()
        if pressed and os.getpid() == process:
            raise
        result = error
    finally:
        _running.reset(token)
    if os.getpid() != process:
        _end_forked_child(result)
    return _outcome(task, running, read, result, time.perf_counter() - started)


def _end_forked_child(result: object) -> NoReturn:
    """Ends a process forked by the objective, if the process leaves the objective as the parent does.

    Otherwise the child would run the rest of the round. The exit status is as usual for Python programs.
    """
    status = 0
    if isinstance(result, SystemExit) and (result.code is None or isinstance(result.code, int)):
        status = result.code or 0
    elif isinstance(result, BaseException):
        status = 1
        traceback.print_exception(result)
    flush_streams()
    os._exit(status & 0xFF)


def _outcome(task: Task, running: RunningTrial, read: set[str], result: Any, seconds: float) -> Outcome:
    """The outcome of a trial, from the return value or the exception of the objective."""
    if issubclass(type(result), BaseException):  # ``isinstance`` would ask the object itself
        outcome = raised(result, running.curve)
    else:
        outcome = returned(result, running.curve, pruned=running.pruned)
    names: tuple[str, ...] | None = tuple(name for name in task.configuration if name in read)
    unnoted = (
        not names and outcome.state == State.COMPLETE
    )  # read in a way that the configuration cannot note
    if unnoted or len(names or ()) == len(task.configuration):
        names = None
    return outcome._replace(seconds=seconds, read=names, examples=running.examples)
