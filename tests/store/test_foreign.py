"""Stores of other programs, hostile or truncated files; looking at them changes nothing."""

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import warnings
import zlib

import pytest
from typer.testing import CliRunner

import refine
from refine.errors import NotFoundError, RefineError, RefineWarning, StoreError
from refine.space.files import read_space
from refine.store import engine, validity
from refine.store.engine import wal_of
from refine.store.schema import version_of
from refine.store.store import Store
from refine.tree.exchange.dataframe import read_table
from refine.ui.cli import app

SPACE = {"x": (0.0, 1.0, 11), "k": (1, 8)}


def score(p):
    return p["x"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "refine.db"
    with refine.Tree("q", store=path) as tree:
        tree.add_round(SPACE, score, n=30).run()
    return path


@pytest.fixture
def path(sound, tmp_path):
    return shutil.copy(sound, tmp_path / "refine.db")


def by_hand(path, *commands):
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for command in commands:
            connection.execute(command)


def looks(path):
    """Commands by which a person looks at a store."""
    return CliRunner().invoke(app, ["show", str(path)]), doctor(path)


def doctor(path):
    return CliRunner().invoke(app, ["doctor", str(path), "--quick"])


OTHERS = {
    "this": ("CREATE TABLE this (a)", "its tables are another program's ('this')"),
    "optuna": (
        "CREATE TABLE studies (a); CREATE TABLE trials (a); CREATE TABLE version_info (a)",
        "it is an Optuna storage, whose studies refine import and tree.add_runs read",
    ),
}


@pytest.mark.parametrize("owner", [*OTHERS, "one byte", "nothing", "text"])
def test_a_file_that_is_not_a_store_is_refused_and_stays_unchanged(tmp_path, owner):
    path = tmp_path / "other.db"
    if owner in OTHERS:
        by_hand(path, *OTHERS[owner][0].split(";"))
    else:
        path.write_bytes({"one byte": b"x", "nothing": b"", "text": b"words\n" * 999}[owner])
    if owner in OTHERS:
        text = OTHERS[owner][1]
    elif owner == "nothing":
        text = "no tree"
    else:
        text = "is not a database"
    before = path.read_bytes()
    for result in looks(path):
        assert result.exit_code
    assert text in looks(path)[0].stderr
    with pytest.raises(NotFoundError if owner == "nothing" else StoreError):
        refine.Tree("q", store=path, create=False)
    if owner != "nothing":
        with pytest.raises(StoreError):
            refine.Tree("q", store=path)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


def test_a_look_at_a_server_makes_no_tables(postgresql):
    for _ in range(2):
        with pytest.raises(NotFoundError, match="no tree"):
            Store(postgresql, create=False)


_STARS = (
    "CREATE FUNCTION harm() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM trial; RETURN NEW; END$$"
)
HOSTILE = {
    "trigger": ("CREATE TRIGGER stars AFTER INSERT ON mark BEGIN DELETE FROM trial; END",),
    "view": (
        "ALTER TABLE trial RENAME TO t2",
        (
            "CREATE VIEW trial AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT "
            "t2.* FROM t2, n"
        ),
    ),
    "virtual": ("DROP TABLE mark", "CREATE VIRTUAL TABLE mark USING fts5(node, key)"),
    "generated": ("ALTER TABLE trial ADD COLUMN big AS (zeroblob(900000000))",),
    "trials that go with a lease": (
        "PRAGMA writable_schema=ON",
        (
            "UPDATE sqlite_master SET sql = replace(sql, 'node (pk)', 'lease ON DELETE CASCADE') WHERE "
            "name = 'trial'"
        ),
    ),
    "replace": ("DROP TABLE mark", "CREATE TABLE mark (node INTEGER UNIQUE ON CONFLICT REPLACE)"),
    "index": ("CREATE INDEX slow ON mark (hex(zeroblob(30000000)))",),
}
ON_A_SERVER = {
    "trigger 'stars'": f"{_STARS}; CREATE TRIGGER stars AFTER INSERT ON mark EXECUTE FUNCTION harm()",
    "view 'trial'": f"ALTER TABLE trial RENAME TO t2; {HOSTILE['view'][1]}",
    "rule 'stars'": "CREATE RULE stars AS ON INSERT TO mark DO ALSO DELETE FROM trial",
    "policy 'seen'": "CREATE POLICY seen ON meta USING (pg_sleep(9) IS NULL)",
    "table 'more'": "CREATE TABLE more () INHERITS (trial)",
    "check 'slow'": "ALTER TABLE mark ADD CONSTRAINT slow CHECK (pg_sleep(9) IS NULL)",
    "check 'goes'": (
        "ALTER TABLE trial ADD CONSTRAINT goes FOREIGN KEY (node) REFERENCES lease ON DELETE CASCADE"
    ),
    "index 'mark_length_idx'": "CREATE INDEX ON mark (length(note))",
    "column 'note'": "ALTER TABLE mark ALTER note SET DEFAULT pg_sleep(9)::text",
    "column 'author'": (
        "CREATE DOMAIN slow AS text CHECK (pg_sleep(9) IS NULL); ALTER TABLE mark ALTER author TYPE slow"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_would_compute_at_a_look_or_write_is_refused(path, kind):
    by_hand(path, *HOSTILE[kind])
    tree, doctor = looks(path)
    for output in (tree.stderr, doctor.stdout):
        assert "refine does not make" in " ".join(output.split())
    assert (tree.exit_code, doctor.exit_code) == (1, 3)
    with pytest.raises(StoreError, match="remove that first"):
        refine.Tree("q", store=path)


def test_a_server_with_foreign_triggers_or_policies_is_refused(postgresql):
    with contextlib.closing(Store(postgresql)) as store, store.engine.connect() as connection:
        for kind, commands in ON_A_SERVER.items():
            connection.exec_driver_sql(commands)
            with pytest.raises(StoreError, match=f"{kind}"):
                version_of(connection, "s")
            connection.rollback()
        connection.exec_driver_sql(ON_A_SERVER["policy 'seen'"])
        connection.commit()
        for create in (True, False):
            with pytest.raises(StoreError, match="remove that first"):
                Store(postgresql, create=create)
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.commit()


def test_an_import_from_optuna_makes_no_table_and_asks_no_view(path):
    with refine.Tree("q", store="sqlite://") as tree:
        with pytest.raises(NotFoundError, match="no study"):
            tree.add_runs(f"sqlite:///{path}?timeout=5")
        by_hand(
            path,
            "CREATE VIEW studies AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
            "SELECT * FROM n",
        )
        with pytest.raises(StoreError, match="'studies'"):
            tree.add_runs(f"sqlite:///{path}")


def test_a_pipe_is_waited_for_by_no_look(tmp_path):
    pipe, space, table = (tmp_path / name for name in ("refine.db", "space.toml", "table.csv"))
    for call, place, text in (
        (Store, pipe, "a pipe"),
        (read_space, space, "is no file|is not a file"),
        (read_table, table, "is a pipe"),
    ):
        os.mkfifo(place)
        with pytest.raises(RefineError, match=text):
            call(str(place))


def test_a_row_that_no_memory_holds_and_a_look_without_end_are_ended(path, monkeypatch):
    by_hand(path, "UPDATE trial SET error = CAST(zeroblob(90000000) AS TEXT) WHERE pk = 3")
    with (
        refine.Tree("q", store=path) as tree,
        pytest.raises(StoreError, match="67,108,864 bytes .*it"),
    ):
        tree.rounds[0].trials  # noqa: B018
    monkeypatch.setattr(engine, "_STEPS", 100)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n"
    with contextlib.closing(Store(path)) as store, store.engine.connect() as connection:
        with pytest.raises(StoreError, match="10.8 trials"):
            connection.exec_driver_sql(endless)
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1  # every statement has its steps anew


def test_packed_data_that_no_memory_holds_are_damaged(path, monkeypatch):
    bomb = zlib.compress(b'{"acc": [' + b"1," * 100_000 + b"1]}")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO curve VALUES (5, ?)", (bomb,))
        connection.execute("INSERT INTO threshold VALUES (1, 'a', ?)", (bomb[:-9],))
    monkeypatch.setattr(validity, "MOST_UNPACKED", 100_000)
    with refine.Tree("q", store=path) as tree:
        assert "100,000 bytes" in str(tree.repair(dry_run=True))
        assert [row.what for row in tree.repair(dry_run=True).rows] == ["trial", "threshold"]
        assert tree.repair().removed
        assert (len(tree.rounds[0].trials), len(tree.repair(dry_run=True))) == (29, 0)


ANY = (
    "INSERT INTO tree (name, created) VALUES (x'ff', 1)",
    "INSERT INTO tag (tree, name, node, created) VALUES (1, x'ff', 1, 1)",
    "INSERT INTO lease VALUES (1, x'ff', '1/../../tmp/pipe', 'soon')",
    "INSERT INTO meta VALUES ('removed/1/1', '{\"created\": 1e308}')",
    "INSERT INTO plan (node, n, created) VALUES (1, 'all', 1)",
    "INSERT INTO inherited VALUES (1, x'ff')",
)


def test_values_of_any_type_end_no_look(path):
    by_hand(path, *ANY)
    with refine.Tree("q", store=path, create=False) as tree:
        assert (len(tree.rounds), tree._tags, len(tree.log())) == (1, {}, 1)
        with pytest.warns(RefineWarning, match="inherited"):
            tree.rounds[0]._context.store.inherited(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RefineWarning)
            str(tree), str(tree.rounds[0])
        assert {row.what for row in tree.repair(dry_run=True).rows} >= {"tag", "plan", "inherited"}
    assert "process 1/../../tmp/pipe" in " ".join(doctor(path).stdout.split())


def test_a_name_that_a_terminal_obeys_is_seen_in_every_representation(tmp_path):
    with refine.Tree("a\x1b[2J\nb", store=tmp_path / "refine.db") as tree:
        root = tree.add_round(SPACE, score, n=3)
        for text in (repr(tree), repr(root)):
            assert r"a\x1b[2J\nb" in text
            assert text.isprintable()


# Files that hold less than they seem.


KILLED = """
import os, signal, sys, time
import refine
from refine.store import lease
lease.LEASE_SECONDS = 0.2
def score(p):
    if len(seen) == 40:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    seen.append(p)
    return p["x"]
seen = []
tree = refine.Tree("q", store=sys.argv[1])
tree.add_round({"x": (0.0, 1.0, 101)}, score, n=60).run(machine=refine.Machine(progress=False))
"""


@pytest.mark.slow
def test_a_copied_file_of_a_killed_process_holds_all_finished_trials(tmp_path):
    path = tmp_path / "refine.db"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert wal_of(path)[1]
    assert "refine.db-wal" in " ".join(doctor(path).stdout.split())
    copy = shutil.copy(path, tmp_path / "copy.db")
    with refine.Tree("q", store=copy, create=False) as tree:
        assert len(tree.rounds[0].trials) == 40


def test_a_file_without_the_one_that_holds_its_writes_names_it(tmp_path):
    path = tmp_path / "refine.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE meta (key)")
        copy = shutil.copy(path, tmp_path / "copy.db")
    assert copy.stat().st_size == 4096
    for create in (True, False):
        with pytest.raises(StoreError, match="copy.db-wal, next"):
            Store(copy, create=create)
    assert "copy.db-wal" in looks(copy)[1].stdout


def test_a_backup_is_complete_and_not_mixed_with_an_older_file(path, tmp_path):
    saved = tmp_path / "saved.db"
    with refine.Tree("q", store=path) as tree:
        root = tree.rounds[0]
        tree.tag(root, "first")  # lies in the -wal file
        copied = CliRunner().invoke(app, ["export", str(path), "--backup", str(saved)])
        assert copied.stdout.strip() == str(saved)
        shown = str(tree)
        root.run(n=40, objective=score)
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("SELECT * FROM trial").fetchall()
            for name in (path, wal_of(path)[0]):  # as a killed process leaves them
                shutil.copy(name, tmp_path / f"left{name.name.removeprefix('refine')}")
    refused = CliRunner().invoke(app, ["export", str(path), "--backup", str(saved)])
    assert refused.exit_code == 1
    assert "saved.db is there already" in refused.stderr
    assert sorted(p.name for p in tmp_path.glob("saved*")) == ["saved.db"]
    copied = tmp_path / "left.db"
    shutil.copy(saved, copied)
    with pytest.raises(StoreError, match=".*left.db-wal"):
        refine.Tree("q", store=copied)
    wal_of(copied)[0].unlink()
    with refine.Tree("q", store=copied) as tree:
        assert str(tree) == shown
        assert len(tree["first"].run(n=40, objective=score).trials) == 40


def test_a_server_s_store_has_tools_of_its_own(postgresql):
    with contextlib.closing(Store(postgresql)) as store:
        with pytest.raises(StoreError, match="pg_dump"):
            store.backup("copy.db")
        with store.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EINVAL], ids=errno.errorcode.get)
def test_a_drive_without_locks_is_named(tmp_path, world, number):
    url = f"sqlite:///{tmp_path / 'refine.db'}?patience=0.2"
    command = [sys.executable, "-c", f"import refine; refine.Tree('q', store={url!r})"]
    environ = {**os.environ, "LD_PRELOAD": world, "WORLD_LOCKS": str(number)}
    for _ in range(2):  # a store that is made, and one that is there
        output = subprocess.run(command, env=environ, capture_output=True, text=True, check=False).stderr
        assert "refine.db?patience=0.2:" in output
        assert "PostgreSQL" in output
        subprocess.run(command, check=True)


WRITES = {
    "accept": lambda tree, root, review: review.edit(k=(1, 4)).accept("go on", n=4),
    "decline": lambda tree, root, review: review.decline("no"),
    "exclude": lambda tree, root, review: root.exclude([0], reason="odd"),
    "note": lambda tree, root, review: setattr(root, "note", "late"),
    "propose": lambda tree, root, review: root.propose(risk=0.3),
    "branch": lambda tree, root, review: root.branch({**SPACE, "x": (0.0, 0.5, 6)}, n=4),
    "tag": lambda tree, root, review: tree.tag(root, "first"),
    "delete": lambda tree, root, review: tree.delete(root, [0]),
    "run": lambda tree, root, review: root.run(n=40, objective=score),
}


@pytest.mark.slow
def test_nothing_is_written_into_a_file_that_was_deleted(path):
    with refine.Tree("q", store=path) as tree, warnings.catch_warnings():
        warnings.simplefilter("ignore", RefineWarning)
        root = tree.rounds[0]
        review = root.propose()
        away = path.rename(path.with_name("away.db"))
        for write in WRITES.values():
            with pytest.raises(StoreError, match="after it was opened"):
                write(tree, root, review)
        away.rename(path)
        WRITES["exclude"](tree, root, review)
    with refine.Tree("q", store=path) as tree:
        assert (len(tree), tree.rounds[0].trials["state"].value_counts()["excluded"]) == (1, 1)


def test_the_last_word_counts_though_a_clock_was_set_back(path, monkeypatch):
    with refine.Tree("q", store=path) as tree:
        root = tree.rounds[0]
        root.exclude([3], reason="a broken node")
        monkeypatch.setattr("refine.store.store.time.time", lambda: 1e9)
        root.exclude([3], reason="it was sound", undo=True)
        root.exclude([4], reason="a broken node")
        assert list(root.trials["state"][3:5]) == ["complete", "excluded"]
