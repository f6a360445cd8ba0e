"""The layers that a model trains: those that were trainable at its first training after ``compile``.

Keras traces the training step once, at the first batch after ``compile``, and keeps the trace: if
``layer.trainable`` changes later, Keras ignores the change until the next ``compile``. `refine.keras.fit`
traces in every call, so it stores the flags of the first training and traces with them again.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

from refine.keras._notices import Unsupported, warn_once

Flags = tuple[bool, ...]


class Setup(NamedTuple):
    """The parts of a model that a trace of its training step depends on and that a callback may change."""

    compilation: Any  # an object that every ``compile`` replaces
    trainable: Flags  # of the model and of every layer inside
    optimizer: Any


class _FirstTraining(NamedTuple):
    compilation: Any  # weak reference to ``Setup.compilation``
    trainable: Flags


_first_trainings: weakref.WeakKeyDictionary[keras.Model, _FirstTraining] = weakref.WeakKeyDictionary()


def setup_of(model: keras.Model) -> Setup:
    """The model's present setup."""
    flags = tuple(bool(layer.trainable) for layer in model._flatten_layers())
    return Setup(getattr(model, "_compile_config", None), flags, model.optimizer)


def remember_trainable(model: keras.Model) -> None:
    """Stores the flags of a training that starts now, if it is the first one since ``compile``."""
    setup = setup_of(model)
    if setup.compilation is not None and _stored_flags(model, setup) is None:
        _first_trainings[model] = _FirstTraining(weakref.ref(setup.compilation), setup.trainable)


def check_not_recompiled(model: keras.Model, setup: Setup) -> None:
    """Ends a training if a callback has compiled the model since ``setup`` was taken.

    Raises:
        TypeError: The model was compiled again. ``model.fit`` raises a ``TypeError`` too, with a less clear
            text.
    """
    if setup_of(model).compilation is not setup.compilation:
        raise TypeError(
            "a callback compiled the model during training, so training cannot continue (nor can Keras' own "
            "fit); end training in the callback (model.stop_training = True), then compile and call fit again"
        )


def check_optimizer(model: keras.Model) -> None:
    """Raises `Unsupported` if the optimizer was built for other variables than a new trace would train."""
    with as_first_trained(model):
        optimizer = model.optimizer
        if not model.built or not getattr(optimizer, "built", False):
            return
        of_optimizer = getattr(optimizer, "_trainable_variables", None)
        if of_optimizer is None:
            return
        if {id(v) for v in of_optimizer} != {id(v) for v in model.trainable_variables}:
            raise Unsupported("the optimizer was built before layer.trainable changed")


@contextlib.contextmanager
def as_first_trained(model: keras.Model) -> Iterator[None]:
    """While the block runs, the trainable layers are those of the first training after ``compile``.

    A model that was not trained since ``compile`` is left as it is. So is a model with a trace of Keras' own,
    which only ``model.fit`` can continue.
    """
    setup = setup_of(model)
    flags = _stored_flags(model, setup)
    if flags is None or flags == setup.trainable or getattr(model, "train_function", None) is not None:
        yield
        return
    warn_once(
        "refine.keras.fit: layer.trainable has changed since the first training, and as in Keras the change "
        "has no effect before the next compile; compile the model again after the change",
        stacklevel=6,
    )
    _set_trainable(model, flags)
    try:
        yield
    finally:
        _set_trainable(model, setup.trainable)


def _stored_flags(model: keras.Model, setup: Setup) -> Flags | None:
    first = _first_trainings.get(model)
    if first is None or first.compilation() is not setup.compilation:
        return None
    if len(first.trainable) == len(setup.trainable):
        return first.trainable
    return None


def _set_trainable(model: keras.Model, flags: Flags) -> None:
    flag_of_layer = list(zip(model._flatten_layers(), flags, strict=True))
    # A container sets the flags of all its layers: containers come first, outer ones before inner ones.
    for layer, flag in sorted(flag_of_layer, key=lambda pair: not pair[0]._layers):
        layer.trainable = flag
