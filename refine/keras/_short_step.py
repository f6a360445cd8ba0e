"""Epochs as a pure function: weights, optimizer and data in, weights and logs out.

For models whose steps are Keras' own, ``train_step``'s numbers follow from far fewer operations. Trainable
variables and the optimizer's slots are flat tensors carried by the loop. Metrics are computed once per epoch
from the predictions of all batches. No variable is read or assigned between steps. The graph holds no
variable of the model, so that other models of the same structure can use the graph.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from refine.keras._flat_optimizer import FlatOptimizer, give
from refine.keras._keras_step import compiled_step, shuffled
from refine.keras._types import Tensors

if TYPE_CHECKING:
    from refine.keras._data import Plan


class Settings(NamedTuple):
    """The differences between models of one structure besides their variables, as tensors."""

    shapes: Sequence[tf.Tensor]  # of the trainable variables
    sizes: tf.Tensor  # numbers per trainable variable, one vector
    dropouts: tf.Tensor  # (layers, 2) rate of each `Dropout` layer, and its factor 1 / (1 - rate)
    strengths: tf.Tensor  # of the L1 and L2 regularisers


class EpochProgram:
    """The traced function: epochs and validation of a model accepted by `refine.keras._eligible.unfit`.

    ``shapes`` are the shapes of the trainable variables, with `None` for open dimensions. Rates of
    ``dropouts`` and strengths of ``penalties`` are inputs. ``names`` are the columns of the logs, known after
    `epochs` was traced.
    """

    def __init__(
        self,
        model: keras.Model,
        plan: Plan,
        shapes: Sequence[tuple[int | None, ...]],
        dropouts: Sequence[keras.layers.Layer],
        penalties: Sequence[keras.regularizers.Regularizer],
    ) -> None:
        self._model = model
        self._plan = plan
        self._shapes = shapes
        self._dropouts = dropouts
        self._penalties = penalties
        self._trainable = list(model.trainable_variables)
        self._untrained = list(model.non_trainable_variables)
        # Sizes of the variables; for open shapes, the sizes of this model.
        self._sizes = [
            math.prod(v.shape if None in shape else shape)
            for v, shape in zip(self._trainable, shapes, strict=True)
        ]
        self._optimizer: Any = FlatOptimizer(model.optimizer, sum(self._sizes), self._trainable[0].dtype)
        self._settings: Settings
        self.names: list[str] = []

    def epochs(
        self,
        weights: tf.Tensor,
        state: Sequence[tf.Tensor],
        untrained: Sequence[tf.Tensor],
        settings: Settings,
        data: tuple[object, object],
        numbers: tf.Tensor,
    ) -> tuple[tf.Tensor, Sequence[tf.Tensor], Sequence[tf.Tensor], tf.Tensor]:
        """Trains epochs ``first`` to ``last - 1``.

        Args:
            weights: Trainable variables, flat.
            state: The optimizer's variables; slots are flat.
            untrained: Non-trainable variables.
            settings: Of the model.
            data: A pair for training and validation; the latter may be `None`.
            numbers: Seed of the order of rows, first, last, batch sizes of training and validation.

        Returns:
            New weights, state and non-trainable variables, and the logs: one row per epoch, with the columns
            of training, then of validation.
        """
        seed, first, last, batch, val_batch = tf.unstack(numbers, 5)
        train, validation = data
        size = self._plan.train.size
        step = compiled_step(self._model, self._train_step, self._plan.steps)

        def body(
            epoch: tf.Tensor,
            weights: tf.Tensor,
            state: Sequence[tf.Tensor],
            untrained: Sequence[tf.Tensor],
            table: tf.TensorArray,
        ) -> tuple[Tensors, ...]:
            examples = train
            if self._plan.seed is not None:
                order = shuffled(size, seed, epoch)
                examples = keras.tree.map_structure(lambda leaf: tf.gather(leaf, order), train)
            (weights, state, untrained), total, predicted = self._pass(
                step, examples, size, batch, (weights, state, untrained)
            )
            logs = self._score(total, examples, predicted)
            if validation is not None:
                validation_logs, untrained = self._evaluate(weights, untrained, validation, val_batch)
                logs = tf.concat([logs, validation_logs], 0)
            return epoch + 1, weights, state, untrained, table.write(epoch - first, logs)

        with self._set(settings):
            table = tf.TensorArray(tf.float32, last - first)
            _, weights, state, untrained, table = tf.while_loop(
                lambda epoch, *_: epoch < last,
                body,
                (first, weights, state, untrained, table),
                parallel_iterations=1,
            )
        return weights, state, untrained, table.stack()

    def _evaluate(
        self, weights: tf.Tensor, untrained: Sequence[tf.Tensor], data: object, batch: tf.Tensor
    ) -> tuple[tf.Tensor, Sequence[tf.Tensor]]:
        """One row of logs, and the new values of ``untrained``."""
        assert self._plan.validation is not None
        variables = self._unpack(weights)

        def step(examples: object, untrained: Sequence[tf.Tensor]) -> tuple[Tensors, ...]:
            return self._forward(variables, untrained, examples, training=False)

        untrained, total, predicted = self._pass(step, data, self._plan.validation.size, batch, untrained)
        return self._score(total, data, predicted), untrained

    def _pass(
        self, step: Callable[..., Any], data: object, size: int, batch: tf.Tensor, state: object
    ) -> tuple[Tensors, tf.Tensor, tf.Tensor]:
        """Runs all batches through ``step``, which maps a batch and a state to predictions, loss and state.

        Returns the state after the last step, the sum of losses times rows, and all predictions.
        """
        steps = (size + batch - 1) // batch
        lengths = tf.minimum(batch, size - batch * tf.range(steps))

        def array(like: tf.Tensor) -> tf.TensorArray:
            shape = [None, *like.shape[1:]]
            return tf.TensorArray(like.dtype, steps, element_shape=shape, infer_shape=False)

        # Lists of tensors, not slices: one operation per step and array.
        batches = keras.tree.map_structure(lambda leaf: array(leaf).split(leaf, lengths), data)
        output = self._model.outputs[0]

        def body(
            i: tf.Tensor, total: tf.Tensor, predictions: tf.TensorArray, state: object
        ) -> tuple[Tensors, ...]:
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

    def _train_step(self, examples: Tensors, carried: Tensors) -> tuple[Tensors, ...]:
        weights, state, untrained = carried
        variables = self._unpack(weights)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            predicted, loss, untrained = self._forward(variables, untrained, examples, training=True)
        gradients = tape.gradient(loss, variables)
        if any(not tf.is_tensor(g) or isinstance(g, tf.IndexedSlices) for g in gradients):
            raise ValueError("a variable has no dense gradient")
        flat = tf.concat([tf.reshape(g, (-1,)) for g in gradients], 0)
        weights, state = self._optimizer.apply(flat, weights, state)
        return predicted, loss, (weights, state, untrained)

    def _forward(
        self,
        variables: Sequence[tf.Tensor],
        untrained: Sequence[tf.Tensor],
        examples: Tensors,
        *,
        training: bool,
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Predictions, loss and the non-trainable variables' new values, for one batch."""
        model = self._model
        x, y, weight = (*examples, None)[:3]
        with keras.StatelessScope(collect_losses=True) as scope:
            for variable, value in zip(
                self._trainable + self._untrained, [*variables, *untrained], strict=True
            ):
                give(scope, variable, value)
            predicted = model(x, training=training)
            if getattr(predicted, "_keras_mask", None) is not None:
                raise ValueError("the outputs carry a mask")
            loss = model.compute_loss(x, y, predicted, weight, training=training)
            model._clear_losses()
        return predicted, loss, [scope.get_current_value(v) for v in self._untrained]

    def _unpack(self, weights: tf.Tensor) -> list[tf.Tensor]:
        """Trainable variables from the flat tensor."""
        is_open = any(None in shape for shape in self._shapes)
        if is_open:
            sizes = self._settings.sizes
        else:
            sizes = self._sizes
        parts = tf.split(weights, sizes, num=len(self._shapes))
        tensors = []
        for part, static, shape in zip(parts, self._shapes, self._settings.shapes, strict=True):
            tensor = part
            if len(static) != 1:
                tensor = tf.reshape(part, shape if None in static else static)
            tensor.set_shape(static)
            tensors.append(tensor)
        return tensors

    def _dropout(
        self, layer: keras.layers.Layer, rate: tf.Tensor, scale: tf.Tensor
    ) -> Callable[..., tf.Tensor]:
        """`Dropout.call` with the rate as a tensor: the same random numbers and results."""

        def call(inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
            if not training:
                return inputs
            drawn = keras.random.uniform(tf.shape(inputs), dtype=inputs.dtype, seed=layer.seed_generator)
            drawn.set_shape(inputs.shape)
            # The gradient of this selection needs no sums over broadcast dimensions.
            keeps = tf.raw_ops.GreaterEqual(x=drawn, y=rate)
            return tf.raw_ops.Select(condition=keeps, x=inputs * scale, y=tf.zeros_like(inputs))

        return call

    def _score(self, total: tf.Tensor, examples: Tensors, predicted: tf.Tensor) -> tf.Tensor:
        """Keras' logs after an epoch with this sum of losses times rows."""
        _, y, weight = (*examples, None)[:3]
        model = self._model
        compiled = self._model._compile_metrics
        tracker = self._model._loss_tracker
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
        """While the model is traced, dropout rates and regularisers' strengths are tensors."""
        self._settings = settings
        for layer, pair in zip(
            self._dropouts, tf.unstack(settings.dropouts, len(self._dropouts)), strict=True
        ):
            vars(layer)["call"] = self._dropout(layer, *tf.unstack(pair, 2))
        saved = [dict(vars(penalty)) for penalty in self._penalties]
        strengths = tf.unstack(settings.strengths, len(self._penalties))
        for penalty, strength in zip(self._penalties, strengths, strict=True):
            setattr(penalty, "l1" if isinstance(penalty, keras.regularizers.L1) else "l2", strength)
        try:
            yield
        finally:
            for layer in self._dropouts:
                vars(layer).pop("call", None)
            for penalty, attributes in zip(self._penalties, saved, strict=True):
                vars(penalty).update(attributes)
