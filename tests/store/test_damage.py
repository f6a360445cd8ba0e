"""Damaged input is refused on import; damaged rows in a store are left out, reported, and removable."""

import contextlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import objectives
import refine
from refine import errors
from refine.errors import ReviewError, RoundBusyError, RoundStoppedError, StoreError
from refine.store.schema import t

SPACE = {"x": (0.0, 1.0, 11), "k": (1, 8), "c": ["a", "b"]}
HUGE = 10**400
HALF = "a\ud800b"


def score(p):
    return {"acc": p["x"] + 0.01 * p["k"]}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A store with a round of thirty trials."""
    path = tmp_path_factory.mktemp("sound") / "refine.db"
    with refine.Tree("q", store=path) as tree:
        tree.add_round(SPACE, score, n=30, metric="acc", name="score").run()
    return path


@pytest.fixture
def spoil(tmp_path, sound):
    """A function that writes into the database of a copy."""
    path = Path(shutil.copy(sound, tmp_path))

    def spoil(command, *values):
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(command, values)
        return path

    return spoil


TRIALS = {
    "a number that no float holds": ("metrics = ?", json.dumps({"acc": HUGE})),
    "a number of 5,000 digits": ("metrics = ?", '{"acc": %s}' % ("9" * 5000)),
    "a text for a metric": ("metrics = ?", '{"acc": "x"}'),
    "metrics without names": ("metrics = ?", "[1]"),
    "metrics that are no JSON": ("metrics = ?", "{"),
    "half a letter in a metric's name": ("metrics = ?", json.dumps({"acc": 1.0, HALF: 1.0})),
    "a configuration of a huge number": ("configuration = ?", json.dumps({"x": HUGE, "k": 1, "c": "a"})),
    "a configuration of infinity": ("configuration = ?", '{"x": 1e999, "k": 1, "c": "a"}'),
    "a configuration without names": ("configuration = ?", "[]"),
    "seconds that overflow": ("seconds = ?", 1e308),
    "endless seconds": ("seconds = ?", float("inf")),
    "seconds below zero": ("seconds = ?", -1.0),
    "a time that overflows": ("finished = ?", 1e308),
    "an attempt of 2^63": ("attempt = ?", 2**63 - 1),
    "a replicate of 2^31": ("replicate = ?", 2**31),
    "a seed that is a text": ("seed = ?", "abc"),
    "a seed of 2^31": ("seed = ?", 2**31),
    "an unknown state": ("state = ?", "odd"),
    "an unknown origin": ("origin = ?", "odd"),
    "names read that are none": ("read = ?", "[5]"),
    "names read that are no JSON": ("read = ?", "{"),
    "bytes for an error": ("error = ?", b"\xff"),
}


def test_damaged_trials_are_left_out_named_and_removed(spoil, tmp_path):
    for pk, (change, value) in enumerate(TRIALS.values(), 2):
        path = spoil(f"UPDATE trial SET {change} WHERE pk = {pk}", value)
    bad = len(TRIALS)
    with refine.Tree("q", store=path) as tree:
        root = tree.rounds[0]
        assert len(root.trials) == 30 - bad
        assert "trial 2:" in str(root)
        assert f"{bad} stored" in str(tree)
        assert "tree.repair(dry_run=True)" in str(tree)
        with pytest.raises(StoreError, match="trial 2: .*tree.repair"):
            root.run(objective=objectives.named(score, "score"))
        with pytest.raises(RoundBusyError), tree._context.store.lease(root._stored.pk, f"round {root.id}"):
            tree.delete(root)
        damage = tree.repair(dry_run=True)
        tree.export(tmp_path / "out", reports=False)
        with refine.Tree.load(tmp_path / "out", tmp_path / "loaded.db") as loaded:
            assert (len(loaded.rounds[0].trials), len(loaded.repair(dry_run=True))) == (30 - bad, 0)
        rows = [(root.id, "trial", (pk,)) for pk in range(2, 2 + bad)]
        assert [(row.round, row.what, row.row) for row in damage.rows] == rows
        assert str(tree.repair(dry_run=True)) == str(damage)
        repaired = tree.repair(note="a broken disk", author="ann")
        assert repaired.removed
        assert len(tree.repair(dry_run=True)) == 0
        assert root._damaged == ()
        entry = tree.log().iloc[-1]
        assert (entry["event"], entry["round"], entry["author"]) == ("repaired", root.id, "ann")
        assert entry["note"].startswith("a broken disk (trial: ")
        root.run(objective=objectives.named(score, "score"))
        assert len(root.trials) == 30


PARTS = [
    ("UPDATE trial SET error = CAST(x'ff' AS TEXT), state = 'failed' WHERE pk = 5", "not valid Unicode", 29),
    ("INSERT INTO curve (trial, data) VALUES (5, x'00')", "trial: curve: is damaged", 29),
    ("UPDATE trial SET metrics = '{' WHERE pk = 5", "trial: is damaged", 29),
    ("UPDATE node SET note = CAST(x'ff' AS TEXT)", "settings: its note or author holds", 30),
    *((f"UPDATE node SET {change}", "settings", 30) for change in ("created = 1e308", "scientific = '{'")),
]


@pytest.mark.parametrize(("command", "text", "remaining"), PARTS)
def test_damaged_rows_are_named_and_removed_and_the_rest_stays(spoil, command, text, remaining):
    with refine.Tree("q", store=spoil(command)) as tree:
        if "metrics" in command:
            assert [caution.code for caution in tree.rounds[0].analyze().cautions] == ["damaged"]
        assert text in str(tree.repair(dry_run=True))
        assert len(tree.repair(dry_run=True).rows) == 1
        tree.repair()
        assert (tree.rounds[0]._node.note, len(tree.rounds[0].trials), len(tree.repair(dry_run=True))) == (
            "",
            remaining,
            0,
        )


def test_a_damaged_round_is_left_out_with_its_descendants_alone(spoil):
    path = spoil("UPDATE node SET note = ''")
    with refine.Tree("q", store=path) as tree:
        first = tree.rounds[0]
        child = first.branch({**SPACE, "x": (0.0, 0.5, 6)}, n=4)
        other = tree.add_round(SPACE, score, n=5, metric="acc", name="score", seed=2).run()
        tree.tag(first, "start")
        spoil("UPDATE node SET content = '{}' WHERE id = ?", first.id)
        assert [r.id for r in tree.rounds] == [other.id]
        assert tree._tags == {}
        assert f"round {first.id} can't" in str(tree)
        with pytest.raises(StoreError, match="can't be read"):
            tree.add_round(SPACE, score, n=30, metric="acc", name="score")
        assert {row.round for row in tree.repair(dry_run=True).rows} == {first.id, child.id}
        tree.repair()
        assert len(tree.repair(dry_run=True)) == 0
        assert len(tree.add_round(SPACE, score, n=30, metric="acc", name="score").trials) == 0
        assert len(other.trials) == 5


ROWS = {
    "run": "INSERT INTO run (node, environment, created) VALUES (1, '[', 1)",
    "proposal": "INSERT INTO proposal (node, digest, content, created) VALUES (1, 'x', '{', 1)",
    "decision": "INSERT INTO decision (node, digest, content, created) VALUES (1, 'x', '{}', 1)",
    "opening": (
        "INSERT INTO opening (node, digest, content, author, note, created) VALUES (1, 'x', '{', 'a', 'b', 1)"
    ),
}


@pytest.mark.slow
def test_other_rows_that_are_damaged_are_left_out_with_a_warning(spoil, tmp_path):
    for command in ROWS.values():
        path = spoil(command)
    with refine.Tree("q", store=path) as tree:
        root = tree.rounds[0]
        with pytest.warns(errors.RefineWarning) as warned:
            str(root.analyze()), str(root), tree.log(), root.report(tmp_path / "reports")
        texts = [str(warning.message) for warning in warned]
        for table in ROWS:
            assert any(f"a stored row of {table}" in text for text in texts)
        assert sorted(row.what for row in tree.repair(dry_run=True).rows) == sorted(ROWS)
        tree.repair()
        str(root.analyze()), str(root), tree.log()


# Removing what is sound.


def test_trials_are_removed_with_all_attempts_and_run_again(spoil, tmp_path):
    path = spoil("UPDATE trial SET state = 'failed', metrics = '{}' WHERE pk in (3, 4)")
    with refine.Tree("q", store=path) as tree:
        root = tree.rounds[0]
        before = root.trials
        changed = pytest.warns(errors.RefineWarning, match="version")
        with changed, pytest.raises(RoundStoppedError):
            root.run(objective=objectives.named(lambda p: 1 / 0, "score"), rerun="failed")
        assert list(root.trials["state"]).count("failed") == 2
        for rows in ("x", [99], [-1], [True], 3, [0.5]):
            with pytest.raises(ReviewError, match="round.trials"):
                tree.delete(root, rows)
        count = tree.delete(root, root.trials["state"] == "failed", note="a bug", author="bo")
        assert (count, len(root.trials)) == (2, 28)
        assert tree.delete(root, []) == 0
        assert tree.delete(root.id, root.trials.head(1)) == 1
        assert tree.delete(root.id, [0, 0]) == 1
        assert len(root.trials) == 26
        log = tree.log()
        assert list(log["event"]) == ["root", *["trials removed"] * 3]
        assert log.iloc[1]["note"] == "a bug (2 trials)"
        root.run(objective=objectives.named(score, "score"))
        rerun = root.trials.set_index("cell").loc[before["cell"]]
        assert set(rerun["state"]) == {"complete"}
        assert np.array_equal(rerun["seed"], before["seed"])


@pytest.mark.slow
def test_a_round_with_descendants_is_removed_only_with_below(spoil):
    with refine.Tree("q", store=spoil("UPDATE node SET note = ''")) as tree:
        root = tree.rounds[0]
        review = root.propose()
        child = review.edit(k=(1, 4)).accept("go on", n=10).run(objective=objectives.named(score, "score"))
        with pytest.raises(ReviewError, match="1 round"):
            tree.delete(root)
        removed = tree.delete(child, note="a wrong turn")
        assert removed == [child.id]
        assert [r.id for r in tree.rounds] == [root.id]
        assert [d.child for d in root._decisions] == [child.id]  # that it was decided stays
        str(tree), str(root), str(tree.calibration())
        same_child = review.edit(k=(1, 4)).accept("go on", n=10)
        assert (same_child.id, len(same_child.trials)) == (child.id, 0)
        assert tree.delete(root, below=True) == [root.id, child.id]
        assert len(tree) == 0
        assert list(tree.log()["event"]) == ["round removed"] * 3
    with tree_of(spoil) as tree, tree._context.store.engine.connect() as connection:
        for table in (t.trial, t.plan, t.proposal, t.decision, t.lease, t.node):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0


def tree_of(spoil):
    return refine.Tree("q", store=spoil("UPDATE tree SET name = 'q'"))


# At the door.


@pytest.mark.parametrize(
    ("column", "values", "text"),
    [
        ("acc", [HUGE], "must be a column of numbers that a float holds"),
        ("x", [HUGE], "can't be|must be|float|differ"),
        ("c", [HALF], "can't be stored"),
        ("c", ["a\0"], "can't be stored"),
        ("c", [float("inf")], "must be finite"),
        ("seconds", [1e308], "seconds must be >= 0 and <= 1e\\+09, got 1e\\+308"),
        ("seed", [2.0**31], "seed must be a whole number"),
        ("k", ["9" * 5000], "float|differ|number"),
    ],
)
def test_a_table_that_would_poison_a_study_is_refused(tree, column, values, text):
    frame = pd.DataFrame({"x": np.linspace(0, 1, 30), "k": np.arange(30) % 7, "c": ["a", "b", "d"] * 10})
    frame["acc"] = frame["x"]
    old = list(frame[column]) if column in frame else [0.0] * 30
    frame[column] = pd.Series(values + old[1:], dtype=object)
    with pytest.raises(errors.RefineError, match=text):
        tree.add_runs(frame, value="acc", parameters=["x", "k", "c"])
    assert len(tree) == 0


@pytest.mark.parametrize("space", [{HALF: (0, 1)}, {"x": ["a", HALF]}, {"x": ["a", "b\0"]}, {"x": [1, HUGE]}])
def test_a_space_that_would_poison_a_study_is_refused(space):
    with pytest.raises(errors.SpaceError):
        refine.Space(space)


def test_a_result_that_cannot_be_stored_fails_its_trial(tree):
    odd = {1: {"acc": 1.0, HALF: 1.0}, 2: {"acc": 1.0, "a\0": 1.0}, 3: {"acc": HUGE}}

    def objective(p, trial):
        if p["k"] == 4:
            trial.report(0, {HALF: 1.0})
        return odd.get(p["k"], score(p))

    root = tree.add_round(SPACE, objective, n=40, metric="acc", name="f").run()
    assert set(root.trials.loc[root.trials["k"] <= 4, "state"]) == {"failed"}
    assert set(root.trials.loc[root.trials["k"] > 4, "state"]) == {"complete"}
    assert root.failures["error"].str.contains("cannot be stored").sum() > 2
    assert len(tree.repair(dry_run=True)) == 0


FOLDER = {
    "a huge metric": ("metrics", {"acc": HUGE}),
    "half a letter": ("metrics", {"acc": 1.0, HALF: 1.0}),
    "endless seconds": ("seconds", 1e308),
    "a late time": ("finished", 1e300),
    "a replicate of 2^31": ("replicate", 2**31),
    "the largest replicate": ("replicate", 2**31 - 1),
    "a cell of 5,000 digits": ("cell", "9" * 5000),
    "a huge configuration": ("configuration", {"x": HUGE, "k": 1, "c": "a"}),
    "half a letter in an error": ("error", HALF),
}


@pytest.mark.slow
def test_a_folder_made_to_poison_is_refused(spoil, tmp_path):
    with tree_of(spoil) as tree:
        tree.export(tmp_path / "out")
        path = tmp_path / "out" / tree.rounds[0].id / "trial.jsonl"
        sound = path.read_text().splitlines()
        for field, value in FOLDER.values():
            lines = [*sound[:4], json.dumps({**json.loads(sound[4]), field: value}), *sound[5:]]
            path.write_text("\n".join(lines) + "\n")
            with pytest.raises(StoreError, match="trial.jsonl: line 5: .*;"):
                refine.Tree.load(tmp_path / "out", tmp_path / "other.db")
            with pytest.raises(StoreError, match="trial.jsonl: line 5"):
                refine.Tree.load(tmp_path / "out", tree._url)
        assert len(tree.repair(dry_run=True)) == 0


def test_bytes_of_another_encoding_in_names_of_the_system_stop_nothing(tree, tmp_path, monkeypatch):
    """A user's name is kept readable; a path that no URL can hold is refused."""
    monkeypatch.setenv("LOGNAME", os.fsdecode(b"an\xffn"))
    tree.add_round({"x": (0.0, 1.0, 3)}, lambda p: p["x"], n=3, name="f").run()
    assert set(tree.log()["author"]) == {r"an\udcffn"}
    with pytest.raises(StoreError, match=r"URL holds '\\udcff',"):
        refine.Tree("q", store=tmp_path / os.fsdecode(b"s\xff.db"))
