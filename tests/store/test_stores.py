"""One contract for every kind of store, run over SQLite and a PostgreSQL server of our own."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

import objectives
import refine
from refine.errors import NotFoundError, RoundBusyError, StoreError
from refine.store import schema
from refine.store import store as store_module
from refine.store.engine import engine_of, url_of
from refine.store.store import Store
from refine.trials.trial import ORIGINS

SPACE = {
    "lr": (0.5, 5.0, 10),
    "dropout": (0.0, 0.5, 6),
    "optimizer": ["Adam", "Nadam", "SGD"],
    "junk": (1, 8),
    "epochs": 150,
}


def test_a_session_reads_back_equal(url, space):
    with refine.Tree("q", store=url) as tree:
        root = tree.add_round(space, objectives.metrics, metric="max:acc", n=40, seed=3).run(progress=False)
        child = root.propose().edit(dropout=(0, 0.2)).accept(note="naïve 'note' | ✓", n=12, author="ann")
        child.run(progress=False)
        tree.tag(child, "paper")
        before = root.trials
        text = str(tree)
    with refine.Tree("q", store=url, create=False) as tree:
        assert str(tree) == text
        assert tree[root.id].trials.equals(before)
        assert tree["paper"].id == child.id
        (decision,) = tree[root.id].decisions
        assert decision.note == "naïve 'note' | ✓"
        assert decision.space == child.space


def test_curves_of_some_permutations(url, space):
    with refine.Tree("q", store=url) as tree:
        found = tree.add_round(space, objectives.metrics, metric="acc", n=12).run(progress=False)
        store, pk = found.context.store, found._stored.pk
        records = store.records([pk], curves=True)
        keys = records.columns["key"]
        assert store.curves(pk, keys[3:5]) == dict(zip(keys[3:5], records.curves[3:5], strict=True))
        assert len(records.curves[3]["loss"]) == 5
        assert store.curves(pk, ["unheard of"]) == store.curves(pk, []) == {}


def test_nothing_is_written_twice(url, space):
    with refine.Tree("q", store=url) as tree:
        for _ in range(2):
            root = tree.add_round(space, objectives.bowl, n=30).run(progress=False)
            root.propose().accept(n=5)
        assert len(tree) == 2
        assert len(tree.log()) == 2
        assert len(root.trials) == 30


def test_large_and_odd_values_survive(url):
    big = refine.Space({f"p{i}": (0.0, 1.0, 5) for i in range(40)})
    with refine.Tree("big", store=url) as tree:
        found = tree.add_round(big, lambda p: {"value": p["p0"], "odd": float("nan"), "huge": 1e308}, n=12)
        frame = found.run(progress=False).trials
        assert [int(c) for c in frame["cell"]] == found.cells()
    assert max(map(int, frame["cell"])) > 2**64
    assert frame["odd"].isna().all()
    assert (frame["huge"] == 1e308).all()


def test_one_coordinator_at_a_time(url, space):
    with refine.Tree("q", store=url) as tree, refine.Tree("q", store=url) as other:
        found = tree.add_round(space, objectives.bowl, n=5)
        with found.context.store.lease(found._stored.pk, "round x"), pytest.raises(RoundBusyError):
            other[found.id].run(objective=objectives.bowl, progress=False)
        assert len(other[found.id].run(objective=objectives.bowl, progress=False).trials) == 5


def test_trees_in_one_store_keep_apart(url, space):
    with refine.Tree("a", store=url) as a, refine.Tree("b", store=url) as b:
        first = a.add_round(space, objectives.bowl, n=5).run(progress=False)
        second = b.add_round(space, objectives.bowl, n=9).run(progress=False)
        assert first.id == second.id  # the same content is the same id
        assert (len(first.trials), len(second.trials)) == (5, 9)
    with pytest.raises(NotFoundError, match="no tree 'c'"):
        refine.Tree("c", store=url, create=False)


def test_stores_that_cannot_be_opened_say_why(tmp_path):
    text = tmp_path / "text.db"
    text.write_text("this is no database at all, " * 50)
    with pytest.raises(StoreError, match="can't be opened: file is not a database"):
        refine.Tree("q", store=text)
    with pytest.raises(StoreError, match="the folder must exist, but"):
        refine.Tree("q", store=tmp_path / "no" / "where.db")
    with pytest.raises(StoreError, match="a tree needs a name, got ''"):
        refine.Tree("", store=tmp_path / "refine.db")
    with pytest.raises(StoreError) as caught:
        refine.Tree("q", store="postgresql://ann:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)
    assert "ann" in str(caught.value)


FIFTH = (
    "ALTER TABLE node DROP COLUMN epsilon",
    "ALTER TABLE node RENAME COLUMN allow_degenerate TO degenerate",
    "ALTER TABLE cell_plan RENAME COLUMN configuration TO permutation",
    "ALTER TABLE trial RENAME COLUMN configuration TO permutation",
    "UPDATE trial SET origin = 'even' WHERE origin = 'space_filling'",
    "UPDATE trial SET origin = 'focus' WHERE origin = 'exploit'",
    "UPDATE trial SET origin = 'counter' WHERE origin = 'audit'",
    "UPDATE cell_plan SET origin = 'focus' WHERE origin = 'exploit'",
    "UPDATE cell_plan SET origin = 'counter' WHERE origin = 'audit'",
)
BACK = {
    # A version -> what makes a store of the version before out of one.
    8: ("DROP TABLE mark",),
    7: ("ALTER TABLE node DROP COLUMN subject_to", "ALTER TABLE node DROP COLUMN goals"),
    6: ("ALTER TABLE trial DROP COLUMN environment",),
    5: FIFTH,
    4: ("ALTER TABLE node DROP COLUMN scientific",),
    3: ("DROP TABLE shown", "DROP TABLE threshold"),
    2: (
        "ALTER TABLE node DROP COLUMN degenerate",
        "DROP TABLE opened",
        "DROP TABLE opening",
        "DROP TABLE prediction",
        "DROP TABLE target",
    ),
}
FIXTURES = Path(__file__).parents[1] / "fixtures" / "stores"


def _older(url, version):
    """Makes a store as an earlier version wrote it: for SQLite one that it really wrote."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript((FIXTURES / f"version{version}.sql").read_text())
        return
    with refine.Tree("question", store=url) as tree:
        root = tree.add_round(SPACE, objectives.bowl, n=30, seed=3).run(progress=False)
        root.propose().accept(n=12, exploit=0.2, audit=0.1).run(progress=False)
        with tree._context.store.engine.begin() as connection:
            for change in (c for v in range(schema.SCHEMA_VERSION, version, -1) for c in BACK[v]):
                connection.execute(sa.text(change))
            connection.execute(sa.text(f"UPDATE meta SET value = '{version}' WHERE key = 'schema'"))


@pytest.fixture
def first_version(url):
    """URL of a store as version 1 wrote it."""
    _older(url, 1)
    return url


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_store_of_an_earlier_version_is_brought_up_to_date(url, version):
    _older(url, version)
    for _ in range(2):
        with refine.Tree("question", store=url, create=False) as tree:
            assert f"{len(tree.rounds[0].trials)}/{tree.rounds[0].n}" in str(tree)
            for found in tree.rounds:
                assert set(found.trials["origin"]) <= set(ORIGINS)
                beside = tree._context.store.beside(found._stored.pk)
                assert {found.origin for found in beside} <= set(ORIGINS)
            assert tree.rounds[0].best["value"] == tree.rounds[0].trials["value"].max()
            assert tree.rounds[0].analyze().n_space_filling >= 20
            inspector = sa.inspect(tree._context.store.engine)
            for name, table in schema.metadata.tables.items():
                assert {c["name"] for c in inspector.get_columns(name)} == {c.name for c in table.columns}
            with tree._context.store.engine.connect() as connection:
                found = connection.execute(sa.text("SELECT value FROM meta WHERE key = 'schema'")).scalar()
            assert found == str(schema.SCHEMA_VERSION)


def opened_at_once(url, processes):
    """Lets that many processes open the store of a tree at the same moment."""
    code = (
        "import sys, refine, refine.store.store; print('ready', flush=True); sys.stdin.readline(); "
        f"refine.Tree('question', store={url!r}).close()"
    )
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n", process.communicate(timeout=120)[1]
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error


def test_many_processes_may_make_a_store_at_once(url):
    opened_at_once(url, 6)
    with refine.Tree("question", store=url, create=False) as tree:
        assert tree.name == "question"
        assert tree._context.store.trees() == ["question"]


def test_processes_may_update_a_store_at_once(first_version):
    opened_at_once(first_version, 3)


def test_a_store_is_made_whole_or_not_at_all(url, monkeypatch):
    make = schema.metadata.create_all

    def killed(connection):
        make(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(schema.metadata, "create_all", killed)
        with pytest.raises(KeyboardInterrupt):
            Store(url)
    engine = engine_of(url_of(url))
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
    Store(url).close()


def test_a_file_that_another_process_writes_is_waited_for(tmp_path):
    path = tmp_path / "refine.db"
    with contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as other:
        # Where such a lock is held, SQLite refuses to change the mode of the file at once, whatever its timeout.
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process has it locked, and a write waits 0.2 seconds"):
            Store(f"sqlite:///{path}?timeout=0.2")
        threading.Timer(1.0, other.rollback).start()
        Store(f"sqlite:///{path}").close()
    with contextlib.closing(sqlite3.connect(path)) as found:
        assert found.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("said", ["timeout=soon", "timeout=-1", "timeout=1&timeout=2", "timeout=inf"])
def test_a_timeout_is_a_number_of_seconds(tmp_path, said):
    with pytest.raises(StoreError, match="timeout is a number of seconds, got"):
        Store(f"sqlite:///{tmp_path / 'refine.db'}?{said}")


def test_a_store_of_a_newer_refine_is_left_alone(tmp_path):
    path = tmp_path / "refine.db"
    store = Store(path)
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE meta SET value = '99' WHERE key = 'schema'"))
    store.close()
    with pytest.raises(StoreError, match="was written by a newer refine"):
        Store(path)


def test_a_child_and_its_decision_are_written_together_or_not_at_all(url, space, monkeypatch):
    with refine.Tree("q", store=url) as tree:
        root = tree.add_round(space, objectives.bowl, n=30).run(progress=False)
        review = root.propose()

        def killed(connection, decision):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("refine.store.store._write_decision", killed)
            with pytest.raises(KeyboardInterrupt):
                review.accept(n=10)
        assert len(tree) == 1
        assert root.decisions == ()
        child = review.accept(n=10)
        assert [d.child for d in root.decisions] == [child.id]
        assert len(tree) == 2


def test_two_people_may_accept_the_same_at_once(url, space, monkeypatch):
    with refine.Tree("q", store=url) as tree, refine.Tree("q", store=url) as other:
        root = tree.add_round(space, objectives.bowl, n=30).run(progress=False)
        review, theirs = root.propose(), other[root.id].propose()
        look = store_module._node_pk
        made = []

        def late(connection, tree_pk, node_id):
            found = look(connection, tree_pk, node_id)
            if found is None and not made:
                made.append(True)
                made.append(theirs.accept(n=10).id)  # between our look and our write
            return found

        monkeypatch.setattr(store_module, "_node_pk", late)
        child = review.accept(n=10)
        assert made[1] == child.id
        assert len(tree) == 2
        assert [d.child for d in root.decisions] == [child.id]


@pytest.fixture
def between(monkeypatch):
    """Lets something happen between the next look at the store and the write that follows."""

    def arrange(act):
        todo = [act]

        class Clock:  # a row is dated after the look
            @staticmethod
            def time():
                if todo:
                    todo.pop()()
                return time.time()

        monkeypatch.setattr(store_module, "time", Clock)
        return todo

    return arrange


def test_the_same_may_be_written_twice_at_the_same_moment(url, space, between):
    with refine.Tree("q", store=url) as tree, refine.Tree("q", store=url) as other:
        root = tree.add_round(space, objectives.bowl, n=30).run(progress=False)
        left = between(lambda: other[root.id].propose(risk=0.2))
        review = root.propose(risk=0.2)
        assert not left
        assert len(tree._context.store.proposals(root._stored.pk)) == 1
        theirs = other[root.id].propose(risk=0.2)
        left = between(lambda: theirs.decline(note="not yet"))
        review.decline(note="not yet")
        assert not left
        assert [d.kind for d in root.decisions] == ["declined"]
        left = between(lambda: refine.Tree("new", store=url).close())
        refine.Tree("new", store=url).close()
        assert not left
        assert tree._context.store.trees() == ["q", "new"]
        if url.startswith("postgresql"):  # in SQLite whoever is first has locked the file by now
            child = review.accept(n=5)
            left = between(lambda: other.tag(other[child.id], "best"))
            tree.tag(root, "best")
            assert not left
            assert other["best"].id == root.id
