"""Configurations that a person gives: every parameter has a value that it could have, on a level or between or beyond."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from refine.errors import SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.edits import as_before
from refine.space.encoding import freeze, label, round_significant
from refine.space.parameters import Integer, Parameter, Range, is_finite
from refine.space.space import Space, configuration_key


def given_configuration(space: Space, given: Any, what: str) -> dict[str, Any]:
    """A configuration that somebody gives, in canonical form; ``what`` it is called in errors, such as ``"baseline"``.

    Values need not be levels, nor lie inside bounds; hard limits (``within=``) and constraints hold. What equals a level
    is that level, so that the configuration is no other one than the grid's. A fixed parameter may be left out, and so is
    what the configuration has not under its condition, whatever is given for it. Raises SpaceError: no mapping, a name
    that is missing or unknown, or a value that the parameter can't have.
    """
    if not isinstance(given, Mapping):
        raise SpaceError(
            f"{what} must be a configuration, name -> value, got {given!r}; such as {{'lr': 0.001}}"
        )
    for name in given:
        if name not in space:
            raise SpaceError(f"{what}: unknown parameter {name!r}; {did_you_mean(str(name), space)}")
    values, missing = dict[str, Any](), list[str]()
    for name, parameter in space.items():
        if name in given:
            try:
                values[name] = _value(parameter, given[name])
            except SpaceError as error:
                raise SpaceError(f"{what}: {name}: {error}") from None
        elif parameter.fixed:
            values[name] = parameter.grid[0]
        else:
            missing.append(name)
    there = space.has(values) if not (missing and set(missing) - set(space.conditions)) else frozenset(space)
    missing = [name for name in missing if name in there]
    if missing:
        raise SpaceError(f"{what} needs a value of every parameter, missing: {', '.join(missing)}")
    if broken := space.broken_constraints(values):
        raise SpaceError(
            f"{what}: breaks the constraint {str(broken[0])!r}; give a configuration that meets it, or leave the "
            "constraint out of the space"
        )
    return space.frozen(values)


def given_configurations(space: Space, given: Any) -> list[dict[str, Any]]:
    """Several configurations that somebody gives, each once, or SpaceError: see :func:`given_configuration`."""
    if isinstance(given, Mapping | str) or not isinstance(given, Iterable):
        raise SpaceError(f"given must be a list of configurations, got {given!r}; put it in [...]")
    found = [given_configuration(space, g, f"given[{i}]") for i, g in enumerate(given)]
    return list({configuration_key(f): f for f in found}.values())


def _value(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Range) and not is_finite(value):
        raise SpaceError(f"must be a finite number, got {value!r}")
    try:
        return parameter.grid[parameter.index(value)]
    except SpaceError:
        if isinstance(parameter, Range):
            return _number(parameter, value)
        assert isinstance(parameter, Categorical)
        return freeze(as_before(parameter, value))


def _number(parameter: Range, number: float) -> float | int:
    if parameter.log and number <= 0:
        raise SpaceError(f"must be > 0 on a logarithmic scale, got {number!r}")
    least, most = parameter.within or (None, None)
    if (least is not None and number < least) or (most is not None and number > most):
        raise SpaceError(
            f"must lie within the hard limits {label(parameter.within)}, got {number!r}; declare others with within="
        )
    if isinstance(parameter, Integer):
        if number != int(number):
            raise SpaceError(f"must be a whole number, got {number!r}")
        return int(number)
    return round_significant(float(number))
