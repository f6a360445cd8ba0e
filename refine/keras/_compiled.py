"""Epochs of small dense networks as one compiled program, for all networks of one structure.

A step of `Program` is a hundred operations that TensorFlow starts one by one; of a small network they take longer to
start than to run. Here XLA compiles all epochs to machine code. It needs shapes that are known beforehand, so that
batches are padded to a common number of rows, which weigh nothing, and hidden layers to a common width, whose weights
are 0 and stay so. Compiling takes a second or three and serves every network of the structure.

Dropout draws the numbers that Keras draws.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from refine.keras._choices import AnyOptimizer, chosen
from refine.keras._known import is_rowwise
from refine.keras._lean import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from refine.keras._choices import Choices
    from refine.keras._data import Rows
    from refine.keras._lean import Settings
    from refine.keras._structure import Shape

SPAN = 64
"""Most epochs of one call."""
# Larger batches and layers are arithmetic, at which XLA is no better inside of loops.
_MOST_ROWS, _MOST_WIDTH = 64, 128
_LEAST = 8
# Predictions and random numbers of an epoch are kept with their padding.
_MOST_NUMBERS = 2**22
# Random numbers are drawn by so many.
_DRAWN = 64
# Of an activation it must be known that a column of its result follows from the same column.
_BY_COLUMN = """
celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid mish
relu relu6 selu sigmoid silu soft_shrink softplus softsign squareplus swish tanh tanh_shrink
"""
_PHILOX = 1
_NEXT = np.array([_DRAWN // 4, 0], "uint64")


class Padding(NamedTuple):
    """Where the numbers of a model lie among those of its padded form.

    Attributes:
        places: (numbers,) of every number of the trainable variables.
        mask: (padded numbers,) whether it is one of these places.
        widths: (dropouts,) real columns of what each `Dropout` layer gets.
    """

    places: Any
    mask: Any
    widths: Any


class Form(NamedTuple):
    """What is compiled: padded sizes.

    Attributes:
        rows: Of every batch.
        shapes: Of every trainable variable.
    """

    rows: int
    shapes: tuple[tuple[int, ...], ...]


def form(
    model: keras.Model, shapes: Sequence[Shape], train: Rows, validation: Rows | None, batch: int
) -> Form | str:
    """The padded sizes of a model's compiled form, or why it has none, in words that complete "because".

    Args:
        model: A built, compiled model for which `refine.keras._plain.unfit` finds nothing.
        shapes: What `refine.keras._structure.open_shapes` says.
        train: Training examples.
        validation: Validation examples, or `None`.
        batch: Rows per step.
    """
    if not any(None in shape for shape in shapes):
        return "it is no Sequential model of at least two Dense layers, Dropout and activations"
    # Layers between the first and the last may be padded; one of these there always is.
    hidden = max(
        v.shape[-1] for v, shape in zip(model.trainable_variables, shapes, strict=True) if shape[-1] is None
    )
    width, rows = _bucket(hidden), _bucket(batch)
    if width > _MOST_WIDTH or rows > _MOST_ROWS:
        return f"that pays for batches of up to {_MOST_ROWS} rows and layers of up to {_MOST_WIDTH} units"
    size = train.size + (validation.size if validation is not None else 0)
    columns = max(width, rows * model.outputs[0].shape[-1], model.inputs[0].shape[-1])
    if size * columns > _MOST_NUMBERS:
        return f"an epoch, padded, has more than {_MOST_NUMBERS} numbers"
    if {keras.config.floatx(), *(str(v.dtype) for v in model.trainable_variables)} != {"float32"}:
        return "it is not all float32"
    if not is_rowwise(model):
        return "it is not known that its loss is a mean over rows"
    for layer in model.layers[:-1]:
        if not _is_by_column(layer):
            return f"the activation of {layer.name} is not known to treat columns one by one"
    dropouts = [layer for layer in model.layers if type(layer) is keras.layers.Dropout and layer.rate > 0]
    states = {id(layer.seed_generator.state) for layer in dropouts}
    if len(states) < len(dropouts) or any(layer.noise_shape is not None for layer in dropouts):
        return "its Dropout layers share seeds or noise"
    if len({id(layer) for layer in model.layers}) < len(model.layers):
        return "it holds a layer twice"
    return Form(rows, tuple(tuple(width if n is None else n for n in shape) for shape in shapes))


def _bucket(number: int) -> int:
    """The next power of two."""
    return max(_LEAST, 1 << (int(number) - 1).bit_length())


def _is_by_column(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    return activation is None or getattr(activation, "__name__", "") in _BY_COLUMN.split()


def padding(model: keras.Model, into: Form, dropouts: Sequence[Any]) -> Padding:
    """Where a model's numbers lie in its padded form."""
    places, start = [], 0
    for variable, shape in zip(model.trainable_variables, into.shapes, strict=True):
        numbers = np.arange(start, start + math.prod(shape)).reshape(shape)
        places.append(numbers[tuple(slice(n) for n in variable.shape)].ravel())
        start += math.prod(shape)
    joined = np.concatenate(places)
    mask = np.zeros(start, bool)
    mask[joined] = True
    widths = [
        v for layer, v in _columns(model, [v.shape for v in model.trainable_variables]) if layer in dropouts
    ]
    return Padding(tf.constant(joined, tf.int32), tf.constant(mask), tf.constant(widths, tf.int32))


def _columns(model: keras.Model, shapes: Sequence[Any]) -> list[tuple[Any, int]]:
    """Every layer that has no weights, with the columns of what it gets where weights have these shapes."""
    found, columns = [], int(model.inputs[0].shape[-1])
    left = iter(shapes)
    for layer in model.layers:
        if type(layer) is keras.layers.Dense:
            columns = int(next(left)[-1])
            if layer.use_bias:
                next(left)
        else:
            found.append((layer, columns))
    return found


class Compiled(Program):
    """Epochs of one model on data of certain shapes, compiled.

    Args:
        model: A model that has a `form`.
        into: Padded sizes.
        choices: What is given by number.
        options: All others of `Program`.
    """

    def __init__(self, model: keras.Model, *, into: Form, choices: Choices, **options: Any) -> None:
        super().__init__(model, **options, whole=True, shapes=into.shapes)
        self._rows = into.rows
        self._choices = choices
        if choices.optimizer is not None:
            self._optimizer = AnyOptimizer(sum(self._sizes), self._trainable[0].dtype)
        self._mask: Any = None
        self._drawn: list[tuple[Any, Any, Any]] = []
        order = {id(v): i for i, v in enumerate(self._rest)}
        self._states = [order[id(layer.seed_generator.state)] for layer in self._dropouts]
        columns = {id(layer): n for layer, n in _columns(model, into.shapes)}
        self._columns = [columns[id(layer)] for layer in self._dropouts]
        self._step: Any = None
        self._compiled = tf.function(self._all, autograph=False, jit_compile=True)

    def epochs(  # type: ignore[override]
        self,
        weights: Any,
        state: Any,
        rest: Any,
        settings: Settings,
        padded: Padding,
        choices: Any,
        data: Any,
        numbers: Any,
        bar: Any,
    ) -> tuple[Any, ...]:
        """As `Program.epochs`, for at most `SPAN` of them.

        ``padded`` says how the model is padded, ``choices`` which branches it takes.
        """
        seed, first, last, batch, _ = tf.unstack(numbers, 5)
        size, count = self._train.size, last - first
        if self._shuffle:
            orders = tf.map_fn(
                lambda epoch: tf.random.experimental.stateless_shuffle(
                    tf.range(size), seed=tf.stack([seed, epoch])
                ),
                tf.range(first, last),
            )
            orders = tf.ensure_shape(tf.pad(orders, [[0, SPAN - count], [0, 0]]), [SPAN, size])
        else:
            orders = tf.tile(tf.range(size)[None], [SPAN, 1])
        thresholds = tf.pad(bar.thresholds, [[0, SPAN - count]], constant_values=-math.inf)
        bar = bar._replace(thresholds=tf.ensure_shape(thresholds, [SPAN]))
        whole = [math.prod(padded.mask.shape)]

        def spread(flat: Any) -> Any:
            return tf.scatter_nd(padded.places[:, None], flat, whole) if flat.shape.rank else flat

        def gathered(flat: Any) -> Any:
            return tf.gather(flat, padded.places) if flat.shape.rank else flat

        trained, weights, state, rest, table = self._compiled(
            spread(weights),
            [spread(s) for s in state],
            rest,
            settings,
            padded.mask,
            padded.widths,
            choices,
            data,
            orders,
            count,
            batch,
            bar,
            tf.zeros(()),
        )
        return gathered(weights), [gathered(s) for s in state], rest, table[:trained]

    def _all(
        self,
        weights: Any,
        state: Any,
        rest: Any,
        settings: Settings,
        mask: Any,
        widths: Any,
        choices: Any,
        data: Any,
        orders: Any,
        count: Any,
        batch: Any,
        bar: Any,
        zero: Any,
    ) -> tuple[Any, ...]:
        """What is compiled: ``count`` epochs of padded weights, with the rows in these orders."""
        train, validation = data
        size = self._train.size
        steps = (size + batch - 1) // batch
        more = tf.range(self._rows) % size

        def body(
            epoch: Any, weights: Any, state: Any, rest: Any, table: Any, best: Any, on: Any
        ) -> tuple[Any, ...]:
            order = orders[epoch]
            padded = tf.concat([order, tf.gather(order, more)], 0)
            examples = keras.tree.map_structure(lambda leaf: tf.gather(leaf, padded), train)
            whole = keras.tree.map_structure(lambda leaf: leaf[:size], examples)
            widths_ = tf.unstack(widths, len(self._dropouts))
            self._drawn = [
                self._draw(rest[i], width, most, batch, steps)
                for i, width, most in zip(self._states, widths_, self._columns, strict=True)
            ]
            (weights, state, rest), total, predicted = self._steps(
                examples, size, batch, steps, (weights, state, rest)
            )
            # What the layers have drawn, counted as Keras counts it.
            rest = [
                value + tf.cast(tf.stack([0, steps]), value.dtype) if i in self._states else value
                for i, value in enumerate(rest)
            ]
            logs = self._score(self._scores, total, whole, predicted)
            if validation is not None:
                logs = tf.concat([logs, self._evaluate(weights, rest, validation, batch)], 0)
            # As with rows, a slice would be compiled anew for every metric.
            best, on = bar.passed(tf.gather(logs, bar.column), best, epoch)
            return epoch + 1, weights, state, rest, table.write(epoch, logs), best, on

        self._mask, self._zero = mask, zero
        if isinstance(self._optimizer, AnyOptimizer):
            self._optimizer.number = choices[0]
        with self._set(settings), self._any_width(), chosen(self._model, self._choices, choices):
            names = len(self._scores.names) + (len(self._val_scores.names) if self._val_scores else 0)
            table = tf.TensorArray(tf.float32, SPAN, element_shape=[names])
            epoch, weights, state, rest, table, *_ = tf.while_loop(
                lambda epoch, *carried: tf.logical_and(epoch < count, carried[-1]),
                body,
                (tf.constant(0), weights, state, rest, table, bar.best, tf.constant(True)),
                parallel_iterations=1,
            )
        return epoch, weights, state, rest, table.stack()

    def _steps(self, examples: Any, size: int, batch: Any, steps: Any, state: Any) -> tuple[Any, Any, Any]:
        """All batches through the training step; as `Program._pass`, with padding."""
        rows = self._rows
        output = self._model.outputs[0]
        predictions = tf.TensorArray(output.dtype, size, element_shape=[rows, *output.shape[1:]])

        def body(i: Any, total: Any, predictions: Any, state: Any) -> tuple[Any, ...]:
            at = i * batch
            # A slice would be compiled anew for every batch size.
            rows_here = at + tf.range(rows)
            parts = keras.tree.map_structure(lambda leaf: tf.gather(leaf, rows_here), examples)
            here = tf.minimum(batch, size - at)
            # Keras divides by the rows of the batch, which are not all real.
            share = tf.cast(tf.range(rows) < here, tf.float32) * (rows / tf.cast(here, tf.float32))
            x, y, weight = (*parts, None)[:3]
            if weight is not None:
                weight = tf.cast(weight, tf.float32)
                share = weight * tf.reshape(share, [rows, *[1] * (weight.shape.rank - 1)])
            self._step = i
            predicted, loss, state = self._train_step((x, y, share), state)
            total += loss * tf.cast(here, loss.dtype)
            return i + 1, total, predictions.write(i, predicted), state

        _, total, predictions, state = tf.while_loop(
            lambda i, *_: i < steps,
            body,
            (tf.constant(0), tf.zeros(()), predictions, state),
            parallel_iterations=1,
        )
        row = tf.range(size)
        flat = tf.reshape(predictions.stack(), [-1, *output.shape[1:]])
        return state, total, tf.gather(flat, row // batch * rows + row % batch)

    def _draw(self, state: Any, width: Any, most: int, batch: Any, steps: Any) -> tuple[Any, Any, Any]:
        """What a `Dropout` layer draws in all steps of an epoch.

        In a loop of its own, since XLA would draw the numbers of a step again wherever they are used.

        Returns:
            The numbers, how many there are for one step, and how many for one row.
        """
        size = self._train.size
        parts = (batch * width + _DRAWN - 1) // _DRAWN
        array = tf.TensorArray(
            tf.float32, (size + self._rows) * most // _DRAWN + size + 1, element_shape=[_DRAWN]
        )

        def step(i: Any, array: Any) -> tuple[Any, Any]:
            key, counter = _start(state + tf.cast(tf.stack([0, i]), state.dtype))

            # What is carried is computed once, what is used at once by XLA for every number anew.
            def part(at: Any, key: Any, counter: Any, array: Any) -> tuple[Any, ...]:
                return at + 1, key, counter + _NEXT, array.write(at, _uniform(key, counter))

            end = (i + 1) * parts
            _, _, _, array = tf.while_loop(
                lambda at, *_: at < end, part, (i * parts, key, counter, array), parallel_iterations=1
            )
            return i + 1, array

        _, array = tf.while_loop(lambda i, _: i < steps, step, (tf.constant(0), array), parallel_iterations=1)
        return tf.reshape(array.stack(), [-1]), parts * _DRAWN, width

    def _dropout(self, layer: Any, rate: Any, scale: Any) -> Callable[..., Any]:
        """`Dropout.call` with the numbers of `_draw`."""
        at = self._dropouts.index(layer)

        def call(inputs: Any, training: bool = False) -> Any:
            if not training:
                return inputs
            numbers, each, width = self._drawn[at]
            rows, columns = inputs.shape
            places = self._step * each + tf.range(rows)[:, None] * width + tf.range(columns)
            return tf.where(tf.gather(numbers, places) >= rate, inputs * scale, 0.0)

        return call

    def _apply(self, gradients: Sequence[Any], weights: Any, state: Any) -> tuple[Any, Any]:
        weights, state = super()._apply(gradients, weights, state)
        # Activations need not be 0 where weights are, and slots that are 0 may give NaN.
        return tf.where(self._mask, weights, 0.0), state

    @contextlib.contextmanager
    def _any_width(self) -> Iterator[None]:
        """While the model is traced, its layers take inputs of the padded width."""
        layers = [layer for layer in self._model.layers if type(layer) is keras.layers.Dense]
        before = [layer.input_spec for layer in layers]
        for layer in layers:
            vars(layer)["_input_spec"] = None
        try:
            yield
        finally:
            for layer, spec in zip(layers, before, strict=True):
                vars(layer)["_input_spec"] = spec


def _start(seed: Any) -> tuple[Any, Any]:
    """Key and counter of what `keras.random.uniform` draws with this seed."""
    seed = tf.cast(tf.math.floormod(seed, tf.cast(tf.int32.max - 1, seed.dtype)), tf.int32)
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return key, counter


def _uniform(key: Any, counter: Any) -> Any:
    """The next `_DRAWN` numbers of it.

    XLA gives the bits that TensorFlow gives, but makes other numbers of them.
    """
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[_DRAWN], key=key, counter=counter, alg=_PHILOX, dtype=tf.uint32
    )
    mantissa = tf.bitwise.bitwise_and(bits, tf.constant(0x7FFFFF, tf.uint32))
    return tf.bitcast(tf.bitwise.bitwise_or(mantissa, tf.constant(0x3F800000, tf.uint32)), tf.float32) - 1.0
