"""Metrics of many models on reweighted examples, from what the models predicted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from refine.stats._common import FloatArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from refine.stats.bootstrap import Scorer

_MOST_CLASSES = 20

ACCURACY = ("acc", "accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
CONFUSION = ("fmeasure", "f1", "f1_score", "precision", "recall", "balanced_accuracy", "matthews", "mcc")
DISTANCES: dict[str, Callable[[FloatArray], FloatArray]] = {
    **dict.fromkeys(("mse", "mean_squared_error"), np.square),
    **dict.fromkeys(("mae", "mean_absolute_error"), np.abs),
}


def scorer(name: str, predictions: ArrayLike, targets: ArrayLike) -> Scorer | None:
    """A function that gives the metric of every model for weights of examples.

    Args:
        name: Name of the metric, without ``val_``: an accuracy, ``fmeasure``, ``precision``, ``recall``,
            ``balanced_accuracy``, ``matthews`` (binary or macro, as `refine.keras` has them), or a mean squared
            or absolute error.
        predictions: (models, n, outputs): one output is a probability of class 1, several are scores of classes.
        targets: (n,) numbers of classes, or quantities.

    Returns:
        Weights (b, n) -> metric (models, b), in the metric's own sign; ``None`` for a metric that isn't known.
    """
    said, right = np.asarray(predictions, dtype=np.float32), np.asarray(targets, dtype=np.float32)
    if name in DISTANCES:
        if said.shape[2] != 1:
            return None
        return _means(DISTANCES[name](np.asarray(said[:, :, 0] - right, dtype=float)))
    if name not in (*ACCURACY, *CONFUSION) or not np.array_equal(right, np.round(right)):
        return None
    classes = max(2, said.shape[2])
    if right.min() < 0 or right.max() >= classes:
        return None
    picked = said.argmax(axis=2) if said.shape[2] > 1 else (said[:, :, 0] > 0.5).astype(int)
    if name in ACCURACY:
        return _means((picked == right).astype(float))
    if classes > _MOST_CLASSES:
        return None
    return _confusion(name, picked, right.astype(int), classes)


def _means(values: FloatArray) -> Scorer:
    def scores(weights: FloatArray) -> FloatArray:
        return np.asarray(values @ weights.T / weights.sum(axis=1), dtype=float)

    return scores


def _confusion(name: str, picked: FloatArray, right: FloatArray, classes: int) -> Scorer:
    def scores(weights: FloatArray) -> FloatArray:
        matrix = np.empty((classes, classes, len(picked), len(weights)))
        for i in range(classes):
            here = right == i
            for j in range(classes):
                matrix[i, j] = (picked[:, here] == j).astype(float) @ weights[:, here].T
        return _ratio(name, matrix)

    return scores


def _ratio(name: str, matrix: FloatArray) -> FloatArray:
    hits = np.einsum("iimb->imb", matrix)
    true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    if name in ("matthews", "mcc"):
        total = true.sum(axis=0)
        share_true, share_predicted = true / total, predicted / total
        covariance = hits.sum(axis=0) / total - (share_true * share_predicted).sum(axis=0)
        spread = (share_true * (1 - share_true)).sum(axis=0) * (share_predicted * (1 - share_predicted)).sum(
            axis=0
        )
        return _divide(covariance, np.sqrt(spread))
    if name == "balanced_accuracy":
        return _divide(_divide(hits, true).sum(axis=0), (true > 0).sum(axis=0).astype(float))
    if name == "precision":
        each = _divide(hits, predicted)
    elif name == "recall":
        each = _divide(hits, true)
    else:
        each = _divide(2 * hits, predicted + true)
    if len(matrix) == 2:
        return each[1]
    occurs = predicted + true > 0
    return _divide((each * occurs).sum(axis=0), occurs.sum(axis=0).astype(float))


def _divide(a: FloatArray, b: FloatArray) -> FloatArray:
    """Quotient, 0 where the denominator is 0."""
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b > 0)
