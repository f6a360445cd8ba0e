"""The 207 models that `refine.keras.fit` trains as ``model.fit`` does.

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
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, losses, metrics, ops, optimizers
from keras.optimizers import schedules

from refine.keras import balanced_accuracy, fmeasure, matthews
from refine.testing import _keras_parts as parts
from refine.testing._keras_parts import called, compiled, given, network, stack, table
from refine.testing.keras_fit import Examples, ModelCase, Way, compare_fits

Makers = dict[str, Callable[[], Any]]


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
    fast: Makers = {
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
    slow: Makers = {
        "clipnorm": partial(optimizers.Adam, 0.01, clipnorm=0.1),
        "global_clipnorm": partial(optimizers.SGD, 0.1, global_clipnorm=0.1),
        "EMA": partial(optimizers.Adam, 0.01, use_ema=True, ema_overwrite_frequency=3),
        "EMA, at the end": partial(optimizers.AdamW, 0.01, use_ema=True),
        "accumulation": partial(optimizers.Adam, 0.01, gradient_accumulation_steps=2),
        "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1)),
        "Adafactor": partial(optimizers.Adafactor, 0.01),
        "Lamb": partial(optimizers.Lamb, 0.01),
    }
    for name, make in (fast | slow).items():
        way: Way = "fast" if name in fast else "step"
        build = partial(network, optimizer=make)
        yield ModelCase(f"optimizer: {name}", build, table, way, short=name == "SGD, momentum")


def _losses() -> Iterator[ModelCase]:
    one = {"last": "sigmoid", "out": 1}
    soft = {"last": "softmax", "out": 3}
    linear = {"last": None, "out": 1}
    logits = {"last": None, "out": 3}
    binary, sparse = losses.BinaryCrossentropy, losses.SparseCategoricalCrossentropy
    listed: list[tuple[str, str, dict[str, Any], Any]] = [
        ("chosen by shapes", "binary", one, lambda: "crossentropy"),
        ("smoothed", "binary", one, partial(binary, label_smoothing=0.1)),
        ("from logits", "binary", linear, partial(binary, from_logits=True)),
        ("focal", "binary", one, losses.BinaryFocalCrossentropy),
        ("summed", "binary", one, partial(binary, reduction="sum")),
        ("weighted mean", "binary", one, partial(binary, reduction="mean_with_sample_weight")),
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
        ("sparse logits", "classes", logits, partial(sparse, from_logits=True)),
        ("ignored class", "classes", logits, partial(sparse, from_logits=True, ignore_class=0)),
        ("dice", "binary", one, lambda: "dice"),
        ("tversky", "binary", one, lambda: "tversky"),
        ("Tversky", "binary", one, losses.Tversky),
        ("own function", "binary", one, lambda: parts.own_loss),
        ("own class", "positive", linear, parts.OwnLoss),
    ]
    short = ("dice", "ignored class", "cosine, axis 0")
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
        "crossentropy": "binary_crossentropy",
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
        "F1 of a batch": parts.batch_f1,
        "built late": partial(parts.Largest),
        "wrapped": partial(metrics.MeanMetricWrapper, parts.batch_f1, "wrapped"),
        "under a known name": parts.named_as_known,
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
    dense, penalties = partial(layers.Dense, 4), keras.regularizers
    fast: Makers = {
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
        "L1 and L2": partial(dense, kernel_regularizer=penalties.L1L2(0.01, 0.01), bias_regularizer="l1"),
        "orthogonal regulariser": partial(dense, kernel_regularizer=penalties.OrthogonalRegularizer(0.01)),
        "own activation": partial(dense, activation=lambda x: ops.softmax(x, axis=0)),
    }
    slow: Makers = {
        "constraint": partial(dense, kernel_constraint="max_norm"),
        "UnitNormalization, axis 0": partial(layers.UnitNormalization, axis=0),
        "Softmax, axis 0": partial(layers.Softmax, axis=0),
        "SpectralNormalization": lambda: layers.SpectralNormalization(dense()),
        "Lambda": lambda: layers.Lambda(lambda x: x * 2),
        "Lambda across rows": lambda: layers.Lambda(lambda x: x - ops.mean(x, axis=0, keepdims=True)),
        "own, with a loss": parts.Penalised,
        "own, with a weight": parts.Scaled,
        "own, with state": parts.Counting,
        "own, across rows": parts.Averaged,
    }
    short = (
        "BatchNormalization",
        "Dropout",
        "own activation",
        "UnitNormalization, axis 0",
        "SpectralNormalization",
        "Lambda across rows",
    )
    for name, make in (fast | slow).items():
        way: Way = "fast" if name in fast else "step"
        yield ModelCase(f"layer: {name}", partial(network, make), table, way, short=name in short)


def _images() -> Iterator[ModelCase]:
    images = partial(parts.shaped, 8, 8, 2)
    conv = partial(layers.Conv2D, 3, 3, activation="relu")
    pool = layers.MaxPooling2D
    listed: dict[str, tuple[Callable[[], Any], ...]] = {
        "Conv2D": (conv, pool),
        "Conv2D, norm": (conv, layers.BatchNormalization, layers.GlobalAveragePooling2D),
        "Conv2D, group norm": (conv, partial(layers.GroupNormalization, 3), layers.GlobalMaxPooling2D),
        "Conv2D, spatial dropout": (conv, partial(layers.SpatialDropout2D, 0.3)),
        "SeparableConv2D": (partial(layers.SeparableConv2D, 3, 3),),
        "DepthwiseConv2D": (partial(layers.DepthwiseConv2D, 3),),
        "Conv2DTranspose": (partial(layers.Conv2DTranspose, 2, 3), partial(layers.AveragePooling2D, 2)),
        "padding, cropping": (layers.ZeroPadding2D, conv, layers.Cropping2D, layers.UpSampling2D),
        "Rescaling": (partial(layers.Rescaling, 0.5), conv),
    }
    for name, inner in listed.items():
        yield ModelCase(f"image: {name}", partial(stack, (8, 8, 2), *inner), images)
    for name, make in {
        "RandomFlip": partial(layers.RandomFlip, seed=1),
        "RandomTranslation": partial(layers.RandomTranslation, 0.2, 0.2, seed=1),
    }.items():
        yield ModelCase(f"image: {name}", partial(stack, (8, 8, 2), make, conv), images, "step")
    conv3d = partial(stack, (4, 4, 4, 1), partial(layers.Conv3D, 2, 2))
    yield ModelCase("image: Conv3D", conv3d, partial(parts.shaped, 4, 4, 4, 1))


def _series() -> Iterator[ModelCase]:
    lstm, gru = partial(layers.LSTM, 3), partial(layers.GRU, 3)
    sequence = {"return_sequences": True}
    listed: dict[str, tuple[Callable[[], Any], ...]] = {
        "Conv1D": (partial(layers.Conv1D, 3, 2), layers.MaxPooling1D),
        "LSTM": (lstm,),
        "GRU": (gru,),
        "SimpleRNN": (partial(layers.SimpleRNN, 3),),
        "two LSTM": (partial(lstm, **sequence), lstm),
        "Bidirectional": (lambda: layers.Bidirectional(lstm()),),
        "TimeDistributed": (lambda: layers.TimeDistributed(layers.Dense(3)), gru),
    }
    for name, inner in listed.items():
        yield ModelCase(f"series: {name}", partial(stack, (6, 3), *inner), parts.series)
    noisy = partial(lstm, dropout=0.2, recurrent_dropout=0.2, seed=1)
    yield ModelCase("series: LSTM, dropout", partial(stack, (6, 3), noisy), parts.series, "step", short=True)
    masked = partial(stack, (6, 3), layers.Masking)
    yield ModelCase("mask: Masking, LSTM", partial(masked, lstm), parts.padded, short=True)
    backwards = partial(masked, partial(gru, go_backwards=True))
    yield ModelCase("mask: Masking, GRU, backwards", backwards, parts.padded)
    pooled = partial(masked, layers.GlobalAveragePooling1D)
    yield ModelCase("mask: Masking, pooling", pooled, parts.padded)
    embedding = partial(layers.Embedding, 6, 4, mask_zero=True)
    way: Way = "step"
    yield ModelCase(
        "mask: none", partial(stack, (7,), partial(layers.Embedding, 6, 4), lstm), parts.tokens, way
    )
    yield ModelCase("mask: Embedding, LSTM", partial(stack, (7,), embedding, lstm), parts.tokens, way)
    steps = partial(parts.tokens, True)
    for name, inner in {
        "Embedding": (embedding,),
        "Embedding, LSTM": (embedding, partial(lstm, **sequence)),
        "Embedding, dropout": (embedding, partial(layers.Dropout, 0.2)),
    }.items():
        build = partial(parts.per_step, *inner)
        yield ModelCase(f"mask: {name}, per step", build, steps, way, short=name == "Embedding, dropout")
    last = partial(parts.per_step, layers.Masking, shape=(6, 3), loss="mse", metrics=["mae"])
    yield ModelCase("mask: Masking, per step", last, _padded_steps, way, short=True)
    yield ModelCase("series: per step", partial(parts.per_step, shape=(6, 3), loss="mse"), _padded_steps)
    for kind in (layers.MultiHeadAttention, layers.Attention, layers.AdditiveAttention):
        yield ModelCase(f"series: {kind.__name__}", partial(parts.attending, kind), parts.series)
    even = partial(parts.series, rows=40)
    validation = given(batch_size=10, validation_data=None)
    yield ModelCase("series: stateful LSTM", _stateful, even, "fit", validation)


def _padded_steps() -> Examples:
    x, _, x_val, _ = parts.padded()
    return Examples(x, x[:, :, :1], x_val, x_val[:, :, :1])


def _stateful() -> keras.Model:
    x = keras.Input(batch_shape=(10, 6, 3))
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(layers.LSTM(3, stateful=True)(x))))


def _structures() -> Iterator[ModelCase]:
    for name, inner in parts.INNER.items():
        yield ModelCase(f"functional: {name}", partial(parts.functional, inner), table)
    across = partial(parts.functional, parts.across)
    yield ModelCase("functional: across rows", across, table, "step", short=True)
    two_inputs, two_outputs, changed = parts.two_inputs, parts.two_outputs, parts.changed
    yield ModelCase("functional: two inputs", two_inputs, partial(changed, "inputs in two"))
    yield ModelCase("functional: named inputs", partial(two_inputs, True), partial(changed, "inputs by name"))
    yield ModelCase("functional: two outputs", two_outputs, partial(changed, "targets by name"), "step")
    listed = partial(two_outputs, False)
    yield ModelCase("functional: listed outputs", listed, partial(changed, "targets in two"), "step")
    yield ModelCase("model: unbuilt", parts.unbuilt, table, short=True)
    yield ModelCase("model: frozen layer", parts.frozen, table)
    yield ModelCase("model: subclassed", lambda: compiled(parts.Subclassed()), table, "step")
    yield ModelCase("model: nested logs", partial(parts.derived, parts.Nested), table, "step", short=True)
    yield ModelCase("model: own logs", partial(parts.derived, parts.Logged), table, "step")
    targetless, alone = partial(changed, "no targets"), given(validation_data=None)
    yield ModelCase("model: without targets", _autoencoder, targetless, "step", alone)
    ways: dict[str, Way] = {"mixed_bfloat16": "step", "mixed_float16": "step", "float64": "fast"}
    for policy, way in ways.items():
        yield ModelCase(f"model: {policy}", partial(parts.of_policy, policy), table, way)
    yield ModelCase("model: eager", partial(network, run_eagerly=True), table, "fit")


def _autoencoder() -> keras.Model:
    return compiled(parts.Autoencoder(), loss=None, metrics=None)


def _options() -> Iterator[ModelCase]:
    weight = np.linspace(0, 2, parts.ROWS).astype("float32")
    x, y, x_val, y_val = table()
    callbacks = keras.callbacks
    stopping, plateau = callbacks.EarlyStopping, callbacks.ReduceLROnPlateau
    scheduler = callbacks.LearningRateScheduler
    listed: dict[str, tuple[Callable[[], Any], Way]] = {
        "no validation": (given(validation_data=None), "fast"),
        "empty validation": (given(validation_data=(x[:0], y[:0])), "fit"),
        "class_weight": (given(class_weight={0: 3.0, 1: 0.5}), "fast"),
        "class_weight, every epoch": (called(callbacks.Callback, class_weight={0: 3.0}), "fast"),
        "sample_weight": (given(sample_weight=weight), "fast"),
        "weights of validation": (given(validation_data=(x_val, y_val, weight[: parts.VALIDATION])), "fast"),
        "integer targets of validation": (given(validation_data=(x_val, y_val.astype("int64"))), "fast"),
        "validation_split": (given(validation_split=0.3, validation_data=None), "fast"),
        "validation_freq": (given(validation_freq=2, epochs=5), "step"),
        "validation_freq, listed": (given(validation_freq=[1, 4], epochs=4), "step"),
        "validation_batch_size": (given(validation_batch_size=7), "fast"),
        "initial_epoch": (given(initial_epoch=2, epochs=5), "fast"),
        "no epochs": (given(epochs=0), "fast"),
        "batch of 1": (given(batch_size=1, epochs=1), "fast"),
        "one batch": (given(batch_size=500), "fast"),
        "EarlyStopping": (called(partial(stopping, min_delta=1.0, patience=1), epochs=6), "fast"),
        "EarlyStopping, restored": (
            called(partial(stopping, patience=0, min_delta=0.05, restore_best_weights=True), epochs=6),
            "fast",
        ),
        "ReduceLROnPlateau": (called(partial(plateau, patience=0, min_delta=0.5), epochs=4), "fast"),
        "LearningRateScheduler": (called(partial(scheduler, lambda epoch, rate: rate / (1 + epoch))), "fast"),
        "LambdaCallback": (called(lambda: callbacks.LambdaCallback(on_epoch_end=lambda *_: None)), "fast"),
        "TerminateOnNaN": (called(callbacks.TerminateOnNaN), "fast"),
        "weights changed between epochs": (called(parts.Halves), "fast"),
        "stopped as the first epoch begins": (called(partial(parts.StopsAtBegin, 0)), "fast"),
        "stopped as an epoch begins": (called(partial(parts.StopsAtBegin, 2), epochs=5), "fast"),
        "hooks of batches": (called(parts.OnBatches), "fit"),
        "steps_per_epoch": (given(steps_per_epoch=2), "fit"),
    }
    short = ("empty validation", "class_weight", "stopped as an epoch begins")
    for name, (options, way) in listed.items():
        yield ModelCase(f"fit: {name}", network, table, way, options, short=name in short)
    stops = called(partial(parts.StopsAtBegin, 1))
    own = partial(parts.derived, parts.Nested)
    yield ModelCase("fit: stopped as an epoch begins, own step", own, table, "step", stops)
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
    cases = model_cases(short=chosen.short)
    if chosen.words:
        cases = [case for case in cases if any(word in case.name for word in chosen.words)]
    wrong = 0
    say = partial(print, flush=True)
    say("| model | way | history | weights | why |\n|---|---|---|---|---|")
    for case in cases:
        try:
            comparison = compare_fits(case, chosen.epochs)
        except Exception as error:  # noqa: BLE001  # the other models are to be seen too
            wrong += 1
            first = str(error).strip().partition("\n")[0][:200]
            say(f"| {case.name} | **{type(error).__name__}** | | | {first} |")
            continue
        fine = comparison.is_equal and comparison.way == case.way
        wrong += not fine
        mark = "" if fine else f" **not {case.way} and equal**"
        say(
            f"| {comparison.name} | {comparison.way}{mark} | {comparison.history:.0e} | {comparison.weights:.0e} | {comparison.reason} |"
        )
    say(f"\n{len(cases)} models, {wrong} of them not as they should be")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
