"""What Keras runs on: TensorFlow, JAX or PyTorch. The one is imported, and the others need not be installed."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

from refine.errors import ObjectiveError
from refine.utils.extras import EXTRAS, how, is_there

# "2" is what is set below, and what workers inherit; whoever sets anything else wants to see it.
_NOTES_WANTED = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") != "2"

TRAINING = ("tensorflow", "jax", "torch")  # backends that train; each is called as the package that it needs

# Environment variables by which a process takes a GPU's memory as it needs it; PyTorch does so by itself.
_MEMORY = {
    "tensorflow": ("TF_FORCE_GPU_ALLOW_GROWTH", "true"),
    "jax": ("XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Sends what C++ code writes to standard error nowhere while the block runs.

    TensorFlow notes missing GPUs and CPU instructions in every process, some of it before any log level applies, which drowns the
    progress bar. Whoever wants the notes sets ``TF_CPP_MIN_LOG_LEVEL=0``.
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
    """Imports Keras and its backend, and names that.

    Raises ObjectiveError: a package is missing, or the backend trains nothing.
    """
    wanted = os.environ.get("KERAS_BACKEND") or None
    if wanted is not None and wanted not in TRAINING and "keras" not in sys.modules:
        raise ObjectiveError(_refused("KERAS_BACKEND", wanted))
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


def _refused(what: str, backend: str) -> str:
    return (
        f"{what}: must be one that trains, {', '.join(TRAINING)}, got {backend!r}; set the environment variable "
        "KERAS_BACKEND to one of them before Python starts"
    )


def _missing(error: ImportError) -> str:
    """What to install, and what is there already."""
    package = (error.name or "").partition(".")[0]
    if not package or is_there(package):  # it is there, and is broken
        return f"refine.keras: Keras can't be imported, got {type(error).__name__}: {error}; install it again"
    others = [name for name in TRAINING if name != package and is_there(name)]
    instead = ""
    if package in TRAINING and others:
        instead = f", or set the environment variable KERAS_BACKEND={others[0]} for what is installed"
    # The extra brings TensorFlow, which Keras on another backend does without.
    by_extra = EXTRAS.get(package) == "keras" and os.environ.get("KERAS_BACKEND") in (None, "", "tensorflow")
    command = how(package) if by_extra else f"pip install {package}"
    return f"refine.keras needs {package}, which is not installed: {command}{instead}"


BACKEND = _load()  # what Keras runs on in this process


def take_memory_as_needed() -> None:
    """Keeps this process, and those that it starts, from taking all memory of a GPU at once, unless the person chose.

    It counts until the backend has first used the GPU: several workers then share one.
    """
    if BACKEND in _MEMORY:
        os.environ.setdefault(*_MEMORY[BACKEND])


def devices() -> list[str]:
    """What the backend can compute on, GPUs by their names."""
    if BACKEND == "tensorflow":
        config = sys.modules["tensorflow"].config
        seen = [(d.name.removeprefix("/physical_device:"), d) for d in config.list_physical_devices()]
        details = config.experimental.get_device_details
        return [
            f"{name} ({details(d).get('device_name')})" if d.device_type == "GPU" else name
            for name, d in seen
        ]
    if BACKEND == "jax":
        return [f"{d.platform.upper()}:{d.id} ({d.device_kind})" for d in sys.modules["jax"].devices()]
    cuda = sys.modules["torch"].cuda
    return ["CPU:0", *(f"GPU:{i} ({cuda.get_device_name(i)})" for i in range(cuda.device_count()))]
