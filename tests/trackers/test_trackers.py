"""Trackers get every ended trial, whatever becomes of them; those with a server or files of their own are the real ones."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import refine
from refine.errors import DesignError, RefineWarning
from refine.report.trackers import Tracker, tracker_of
from tests import objectives

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-backends" / "bin" / "python"
SPACE = refine.Space(
    {"lr": refine.Float(0.5, 2.0, 12), "dropout": refine.Float(0.0, 0.5, 6), "optimizer": ["Adam", "SGD"]}
)


@pytest.fixture
def found(tmp_path):
    with refine.Tree("study", tmp_path / "t.db") as tree:
        yield tree.add_round(SPACE, objectives.height, n=8, note="why not")


def sent(what: str, folder: Path) -> Any:
    """What arrived at a tracker, from the environment that has it."""
    has = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({what!r}) is None)"
    if not PYTHON.exists() or subprocess.run([str(PYTHON), "-c", has], check=False).returncode:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have {what}: make backends installs it")
        pytest.skip(f"{what} is not in .venv-backends: make backends")
    done = subprocess.run(
        [str(PYTHON), str(HERE / "sent_elsewhere.py"), what, str(folder / what)],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{")))


@pytest.mark.slow
def test_mlflow_gets_a_run_per_trial_and_its_death_costs_nothing(tmp_path):
    got = sent("mlflow", tmp_path)
    assert (got["runs"], got["below"]) == (25, 24)  # sent twice, there once
    assert got["tags"]["refine.note"] == "first look"
    assert got["failed"] == got["should_fail"] > 0
    assert got["values_equal"]
    assert set(got["steps"]) == {3}
    assert any(name.endswith(".md") for name in got["files"])
    assert set(got["params"]) == {"lr", "layers", "optimizer"}
    # What is imported of the server, and of the table of its runs.
    back = got["back"]
    assert back["states"] == [{"complete": 17, "failed": 7}] * 2
    assert (
        back["left_out"]
        == [{"parents of other runs, as of a search": 1, "running": 1, "killed without a result": 1}] * 2
    )
    assert back["spaces_equal"]
    assert back["roots_equal"]
    assert back["folders"] == [4, 4, 4]  # a store in a folder, by its URLs and its path
    assert back["values_equal"]
    assert "has no run in an experiment 'studdy'" in back["errors"][0]
    assert "there is no such store" in back["errors"][1]
    assert "MLflow can't read it" in back["errors"][2]
    assert "hunter2" not in back["errors"][2]
    # Its server is killed after five of twenty trials.
    assert got["complete"] == 20
    assert len(got["told"]) == 1
    assert "may be missing there" in got["told"][0]


@pytest.mark.slow
def test_the_recipe_for_wandb_writes_a_run_per_trial(tmp_path):
    got = sent("wandb", tmp_path)
    assert len(got["runs"]) == 5
    by_seed = {run["config"]["seed"]: run for run in got["runs"]}
    for row in got["rows"]:
        run = by_seed[row["seed"]]
        assert run["group"] == got["round"]
        assert (run["config"]["lr"], run["config"]["state"]) == (row["lr"], row["state"])
        assert run["epochs"] == (3 if row["state"] == "complete" else 0)
        assert run["summary"].get("acc", 0) == row["acc"]


@pytest.mark.slow
def test_the_recipe_for_trackio_keeps_a_run_per_trial(tmp_path):
    got = sent("trackio", tmp_path)
    assert sorted(run["seed"] for run in got["runs"]) == sorted(got["seeds"])
    assert {run["_Group"] for run in got["runs"]} == {got["round"]}


@pytest.mark.slow
def test_tensorboard_reads_what_was_written(tmp_path):
    got = sent("tensorboard", tmp_path)
    assert got["read"] == got["stored"]
    assert len(got["read"]) == 8
    assert got["again"] == 8  # sent twice, there once
    assert got["shell"] == [0, 8]
    assert got["imported"] == got["stored"]
    assert got["states"] == {"complete": 8}
    assert [name for name, _ in got["space"]["parameters"]] == ["layers", "lr", "optimizer"]
    assert dict(got["space"]["parameters"])["layers"]["levels"] == [1, 2]  # written as 1.0 and 2.0
    assert "no event file in it holds hyperparameters" in got["refused"]


class Own(Tracker):
    """Somebody's own."""

    name = "own"

    def __init__(self, fails: int = 0, hangs: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.fails, self.hangs = fails, hangs
        self.got: list[Any] = []
        self.facts: Any = None
        self.release = threading.Event()

    def opened(self, facts):
        self.facts = facts

    def ended(self, trial):
        if self.hangs:
            self.release.wait(30)
        if self.fails:
            self.fails -= 1
            raise ConnectionError("no route")
        self.got.append(trial)

    def closed(self, folder):
        self.folder = folder


@pytest.mark.slow
def test_a_tracker_of_one_s_own(found):
    own = Own(report=False)
    found.run(2, progress=False, track=[own])
    assert {t.seed for t in own.got} == set(found.trials["seed"])
    assert (own.facts.tree, own.facts.id, own.facts.note) == ("study", found.id, "why not")
    again = Own(report=False)
    again.send(found)
    assert [t._replace(ended=0) for t in again.got] == [
        t._replace(ended=0) for t in sorted(own.got, key=lambda t: [a.seed for a in again.got].index(t.seed))
    ]


@pytest.mark.slow
def test_a_child_says_which_proposal_it_came_from(found):
    found.run(progress=False, n=40)
    child = found.propose().accept(n=3)
    own = Own(report=False)
    child.run(progress=False, track=own)
    assert own.facts.parent == found.id
    assert own.facts.decision == found.decisions[-1].proposal


def test_errors_of_a_tracker_are_counted_and_said_once(found):
    with pytest.warns(
        RefineWarning, match=r"own: 2 trials .* may be missing there \(ConnectionError: no route\)"
    ):
        found.run(progress=False, track=Own(fails=2, report=False))
    assert len(found.trials) == 8


def test_after_three_errors_in_a_row_it_is_left_alone(found):
    own = Own(fails=99, report=False)
    with pytest.warns(RefineWarning, match="own: 8 trials"):
        found.run(progress=False, track=own)
    assert own.fails == 99 - 3


def test_a_tracker_that_hangs_is_not_waited_for(found):
    own = Own(hangs=True, report=False, patience=0.2)
    began = time.monotonic()
    with pytest.warns(RefineWarning, match=r"no answer within 0\.2 s"):
        found.run(progress=False, track=own)
    assert time.monotonic() - began < 25  # the tracker would hang for 30
    assert len(found.trials) == 8
    own.release.set()


@pytest.mark.parametrize("bad", [3, "mlflow", Own, [None]])
def test_what_is_no_tracker_is_an_error(found, bad):
    with pytest.raises(DesignError, match="track must be a tracker"):
        found.run(track=bad)


def test_words_of_the_shell():
    for text, says in (
        ("mlfow", "did you mean 'mlflow'"),
        ("tensorboard", "tensorboard=FOLDER"),
        ("comet=x", "must be one of"),
    ):
        with pytest.raises(DesignError, match=says):
            tracker_of(text)
    with pytest.raises(DesignError, match="patience must be"):
        Own(patience=-1)
