"""Merging stores from the shell, with a look before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import refine
from refine.ui.cli import app


def objective(p):
    return -p["x"]


def run(*arguments: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, [str(a) for a in arguments])
    return found.exit_code, found.stdout, found.stderr


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path]:
    """Two copies of a tree; in the other one a child was made and run."""
    mine, other = tmp_path / "mine.db", tmp_path / "other.db"
    with refine.Tree("question", store=mine) as tree:
        tree.add_round({"x": (0.0, 1.0, 21)}, objective, n=12).run(progress=False)
    shutil.copy(mine, other)
    with refine.Tree("question", store=other) as tree:
        tree["root"].branch({"x": (0.0, 0.5, 11)}, n=4).run(objective=objective, progress=False)
        tree.export(tmp_path / "bundle", reports=False)
    return mine, other


@pytest.mark.slow
def test_a_look_writes_nothing_and_suggests_the_merge(stores):
    mine, other = stores
    code, said, _ = run("merge", mine, other, "--dry-run")
    assert code == 0
    assert said.splitlines()[0] == "would merge: 1 new round, 4 new trials, 0 unequal"
    assert said.splitlines()[-1] == f"  refine merge {mine} {other}"
    with refine.Tree(store=mine) as tree:
        assert len(tree) == 1
    assert json.loads(run("merge", mine, other, "--json")[1])["trials"] == 4
    with refine.Tree(store=mine) as tree:
        assert [r.id for r in tree.rounds] == [tree["1"].id, tree["1.1"].id]
    assert run("merge", mine, other)[1].startswith("merged: 0 new rounds, 0 new trials, 0 unequal")


def test_a_round_that_runs_can_be_looked_at(stores):
    mine, other = stores
    with refine.Tree(store=mine) as tree, tree._context.store.lease(tree["root"]._stored.pk, "root"):
        assert run("merge", mine, other, "--dry-run")[0] == 0


def test_a_folder_and_a_tree_by_name(stores):
    mine, other = stores
    assert "1 new round" in run("merge", mine, other.with_name("bundle"), "--dry-run")[1]
    with refine.Tree("another", store=other):
        pass
    assert "1 new round" in run("merge", mine, other, "--dry-run")[1]  # the one that is called the same
    assert "0 new rounds" in run("merge", mine, other, "--dry-run", "--other-tree", "another")[1]


@pytest.mark.slow
def test_what_is_not_there_is_refused(stores):
    mine, other = stores
    code, _, said = run("merge", mine, other.with_name("none.db"))
    assert (code, "none.db: no such file" in said) == (1, True)
    assert not other.with_name("none.db").exists()
    assert (
        "--other-tree names a tree of a store"
        in run("merge", mine, other.with_name("bundle"), "--other-tree", "x")[2]
    )
    assert "no tree 'x'; known: question" in run("merge", mine, other, "--other-tree", "x")[2]
