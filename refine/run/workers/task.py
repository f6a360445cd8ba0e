"""Jobs for workers: bytes that begin with the versions needed to read the rest.

Imports only Python's own modules.
"""

from __future__ import annotations

import pickle
import platform
import sys
from typing import Any, NamedTuple

from refine._version import VERSION
from refine.errors import RoundStoppedError

LOAD_SECONDS = 600.0  # time limit for unpacking an objective, with its imports, before its first trial begins

_END = b"\n"


class Job(NamedTuple):
    """A trial to run by a worker, with the objective."""

    inline: bytes | None  # the packed objective; ``None`` for one in a file
    file: str | None  # the file of the packed objective
    name: str  # hash of the packed objective
    task: tuple[Any, ...]  # the fields of the :class:`refine.run.outcome.Task`
    threads: int  # threads of the trial
    path: list[str]  # ``sys.path`` of the coordinator
    loading: float  # seconds that loading the objective may take

    def packed(self) -> bytes:
        """The job as bytes, after the versions of this process."""
        # One bytes object: engines sample containers to estimate their size.
        return versions().encode() + _END + pickle.dumps(tuple(self))


def opened(job: bytes) -> Job:
    """The job of packed bytes. Raises RoundStoppedError: packed by another version of Python or refine."""
    end = job.index(_END)
    check_versions(versions(), f"the worker on {platform.node()}", job[:end].decode())
    return Job(*pickle.loads(memoryview(job)[end + 1 :]))


def versions() -> str:
    """The versions that must be equal in two processes that share objectives and jobs."""
    major, minor = sys.version_info[:2]
    return f"{platform.python_implementation()} {major}.{minor} and refine {VERSION}"


def check_versions(of_worker: str, worker: str, of_coordinator: str | None = None) -> None:
    """Checks that a worker and the coordinator have equal versions: bytecode belongs to one Python.

    Args:
        of_worker: Versions of the worker.
        worker: The worker, for the message.
        of_coordinator: Versions of the coordinator, by default of this process.

    Raises:
        RoundStoppedError: The versions differ.
    """
    if of_coordinator is None:
        of_coordinator = versions()
    if of_worker != of_coordinator:
        raise RoundStoppedError(
            f"workers and coordinator must have the same Python and refine, got {of_worker} for {worker} and "
            f"{of_coordinator} for the coordinator; finished trials are stored; install the same on both, "
            "and run again"
        )


def never_loaded(seconds: float) -> RoundStoppedError:
    """The error of an objective not loaded in time."""
    return RoundStoppedError(
        f"the objective and its imports must load within {seconds:g} seconds, and did not; finished trials "
        "are stored; the output of its process shows where it hangs; import less before the trial begins"
    )
