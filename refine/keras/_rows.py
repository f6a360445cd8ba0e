"""Rows in memory: read from datasets, checked, digested, and divided by use."""

from __future__ import annotations

import hashlib
import inspect
import sys
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypedDict

import keras
import numpy as np

from refine.errors import ObjectiveError
from refine.keras._types import Arrays

_ROW_NUMBERS = (
    "or give row numbers as x and read rows in the model function (docs/keras.md, Data that stays on disk)"
)
_DEFAULT_SPLIT = 0.3
# ``tf.data.INFINITE_CARDINALITY``
_ENDLESS = -1
_AS_SPLITS = (
    "splits takes a whole number, a scikit-learn splitter, or a list of (training, validation) row numbers"
)
# Targets with more distinct whole numbers are quantities, not classes.
_MOST_CLASSES = 100

Fold = tuple[np.ndarray, np.ndarray]  # row numbers for training and for validation


def arrays_of(x_name: str, x: Arrays, y_name: str, y: object) -> tuple[Arrays, Arrays]:
    """Inputs and targets; a dataset of pairs as ``x`` is read into memory.

    A dataset is a finite ``tf.data.Dataset`` or ``keras.utils.PyDataset``.

    Raises:
        ObjectiveError: The dataset is infinite, of unknown length, a generator, without targets, with
            weights, or gives different rows when read again; or targets are missing, or given twice.
    """
    tensorflow = sys.modules.get("tensorflow")  # may be missing, or not the backend of Keras
    is_dataset = tensorflow is not None and isinstance(x, tensorflow.data.Dataset)
    is_generator = hasattr(x, "__next__") or inspect.isgeneratorfunction(x)
    if not (is_dataset or is_generator or isinstance(x, keras.utils.PyDataset)):
        if y is None and x_name == "x":
            raise ObjectiveError("y: must be given with x, got None; only a dataset as x includes targets")
        return x, y
    kind = type(x).__name__
    if y is not None:
        raise ObjectiveError(
            f"{y_name}: can't be combined with a {kind}, which includes targets; leave {y_name} out"
        )
    if is_generator:
        raise ObjectiveError(
            f"{x_name}: must be arrays or a dataset that can be read twice, got a {kind}, which can be read "
            f"once; read its rows into arrays, {_ROW_NUMBERS}"
        )
    if is_dataset:
        length = int(x.cardinality())
        if length < 0:
            if length == _ENDLESS:
                length_text = "without end"
            else:
                length_text = "of unknown length"
            raise ObjectiveError(
                f"{x_name}: must be a dataset that ends, got a {kind} {length_text}; leave repeat() out, "
                "declare the "
                f"length by dataset.apply(tf.data.experimental.assert_cardinality(n)), {_ROW_NUMBERS}"
            )
        if any(leaf.shape.rank == 0 for leaf in keras.tree.flatten(x.element_spec)):
            raise ObjectiveError(
                f"{x_name}: must be a dataset of batches, got a {kind} of single rows; call batch(32)"
            )
    pairs = [_pair(x_name, batch) for batch in _batches(x)]
    if not pairs:
        raise ObjectiveError(f"{x_name}: needs at least one row, got an empty {kind}; check the dataset")
    second_reading = _pair(x_name, next(_batches(x)))
    leaves = zip(keras.tree.flatten(pairs[0]), keras.tree.flatten(second_reading), strict=True)
    if not all(np.array_equal(first, second, equal_nan=first.dtype.kind == "f") for first, second in leaves):
        raise ObjectiveError(
            f"{x_name}: must give the same rows in the same order every time, got a {kind} that shuffles or "
            "draws; use shuffle=False, and augment in layers of the model"
        )
    x, y = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *pairs)
    return x, y


def _batches(source: Arrays) -> Iterator[Arrays]:
    if isinstance(source, keras.utils.PyDataset):
        return (source[i] for i in range(len(source)))
    return iter(source)


def _pair(name: str, batch: object) -> tuple[Arrays, Arrays]:
    if not isinstance(batch, tuple) or len(batch) != 2:
        if isinstance(batch, tuple):
            shown = f"{len(batch)} parts"
        else:
            shown = "inputs alone"
        raise ObjectiveError(
            f"{name}: a dataset must give pairs (inputs, targets), got {shown}; map the dataset to pairs, "
            "and pass sample weights to fit in the model function"
        )
    return keras.tree.map_structure(np.asarray, batch)


def as_arrays(name: str, data: object, *, nan: bool = False) -> Arrays:
    """Data as numpy arrays, one row per example, floats in Keras' ``floatx``; the structure is kept.

    Args:
        name: Of the argument, for errors.
        data: Arrays, or structures of arrays.
        nan: Whether NaN is allowed. Infinity never is.

    Raises:
        ObjectiveError: Data that are not numeric, or NaN or infinity that is not allowed.
    """

    def one(leaf: object) -> np.ndarray:
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
            missing = int(np.isnan(array).sum())
            infinite = int(np.isinf(array).sum())
            if nan and infinite:
                raise ObjectiveError(
                    f"{name}: must not be infinite, got {infinite} of {array.size} numbers; drop or clip "
                    "these rows first"
                )
            if missing + infinite and not nan:
                out = ""
                if name in ("x", "x_val") and not infinite:
                    out = ", give an imputer as preprocess=, or allow_nan=True if the model accepts NaN"
                raise ObjectiveError(
                    f"{name}: must be finite, got {missing + infinite} NaN or infinite of {array.size} "
                    f"numbers; drop or impute these rows first{out}"
                )
            array = array.astype(keras.config.floatx(), copy=False)
        return array

    if isinstance(data, list) and not any(hasattr(leaf, "shape") for leaf in data):
        data = np.asarray(data)  # a plain list of numbers
    return keras.tree.map_structure(one, data)


def has_nan(data: object) -> bool:
    """True if a structure of arrays holds NaN."""
    return any(leaf.dtype.kind == "f" and np.isnan(leaf).any() for leaf in keras.tree.flatten(data))


def same_rows(x_name: str, x: object, y_name: str, y: object) -> int:
    """Number of rows of two structures of arrays.

    Raises:
        ObjectiveError: Lengths differ, or there are no rows.
    """
    x_rows = _rows_of(x_name, x)
    y_rows = _rows_of(y_name, y)
    if x_rows != y_rows:
        raise ObjectiveError(
            f"{y_name}: must have as many rows as {x_name}, got {y_rows} and {x_rows}; check the selection"
        )
    return x_rows


def _rows_of(name: str, data: object) -> int:
    lengths = {leaf.shape[0] for leaf in keras.tree.flatten(data)}
    if len(lengths) != 1:
        raise ObjectiveError(
            f"{name}: every array must have the same number of rows, got {sorted(lengths)}; "
            "check the selection"
        )
    count = int(lengths.pop())
    if count == 0:
        raise ObjectiveError(f"{name}: needs at least one row, got none; check the selection")
    return count


def classes_of(y: object) -> np.ndarray | None:
    """The class number of each row, or `None` if the targets are not classes.

    Classes are booleans, whole numbers with few distinct values, or one-hot rows.
    """
    if not isinstance(y, np.ndarray) or y.ndim > 2:
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()
        if one_hot:
            return y.argmax(axis=1)
        return None
    flat = y.reshape(-1)
    if flat.dtype.kind == "f" and not (flat == np.round(flat)).all():
        return None
    values, codes = np.unique(flat, return_inverse=True)
    are_classes = len(values) <= min(_MOST_CLASSES, max(2, len(flat) // 3))
    if are_classes:
        return codes
    return None


def labels_of(y: object) -> np.ndarray | None:
    """One number per row: the class of a one-hot row, else the target; `None` for several targets per row."""
    if not isinstance(y, np.ndarray) or y.ndim > 2:
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        return classes_of(y)
    return y.reshape(-1)


def validation_rows(y: object, count: int, share: float, seed: int, name: str = "val_split") -> np.ndarray:
    """Mask, (count,), of the rows for validation, or for the hold-out.

    Classes keep their proportions up to rounding, and each keeps at least one training row.

    Raises:
        ObjectiveError: One side would be empty.
    """
    # The legacy generator, because numpy promises that its streams never change.
    generator = np.random.RandomState(seed)
    target_count = round(count * share)
    if not 0 < target_count < count:
        raise ObjectiveError(
            f"{name}: must leave rows on both sides, got {share} of {count} rows; use another share"
        )
    order = generator.permutation(count)
    mask = np.zeros(count, bool)
    classes = classes_of(y)
    if classes is None:
        mask[order[:target_count]] = True
        return mask
    sizes = np.bincount(classes)
    exact = sizes * (target_count / count)
    counts = np.floor(exact).astype(int)
    # The largest remainders get the rows lost by rounding down.
    for label in np.argsort(counts - exact, kind="stable")[: target_count - counts.sum()]:
        counts[label] += 1
    counts = np.minimum(counts, np.maximum(sizes - 1, 0))
    for label, number in enumerate(counts):
        mask[order[classes[order] == label][:number]] = True
    if not mask.any():
        raise ObjectiveError(
            f"{name}: {share} of {count} rows is less than a row of any of the {len(sizes)} classes; use a "
            "larger share"
        )
    return mask


def take(data: object, rows: np.ndarray | None = None) -> Arrays:
    """Copies of the rows with these numbers, by default all, of a structure of arrays."""
    return keras.tree.map_structure(lambda leaf: leaf.copy() if rows is None else leaf[rows], data)


def digest(*parts: object) -> str:
    """Hex digest of structures of arrays and of values with a stable `repr`; equal on all machines."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, dict):
            total.update(repr(sorted(part)).encode())
        for leaf in keras.tree.flatten(part):
            if isinstance(leaf, np.ndarray):
                little = leaf.dtype.newbyteorder("<")
                total.update(f"{little.str}{leaf.shape}".encode())
                if leaf.dtype.kind == "f" and (missing := np.isnan(leaf)).any():
                    leaf = np.where(missing, leaf.dtype.type(np.nan), leaf)  # NaN has many bit patterns
                total.update(np.ascontiguousarray(leaf, little).data)
            else:
                total.update(repr(leaf).encode())
        total.update(b"\0")
    return total.hexdigest()


class Partition(NamedTuple):
    """Row numbers by use."""

    sealed: np.ndarray | None  # hold-out rows, never seen by a trial; ``None`` without a hold-out
    unsealed: np.ndarray  # rows for training and validation
    folds: tuple[Fold, ...]  # one per split


class _Kin(NamedTuple):
    """Numbers, one per row, that keep rows together: of groups or of moments; at most one is given."""

    groups: np.ndarray | None
    times: np.ndarray | None


class SplitKeywords(TypedDict, total=False):
    """The options of :class:`SplitOptions` as keywords."""

    val_split: float | None
    x_val: Arrays
    y_val: Arrays
    split_seed: int
    holdout: float | None
    holdout_seed: int
    splits: object
    groups: Arrays
    time: Arrays


class SplitOptions(NamedTuple):
    """Options of ``KerasObjective`` for the division of rows."""

    val_split: float | None = None
    x_val: Arrays = None
    y_val: Arrays = None
    split_seed: int = 0
    holdout: float | None = None
    holdout_seed: int = 0
    splits: Any = 1
    groups: Arrays = None
    time: Arrays = None


def partition(y: object, count: int, options: SplitOptions) -> Partition:
    """Divides ``count`` rows with targets ``y``.

    With ``x_val`` there are no folds.

    Raises:
        ObjectiveError: The division is impossible.
    """
    kin = _Kin(_groups(options.groups, count), _times(options.time, count))
    sealed: np.ndarray | None = None
    unsealed = np.arange(count, dtype=np.int64)
    if options.holdout is not None:
        seed = int(digest("holdout", int(options.holdout_seed))[:8], 16)
        mask = _drawn(y, unsealed, kin, float(options.holdout), seed, "holdout")
        sealed = unsealed[mask]
        unsealed = unsealed[~mask]
    splits = options.splits
    if options.x_val is not None:
        folds = []
    elif isinstance(splits, int | np.integer):
        share = _DEFAULT_SPLIT
        if options.val_split is not None:
            share = float(options.val_split)
        further_seeds = (
            int(digest("split", int(options.split_seed), j)[:8], 16) for j in range(1, int(splits))
        )
        masks = [
            _drawn(y, unsealed, kin, share, seed, "val_split")
            for seed in (int(options.split_seed), *further_seeds)
        ]
        folds = [(unsealed[~mask], unsealed[mask]) for mask in masks]
    else:
        folds = _checked(_given(splits, y, unsealed, count, kin), count, unsealed, kin)
    return Partition(sealed, unsealed, tuple(folds))


def _drawn(y: object, rows: np.ndarray, kin: _Kin, share: float, seed: int, name: str) -> np.ndarray:
    """Mask of ``rows``: the rows for validation, or for the hold-out."""
    if kin.times is not None:
        return _latest(kin.times[rows], share, name)
    if len(rows) == len(keras.tree.flatten(y)[0]):
        targets = y
    else:
        targets = take(y, rows)
    if kin.groups is not None:
        return _of_groups(targets, kin.groups[rows], share, seed, name)
    return validation_rows(targets, len(rows), share, seed, name)


def _latest(times: np.ndarray, share: float, name: str) -> np.ndarray:
    """Mask of the last rows; rows of one moment stay together."""
    target_count = round(len(times) * share)
    if 0 < target_count < len(times):
        first = np.sort(times)[len(times) - target_count]
        for mask in (times >= first, times > first):
            if 0 < mask.sum() < len(times):
                return mask
    raise ObjectiveError(
        f"{name}: must leave rows on both sides, got {share} of {len(times)} rows at {len(np.unique(times))} "
        "moments; use another share"
    )


def _of_groups(y: object, groups: np.ndarray, share: float, seed: int, name: str) -> np.ndarray:
    """Mask of whole groups, added in random order if they bring rows and classes nearer to the share."""
    names, numbers = np.unique(groups, return_inverse=True)
    classes = classes_of(y)
    table = np.zeros((len(names), 1 if classes is None else classes.max() + 1))
    np.add.at(table, (numbers, np.zeros(len(numbers), int) if classes is None else classes), 1)
    target = table.sum(axis=0) * share
    chosen_counts = np.zeros_like(target)
    chosen = np.zeros(len(names), bool)
    # The legacy generator, because numpy promises that its streams never change.
    for group in np.random.RandomState(seed).permutation(len(names)):
        nearer = (
            np.square(chosen_counts + table[group] - target).sum() < np.square(chosen_counts - target).sum()
        )
        if nearer and chosen.sum() + 1 < len(names):
            chosen[group] = True
            chosen_counts += table[group]
    if not chosen.any():
        raise ObjectiveError(
            f"{name}: no whole group fits into {share} of {len(groups)} rows; the smallest of {len(names)} "
            f"groups has {int(table.sum(axis=1).min())}; use a larger share"
        )
    return chosen[numbers]


def _given(splits: Any, y: object, unsealed: np.ndarray, count: int, kin: _Kin) -> list[Any]:
    """Pairs of row numbers from a splitter or the user, without hold-out rows."""
    if hasattr(splits, "split"):
        return _by_splitter(splits, y, unsealed, kin)
    pairs = []
    for pair in splits:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ObjectiveError(f"splits: must be pairs of row numbers, got {pair!r:.60}; {_AS_SPLITS}")
        sides = [_numbers(side, count) for side in pair]
        pairs.append(tuple(side[np.isin(side, unsealed)] for side in sides))
    return pairs


def _numbers(side: object, count: int) -> np.ndarray:
    rows = np.asarray(side)
    if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
        raise ObjectiveError(f"splits: must be pairs of row numbers, got {side!r:.60}; {_AS_SPLITS}")
    rows = rows.astype(np.int64)
    outside = rows[(rows < 0) | (rows >= count)]
    if len(outside):
        raise ObjectiveError(
            f"splits: rows are numbered from 0 to {count - 1}, got {outside[0]}; check the pairs"
        )
    return rows


def _by_splitter(splitter: Any, y: object, unsealed: np.ndarray, kin: _Kin) -> list[Fold]:
    from sklearn.model_selection import TimeSeriesSplit

    name = type(splitter).__name__
    if isinstance(splitter, TimeSeriesSplit) and kin.times is None:
        raise ObjectiveError(
            "splits: TimeSeriesSplit needs the order of rows, got no time; pass time=True if the rows are "
            "sorted by time, or time= with the time of each row"
        )
    if kin.times is not None:
        unsealed = unsealed[np.argsort(kin.times[unsealed], kind="stable")]
    targets = take(y, unsealed)
    classes = classes_of(targets)
    labels = classes
    if classes is None:
        labels = labels_of(targets)
    groups = kin.groups
    if groups is not None:
        groups = groups[unsealed]
    try:
        with warnings.catch_warnings():
            # The folds of a splitter that ignores groups are checked below.
            warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
            folds, second_folds = (
                [*splitter.split(np.zeros((len(unsealed), 1)), labels, groups)] for _ in range(2)
            )
    except (ValueError, TypeError) as error:
        raise ObjectiveError(
            f"splits: {name} can't split these rows ({error}); see its documentation"
        ) from error
    if len(folds) != len(second_folds) or not all(map(np.array_equal, chain(*folds), chain(*second_folds))):
        raise ObjectiveError(
            f"splits: must give the same rows every time, got a {name} that draws; give it random_state=0"
        )
    return [(unsealed[train], unsealed[validation]) for train, validation in folds]


def _checked(folds: Sequence[Fold], count: int, unsealed: np.ndarray, kin: _Kin) -> list[Fold]:
    """The folds with sorted rows; raises ObjectiveError for an impossible fold."""
    if not folds:
        raise ObjectiveError(f"splits: must hold at least one split, got none; {_AS_SPLITS}")
    checked = []
    for number, (train, validation) in enumerate(folds, 1):
        sides = np.unique(train), np.unique(validation)
        if not all(map(len, sides)):
            if not len(sides[0]):
                verb = "train"
            else:
                verb = "validate"
            if len(unsealed) == count:
                sealed = ""
            else:
                sealed = " outside the hold-out"
            raise ObjectiveError(f"splits: split {number} has no rows to {verb} on{sealed}; use other splits")
        shared_rows = np.intersect1d(*sides)
        if len(shared_rows):
            raise ObjectiveError(
                f"splits: a row must be on one side, got row {shared_rows[0]} on both in split {number}; "
                "check the splits"
            )
        if kin.groups is not None:
            shared = np.intersect1d(kin.groups[sides[0]], kin.groups[sides[1]])
            if len(shared):
                row = int(np.flatnonzero(kin.groups == shared[0])[0])
                raise ObjectiveError(
                    f"splits: a group must be on one side, got the group of row {row} on both in split "
                    f"{number}; use GroupKFold or StratifiedGroupKFold"
                )
        if kin.times is not None and kin.times[sides[0]].max() > kin.times[sides[1]].min():
            raise ObjectiveError(
                f"splits: with time, validation must come after training, but split {number} trains on later "
                "rows; use TimeSeriesSplit"
            )
        checked.append(sides)
    return checked


def _groups(groups: object, count: int) -> np.ndarray | None:
    """A number per row, equal for rows of one group."""
    import pandas as pd

    if groups is None:
        return None
    return pd.factorize(_one_each("groups", groups, count))[0]


def _times(time: object, count: int) -> np.ndarray | None:
    """A number per row, larger for later rows."""
    if time is None:
        return None
    if time is True:
        return np.arange(count)
    array = _one_each("time", time, count)
    if array.dtype.kind not in "iufmM":
        raise ObjectiveError(
            f"time: must be True or numbers or datetimes, got dtype {array.dtype}; convert text by "
            "pandas.to_datetime"
        )
    return np.unique(array, return_inverse=True)[1].reshape(-1)


def _one_each(name: str, values: object, count: int) -> np.ndarray:
    import pandas as pd

    array = np.asarray(values)
    if array.shape != (count,):
        raise ObjectiveError(
            f"{name}: must have one value for each of {count} rows, got shape {array.shape}; check the "
            "selection"
        )
    if bool(pd.isna(array).any()):
        raise ObjectiveError(
            f"{name}: must be given for every row, got NaN or None; fill in or drop these rows"
        )
    return array
