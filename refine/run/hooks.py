"""Hooks: what a person wants called while a round runs. Whatever goes wrong in them, the round goes on."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from refine.errors import DesignError, RefineWarning
from refine.trials.trial import FinishedTrial

_log = logging.getLogger(__name__)


def log(level: int, text: str, *values: object, exc_info: bool = False) -> None:
    """Logs for ``refine.run``; a handler that raises ends no round."""
    with contextlib.suppress(Exception):
        _log.log(level, text, *values, exc_info=exc_info)


TrialHook = Callable[[FinishedTrial], object]


class Tracker(Protocol):
    """Follows rounds: see :class:`refine.report.trackers.Tracker`."""

    def start(self, found: Any, /) -> object:
        """A round's call begins."""

    def trial(self, trial: FinishedTrial, /) -> object:
        """A trial has ended."""

    def end(self, found: Any, /) -> object:
        """The round's call has ended."""


def trackers_of(track: Tracker | Sequence[Tracker] | None) -> tuple[Tracker, ...]:
    """The trackers that were given. Raises DesignError: something that is none."""
    given: tuple[Any, ...] = (
        () if track is None else tuple(track) if isinstance(track, list | tuple) else (track,)
    )
    for tracker in given:
        if isinstance(tracker, type) or not all(
            callable(getattr(tracker, name, None)) for name in ("start", "trial", "end")
        ):
            raise DesignError(
                f"track must be a tracker, or a list of them, got {tracker!r}; such as refine.report.trackers.MLflow()"
            )
    return given


def callables(given: Any, name: str) -> tuple[Callable[[Any], object], ...]:
    """The hooks that were given by an option. Raises DesignError: something that can't be called."""
    hooks = () if given is None else tuple(given) if isinstance(given, list | tuple) else (given,)
    for hook in hooks:
        if not callable(hook):
            raise DesignError(
                f"{name} must be a function, or a list of them, got {hook!r}; such as {name}=lambda ended: print(ended)"
            )
    return hooks


class Hooks:
    """Calls hooks one after the other."""

    def __init__(self, given: Any, name: str) -> None:
        self._hooks, self._name = callables(given, name), name
        self._told: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def call(self, argument: Any) -> None:
        """Calls all of them; an exception becomes one warning per hook, and its traceback goes to the log."""
        for i, hook in enumerate(self._hooks):
            try:
                hook(argument)
            except Exception as error:  # noqa: BLE001  # a person's code, whatever it raises
                called = getattr(hook, "__qualname__", type(hook).__name__)
                log(logging.ERROR, "%s: %s raised", self._name, called, exc_info=True)
                if i not in self._told:
                    self._told.add(i)
                    warnings.warn(
                        f"{self._name}: {called} raised {type(error).__name__}: {error}; the round goes on, and further "
                        f"errors of it only go to the log ({__name__})",
                        RefineWarning,
                        stacklevel=2,
                    )
