"""Rows in memory: read from datasets, checked, digested; and which of them train, which validate and which are sealed."""

from __future__ import annotations

import hashlib
import inspect
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from refine.errors import ObjectiveError

_ROW_NUMBERS = (
    "or give row numbers as x and read rows in the model function (docs/keras.md, Data that stays on disk)"
)
# ``tf.data.INFINITE_CARDINALITY``
_ENDLESS = -1
_AS_SPLITS = "splits takes a whole number, one of scikit-learn's splitters, or a list of (training, validation) row numbers"
# With more distinct whole numbers than this, targets are taken for quantities, not classes.
_MOST_CLASSES = 100

Fold = tuple[np.ndarray, np.ndarray]  # numbers of the rows to train on, and of those to validate on


def arrays_of(x_name: str, x: Any, y_name: str, y: Any) -> tuple[Any, Any]:
    """Inputs and targets; a finite ``tf.data.Dataset`` or ``keras.utils.PyDataset`` of pairs as ``x`` gives both, and is read.

    Raises ObjectiveError: a dataset that is infinite, of unknown length, a generator, without targets, with weights, or
    gives other rows each time; or targets where there should be none, or none where there should be some.
    """
    tensorflow = sys.modules.get("tensorflow")  # need not be what Keras runs on, nor be installed
    is_dataset = tensorflow is not None and isinstance(x, tensorflow.data.Dataset)
    passes = hasattr(x, "__next__") or inspect.isgeneratorfunction(x)
    if not (is_dataset or passes or isinstance(x, keras.utils.PyDataset)):
        if y is None and x_name == "x":
            raise ObjectiveError(
                "y: must be given with x, got None; only a dataset as x gives targets itself"
            )
        return x, y
    kind = type(x).__name__
    if y is not None:
        raise ObjectiveError(
            f"{y_name}: can't be combined with a {kind}, which gives targets itself; leave it out"
        )
    if passes:
        raise ObjectiveError(
            f"{x_name}: must be arrays or a dataset that can be read again, got a {kind}, which gives its rows once; read "
            f"it into arrays, {_ROW_NUMBERS}"
        )
    if is_dataset:
        length = int(x.cardinality())
        if length < 0:
            what = "without end" if length == _ENDLESS else "of unknown length"
            raise ObjectiveError(
                f"{x_name}: must be a dataset that ends, got a {kind} {what}; leave repeat() out, say its length by "
                f"dataset.apply(tf.data.experimental.assert_cardinality(n)), {_ROW_NUMBERS}"
            )
        if any(leaf.shape.rank == 0 for leaf in keras.tree.flatten(x.element_spec)):
            raise ObjectiveError(
                f"{x_name}: must be a dataset of batches, got a {kind} of single rows; batch(32) makes them"
            )
    pairs = [_pair(x_name, batch) for batch in _batches(x)]
    if not pairs:
        raise ObjectiveError(f"{x_name}: needs at least one row, got an empty {kind}; check how it was made")
    again = _pair(x_name, next(_batches(x)))
    leaves = zip(keras.tree.flatten(pairs[0]), keras.tree.flatten(again), strict=True)
    if not all(np.array_equal(one, other, equal_nan=one.dtype.kind == "f") for one, other in leaves):
        raise ObjectiveError(
            f"{x_name}: must give the same rows in the same order every time, got a {kind} that shuffles or draws; "
            "make it with shuffle=False, and augment by layers of the model"
        )
    x, y = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *pairs)
    return x, y


def _batches(source: Any) -> Iterator[Any]:
    if isinstance(source, keras.utils.PyDataset):
        return (source[i] for i in range(len(source)))
    return iter(source)


def _pair(name: str, batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, tuple) or len(batch) != 2:
        got = f"{len(batch)} of them" if isinstance(batch, tuple) else "inputs alone"
        raise ObjectiveError(
            f"{name}: a dataset must give pairs (inputs, targets), got {got}; map it, and give weights to fit in the model "
            "function"
        )
    return keras.tree.map_structure(np.asarray, batch)


def as_arrays(name: str, data: Any, *, nan: bool = False) -> Any:
    """Data as numpy arrays with one row per example: floats in Keras' ``floatx``, structure kept, checked.

    NaN may be among the numbers if ``nan`` says so, infinity never. Raises ObjectiveError: something that is not numeric,
    or NaN or infinity among the numbers.
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
        return array

    if isinstance(data, list) and not any(hasattr(leaf, "shape") for leaf in data):
        data = np.asarray(data)  # a plain list of numbers
    return keras.tree.map_structure(one, data)


def _check_finite(name: str, array: np.ndarray, *, nan: bool) -> None:
    missing, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
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
    return any(leaf.dtype.kind == "f" and np.isnan(leaf).any() for leaf in keras.tree.flatten(data))


def same_rows(x_name: str, x: Any, y_name: str, y: Any) -> int:
    """Number of rows of two structures of arrays, the same in each array.

    Raises ObjectiveError: lengths that differ, or no rows.
    """
    x_rows, y_rows = _rows_of(x_name, x), _rows_of(y_name, y)
    if x_rows != y_rows:
        raise ObjectiveError(
            f"{y_name}: must have as many rows as {x_name}, got {y_rows} and {x_rows}; check how they were selected"
        )
    return x_rows


def _rows_of(name: str, data: Any) -> int:
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
    if not isinstance(y, np.ndarray) or y.ndim > 2:
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()
        return y.argmax(axis=1) if one_hot else None
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
    return classes_of(y) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)


def validation_rows(y: Any, count: int, share: float, seed: int, name: str = "val_split") -> np.ndarray:
    """Which rows to validate on, or to seal: a mask of shape (count,).

    Classes keep their proportions, up to rounding, and one row of each stays to train. Raises ObjectiveError: one side
    would be empty.
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


def take(data: Any, rows: np.ndarray | None = None) -> Any:
    """Copies of the rows with these numbers, or of all, of a structure of arrays."""
    return keras.tree.map_structure(lambda leaf: leaf.copy() if rows is None else leaf[rows], data)


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
                if leaf.dtype.kind == "f" and (missing := np.isnan(leaf)).any():
                    leaf = np.where(
                        missing, leaf.dtype.type(np.nan), leaf
                    )  # one NaN instead of the many that there are
                total.update(np.ascontiguousarray(leaf, little).data)
            else:
                total.update(repr(leaf).encode())
        total.update(b"\0")
    return total.hexdigest()


class Partition(NamedTuple):
    """Numbers of the rows by what they are for."""

    sealed: np.ndarray | None  # rows that no trial sees, or ``None``
    rest: np.ndarray  # all others
    folds: tuple[Fold, ...]  # one per split


class _Kin(NamedTuple):
    """What keeps rows together: a number of group or of moment per row; at most one of them is there."""

    groups: np.ndarray | None
    times: np.ndarray | None


def partition(
    y: Any,
    count: int,
    *,
    val_split: float,
    split_seed: int,
    holdout: float | None,
    holdout_seed: int,
    splits: Any,
    groups: Any,
    time: Any,
) -> Partition:
    """Divides ``count`` rows with targets ``y`` as `KerasObjective` says of the options; without ``splits`` into no folds.

    Raises ObjectiveError: something that can't be.
    """
    kin = _Kin(_groups(groups, count), _times(time, count))
    sealed, rest = None, np.arange(count, dtype=np.int64)
    if holdout is not None:
        seed = int(digest("holdout", int(holdout_seed))[:8], 16)
        mask = _drawn(y, rest, kin, float(holdout), seed, "holdout")
        sealed, rest = rest[mask], rest[~mask]
    if splits is None:
        folds = []
    elif isinstance(splits, int | np.integer):
        more = (int(digest("split", int(split_seed), j)[:8], 16) for j in range(1, int(splits)))
        masks = [_drawn(y, rest, kin, val_split, seed, "val_split") for seed in (int(split_seed), *more)]
        folds = [(rest[~mask], rest[mask]) for mask in masks]
    else:
        folds = _checked(_given(splits, y, rest, count, kin), count, rest, kin)
    return Partition(sealed, rest, tuple(folds))


def _drawn(y: Any, rows: np.ndarray, kin: _Kin, share: float, seed: int, name: str) -> np.ndarray:
    """A mask of the given rows: which to validate on, or to seal."""
    if kin.times is not None:
        return _latest(kin.times[rows], share, name)
    targets = y if len(rows) == len(keras.tree.flatten(y)[0]) else take(y, rows)
    if kin.groups is not None:
        return _of_groups(targets, kin.groups[rows], share, seed, name)
    return validation_rows(targets, len(rows), share, seed, name)


def _latest(times: np.ndarray, share: float, name: str) -> np.ndarray:
    """The last rows; those of one moment stay together."""
    wanted = round(len(times) * share)
    if 0 < wanted < len(times):
        first = np.sort(times)[len(times) - wanted]
        for mask in (times >= first, times > first):
            if 0 < mask.sum() < len(times):
                return mask
    raise ObjectiveError(
        f"{name}: must leave rows on both sides, got {share} of {len(times)} rows at {len(np.unique(times))} moments; "
        "use another share"
    )


def _of_groups(y: Any, groups: np.ndarray, share: float, seed: int, name: str) -> np.ndarray:
    """Whole groups, in random order, as long as each brings rows and classes nearer to the share."""
    names, numbers = np.unique(groups, return_inverse=True)
    classes = classes_of(y)
    table = np.zeros((len(names), 1 if classes is None else classes.max() + 1))
    np.add.at(table, (numbers, np.zeros(len(numbers), int) if classes is None else classes), 1)
    wanted = table.sum(axis=0) * share
    taken = np.zeros_like(wanted)
    chosen = np.zeros(len(names), bool)
    # The legacy generator, because numpy promises that its streams never change.
    for group in np.random.RandomState(seed).permutation(len(names)):
        nearer = np.square(taken + table[group] - wanted).sum() < np.square(taken - wanted).sum()
        if nearer and chosen.sum() + 1 < len(names):
            chosen[group] = True
            taken += table[group]
    if not chosen.any():
        raise ObjectiveError(
            f"{name}: no whole group fits into {share} of {len(groups)} rows; the smallest of {len(names)} groups has "
            f"{int(table.sum(axis=1).min())}; use a larger share"
        )
    return chosen[numbers]


def _given(splits: Any, y: Any, rest: np.ndarray, count: int, kin: _Kin) -> list[Any]:
    """Pairs of row numbers that a splitter or the person gives, without sealed rows."""
    if hasattr(splits, "split"):
        return _by_splitter(splits, y, rest, kin)
    pairs = []
    for pair in splits:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ObjectiveError(f"splits: must be pairs of row numbers, got {pair!r:.60}; {_AS_SPLITS}")
        sides = [_numbers(side, count) for side in pair]
        pairs.append(tuple(side[np.isin(side, rest)] for side in sides))
    return pairs


def _numbers(side: Any, count: int) -> np.ndarray:
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


def _by_splitter(splitter: Any, y: Any, rest: np.ndarray, kin: _Kin) -> list[Fold]:
    from sklearn.model_selection import TimeSeriesSplit

    name = type(splitter).__name__
    if isinstance(splitter, TimeSeriesSplit) and kin.times is None:
        raise ObjectiveError(
            "splits: TimeSeriesSplit needs to know the order, got no time; time=True says that rows are in order, and "
            "time=moments gives each row's"
        )
    if kin.times is not None:
        rest = rest[np.argsort(kin.times[rest], kind="stable")]
    targets = take(y, rest)
    classes = classes_of(targets)
    labels = labels_of(targets) if classes is None else classes
    groups = None if kin.groups is None else kin.groups[rest]
    try:
        with warnings.catch_warnings():
            # Whether a splitter that doesn't know of groups parts one is checked on what it gives.
            warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
            folds, again = ([*splitter.split(np.zeros((len(rest), 1)), labels, groups)] for _ in range(2))
    except (ValueError, TypeError) as error:
        raise ObjectiveError(
            f"splits: {name} can't split these rows ({error}); see its documentation"
        ) from error
    sides = zip(
        (side for fold in folds for side in fold), (side for fold in again for side in fold), strict=True
    )
    if not all(np.array_equal(one, other) for one, other in sides):
        raise ObjectiveError(
            f"splits: must give the same rows every time, got a {name} that draws; give it random_state=0"
        )
    return [(rest[train], rest[validation]) for train, validation in folds]


def _checked(folds: Sequence[Fold], count: int, rest: np.ndarray, kin: _Kin) -> list[Fold]:
    """The folds with rows in order, unless one can't be."""
    if not folds:
        raise ObjectiveError(f"splits: must hold at least one split, got none; {_AS_SPLITS}")
    checked = []
    for number, (train, validation) in enumerate(folds, 1):
        sides = np.unique(train), np.unique(validation)
        if not all(map(len, sides)):
            which = "train" if not len(sides[0]) else "validate"
            sealed = "" if len(rest) == count else " that the hold-out leaves"
            raise ObjectiveError(
                f"splits: split {number} has no rows to {which} on{sealed}; use other splits"
            )
        both = np.intersect1d(*sides)
        if len(both):
            raise ObjectiveError(
                f"splits: a row must be on one side, got row {both[0]} on both in split {number}; check how they were made"
            )
        if kin.groups is not None:
            shared = np.intersect1d(kin.groups[sides[0]], kin.groups[sides[1]])
            if len(shared):
                row = int(np.flatnonzero(kin.groups == shared[0])[0])
                raise ObjectiveError(
                    f"splits: a group must be on one side, got that of row {row} on both in split {number}; use "
                    "GroupKFold or StratifiedGroupKFold"
                )
        if kin.times is not None and kin.times[sides[0]].max() > kin.times[sides[1]].min():
            raise ObjectiveError(
                f"splits: with time, validation must come after training, but split {number} trains on later rows; use "
                "TimeSeriesSplit"
            )
        checked.append(sides)
    return checked


def _groups(groups: Any, count: int) -> np.ndarray | None:
    """A number per row, the same for rows of one group."""
    import pandas as pd

    return None if groups is None else pd.factorize(_one_each("groups", groups, count))[0]


def _times(time: Any, count: int) -> np.ndarray | None:
    """A number per row, larger for later ones."""
    if time is None:
        return None
    if time is True:
        return np.arange(count)
    array = _one_each("time", time, count)
    if array.dtype.kind not in "iufmM":
        raise ObjectiveError(
            f"time: must be True or numbers or datetimes, got dtype {array.dtype}; pandas.to_datetime makes datetimes of text"
        )
    return np.unique(array, return_inverse=True)[1].reshape(-1)


def _one_each(name: str, values: Any, count: int) -> np.ndarray:
    import pandas as pd

    array = np.asarray(values)
    if array.shape != (count,):
        raise ObjectiveError(
            f"{name}: must have one value for each of {count} rows, got shape {array.shape}; check how it was selected"
        )
    if bool(pd.isna(array).any()):
        raise ObjectiveError(
            f"{name}: must be known for every row, got NaN or None; fill it in or drop those rows"
        )
    return array
