"""Rows that no round sees, and predictions that are kept."""

import tracemalloc

import keras
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import refine
import refine.keras
from refine.keras import KerasObjective

X = np.random.RandomState(0).normal(size=(200, 3)).astype("float32")
Y = (X[:, 0] + 0.5 * np.random.RandomState(1).normal(size=200) > 0.8).astype(int)
SEEN = []


def small(x_train, y_train, x_val, y_val, params):
    SEEN.append((x_train, x_val))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(params["lr"]), "binary_crossentropy", metrics=["acc"])
    return refine.keras.fit(model, x_train, y_train, validation_data=[x_val, y_val], epochs=3), model


def test_the_hold_out_is_taken_off_before_anything_else():
    objective = KerasObjective(small, X, Y, holdout=0.2, val_split=0.25, preprocess=StandardScaler())
    x_train, y_train, x_val, y_val = objective._data
    x_sealed, y_sealed = objective._sealed
    assert [len(part) for part in (x_train, x_val, x_sealed)] == [120, 40, 40]
    for part in (y_train, y_val, y_sealed):
        assert part.mean() == pytest.approx(Y.mean(), abs=0.02)  # in proportion
    assert np.abs(x_train.mean(axis=0)).max() < 1e-5  # fitted on what is trained on
    assert np.abs(x_sealed.mean(axis=0)).max() > 1e-3
    assert not x_sealed.flags.writeable
    plain = KerasObjective(small, X, Y, holdout=0.2, val_split=0.25)
    rows = np.concatenate([plain._data[0], plain._data[2], plain._sealed[0]])
    assert {tuple(r) for r in rows} == {tuple(r) for r in X}
    for seed, equal in ({"split_seed": 1}, True), ({"splits": 2}, True), ({"holdout_seed": 1}, False):
        other = KerasObjective(small, X, Y, holdout=0.2, **seed)._sealed[0]
        assert np.array_equal(plain._sealed[0], other) == equal  # another split seals the same rows
    with_validation = KerasObjective(small, X[:150], Y[:150], x_val=X[150:], y_val=Y[150:], holdout=0.2)
    assert [
        len(p) for p in (with_validation._data[0], with_validation._data[2], with_validation._sealed[0])
    ] == [120, 50, 30]


@pytest.mark.parametrize("options", [{}, {"holdout": 0.2}])
def test_the_callers_arrays_are_neither_frozen_nor_shared(options):
    x = X[:150].copy()
    y = Y[:150].copy()
    x_val = X[150:].copy()
    y_val = Y[150:].copy()
    objective = KerasObjective(small, x, y, x_val=x_val, y_val=y_val, **options)
    for part in (x, y, x_val, y_val):
        assert part.flags.writeable
        assert not any(np.shares_memory(part, array) for array in objective._data)
    drawn = KerasObjective(small, x, y, **options)
    assert x.flags.writeable
    assert y.flags.writeable
    assert not any(np.shares_memory(x, array) or np.shares_memory(y, array) for array in drawn._data)


def test_an_objective_holds_its_rows_once():
    x = np.random.default_rng(0).standard_normal((50_000, 20), dtype="float32")
    tracemalloc.start()
    objective = KerasObjective(small, x, x[:, 0], holdout=0.2)
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert objective.holdout is not None
    assert 0.9 * x.nbytes < memory < 1.3 * x.nbytes  # sealed rows, and those to train and to validate on


def test_a_round_and_its_hold_out(tree):
    objective = KerasObjective(small, X, Y, holdout=0.2)
    space = refine.Space({"lr": refine.Float(0.001, 0.1, levels=6, log=True)})
    SEEN.clear()
    round_ = tree.add_round(space, objective, metric="val_acc", n=4).run()
    opening = tree.open_holdout(at=round_, top=2, seeds=1)
    assert opening.table["runs"].tolist() == [1, 1]
    hits = opening.runs["value"] * 40  # shares of the 40 sealed rows
    assert np.allclose(hits, np.round(hits), atol=1e-4)
    sealed = {tuple(r) for r in objective._sealed[0]}
    assert all(sealed.isdisjoint(map(tuple, part)) for parts in SEEN for part in parts)
    optimism = round_.optimism()
    assert optimism.examples.examples == 48
    assert optimism.examples.best == pytest.approx(optimism.best, abs=1e-6)


def test_several_splits_are_averaged(tree):
    groups = np.arange(200) // 2
    objective = KerasObjective(small, X, Y, splits=3, holdout=0.2, preprocess=StandardScaler())
    assert KerasObjective(small, X, Y, splits=3, holdout=0.2, groups=groups).stops is False
    single = KerasObjective(small, X, Y, holdout=0.2, preprocess=StandardScaler())
    assert objective.fingerprint != single.fingerprint
    assert all(np.array_equal(a, b) for a, b in zip(objective._data, single._data, strict=True))
    assert len({data[2].tobytes() for data in map(objective._of_split, range(3))}) == 3
    round_ = tree.add_round({"lr": [0.001, 0.1]}, objective, metric="val_acc", n=2).run()
    by_split = round_.trials[["val_acc@1", "val_acc@2", "val_acc@3"]]
    assert np.allclose(round_.trials["value"], by_split.mean(axis=1))
    assert "acc@1" not in round_.trials
    assert tree.open_holdout(at=round_, seeds=1).table["runs"].tolist() == [1]
