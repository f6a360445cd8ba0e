"""Whether anybody is left to run a trial: asked of executors that belong to a cluster; a pool that breaks says so itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple

from refine.errors import RoundStoppedError
from refine.utils.warning import warn

# So long a cluster that had workers may be without any: those of a queue may be given others.
LOST_SECONDS = 600.0
_ASK_EVERY = 5.0


class Cluster(NamedTuple):
    """What an executor's cluster is asked; an executor has it as ``cluster``, and for Dask's own it is made here."""

    engine: str
    needs: Mapping[str, float]  # what a worker has to offer to run a trial
    starting: str  # what starts workers that offer it; empty where nothing is said
    offers: Callable[[], Iterable[Mapping[str, float]]]  # what each worker offers; may raise
    # Whether nobody can be reached; told whether there was no worker for too long.
    gone: Callable[[bool], bool]

    @property
    def offering(self) -> str:
        """What a worker has to offer, in words after it; empty where nothing is needed."""
        needs = ", ".join(f"{name}={count:g}" for name, count in self.needs.items())
        return f" that offers {needs}" if needs else ""

    def has_worker(self) -> bool:
        """Whether a worker offers what a trial needs."""
        try:
            return any(
                all(worker.get(name, 0) >= count for name, count in self.needs.items())
                for worker in self.offers()
            )
        except Exception:  # noqa: BLE001  # whatever keeps it from knowing, nobody is known to be there
            return False

    def check_reached(self, lost: bool = False) -> None:
        """Raises RoundStoppedError: nobody can be reached."""
        if self.gone(lost):
            raise RoundStoppedError(
                f"trials need the {self.engine} cluster that the executor belongs to, and the connection to it is lost; what had "
                "finished is stored; start the cluster anew, and run again with its executor"
            )


def cluster_of(executor: Executor) -> Cluster | None:
    """What an executor's cluster is asked; ``None`` where it has none."""
    client: Any = getattr(executor, "_client", None)
    if not hasattr(client, "scheduler_info"):
        return getattr(executor, "cluster", None)
    needs = getattr(executor, "_kwargs", {}).get("resources") or {}
    resources = " ".join(f"{name}={count:g}" for name, count in needs.items())
    return Cluster(
        "Dask",
        needs,
        f"dask worker --resources '{resources}'" if needs else "",
        lambda: [worker["resources"] for worker in client.scheduler_info()["workers"].values()],
        # Dask's client looks for its scheduler for as long as its timeout says, and then closes.
        lambda lost: client.status in ("closing", "closed") or (lost and client.status != "running"),
    )


class Pulse:
    """Asks an executor's cluster for workers that offer what a trial needs.

    Warns where the cluster has none yet; there is no end to waiting for the first one.
    """

    def __init__(self, executor: Executor) -> None:
        self._asked = self._seen = time.monotonic()
        self._cluster = cluster = cluster_of(executor)
        self._had = cluster is not None and cluster.has_worker()
        if cluster is not None and not self._had:
            cluster.check_reached()
            how = f" with {cluster.starting}" if cluster.starting else ""
            warn(
                f"the {cluster.engine} cluster has no worker{cluster.offering} yet, and trials wait for one; start workers{how}, or "
                "look whether they come up"
            )

    def check(self, at_once: bool = False) -> None:
        """Looks, every few seconds. Raises RoundStoppedError: the cluster is gone, or all workers have been for too long."""
        now, cluster = time.monotonic(), self._cluster
        if cluster is None or (not at_once and now < self._asked + _ASK_EVERY):
            return
        if here := cluster.has_worker():
            self._had, self._seen = True, time.monotonic()
        self._asked = time.monotonic()
        lost = self._had and not here and self._asked - self._seen >= LOST_SECONDS
        cluster.check_reached(lost)
        if lost:
            raise RoundStoppedError(
                f"trials need workers{cluster.offering}, and the {cluster.engine} cluster has had none for {LOST_SECONDS:g} seconds; "
                "what had finished is stored; see what its workers print, start others, and run again"
            )
