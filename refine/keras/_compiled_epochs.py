"""Epochs of small dense networks as one compiled program, for all networks of one structure.

A step of `EpochProgram` is about a hundred operations, which in a small network take longer to start than to
run. Here XLA compiles all epochs to machine code. XLA needs fixed shapes, so batches are padded to a common
number of rows of weight 0, and hidden layers to a common width, whose extra weights stay 0. A round combines
activations, losses and
optimizers: the common ones are branches of one program, selected by number; others get programs of their own.

Compiling takes 5 to 9 seconds of a processor and pays if hundreds of trainings share a program.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from refine.errors import first_line
from refine.keras._eligible import is_known
from refine.keras._flat_optimizer import FlatOptimizer
from refine.keras._keras_step import shuffled
from refine.keras._short_step import EpochProgram, Settings
from refine.keras._traces import ShortStep, Trace, Uncacheable, _remembered, structure
from refine.keras._types import Tensors

if TYPE_CHECKING:
    from refine.keras._data import Plan

_SPAN = 64  # largest number of epochs of a call
# In larger batches and layers arithmetic dominates, which XLA does not speed up inside loops.
_MOST_ROWS = 64
_MOST_WIDTH = 128
_LEAST = 8
# Limit of an epoch's predictions and random numbers, padding included.
_MOST_NUMBERS = 2**22
# Activations by column: a column of the result depends only on the same column of the input.
_BY_COLUMN = """
celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
log_sigmoid mish relu relu6 selu sigmoid silu soft_shrink softplus softsign squareplus swish tanh tanh_shrink
"""
# Compiling takes longer with each branch, so only choices that rounds often combine are branches.
_ACTIVATIONS = tuple(getattr(keras.activations, name) for name in ("relu", "elu", "tanh"))
_LOSSES = (keras.losses.binary_crossentropy, keras.losses.log_cosh, keras.losses.mean_squared_error)
_OPTIMIZERS = (keras.optimizers.Adam, keras.optimizers.Nadam, keras.optimizers.RMSprop)
_SCALARS = 3  # largest number of scalar variables of an optimizer
_SLOTS = 2  # largest number of slots per weight


class PaddedSettings(NamedTuple):
    """The differences between models of one structure and padded size, as tensors."""

    settings: Settings
    places: Tensors  # (numbers,) positions of the trainable variables' numbers in the padded form
    mask: Tensors  # (padded numbers,) True at these positions
    # numbers of the branches: of the optimizer, the loss, and every layer's activation but the last
    choices: Tensors


class NotCompilable(Exception):  # a signal, not an error: epochs run one operation at a time
    """A model or training without a compiled form; the text completes "because"."""


class CompiledStep(ShortStep):
    """Trains a model like `ShortStep`, by a compiled program; raises `NotCompilable` if there is none."""

    max_epochs_per_call = _SPAN

    def _prepare(self) -> None:
        model = self.model
        plan = self.plan
        if plan.watched:
            raise NotCompilable("callbacks, verbose or validation_freq act between epochs")
        rows, width = _checked(model, self._shapes, plan, self._dropouts)
        padded = [tuple(width if n is None else n for n in shape) for shape in self._shapes]
        # Branch numbers of the optimizer, the loss, and the activations of all layers but the last.
        numbers = [_optimizer_number(model.optimizer), _loss_number(model, plan.train.data[1].shape)]
        numbers += [_place(_ACTIVATIONS, getattr(layer, "activation", None)) for layer in model.layers[:-1]]
        by_number = [number is not None for number in numbers]
        self._any_optimizer = by_number[0]
        try:
            alike = structure(model, self._shapes, by_number)
        except Uncacheable as error:
            raise NotCompilable("the model holds custom functions or uncommon layers") from error
        key = self._key("compiled", rows, width, alike)
        choices = tf.constant([number or 0 for number in numbers], tf.int32)
        self._values = PaddedSettings(self._settings(), *self._padding(padded), choices)
        any_width = self._values._replace(places=tf.TensorSpec([None], tf.int32))
        form = {"rows": rows, "by_number": by_number}
        try:
            self._trace: Trace = _remembered(
                key, lambda: self._traced(_PaddedProgram, padded, any_width, **form)
            )
            self.train_epochs(0, 0)  # compiles
        except Exception as error:  # for example a metric of operations that XLA lacks
            raise NotCompilable(f"XLA can't compile it ({first_line(error)[:200]})") from error

    def _padding(self, padded: Sequence[tuple[int, ...]]) -> tuple[Tensors, Tensors]:
        places = []
        start = 0
        for variable, shape in zip(self._variables, padded, strict=True):
            numbers = np.arange(start, start + math.prod(shape)).reshape(shape)
            places.append(numbers[tuple(slice(n) for n in variable.shape)].ravel())
            start += math.prod(shape)
        joined = np.concatenate(places)
        return tf.constant(joined, tf.int32), tf.constant(np.isin(np.arange(start), joined))

    def _read(self) -> tuple[Tensors, ...]:
        weights, state, untrained = super()._read()
        if self._any_optimizer:
            anyones = [tf.zeros((), weights.dtype)] * _SCALARS + [tf.zeros_like(weights)] * _SLOTS
            for place, value in zip(_places([v.shape.rank for v in state]), state, strict=True):
                anyones[place] = value
            state = anyones
        return weights, state, untrained

    def write(self) -> None:
        """Writes the trained state to the model and its optimizer."""
        if self._any_optimizer and self._state is not None:
            weights, state, untrained = self._state
            places = _places([int(isinstance(v, list)) for v in self._optimizer])
            self._state = weights, [state[i] for i in places], untrained
        super().write()
        self._state = None


def _checked(
    model: keras.Model, shapes: Sequence[Any], plan: Plan, dropouts: Sequence[object]
) -> tuple[int, int]:
    """Padded rows of a batch and padded width of the hidden layers; raises `NotCompilable`."""
    layers = model.layers
    loss = model._compile_loss._user_loss
    # Layers between the first and the last may be padded.
    hidden = [v.shape[-1] for v, s in zip(model.trainable_variables, shapes, strict=True) if s[-1] is None]
    sizes = plan.batch, max(hidden, default=1)
    rows, width = (max(_LEAST, 1 << (int(number) - 1).bit_length()) for number in sizes)
    size = plan.train.size
    if plan.validation is not None:
        size += plan.validation.size
    columns = max(width, rows * model.outputs[0].shape[-1], model.inputs[0].shape[-1] or 0)
    mean = getattr(loss, "reduction", "mean") in ("sum_over_batch_size", "mean")
    penalised = any(getattr(layer, "activity_regularizer", None) is not None for layer in layers)
    names = {getattr(x.activation, "__name__", "") for x in layers[:-1] if hasattr(x, "activation")}
    active = [layer for layer in layers if type(layer) is keras.layers.Dropout and layer.rate > 0]
    rules = (
        (not hidden, "it is not a Sequential model of at least two Dense layers, Dropout and activations"),
        (
            width > _MOST_WIDTH or rows > _MOST_ROWS,
            f"that pays for batches of up to {_MOST_ROWS} rows and layers of up to {_MOST_WIDTH} units",
        ),
        (size * columns > _MOST_NUMBERS, f"an epoch, padded, has more than {_MOST_NUMBERS} numbers"),
        (
            {keras.config.floatx(), *(str(v.dtype) for v in model.trainable_variables)} != {"float32"},
            "it is not all float32",
        ),
        (
            not mean or penalised or not is_known(loss, keras.losses.get),
            "it is not known that its loss is a mean over rows",
        ),
        (bool(names - set(_BY_COLUMN.split())), "an activation is not known to treat columns one by one"),
        (len(active) > len(dropouts), "a Dropout layer has a noise_shape"),
    )
    for broken, reason in rules:
        if broken:
            raise NotCompilable(reason)
    return rows, width


def _place(alternatives: Sequence[object], thing: object) -> int | None:
    return next((i for i, other in enumerate(alternatives) if other is thing), None)


def _optimizer_number(optimizer: keras.Optimizer) -> int | None:
    """The branch of the optimizer, if all options but the learning rate are Keras' defaults."""
    place = _place(_OPTIMIZERS, type(optimizer))
    if place is None or not isinstance(optimizer._learning_rate, keras.Variable):
        return None
    config = optimizer.get_config()
    default = _OPTIMIZERS[place]().get_config()
    is_default = all(config[key] == default[key] for key in default.keys() - {"name", "learning_rate"})
    if is_default:
        return place
    return None


def _loss_number(model: keras.Model, targets: Tensors) -> int | None:
    """The branch of the loss, if targets have the shape that all branches take."""
    loss = model._compile_loss._user_loss
    columns = tuple(model.outputs[0].shape[1:])
    if tuple(targets[1:]) != columns and (columns != (1,) or len(targets) > 1):
        return None
    return _place(_LOSSES, keras.losses.get(loss) if isinstance(loss, str) else loss)


def _places(ranks: Sequence[int]) -> list[int]:
    """Positions of an optimizer's variables, of these ranks, in the common state: scalars first."""
    free_places = [iter(range(_SCALARS)), iter(range(_SCALARS, _SCALARS + _SLOTS))]
    return [next(free_places[rank]) for rank in ranks]


class _AnyOptimizer:
    """The step of the optimizers with branches; used like `FlatOptimizer`."""

    def __init__(self, size: int, dtype: str) -> None:
        self._branches = [FlatOptimizer(kind(), size, dtype) for kind in _OPTIMIZERS]
        self.number: Tensors = None

    def apply(
        self, gradient: object, weights: object, state: Sequence[object]
    ) -> tuple[Tensors, list[Tensors]]:
        """New weights and new state, in the order of `_places`, of the optimizer with this number."""

        def branch(flat: FlatOptimizer) -> tuple[Tensors, list[Tensors]]:
            places = _places(flat.ranks)
            after = list(state)
            new, values = flat.apply(gradient, weights, [state[i] for i in places])
            for i, value in zip(places, values, strict=True):
                after[i] = value
            return new, after

        new, after = _switch([lambda flat=flat: branch(flat) for flat in self._branches], self.number)()
        return new, list(after)


def _switch(functions: Sequence[Callable[..., Any]], number: object) -> Callable[..., Any]:
    """The function with this number."""

    def call(*arguments: object) -> Tensors:
        return tf.switch_case(number, [lambda f=f: f(*arguments) for f in functions])

    return call


class _PaddedProgram(EpochProgram):
    """Epochs of a model on data of fixed shapes, padded and compiled.

    ``shapes`` are padded; ``rows`` is the padded batch size; ``by_number`` tells which choices are selected
    by number.
    """

    def __init__(self, *model_and_data: Any, rows: int, by_number: Sequence[bool]) -> None:
        super().__init__(*model_and_data)
        self._rows = rows
        self._by_number = by_number
        if by_number[0]:
            self._optimizer = _AnyOptimizer(sum(self._sizes), self._trainable[0].dtype)
        order = {id(v): i for i, v in enumerate(self._untrained)}
        self._seeds = [order[id(layer.seed_generator.state)] for layer in self._dropouts]
        self._widest = max(n or 0 for shape in self._shapes for n in shape)
        self._mask: Tensors = None
        self._drawn: dict[int, Tensors] = {}
        self._places: Tensors = None
        self._compiled = tf.function(self._all, autograph=False, jit_compile=True)

    def epochs(
        self,
        weights: Tensors,
        state: Tensors,
        untrained: Tensors,
        settings: Tensors,
        data: object,
        numbers: object,
    ) -> tuple[Tensors, ...]:
        """Like `EpochProgram.epochs`, for at most 64 epochs and with `PaddedSettings`."""
        seed, first, last, batch, _ = tf.unstack(numbers, 5)
        size = self._plan.train.size
        count = last - first
        if self._plan.seed is None:
            orders = tf.tile(tf.range(size)[None], [_SPAN, 1])
        else:
            orders = tf.map_fn(lambda epoch: shuffled(size, seed, epoch), tf.range(first, last))
            orders = tf.ensure_shape(tf.pad(orders, [[0, _SPAN - count], [0, 0]]), [_SPAN, size])
        padded_size = [math.prod(settings.mask.shape)]

        def spread(flat: Tensors) -> Tensors:
            if flat.shape.rank:
                return tf.scatter_nd(settings.places[:, None], flat, padded_size)
            return flat

        def gathered(flat: Tensors) -> Tensors:
            if flat.shape.rank:
                return tf.gather(flat, settings.places)
            return flat

        carried = spread(weights), [spread(s) for s in state], untrained
        # `places` of another length would start another compilation, so a fixed tensor stands in.
        fixed = settings._replace(places=settings.mask)
        weights, state, untrained, table = self._compiled(carried, fixed, data, orders, count, batch)
        return gathered(weights), [gathered(s) for s in state], untrained, table[:count]

    def _all(
        self,
        carried: Tensors,
        settings: PaddedSettings,
        data: Tensors,
        orders: Tensors,
        count: Tensors,
        batch: Tensors,
    ) -> tuple[Tensors, ...]:
        """The compiled function: ``count`` epochs of padded weights, with these orders of rows."""
        train, validation = data
        size = self._plan.train.size
        steps = (size + batch - 1) // batch
        repeated = tf.range(self._rows) % size
        with tf.init_scope():
            columns = len(self._model.get_metrics_result()) * (1 if validation is None else 2)

        def body(
            epoch: Tensors, weights: Tensors, state: Tensors, untrained: Tensors, table: Tensors
        ) -> tuple[Tensors, ...]:
            order = orders[epoch]
            padded = tf.concat([order, tf.gather(order, repeated)], 0)
            examples = keras.tree.map_structure(lambda leaf: tf.gather(leaf, padded), train)
            # All random numbers of an epoch at once: XLA would draw the numbers of a step again at each use.
            self._drawn = {
                id(layer): self._uniform(untrained[i])
                for layer, i in zip(self._dropouts, self._seeds, strict=True)
            }
            (weights, state, untrained), total, predicted = self._pass(
                self._train_step, examples, size, batch, (weights, state, untrained)
            )
            # Advance the layers' seed states like Keras.
            untrained = [
                value + tf.cast(tf.stack([0, steps]), value.dtype) if i in self._seeds else value
                for i, value in enumerate(untrained)
            ]
            logs = self._score(total, keras.tree.map_structure(lambda leaf: leaf[:size], examples), predicted)
            if validation is not None:
                logs = tf.concat([logs, self._evaluate(weights, untrained, validation, batch)[0]], 0)
            return epoch + 1, weights, state, untrained, table.write(epoch, logs)

        self._mask = settings.mask
        if isinstance(self._optimizer, _AnyOptimizer):
            self._optimizer.number = settings.choices[0]
        with self._set(settings.settings), self._any_width(), self._chosen(settings.choices):
            table = tf.TensorArray(tf.float32, _SPAN, element_shape=[columns])
            _, weights, state, untrained, table = tf.while_loop(
                lambda epoch, *_: epoch < count,
                body,
                (tf.constant(0), *carried, table),
                parallel_iterations=1,
            )
        return weights, state, untrained, table.stack()

    def _pass(
        self, step: Callable[..., Any], data: object, size: int, batch: Tensors, state: object
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Like `EpochProgram._pass`, with padding."""
        rows = self._rows
        output = self._model.outputs[0]
        predictions = tf.TensorArray(output.dtype, size, element_shape=[rows, *output.shape[1:]])

        def body(i: Tensors, total: Tensors, predictions: Tensors, state: Tensors) -> tuple[Tensors, ...]:
            # A slice would need a compilation per batch size.
            places = self._places = i * batch + tf.range(rows)
            parts = keras.tree.map_structure(lambda leaf: tf.gather(leaf, places), data)
            real = tf.minimum(batch, size - i * batch)
            # Keras divides by the rows of the batch, of which some are padding.
            share = tf.cast(tf.range(rows) < real, tf.float32) * (rows / tf.cast(real, tf.float32))
            x, y, weight = (*parts, None)[:3]
            if weight is not None:
                weight = tf.cast(weight, tf.float32)
                share = weight * tf.reshape(share, [rows, *[1] * (weight.shape.rank - 1)])
            predicted, loss, state = step((x, y, share), state)
            return i + 1, total + loss * tf.cast(real, loss.dtype), predictions.write(i, predicted), state

        steps = (size + batch - 1) // batch
        _, total, predictions, state = tf.while_loop(
            lambda i, *_: i < steps,
            body,
            (tf.constant(0), tf.zeros(()), predictions, state),
            parallel_iterations=1,
        )
        row = tf.range(size)
        flat = tf.reshape(predictions.stack(), [-1, *output.shape[1:]])
        return state, total, tf.gather(flat, row // batch * rows + row % batch)

    def _evaluate(
        self,
        weights: Tensors,
        untrained: Tensors,
        data: Tensors,
        batch: object,  # noqa: ARG002
    ) -> tuple[Tensors, Tensors]:
        """Like `EpochProgram._evaluate`, in one batch, since rows are independent."""
        assert self._plan.validation is not None
        predicted, loss, _ = self._forward(self._unpack(weights), untrained, data, training=False)
        return self._score(loss * self._plan.validation.size, data, predicted), untrained

    def _train_step(self, examples: object, carried: object) -> tuple[Tensors, ...]:
        predicted, loss, (weights, state, untrained) = super()._train_step(examples, carried)
        # Padded weights can become non-zero by an activation, or NaN by slots of 0.
        return predicted, loss, (tf.where(self._mask, weights, 0.0), state, untrained)

    def _uniform(self, state: Tensors) -> Tensors:
        """Random numbers of an epoch, for every row and column of a `Dropout` layer's input."""
        seed = tf.cast(tf.math.floormod(state, tf.cast(tf.int32.max - 1, state.dtype)), tf.int32)
        return tf.random.stateless_uniform([self._plan.train.size + self._rows, self._widest], seed)

    def _dropout(self, layer: object, rate: object, scale: object) -> Callable[..., Any]:
        """`Dropout.call` with these random numbers."""

        def call(inputs: Tensors, training: bool = False) -> Tensors:
            if not training:
                return inputs
            drawn = tf.gather(self._drawn[id(layer)], self._places)[:, : inputs.shape[-1]]
            return tf.where(drawn >= rate, inputs * scale, 0.0)

        return call

    @contextlib.contextmanager
    def _any_width(self) -> Iterator[None]:
        """While the model is traced, its layers accept inputs of the padded width."""
        layers = [layer for layer in self._model.layers if type(layer) is keras.layers.Dense]
        before = [layer.input_spec for layer in layers]
        for layer in layers:
            vars(layer)["_input_spec"] = None
        try:
            yield
        finally:
            for layer, spec in zip(layers, before, strict=True):
                vars(layer)["_input_spec"] = spec

    @contextlib.contextmanager
    def _chosen(self, numbers: Tensors) -> Iterator[None]:
        """While the model is traced, activations and loss are selected by these numbers."""
        loss = self._model._compile_loss
        layers = [
            (layer, layer.activation, number)
            for layer, flag, number in zip(
                self._model.layers,
                self._by_number[2:],
                tf.unstack(numbers[2:], len(self._by_number) - 2),
                strict=False,
            )
            if flag
        ]
        for layer, _, number in layers:
            vars(layer)["activation"] = _switch(_ACTIVATIONS, number)
        if self._by_number[1]:
            weights = loss._user_loss_weights
            names = loss.output_names
            branches = [type(loss)(function, weights, output_names=names) for function in _LOSSES]
            vars(loss)["call"] = _switch(branches, numbers[1])
        try:
            yield
        finally:
            vars(loss).pop("call", None)
            for layer, activation, _ in layers:
                vars(layer)["activation"] = activation
