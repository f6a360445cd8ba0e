"""Each worker sees the GPU that it was given: by what its own environment says."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from dask_cluster import ray

import refine
from refine.errors import DesignError
from refine.run.machine import devices_of

SPACE = refine.Space({"x": refine.Float(0.0, 1.0, 40)})


def seen(params):
    """The GPU that a process sees: its number, -1 for none, -2 if the variable is not set."""
    import os
    import time

    time.sleep(0.05)
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpu = -2.0 if devices is None else float(devices or -1)
    return {"value": params["x"], "gpu": gpu, "process": float(os.getpid())}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "listed", "expected"),
    [({"workers": 3, "gpus": [4, 7]}, None, {4, 7}), ({"workers": 2}, "3,5", {3, 5})],
)
def test_each_worker_sees_one_gpu(tree, monkeypatch, options, listed, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    round_ = tree.add_round(SPACE, seen, n=24, metric="value")
    round_.run(machine=refine.Machine(progress=False, **options))
    table = round_.trials.groupby("process")["gpu"].agg(["min", "max"])
    assert (table["min"] == table["max"]).all()
    assert set(table["min"]) == expected
    assert float(os.getpid()) not in table.index


@pytest.mark.parametrize("bad", [-1, True, 1.5, "two", [], [-1], ["0,1"], [None], ["GPU-1; rm"], 10**9])
def test_wrong_devices_are_refused(bad):
    with pytest.raises(DesignError, match="GPUs"):
        devices_of(bad)


def test_more_devices_than_visible_and_other_executors_are_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    with pytest.raises(DesignError, match="CUDA_VISIBLE_DEVICES"):
        devices_of(3)
    text = r"gpus= cannot be combined with executor=.*refine.DaskExecutor\(client, \{'GPU': 1\}\)"
    with ThreadPoolExecutor(1) as pool, pytest.raises(DesignError, match=text):
        devices_of(1, pool)
    assert devices_of(["GPU-8932f937-d72c", "MIG-1/2"]) == ("GPU-8932f937-d72c", "MIG-1/2")
    assert devices_of(None) is None
    assert (devices_of(2), devices_of(0), devices_of(["3"])) == (("1", "2"), ("",), ("3",))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert (devices_of(2), devices_of(0)) == (("0", "1"), ("",))


@pytest.mark.cluster
@pytest.mark.elsewhere
def test_ray_gives_each_trial_a_gpu_and_a_process_that_saw_no_other(tree):
    with ray(2, num_gpus=1) as on:
        table = (
            tree.add_round(SPACE, seen, n=4, metric="value")
            .run(machine=refine.Machine(workers=2, executor=on, progress=False))
            .trials
        )
    assert set(table["gpu"]) == {0, 1}
    assert table["process"].nunique() == len(table)
