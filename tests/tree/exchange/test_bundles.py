"""Trees as folders: out, back to equal values, and what must not be believed of a folder."""

import json
import os
import shutil
from pathlib import Path

import exchanged
import pytest
from exchanged import SPACE

import refine
from refine.errors import RoundBusyError, StoreError
from refine.store.rows import parts_of
from refine.store.schema import t


class Sealed:
    """An objective with a hold-out."""

    name = "sealed"
    fingerprint = "data-1"

    def __call__(self, params, trial):
        return exchanged.curves(params, trial)

    def holdout(self, params, trial):
        return {"acc": params["lr"] - 0.1}


def grow(store, n=24):
    tree = refine.Tree("question", store=store)
    root = tree.add_round(SPACE, Sealed(), metric="acc", n=n, seed=2, note="naïve | <b> ✓").run()
    with pytest.raises(refine.errors.RoundStoppedError):  # all of them fail again, as a second attempt
        root.run(rerun="failed")
    root.add(repeat=2, seeds=2).run()
    tree.open_holdout(at=root, top=1, seeds=2, note="why not")
    root.propose().decline("no")
    child = (
        root.propose()
        .edit(dropout=(0, 0.3))
        .accept("yes", n=10, exploit=0.2, plan=refine.Plan(audit=0.1), author="ann")
    )
    child.run()
    tree.tag(child, "../x")
    return tree


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grown")
    with grow(folder / "refine.db") as tree:
        tree.export(folder / "out", reports=False)
    return folder


@pytest.fixture
def grown_tree(grown, tmp_path):
    """The grown tree and its export, to be changed."""
    shutil.copytree(grown / "out", tmp_path / "out")
    shutil.copy(grown / "refine.db", tmp_path / "refine.db")
    with refine.Tree("question", store=tmp_path / "refine.db") as tree:
        yield tree


def everything(tree):
    """Rounds with the rows of those tables that have some."""
    parts = parts_of(tree._context.store, tree._context.tree)
    return [
        p._replace(rows={n: listed for n, rows in p.rows.items() if (listed := list(rows))}) for p in parts
    ]


def bytes_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_an_exported_folder_loads_with_equal_values(grown_tree, tmp_path):
    with refine.Tree.load(tmp_path / "out", tmp_path / "loaded.db") as loaded:
        assert loaded._name == "question"
        stored = everything(grown_tree)
        reread = everything(loaded)
        assert [p.row for p in stored] == [p.row for p in reread]
        for a, b in zip(stored, reread, strict=True):
            assert set(a.rows) == set(b.rows)
            for name in a.rows:
                assert repr(a.rows[name]) == repr(b.rows[name]), name
        tables = {name for p in stored for name in p.rows}
        assert tables >= {
            "plan",
            "run",
            "cell_plan",
            "tag",
            "trial",
            "target",
            "opening",
            "proposal",
            "decision",
            "inherited",
        }
        root = grown_tree.rounds[0]
        other = loaded.rounds[0]
        assert other.trials.equals(root.trials)
        assert other.replicates.equals(root.replicates)
        assert other.failures.equals(root.failures)
        assert str(loaded) == str(grown_tree)
        assert str(other.analyze()) == str(root.analyze())
        assert [str(o) for o in other._holdout_results] == [str(o) for o in root._holdout_results]
        assert other._decisions == root._decisions
        assert str(loaded.calibration()) == str(grown_tree.calibration())
        # It goes on: nothing is run twice.
        loaded.rounds[1].run(objective=Sealed())
        assert len(loaded.rounds[1].trials) == len(grown_tree.rounds[1].trials)


@pytest.mark.nightly
def test_exporting_twice_changes_no_byte(grown_tree, tmp_path):
    grown_tree.export(tmp_path / "out")
    before = bytes_of(tmp_path / "out")
    grown_tree.export(tmp_path / "out")
    assert bytes_of(tmp_path / "out") == before
    assert all(
        name in {str(p) for p in before} for name in ("tree.json", f"{grown_tree.rounds[0].id}/trials.csv")
    )
    for path, data in before.items():
        if path.suffix in (".json", ".jsonl"):
            for line in [data] if path.suffix == ".json" else data.splitlines():
                json.loads(line, parse_constant=pytest.fail)  # strict JSON: no NaN
    with refine.Tree.load(tmp_path / "out", tmp_path / "refine.db", name="again") as loaded:
        loaded.export(tmp_path / "again")
    after = bytes_of(tmp_path / "again")
    changed = {p.name for p in before if before[p] != after[p]}
    with_name = {"tree.json", "details.md", *(f"{r.id}.md" for r in grown_tree.rounds)}
    assert changed <= with_name  # files with the tree's name


@pytest.mark.slow
def test_loading_again_changes_nothing_and_refuses_something_else(grown_tree, tmp_path):
    for _ in range(2):
        refine.Tree.load(tmp_path / "out", tmp_path / "loaded.db").close()
    with refine.Tree("question", store=tmp_path / "loaded.db") as loaded:
        assert len(everything(loaded)[0].rows["trial"]) == len(everything(grown_tree)[0].rows["trial"])
        with loaded._context.store.engine.begin() as connection:
            connection.execute(t.trial.update().where(t.trial.c.pk == 1).values(metrics='{"acc": 9.0}'))
    text = "must hold nothing that the folder lacks, but trial .* differs; give the loaded tree another name"
    with pytest.raises(StoreError, match=text):
        refine.Tree.load(tmp_path / "out", tmp_path / "loaded.db")
    with refine.Tree("question", store=tmp_path / "own.db") as other_tree:
        other_round = other_tree.add_round({"x": (0.0, 1.0, 5)}, lambda p: p["x"], n=3, name="mine")
    with pytest.raises(StoreError, match="but the folder lacks round"):
        refine.Tree.load(tmp_path / "out", tmp_path / "own.db")
    with refine.Tree("question", store=tmp_path / "own.db") as other_tree:
        assert [r.id for r in other_tree.rounds] == [other_round.id]


@pytest.mark.slow
def test_loading_again_adds_what_a_colleague_added(grown_tree, tmp_path):
    with refine.Tree.load(tmp_path / "out", tmp_path / "b.db") as other:
        root = other.rounds[0]
        extra = root.branch(SPACE, n=3, seed=77, note="theirs")
        extra.run(objective=Sealed())
        root.run(n=root.n + 4, objective=Sealed())
        other.tag(extra, "new")
        other.export(tmp_path / "later", reports=False)
        trials = root.trials
    refine.Tree.load(tmp_path / "later", grown_tree._url).close()
    assert grown_tree.rounds[-1].id == extra.id
    assert grown_tree["new"].id == extra.id
    assert len(grown_tree[extra.id].trials) == 3
    assert grown_tree.rounds[0].trials.equals(trials)
    grown_tree.tag(grown_tree.rounds[0], "new")
    with pytest.raises(StoreError, match="tag new of round .* differs|tag 'new' names round"):
        refine.Tree.load(tmp_path / "later", grown_tree._url)


def test_a_round_that_is_being_run_is_not_loaded(grown_tree, tmp_path):
    store = grown_tree._context.store
    pk = grown_tree.rounds[0]._stored.pk
    with store.lease(pk, "round x"), pytest.raises(RoundBusyError):
        refine.Tree.load(tmp_path / "out", grown_tree._url)


def test_an_empty_tree_can_be_exported_and_loaded(tree, tmp_path):
    tree.export(tmp_path / "out")
    with refine.Tree.load(tmp_path / "out", tmp_path / "l.db", name="something") as loaded:
        assert (loaded._name, len(loaded)) == ("something", 0)


def test_every_table_travels():
    from refine.store.schema import hanging_on, metadata

    reached = set()
    todo = [t.node]
    while todo:
        table = todo.pop()
        reached.add(table.name)
        todo += hanging_on(table)
    assert reached == set(metadata.tables) - {"meta", "tree", "lease"}


# What must not be believed.


def change(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def index(**fields):
    return lambda folder, root: change(folder / "tree.json", **fields)


def node(**fields):
    return lambda folder, root: change(folder / root / "node.json", **fields)


def first(table, **fields):
    def spoil(folder, root):
        path = folder / root / f"{table}.jsonl"
        head, *lines = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps({**json.loads(head), **fields}), *lines]) + "\n")

    return spoil


def trials(make):
    """Something else in place of the file of trials."""

    def spoil(folder, root):
        path = folder / root / "trial.jsonl"
        text = path.read_text()
        path.unlink()
        make(path, text)

    return spoil


def other_seed(folder, root):
    path = folder / root / "node.json"
    change(path, identity={**json.loads(path.read_text())["identity"], "seed": 9})


BREAKS = {
    "newer format": (index(format=2), "its format must be 1, got '2'; a newer refine"),
    "newer schema": (index(schema=99), "its schema must be from 1 to 3, got '99'; a newer"),
    "no schema": (index(schema=None), "its schema must be from 1 to 3, got 'None'; a newer"),
    "no index": (lambda f, r: (f / "tree.json").unlink(), "is not an exported tree .tree.json is missing"),
    "traversal": (index(rounds=["../../etc"]), "named by 12 hexadecimal digits"),
    "twice": (lambda f, r: change(f / "tree.json", rounds=[r, r]), "stands there twice"),
    "no JSON": (lambda f, r: (f / "tree.json").write_text("{"), "is not JSON"),
    "deep": (lambda f, r: (f / "tree.json").write_text("[" * 100_000), "is not JSON: RecursionError"),
    "no node": (lambda f, r: (f / r / "node.json").unlink(), "node.json: is missing"),
    "other id": (node(id="0" * 12), "must be the object of round"),
    "other content": (other_seed, "is not that of its content"),
    "unknown field": (node(code="import os"), "unknown field 'code'"),
    "direction": (node(direction="up"), "direction must be"),
    "truncated": (trials(lambda p, text: p.write_text(text[:-20])), r"trial.jsonl: line \d+: is not JSON"),
    "state": (first("trial", state="won"), "line 1: state must be one of"),
    "key": (first("trial", key="0" * 16), "line 1: the key is not that"),
    "seed": (first("trial", seed=2**40), "seed: must be a whole number of 32 bits"),
    "metrics": (first("trial", metrics={"acc": "x"}), "is not a number"),
    "configuration": (first("trial", configuration={"lr": {"run": "x"}}), "must be a plain value"),
    "seconds": (first("trial", seconds=None), "'seconds' is missing"),
    "proposal": (first("proposal", content={}), "line 1: "),
    "link": (trials(lambda p, _: p.symlink_to("/etc/hostname")), "leads out of the folder"),
    "link to itself": (trials(lambda p, _: p.symlink_to("trial.jsonl")), "leads out of|is not a file"),
    "pipe": (trials(lambda p, _: os.mkfifo(p)), "is not a file"),
    "folder": (trials(lambda p, _: p.mkdir()), "is not a file"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_folder_that_was_tampered_with_is_refused(grown, tmp_path, kind):
    shutil.copytree(grown / "out", tmp_path / "out")
    root = json.loads((tmp_path / "out" / "tree.json").read_text())["rounds"][0]
    spoil, text = BREAKS[kind]
    spoil(tmp_path / "out", root)
    with pytest.raises(StoreError, match=text):
        refine.Tree.load(tmp_path / "out", tmp_path / "l.db")
    if (tmp_path / "l.db").exists():
        with refine.Tree("question", store=tmp_path / "l.db") as tree:
            assert len(tree) == 0


@pytest.mark.slow
def test_export_writes_through_no_link_and_removes_nothing_behind_one(grown_tree, tmp_path):
    """Links instead of parts of an exported tree: to a file, to a folder of a round, or to no file."""
    out = tmp_path / "fresh"
    copied = tmp_path / "mine"
    moved = tmp_path / "kept"
    grown_tree.export(out)
    shutil.copytree(out, copied)
    (copied / "precious.txt").write_text("mine")
    before = {p: p.read_bytes() for p in copied.rglob("*") if p.is_file()}
    root = out / grown_tree.rounds[0].id
    places = [root, root / "new.png", *sorted(root.rglob("*")), out / "tree.json"]
    for i, place in enumerate(places):
        target = (copied / place.relative_to(out), copied / "precious.txt", copied, tmp_path / "nothing")[
            i % 4
        ]
        if place.exists():
            place.rename(moved)
        place.symlink_to(target)
        with pytest.raises(StoreError, match="link"):
            grown_tree.export(out, reports=False)
        assert place.is_symlink()
        place.unlink()
        if moved.exists():
            moved.rename(place)
    assert {p: p.read_bytes() for p in copied.rglob("*") if p.is_file()} == before
    assert not (tmp_path / "nothing").exists()
