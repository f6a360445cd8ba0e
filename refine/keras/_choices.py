"""What one compiled program has several of, and takes a number to choose by: activations, losses, optimizers.

Compiling takes seconds, and a round tries every activation with every loss and every optimizer. The common ones go into
the same program, each as a branch that runs when its number is given. Others have programs of their own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from refine.keras._flat import FlatOptimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from refine.keras._data import Rows

# Every branch makes compiling longer, so that these are the ones that rounds often try beside each other.
_ACTIVATIONS = tuple(getattr(keras.activations, name) for name in ("relu", "elu", "tanh"))
_LOSSES = (keras.losses.binary_crossentropy, keras.losses.log_cosh, keras.losses.mean_squared_error)
_OPTIMIZERS = (keras.optimizers.Adam, keras.optimizers.Nadam, keras.optimizers.RMSprop)
# Their variables: so many scalars at most, and so many numbers for each weight.
_SCALARS, _SLOTS = 3, 2


class Choices(NamedTuple):
    """Numbers of a model's branches; ``None`` where the program is for what the model has alone.

    Attributes:
        optimizer: As defined by Keras, but for its learning rate.
        loss: Of one output.
        activations: Of every layer but the last.
    """

    optimizer: int | None
    loss: int | None
    activations: tuple[int | None, ...]

    @property
    def open(self) -> tuple[bool, ...]:
        """Which of them there are: equal for models that one program serves."""
        return tuple(number is not None for number in (self.optimizer, self.loss, *self.activations))

    def tensor(self) -> Any:
        """All numbers as one vector."""
        return tf.constant([n or 0 for n in (self.optimizer, self.loss, *self.activations)], tf.int32)


def no_choices(model: keras.Model) -> Choices:
    """A program for a model alone."""
    return Choices(None, None, (None,) * (len(model.layers) - 1))


def choices_of(model: keras.Model, train: Rows) -> Choices:
    """The branches that a model takes.

    Args:
        model: A built, compiled `Sequential` model.
        train: Training examples with targets.
    """
    activations = [_place(_ACTIVATIONS, getattr(layer, "activation", None)) for layer in model.layers[:-1]]
    return Choices(_optimizer(model.optimizer), _loss(model, train.data[1].shape), tuple(activations))


def _place(alternatives: Sequence[Any], thing: Any) -> int | None:
    return next((i for i, other in enumerate(alternatives) if other is thing), None)


def _optimizer(optimizer: Any) -> int | None:
    place = _place(_OPTIMIZERS, type(optimizer))
    if place is None or not isinstance(optimizer._learning_rate, keras.Variable):
        return None
    mine, default = optimizer.get_config(), _OPTIMIZERS[place]().get_config()
    values = {"name", "learning_rate"}
    same = all(mine[key] == value for key, value in default.items() if key not in values)
    return place if same else None


def _loss(model: keras.Model, targets: Any) -> int | None:
    """The loss by its number, if targets have the shape that all of them take."""
    given = model._compile_loss._user_loss
    columns = tuple(model.outputs[0].shape[1:])
    if tuple(targets[1:]) != columns and (columns != (1,) or len(targets) > 1):
        return None
    return _place(_LOSSES, keras.losses.get(given) if isinstance(given, str) else given)


class AnyOptimizer:
    """The step of all optimizers that there are branches for; as `FlatOptimizer`.

    Attributes:
        number: Which one it is; a tensor, while a program is traced.
    """

    def __init__(self, size: int, dtype: str) -> None:
        self._branches = [FlatOptimizer(kind(), size, dtype) for kind in _OPTIMIZERS]
        self.number: Any = None

    def apply(self, gradient: Any, weights: Any, state: Sequence[Any]) -> tuple[Any, list[Any]]:
        """New weights and new state, in the order of `places`."""

        def step(flat: FlatOptimizer) -> Callable[[], tuple[Any, list[Any]]]:
            def branch() -> tuple[Any, list[Any]]:
                mine = places(flat.ranks)
                after = list(state)
                new, values = flat.apply(gradient, weights, [state[i] for i in mine])
                for i, value in zip(mine, values, strict=True):
                    after[i] = value
                return new, after

            return branch

        new, after = tf.switch_case(self.number, [step(flat) for flat in self._branches])
        return new, list(after)


def places(ranks: Sequence[int]) -> list[int]:
    """Where an optimizer's variables stand among those of any: scalars first.

    Args:
        ranks: 0 for a scalar, 1 for numbers of every weight, in the order of `refine.keras._flat.optimizer_state`.
    """
    left = [iter(range(_SCALARS)), iter(range(_SCALARS, _SCALARS + _SLOTS))]
    return [next(left[rank]) for rank in ranks]


def state_of_any(state: Sequence[Any], weights: Any) -> list[Any]:
    """The variables of one optimizer as those of any; zeros where it has none."""
    found = [tf.zeros((), weights.dtype)] * _SCALARS + [tf.zeros_like(weights)] * _SLOTS
    for place, value in zip(places([v.shape.rank for v in state]), state, strict=True):
        found[place] = value
    return found


@contextlib.contextmanager
def chosen(model: keras.Model, choices: Choices, numbers: Any) -> Iterator[None]:
    """While a model's program is traced, its activations and its loss are those with these numbers.

    Args:
        model: The model.
        choices: Which of them are open.
        numbers: As `Choices.tensor` of whichever model the program will be called for.
    """
    layers = [
        (layer, numbers[2 + i])
        for i, layer in enumerate(model.layers[:-1])
        if choices.activations[i] is not None
    ]
    before = [layer.activation for layer, _ in layers]
    loss = model._compile_loss
    for layer, number in layers:
        vars(layer)["activation"] = _switch(_ACTIVATIONS, number)
    if choices.loss is not None:
        weights, names = loss._user_loss_weights, loss.output_names
        branches = [type(loss)(function, weights, output_names=names) for function in _LOSSES]
        vars(loss)["call"] = _switch(branches, numbers[1])
    try:
        yield
    finally:
        vars(loss).pop("call", None)
        for (layer, _), activation in zip(layers, before, strict=True):
            vars(layer)["activation"] = activation


def _switch(functions: Sequence[Callable[..., Any]], number: Any) -> Callable[..., Any]:
    """The function with this number."""

    def call(*arguments: Any) -> Any:
        return tf.switch_case(number, [lambda f=f: f(*arguments) for f in functions])

    return call
