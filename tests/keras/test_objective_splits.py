"""Rows by groups, by time, by scikit-learn's splitters and by hand; and NaN in inputs."""

import re

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit, ShuffleSplit, TimeSeriesSplit

from refine.errors import ObjectiveError
from refine.keras import KerasObjective, fit
from refine.run.running_trial import RunningTrial

N = 120
X = np.arange(N, dtype="float32")[:, None]  # an input is its row's number
RANDOM = np.random.RandomState(0)
Y = RANDOM.randint(0, 2, N)
GROUPS = RANDOM.randint(0, 15, N)
MOMENTS = RANDOM.randint(0, 40, N)


def idle(x_train, y_train, x_val, y_val, params):
    return {"val_acc": [float(x_val[0, 0])]}, None


def rows(**options):
    """Row numbers of (training, validation) of every split, and of the hold-out."""
    objective = KerasObjective(idle, X, options.pop("y", Y), **options)
    data = [objective._of_split(j) for j in range(1 + len(objective._folds))]
    sealed = [] if objective._sealed is None else objective._sealed[0][:, 0].astype(int)
    return [(d[0][:, 0].astype(int), d[2][:, 0].astype(int)) for d in data], np.asarray(sealed, int)


@pytest.mark.parametrize("splits", [1, 3, GroupKFold(4)])
def test_a_group_is_on_one_side(splits):
    named = [f"patient {g}" for g in GROUPS]
    folds, sealed = rows(groups=named, holdout=0.2, splits=splits)
    assert 0.1 < len(sealed) / N < 0.3
    assert len(folds) == (splits if isinstance(splits, int) else 4)
    for train, validation in folds:
        sides = [set(GROUPS[side]) for side in (train, validation, sealed)]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 15
        assert sorted([*train, *validation, *sealed]) == list(range(N))
    if splits == 1:
        other, resealed = rows(groups=GROUPS, holdout=0.2, split_seed=1)
        assert (resealed == sealed).all()
        assert set(other[0][1]) != set(folds[0][1])


@pytest.mark.parametrize(
    "moments", [True, MOMENTS, pd.Timestamp("2024-01-01") + pd.to_timedelta(MOMENTS, "D")]
)
def test_validation_follows_training_and_the_hold_out_follows_both(moments):
    ((train, validation),), sealed = rows(time=moments, holdout=0.2, val_split=0.25)
    times = np.arange(N) if moments is True else MOMENTS
    assert times[train].max() < times[validation].min() <= times[validation].max() < times[sealed].min()
    assert sorted([*train, *validation, *sealed]) == list(range(N))
    assert len(sealed) == pytest.approx(24, abs=5)
    assert len(validation) == pytest.approx(24, abs=5)
    folds, sealed = rows(time=moments, holdout=0.2, splits=TimeSeriesSplit(4))
    assert len(folds) == 4
    for train, validation in folds:
        assert times[train].max() <= times[validation].min() <= times[validation].max() < times[sealed].min()


@pytest.mark.parametrize("splits", [KFold(5), PredefinedSplit(np.arange(N) % 5)])
def test_k_folds_validate_on_every_row_once(splits):
    folds, _ = rows(splits=splits)
    assert len(folds) == 5
    assert sorted(np.concatenate([validation for _, validation in folds])) == list(range(N))
    for train, validation in folds:
        assert sorted([*train, *validation]) == list(range(N))


def test_folds_by_hand_lose_their_sealed_rows():
    pairs = [(np.arange(60), np.arange(60, 90)), (np.arange(60, 120), list(range(30)))]
    folds, sealed = rows(splits=pairs, holdout=0.25)
    for (train, validation), (pair_train, pair_validation) in zip(folds, pairs, strict=True):
        assert set(train) == set(pair_train) - set(sealed)
        assert set(validation) == set(pair_validation) - set(sealed)
    ((train, validation),), _ = rows(splits=iter(pairs[:1]))
    assert (train.tolist(), validation.tolist()) == (list(range(60)), list(range(60, 90)))


def test_every_way_is_another_identity_and_the_same_each_time():
    def mark(**options):
        return KerasObjective(idle, X, Y, **options).fingerprint

    shuffled = KFold(5, shuffle=True, random_state=1)
    marks = [mark(), mark(groups=GROUPS), mark(time=True), mark(time=MOMENTS), mark(splits=5)]
    marks += [mark(splits=splits) for splits in (KFold(5), shuffled, KFold(4))]
    sealing = [{"holdout": 0.2}, {"holdout": 0.3}, {"holdout": 0.2, "split_seed": 1}, {"split_seed": 1}]
    sealing += [{"holdout": 0.2, "holdout_seed": 1}, {"holdout": 0.2, "splits": KFold(5)}]
    assert len({*marks, *(mark(**options) for options in sealing)}) == len(marks) + len(sealing)
    equal_splits = (KFold(5), [*KFold(5).split(X)], PredefinedSplit(np.arange(N) // 24))
    assert {mark(splits=splits) for splits in equal_splits} == {marks[5]}
    assert mark(groups=GROUPS + 7) == marks[1]


class GrowingFolds:
    """A splitter that gives one split more with every call."""

    def __init__(self):
        self.calls = 0

    def split(self, x, y=None, groups=None):
        self.calls += 1
        return [*KFold(9).split(x)][: self.calls]


def network(x_train, y_train, x_val, y_val, params):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(params["lr"]), "binary_crossentropy", metrics=["acc"])
    return fit(model, x_train, y_train, validation_data=(x_val, y_val), epochs=2), model


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"groups": GROUPS, "time": True}, "groups: can't be combined with time"),
        ({"groups": GROUPS[1:]}, "groups: must have one value for each of 120 rows, got shape (119,)"),
        ({"groups": [None, *GROUPS[1:]]}, "groups: must be given for every row, got NaN or None"),
        ({"groups": np.zeros(N)}, "val_split: no whole group fits into 0.3 of 120 rows; the smallest of 1"),
        ({"groups": GROUPS, "splits": KFold(3)}, "splits: a group must be on one side, got the group of row"),
        ({"splits": GroupKFold(3)}, "splits: GroupKFold can't split these rows (The 'groups' parameter"),
        ({"time": list("ab") * 60}, "time: must be True or numbers or datetimes, got dtype <U1"),
        ({"time": np.where(MOMENTS == 3, np.nan, MOMENTS)}, "time: must be given for every row"),
        ({"time": np.zeros(N)}, "val_split: must leave rows on both sides, got 0.3 of 120 rows at 1 moments"),
        ({"time": True, "splits": 3}, "splits: splits are not drawn with time, got 3; TimeSeriesSplit(3)"),
        ({"time": True, "split_seed": 1}, "split_seed: no rows are drawn with time, got 1"),
        ({"time": True, "holdout_seed": 2}, "holdout_seed: no rows are drawn with time, got 2"),
        ({"time": True, "splits": KFold(3)}, "splits: with time, validation must come after training, but"),
        ({"splits": TimeSeriesSplit(3)}, "splits: TimeSeriesSplit needs the order of rows, got no time"),
        ({"splits": ShuffleSplit(2)}, "splits: must give the same rows every time, got a ShuffleSplit that"),
        ({"splits": GrowingFolds()}, "splits: must give the same rows every time, got a GrowingFolds that"),
        ({"splits": KFold(3), "val_split": 0.2}, "val_split: can't be combined with splits that name rows"),
        ({"splits": KFold(3), "split_seed": 2}, "split_seed: can't be combined with splits that name rows"),
        ({"splits": "k"}, "splits: must be a whole number >= 1, got 'k'"),
        ({"splits": []}, "splits: must hold at least one split, got none"),
        ({"splits": np.arange(5)}, "splits: must be pairs of row numbers, got np.int64(0)"),
        ({"splits": [([], [1])]}, "splits: split 1 has no rows to train on; use other splits"),
        ({"splits": [([0, 1], [1, 2])]}, "splits: a row must be on one side, got row 1 on both in split 1"),
        ({"splits": [([0, 1], [500])]}, "splits: rows are numbered from 0 to 119, got 500"),
        ({"splits": [([0, 1], [0.5])]}, "splits: must be pairs of row numbers, got [0.5]"),
        ({"splits": KFold(2), "x_val": X, "y_val": Y}, "splits: can't be combined with x_val, got KFold"),
        ({"groups": GROUPS, "x_val": X, "y_val": Y}, "groups: can't be combined with x_val"),
        ({"time": True, "x_val": X, "y_val": Y}, "time: can't be combined with x_val"),
        ({"allow_nan": 1}, "allow_nan: must be True or False, got 1"),
        ({"splits": 2, "x_val": X, "y_val": Y}, "splits: can't be combined with x_val, got 2"),
        ({"splits": 0}, "splits: must be a whole number >= 1, got 0"),
        ({"holdout": 0.001}, "holdout: must leave rows on both sides"),
        ({"x": np.full((N, 2), np.nan)}, "x: must be finite, got 240 NaN or infin"),
        ({"y": np.full(N, np.inf)}, "y: must be finite, got 120 NaN or infinite of 120"),
        ({"val_split": 0.001}, "val_split: must leave rows on both sides, got"),
        (
            {"val_split": 0.3, "x_val": X, "y_val": Y},
            "val_split: can't be combined with x_val, got 0.3; leave",
        ),
        ({"x_val": X, "y_val": Y[:3]}, "y_val: must have as many rows as x_val"),
        ({"x": X[:0], "y": Y[:0]}, "x: needs at least one row, got none; check"),
        ({"x": {"a": X}, "preprocess": SimpleImputer()}, "preprocess: needs x to be one array, got a dict;"),
    ],
)
def test_splits_that_cannot_be_made_are_refused_before_a_trial(options, text):
    with pytest.raises(ObjectiveError, match=re.escape(text)):
        KerasObjective(idle, **{"x": X, "y": Y} | options)


HOLES = RANDOM.normal(size=(N, 3)).astype("float32")
LABELS = (HOLES[:, 0] > 0).astype(int)
HOLES[RANDOM.uniform(size=HOLES.shape) < 0.2] = np.nan


@keras.saving.register_keras_serializable("tests")
class Impute(keras.layers.Layer):
    def call(self, x):
        return keras.ops.where(keras.ops.isnan(x), 0.0, x)


def imputing(x_train, y_train, x_val, y_val, params):
    model = keras.Sequential([keras.Input((3,)), Impute(), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["acc"])
    return fit(model, x_train, y_train, validation_data=(x_val, y_val), epochs=1), model


def imputing_outside(x_train, y_train, x_val, y_val, params):
    return network(np.nan_to_num(x_train), y_train, np.nan_to_num(x_val), y_val, {"lr": 0.01})


def test_nan_is_for_an_imputer():
    objective = KerasObjective(network, HOLES, LABELS, preprocess=SimpleImputer(), holdout=0.2)
    parts = (objective._data[0], objective._data[2], objective._sealed[0])
    assert all(np.isfinite(part).all() for part in parts)
    assert np.isfinite(objective({"lr": 0.01}, RunningTrial(5))["val_loss"])
    with pytest.raises(ObjectiveError, match="allow_nan=True"):
        KerasObjective(network, HOLES, LABELS)
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(ObjectiveError, match="x after preprocess"):
        KerasObjective(network, HOLES, LABELS, preprocess=StandardScaler())
    infinite = np.where(np.arange(360).reshape(N, 3) == 5, np.inf, HOLES)
    with pytest.raises(ObjectiveError, match="got 1 of 360 numbers"):
        KerasObjective(network, infinite, LABELS, allow_nan=True)
    with pytest.raises(ObjectiveError, match="got 1 NaN"):
        KerasObjective(network, HOLES, np.where(np.arange(N) == 5, np.nan, LABELS), allow_nan=True)


@pytest.mark.filterwarnings("ignore::refine.errors.RefineWarning")
def test_nan_is_for_a_model_that_takes_it():
    objective = KerasObjective(imputing, HOLES, LABELS, allow_nan=True, holdout=0.2)
    assert np.isnan(objective._data[0]).any()
    metrics = objective({}, RunningTrial(5))
    assert np.isfinite(metrics["val_loss"])
    assert metrics["degenerate"] == 0
    assert np.isfinite(objective.holdout({}, RunningTrial(5))["val_loss"])


@pytest.mark.nightly
def test_a_function_that_imputes_before_its_model_has_no_hold_out():
    objective = KerasObjective(imputing_outside, HOLES, LABELS, allow_nan=True, holdout=0.2)
    metrics = objective({}, RunningTrial(5))
    assert np.isfinite(metrics["val_loss"])
    assert "degenerate" not in metrics
    with pytest.raises(ObjectiveError, match="hold-out"):
        objective.holdout({}, RunningTrial(5))
