"""Objectives that fork: children are plain processes without the round's signal handlers."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest

import refine
from nightly import nightly
from refine.run.signals import interruptible

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

FORK = multiprocessing.get_context("fork")
SPACE = {"x": (1, 40, 40)}

both_ways = pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.cluster)])


def squared(x):
    return x * x


def with_pool(params):
    """``terminate`` is what leaving the block calls."""
    with FORK.Pool(2) as pool:
        return float(sum(pool.map(squared, range(int(params["x"])))))


def forever():
    while True:
        time.sleep(60)


def with_terminated_process(params):
    """A process that is told to end as soon as it was started, and its exit status."""
    process = FORK.Process(target=forever)
    process.start()
    process.terminate()
    process.join()
    return {"value": float(params["x"]), "status": float(process.exitcode)}


def with_data_loader(params):
    """Batches from forked workers that wait for work until they are terminated, as in data loaders."""
    tasks = FORK.Queue()
    batches = FORK.Queue()
    workers = [FORK.Process(target=load, args=(tasks, batches), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    for i in range(4):
        tasks.put(i)
    total = sum(batches.get() for _ in range(4))
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    statuses = {worker.exitcode for worker in workers}
    return {"value": float(params["x"] + total), "status": float(min(statuses))}


def load(tasks, batches):
    while True:
        batches.put(tasks.get())


def with_joblib(params):
    import joblib

    with joblib.parallel_config("multiprocessing"):
        return float(sum(joblib.Parallel(2)(joblib.delayed(squared)(i) for i in range(int(params["x"])))))


def with_bare_fork(params):
    """The child leaves the objective in the ways that a program can."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return {"value": float(params["x"]), "status": float(status)}
    if params["x"] % 3 == 0:
        sys.exit(7)
    if params["x"] % 3 == 1:
        raise KeyboardInterrupt
    return 0.0


def with_keras_dataset(params):
    import keras
    import numpy as np

    class Rows(keras.utils.PyDataset):
        def __init__(self):
            super().__init__(workers=2, use_multiprocessing=True, max_queue_size=4)

        def __len__(self):
            return 4

        def __getitem__(self, batch):
            return np.full((8, 2), float(batch)), np.zeros(8)

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return float(model.fit(Rows(), epochs=2, verbose=0).history["loss"][-1])


def run(tree, objective, workers, n=6):
    return tree.add_round(SPACE, objective, n=n, seed=1, metric=refine.Goal("value", noise="retraining")).run(
        workers=workers
    )


@both_ways
@pytest.mark.parametrize(
    ("objective", "n"),
    [
        pytest.param(with_pool, 20, marks=pytest.mark.slow),
        pytest.param(with_joblib, 6, marks=pytest.mark.slow),
        nightly(with_keras_dataset, 2),
    ],
)
def test_objective_with_forked_processes_runs_and_ends(tree, workers, objective, n, capfd):
    trials = run(tree, objective, workers, n=n).trials
    assert set(trials["state"]) == {"complete"}
    assert "finishing" not in capfd.readouterr().err


@both_ways
@pytest.mark.parametrize("objective", [with_terminated_process, with_data_loader])
def test_forked_process_that_is_terminated_ends_by_that_signal(tree, workers, objective, capfd):
    trials = run(tree, objective, workers, n=4).trials
    assert set(trials["status"]) == {-signal.SIGTERM}
    assert "finishing" not in capfd.readouterr().err


@both_ways
def test_forked_child_that_leaves_the_objective_runs_no_further_trial(tree, workers, capfd):
    trials = run(tree, with_bare_fork, workers, n=9).trials
    assert len(trials) == 9
    expected = {0: 7, 1: 1, 2: 0}
    assert trials["status"].tolist() == [expected[x % 3] for x in trials["x"]]
    capfd.readouterr()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_forked_child_has_the_handlers_that_were_there_before(name):
    number = signal.Signals[name]
    before = signal.getsignal(number)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with interruptible("round"):
        assert signal.getsignal(number) is not before
        child = os.fork()
        if not child:
            restored = (
                signal.getsignal(number) is before and signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
            )
            os._exit(0 if restored else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert signal.getsignal(number) is not before
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask


def interrupting(params):
    if params["x"] < 20:
        raise KeyboardInterrupt
    return float(params["x"])


@both_ways
def test_keyboard_interrupt_raised_by_the_objective_is_a_failed_trial(tree, workers):
    trials = run(tree, interrupting, workers, n=10).trials
    assert trials["state"].tolist() == ["failed" if x < 20 else "complete" for x in trials["x"]]


def test_ctrl_c_twice_still_stops_a_trial_at_once(tmp_path):
    def pressed_twice(params):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return 1.0

    with (
        refine.Tree("q", store=Path(tmp_path) / "refine.db") as tree,
        pytest.raises(KeyboardInterrupt, match="stopped at once"),
    ):
        run(tree, pressed_twice, 1)
