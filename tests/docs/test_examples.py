"""The examples run, as small as they go."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import refine

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str, cwd: Path | None = None) -> str:
    return run_command([sys.executable, str(EXAMPLES / name), *arguments], cwd)


def run_command(command, cwd=None):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    how = {"cwd": cwd, "env": {**os.environ, "PATH": path}, "timeout": 600, "check": False}
    found = subprocess.run(command, capture_output=True, text=True, **how)
    assert found.returncode == 0, found.stderr[-4000:]
    return found.stdout


@pytest.mark.nightly
def test_digits_with_scikit_learn(tmp_path):
    said = run("digits_sklearn.py", "--out", str(tmp_path), "-n", "24")
    inside, outside = map(
        float, re.search(r"^expected ([\d.]+); on 540 rows .* ([\d.]+)$", said, re.MULTILINE).groups()
    )
    assert inside > 0.95
    assert abs(outside - inside) < 0.03
    assert len(list((tmp_path / "reports").glob("*.md"))) == 2


@pytest.mark.nightly
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


@pytest.mark.nightly
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


@pytest.mark.nightly
def test_a_dask_cluster_of_separate_processes(tmp_path):
    said = run("dask_cluster.py", "--out", str(tmp_path), "--n", "60")
    assert re.search(r"^60 trials on tcp://127\.0\.0\.1:\d+, best ", said, flags=re.MULTILINE)
    assert "60 complete" in said


@pytest.mark.nightly
def test_a_gradient_boosting_in_a_space_as_people_write_it(tmp_path):
    said = run("gradient_boosting.py", str(tmp_path / "store.db"), "24")
    assert (
        "validation_fraction  float, step 0.05, when early_stopping: 0.05, 0.1, 0.15, 0.2, 0.25, 0.3" in said
    )
    assert re.search(r"^Round \w+: 24 trials\. Best ", said, flags=re.MULTILINE)
    (root,) = refine.Tree("boosting", store=str(tmp_path / "store.db")).rounds
    trials = root.trials
    assert (trials["state"] == "complete").all()
    stops = trials["early_stopping"].astype(str) == "True"
    assert trials["validation_fraction"].isna().tolist() == (~stops).tolist()
    assert {*trials["max_leaf_nodes"]} <= set(range(8, 65, 8))


@pytest.mark.nightly
def test_a_function_of_ones_own_in_a_space_as_people_write_it(tmp_path):
    assert re.search(
        r"^Round \w+: 12 trials\. Best ", run("own_function.py", "12", cwd=tmp_path), flags=re.MULTILINE
    )
    with refine.Tree(store=tmp_path / "own.db") as tree:
        root = tree["root"]
        trials = root.trials
    assert (trials["state"] == "complete").all()
    assert trials["value"].max() > 0.85
    assert trials["momentum"].isna().tolist() == (trials["solver"].astype(str) == "adam").tolist()
    second = trials["second"].map(lambda text: 0 if str(text) == "None" else int(str(text)))
    assert (second <= trials["width"]).all()
    assert {0, *second} > {0}


@pytest.mark.nightly
def test_a_pipeline_whose_steps_are_choices(tmp_path):
    run("sklearn_pipeline.py", "16", cwd=tmp_path)
    with refine.Tree(store=tmp_path / "wine.db") as tree:
        trials = tree["root"].trials
    assert (trials["state"] == "complete").all()
    for parameter, step, choice in [
        ("reduce__n_components", "reduce", "pca"),
        ("reduce__k", "reduce", "best"),
        ("model__gamma", "model", "svm"),
    ]:
        assert trials[parameter].notna().tolist() == (trials[step].astype(str) == choice).tolist()


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("needs", "name", "store"),
    [
        ("keras", "keras_tfdata.py", "tfdata.db"),
        ("torch", "pytorch_digits.py", "pytorch.db"),
        ("lightning", "lightning_digits.py", "lightning.db"),
        ("xgboost", "xgboost_breast_cancer.py", "xgboost.db"),
    ],
)
def test_where_another_library_is_installed(tmp_path, needs, name, store):
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    assert "ound" in run(name, "3" if needs == "keras" else "10", cwd=tmp_path)
    with refine.Tree(store=tmp_path / store) as tree:
        root = tree["root"]
        assert set(root.trials["state"]) <= {"complete", "pruned"}
        assert needs != "keras" or root.best["value"] > 0.6


def test_a_program_and_commands_only(tmp_path):
    folder = shutil.copytree(EXAMPLES / "shell_program", tmp_path / "program")
    run_command([folder / "study.sh", tmp_path / "study.db", "20"])
    with refine.Tree(store=tmp_path / "study.db") as tree:
        assert [(r.n, set(r.trials["state"])) for r in tree.rounds] == [
            (20, {"complete"}),
            (10, {"complete"}),
        ]
        assert tree.winner().expected < 0.6  # of a loss that is 0.69 by chance


def test_every_example_is_listed():
    text = (EXAMPLES.parent / "docs" / "examples.md").read_text()
    for path in EXAMPLES.rglob("*.py"):
        assert f"(../{path.relative_to(EXAMPLES.parent).as_posix()})" in text


@pytest.mark.parametrize("name", ["gradient_boosting.py", "own_function.py"])
def test_first_examples_are_short(name):
    own = (EXAMPLES / name).read_text().partition("import refine\n")[2]
    assert sum(bool(line.strip()) for line in own.splitlines()) < 25
