"""Bringing and taking from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import refine
from refine.tree.exchange.readers import READERS
from refine.ui.cli import app
from refine.ui.cli.exchange import Kind


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").rstrip("\n")


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"lr": rng.uniform(0, 1, 20), "units": rng.choice([8, 16], 20), "run": range(20)})
    frame.assign(loss=(frame["lr"] - 0.3) ** 2).to_csv(tmp_path / "runs.csv", index=False)
    return tmp_path / "runs.csv"


@pytest.mark.slow
def test_import_a_csv(csv: Path, tmp_path: Path) -> None:
    options = (
        "--tree",
        "old",
        "--value",
        "loss",
        "--minimize",
        "--parameters",
        "lr, units",
        "--note",
        "from a file",
    )
    text = good("import", csv, tmp_path / "r.db", *options)
    assert text == good("import", csv, tmp_path / "r.db", *options)
    assert "loss, minimize; best" in text
    assert re.search(r"^units +integer +8, 16$", text, flags=re.MULTILINE)
    with refine.Tree("old", tmp_path / "r.db", create=False) as tree:
        (root,) = tree.rounds
        assert list(root.space) == ["lr", "units"]
        assert root.node.note == "from a file"
        assert set(root.trials["origin"]) == {"imported"}
    assert "20 trials of 20 were imported" in good("analyze", tmp_path / "r.db", root.id, "--why")
    good(
        "import",
        csv,
        tmp_path / "r.db",
        "--tree",
        "space_filling",
        "--value",
        "loss",
        "--minimize",
        "--space-filling",
    )
    with refine.Tree("space_filling", tmp_path / "r.db", create=False) as tree:
        assert set(tree.rounds[0].trials["origin"]) == {"space_filling"}


@pytest.mark.slow
def test_import_a_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(storage=url, study_name="mine")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert "3 complete" in good("import", url, tmp_path / "r.db", "--tree", "q", "--study", "mine")
    assert "--value, unless the number of an objective, is for tables" in refused(
        "import", url, tmp_path / "r.db", "--tree", "q", "--value", "x"
    )
    assert "did you mean 'mine'" in refused(
        "import", url, tmp_path / "r.db", "--tree", "q", "--study", "mein"
    )
    text = refused("import", "postgresql://ann:secret@127.0.0.1:1/x", tmp_path / "r.db", "--tree", "q")
    assert "ann:***" in text
    assert "secret" not in text


def test_import_says_no(csv: Path, tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    assert "no.csv" in refused("import", tmp_path / "no.csv", store, "--tree", "q")
    (tmp_path / "empty.csv").write_text("")
    assert "is no table" in refused("import", tmp_path / "empty.csv", store, "--tree", "q")
    assert not store.exists()
    assert "--study is for Optuna, but the source is a CSV file" in refused(
        "import", csv, store, "--tree", "q", "--study", "x"
    )
    assert "did you mean 'loss'" in refused("import", csv, store, "--tree", "q", "--value", "los")


@pytest.mark.slow
def test_export_and_load(csv: Path, tmp_path: Path) -> None:
    good("import", csv, tmp_path / "r.db", "--tree", "old", "--value", "loss", "--minimize")
    good("export", tmp_path / "r.db", "--out", tmp_path / "out")
    text = good("load", tmp_path / "out", tmp_path / "l.db")
    assert text.rstrip() == good("tree", tmp_path / "r.db").partition("\n\nnext:")[0]
    assert good("load", tmp_path / "out", tmp_path / "l.db", "--tree", "new").startswith("new\n")
    assert "is no exported tree" in refused("load", tmp_path, tmp_path / "l.db")


@pytest.mark.slow
def test_import_from_another_tool(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "Name": [f"run {i}" for i in range(12)],
            "State": ["finished"] * 11 + ["running"],
            "lr": rng.uniform(0, 1, 12),
        }
    )
    frame.assign(val_loss=frame["lr"] ** 2, epoch=5).to_csv(tmp_path / "wandb.csv", index=False)
    source, store = tmp_path / "wandb.csv", tmp_path / "r.db"
    options = ("--tree", "old", "--from", "wandb", "--value", "val_loss", "--minimize")
    look = good("import", source, store, *options, "--dry-run")
    assert "11 runs of W&B" in look
    assert "left out: 1 running" in look
    assert not store.exists()
    assert json.loads(good("import", source, store, *options, "--dry-run", "--json"))["states"] == {
        "complete": 11
    }
    text = good("import", source, store, *options)
    assert "left out: 1 running" in text
    assert "val_loss, minimize; best" in text
    assert json.loads(good("import", source, store, *options, "--json"))["metric"] == "val_loss"
    assert "must be the value; say which" in run("import", source, store, *options[:4]).stderr
    for more, says in (
        (("--study", "x"), "--study is for Optuna, but the source is wandb's"),
        (("--experiment", "x"), "--experiment is for MLflow, but the source is wandb's"),
    ):
        assert says in refused("import", source, store, *options, *more)
    assert {kind.value for kind in Kind} == {*READERS, "optuna"}
    assert "--dry-run is for the other tools of --from, but the source is a CSV file" in refused(
        "import", source, store, "--tree", "old", "--dry-run"
    )
