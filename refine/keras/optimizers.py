"""Learning rates on one scale: 1 is the Keras default of whatever optimizer is meant."""

from __future__ import annotations

import inspect
import math
import numbers
from typing import Any

import keras

from refine.errors import ObjectiveError, did_you_mean


def _optimizer_class(optimizer: Any) -> type[keras.optimizers.Optimizer]:
    """The class meant by a class, an instance or a name; wrappers give what they wrap."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return _optimizer_class(optimizer.inner_optimizer)
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer)
    if inspect.isclass(optimizer) and issubclass(optimizer, keras.optimizers.Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        base = keras.optimizers.Optimizer
        known = vars(keras.optimizers).items()
        classes = [n for n, c in known if inspect.isclass(c) and issubclass(c, base) and c is not base]
        names = {name.lower(): name for name in classes}
        if optimizer.lower() not in names:
            raise ObjectiveError(
                f"optimizer: must name an optimizer of Keras, got {optimizer!r}; "
                f"{did_you_mean(optimizer, names.values())}"
            )
        return _optimizer_class(getattr(keras.optimizers, names[optimizer.lower()]))
    raise ObjectiveError(
        f"optimizer: must be an optimizer class, instance or name, got {optimizer!r}; "
        "for example keras.optimizers.Adam"
    )


def default_learning_rate(optimizer: Any) -> float:
    """The learning rate that an optimizer uses when none is given, read from its own signature.

    It is an optimizer class of Keras or a subclass, an instance, or a name such as ``"adam"``; a `LossScaleOptimizer` counts as
    the optimizer inside it.

    Raises:
        ObjectiveError: Not an optimizer, or one without a default rate.
    """
    cls = _optimizer_class(optimizer)
    # A subclass may pass its keyword arguments on; then the default is an ancestor's.
    for ancestor in cls.__mro__:
        if "__init__" not in vars(ancestor):
            continue
        parameters = inspect.signature(ancestor).parameters
        if "learning_rate" in parameters:
            default = parameters["learning_rate"].default
            if isinstance(default, numbers.Real):
                return float(default)
            break
    raise ObjectiveError(
        f"optimizer: must have a default learning rate, got {cls.__name__}, which has none; "
        "pass the optimizer that it wraps, or set the rate without lr_normalizer"
    )


def lr_normalizer(lr: float, optimizer: Any) -> float:
    """``lr``, above 0, times the default rate of an optimizer, given as for `default_learning_rate`.

    Raises:
        ObjectiveError: A rate that is not a positive finite number, or no optimizer.

    Example:
        >>> lr_normalizer(1, keras.optimizers.Nadam)
        0.001
    """
    number = isinstance(lr, numbers.Real) and not isinstance(lr, bool)
    if not number or not math.isfinite(lr) or lr <= 0:
        raise ObjectiveError(f"lr: must be a finite number above 0, got {lr!r}; 1 is the optimizer's default")
    return float(lr) * default_learning_rate(optimizer)
