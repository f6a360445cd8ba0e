"""Validation rows: checked, drawn by a seed, in the classes' proportions; and a digest of it all."""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np

from refine.errors import ObjectiveError

# With more distinct whole numbers than this, targets are taken for quantities, not classes.
_MOST_CLASSES = 100


def as_arrays(name: str, data: Any, *, copy: bool = False) -> Any:
    """Data as numpy arrays: floats in Keras' ``floatx``, structure kept, checked.

    Args:
        name: For errors.
        data: An array, a pandas frame, or a tuple, list or dict of them.
        copy: Whether nothing may be shared with ``data``.

    Returns:
        The same structure of arrays with at least one dimension.

    Raises:
        ObjectiveError: Something that is not numeric, or NaN or infinity among the numbers.
    """

    def one(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        if array.dtype.kind == "O" and array.ndim == 0:
            raise ObjectiveError(f"{name}: must be arrays, one row per example, got {type(leaf).__name__}")
        if array.dtype.kind not in "biuf":
            raise ObjectiveError(
                f"{name}: must be numeric, got dtype {array.dtype}; encode text and categories first"
            )
        if array.ndim == 0:
            raise ObjectiveError(f"{name}: must have one row per example, got the scalar {array}")
        if array.dtype.kind == "f":
            bad = int(np.count_nonzero(~np.isfinite(array)))
            if bad:
                raise ObjectiveError(
                    f"{name}: must be finite, got {bad} NaN or infinite of {array.size} numbers; "
                    "drop or impute those rows first"
                )
            return array.astype(keras.config.floatx(), copy=copy)
        return array.copy() if copy else array

    if isinstance(data, list) and not any(hasattr(leaf, "shape") for leaf in data):
        data = np.asarray(data)  # a plain list of numbers
    return keras.tree.map_structure(one, data)


def rows_of(name: str, data: Any) -> int:
    """Number of rows of a structure of arrays, the same in each.

    Raises:
        ObjectiveError: Lengths that differ, or no rows.
    """
    lengths = {leaf.shape[0] for leaf in keras.tree.flatten(data)}
    if len(lengths) != 1:
        raise ObjectiveError(
            f"{name}: every array must have the same number of rows, got {sorted(lengths)}; "
            "check how they were selected"
        )
    count = int(lengths.pop())
    if count == 0:
        raise ObjectiveError(f"{name}: needs at least one row, got none; check the selection")
    return count


def classes_of(y: Any) -> np.ndarray | None:
    """The class number of each row, or `None` if the targets aren't classes.

    Classes are booleans, whole numbers with few distinct values, or one-hot rows.
    """
    if not isinstance(y, np.ndarray):
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        one_hot = bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())
        return y.argmax(axis=1) if one_hot else None
    if y.ndim > 2:
        return None
    flat = y.reshape(-1)
    if flat.dtype.kind == "f" and not (flat == np.round(flat)).all():
        return None
    values, codes = np.unique(flat, return_inverse=True)
    few = len(values) <= min(_MOST_CLASSES, max(2, len(flat) // 3))
    return codes if few else None


def labels_of(y: Any) -> np.ndarray | None:
    """One number per row: the class of a one-hot row, else the target; `None` for several targets per row."""
    if not isinstance(y, np.ndarray) or y.ndim > 2:
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        return classes_of(y)
    return y.reshape(-1)


def validation_rows(y: Any, count: int, share: float, seed: int, name: str = "val_split") -> np.ndarray:
    """Which rows to validate on, or to seal.

    Args:
        y: Targets; classes keep their proportions, up to rounding, and one row of each stays to train.
        count: Number of rows.
        share: Share to validate on, in (0, 1).
        seed: Seed of the draw.
        name: What the share is called, for errors.

    Returns:
        Mask of shape (count,), True for validation.

    Raises:
        ObjectiveError: One side would be empty.
    """
    # The legacy generator, because numpy promises that its streams never change.
    generator = np.random.RandomState(seed)
    wanted = round(count * share)
    if not 0 < wanted < count:
        raise ObjectiveError(
            f"{name}: must leave rows on both sides, got {share} of {count} rows; use another share"
        )
    order = generator.permutation(count)
    mask = np.zeros(count, bool)
    classes = classes_of(y)
    if classes is None:
        mask[order[:wanted]] = True
        return mask
    sizes = np.bincount(classes)
    exact = sizes * (wanted / count)
    taken = np.floor(exact).astype(int)
    # Largest remainders get the rows that rounding down left over.
    for label in np.argsort(taken - exact, kind="stable")[: wanted - taken.sum()]:
        taken[label] += 1
    taken = np.minimum(taken, np.maximum(sizes - 1, 0))
    for label, number in enumerate(taken):
        mask[order[classes[order] == label][:number]] = True
    if not mask.any():
        raise ObjectiveError(
            f"{name}: {share} of {count} rows takes none of the {len(sizes)} classes; use a larger share"
        )
    return mask


def take(data: Any, mask: np.ndarray) -> Any:
    """The rows of a structure of arrays that a mask selects."""
    return keras.tree.map_structure(lambda leaf: leaf[mask], data)


def digest(*parts: Any) -> str:
    """Hex digest of structures of arrays and of values with a stable `repr`, on any machine."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, dict):
            total.update(repr(sorted(part)).encode())
        for leaf in keras.tree.flatten(part):
            if isinstance(leaf, np.ndarray):
                little = np.ascontiguousarray(leaf, leaf.dtype.newbyteorder("<"))
                total.update(f"{little.dtype.str}{little.shape}".encode())
                total.update(little.tobytes())
            else:
                total.update(repr(leaf).encode())
        total.update(b"\0")
    return total.hexdigest()
