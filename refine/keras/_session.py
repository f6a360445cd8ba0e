"""The state that Keras and its backend keep per process: set up once, cleared around every trial."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
from collections.abc import Iterator

import keras

from refine.keras._backend import BACKEND, quietly, take_memory_as_needed
from refine.keras._notices import warn_once

# Seeds of the trials since TensorFlow's kernels were last thrown away.
_seeds: set[int] = set()
# Kernels of a trial that nobody needs any more take 0.75 MB.
_MOST_SEEDS = 32
# Whether something was kept since the collector last froze what stays.
_more = False


def prepare(threads: int) -> None:
    """Sets the number of the backend's threads and spares the garbage collector what stays anyway.

    If TensorFlow has already started with other numbers of threads, they stay, and one `RefineWarning` says so.
    """
    take_memory_as_needed()
    if BACKEND == "tensorflow":
        _set_threads(threads)
    elif BACKEND == "torch":
        importlib.import_module("torch").set_num_threads(threads)
    else:
        # JAX has no option; its compiler reads this as it starts.
        os.environ.setdefault("NPROC", str(threads))
    if not gc.get_freeze_count():
        # TensorFlow alone is half a million objects. Out of the collector's sight they no longer make
        # the collection after every trial take a quarter of a second.
        gc.collect()
        gc.freeze()


def keep() -> None:
    """Says that what this trial has made stays, so that the collector need not look at it again and again."""
    global _more
    _more = True


def free() -> None:
    """Says that what was kept may go."""
    gc.unfreeze()
    keep()


def _collect() -> None:
    """Frees the models of a trial, which are cycles of objects: only a collection finds them."""
    global _more
    gc.collect()
    if _more:
        gc.freeze()
        _more = False


def _set_threads(threads: int) -> None:
    import tensorflow as tf

    config = tf.config.threading
    try:
        config.set_intra_op_parallelism_threads(threads)
        config.set_inter_op_parallelism_threads(threads)
        with quietly():
            tf.config.list_logical_devices()  # starts TensorFlow, which has its say about GPUs
    except RuntimeError:
        have = (config.get_intra_op_parallelism_threads(), config.get_inter_op_parallelism_threads())
        warn_once(
            f"refine.keras: TensorFlow already runs with {have[0]} and {have[1]} threads (0: as many "
            f"as cores), so {threads} can't be set and results may differ in the last digits; prepare "
            "the objective before anything uses TensorFlow",
            stacklevel=4,
        )


@contextlib.contextmanager
def own_session(seed: int) -> Iterator[None]:
    """A session, all of it seeded, that knows nothing of what ran before, and of which nothing is left afterwards.

    The dtype policy that the person may have set survives.
    """
    # Random operations keep their state in kernels, found again by seed. Without kernels a graph that
    # serves many trials would be prepared for each of them again, so that they go only when this seed
    # may have left one, or once in a while.
    again = seed in _seeds or len(_seeds) >= _MOST_SEEDS
    if again:
        _seeds.clear()
    _seeds.add(seed)
    with contextlib.nullcontext() if again else _kernels_kept():
        _clear()
        keras.utils.set_random_seed(seed)
    try:
        with _gradients_forgotten():
            yield
    finally:
        with _kernels_kept():
            _clear()
        if BACKEND == "jax":
            # What was compiled for the trial is of no use to another one, and would stay: 17 MB a trial.
            importlib.import_module("jax").clear_caches()
        _collect()


def _clear() -> None:
    policy = keras.config.dtype_policy()
    keras.utils.clear_session(free_memory=False)
    if keras.config.dtype_policy().name != policy.name:
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def _kernels_kept() -> Iterator[None]:
    """Keeps Keras and TensorFlow from throwing kernels away when they clear a session or set a seed."""
    if BACKEND != "tensorflow":
        yield
        return
    try:
        from tensorflow.python.eager.context import pywrap_tfe

        clear = pywrap_tfe.TFE_ContextClearCaches
    except (ImportError, AttributeError):  # another TensorFlow does it elsewhere
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

    Every graph that Keras traces for training registers one and nothing ever removes it, so that a
    process keeps the graph of every model that `Model.fit` trained: some 7 MB a trial.
    """
    registry: dict[str, object] = {}
    if BACKEND == "tensorflow":
        with contextlib.suppress(ImportError, AttributeError):  # another TensorFlow keeps it elsewhere
            from tensorflow.python.framework import ops

            registry = ops.gradient_registry._registry
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]
