"""One contract for every kind of store, run over SQLite and a PostgreSQL server of our own."""

import contextlib
import sqlite3
import threading
import time

import pytest
import sqlalchemy as sa

import objectives
import refine
from refine.errors import RoundBusyError, StoreError
from refine.store import schema
from refine.store import store as store_module
from refine.store.engine import engine_of, url_of
from refine.store.store import Store


@pytest.mark.slow
def test_a_session_reads_back_equal(url, space):
    with refine.Tree("q", store=url) as tree:
        root = tree.add_round(space, objectives.metrics, metric="max:acc", n=40, seed=3).run()
        child = root.propose().edit(dropout=(0, 0.2)).accept(note="naïve 'note' | ✓", n=12, author="ann")
        child.run()
        tree.tag(child, "paper")
        same_round = tree.add_round(space, objectives.metrics, metric="max:acc", n=40, seed=3).run()
        same_round.propose().edit(dropout=(0, 0.2)).accept(note="naïve 'note' | ✓", n=12, author="ann")
        assert (len(tree), len(tree.log()), len(root.trials)) == (2, 2, 40)  # nothing is written twice
        before = root.trials
        text = str(tree)
    with refine.Tree("q", store=url, create=False) as tree:
        assert str(tree) == text
        assert tree[root.id].trials.equals(before)
        assert tree["paper"].id == child.id
        (decision,) = tree[root.id]._decisions
        assert decision.note == "naïve 'note' | ✓"
        assert decision.space == child.space


def test_two_handles_see_each_other_and_trees_are_apart(url, space):
    first, second, b = (refine.Tree(name, store=url) for name in "aab")
    with first, second, b:
        root = first.add_round(space, objectives.metrics, metric="max:acc", n=4, seed=3)
        assert [r.id for r in second.rounds] == [root.id]
        root.run()
        assert len(second[root.id].trials) == 4
        assert (len(second), len(b)) == (1, 0)


def test_large_and_odd_values_survive(url):
    big = refine.Space({f"p{i}": (0.0, 1.0, 5) for i in range(40)})
    with refine.Tree("big", store=url) as tree:
        round_ = tree.add_round(big, lambda p: {"value": p["p0"], "odd": float("nan"), "huge": 1e308}, n=12)
        frame = round_.run().trials
        assert [int(c) for c in frame["cell"]] == round_._cells()
    assert max(map(int, frame["cell"])) > 2**64
    assert frame["odd"].isna().all()
    assert (frame["huge"] == 1e308).all()


def test_a_round_is_run_by_one_coordinator_at_a_time(url, space):
    with refine.Tree("q", store=url) as tree, refine.Tree("q", store=url) as other:
        round_ = tree.add_round(space, objectives.bowl, n=5)
        with round_._context.store.lease(round_._stored.pk, "round x"), pytest.raises(RoundBusyError):
            other[round_.id].run(objective=objectives.bowl)
        assert len(other[round_.id].run(objective=objectives.bowl).trials) == 5


def test_a_store_is_made_whole_or_not_at_all(url, monkeypatch):
    make = schema.metadata.create_all

    def killed(connection, **options):
        make(connection, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(schema.metadata, "create_all", killed)
        with pytest.raises(KeyboardInterrupt):
            Store(url)
    engine = engine_of(url_of(url))
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
    Store(url).close()


@pytest.mark.slow
def test_a_file_that_another_process_writes_is_waited_for(tmp_path):
    path = tmp_path / "refine.db"
    with contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as other:
        # Where such a lock is held, SQLite refuses to change the mode of the file at once, whatever
        # its timeout.
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="0.2 seconds"):
            Store(f"sqlite:///{path}?patience=0.2")
        threading.Timer(1.0, other.rollback).start()
        Store(f"sqlite:///{path}").close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_store_of_another_version_is_left_alone(tmp_path):
    store = Store(tmp_path / "refine.db")
    for version in ("0", "4", "8", "abc"):
        with store.engine.begin() as connection:
            connection.execute(sa.text(f"UPDATE meta SET value = '{version}' WHERE key = 'schema'"))
        with pytest.raises(StoreError, match=f"1 to {schema.SCHEMA_VERSION}, got {version!r}"):
            Store(tmp_path / "refine.db")
        with store.engine.begin() as connection:
            assert connection.execute(sa.text("SELECT value FROM meta")).scalar_one() == version
    store.close()


def test_a_migration_makes_the_next_version_of_a_store(tmp_path, space, monkeypatch):
    url = tmp_path / "refine.db"
    with refine.Tree("q", store=url) as tree:
        root = tree.add_round(space, objectives.bowl, n=5).run()
    statement = "ALTER TABLE trial ADD COLUMN another TEXT"
    for module in (schema, store_module):
        monkeypatch.setattr(module, "SCHEMA_VERSION", 4)
    monkeypatch.setattr(schema, "MIGRATIONS", {4: (statement,)})
    for _ in range(2):
        with refine.Tree("q", store=url, create=False) as tree:
            assert len(tree[root.id].trials) == 5
            engine = tree._context.store.engine
            assert "another" in {column["name"] for column in sa.inspect(engine).get_columns("trial")}
            with engine.connect() as connection:
                assert connection.execute(sa.text("SELECT value FROM meta")).scalar() == "4"


@pytest.mark.slow
def test_two_people_may_accept_the_same_at_once(url, space, monkeypatch):
    with refine.Tree("q", store=url) as tree, refine.Tree("q", store=url) as other:
        root = tree.add_round(space, objectives.bowl, n=30).run()
        review = root.propose()
        other_review = other[root.id].propose()
        original = store_module.lock_budget
        children = []

        def late(connection, tree_pk):
            if not children:
                children.append(True)
                children.append(other_review.accept(n=10).id)  # between our look and our lock
            original(connection, tree_pk)

        monkeypatch.setattr(store_module, "lock_budget", late)
        child = review.accept(n=10)
        assert children[1] == child.id
        assert len(tree) == 2
        assert [d.child for d in root._decisions] == [child.id]


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


@pytest.mark.slow
def test_the_same_may_be_written_twice_at_the_same_moment(url, space, between, monkeypatch):
    with refine.Tree("q", store=url) as tree, refine.Tree("q", store=url) as other:
        root = tree.add_round(space, objectives.bowl, n=30).run()
        remaining = between(lambda: other[root.id].propose(risk=0.2))
        review = root.propose(risk=0.2)
        assert not remaining

        def killed(connection, decision):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:  # a child and its decision are written together or not at all
            patch.setattr(store_module, "_write_decision", killed)
            with pytest.raises(KeyboardInterrupt):
                review.accept(n=10)
        assert (len(tree), root._decisions) == (1, ())
        assert len(tree._context.store.proposals(root._stored.pk)) == 1
        other_review = other[root.id].propose(risk=0.2)
        remaining = between(lambda: other_review.decline(note="not yet"))
        review.decline(note="not yet")
        assert not remaining
        assert [d.kind for d in root._decisions] == ["declined"]
        remaining = between(lambda: refine.Tree("new", store=url).close())
        refine.Tree("new", store=url).close()
        assert not remaining
        assert tree._context.store.trees() == ["q", "new"]
        if url.startswith("postgresql"):  # in SQLite whoever is first has locked the file by now
            child = review.accept(n=5)
            remaining = between(lambda: other.tag(other[child.id], "best"))
            tree.tag(root, "best")
            assert not remaining
            assert other["best"].id == root.id


def identity(params):
    return params["x"]


def test_a_store_of_version_2_gets_the_table_of_additions(tmp_path):
    path = tmp_path / "old.db"
    with refine.Tree("t", store=path) as tree:
        tree.add_round({"x": (0.0, 1.0, 11)}, identity, n=4, seed=1).run()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE addition")
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    with refine.Tree("t", store=path, create=False) as tree:
        root = tree["root"].add(2, exploit=1.0).run(objective=identity)
        assert root.trials["origin"].tolist() == ["space_filling"] * 4 + ["exploit"] * 2
