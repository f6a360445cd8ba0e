"""Looking at a study needs no right to write; what does need it says so, and leaves nothing half written."""

import os
import subprocess

import pytest
import sqlalchemy as sa

import refine
from refine.errors import RefineWarning, StoreError
from refine.store.store import Store

SPACE = {"x": (0.0, 1.0, 11), "k": (1, 8)}


def score(p):
    return p["x"] + 0.01 * p["k"]


def refuses(tree, root, text):
    """Every call that would write is refused."""
    for write in (
        lambda: root.run(objective=score, n=50),
        lambda: tree.tag(root, "a"),
        lambda: setattr(root, "note", "late"),
        lambda: root.branch({"x": (0.0, 0.5, 6), "k": (1, 8)}, n=4),
        lambda: tree.delete(root, [0]),
        lambda: refine.Tree("new", store=tree._url),
    ):
        with pytest.raises(StoreError, match=text):
            write()


@pytest.fixture
def medium(file_system):
    """A file system of its own, and what makes it read-only or writable again."""
    folder = file_system("4m")

    def remount(mode):
        subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)
        return folder

    return remount


@pytest.mark.nightly
def test_a_study_on_a_read_only_medium_is_looked_at(medium, tmp_path):
    with refine.Tree("q", store=medium("rw") / "refine.db") as tree:
        root = tree.add_round(SPACE, score, n=40).run()
        shown = str(tree)
        table = root.trials
        review = str(root.propose())
    folder = medium("ro")
    before = sorted(p.name for p in folder.iterdir())
    with refine.Tree("q", store=folder / "refine.db") as tree:
        root = tree.rounds[0]
        assert str(tree) == shown
        assert root.trials.equals(table)
        with pytest.warns(RefineWarning, match="not be written .*not kept"):
            assert str(root.propose(risk=0.2))
        assert str(root.propose()) == review  # kept before, and no news
        root.report(tmp_path / "reports")
        tree.export(tmp_path / "out")
        refuses(tree, root, "may be read and not be written .*copy it to where you may write")
        with pytest.raises(StoreError, match="written: .*read-only|Read-only"):
            root.report(folder / "reports")
    assert sorted(p.name for p in folder.iterdir()) == before
    with refine.Tree("q", store=medium("rw") / "refine.db") as tree:
        assert len(tree.rounds[0].run(objective=score, n=50).trials) == 50


def test_another_s_study_is_looked_at_while_it_is_written(tmp_path):
    """The right to read is enough, and the next look sees what was written meanwhile."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    folder = tmp_path / "theirs"
    folder.mkdir()
    for place in (tmp_path, *tmp_path.parents):
        if place.owner() == "root" and place.stat().st_mode & 0o5 != 0o5:
            place.chmod(place.stat().st_mode | 0o5)
    path = folder / "refine.db"
    with refine.Tree("q", store=path) as tree:
        root = tree.add_round(SPACE, score, n=20).run()
    read, write = os.pipe()
    back, answer = os.pipe()
    child = os.fork()
    if not child:  # somebody else looks
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            with refine.Tree("q", store=path) as tree:
                assert len(tree.rounds[0].trials) == 20
                os.write(answer, b"x")
                os.read(read, 1)
                assert len(tree.rounds[0].trials) == 25
                try:
                    tree.tag(tree.rounds[0], "a")
                except StoreError as error:
                    code = 0 if "may be read and not be written" in str(error) else 2
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    assert os.read(back, 1) == b"x"
    with refine.Tree("q", store=path) as tree:
        tree[root.id].run(objective=score, n=25)
    os.write(write, b"x")
    assert os.waitpid(child, 0)[1] == 0


def test_a_role_that_may_only_read_can_look_and_gets_a_warning(postgresql):
    with refine.Tree("q", store=postgresql) as tree:
        root = tree.add_round(SPACE, score, n=40).run()
        shown = str(tree)
    owner = Store(postgresql)
    with owner.engine.begin() as connection:
        connection.execute(sa.text("CREATE ROLE reader LOGIN"))
        # A schema that another test has made anew is not everybody's to use, as the first one is.
        connection.execute(sa.text("GRANT USAGE ON SCHEMA public TO reader"))
        connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
    try:
        url = sa.make_url(postgresql).set(username="reader").render_as_string(hide_password=False)
        with refine.Tree("q", store=url) as tree:
            assert str(tree) == shown
            round_ = tree[root.id]
            with pytest.warns(RefineWarning, match="by this role .*not kept"):
                assert str(round_.propose())
            refuses(tree, round_, "not be written by this role .*permission denied")
    finally:
        with owner.engine.begin() as connection:
            connection.execute(sa.text("DROP OWNED BY reader"))
            connection.execute(sa.text("DROP ROLE reader"))
            connection.execute(sa.text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
        owner.close()


def fill(folder):
    free = os.statvfs(folder)
    (folder / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize))
    return folder / "ballast"


@pytest.mark.nightly
def test_a_full_disk_leaves_reports_and_exports_whole(medium, tmp_path):
    folder = medium("rw")
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        root = tree.add_round(SPACE, score, n=12).run()
        tree.export(folder / "out")
        root.report(folder / "reports")
        before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        root.run(n=60)
        ballast = fill(folder)
        for write in (lambda: tree.export(folder / "out"), lambda: root.report(folder / "reports")):
            with pytest.raises(StoreError, match="No space left"):
                write()
        ballast.unlink()
        after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        assert {p: after[p] for p in before} == before
        assert not [p for p in after if p.suffix == ".part"]
        with refine.Tree.load(folder / "out", store=tmp_path / "again.db") as loaded:
            assert len(loaded[root.id].trials) == 12
        tree.export(folder / "out")
        with refine.Tree.load(folder / "out", store=tmp_path / "new.db") as loaded:
            assert len(loaded[root.id].trials) == 60
