"""Whole epochs inside one TensorFlow graph.

`Model.fit` enters and leaves the graph once per batch, which costs far more than the arithmetic of a
small network. Here one graph call runs Keras' own ``train_step`` over all batches of an epoch, or of
several. Batch size and epoch numbers are values, not constants, and a batch has a dynamic number of
rows, so that one trace serves full and partial batches alike.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from refine.keras._bars import SPEC, bars
from refine.keras._known import is_standard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from refine.design.pruning import Bar
    from refine.keras._data import Rows

Logs = dict[str, Any]

# Steps of recurrent layers, in all batches together.
_WORTH_COMPILING = 50_000


@contextlib.contextmanager
def _lean(model: keras.Model) -> Iterator[None]:
    """While a step is traced, leaves out what is of no use inside a whole epoch on one device.

    - The optimizer's sum of gradients over replicas. It does nothing for one, but TensorFlow keeps its
      gradient in a global registry, and with it the graph of every model ever trained (7 MB each).
    - In standard models, the metric results of every batch. They are read once per epoch.

    Instance ``__dict__``s are used directly because Keras' ``__setattr__`` tracks what is set.
    """
    patched: list[tuple[dict[str, Any], str]] = []
    optimizer = model.optimizer
    while optimizer is not None and hasattr(optimizer, "_all_reduce_sum_gradients"):
        patched.append((vars(optimizer), "_all_reduce_sum_gradients"))
        vars(optimizer)["_all_reduce_sum_gradients"] = lambda gradients: gradients
        optimizer = getattr(optimizer, "inner_optimizer", None)
    if is_standard(model):
        patched.append((vars(model), "get_metrics_result"))
        vars(model)["get_metrics_result"] = dict
    try:
        yield
    finally:
        for attributes, name in patched:
            del attributes[name]


def _take(data: Any, index: Callable[[Any], Any]) -> Any:
    return keras.tree.map_structure(lambda t: None if t is None else index(t), data)


def _flattened(logs: Logs) -> Logs:
    """Logs with the metrics of nested results at the top, as Keras gives them to callbacks."""
    found: Logs = {}
    for name, value in sorted(logs.items()):
        found |= _flattened(value) if isinstance(value, dict) else {name: np.asarray(value)}
    return found


def build(model: keras.Model, examples: Rows) -> None:
    """Creates all variables (weights, metrics, optimizer) before a trace, in Keras' own way.

    Args:
        model: A compiled model; what is built stays as it is.
        examples: Examples with targets, and perhaps weights; shapes and types count.
    """
    symbolic = _take(examples.data, lambda t: keras.KerasTensor((None, *t.shape[1:]), t.dtype.name))
    model._symbolic_build(data_batch=symbolic)


def compiled_step(model: keras.Model, step: Callable[..., Any], steps: int) -> Callable[..., Any]:
    """A training step, compiled by XLA where that is what makes `Model.fit` fast and where it pays.

    A step of a recurrent layer is itself a loop over many small operations, 2 to 3 times as fast when compiled.
    Compiling takes some five seconds, and convolutions within loops are 12 to 22 times slower then.

    Args:
        model: Whose step it is.
        step: The step.
        steps: Of the whole training.
    """
    kinds = (keras.layers.RNN, keras.layers.Bidirectional)
    recurrent = [x for x in model._flatten_layers() if isinstance(x, kinds) and x._inbound_nodes]
    lengths = [keras.tree.flatten(layer.input)[0].shape[1] or 0 for layer in recurrent]
    if not model.jit_compile or steps * sum(lengths) < _WORTH_COMPILING:
        return step
    return tf.function(step, autograph=False, jit_compile=True)


class Epochs:
    """The traced epochs of one model on one set of data.

    Nothing outlives the object: the traces are freed with it.

    Args:
        model: A compiled model. It is built here if need be.
        train: Training examples.
        validation: Validation examples, or `None`.
        shuffle_seed: Seed of the order of rows, or `None` to keep them in order. The order of epoch
            ``e`` depends on this seed and ``e`` alone.
    """

    def __init__(
        self, model: keras.Model, train: Rows, validation: Rows | None, shuffle_seed: int | None
    ) -> None:
        self.model = model
        self.train = train
        self.validation = validation
        self.shuffle_seed = shuffle_seed
        self.standard = is_standard(model)
        self.most: int | None = None
        self.uncompiled: str | None = None
        build(model, train)
        self._functions: dict[str, Any] = {}
        self._names: list[str] = []

    def train_epoch(self, epoch: int, batch_size: int) -> Logs:
        """Trains one epoch; returns its logs as Keras would."""
        return self._call("train", self.train.data, epoch, batch_size)

    def validate(self, batch_size: int) -> Logs:
        """Evaluates on the validation examples; returns logs without prefix."""
        assert self.validation is not None
        return self._call("test", self.validation.data, batch_size)

    def train_epochs(
        self, first: int, last: int, batch_size: int, val_batch: int, bar: Bar | None = None
    ) -> list[Logs]:
        """Trains epochs ``first`` to ``last - 1``, or to the first that misses the bar, in one graph call.

        Only for standard models (`is_standard`), whose logs are known before they are traced.

        Returns:
            The logs of each epoch that was trained, validation with prefix ``val_``.
        """
        validation = None if self.validation is None else self.validation.data
        measured = bars(bar, self._names, last - first)
        arguments = [tf.constant(n, tf.int32) for n in (first, last, batch_size, val_batch)]
        out = _flattened(self._functions["many"]((self.train.data, validation), *arguments, measured))
        done = len(next(iter(out.values())))
        return [{name: values[i] for name, values in out.items()} for i in range(done)]

    def finish(self) -> None:
        """Nothing to do: the model's variables are always up to date."""

    def trace(self, *, many: bool, steps: int) -> None:
        """Traces what training will call, before anything is trained.

        Args:
            many: Whether `train_epochs` will be used, rather than `train_epoch` and `validate`.
            steps: Batches in all epochs together.
        """
        self._steps = steps
        numbers = tf.TensorSpec((), tf.int32)
        if many:
            validation = None if self.validation is None else self.validation.data
            self._trace("many", (self.train.data, validation), [*[numbers] * 4, SPEC])
            return
        self._trace("train", self.train.data, [numbers] * 2)
        if self.validation is not None:
            self._trace("test", self.validation.data, [numbers])

    def _trace(self, kind: str, data: Any, numbers: Sequence[Any]) -> None:
        body = {"train": self._train, "test": self._test, "many": self._many}[kind]
        function = tf.function(body, autograph=False)
        self._functions[kind] = function.get_concrete_function(data, *numbers)

    def _call(self, kind: str, data: Any, *numbers: int) -> Logs:
        """Runs one of the graphs. The data are arguments, or the graph would hold a copy of them."""
        arguments = [tf.constant(number, tf.int32) for number in numbers]
        logs: Logs = self._functions[kind](data, *arguments)
        return _flattened(logs)

    def _train(self, data: Any, epoch: Any, batch_size: Any) -> Logs:
        count = self.train.size
        if self.shuffle_seed is None:
            order = None
        else:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(count), seed=tf.stack([self.shuffle_seed, epoch])
            )
        step = compiled_step(self.model, self.model.train_step, self._steps)
        return self._loop(step, data, count, batch_size, order)

    def _test(self, data: Any, batch_size: Any) -> Logs:
        assert self.validation is not None
        return self._loop(self.model.test_step, data, self.validation.size, batch_size, None)

    def _loop(self, step: Callable[[Any], Any], data: Any, count: int, batch_size: Any, order: Any) -> Logs:
        """One pass over the data: metrics reset, every batch through ``step``, metrics read."""
        self.model.reset_metrics()
        steps = (count + batch_size - 1) // batch_size

        def one(i: Any) -> Any:
            start = i * batch_size
            stop = tf.minimum(start + batch_size, count)
            if order is None:
                return step(_take(data, lambda t: t[start:stop]))
            rows = order[start:stop]
            return step(_take(data, lambda t: tf.gather(t, rows)))

        def body(i: Any) -> tuple[Any]:
            one(i)
            return (i + 1,)

        # A custom step may return logs that no metric holds. Keras keeps those of the last batch,
        # so that one runs outside the loop, where its result can be returned.
        looped = steps if self.standard else steps - 1
        with _lean(self.model):
            tf.while_loop(lambda i: i < looped, body, (tf.constant(0, tf.int32),), parallel_iterations=1)
        if self.standard:
            return dict(self.model.get_metrics_result())
        with _lean(self.model):
            logs = one(looped)
        results = self.model.get_metrics_result()
        if not isinstance(logs, dict) or set(logs) == set(results):
            logs = results
        return dict(logs)

    def _many(self, data: Any, first: Any, last: Any, batch_size: Any, val_batch: Any, bar: Any) -> Logs:
        train, validation = data
        with tf.init_scope():
            example = {k: tf.convert_to_tensor(v) for k, v in self.model.get_metrics_result().items()}
        if validation is not None:
            example |= {f"val_{name}": value for name, value in example.items()}
        names = self._names = list(example)

        def body(epoch: Any, best: Any, on: Any, *arrays: Any) -> tuple[Any, ...]:
            logs = self._train(train, epoch, batch_size)
            if validation is not None:
                tested = self._test(validation, val_batch)
                logs |= {f"val_{name}": value for name, value in tested.items()}
            written = [a.write(epoch - first, logs[n]) for n, a in zip(names, arrays, strict=True)]
            values = tf.stack([tf.cast(tf.reshape(logs[n], [-1])[0], tf.float64) for n in names])
            best, on = bar.passed(values[bar.column], best, epoch - first)
            return (epoch + 1, best, on, *written)

        arrays = [
            tf.TensorArray(example[n].dtype, last - first, element_shape=example[n].shape) for n in names
        ]
        epoch, _, _, *filled = tf.while_loop(
            lambda epoch, *carried: tf.logical_and(epoch < last, carried[1]),
            body,
            (first, bar.best, tf.constant(True), *arrays),
            parallel_iterations=1,
        )
        done = tf.range(epoch - first)
        return {name: array.gather(done) for name, array in zip(names, filled, strict=True)}
