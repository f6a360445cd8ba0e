"""What workers of a local cluster start with."""

from __future__ import annotations

import os

import pytest

from refine.run.dask import local_cluster


@pytest.mark.cluster
def test_workers_take_turns_with_the_gpus_that_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with local_cluster(2, 1) as workers:
        seen = workers.executor._client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
    assert sorted(seen.values()) == ["3", "5"]
