"""Several processes run rounds of one tree at once, on both stores: every table is that of a round that ran alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

import refine

SCRIPT = """
import random, sys
import refine, refine.store.store

def objective(params):
    return {"value": params["x"] + random.random(), "drawn": random.random()}

print("ready", flush=True)
sys.stdin.readline()
tree = refine.Tree("shared", store=sys.argv[1])  # all make the store at once
for seed in map(int, sys.argv[2:]):
    found = tree.add_round({"x": (0.0, 1.0, 41), "k": (1, 8)}, objective, n=60, seed=seed)
    try:
        found.run(progress=False)
    except refine.errors.RoundBusyError:
        print("busy", seed, flush=True)
"""


def tables(url):
    with refine.Tree("shared", store=url, create=False) as tree:
        return {
            found.node.seed: found.trials.drop(columns="seconds").sort_values("cell", ignore_index=True)
            for found in tree.rounds
        }


@pytest.mark.slow
def test_coordinators_share_a_tree(url, tmp_path):
    script = tmp_path / "round.py"
    script.write_text(SCRIPT)

    def start(store, *seeds):
        command = [sys.executable, str(script), store, *map(str, seeds)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    # Two rounds of its own for each, and one that all of them want.
    started = [start(url, own, 9, own + 10) for own in range(3)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=300)[0].split("\n") for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    # Told, or came when it was complete.
    assert {line for lines in said for line in lines} <= {"", "busy 9"}
    alone = f"sqlite:///{tmp_path / 'alone.db'}"
    process = start(alone, 0, 1, 2, 9, 10, 11, 12)
    assert process.communicate("go\n", timeout=300)[0] == "ready\n"
    shared, calm = tables(url), tables(alone)
    assert sorted(shared) == sorted(calm) == [0, 1, 2, 9, 10, 11, 12]
    for seed, table in calm.items():
        assert len(table) == 60
        assert shared[seed].equals(table), seed
