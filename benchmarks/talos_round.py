"""Time per configuration of Talos 2.0.10, in an environment of its own, beside refine on the same configurations' dictionary.

    python benchmarks/talos_round.py --configurations 12 --epochs 150

Makes `benchmarks/.cache/talos` (Talos needs pandas below 3), runs `Scan` there on the article's dictionary with the
article's model and `model.fit`, and then a round of as many configurations here: with `model.fit` too, and with
`refine.keras.fit`. Both draw at random, so the configurations differ; bookkeeping is what the model function doesn't
take. One TensorFlow thread everywhere. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = HERE / ".cache" / "talos"
TALOS = "2.0.10"

SPENT: list[float] = []


def dictionary(epochs: int) -> dict[str, Any]:
    """The article's dictionary, with names instead of classes: both sides understand them."""
    return {
        "lr": (0.5, 5, 10),
        "first_neuron": [4, 8, 16, 32, 64],
        "hidden_layers": [0, 1, 2],
        "batch_size": (2, 30, 10),
        "epochs": [epochs],
        "dropout": (0, 0.5, 5),
        "optimizer": ["Adam", "Nadam", "RMSprop"],
        "losses": ["log_cosh", "binary_crossentropy"],
        "activation": ["relu", "elu"],
    }


def train(
    x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any, fit: Any = None
) -> tuple[Any, Any]:
    """The article's model with bricks for hidden layers; needs Keras alone."""
    import keras

    started = time.perf_counter()
    model = keras.Sequential([keras.Input((x_train.shape[1],))])
    for width in [10] + [int(params["first_neuron"])] * int(params["hidden_layers"]):
        model.add(keras.layers.Dense(width, activation=params["activation"]))
        model.add(keras.layers.Dropout(float(params["dropout"])))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    kind = getattr(keras.optimizers, params["optimizer"])
    model.compile(kind(learning_rate=0.001 * float(params["lr"])), params["losses"], metrics=["acc"])
    run = model.fit if fit is None else lambda *a, **k: fit(model, *a, **k)
    history = run(
        x_train,
        y_train,
        validation_data=(x_val, y_val),
        batch_size=int(params["batch_size"]),
        epochs=int(params["epochs"]),
        verbose=0,
    )
    SPENT.append(time.perf_counter() - started)
    return history, model


def fast(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> tuple[Any, Any]:
    """The same model through `refine.keras.fit`."""
    from refine.keras import fit

    return train(x_train, y_train, x_val, y_val, params, fit)


def slow(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Any) -> tuple[Any, Any]:
    """The same model through `model.fit`."""
    return train(x_train, y_train, x_val, y_val, params)


def data() -> tuple[Any, Any]:
    """Standardised breast cancer."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32"), y.astype("float32")


def inside(configurations: int, epochs: int) -> None:
    """Runs Talos; called in its own environment."""
    import talos
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    x, y = data()
    os.chdir(tempfile.mkdtemp())  # it writes its experiment where it stands
    slow(x[:50], y[:50], x[50:99], y[50:99], {k: v[0] for k, v in dictionary(1).items()})  # starts TensorFlow
    SPENT.clear()
    started = time.perf_counter()
    scan = talos.Scan(
        x, y, params=dictionary(epochs), model=slow, experiment_name="e", round_limit=configurations,
        disable_progress_bar=True, seed=7,
    )  # fmt: skip
    total = time.perf_counter() - started
    json.dump({"total": total, "model": sum(SPENT), "n": len(scan.data)}, sys.stdout)


def here(model: Any, configurations: int, epochs: int) -> dict[str, float]:
    """Runs a round of refine in this process."""
    import refine
    from refine.keras import KerasObjective

    x, y = data()
    objective = KerasObjective(model, x, y, val_split=0.3)
    objective.prepare(1)
    slow(x[:50], y[:50], x[50:99], y[50:99], {k: v[0] for k, v in dictionary(1).items()})
    SPENT.clear()
    space = refine.Space.from_talos(dictionary(epochs))
    with tempfile.TemporaryDirectory() as folder, refine.Tree("t", store=Path(folder) / "t.db") as tree:
        started = time.perf_counter()
        found = tree.add_round(space, objective, metric="val_acc", n=configurations, seed=7).run(
            progress=False
        )
        total = time.perf_counter() - started
        return {"total": total, "model": sum(SPENT), "n": len(found.trials)}


def main() -> None:
    """Runs both and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--configurations", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--python", help="a Python that has Talos, instead of making an environment")
    arguments = parser.parse_args()
    size = arguments.configurations, arguments.epochs
    if arguments.inside:
        inside(*size)
        return
    python = arguments.python or str(CACHE / "bin" / "python")
    if not Path(python).exists():
        subprocess.run([sys.executable, "-m", "venv", str(CACHE)], check=True)
        packages = [f"talos=={TALOS}", "pandas<3", "tensorflow", "scikit-learn"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    command = [python, str(Path(__file__).resolve()), "--inside", "--configurations", str(size[0])]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    found = subprocess.run(
        [*command, "--epochs", str(size[1])], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    rows = {
        f"Talos {TALOS}, `model.fit`": json.loads(found.stdout.strip().splitlines()[-1]),
        "refine, `model.fit`": here(slow, *size),
        "refine, `refine.keras.fit`": here(fast, *size),
    }
    print(f"\n{size[0]} configurations of {size[1]} epochs, one at a time; seconds per configuration:\n")
    print("| | configurations | all | the model function | bookkeeping |\n|---|---:|---:|---:|---:|")
    for name, row in rows.items():
        n, total, model = row["n"], row["total"], row["model"]
        print(f"| {name} | {n} | {total / n:.2f} | {model / n:.2f} | {(total - model) / n:.3f} |")


if __name__ == "__main__":
    main()
