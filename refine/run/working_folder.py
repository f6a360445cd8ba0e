"""The working directory of a process, restored after each trial that changes it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator


class _Remembered:
    """The working directory before the first of the trials that run now in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.trials = 0
        self.folder: str | None = None


_remembered = _Remembered()


@contextlib.contextmanager
def kept_working_folder() -> Iterator[None]:
    """Restores the working directory of the process after a trial.

    Threads share one working directory: overlapping trials restore the directory from before the first of
    these trials. A deleted directory is not restored.
    """
    with _remembered.lock:
        if _remembered.trials == 0:
            _remembered.folder = _present()
        _remembered.trials += 1
    try:
        yield
    finally:
        with _remembered.lock:
            _remembered.trials -= 1
            if _remembered.folder is not None and _present() != _remembered.folder:
                with contextlib.suppress(OSError):
                    os.chdir(_remembered.folder)


def _present() -> str | None:
    """The working directory; ``None`` if it was deleted."""
    try:
        return os.getcwd()  # noqa: PTH109  # a path would be made for every trial
    except OSError:
        return None
