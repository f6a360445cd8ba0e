"""A full disk and a locked store: clear errors, and no finished trial is lost."""

import os
import sqlite3

import pytest

import objectives
import refine
from nightly import nightly
from refine.errors import StoreError

SPACE = {"x": (1, 900, 900)}


def value(params):
    return params["x"] * 0.5


def table(round_):
    return round_.trials.drop(columns="seconds")


@pytest.mark.parametrize("workers", [1, nightly(2)])
def test_a_full_disk_loses_nothing_that_had_finished(file_system, tmp_path, workers):
    small_disk = file_system("8m")
    with refine.Tree("q", store=tmp_path / "large.db") as tree:
        calm = table(tree.add_round(SPACE, value, n=400).run())
    with refine.Tree("q", store=small_disk / "refine.db") as tree:
        round_ = tree.add_round(SPACE, value, n=20).run()
        round_ = tree.add_round(SPACE, value, n=400)
        before = table(round_)
        free = os.statvfs(small_disk)
        (small_disk / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize))
        with pytest.raises(StoreError, match="disk is full"):
            round_.run(workers=workers)
        after = table(round_)
        assert 20 <= len(after) < 400
        assert after.head(20).equals(before)
        # The same process goes on, though it could not give its lease back.
        (small_disk / "ballast").unlink()
        round_.run(workers=workers)
        assert sort(table(round_)).equals(sort(calm))
    with refine.Tree("q", store=small_disk / "refine.db") as tree:
        assert sort(table(tree.rounds[0])).equals(sort(calm))
    with sqlite3.connect(small_disk / "refine.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_closed_store_on_a_full_disk_is_looked_at_and_exported_elsewhere(file_system, tmp_path):
    small_disk = file_system("8m")
    with refine.Tree("q", store=small_disk / "refine.db") as tree:
        root = tree.add_round(SPACE, value, n=20).run()
        shown = str(tree)
        trials = root.trials
    free = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize))
    with refine.Tree("q", store=small_disk / "refine.db", create=False) as tree:
        assert str(tree) == shown
        assert tree.rounds[0].trials.equals(trials)
        tree.export(tmp_path / "out", reports=False)
        with pytest.raises(StoreError, match="owns the file"):
            tree.tag(root, "first")
    with refine.Tree.load(tmp_path / "out", store=tmp_path / "again.db") as loaded:
        assert loaded.rounds[0].trials.equals(trials)


def sort(frame):
    return frame.sort_values("x").reset_index(drop=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*ran another version of the obj:refine.errors.RefineWarning")
def test_a_store_that_is_locked_for_too_long_is_named(tmp_path):
    store = tmp_path / "refine.db"
    with refine.Tree("q", store=f"sqlite:///{store}?patience=0.2") as tree:
        round_ = tree.add_round(SPACE, value, n=30).run(n=30)
        before = table(round_)
        other = sqlite3.connect(store, isolation_level=None)

        def meets_a_lock(params):
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")
            return value(params)

        name = round_._node.objective
        clear = (
            r"another process has it locked, and a write waits 0.2 seconds for that; let it end, or "
            r"wait longer with"
        )
        try:
            with pytest.raises(StoreError, match=clear):
                round_.run(n=40, objective=objectives.named(meets_a_lock, name))
            with pytest.raises(StoreError, match=clear):
                round_.run(n=40, objective=objectives.named(value, name))
            assert table(round_).equals(before)  # reading goes on
        finally:
            other.close()
        round_.run(objective=objectives.named(value, name))
        assert len(round_.trials) == 40
        assert (round_.trials["value"] == round_.trials["x"] * 0.5).all()
