"""An executor for trials on Dask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from refine.errors import DesignError
from refine.run.executors import Cluster
from refine.run.workers.concurrent_executor import ConcurrentExecutor
from refine.utils.extras import load

if TYPE_CHECKING:
    from distributed import Client


class DaskExecutor(ConcurrentExecutor):
    """Runs trials as tasks of a Dask cluster, and notices a lost cluster.

    Dask repeats no task by itself, since the round tries a trial once more if its worker dies.

    Args:
        client: The connection to the cluster.
        resources: Resources of a trial, as in ``client.submit``: ``{"GPU": 1}`` needs a worker started with
            ``--resources GPU=1``.

    Raises:
        DesignError: Dask is not installed, or ``client`` is not a ``distributed.Client``.

    Examples:
        >>> from distributed import Client  # doctest: +SKIP
        >>> client = Client("tcp://scheduler:8786")  # doctest: +SKIP
        >>> tree.machine = refine.Machine(workers=16, executor=refine.DaskExecutor(client))  # doctest: +SKIP
    """

    def __init__(self, client: Client, resources: Mapping[str, float] | None = None) -> None:
        if not isinstance(client, load("distributed", "DaskExecutor", DesignError).Client):
            raise DesignError(
                f"client must be a distributed.Client, got {client!r}; for example "
                'refine.DaskExecutor(Client("tcp://scheduler:8786"))'
            )
        needs = dict(resources or {})
        # pure=False: Dask would otherwise run equal jobs once.
        super().__init__(client.get_executor(pure=False, retries=0, resources=needs or None))
        starting = ""
        if needs:
            listed = " ".join(f"{name}={count:g}" for name, count in needs.items())
            starting = f"dask worker --resources '{listed}'"
        self.cluster = Cluster(
            "Dask",
            needs,
            starting,
            lambda: [worker["resources"] for worker in client.scheduler_info()["workers"].values()],
            # Dask's client looks for its scheduler until its own timeout, and then closes.
            lambda lost: client.status in ("closing", "closed") or (lost and client.status != "running"),
        )
