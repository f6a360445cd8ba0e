"""Trials that hang, crash, eat memory and talk too much: each is recorded for what it did, and costs nobody else."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

import objectives
import refine
from refine.errors import DesignError, RoundStoppedError
from refine.run.options import RunOptions
from refine.run.resources import limits_of

KINDS = {
    "fine": "complete",
    "hangs": "timeout",
    "hangs in C": "timeout",  # holds the interpreter's lock, so that nothing inside its process could end it
    "segfault": "crashed",
    "os._exit": "crashed",
    "kill -9": "crashed",
    "memory": "crashed",
    "talks": "complete",
    "nonsense": "failed",
    "raises": "failed",
    "sys.exit": "failed",
    "no exception": "failed",
    "Ctrl-C": "failed",
    "unwritable": "failed",
}


def faulty(params):
    import ctypes
    import os
    import signal
    import sys
    import time

    kind = params["kind"]
    if kind == "hangs":
        time.sleep(3600)
    elif kind == "hangs in C":
        ctypes.PyDLL(None).sleep(3600)
    elif kind == "segfault":
        ctypes.string_at(0)
    elif kind == "os._exit":
        os._exit(7)
    elif kind == "kill -9":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "memory":
        held = []
        while sum(map(len, held)) < 10 * 2**30:
            held.append(b"x" * 2**26)
            time.sleep(0.02)
    elif kind == "talks":
        for _ in range(5 * 1024):
            print("x" * 1023)
        print("\udcff", file=sys.stderr)
    elif kind == "nonsense":
        return {"value": "very good"}
    elif kind == "raises":
        raise ValueError("too large")
    elif kind == "sys.exit":
        sys.exit("bye")
    elif kind == "no exception":
        raise GeneratorExit("not an Exception")
    elif kind == "Ctrl-C":
        raise KeyboardInterrupt
    elif kind == "unwritable":
        raise ValueError("half a pair \udcff and a nul \0")
    return float(params["x"])


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.*ran another version of the objective's code:refine.errors.RefineWarning"
)
def test_every_fault_is_its_own_trial_s_alone(tree, capfd):
    space = {"kind": list(KINDS), "x": (1, 2)}
    found = tree.add_round(space, faulty, n=len(KINDS) * 2, seed=2)
    found.run(workers=2, timeout=5, memory="700MB", check_noise=False, progress=False)
    frame = found.trials
    assert len(frame) == len(KINDS) * 2
    assert frame["cell"].is_unique
    assert frame["state"].tolist() == [KINDS[kind] for kind in frame["kind"]]
    complete = frame[frame["state"] == "complete"]
    assert (complete["value"] == complete["x"]).all()
    assert len(capfd.readouterr().out) > 2**20  # a worker's words reach the person

    errors = found.failures.groupby("kind")["error"].first()
    assert "it ran longer than timeout=5 seconds" in errors["hangs"]
    assert "it ran longer than timeout=5 seconds" in errors["hangs in C"]
    assert "signal 11 (SIGSEGV)" in errors["segfault"]
    assert "exit code 7" in errors["os._exit"]
    assert "signal 9 (SIGKILL)" in errors["kill -9"]
    assert "more than memory=700 MB" in errors["memory"]
    assert "got str for 'value'" in errors["nonsense"]
    assert "GeneratorExit: not an Exception" in errors["no exception"]
    assert "half a pair \\udcff and a nul \\0" in errors["unwritable"]
    hanging = found.failures.query("state == 'timeout'")
    assert (hanging["seconds"] > 5).all()

    # Nothing is left to do, and with several states exactly their trials run again.
    before = frame.drop(columns="seconds")
    found.run(workers=2, check_noise=False, progress=False)
    assert found.trials.drop(columns="seconds").equals(before)
    tries = []
    name = found.node.objective
    found.run(
        progress=False,
        check_noise=False,
        rerun=["timeout", "crashed"],
        name=name,
        objective=lambda p: tries.append(p["kind"]) or float(p["x"]),
    )
    assert sorted(tries) == sorted(
        k for k, s in KINDS.items() for _ in range(2) if s in ("timeout", "crashed")
    )
    after = found.trials
    assert len(after) == len(frame)
    assert set(after.loc[after["kind"].isin(tries), "state"]) == {"complete"}


@pytest.mark.slow
def test_one_worker_with_a_timeout_is_a_subprocess_and_gives_the_same_table(tmp_path, space):
    frames = []
    for options in ({}, {"timeout": 60}):
        with refine.Tree("q", store=tmp_path / f"{len(options)}.db") as tree:
            found = tree.add_round(space, objectives.where, n=12).run(progress=False, **options)
            frames.append(found.trials)
    here, there = (
        f.drop(columns=["seconds", "process"]).sort_values("seed", ignore_index=True) for f in frames
    )  # those that end at once are stored in any order
    assert here.equals(there)
    assert (frames[0]["process"] == os.getpid()).all()
    assert (frames[1]["process"] != os.getpid()).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"timeout": 0}, r"timeout must be a number of seconds > 0, got 0; leave it out for none"),
        ({"timeout": "5"}, r"timeout must be a number of seconds > 0, got '5'"),
        ({"timeout": float("nan")}, r"timeout must be a number of seconds > 0, got nan"),
        ({"memory": "lots"}, r"memory must be bytes or a text such as '2GB' or '1.5GiB', got 'lots'"),
        ({"memory": True}, r"memory must be bytes or a text"),
        ({"memory": 2}, r"memory must be at least 200 MB, what a worker needs to start, got 2;"),
        (
            {"rerun": ["failed", "crash"]},
            r"rerun must be a state of trials, got 'crash'; did you mean 'crashed'",
        ),
        ({"rerun": 5}, r"rerun must be a state of trials, or a list of them, got 5"),
        ({"executor": ThreadPoolExecutor(1), "timeout": 10**9}, "timeout needs workers that may be killed"),
        ({"executor": ThreadPoolExecutor(1), "memory": 10**9}, "memory needs workers that may be killed"),
    ],
)
def test_limits_out_of_range_are_refused(options, text):
    with pytest.raises(DesignError, match=text):
        RunOptions(**options)


def test_memory_in_words():
    words = {
        "2GB": 2 * 10**9,
        "1.5 GiB": 3 * 2**29,
        "512m": 512 * 10**6,
        "300MiB": 300 * 2**20,
        "300000000": 3 * 10**8,
    }
    assert {text: limits_of(None, text, None).memory for text in words} == words
    assert limits_of(3, 10**9, None) == (3.0, 10**9)


class Counted(ThreadPoolExecutor):
    """Counts what was submitted and is not done."""

    def __init__(self, workers):
        super().__init__(workers)
        self.lock = threading.Lock()
        self.flying = self.most = 0

    def submit(self, *args, **kwargs) -> Future:
        with self.lock:
            self.flying += 1
            self.most = max(self.most, self.flying)
        future = super().submit(*args, **kwargs)
        future.add_done_callback(self.landed)
        return future

    def landed(self, future):
        with self.lock:
            self.flying -= 1


@pytest.mark.slow
def test_never_more_than_two_tasks_per_worker_are_in_flight(tree, space):
    with Counted(3) as pool:
        tree.add_round(space, objectives.bowl, n=200).run(workers=3, executor=pool, progress=False)
    assert 3 < pool.most <= 6


def test_tasks_are_made_when_they_are_taken(tree):
    """A round of a million cells starts at once and holds a table of level numbers, not a million tasks."""
    from refine.run.plan import plan

    found = tree.add_round({f"p{i}": (0, 9) for i in range(8)}, objectives.bowl, n=10)
    records = found.context.store.records([found._stored.pk])
    count, tasks = plan(found.node, 100_000, frozenset(), [], records)
    assert count == 100_000
    assert iter(tasks) is tasks
    first = [next(tasks).cell for _ in range(5)]
    assert first == [str(c) for c in found.cells(5)]


def die(order):
    os._exit(1)


@pytest.mark.slow
def test_a_pool_that_breaks_stops_the_round_and_another_goes_on(tree, space):
    found = tree.add_round(space, objectives.bowl, n=20)
    with ProcessPoolExecutor(2) as pool:
        broken = pool.submit(die, b"")
        assert isinstance(broken.exception(), BrokenProcessPool)
        with pytest.raises(RoundStoppedError, match="the executor takes no more trials .BrokenProcessPool"):
            found.run(workers=2, executor=pool, progress=False)
    assert len(found.run(progress=False).trials) == 20
