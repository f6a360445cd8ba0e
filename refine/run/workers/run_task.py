"""A job in a worker of an executor; ``python -m`` runs a job on standard input and output."""

from __future__ import annotations

import os
import sys
import threading

from refine.run.workers.child import run_in_child
from refine.run.workers.task import opened
from refine.run.workers.worker_main import perform


def run_task(job: bytes) -> bytes:
    """Runs a job in a worker of an executor.

    The main thread of a process, as in a pool of processes, runs the job itself. Other threads, as in a Dask
    worker, have a child process run the job, since threads would share their random generators.
    """
    loading = opened(job).loading  # refuses a worker of another version, and names the version
    if threading.current_thread() is threading.main_thread():
        return perform(job)
    return run_in_child(job, loading)


def main() -> None:
    """Runs the job on standard input, and writes the answer to standard output.

    An objective's own output goes to standard error, because the answer must stay intact.
    """
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        answer.write(run_task(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
