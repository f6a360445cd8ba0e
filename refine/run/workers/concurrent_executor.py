"""Any executor of ``concurrent.futures`` as an executor of trials."""

from __future__ import annotations

from concurrent.futures import Executor, Future

from refine.run.executors import Limits, TrialExecutor
from refine.run.workers.run_task import run_task


class ConcurrentExecutor(TrialExecutor):
    """Runs trials on an executor of ``concurrent.futures``, without limits."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, job: bytes, limits: Limits) -> Future[bytes]:  # noqa: ARG002  # has no abilities
        """Submits :func:`run_task` with the job."""
        return self._executor.submit(run_task, job)


def trial_executor(executor: Executor | TrialExecutor) -> TrialExecutor:
    """An executor of trials: the executor itself, or a wrapper around one of ``concurrent.futures``."""
    if isinstance(executor, TrialExecutor):
        return executor
    return ConcurrentExecutor(executor)
