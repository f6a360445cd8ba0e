"""``refine judge``: the verdict, its evidence as JSON, and its exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from shell import refused, run

import refine
from refine.store.store import Store


def noisy(params, trial):
    return 1 - 0.02 * abs(params["x"] - 4) + np.random.default_rng(trial.seed).normal(0, 0.03)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "refine.db"
    with refine.Tree("study", store=path) as tree:
        found = tree.add_round(
            {"x": (0.0, 9.0, 10), "c": ["a", "b"]}, noisy, n=16, baseline={"x": 9.0, "c": "a"}
        )
        found.run(progress=False)
    return str(path)


@pytest.mark.slow
def test_the_exit_code_is_the_verdict(store):
    with refine.Tree("study", store=store) as tree:
        first = str(tree.judge())
        rows = tree.rounds[0].trials.sort_values("value")
    near = rows.iloc[-2]
    asked = f"x={near['x']} c={near['c']}"
    seen = run("judge", store)
    assert (seen.exit_code, seen.stdout.splitlines()[0]) == (4, first.splitlines()[0])
    assert "next:\n  refine judge STORE --budget " in seen.stdout.replace(store, "STORE")
    whole = run("judge", store, asked, "best", "--epsilon", "0.02", "--tree", "study").stdout
    assert f"refine judge {store} '{asked}' best --budget " in whole
    assert "--epsilon 0.02 --tree study" in whole
    assert run("judge", store, "baseline", "winner").exit_code == 3
    assert run("judge", store, asked, "best").exit_code in (3, 4)
    told = run("judge", store, "--budget", "16", "--objective", f"{__file__}:noisy", "--json")
    assert told.exit_code == 0, told.output
    data = json.loads(told.stdout)
    assert data["verdict"] == "KEEP"
    assert data["b"]["is"] == "baseline"
    assert len(data["a"]["new_seeds"]) >= 3
    assert data["probability"] >= 0.95
    again = run("judge", store, "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, data)


@pytest.mark.slow
def test_what_is_refused_is_exit_code_1(store):
    for arguments, why in (
        (["x=3.21"], "no trial ran x = 3.21"),
        (["c=a"], "name more of the values"),
        (["nothing"], "no round or tag 'nothing'"),
        (["winner", "winner"], "both are the same configuration"),
        (["x='3"], "a quote has no partner"),
        (["--workers", "2"], "give --budget as well"),
        (["--objective", "a:b"], "give --budget as well"),
    ):
        assert why in refused("judge", store, *arguments)


def test_a_store_without_a_tree_says_what_makes_one(tmp_path):
    Store(tmp_path / "empty.db").close()
    assert "holds no tree yet; refine run" in refused("judge", tmp_path / "empty.db")
