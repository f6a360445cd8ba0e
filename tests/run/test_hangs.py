"""Hangs: lost schedulers or workers, endless imports, and workers that do not start."""

import contextlib
import functools
import os
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from dask_cluster import dask_cluster, processes, ray

import refine
from refine.errors import DesignError, RefineWarning, RoundStoppedError
from refine.run.workers import child, cluster_health, dispatch, task
from tests.elsewhere import RAY

pytestmark = pytest.mark.cluster

SPACE = {"x": (1, 40, 40)}


def slowly(params):
    time.sleep(0.3)
    return float(params["x"])


def slowly_with(data, params):
    return slowly(params) + len(data)


def killing(processes):
    """A hook that kills processes as soon as three trials are stored."""
    return lambda trial: [process.kill() for process in processes()] if trial.ended == 3 else None


def below(name):
    return lambda: [p for p in psutil.Process().children(recursive=True) if p.name() == name]


GONE = {
    "scheduler": "the connection to it is lost",
    "workers": "the Dask cluster has had none for 3 seconds",
    "raylet": "Ray can run no trial .LocalRayletDiedError: .*",
}


@pytest.mark.nightly
@pytest.mark.parametrize(
    "lost", ["scheduler", "workers", pytest.param("raylet", marks=pytest.mark.elsewhere)]
)
def test_a_cluster_that_is_gone_ends_the_round(tmp_path, monkeypatch, lost):
    if lost == "workers":
        monkeypatch.setattr(cluster_health, "LOST_SECONDS", 3.0)
    with refine.Tree("q", store=tmp_path / "refine.db") as tree, contextlib.ExitStack() as stack:
        round_ = tree.add_round(SPACE, slowly, n=40, seed=1)
        if lost == "raylet":
            on = stack.enter_context(ray(2))
            hook = killing(below(lost))
            stack.callback(sys.modules["ray"].shutdown)
        else:
            client, processes = stack.enter_context(dask_cluster(tmp_path, 2))
            on = refine.DaskExecutor(client)
            hook = killing(lambda: processes[:1] if lost == "scheduler" else processes[1:])
        with pytest.raises(RoundStoppedError, match=f"{GONE[lost]}; finished"):
            round_.run(machine=refine.Machine(workers=2, executor=on, on_trial=hook, progress=False))
        before = round_.trials
        assert 3 <= len(before) < 40
        assert set(before["state"]) == {"complete"}
        (tmp_path / "other").mkdir()
        with dask_cluster(tmp_path / "other", 2) as (client, _):
            round_.run(
                machine=refine.Machine(workers=2, executor=refine.DaskExecutor(client), progress=False)
            )
        assert round_.trials["state"].tolist() == ["complete"] * 40


def says(folder, params):
    """Takes a while, and says which process runs it."""
    (folder / f"{os.getpid()} {params['x']}").touch()
    return slowly(params) + random.random()


@pytest.mark.parametrize("engine", ["Dask", RAY])
def test_killed_workers_that_hold_ten_trials_cost_none(tmp_path, engine):
    def table(**options):
        with refine.Tree("q", store="sqlite://") as tree:
            round_ = tree.add_round(
                SPACE,
                functools.partial(says, tmp_path),
                n=14,
                seed=3,
                metric=refine.Goal("value", noise="retraining"),
            )
            round_.run(machine=refine.Machine(workers=5, progress=False, **options))
            return round_.trials.drop(columns="seconds").sort_values("x", ignore_index=True)

    with contextlib.ExitStack() as stack:
        if engine == "Dask":
            client, processes = stack.enter_context(dask_cluster(tmp_path, 2))
            on = refine.DaskExecutor(client)
            hook = killing(lambda: processes[1:2])
        else:
            on = stack.enter_context(ray(2))
            hook = killing(below("ray::call"))
        disturbed = table(executor=on, on_trial=hook)
    assert len(list(tmp_path.glob("* *"))) > 14  # those that were killed began twice
    assert disturbed.equals(table())


@pytest.mark.parametrize(
    ("engine", "needs", "offering", "way"),
    [
        ("Dask", {}, "", ""),
        ("Dask", {"GPU": 1}, " that offers GPU=1", " with dask.*'GPU=1'"),
        pytest.param(
            "Ray",
            {"num_gpus": 3},
            " that offers CPU=1, GPU=3",
            " with ray start",
            marks=pytest.mark.elsewhere,
        ),
    ],
)
def test_a_cluster_whose_workers_lack_what_is_asked_for_is_said(tmp_path, engine, needs, offering, way):
    with contextlib.ExitStack() as stack:
        if engine == "Dask":
            client, _ = stack.enter_context(dask_cluster(tmp_path, workers=len(needs)))
            on = refine.DaskExecutor(client, needs)
            close = client.close
        else:
            on = stack.enter_context(ray(2, **needs))
            close = sys.modules["ray"].shutdown
        text = (
            f"the {engine} cluster has no worker{offering} yet, and trials wait for one; start "
            f"workers{way}, or"
        )
        with pytest.warns(RefineWarning, match=text):
            cluster_health.ClusterHealth(on.cluster)
        close()
        with (
            refine.Tree("q", store="sqlite://") as tree,
            pytest.raises(RoundStoppedError, match="connection"),
        ):
            tree.add_round(SPACE, slowly, n=4).run(machine=refine.Machine(executor=on, progress=False))
    if engine == "Ray":
        with pytest.raises(DesignError, match=r"ray.init\(\)"):
            refine.RayExecutor()


def test_a_temporary_folder_that_is_removed_costs_no_trial(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def remove(_):
        for folder in tmp_path.glob("refine-run-*"):
            shutil.rmtree(folder)

    large = functools.partial(slowly_with, bytes(100_000))  # it is in a file there
    round_ = tree.add_round(SPACE, large, n=8, seed=1).run(
        machine=refine.Machine(workers=2, timeout=60, on_trial=remove, progress=False)
    )
    assert round_.trials["state"].tolist() == ["complete"] * 8


class Hangs:
    """Its unpacking imports something that never returns, as long as a file is there."""

    name = "hangs"

    def __init__(self, folder, in_c):
        self.folder = folder
        self.in_c = in_c

    def __setstate__(self, state):
        self.__dict__.update(state)
        if (self.folder / "hang").exists():
            import ctypes
            import time

            # In C it holds the interpreter's lock, so that nothing in its process could end it.
            ctypes.PyDLL(None).sleep(3600) if self.in_c else time.sleep(3600)

    def __call__(self, params):
        return float(params["x"])


PLACES = {"workers": contextlib.nullcontext, "threads": ThreadPoolExecutor, "processes": processes}


@pytest.mark.nightly
@pytest.mark.parametrize(("place", "in_c"), [("workers", True), ("threads", False), ("processes", True)])
def test_an_import_that_never_returns_ends_the_round(tree, tmp_path, monkeypatch, place, in_c):
    for module in (dispatch, task):
        monkeypatch.setattr(module, "LOAD_SECONDS", 3.0)
    text = "takes no more trials" if place == "processes" else "its imports must load within 3 seconds"
    objective = Hangs(tmp_path, in_c)
    round_ = tree.add_round(SPACE, objective, n=4, seed=1)

    def run(n):
        with PLACES[place](2) as on:
            round_.run(
                n=n, machine=refine.Machine(workers=2, executor=None if on == 2 else on, progress=False)
            )

    run(4)
    (tmp_path / "hang").touch()
    # A process that has it goes on without loading it: this one is another.
    monkeypatch.setattr(objective, "more", 1, raising=False)
    with pytest.raises(RoundStoppedError, match=text):
        run(12)
    assert round_.trials["state"].tolist() == ["complete"] * 4
    (tmp_path / "hang").unlink()
    run(12)
    assert len(round_.trials) == 12


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("time.sleep(3600)", "a worker process did not start within 2 seconds; finished trials are stored"),
        ("os._exit(3)", "workers end as soon as they start, [89] times in a row; .* ended with exit code 3"),
    ],
)
def test_workers_that_do_not_come_up_end_the_round(tree, tmp_path, monkeypatch, statement, text):
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys, time\nif 'refine.run.workers.child' in sys.orig_argv:\n    {statement}\n"
    )
    round_ = tree.add_round(SPACE, slowly, n=4, seed=1).run()
    with monkeypatch.context() as patched:
        patched.setattr(child, "START_SECONDS", 2.0)
        patched.setattr(child, "_PAUSE", 0.01)
        patched.syspath_prepend(tmp_path)
        with pytest.raises(RoundStoppedError, match=text):
            round_.run(workers=2, n=8)
    assert len(round_.trials) == 4
    assert len(round_.run(workers=2, n=8).trials) == 8


def forks(params):
    """The child holds the pipe of the trial's process open, as after a fork without exec."""
    if os.fork() == 0:
        time.sleep(30)
    os._exit(5)


def test_a_trial_that_tampers_with_its_pipe_is_a_crashed_one(tree):
    round_ = tree.add_round({"x": (1, 6)}, lambda p: p["x"] if p["x"] != 3 else forks(p), n=6, seed=1)
    states = round_.run(workers=2).trials.set_index("x")["state"]
    assert states[3] == "crashed"
    assert (states.drop(3) == "complete").all()
    assert "exit code 5" in round_.failures["error"].iloc[0]
