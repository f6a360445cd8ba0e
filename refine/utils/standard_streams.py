"""Standard streams that may be missing: a daemon, ``2>&-`` and pythonw have no standard error."""

from __future__ import annotations

import contextlib
import os
import sys


def print_error(text: str) -> None:
    """Prints a line to standard error; nothing without one, or if its terminal is gone.

    A signal handler may call this in the middle of a write of the progress bar to the same stream.
    """
    if sys.stderr is None:
        return
    with contextlib.suppress(RuntimeError, OSError, ValueError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def flush_streams() -> None:
    """Flushes standard output and standard error, if they are there."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def reserve_descriptors() -> None:
    """Opens the null device in place of closed standard streams.

    Otherwise the next file, pipe or socket of this process would get the number of a standard stream, and
    output of C libraries and of child processes would be written into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number: this one, since the numbers below are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
