"""The examples run, as small as they go."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import refine
from refine.store.store import Store

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *arguments, cwd=None):
    return run_command([sys.executable, str(EXAMPLES / name), *arguments], cwd)


def run_command(command, cwd=None):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options = {"cwd": cwd, "env": {**os.environ, "PATH": path}, "timeout": 600, "check": False}
    process = subprocess.run(command, capture_output=True, text=True, **options)
    assert process.returncode == 0, process.stderr[-4000:]
    return process.stdout


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "arguments", "needs", "pattern"),
    [
        ("digits_sklearn.py", "--out . -n 24", "", r"^expected 0\.9\d+; on 540 rows .* 0\.9\d+$"),
        ("four_rounds.py", "--out . --quick --workers 1", "", r"^\| people \|"),
        ("digits_rounds.py", "--out . --quick --workers 1", "", r"^\| people, .* ten best span \| 2 \|"),
        ("dask_cluster.py", "--out . --n 60", "", r"^60 trials on tcp://127\.0\.0\.1:\d+, best "),
        ("gradient_boosting.py", "24", "", r"^Round \w+: 24 trials, best "),
        ("own_function.py", "12", "", r"^Round \w+: 12 trials, best "),
        ("sklearn_pipeline.py", "16", "", r"[Rr]ound \w+"),
        ("keras_tfdata.py", "3", "", r"3 complete"),
        ("pytorch_digits.py", "10", "torch", r"[Rr]ound \w+"),
        ("lightning_digits.py", "10", "lightning", r"[Rr]ound \w+"),
        ("xgboost_breast_cancer.py", "10", "xgboost", r"[Rr]ound \w+"),
    ],
)
def test_an_example_runs_and_has_a_best_trial(tmp_path, name, arguments, needs, pattern):
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"needs {needs}, which CI does not install: try it by hand after pip install {needs}")
    assert re.search(pattern, run(name, *arguments.split(), cwd=tmp_path), flags=re.MULTILINE)
    (path, *_) = tmp_path.glob("*.db")
    with contextlib.closing(Store(path)) as store:
        names = store.trees()
    for title in names:
        with refine.Tree(title, store=path) as tree:
            assert tree._best() is not None


@pytest.mark.nightly
def test_a_program_is_tuned_with_commands_alone(tmp_path):
    folder = shutil.copytree(EXAMPLES / "shell_program", tmp_path / "program")
    run_command([folder / "study.sh", tmp_path / "study.db"])
    with refine.Tree(store=tmp_path / "study.db") as tree:
        assert [set(r.trials["state"]) for r in tree.rounds] == [{"complete"}, {"complete"}]
        assert tree.budget.spent <= 60
        assert tree.winner().expected < 0.6  # of a loss that is 0.69 by chance


def test_every_example_is_listed():
    text = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.rglob("*.py"):
        assert f"({path.relative_to(EXAMPLES).as_posix()})" in text


@pytest.mark.parametrize("name", ["gradient_boosting.py", "own_function.py"])
def test_first_examples_are_short(name):
    code = (EXAMPLES / name).read_text().partition("import refine\n")[2]
    assert sum(bool(line.strip()) for line in code.splitlines()) < 25


@pytest.mark.nightly
@pytest.mark.keras
def test_the_demo_ends_with_four_answers(tmp_path):
    options = ["--out", ".", "-n", "20", "6", "--epochs", "2", "--workers", "1"]
    printed = run("breast_cancer.py", *options, cwd=tmp_path)
    last = printed.partition("--- What did I learn?")[2]
    questions = ["--- What was decided?", "--- What do I hand over?", "--- What next?"]
    places = [last.index(question) for question in questions]
    assert places == sorted(places)
    assert re.search(r"Winner\b.*\bbreast_cancer\b", last)
    assert "refine review refine.db" in last
