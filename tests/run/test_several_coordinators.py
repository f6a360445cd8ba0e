"""Several processes run rounds of one tree at once, on both stores, and every table is as from a calm run."""

import contextlib
import subprocess
import sys
import time

import pytest

import refine
from nightly import nightly
from refine.errors import NotFoundError

SCRIPT = """
import random, sys, time
import refine

def objective(params):
    time.sleep(0.02)
    return {"value": params["x"] + random.random(), "drawn": random.random()}

print("ready", flush=True)
sys.stdin.readline()
tree = refine.Tree("shared", store=sys.argv[1])  # all make the store at once
goal = refine.Goal("value", noise="retraining")
root = tree.add_round({"x": (0.0, 1.0, 41), "k": (1, 8)}, objective, n=60, metric=goal)
for seed in map(int, sys.argv[2:]):
    found = root.branch({"x": (0.0, 0.5, 21), "k": (1, 8)}, seed=seed)
    try:
        found.run(machine=refine.Machine(progress=False))
    except refine.errors.RoundBusyError:
        print("busy", seed, flush=True)
"""


def tables(url):
    """Seed of a round -> its trials, where it has any."""
    with refine.Tree("shared", store=url, create=False) as tree:
        assert sum(r.parent is None for r in tree.rounds) <= 1
        table_by_seed = {
            r._node.seed: r.trials.drop(columns="seconds").sort_values("cell") for r in tree.rounds
        }
    return {seed: table.reset_index(drop=True) for seed, table in table_by_seed.items() if len(table)}


@pytest.mark.slow
@pytest.mark.parametrize("url", [nightly("sqlite"), "postgresql"], indirect=True)
def test_coordinators_share_a_tree_and_one_that_is_killed_keeps_nobody_waiting(url, tmp_path):
    script = tmp_path / "round.py"
    script.write_text(SCRIPT)

    def start(store, *seeds):
        command = [sys.executable, str(script), store, *map(str, seeds)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        return process

    def go(*processes):
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()

    # Two rounds of its own for each, and one that all of them want; all have one parent.
    go(*(started := [start(url, number, 9, number + 10) for number in range(3)]))
    rows = ()
    while started[0].poll() is None and len(rows) < 3:
        time.sleep(0.02)
        with contextlib.suppress(NotFoundError):  # there is no tree yet
            rows = tables(url).get(0, ())
    started[0].kill()
    outputs = [process.communicate(timeout=300)[0].split("\n") for process in started]
    assert [process.returncode for process in started] == [-9, 0, 0]
    assert {line for lines in outputs for line in lines} <= {"", "busy 9"}  # or it was complete
    halfway = tables(url)
    assert sorted(halfway) == [0, 1, 2, 9, 11, 12]
    assert 3 <= len(halfway.pop(0)) < min(map(len, halfway.values())) == 60
    go(
        second := start(url, 0, 9, 10),
        alone := start(calm := f"sqlite:///{tmp_path}/calm.db", 0, 1, 2, 9, 10, 11, 12),
    )
    assert [process.communicate(timeout=300)[0] for process in (second, alone)] == ["", ""]
    shared = tables(url)
    calm = tables(calm)
    assert [(seed, len(calm[seed])) for seed in sorted(calm)] == [(s, 60) for s in (0, 1, 2, 9, 10, 11, 12)]
    assert sorted(shared) == [seed for seed in sorted(calm) if shared[seed].equals(calm[seed])]


@pytest.mark.nightly
@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_six_coordinators_at_once_run_every_round_as_if_alone(url, tmp_path):
    """Each process has its own rounds, and all compete for round 9; the later ones get a busy error."""
    script = tmp_path / "round.py"
    script.write_text(SCRIPT)
    calm_url = f"sqlite:///{tmp_path}/calm.db"
    seeds_by_process = {i: [100 + i, 9, 200 + i] for i in range(6)}
    all_seeds = sorted({seed for seeds in seeds_by_process.values() for seed in seeds})
    processes = []
    for store, seeds in [*((url, seeds) for seeds in seeds_by_process.values()), (calm_url, all_seeds)]:
        command = [sys.executable, str(script), store, *map(str, seeds)]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [line for process in processes for line in process.communicate(timeout=300)[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 7
    assert set(lines) <= {"busy 9"}
    assert len(lines) <= 5
    shared = tables(url)
    calm = tables(calm_url)
    assert sorted(shared) == sorted(calm) == all_seeds
    for seed in all_seeds:
        assert shared[seed].equals(calm[seed])
