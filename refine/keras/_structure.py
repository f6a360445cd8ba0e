"""What two models have in common if one trace serves both: everything but values and hidden widths."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import keras

from refine.keras._known import is_public

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

# Layers that do the same whatever their model, given configuration and variables.
_KNOWN = (
    keras.layers.InputLayer,
    keras.layers.Activation,
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.BatchNormalization,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    keras.layers.Reshape,
    keras.layers.Softmax,
)
# Layers for which the number of columns may be open while they are traced.
_ANY_WIDTH = (keras.layers.Activation, keras.layers.Dropout, keras.layers.ELU, keras.layers.ReLU)
_PENALTIES = (keras.regularizers.L1, keras.regularizers.L2)

Shape = tuple[int | None, ...]


class Uncacheable(Exception):  # no error: such a model is traced for itself
    """The model holds something that can't be compared with another model's."""


def dropouts_of(model: keras.Model) -> list[Any]:
    """The `Dropout` layers whose rates can be values."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if type(layer) is keras.layers.Dropout and 0 < layer.rate < 1 and layer.noise_shape is None
    ]


def penalties_of(model: keras.Model) -> list[tuple[Any, list[int]]]:
    """The L1 and L2 regularisers, each once, with the numbers of the places where it is used."""
    found: dict[int, tuple[Any, list[int]]] = {}
    place = 0
    for layer in model._flatten_layers(include_self=False):
        for value in vars(layer).values():
            if type(value) in _PENALTIES:
                found.setdefault(id(value), (value, []))[1].append(place)
                place += 1
    return list(found.values())


def open_shapes(model: keras.Model) -> list[Shape]:
    """Shapes of the trainable variables, `None` for the widths of hidden layers where they may differ."""
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
        rows = layer.kernel.shape[0] if layer is dense[0] else None
        columns = layer.units if layer is dense[-1] else None
        opened.append((rows, columns))
        if layer.use_bias:
            opened.append((columns,))
    return opened


def _has_simple_penalties(layer: Any) -> bool:
    """Whether regularisers add up over numbers, whatever their shape."""
    simple = (*_PENALTIES, keras.regularizers.L1L2, type(None))
    names = ("kernel_regularizer", "bias_regularizer", "activity_regularizer")
    return all(type(getattr(layer, name)) in simple for name in names)


def structure(model: keras.Model, shapes: list[Shape], given: Sequence[bool] = ()) -> Hashable:
    """Equal for models that one trace serves.

    Args:
        model: A built, compiled model.
        shapes: What `open_shapes` says.
        given: Whether the trace takes the optimizer, the loss and the activation of each layer as numbers.

    Raises:
        Uncacheable: There are parts that can't be compared, such as functions of one's own.
    """
    if type(model) is not keras.Sequential:
        raise Uncacheable
    is_open = any(None in shape for shape in shapes)
    valued = {id(layer) for layer in dropouts_of(model)}
    optimizer, loss, *activations = given or (False, False)
    switched = {id(layer) for layer, flag in zip(model.layers, activations, strict=False) if flag}
    layers = []
    for layer in model._flatten_layers(include_self=False):
        if type(layer) not in _KNOWN:
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
    return (
        tuple(layers),
        tuple(shapes),
        tuple((tuple(v.shape), str(v.dtype)) for v in model.non_trainable_variables),
        tuple(str(v.dtype) for v in model.trainable_variables),
        tuple(tuple(places) for _, places in penalties_of(model)),
        None if optimizer else _optimizer(model.optimizer),
        None if loss else _identity(model._compile_loss._user_loss, keras.losses.get),
        _frozen(model._compile_loss._user_loss_weights),
        metrics(model),
        tuple(given),
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
    )


def _optimizer(optimizer: Any) -> Hashable:
    config = {key: value for key, value in optimizer.get_config().items() if key != "name"}
    if isinstance(optimizer._learning_rate, keras.Variable):
        del config["learning_rate"]
    return type(optimizer).__name__, _frozen(config)


def metrics(model: keras.Model) -> Hashable:
    """What was given to ``compile`` as metrics; raises `Uncacheable` as `structure` does."""
    compiled = model._compile_metrics
    if compiled is None:
        return None
    both = (compiled._user_metrics, compiled._user_weighted_metrics)
    return tuple(_identity(given, keras.metrics.get) for given in both)


def _identity(thing: Any, get: Any) -> Hashable:
    """What a loss or metric is, as given to ``compile``."""
    if thing is None:
        return None
    if isinstance(thing, (list, tuple)):
        return tuple(_identity(part, get) for part in thing)
    if isinstance(thing, str):
        known = thing in ("acc", "accuracy", "crossentropy", "ce") or is_public(get(thing))
        if not known:
            raise Uncacheable
        return thing
    if not is_public(thing):
        raise Uncacheable
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return thing.__module__, thing.__qualname__
    if isinstance(thing, (keras.losses.Loss, keras.metrics.Metric)):
        return type(thing).__module__, type(thing).__qualname__, _frozen(thing.get_config())
    raise Uncacheable


def _frozen(value: Any) -> Hashable:
    """A configuration as something that can be compared."""
    if isinstance(value, dict):
        if "class_name" in value and not str(value.get("module") or "").startswith("keras"):
            raise Uncacheable
        if value.get("registered_name"):
            raise Uncacheable
        return tuple(sorted((str(key), _frozen(part)) for key, part in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(part) for part in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    raise Uncacheable
