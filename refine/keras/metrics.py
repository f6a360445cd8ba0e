"""Classification metrics over the whole epoch, with every corner case defined.

A mean of per-batch F1 scores is not the F1 score. These metrics add up a confusion matrix over all
batches and compute the score from it once. They are Keras metrics: pass the class
(``metrics=["acc", fmeasure]``), and Keras makes a fresh metric for each model; or pass an instance
with options (``fmeasure(average="weighted")``).

What is counted follows from the shapes of targets and predictions:

- predictions with one column (or none): binary; positive is above ``threshold``
- predictions with C columns, targets of class numbers or one-hot: multi-class; the class is the largest
- with ``multilabel=True``: C columns of targets and predictions, each its own binary problem

Where a score would divide 0 by 0 (nothing predicted positive, nothing positive, no true positives) it
is 0, as with ``zero_division=0`` in scikit-learn. A class that occurs neither in the targets nor in the
predictions is left out of the macro mean. Values lie in [0, 1], Matthews' correlation in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from refine.errors import ObjectiveError, did_you_mean

_AVERAGES = ("auto", "binary", "macro", "micro", "weighted")


def _divide(numerator: Any, denominator: Any) -> Any:
    """Quotient, 0 where the denominator is 0."""
    zero = ops.equal(denominator, 0)
    return ops.where(zero, 0.0, numerator / ops.where(zero, 1.0, denominator))


@keras.saving.register_keras_serializable("refine")
class MetricClass(type):
    """Lets Keras save and load a model that was compiled with a metric's class.

    Keras asks everything it saves for ``get_config()``, a class too, where the method has no instance
    to work on. Asked on a class, it names the class here, and ``from_config`` finds it again.
    """

    @property
    def get_config(cls) -> Any:
        """What describes the class, as a function without arguments."""
        return lambda: {"metric": cls.__name__}

    @classmethod
    def from_config(cls, config: dict[str, str]) -> Any:
        """The class that a configuration names."""
        return globals()[config["metric"]]


class _Confusion(keras.metrics.Metric, metaclass=MetricClass):  # type: ignore[misc]
    """Adds up confusion matrices; subclasses turn the sum into a score.

    The state has shape ``(problems, classes, classes)``: rows are true classes, columns predicted
    ones. Binary and multi-class have one problem, multi-label one per label.
    """

    _called: str
    _ratio: Callable[[Any, Any, Any], Any]  # what a score that is averaged over classes makes of their counts

    def __init__(
        self,
        average: str = "auto",
        threshold: float = 0.5,
        multilabel: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name or self._called, dtype=dtype)
        if average not in _AVERAGES:
            raise ObjectiveError(
                f"average: must be one of {', '.join(_AVERAGES)}, got {average!r}; "
                f"{did_you_mean(average, _AVERAGES)}"
            )
        self.average = average
        self.threshold = threshold
        self.multilabel = multilabel
        self._direction = "up"
        self._matrix: Any = None

    def get_config(self) -> dict[str, Any]:
        """Options, for saving a model with the metric."""
        return {
            **super().get_config(),
            "average": self.average,
            "threshold": self.threshold,
            "multilabel": self.multilabel,
        }

    def _build(self, columns: int) -> None:
        """Creates the counts when the number of classes is first known."""
        if self.average == "binary" and (columns > 1 or self.multilabel):
            raise ObjectiveError(
                f'average: "binary" needs one column of predictions, got {columns}; use "macro"'
            )
        shape = (columns, 2, 2) if self.multilabel else (1, max(2, columns), max(2, columns))
        self._matrix = self.add_variable(shape=shape, initializer="zeros", name="matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch: targets (n,), (n, 1), or (n, C) if one-hot or multi-label, of predictions (n,), (n, 1) or (n, C)."""
        y_pred = ops.cast(y_pred, "float32")
        y_true = ops.convert_to_tensor(y_true)
        columns = int(y_pred.shape[-1]) if len(y_pred.shape) > 1 else 1
        if self._matrix is None:
            self._build(columns)
        if columns > 1 and not self.multilabel:
            sparse = len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1
            true = ops.reshape(y_true, (-1,)) if sparse else ops.argmax(y_true, axis=-1)
            true = ops.one_hot(ops.cast(ops.reshape(true, (-1,)), "int32"), columns, dtype="float32")
            predicted = ops.argmax(ops.reshape(y_pred, (-1, columns)), axis=-1)
            predicted = ops.one_hot(predicted, columns, dtype="float32")
            true, predicted = true[:, None], predicted[:, None]
        else:
            true = ops.cast(ops.reshape(ops.cast(y_true, "float32"), (-1, columns)) > 0.5, "float32")
            predicted = ops.cast(ops.reshape(y_pred, (-1, columns)) > self.threshold, "float32")
            true, predicted = (ops.stack([1 - one, one], axis=-1) for one in (true, predicted))
        # Indicators of shape (n, problems, classes).
        if sample_weight is not None:
            weight = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
            true = true * weight[:, None, None]
        # One product per problem; for a single problem the plain product is cheaper.
        if true.shape[1] == 1:
            counts = ops.matmul(ops.transpose(true[:, 0]), predicted[:, 0])[None]
        else:
            counts = ops.einsum("npi,npj->pij", true, predicted)
        self._matrix.assign_add(ops.cast(counts, self._matrix.dtype))

    def result(self) -> Any:
        """The score of everything counted since the last reset; 0 if nothing was."""
        if self._matrix is None:
            return ops.zeros((), dtype=self.dtype)
        return ops.cast(self._score(ops.convert_to_tensor(self._matrix)), self.dtype)

    def reset_state(self) -> None:
        """Forgets all counts."""
        if self._matrix is not None:
            self._matrix.assign(ops.zeros(self._matrix.shape, dtype=self._matrix.dtype))

    def _counts(self, matrix: Any) -> tuple[Any, Any, Any]:
        """True positives, predicted and true totals, each of shape (classes,)."""
        if self.multilabel:
            return matrix[:, 1, 1], ops.sum(matrix[:, :, 1], axis=1), ops.sum(matrix[:, 1], axis=1)
        matrix = matrix[0]
        return ops.diagonal(matrix), ops.sum(matrix, axis=0), ops.sum(matrix, axis=1)

    def _score(self, matrix: Any) -> Any:
        hits, predicted, true = self._counts(matrix)
        binary = not self.multilabel and self._matrix.shape[-1] == 2
        if self.average == "binary" or (self.average == "auto" and binary):
            return self._ratio(hits[1], predicted[1], true[1])
        if self.average == "micro":
            return self._ratio(ops.sum(hits), ops.sum(predicted), ops.sum(true))
        scores = self._ratio(hits, predicted, true)
        if self.average == "weighted":
            return _divide(ops.sum(scores * true), ops.sum(true))
        if self.multilabel:
            return ops.mean(scores)
        occurs = ops.cast(predicted + true > 0, scores.dtype)
        return _divide(ops.sum(scores * occurs), ops.sum(occurs))


@keras.saving.register_keras_serializable("refine")
class FBeta(_Confusion):
    """F-beta: ``(1 + b^2) P R / (b^2 P + R)`` of precision P and recall R (van Rijsbergen, 1979).

    0 where there are no true positives, also if there is nothing positive at all. ``beta``, above 0, is the weight of
    recall against precision; other arguments as for `Precision`.
    """

    _called = "fbeta"

    def __init__(self, beta: float = 1.0, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not beta > 0:
            raise ObjectiveError(f"beta: must be above 0, got {beta!r}; 1 gives the F1 score")
        self.beta = beta

    def get_config(self) -> dict[str, Any]:
        """Options, for saving a model with the metric."""
        return {**super().get_config(), "beta": self.beta}

    def _ratio(self, hits: Any, predicted: Any, true: Any) -> Any:
        square = self.beta**2
        return _divide((1 + square) * hits, predicted + square * true)


@keras.saving.register_keras_serializable("refine")
class FMeasure(FBeta):
    """The F1 score, named ``fmeasure`` as Talos calls it; arguments as `FBeta`."""

    _called = "fmeasure"


@keras.saving.register_keras_serializable("refine")
class Precision(_Confusion):
    """Share of right ones among those predicted positive; 0 if none is predicted positive.

    Args:
        average: How scores of classes become one: ``"binary"`` (of class 1), ``"macro"`` (mean),
            ``"micro"`` (of pooled counts), ``"weighted"`` (by number of true examples), or ``"auto"``:
            binary for binary targets, else macro.
        threshold: Predictions above it are positive; for binary and multi-label.
        multilabel: Whether every column is a problem of its own.
        name: Name in the history; default the metric's own.
        dtype: Type of the result.
    """

    _called = "precision"

    def _ratio(self, hits: Any, predicted: Any, true: Any) -> Any:  # noqa: ARG002
        return _divide(hits, predicted)


@keras.saving.register_keras_serializable("refine")
class Recall(_Confusion):
    """Share of positives that are found; 0 if there is no positive."""

    _called = "recall"

    def _ratio(self, hits: Any, predicted: Any, true: Any) -> Any:  # noqa: ARG002
        return _divide(hits, true)


class _OfAll(_Confusion):
    """A score of all classes together, with nothing to average."""

    def __init__(
        self, threshold: float = 0.5, multilabel: bool = False, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__("auto", threshold, multilabel, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Options, for saving a model with the metric."""
        config = super().get_config()
        del config["average"]
        return config


@keras.saving.register_keras_serializable("refine")
class BalancedAccuracy(_OfAll):
    """Mean recall of the classes that occur in the targets; a constant prediction gets 1 / classes.

    With ``multilabel=True`` the mean over labels. 0 before anything is counted.
    """

    _called = "balanced_accuracy"

    def _score(self, matrix: Any) -> Any:
        true = ops.sum(matrix, axis=2)
        recalls = _divide(ops.diagonal(matrix, axis1=1, axis2=2), true)
        present = ops.sum(ops.cast(true > 0, recalls.dtype), axis=1)
        return ops.mean(_divide(ops.sum(recalls, axis=1), present))


@keras.saving.register_keras_serializable("refine")
class Matthews(_OfAll):
    """Matthews' correlation coefficient, for any number of classes (Gorodkin, 2004).

    0 where it is undefined: all targets or all predictions of one class. With ``multilabel=True`` the
    mean over labels.
    """

    _called = "matthews"

    def _score(self, matrix: Any) -> Any:
        # In shares rather than counts: squares of counts would lose digits in float32.
        total = ops.sum(matrix, axis=(1, 2), keepdims=True)
        share = _divide(matrix, total)
        true, predicted = ops.sum(share, axis=2), ops.sum(share, axis=1)
        right = ops.sum(ops.diagonal(share, axis1=1, axis2=2), axis=1)
        covariance = right - ops.sum(true * predicted, axis=1)
        spread_true = ops.sum(true * (1 - true), axis=1)
        spread_predicted = ops.sum(predicted * (1 - predicted), axis=1)
        return ops.mean(_divide(covariance, ops.sqrt(spread_true * spread_predicted)))


fmeasure = FMeasure
fbeta = FBeta
precision = Precision
recall = Recall
balanced_accuracy = BalancedAccuracy
matthews = Matthews
