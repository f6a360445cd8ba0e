"""Contracts of everything that can be brought along, as suites that anybody can run on their own.

:func:`check_objective` says what is wrong with an objective. The classes are suites for pytest: derive one, say what is
tested, and its ``test_...`` methods are collected::

    from refine.testing import DesignContract

    class TestMine(DesignContract):
        def design(self):
            return Mine()

They assert, and need nothing beyond this package. What is about `refine.keras.fit` imports TensorFlow when it is first
used: :func:`compare_fits` trains a model of your own both ways, and :mod:`refine.testing.keras_models` the models that
this package is tested with.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from refine.testing.designs import DesignContract
from refine.testing.executors import ExecutorContract
from refine.testing.objectives import (
    Finding,
    KerasObjectiveContract,
    ObjectiveContract,
    check_objective,
    findings_of,
)
from refine.testing.statistics import StatisticContract
from refine.testing.stores import StoreContract

if TYPE_CHECKING:
    from refine.testing import keras_models
    from refine.testing.keras_fit import Examples, FitComparison, ModelCase, compare_fits

__all__ = [
    "DesignContract",
    "Examples",
    "ExecutorContract",
    "Finding",
    "FitComparison",
    "KerasObjectiveContract",
    "ModelCase",
    "ObjectiveContract",
    "StatisticContract",
    "StoreContract",
    "check_objective",
    "compare_fits",
    "findings_of",
    "keras_models",
]

_OF_KERAS = ("Examples", "FitComparison", "ModelCase", "compare_fits")


def __getattr__(name: str) -> Any:
    # They import TensorFlow.
    if name == "keras_models":
        return importlib.import_module("refine.testing.keras_models")
    if name in _OF_KERAS:
        return getattr(importlib.import_module("refine.testing.keras_fit"), name)
    raise AttributeError(f"module 'refine.testing' has no attribute {name!r}")
