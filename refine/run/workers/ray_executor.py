"""An executor for trials on Ray."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import Any

import cloudpickle

from refine.errors import DesignError, RoundStoppedError
from refine.run.executors import Cluster, Limits, TrialExecutor
from refine.run.workers.run_task import run_task
from refine.utils.extras import load


class RayExecutor(TrialExecutor):
    """Runs trials as tasks of the connected Ray.

    The round tries a trial once more if its worker dies, as with every executor.

    Args:
        options: Resources of a trial, as options of ``ray.remote``: ``num_cpus`` (default 1), ``num_gpus``,
            ``memory`` in bytes, ``resources={"name": 1}``, ``runtime_env`` and more. With ``max_retries=``
            (default 0) Ray itself repeats a lost task.

    Raises:
        DesignError: Ray is not installed or not initialised, or does not know an option.

    Examples:
        >>> import ray  # doctest: +SKIP
        >>> ray.init(address="auto")  # doctest: +SKIP
        >>> on_gpus = refine.RayExecutor(num_gpus=1)  # doctest: +SKIP
        >>> tree.machine = refine.Machine(workers=16, executor=on_gpus)  # doctest: +SKIP
    """

    def __init__(self, **options: Any) -> None:
        self._ray: Any = load("ray", "RayExecutor", DesignError)
        if not self._ray.is_initialized():
            raise DesignError(
                "RayExecutor needs a connection to Ray, got none; call ray.init() first, or "
                'ray.init(address="auto") on a node '
                "of a cluster"
            )
        try:
            # Without .options(): Ray would reuse a worker that has had one GPU for a trial with another GPU.
            self._task = self._ray.remote(num_returns=1, **{"max_retries": 0, **options})(_caller())
        except (TypeError, ValueError) as error:
            raise DesignError(f"RayExecutor takes options of ray.remote, but {error}") from error
        standard = {
            "CPU": options.get("num_cpus", 1),
            "GPU": options.get("num_gpus"),
            "memory": options.get("memory"),
        }
        resources = standard | (options.get("resources") or {})
        needs = {name: count for name, count in resources.items() if count}
        self.cluster = Cluster(
            "Ray", needs, "ray start", self._offers, lambda _: not self._ray.is_initialized()
        )

    def submit(self, job: bytes, limits: Limits) -> Future[bytes]:  # noqa: ARG002  # has no abilities
        """Runs a job in a worker. Raises RuntimeError: Ray was shut down."""
        if not self._ray.is_initialized():  # Ray would start another cluster
            raise RuntimeError("Ray was shut down")
        reference = self._task.remote(cloudpickle.dumps((run_task, job)))
        future: Future[bytes] = Future()
        future.add_done_callback(partial(self._ended, reference))
        reference.future().add_done_callback(partial(self._hand_on, future))
        return future

    def _hand_on(self, future: Future[Any], done: Future[Any]) -> None:
        """Passes the result of a task on, or the exception without Ray's wrapper."""
        error = done.exception()
        kinds = self._ray.exceptions
        if isinstance(
            error, kinds.LocalRayletDiedError | kinds.RuntimeEnvSetupError | kinds.TaskUnschedulableError
        ):
            error = RoundStoppedError(
                f"Ray can run no trial ({type(error).__name__}: {error}); finished trials are stored; check "
                "the cluster, and run again"
            )
        with contextlib.suppress(InvalidStateError):  # the future was cancelled
            if error is None:
                future.set_result(done.result())
            else:
                future.set_exception(getattr(error, "cause", None) or error)

    def _ended(self, reference: object, future: Future[Any]) -> None:
        if future.cancelled():
            future.set_running_or_notify_cancel()  # otherwise a waiting thread would wait for ever
            if self._ray.is_initialized():
                self._ray.cancel(reference, force=True)  # force, since code in C is not interrupted

    def _offers(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]


def _caller() -> Callable[[bytes], Any]:
    """The function run by a worker, pickled by value, so that a worker can report its import errors."""

    def call(packed: bytes) -> Any:
        import pickle
        from concurrent.futures import ThreadPoolExecutor

        function, job = pickle.loads(packed)
        with ThreadPoolExecutor(1) as thread:  # a trial in a thread gets a supervised child process
            return thread.submit(function, job).result()

    return call
