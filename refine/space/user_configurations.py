"""Configurations given by a user: every value is admissible, on a level, between levels or beyond."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from refine.errors import SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.edits import as_before
from refine.space.encoding import freeze, label, round_significant
from refine.space.fidelity import Fidelity
from refine.space.parameters import Integer, Parameter, Range, is_finite
from refine.space.space import Space, configuration_key


def given_configuration(space: Space, configuration: object, name_in_errors: str) -> dict[str, object]:
    """A user's configuration, checked and in canonical form.

    Values need not be levels or lie inside the bounds; hard limits (``within=``) and constraints hold. A
    value equal to a level becomes this level, so that the configuration equals the grid's. Fixed parameters
    may be omitted. Inactive parameters are removed.

    Args:
        space: The space.
        configuration: Name -> value.
        name_in_errors: Text for errors, for example ``"baseline"``.

    Raises:
        SpaceError: Not a mapping, an unknown or missing name, or a value that the parameter can't have.
    """
    if not isinstance(configuration, Mapping):
        raise SpaceError(
            f"{name_in_errors} must be a configuration, name -> value, got {configuration!r}; for example "
            "{'lr': 0.001}"
        )
    for name in configuration:
        if name not in space:
            raise SpaceError(
                f"{name_in_errors}: unknown parameter {name!r}; {did_you_mean(str(name), space)}"
            )
    values: dict[str, object] = {}
    missing: list[str] = []
    for name, parameter in space.items():
        if name in configuration:
            try:
                values[name] = _value(parameter, configuration[name])
            except SpaceError as error:
                raise SpaceError(f"{name_in_errors}: {name}: {error}") from None
        elif parameter.fixed:
            values[name] = parameter.grid[0]
        else:
            missing.append(name)
    if not (missing and set(missing) - set(space.conditions)):
        active = space.has(values)
    else:
        active = frozenset(space)
    missing = [name for name in missing if name in active]
    if missing:
        raise SpaceError(f"{name_in_errors} needs a value of every parameter, missing: {', '.join(missing)}")
    _check_slip(space, configuration, values, name_in_errors)
    if broken := space.broken_constraints(values):
        raise SpaceError(
            f"{name_in_errors}: breaks the constraint {str(broken[0])!r}; change the configuration, or "
            "remove the constraint from the space"
        )
    return space.frozen(values)


def _check_slip(
    space: Space, configuration: Mapping[str, object], values: Mapping[str, Any], name_in_errors: str
) -> None:
    """Raises SpaceError if a choice is misspelt.

    The choice differs from a known one in case or spaces alone, or makes a given value unused. A choice that
    is new to the space is allowed otherwise.
    """
    for name, value in values.items():
        choice = space[name]
        if isinstance(choice, Categorical) and isinstance(value, str) and not choice.contains([value])[0]:
            alike = [v for v in choice.labels if v.lower() == value.strip().lower()]
            if alike:
                raise SpaceError(
                    f"{name_in_errors}: {value!r} is not a choice of {name}; did you mean {alike[0]!r}?"
                )
    active = space.has(values)
    for name in space.conditions:
        if name not in configuration or name in active:
            continue
        condition = space.conditions[name]
        for parent in sorted(condition.names.intersection(values)):
            choice = space[parent]
            if isinstance(choice, Categorical) and not choice.contains([values[parent]])[0]:
                hint = did_you_mean(str(values[parent]), choice.labels)
                raise SpaceError(
                    f"{name_in_errors}: {values[parent]!r} is not a choice of {parent}, and {name} exists "
                    f"only with {condition}; {hint}"
                )


def given_configurations(
    space: Space, configurations: object, argument: str = "given"
) -> list[dict[str, object]]:
    """A user's configurations without duplicates; SpaceError as in :func:`given_configuration`."""
    if isinstance(configurations, Mapping | str) or not isinstance(configurations, Iterable):
        raise SpaceError(
            f"{argument} must be a list of configurations, got {configurations!r}; put it in [...]"
        )
    checked = [given_configuration(space, g, f"{argument}[{i}]") for i, g in enumerate(configurations)]
    return list({configuration_key(configuration): configuration for configuration in checked}.values())


def _value(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Fidelity):
        return parameter.level(value)
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
    lower, upper = parameter.within or (None, None)
    if (lower is not None and number < lower) or (upper is not None and number > upper):
        raise SpaceError(
            f"must lie within the hard limits {label(parameter.within)}, got {number!r}; declare wider ones "
            "with within="
        )
    if isinstance(parameter, Integer):
        if number != int(number):
            raise SpaceError(f"must be a whole number, got {number!r}")
        return int(number)
    return round_significant(float(number))
