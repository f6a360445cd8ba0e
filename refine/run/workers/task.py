"""Tasks on their way to a worker: one string of bytes, which says first which versions can read the rest; imports Python alone."""

from __future__ import annotations

import pickle
import platform
import sys
from typing import Any, NamedTuple

from refine._version import VERSION
from refine.errors import RoundStoppedError

# So long an objective may take to be unpacked and to import what it needs, before any of its trials begins.
LOAD_SECONDS = 600.0

_END = b"\n"


class Job(NamedTuple):
    """What a worker runs, and what with."""

    inline: bytes | None  # the packed objective; ``None`` where it is in a file, or wanted by nobody yet
    file: str | None  # that file
    name: str  # says what is in it
    task: tuple[Any, ...]  # the fields of the :class:`refine.run.outcome.Task`
    threads: int  # for the trial
    path: list[str]  # where the coordinator imports from
    loading: float  # seconds that the objective may take to load

    def packed(self) -> bytes:
        """The job with the versions of this process before it."""
        # One string of bytes: engines sample containers to guess their size.
        return versions().encode() + _END + pickle.dumps(tuple(self))


def opened(job: bytes) -> Job:
    """The job that was packed. Raises RoundStoppedError: by another Python or refine, whose jobs this one can't read."""
    end = job.index(_END)
    check_versions(versions(), f"the worker on {platform.node()}", job[:end].decode())
    return Job(*pickle.loads(memoryview(job)[end + 1 :]))


def versions() -> str:
    """What decides whether two processes can read each other's objectives and jobs."""
    major, minor = sys.version_info[:2]
    return f"{platform.python_implementation()} {major}.{minor} and refine {VERSION}"


def check_versions(theirs: str, who: str, ours: str | None = None) -> None:
    """Lets only processes of the same versions work together: functions travel as bytecode, which belongs to a Python.

    Raises RoundStoppedError: those of whoever runs trials and of the coordinator (default this process) differ.
    """
    ours = versions() if ours is None else ours
    if theirs != ours:
        raise RoundStoppedError(
            f"trials are read by the same Python and refine that sent them: {who} has {theirs}, the coordinator {ours}; what "
            "had finished is stored; install the same on both, and run again"
        )


def never_loaded(seconds: float) -> RoundStoppedError:
    """What is said of an objective that did not load in time."""
    return RoundStoppedError(
        f"the objective must be unpacked, with all that this imports, within {seconds:g} seconds, and was not; what had "
        "finished is stored; see where it hangs in what its process printed, or import less before the trial begins"
    )
