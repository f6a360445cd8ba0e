"""Whether anybody is left to run what was handed to somebody's executor, as far as that can be asked."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from typing import Any

from refine.errors import RoundStoppedError
from refine.utils.warning import warn

LOST_SECONDS = 600.0
"""So long a Dask cluster that had workers may be without any: those of a queue may be given others."""

_EVERY = 5.0


class Pulse:
    """Asks an executor of a Dask client for its workers. Of others nothing is known: a pool that breaks says so itself.

    Where the executor asks for resources, as ``client.get_executor(resources={"GPU": 1})`` does, workers are those that offer them.
    Warns where the cluster has none yet; there is no end to waiting for the first one.
    """

    def __init__(self, executor: Executor) -> None:
        client = getattr(executor, "_client", None)
        self._client: Any = client if hasattr(client, "scheduler_info") else None
        self._needs: dict[str, float] = getattr(executor, "_kwargs", {}).get("resources") or {}
        self._asked = self._seen = time.monotonic()
        self._had = self._client is not None and self._workers() > 0
        if self._client is not None and not self._had:
            needs = " ".join(f"{name}={count:g}" for name, count in self._needs.items())
            how = f" with dask worker --resources '{needs}'" if needs else ""
            warn(
                f"the Dask cluster has no worker{self._offering} yet, and trials wait for one; start workers{how}, or "
                "look whether they come up"
            )

    def check(self, at_once: bool = False) -> None:
        """Looks, every few seconds, whether somebody is there.

        Raises RoundStoppedError: the scheduler is gone, or all workers have been for too long.
        """
        now = time.monotonic()
        if self._client is None or (not at_once and now < self._asked + _EVERY):
            return
        if here := self._workers() > 0:
            self._had, self._seen = True, time.monotonic()
        self._asked = time.monotonic()
        lost = self._had and not here and self._asked - self._seen >= LOST_SECONDS
        # Dask's client looks for its scheduler for as long as its timeout says, and then closes.
        if self._client.status in ("closing", "closed") or (lost and self._client.status != "running"):
            raise RoundStoppedError(
                "trials need the scheduler that the executor belongs to, and the connection to it is lost; what had finished is "
                "stored; start the cluster anew, and run again with its executor"
            )
        if lost:
            raise RoundStoppedError(
                f"trials need workers{self._offering}, and the Dask cluster has had none for {LOST_SECONDS:g} seconds; what had finished is "
                "stored; see what its workers print, start others, and run again"
            )

    @property
    def _offering(self) -> str:
        needs = ", ".join(f"{name}={count:g}" for name, count in self._needs.items())
        return f" that offers {needs}" if needs else ""

    def _workers(self) -> int:
        try:
            workers = self._client.scheduler_info()["workers"]
            return sum(
                all(worker["resources"].get(name, 0) >= count for name, count in self._needs.items())
                for worker in workers.values()
            )
        except Exception:  # noqa: BLE001  # whatever keeps the client from knowing, nobody is known to be there
            return 0
