"""What never answers: a cluster whose scheduler or workers are gone, an import without end, workers that don't come up."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from dask_cluster import dask_cluster, processes

import refine
from refine.errors import RefineWarning, RoundStoppedError
from refine.run.workers import child, executor, task

pytestmark = pytest.mark.cluster

SPACE = {"x": (1, 40, 40)}


def slowly(params):
    time.sleep(0.3)
    return float(params["x"])


def slowly_with(data, params):
    return slowly(params) + len(data)


def when_some_are_stored(found, kill):
    """Calls ``kill`` once three trials of a round are stored."""

    def watch():
        deadline = time.monotonic() + 60
        while len(found.trials) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        kill()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.nightly
@pytest.mark.parametrize("gone", ["scheduler", "workers"])
def test_a_cluster_that_is_gone_ends_the_round(tmp_path, monkeypatch, gone):
    if gone == "workers":
        monkeypatch.setattr(executor, "LOST_SECONDS", 3.0)
    text = {
        "scheduler": "the connection to it is lost; what had finished is stored",
        "workers": "the Dask cluster has had none for 3 seconds; what had finished is stored",
    }[gone]
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        found = tree.add_round(SPACE, slowly, n=40, seed=1)
        with dask_cluster(tmp_path, 2) as (client, processes):
            on = client.get_executor(pure=False, retries=0)
            victims = processes[:1] if gone == "scheduler" else processes[1:]
            thread = when_some_are_stored(found, lambda: [process.kill() for process in victims])
            with pytest.raises(RoundStoppedError, match=text):
                found.run(2, executor=on, progress=False)
            thread.join()
        before = found.trials
        assert 3 <= len(before) < 40
        assert set(before["state"]) == {"complete"}
        after = found.run(workers=2, progress=False).trials
        assert len(after) == 40
        assert set(after["state"]) == {"complete"}


@pytest.mark.parametrize(
    ("needs", "offering", "how"), [({}, "", ""), ({"GPU": 1}, " that offers GPU=1", " with dask.*'GPU=1'")]
)
def test_a_cluster_whose_workers_do_not_offer_what_is_asked_for_is_said(tmp_path, needs, offering, how):
    with dask_cluster(tmp_path, workers=len(needs)) as (client, _):
        text = (
            f"the Dask cluster has no worker{offering} yet, and trials wait for one; start workers{how}, or"
        )
        with pytest.warns(RefineWarning, match=text):
            executor.Pulse(client.get_executor(pure=False, retries=0, resources=needs))
        client.close()
        with (
            refine.Tree("q", store="sqlite://") as tree,
            pytest.raises(RoundStoppedError, match="connection to it is lost"),
        ):
            tree.add_round(SPACE, slowly, n=4).run(executor=client.get_executor(), progress=False)


def test_a_temporary_folder_that_is_removed_costs_no_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def remove(_):
        for folder in tmp_path.glob("refine-run-*"):
            shutil.rmtree(folder)

    large = functools.partial(slowly_with, bytes(100_000))  # it is in a file there
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        found = tree.add_round(SPACE, large, n=8, seed=1).run(2, timeout=60, on_trial=remove, progress=False)
        assert set(found.trials["state"]) == {"complete"}
        assert len(found.trials) == 8


class Hangs:
    """Its unpacking imports something that never returns, as long as a file is there."""

    name = "hangs"

    def __init__(self, folder, in_c):
        self.folder, self.in_c = folder, in_c

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
def test_an_import_that_never_returns_ends_the_round(tmp_path, monkeypatch, place, in_c):
    for module in (executor, task):
        monkeypatch.setattr(module, "LOAD_SECONDS", 3.0)
    text = (
        "the executor takes no more trials"
        if place == "processes"
        else "must be unpacked, with all that this imports, within 3 seconds"
    )
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        objective = Hangs(tmp_path, in_c)
        found = tree.add_round(SPACE, objective, n=4, seed=1)

        def run(n):
            with PLACES[place](2) as on:
                found.run(2, n=n, executor=None if on == 2 else on, progress=False)

        run(4)
        (tmp_path / "hang").touch()
        # A process that has it goes on without loading it: this one is another.
        monkeypatch.setattr(objective, "more", 1, raising=False)
        with pytest.raises(RoundStoppedError, match=text):
            run(12)
        assert set(found.trials["state"]) == {"complete"}
        assert len(found.trials) == 4
        (tmp_path / "hang").unlink()
        run(12)
        assert len(found.trials) == 12


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("time.sleep(3600)", "a worker process did not start within 2 seconds; what had finished is stored"),
        (
            "os._exit(3)",
            r"workers end as soon as they start, [89] times in a row, and of the last one its process ended with exit code 3",
        ),
    ],
)
def test_workers_that_do_not_come_up_end_the_round(tmp_path, monkeypatch, how, text):
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys, time\nif 'refine.run.workers.child' in sys.orig_argv:\n    {how}\n"
    )
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        found = tree.add_round(SPACE, slowly, n=4, seed=1).run(progress=False)
        with monkeypatch.context() as patched:
            patched.setattr(child, "START_SECONDS", 2.0)
            patched.setattr(child, "_PAUSE", 0.01)
            patched.syspath_prepend(tmp_path)
            with pytest.raises(RoundStoppedError, match=text):
                found.run(workers=2, n=8, progress=False)
        assert len(found.trials) == 4
        assert len(found.run(workers=2, n=8, progress=False).trials) == 8


def forks(params):
    """Its child holds the pipe of the trial's process open, as whoever forks without starting another program does."""
    if os.fork() == 0:
        time.sleep(30)
    os._exit(5)


def test_a_trial_that_tampers_with_its_pipe_is_a_crashed_one(tmp_path):
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        found = tree.add_round(
            {"x": (1, 6)}, lambda p: forks(p) if p["x"] == 3 else float(p["x"]), n=6, seed=1
        )
        states = found.run(workers=2, progress=False).trials.set_index("x")["state"]
        assert states[3] == "crashed"
        assert (states.drop(3) == "complete").all()
        assert "exit code 5" in found.failures["error"].iloc[0]
