"""Data for `refine.keras.fit`: the in-memory inputs of `Model.fit`, as structures of tensors.

Keras' own array adapter packs and converts the data, so that a model sees the same numbers either way.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters import array_slicing
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

from refine.keras._notices import Unsupported
from refine.keras._types import Arrays


class TrainingRows(NamedTuple):
    """Examples in memory, and their number.

    ``data`` is ``x``, ``(x, y)`` or ``(x, y, sample_weight)``: tensors, or structures of tensors.
    """

    data: Arrays
    size: int


class Plan(NamedTuple):
    """Data and settings of a training."""

    train: TrainingRows
    validation: TrainingRows | None
    seed: int | None  # of the order of rows, together with the epoch; None keeps the order
    batch: int
    val_batch: int
    steps: int  # updates in all epochs together
    watched: bool  # True if callbacks act between epochs


def _tensor(leaf: Arrays) -> Arrays:
    """An array, converted by Keras, as a tensor; `None` stays `None`."""
    if leaf is None:
        return None
    if getattr(leaf.dtype, "kind", "f") not in "biufc" or not leaf.shape:
        raise Unsupported(f"the data has dtype {leaf.dtype} and shape {leaf.shape}, not rows of numbers")
    return tf.convert_to_tensor(leaf)


def training_rows(
    x: object, y: object = None, sample_weight: object = None, class_weight: object = None
) -> TrainingRows:
    """Packs arguments of `Model.fit` into `TrainingRows`; one array of weights serves several outputs.

    Raises:
        Unsupported: The data are not arrays in memory.
        ValueError: Both kinds of weights, or different numbers of rows.
    """
    for leaf in keras.tree.flatten((x, y, sample_weight)):
        if isinstance(leaf, (tf.SparseTensor, tf.RaggedTensor)) or hasattr(leaf, "tocsr"):
            raise Unsupported("sparse and ragged data can be batched only by Model.fit")
        if not array_slicing.can_slice_array(leaf):
            raise Unsupported(f"the data holds a {type(leaf).__name__}, which is not an array")
    packed = ArrayDataAdapter(x, y, sample_weight, class_weight=class_weight)._inputs
    arrays = array_slicing.convert_to_sliceable(packed, target_backend="tensorflow")
    data = keras.tree.lists_to_tuples(keras.tree.map_structure(_tensor, arrays))
    count = next(int(t.shape[0]) for t in keras.tree.flatten(data) if t is not None)
    if count == 0:
        raise ValueError("data: at least one row is needed, got 0; check the split")
    return TrainingRows(data, count)


def validation_rows(data: object) -> TrainingRows:
    """Packs ``validation_data`` of `Model.fit` into `TrainingRows`; raises as `training_rows` does."""
    if hasattr(data, "shape"):
        raise ValueError(
            "validation_data: must be (x, y) or (x, y, sample_weight), got one array of shape "
            f"{tuple(data.shape)}"
        )
    if not isinstance(data, tuple):
        raise Unsupported(f"validation_data is a {type(data).__name__}, not (x, y) in memory")
    if any(np.shape(leaf)[:1] == (0,) for leaf in keras.tree.flatten(data) if hasattr(leaf, "shape")):
        raise Unsupported("the validation data has no rows")
    return training_rows(*keras.utils.unpack_x_y_sample_weight(data))


def split_tail(x: object, y: object, sample_weight: object, share: float) -> tuple[Arrays, Arrays]:
    """``(x, y, sample_weight)`` of the first rows, and of the last ``share``.

    Splits like ``validation_split`` of `Model.fit`.

    Raises:
        ValueError: ``share`` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"validation_split: must be between 0 and 1, got {share}; try 0.3")
    parts: tuple[Arrays, Arrays] = array_slicing.train_validation_split((x, y, sample_weight), share)
    return parts
