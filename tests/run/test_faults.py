"""Trials that hang, crash, exhaust memory or print too much: faults are recorded and harm no other trial."""

import ctypes
import os
import pickle
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

import objectives
import refine
from refine.errors import DesignError, RoundStoppedError
from refine.run.machine import limits_of
from refine.run.options import RunOptions
from refine.run.outcome import Outcome, raised


def die(order):
    os._exit(1)


@pytest.mark.slow
def test_a_pool_that_breaks_stops_the_round_and_another_goes_on(tree, space):
    round_ = tree.add_round(space, objectives.bowl, n=20)
    with ProcessPoolExecutor(2) as pool:
        assert isinstance(pool.submit(die, b"").exception(), BrokenProcessPool)
        with pytest.raises(RoundStoppedError, match="trials .BrokenProcessPool"):
            round_.run(machine=refine.Machine(workers=2, executor=pool, progress=False))
    assert len(round_.run().trials) == 20


def eat():
    parts = []
    while len(parts) < 160:
        parts.append(b"x" * 2**26)
        time.sleep(0.02)


def eat_below():
    if os.fork() == 0:
        parts = [bytes(range(256)) * 2**21 for _ in "ab"]
        time.sleep(60 + len(parts))
    os.wait()


def share():
    """Three processes that hold the same memory."""
    memory = b"x" * 300_000_000
    below = [os.fork() or time.sleep(0.5) or os._exit(len(memory) % 2) for _ in "ab"]
    assert [os.waitpid(pid, 0)[1] for pid in below] == [0, 0]


def talk():
    for _ in range(5 * 1024):
        print("x" * 1023)
    print("\udcff", file=sys.stderr)


def throw(error):
    raise error


LATE = "it ran longer than timeout=5 seconds"
FAULTS = {
    "fine": ("complete", lambda: None, ""),
    "hangs": ("timeout", lambda: time.sleep(3600), LATE),
    # Holds the interpreter's lock, so that nothing inside its process could end it.
    "hangs in C": ("timeout", lambda: ctypes.PyDLL(None).sleep(3600), LATE),
    "segfault": ("crashed", lambda: ctypes.string_at(0), "signal 11 (SIGSEGV)"),
    "os._exit": ("crashed", lambda: time.sleep(0.3) or os._exit(7), "exit code 7"),
    "kill -9": ("crashed", lambda: os.kill(os.getpid(), signal.SIGKILL), "signal 9 (SIGKILL)"),
    "memory": ("crashed", eat, "more than memory=700 MB"),
    "memory below it": ("crashed", eat_below, "more than memory=700 MB"),
    "memory shared": ("complete", share, ""),
    "talks": ("complete", talk, ""),
    "nonsense": ("failed", lambda: {"value": "very good"}, "got str for 'value'"),
    "raises": ("failed", lambda: throw(ValueError("too large")), "ValueError: too large"),
    "sys.exit": ("failed", lambda: sys.exit("bye"), "SystemExit: bye"),
    "no exception": ("failed", lambda: throw(GeneratorExit("not an Exception")), "GeneratorExit: not an Exc"),
    "Ctrl-C": ("failed", lambda: throw(KeyboardInterrupt()), "KeyboardInterrupt"),
    "unwritable": ("failed", lambda: throw(ValueError("half \udcff, nul \0")), "half \\udcff, nul \\0"),
}
"""Kind -> the state of its trial, what happens, and what the error says."""


def faulty(params):
    return FAULTS[params["kind"]][1]() or float(params["x"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*ran another version of the obj:refine.errors.RefineWarning")
def test_every_fault_is_its_own_trial_s_alone(tree, capfd):
    round_ = tree.add_round(
        {"kind": list(FAULTS), "x": 1},
        faulty,
        n=len(FAULTS),
        seed=2,
        metric=refine.Goal("value", noise="retraining"),
    )
    round_.run(machine=refine.Machine(workers=2, timeout=5, memory="700MB", progress=False))
    frame = round_.trials
    assert sorted(frame["kind"]) == sorted(FAULTS)
    assert frame["state"].tolist() == [FAULTS[kind][0] for kind in frame["kind"]]
    assert (frame.loc[frame["state"] == "complete", "value"] == 1).all()
    assert len(capfd.readouterr().out) > 2**20  # a worker's words reach the person
    errors = round_.failures.set_index("kind")["error"]
    assert {kind for kind, text in errors.items() if FAULTS[kind][2] not in text} == set()
    assert (round_.failures.query("state == 'timeout'")["seconds"] > 5).all()
    assert round_.failures.set_index("kind")["seconds"]["os._exit"] > 0.3

    # Nothing is left to do, and with several states exactly their trials run again.
    before = frame.drop(columns="seconds")
    round_.run(workers=2)
    assert round_.trials.drop(columns="seconds").equals(before)
    tries = []
    mended = objectives.named(lambda p: tries.append(p["kind"]) or float(p["x"]), round_._node.objective)
    round_.run(rerun=["timeout", "crashed"], objective=mended)
    assert sorted(tries) == sorted(k for k, fault in FAULTS.items() if fault[0] in ("timeout", "crashed"))
    assert len(round_.trials) == len(frame)
    assert set(round_.trials.loc[round_.trials["kind"].isin(tries), "state"]) == {"complete"}


class Raises:
    def __init__(self, error):
        self.error = error

    def __float__(self):
        raise self.error


RETURNS = {
    "complex": (lambda: np.complex128(1 + 5j), "to numbers, got complex128"),
    "one name": (lambda: {1: 0.5, "1": 0.6}, "names that differ as texts, got '1' twice; rename one"),
    "SystemExit": (lambda: Raises(SystemExit("bye")), "SystemExit: bye"),
    "Ctrl-C": (lambda: {"value": Raises(KeyboardInterrupt("no key"))}, "KeyboardInterrupt: no key"),
}


def test_an_objective_whose_second_argument_is_called_trial_gets_the_trial(tree):
    def score(params, trial=None):
        return float(trial.seed)

    def with_an_option(params, scale=2.0):
        return scale * params["x"]

    space = {"x": [1.0, 2.0]}
    seeded = tree.add_round(space, score, n=2).run()
    assert (seeded.trials["value"] == seeded.trials["seed"]).all()
    plain = tree.add_round(space, with_an_option, n=2).run()
    assert (plain.trials["value"] == 2 * plain.trials["x"]).all()


def test_what_is_returned_and_is_no_metric_fails_its_trial_alone(tree):
    round_ = tree.add_round(
        {"kind": [*RETURNS, "fine"]}, lambda p: RETURNS.get(p["kind"], (lambda: 1.0,))[0](), n=5
    )
    states = round_.run().trials.set_index("kind")["state"]
    assert states.pop("fine") == "complete"
    assert set(states) == {"failed"}
    errors = round_.failures.set_index("kind")["error"]
    assert {kind for kind, (_, text) in RETURNS.items() if text not in errors[kind]} == set()


@pytest.mark.slow
def test_one_worker_with_a_timeout_is_a_subprocess_and_gives_the_same_table(tmp_path, space):
    frames = []
    for options in ({}, {"timeout": 60}):
        with refine.Tree("q", store=tmp_path / f"{len(options)}.db") as tree:
            round_ = tree.add_round(space, objectives.where, n=12).run(
                machine=refine.Machine(progress=False, **options)
            )
            frames.append(round_.trials)
    in_process, in_subprocess = (
        f.drop(columns=["seconds", "process"]).sort_values("seed", ignore_index=True) for f in frames
    )  # those that end at once are stored in any order
    assert in_process.equals(in_subprocess)
    assert (frames[0]["process"] == os.getpid()).all()
    assert (frames[1]["process"] != os.getpid()).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"timeout": 0}, r"timeout must be a number of seconds > 0, got 0; leave timeout= out for no limit"),
        ({"timeout": "5"}, r"timeout must be a number of seconds > 0, got '5'"),
        ({"timeout": float("nan")}, r"timeout must be a number of seconds > 0, got nan"),
        (
            {"memory": "lots"},
            r"memory must be a number of bytes, or a text like '2GB' or '1.5GiB', got 'lots'",
        ),
        ({"memory": True}, r"memory must be a number of bytes"),
        ({"memory": 2}, r"memory must be at least 200 MB, which a worker needs to start, got 2 "),
        ({"executor": ThreadPoolExecutor(1), "timeout": 10**9}, "timeout= needs an executor that can end"),
        ({"executor": ThreadPoolExecutor(1), "memory": 10**9}, "memory= needs an executor that can end"),
    ],
)
def test_limits_out_of_range_are_refused(options, text):
    with pytest.raises(DesignError, match=text):
        refine.Machine(**options)


@pytest.mark.parametrize(
    ("rerun", "text"),
    [
        (["failed", "crash"], "rerun must be a state of trials, got 'crash'; did you mean 'crashed'"),
        (5, "rerun must be a state of trials, or a list of them, got 5"),
    ],
)
def test_states_to_rerun_are_checked(rerun, text):
    with pytest.raises(DesignError, match=text):
        RunOptions(rerun=rerun)


def test_memory_is_read_from_words_with_units():
    words = {"2GB": 2 * 10**9, "1.5 GiB": 3 * 2**29, "512m": 512 * 10**6, "300MiB": 300 * 2**20}
    assert {text: limits_of(None, text, None).memory for text in words} == words
    assert limits_of(3, 10**9, None) == limits_of(3, "1000000000", None) == (3.0, 10**9)


class Counted(ThreadPoolExecutor):
    """Notes its peak: the largest number of tasks handed in and not yet done."""

    peak = 0
    pending = ()

    def submit(self, *args, **kwargs):
        future = super().submit(*args, **kwargs)
        self.pending = [*(task for task in self.pending if not task.done()), future]
        self.peak = max(self.peak, len(self.pending))
        return future


@pytest.mark.slow
def test_never_more_than_two_tasks_per_worker_are_in_flight(tree, space):
    with Counted(3) as pool:
        tree.add_round(space, objectives.bowl, n=200).run(
            machine=refine.Machine(workers=3, executor=pool, progress=False)
        )
    assert 3 < pool.peak <= 6


def test_outcomes_of_failed_trials_travel_between_processes():
    outcome = raised(ValueError("no"))
    assert Outcome(*pickle.loads(pickle.dumps(tuple(outcome)))) == outcome
