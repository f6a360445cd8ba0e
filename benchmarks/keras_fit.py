"""Time per configuration: `refine.keras.fit` beside `model.fit`, one after the other in one process.

    python benchmarks/keras_fit.py --epochs 150 --epochs 60

Every training runs as a trial does: one TensorFlow thread, a cleared session, its own seed. Building and
tracing count. Prints Markdown.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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


def convolutional(shape: tuple[int, ...], params: dict[str, Any]) -> Any:
    """A small image classifier."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
    return model


def wide(shape: tuple[int, ...], params: dict[str, Any]) -> Any:
    """A perceptron with two wide layers."""
    import keras

    layers = keras.layers
    hidden = [layers.Dense(params["width"], activation="relu") for _ in range(2)]
    model = keras.Sequential(
        [keras.Input(shape), layers.Flatten(), *hidden, layers.Dense(10, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
    return model


def train(build: Any, params: dict[str, Any], data: Any, epochs: int, *, fast: bool) -> Timed:
    """Builds and trains one model as a trial would."""
    import gc

    from refine.keras import fit
    from refine.keras._session import own_session

    x, y, x_val, y_val = data
    train.seed += 1  # type: ignore[attr-defined]  # every trial has its own
    start, cpu = time.perf_counter(), time.process_time()
    with own_session(train.seed):  # type: ignore[attr-defined]
        model = build(x.shape[1:], params)
        options = {"validation_data": (x_val, y_val), "batch_size": params["batch_size"], "verbose": 0}
        run = functools.partial(fit, model) if fast else model.fit
        history = run(x, y, epochs=epochs, **options)
        accuracy = history.history["val_acc"][-1]
    del model, history, run
    gc.collect()
    return Timed(time.perf_counter() - start, time.process_time() - cpu, accuracy)


train.seed = 0  # type: ignore[attr-defined]


def table(build: Any, chosen: list[dict[str, Any]], data: Any, epochs: int, describe: Any) -> None:
    """Trains every configuration both ways and prints a table."""
    print("| | `model.fit` | `refine.keras.fit` | ratio | of CPU time | accuracy | accuracy |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    pairs = []
    for params in chosen:
        slow = train(build, params, data, epochs, fast=False)
        quick = train(build, params, data, epochs, fast=True)
        pairs.append((slow, quick))
        print(
            f"| {describe(params)} | {slow.wall:.2f} | {quick.wall:.2f} | {slow.wall / quick.wall:.1f} "
            f"| {slow.cpu / quick.cpu:.1f} | {slow.accuracy:.3f} | {quick.accuracy:.3f} |",
            flush=True,
        )
    for name, ratios in (
        ("ratio", [slow.wall / quick.wall for slow, quick in pairs]),
        ("ratio of CPU time", [slow.cpu / quick.cpu for slow, quick in pairs]),
    ):
        print(
            f"\nMedian {name} {statistics.median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}.",
            end="",
        )
    mean_slow, mean_quick = (statistics.mean(pair[i].accuracy for pair in pairs) for i in (0, 1))
    print(f"\nMean accuracy {mean_slow:.3f} and {mean_quick:.3f}.\n", flush=True)


def structure(data: Any, number: int, epochs: int) -> None:
    """Prints what trainings of one structure take, compiled to one program beside the others; compiling counts."""
    from refine.keras import fit
    from refine.keras._session import own_session

    chosen = [
        params | {"hidden_layers": 1, "dropout": 0.2 + i / 1000}
        for i, params in enumerate(configurations(number))
    ]
    chosen = [
        {**p, **{k: chosen[0][k] for k in ("optimizer", "losses", "activation", "first_neuron")}}
        for p in chosen
    ]
    x, y, x_val, y_val = data
    ways = {
        "`model.fit`": lambda model: model.fit,
        "`refine.keras.fit`": lambda model: functools.partial(fit, model, compiled=False),
        "`compiled=True`": lambda model: functools.partial(fit, model, compiled=True),
    }
    print("| batch | " + " | ".join(ways) + " | ratio | of CPU time |\n|---:|" + "---:|" * (len(ways) + 2))
    totals = dict.fromkeys(ways, Timed(0.0, 0.0, 0.0))
    for seed, params in enumerate(chosen, 1):
        each = []
        for name, way in ways.items():
            start, cpu = time.perf_counter(), time.process_time()
            with own_session(seed):
                model = document(x.shape[1:], params)
                run = way(model)
                run(
                    x,
                    y,
                    validation_data=(x_val, y_val),
                    batch_size=params["batch_size"],
                    epochs=epochs,
                    verbose=0,
                )
            each.append(Timed(time.perf_counter() - start, time.process_time() - cpu, 0.0))
            totals[name] = Timed(*(a + b for a, b in zip(totals[name], each[-1], strict=True)))
        print(
            f"| {params['batch_size']} | "
            + " | ".join(f"{t.wall:.2f}" for t in each)
            + f" | {each[0].wall / each[-1].wall:.1f} | {each[0].cpu / each[-1].cpu:.1f} |",
            flush=True,
        )
    slow, *_, quick = totals.values()
    print(
        "| all | "
        + " | ".join(f"{t.wall:.1f}" for t in totals.values())
        + f" | {slow.wall / quick.wall:.1f} | {slow.cpu / quick.cpu:.1f} |\n",
        flush=True,
    )


def by_hand(data: Any, widths: tuple[int, ...], batch: int) -> Any:
    """A loop over epochs and batches of a dense network with Adam, written for it alone and compiled by XLA."""
    import numpy as np
    import tensorflow as tf

    x, y = (tf.constant(part, tf.float32) for part in data[:2])
    y = y[:, None]
    shapes, before = [], x.shape[1]
    for width in widths:
        shapes += [(before, width), (width,)]
        before = width
    sizes = [int(np.prod(shape)) for shape in shapes]
    count = x.shape[0] // batch * batch  # whole batches only, which spares it what the last one needs

    def step(i: Any, w: Any, m: Any, v: Any, t: Any, order: Any) -> tuple[Any, ...]:
        rows = tf.gather(order, i * batch + tf.range(batch))
        with tf.GradientTape() as tape:
            tape.watch(w)
            parts = [tf.reshape(p, s) for p, s in zip(tf.split(w, sizes), shapes, strict=True)]
            h = tf.gather(x, rows)
            for k in range(0, len(parts), 2):
                h = tf.matmul(h, parts[k]) + parts[k + 1]
                h = tf.nn.relu(h) if k + 2 < len(parts) else tf.sigmoid(h)
            h = tf.clip_by_value(h, 1e-7, 1 - 1e-7)
            target = tf.gather(y, rows)
            loss = -tf.reduce_mean(target * tf.math.log(h) + (1 - target) * tf.math.log(1 - h))
        g = tape.gradient(loss, w)
        m, v, t = m + 0.1 * (g - m), v + 0.001 * (g * g - v), t + 1.0
        rate = 0.001 * tf.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return i + 1, w - rate * m / (tf.sqrt(v) + 1e-7), m, v, t, order

    @tf.function(autograph=False, jit_compile=True)
    def epochs(w: Any, orders: Any) -> Any:
        def epoch(e: Any, w: Any, m: Any, v: Any, t: Any) -> tuple[Any, ...]:
            state = (tf.constant(0), w, m, v, t, orders[e])
            _, w, m, v, t, _ = tf.while_loop(lambda i, *_: i < count // batch, step, state)
            return e + 1, w, m, v, t

        start = (tf.constant(0), w, tf.zeros_like(w), tf.zeros_like(w), tf.zeros(()))
        return tf.while_loop(lambda e, *_: e < orders.shape[0], epoch, start)[1]

    rng = np.random.default_rng(0)
    weights = tf.constant(rng.normal(0, 0.1, sum(sizes)), tf.float32)

    def run(number: int) -> int:
        orders = np.argsort(rng.random((number, x.shape[0])), axis=1)
        epochs(weights, tf.constant(orders, tf.int32)).numpy()
        return number * (count // batch)

    return run


def a_step(run: Any, most: int) -> float:
    """Microseconds of processor time a step: of 64 and of ``most`` epochs, the best of three each, so that what is done once falls out."""
    times = []
    for number in (64, most):
        run(number)
        found = []
        for _ in range(3):
            cpu = time.process_time()
            steps = run(number)
            found.append(time.process_time() - cpu)
        times.append((steps, min(found)))
    (few, short), (many, long) = times
    return (long - short) / (many - few) * 1e6


def limit(data: Any) -> None:
    """Prints what a step takes beside a loop that is written by hand for one network, without validation and metrics."""
    import keras

    from refine.keras import fit
    from refine.keras._session import own_session

    def network(widths: tuple[int, ...]) -> Any:
        inner = [keras.layers.Dense(n, activation="relu") for n in widths[:-1]]
        model = keras.Sequential(
            [keras.Input(data[0].shape[1:]), *inner, keras.layers.Dense(1, activation="sigmoid")]
        )
        model.compile("adam", "binary_crossentropy")
        return model

    def fitted(widths: tuple[int, ...], size: int, compiled: bool) -> Any:
        def run(number: int) -> int:
            with own_session(1):
                fit(network(widths), *data[:2], epochs=number, batch_size=size, compiled=compiled)
            return number * -(-len(data[0]) // size)

        return run

    print(
        "| layers | batch | `refine.keras.fit`, us a step | `compiled=True` | by hand | ratio to that | by hand in JAX |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    networks, sizes = ((10, 1), (10, 16, 16, 1), (10, 64, 64, 1)), (4, 8, 32)
    of_jax = iter(in_jax(data, [(widths, size) for widths in networks for size in sizes]))
    for widths in networks:
        for size in sizes:
            each = []
            # Building a model takes as long as thousands of compiled steps, so that it takes many to see them.
            runs = (
                (fitted(widths, size, False), 192),
                (fitted(widths, size, True), 1088),
                (by_hand(data, widths, size), 1088),
            )
            each += [a_step(run, most) for run, most in runs]
            names = "-".join(map(str, widths))
            print(
                f"| {names} | {size} | "
                + " | ".join(f"{t:.0f}" for t in each)
                + f" | {each[1] / each[2]:.1f} | {next(of_jax)} |",
                flush=True,
            )
    print()


def in_jax(data: Any, cases: list[tuple[tuple[int, ...], int]]) -> list[str]:
    """What a step takes in JAX, in the environment that `make backends` makes; dashes where there is none."""
    import numpy as np

    root = Path(__file__).parents[1]
    python = root / ".venv-backends" / "bin" / "python"
    if not python.exists():
        print("No JAX: make backends installs it.\n")
        return ["-"] * len(cases)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "data.npz"
        np.savez(place, x=np.asarray(data[0]), y=np.asarray(data[1]))
        command = [str(python), str(root / "benchmarks" / "jax_by_hand.py"), str(place), json.dumps(cases)]
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"  # one thread, as everywhere here
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return [f"{taken:.0f}" for taken in json.loads(done.stdout)]


def heavy(epochs: int) -> None:
    """Prints what an epoch takes of models whose arithmetic counts: from as many epochs less one, so that tracing falls out."""
    import keras
    import numpy as np

    layers = keras.layers

    def recurrent(layer: Any, units: int, shape: tuple[int, ...], params: dict[str, Any]) -> Any:
        inner = [layers.Dense(1, activation="sigmoid")]
        return finished([keras.Input(shape), layer(units), *inner], "binary_crossentropy")

    def finished(parts: list[Any], loss: str) -> Any:
        model = keras.Sequential(parts)
        model.compile("adam", loss, metrics=["acc"])
        return model

    def residual(shape: tuple[int, ...], params: dict[str, Any]) -> Any:
        inputs = keras.Input(shape)
        x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
        for _ in range(2):
            y = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(x))
            x = layers.Activation("relu")(layers.Add()([x, layers.Conv2D(16, 3, padding="same")(y)]))
        x = layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
        model = keras.Model(inputs, x)
        model.compile("adam", "binary_crossentropy", metrics=["acc"])
        return model

    def transformer(shape: tuple[int, ...], params: dict[str, Any]) -> Any:
        inputs = keras.Input(shape)
        x = layers.Dense(32)(inputs)
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 16)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(32)(layers.Dense(64, activation="relu")(x)))
        x = layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling1D()(x))
        model = keras.Model(inputs, x)
        model.compile("adam", "binary_crossentropy", metrics=["acc"])
        return model

    rng = np.random.default_rng(0)
    cases = [
        ("LSTM, 32 units, 50 steps", functools.partial(recurrent, layers.LSTM, 32), (50, 8)),
        ("LSTM, 8 units, 10 steps", functools.partial(recurrent, layers.LSTM, 8), (10, 4)),
        ("GRU, 32 units, 50 steps", functools.partial(recurrent, layers.GRU, 32), (50, 8)),
        ("two residual blocks, 16 x 16 pixels", residual, (16, 16, 3)),
        ("transformer block, 32 x 32", transformer, (32, 16)),
    ]
    print("| model | batch | `model.fit`, ms an epoch | `refine.keras.fit` | ratio | of CPU time |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, build, shape in cases:
        x = rng.normal(size=(512, *shape)).astype("float32")
        y = (x.reshape(512, -1).mean(axis=1) > 0).astype("float32")
        data = (x[:384], y[:384], x[384:], y[384:])
        for size in (8, 64):
            each = []
            for fast in (False, True):
                one, many = (
                    [train(build, {"batch_size": size}, data, count, fast=fast) for _ in range(2)]
                    for count in (1, 1 + epochs)
                )
                each.append(
                    [(min(t[i] for t in many) - min(t[i] for t in one)) / epochs * 1e3 for i in range(2)]
                )
            (slow, slow_cpu), (quick, quick_cpu) = each
            print(
                f"| {name} | {size} | {slow:.0f} | {quick:.0f} | {slow / quick:.2f} | {slow_cpu / quick_cpu:.2f} |",
                flush=True,
            )
    print()


def loops(data: Any, epochs: int) -> None:
    """Prints what a step of the two loops takes: one for plain models, one that runs a model's own `train_step`."""
    import keras

    class Own(keras.layers.Dense):
        """Keras' own layer under a name of ours, which is enough for a model not to be plain."""

    def build(layer: Any, shape: tuple[int, ...], params: dict[str, Any]) -> Any:
        model = keras.Sequential(
            [keras.Input(shape), layer(params["units"], activation="relu"), layer(1, activation="sigmoid")]
        )
        model.compile("adam", "binary_crossentropy", metrics=["acc"])
        return model

    print("| batch | plain, us a step | own `train_step`, us a step | ratio |")
    print("|---:|---:|---:|---:|")
    for size in (4, 16, 64):
        params = {"batch_size": size, "units": 16}
        steps = -(-len(data[0]) // size) * epochs
        each = []
        for layer in (keras.layers.Dense, Own):
            make = functools.partial(build, layer)
            # Twice as many epochs less as many: what building and tracing take falls out.
            seconds = [
                min(train(make, params, data, count, fast=True).wall for _ in range(3))
                for count in (epochs, 2 * epochs)
            ]
            each.append((seconds[1] - seconds[0]) / steps * 1e6)
        print(f"| {size} | {each[0]:.0f} | {each[1]:.0f} | {each[0] / each[1]:.2f} |", flush=True)
    print()


class Trial:
    """What an objective receives, without a round."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def report(self, epoch: int, metrics: Any) -> None:
        """Nothing is kept."""


def unchanged(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    """The article's function: it calls `model.fit`."""
    model = document(x_train.shape[1:], params)
    history = model.fit(
        x_train,
        y_train,
        validation_data=(x_val, y_val),
        batch_size=params["batch_size"],
        epochs=params["epochs"],
        verbose=0,
    )
    return history, model


def accelerated(data: Any, number: int, epochs: int) -> None:
    """Prints what a trial of the unchanged function takes, as it is and with ``accelerate=True``."""
    import numpy as np

    from refine.keras import KerasObjective

    x, y = np.concatenate([data[0], data[2]]), np.concatenate([data[1], data[3]])
    plain, fast = (KerasObjective(unchanged, x, y, accelerate=flag) for flag in (False, True))
    fast(configurations(1)[0] | {"activation": "tanh", "epochs": 1}, Trial(0))
    print("| | unchanged | `accelerate=True` | ratio | of CPU time | accuracy | accuracy |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    ratios = []
    for seed, params in enumerate(configurations(number), 1):
        found = []
        for objective in (plain, fast):
            start, cpu = time.perf_counter(), time.process_time()
            metrics = objective(params | {"epochs": epochs}, Trial(seed))
            found.append(Timed(time.perf_counter() - start, time.process_time() - cpu, metrics["val_acc"]))
        slow, quick = found
        ratios.append((slow.wall / quick.wall, slow.cpu / quick.cpu))
        name = (
            f"batch {params['batch_size']}, {params['hidden_layers']} hidden, {params['optimizer'].__name__}"
        )
        print(
            f"| {name} | {slow.wall:.2f} | {quick.wall:.2f} | {ratios[-1][0]:.1f} | {ratios[-1][1]:.1f} "
            f"| {slow.accuracy:.3f} | {quick.accuracy:.3f} |",
            flush=True,
        )
    wall, cpu = (statistics.median(ratio[i] for ratio in ratios) for i in (0, 1))
    print(f"\nMedian ratio {wall:.1f}, of CPU time {cpu:.1f}.\n", flush=True)


def mixture(number: int, epochs: int) -> None:
    """Prints what the first trials of the article's round take, compiled and not, one after the other in one process."""
    import sys

    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    import breast_cancer

    import refine
    from refine.keras import KerasObjective, _plain

    x, y = load_breast_cancer(return_X_y=True)
    ways = {
        way: KerasObjective(
            breast_cancer.breast_cancer_model, x, y, preprocess=StandardScaler(), accelerate=way
        )
        for way in (False, "compiled")
    }
    space = refine.Space.from_talos(breast_cancer.p)
    with tempfile.TemporaryDirectory() as folder, refine.Tree("t", store=Path(folder) / "t.db") as tree:
        found = tree.add_round(space, ways[False], metric="val_acc", n=1800, seed=7)
        chosen = [space.configuration(cell) for cell in found.cells(number)]
    _plain._most_traces = lambda: 1000  # for both ways, as a process has for one
    first, later = [], []
    spent = dict.fromkeys(ways, 0.0)
    furthest, other = 0.0, 0
    for seed, params in enumerate(chosen):
        values = []
        programs = len(_plain._traces)
        for way, objective in ways.items():
            cpu = time.process_time()
            values.append(objective({**params, "epochs": epochs}, Trial(seed)))
            cpu = time.process_time() - cpu
            spent[way] += cpu
            if way == "compiled":
                (first if len(_plain._traces) > programs else later).append(cpu)
            programs = len(_plain._traces)
        slow, quick = values
        furthest = max(furthest, abs(slow["val_loss"] - quick["val_loss"]) / (1 + abs(slow["val_loss"])))
        other += slow["val_acc"] != quick["val_acc"]
    print(f"{number} configurations of {epochs} epochs, seconds of CPU time a trial:\n")
    print("| `refine.keras.fit` | compiled | of these, that compile | others | programs |")
    print("|---:|---:|---:|---:|---:|")
    print(
        f"| {spent[False] / number:.2f} | {spent['compiled'] / number:.2f} | {statistics.mean(first):.2f} "
        f"| {statistics.mean(later):.2f} | {len(first)} |\n"
    )
    print(f"val_loss is up to {furthest:.0e} apart; val_acc differs in {other}.\n", flush=True)


def pruned(data: Any, epochs: int) -> None:
    """Prints what an epoch takes in a round with a pruner that stops nothing, beside one without."""
    import keras

    from refine.design.pruning import Limit
    from refine.run.objective import RunningTrial, _running

    class Own(keras.layers.Dense):
        """Keras' own layer under a name of ours, which is enough for a model not to be plain."""

    def build(layer: Any, shape: tuple[int, ...], params: dict[str, Any]) -> Any:
        model = keras.Sequential([keras.Input(shape), keras.layers.Dense(10), layer(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["acc"])
        return model

    def each(make: Any, size: int, limit: Any) -> float:
        here = _running.set(RunningTrial(1, limit))
        try:
            return train(make, {"batch_size": size}, data, epochs, fast=True).cpu
        finally:
            _running.reset(here)

    met = Limit("val_acc", 1.0, 3, (-1.0,) * epochs)
    print("| step | batch | without a pruner, ms an epoch | with one | ratio |")
    print("|---|---:|---:|---:|---:|")
    for name, layer in (("short", keras.layers.Dense), ("Keras' own", Own)):
        make = functools.partial(build, layer)
        for size in (64, 16, 4):
            each(make, size, None), each(make, size, met)
            pairs = [(each(make, size, None), each(make, size, met)) for _ in range(5)]
            free, watched = (statistics.median(pair[i] for pair in pairs) / epochs * 1e3 for i in (0, 1))
            print(f"| {name} | {size} | {free:.2f} | {watched:.2f} | {watched / free:.2f} |", flush=True)
    print()


def resident() -> float:
    """Memory of this process that is in use, in MB."""
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def growth(data: Any, number: int) -> None:
    """Prints how memory grows over short trainings of changing structure."""
    from refine.keras import _plain

    chosen = configurations(100)
    empty = resident()
    for params in chosen[:50]:  # fills the cache of traces
        train(document, params, data, 1, fast=True)
    before, start = resident(), time.perf_counter()
    print(f"{len(_plain._traces)} traces: {before - empty:+.0f} MB of memory\n")
    for i in range(number):
        train(document, chosen[i % len(chosen)] | {"first_neuron": 4 + i % 60}, data, 1, fast=True)
    each = (time.perf_counter() - start) / number
    print(
        f"{number} configurations of one epoch: {resident() - before:+.0f} MB of memory, {each:.2f} s each\n",
        flush=True,
    )


def left_behind(data: Any, number: int) -> None:
    """Prints what trainings with `model.fit` leave in memory after a cleared session, and after a trial's."""
    import gc

    import keras

    def leave(seed: int) -> None:
        keras.utils.set_random_seed(seed)
        params = chosen[seed % len(chosen)]
        document(data[0].shape[1:], params).fit(*data[:2], epochs=1, verbose=0, validation_data=data[2:])
        keras.utils.clear_session()
        gc.collect()

    chosen = [params | {"batch_size": 18} for params in configurations(12)]
    found = []
    for run in (lambda i: train(document, chosen[i % 12], data, 1, fast=False), leave):
        for i in range(12):
            run(i)
        before = resident()
        for i in range(number):
            run(i)
        found.append((resident() - before) / number)
    print(
        f"`model.fit`, MB left by a training: {found[0]:.1f} as a trial, {found[1]:.1f} with `clear_session`\n"
    )


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, action="append", help="repeatable; 150 and 60 by default")
    parser.add_argument("--configurations", type=int, default=12)
    parser.add_argument("--memory", type=int, default=500, help="configurations of the memory test")
    parts = [
        "cancer",
        "digits",
        "accelerate",
        "structure",
        "round",
        "limit",
        "heavy",
        "loops",
        "pruner",
        "memory",
        "left",
    ]
    parser.add_argument(
        "--only", choices=parts, help="one part alone; memory is clearest in a process of its own"
    )
    arguments = parser.parse_args()

    from sklearn.datasets import load_breast_cancer, load_digits

    from refine.keras._session import prepare

    prepare(1)
    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
    cancer = (x[:398], y[:398], x[398:], y[398:])
    for fast in (True, False):  # what only the first model of a process pays, whatever its structure
        train(document, configurations(1)[0] | {"activation": "tanh"}, cancer, 1, fast=fast)
    for epochs in (arguments.epochs or [150, 60]) if arguments.only in (None, "cancer") else []:
        print(f"{epochs} epochs of the article's model, 398 rows; seconds with building and tracing:\n")

        def describe(p: dict[str, Any]) -> str:
            return f"batch {p['batch_size']}, {p['hidden_layers']} hidden, {p['optimizer'].__name__}"

        table(document, configurations(arguments.configurations), cancer, epochs, describe)
    if arguments.only in (None, "digits"):
        x, y = load_digits(return_X_y=True)
        x = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
        digits = (x[:1257], y[:1257], x[1257:], y[1257:])
        print("Handwritten digits, 1,257 rows; 10 epochs of a convolutional net, first row with tracing:\n")
        batches = [{"batch_size": size} for size in (32, 128)]
        table(convolutional, batches, digits, 10, lambda p: f"batch {p['batch_size']}")
        print("30 epochs of a perceptron with two wide layers:\n")
        wides = [{"batch_size": 32, "width": 512}, {"batch_size": 128, "width": 1024}]
        table(wide, wides, digits, 30, lambda p: f"batch {p['batch_size']}, 2 x {p['width']}")
    if arguments.only in (None, "accelerate"):
        accelerated(cancer, arguments.configurations, (arguments.epochs or [150])[0])
    if arguments.only in (None, "structure"):
        structure(cancer, arguments.configurations, (arguments.epochs or [150])[0])
    if arguments.only == "round":  # hundreds of configurations say something
        mixture(arguments.configurations, (arguments.epochs or [150])[0])
    if arguments.only in (None, "limit"):
        limit(cancer)
    if arguments.only in (None, "heavy"):
        heavy(10)
    if arguments.only in (None, "pruner"):
        pruned(cancer, 150)
    if arguments.only in (None, "loops"):
        loops(cancer, 60)
    if arguments.only in (None, "memory") and arguments.memory:
        growth(cancer, arguments.memory)
    if arguments.only in (None, "left"):
        left_behind(cancer, 36)


if __name__ == "__main__":
    main()
