"""A model's losses and metrics of an epoch as one function of all its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from refine.keras._flat import give

if TYPE_CHECKING:
    from refine.keras._data import Rows


class Scores(NamedTuple):
    """A traced function.

    Attributes:
        function: Takes the sum of losses times rows, a 0, targets, predictions and weights (or `None`); gives
            one vector. XLA divides by what it takes for a constant as by its inverse, which is not the same number;
            what has been added to a 0 that it doesn't know is none.
        names: What the vector's elements are called in the history.
    """

    function: Any
    names: tuple[str, ...]


def trace_scores(model: keras.Model, data: Rows, output: Any) -> Scores:
    """Traces what Keras logs after an epoch, for any number of rows.

    Args:
        model: A compiled model whose metrics are sums over rows, built.
        data: Examples with targets, and perhaps weights, of the right shapes.
        output: The model's output, symbolic.

    Raises:
        ValueError: Metrics that need more than the epoch's predictions, or have several values.
    """
    compiled = model._compile_metrics
    if set(map(id, model.metrics)) - {id(model._loss_tracker), id(compiled)}:
        raise ValueError("the model has metrics of its own")
    names: list[str] = []

    def score(total: Any, zero: Any, y: Any, predicted: Any, weight: Any) -> Any:
        with keras.StatelessScope() as scope:
            for variable in model.metrics_variables:
                give(scope, variable, tf.fill(variable.shape, tf.cast(zero, variable.dtype)))
            give(scope, model._loss_tracker.total, total)
            give(scope, model._loss_tracker.count, zero + tf.cast(tf.shape(predicted)[0], total.dtype))
            if compiled is not None:
                compiled.update_state(y, predicted, weight)
            results = model.get_metrics_result()
        names[:] = results
        values = [tf.convert_to_tensor(value) for value in results.values()]
        if any(value.shape.rank != 0 for value in values):
            raise ValueError("a metric has several values")
        return tf.stack([tf.cast(value, tf.float32) for value in values])

    def spec(tensor: Any) -> Any:
        return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)

    _, y, weight = (*data.data, None)[:3]
    function = tf.function(score, autograph=False).get_concrete_function(
        tf.TensorSpec((), keras.config.floatx()),
        tf.TensorSpec((), keras.config.floatx()),
        spec(y),
        spec(output),
        None if weight is None else spec(weight),
    )
    return Scores(function, tuple(names))
