"""What `refine.keras.fit` has to keep to: every model is trained as ``model.fit`` trains it, or it is said why not.

Say what is trained in a :class:`ModelCase` and let :func:`compare_fits` train it both ways::

    from refine.testing.keras_fit import ModelCase, compare_fits

    comparison = compare_fits(ModelCase("mine", build, data))
    assert comparison.is_equal, comparison

``tests/keras/contract_models.py`` of the repository lists 207 models, of which this package keeps the promise. Importing
this module imports Keras and TensorFlow.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import keras
import numpy as np

import refine.keras
from refine.errors import RefineWarning
from refine.keras._notices import heard_anew

Way = Literal["fast", "step", "fit"]

_WAYS: dict[str, Way] = {"using model.fit": "fit", "running Keras' own step": "step"}
TOLERANCE = 1e-5
"""Largest difference of a value in the history or of a weight, relative to ``1 + abs(value)``."""


class Examples(NamedTuple):
    """Rows to train on and rows to validate on; arrays or structures of arrays."""

    x: Any
    y: Any
    x_val: Any
    y_val: Any


@dataclass(frozen=True)
class ModelCase:
    """A model, what it is trained on, and how.

    Attributes:
        name: What it shows.
        build: Makes the compiled model; called twice under the same seed. Compile with ``jit_compile=False``: XLA rounds
            in another way.
        data: Makes the examples.
        way: How `refine.keras.fit` trains it: ``"fast"``, by Keras' own ``"step"`` in one graph, or by ``model.fit``
            (``"fit"``). The last two are announced by a warning.
        options: Makes further arguments of ``fit``, callbacks among them. By default 3 epochs with batches of 16, and
            validation on the other rows.
    """

    name: str
    build: Callable[[], keras.Model]
    data: Callable[[], Examples]
    way: Way = "fast"
    options: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class FitComparison:
    """What came of training one model both ways.

    Attributes:
        name: The case's.
        way: How `refine.keras.fit` trained it.
        reason: Why not faster, as it was announced; empty if it was fast.
        history: Largest difference of the histories, relative to ``1 + abs(value)``; infinite where names or numbers of
            epochs differ.
        weights: The same of all weights after training.
    """

    name: str
    way: Way
    reason: str
    history: float
    weights: float

    @property
    def is_equal(self) -> bool:
        """Whether both trainings gave the same up to `TOLERANCE`."""
        return max(self.history, self.weights) <= TOLERANCE


def compare_fits(case: ModelCase, epochs: int = 3) -> FitComparison:
    """Trains a model by ``model.fit`` and by `refine.keras.fit`, rows in order, under the same seeds.

    Args:
        case: What to train.
        epochs: For how long, where the case's options don't say so. Differences of rounding grow with it.

    Returns:
        How it was trained and how far apart the results are.
    """
    theirs, _ = _trained(case, epochs, keras.Model.fit)
    ours, said = _trained(case, epochs, refine.keras.fit)
    way: Way = "fast"
    reason = ""
    for message in said:
        how, _, rest = message.removeprefix("refine.keras.fit: ").partition(", because ")
        way, reason = _WAYS[how], rest.rpartition(";")[0]
    return FitComparison(
        case.name, way, reason, _apart(theirs.history, ours.history), _apart(theirs.weights, ours.weights)
    )


class _Trained(NamedTuple):
    """What is compared: values by name."""

    history: dict[str, Any]
    weights: dict[str, Any]


def _trained(case: ModelCase, epochs: int, fit: Callable[..., Any]) -> tuple[_Trained, list[str]]:
    """One training in a cleared session, and what was announced."""
    policy = keras.config.dtype_policy()
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    try:
        with heard_anew(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model, examples = case.build(), case.data()
            keras.utils.set_random_seed(2)
            options = {
                "validation_data": (examples.x_val, examples.y_val),
                "batch_size": 16,
                "epochs": epochs,
                "shuffle": False,
                "verbose": 0,
            } | dict(case.options())
            history = fit(model, examples.x, examples.y, **options).history
    finally:
        keras.config.set_dtype_policy(policy)
    weights = {str(i): value for i, value in enumerate(model.get_weights())}
    said = [str(w.message) for w in caught if issubclass(w.category, RefineWarning)]
    return _Trained(history, weights), said


def _apart(expected: Mapping[str, Any], ours: Mapping[str, Any]) -> float:
    """Largest difference of values of the same names, in the same order."""
    if list(expected) != list(ours):
        return np.inf
    largest = 0.0
    for name, values in expected.items():
        one, other = np.asarray(values, "float64"), np.asarray(ours[name], "float64")
        if one.shape != other.shape or (np.isnan(one) != np.isnan(other)).any():
            return np.inf
        with np.errstate(invalid="ignore"):  # infinite in both
            difference = np.where(one == other, 0, np.abs(one - other) / (1 + np.abs(one)))
        largest = max(largest, float(np.nanmax(difference, initial=0.0)))
    return largest
