"""Hidden layers by shape: the widths of a configuration's layers, and the layers themselves."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import keras

from refine.errors import ObjectiveError, did_you_mean

_REGULARIZER_KEYS = ("weight_regulizer", "weight_regularizer", "kernel_regularizer")


def _between(start: float, end: float, share: float) -> int:
    """The whole number at ``share`` of the way from ``start`` to ``end``; halves are rounded up."""
    return max(1, math.floor(start + (end - start) * share + 0.5))


def _funnel(count: int, first: int, last: int) -> list[int]:
    # count + 1 equal steps that end at the output layer: no hidden layer is as narrow as the output by
    # accident, and a single hidden layer has the full width.
    return [_between(first, last, i / count) for i in range(count)]


def _both_ways(count: int, start: int, middle: int, step: int) -> list[int]:
    """From ``start`` to ``middle`` and back; the first layer is ``step`` (0 or 1) levels up."""
    levels = max(1, (count - 1 + 2 * step) // 2)
    return [_between(start, middle, (min(i, count - 1 - i) + step) / levels) for i in range(count)]


# Functions of count, first and last; widths from input to output, as documented in `layer_widths`.
_SHAPES: dict[str, Callable[[int, int, int], list[int]]] = {
    "brick": lambda count, first, _: [first] * count,
    "funnel": _funnel,
    "long_funnel": lambda n, first, last: [first] * (n // 2) + _funnel(n - n // 2, first, last),
    "triangle": lambda count, first, last: _funnel(count, first, last)[::-1],
    "rhombus": lambda count, first, last: _both_ways(count, last, first, 1),
    "diamond": lambda count, first, _: _both_ways(count, first, 2 * first, 0),
    "hexagon": lambda n, first, last: (
        [first if n < 3 or 0 < i < n - 1 else _between(last, first, 0.5) for i in range(n)]
    ),
    "stairs": lambda n, first, last: [_funnel((n + 1) // 2, first, last)[i // 2] for i in range(n)],
}

SHAPES: tuple[str, ...] = tuple(_SHAPES)
"""Names of all shapes that `layer_widths` knows, besides a float."""


def _integer(name: str, value: Any, low: int) -> int:
    """A whole number of at least ``low``, from any type (4, 4.0, numpy integers)."""
    whole = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not whole or not float(value).is_integer() or value < low:
        raise ObjectiveError(
            f"{name}: must be a whole number of at least {low}, got {value!r}; check the parameter's levels"
        )
    return int(value)


def layer_widths(
    shape: str | float, hidden_layers: int, first_neuron: int, last_neuron: int
) -> tuple[int, ...]:
    """Widths of the hidden layers of a shape, from input to output.

    ============= =====================================================================
    shape         widths
    ============= =====================================================================
    brick         ``first_neuron`` throughout
    funnel        from ``first_neuron`` in equal steps towards ``last_neuron``, which the
                  output layer itself reaches
    long_funnel   the first half a brick, the rest a funnel
    triangle      a reversed funnel: widest at the end
    rhombus       narrow, ``first_neuron`` in the middle, narrow
    diamond       ``first_neuron`` at both ends, twice as wide in the middle
    hexagon       ``first_neuron``, but half way to ``last_neuron`` at both ends
    stairs        a funnel that goes down every second layer
    a float s     every layer ``1 - s`` times as wide as the previous one, 0 <= s < 1, at
                  least ``last_neuron`` (or ``first_neuron``, if smaller)
    ============= =====================================================================

    A single layer is ``first_neuron`` wide in every shape. ``hidden_layers`` is 0 or more. ``last_neuron`` is
    the width of the output layer. All widths are at least 1.

    Raises:
        ObjectiveError: An unknown shape, or a number out of range.
    """
    count = _integer("hidden_layers", hidden_layers, 0)
    first = _integer("first_neuron", first_neuron, 1)
    last = _integer("last_neuron", last_neuron, 1)
    if isinstance(shape, str):
        if shape not in _SHAPES:
            raise ObjectiveError(
                f"shape: must be a known shape or a float, got {shape!r}; {did_you_mean(shape, SHAPES)}"
            )
        if count:
            return tuple(_SHAPES[shape](count, first, last))
        return ()
    if isinstance(shape, numbers.Real) and not isinstance(shape, bool) and 0 <= shape < 1:
        floor = min(first, last)
        share = 1 - float(shape)
        return tuple(max(floor, _between(first * share**i, 0, 0)) for i in range(count))
    raise ObjectiveError(
        f"shape: a number must be at least 0 and below 1 (the share each layer loses), got {shape!r}; "
        f"or use one of {', '.join(SHAPES)}"
    )


def _regularizer(params: Mapping[str, object]) -> Any:
    """The kernel regulariser of a configuration: an object, a name, or a number for L2."""
    value = next((params[key] for key in _REGULARIZER_KEYS if key in params), None)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    if value:
        return keras.regularizers.L2(float(value))
    return None


def hidden_layers(model: keras.Sequential, params: Mapping[str, Any], last_neuron: int) -> None:
    """Appends the hidden layers of a configuration: `Dense`, each followed by `Dropout`.

    Entries of ``params``:

    - ``hidden_layers``: number of layers. If 0, no other entry is read, so that the other parameters count as
      unread.
    - ``shape`` and ``first_neuron``: widths, see `layer_widths`.
    - ``dropout``: rate, 0 <= rate < 1; no `Dropout` layers if absent.
    - ``activation``: a name or function; linear if absent.
    - ``kernel_initializer``: Keras' default (``"glorot_uniform"``) if absent.
    - ``weight_regulizer`` (the spelling of Talos' dictionaries), ``weight_regularizer`` or
      ``kernel_regularizer``: `None`, a name, a Keras regulariser, or a number for the strength of L2.

    ``last_neuron`` is the width of the output layer that follows, towards which shapes narrow.

    Raises:
        ObjectiveError: An impossible parameter, or a model that is not `Sequential`.
        KeyError: A missing parameter.
    """
    if not isinstance(model, keras.Sequential):
        raise ObjectiveError(
            f"hidden_layers: needs a keras.Sequential model, got {type(model).__name__}; "
            "for other models use layer_widths and add layers"
        )
    count = _integer("hidden_layers", params["hidden_layers"], 0)
    if count == 0:
        return
    widths = layer_widths(params["shape"], count, params["first_neuron"], last_neuron)
    dropout = params.get("dropout")
    if dropout is not None and not 0 <= dropout < 1:
        raise ObjectiveError(f"dropout: must be at least 0 and below 1, got {dropout!r}; 0 drops no unit")
    activation = params.get("activation")
    initializer = params.get("kernel_initializer", "glorot_uniform")
    layers = []
    for width in widths:
        layer = keras.layers.Dense(
            width,
            activation=activation,
            kernel_initializer=initializer,
            kernel_regularizer=_regularizer(params),
        )
        layers.append(layer)
        if dropout is not None:
            layers.append(keras.layers.Dropout(float(dropout)))
    for layer in layers:
        # Every rebuild calls all layers added so far: one rebuild is enough.
        model.add(layer, rebuild=layer is layers[-1])
