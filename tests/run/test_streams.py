"""Rounds without standard streams, as in a daemon, after ``2>&-``, or under pythonw."""

import os
import shlex
import subprocess
import sys

import pytest

import refine
from nightly import nightly

pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys

import refine


def objective(params):
    os.write(2, b"a library of C speaks")
    return params["x"] + params["y"]


tree = refine.Tree("q", store="refine.db")
space = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}
root = tree.add_round(space, objective, n=30, seed=1)
root.run(workers=int(sys.argv[1]), trials=12)
root.run(machine=refine.Machine(workers=int(sys.argv[1]), hours=0.5))
print(root.propose())
print(root.propose().why())
root.add(repeat=1, seeds=2).run()
with open("states", "w") as file:
    file.write(" ".join(root.trials["state"]))
"""

ERROR = "2>&-"
ALL = "0<&- 1>&- 2>&-"
OUTPUT = "1>&-"


def run_with_closed(command, closed, folder):
    """A command run by a shell that closes standard streams before; what stays open is captured."""
    text = f"exec {shlex.join(command)} {closed}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        ["/bin/sh", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("closed", "workers"),
    [
        pytest.param(ALL, 2, marks=pytest.mark.cluster),
        *(nightly(*case) for case in [(ERROR, 1), (ERROR, 2), (ALL, 1), (OUTPUT, 2)]),
    ],
)
def test_round_runs_silently_without_standard_streams(tmp_path, closed, workers):
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = run_with_closed([sys.executable, "script.py", str(workers)], closed, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "states").read_text().split() == ["complete"] * 30
    if "1>" not in closed:
        assert ended.stdout.startswith("Round ")  # the proposal, and no progress before it


def test_shell_runs_without_standard_error(tmp_path):
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        tree.add_round({"x": (0.0, 1.0, 11)}, refine.Command("echo {x}"), n=10, seed=1)
    run = [sys.executable, "-m", "refine", "run", "refine.db", "--command", "echo {x}"]
    assert run_with_closed(run, "2>&-", tmp_path).returncode == 0
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        assert len(tree.rounds[0].trials) == 10
