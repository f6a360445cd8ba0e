"""The seam of executors: abilities, limits of trials, and the health of a cluster.

A round hands jobs to a :class:`TrialExecutor`, and knows nothing else about the engine behind the executor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import NamedTuple

from refine.errors import RoundStoppedError


class Limits(NamedTuple):
    """Limits of a trial; beyond them its worker is killed."""

    timeout: float | None = None  # seconds from the trial's start in its worker; ``None`` for no limit
    memory: int | None = None  # resident bytes of the worker; ``None`` for no limit

    @property
    def any(self) -> bool:
        """True if a limit is set."""
        return self != (None, None)


class Capabilities(NamedTuple):
    """Abilities of an executor; a run with an option that needs a missing ability is refused."""

    timeout: bool = False  # ends a trial after ``limits.timeout`` seconds
    memory: bool = False  # ends a trial whose processes hold more than ``limits.memory`` bytes
    cancel: bool = False  # cancelling a future takes back a waiting job, and never ends a running trial
    local: bool = False  # workers are processes of this machine, with the imports of this process


class Cluster(NamedTuple):
    """The cluster behind an executor, for checks of its health."""

    engine: str  # name of the engine
    needs: Mapping[str, float]  # resources that a worker needs to run a trial
    starting: str  # command that starts workers with these resources; empty if unknown
    offers: Callable[[], Iterable[Mapping[str, float]]]  # the resources of each worker; may raise
    # Whether the cluster cannot be reached; the argument tells whether there was no worker for too long.
    unreachable: Callable[[bool], bool]

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
        if self.unreachable(lost):
            raise RoundStoppedError(
                f"trials need the executor's {self.engine} cluster, and the connection to it is lost; "
                "finished trials are stored; start the cluster again, and run again with its executor"
            )


class TrialExecutor(ABC):
    """Workers of an engine, on which rounds run: ``refine.Machine(executor=...)``.

    Attributes:
        capabilities: Abilities of the executor.
        cluster: The cluster, whose health the round checks; ``None`` if a lost engine fails its futures.
    """

    capabilities: Capabilities = Capabilities()
    cluster: Cluster | None = None

    @abstractmethod
    def submit(self, job: bytes, limits: Limits) -> Future[bytes]:
        """Sends a job to a worker, which calls :func:`refine.run.workers.run_task.run_task` with the bytes.

        Args:
            job: A packed job, for any process with the same versions of Python and refine.
            limits: Limits of the trial; only limits for which the executor is able.

        Returns:
            A future for the bytes that the worker returns, or for an exception:
            :class:`TimeLimitError` and :class:`MemoryLimitError` if a limit ended the trial,
            :class:`NotBegunError` if the job can be sent again, and
            :class:`refine.errors.RoundStoppedError` if no trial can run. After another exception the trial
            is repeated once, alone.

        Raises:
            Exception: The engine takes no more jobs; the round stops, and finished trials are stored.
        """


class LimitExceededError(Exception):
    """The executor ended a trial ``seconds`` after its start, at a limit of ``allowed`` seconds or bytes."""

    def __init__(self, allowed: float, seconds: float) -> None:
        super().__init__(allowed, seconds)
        self.allowed = allowed
        self.seconds = seconds


class TimeLimitError(LimitExceededError):
    """The trial ran longer than ``allowed`` seconds."""


class MemoryLimitError(LimitExceededError):
    """The trial's processes held ``used`` bytes, more than ``allowed``."""

    def __init__(self, allowed: float, seconds: float, used: float) -> None:
        super().__init__(allowed, seconds)
        self.args = (allowed, seconds, used)
        self.used = used


class NotBegunError(Exception):
    """A worker was lost before the worker had the job."""
