"""The models that `refine.keras.fit` trains as ``model.fit`` does, each by the way that it is said to go.

``build`` makes everything anew, since layers, losses, metrics and optimizers have state.
"""

from functools import cache, partial
from typing import Any

import keras
import numpy as np
from keras import callbacks, layers, losses, metrics, ops, optimizers, regularizers
from keras.optimizers import schedules

from refine.keras import balanced_accuracy, fmeasure, matthews
from refine.testing.keras_fit import Examples, ModelCase

ROWS = 70
VALIDATION = 41
CASES = []


def add(
    group,
    builds,
    data=None,
    way="fast",
    options=dict,
):
    """Adds models that are trained alike."""
    cases = [ModelCase(f"{group}: {n}", build, data or table, way, options) for n, build in builds.items()]
    CASES.extend(cases)


# Data


@cache
def table(targets="binary", rows=ROWS):
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


def shaped(*shape, rows=ROWS):
    """Random inputs of a shape with binary targets."""
    x = np.random.RandomState(0).normal(size=(rows + VALIDATION, *shape)).astype("float32")
    y = (x.reshape(len(x), -1)[:, :3].sum(1, keepdims=True) > 0).astype("float32")
    return Examples(x[:rows], y[:rows], x[rows:], y[rows:])


series = partial(shaped, 6, 3)


def padded(steps=False):
    """Series whose last steps are zeros, more or fewer; one target per row or per step."""
    x, y, x_val, y_val = series()
    for part in (x, x_val):
        for i, row in enumerate(part):
            row[6 - i % 5 :] = 0
    return Examples(x, x[:, :, :1], x_val, x_val[:, :, :1]) if steps else Examples(x, y, x_val, y_val)


def tokens(steps=False):
    """Rows of seven tokens of which 0 is padding; one target per row or per step."""
    x = np.random.RandomState(0).randint(0, 6, (ROWS + VALIDATION, 7))
    y = (x[:, :, None] % 2 if steps else x.sum(1, keepdims=True) % 2).astype("float32")
    return Examples(x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:])


def changed(change):
    """The table in another structure, for training and validation."""
    x, y, x_val, y_val = table()
    return lambda: Examples(*change(x, y), *change(x_val, y_val))


# Models


def compiled(model, loss="binary_crossentropy", optimizer="adam", **options):
    """Compiles without XLA; accuracy is the default metric."""
    model.compile(optimizer, loss, **{"metrics": ["acc"], "jit_compile": False} | options)
    return model


def network(*middle, out=1, last="sigmoid", **options):
    """A dense network of the table's inputs with further layers in the middle."""
    inner = [keras.Input((5,)), layers.Dense(6, activation="relu"), *middle]
    return compiled(keras.Sequential([*inner, layers.Dense(out, activation=last)]), **options)


def made(option, make, **options):
    """A `network` with an option of ``compile`` that is made anew; of a metric beside accuracy."""
    if option == "metrics":
        return lambda: network(metrics=["acc", make()], **options)
    return lambda: network(**{option: make()}, **options)


def stack(shape, *inner, **options):
    """Layers for other inputs than the table, with a dense output."""

    def build():
        middle = [make() for make in inner]
        end = [layers.Flatten(), layers.Dense(1, activation="sigmoid")]
        return compiled(keras.Sequential([keras.Input(shape), *middle, *end]), **options)

    return build


def per_step(shape, *inner, **options):
    """One prediction per step."""
    end = partial(layers.Dense, 1, activation="sigmoid")
    return lambda: compiled(keras.Sequential([keras.Input(shape), *(m() for m in (*inner, end))]), **options)


def functional(inner, cls=keras.Model):
    """A functional model of the table's inputs."""

    def build():
        x = keras.Input((5,))
        return compiled(cls(x, layers.Dense(1, activation="sigmoid")(inner(x))))

    return build


def dense(units=5, activation="relu", **options):
    return layers.Dense(units, activation, **options)


def given(**options):
    """Options of ``fit``."""
    return lambda: options


def called(*make, **options):
    """Options with callbacks that are made for each training."""
    return lambda: {"callbacks": [callback_class() for callback_class in make], **options}


# The article's

for activation in ("relu", "elu"):
    for loss in (losses.binary_crossentropy, losses.log_cosh):
        for optimizer in ("adam", "nadam", "rmsprop"):

            def document(activation=activation, loss=loss, optimizer=optimizer):
                inner = [layers.Dropout(0.2), dense(4, activation), layers.Dropout(0.2)]
                return network(*inner, loss=loss, optimizer=optimizer, metrics=["acc", fmeasure])

            add("document", {f"{activation}, {loss.__name__}, {optimizer}": document})

# Optimizers

FAST = {
    "SGD": lambda: optimizers.SGD(0.1),
    "SGD, momentum": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "RMSprop, centered": lambda: optimizers.RMSprop(0.01, centered=True, momentum=0.5),
    "Adam, amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "Adam, clipvalue": lambda: optimizers.Adam(0.01, clipvalue=0.1),
    "Adam, weight decay": lambda: optimizers.Adam(0.01, weight_decay=0.01),
    "AdamW": lambda: optimizers.AdamW(0.01),
    "Nadam": lambda: optimizers.Nadam(0.01),
    "Adamax": lambda: optimizers.Adamax(0.01),
    "Adagrad": lambda: optimizers.Adagrad(0.01),
    "Adadelta": lambda: optimizers.Adadelta(0.5),
    "Lion": lambda: optimizers.Lion(0.01),
    "Ftrl": lambda: optimizers.Ftrl(0.1),
    "exponential decay": lambda: optimizers.SGD(schedules.ExponentialDecay(0.1, 3, 0.5)),
    "cosine decay": lambda: optimizers.Adam(
        schedules.CosineDecay(0.05, 10, warmup_steps=3, warmup_target=0.1)
    ),
    "piecewise": lambda: optimizers.RMSprop(schedules.PiecewiseConstantDecay([4, 8], [0.1, 0.05, 0.01])),
    "inverse time": lambda: optimizers.SGD(schedules.InverseTimeDecay(0.1, 2, 0.5)),
    "polynomial": lambda: optimizers.SGD(schedules.PolynomialDecay(0.1, 8)),
}
SLOW = {
    "clipnorm": lambda: optimizers.Adam(0.01, clipnorm=0.1),
    "global_clipnorm": lambda: optimizers.SGD(0.1, global_clipnorm=0.1),
    "EMA": lambda: optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=3),
    "EMA, at the end": lambda: optimizers.AdamW(0.01, use_ema=True),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1)),
    "Adafactor": lambda: optimizers.Adafactor(0.01),
    "Lamb": lambda: optimizers.Lamb(0.01),
}
for named, expected_way in ((FAST, "fast"), (SLOW, "step")):
    add("optimizer", {name: made("optimizer", make) for name, make in named.items()}, way=expected_way)

# Losses


def own_loss(y, p):
    """A mean over rows that nobody knows to be one."""
    return ops.mean(ops.square(y - p), axis=-1)


class OwnLoss(losses.Loss):
    """A loss relative to the largest target of the batch."""

    def call(self, y, p):
        return ops.mean(ops.abs(y - p), axis=-1) / (1 + ops.max(y))


binary = losses.BinaryCrossentropy
sparse = losses.SparseCategoricalCrossentropy
LOSSES = {
    "chosen by shapes": ("binary", "sigmoid", lambda: "crossentropy"),
    "smoothed": ("binary", "sigmoid", lambda: binary(label_smoothing=0.1)),
    "from logits": ("binary", None, lambda: binary(from_logits=True)),
    "focal": ("binary", "sigmoid", losses.BinaryFocalCrossentropy),
    "summed": ("binary", "sigmoid", lambda: binary(reduction="sum")),
    "weighted mean": ("binary", "sigmoid", lambda: binary(reduction="mean_with_sample_weight")),
    "mse": ("real", None, lambda: "mse"),
    "mae": ("real", None, lambda: "mae"),
    "mape": ("positive", None, lambda: "mape"),
    "msle": ("positive", "sigmoid", lambda: "msle"),
    "huber": ("real", None, lambda: losses.Huber(0.5)),
    "log_cosh": ("real", None, lambda: losses.log_cosh),
    "poisson": ("positive", "softplus", lambda: "poisson"),
    "hinge": ("signs", "tanh", lambda: "hinge"),
    "squared hinge": ("binary", "tanh", lambda: "squared_hinge"),
    "categorical": ("one_hot", "softmax", lambda: "categorical_crossentropy"),
    "categorical, focal": ("one_hot", "softmax", losses.CategoricalFocalCrossentropy),
    "categorical, hinge": ("one_hot", "softmax", lambda: "categorical_hinge"),
    "kl": ("one_hot", "softmax", lambda: "kl_divergence"),
    "cosine": ("one_hot", "softmax", losses.CosineSimilarity),
    "cosine, axis 0": ("one_hot", "softmax", lambda: losses.CosineSimilarity(axis=0)),
    "sparse": ("classes", "softmax", lambda: "sparse_categorical_crossentropy"),
    "sparse logits": ("classes", None, lambda: sparse(from_logits=True)),
    "ignored class": ("classes", None, lambda: sparse(from_logits=True, ignore_class=0)),
    "dice": ("binary", "sigmoid", lambda: "dice"),
    "tversky": ("binary", "sigmoid", lambda: "tversky"),
    "Tversky": ("binary", "sigmoid", losses.Tversky),
    "own function": ("binary", "sigmoid", lambda: own_loss),
    "own class": ("positive", None, OwnLoss),
}
for name, (targets, last, make) in LOSSES.items():
    columns = 3 if targets in ("one_hot", "classes") else 1
    add("loss", {name: made("loss", make, out=columns, last=last)}, partial(table, targets))

# Metrics


def batch_f1(y, p):
    """The F1 score of a batch, as Talos has it."""
    return 2 * ops.sum(y * ops.round(p)) / (ops.sum(y) + ops.sum(ops.round(p)) + 1e-7)


def named_as_known(y, p):
    """A mean of a batch under a name that Keras knows."""
    return ops.max(ops.abs(y - p))


named_as_known.__name__ = "mean_absolute_error"


class Largest(metrics.Metric):
    """The largest mean of a batch; built when the first batch comes."""

    largest: Any = None

    def update_state(self, y, p, sample_weight=None):
        if self.largest is None:
            self.largest = self.add_variable((), "zeros", name="largest")
        self.largest.assign(ops.maximum(self.largest, ops.mean(y * p)))

    def result(self):
        # A copy: of the variable itself Keras' history would have what validation left in it.
        return ops.zeros(()) if self.largest is None else 1.0 * self.largest

    def reset_state(self):
        if self.largest is not None:
            self.largest.assign(0.0)


beside_losses = partial(made, "metrics")
KNOWN = {
    "AUC": lambda: metrics.AUC(num_thresholds=20),
    "Precision": metrics.Precision,
    "Recall": lambda: metrics.Recall(thresholds=0.3),
    "matthews": lambda: matthews,
    "balanced_accuracy": lambda: balanced_accuracy,
    "F1Score": lambda: metrics.F1Score("micro", 0.5),
    "specificity": lambda: metrics.SpecificityAtSensitivity(0.5),
    "crossentropy": lambda: "binary_crossentropy",
    "false positives": metrics.FalsePositives,
    "BinaryIoU": metrics.BinaryIoU,
}
REAL = {
    "RMSE": metrics.RootMeanSquaredError,
    "R2": metrics.R2Score,
    "cosine": lambda: "cosine_similarity",
    "log_cosh": metrics.LogCoshError,
}
CLASSES = {
    "top 2": lambda: metrics.SparseTopKCategoricalAccuracy(2),
    "fmeasure, macro": lambda: fmeasure,
    "MeanIoU": lambda: metrics.MeanIoU(3, sparse_y_pred=False),
}
UNKNOWN = {
    "F1 of a batch": lambda: batch_f1,
    "built late": Largest,
    "wrapped": lambda: metrics.MeanMetricWrapper(batch_f1, "wrapped"),
    "under a known name": lambda: named_as_known,
    "Pearson, axis 0": lambda: metrics.PearsonCorrelation(axis=0),
    "hinge": lambda: "hinge",
}
of_classes = {"out": 3, "last": "softmax"}
sparse_loss = of_classes | {"loss": "sparse_categorical_crossentropy"}
add("metric", {name: beside_losses(make) for name, make in KNOWN.items()})
real = {name: beside_losses(make, last=None, loss="mse") for name, make in REAL.items()}
add("metric", real, partial(table, "real"))
multi = {name: beside_losses(make, **sparse_loss) for name, make in CLASSES.items()}
add("metric", multi, partial(table, "classes"))
add("metric", {name: beside_losses(make) for name, make in UNKNOWN.items()}, way="step")
several = beside_losses(metrics.F1Score, loss="categorical_crossentropy", **of_classes)
add("metric", {"several values": several}, partial(table, "one_hot"), "step")
weighted = partial(network, weighted_metrics=["acc", "mse"])
add("metric", {"weighted": weighted}, options=given(class_weight={0: 2.0, 1: 0.5}))

# Layers


class Penalised(layers.Layer):
    """A layer with a loss of its own."""

    def call(self, x):
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


class Scaled(layers.Layer):
    """A layer with a weight."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.scale


class Counting(layers.Layer):
    """A layer that counts its calls, also those of validation."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x + 0.01 * self.calls


class Averaged(layers.Layer):
    """A layer that subtracts the batch's mean."""

    def call(self, x):
        return x - ops.mean(x, axis=0, keepdims=True)


LAYERS = {
    "BatchNormalization": layers.BatchNormalization,
    "BatchNormalization, fixed": lambda: layers.BatchNormalization(trainable=False),
    "LayerNormalization": layers.LayerNormalization,
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "RMSNormalization": layers.RMSNormalization,
    "UnitNormalization": layers.UnitNormalization,
    "Dropout": lambda: layers.Dropout(0.3),
    "Dropout, seeded": lambda: layers.Dropout(0.3, seed=3),
    "GaussianNoise": lambda: layers.GaussianNoise(0.3),
    "GaussianDropout": lambda: layers.GaussianDropout(0.3),
    "AlphaDropout": lambda: layers.AlphaDropout(0.3),
    "UnitNormalization, axis 0": lambda: layers.UnitNormalization(axis=0),
    "Softmax, axis 0": lambda: layers.Softmax(axis=0),
    "PReLU": layers.PReLU,
    "LeakyReLU": layers.LeakyReLU,
    "Softmax": layers.Softmax,
    "EinsumDense": lambda: layers.EinsumDense("ab,bc->ac", 4, bias_axes="c"),
    "ActivityRegularization": lambda: layers.ActivityRegularization(l2=0.01),
    "activity regulariser": lambda: dense(activity_regularizer="l2"),
    "L1 and L2": lambda: dense(kernel_regularizer=regularizers.L1L2(0.01, 0.01), bias_regularizer="l1"),
    "orthogonal regulariser": lambda: dense(kernel_regularizer=regularizers.OrthogonalRegularizer(0.01)),
    "own activation": lambda: dense(activation=lambda x: ops.softmax(x, axis=0)),
}
STEPPED = {
    "constraint": lambda: dense(kernel_constraint="max_norm"),
    "SpectralNormalization": lambda: layers.SpectralNormalization(dense()),
    "Lambda": lambda: layers.Lambda(lambda x: x * 2),
    "Lambda across rows": lambda: layers.Lambda(lambda x: x - ops.mean(x, axis=0, keepdims=True)),
    "own, with a loss": Penalised,
    "own, with a weight": Scaled,
    "own, with state": Counting,
    "own, across rows": Averaged,
}
for named, expected_way in ((LAYERS, "fast"), (STEPPED, "step")):
    networks = {name: lambda make=make: network(make()) for name, make in named.items()}
    add("layer", networks, way=expected_way)

# Images

images = partial(shaped, 8, 8, 2)
image = partial(stack, (8, 8, 2))
conv = partial(layers.Conv2D, 3, 3, activation="relu")
filters = {
    "Conv2D": image(conv, layers.MaxPooling2D),
    "Conv2D, norm": image(conv, layers.BatchNormalization, layers.GlobalAveragePooling2D),
    "Conv2D, group norm": image(conv, partial(layers.GroupNormalization, 3), layers.GlobalMaxPooling2D),
    "Conv2D, spatial dropout": image(conv, partial(layers.SpatialDropout2D, 0.3)),
    "SeparableConv2D": image(partial(layers.SeparableConv2D, 3, 3)),
    "DepthwiseConv2D": image(partial(layers.DepthwiseConv2D, 3)),
    "Conv2DTranspose": image(partial(layers.Conv2DTranspose, 2, 3), partial(layers.AveragePooling2D, 2)),
    "padding, cropping": image(layers.ZeroPadding2D, conv, layers.Cropping2D, layers.UpSampling2D),
    "Rescaling": image(partial(layers.Rescaling, 0.5), conv),
}
augmented = {
    "RandomFlip": image(partial(layers.RandomFlip, seed=1), conv),
    "RandomTranslation": image(partial(layers.RandomTranslation, 0.2, 0.2, seed=1), conv),
}
add("image", filters, images)
add("image", augmented, images, "step")
add("image", {"Conv3D": stack((4, 4, 4, 1), partial(layers.Conv3D, 2, 2))}, partial(shaped, 4, 4, 4, 1))

# Series


def attending(kind):
    """Attention of a kind, with a residual and a norm."""
    x = keras.Input((6, 3))
    h = layers.Dense(4)(x)
    a = kind(2, 2)(h, h) if kind is layers.MultiHeadAttention else kind()([h, h])
    h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(layers.Add()([a, h])))
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(h)))


def stateful():
    x = keras.Input(batch_shape=(10, 6, 3))
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(layers.LSTM(3, stateful=True)(x))))


serial = partial(stack, (6, 3))
masked = partial(stack, (6, 3), layers.Masking)
lstm = partial(layers.LSTM, 3)
gru = partial(layers.GRU, 3)
sequences = partial(lstm, return_sequences=True)
embedding = partial(layers.Embedding, 6, 4, mask_zero=True)
kinds = (layers.MultiHeadAttention, layers.Attention, layers.AdditiveAttention)
recurrent = {
    "Conv1D": serial(partial(layers.Conv1D, 3, 2), layers.MaxPooling1D),
    "LSTM": serial(lstm),
    "LSTM, dropout": serial(partial(lstm, dropout=0.2, recurrent_dropout=0.2, seed=1)),
    "GRU": serial(gru),
    "SimpleRNN": serial(partial(layers.SimpleRNN, 3)),
    "two LSTM": serial(sequences, lstm),
    "Bidirectional": serial(lambda: layers.Bidirectional(lstm())),
    "TimeDistributed": serial(lambda: layers.TimeDistributed(layers.Dense(3)), gru),
    **{kind.__name__: partial(attending, kind) for kind in kinds},
}
add("series", recurrent, series)
masking = {
    "Masking, LSTM": masked(lstm),
    "Masking, GRU, backwards": masked(partial(gru, go_backwards=True)),
    "Masking, pooling": masked(layers.GlobalAveragePooling1D),
}
add("mask", masking, padded)
embedded = {
    "none": stack((7,), partial(layers.Embedding, 6, 4), lstm),
    "Embedding, LSTM": stack((7,), embedding, lstm),
}
add("mask", embedded, tokens, "step")
stepped = {
    "Embedding, per step": per_step((7,), embedding),
    "Embedding, LSTM, per step": per_step((7,), embedding, sequences),
    "Embedding, dropout, per step": per_step((7,), embedding, partial(layers.Dropout, 0.2)),
}
add("mask", stepped, partial(tokens, True), "step")
last_steps = per_step((6, 3), layers.Masking, loss="mse", metrics=["mae"])
add("mask", {"Masking, per step": last_steps}, partial(padded, True), "step")
add("series", {"per step": per_step((6, 3), loss="mse")}, partial(padded, True))
alone = given(batch_size=10, validation_data=None)
add("series", {"stateful LSTM": stateful}, partial(series, rows=40), "fit", alone)

# Structures


def shared(x):
    """One layer, twice."""
    layer = dense(activation="tanh")
    return layer(layer(x))


def nested(x):
    """A model as a layer."""
    return keras.Sequential([keras.Input((5,)), dense(4), layers.BatchNormalization()])(x)


def across(x):
    """Subtracts the batch's mean by an operation that is no layer."""
    h = layers.Dense(4)(x)
    return h - ops.mean(h, axis=0, keepdims=True)


def two_inputs(named=False):
    """Two inputs, as a list or by name."""
    a = keras.Input((2,), name="a")
    b = keras.Input((3,), name="b")
    h = layers.Concatenate()([dense(3, "tanh")(a), b])
    return compiled(keras.Model({"a": a, "b": b} if named else [a, b], dense(1, "sigmoid")(h)))


def two_outputs(named=False):
    """A classification and a regression, weighted."""
    x = keras.Input((5,))
    h = dense(4)(x)
    parts = [
        [dense(1, "sigmoid", name="a")(h), layers.Dense(1, name="b")(h)],
        ["binary_crossentropy", "mse"],
        [1.0, 0.3],
        [["acc"], ["mae"]],
    ]
    by_name = [dict(zip("ab", part, strict=True)) for part in parts] if named else parts
    outputs, loss, weights, scores = by_name
    return compiled(keras.Model(x, outputs), loss, loss_weights=weights if named else None, metrics=scores)


def frozen():
    """A model with a layer that isn't trained."""
    model = network()
    model.layers[0].trainable = False
    return compiled(model)


def of_policy(policy):
    """Computes in another precision than it keeps weights in."""
    keras.config.set_dtype_policy(policy)
    return network(dense(4))


class Subclassed(keras.Model):
    """A model with its own `call`."""

    def __init__(self):
        super().__init__()
        self.hidden = dense(4)
        self.end = dense(1, "sigmoid")

    def call(self, x):
        return self.end(self.hidden(x))


class Autoencoder(Subclassed):
    """Without targets."""

    def call(self, x):
        self.add_loss(ops.mean(ops.square(super().call(x) - x)))
        return x


class Nested(keras.Model):
    """A step that returns the results of all metrics, those of ``compile`` in a dict of their own."""

    def train_step(self, data):
        super().train_step(data)
        return {metric.name: metric.result() for metric in self.metrics}


class Logged(keras.Model):
    """A step that returns what no metric holds."""

    def train_step(self, data):
        return {**super().train_step(data), "largest": ops.max(data[0])}


inner_layers = {
    "residual": lambda x: layers.Add()([x, dense()(x)]),
    "residual, by +": lambda x: x + dense()(x),
    "shared layer": shared,
    "nested": nested,
    "branches": lambda x: layers.Concatenate()([layers.Dense(3)(x), dense(2)(x)]),
    "gated": lambda x: layers.Multiply()([dense(activation="sigmoid")(x), x]),
    "across rows": across,
}
add("functional", {name: functional(inner) for name, inner in inner_layers.items()})
add("functional", {"two inputs": two_inputs}, changed(lambda x, y: ((x[:, :2], x[:, 2:]), y)))
by_name = changed(lambda x, y: ({"a": x[:, :2], "b": x[:, 2:]}, y))
add("functional", {"named inputs": partial(two_inputs, True)}, by_name)
by_name = changed(lambda x, y: (x, {"a": y, "b": x[:, :1]}))
add("functional", {"two outputs": partial(two_outputs, True)}, by_name, "step")
add("functional", {"listed outputs": two_outputs}, changed(lambda x, y: (x, (y, x[:, :1]))), "step")
unbuilt = keras.Sequential
add("model", {"unbuilt": lambda: compiled(unbuilt([dense(4), dense(1, "sigmoid")])), "frozen layer": frozen})
of_class = {
    "subclassed": lambda: compiled(Subclassed()),
    "nested logs": functional(lambda x: layers.Dense(4)(x), Nested),
    "own logs": functional(lambda x: layers.Dense(4)(x), Logged),
}
add("model", of_class, way="step")
untargeted = changed(lambda x, y: (x, None))
autoencoder = {"without targets": lambda: compiled(Autoencoder(), loss=None, metrics=None)}
add("model", autoencoder, untargeted, "step", given(validation_data=None))
for policy, expected_way in (("mixed_bfloat16", "step"), ("mixed_float16", "step"), ("float64", "fast")):
    add("model", {policy: partial(of_policy, policy)}, way=expected_way)
add("model", {"eager": partial(network, run_eagerly=True)}, way="fit")

# Arguments of fit


class StopsAtBegin(keras.callbacks.Callback):
    """Ends training as an epoch begins; Keras still trains its first batch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.model.stop_training = epoch == self.epoch


class Halves(keras.callbacks.Callback):
    """Changes weights between epochs."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])


class OnBatches(keras.callbacks.Callback):
    """Acts on batches."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.9 * self.model.optimizer.learning_rate


weight = np.linspace(0, 2, ROWS).astype("float32")
x, y, x_val, y_val = table()
stopping = partial(callbacks.EarlyStopping, min_delta=1.0)
quiet = partial(callbacks.LambdaCallback, on_epoch_end=lambda *_: None)
OPTIONS = {
    "fast": {
        "no validation": given(validation_data=None),
        "class_weight": given(class_weight={0: 3.0, 1: 0.5}),
        "class_weight, every epoch": called(callbacks.Callback, class_weight={0: 3.0}),
        "sample_weight": given(sample_weight=weight),
        "weights of validation": given(validation_data=(x_val, y_val, weight[:VALIDATION])),
        "integer targets of validation": given(validation_data=(x_val, y_val.astype("int64"))),
        "validation_split": given(validation_split=0.3, validation_data=None),
        "validation_batch_size": given(validation_batch_size=7),
        "initial_epoch": given(initial_epoch=2, epochs=5),
        "no epochs": given(epochs=0),
        "batch of 1": given(batch_size=1, epochs=1),
        "one batch": given(batch_size=500),
        "EarlyStopping": called(partial(stopping, patience=1), epochs=6),
        "EarlyStopping, restored": called(
            partial(stopping, min_delta=0.05, restore_best_weights=True), epochs=6
        ),
        "ReduceLROnPlateau": called(
            partial(callbacks.ReduceLROnPlateau, patience=0, min_delta=0.5), epochs=4
        ),
        "LearningRateScheduler": called(
            lambda: callbacks.LearningRateScheduler(lambda epoch, rate: rate / (1 + epoch))
        ),
        "LambdaCallback": called(quiet),
        "TerminateOnNaN": called(callbacks.TerminateOnNaN),
        "weights changed between epochs": called(Halves),
        "stopped as the first epoch begins": called(partial(StopsAtBegin, 0)),
        "stopped as an epoch begins": called(partial(StopsAtBegin, 2), epochs=5),
    },
    "step": {
        "validation_freq": given(validation_freq=2, epochs=5),
        "validation_freq, listed": given(validation_freq=[1, 4], epochs=4),
    },
    "fit": {
        "empty validation": given(validation_data=(x[:0], y[:0])),
        "hooks of batches": called(OnBatches),
        "steps_per_epoch": given(steps_per_epoch=2),
    },
}
for expected_way, options in OPTIONS.items():
    for name, option in options.items():
        add("fit", {name: network}, way=expected_way, options=option)
stops = called(partial(StopsAtBegin, 1))
own_step = functional(lambda x: layers.Dense(4)(x), Nested)
add("fit", {"stopped as an epoch begins, own step": own_step}, way="step", options=stops)
for rows in (1, 2, 17):
    add("fit", {f"{rows} rows": network}, partial(table, rows=rows))
