"""Exports and loads hold some thousand trials at once and give the same result as a single block."""

import json

import pytest

import refine
from refine.space.encoding import dumps
from refine.space.space import configuration_key
from refine.store import rows
from refine.store.import_buffer import kept
from refine.store.load import load_rounds
from refine.store.schema import t

pytestmark = pytest.mark.slow

SPACE = refine.Space({"x": (0.0, 1.0, 200), "y": (0, 99, 100)})


def objective(params):
    return params["x"]


def fill(tree, cells, value=lambda params: params["y"] + 1.0, finished=5.0):
    """A round with finished trials, and every third with a second attempt."""
    round_ = tree.add_round(SPACE, objective, n=20_000, seed=1)
    pk = round_._stored.pk
    written = []
    later = []
    for cell in cells:
        params = SPACE.configuration(cell)
        row = {"node": pk, "key": configuration_key(params), "replicate": 0, "attempt": 0, "cell": str(cell)}
        row |= {"seed": cell, "origin": "space_filling", "state": "complete", "seconds": 1.0, "code": "c"}
        metrics = json.dumps({"value": value(params)})
        row |= {"configuration": dumps(params), "metrics": metrics, "finished": finished}
        written.append(row)
        if cell % 3 == 0:
            later.append({**row, "attempt": 1, "metrics": json.dumps({"value": value(params) / 2})})
    with tree._context.store.engine.begin() as connection:
        connection.execute(t.trial.insert(), [*written, *later])
    return round_


def everything(tree):
    return {
        name: sorted(repr(sorted(r.items())) for r in rows)
        for part in rows.parts_of(tree._context.store, tree._context.tree)
        for name, rows in part.rows.items()
    }


@pytest.mark.parametrize("size", [7, 900])
def test_blocks_of_any_size_bring_the_same(tmp_path, monkeypatch, size):
    monkeypatch.setattr(rows, "BLOCK", size)
    with refine.Tree("q", tmp_path / "a.db") as first, refine.Tree("q", tmp_path / "b.db") as second:
        fill(first, range(20, 40))
        fill(second, range(60))
        second.export(tmp_path / "out", reports=False)
        for store in (tmp_path / "l.db", first._url):
            with refine.Tree.load(tmp_path / "out", store) as loaded:
                assert everything(loaded)["trial"] == everything(second)["trial"]


@pytest.mark.nightly
def test_a_folder_that_is_bad_at_its_end_changes_nothing(tmp_path):
    with refine.Tree("q", tmp_path / "a.db") as tree, refine.Tree("q", tmp_path / "b.db") as other:
        fill(tree, range(1_000))
        tree.export(tmp_path / "out", reports=False)
        path = next((tmp_path / "out").glob("*/trial.jsonl"))
        *sound, last = path.read_text().splitlines()
        path.write_text("\n".join([*sound, json.dumps({**json.loads(last), "key": "0" * 16})]) + "\n")
        fill(other, range(3))
        before = everything(other)
        with pytest.raises(refine.errors.StoreError, match=r"line \d{4}:"):
            refine.Tree.load(tmp_path / "out", other._url)
        assert everything(other) == before
    with pytest.raises(refine.errors.StoreError, match="the key is not that"):
        refine.Tree.load(tmp_path / "out", tmp_path / "l.db")
    assert not (tmp_path / "l.db").exists()


class Seen(dict):
    """A row that says how many of them are held."""

    alive = peak = 0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Seen.alive += 1
        Seen.peak = max(Seen.peak, Seen.alive)

    def __del__(self):
        Seen.alive -= 1

    def __reduce__(self):
        return Seen, (dict(self),)


def test_no_more_than_a_block_of_rows_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 50)
    Seen.alive = Seen.peak = 0
    with refine.Tree("q", tmp_path / "a.db") as tree, refine.Tree("q", tmp_path / "b.db") as other:
        fill(tree, range(600))
        (part,) = rows.parts_of(tree._context.store, tree._context.tree)
        trials = rows.ReiterableQuery(lambda: (Seen(row) for row in part.rows["trial"]))
        with kept([part._replace(rows={**part.rows, "trial": trials})]) as parts:
            store = other._context.store
            row = other._context.tree
            load_rounds(store, row, parts)
            load_rounds(store, row, parts, "q")
        assert everything(other) == everything(tree)
    assert 50 <= Seen.peak <= 151
