"""What Keras itself would take: learning rates on a scale where 1 is its default, and a baseline for spaces of Keras models."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Mapping
from typing import Any

import keras

from refine.errors import ObjectiveError, SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.given import given_configuration
from refine.space.parameters import Range
from refine.space.space import Space

_BATCH = 32  # what ``model.fit`` takes where no ``batch_size`` is given

_RATES = ("learning_rate", "lr")
_NONE = ("dropout", "l1", "l2")  # Keras adds none of these by itself


def defaults(space: Space | Mapping[str, Any], /, **given: Any) -> dict[str, Any]:
    """The configuration that Keras itself would take, as a baseline: ``add_round(..., baseline=refine.keras.defaults(space))``.

    Parameters are known by their names: ``optimizer`` is that of ``model.compile``; ``learning_rate`` or ``lr`` the rate of
    the optimizer, or 1 where the space is on the scale of :func:`lr_normalizer`; ``batch_size`` that of ``model.fit``;
    ``kernel_initializer`` that of ``Dense``; ``activation`` is ``"linear"`` where that is a choice; ``dropout``, ``l1`` and ``l2`` are 0, where their scale has one; other arguments of the
    optimizer, such as ``momentum`` or ``weight_decay``, are its own. For layers, epochs and other activations Keras has no default.

    ``given`` are values of parameters for which Keras has no default, and of those that shall be others. There is a value for
    every parameter of the space; values need not be levels nor lie inside.

    Raises:
        SpaceError: A parameter has no default and no value was given, a name is unknown, or a value is impossible.

    Example:
        >>> space = refine.Space({"learning_rate": refine.Float(1e-4, 1e-1, log=True), "units": (8, 64, 4)})
        >>> refine.keras.defaults(space, units=32)
        {'learning_rate': 0.001, 'units': 32}
    """
    searched = space if isinstance(space, Space) else Space(space)
    for name in given:
        if name not in searched:
            raise SpaceError(f"defaults: unknown parameter {name!r}; {did_you_mean(name, searched)}")
    chosen = dict(given)
    if "optimizer" in searched and "optimizer" not in chosen:
        chosen.update(_choice(searched, "optimizer", _argument(keras.Model.compile, "optimizer")))
    optimizer = chosen.get("optimizer", _argument(keras.Model.compile, "optimizer"))
    for name, parameter in searched.items():
        if name not in chosen:
            chosen.update(
                {name: parameter.grid[0]} if parameter.fixed else _default(searched, name, optimizer)
            )
    missing = [name for name in searched if name not in chosen]
    if missing:
        raise SpaceError(
            f"defaults: Keras has no default for {', '.join(missing)}; give "
            f"{'it' if len(missing) == 1 else 'them'}: refine.keras.defaults(space, {missing[0]}=...)"
        )
    checked = given_configuration(searched, chosen, "defaults")
    return {name: chosen[name] if name in given else checked[name] for name in searched}


def _default(space: Space, name: str, optimizer: Any) -> dict[str, Any]:
    """The default of one parameter; nothing where there is none."""
    if name in _RATES:
        return _rate(space, name, optimizer)
    if name == "batch_size":
        return {name: _BATCH}
    if name in _NONE:
        parameter = space[name]
        # A logarithmic scale has no 0: how little stands for none is the person's to say.
        return {} if isinstance(parameter, Range) and parameter.log else {name: 0}
    if name == "kernel_initializer":
        return _choice(space, name, _argument(keras.layers.Dense.__init__, name))
    if name == "activation":
        # Dense has none, which is the default of a space that asks whether to have one; elsewhere it would be no bar.
        linear = "linear" in space[name].grid
        return {name: "linear"} if linear else {}
    try:
        default = _argument(type(keras.optimizers.get(optimizer)).__init__, name)
    except (ValueError, TypeError):
        return {}
    if isinstance(space[name], Range):
        default = 0.0 if default is None else default
    return {} if default is inspect.Parameter.empty else {name: default}


def _rate(space: Space, name: str, optimizer: Any) -> dict[str, Any]:
    parameter = space[name]
    try:
        rate = default_learning_rate(optimizer)
    except ObjectiveError:
        return {}
    levels = [v for v in parameter.grid if isinstance(v, int | float)]
    if not levels or min(levels) / 10 <= rate <= 10 * max(levels):
        return {name: rate}
    return {name: 1.0} if min(levels) <= 1 <= max(levels) else {}


def _choice(space: Space, name: str, default: Any) -> dict[str, Any]:
    """A default by the spelling that the space's choices have; itself where it is none of them."""
    parameter = space[name]
    if not isinstance(parameter, Categorical):
        return {}
    for value, text in zip(parameter.grid, parameter.labels, strict=True):
        if text.lower() == str(default).lower():
            return {name: value}
    return {name: default} if any(isinstance(v, str) for v in parameter.grid) else {}


def _argument(function: Any, name: str) -> Any:
    parameter = inspect.signature(function).parameters.get(name)
    return inspect.Parameter.empty if parameter is None else parameter.default


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
