"""Optional packages: each is installed by an extra of the distribution, ``pip install 'refine-hpo[web]'``."""

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
"""Module -> the extra that installs the module."""


def is_there(module: str) -> bool:
    """True if a package is installed; the package is not imported."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except ValueError:  # a module without a spec is loaded
        return True
    return (
        spec is not None and spec.origin is not None
    )  # a plain folder of this name, such as tests/keras, has no origin


def needed(module: str, user: str, kind: type[RefineError], instead: str = "") -> None:
    """Checks that a package is installed, without importing it: see :func:`load`."""
    if not is_there(module):
        raise kind(
            f"{user} needs {module}, which is not installed: {how(module)}{instead and f'; {instead}'}"
        )


def load(module: str, user: str, kind: type[RefineError], instead: str = "") -> ModuleType:
    """An optional package, or a module of an optional package.

    Args:
        module: One of :data:`EXTRAS`, or a module inside.
        user: The feature that needs the package; begins the error.
        kind: Class of the error.
        instead: An alternative without the package.

    Raises:
        RefineError: The package is not installed or can't be imported; of class ``kind``.
    """
    name = module.partition(".")[0]
    needed(name, user, kind, instead)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise kind(
            f"{user} needs {name}, which can't be imported ({error}): {how(name)} "
            f"--upgrade{instead and f'; {instead}'}"
        ) from error


def how(module: str) -> str:
    """The command that installs a package of :data:`EXTRAS`."""
    return f"pip install 'refine-hpo[{EXTRAS[module]}]'"
