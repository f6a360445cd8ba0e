"""Parameters from user notation, Talos' dictionaries and stored JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from refine.errors import SpaceError
from refine.space.categorical import Categorical
from refine.space.encoding import decode
from refine.space.fidelity import Fidelity
from refine.space.parameters import Float, Integer, Parameter, is_finite, number_of

RANGES: dict[Any, type[Float] | type[Integer]] = {"float": Float, "integer": Integer}
"""Stored kind -> class of a range."""

_CALLS: dict[type, str] = {
    Float: "Float(low, high)",
    Integer: "Integer(low, high)",
    Categorical: "Categorical([...])",
    Fidelity: "Fidelity(cheap, full)",
}


def parse(value: object) -> Parameter:
    """A parameter from one entry of a user's dictionary.

    ===========================  ==================================================================
    ``(low, high)``              inclusive range: :class:`Integer` of two ints, else :class:`Float`
    ``(low, high, levels)``      the same with ``levels`` levels, both ends included
    ``[a, b, ...]``              :class:`Categorical`, ordered if all choices are numbers
    ``range(...)``, 1-D array    :class:`Categorical`
    any other value              fixed
    ===========================  ==================================================================

    Raises:
        SpaceError: The notation is broken; the text names the rule and the fix.
    """
    if isinstance(value, Parameter):
        return value
    if isinstance(value, tuple):
        return _range(value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return Categorical(value.tolist())
    if isinstance(value, list | range | set | frozenset):
        return Categorical(list(value) if isinstance(value, range) else value)  # type: ignore[arg-type]
    if isinstance(value, type) and issubclass(value, Parameter):
        raise SpaceError(
            f"a parameter must be an instance, got the class {value.__name__}; write {_CALLS[value]}"
        )
    scalar = isinstance(value, str | bytes | type) or getattr(value, "ndim", 1) == 0
    if isinstance(value, Iterable) and not scalar:
        if isinstance(value, dict):
            shown = f"the dictionary {value!r}"
        else:
            shown = type(value).__name__
        raise SpaceError(
            f"a parameter must be a range (low, high), a list of choices [...] or a single value, got {shown}"
        )
    return Categorical([value])


def _range(value: tuple[Any, ...]) -> Parameter:
    if len(value) not in (2, 3) or any(number_of(v) is None for v in value[:2]):
        raise SpaceError(
            f"a tuple is a range (low, high) or (low, high, levels) of numbers, got {value!r}; "
            f"for choices write a list {list(value) or '[...]'}{_log_hint(value)}"
        )
    check_no_list(value)
    low, high = value[:2]
    kind = Integer if all(isinstance(v, int | np.integer) for v in (low, high)) else Float
    return kind(low, high, levels=level_count(value) if len(value) == 3 else None)


def check_no_list(value: tuple[Any, ...], integral: bool | None = None) -> None:
    """Rejects three numbers that may be a range or three choices.

    The meaning is ambiguous if the numbers rise by equal steps or equal ratios and the last two are of one
    type, or if the third can't be a number of levels. ``integral`` is True for a range of
    integers; default: if both ends are ints.

    Raises:
        SpaceError: The meaning is ambiguous; the text shows both ways to write it.
    """
    if len(value) != 3 or not all(map(is_finite, value)):
        return
    low, high, third = (v.item() if isinstance(v, np.generic) else v for v in value)
    if not low < high < third:
        return
    if integral is None:
        integral = all(isinstance(v, int) for v in (low, high))
    not_a_count = not isinstance(third, int) or (integral and third > high - low + 1)
    evenly_spaced = isinstance(high, int) and (
        math.isclose(third - high, high - low) or (low > 0 and math.isclose(third / high, high / low))
    )
    if not_a_count or evenly_spaced:
        kind = "Float"
        levels = 10
        if float(third).is_integer() and not (integral and third > high - low + 1):
            levels = int(third)
        if integral:
            kind = "Integer"
            levels = min(levels, int(high - low + 1))
        raise SpaceError(
            f"{(low, high, third)!r} is ambiguous; for three choices write the list {[low, high, third]!r}, "
            f"for a range from {low} to {high} write refine.{kind}({low}, {high}, levels={levels})"
        )


def level_count(value: tuple[object, ...]) -> int:
    """The third entry of a range ``(low, high, levels)``; raises SpaceError if it is not a whole number."""
    count = number_of(value[2])
    if count is None or not float(count).is_integer():
        raise SpaceError(
            "the third entry of a range is its number of levels, a whole number, got "
            f"{value!r}{_log_hint(value)}"
        )
    return int(count)


def _log_hint(value: tuple[object, ...]) -> str:
    log = any(isinstance(v, str) and "log" in v.lower() for v in value[2:])
    if log:
        return "; a logarithmic scale is refine.Float(low, high, log=True)"
    return ""


def parse_talos(value: object) -> Parameter:
    """A parameter from one entry of a Talos dictionary, with Talos' meaning.

    A tuple ``(start, end, steps)`` is ``np.arange(start, end, (end - start) / steps)``, up or down, without
    the end. If both ends are ints, values are truncated and deduplicated.

    Raises:
        SpaceError: The notation is broken.
    """
    if not isinstance(value, tuple):
        return parse(value)
    if len(value) != 3 or any(number_of(v) is None for v in value):
        raise SpaceError(f"a Talos range is (start, end, steps) of numbers, got {value!r}")
    low, high, steps = value
    if not all(math.isfinite(v) for v in value) or low == high or steps <= 0:
        raise SpaceError(f"a Talos range needs finite ends that differ and steps > 0, got {value!r}")
    levels = sorted(np.arange(low, high, (high - low) / steps).tolist())
    integral = isinstance(low, int) and isinstance(high, int)
    if integral:
        levels = list(dict.fromkeys(int(v) for v in levels))
    if len(levels) == 1:
        return Categorical(levels)
    kind = Integer if integral else Float
    return kind(levels[0], levels[-1], levels=levels)


def parameter_from_json(data: dict[str, Any]) -> Parameter:
    """The parameter of :meth:`Parameter.to_json`'s output. Imports no module; SpaceError for other data."""
    kind = data.get("type")
    within = data.get("within")
    when = data.get("when")
    if kind == "categorical":
        return Categorical([decode(v) for v in data["values"]], ordered=data.get("ordered"), when=when)
    if kind == "fidelity":
        return Fidelity(*data["levels"])
    if kind not in RANGES:
        raise SpaceError(f"a stored parameter must be float, integer, categorical or fidelity, got {kind!r}")
    levels = data["levels"]
    declared = {name: data.get(name) for name in ("step", "base", "when")}
    if within is None:
        limits = None
    else:
        limits = tuple(within)
    return RANGES[kind](levels[0], levels[-1], levels=levels, log=data["log"], within=limits, **declared)
