"""Bringing and taking from the command line."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from shell import good, refused

import refine
from tests.recipes import DOCS, recipe

MINE = ["--tree", "old", "--value", "loss", "--minimize"]


@pytest.fixture
def csv(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"lr": rng.uniform(0, 1, 20), "units": rng.choice([8, 16], 20), "run": range(20)})
    frame.assign(loss=(frame["lr"] - 0.3) ** 2).to_csv(tmp_path / "runs.csv", index=False)
    return tmp_path / "runs.csv"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:import. lr and units are taken as parameters")
def test_import_a_csv(csv, tmp_path):
    options = (*MINE, "--parameters", "lr, units", "--note", "from a file")
    text = good("import", csv, tmp_path / "r.db", *options)
    assert text == good("import", csv, tmp_path / "r.db", *options)
    assert "loss, minimize" in text
    assert re.search(r"^units +integer +8, 16$", text, flags=re.MULTILINE)
    with refine.Tree("old", tmp_path / "r.db", create=False) as tree:
        (root,) = tree.rounds
        assert list(root.space) == ["lr", "units"]
        assert root._node.note == "from a file"
        assert set(root.trials["origin"]) == {"imported"}
    good(f"import {csv} {tmp_path / 'r.db'}", *MINE, "--tree", "space_filling", "--space-filling")
    with refine.Tree("space_filling", tmp_path / "r.db", create=False) as tree:
        assert set(tree.rounds[0].trials["origin"]) == {"space_filling"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:import. lr and units are taken as parameters")
def test_an_import_without_a_name_is_named_after_the_folder_of_its_store(csv, tmp_path):
    (tmp_path / "pears").mkdir()
    store = tmp_path / "pears" / "r.db"
    good(f"import {csv} {store}", "--value", "loss", "--minimize")
    assert good("show", store).startswith("pears")
    assert "loss" in refused("import", csv, tmp_path / "s.db", "--value", "lss", "--minimize")
    assert not (tmp_path / "s.db").exists()


@pytest.mark.slow
def test_import_a_study(tmp_path):
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(storage=url, study_name="mine")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert "3 complete" in good(f"import {url} {tmp_path / 'r.db'} --tree q --study-name mine")
    into = ("import", url, tmp_path / "r.db", "--tree", "q")
    assert "--value 0" in refused(*into, "--value", "x")
    assert "'mine'" in refused(*into, "--study-name", "mein")


@pytest.mark.slow
def test_import_a_run_of_talos(tmp_path, monkeypatch):
    """Commands of the docs on a run of Talos 2.0.10: shell and Python create the same root and decision."""
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(DOCS.parent / "tests" / "fixtures" / "imports" / "talos.zip") as packed:
        packed.extractall("sweep")
    (line,) = re.findall("`refine (import sweep.*?)`", (DOCS / "tools.md").read_text())
    assert "val_loss, minimize;" in good(line)
    assert "--parameters" in refused(line, "--parameters", "lr")
    recipe("tools.md", "Talos")
    with refine.Tree("sweep", "refine.db") as tree:
        assert len(tree) == 2
    interventions = json.loads(Path("sweep/run/interventions.json").read_text())
    assert [(step["param"], step["op"]) for step in interventions] == [("lr", "keep_between")]
    assert interventions[0]["lower"] < interventions[0]["upper"]


def test_import_says_no(csv, tmp_path):
    store = tmp_path / "r.db"
    assert "no.csv" in refused("import", tmp_path / "no.csv", store, "--tree", "q")
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv" in refused("import", tmp_path / "empty.csv", store, "--tree", "q")
    assert not store.exists()
    into = ("import", csv, store, "--tree", "q")
    assert "--study-name does not go with a table" in refused(*into, "--study-name", "x")
    assert "'loss'" in refused(*into, "--value", "los")
    assert not store.exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:import. lr and units are taken as parameters")
def test_export_and_load(csv, tmp_path):
    good("import", csv, tmp_path / "r.db", *MINE)
    good("export", tmp_path / "r.db", "--no-reports", "--out", tmp_path / "out")
    text = good("import", tmp_path / "out", tmp_path / "l.db")
    assert text == good("show", tmp_path / "r.db").replace("r.db", "l.db")
    assert good("import", tmp_path / "out", tmp_path / "l.db", "--tree", "new").startswith("new\n")
    assert "tree.json" in refused("import", tmp_path, tmp_path / "l.db")
    assert "--value" in refused("import", tmp_path / "out", tmp_path / "l.db", *MINE[2:4])
    words = ("export", tmp_path / "r.db", "--page", tmp_path / "s.html")
    assert good(*words).strip() == str(tmp_path / "s.html")
    assert "--page writes" in refused(*words, "--no-reports")
    with_both = (*words[:2], tmp_path / "l.db", "--other-tree")
    assert "needs --page" in refused(*with_both, "new")
    good(*with_both, "new", *words[2:])
    assert refused(*with_both, "far", *words[2:]).endswith(": old, new")
    assert "tree 'old'" in refused("review", tmp_path / "r.db", tmp_path / "r.db", "--no-open")
