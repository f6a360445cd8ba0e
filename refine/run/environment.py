"""The environment of a trial: interpreter, platform, hardware, and packages that can change a result."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

# Modules that describe the hardware once they are loaded.
_ENGINES = ("tensorflow", "keras", "torch", "jax")
PACKAGES = ("refine-hpo", "numpy", "scipy", "pandas", "scikit-learn", *_ENGINES, "optuna")


def environment(threads: int) -> dict[str, str]:
    """Name -> version, of the interpreter and the packages that can change a result.

    Also ``cpu`` and ``threads``, on which floating-point sums depend, ``gpu`` if TensorFlow sees a GPU, and
    ``backend`` of Keras unless TensorFlow.
    """
    return dict(_environment(threads, frozenset(sys.modules.keys() & set(_ENGINES))))


@functools.lru_cache(maxsize=8)  # called after every trial; only these arguments change while a process runs
def _environment(threads: int, loaded: frozenset[str]) -> dict[str, str]:  # noqa: ARG001
    versions = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": str(threads),
    }
    hardware = {"cpu": _cpu(), "gpu": _gpu(), "backend": _backend()}
    versions |= {name: value for name, value in hardware.items() if value}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()


def _gpu() -> str:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not hasattr(tensorflow, "config"):
        return ""
    devices = tensorflow.config.list_physical_devices("GPU")
    names = [tensorflow.config.experimental.get_device_details(d).get("device_name", d.name) for d in devices]
    return ", ".join(map(str, names))


def _backend() -> str:
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "backend"):
        return ""
    name = str(keras.backend.backend())
    if name == "tensorflow":
        return ""
    return name


def commit_of(file: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """``git``: the commit of a file, by default of the working folder.

    `` (changed)`` follows if tracked files differ from the commit. Empty without git or a repository.
    """
    if file is None:
        folder = Path.cwd()
    else:
        folder = Path(file).resolve().parent
    try:
        lines = _status(folder)
    except (OSError, subprocess.SubprocessError):
        return {}  # no git, or no repository
    commit = lines[0].removeprefix("# branch.oid ")
    if commit == "(initial)":
        return {}  # a repository without a commit
    changed = any(not line.startswith("#") for line in lines)
    return {"git": f"{commit[:12]} (changed)" if changed else commit[:12]}


def _status(folder: Path) -> list[str]:
    """Lines of git's status: the commit first, then headers with ``#`` and the changed tracked files."""
    arguments = ["status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=no"]
    command = ["git", "-C", str(folder), *arguments]  # the git of the person's path
    completed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    return completed.stdout.splitlines()


def spread(environments: Sequence[tuple[Mapping[str, str], int]]) -> dict[str, dict[str, int]]:
    """Differences between the environments of a round's trials: name -> value -> number of trials.

    Args:
        environments: Environments, each with its number of trials.

    Returns:
        Only names with several values, the most frequent value first; ``-`` stands for a missing name.
    """
    names = dict.fromkeys(name for versions, _ in environments for name in versions)
    differences: dict[str, dict[str, int]] = {}
    for name in names:
        counts: Counter[str] = Counter()
        for versions, count in environments:
            counts[versions.get(name, "-")] += count
        if len(counts) > 1:
            differences[name] = dict(counts.most_common())
    return differences
