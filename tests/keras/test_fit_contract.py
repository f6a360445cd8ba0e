"""`refine.keras.fit` means what `Model.fit` means: same losses, metrics and weights, up to rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from keras import layers

import refine.keras
from nightly import few
from refine.keras import fmeasure

if TYPE_CHECKING:
    from collections.abc import Callable

# Which way a model is trained is in the contract of models; here all ways count.
pytestmark = pytest.mark.filterwarnings("ignore:refine.keras.fit. running Keras' own step")


def dense(*hidden: Any, out: int = 1, last: str | None = "sigmoid", **compiled: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input((30,)),
            layers.Dense(6, activation="relu"),
            *hidden,
            layers.Dense(out, activation=last),
        ]
    )
    options = {"loss": "binary_crossentropy", "optimizer": "adam", "metrics": ["acc"]} | compiled
    model.compile(jit_compile=False, **options)
    return model


def largest(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.max(y_pred)


def wide_and_deep() -> keras.Model:
    first, second = keras.Input((10,), name="first"), keras.Input((20,), name="second")
    deep = layers.Dense(5, activation="tanh")(first)
    both = layers.Concatenate()([deep, second])
    outputs = {
        "label": layers.Dense(1, activation="sigmoid", name="label")(both),
        "size": layers.Dense(1, name="size")(both),
    }
    model = keras.Model([first, second], outputs)
    model.compile(
        "adam",
        {"label": "binary_crossentropy", "size": "mse"},
        loss_weights={"label": 1.0, "size": 0.3},
        metrics={"label": ["acc"], "size": ["mae"]},
        jit_compile=False,
    )
    return model


def image(head: str) -> keras.Model:
    if head == "conv":
        inner = [
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
        ]
    else:
        inner = [layers.Reshape((8, 8)), layers.LSTM(5)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *inner, layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


class Halved(keras.Model):
    """A custom step that halves the loss and logs something that no metric holds."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(1, activation="sigmoid")

    def call(self, x: Any) -> Any:
        return self.dense(x)

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True)) / 2
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"half": loss, "rows": tf.shape(x)[0]}


def halved() -> Halved:
    model = Halved()
    model.compile("sgd", "binary_crossentropy", jit_compile=False)
    return model


def compare(
    build: Callable[[], keras.Model],
    *data: Any,
    atol: float = 1e-5,
    epochs: int = 3,
    **options: Any,
) -> keras.Model:
    """Trains two equal models both ways and compares histories and weights."""
    keras.utils.set_random_seed(3)
    theirs = build()
    keras.utils.clear_session(free_memory=False)  # or Keras numbers the second model's names on
    keras.utils.set_random_seed(3)
    ours = build()
    options = {"shuffle": False, "verbose": 0, "epochs": epochs} | options
    keras.utils.set_random_seed(4)
    expected = theirs.fit(*data, **options)
    keras.utils.set_random_seed(4)
    found = refine.keras.fit(ours, *data, **options)
    assert list(found.history) == list(expected.history)
    assert found.epoch == expected.epoch
    assert found.params == expected.params
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, atol=atol, rtol=1e-5, err_msg=name)
        assert all(type(v) is float for v in found.history[name])
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=20 * atol, rtol=1e-4)
    return ours


SIMPLE: dict[str, Callable[[], Any]] = {
    "document": lambda: dense(layers.Dense(4), metrics=["acc", fmeasure]),
    "logcosh, nadam": lambda: dense(loss=keras.losses.log_cosh, optimizer="nadam"),
    "mse, rmsprop, mae": lambda: dense(last=None, loss="mse", optimizer="rmsprop", metrics=["mae"]),
    "sgd momentum, auc": lambda: dense(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9), metrics=[keras.metrics.AUC()]
    ),
    "adamw, clipping, ema": lambda: dense(optimizer=keras.optimizers.AdamW(0.01, clipnorm=0.5, use_ema=True)),
    "accumulation": lambda: dense(optimizer=keras.optimizers.Adam(gradient_accumulation_steps=2)),
    "schedule": lambda: dense(
        optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5))
    ),
    "lion, hinge, l2": lambda: dense(
        layers.Dense(4, kernel_regularizer="l2"), loss="hinge", optimizer="lion"
    ),
    "batchnorm": lambda: dense(layers.BatchNormalization(), layers.Activation("relu")),
    "activity regulariser": lambda: dense(layers.Dense(4, activity_regularizer="l2")),
    "sum of losses": lambda: dense(loss=keras.losses.BinaryCrossentropy(reduction="sum")),
    "own loss and metric": lambda: dense(
        loss=lambda y, p: keras.ops.mean(keras.ops.square(y - p)),
        metrics=[largest],
    ),
    "custom step": halved,
}


@pytest.mark.parametrize("name", few(SIMPLE))
def test_simple_models(name: str, cancer: Any) -> None:
    x, y, *validation = cancer
    y, validation[1] = y[:, None], validation[1][:, None]
    compare(SIMPLE[name], x, y, validation_data=tuple(validation), batch_size=25)


def test_default_compile_uses_xla_and_agrees(cancer: Any) -> None:
    def build() -> Any:
        model = keras.Sequential([keras.Input((30,)), layers.Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["acc"])
        return model

    compare(build, cancer.x, cancer.y, validation_data=(cancer.x_val, cancer.y_val))


@pytest.mark.parametrize("head", ["conv", "lstm"])
def test_images(head: str, digits: Any) -> None:
    validation = (digits.x_val, digits.y_val)
    compare(lambda: image(head), digits.x, digits.y, validation_data=validation, epochs=2)


def test_several_inputs_and_outputs_with_weights(cancer: Any) -> None:
    x = [cancer.x[:, :10], cancer.x[:, 10:]]
    y = {"label": cancer.y, "size": cancer.x[:, 0]}
    val_x = {"first": cancer.x_val[:, :10], "second": cancer.x_val[:, 10:]}
    val_y = {"label": cancer.y_val, "size": cancer.x_val[:, 0]}
    weights = {"label": np.linspace(0.5, 2, 120), "size": np.ones(120)}
    compare(wide_and_deep, x, y, sample_weight=weights, validation_data=(list(val_x.values()), val_y))


@pytest.mark.parametrize(
    "options",
    [
        {"sample_weight": np.linspace(0, 2, 120)},
        {"class_weight": {0: 3.0, 1: 0.5}},
        {"class_weight": {0: 3.0}, "validation_split": 0.25},
        {"validation_split": 0.3, "validation_freq": 2, "epochs": 4},
        {"validation_split": 0.3, "validation_freq": [2], "initial_epoch": 1},
        {"batch_size": 500},
        {"batch_size": 40, "validation_split": 0.1, "validation_batch_size": 7},
    ],
    ids=lambda options: ", ".join(options),
)
def test_options(options: dict[str, Any], cancer: Any) -> None:
    compare(lambda: dense(weighted_metrics=["acc"]), cancer.x, cancer.y, **options)


def test_validation_weights_and_other_types(cancer: Any) -> None:
    import pandas as pd
    import tensorflow as tf

    weights = np.linspace(0, 1, 71).astype("float32")
    validation = (tf.constant(cancer.x_val), tf.constant(cancer.y_val), weights)
    x, y = pd.DataFrame(cancer.x.astype("float64")), pd.Series(cancer.y.astype(int))
    compare(lambda: dense(weighted_metrics=["mae"]), x, y, validation_data=validation)


def test_one_hot_class_weight(digits: Any) -> None:
    def build() -> Any:
        model = keras.Sequential(
            [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, activation="softmax")]
        )
        model.compile("adam", "categorical_crossentropy", metrics=["acc"], jit_compile=False)
        return model

    y = keras.utils.to_categorical(digits.y, 10)
    compare(build, digits.x, y, class_weight={1: 5.0, 2: 0.1})


def test_unbuilt_model_and_second_fit_continue_alike(cancer: Any) -> None:
    def build() -> Any:
        model = keras.Sequential([layers.Dense(3), layers.Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy", jit_compile=False)
        return model

    model = compare(build, cancer.x, cancer.y)
    before = model.evaluate(cancer.x, cancer.y, verbose=0)
    after = refine.keras.fit(model, cancer.x, cancer.y, epochs=2).history["loss"]
    assert after[-1] < before
    assert int(model.optimizer.iterations) == 5 * 4


def test_autoencoder_without_targets(cancer: Any) -> None:
    class Auto(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Dense(30)

        def call(self, x: Any) -> Any:
            out = self.inner(x)
            self.add_loss(keras.ops.mean((out - x) ** 2))
            return out

    def build() -> Any:
        model = Auto()
        model.compile("adam", jit_compile=False)
        return model

    compare(build, cancer.x)
