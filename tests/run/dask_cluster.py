"""Contexts with a number of workers: Dask with its own processes, Ray, and other kinds of executors."""

import contextlib
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import refine
from tests.elsewhere import library


@contextlib.contextmanager
def dask_cluster(folder, workers=1, threads=1, **options):
    """Yields a client and the processes, the scheduler first. Options go to each worker's ``Popen``."""
    from distributed import Client

    file = folder / "scheduler.json"
    local = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file))
    dask = [sys.executable, "-P", "-m", "dask"]
    quiet = {"stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen([*dask, "scheduler", "--port", "0", *local], **quiet)]
    try:
        while not file.exists():
            assert processes[0].poll() is None
            time.sleep(0.1)
        worker = [*dask, "worker", "--no-nanny", "--nthreads", str(threads), *local]
        processes += [subprocess.Popen(worker, **quiet, **options) for _ in range(workers)]
        with Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
            if workers:
                client.wait_for_workers(workers, timeout=60)
            yield client, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def foreign_dask(threads):
    """One worker of a cluster as a person starts it, with settings that this package doesn't make."""
    with tempfile.TemporaryDirectory() as folder, dask_cluster(Path(folder), threads=threads) as (client, _):
        yield refine.DaskExecutor(client)


@contextlib.contextmanager
def ray(count, **options):
    """So many tasks of Ray at a time, on this machine; whoever asks first starts it, for all tests."""
    engine = library("ray", ".venv-backends")
    if not engine.is_initialized():
        engine.init(
            num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, logging_level="error"
        )
    yield refine.RayExecutor(**{"num_cpus": 2 / count, **options})


def processes(count):
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"))


def loky(count):
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(count)
