"""Events around a store: odd paths, moved files, threads, forks, and several people at once."""

import contextlib
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import psutil
import pytest
import sqlalchemy as sa

import refine
from refine.errors import ReviewError, StoreError
from refine.store import load
from refine.store.engine import url_of
from refine.store.import_buffer import kept
from refine.store.store import Store
from refine.tree.exchange.folder import read_folder

SPACE = {"x": (0.0, 1.0, 11), "kind": ["a", "b"]}


def score(p):
    return p["x"]


@pytest.mark.parametrize(
    "name", ["run?1.db", "run#1.db", "50% off.db", "a b.db", "ü.db", "what?patience=1.db"]
)
def test_a_path_is_the_file_of_that_name(tmp_path, name, monkeypatch):
    def leaves(p):
        os.chdir("/")
        return p["x"]

    for place in (tmp_path / name, str(tmp_path / name), name):
        monkeypatch.chdir(tmp_path)
        with refine.Tree("q", store=place) as tree:  # the same wherever the objective goes
            assert len(tree.add_round(SPACE, leaves, n=5, name="f").run().trials) == 5
            assert len(tree.log()) == 1
    assert (tmp_path / name).is_file()
    assert {p.name for p in tmp_path.iterdir()} == {name}


@pytest.mark.parametrize(
    ("place", "text"),
    [
        *((place, "a store is a URL") for place in ("a\0.db", "postgresql://host:port/db")),
        *(
            (f"sqlite:///refine.db?{query}", "patience is a number of seconds, got")
            for query in ("patience=soon", "patience=-1", "patience=1&patience=2", "patience=inf")
        ),
    ],
)
def test_a_wrong_place_of_a_store_is_refused(place, text):
    with pytest.raises(StoreError, match=text):
        Store(place)


@pytest.mark.parametrize("event", ["moved", "deleted", "replaced"])
def test_a_store_file_that_disappears_stops_the_running_round(tmp_path, event):
    path = tmp_path / "refine.db"
    configurations = []

    def objective(p):
        configurations.append(p)
        if len(configurations) == 3:
            if event == "deleted":
                path.unlink()
            else:
                path.rename(tmp_path / "elsewhere.db")
            if event == "replaced":
                shutil.copy(tmp_path / "elsewhere.db", path)
        return p["x"]

    tree = refine.Tree("q", store=path)
    round_ = tree.add_round(SPACE, objective, n=10)
    with pytest.raises(StoreError, match="after it was opened"):
        round_.run()
    assert len(configurations) == 3
    if event == "moved":  # put back, it holds what had finished
        (tmp_path / "elsewhere.db").rename(path)
        with refine.Tree("q", store=path) as reopened:
            assert len(reopened[round_.id].trials) == 2
            reopened[round_.id].run(objective=objective)
            assert len(reopened[round_.id].trials) == 10
    tree.close()


def test_a_store_in_memory_is_one_for_all_threads():
    with refine.Tree("q", store=":memory:") as tree:
        root = tree.add_round(SPACE, score, n=5).run()
        counts = []
        thread = threading.Thread(target=lambda: counts.append(len(root.trials)))
        thread.start()
        thread.join()
        assert counts == [5]
        with refine.Tree("q", store=":memory:") as other:
            assert len(other) == 0
            other.add_round(SPACE, score, n=5).run()


@pytest.mark.slow
def test_a_forked_process_has_connections_of_its_own(url):
    code = f"""
import os, refine
tree = refine.Tree("q", store={url!r})
tree.add_round({{"x": (0.0, 1.0, 11)}}, lambda p: p["x"], n=4)
children = []
for _ in range(3):
    pid = os.fork()
    if not pid:
        for _ in range(20):
            assert len(tree.rounds) == 1
        os._exit(0)
    children.append(pid)
for _ in range(20):
    assert len(tree.rounds) == 1
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
assert len(tree.rounds) == 1
"""
    words = [sys.executable, "-c", code]
    process = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 0, process.stderr


@pytest.mark.slow
def test_a_load_that_another_process_did_meanwhile_changes_nothing(url, tmp_path, monkeypatch):
    with refine.Tree("q", store=tmp_path / "other.db") as tree:
        tree.add_round(SPACE, score, n=5).run()
        tree.export(tmp_path / "exported")
    original = Store.nodes
    looks = []

    def nodes(store, pk):
        rows = original(store, pk)
        looks.append(len(rows))
        if len(looks) == 1:
            refine.Tree.load(tmp_path / "exported", store=url).close()  # between our look and our write
        return rows

    monkeypatch.setattr(Store, "nodes", nodes)
    with refine.Tree.load(tmp_path / "exported", store=url) as tree:
        assert looks[:2] == [0, 0]  # ours and that of the other process
        assert 1 in looks  # after our write was refused
        assert len(tree) == 1
        assert len(tree.rounds[0].trials) == 5


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_texts_that_no_store_takes_are_refused_alike(tree, tmp_path, text):
    with pytest.raises(StoreError, match="can't be stored"):
        refine.Tree(text, store=tmp_path / "refine.db")
    root = tree.add_round(SPACE, score, n=5)
    with pytest.raises(StoreError, match="a tag .* can't be stored"):
        tree.tag(root, text)
    for option in ({"note": text}, {"author": text}):
        with pytest.raises(ReviewError, match="can't be stored"):
            root.branch(SPACE | {"x": (0.0, 0.5, 6)}, n=3, **option)


def _overwritten(path):
    """The page of the trials is no page."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'trial'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def _changed(command):
    def change(path):
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(command)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_overwritten, "the database says: database disk image is malformed; check that"),
        (_changed("DROP TABLE trial"), "must have a table 'trial' and has none; it is damaged"),
        (_changed("ALTER TABLE trial DROP COLUMN origin"), "the database says: no such column: trial.origin"),
    ],
)
def test_a_damaged_or_edited_store_file_is_named_as_such(tmp_path, change, text):
    path = tmp_path / "refine.db"
    with refine.Tree("q", store=path) as tree:
        tree.add_round(SPACE, score, n=15).run()
    change(path)
    with pytest.raises(StoreError, match=text), refine.Tree("q", store=path, create=False) as tree:
        str(tree)


@pytest.fixture
def emptied(postgresql):
    """Empties the server afterwards."""
    yield
    with contextlib.closing(Store(postgresql)) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.mark.slow
@pytest.mark.usefixtures("emptied")
def test_a_server_that_restarts_ends_no_round_and_loses_no_trial(server, capsys, tmp_path, monkeypatch):
    configurations = []
    starts = []
    pid = tmp_path / "pid"

    def stop(until=lambda: False):
        def start():
            while until():
                time.sleep(0.05)
            server.start()

        server.stop("immediate")
        starts.append(threading.Timer(0.5, start))
        starts[-1].start()

    def stops(p):
        configurations.append(p)
        if len(configurations) == 4:
            stop()
        return p["x"]

    def hangs(p):
        if p["kind"] == "b":
            pid.write_text(str(os.getpid()))
            time.sleep(3600)
        return p["x"]

    def hangs_still():
        return not pid.exists() or psutil.pid_exists(int(pid.read_text()))

    def stops_at_first(*arguments):
        return add(*arguments) if len(starts) > 2 else stop() or add(*arguments)

    with refine.Tree("restarted", store=server.url) as tree:
        root = tree.add_round(SPACE, stops, n=8).run(machine=refine.Machine())
        assert (len(root.trials), len(configurations)) == (8, 8)
        assert list(root.trials["value"]) == [p["x"] for p in configurations]
        output = capsys.readouterr().err
        assert output.count("60 s") == 1
        # Trials that run meanwhile have their time and no more.
        round_ = tree.add_round({"x": [1], "kind": ["a", "b"]}, hangs, n=2, name="other")
        ended = {"complete": lambda: stop(hangs_still), "timeout": lambda: None}
        round_.run(
            machine=refine.Machine(
                workers=2, timeout=2, on_trial=lambda trial: ended[trial.state](), progress=False
            )
        )
        assert set(round_.trials["state"]) == {"complete", "timeout"}
        with refine.Tree("q", store=tmp_path / "other.db") as other:
            loaded = other.add_round(SPACE, score, n=5, seed=7).run()
            other.export(tmp_path / "study", reports=False)
        add = load._Loading.add
        monkeypatch.setattr(load._Loading, "add", stops_at_first)
        with refine.Tree.load(tmp_path / "study", server.url) as other:
            assert len(other[loaded.id].trials) == 5
    starts[-1].join()


@pytest.mark.slow
@pytest.mark.usefixtures("emptied")
def test_a_server_that_stays_away_ends_the_round(server):
    configurations = []

    def stops(p):
        configurations.append(p)
        if len(configurations) == 4:
            server.stop("immediate")
        return p["x"]

    with refine.Tree("restarted", store=f"{server.url}&patience=0.3") as tree:
        root = tree.add_round(SPACE, stops, n=8)
        with pytest.raises(StoreError, match="the database says"):
            root.run()
        server.start()
        assert len(root.trials) == 3
        assert len(root.run().trials) == 8
        assert len(configurations) == 9


@pytest.mark.slow
@pytest.mark.usefixtures("emptied")
def test_store_of_a_server_that_restarts_is_waited_for(server):
    open_connection = sa.create_engine(url_of(server.url)).connect()
    open_connection.execute(sa.text("SELECT 1"))
    stopping = threading.Thread(target=server.stop, args=["smart"])  # ends with the last connection
    stopping.start()
    probe = sa.create_engine(url_of(server.url), poolclass=sa.NullPool)

    def connect_for_ten_seconds():
        for _ in range(200):
            probe.connect().close()
            time.sleep(0.05)

    with pytest.raises(sa.exc.OperationalError, match="shutting down"):
        connect_for_ten_seconds()
    opened = []

    def open_tree():
        with refine.Tree("restarted", store=server.url) as tree:
            opened.append(tree._name)

    opening = threading.Thread(target=open_tree)
    opening.start()
    opening.join(1)
    open_connection.close()
    open_connection.engine.dispose()
    stopping.join(60)
    server.start()
    opening.join(60)
    assert opened == ["restarted"]


@pytest.mark.slow
@pytest.mark.usefixtures("emptied")
def test_a_commit_that_was_not_confirmed_counts_once(server, tmp_path, monkeypatch):
    with refine.Tree("q", store=server.url) as tree:
        dialect = tree._context.store.engine.dialect
        times = itertools.count()
        commit = dialect.do_commit

        def lost(connection):
            commit(connection)
            if next(times) % 2:
                connection.driver_connection.close()
                raise dialect.dbapi.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(dialect, "do_commit", lost)
        root = tree.add_round(SPACE, score, n=13).run()
        for _ in range(2):
            root.note = "odd"
            root.exclude([1], reason="a broken node")
            root.exclude([1], reason="it was sound", undo=True)
        assert tree.delete(root, [2]) == 1
        child = root.propose().edit(kind=["a"]).accept("go on", n=4)
        for i in range(3):
            child._context.store.extend(child._stored.pk, [("probe", {"x": i / 10, "kind": "a"})])
        assert next(times) > 30
        times = itertools.chain([1], itertools.repeat(0))
        with refine.Tree("q", store=tmp_path / "other.db") as other:
            loaded = other.add_round(SPACE, score, n=5, seed=7).run()
            other.export(tmp_path / "study", reports=False)
        context = tree._context
        _, parts, _, _ = read_folder(tmp_path / "study")
        with kept(parts) as sound:
            load.load_rounds(context.store, context.tree, sound)
        assert len(tree[loaded.id].trials) == 5
        monkeypatch.undo()
        assert (len(root.trials), len(root._decisions)) == (12, 1)
        assert len(root._context.store.marks(root._stored.pk)) == 4
        assert len(child._context.store.beside(child._stored.pk)) == 3
        assert list(tree.log()["event"]).count("trials removed") == 1
