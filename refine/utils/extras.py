"""Packages that only some of refine needs: each comes with an extra of the distribution, ``pip install 'refine-hpo[web]'``."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from refine.errors import RefineError

EXTRAS = {
    "anywidget": "notebook",
    "cmaes": "optuna",
    "distributed": "dask",
    "keras": "keras",
    "mcp": "mcp",
    "mlflow": "mlflow",
    "optuna": "optuna",
    "psycopg": "postgresql",
    "ray": "ray",
    "starlette": "web",
    "tensorboard": "tensorboard",
    "tensorflow": "keras",
    "torch": "gp",
    "uvicorn": "web",
}
"""Module -> the extra that brings it."""


def is_there(module: str) -> bool:
    """Whether a package is installed; it is not imported."""
    try:
        found = importlib.util.find_spec(module.partition(".")[0])
    except ValueError:  # a module that somebody made is loaded
        return True
    return (
        found is not None and found.origin is not None
    )  # a folder of that name, such as tests/keras, has none


def needed(module: str, what: str, kind: type[RefineError], instead: str = "") -> None:
    """Checks that a package is installed, without importing it: see :func:`load`."""
    if not is_there(module):
        raise kind(
            f"{what} needs {module}, which is not installed: {how(module)}{instead and f'; {instead}'}"
        )


def load(module: str, what: str, kind: type[RefineError], instead: str = "") -> ModuleType:
    """A package, or a module of it, that need not be installed.

    Args:
        module: One of :data:`EXTRAS`, or a module in it.
        what: What needs it, the beginning of the message.
        kind: The error.
        instead: What does without it.

    Raises:
        RefineError: It is not installed or can't be imported; of the kind given.
    """
    name = module.partition(".")[0]
    needed(name, what, kind, instead)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise kind(
            f"{what} needs {name}, which can't be imported ({error}): {how(name)} --upgrade{instead and f'; {instead}'}"
        ) from error


def how(module: str) -> str:
    """The command that installs a package of :data:`EXTRAS`."""
    return f"pip install 'refine-hpo[{EXTRAS[module]}]'"
