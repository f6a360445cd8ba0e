"""Callbacks and trackers of calls that run trials, and the log; their exceptions never end a round."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from refine.errors import DesignError, RefineWarning

if TYPE_CHECKING:
    from refine.trials.trial import FinishedTrial

_log = logging.getLogger(__name__)

TrialHook = Callable[["FinishedTrial"], object]
# Functions that are called with a round.
RoundHook = Callable[[Any], object]


def log(level: int, text: str, *values: object, exc_info: bool = False) -> None:
    """Logs for ``refine.run``; a handler that raises does not end a round."""
    with contextlib.suppress(Exception):
        _log.log(level, text, *values, exc_info=exc_info)


class Tracker(Protocol):
    """Follows rounds: see :class:`refine.report.trackers.Tracker`."""

    def start(self, record: object, /) -> object:
        """A round's call begins."""

    def trial(self, trial: FinishedTrial, /) -> object:
        """A trial has ended."""

    def end(self, record: object, /) -> object:
        """The round's call has ended."""


def trackers_of(track: Tracker | Sequence[Tracker] | None) -> tuple[Tracker, ...]:
    """The trackers of the option ``track``. Raises DesignError: an object that is not a tracker."""
    trackers: tuple[Any, ...] = _several(track)
    for tracker in trackers:
        methods = [getattr(tracker, name, None) for name in ("start", "trial", "end")]
        if isinstance(tracker, type) or not all(map(callable, methods)):
            raise DesignError(
                f"track must be a tracker or a list of trackers, got {tracker!r}; for example "
                "refine.report.trackers.MLflow()"
            )
    return trackers


def _several(value: object) -> tuple[Any, ...]:
    """The items of an option: a value, a list, or nothing."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(value)
    return (value,)


def callables(hooks: object, name: str) -> tuple[Callable[[Any], object], ...]:
    """The functions of the option ``name``. Raises DesignError: an object that cannot be called."""
    functions = _several(hooks)
    for function in functions:
        if not callable(function):
            raise DesignError(
                f"{name} must be a function or a list of functions, got {function!r}; for example "
                f"{name}=lambda ended: print(ended)"
            )
    return functions


class Hooks:
    """The functions of an option, called one after the other."""

    def __init__(self, hooks: object, name: str) -> None:
        self._hooks = callables(hooks, name)
        self._name = name
        self._warned: set[int] = set()  # positions of functions that have raised

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def call(self, argument: object) -> None:
        """Calls every function.

        An exception becomes a warning, once per function, with a traceback in the log.
        """
        for i, hook in enumerate(self._hooks):
            try:
                hook(argument)
            except Exception as error:  # noqa: BLE001  # a person's code, whatever it raises
                called = getattr(hook, "__qualname__", type(hook).__name__)
                log(logging.ERROR, "%s: %s raised", self._name, called, exc_info=True)
                if i not in self._warned:
                    self._warned.add(i)
                    warnings.warn(
                        f"{self._name}: {called} raised {type(error).__name__}: {error}; the round "
                        f"continues, and further errors of {called} only go to the log ({__name__})",
                        RefineWarning,
                        stacklevel=2,
                    )
