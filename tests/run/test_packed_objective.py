"""An objective with data on its way to workers: how many bytes travel, and what arrives."""

from __future__ import annotations

import contextlib
import os
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from dask_cluster import dask_cluster

import refine
from refine.run.workers.packed_objective import pack, unpack
from refine.run.workers.task import opened

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
        return {
            "value": self.fixed[params["row"]],
            "pid": os.getpid(),
            "free": float(self.own.flags.writeable),
        }


class Counted(Executor):
    """Another executor, and the size of what is handed to it."""

    def __init__(self, executor):
        self.executor, self.sizes = executor, []

    def submit(self, function, order):
        self.sizes.append(len(order))
        return self.executor.submit(function, order)


class Elsewhere(Counted):
    """An executor on a machine that doesn't see this one's files."""

    def submit(self, function, order):
        found = opened(order)
        assert found.file is None or Path(found.file).exists()
        return super().submit(
            function, found._replace(file=found.file and f"/elsewhere{found.file}").packed()
        )


def run(executor, n=40):
    with refine.Tree("packed", store="sqlite://") as tree:
        found = tree.add_round(SPACE, Data(), n=n)
        found.run(2, executor=executor, check_noise=False, progress=False)
        return found.trials.sort_values("row").reset_index(drop=True)


def processes():
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


def loky():
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(2)


@contextlib.contextmanager
def dask():
    with tempfile.TemporaryDirectory() as folder, dask_cluster(Path(folder), 2) as (client, _):
        yield client.get_executor(pure=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pool",
    [
        lambda: ThreadPoolExecutor(2),
        pytest.param(dask, marks=pytest.mark.cluster),
        *(pytest.param(each, marks=pytest.mark.nightly) for each in (processes, loky)),
    ],
)
def test_data_travel_with_no_task(pool):
    with pool() as executor:
        counted = Counted(executor)
        trials = run(counted)
    assert (trials["value"] == trials["row"]).all()
    assert (trials["free"] == 1).all()
    assert len(counted.sizes) == 40
    assert max(counted.sizes) < 20_000


@pytest.mark.slow
def test_a_worker_that_does_not_see_the_file_gets_the_data_when_it_asks():
    with processes() as executor:
        counted = Elsewhere(executor)
        trials = run(counted)
    assert (trials["value"] == trials["row"]).all()
    large = [size for size in counted.sizes if size > 4_000_000]
    # Whatever was in flight before the first answer asks: two tasks a worker, and those that took their place meanwhile.
    assert 1 <= len(large) <= 8
    assert len(counted.sizes) == 40 + len(large)


def test_what_was_read_only_shares_the_file_and_the_rest_is_free(tmp_path):
    sent = pack(Data())
    assert sent.inline() is None
    path = sent.write(tmp_path)
    here, there = unpack(None, path), unpack(None, path)
    assert not here.fixed.flags.writeable
    assert here.fixed.ctypes.data % 64 == 0
    here.own[0] = 7
    assert there.own[0] == 0
    assert np.array_equal(there.fixed, np.arange(float(N)))
    again = unpack(sent.inline(whole=True), None)
    assert np.array_equal(again.fixed, here.fixed)
    assert again.own.flags.writeable
    assert unpack(None, str(tmp_path / "nothing")) is None
    assert sent.write(tmp_path / "no folder") is None


def test_the_same_objective_has_the_same_name():
    assert pack(Data()).name == pack(Data()).name
    other = Data()
    other.own[3] = 1
    assert pack(other).name != pack(Data()).name
    assert len(pack(len).inline()) < 1000
