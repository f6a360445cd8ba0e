"""The contract of `refine.keras.fit`: results of ``model.fit``, and a warning for a slower way.

Describe a training in a :class:`ModelCase` and let :func:`compare_fits` run it both ways::

    from refine.testing.keras_fit import ModelCase, compare_fits

    comparison = compare_fits(ModelCase("mine", build, data))
    assert comparison.is_equal, comparison

``tests/keras/contract_models.py`` of the repository lists 207 models for which the contract is tested.
Importing this module imports Keras and TensorFlow.
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
    """Rows for training and for validation: arrays or structures of arrays."""

    x: Any
    y: Any
    x_val: Any
    y_val: Any


@dataclass(frozen=True)
class ModelCase:
    """A model, its data, and the options of its training.

    Attributes:
        name: Purpose of the case.
        build: Makes the compiled model; called twice under the same seed. Compile with ``jit_compile=False``:
            XLA rounds differently.
        data: Makes the examples.
        way: The way that `refine.keras.fit` takes: ``"fast"``, Keras' own ``"step"`` in one graph, or
            ``model.fit`` (``"fit"``). The last two give a warning.
        options: Makes further arguments of ``fit``, for example callbacks. Default: 3 epochs with batches of
            16, and validation.
    """

    name: str
    build: Callable[[], keras.Model]
    data: Callable[[], Examples]
    way: Way = "fast"
    options: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class FitComparison:
    """The comparison of two trainings of a model.

    Attributes:
        name: Of the case.
        way: The way that `refine.keras.fit` took.
        reason: The announced reason for a slower way; empty for the fast way.
        history: Largest difference of the histories, relative to ``1 + abs(value)``; infinite if names or
            numbers of epochs differ.
        weights: Largest relative difference of the weights after training.
    """

    name: str
    way: Way
    reason: str
    history: float
    weights: float

    @property
    def is_equal(self) -> bool:
        """True if the two trainings gave equal results up to `TOLERANCE`."""
        return max(self.history, self.weights) <= TOLERANCE


def compare_fits(case: ModelCase, epochs: int = 3) -> FitComparison:
    """Trains a model by ``model.fit`` and by `refine.keras.fit`, rows in order, under equal seeds.

    Args:
        case: The training.
        epochs: Number of epochs, unless the case's options set it. Rounding differences grow with the number.

    Returns:
        The way of `refine.keras.fit`, and the differences of the results.
    """
    expected, _ = _trained(case, epochs, keras.Model.fit)
    actual, warnings_given = _trained(case, epochs, refine.keras.fit)
    way: Way = "fast"
    reason = ""
    for message in warnings_given:
        way_text, _, explanation = message.removeprefix("refine.keras.fit: ").partition(", because ")
        way = _WAYS[way_text]
        reason = explanation.rpartition(";")[0]
    return FitComparison(
        case.name,
        way,
        reason,
        _apart(expected.history, actual.history),
        _apart(expected.weights, actual.weights),
    )


class _Trained(NamedTuple):
    """The compared values by name."""

    history: dict[str, Any]
    weights: dict[str, Any]


def _trained(case: ModelCase, epochs: int, fit: Callable[..., Any]) -> tuple[_Trained, list[str]]:
    """One training in a cleared session, and its warnings."""
    policy = keras.config.dtype_policy()
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    try:
        with heard_anew(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = case.build()
            examples = case.data()
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
    warnings_given = [str(w.message) for w in caught if issubclass(w.category, RefineWarning)]
    return _Trained(history, weights), warnings_given


def _apart(expected: Mapping[str, object], actual: Mapping[str, object]) -> float:
    """Largest difference of values with equal names, in equal order."""
    if list(expected) != list(actual):
        return np.inf
    largest = 0.0
    for name, values in expected.items():
        a = np.asarray(values, "float64")
        b = np.asarray(actual[name], "float64")
        if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
            return np.inf
        with np.errstate(invalid="ignore"):  # infinite in both
            difference = np.where(a == b, 0, np.abs(a - b) / (1 + np.abs(a)))
        largest = max(largest, float(np.nanmax(difference, initial=0.0)))
    return largest
