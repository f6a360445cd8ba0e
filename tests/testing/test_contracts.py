"""The public contracts over everything that this package brings: designs, executors."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from refine.design.space_filling import DESIGNS
from refine.testing import DesignContract, ExecutorContract


@pytest.mark.parametrize("method", DESIGNS)
class TestDesigns(DesignContract):
    @pytest.fixture(autouse=True)
    def _named(self, method):
        self.method = method

    def design(self):
        return DESIGNS[self.method]


@pytest.mark.slow
class TestHere(ExecutorContract):
    workers = 1

    def executor(self):
        return None


@pytest.mark.cluster
class TestLocalCluster(ExecutorContract):
    def executor(self):
        return None


@pytest.mark.slow
class TestThreads(ExecutorContract):
    compare_values = False

    @pytest.fixture(autouse=True)
    def _pool(self):
        with ThreadPoolExecutor(2) as self.pool:
            yield

    def executor(self):
        return self.pool


@pytest.mark.cluster
@pytest.mark.nightly
class TestProcesses(TestThreads):
    compare_values = True

    @pytest.fixture(autouse=True)
    def _pool(self):
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as self.pool:
            yield


@pytest.mark.cluster
@pytest.mark.nightly
class TestDask(TestThreads):
    compare_values = True

    @pytest.fixture(autouse=True)
    def _pool(self):
        from distributed import Client

        with Client(n_workers=2, threads_per_worker=1, dashboard_address=":0") as client:
            self.pool = client.get_executor()
            yield
