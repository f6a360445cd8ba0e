"""Whether `refine.keras.fit` does on this machine, on its GPU where it has one, what it promises, and how fast.

    python -m refine.testing.machine                 # some minutes
    python -m refine.testing.machine --epochs 5      # shorter trainings to time

Prints what Keras computes on and a row per model: how it was trained, how far it is from ``model.fit``, how far two
trainings by ``model.fit`` are from each other (0 on a CPU; some operations of a GPU add in any order), and the seconds
of one training both ways, with building and tracing. Then the same trials are run by one process and by two workers.
Ends with an error if a model is further from ``model.fit`` than `TOLERANCE` and twice what ``model.fit`` is from itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

import refine
from refine.keras import KerasObjective, fit
from refine.keras._backend import BACKEND, devices
from refine.keras._session import own_session, prepare
from refine.testing.keras_fit import TOLERANCE, Examples, ModelCase, Way, _apart, _trained, compare_fits

_ROWS, _VALIDATION = 1024, 256


class Measured(NamedTuple):
    """What came of one model.

    Attributes:
        way: How `refine.keras.fit` trained it.
        apart: Largest difference from ``model.fit``, of history and weights, relative to ``1 + abs(value)``.
        itself: The same of two trainings by ``model.fit``.
        theirs: Seconds of one training by ``model.fit``.
        ours: Seconds of one by `refine.keras.fit`.
    """

    way: Way
    apart: float
    itself: float
    theirs: float
    ours: float

    @property
    def is_equal(self) -> bool:
        """Whether it is as near to ``model.fit`` as can be asked for on this machine."""
        return self.apart <= TOLERANCE + 2 * self.itself


class _Kind(NamedTuple):
    """Layers between the input and the output, the shape of a row, and rows per update."""

    inner: Callable[[], list[Any]]
    shape: tuple[int, ...]
    batch: int


_KINDS = {
    "small dense network": _Kind(
        lambda: [layers.Dense(16, activation="relu"), layers.Dropout(0.2)], (30,), 16
    ),
    "wide dense network": _Kind(
        lambda: [layers.Dense(1024, activation="relu"), layers.Dense(1024, activation="relu")], (64,), 128
    ),
    "convolutions": _Kind(
        lambda: [
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
        ],
        (16, 16, 3),
        64,
    ),
    "LSTM": _Kind(lambda: [layers.LSTM(32)], (16, 8), 64),
}


def _build(kind: _Kind, jit: bool | str) -> keras.Model:
    end = layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input(kind.shape), *kind.inner(), end])
    model.compile("adam", "binary_crossentropy", metrics=["acc"], jit_compile=jit)
    return model


def _data(kind: _Kind, rows: int = _ROWS, validation: int = _VALIDATION) -> Examples:
    random = np.random.RandomState(0)
    x = random.normal(size=(rows + validation, *kind.shape)).astype("float32")
    y = (x.reshape(len(x), -1)[:, :3].sum(axis=1) > 0).astype("float32")
    return Examples(x[:rows], y[:rows], x[rows:], y[rows:])


def measure(name: str, epochs: int) -> Measured:
    """Trains one of the models both ways.

    Args:
        name: Which, a key of the table that the command prints.
        epochs: For how long, where time is taken; differences are those after 3 epochs of 5 batches.
    """
    kind = _KINDS[name]
    case = ModelCase(
        name,
        partial(_build, kind, jit=False),
        partial(_data, kind, rows=5 * kind.batch, validation=40),
        options=lambda: {"batch_size": kind.batch},
    )
    compared = compare_fits(case)
    one, other = (_trained(case, 3, keras.Model.fit)[0] for _ in range(2))
    itself = max(_apart(one.history, other.history), _apart(one.weights, other.weights))
    seconds = [_seconds(kind, epochs, fast=fast) for fast in (False, True)]
    return Measured(compared.way, max(compared.history, compared.weights), itself, *seconds)


def _seconds(kind: _Kind, epochs: int, *, fast: bool) -> float:
    """What a training takes as a trial, after the first one of its kind."""
    examples = _data(kind)
    for seed, long in ((1, 1), (2, epochs)):
        start = time.perf_counter()
        with own_session(seed):
            model = _build(kind, jit="auto")
            train = partial(fit, model) if fast else partial(model.fit, verbose=0)
            validation = examples.x_val, examples.y_val
            train(examples.x, examples.y, validation_data=validation, epochs=long, batch_size=kind.batch)
        seconds = time.perf_counter() - start
    return seconds


def _model(x_train: Any, y_train: Any, x_val: Any, y_val: Any, params: Mapping[str, Any]) -> Any:
    model = _build(_Kind(lambda: [layers.Dense(params["units"], activation="relu")], (30,), 16), jit="auto")
    return fit(model, x_train, y_train, validation_data=(x_val, y_val), epochs=3), model


def _workers() -> float:
    """How far the values of trials are apart that two workers and that one process run."""
    data = _data(_KINDS["small dense network"])
    objective = KerasObjective(_model, data.x, data.y, x_val=data.x_val, y_val=data.y_val)
    found = []
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder, refine.Tree("m", Path(folder) / "m.db") as tree:
            root = tree.add_round(
                {"units": [4, 8, 16, 32]}, objective, metric="val_loss", direction="minimize", n=4
            )
            root.run(workers=workers, progress=False)
            found.append(root.trials.sort_values("cell")["val_loss"].to_numpy(float))
    return float(np.abs(found[0] - found[1]).max())


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; returns the number of checks that failed."""
    parser = argparse.ArgumentParser(prog="python -m refine.testing.machine")
    parser.add_argument("--epochs", type=int, default=20, help="of the trainings that are timed (20)")
    chosen = parser.parse_args(arguments)
    prepare(1)
    say = partial(print, flush=True)
    say(f"Keras {keras.__version__} on {BACKEND}, which sees {', '.join(devices())}\n")
    say("| model | way | from model.fit | model.fit from itself | equal | model.fit, s | refine, s | ratio |")
    say("|---|---|---:|---:|---|---:|---:|---:|")
    wrong = 0
    for name in _KINDS:
        found = measure(name, chosen.epochs)
        wrong += not found.is_equal
        equal = "yes" if found.is_equal else "**no**"
        say(
            f"| {name} | {found.way} | {found.apart:.0e} | {found.itself:.0e} | {equal} "
            f"| {found.theirs:.2f} | {found.ours:.2f} | {found.theirs / found.ours:.1f} |"
        )
    apart = _workers()
    same = apart <= TOLERANCE
    wrong += not same
    say(f"\nTwo workers give the values of one process: {'yes' if same else 'no'}, {apart:.0e} apart at most")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
