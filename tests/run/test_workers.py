"""Workers: the same table as in one process, dying workers, and a coordinator killed with -9."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import refine

pytestmark = pytest.mark.cluster

# No main guard, and the objective lives in the script itself.
SCRIPT = """
import sys, time
import refine

LOG = sys.argv[2]

def objective(params):
    import random
    time.sleep(0.05)
    with open(LOG, "a") as log:
        log.write(f"{params['lr']} {params['dropout']} {params['optimizer']} {params['junk']}\\n")
    return params["lr"] + random.random()

space = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "SGD"], "junk": (1, 8)}
tree = refine.Tree("killed", store=sys.argv[1])
found = tree.add_round(space, objective, n=40, seed=5).run(workers=2, progress=False)
print("finished", len(found.trials))
"""


def finished(store: Path) -> int:
    try:
        with refine.Tree("killed", store=store, create=False) as tree:
            return sum(len(r.trials) for r in tree.rounds)
    except refine.errors.StoreError:
        return 0


def table(store: Path):
    with refine.Tree("killed", store=store, create=False) as tree:
        (found,) = tree.rounds
        frame = found.trials.drop(columns="seconds")
        return frame.sort_values("cell").reset_index(drop=True)


def test_kill_9_in_the_middle_of_two_workers_loses_no_finished_trial(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    killed, calm = tmp_path / "killed.db", tmp_path / "calm.db"
    log = tmp_path / "killed.log"
    command = [sys.executable, str(script)]
    first = subprocess.Popen(
        [*command, str(killed), str(log)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while finished(killed) < 8:
        assert first.poll() is None, "the script ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.3)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = table(killed)
    assert 8 <= len(before) < 40

    again = subprocess.run([*command, str(killed), str(log)], capture_output=True, text=True, timeout=300)
    assert again.stdout.strip() == "finished 40", again.stderr
    undisturbed = subprocess.run(
        [*command, str(calm), str(tmp_path / "calm.log")], capture_output=True, text=True, timeout=300
    )
    assert undisturbed.stdout.strip() == "finished 40", undisturbed.stderr

    after = table(killed)
    assert after.equals(table(calm))
    merged = before.merge(after, on="cell", suffixes=("", "_after"))
    assert len(merged) == len(before)
    assert (merged["value"] == merged["value_after"]).all()
    # What had finished was not run again; what was in flight (at most two per worker) was.
    lines = log.read_text().splitlines()
    assert len(set(lines)) == 40
    assert len(lines) <= 40 + 4


def test_workers_give_the_table_of_one_process(tmp_path, space):
    def draws(params):
        return {"acc": params["lr"] + random.random() + float(np.random.random()), "loss": random.random()}

    tables = []
    for workers in (1, 2):
        with refine.Tree("q", store=tmp_path / f"{workers}.db") as tree:
            found = tree.add_round(space, draws, metric="acc", n=24).run(workers, progress=False)
            tables.append(found.trials.drop(columns="seconds").sort_values("cell").reset_index(drop=True))
            assert found.replay(3, workers=workers).same
    assert tables[0].equals(tables[1])
