"""A tree of many rounds and trials is looked at while another process writes into it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import refine

ROUNDS, TRIALS = (
    int(os.environ.get(f"REFINE_LARGE_{kind}", n)) for kind, n in (("ROUNDS", 100), ("TRIALS", 1_000))
)
WRITER = """
import sys, time, refine

def slow(params):
    time.sleep(0.02)
    return 1.0

slow.name = "slow"

with refine.Tree("large", store=sys.argv[1], create=False) as tree:
    tree.rounds[-1].run(objective=slow, progress=False)
"""
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.nightly
def test_every_look_sees_one_moment(url, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from scale import WIDE, fill

    def value(params):
        return params["lr"] * params["dropout"] + params["beta"]

    with refine.Tree("large", store=url) as tree:
        round_ = root = tree.add_round(WIDE, value, n=TRIALS, seed=0, objective_name="slow")
        for i in range(1, ROUNDS + 1):
            fill(round_.context.store, round_._stored.pk, round_.node, round_.cells(), value)
            space = {**WIDE, "beta": (0.8, 0.99 - i / 20_000, 20)}
            round_ = root.branch(space, n=TRIALS, seed=i, note=f"step {i}")
    process = subprocess.Popen([sys.executable, "-c", WRITER, url])
    counts = [0]
    n_looks = 0
    with refine.Tree("large", store=url, create=False) as tree:
        while process.poll() is None:
            last = tree.rounds[-1]
            trials = last.trials
            assert len(tree) == str(tree).count("step ") + 1 == ROUNDS + 1
            assert set(trials["state"]) <= {"complete"}
            assert trials["value"].notna().all()
            assert len(tree.rounds[n_looks % ROUNDS].trials) == TRIALS  # what is not written stays as it is
            assert counts[-1] <= len(trials)
            counts.append(len(trials))
            n_looks += 1
        assert process.returncode == 0
        assert len(tree.rounds[-1].trials) == TRIALS
    assert n_looks > 1
    assert len(set(counts)) > 2, "every look came before or after the writer"
