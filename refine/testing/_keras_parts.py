"""What the models of the contract are made of: data, networks, and layers, losses, metrics and callbacks of one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import keras
import numpy as np
from keras import layers, losses, metrics, ops

from refine.testing.keras_fit import Examples

ROWS, VALIDATION = 70, 41


# Data


@cache
def table(targets: str = "binary", rows: int = ROWS) -> Examples:
    """Five columns; targets ``binary``, ``classes``, ``one_hot``, ``positive``, ``signs`` or ``real``."""
    draw = np.random.RandomState(0)
    x = draw.normal(size=(rows + VALIDATION, 5)).astype("float32")
    linear = x[:, :1] - 0.5 * x[:, 1:2] + 0.3 * draw.normal(size=(len(x), 1)).astype("float32")
    classes = np.digitize(linear[:, 0], (-0.5, 0.5))
    y = {
        "binary": (linear > 0).astype("float32"),
        "classes": classes,
        "one_hot": np.eye(3, dtype="float32")[classes],
        "positive": np.exp(linear),
        "signs": np.sign(np.round(linear)),
        "real": linear,
    }[targets]
    return Examples(x[:rows], y[:rows], x[rows:], y[rows:])


def shaped(*shape: int, rows: int = ROWS) -> Examples:
    """Random inputs of a shape with binary targets."""
    draw = np.random.RandomState(0)
    x = draw.normal(size=(rows + VALIDATION, *shape)).astype("float32")
    y = (x.reshape(len(x), -1)[:, :3].sum(1, keepdims=True) > 0).astype("float32")
    return Examples(x[:rows], y[:rows], x[rows:], y[rows:])


series = partial(shaped, 6, 3)


def padded() -> Examples:
    """Series whose last steps are zeros, more or fewer."""
    x, y, x_val, y_val = series()
    for part in (x, x_val):
        for i, row in enumerate(part):
            row[6 - i % 5 :] = 0
    return Examples(x, y, x_val, y_val)


def tokens(steps: bool = False) -> Examples:
    """Rows of seven tokens of which 0 is padding; one target per row or per step."""
    x = np.random.RandomState(0).randint(0, 6, (ROWS + VALIDATION, 7))
    y = (x[:, :, None] % 2 if steps else x.sum(1, keepdims=True) % 2).astype("float32")
    return Examples(x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:])


def changed(name: str) -> Examples:
    """The table in another structure, for training and validation."""
    x, y, x_val, y_val = table()
    return Examples(*CHANGES[name](x, y), *CHANGES[name](x_val, y_val))


# Models


def compiled(
    model: keras.Model, loss: Any = "binary_crossentropy", optimizer: Any = "adam", **options: Any
) -> keras.Model:
    """Compiles without XLA; accuracy is the default metric."""
    given = {"metrics": ["acc"], "jit_compile": False} | options
    model.compile(optimizer() if callable(optimizer) else optimizer, loss, **given)
    return model


def network(*middle: Callable[[], Any], out: int = 1, last: Any = "sigmoid", **options: Any) -> keras.Model:
    """A dense network of the table's inputs with further layers in the middle.

    What has state is made anew for each model: layers and the loss are given as functions that make them, metrics
    as a `functools.partial`.
    """
    inner = [layers.Dense(6, activation="relu"), *(make() for make in middle)]
    model = keras.Sequential([keras.Input((5,)), *inner, layers.Dense(out, activation=last)])
    given = {
        name: value() if callable(value) and name == "loss" else value for name, value in options.items()
    }
    if "metrics" in given:
        given["metrics"] = [make() if isinstance(make, partial) else make for make in given["metrics"]]
    return compiled(model, **given)


def stack(
    shape: tuple[int, ...], *inner: Callable[[], Any], last: bool = True, **options: Any
) -> keras.Model:
    """Layers for other inputs than the table, with a dense output."""
    middle = [make() for make in inner]
    end = [layers.Flatten(), layers.Dense(1, activation="sigmoid")] if last else []
    return compiled(keras.Sequential([keras.Input(shape), *middle, *end]), **options)


def per_step(*inner: Callable[[], Any], shape: tuple[int, ...] = (7,), **options: Any) -> keras.Model:
    """One prediction per step."""
    end = partial(layers.Dense, 1, activation="sigmoid")
    return stack(shape, *inner, end, last=False, **options)


def functional(inner: Callable[[Any], Any], **options: Any) -> keras.Model:
    """A functional model of the table's inputs."""
    x = keras.Input((5,))
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(inner(x))), **options)


def shared(x: Any) -> Any:
    """One layer, twice."""
    layer = layers.Dense(5, activation="tanh")
    return layer(layer(x))


def nested(x: Any) -> Any:
    """A model as a layer."""
    hidden = layers.Dense(4, activation="relu")
    return keras.Sequential([keras.Input((5,)), hidden, layers.BatchNormalization()])(x)


def across(x: Any) -> Any:
    """Subtracts the batch's mean by an operation that is no layer."""
    h = layers.Dense(4)(x)
    return h - ops.mean(h, axis=0, keepdims=True)


INNER: dict[str, Callable[[Any], Any]] = {
    "residual": lambda x: layers.Add()([x, layers.Dense(5, activation="relu")(x)]),
    "residual, by +": lambda x: x + layers.Dense(5, activation="relu")(x),
    "shared layer": shared,
    "nested": nested,
    "branches": lambda x: layers.Concatenate()([layers.Dense(3)(x), layers.Dense(2, activation="relu")(x)]),
    "gated": lambda x: layers.Multiply()([layers.Dense(5, activation="sigmoid")(x), x]),
}
"""What functional models have between input and output."""


def attending(kind: Any) -> keras.Model:
    """Attention of a kind, with a residual and a norm."""
    x = keras.Input((6, 3))
    h = layers.Dense(4)(x)
    options = {"num_heads": 2, "key_dim": 2} if kind is layers.MultiHeadAttention else {}
    a = kind(**options)(h, h) if options else kind()([h, h])
    h = layers.LayerNormalization()(layers.Add()([a, h]))
    h = layers.GlobalAveragePooling1D()(h)
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(h)))


def two_inputs(named: bool = False) -> keras.Model:
    """Two inputs, as a list or by name."""
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    h = layers.Concatenate()([layers.Dense(3, activation="tanh")(a), b])
    inputs = {"a": a, "b": b} if named else [a, b]
    return compiled(keras.Model(inputs, layers.Dense(1, activation="sigmoid")(h)))


def two_outputs(named: bool = True) -> keras.Model:
    """A classification and a regression, weighted."""
    x = keras.Input((5,))
    h = layers.Dense(4, activation="relu")(x)
    first, second = layers.Dense(1, activation="sigmoid", name="a")(h), layers.Dense(1, name="b")(h)
    losses, weights, metrics = ["binary_crossentropy", "mse"], [1.0, 0.3], [["acc"], ["mae"]]
    if not named:
        return compiled(keras.Model(x, [first, second]), losses, metrics=metrics)
    of_each = [dict(zip("ab", given, strict=True)) for given in (losses, weights, metrics)]
    model = keras.Model(x, {"a": first, "b": second})
    return compiled(model, of_each[0], loss_weights=of_each[1], metrics=of_each[2])


CHANGES: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "inputs in two": lambda x, y: ((x[:, :2], x[:, 2:]), y),
    "inputs by name": lambda x, y: ({"a": x[:, :2], "b": x[:, 2:]}, y),
    "targets by name": lambda x, y: (x, {"a": y, "b": x[:, :1]}),
    "targets in two": lambda x, y: (x, (y, x[:, :1])),
    "no targets": lambda x, _: (x, None),
}
"""The table's inputs and targets in other structures."""


def frozen() -> keras.Model:
    """A model with a layer that isn't trained."""
    model = network()
    model.layers[0].trainable = False
    return compiled(model)


def unbuilt() -> keras.Model:
    """A model that learns of its inputs from the data."""
    inner = [layers.Dense(4, activation="relu"), layers.Dense(1, activation="sigmoid")]
    return compiled(keras.Sequential(inner))


def of_policy(policy: str) -> keras.Model:
    """Computes in another precision than it keeps weights in."""
    keras.config.set_dtype_policy(policy)
    return network(lambda: layers.Dense(4, activation="relu"))


class Penalised(layers.Layer):  # type: ignore[misc]
    """A layer with a loss of its own."""

    def call(self, x: Any) -> Any:
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


class Scaled(layers.Layer):  # type: ignore[misc]
    """A layer with a weight, by a name that Keras has too."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        return x * self.scale


class Counting(layers.Layer):  # type: ignore[misc]
    """A layer that counts its calls, also those of validation."""

    def build(self, shape: Any) -> None:  # noqa: ARG002
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        return x + 0.01 * self.calls


class Averaged(layers.Layer):  # type: ignore[misc]
    """A layer that subtracts the batch's mean."""

    def call(self, x: Any) -> Any:
        return x - ops.mean(x, axis=0, keepdims=True)


class Subclassed(keras.Model):  # type: ignore[misc]
    """A model with its own `call`."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(4, activation="relu")
        self.end = layers.Dense(1, activation="sigmoid")

    def call(self, x: Any) -> Any:
        return self.end(self.hidden(x))


class Autoencoder(Subclassed):
    """Without targets."""

    def call(self, x: Any) -> Any:
        self.add_loss(ops.mean(ops.square(super().call(x) - x)))
        return x


class Nested(keras.Model):  # type: ignore[misc]
    """A step that returns the results of all metrics, those of ``compile`` in a dict of their own."""

    def train_step(self, data: Any) -> dict[str, Any]:
        super().train_step(data)
        return {metric.name: metric.result() for metric in self.metrics}


class Logged(keras.Model):  # type: ignore[misc]
    """A step that returns what no metric holds."""

    def train_step(self, data: Any) -> dict[str, Any]:
        logs = super().train_step(data)
        return {**logs, "largest": ops.max(data[0])}


def derived(cls: Any) -> keras.Model:
    """A functional model of a class of one's own."""
    x = keras.Input((5,))
    return compiled(cls(x, layers.Dense(1, activation="sigmoid")(layers.Dense(4)(x))))


# Losses and metrics


def own_loss(y: Any, p: Any) -> Any:
    """A mean over rows that nobody knows to be one."""
    return ops.mean(ops.square(y - p), axis=-1)


class OwnLoss(losses.Loss):  # type: ignore[misc]
    """A loss relative to the largest target of the batch."""

    def call(self, y: Any, p: Any) -> Any:
        return ops.mean(ops.abs(y - p), axis=-1) / (1 + ops.max(y))


def batch_f1(y: Any, p: Any) -> Any:
    """The F1 score of a batch, as Talos has it."""
    hits = ops.sum(y * ops.round(p))
    return 2 * hits / (ops.sum(y) + ops.sum(ops.round(p)) + 1e-7)


def named_as_known(y: Any, p: Any) -> Any:
    """A mean of a batch under a name that Keras knows."""
    return ops.max(ops.abs(y - p))


named_as_known.__name__ = "mean_absolute_error"


class Largest(metrics.Metric):  # type: ignore[misc]
    """The largest mean of a batch; built when the first batch comes."""

    def __init__(self) -> None:
        super().__init__(name="largest")
        self.largest: Any = None

    def update_state(self, y: Any, p: Any, sample_weight: Any = None) -> None:  # noqa: ARG002
        if self.largest is None:
            self.largest = self.add_variable((), "zeros", name="largest")
        self.largest.assign(ops.maximum(self.largest, ops.mean(y * p)))

    def result(self) -> Any:
        return ops.zeros(()) if self.largest is None else ops.convert_to_tensor(self.largest)

    def reset_state(self) -> None:
        if self.largest is not None:
            self.largest.assign(0.0)


# Callbacks


class StopsAtBegin(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends training as an epoch begins; Keras still trains its first batch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.model.stop_training = epoch == self.epoch


class Halves(keras.callbacks.Callback):  # type: ignore[misc]
    """Changes weights between epochs."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])


class OnBatches(keras.callbacks.Callback):  # type: ignore[misc]
    """Acts on batches."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.model.optimizer.learning_rate = 0.9 * self.model.optimizer.learning_rate


def called(*make: Callable[[], Any], **options: Any) -> Callable[[], dict[str, Any]]:
    """Options with callbacks that are made for each training."""
    return lambda: {"callbacks": [each() for each in make], **options}


def given(**options: Any) -> Callable[[], dict[str, Any]]:
    """Options."""
    return lambda: options
