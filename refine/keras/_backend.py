"""Keras' backend: TensorFlow, JAX or PyTorch. No other backend is imported or needs to be installed."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

from refine.errors import ObjectiveError
from refine.utils.extras import EXTRAS, how, is_there

# Below the level is set to "2", which workers inherit; a user who sets another level wants the notes.
_NOTES_WANTED = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") != "2"

TRAINING = ("tensorflow", "jax", "torch")  # backends that train; each is also the name of a package

# Environment variables that let a process take GPU memory as needed; PyTorch needs none.
_MEMORY = {
    "tensorflow": ("TF_FORCE_GPU_ALLOW_GROWTH", "true"),
    "jax": ("XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Discards standard error of C++ code while the block runs.

    TensorFlow notes missing GPUs and CPU instructions in every process, partly before log levels apply, which
    hides the progress bar. Set ``TF_CPP_MIN_LOG_LEVEL=0`` to see the notes.
    """
    try:
        before = os.dup(2)
    except OSError:
        before = -1
    if _NOTES_WANTED or before < 0:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(nowhere)
        os.close(before)


def _load() -> str:
    """Imports Keras and its backend; returns the backend's name.

    Raises:
        ObjectiveError: A package is missing, or the backend can't train.
    """
    requested = os.environ.get("KERAS_BACKEND") or None
    if requested is not None and requested not in TRAINING and "keras" not in sys.modules:
        raise ObjectiveError(_refused("KERAS_BACKEND", requested))
    try:
        with quietly():
            keras = importlib.import_module("keras")
            backend: str = keras.backend.backend()
            if backend in TRAINING:
                importlib.import_module(backend)
    except ImportError as error:
        raise ObjectiveError(_missing(error)) from error
    if backend not in TRAINING:
        raise ObjectiveError(_refused("Keras' backend", backend))
    return backend


def _refused(setting: str, backend: str) -> str:
    return (
        f"{setting}: must be a backend that trains ({', '.join(TRAINING)}), got {backend!r}; set the "
        "environment variable KERAS_BACKEND before Python starts"
    )


def _missing(error: ImportError) -> str:
    """The missing package, its installation, and an installed alternative."""
    package = (error.name or "").partition(".")[0]
    if not package or is_there(package):  # installed, but broken
        return f"refine.keras: Keras can't be imported, got {type(error).__name__}: {error}; reinstall Keras"
    installed = [name for name in TRAINING if name != package and is_there(name)]
    instead = ""
    if package in TRAINING and installed:
        instead = f", or set the environment variable KERAS_BACKEND={installed[0]} for an installed backend"
    # The extra installs TensorFlow, which Keras on another backend does not need.
    by_extra = EXTRAS.get(package) == "keras" and os.environ.get("KERAS_BACKEND") in (None, "", "tensorflow")
    if by_extra:
        command = how(package)
    else:
        command = f"pip install {package}"
    return f"refine.keras needs {package}, which is not installed: {command}{instead}"


BACKEND = _load()  # Keras' backend in this process


def take_memory_as_needed() -> None:
    """Lets this process and its children take GPU memory as needed, unless the user chose otherwise.

    Effective until the backend first uses the GPU. Several workers can then share a GPU.
    """
    if BACKEND in _MEMORY:
        os.environ.setdefault(*_MEMORY[BACKEND])


def devices() -> list[str]:
    """The devices of the backend, GPUs with their names."""
    if BACKEND == "tensorflow":
        config = sys.modules["tensorflow"].config
        physical = [(d.name.removeprefix("/physical_device:"), d) for d in config.list_physical_devices()]
        details = config.experimental.get_device_details
        return [
            f"{name} ({details(d).get('device_name')})" if d.device_type == "GPU" else name
            for name, d in physical
        ]
    if BACKEND == "jax":
        return [f"{d.platform.upper()}:{d.id} ({d.device_kind})" for d in sys.modules["jax"].devices()]
    cuda = sys.modules["torch"].cuda
    return ["CPU:0", *(f"GPU:{i} ({cuda.get_device_name(i)})" for i in range(cuda.device_count()))]
