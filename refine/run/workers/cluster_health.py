"""Health checks for cluster executors. A broken pool of processes raises by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple

from refine.errors import RoundStoppedError
from refine.utils.warning import warn

# Seconds that a cluster which had workers may be without any: a queue may still start others.
LOST_SECONDS = 600.0
_CHECK_EVERY = 5.0  # seconds between checks


class Cluster(NamedTuple):
    """The cluster of an executor.

    An executor may have one as its attribute ``cluster``, and Dask's is made here.
    """

    engine: str  # name of the engine
    needs: Mapping[str, float]  # resources that a worker needs to run a trial
    starting: str  # command that starts workers with these resources; empty if unknown
    offers: Callable[[], Iterable[Mapping[str, float]]]  # the resources of each worker; may raise
    # Whether the cluster cannot be reached; the argument tells whether there was no worker for too long.
    gone: Callable[[bool], bool]

    @property
    def offering(self) -> str:
        """The resources needed by a worker, in words after "worker"; empty without requirements."""
        needs = ", ".join(f"{name}={count:g}" for name, count in self.needs.items())
        if needs:
            return f" that offers {needs}"
        return ""

    def has_worker(self) -> bool:
        """True if a worker has the resources for a trial."""
        try:
            return any(
                all(worker.get(name, 0) >= count for name, count in self.needs.items())
                for worker in self.offers()
            )
        except Exception:  # noqa: BLE001  # without an answer, no worker is known
            return False

    def check_reached(self, lost: bool = False) -> None:
        """Raises RoundStoppedError: the cluster cannot be reached."""
        if self.gone(lost):
            raise RoundStoppedError(
                f"trials need the executor's {self.engine} cluster, and the connection to it is lost; "
                "finished trials are stored; start the cluster again, and run again with its executor"
            )


def cluster_of(executor: Executor) -> Cluster | None:
    """The cluster of an executor; ``None`` without a cluster."""
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
        # Dask's client looks for its scheduler until its own timeout, and then closes.
        lambda lost: client.status in ("closing", "closed") or (lost and client.status != "running"),
    )


class ClusterHealth:
    """Checks that an executor's cluster has workers with the resources for a trial.

    Warns if the cluster has none yet. Waiting for the first worker has no time limit.
    """

    def __init__(self, executor: Executor) -> None:
        cluster = cluster_of(executor)
        self._cluster = cluster
        self._checked = time.monotonic()  # time of the last check
        self._last_worker = self._checked  # time of the last check that saw a worker
        self._had_worker = cluster is not None and cluster.has_worker()
        if cluster is not None and not self._had_worker:
            cluster.check_reached()
            if cluster.starting:
                starting = f" with {cluster.starting}"
            else:
                starting = ""
            warn(
                f"the {cluster.engine} cluster has no worker{cluster.offering} yet, and trials wait for one; "
                f"start workers{starting}, or check whether they start"
            )

    def check(self, at_once: bool = False) -> None:
        """Checks every few seconds, or ``at_once``.

        Raises RoundStoppedError: the cluster is gone, or has had no worker for too long.
        """
        cluster = self._cluster
        if cluster is None or (not at_once and time.monotonic() < self._checked + _CHECK_EVERY):
            return
        has_worker = cluster.has_worker()
        self._checked = time.monotonic()
        if has_worker:
            self._had_worker = True
            self._last_worker = self._checked
        lost = self._had_worker and not has_worker and self._checked - self._last_worker >= LOST_SECONDS
        cluster.check_reached(lost)
        if lost:
            raise RoundStoppedError(
                f"trials need workers{cluster.offering}, and the {cluster.engine} cluster has had none for "
                f"{LOST_SECONDS:g} seconds; finished trials are stored; read the workers' output, start "
                "others, and run again"
            )
