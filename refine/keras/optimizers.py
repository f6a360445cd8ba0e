"""Learning rates on one scale: 1 is Keras' default of the optimizer."""

from __future__ import annotations

import inspect
import math
import numbers

import keras

from refine.errors import ObjectiveError, did_you_mean


def _optimizer_class(
    optimizer: keras.Optimizer | type[keras.Optimizer] | str,
) -> type[keras.optimizers.Optimizer]:
    """The optimizer class of a class, an instance or a name; for a wrapper the wrapped class."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return _optimizer_class(optimizer.inner_optimizer)
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer)
    if inspect.isclass(optimizer) and issubclass(optimizer, keras.optimizers.Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        base = keras.optimizers.Optimizer
        members = vars(keras.optimizers).items()
        classes = [n for n, c in members if inspect.isclass(c) and issubclass(c, base) and c is not base]
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


def default_learning_rate(optimizer: keras.Optimizer | type[keras.Optimizer] | str) -> float:
    """The default learning rate of an optimizer, from its own signature.

    The optimizer is a Keras class or a subclass, an instance, or a name such as ``"adam"``. A
    `LossScaleOptimizer` counts as the wrapped optimizer.

    Raises:
        ObjectiveError: Not an optimizer, or an optimizer without a default rate.
    """
    cls = _optimizer_class(optimizer)
    # A subclass may pass keyword arguments on, so the default may be an ancestor's.
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
        f"optimizer: must have a default learning rate, got {cls.__name__} without one; "
        "pass the wrapped optimizer, or set the rate without lr_normalizer"
    )


def lr_normalizer(lr: float, optimizer: keras.Optimizer | type[keras.Optimizer] | str) -> float:
    """``lr``, above 0, times the default rate of an optimizer; see `default_learning_rate`.

    Raises:
        ObjectiveError: A rate that is not a positive finite number, or not an optimizer.

    Example:
        >>> lr_normalizer(1, keras.optimizers.Nadam)
        0.001
    """
    number = isinstance(lr, numbers.Real) and not isinstance(lr, bool)
    if not number or not math.isfinite(lr) or lr <= 0:
        raise ObjectiveError(f"lr: must be a finite number above 0, got {lr!r}; 1 is the optimizer's default")
    return float(lr) * default_learning_rate(optimizer)
