import json

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

import refine
from refine.errors import ReviewError, StoreError
from refine.store.schema import t
from refine.ui.cli import app

SPACE = {"x": (0.0, 10.0, 11), "y": (0.0, 1.0, 6)}


@pytest.fixture
def stored(url):
    with refine.Tree("marked", store=url) as tree:
        yield tree


def of(p):
    return {"value": p["y"] - (p["x"] - 3) ** 2, "size": 1.0}


def grown(tree, **options):
    return tree.add_round(SPACE, of, n=40, seed=1, **options).run()


@pytest.mark.slow
def test_an_excluded_trial_is_in_no_analysis(stored):
    round_ = grown(stored)
    best = round_.best.name
    without = round_.trials.drop(index=best)
    reason = "its disk was full"
    count = round_.exclude([best], reason, author="ann")
    assert count == 1
    assert round_.trials.loc[best, "state"] == "excluded"
    assert round_.best["value"] == without["value"].max() < of({"x": 3, "y": 1})["value"]
    assert round_.failures.empty
    assert round_.analyze().states == {"complete": 39, "excluded": 1}
    of_remaining = refine.analyze(round_.space, without, metric="value", seed=0)
    of_table = refine.analyze(round_.space, round_.trials, metric="value", seed=0)
    assert (
        of_table.digest
        == of_remaining.digest
        != grown(refine.Tree("other", store="sqlite://")).analyze().digest
    )
    assert [e.q for e in of_table.parameters] == [e.q for e in of_remaining.parameters]
    assert stored.winner().params != {"x": 3.0, "y": 1.0}
    assert list(stored.log()[["author", "note"]].iloc[-1]) == ["ann", f"{reason} (1 trial)"]


@pytest.mark.slow
def test_excluded_trials_can_be_included_and_repeated(stored):
    round_ = grown(stored)
    before = round_.trials
    round_.exclude(before["x"] > 8, "the wrong data")
    out = round_.trials["state"] == "excluded"
    assert out.sum() == (before["x"] > 8).sum() > 1
    round_.run()
    assert (round_.trials["state"] == "excluded").sum() == out.sum()
    round_.exclude(round_.trials[out].iloc[:1], undo=True)
    assert (round_.trials["state"] == "excluded").sum() == out.sum() - 1
    round_.run(rerun="excluded")
    assert set(round_.trials["state"]) == {"complete"}
    assert sorted(round_.trials["value"]) == sorted(before["value"])


@pytest.mark.slow
def test_stars_notes_on_trials_and_roles_of_older_stores_change_nothing(stored, tmp_path):
    round_ = grown(stored)
    before = (round_.analyze().digest, round_.trials, str(round_))
    key = stored._context.store.records([round_._stored.pk]).columns["key"][3]
    with stored._context.store.engine.begin() as connection:
        mark = {"node": round_._stored.pk, "key": key, "attempt": 0, "author": "ann", "created": 1e9}
        connection.execute(t.mark.insert().values(**mark, starred=1))
        connection.execute(t.mark.insert().values(**mark, note="odd"))
        connection.execute(t.node.update().values(scientific='["x"]'))
    folder = stored.export(tmp_path / "folder", reports=False)
    with refine.Tree.load(folder, store=tmp_path / "other.db") as other:
        for tree in (stored, other):
            same_round = tree[round_.id]
            assert same_round.analyze().digest == before[0]
            assert same_round.trials.equals(before[1])
            assert str(same_round) == before[2].replace(stored._name, tree._name)
            noted = tree.log().query("event == 'note on trials'")
            assert noted[["author", "note"]].values.tolist() == [["ann", "odd (1 trial)"]]
            assert not len(tree.repair(dry_run=True))
        assert bytes_of(folder) == bytes_of(other.export(tmp_path / "again", reports=False))


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_counts_and_the_best_of_a_large_round_leave_out_excluded_trials(tree, monkeypatch):
    round_ = grown(tree)
    monkeypatch.setattr("refine.tree.round_record.LARGE", 10)
    first = round_.best
    assert "40 of 40 trials" in str(tree)
    round_.exclude([first.name], "a wrong unit")
    second = round_.best
    assert second.name == round_.trials["value"].idxmax() != first.name
    assert tree._context.store.counts(tree._context.tree)[round_._stored.pk] == {
        "complete": 39,
        "excluded": 1,
    }
    round_.exclude([first.name], undo=True)
    assert round_.best.name == first.name


@pytest.mark.slow
def test_exclusions_travel_with_a_tree(tree, tmp_path):
    round_ = grown(tree)
    round_.exclude([5], "a broken machine")
    with refine.Tree.load(
        tree.export(tmp_path / "folder", reports=False), store=tmp_path / "other.db"
    ) as other:
        same_round = other[round_.id]
        assert same_round.trials["state"].tolist() == round_.trials["state"].tolist()
        same_round.exclude([5], "it was sound", undo=True)
        folder = other.export(tmp_path / "folder", reports=False)
    refine.Tree.load(folder, store=tree._url).close()
    assert set(round_.trials["state"]) == {"complete"}


def test_a_trial_in_place_of_a_removed_one_is_not_excluded(stored):
    round_ = grown(stored)
    key = round_.trials.loc[5, ["x", "y"]].tolist()
    round_.exclude([5], "a broken machine")
    stored.delete(round_, [5], note="it runs again")
    round_.run()
    assert key in round_.trials[["x", "y"]].to_numpy().tolist()
    assert set(round_.trials["state"]) == {"complete"}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda round_: round_.exclude([1], ""), "an exclusion needs a reason"),
        (lambda round_: round_.exclude([1], 7), "a note must be text, got 7"),
        (lambda round_: round_.exclude([99], "gone"), "got number 99 of 40 trials"),
    ],
)
def test_wrong_exclusions_are_refused(tree, call, text):
    round_ = grown(tree)
    with pytest.raises(ReviewError, match=text):
        call(round_)
    assert set(round_.trials["state"]) == {"complete"}


@pytest.mark.slow
def test_a_damaged_mark_is_refused_in_a_folder_and_left_out_of_a_store(tree, tmp_path):
    round_ = grown(tree)
    round_.exclude([5], "a broken machine")
    folder = tree.export(tmp_path / "folder", reports=False)
    file = next(f for f in folder.rglob("*.json*") if '"excluded":1' in f.read_text())
    file.write_text(file.read_text().replace('"excluded":1', '"excluded":7'))
    with pytest.raises(StoreError, match="must be 0 or 1"):
        refine.Tree.load(folder, store=tmp_path / "other.db")
    with tree._context.store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE mark SET excluded = NULL, note = NULL"))
    assert set(round_.trials["state"]) == {"complete"}
    assert [row.what for row in tree.repair(dry_run=True).rows] == ["mark"]
    tree.repair()
    assert not len(tree.repair(dry_run=True))


@pytest.mark.slow
def test_a_report_lists_excluded_trials_with_the_reason(tree, tmp_path):
    round_ = grown(tree)
    reason = "a broken machine"
    round_.exclude([5, 7], reason, author="ann")
    text = round_.report(tmp_path).read_text()
    assert f"{reason} (ann)" in text
    assert "38 complete, 2 excluded" in text


def test_the_shell_excludes_and_includes(tmp_path):
    store = str(tmp_path / "refine.db")
    with refine.Tree("marked", store=store) as tree:
        round_ = grown(tree)
        arguments = [store, round_.id, "--trial", "2"]
        done = CliRunner().invoke(app, ["exclude", *arguments, "--reason", "a wrong unit"])
        assert done.output == f"round {round_.id}: 1 trial excluded\n"
        assert round_.trials.loc[2, "state"] == "excluded"
        done = CliRunner().invoke(app, ["exclude", *arguments, "--undo", "--json"])
        assert json.loads(done.output) == {"round": round_.id, "included": 1}
        assert set(round_.trials["state"]) == {"complete"}
