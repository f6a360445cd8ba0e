"""A job in a worker of an executor."""

from __future__ import annotations

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
