"""Seeds of a trial for everything that draws: what is loaded now, and what the objective loads while it runs."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import random
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

_seed: int | None = None  # of the trial that runs in this process


def seed_everything(seed: int) -> None:
    """Seeds ``random``, NumPy and, where they are loaded, PyTorch, TensorFlow and Keras; what is loaded later follows.

    Keras may be imported by the objective itself, after it was called: without that, the first trial of a process would be
    another one than all others. The seed is >= 0 and < 2^32.
    """
    global _seed  # one trial at a time per process is the point
    _seed = seed
    random.seed(seed)
    np.random.seed(seed)
    for name in _SEEDED:
        if (module := sys.modules.get(name)) is not None and not (
            name == "tensorflow" and "keras" in sys.modules
        ):
            _seed_module(name, module, seed)
    if not any(isinstance(finder, _Late) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Late())


_SEEDED = ("torch", "tensorflow", "keras")
"""Modules with generators of their own; Keras seeds TensorFlow, so that it comes last. JAX has none: Keras keeps its keys."""


def _seed_module(name: str, module: ModuleType, seed: int) -> None:
    """Seeds a module's own generators, if it is loaded far enough; Keras seeds those of Python and NumPy as well."""
    if name == "torch" and hasattr(module, "manual_seed"):
        module.manual_seed(seed)
    elif name == "tensorflow" and hasattr(module, "random"):
        module.random.set_seed(seed)
    elif name == "keras" and hasattr(module, "utils"):
        module.utils.set_random_seed(seed)


class _Late(importlib.abc.MetaPathFinder):
    """Seeds such a module when it is imported while a trial runs, and leaves the other generators where they were."""

    def __init__(self) -> None:
        self._looking: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the interface of finders
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """The specification that others find, with a loader that seeds."""
        if fullname not in _SEEDED or fullname in self._looking or _seed is None:
            return None
        self._looking.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._looking.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Seeding(spec.loader)
        return spec


class _Seeding(importlib.abc.Loader):
    """A loader that seeds what it has loaded."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        """Loads the module and seeds it: what was drawn before its import, and what comes after, is as without it."""
        before = random.getstate(), np.random.get_state()
        self._loader.exec_module(module)
        if _seed is not None:
            _seed_module(module.__name__, module, _seed)
        random.setstate(before[0])
        np.random.set_state(before[1])
