"""Seeding random generators before a trial, also of libraries first imported by the trial."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import operator
import random
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

# Library with generators of its own -> its function that seeds them. Keras keeps JAX's keys and seeds
# TensorFlow too, so Keras comes last.
_SEED_FUNCTIONS = {
    "torch": "manual_seed",
    "tensorflow": "random.set_seed",
    "keras": "utils.set_random_seed",
}

_seed: int | None = None  # seed of the trial that runs in this process


def seed_everything(seed: int) -> None:
    """Seeds ``random``, NumPy and, if they are loaded, PyTorch, TensorFlow and Keras.

    A library that the objective imports later is seeded by its import. Otherwise the first trial of a process
    would differ from the same trial run second.

    Args:
        seed: From 0 to below 2^32.
    """
    global _seed  # a process runs one trial at a time
    _seed = seed
    random.seed(seed)
    np.random.seed(seed)
    for name in _SEED_FUNCTIONS:
        module = sys.modules.get(name)
        if module is not None and (name != "tensorflow" or "keras" not in sys.modules):
            _seed_module(name, module, seed)
    if not any(isinstance(finder, _SeedingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SeedingFinder())


def _seed_module(name: str, module: ModuleType, seed: int) -> None:
    """Seeds a library, unless the import has not defined the seeding function yet."""
    try:
        seed_function = operator.attrgetter(_SEED_FUNCTIONS[name])(module)
    except AttributeError:
        return
    seed_function(seed)


class _SeedingFinder(importlib.abc.MetaPathFinder):
    """Seeds a library at the import by a trial, and leaves the other generators as they were."""

    def __init__(self) -> None:
        self._searching: set[str] = set()  # names whose specification the other finders are asked for

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the interface of finders
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """The specification of the other finders, with a seeding loader."""
        if fullname not in _SEED_FUNCTIONS or fullname in self._searching or _seed is None:
            return None
        self._searching.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.discard(fullname)
        if spec is not None and spec.loader is not None:
            load: Any = spec.loader.exec_module
            spec.loader.exec_module = functools.partial(_load_and_seed, load)  # type: ignore[method-assign]
        return spec


def _load_and_seed(load: Callable[[ModuleType], object], module: ModuleType) -> None:
    """Loads a module and seeds it; random numbers drawn by the import do not change other generators."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()
    load(module)
    if _seed is not None:
        _seed_module(module.__name__, module, _seed)
    random.setstate(python_state)
    np.random.set_state(numpy_state)
