"""The configuration that Keras itself would take: a baseline for spaces of Keras models."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from refine.errors import ObjectiveError, SpaceError, did_you_mean
from refine.keras.optimizers import default_learning_rate
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
