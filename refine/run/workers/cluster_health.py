"""Health checks for cluster executors. A broken pool of processes raises by itself."""

from __future__ import annotations

import time

from refine.errors import RoundStoppedError
from refine.run.executors import Cluster
from refine.utils.warning import warn

# Seconds that a cluster which had workers may be without any: a queue may still start others.
LOST_SECONDS = 600.0
_CHECK_EVERY = 5.0  # seconds between checks


class ClusterHealth:
    """Checks that a cluster has workers with the resources for a trial; ``None`` needs no checks.

    Warns if the cluster has none yet. Waiting for the first worker has no time limit.
    """

    def __init__(self, cluster: Cluster | None) -> None:
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
