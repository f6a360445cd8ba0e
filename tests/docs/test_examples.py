"""The examples run, as small as they go."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> str:
    found = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-4000:]
    return found.stdout


def test_digits_with_scikit_learn(tmp_path):
    said = run("digits_sklearn.py", "--out", str(tmp_path), "-n", "24")
    inside, outside = map(
        float, re.search(r"^expected ([\d.]+); on 540 rows .* ([\d.]+)$", said, re.MULTILINE).groups()
    )
    assert inside > 0.95
    assert abs(outside - inside) < 0.03
    assert len(list((tmp_path / "reports").glob("*.md"))) == 2


def test_four_rounds_of_people_and_of_autopilot(tmp_path):
    said = run("four_rounds.py", "--out", str(tmp_path), "--quick", "--workers", "1")
    rows = [line for line in said.splitlines() if re.match(r"\| (both|people|autopilot) \|", line)]
    assert [row.split(" | ")[0] for row in rows[:4]] == ["| both", "| people", "| people", "| people"]
    assert len(rows) >= 5  # autopilot may stop early
    for row in rows:
        best, _, sealed = (float(re.match(r"[\d.]+", cell)[0]) for cell in row.strip("| ").split(" | ")[4:])
        assert 0.8 < sealed <= 1
        assert 0.8 < best <= 1
    # Again, everything is there already: nothing is trained, and the same is said.
    again = run("four_rounds.py", "--out", str(tmp_path), "--quick", "--workers", "1")
    assert [line for line in again.splitlines() if line in rows] == rows


def test_rounds_on_harder_ground(tmp_path):
    said = run("digits_rounds.py", "--out", str(tmp_path), "--quick", "--workers", "1")
    rows = [line.strip("| ").split(" | ") for line in said.splitlines() if re.match(r"\| \D+ \| \d \|", line)]
    assert [row[:2] for row in rows[:3]] == [
        ["nobody, one round", "1"],
        ["people, what the ten best span", "1"],
        ["people, what the ten best span", "2"],
    ]
    for row in (row for row in rows if len(row) == 8 and row[5]):
        assert 0.5 < float(row[5]) <= 1
        assert 0.5 < float(row[7].split()[0]) <= 1


def test_a_dask_cluster_of_separate_processes(tmp_path):
    said = run("dask_cluster.py", "--out", str(tmp_path), "--n", "60")
    assert re.search(r"^60 trials on tcp://127\.0\.0\.1:\d+, best ", said, flags=re.MULTILINE)
    assert "60 complete" in said


def test_a_gradient_boosting_in_a_space_as_people_write_it(tmp_path):
    said = run("gradient_boosting.py", str(tmp_path / "store.db"), "24")
    assert (
        "validation_fraction  float, step 0.05, when early_stopping: 0.05, 0.1, 0.15, 0.2, 0.25, 0.3" in said
    )
    assert "Review of round" in said
    own = (EXAMPLES / "gradient_boosting.py").read_text().partition("import refine\n")[2]
    assert sum(bool(line.strip()) for line in own.splitlines()) < 25
    import refine

    (root,) = refine.Tree("boosting", store=str(tmp_path / "store.db")).rounds
    trials = root.trials
    assert (trials["state"] == "complete").all()
    stops = trials["early_stopping"].astype(str) == "True"
    assert trials["validation_fraction"].isna().tolist() == (~stops).tolist()
    assert {*trials["max_leaf_nodes"]} <= set(range(8, 65, 8))
