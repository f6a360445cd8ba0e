"""Classification metrics over the whole epoch, with all corner cases defined.

A mean of per-batch F1 scores is not the F1 score. These metrics sum a confusion matrix over all batches and
compute the score once. As Keras metrics they are passed as a class (``metrics=["acc", fmeasure]``), of which
Keras makes an instance per model, or as an instance with options (``fmeasure(average="weighted")``).

Shapes decide how rows are counted:

- predictions with one column (or none): binary; positive above ``threshold``
- predictions with C columns, targets of class numbers or one-hot: multi-class; the largest column is the
  class

If a score would divide 0 by 0 (no positive target, no positive prediction), the score is 0, like
``zero_division=0`` in scikit-learn. A class absent from targets and predictions is left out of the macro
mean. Values lie in [0, 1], Matthews' correlation in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from refine.errors import ObjectiveError, did_you_mean

_AVERAGES = ("auto", "macro", "weighted")


def _divide(numerator: keras.KerasTensor, denominator: keras.KerasTensor) -> keras.KerasTensor:
    """Quotient; 0 if the denominator is 0."""
    zero = ops.equal(denominator, 0)
    return ops.where(zero, 0.0, numerator / ops.where(zero, 1.0, denominator))


@keras.saving.register_keras_serializable("refine")
class MetricClass(type):
    """Lets Keras save and load a model compiled with a metric's class.

    To save an object, Keras calls ``get_config()``, also on a class, for which the method lacks an instance.
    On a class, this ``get_config`` returns the class's name, from which ``from_config`` returns the class.
    """

    @property
    def get_config(cls) -> Any:
        """The configuration of the class, as a function without arguments."""
        return lambda: {"metric": cls.__name__}

    @classmethod
    def from_config(cls, config: dict[str, str]) -> Any:
        """The class of a configuration."""
        return globals()[config["metric"]]


class _Confusion(keras.metrics.Metric, metaclass=MetricClass):  # type: ignore[misc]
    """Sums a confusion matrix, true classes in rows; subclasses compute the score."""

    _called: str

    def __init__(self, threshold: float = 0.5, name: str | None = None, dtype: object = None) -> None:
        super().__init__(name=name or self._called, dtype=dtype)
        self.threshold = threshold
        self._direction = "up"
        self._matrix: Any = None

    def get_config(self) -> dict[str, Any]:
        """Options, to save a model with the metric."""
        return {**super().get_config(), "threshold": self.threshold}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: object = None) -> None:
        """Counts a batch: targets (n,), (n, 1), or one-hot (n, C); predictions (n,), (n, 1) or (n, C)."""
        y_pred = ops.cast(y_pred, "float32")
        y_true = ops.convert_to_tensor(y_true)
        if len(y_pred.shape) > 1:
            columns = int(y_pred.shape[-1])
        else:
            columns = 1
        classes = max(2, columns)
        if self._matrix is None:  # the first batch tells the number of classes
            self._matrix = self.add_variable(shape=(classes, classes), initializer="zeros", name="matrix")
        if columns > 1:
            sparse = len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1
            if sparse:
                true = y_true
            else:
                true = ops.argmax(y_true, axis=-1)
            predicted = ops.argmax(ops.reshape(y_pred, (-1, columns)), axis=-1)
        else:
            true = ops.cast(y_true, "float32") > 0.5
            predicted = y_pred > self.threshold
        true, predicted = (
            ops.one_hot(ops.cast(ops.reshape(class_numbers, (-1,)), "int32"), classes, dtype="float32")
            for class_numbers in (true, predicted)
        )
        if sample_weight is not None:
            true = true * ops.cast(ops.reshape(sample_weight, (-1, 1)), "float32")
        self._matrix.assign_add(ops.cast(ops.matmul(ops.transpose(true), predicted), self._matrix.dtype))

    def result(self) -> keras.KerasTensor:
        """The score of all rows since the last reset; 0 without rows."""
        if self._matrix is None:
            return ops.zeros((), dtype=self.dtype)
        matrix = ops.convert_to_tensor(self._matrix)
        predicted = ops.sum(matrix, axis=0)
        true = ops.sum(matrix, axis=1)
        return ops.cast(self._score(ops.diagonal(matrix), predicted, true), self.dtype)

    def reset_state(self) -> None:
        """Forgets all counts."""
        if self._matrix is not None:
            self._matrix.assign(ops.zeros(self._matrix.shape, dtype=self._matrix.dtype))

    _score: Callable[[Any, Any, Any], Any]  # counts (classes,) of hits, predicted and true


@keras.saving.register_keras_serializable("refine")
class FMeasure(_Confusion):
    """The F1 score, in Talos' terms: ``2 P R / (P + R)`` of precision P and recall R (van Rijsbergen, 1979).

    0 without true positives, also if all targets and predictions are negative.

    Args:
        average: How to average over classes: ``"macro"`` (mean), ``"weighted"`` (by number of true examples),
            or ``"auto"``: class 1 for binary targets, else macro.
        threshold: Predictions above are positive, for binary targets.
        name: Name in the history; default the metric's own.
        dtype: Type of the result.
    """

    _called = "fmeasure"

    def __init__(self, average: str = "auto", *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if average not in _AVERAGES:
            raise ObjectiveError(
                f"average: must be one of {', '.join(_AVERAGES)}, got {average!r}; "
                f"{did_you_mean(average, _AVERAGES)}"
            )
        self.average = average

    def get_config(self) -> dict[str, Any]:
        """Options, to save a model with the metric."""
        return {**super().get_config(), "average": self.average}

    def _score(
        self, hits: keras.KerasTensor, predicted: keras.KerasTensor, true: keras.KerasTensor
    ) -> keras.KerasTensor:
        scores = _divide(2 * hits, predicted + true)
        if self.average == "auto" and self._matrix.shape[0] == 2:
            return scores[1]
        if self.average == "weighted":
            weights = true
        else:
            weights = ops.cast(predicted + true > 0, scores.dtype)
        return _divide(ops.sum(scores * weights), ops.sum(weights))


@keras.saving.register_keras_serializable("refine")
class BalancedAccuracy(_Confusion):
    """Mean recall of the classes among the targets; a constant prediction gets 1 / classes.

    0 without rows.
    """

    _called = "balanced_accuracy"

    def _score(
        self,
        hits: keras.KerasTensor,
        predicted: keras.KerasTensor,  # noqa: ARG002
        true: keras.KerasTensor,
    ) -> keras.KerasTensor:
        return _divide(ops.sum(_divide(hits, true)), ops.sum(ops.cast(true > 0, hits.dtype)))


@keras.saving.register_keras_serializable("refine")
class Matthews(_Confusion):
    """Matthews' correlation coefficient, for any number of classes (Gorodkin, 2004).

    0 if undefined: all targets or all predictions of one class.
    """

    _called = "matthews"

    def _score(
        self, hits: keras.KerasTensor, predicted: keras.KerasTensor, true: keras.KerasTensor
    ) -> keras.KerasTensor:
        # Shares, not counts: squares of counts would lose digits in float32.
        hits, predicted, true = (_divide(part, ops.sum(true)) for part in (hits, predicted, true))
        spread = ops.sum(true * (1 - true)) * ops.sum(predicted * (1 - predicted))
        return _divide(ops.sum(hits - true * predicted), ops.sqrt(spread))


fmeasure = FMeasure
balanced_accuracy = BalancedAccuracy
matthews = Matthews
