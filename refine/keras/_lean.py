"""Epochs of plain models as a pure function: weights, optimizer and data in, weights and logs out.

`Epochs` runs any model's ``train_step`` as it is. For models whose steps are all Keras' own, the same
numbers follow from far fewer operations: trainable variables and the optimizer's slots are flat tensors
that the loop carries, metrics are computed once per epoch from the predictions of all its batches, and
nothing is read or assigned between steps. No variable of the model is part of the graph, so that other
models of the same structure can use it.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from refine.keras._epochs import compiled_step
from refine.keras._flat import FlatOptimizer, give, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from refine.keras._data import Rows
    from refine.keras._scores import Scores


# Numbers of an input from which on a copy of it, or two, would be a burden.
_LARGE = 2**20


def _large_inputs(data: Any) -> list[int]:
    """Places of inputs among the leaves of the data of which no copies are made."""
    inputs = keras.tree.flatten(data[0])  # they come first
    return [i for i, leaf in enumerate(inputs) if math.prod(leaf.shape) > _LARGE]


class Settings(NamedTuple):
    """What differs between models of one structure besides their variables, as tensors.

    Attributes:
        shapes: Shape of every trainable variable.
        sizes: Number of numbers in each, one vector.
        rates: Rate of every `Dropout` layer.
        scales: What each of them multiplies by, 1 / (1 - rate).
        strengths: Factor of every L1 or L2 regulariser.
    """

    shapes: Any
    sizes: Any
    rates: Any
    scales: Any
    strengths: Any


class Program:
    """What is traced: epochs and validation of one model on data of certain shapes.

    Args:
        model: A built and compiled model that is plain.
        train: Training examples; only shapes count.
        validation: Validation examples, or `None`.
        scores: What is logged of training.
        val_scores: What is logged of validation, where targets and weights may have other types.
        shuffle: Whether rows get a new order every epoch.
        whole: Whether validation takes all rows in one batch.
        shapes: Shapes of the trainable variables, `None` where other models may differ.
        dropouts: `Dropout` layers whose rates are values.
        penalties: Regularisers whose strengths are values.
        steps: Of the whole training.
    """

    def __init__(
        self,
        model: keras.Model,
        train: Rows,
        validation: Rows | None,
        scores: Scores,
        val_scores: Scores | None,
        *,
        shuffle: bool,
        whole: bool,
        shapes: Sequence[tuple[int | None, ...]],
        dropouts: Sequence[Any],
        penalties: Sequence[Any],
        steps: int = 0,
    ) -> None:
        self._model = model
        self._train, self._validation = train, validation
        self._scores, self._val_scores = scores, val_scores
        self._shuffle, self._whole = shuffle, whole
        self._shapes = shapes
        self._dropouts, self._penalties = dropouts, penalties
        self._trainable = list(model.trainable_variables)
        self._rest = list(model.non_trainable_variables)
        # Sizes of the variables; of open ones those of this model, where others may differ.
        self._sizes = [
            math.prod(v.shape if None in shape else shape)
            for v, shape in zip(self._trainable, shapes, strict=True)
        ]
        self._optimizer: Any = FlatOptimizer(model.optimizer, sum(self._sizes), self._trainable[0].dtype)
        self._steps_ahead = steps
        self._settings: Settings
        self._zero: Any = 0.0

    def epochs(
        self, weights: Any, state: Any, rest: Any, settings: Settings, data: Any, numbers: Any, bar: Any
    ) -> tuple[Any, ...]:
        """Trains epochs ``first`` to ``last - 1``.

        Args:
            weights: All trainable variables, flat.
            state: The optimizer's: flat slots and scalars.
            rest: Non-trainable variables.
            settings: See `Settings`.
            data: Training data and validation data or `None`.
            numbers: Seed of the order of rows, first, last, batch size, validation batch size.
            bar: Of which score and by what it is measured whether to go on; see `Bars`.

        Returns:
            New weights, state and rest, and the logs: one row per epoch that was trained, scores and then those of
            the validation data.
        """
        seed, first, last, batch, val_batch = tf.unstack(numbers, 5)
        train, validation = data
        size = self._train.size
        step = compiled_step(self._model, self._train_step, self._steps_ahead)

        def body(
            epoch: Any, weights: Any, state: Any, rest: Any, table: Any, best: Any, on: Any
        ) -> tuple[Any, ...]:
            leaves, order = keras.tree.flatten(train), None
            if self._shuffle:
                order = tf.random.experimental.stateless_shuffle(tf.range(size), seed=tf.stack([seed, epoch]))
                large = _large_inputs(train)
                leaves = [leaf if i in large else tf.gather(leaf, order) for i, leaf in enumerate(leaves)]
            examples = keras.tree.pack_sequence_as(train, leaves)
            (weights, state, rest), total, predicted = self._pass(
                step, examples, size, batch, (weights, state, rest), order
            )
            logs = self._score(self._scores, total, examples, predicted)
            if validation is not None:
                logs = tf.concat([logs, self._evaluate(weights, rest, validation, val_batch)], 0)
            best, on = bar.passed(logs[bar.column], best, epoch - first)
            return epoch + 1, weights, state, rest, table.write(epoch - first, logs), best, on

        with self._set(settings):
            table = tf.TensorArray(tf.float32, last - first)
            epoch, weights, state, rest, table, *_ = tf.while_loop(
                lambda epoch, *carried: tf.logical_and(epoch < last, carried[-1]),
                body,
                (first, weights, state, rest, table, bar.best, tf.constant(True)),
                parallel_iterations=1,
            )
        return weights, state, rest, table.gather(tf.range(epoch - first))

    def test(self, weights: Any, rest: Any, settings: Settings, data: Any, val_batch: Any) -> Any:
        """Evaluates on the validation data; returns one row of logs."""
        with self._set(settings):
            return self._evaluate(weights, rest, data, val_batch)

    def _evaluate(self, weights: Any, rest: Any, data: Any, batch: Any) -> Any:
        assert self._validation is not None
        assert self._val_scores is not None
        size = self._validation.size
        if self._whole:
            predicted, loss, _ = self._forward(self._unpack(weights), rest, data, training=False)
            return self._score(self._val_scores, loss * size, data, predicted)
        variables = self._unpack(weights)

        def step(examples: Any, nothing: Any) -> tuple[Any, ...]:
            predicted, loss, _ = self._forward(variables, rest, examples, training=False)
            return predicted, loss, nothing

        _, total, predicted = self._pass(step, data, size, batch, ())
        return self._score(self._val_scores, total, data, predicted)

    def _pass(
        self, step: Callable[..., Any], data: Any, size: int, batch: Any, state: Any, order: Any = None
    ) -> tuple[Any, Any, Any]:
        """All batches of the data through ``step``.

        Args:
            step: From a batch and the state to predictions, loss and the next state.
            data: Rows in the order to take them in, except for large inputs.
            size: Number of rows.
            batch: Rows per step.
            state: Before the first step.
            order: Numbers of the rows of large inputs in the order to take them in; `None` if that is theirs.

        Returns:
            The state after the last step, the sum of losses times rows, and all predictions.
        """
        steps = (size + batch - 1) // batch
        full = tf.fill([steps - 1], tf.cast(batch, tf.int64))
        lengths = tf.concat([full, [tf.cast(size - (steps - 1) * batch, tf.int64)]], 0)
        leaves = keras.tree.flatten(data)
        shapes = [[-1, *leaf.shape[1:]] for leaf in leaves]
        large = _large_inputs(data)
        # Lists of tensors rather than slices: one operation per step and array. They are a copy, so that large inputs
        # are sliced.
        lists = [
            None
            if i in large
            else tf.raw_ops.TensorListSplit(tensor=leaf, element_shape=shape, lengths=lengths)
            for i, (leaf, shape) in enumerate(zip(leaves, shapes, strict=True))
        ]
        output = self._model.outputs[0]
        shape = [-1, *output.shape[1:]]
        predictions = tf.raw_ops.TensorListReserve(
            element_shape=shape, num_elements=steps, element_dtype=output.dtype
        )

        def body(i: Any, total: Any, predictions: Any, state: Any) -> tuple[Any, ...]:
            parts = []
            for handle, leaf, shape in zip(lists, leaves, shapes, strict=True):
                if handle is None:
                    here = slice(i * batch, tf.minimum((i + 1) * batch, size))
                    part = leaf[here] if order is None else tf.gather(leaf, order[here])
                else:
                    part = tf.raw_ops.TensorListGetItem(
                        input_handle=handle, index=i, element_shape=shape, element_dtype=leaf.dtype
                    )
                part.set_shape([None, *leaf.shape[1:]])
                parts.append(part)
            predicted, loss, state = step(keras.tree.pack_sequence_as(data, parts), state)
            rows = tf.cast(tf.minimum(batch, size - i * batch), loss.dtype)
            predictions = tf.raw_ops.TensorListSetItem(input_handle=predictions, index=i, item=predicted)
            return i + 1, total + loss * rows, predictions, state

        zero = tf.zeros((), keras.config.floatx())
        _, total, predictions, state = tf.while_loop(
            lambda i, *_: i < steps, body, (tf.constant(0), zero, predictions, state), parallel_iterations=1
        )
        predicted, _ = tf.raw_ops.TensorListConcatV2(
            input_handle=predictions,
            element_shape=shape,
            leading_dims=tf.constant([], tf.int64),
            element_dtype=output.dtype,
        )
        return state, total, tf.ensure_shape(predicted, [size, *output.shape[1:]])

    def _train_step(self, examples: Any, carried: Any) -> tuple[Any, ...]:
        weights, state, rest = carried
        variables = self._unpack(weights)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            predicted, loss, rest = self._forward(variables, rest, examples, training=True)
        gradients = tape.gradient(loss, variables)
        if any(not tf.is_tensor(g) or isinstance(g, tf.IndexedSlices) for g in gradients):
            raise ValueError("a variable has no dense gradient")
        weights, state = self._apply(gradients, weights, state)
        return predicted, loss, (weights, state, rest)

    def _apply(self, gradients: Sequence[Any], weights: Any, state: Any) -> tuple[Any, Any]:
        """The optimizer's step."""
        return self._optimizer.apply(pack(gradients), weights, state)

    def _forward(self, variables: Any, rest: Any, examples: Any, *, training: bool) -> tuple[Any, ...]:
        """Predictions, loss and the non-trainable variables' new values, for one batch."""
        model = self._model
        x, y, weight = (*examples, None)[:3]
        with keras.StatelessScope(collect_losses=True) as scope:
            for variable, value in zip(self._trainable + self._rest, [*variables, *rest], strict=True):
                give(scope, variable, value)
            predicted = model(x, training=training)
            if getattr(predicted, "_keras_mask", None) is not None:
                raise ValueError("the outputs carry a mask")
            loss = model.compute_loss(x, y, predicted, weight, training=training)
            model._clear_losses()
        if len(scope.state_mapping) != len(self._trainable) + len(self._rest):
            raise ValueError("a layer has state of its own")
        if any(
            scope.get_current_value(v) is not value
            for v, value in zip(self._trainable, variables, strict=True)
        ):
            raise ValueError("a call assigns a trainable variable")
        after = [scope.get_current_value(v) for v in self._rest]
        if not training and any(new is not old for new, old in zip(after, rest, strict=True)):
            raise ValueError("a layer changes its state in validation")
        return predicted, loss, after

    def _unpack(self, weights: Any) -> list[Any]:
        """Trainable variables from the flat tensor."""
        is_open = any(None in shape for shape in self._shapes)
        sizes = self._settings.sizes if is_open else self._sizes
        parts = tf.split(weights, sizes, num=len(self._shapes))
        tensors = []
        for part, static, shape in zip(parts, self._shapes, self._settings.shapes, strict=True):
            tensor = part
            if len(static) != 1:
                tensor = tf.reshape(part, shape if None in static else static)
            tensor.set_shape(static)
            tensors.append(tensor)
        return tensors

    def _dropout(self, layer: Any, rate: Any, scale: Any) -> Callable[..., Any]:
        """`Dropout.call` with the rate as a tensor: the same random numbers, the same results."""

        def call(inputs: Any, training: bool = False) -> Any:
            if not training:
                return inputs
            drawn = keras.random.uniform(tf.shape(inputs), dtype=inputs.dtype, seed=layer.seed_generator)
            drawn.set_shape(inputs.shape)
            # This kind of selection needs no sums over broadcast dimensions in its gradient.
            kept = tf.raw_ops.GreaterEqual(x=drawn, y=rate)
            return tf.raw_ops.Select(condition=kept, x=inputs * scale, y=tf.zeros_like(inputs))

        return call

    def _score(self, scores: Scores, total: Any, examples: Any, predicted: Any) -> Any:
        """What Keras would log after an epoch whose losses times rows have this sum."""
        _, y, weight = (*examples, None)[:3]
        return scores.function(total, self._zero, y, predicted, weight)

    @contextlib.contextmanager
    def _set(self, settings: Settings) -> Iterator[None]:
        """While the model is traced, its dropout rates and regularisers' strengths are values."""
        self._settings = settings
        count = len(self._dropouts)
        rates, scales = tf.unstack(settings.rates, count), tf.unstack(settings.scales, count)
        for layer, rate, scale in zip(self._dropouts, rates, scales, strict=True):
            vars(layer)["call"] = self._dropout(layer, rate, scale)
        kept = [dict(vars(penalty)) for penalty in self._penalties]
        strengths = tf.unstack(settings.strengths, len(self._penalties))
        for penalty, strength in zip(self._penalties, strengths, strict=True):
            setattr(penalty, "l1" if isinstance(penalty, keras.regularizers.L1) else "l2", strength)
        try:
            yield
        finally:
            for layer in self._dropouts:
                vars(layer).pop("call", None)
            for penalty, attributes in zip(self._penalties, kept, strict=True):
                vars(penalty).update(attributes)
