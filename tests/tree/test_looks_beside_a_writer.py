"""A tree of many rounds and trials is looked at while another process writes into it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import refine

ROUNDS, TRIALS = (
    int(os.environ.get(f"REFINE_LARGE_{what}", n)) for what, n in (("ROUNDS", 100), ("TRIALS", 1_000))
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
        found = root = tree.add_round(WIDE, value, n=TRIALS, seed=0, objective_name="slow")
        for i in range(1, ROUNDS + 1):
            fill(found.context.store, found._stored.pk, found.node, found.cells(), value)
            space = {**WIDE, "beta": (0.8, 0.99 - i / 20_000, 20)}
            found = root.branch(space, n=TRIALS, seed=i, note=f"step {i}")
    process = subprocess.Popen([sys.executable, "-c", WRITER, url])
    seen = [0]
    looks = 0
    with refine.Tree("large", store=url, create=False) as tree:
        while process.poll() is None:
            last = tree.rounds[-1]
            trials = last.trials
            assert len(tree) == str(tree).count("step ") + 1 == ROUNDS + 1
            assert set(trials["state"]) <= {"complete"}
            assert trials["value"].notna().all()
            assert len(tree.rounds[looks % ROUNDS].trials) == TRIALS  # what is not written stays as it is
            assert seen[-1] <= len(trials)
            seen.append(len(trials))
            looks += 1
        assert process.returncode == 0
        assert len(tree.rounds[-1].trials) == TRIALS
    assert looks > 1
    assert len(set(seen)) > 2, "every look came before or after the writer"
