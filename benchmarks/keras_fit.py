"""Time per permutation of the document's model: `refine.keras.fit` beside `model.fit`, in one run.

    python benchmarks/keras_fit.py --epochs 150 --permutations 6

Building and tracing count. One TensorFlow thread, as trials run.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from typing import Any


def permutations(number: int) -> list[dict[str, Any]]:
    """Permutations spread over the document's dictionary, the same in every run."""
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


def train(params: dict[str, Any], data: Any, epochs: int, fast: bool) -> tuple[float, float]:
    """Builds and trains one model; seconds and validation accuracy."""
    import keras

    from refine.keras import fit, fmeasure, hidden_layers, lr_normalizer

    x, y, x_val, y_val = data
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    model = keras.Sequential([keras.Input((x.shape[1],))])
    model.add(keras.layers.Dense(10, activation=params["activation"], kernel_initializer="normal"))
    model.add(keras.layers.Dropout(params["dropout"]))
    hidden_layers(model, params, 1)
    model.add(keras.layers.Dense(1, activation="sigmoid", kernel_initializer="normal"))
    rate = lr_normalizer(params["lr"], params["optimizer"])
    model.compile(params["optimizer"](learning_rate=rate), params["losses"], metrics=["acc", fmeasure])
    options = {"validation_data": (x_val, y_val), "batch_size": params["batch_size"], "verbose": 0}
    run = (lambda *a, **k: fit(model, *a, **k)) if fast else model.fit
    history = run(x, y, epochs=epochs, **options)
    return time.perf_counter() - start, history.history["val_acc"][-1]


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--permutations", type=int, default=6)
    arguments = parser.parse_args()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
    data = (x[:398], y[:398], x[398:], y[398:])

    print(f"{arguments.epochs} epochs of the document's model, 398 rows, seconds with building and tracing\n")
    print("| batch | layers | optimizer | model.fit | refine.keras.fit | ratio | val_acc | val_acc |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    ratios = []
    chosen = permutations(arguments.permutations)
    for fast in (True, False):  # what only the first model of a process pays
        train(chosen[0], data, 1, fast)
    for params in chosen:
        slow, slow_acc = train(params, data, arguments.epochs, fast=False)
        quick, quick_acc = train(params, data, arguments.epochs, fast=True)
        ratios.append(slow / quick)
        print(
            f"| {params['batch_size']} | {params['hidden_layers']} | {params['optimizer'].__name__} "
            f"| {slow:.2f} | {quick:.2f} | {slow / quick:.1f} | {slow_acc:.3f} | {quick_acc:.3f} |",
            flush=True,
        )
    print(f"\nmedian ratio {statistics.median(ratios):.1f}, lowest {min(ratios):.1f}")


if __name__ == "__main__":
    main()
