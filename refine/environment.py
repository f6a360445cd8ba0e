"""What a round ran on: interpreter, platform and versions of the packages that can change a result."""

from __future__ import annotations

import getpass
import platform
from importlib import metadata

PACKAGES = (
    "refine-hpo",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "tensorflow",
    "keras",
    "torch",
    "optuna",
)


def environment(threads: int) -> dict[str, str]:
    """Name -> version of everything installed that can change a result.

    Args:
        threads: Threads per trial, recorded because floating-point sums depend on them.
    """
    found = {"python": platform.python_version(), "platform": platform.platform(), "threads": str(threads)}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def user() -> str:
    """Who sits here, for decisions that name no author."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
