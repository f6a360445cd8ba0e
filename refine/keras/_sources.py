"""Datasets as arrays: what `KerasObjective` splits, seals and digests lies in memory."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from refine.errors import ObjectiveError

_OWN = "or give row numbers as x and read rows in the model function (docs/keras.md, Data that stays on disk)"

# ``tf.data.INFINITE_CARDINALITY``
_ENDLESS = -1


def is_source(data: Any) -> bool:
    """Whether data is something that gives batches, rather than arrays."""
    return _is_dataset(data) or isinstance(data, keras.utils.PyDataset) or _passes(data)


def _is_dataset(data: Any) -> bool:
    """Whether data is a dataset of TensorFlow's, which need not be what Keras runs on, nor be installed."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(data, tensorflow.data.Dataset)


def _passes(data: Any) -> bool:
    """Whether data comes one after the other and ends for good."""
    return hasattr(data, "__next__") or inspect.isgeneratorfunction(data)


def read(name: str, source: Any) -> tuple[Any, Any]:
    """All rows of a dataset.

    Args:
        name: For errors.
        source: A finite ``tf.data.Dataset`` of batches or a ``keras.utils.PyDataset``, of pairs ``(x, y)``.

    Returns:
        ``x`` and ``y`` as arrays, or structures of such, rows in the dataset's order.

    Raises:
        ObjectiveError: It is infinite, of unknown length, a generator, without targets, with weights, or gives other rows each time.
    """
    kind = type(source).__name__
    if _passes(source):
        raise ObjectiveError(
            f"{name}: must be arrays or a dataset that can be read again, got a {kind}, which gives its rows once; read it into "
            f"arrays, {_OWN}"
        )
    if _is_dataset(source):
        length = int(source.cardinality())
        if length < 0:
            what = "without end" if length == _ENDLESS else "of unknown length"
            raise ObjectiveError(
                f"{name}: must be a dataset that ends, got a {kind} {what}; leave repeat() out, say its length by "
                f"dataset.apply(tf.data.experimental.assert_cardinality(n)), {_OWN}"
            )
        if not _is_batched(source):
            source = source.batch(256)
    found = [_pair(name, batch) for batch in _batches(source)]
    if not found:
        raise ObjectiveError(f"{name}: needs at least one row, got an empty {kind}; check how it was made")
    again = _pair(name, next(_batches(source)))
    same = zip(keras.tree.flatten(found[0]), keras.tree.flatten(again), strict=True)
    if not all(np.array_equal(one, other, equal_nan=one.dtype.kind == "f") for one, other in same):
        raise ObjectiveError(
            f"{name}: must give the same rows in the same order every time, got a {kind} that shuffles or draws; "
            "make it with shuffle=False, and augment by layers of the model"
        )
    x, y = keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *found)
    return x, y


def _is_batched(dataset: Any) -> bool:
    """Whether elements are batches: their number of rows is left open, or is what ``batch`` made."""
    leaves = keras.tree.flatten(dataset.element_spec)
    counts = {leaf.shape[0] if leaf.shape.rank else () for leaf in leaves}
    if counts == {None}:
        return True
    while dataset is not None and type(dataset).__name__ != "_UnbatchDataset":
        if len(counts) == 1 and counts == {_static(dataset)}:
            return True
        dataset = getattr(dataset, "_input_dataset", None)
    return False


def _static(dataset: Any) -> int | None:
    """Rows of every batch of a dataset that ``batch(n, drop_remainder=True)`` made."""
    size = getattr(dataset, "_batch_size", None)
    return None if size is None else int(size)


def _batches(source: Any) -> Iterator[Any]:
    if isinstance(source, keras.utils.PyDataset):
        return (source[i] for i in range(len(source)))
    return iter(source)


def _pair(name: str, batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, tuple) or len(batch) != 2:
        got = f"{len(batch)} of them" if isinstance(batch, tuple) else "inputs alone"
        raise ObjectiveError(
            f"{name}: a dataset must give pairs (inputs, targets), got {got}; map it, and give weights to fit in the model function"
        )
    return keras.tree.map_structure(np.asarray, batch)
