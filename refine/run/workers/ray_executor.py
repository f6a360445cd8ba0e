"""Workers of Ray as an executor, as a Dask client has one for its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError
from functools import partial
from typing import Any

import cloudpickle

from refine.errors import DesignError, RoundStoppedError
from refine.run.workers.pulse import Cluster
from refine.utils.extras import load


class RayExecutor(Executor):
    """Runs trials as tasks of the Ray that this process is connected to.

    A trial whose worker dies is tried once more by its round, as with any executor.

    Args:
        options: What a trial takes, as ``ray.remote`` has it: ``num_cpus`` (default 1), ``num_gpus``, ``memory`` in bytes,
            ``resources={"name": 1}``, ``runtime_env`` and others. With ``max_retries=`` (default 0) Ray itself runs a lost task again.

    Raises:
        DesignError: Ray is not installed or not initialised, or does not know an option.

    Examples:
        >>> import ray  # doctest: +SKIP
        >>> ray.init(address="auto")  # doctest: +SKIP
        >>> tree.rounds[-1].run(16, executor=refine.RayExecutor(num_gpus=1))  # doctest: +SKIP
    """

    def __init__(self, **options: Any) -> None:
        self._ray: Any = load("ray", "RayExecutor", DesignError)
        if not self._ray.is_initialized():
            raise DesignError(
                "RayExecutor needs a Ray that this process is connected to, and there is none; call ray.init() for one of this "
                'machine before, or ray.init(address="auto") on a node of a cluster'
            )
        try:
            # Not by .options(): a worker that has had a GPU would be used again, with another one.
            self._task = self._ray.remote(num_returns=1, **{"max_retries": 0, **options})(_caller())
        except (TypeError, ValueError) as error:
            raise DesignError(f"RayExecutor takes options of ray.remote, but {error}") from error
        asked = {
            "CPU": options.get("num_cpus", 1),
            "GPU": options.get("num_gpus"),
            "memory": options.get("memory"),
        }
        needs = {name: count for name, count in (asked | (options.get("resources") or {})).items() if count}
        self.cluster = Cluster(
            "Ray", needs, "ray start", self._offers, lambda _: not self._ray.is_initialized()
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Has a worker call a function. Raises RuntimeError: Ray was shut down."""
        if not self._ray.is_initialized():  # another one would be started
            raise RuntimeError("Ray was shut down")
        reference = self._task.remote(cloudpickle.dumps((fn, args, kwargs)))
        future: Future[Any] = Future()
        future.add_done_callback(partial(self._ended, reference))
        reference.future().add_done_callback(partial(self._hand_on, future))
        return future

    def _hand_on(self, future: Future[Any], done: Future[Any]) -> None:
        """What a task gave, or what was raised in it, without Ray's own error around that."""
        error, kinds = done.exception(), self._ray.exceptions
        if isinstance(
            error, kinds.LocalRayletDiedError | kinds.RuntimeEnvSetupError | kinds.TaskUnschedulableError
        ):
            error = RoundStoppedError(
                f"Ray can run no trial ({type(error).__name__}: {error}); what had finished is stored; see what has become of the "
                "cluster, and run again"
            )
        with contextlib.suppress(InvalidStateError):  # it was cancelled
            if error is None:
                future.set_result(done.result())
            else:
                future.set_exception(getattr(error, "cause", None) or error)

    def _ended(self, reference: Any, future: Future[Any]) -> None:
        if future.cancelled():
            future.set_running_or_notify_cancel()  # or who waits for it would wait for ever
            if self._ray.is_initialized():
                self._ray.cancel(reference, force=True)  # what sleeps in C is not interrupted

    def _offers(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]


def _caller() -> Callable[[bytes], Any]:
    """What a worker runs: it travels by value, so that one that can't import a function can say so."""

    def call(packed: bytes) -> Any:
        import pickle
        from concurrent.futures import ThreadPoolExecutor

        function, args, kwargs = pickle.loads(packed)
        with ThreadPoolExecutor(1) as thread:  # for whom a trial runs in a process that is supervised
            return thread.submit(function, *args, **kwargs).result()

    return call
