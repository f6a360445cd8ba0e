"""The public contract over every executor that this package knows."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from nightly import nightly
from refine.testing import ExecutorContract
from run.dask_cluster import foreign_dask, loky, processes, ray
from tests.elsewhere import RAY

PLACES = {
    "here": (lambda _: contextlib.nullcontext(), 1),
    "workers": (lambda _: contextlib.nullcontext(), 2),
    "foreign Dask, 8 threads": (foreign_dask, 8),
    "Ray": (ray, 2),
    "threads": (ThreadPoolExecutor, 4),
    "loky": (loky, 2),
    "foreign Dask, 1 thread": (foreign_dask, 1),
    "processes": (processes, 2),
}
NIGHTLY = ("loky", "foreign Dask, 1 thread", "processes")


@pytest.fixture(
    scope="class",
    params=["here", "workers", "foreign Dask, 8 threads", RAY, "threads", *map(nightly, NIGHTLY)],
)
def place(request):
    pool_of, request.cls.workers = PLACES[request.param]
    with pool_of(request.cls.workers) as request.cls.pool:
        yield


@pytest.mark.cluster
@pytest.mark.usefixtures("place")
class TestThere(ExecutorContract):
    def executor(self):
        return self.pool
