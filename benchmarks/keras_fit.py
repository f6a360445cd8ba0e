"""Time per configuration: `refine.keras.fit` beside `model.fit`, one after the other in one process.

    python benchmarks/keras_fit.py --epochs 150 60
    python benchmarks/keras_fit.py --only accelerate --configurations 6

Every training runs as a trial does: one TensorFlow thread, a cleared session, its own seed. Building and
tracing count. Prints Markdown.
"""

from __future__ import annotations

import functools
import itertools
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from tables import parser, table

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SEEDS = itertools.count(1)  # every trial has its own


class Timed(NamedTuple):
    """One training: seconds on the clock, seconds of the processor, validation accuracy."""

    wall: float
    cpu: float
    accuracy: float


def configurations(number: int) -> list[dict[str, Any]]:
    """Configurations spread over the article's dictionary, the same in every run."""
    import random

    import keras

    axes = {
        "lr": [0.5, 1.4, 2.75, 4.1],
        "first_neuron": [4, 8, 16, 32, 64],
        "hidden_layers": [0, 1, 2],
        "batch_size": [2, 7, 13, 18, 24, 30],
        "dropout": [0.0, 0.1, 0.2, 0.3, 0.4],
        "shape": ["brick", "long_funnel"],
        "optimizer": [keras.optimizers.Adam, keras.optimizers.Nadam, keras.optimizers.RMSprop],
        "losses": [keras.losses.log_cosh, keras.losses.binary_crossentropy],
        "activation": ["relu", "elu"],
    }
    grid = list(itertools.product(*axes.values()))
    chosen = random.Random(0).sample(grid, number)
    # Batches decide over the time, so they are spread evenly instead.
    found = [dict(zip(axes, values, strict=True)) for values in chosen]
    for i, params in enumerate(found):
        params["batch_size"] = axes["batch_size"][i % len(axes["batch_size"])]
    return found


def document(shape: tuple[int, ...], params: dict[str, Any]) -> Any:
    """The article's model."""
    import keras

    from refine.keras import fmeasure, hidden_layers, lr_normalizer

    model = keras.Sequential([keras.Input(shape)])
    model.add(keras.layers.Dense(10, activation=params["activation"], kernel_initializer="normal"))
    model.add(keras.layers.Dropout(params["dropout"]))
    hidden_layers(model, params, 1)
    model.add(keras.layers.Dense(1, activation="sigmoid", kernel_initializer="normal"))
    rate = lr_normalizer(params["lr"], params["optimizer"])
    model.compile(params["optimizer"](learning_rate=rate), params["losses"], metrics=["acc", fmeasure])
    return model


def train(build: Any, params: dict[str, Any], data: Any, epochs: int, *, fast: bool) -> Timed:
    """Builds and trains one model as a trial would."""
    import gc

    from refine.keras import fit
    from refine.keras._session import own_session

    x, y, x_val, y_val = data
    start, cpu = time.perf_counter(), time.process_time()
    with own_session(next(SEEDS)):
        model = build(x.shape[1:], params)
        options = {"validation_data": (x_val, y_val), "batch_size": params["batch_size"], "verbose": 0}
        run = functools.partial(fit, model) if fast else model.fit
        history = run(x, y, epochs=epochs, **options)
        accuracy = history.history["val_acc"][-1]
    del model, history, run
    gc.collect()
    return Timed(time.perf_counter() - start, time.process_time() - cpu, accuracy)


def described(params: dict[str, Any]) -> str:
    """A configuration in a few words."""
    return f"batch {params['batch_size']}, {params['hidden_layers']} hidden, {params['optimizer'].__name__}"


def pairs(ways: Iterable[str], trained: Iterable[tuple[str, Timed, Timed]]) -> None:
    """Prints a table of trainings both ways."""
    each = []

    def rows() -> Iterator[list[str]]:
        for name, slow, quick in trained:
            each.append((slow, quick))
            took = f"{slow.wall:.2f}", f"{quick.wall:.2f}", f"{slow.wall / quick.wall:.1f}"
            yield [name, *took, f"{slow.cpu / quick.cpu:.1f}", *(f"{t.accuracy:.3f}" for t in each[-1])]

    table(["", *ways, "ratio", "of CPU time", "accuracy", "accuracy"], rows())
    for name, i in (("ratio", 0), ("ratio of CPU time", 1)):
        ratios = [slow[i] / quick[i] for slow, quick in each]
        print(f"Median {name} {statistics.median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}.")
    means = [statistics.mean(pair[i].accuracy for pair in each) for i in (0, 1)]
    print(f"Mean accuracy {means[0]:.3f} and {means[1]:.3f}.\n", flush=True)


def heavy(epochs: int) -> None:
    """Prints what an epoch takes of models whose arithmetic counts: from as many epochs less one, so that tracing falls out."""
    import keras
    import numpy as np

    layers = keras.layers

    def compiled(inputs: Any, outputs: Any) -> Any:
        model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(outputs))
        model.compile("adam", "binary_crossentropy", metrics=["acc"])
        return model

    def recurrent(layer: Any, units: int, shape: tuple[int, ...], params: dict[str, Any]) -> Any:
        model = keras.Sequential([keras.Input(shape), layer(units), layers.Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["acc"])
        return model

    def residual(shape: tuple[int, ...], params: dict[str, Any]) -> Any:
        inputs = keras.Input(shape)
        x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
        for _ in range(2):
            y = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(x))
            x = layers.Activation("relu")(layers.Add()([x, layers.Conv2D(16, 3, padding="same")(y)]))
        return compiled(inputs, layers.GlobalAveragePooling2D()(x))

    def transformer(shape: tuple[int, ...], params: dict[str, Any]) -> Any:
        inputs = keras.Input(shape)
        x = layers.Dense(32)(inputs)
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 16)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(32)(layers.Dense(64, activation="relu")(x)))
        return compiled(inputs, layers.GlobalAveragePooling1D()(x))

    rng = np.random.default_rng(0)
    cases = [
        ("LSTM, 32 units, 50 steps", functools.partial(recurrent, layers.LSTM, 32), (50, 8)),
        ("LSTM, 8 units, 10 steps", functools.partial(recurrent, layers.LSTM, 8), (10, 4)),
        ("GRU, 32 units, 50 steps", functools.partial(recurrent, layers.GRU, 32), (50, 8)),
        ("two residual blocks, 16 x 16 pixels", residual, (16, 16, 3)),
        ("transformer block, 32 x 32", transformer, (32, 16)),
    ]

    def row(name: str, build: Any, shape: tuple[int, ...], size: int) -> list[str]:
        x = rng.normal(size=(512, *shape)).astype("float32")
        y = (x.reshape(512, -1).mean(axis=1) > 0).astype("float32")
        data, each = (x[:384], y[:384], x[384:], y[384:]), []
        for fast in (False, True):
            one, many = (
                [train(build, {"batch_size": size}, data, count, fast=fast) for _ in range(2)]
                for count in (1, 1 + epochs)
            )
            each += [(min(t[i] for t in many) - min(t[i] for t in one)) / epochs * 1e3 for i in range(2)]
        slow, slow_cpu, quick, quick_cpu = each
        ratios = f"{slow / quick:.2f}", f"{slow_cpu / quick_cpu:.2f}"
        return [name, str(size), f"{slow:.0f}", f"{quick:.0f}", *ratios]

    head = ["model", "batch", "`model.fit`, ms an epoch", "`refine.keras.fit`", "ratio", "of CPU time"]
    table(head, (row(*case, size) for case in cases for size in (8, 64)))


def trial(seed: int) -> SimpleNamespace:
    """What an objective receives, without a round."""
    return SimpleNamespace(seed=seed, report=lambda epoch, metrics: None)


def unchanged(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    """The article's function: it calls `model.fit`."""
    model = document(x_train.shape[1:], params)
    options = {name: params[name] for name in ("batch_size", "epochs")}
    return model.fit(x_train, y_train, validation_data=(x_val, y_val), verbose=0, **options), model


def accelerated(data: Any, number: int, epochs: int) -> None:
    """Prints what a trial of the unchanged function takes, as it is and with ``accelerate=True``."""
    import numpy as np

    from refine.keras import KerasObjective

    x, y = np.concatenate([data[0], data[2]]), np.concatenate([data[1], data[3]])
    plain, fast = (KerasObjective(unchanged, x, y, accelerate=flag) for flag in (False, True))
    fast(configurations(1)[0] | {"activation": "tanh", "epochs": 1}, trial(0))

    def timed(objective: Any, params: dict[str, Any], seed: int) -> Timed:
        start, cpu = time.perf_counter(), time.process_time()
        metrics = objective(params | {"epochs": epochs}, trial(seed))
        return Timed(time.perf_counter() - start, time.process_time() - cpu, metrics["val_acc"])

    chosen = enumerate(configurations(number), 1)
    trained = ((described(p), timed(plain, p, i), timed(fast, p, i)) for i, p in chosen)
    pairs(["unchanged", "`accelerate=True`"], trained)


def resident() -> float:
    """Memory of this process that is in use, in MB."""
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def growth(data: Any, number: int) -> None:
    """Prints how memory grows over short trainings of changing structure."""
    from refine.keras import _traces

    chosen = configurations(100)
    empty = resident()
    for params in chosen[:50]:  # fills the cache of traces
        train(document, params, data, 1, fast=True)
    before, start = resident(), time.perf_counter()
    print(f"{len(_traces._traces)} traces: {before - empty:+.0f} MB of memory\n")
    for i in range(number):
        train(document, chosen[i % len(chosen)] | {"first_neuron": 4 + i % 60}, data, 1, fast=True)
    each = (time.perf_counter() - start) / number
    print(
        f"{number} configurations of one epoch: {resident() - before:+.0f} MB of memory, {each:.2f} s each\n",
        flush=True,
    )


def main() -> None:
    """Runs and prints."""
    options = parser(__doc__, configurations=12, memory=500)
    options.add_argument("--epochs", type=int, nargs="+", default=[150, 60])
    parts = ["cancer", "accelerate", "heavy", "memory"]
    options.add_argument(
        "--only", nargs="+", choices=parts, default=parts, help="memory is clearest in a process of its own"
    )
    a = options.parse_args()

    from sklearn.datasets import load_breast_cancer

    from refine.keras._session import prepare

    prepare(1)
    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
    cancer = (x[:398], y[:398], x[398:], y[398:])
    for fast in (True, False):  # what only the first model of a process pays, whatever its structure
        train(document, configurations(1)[0] | {"activation": "tanh"}, cancer, 1, fast=fast)
    if "cancer" in a.only:
        for epochs in a.epochs:
            print(f"{epochs} epochs of the article's model, 398 rows; seconds with building and tracing:\n")
            ways = (
                (described(p), *(train(document, p, cancer, epochs, fast=fast) for fast in (False, True)))
                for p in configurations(a.configurations)
            )
            pairs(["`model.fit`", "`refine.keras.fit`"], ways)
    if "accelerate" in a.only:
        accelerated(cancer, a.configurations, a.epochs[0])
    if "heavy" in a.only:
        heavy(10)
    if "memory" in a.only:
        growth(cancer, a.memory)


if __name__ == "__main__":
    main()
