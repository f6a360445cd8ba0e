"""Data for `refine.keras.fit`: what `Model.fit` accepts in memory, as structures of tensors.

The conversions are those of Keras' array adapter, so that a model sees the same numbers either way:
floats in Keras' ``floatx``, a pandas Series as one column, lists as tuples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from refine.keras._notices import Unsupported


class Rows(NamedTuple):
    """Examples in memory: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``, each a tensor or a structure of tensors; and how many."""

    data: Any
    size: int


class Plan(NamedTuple):
    """What is trained on and how."""

    train: Rows
    validation: Rows | None
    seed: int | None  # of the order of rows, which follows from it and the epoch; None keeps them in order
    batch: int
    val_batch: int
    steps: int  # updates in all epochs together
    watched: bool  # whether callbacks act between epochs


def _tensor(leaf: Any) -> Any:
    """One array as a tensor, floats in ``floatx``; `None` stays."""
    if leaf is None:
        return None
    if isinstance(leaf, (tf.SparseTensor, tf.RaggedTensor)) or hasattr(leaf, "tocsr"):
        raise Unsupported("sparse and ragged data are batched by Model.fit alone")
    if not (tf.is_tensor(leaf) or hasattr(leaf, "__array__")):
        raise Unsupported(f"the data holds a {type(leaf).__name__}, which is no array")
    if not tf.is_tensor(leaf):
        series = type(leaf).__name__ == "Series" and hasattr(leaf, "to_numpy")
        leaf = np.asarray(leaf)
        if series:
            leaf = leaf[:, None]
        if leaf.dtype.kind not in "biufc":
            raise Unsupported(f"the data has dtype {leaf.dtype}, which is not numeric")
    if len(leaf.shape) == 0 or leaf.shape[0] is None:
        raise Unsupported("the data has no fixed number of rows")
    if keras.backend.is_float_dtype(leaf.dtype):
        return tf.cast(leaf, keras.config.floatx())
    return tf.convert_to_tensor(leaf)


def _class_weights(y: Any, class_weight: Mapping[int, float]) -> np.ndarray:
    """Weights of examples from weights of classes; classes left out weigh 1."""
    if keras.tree.is_nested(y):
        raise ValueError(
            "class_weight: needs a model with one output, got several; pass sample_weight instead"
        )
    classes = np.asarray(y)
    if classes.ndim > 1:
        wide = classes.shape[-1] != 1
        classes = classes.argmax(axis=-1) if wide else classes.squeeze(axis=-1)
    classes = np.round(classes).astype("int32")
    table = {int(k): float(v) for k, v in class_weight.items()}
    weights = [table.get(int(c), 1.0) for c in classes.reshape(-1)]
    return np.asarray(weights, keras.config.floatx()).reshape(classes.shape)


def rows(x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None) -> Rows:
    """Packs arguments of `Model.fit` into `Rows`; one array of weights serves several outputs.

    Raises Unsupported: the data are not arrays in memory; ValueError: both kinds of weights, or different numbers of
    rows.
    """
    if class_weight is not None:
        if sample_weight is not None:
            raise ValueError("class_weight: can't be combined with sample_weight; multiply them yourself")
        sample_weight = _class_weights(y, class_weight)
    if sample_weight is not None and keras.tree.is_nested(y) and not keras.tree.is_nested(sample_weight):
        weight = sample_weight
        sample_weight = keras.tree.map_structure(lambda _: weight, y)
    if y is None:
        packed = (x,) if isinstance(x, (tuple, list)) else x
    else:
        packed = (x, y) if sample_weight is None else (x, y, sample_weight)
    data = keras.tree.lists_to_tuples(keras.tree.map_structure(_tensor, packed))
    counts = {int(t.shape[0]) for t in keras.tree.flatten(data) if t is not None}
    if len(counts) != 1:
        raise ValueError(
            f"data: every array needs the same number of rows, got {sorted(counts)}; "
            "check x, y and sample_weight"
        )
    count = counts.pop()
    if count == 0:
        raise ValueError("data: at least one row is needed, got 0; check how it was split")
    return Rows(data, count)


def validation_rows(data: Any) -> Rows:
    """Packs ``validation_data`` of `Model.fit` into `Rows`; raises as `rows` does."""
    if hasattr(data, "shape"):
        raise ValueError(
            f"validation_data: must be (x, y) or (x, y, sample_weight), got one array of shape {tuple(data.shape)}"
        )
    if not isinstance(data, tuple):
        raise Unsupported(f"validation_data is a {type(data).__name__}, not (x, y) in memory")
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"validation_data: must be (x, y) or (x, y, sample_weight), got {len(data)} elements"
        )
    if any(np.shape(leaf)[:1] == (0,) for leaf in keras.tree.flatten(data) if hasattr(leaf, "shape")):
        raise Unsupported("the validation data has no rows")
    return rows(*data)


def split_tail(x: Any, y: Any, sample_weight: Any, share: float) -> tuple[Any, Any]:
    """``(x, y, sample_weight)`` of the first rows and of the last ``share``, as ``validation_split`` of `Model.fit` parts them."""
    if not 0 < share < 1:
        raise ValueError(f"validation_split: must be between 0 and 1, got {share}; try 0.3")
    packed = keras.tree.map_structure(_tensor, (x, y, sample_weight))
    count = int(keras.tree.flatten(packed)[0].shape[0])
    cut = int(np.floor(count * (1.0 - share)))
    if cut in (0, count):
        raise ValueError(
            f"validation_split: {share} of {count} rows leaves one side empty; use another share"
        )
    head = keras.tree.map_structure(lambda t: None if t is None else t[:cut], packed)
    tail = keras.tree.map_structure(lambda t: None if t is None else t[cut:], packed)
    return head, tail
