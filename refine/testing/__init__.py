"""Contracts of user-supplied parts, as test suites.

:func:`check_objective` reports the rules that an objective breaks. The classes are suites for pytest: derive
a class, name the object under test, and pytest collects its ``test_...`` methods::

    from refine.testing import ExecutorContract

    class TestMine(ExecutorContract):
        def executor(self):
            return mine

The suites use plain ``assert`` and need no other package. :func:`compare_fits`, which trains your own Keras
model by `refine.keras.fit` and by ``model.fit``, imports TensorFlow at its first use.
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
    # These names import TensorFlow.
    if name in _OF_KERAS:
        return getattr(importlib.import_module("refine.testing.keras_fit"), name)
    raise AttributeError(f"module 'refine.testing' has no attribute {name!r}")
