"""Two processes want the same round of a tree with a budget: no trial runs twice, and the budget holds."""

import subprocess
import sys
import time

import pytest

import refine
from nightly import nightly

BUDGET = 20
SCRIPT = """
import sys, time
from pathlib import Path
import refine
from refine.errors import DesignError, RoundBusyError

def objective(params):
    with open(sys.argv[2], "a") as file:
        file.write(f"{sorted(params.items())}\\n")
    while len(Path(sys.argv[2]).read_text().splitlines()) >= 4 and not Path(sys.argv[3]).exists():
        time.sleep(0.01)
    time.sleep(0.02)
    return params["x"] * params["k"]

print("ready", flush=True)
sys.stdin.readline()
tree = refine.Tree("shared", store=sys.argv[1])
goal = refine.Goal("value", noise="retraining")
root = tree.add_round({"x": (0.0, 1.0, 41), "k": (1, 8)}, objective, n=12, budget=20, metric=goal)
sizes = [12, 15, 18, 20, 21]
while sizes:
    try:
        root.run(sizes[0], machine=refine.Machine(progress=False))
    except RoundBusyError:
        print("busy", flush=True)
        time.sleep(0.01)
        continue
    except DesignError as error:
        print(f"refused: {error}", flush=True)
    del sizes[0]
"""


@pytest.fixture
def start(tmp_path):
    """Starts a process that waits for a line before it runs the round."""
    script = tmp_path / "round.py"
    script.write_text(SCRIPT)
    files = [str(tmp_path / name) for name in ("a.db", "lines.txt", "released")]
    command = [sys.executable, str(script), *files]
    processes = []

    def started():
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield started
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.mark.slow
@pytest.mark.parametrize("killed", [True, nightly(False)])
def test_two_processes_of_one_round_share_a_budget(start, tmp_path, killed):
    first = start()
    second = start()
    go(first)
    lines = tmp_path / "lines.txt"
    deadline = time.monotonic() + 120
    while not lines.exists() or len(lines.read_text().splitlines()) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    go(second)
    assert second.stdout.readline() == "busy\n"
    if killed:
        first.kill()
    (tmp_path / "released").touch()
    outputs = [process.communicate(timeout=300)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [-9 * killed, 0]
    messages = outputs[1].splitlines()
    assert {line for line in messages if line != "busy"}
    assert all("budget" in line for text in outputs for line in text.splitlines() if line != "busy")
    configurations = lines.read_text().splitlines()
    with refine.Tree("shared", store=tmp_path / "a.db", create=False) as tree:
        state = tree.budget
        table = tree.rounds[0].trials
    assert (state.spent, state.running, state.left) == (BUDGET, 0, 0)
    assert len(table) == len({*configurations}) == BUDGET
    assert len(configurations) <= BUDGET + killed  # the trial that a killed process was running is repeated
