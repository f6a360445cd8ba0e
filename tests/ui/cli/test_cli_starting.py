"""The first minutes in the shell: files that run, and a study that is shown."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import refine
from refine.ui.cli import app

pytestmark = pytest.mark.slow


def said(*words):
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_init_writes_files_that_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    *files, command = [line for line in said("init").splitlines() if line]
    assert files == ["space.toml", "objective.py"]
    out = said(*command.split()[1:-1], 4, "--json", "-q")
    assert json.loads(out)["states"] == {"complete": 4}
    again = CliRunner().invoke(app, ["init"])
    assert again.exit_code == 1
    assert "space.toml is there already, and is left as it is" in again.output
    assert "cd study && refine run study.db" in said("init", "study")


def test_the_demo_tells_two_rounds(tmp_path):
    out = said("demo", "-o", tmp_path / "demo")
    with refine.Tree("demo", tmp_path / "demo" / "refine.db", create=False) as tree:
        root, child = tree.rounds
        assert (len(root.trials), len(child.trials)) == (80, 40)
        assert [d.child for d in root.decisions] == [child.id]
        won = tree.winner()
        assert (
            f"{won.best_value:.4f} is the best of {won.evaluated} configurations, and partly luck; expect "
            in out
        )
        told = [str(root.propose(keep=False)), f"Decided: {root.decisions[0].note}.", str(tree.winner())]
    assert len([line for line in out.splitlines() if not line.startswith("round ")]) <= 40  # without progress
    places = [out.index(text) for text in ("Round ", ".png", *told[1:], f"refine review {tmp_path}")]
    assert places == sorted(places)
    (picture,) = (tmp_path / "demo").glob("*.png")
    assert picture.stat().st_size > 10_000


def test_accepting_last_says_what_last_is_now_and_who_decided(tmp_path):
    tree = refine.Tree("q", tmp_path / "s.db")
    tree.add_round({"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}, lambda p: -p["x"], n=20, name="f").run(
        progress=False
    )
    tree.close()
    said("propose", tmp_path / "s.db", "last")
    assert "`last` is this round from now on." in said("accept", tmp_path / "s.db", "last", "-n", 3)
    assert "(accepted by you)" in said("tree", tmp_path / "s.db")
    assert "accepted by you" in said("show", tmp_path / "s.db", "root")
    said("accept", tmp_path / "s.db", "root", "-n", 3, "--exploit", 0.5, "--author", "grace")
    seen = said("tree", tmp_path / "s.db")
    assert "(accepted by grace)" in seen
    assert "by you" not in seen
