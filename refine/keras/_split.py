"""Rows in memory: checked, drawn by a seed in the classes' proportions, taken, and digested."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from refine.errors import ObjectiveError

# With more distinct whole numbers than this, targets are taken for quantities, not classes.
_MOST_CLASSES = 100
# What is looked at needs a few temporary arrays: numbers at a time.
_AT_ONCE = 2**20
# TensorFlow uses memory that begins at a multiple of so many bytes as it is, and copies other.
_ALIGNED = 64


def as_arrays(name: str, data: Any, *, copy: bool = False, nan: bool = False) -> Any:
    """Data as numpy arrays: floats in Keras' ``floatx``, structure kept, checked.

    Args:
        name: For errors.
        data: An array, a pandas frame, or a tuple, list or dict of them.
        copy: Whether nothing may be shared with ``data``.
        nan: Whether NaN may be among the numbers; infinity never may.

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
            _check_finite(name, array, nan=nan)
            array = array.astype(keras.config.floatx(), copy=False)
        return take(array, slice(None)) if copy else array

    if isinstance(data, list) and not any(hasattr(leaf, "shape") for leaf in data):
        data = np.asarray(data)  # a plain list of numbers
    return keras.tree.map_structure(one, data)


def _check_finite(name: str, array: np.ndarray, *, nan: bool) -> None:
    missing = sum(int(np.count_nonzero(np.isnan(part))) for part in _parts(array))
    infinite = sum(int(np.count_nonzero(np.isinf(part))) for part in _parts(array))
    if nan and infinite:
        raise ObjectiveError(
            f"{name}: must not be infinite, got {infinite} of {array.size} numbers; drop those rows or clip them first"
        )
    if missing + infinite and not nan:
        out = ""
        if name in ("x", "x_val") and not infinite:
            out = ", give an imputer as preprocess=, or allow_nan=True if the model itself takes NaN"
        raise ObjectiveError(
            f"{name}: must be finite, got {missing + infinite} NaN or infinite of {array.size} numbers; "
            f"drop or impute those rows first{out}"
        )


def has_nan(data: Any) -> bool:
    """Whether NaN is among the numbers of a structure of arrays."""
    floats = (leaf for leaf in keras.tree.flatten(data) if leaf.dtype.kind == "f")
    return any(bool(np.isnan(part).any()) for leaf in floats for part in _parts(leaf))


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    """An array, some rows at a time."""
    step = max(1, _AT_ONCE // max(1, array[:1].size))
    for start in range(0, len(array), step):
        yield array[start : start + step]


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
        one_hot = all(
            bool(((part == 0) | (part == 1)).all() and (part.sum(axis=1) == 1).all()) for part in _parts(y)
        )
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


def take(data: Any, rows: np.ndarray | slice) -> Any:
    """Copies of the rows of a structure of arrays that a mask, their numbers or a slice selects.

    They lie in memory so that TensorFlow can use them as they are.
    """

    def one(leaf: np.ndarray) -> np.ndarray:
        if isinstance(rows, slice):
            numbers = np.arange(len(leaf))[rows]
        else:
            numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
        found = _aligned((len(numbers), *leaf.shape[1:]), leaf.dtype)
        if isinstance(rows, slice):
            found[...] = leaf[rows]
        else:
            np.take(leaf, numbers, axis=0, out=found, mode="clip")  # another mode takes them twice
        return found

    return keras.tree.map_structure(one, data)


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + _ALIGNED, np.uint8)
    start = -raw.ctypes.data % _ALIGNED
    return raw[start : start + size].view(dtype).reshape(shape)


def digest(*parts: Any) -> str:
    """Hex digest of structures of arrays and of values with a stable `repr`, on any machine."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, dict):
            total.update(repr(sorted(part)).encode())
        for leaf in keras.tree.flatten(part):
            if isinstance(leaf, np.ndarray):
                little = leaf.dtype.newbyteorder("<")
                total.update(f"{little.str}{leaf.shape}".encode())
                for some in _parts(leaf):
                    total.update(_canonical(some).astype(little, copy=False).tobytes())
            else:
                total.update(repr(leaf).encode())
        total.update(b"\0")
    return total.hexdigest()


def _canonical(array: np.ndarray) -> np.ndarray:
    """The same numbers with one NaN instead of the many that there are."""
    if array.dtype.kind != "f" or not (missing := np.isnan(array)).any():
        return array
    return np.where(missing, array.dtype.type(np.nan), array)
