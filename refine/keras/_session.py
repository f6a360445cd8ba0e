"""State of Keras and its backend per process: set up once, cleared around every trial."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
from collections.abc import Iterator

import keras

from refine.keras._backend import BACKEND, quietly, take_memory_as_needed
from refine.keras._notices import warn_once

# Seeds of the trials since TensorFlow's kernels were last cleared.
_seeds: set[int] = set()
# Largest number of seeds before kernels are cleared; the kernels of a trial take 0.75 MB.
_MOST_SEEDS = 32
# True if lasting objects were made since the collector last froze objects.
_unfrozen = False


def prepare(threads: int) -> None:
    """Sets the number of the backend's threads, and freezes lasting objects for the garbage collector.

    If TensorFlow has already started with other numbers of threads, these stay, and one `RefineWarning` says
    so.
    """
    take_memory_as_needed()
    if BACKEND == "tensorflow":
        _set_threads(threads)
    elif BACKEND == "torch":
        importlib.import_module("torch").set_num_threads(threads)
    else:
        # JAX has no option; its compiler reads the variable at its start.
        os.environ.setdefault("NPROC", str(threads))
    if not gc.get_freeze_count():
        # TensorFlow alone is half a million objects. Frozen, they no longer add a quarter of a second to the
        # collection after every trial.
        gc.collect()
        gc.freeze()


def keep() -> None:
    """Marks the objects of this trial as lasting, so that the collector freezes them."""
    global _unfrozen
    _unfrozen = True


def free() -> None:
    """Unfreezes all objects, so that lasting ones can be collected."""
    gc.unfreeze()
    keep()


def _set_threads(threads: int) -> None:
    import tensorflow as tf

    config = tf.config.threading
    try:
        config.set_intra_op_parallelism_threads(threads)
        config.set_inter_op_parallelism_threads(threads)
        with quietly():
            tf.config.list_logical_devices()  # starts TensorFlow, which prints notes on GPUs
    except RuntimeError:
        have = (config.get_intra_op_parallelism_threads(), config.get_inter_op_parallelism_threads())
        warn_once(
            f"refine.keras: TensorFlow already runs with {have[0]} and {have[1]} threads (0: as many "
            f"as cores), so {threads} can't be set and results may differ in the last digits; prepare "
            "the objective before the first use of TensorFlow",
            stacklevel=4,
        )


@contextlib.contextmanager
def own_session(seed: int) -> Iterator[None]:
    """A seeded Keras session without state from earlier code, cleared afterwards.

    The dtype policy of the user is kept.
    """
    global _unfrozen
    # Random operations keep their state in kernels, looked up by seed. Clearing the kernels makes TensorFlow
    # prepare a shared graph again in every trial, so they are cleared only if this seed may have left a
    # kernel, or once in a while.
    clear_kernels = seed in _seeds or len(_seeds) >= _MOST_SEEDS
    if clear_kernels:
        _seeds.clear()
    _seeds.add(seed)
    with contextlib.nullcontext() if clear_kernels else _kernels_kept():
        _clear()
        keras.utils.set_random_seed(seed)
    try:
        with _gradients_forgotten():
            yield
    finally:
        with _kernels_kept():
            _clear()
        if BACKEND == "jax":
            # Code compiled for this trial is useless for others and would stay: 17 MB a trial.
            importlib.import_module("jax").clear_caches()
        # The models of a trial are cycles of objects, which only a collection finds.
        gc.collect()
        if _unfrozen:
            gc.freeze()
            _unfrozen = False


def _clear() -> None:
    policy = keras.config.dtype_policy()
    keras.utils.clear_session(free_memory=False)
    if keras.config.dtype_policy().name != policy.name:
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def _kernels_kept() -> Iterator[None]:
    """Prevents Keras and TensorFlow from clearing kernels when they clear a session or set a seed."""
    if BACKEND != "tensorflow":
        yield
        return
    try:
        from tensorflow.python.eager.context import pywrap_tfe

        clear = pywrap_tfe.TFE_ContextClearCaches
    except (ImportError, AttributeError):  # other TensorFlow versions
        yield
        return
    pywrap_tfe.TFE_ContextClearCaches = lambda handle: None  # noqa: ARG005
    try:
        yield
    finally:
        pywrap_tfe.TFE_ContextClearCaches = clear


@contextlib.contextmanager
def _gradients_forgotten() -> Iterator[None]:
    """Removes the custom gradients that a trial leaves in TensorFlow's registry.

    Every graph that Keras traces for training registers a gradient that is never removed, so that a process
    would keep the graph of every model trained by `Model.fit`: some 7 MB a trial.
    """
    registry: dict[str, object] = {}
    if BACKEND == "tensorflow":
        with contextlib.suppress(ImportError, AttributeError):  # other TensorFlow versions
            from tensorflow.python.framework import ops

            registry = ops.gradient_registry._registry
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]
