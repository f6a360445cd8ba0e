"""Datasets instead of arrays."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import refine
from refine.errors import ObjectiveError
from refine.keras import KerasObjective, PruningCallback, fit

X = np.random.RandomState(0).normal(size=(50, 3)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")


def network(x_train, y_train, x_val, y_val, params):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["acc"])
    return fit(model, x_train, y_train, validation_data=(x_val, y_val), epochs=1), model


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, i):
        return X[10 * i : 10 * i + 10], Y[10 * i : 10 * i + 10]


slices = tf.data.Dataset.from_tensor_slices


def rows():
    return slices((X, Y))


@pytest.mark.parametrize(
    "source",
    [
        lambda: rows().batch(8),
        lambda: rows().batch(10, drop_remainder=True).prefetch(1),
        Batches,
    ],
)
def test_a_dataset_is_its_arrays(source):
    plain = KerasObjective(network, X, Y, holdout=0.2)
    objective = KerasObjective(network, source(), holdout=0.2)
    assert objective.fingerprint == plain.fingerprint
    for part, expected in zip(
        (*objective._data, *objective._sealed), (*plain._data, *plain._sealed), strict=True
    ):
        assert np.array_equal(part, expected)


def test_validation_may_be_a_dataset():
    objective = KerasObjective(network, rows().batch(8), x_val=Batches())
    assert objective.fingerprint == KerasObjective(network, X, Y, x_val=X, y_val=Y).fingerprint


def test_images_on_disk_are_read_in_a_fixed_order_alone(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(4):
            pixels = np.full((6, 6, 1), 40 * i + 100 * (label == "dog"))
            keras.utils.save_img(tmp_path / label / f"{i}.png", pixels, scale=False)
    options = {"image_size": (6, 6), "color_mode": "grayscale", "batch_size": 3}
    objective = KerasObjective(
        network,
        keras.utils.image_dataset_from_directory(tmp_path, shuffle=False, verbose=False, **options),
        val_split=0.5,
    )
    assert [part.shape for part in objective._data] == [(4, 6, 6, 1), (4,), (4, 6, 6, 1), (4,)]
    assert np.bincount(objective._data[3]).tolist() == [2, 2]
    shuffled = keras.utils.image_dataset_from_directory(
        tmp_path, shuffle=True, seed=1, verbose=False, **options
    )
    with pytest.raises(ObjectiveError, match="same order"):
        KerasObjective(network, shuffled)


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (rows().repeat(), None, "x: must be a dataset that ends, got a _RepeatDataset without end"),
        (
            rows().filter(lambda x, y: y > 0),
            None,
            "must be a dataset that ends, got a _FilterDataset of unknown",
        ),
        (
            (row for row in zip(X, Y, strict=True)),
            None,
            "got a generator, which can be read once; read its",
        ),
        (rows(), Y, "y: can't be combined with a _TensorSliceDataset, which includes targets"),
        (slices(X).batch(8), None, "a dataset must give pairs (inputs, targets), got inputs alone"),
        (slices((X, Y, Y)).batch(8), None, "must give pairs (inputs, targets), got 3 parts"),
        (
            rows(),
            None,
            "x: must be a dataset of batches, got a _TensorSliceDataset of single rows; call batch(32)",
        ),
        (rows().batch(8).take(0), None, "x: needs at least one row, got an empty"),
    ],
)
def test_a_dataset_that_cannot_be_read_is_refused_with_a_way_out(x, y, text):
    with pytest.raises(ObjectiveError, match=re.escape(text)):
        KerasObjective(network, x, y)


def read(rows, y):
    return slices((rows, y)).map(lambda i, target: (tf.gather(X, i), target)).batch(16)


def from_disk(rows, y, rows_val, y_val, params):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(params["lr"]), "binary_crossentropy", metrics=["acc"])
    options = {"validation_data": read(rows_val, y_val), "epochs": params["epochs"], "shuffle": False}
    return model.fit(read(rows, y), verbose=0, callbacks=[PruningCallback()], **options), model


@pytest.mark.nightly
def test_row_numbers_stand_for_data_on_disk(tree):
    objective = KerasObjective(from_disk, np.arange(50), Y, groups=np.arange(50) // 2)
    space = {"lr": refine.Float(0.0001, 0.1, levels=8, log=True), "epochs": 4}
    pruner = refine.Pruner(keep=0.5, warmup=1, min_trials=3)
    round_ = tree.add_round(
        space, objective, metric="val_loss", direction="minimize", n=6, plan=refine.Plan(pruner=pruner)
    ).run()
    assert set(round_.trials["state"]) == {"complete", "pruned"}
    model = round_.best_model()
    _, _, rows_val, y_val = objective._data
    loss, _ = model.evaluate(read(rows_val, y_val), verbose=0)
    assert loss == pytest.approx(round_.trials["value"].min(), rel=1e-5)
