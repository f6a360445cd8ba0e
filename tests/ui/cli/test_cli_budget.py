"""``--budget`` and ``refine budget``: a study's budget in a shell."""

from pathlib import Path

import pytest
from shell import data, good, refused, run

import objectives
import refine
from refine.trials.budget import first_size

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]}


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "refine.db"
    with refine.Tree("study", store=path) as tree:
        tree.add_round(SPACE, objectives.bowl, n=10, seed=7)
    return str(path)


def test_a_budget_is_set_printed_and_removed(store):
    assert data("budget", store)["budget"] is None
    assert "no budget" in good("budget", store)
    budget = data("budget", store, "60")
    assert (budget["spent"], budget["left"], budget["reserve"]) == (0, 60, 9)
    assert "60 of 60" in good("budget", store)
    assert data("budget", store, "8 h")["budget"] == "8 h"
    assert data("budget", store, "none")["budget"] is None
    assert "budget" in refused("budget", store, "many")


def test_a_run_beyond_the_budget_names_the_command_that_raises_it(store):
    good("budget", store, "12")
    result = run("run", store, "--quiet", "--n", 14)
    message = result.stderr.rstrip("\n")
    assert result.exit_code == 1
    assert message.endswith(f": refine budget {store} 14")
    assert "12 of 12" in message


def test_a_new_study_gets_its_budget_from_the_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text("[parameters]\nx = { low = 0.0, high = 1.0, levels = 40 }\n")
    (tmp_path / "train.py").write_text("def score(p):\n    return 1 - p['x']\n")
    store = str(tmp_path / "study.db")
    words = ["--space", "space.toml", "--objective", "train.py:score", "--budget", 30, "--quiet"]
    ran = data("run", store, *words)
    assert ran["n"] == first_size(30)
    assert data("budget", store)["spent"] >= ran["n"]
    assert "of 30" in good("show", store)


def test_the_reserve_counts_earlier_repeats(store):
    good("budget", store, "60")
    good("run", store, "--quiet")
    good("add", store, "last", "--repeat", "1", "--seeds", "2")
    good("run", store, "last", "--quiet")
    spent = data("budget", store)
    repeats = spent["spent"] - 10
    assert spent["reserve"] == 9 - repeats
    reserve_text = f"{9 - repeats} kept to confirm the winner"
    assert reserve_text in good("budget", store)


def test_a_budget_changed_in_the_project_file_is_answered_by_the_call_that_sets_it(store, monkeypatch):
    folder = Path(store).parent
    monkeypatch.chdir(folder)
    good("budget", store, "60")
    for written, warns in (("60", False), ("80", True), ("'8 h'", True)):
        (folder / "refine.toml").write_text(f"budget = {written}\n")
        warning = run("run", store, "--quiet", "--n", 10).stderr
        assert ("warning" in warning) == warns
        assert not warns or f"refine budget {store} {written}" in warning


@pytest.mark.slow
def test_a_round_grows_in_the_shell_and_its_proposal_is_renewed(store):
    objective = ("--objective", "objectives:bowl")
    good("run", store, *objective, "-q")
    assert data("add", store, *["-n", "2", "--exploit", "1", "--per", "second"])["n"] == 12
    good("run", store, *objective, "-q")
    first = data("propose", store)
    good("accept", store, "-n", "3")
    good("run", store, *objective, "-q")
    assert data("propose", store, "root")["digest"] == first["digest"]
    assert data("propose", store, "root", "--renew")["n"] > first["n"]
    assert "per" in refused("add", store, *["-n", "1", "--per", "hour"])
