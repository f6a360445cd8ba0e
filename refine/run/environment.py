"""What a round ran on: interpreter, platform, hardware, code and versions of the packages that can change a result."""

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

# Modules that can say something of the hardware once they are loaded.
_ENGINES = ("tensorflow", "keras", "torch", "jax")
PACKAGES = ("refine-hpo", "numpy", "scipy", "pandas", "scikit-learn", *_ENGINES, "optuna")


def environment(threads: int) -> dict[str, str]:
    """Name -> version of everything that can change a result, where a trial runs.

    Also ``cpu``, ``threads``, on which floating-point sums depend, ``gpu`` where TensorFlow sees one, and ``backend`` of Keras if another.
    """
    return dict(_environment(threads, frozenset(sys.modules.keys() & set(_ENGINES))))


@functools.lru_cache(maxsize=8)  # asked for after every trial, and nothing else changes while a process runs
def _environment(threads: int, loaded: frozenset[str]) -> dict[str, str]:  # noqa: ARG001
    found = {"python": platform.python_version(), "platform": platform.platform(), "threads": str(threads)}
    found |= {n: v for n, v in (("cpu", _cpu()), ("gpu", _gpu()), ("backend", _backend())) if v}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


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
    found = keras.backend.backend() if keras is not None and hasattr(keras, "backend") else "tensorflow"
    return "" if found == "tensorflow" else str(found)


def commit_of(file: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """``git``: the commit of a file, default of the working folder, with `` (changed)`` where files differ; empty for none."""
    folder = Path.cwd() if file is None else Path(file).resolve().parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {}  # no git, or no repository
    return {"git": f"{commit[:12]} (changed)" if changed else commit[:12]}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]  # whichever git the person uses
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    return found.stdout.strip()


def spread(environments: Sequence[tuple[Mapping[str, str], int]]) -> dict[str, dict[str, int]]:
    """What differs between the environments of a round's trials: name -> value -> number of trials, most frequent first.

    ``environments`` come each with its number of trials; ``-`` is the value where one says nothing.
    """
    names = dict.fromkeys(name for found, _ in environments for name in found)
    out: dict[str, dict[str, int]] = {}
    for name in names:
        counts: Counter[str] = Counter()
        for found, count in environments:
            counts[found.get(name, "-")] += count
        if len(counts) > 1:
            out[name] = dict(counts.most_common())
    return out
