"""Contracts of everything that can be brought along, as suites that anybody can run on their own.

:func:`check_objective` says what is wrong with an objective. The classes are suites for pytest: derive one, say what is
tested, and its ``test_...`` methods are collected::

    from refine.testing import ExecutorContract

    class TestMine(ExecutorContract):
        def executor(self):
            return mine

They assert, and need nothing beyond this package. :func:`compare_fits`, which trains a Keras model of your own by
`refine.keras.fit` and by ``model.fit``, imports TensorFlow when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from refine.testing.executors import ExecutorContract
from refine.testing.objectives import (
    Finding,
    ObjectiveContract,
    check_objective,
    findings_of,
)

if TYPE_CHECKING:
    from refine.testing.keras_fit import Examples, FitComparison, ModelCase, compare_fits

__all__ = [
    "Examples",
    "ExecutorContract",
    "Finding",
    "FitComparison",
    "ModelCase",
    "ObjectiveContract",
    "check_objective",
    "compare_fits",
    "findings_of",
]

_OF_KERAS = ("Examples", "FitComparison", "ModelCase", "compare_fits")


def __getattr__(name: str) -> Any:
    # They import TensorFlow.
    if name in _OF_KERAS:
        return getattr(importlib.import_module("refine.testing.keras_fit"), name)
    raise AttributeError(f"module 'refine.testing' has no attribute {name!r}")
