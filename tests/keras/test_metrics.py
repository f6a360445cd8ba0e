"""Metrics against scikit-learn, over whole epochs, corner cases included."""

import re
import warnings

import keras
import numpy as np
import pytest
from sklearn import metrics as sk

from refine.errors import ObjectiveError
from refine.keras import balanced_accuracy, fmeasure, matthews

BINARY = {
    "mixed": ([0, 1, 1, 0, 1, 0, 0], [0.2, 0.9, 0.4, 0.6, 0.8, 0.1, 0.5]),
    "all predicted 0": ([0, 1, 1, 0], [0.1, 0.2, 0.3, 0.4]),
    "all predicted 1": ([0, 1, 1, 0], [0.9, 0.8, 0.7, 0.6]),
    "no true positives": ([0, 1, 0, 0], [0.9, 0.2, 0.7, 0.4]),
    "no positives at all": ([0, 0, 0], [0.1, 0.2, 0.3]),
    "no positives, some predicted": ([0, 0, 0], [0.1, 0.9, 0.3]),
    "only positives": ([1, 1, 1], [0.9, 0.8, 0.4]),
    "perfect": ([0, 1], [0.1, 0.9]),
    "at the threshold": ([0, 1], [0.5, 0.51]),
}


def by_batches(metric, y_true, y_pred, size=3, weight=None):
    for start in range(0, len(y_true), size):
        part = slice(start, start + size)
        metric.update_state(y_true[part], y_pred[part], None if weight is None else weight[part])
    return float(metric.result())


def quiet(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(function(*args, **options))


@pytest.mark.parametrize("case", BINARY)
@pytest.mark.parametrize("column", [False, True])
def test_binary_metrics_are_those_of_scikit_learn(case, column):
    y_true = np.array(BINARY[case][0])
    y_pred = np.array(BINARY[case][1], "float32")
    predicted = (y_pred > 0.5).astype(int)
    t, p = (y_true[:, None], y_pred[:, None]) if column else (y_true, y_pred)
    expected = quiet(sk.f1_score, y_true, predicted, zero_division=0)
    assert by_batches(fmeasure(), t, p) == pytest.approx(expected, abs=1e-6)
    expected = quiet(sk.matthews_corrcoef, y_true, predicted)
    assert by_batches(matthews(), t, p) == pytest.approx(expected, abs=1e-6)
    expected = quiet(sk.balanced_accuracy_score, y_true, predicted)
    assert by_batches(balanced_accuracy(), t, p) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("targets", ["numbers", "column", "one-hot"])
@pytest.mark.parametrize("present", [4, 3], ids=["all classes", "one class empty"])
def test_metrics_of_several_classes_are_those_of_scikit_learn(average, targets, present):
    random = np.random.RandomState(present)
    y = random.randint(present, size=50)
    scores = random.normal(size=(50, 4)).astype("float32") + 1.5 * np.eye(4)[y]
    if present == 3:
        scores[:, 3] = -9  # class 3 neither occurs nor is predicted
    predicted = scores.argmax(axis=1)
    t = {"numbers": y, "column": y[:, None], "one-hot": np.eye(4)[y]}[targets]
    expected = sk.f1_score(y, predicted, average=average, zero_division=0)
    assert by_batches(fmeasure(average=average), t, scores, 7) == pytest.approx(expected, abs=1e-6)
    for make, expected in (
        (matthews, sk.matthews_corrcoef(y, predicted)),
        (balanced_accuracy, sk.balanced_accuracy_score(y, predicted)),
        (fmeasure, sk.f1_score(y, predicted, average="macro")),
    ):
        assert by_batches(make(), t, scores) == pytest.approx(expected, abs=1e-6)


def test_weights_count_as_repeated_rows():
    t = np.array([0, 1, 1, 0])
    p = np.array([0.7, 0.9, 0.2, 0.1])
    w = np.array([2.0, 3, 1, 1])
    expected = sk.f1_score(t, p > 0.5, sample_weight=w)
    assert by_batches(fmeasure(), t, p, weight=w) == pytest.approx(expected)


def test_a_metric_without_data_is_zero_also_after_a_reset():
    for make in (fmeasure, matthews, balanced_accuracy):
        metric = make()
        assert float(metric.result()) == 0
        metric.update_state([1, 0], [0.9, 0.1])
        assert float(metric.result()) == 1
        metric.reset_state()
        assert float(metric.result()) == 0


@pytest.mark.parametrize("make", [fmeasure, matthews, balanced_accuracy])
def test_options_survive_saving(make):
    metric = make(threshold=0.3)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()
    deserialized = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(make))
    assert deserialized is make


def test_a_misspelled_average_is_refused():
    with pytest.raises(ObjectiveError, match=re.escape("mean 'macro'?")):
        fmeasure(average="marco")
