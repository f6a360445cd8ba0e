"""Scores by validation row are small in a store, and travel with their trials."""

import numpy as np
import pytest
import sqlalchemy as sa

import refine
from refine.store.row_scores import pack, unpack
from refine.store.schema import t
from refine.store.validity import unpacked
from refine.trials.trial import MOST_ROWS, RowScores

SPACE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}


def right(params):
    """Rows that are predicted right; more of them near x = 0.3."""
    ease = np.random.default_rng(0).random(300)
    return {"acc": ease < 0.9 - (params["x"] - 0.3) ** 2, "loss": ease * (1 + params["y"])}


def restored(scores):
    row_scores = RowScores.of(np.asarray(scores, dtype=float))
    return unpack(unpacked(pack(row_scores)), row_scores.total)


def test_right_and_wrong_take_a_bit_a_row():
    scores = np.random.default_rng(0).random(10_000) < 0.8
    assert len(pack(RowScores.of(scores.astype(float)))) < 1300
    assert np.array_equal(restored(scores), scores)


def test_losses_take_two_bytes_a_row():
    losses = np.random.default_rng(0).exponential(size=10_000)
    assert len(pack(RowScores.of(losses))) < 20_100
    assert restored(losses) == pytest.approx(losses, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_numbers_beyond_half_precision_keep_their_digits(scale):
    losses = scale * np.random.default_rng(0).random(200)
    assert restored(losses) == pytest.approx(losses, rel=1e-6)


def test_small_differences_on_a_large_offset_are_kept():
    scores = 1000 + 0.01 * np.random.default_rng(0).random(200)
    assert restored(scores) == pytest.approx(scores, abs=1e-4)


def test_a_sample_of_many_rows_is_evenly_spaced():
    scores = np.arange(25_000.0)
    sample = RowScores.of(scores)
    assert (len(sample.scores), sample.total) == (MOST_ROWS, 25_000)
    assert sample.scores.mean() == pytest.approx(scores.mean())


@pytest.mark.parametrize("raw", [b"", b"12345", b"\xff" * 40])
def test_bytes_of_another_number_of_rows_are_refused(raw):
    with pytest.raises(ValueError, match="scores by row"):
        unpack(raw, 10)


@pytest.fixture
def tree(tmp_path):
    with refine.Tree("rows", store=tmp_path / "refine.db") as opened:
        opened.add_round(SPACE, right, n=12, metric="acc").run()
        yield opened


def by_row(tree, metric="acc"):
    store = tree._context.store
    keys = store.records([1]).columns["key"]
    return {key: r.scores.tolist() for key, r in store.row_scores(1, keys, metric).items()}


def test_the_metric_is_the_mean_of_the_stored_scores(tree):
    frame = tree.rounds[0].trials
    means = [np.mean(scores) for scores in by_row(tree).values()]
    assert frame["acc"].to_numpy() == pytest.approx(means)
    assert not [name for name in frame.columns if "@" in name]
    assert tree._context.store.row_totals(1) == {"acc": 300, "loss": 300}


@pytest.mark.slow
def test_an_exported_folder_holds_the_scores(tree, tmp_path):
    folder = tree.export(tmp_path / "folder")
    with refine.Tree.load(folder, store=tmp_path / "loaded.db") as loaded:
        assert by_row(loaded) == by_row(tree)
        assert by_row(loaded, "loss") == by_row(tree, "loss")


def test_damaged_scores_are_left_out(tree):
    store = tree._context.store
    with store.engine.begin() as connection:
        connection.execute(sa.update(t.row_score).where(t.row_score.c.trial == 1).values(data=b"damaged"))
    assert len(by_row(tree)) == 11
