"""Coordinators whose clocks are an hour apart, or jump back and forth while they run."""

import json
import os
import subprocess
import sys
import time

import pytest

import refine

SCRIPT = """
import json, sys, time
import refine, refine.store.lease

refine.store.lease.LEASE_SECONDS = 2.0
SPACE = {"x": (0.0, 1.0, 41), "k": (1, 8)}

def objective(params):
    time.sleep(0.1)
    return {"value": 1.0 - (params["x"] - 0.3) ** 2}

tree = refine.Tree("shared", store=sys.argv[1])
seeds = json.loads(sys.argv[2])
goal = refine.Goal("value", noise="retraining")
rounds = [tree.add_round(SPACE, objective, n=40, seed=seed, metric=goal) for seed in seeds]
print("ready", flush=True)
sys.stdin.readline()
try:
    for round_ in rounds:
        round_.run(machine=refine.Machine(progress=False, **json.loads(sys.argv[3])))
except refine.errors.RoundBusyError:
    sys.exit("busy")
if len(rounds) > 1:
    sys.exit()  # the calm run
round_.propose().accept(n=12).run(machine=refine.Machine(progress=False))
print(round_.propose().accept(n=12).id)
"""


@pytest.mark.nightly
@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_clocks_that_differ_and_jump_take_no_round_away(url, world, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    jumping = tmp_path / "jumping"
    behind = tmp_path / "behind"
    behind.touch()

    def start(store, seeds, back, **options):
        command = [sys.executable, str(script), store, json.dumps(seeds), json.dumps(options)]
        environment = {**os.environ, "LD_PRELOAD": world, "WORLD_BACK": str(back)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, **pipes, text=True, env=environment)
        assert process.stdout.readline() == "ready\n"
        return process

    def go(process):
        process.stdin.write("go\n")
        process.stdin.flush()

    calm_url = f"sqlite:///{tmp_path}/calm.db"
    several = {"workers": 2, "timeout": 60, "hours": 0.5}
    runs = [start(url, [1], jumping, **several), start(url, [2], behind, **several)]
    calm = start(calm_url, [1, 2], tmp_path / "never")
    rivals = [start(url, [1], behind), start(url, [2], tmp_path / "never")]
    for process in [*runs, calm]:
        go(process)
    with refine.Tree("shared", store=url) as tree:
        while min(len(r.trials) for r in tree.rounds) < 5:
            time.sleep(0.05)
    for process in rivals:
        go(process)
    while runs[0].poll() is None:
        if jumping.exists():
            jumping.unlink()
        else:
            jumping.touch()
        time.sleep(0.5)
    assert [process.communicate(timeout=120)[1].strip() for process in rivals] == ["busy", "busy"]
    children = [process.communicate(timeout=120)[0].strip() for process in runs]
    calm.communicate(timeout=120)
    assert calm.returncode == 0
    with refine.Tree("shared", store=url) as tree, refine.Tree("shared", store=calm_url) as alone:
        assert len(tree.rounds) == 4  # no proposal was made twice
        assert set(children) == {r.id for r in tree.rounds if r.parent is not None}
        for round_ in (r for r in tree.rounds if r.parent is None):
            shared_trials, alone_trials = (
                r.trials.drop(columns="seconds").sort_values("cell", ignore_index=True)
                for r in (round_, alone[round_.id])
            )
            assert shared_trials.equals(alone_trials)
            assert round_.trials["seconds"].between(0.09, 60).all()
