"""A local Dask cluster of subprocesses that are replaced when they die and end when we do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from refine.errors import RoundStoppedError
from refine.run.worker import COORDINATOR, hush

_START_SECONDS = 120
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_SHORT_LIFE = 3.0
_MOST_STRIKES = 8
"""A worker that lives shorter than so many seconds without having had a trial is a strike; after so many in a row
the cluster is given up."""


class Workers:
    """What is known of a cluster's processes.

    Attributes:
        executor: Runs on them.
        deaths: Process id -> exit code of those that ended.
        strikes: How many in a row ended as soon as they had started.
    """

    executor: Executor

    def __init__(self) -> None:
        self.deaths: dict[int, int] = {}
        self.strikes = 0

    def check(self) -> None:
        """Raises RoundStoppedError where workers do not come up."""
        if self.strikes >= _MOST_STRIKES:
            raise RoundStoppedError(
                f"workers end as soon as they start, {self.strikes} times in a row, last with exit code "
                f"{list(self.deaths.values())[-1]}; what had finished is stored; see what they print, and run again"
            )


@contextlib.contextmanager
def local_cluster(count: int, threads: int) -> Iterator[Workers]:
    """Subprocesses on the loopback interface, as an executor.

    They start from a clean interpreter: nothing is forked after TensorFlow is loaded, and a script without a main
    guard is not run again. They are in sessions of their own, so that a Ctrl-C at the terminal is the coordinator's
    alone. One that dies is replaced; when the coordinator dies, they end.

    Args:
        count: How many.
        threads: For each trial.

    Raises:
        RoundStoppedError: No worker comes up.
    """
    import dask
    from distributed import Client, Scheduler
    from distributed.deploy.spec import SpecCluster

    settings = {
        "distributed.scheduler.allowed-failures": 0,  # retries are ours
        "distributed.scheduler.worker-saturation": 1.0,  # a dying worker takes one task with it
        # A trial may hold the interpreter's lock for as long as it likes: a process is dead when it has ended.
        "distributed.scheduler.worker-ttl": None,
        "distributed.admin.system-monitor.gil.enabled": False,
    }
    hush()
    found = Workers()
    with tempfile.TemporaryDirectory(prefix="refine-dask-") as folder, dask.config.set(settings):
        options = {
            "host": "127.0.0.1",
            "nthreads": 1,
            "memory_limit": 0,
            "dashboard": False,
            "silence_logs": 40,
            "local_directory": folder,
            "preload": ["refine.run.worker"],
        }
        shared = {"found": found, "worker_class": "distributed.Worker", "worker_kwargs": options}
        workers = {
            i: {"cls": _worker_class(), "options": {**shared, "environment": _environment(threads, i)}}
            for i in range(count)
        }
        # Without an address of its own the scheduler would ask for port 8787 even with the dashboard off.
        scheduler = {
            "cls": Scheduler,
            "options": {
                "host": "127.0.0.1",
                "port": 0,
                "dashboard": False,
                "dashboard_address": "127.0.0.1:0",
            },
        }
        with (
            SpecCluster(
                workers=workers,
                scheduler=scheduler,
                silence_logs=50,  # a worker that died is in its trial, in our words
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            try:
                client.wait_for_workers(count, timeout=_START_SECONDS)
            except TimeoutError:
                found.check()
                raise RoundStoppedError(
                    f"workers={count}: not all of them came up within {_START_SECONDS} seconds; see what they print, "
                    "or ask for fewer"
                ) from None
            found.executor = client.get_executor(pure=False, retries=0)
            yield found


def _environment(threads: int, number: int) -> dict[str, str]:
    """What a subprocess starts with, and starts again with.

    Args:
        threads: For each trial.
        number: Of the subprocess, from 0: of several GPUs that are listed as visible, each sees one, in turn.
    """
    changes = {
        # What the person's script can import, a worker must be able to import.
        "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path),
        # To decide what to send from a thread, the engine would sample every message for its size, with the
        # very random generator that the trial was seeded with.
        "DASK_DISTRIBUTED__COMM__OFFLOAD": "False",
        # The engine's profiler keeps the stacks of an hour: half a megabyte a trial, which every collection of
        # garbage goes through again, so that trials took ever longer.
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
        "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__GIL__ENABLED": "False",
        # Freed memory goes back to the system at once; the engine's own default where it starts workers itself.
        "MALLOC_TRIM_THRESHOLD_": "65536",
        COORDINATOR: str(os.getpid()),
    }
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        changes[variable] = str(threads)
    devices = os.environ.get(_VISIBLE, "").split(",")
    if len(devices) > 1:  # otherwise all of them would take the first, and the others would idle
        changes[_VISIBLE] = devices[number % len(devices)].strip()
    return {**os.environ, **changes}


def _worker_class() -> type[Any]:
    """The engine's subprocess, started in a session of its own and again when it dies."""
    from distributed.deploy.subprocess import SubprocessWorker

    class KeptWorker(SubprocessWorker):  # type: ignore[misc]
        def __init__(
            self, scheduler: str, found: Workers, environment: dict[str, str], **options: Any
        ) -> None:
            super().__init__(scheduler, **options)
            self._found, self._environment = found, environment
            self._keeper: asyncio.Task[None] | None = None

        async def _start(self) -> None:
            await self._spawn()
            self._keeper = asyncio.create_task(self._keep())

        async def _spawn(self) -> None:
            spec = json.dumps({"cls": self.worker_class, "opts": self.worker_kwargs})
            command = (sys.executable, "-m", "dask", "spec", self.scheduler, "--spec", spec)
            self.process = await asyncio.create_subprocess_exec(
                *command, env=self._environment, start_new_session=True
            )

        async def _keep(self) -> None:
            clock = asyncio.get_running_loop().time
            while self._found.strikes < _MOST_STRIKES:
                born = clock()
                code = await self.process.wait()
                self._found.deaths[self.process.pid] = code
                short = clock() - born < _SHORT_LIFE
                self._found.strikes = self._found.strikes + 1 if short else 0
                await asyncio.sleep(0.5 * self._found.strikes)
                await self._spawn()

        async def close(self) -> None:
            if self._keeper is not None:
                self._keeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._keeper
            await super().close()

    return KeptWorker
