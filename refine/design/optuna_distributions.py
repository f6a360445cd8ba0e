"""A space as Optuna's distributions, and configurations as its parameters, there and back.

Optuna is imported when a function is called, not with this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.space.categorical import Categorical
from refine.space.encoding import round_significant
from refine.space.parameters import Float, Integer, Range
from refine.space.space import Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distributions(space: Space, ordered: bool = False) -> dict[str, BaseDistribution]:
    """The varied parameters of a space as distributions; fixed ones are left out.

    Ranges lose their levels: a ``Float`` may take every number between its ends, an ``Int`` every whole one. Of a range
    with a step or a base, its values are numbered. A
    choice of numbers becomes the number of its place in the list, so that its order is not lost, and any other
    choice the text of that number, since Optuna keeps neither classes nor functions.

    Args:
        space: What to search.
        ordered: Whether choices without an order become numbers of places too, for samplers that know no categories.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name in space.varied:
        parameter = space[name]
        if isinstance(parameter, Range) and (lattice := parameter.lattice) is not None:
            found[name] = IntDistribution(0, round(lattice.place(parameter.high)))
        elif isinstance(parameter, Float):
            found[name] = FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        elif isinstance(parameter, Integer):
            found[name] = IntDistribution(parameter.low, parameter.high, log=parameter.log)
        elif parameter.ordered or ordered:
            found[name] = IntDistribution(0, parameter.size - 1)
        else:
            found[name] = CategoricalDistribution([str(i) for i in range(parameter.size)])
    return found


def configuration_of(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, with canonical values, of parameters that :func:`distributions` led to.

    What is suggested for a parameter that the configuration has not is dropped.
    """
    out: dict[str, Any] = {}
    for name, parameter in space.items():
        if name not in params:
            out[name] = parameter.grid[0]
        elif isinstance(parameter, Range) and (lattice := parameter.lattice) is not None:
            out[name] = lattice.at(int(params[name]))
        elif isinstance(parameter, Float):
            # Back from a logarithm a number may lie a rounding beyond its bound.
            out[name] = round_significant(float(np.clip(params[name], parameter.low, parameter.high)))
        elif isinstance(parameter, Integer):
            out[name] = int(params[name])
        else:
            out[name] = parameter.grid[int(params[name])]
    return space.frozen(out)


def params_of(space: Space, configuration: Mapping[str, Any], ordered: bool = False) -> dict[str, Any]:
    """The parameters of a configuration that lies inside the space; the inverse of :func:`configuration_of`.

    What it has not is left out, so that a sampler learns of a parameter from trials that had it.

    Args:
        space: What is searched.
        configuration: Name -> canonical value, or label of a choice.
        ordered: As for :func:`distributions`.
    """
    out: dict[str, Any] = {}
    there = space.has(configuration)
    for name in space.varied:
        if name not in there:
            continue
        parameter, value = space[name], configuration[name]
        if isinstance(parameter, Categorical):
            place = parameter.index(value)
            out[name] = place if parameter.ordered or ordered else str(place)
        elif (lattice := parameter.lattice) is not None:  # type: ignore[attr-defined]
            # A value that somebody gave off the step counts as its neighbour.
            out[name] = round(lattice.place(float(value)))
        elif isinstance(parameter, Integer):
            out[name] = round(value)
        else:
            out[name] = float(np.clip(value, parameter.low, parameter.high))  # type: ignore[attr-defined]
    return out
