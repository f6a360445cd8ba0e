"""An executor that the package does not know: a folder of jobs and a worker, as in a batch system."""

import re
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

import refine
from refine.errors import DesignError
from refine.run.executors import Capabilities, TimeLimitError, TrialExecutor
from refine.testing import ExecutorContract

WORKER = """
import sys, time
from pathlib import Path
from refine.run.workers.run_task import run_task
queue = Path(sys.argv[1])
while not (queue / "closed").exists():
    for job in sorted(queue.glob("*.job")):
        begun = job.rename(job.with_suffix(".begun"))
        answer = begun.with_suffix(".part")
        answer.write_bytes(run_task(begun.read_bytes()))
        answer.rename(answer.with_suffix(".answer"))
    time.sleep(0.01)
"""


class FolderExecutor(TrialExecutor):
    """One worker and a folder of jobs. With a time limit, the worker is ended and replaced."""

    def __init__(self, folder, *, capabilities):
        self.capabilities = capabilities
        self._folder = folder
        self._waiting = ThreadPoolExecutor(1)
        self._count = 0
        self._worker = self._started()

    def _started(self):
        return subprocess.Popen([sys.executable, "-c", WORKER, str(self._folder)])

    def submit(self, job, limits):
        self._count += 1
        name = f"{self._count:06d}"
        return self._waiting.submit(self._answer, job, name, limits)

    def _answer(self, job, name, limits):
        (self._folder / f"{name}.part").write_bytes(job)
        (self._folder / f"{name}.part").rename(self._folder / f"{name}.job")
        begun = None
        while not (self._folder / f"{name}.answer").exists():
            if self._worker.poll() is not None:
                self._worker = self._started()
                raise ConnectionError("the worker is gone")
            if begun is None and (self._folder / f"{name}.begun").exists():
                begun = time.monotonic()
            if begun is not None and limits.timeout is not None and time.monotonic() > begun + limits.timeout:
                self._worker.kill()
                self._worker.wait()
                self._worker = self._started()
                raise TimeLimitError(limits.timeout, time.monotonic() - begun)
            time.sleep(0.01)
        return (self._folder / f"{name}.answer").read_bytes()

    def close(self):
        (self._folder / "closed").touch()
        self._waiting.shutdown()
        self._worker.wait()


@pytest.fixture(scope="class")
def folder_executor(tmp_path_factory):
    executor = FolderExecutor(
        tmp_path_factory.mktemp("queue"), capabilities=Capabilities(timeout=True, local=True)
    )
    yield executor
    executor.close()


@pytest.mark.cluster
@pytest.mark.usefixtures("folder_executor")
class TestContract(ExecutorContract):
    workers = 1

    @pytest.fixture(autouse=True)
    def set_executor(self, folder_executor):
        self.folder_executor = folder_executor

    def executor(self):
        return self.folder_executor


def sleeps_at_three(params):
    if params["x"] == 3:
        time.sleep(60)
    return float(params["x"])


@pytest.mark.cluster
def test_an_able_executor_ends_a_trial_at_the_time_limit(tmp_path):
    executor = FolderExecutor(tmp_path, capabilities=Capabilities(timeout=True))
    try:
        with refine.Tree("limits", store="sqlite://") as tree:
            root = tree.add_round({"x": (1, 4, 4)}, sleeps_at_three, n=4)
            root.run(machine=refine.Machine(executor=executor, timeout=5.0, progress=False))
            states = root.trials.set_index("x")["state"].to_dict()
    finally:
        executor.close()
    assert states == {1: "complete", 2: "complete", 3: "timeout", 4: "complete"}


def ends_its_process_at_three(params):
    if params["x"] == 3:
        import os

        os._exit(1)
    return float(params["x"])


@pytest.mark.cluster
def test_a_trial_that_ends_its_worker_twice_is_crashed_on_a_new_executor_too(tmp_path):
    executor = FolderExecutor(tmp_path, capabilities=Capabilities(local=True))
    try:
        with refine.Tree("crash", store="sqlite://") as tree:
            root = tree.add_round({"x": (1, 4, 4)}, ends_its_process_at_three, n=4)
            root.run(machine=refine.Machine(executor=executor, progress=False))
            states = root.trials.set_index("x")["state"].to_dict()
    finally:
        executor.close()
    assert states == {1: "complete", 2: "complete", 3: "crashed", 4: "complete"}


class ProgramExecutor(TrialExecutor):
    """A process for every trial, started by a shell as over SSH."""

    def __init__(self, program):
        self._command = ["sh", "-c", f"exec {sys.executable} {program}"]
        self._threads = ThreadPoolExecutor(2)

    def submit(self, job, limits):
        return self._threads.submit(self._answer, job)

    def _answer(self, job):
        return subprocess.run(self._command, input=job, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.nightly
class TestProgram(ExecutorContract):
    def executor(self):
        return ProgramExecutor("-m refine.run.workers.run_task")


def printing(params):
    print("epoch 1")
    return float(params["x"])


@pytest.mark.cluster
def test_the_program_of_a_job_keeps_prints_out_of_its_answer(tree):
    root = tree.add_round({"x": (1, 4, 4)}, printing, n=2)
    root.run(
        machine=refine.Machine(executor=ProgramExecutor("-m refine.run.workers.run_task"), progress=False)
    )
    assert root.trials["value"].equals(root.trials["x"].astype(float))


@pytest.mark.cluster
def test_an_answer_with_prints_in_it_stops_the_round_with_the_fix(tree):
    program = "-c 'print(0)'"
    root = tree.add_round({"x": (1, 4, 4)}, sleeps_at_three, n=2)
    with pytest.raises(refine.RoundStoppedError, match="python -m refine.run.workers.run_task"):
        root.run(machine=refine.Machine(executor=ProgramExecutor(program), progress=False))
    assert root.trials.empty


class Answering(TrialExecutor):
    def __init__(self, answer):
        self._answer = answer

    def submit(self, job, limits):
        future = Future()
        future.set_result(self._answer)
        return future


@pytest.mark.parametrize("answer", [b"", None, "text", b"x = 1"])
def test_an_answer_that_is_no_outcome_stops_the_round_and_is_shown(tree, answer):
    root = tree.add_round({"x": (1, 4, 4)}, sleeps_at_three, n=2)
    with pytest.raises(refine.RoundStoppedError, match=re.escape(f"the answer {answer!r} cannot be read")):
        root.run(machine=refine.Machine(executor=Answering(answer), progress=False))
    assert root.trials.empty


class Unable(TrialExecutor):
    def submit(self, job, limits):
        return Future()


@pytest.mark.parametrize("limit", [{"timeout": 5.0}, {"memory": "2GB"}])
def test_a_limit_that_the_executor_cannot_keep_is_refused_before_any_trial(tree, limit):
    root = tree.add_round({"x": (1, 4, 4)}, sleeps_at_three, n=4)
    text = f"{next(iter(limit))}= needs an executor that can end a trial at a limit, and Unable cannot"
    with pytest.raises(DesignError, match=text):
        root.run(machine=refine.Machine(executor=Unable(), **limit))
    assert root.trials.empty
