"""An objective with data on its way to workers: how many bytes travel, and what arrives."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from dask_cluster import foreign_dask, processes, ray

import refine
from nightly import nightly
from refine.run.executors import TrialExecutor
from refine.run.workers.concurrent_executor import trial_executor
from refine.run.workers.task import opened

pytestmark = pytest.mark.slow

SPACE = {"row": refine.Integer(0, 39, levels=40)}
N = 500_000
"""Numbers of the data: 4 MB."""


class Data:
    """An objective with an array that it changes, and one that nobody may change."""

    name = "data"

    def __init__(self):
        self.own = np.zeros(10_000)
        self.fixed = np.arange(float(N))
        self.fixed.flags.writeable = False

    def __call__(self, params):
        self.own[0] += 1
        free = float(self.own.flags.writeable)
        return {"value": self.fixed[params["row"]], "pid": os.getpid(), "free": free}


class Counted(TrialExecutor):
    """Another executor, and the sizes of the jobs that it gets."""

    def __init__(self, executor):
        self.executor = trial_executor(executor)
        self.sizes = []

    def submit(self, job, limits):
        self.sizes.append(len(job))
        return self.executor.submit(job, limits)


class Elsewhere(Counted):
    """An executor on a machine that doesn't see this one's files."""

    def submit(self, job, limits):
        task = opened(job)
        assert task.file is None or Path(task.file).exists()
        file = task.file and f"/elsewhere{task.file}"
        return super().submit(task._replace(file=file).packed(), limits)


def run(executor, n=40):
    with refine.Tree("packed", store="sqlite://") as tree:
        round_ = tree.add_round(SPACE, Data(), n=n, metric=refine.Goal("value", noise="retraining"))
        round_.run(machine=refine.Machine(workers=2, executor=executor, progress=False))
        return round_.trials.sort_values("row").reset_index(drop=True)


@pytest.mark.parametrize(
    "pool",
    [
        ThreadPoolExecutor,
        pytest.param(foreign_dask, marks=pytest.mark.cluster),
        pytest.param(ray, marks=[pytest.mark.cluster, pytest.mark.elsewhere]),
        nightly(processes),
    ],
)
def test_data_travel_with_no_task(pool):
    with pool(2) as executor:
        counted = Counted(executor)
        trials = run(counted)
    assert (trials["value"] == trials["row"]).all()
    assert (trials["free"] == 1).all()
    assert len(counted.sizes) == 40
    assert max(counted.sizes) < 20_000


def test_a_worker_that_does_not_see_the_file_gets_the_data_when_it_asks():
    with processes(2) as executor:
        counted = Elsewhere(executor)
        trials = run(counted)
    assert (trials["value"] == trials["row"]).all()
    large = [size for size in counted.sizes if size > 4_000_000]
    # Whatever was in flight before the first answer asks: two tasks a worker, and those that took their
    # place meanwhile.
    assert 1 <= len(large) <= 8
    assert len(counted.sizes) == 40 + len(large)
