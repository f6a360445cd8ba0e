"""The short step of a model: its state, and the traces shared by models of one structure.

Tracing takes about a second, as long as a small training. A structure is a model without values and hidden
widths.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import psutil
import tensorflow as tf

from refine.keras._eligible import is_public
from refine.keras._flat_optimizer import optimizer_state, read_flat, write_flat
from refine.keras._keras_step import Logs, build
from refine.keras._session import free, keep
from refine.keras._short_step import EpochProgram, Settings

if TYPE_CHECKING:
    from refine.keras._data import Plan

# Largest number of cached traces, of some 11 MB each, or 45 MB if compiled.
_MOST = 96
_MOST_WHEN_SHORT = 16  # if less than a quarter of the memory is free

# Layers that are defined by configuration and variables alone, independent of their model.
_COMPARED = """
InputLayer Activation AveragePooling1D AveragePooling2D BatchNormalization Conv1D Conv2D Dense Dropout ELU
Flatten GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D LayerNormalization
LeakyReLU MaxPooling1D MaxPooling2D ReLU Rescaling Reshape Softmax
"""
_SAME_ANYWHERE = {getattr(keras.layers, name) for name in _COMPARED.split()}
# Layers that can be traced with an open number of columns.
_ANY_WIDTH = (keras.layers.Activation, keras.layers.Dropout, keras.layers.ELU, keras.layers.ReLU)
_PENALTIES = (keras.regularizers.L1, keras.regularizers.L2)

Shape = tuple[int | None, ...]


class Trace(NamedTuple):
    """A traced `EpochProgram.epochs`, and the names of the columns of training logs."""

    function: Any
    names: tuple[str, ...]


_traces: dict[Hashable, Trace] = {}


def _remembered(key: Hashable, trace: Callable[[], Trace]) -> Trace:
    """The cached trace of this key, or a new trace; without a key always a new one."""
    if key is not None and key in _traces:
        return _traces[key]
    new_trace = trace()
    if key is not None and not new_trace.function.captured_inputs:
        memory = psutil.virtual_memory()
        if len(_traces) >= (_MOST if memory.available >= memory.total / 4 else _MOST_WHEN_SHORT):
            # All at once: cached traces are frozen for the collector, and unfreezing everything takes long.
            _traces.clear()
            free()
        _traces[key] = new_trace
        keep()
    return new_trace


class Uncacheable(Exception):  # a signal, not an error: the model gets a trace of its own
    """The model holds parts that can't be compared with another model's."""


class ShortStep:
    """Trains a compiled model accepted by `refine.keras._eligible.unfit`, by the short step."""

    max_epochs_per_call = 2**31

    def __init__(self, model: keras.Model, plan: Plan) -> None:
        self.model = model
        self.plan = plan
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        if plan.watched:
            # Callbacks read the direction of the model's metrics, also if another model's trace is used.
            build(model, plan.train)
        self._variables = list(model.trainable_variables)
        self._untrained = list(model.non_trainable_variables)
        self._optimizer = optimizer_state(model.optimizer)
        self._shapes = open_shapes(model)
        self._dropouts = dropouts_of(model)
        self._penalties = [penalty for penalty, _ in _penalties_of(model)]
        if plan.validation is None:
            validation = None
        else:
            validation = plan.validation.data
        self._data = (plan.train.data, validation)
        self._state: Any = None
        self._validated: Logs = {}
        self._prepare()

    def _prepare(self) -> None:
        key: Hashable = None
        try:
            key = self._key(structure(self.model, self._shapes))
        except Uncacheable:
            self._shapes = [tuple(v.shape) for v in self._variables]
        self._values: Any = self._settings()
        self._trace = _remembered(key, lambda: self._traced(EpochProgram, self._shapes, self._values))

    def train_epochs(self, first: int, last: int) -> list[Logs]:
        """Trains epochs ``first`` to ``last - 1`` with validation, in a graph call; see `write`."""
        if self._state is None:
            self._state = self._read()
        plan = self.plan
        names = self._trace.names
        numbers = tf.constant([plan.seed or 0, first, last, plan.batch, plan.val_batch], tf.int32)
        *state, table = self._trace.function(*self._state, self._values, self._data, numbers)
        self._state = tuple(state)
        if plan.validation is not None:
            names = (*names, *(f"val_{name}" for name in names))
        return [dict(zip(names, map(float, row), strict=True)) for row in table.numpy()]

    def train_epoch(self, epoch: int) -> Logs:
        """Trains one epoch; returns Keras' logs."""
        self._state = None  # callbacks may have changed the model
        (logs,) = self.train_epochs(epoch, epoch + 1)
        self.write()
        names = self._trace.names
        if self.plan.validation is not None:
            self._validated = {name: logs[f"val_{name}"] for name in names}
        return {name: logs[name] for name in names}

    def validate(self) -> Logs:
        """The last epoch's logs on the validation examples, without prefix."""
        return dict(self._validated)

    def write(self) -> None:
        """Writes the trained state to the model and its optimizer."""
        if self._state is None:
            return
        weights, state, untrained = self._state
        write_flat(self._variables, weights)
        for variable, value in zip(self._optimizer, state, strict=True):
            if isinstance(variable, list):
                write_flat(variable, value)
            else:
                variable.assign(value)
        for variable, value in zip(self._untrained, untrained, strict=True):
            variable.assign(value)

    def _read(self) -> tuple[Any, ...]:
        state = [read_flat(v) if isinstance(v, list) else v.value.read_value() for v in self._optimizer]
        return read_flat(self._variables), state, [v.value.read_value() for v in self._untrained]

    def _settings(self) -> Settings:
        rates = [float(layer.rate) for layer in self._dropouts]
        dropouts = np.asarray([(rate, 1 / (1 - rate)) for rate in rates]).reshape(-1, 2)
        strengths = [next(iter(p.get_config().values())) for p in self._penalties]
        return Settings(
            sizes=tf.constant([math.prod(v.shape) for v in self._variables], tf.int32),
            shapes=[tf.constant(tuple(v.shape), tf.int32) for v in self._variables],
            dropouts=tf.constant(dropouts, keras.config.floatx()),
            strengths=tf.constant(strengths, keras.config.floatx()),
        )

    def _key(self, *alike: Hashable) -> Hashable:
        """Equal for trainings that share a trace, if their models are alike."""
        described = keras.tree.map_structure(
            lambda t: None if t is None else (tuple(t.shape), t.dtype.name), self._data
        )
        return (*alike, repr(described), self.plan.seed is None)

    def _traced(self, kind: type[EpochProgram], shapes: list[Any], values: object, **form: object) -> Trace:
        """Traces a program; other values of the same kind can use the trace."""
        build(self.model, self.plan.train)
        program = kind(self.model, self.plan, shapes, self._dropouts, self._penalties, **form)
        weights, state, untrained = self._read()
        flat = [tf.TensorSpec([None] * value.shape.rank, value.dtype) for value in (weights, *state)]
        other_specs = [tf.TensorSpec(value.shape, value.dtype) for value in untrained]
        function = tf.function(program.epochs, autograph=False).get_concrete_function(
            flat[0], flat[1:], other_specs, values, self._data, tf.TensorSpec([5], tf.int32)
        )
        return Trace(function, tuple(program.names))


def dropouts_of(model: keras.Model) -> list[Any]:
    """The `Dropout` layers whose rates can be inputs."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if type(layer) is keras.layers.Dropout and 0 < layer.rate < 1 and layer.noise_shape is None
    ]


def _penalties_of(model: keras.Model) -> list[tuple[Any, list[int]]]:
    """The L1 and L2 regularisers, each once, with the numbers of their places."""
    penalties: dict[int, tuple[object, list[int]]] = {}
    place = 0
    for layer in model._flatten_layers(include_self=False):
        for value in vars(layer).values():
            if type(value) in _PENALTIES:
                penalties.setdefault(id(value), (value, []))[1].append(place)
                place += 1
    return list(penalties.values())


def open_shapes(model: keras.Model) -> list[Shape]:
    """Shapes of the trainable variables, with `None` for widths of hidden layers that may differ."""
    shapes: list[Shape] = [tuple(v.shape) for v in model.trainable_variables]
    layers = model.layers
    dense = [layer for layer in layers if type(layer) is keras.layers.Dense]
    if (
        type(model) is not keras.Sequential
        or len(dense) < 2
        or not all(type(layer) in (keras.layers.Dense, *_ANY_WIDTH) for layer in layers)
        or len(model.inputs[0].shape) != 2
        or sum(1 + layer.use_bias for layer in dense) != len(shapes)
        or not all(map(_has_simple_penalties, dense))
    ):
        return shapes
    opened: list[Shape] = []
    for layer in dense:
        if layer is dense[0]:
            rows = layer.kernel.shape[0]
        else:
            rows = None
        if layer is dense[-1]:
            columns = layer.units
        else:
            columns = None
        opened.append((rows, columns))
        if layer.use_bias:
            opened.append((columns,))
    return opened


def _has_simple_penalties(layer: object) -> bool:
    """True if regularisers are sums over numbers, for any shape."""
    simple = (*_PENALTIES, keras.regularizers.L1L2, type(None))
    names = ("kernel_regularizer", "bias_regularizer", "activity_regularizer")
    return all(type(getattr(layer, name)) in simple for name in names)


def structure(model: keras.Model, shapes: list[Shape], by_number: Sequence[bool] = ()) -> Hashable:
    """A key, equal for models that share a trace.

    ``by_number`` tells whether the trace selects the optimizer, the loss and the activation of each layer by
    number.

    Raises:
        Uncacheable: Parts of the model can't be compared, for example custom functions.
    """
    if type(model) is not keras.Sequential:
        raise Uncacheable
    is_open = any(None in shape for shape in shapes)
    valued = {id(layer) for layer in dropouts_of(model)}
    optimizer, loss, *activations = by_number or (False, False)
    switched = {id(layer) for layer, flag in zip(model.layers, activations, strict=False) if flag}
    layers = []
    for layer in model._flatten_layers(include_self=False):
        if type(layer) not in _SAME_ANYWHERE:
            raise Uncacheable
        config = {
            key: value
            for key, value in layer.get_config().items()
            if key not in ("name", "seed") and not key.endswith("_initializer")
        }
        for key, value in vars(layer).items():
            if type(value) in _PENALTIES:
                config[key] = type(value).__name__
        if id(layer) in valued:
            config["rate"] = None
        if is_open:
            config.pop("units", None)
        if id(layer) in switched:
            config["activation"] = None
        layers.append((type(layer).__name__, _frozen(config)))
    metrics = model._compile_metrics
    metrics_given = () if metrics is None else (metrics._user_metrics, metrics._user_weighted_metrics)
    return (
        tuple(layers),
        tuple(shapes),
        tuple((tuple(v.shape), str(v.dtype)) for v in model.non_trainable_variables),
        tuple(str(v.dtype) for v in model.trainable_variables),
        tuple(tuple(places) for _, places in _penalties_of(model)),
        None if optimizer else _optimizer(model.optimizer),
        None if loss else _identity(model._compile_loss._user_loss, keras.losses.get),
        _frozen(model._compile_loss._user_loss_weights),
        tuple(_identity(metric, keras.metrics.get) for metric in metrics_given),
        tuple(by_number),
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
    )


def _optimizer(optimizer: Any) -> Hashable:
    config = {key: value for key, value in optimizer.get_config().items() if key != "name"}
    if isinstance(optimizer._learning_rate, keras.Variable):
        del config["learning_rate"]
    return type(optimizer).__name__, _frozen(config)


def _identity(thing: Any, get: Any) -> Hashable:
    """Comparable form of the losses or metrics passed to ``compile``."""
    if isinstance(thing, (list, tuple)):
        return tuple(_identity(part, get) for part in thing)
    if isinstance(thing, str) and thing not in ("acc", "accuracy", "crossentropy", "ce"):
        thing = get(thing)
    if thing is None or isinstance(thing, str):
        return thing
    if not is_public(thing):
        raise Uncacheable
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return thing.__module__, thing.__qualname__
    # Some options are missing from configurations, for example the axis of a cosine similarity.
    options = [thing.get_config(), getattr(thing, "_fn_kwargs", None)]
    return type(thing).__module__, type(thing).__qualname__, _frozen(options)


def _frozen(value: object) -> Hashable:
    """A configuration in comparable form."""
    if isinstance(value, dict):
        is_custom = "class_name" in value and not str(value.get("module") or "").startswith("keras")
        if is_custom or value.get("registered_name"):
            raise Uncacheable
        return tuple(sorted((str(key), _frozen(part)) for key, part in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(part) for part in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    raise Uncacheable
