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
from refine.testing.keras_fit import TOLERANCE, ModelCase, Way, compare_fits
from refine.testing.keras_parts import shaped


class Measured(NamedTuple):
    """How a model was trained, how far from ``model.fit`` and ``model.fit`` from itself, and seconds of ``model.fit`` and ours.

    Differences are of history and weights, relative to ``1 + abs(value)``.
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


def _convolutions() -> list[Any]:
    first, second = (layers.Conv2D(filters, 3, activation="relu") for filters in (16, 32))
    return [first, layers.MaxPooling2D(), second, layers.Flatten()]


_dense = partial(layers.Dense, activation="relu")
_KINDS = {
    "small dense network": _Kind(lambda: [_dense(16), layers.Dropout(0.2)], (30,), 16),
    "wide dense network": _Kind(lambda: [_dense(1024), _dense(1024)], (64,), 128),
    "convolutions": _Kind(_convolutions, (16, 16, 3), 64),
    "LSTM": _Kind(lambda: [layers.LSTM(32)], (16, 8), 64),
}
_ROWS = 1024


def _build(kind: _Kind, jit: bool | str) -> keras.Model:
    end = layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input(kind.shape), *kind.inner(), end])
    model.compile("adam", "binary_crossentropy", metrics=["acc"], jit_compile=jit)
    return model


def measure(name: str, epochs: int) -> Measured:
    """Trains the model of this name both ways, ``epochs`` long where time is taken; differences are those after 3 of 5 batches."""
    kind = _KINDS[name]
    data = partial(shaped, *kind.shape, rows=5 * kind.batch)
    case = ModelCase(name, partial(_build, kind, jit=False), data, options=lambda: {"batch_size": kind.batch})
    ours, itself = compare_fits(case), compare_fits(case, fit=keras.Model.fit)
    seconds = [_seconds(kind, epochs, fast=fast) for fast in (False, True)]
    return Measured(ours.way, max(ours.history, ours.weights), max(itself.history, itself.weights), *seconds)


def _seconds(kind: _Kind, epochs: int, *, fast: bool) -> float:
    """What a training takes as a trial, after the first one of its kind."""
    examples = shaped(*kind.shape, rows=_ROWS)
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
    data = shaped(30, rows=_ROWS)
    objective = KerasObjective(_model, data.x, data.y, x_val=data.x_val, y_val=data.y_val)
    values = []
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder, refine.Tree("m", Path(folder) / "m.db") as tree:
            space = {"units": [4, 8, 16, 32]}
            root = tree.add_round(space, objective, metric="val_loss", direction="minimize", n=4)
            root.run(workers=workers, progress=False)
            values.append(root.trials.sort_values("cell")["val_loss"].to_numpy(float))
    return float(np.abs(values[0] - values[1]).max())


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
