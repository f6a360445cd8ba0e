"""Epochs as a pure function: weights, optimizer and data in, weights and logs out.

For models whose steps are all Keras' own, the same numbers follow from far fewer operations than ``train_step`` has:
trainable variables and the optimizer's slots are flat tensors that the loop carries, metrics are computed once per epoch
from the predictions of all its batches, and nothing is read or assigned between steps. No variable of the model is part
of the graph, so that other models of the same structure can use it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from refine.keras._flat_optimizer import FlatOptimizer, give
from refine.keras._keras_step import compiled_step

if TYPE_CHECKING:
    from refine.keras._data import Plan


class Settings(NamedTuple):
    """What differs between models of one structure besides their variables, as tensors."""

    shapes: Any  # of every trainable variable
    sizes: Any  # how many numbers each has, one vector
    dropouts: Any  # (layers, 2) rate of every `Dropout` layer, and what it multiplies by, 1 / (1 - rate)
    strengths: Any  # of every L1 or L2 regulariser


class EpochProgram:
    """What is traced: epochs and validation of one model, for which `refine.keras._eligible.unfit` finds nothing, on data of certain shapes.

    ``shapes`` are those of the trainable variables, `None` where other models may differ; rates of ``dropouts`` and
    strengths of ``penalties`` are values. ``names`` is what the columns of the logs are called, once `epochs` was traced.
    """

    def __init__(
        self,
        model: keras.Model,
        plan: Plan,
        shapes: Sequence[tuple[int | None, ...]],
        dropouts: Sequence[Any],
        penalties: Sequence[Any],
    ) -> None:
        self._model, self._plan, self._shapes = model, plan, shapes
        self._dropouts, self._penalties = dropouts, penalties
        self._trainable = list(model.trainable_variables)
        self._rest = list(model.non_trainable_variables)
        # Sizes of the variables; of open ones those of this model, where others may differ.
        self._sizes = [
            math.prod(v.shape if None in shape else shape)
            for v, shape in zip(self._trainable, shapes, strict=True)
        ]
        self._optimizer: Any = FlatOptimizer(model.optimizer, sum(self._sizes), self._trainable[0].dtype)
        self._settings: Settings
        self.names: list[str] = []

    def epochs(
        self, weights: Any, state: Any, rest: Any, settings: Settings, data: Any, numbers: Any
    ) -> tuple[Any, ...]:
        """Trains epochs ``first`` to ``last - 1``; returns new weights, state and rest, and the logs.

        Weights and the optimizer's slots are flat; ``rest`` are the other variables; ``data`` is for training and for
        validation or `None`; ``numbers`` are the seed of the order of rows, first, last, batch size and that of
        validation. The logs have one row per epoch, with the columns of training and then of validation.
        """
        seed, first, last, batch, val_batch = tf.unstack(numbers, 5)
        train, validation = data
        size = self._plan.train.size
        step = compiled_step(self._model, self._train_step, self._plan.steps)

        def body(epoch: Any, weights: Any, state: Any, rest: Any, table: Any) -> tuple[Any, ...]:
            examples = train
            if self._plan.seed is not None:
                order = tf.random.experimental.stateless_shuffle(tf.range(size), seed=tf.stack([seed, epoch]))
                examples = keras.tree.map_structure(lambda leaf: tf.gather(leaf, order), train)
            (weights, state, rest), total, predicted = self._pass(
                step, examples, size, batch, (weights, state, rest)
            )
            logs = self._score(total, examples, predicted)
            if validation is not None:
                more, rest = self._evaluate(weights, rest, validation, val_batch)
                logs = tf.concat([logs, more], 0)
            return epoch + 1, weights, state, rest, table.write(epoch - first, logs)

        with self._set(settings):
            table = tf.TensorArray(tf.float32, last - first)
            _, weights, state, rest, table = tf.while_loop(
                lambda epoch, *_: epoch < last,
                body,
                (first, weights, state, rest, table),
                parallel_iterations=1,
            )
        return weights, state, rest, table.stack()

    def _evaluate(self, weights: Any, rest: Any, data: Any, batch: Any) -> tuple[Any, Any]:
        """One row of logs, and the new values of ``rest``."""
        assert self._plan.validation is not None
        variables = self._unpack(weights)

        def step(examples: Any, rest: Any) -> tuple[Any, ...]:
            return self._forward(variables, rest, examples, training=False)

        rest, total, predicted = self._pass(step, data, self._plan.validation.size, batch, rest)
        return self._score(total, data, predicted), rest

    def _pass(
        self, step: Callable[..., Any], data: Any, size: int, batch: Any, state: Any
    ) -> tuple[Any, Any, Any]:
        """All batches of the data through ``step``, which takes a batch and the state to predictions, loss and state.

        Returns the state after the last step, the sum of losses times rows, and all predictions.
        """
        steps = (size + batch - 1) // batch
        lengths = tf.minimum(batch, size - batch * tf.range(steps))

        def array(like: Any) -> Any:
            shape = [None, *like.shape[1:]]
            return tf.TensorArray(like.dtype, steps, element_shape=shape, infer_shape=False)

        # Lists of tensors rather than slices: one operation per step and array.
        batches = keras.tree.map_structure(lambda leaf: array(leaf).split(leaf, lengths), data)
        output = self._model.outputs[0]

        def body(i: Any, total: Any, predictions: Any, state: Any) -> tuple[Any, ...]:
            examples = keras.tree.map_structure(lambda parts: parts.read(i), batches)
            predicted, loss, state = step(examples, state)
            return (
                i + 1,
                total + loss * tf.cast(lengths[i], loss.dtype),
                predictions.write(i, predicted),
                state,
            )

        _, total, predictions, state = tf.while_loop(
            lambda i, *_: i < steps,
            body,
            (tf.constant(0), tf.zeros((), keras.config.floatx()), array(output), state),
            parallel_iterations=1,
        )
        return state, total, tf.ensure_shape(predictions.concat(), [size, *output.shape[1:]])

    def _train_step(self, examples: Any, carried: Any) -> tuple[Any, ...]:
        weights, state, rest = carried
        variables = self._unpack(weights)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            predicted, loss, rest = self._forward(variables, rest, examples, training=True)
        gradients = tape.gradient(loss, variables)
        if any(not tf.is_tensor(g) or isinstance(g, tf.IndexedSlices) for g in gradients):
            raise ValueError("a variable has no dense gradient")
        flat = tf.concat([tf.reshape(g, (-1,)) for g in gradients], 0)
        weights, state = self._optimizer.apply(flat, weights, state)
        return predicted, loss, (weights, state, rest)

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
        return predicted, loss, [scope.get_current_value(v) for v in self._rest]

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

    def _score(self, total: Any, examples: Any, predicted: Any) -> Any:
        """What Keras would log after an epoch whose losses times rows have this sum."""
        _, y, weight = (*examples, None)[:3]
        model, compiled, tracker = self._model, self._model._compile_metrics, self._model._loss_tracker
        with keras.StatelessScope() as scope:
            for variable in model.metrics_variables:
                give(scope, variable, tf.zeros(variable.shape, variable.dtype))
            give(scope, tracker.total, total)
            give(scope, tracker.count, tf.cast(tf.shape(predicted)[0], total.dtype))
            if compiled is not None:
                compiled.update_state(y, predicted, weight)
            results = model.get_metrics_result()
        self.names = [*results]
        values = [tf.convert_to_tensor(value) for value in results.values()]
        if any(value.shape.rank != 0 for value in values):
            raise ValueError("a metric has several values")
        return tf.stack([tf.cast(value, tf.float32) for value in values])

    @contextlib.contextmanager
    def _set(self, settings: Settings) -> Iterator[None]:
        """While the model is traced, its dropout rates and regularisers' strengths are values."""
        self._settings = settings
        for layer, pair in zip(
            self._dropouts, tf.unstack(settings.dropouts, len(self._dropouts)), strict=True
        ):
            vars(layer)["call"] = self._dropout(layer, *tf.unstack(pair, 2))
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
