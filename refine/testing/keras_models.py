"""Some 150 models that `refine.keras.fit` trains as ``model.fit`` does.

    python -m refine.testing.keras_models            # all of them, some minutes
    python -m refine.testing.keras_models --short    # the shortened form
    python -m refine.testing.keras_models lstm mask  # those with such a word in their name

Prints how each was trained and how far the results are apart; ends with an error if a model differs or was trained in
another way than its case says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import keras
import numpy as np
from keras import layers, losses, metrics, ops, optimizers
from keras.optimizers import schedules

from refine.keras import balanced_accuracy, fmeasure, matthews
from refine.testing.keras_fit import Examples, ModelCase, Way, compare_fits

_ROWS, _VALIDATION = 70, 41


# Data


@cache
def table(targets: str = "binary", rows: int = _ROWS) -> Examples:
    """Five columns; targets ``binary``, ``classes``, ``one_hot``, ``positive``, ``signs`` or ``real``."""
    draw = np.random.RandomState(0)
    x = draw.normal(size=(rows + _VALIDATION, 5)).astype("float32")
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


def _shaped(shape: tuple[int, ...]) -> Examples:
    """Random inputs of a shape with binary targets."""
    draw = np.random.RandomState(0)
    x = draw.normal(size=(_ROWS + _VALIDATION, *shape)).astype("float32")
    y = (x.reshape(len(x), -1)[:, :3].sum(1, keepdims=True) > 0).astype("float32")
    return Examples(x[:_ROWS], y[:_ROWS], x[_ROWS:], y[_ROWS:])


images = partial(_shaped, (8, 8, 2))
volumes = partial(_shaped, (4, 4, 4, 1))
series = partial(_shaped, (6, 3))


def padded() -> Examples:
    """Series whose last steps are zeros, more or fewer."""
    x, y, x_val, y_val = series()
    for part in (x, x_val):
        for i, row in enumerate(part):
            row[6 - i % 5 :] = 0
    return Examples(x, y, x_val, y_val)


def tokens(steps: bool = False) -> Examples:
    """Rows of seven tokens of which 0 is padding; one target per row or per step."""
    x = np.random.RandomState(0).randint(0, 6, (_ROWS + _VALIDATION, 7))
    y = (x[:, :, None] % 2 if steps else x.sum(1, keepdims=True) % 2).astype("float32")
    return Examples(x[:_ROWS], y[:_ROWS], x[_ROWS:], y[_ROWS:])


def _each(change: Callable[[Any, Any], tuple[Any, Any]]) -> Examples:
    """The table with inputs and targets changed, for training and validation."""
    x, y, x_val, y_val = table()
    return Examples(*change(x, y), *change(x_val, y_val))


# Models


def compiled(
    model: keras.Model, loss: Any = "binary_crossentropy", optimizer: Any = "adam", **options: Any
) -> keras.Model:
    """Compiles without XLA; accuracy is the default metric."""
    given = {"metrics": ["acc"], "jit_compile": False} | options
    model.compile(optimizer() if callable(optimizer) else optimizer, loss, **given)
    return model


def network(*middle: Callable[[], Any], out: int = 1, last: Any = "sigmoid", **options: Any) -> keras.Model:
    """A dense network with further layers in the middle."""
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
    found = [make() for make in inner]
    end = [layers.Flatten(), layers.Dense(1, activation="sigmoid")] if last else []
    return compiled(keras.Sequential([keras.Input(shape), *found, *end]), **options)


def per_step(*inner: Callable[[], Any], shape: tuple[int, ...] = (7,), **options: Any) -> keras.Model:
    """One prediction per step."""
    end = partial(layers.Dense, 1, activation="sigmoid")
    return stack(shape, *inner, end, last=False, **options)


def functional(inner: Callable[[Any], Any], **options: Any) -> keras.Model:
    """A functional model of the table's inputs."""
    x = keras.Input((5,))
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(inner(x))), **options)


def _residual(x: Any) -> Any:
    h = layers.Dense(5, activation="relu")(x)
    return layers.Add()([x, h])


def _plus(x: Any) -> Any:
    return x + layers.Dense(5, activation="relu")(x)


def _shared(x: Any) -> Any:
    layer = layers.Dense(5, activation="tanh")
    return layer(layer(x))


def _nested(x: Any) -> Any:
    inner = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, activation="relu"), layers.BatchNormalization()]
    )
    return inner(x)


def _across(x: Any) -> Any:
    h = layers.Dense(4)(x)
    return h - ops.mean(h, axis=0, keepdims=True)


def _branches(x: Any) -> Any:
    return layers.Concatenate()([layers.Dense(3)(x), layers.Dense(2, activation="relu")(x)])


def _gated(x: Any) -> Any:
    return layers.Multiply()([layers.Dense(5, activation="sigmoid")(x), x])


def _attending(kind: Any) -> keras.Model:
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
    if not named:
        return compiled(
            keras.Model(x, [first, second]), ["binary_crossentropy", "mse"], metrics=[["acc"], ["mae"]]
        )
    model = keras.Model(x, {"a": first, "b": second})
    return compiled(
        model,
        {"a": "binary_crossentropy", "b": "mse"},
        loss_weights={"a": 1.0, "b": 0.3},
        metrics={"a": ["acc"], "b": ["mae"]},
    )


def _split(x: Any, y: Any) -> tuple[Any, Any]:
    return (x[:, :2], x[:, 2:]), y


def _by_name(x: Any, y: Any) -> tuple[Any, Any]:
    return {"a": x[:, :2], "b": x[:, 2:]}, y


def _twice(x: Any, y: Any) -> tuple[Any, Any]:
    return x, {"a": y, "b": x[:, :1]}


def _twice_listed(x: Any, y: Any) -> tuple[Any, Any]:
    return x, (y, x[:, :1])


def _without_targets(x: Any, y: Any) -> tuple[Any, Any]:  # noqa: ARG001
    return x, None


def frozen() -> keras.Model:
    """A model with a layer that isn't trained."""
    model = network()
    model.layers[0].trainable = False
    return compiled(model)


def unbuilt() -> keras.Model:
    """A model that learns of its inputs from the data."""
    return compiled(
        keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(1, activation="sigmoid")])
    )


def of_policy(policy: str) -> keras.Model:
    """Computes in another precision than it keeps weights in."""
    keras.config.set_dtype_policy(policy)
    return network(lambda: layers.Dense(4, activation="relu"))


class Penalised(layers.Layer):  # type: ignore[misc]
    """A layer with a loss of its own."""

    def call(self, x: Any) -> Any:
        """Passes its inputs on."""
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


class Scaled(layers.Layer):  # type: ignore[misc]
    """A layer with a weight, by a name that Keras has too."""

    def build(self, shape: Any) -> None:
        """Makes the weight."""
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        """Scales each column."""
        return x * self.scale


class Counting(layers.Layer):  # type: ignore[misc]
    """A layer that counts its calls, also those of validation."""

    def build(self, shape: Any) -> None:  # noqa: ARG002
        """Makes the counter."""
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        """Adds the number of calls."""
        self.calls.assign_add(1.0)
        return x + 0.01 * self.calls


class Averaged(layers.Layer):  # type: ignore[misc]
    """A layer that subtracts the batch's mean."""

    def call(self, x: Any) -> Any:
        """Mixes rows."""
        return x - ops.mean(x, axis=0, keepdims=True)


class Subclassed(keras.Model):  # type: ignore[misc]
    """A model with its own `call`."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(4, activation="relu")
        self.end = layers.Dense(1, activation="sigmoid")

    def call(self, x: Any) -> Any:
        """Two layers."""
        return self.end(self.hidden(x))


class Autoencoder(keras.Model):  # type: ignore[misc]
    """Without targets."""

    def __init__(self) -> None:
        super().__init__()
        self.end = layers.Dense(5)

    def call(self, x: Any) -> Any:
        """Adds the loss."""
        out = self.end(x)
        self.add_loss(ops.mean(ops.square(out - x)))
        return out


class Nested(keras.Model):  # type: ignore[misc]
    """A step that returns the results of all metrics, those of ``compile`` in a dict of their own."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """Keras' step with other logs."""
        super().train_step(data)
        return {metric.name: metric.result() for metric in self.metrics}


class Logged(keras.Model):  # type: ignore[misc]
    """A step that returns what no metric holds."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """Keras' step with other logs."""
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
        """Depends on the batch."""
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
        """Looks at a batch."""
        if self.largest is None:
            self.largest = self.add_variable((), "zeros", name="largest")
        self.largest.assign(ops.maximum(self.largest, ops.mean(y * p)))

    def result(self) -> Any:
        """The largest so far."""
        return ops.zeros(()) if self.largest is None else ops.convert_to_tensor(self.largest)

    def reset_state(self) -> None:
        """Forgets it."""
        if self.largest is not None:
            self.largest.assign(0.0)


# Callbacks


class StopsAtBegin(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends training as an epoch begins; Keras still trains its first batch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Stops."""
        self.model.stop_training = epoch == self.epoch


class Halves(keras.callbacks.Callback):  # type: ignore[misc]
    """Changes weights between epochs."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Halves all weights."""
        self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])


class OnBatches(keras.callbacks.Callback):  # type: ignore[misc]
    """Acts on batches."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Lowers the learning rate."""
        self.model.optimizer.learning_rate = 0.9 * self.model.optimizer.learning_rate


def called(*make: Callable[[], Any], **options: Any) -> Callable[[], dict[str, Any]]:
    """Options with callbacks that are made for each training."""
    return lambda: {"callbacks": [each() for each in make], **options}


def given(**options: Any) -> Callable[[], dict[str, Any]]:
    """Options."""
    return lambda: options


# Cases


def _document() -> Iterator[ModelCase]:
    drop = partial(layers.Dropout, 0.2)
    for activation in ("relu", "elu"):
        for loss in ("binary_crossentropy", losses.log_cosh):
            for optimizer in ("adam", "nadam", "rmsprop"):
                build = partial(
                    network,
                    drop,
                    partial(layers.Dense, 4, activation=activation),
                    drop,
                    loss=(lambda chosen=loss: chosen),
                    optimizer=optimizer,
                    metrics=["acc", fmeasure],
                )
                name = f"document: {activation}, {getattr(loss, '__name__', loss)}, {optimizer}"
                yield ModelCase(name, build, table, short=name == "document: elu, log_cosh, nadam")


def _optimizers() -> Iterator[ModelCase]:
    fast: dict[str, Callable[[], Any]] = {
        "SGD": partial(optimizers.SGD, 0.1),
        "SGD, momentum": partial(optimizers.SGD, 0.1, momentum=0.9, nesterov=True),
        "RMSprop, centered": partial(optimizers.RMSprop, 0.01, centered=True, momentum=0.5),
        "Adam, amsgrad": partial(optimizers.Adam, 0.01, amsgrad=True),
        "Adam, clipvalue": partial(optimizers.Adam, 0.01, clipvalue=0.1),
        "Adam, weight decay": partial(optimizers.Adam, 0.01, weight_decay=0.01),
        "AdamW": partial(optimizers.AdamW, 0.01),
        "Nadam": partial(optimizers.Nadam, 0.01),
        "Adamax": partial(optimizers.Adamax, 0.01),
        "Adagrad": partial(optimizers.Adagrad, 0.01),
        "Adadelta": partial(optimizers.Adadelta, 0.5),
        "Lion": partial(optimizers.Lion, 0.01),
        "Ftrl": partial(optimizers.Ftrl, 0.1),
        "exponential decay": lambda: optimizers.SGD(schedules.ExponentialDecay(0.1, 3, 0.5)),
        "cosine decay": lambda: optimizers.Adam(
            schedules.CosineDecay(0.05, 10, warmup_steps=3, warmup_target=0.1)
        ),
        "piecewise": lambda: optimizers.RMSprop(schedules.PiecewiseConstantDecay([4, 8], [0.1, 0.05, 0.01])),
        "inverse time": lambda: optimizers.SGD(schedules.InverseTimeDecay(0.1, 2, 0.5)),
        "polynomial": lambda: optimizers.SGD(schedules.PolynomialDecay(0.1, 8)),
    }
    slow: dict[str, Callable[[], Any]] = {
        "clipnorm": partial(optimizers.Adam, 0.01, clipnorm=0.1),
        "global_clipnorm": partial(optimizers.SGD, 0.1, global_clipnorm=0.1),
        "EMA": partial(optimizers.Adam, 0.01, use_ema=True, ema_overwrite_frequency=3),
        "EMA, at the end": partial(optimizers.AdamW, 0.01, use_ema=True),
        "accumulation": partial(optimizers.Adam, 0.01, gradient_accumulation_steps=2),
        "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1)),
        "Adafactor": partial(optimizers.Adafactor, 0.01),
        "Lamb": partial(optimizers.Lamb, 0.01),
    }
    ways: tuple[tuple[Way, dict[str, Callable[[], Any]]], ...] = (("fast", fast), ("step", slow))
    for way, group in ways:
        for name, make in group.items():
            short = name in ("SGD, momentum", "accumulation")
            yield ModelCase(f"optimizer: {name}", partial(network, optimizer=make), table, way, short=short)


def _losses() -> Iterator[ModelCase]:
    one = {"last": "sigmoid", "out": 1}
    soft = {"last": "softmax", "out": 3}
    linear = {"last": None, "out": 1}
    logits = {"last": None, "out": 3}
    listed: list[tuple[str, str, dict[str, Any], Any]] = [
        ("smoothed", "binary", one, partial(losses.BinaryCrossentropy, label_smoothing=0.1)),
        ("from logits", "binary", linear, partial(losses.BinaryCrossentropy, from_logits=True)),
        ("focal", "binary", one, losses.BinaryFocalCrossentropy),
        ("summed", "binary", one, partial(losses.BinaryCrossentropy, reduction="sum")),
        (
            "weighted mean",
            "binary",
            one,
            partial(losses.BinaryCrossentropy, reduction="mean_with_sample_weight"),
        ),
        ("mse", "real", linear, lambda: "mse"),
        ("mae", "real", linear, lambda: "mae"),
        ("mape", "positive", linear, lambda: "mape"),
        ("msle", "positive", one, lambda: "msle"),
        ("huber", "real", linear, partial(losses.Huber, delta=0.5)),
        ("log_cosh", "real", linear, lambda: losses.log_cosh),
        ("poisson", "positive", {"last": "softplus"}, lambda: "poisson"),
        ("hinge", "signs", {"last": "tanh"}, lambda: "hinge"),
        ("squared hinge", "binary", {"last": "tanh"}, lambda: "squared_hinge"),
        ("categorical", "one_hot", soft, lambda: "categorical_crossentropy"),
        ("categorical, focal", "one_hot", soft, losses.CategoricalFocalCrossentropy),
        ("categorical, hinge", "one_hot", soft, lambda: "categorical_hinge"),
        ("kl", "one_hot", soft, lambda: "kl_divergence"),
        ("cosine", "one_hot", soft, losses.CosineSimilarity),
        ("cosine, axis 0", "one_hot", soft, partial(losses.CosineSimilarity, axis=0)),
        ("sparse", "classes", soft, lambda: "sparse_categorical_crossentropy"),
        ("sparse logits", "classes", logits, partial(losses.SparseCategoricalCrossentropy, from_logits=True)),
        (
            "ignored class",
            "classes",
            logits,
            partial(losses.SparseCategoricalCrossentropy, from_logits=True, ignore_class=0),
        ),
        ("dice", "binary", one, lambda: "dice"),
        ("tversky", "binary", one, lambda: "tversky"),
        ("Tversky", "binary", one, losses.Tversky),
        ("own function", "binary", one, lambda: own_loss),
        ("own class", "positive", linear, OwnLoss),
    ]
    short = ("dice", "tversky", "ignored class", "cosine, axis 0")
    for name, targets, end, loss in listed:
        build = partial(network, loss=loss, **end)
        yield ModelCase(f"loss: {name}", build, partial(table, targets), short=name in short)


def _metrics() -> Iterator[ModelCase]:
    binary: dict[str, Any] = {
        "AUC": partial(metrics.AUC, num_thresholds=20),
        "Precision": partial(metrics.Precision),
        "Recall": partial(metrics.Recall, thresholds=0.3),
        "matthews": matthews,
        "balanced_accuracy": balanced_accuracy,
        "F1Score": partial(metrics.F1Score, average="micro", threshold=0.5),
        "specificity": partial(metrics.SpecificityAtSensitivity, 0.5),
        "crossentropy": "ce",
        "false positives": partial(metrics.FalsePositives),
        "BinaryIoU": partial(metrics.BinaryIoU),
    }
    for name, metric in binary.items():
        build = partial(network, metrics=["acc", metric])
        yield ModelCase(f"metric: {name}", build, table)
    real: dict[str, Any] = {
        "RMSE": partial(metrics.RootMeanSquaredError),
        "R2": partial(metrics.R2Score),
        "cosine": "cosine_similarity",
        "log_cosh": partial(metrics.LogCoshError),
    }
    for name, metric in real.items():
        build = partial(network, last=None, loss=lambda: "mse", metrics=["mae", metric])
        yield ModelCase(f"metric: {name}", build, partial(table, "real"))
    multi: dict[str, Any] = {
        "top 2": partial(metrics.SparseTopKCategoricalAccuracy, 2),
        "fmeasure, macro": fmeasure,
        "MeanIoU": partial(metrics.MeanIoU, 3, sparse_y_pred=False),
    }
    for name, metric in multi.items():
        crossentropy = partial(network, out=3, last="softmax", loss=lambda: "sparse_categorical_crossentropy")
        yield ModelCase(f"metric: {name}", partial(crossentropy, metrics=[metric]), partial(table, "classes"))
    unknown: dict[str, Any] = {
        "F1 of a batch": batch_f1,
        "built late": partial(Largest),
        "wrapped": partial(metrics.MeanMetricWrapper, batch_f1, "wrapped"),
        "under a known name": named_as_known,
        "Pearson, axis 0": partial(metrics.PearsonCorrelation, axis=0),
        "hinge": "hinge",
    }
    for name, metric in unknown.items():
        build = partial(network, metrics=["acc", metric])
        yield ModelCase(f"metric: {name}", build, table, "step", short=name not in ("wrapped", "hinge"))
    several = partial(network, out=3, last="softmax", loss=lambda: "categorical_crossentropy")
    several = partial(several, metrics=[partial(metrics.F1Score)])
    yield ModelCase("metric: several values", several, partial(table, "one_hot"), "step")
    weighted = partial(network, weighted_metrics=["acc", "mse"])
    yield ModelCase("metric: weighted", weighted, table, options=given(class_weight={0: 2.0, 1: 0.5}))


def _layers() -> Iterator[ModelCase]:
    dense = partial(layers.Dense, 4)
    fast: dict[str, Callable[[], Any]] = {
        "BatchNormalization": layers.BatchNormalization,
        "BatchNormalization, fixed": partial(layers.BatchNormalization, trainable=False),
        "LayerNormalization": layers.LayerNormalization,
        "GroupNormalization": partial(layers.GroupNormalization, 2),
        "RMSNormalization": layers.RMSNormalization,
        "UnitNormalization": layers.UnitNormalization,
        "Dropout": partial(layers.Dropout, 0.3),
        "Dropout, seeded": partial(layers.Dropout, 0.3, seed=3),
        "GaussianNoise": partial(layers.GaussianNoise, 0.3),
        "GaussianDropout": partial(layers.GaussianDropout, 0.3),
        "AlphaDropout": partial(layers.AlphaDropout, 0.3),
        "PReLU": layers.PReLU,
        "LeakyReLU": layers.LeakyReLU,
        "Softmax": layers.Softmax,
        "EinsumDense": partial(layers.EinsumDense, "ab,bc->ac", output_shape=4, bias_axes="c"),
        "ActivityRegularization": partial(layers.ActivityRegularization, l2=0.01),
        "activity regulariser": partial(dense, activity_regularizer="l2"),
        "L1 and L2": partial(
            dense, kernel_regularizer=keras.regularizers.L1L2(0.01, 0.01), bias_regularizer="l1"
        ),
        "orthogonal regulariser": partial(
            dense, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.01)
        ),
        "own activation": partial(dense, activation=lambda x: ops.softmax(x, axis=0)),
    }
    slow: dict[str, Callable[[], Any]] = {
        "constraint": partial(dense, kernel_constraint="max_norm"),
        "UnitNormalization, axis 0": partial(layers.UnitNormalization, axis=0),
        "Softmax, axis 0": partial(layers.Softmax, axis=0),
        "SpectralNormalization": lambda: layers.SpectralNormalization(dense()),
        "Lambda": lambda: layers.Lambda(lambda x: x * 2),
        "Lambda across rows": lambda: layers.Lambda(lambda x: x - ops.mean(x, axis=0, keepdims=True)),
        "own, with a loss": Penalised,
        "own, with a weight": Scaled,
        "own, with state": Counting,
        "own, across rows": Averaged,
    }
    short = (
        "BatchNormalization",
        "Dropout",
        "own activation",
        "UnitNormalization, axis 0",
        "SpectralNormalization",
        "Lambda across rows",
        "own, with a loss",
    )
    ways: tuple[tuple[Way, dict[str, Callable[[], Any]]], ...] = (("fast", fast), ("step", slow))
    for way, group in ways:
        for name, make in group.items():
            yield ModelCase(f"layer: {name}", partial(network, make), table, way, short=name in short)


def _images() -> Iterator[ModelCase]:
    conv = partial(layers.Conv2D, 3, 3, activation="relu")
    pool = layers.MaxPooling2D
    listed: dict[str, tuple[Callable[[], Any], ...]] = {
        "Conv2D": (conv, pool),
        "Conv2D, norm": (conv, layers.BatchNormalization, layers.GlobalAveragePooling2D),
        "Conv2D, group norm": (conv, partial(layers.GroupNormalization, 3), layers.GlobalMaxPooling2D),
        "Conv2D, spatial dropout": (conv, partial(layers.SpatialDropout2D, 0.3)),
        "SeparableConv2D": (partial(layers.SeparableConv2D, 3, 3),),
        "DepthwiseConv2D": (partial(layers.DepthwiseConv2D, 3),),
        "Conv2DTranspose": (partial(layers.Conv2DTranspose, 2, 3), layers.AveragePooling2D),
        "padding, cropping": (layers.ZeroPadding2D, conv, layers.Cropping2D, layers.UpSampling2D),
        "Rescaling": (partial(layers.Rescaling, 0.5), conv),
    }
    for name, inner in listed.items():
        yield ModelCase(
            f"image: {name}", partial(stack, (8, 8, 2), *inner), images, short=name == "Conv2D, norm"
        )
    for name, make in {
        "RandomFlip": partial(layers.RandomFlip, seed=1),
        "RandomTranslation": partial(layers.RandomTranslation, 0.2, 0.2, seed=1),
    }.items():
        yield ModelCase(f"image: {name}", partial(stack, (8, 8, 2), make, conv), images, "step")
    yield ModelCase("image: Conv3D", partial(stack, (4, 4, 4, 1), partial(layers.Conv3D, 2, 2)), volumes)


def _series() -> Iterator[ModelCase]:
    lstm, gru = partial(layers.LSTM, 3), partial(layers.GRU, 3)
    sequence = {"return_sequences": True}
    listed: dict[str, tuple[Callable[[], Any], ...]] = {
        "Conv1D": (partial(layers.Conv1D, 3, 2), layers.MaxPooling1D),
        "LSTM": (lstm,),
        "GRU": (gru,),
        "SimpleRNN": (partial(layers.SimpleRNN, 3),),
        "LSTM, dropout": (partial(lstm, dropout=0.2, recurrent_dropout=0.2, seed=1),),
        "two LSTM": (partial(lstm, **sequence), lstm),
        "Bidirectional": (lambda: layers.Bidirectional(lstm()),),
        "TimeDistributed": (lambda: layers.TimeDistributed(layers.Dense(3)), gru),
    }
    for name, inner in listed.items():
        yield ModelCase(f"series: {name}", partial(stack, (6, 3), *inner), series)
    masked = partial(stack, (6, 3), layers.Masking)
    yield ModelCase("mask: Masking, LSTM", partial(masked, lstm), padded, short=True)
    yield ModelCase("mask: Masking, GRU, backwards", partial(masked, partial(gru, go_backwards=True)), padded)
    yield ModelCase("mask: Masking, pooling", partial(masked, layers.GlobalAveragePooling1D), padded)
    embedding = partial(layers.Embedding, 6, 4, mask_zero=True)
    way: Way = "step"
    yield ModelCase("mask: none", partial(stack, (7,), partial(layers.Embedding, 6, 4), lstm), tokens, way)
    yield ModelCase("mask: Embedding, LSTM", partial(stack, (7,), embedding, lstm), tokens, way)
    steps = partial(tokens, True)
    for name, inner in {
        "Embedding": (embedding,),
        "Embedding, LSTM": (embedding, partial(lstm, **sequence)),
        "Embedding, dropout": (embedding, partial(layers.Dropout, 0.2)),
    }.items():
        yield ModelCase(
            f"mask: {name}, per step", partial(per_step, *inner), steps, way, short=name != "Embedding"
        )
    last = partial(per_step, layers.Masking, shape=(6, 3), loss="mse", metrics=["mae"])
    yield ModelCase("mask: Masking, per step", last, _padded_steps, way, short=True)
    yield ModelCase("series: per step", partial(per_step, shape=(6, 3), loss="mse"), _padded_steps)
    for kind in (layers.MultiHeadAttention, layers.Attention, layers.AdditiveAttention):
        yield ModelCase(f"series: {kind.__name__}", partial(_attending, kind), series)
    yield ModelCase("series: stateful LSTM", _stateful, _even_series, "fit", given(batch_size=10))


def _padded_steps() -> Examples:
    x, _, x_val, _ = padded()
    return Examples(x, x[:, :, :1], x_val, x_val[:, :, :1])


def _even_series() -> Examples:
    x, y, x_val, y_val = series()
    return Examples(x[:40], y[:40], x_val[:20], y_val[:20])


def _stateful() -> keras.Model:
    x = keras.Input(batch_shape=(10, 6, 3))
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(layers.LSTM(3, stateful=True)(x))))


def _structures() -> Iterator[ModelCase]:
    for name, inner in {
        "residual": _residual,
        "residual, by +": _plus,
        "shared layer": _shared,
        "nested": _nested,
        "branches": _branches,
        "gated": _gated,
    }.items():
        yield ModelCase(f"functional: {name}", partial(functional, inner), table)
    yield ModelCase("functional: across rows", partial(functional, _across), table, "step", short=True)
    yield ModelCase("functional: two inputs", two_inputs, partial(_each, _split))
    yield ModelCase("functional: named inputs", partial(two_inputs, True), partial(_each, _by_name))
    yield ModelCase("functional: two outputs", two_outputs, partial(_each, _twice), "step", short=True)
    yield ModelCase(
        "functional: listed outputs", partial(two_outputs, False), partial(_each, _twice_listed), "step"
    )
    yield ModelCase("model: unbuilt", unbuilt, table, short=True)
    yield ModelCase("model: frozen layer", frozen, table)
    yield ModelCase("model: subclassed", lambda: compiled(Subclassed()), table, "step")
    yield ModelCase("model: nested logs", partial(derived, Nested), table, "step", short=True)
    yield ModelCase("model: own logs", partial(derived, Logged), table, "step")
    autoencoder = partial(compiled, loss=None, metrics=None)
    yield ModelCase(
        "model: without targets",
        lambda: autoencoder(Autoencoder()),
        partial(_each, _without_targets),
        "step",
        given(validation_data=None),
    )
    yield ModelCase("model: mixed_bfloat16", partial(of_policy, "mixed_bfloat16"), table)
    yield ModelCase("model: mixed_float16", partial(of_policy, "mixed_float16"), table, "step")
    yield ModelCase("model: float64", partial(of_policy, "float64"), table)
    yield ModelCase("model: eager", partial(network, run_eagerly=True), table, "fit")


def _options() -> Iterator[ModelCase]:
    weight = np.linspace(0, 2, _ROWS).astype("float32")
    x, y, x_val, y_val = table()
    callbacks = keras.callbacks
    listed: dict[str, tuple[Callable[[], Any], Way]] = {
        "no validation": (given(validation_data=None), "fast"),
        "empty validation": (given(validation_data=(x[:0], y[:0])), "fit"),
        "class_weight": (given(class_weight={0: 3.0, 1: 0.5}), "fast"),
        "class_weight, every epoch": (called(callbacks.Callback, class_weight={0: 3.0}), "fast"),
        "sample_weight": (given(sample_weight=weight), "fast"),
        "weights of validation": (given(validation_data=(x_val, y_val, weight[:_VALIDATION])), "fast"),
        "integer targets of validation": (given(validation_data=(x_val, y_val.astype("int64"))), "fast"),
        "validation_split": (given(validation_split=0.3, validation_data=None), "fast"),
        "validation_freq": (given(validation_freq=2, epochs=5), "fast"),
        "validation_freq, listed": (given(validation_freq=[1, 4], epochs=4), "fast"),
        "validation_batch_size": (given(validation_batch_size=7), "fast"),
        "initial_epoch": (given(initial_epoch=2, epochs=5), "fast"),
        "no epochs": (given(epochs=0), "fast"),
        "batch of 1": (given(batch_size=1, epochs=1), "fast"),
        "one batch": (given(batch_size=500), "fast"),
        "EarlyStopping": (
            called(partial(callbacks.EarlyStopping, min_delta=1.0, patience=1), epochs=6),
            "fast",
        ),
        "EarlyStopping, restored": (
            called(
                partial(callbacks.EarlyStopping, patience=0, min_delta=0.05, restore_best_weights=True),
                epochs=6,
            ),
            "fast",
        ),
        "ReduceLROnPlateau": (
            called(partial(callbacks.ReduceLROnPlateau, patience=0, min_delta=0.5), epochs=4),
            "fast",
        ),
        "LearningRateScheduler": (
            called(lambda: callbacks.LearningRateScheduler(lambda epoch, rate: rate / (1 + epoch))),
            "fast",
        ),
        "LambdaCallback": (called(lambda: callbacks.LambdaCallback(on_epoch_end=lambda *_: None)), "fast"),
        "TerminateOnNaN": (called(callbacks.TerminateOnNaN), "fast"),
        "weights changed between epochs": (called(Halves), "fast"),
        "stopped as the first epoch begins": (called(partial(StopsAtBegin, 0)), "fast"),
        "stopped as an epoch begins": (called(partial(StopsAtBegin, 2), epochs=5), "fast"),
        "hooks of batches": (called(OnBatches), "fit"),
        "steps_per_epoch": (given(steps_per_epoch=2), "fit"),
    }
    short = ("empty validation", "class_weight", "stopped as an epoch begins", "hooks of batches")
    for name, (options, way) in listed.items():
        yield ModelCase(f"fit: {name}", network, table, way, options, short=name in short)
    stops = called(partial(StopsAtBegin, 1))
    yield ModelCase(
        "fit: stopped as an epoch begins, own step", partial(derived, Nested), table, "step", stops
    )
    for rows in (1, 2, 17):
        yield ModelCase(f"fit: {rows} rows", network, partial(table, rows=rows))


GROUPS = (_document, _optimizers, _losses, _metrics, _layers, _images, _series, _structures, _options)


def model_cases(*, short: bool = False) -> list[ModelCase]:
    """The models, each under a name of its own.

    Args:
        short: Only those of the shortened form: one of each kind, and everything that was once silently different.
    """
    return [case for group in GROUPS for case in group() if case.short or not short]


def main(arguments: list[str] | None = None) -> int:
    """Compares, prints a table; returns the number of models that differ or went another way."""
    parser = argparse.ArgumentParser(prog="python -m refine.testing.keras_models")
    parser.add_argument("words", nargs="*", help="train models with one of these in their name")
    parser.add_argument("--short", action="store_true", help="train the shortened form")
    parser.add_argument("--epochs", type=int, default=3, help="for how long (3)")
    chosen = parser.parse_args(arguments)
    cases = [
        case
        for case in model_cases(short=chosen.short)
        if not chosen.words or any(word in case.name for word in chosen.words)
    ]
    wrong = 0
    say = partial(print, flush=True)
    say("| model | way | history | weights | why |\n|---|---|---|---|---|")
    for case in cases:
        found = compare_fits(case, chosen.epochs)
        fine = found.is_equal and found.way == case.way
        wrong += not fine
        mark = "" if fine else f" **not {case.way} and equal**"
        say(
            f"| {found.name} | {found.way}{mark} | {found.history:.0e} | {found.weights:.0e} | {found.reason} |"
        )
    say(f"\n{len(cases)} models, {wrong} of them not as they should be")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
