"""Which rows train, which validate and which are sealed: drawn, by groups, by time, or as the person says."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from refine.errors import ObjectiveError
from refine.keras._rows import classes_of, digest, labels_of, take, validation_rows

Fold = tuple[np.ndarray, np.ndarray]  # numbers of the rows to train on, and of those to validate on

_AS_SPLITS = "splits takes a whole number, one of scikit-learn's splitters, or a list of (training, validation) row numbers"


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
    sealed, rest = None, np.arange(count)
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
