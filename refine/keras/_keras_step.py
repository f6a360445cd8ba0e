"""Keras' own step in a graph of an epoch.

`Model.fit` enters and leaves the graph once per batch, which costs far more than the arithmetic of a small
network. Here one graph call runs ``train_step`` over all batches of an epoch; full and partial batches share
a trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from refine.keras._eligible import is_standard
from refine.keras._types import Tensors

if TYPE_CHECKING:
    from refine.keras._data import Plan, TrainingRows

Logs = dict[str, Any]

# Steps of recurrent layers over all batches, from which compiling pays.
_WORTH_COMPILING = 50_000


def build(model: keras.Model, examples: TrainingRows) -> None:
    """Creates missing variables (weights, metrics, optimizer) by Keras' own methods, before a trace."""
    symbolic = _each(examples.data, lambda t: keras.KerasTensor((None, *t.shape[1:]), t.dtype.name))
    model._symbolic_build(data_batch=symbolic)


def compiled_step(model: keras.Model, step: Callable[..., Any], steps: int) -> Callable[..., Any]:
    """A training step, compiled by XLA if `Model.fit` is fast by compiling and enough steps follow.

    A step of a recurrent layer is a loop over many small operations, 2 to 3 times faster when compiled.
    Compiling takes about five seconds, and compiled convolutions within loops are 12 to 22 times slower.
    """
    kinds = (keras.layers.RNN, keras.layers.Bidirectional)
    recurrent = [x for x in model._flatten_layers() if isinstance(x, kinds) and x._inbound_nodes]
    lengths = [keras.tree.flatten(layer.input)[0].shape[1] or 0 for layer in recurrent]
    if not model.jit_compile or steps * sum(lengths) < _WORTH_COMPILING:
        return step
    return tf.function(step, autograph=False, jit_compile=True)


def _each(data: object, change: Callable[[Tensors], Tensors]) -> Tensors:
    return keras.tree.map_structure(lambda t: None if t is None else change(t), data)


def _flattened(logs: Logs) -> Logs:
    """Logs with nested metrics at the top level, as Keras passes them to callbacks."""
    flat: Logs = {}
    for name, value in sorted(logs.items()):
        flat |= _flattened(value) if isinstance(value, dict) else {name: np.asarray(value)}
    return flat


def shuffled(size: int, seed: int | tf.Tensor, epoch: object) -> tf.Tensor:
    """A random order of the examples in an epoch, fixed by ``seed`` and ``epoch``."""
    return tf.random.experimental.stateless_shuffle(tf.range(size), seed=tf.stack([seed, epoch]))


class KerasStep:
    """The epochs of a model with its own ``train_step`` and ``test_step``; the object owns the traces."""

    def __init__(self, model: keras.Model, plan: Plan) -> None:
        self.model = model
        self.plan = plan
        self._standard = is_standard(model)
        build(model, plan.train)
        epoch = tf.TensorSpec((), tf.int32)
        self._train = tf.function(self._train_epoch, autograph=False).get_concrete_function(
            plan.train.data, epoch
        )
        if plan.validation is not None:
            self._test = tf.function(self._test_epoch, autograph=False).get_concrete_function(
                plan.validation.data
            )

    def train_epoch(self, epoch: int) -> Logs:
        """Trains one epoch; returns Keras' logs."""
        # The data are arguments: as constants the graph would copy them.
        return _flattened(self._train(self.plan.train.data, tf.constant(epoch, tf.int32)))

    def validate(self) -> Logs:
        """Evaluates on the validation examples; returns logs without prefix."""
        assert self.plan.validation is not None
        return _flattened(self._test(self.plan.validation.data))

    def _train_epoch(self, data: object, epoch: object) -> Logs:
        plan = self.plan
        order = None
        if plan.seed is not None:
            order = shuffled(plan.train.size, plan.seed, epoch)
        step = compiled_step(self.model, self.model.train_step, plan.steps)
        return self._pass(step, data, plan.train.size, plan.batch, order)

    def _test_epoch(self, data: object) -> Logs:
        assert self.plan.validation is not None
        return self._pass(self.model.test_step, data, self.plan.validation.size, self.plan.val_batch, None)

    def _pass(
        self, step: Callable[[Tensors], Tensors], data: Tensors, size: int, batch: int, order: Tensors
    ) -> Logs:
        """Resets metrics, runs ``step`` on every batch, and reads the metrics."""
        self.model.reset_metrics()

        def one(i: Tensors) -> Tensors:
            in_batch = slice(i * batch, tf.minimum((i + 1) * batch, size))
            if order is None:
                return step(_each(data, lambda t: t[in_batch]))
            return step(_each(data, lambda t: tf.gather(t, order[in_batch])))

        def body(i: Tensors) -> tuple[Tensors]:
            one(i)
            return (i + 1,)

        # A custom step may return logs that no metric holds. Keras keeps the logs of the last batch, so the
        # last batch runs outside the loop, which cannot return logs.
        steps = -(-size // batch)
        if self._standard:
            looped = steps
        else:
            looped = steps - 1
        tf.while_loop(lambda i: i < looped, body, (tf.constant(0),), parallel_iterations=1)
        if self._standard:
            logs = None
        else:
            logs = one(tf.constant(looped))
        results = self.model.get_metrics_result()
        return dict(results if not isinstance(logs, dict) or set(logs) == set(results) else logs)
