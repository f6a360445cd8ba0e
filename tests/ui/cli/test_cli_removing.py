"""Removing from the shell: asked first, said in the log, and by exit code where something damaged stays."""

import contextlib
import json
import sqlite3

import pytest
from shell import run

import refine
from refine.ui.cli.shared import ERROR

pytestmark = pytest.mark.slow


def score(p):
    return p["x"]


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "refine.db"
    with refine.Tree("q", store=path) as tree:
        tree.add_round({"x": (0.0, 1.0, 30)}, score, n=20).run()
    return path


def trials(store):
    with refine.Tree("q", store=store) as tree:
        return [len(round_.trials) for round_ in tree.rounds], list(tree.log()["event"])


def test_repair_prints_asks_and_removes(store):
    assert run("doctor", store, "--repair").exit_code == 0
    assert json.loads(run("doctor", store, "--repair", "--json").output)["rows"] == []
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE trial SET seconds = 1e308 WHERE pk = 3")
    result = run("doctor", store, "--quick", "--json")
    assert result.exit_code == 3
    (damage,) = [probe["says"] for probe in json.loads(result.output) if probe["what"] == "damage"]
    assert "0 to 1e+09, got 1e+308" in damage
    assert f"refine doctor {store} --repair" in damage
    result = run("doctor", store, "--repair", typed="n\n")
    assert result.exit_code == 3
    assert "next:\n  refine doctor" in result.output
    assert trials(store) == ([19], ["root"])
    result = run("doctor", store, "--repair", "--note", "why", typed="y\n")
    assert (result.exit_code, "1 stored" in result.output) == (0, True)
    assert trials(store) == ([19], ["root", "repaired"])
    report = json.loads(run("doctor", store, "--repair", "--yes", "--json").output)
    assert (report["removed"], report["rows"]) == (False, [])
    assert run("doctor", "--repair").exit_code == ERROR
    assert run("doctor", store, "--yes").exit_code == ERROR


def test_delete_asks_and_removes(store):
    with refine.Tree("q", store=store) as tree:
        root = tree.rounds[0].id
    assert run("delete", store, root[:6], "--trial", 0, typed="n\n").exit_code == 3
    assert trials(store) == ([20], ["root"])
    result = run(f"delete {store} {root[:6]} --trial 0 --trial 4 --yes")
    assert result.output == f"round {root}: 2 trials removed\n"
    result = run(f"delete {store} {root} --state complete --below --yes")
    assert (result.exit_code, "--below removes" in result.output) == (1, True)
    result = run(f"delete {store} {root} --state failed --yes --json")
    assert json.loads(result.output) == {"round": root, "trials": 0}
    assert trials(store) == ([18], ["root", "trials removed"])
    assert run("delete", store, root, "--yes").output == f"removed: {root}\n"
    assert trials(store) == ([], ["trials removed", "round removed"])
