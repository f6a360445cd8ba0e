"""To parameters: from what people write in a dictionary, from Talos' spaces, and from stored JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from refine.errors import SpaceError
from refine.space.categorical import Categorical
from refine.space.encoding import decode
from refine.space.parameters import Float, Integer, Parameter, is_finite, number_of

RANGES: dict[Any, type[Float] | type[Integer]] = {"float": Float, "integer": Integer}
"""Kinds of ranges, as they are stored."""

_CALLS: dict[type, str] = {
    Float: "Float(low, high)",
    Integer: "Integer(low, high)",
    Categorical: "Categorical([...])",
}


def parse(value: Any) -> Parameter:
    """One entry of a parameter dictionary.

    ===========================  ==================================================================
    ``(low, high)``              inclusive range: :class:`Integer` of two ints, else :class:`Float`
    ``(low, high, levels)``      the same with that many levels, both ends among them
    ``[a, b, ...]``              :class:`Categorical`, ordered if all are numbers
    ``range(...)``, 1-D array    the same
    anything else                fixed
    ===========================  ==================================================================

    Raises SpaceError: the notation is broken; the text says how and what to write.
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
            f"a parameter is more than its kind, got {value.__name__} alone; write {_CALLS[value]}"
        )
    scalar = isinstance(value, str | bytes | type) or getattr(value, "ndim", 1) == 0
    if isinstance(value, Iterable) and not scalar:
        what = f"the dictionary {value!r}" if isinstance(value, dict) else type(value).__name__
        raise SpaceError(
            f"a parameter is a range (low, high), a list of choices [...] or one value, got {what}; write one of these"
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


def check_no_list(value: tuple[Any, ...], whole: bool | None = None) -> None:
    """Asks which is meant, by a SpaceError with both ways to write it, where three numbers may as well be three choices.

    They may if they rise by equal steps or by equal ratios and the last two are of one type, and if the third can't be a number
    of levels. ``whole`` says whether the range is one of integers; ``None`` for: if both ends are.
    """
    if len(value) != 3 or not all(map(is_finite, value)):
        return
    low, high, third = (v.item() if isinstance(v, np.generic) else v for v in value)
    if not low < high < third:
        return
    whole = all(isinstance(v, int) for v in (low, high)) if whole is None else whole
    no_count = not isinstance(third, int) or (whole and third > high - low + 1)
    alike = isinstance(high, int) and (
        math.isclose(third - high, high - low) or (low > 0 and math.isclose(third / high, high / low))
    )
    if no_count or alike:
        kind = "Integer" if whole else "Float"
        count = int(third) if float(third).is_integer() and not (whole and third > high - low + 1) else 10
        levels = min(count, int(high - low + 1)) if whole else count
        raise SpaceError(
            f"{(low, high, third)!r} may mean two things; for three choices write the list {[low, high, third]!r}, for a "
            f"range from {low} to {high} write refine.{kind}({low}, {high}, levels={levels})"
        )


def level_count(value: tuple[Any, ...]) -> int:
    """The third entry of a range ``(low, high, levels)``; SpaceError where it is no whole number."""
    count = number_of(value[2])
    if count is None or not float(count).is_integer():
        raise SpaceError(
            f"the third entry of a range is its number of levels, a whole number, got {value!r}{_log_hint(value)}"
        )
    return int(count)


def _log_hint(value: tuple[Any, ...]) -> str:
    log = any(isinstance(v, str) and "log" in v.lower() for v in value[2:])
    return "; a logarithmic scale is refine.Float(low, high, log=True)" if log else ""


def parse_talos(value: Any) -> Parameter:
    """One entry of a Talos dictionary, with Talos' own meaning, or SpaceError.

    A tuple ``(start, end, steps)`` is ``np.arange(start, end, (end - start) / steps)``, up or down: the end is left
    out, and where both are ints the values are truncated and deduplicated.
    """
    if not isinstance(value, tuple):
        return parse(value)
    if len(value) != 3 or any(number_of(v) is None for v in value):
        raise SpaceError(f"a Talos range is (start, end, steps) of numbers, got {value!r}")
    low, high, steps = value
    if not all(math.isfinite(v) for v in value) or low == high or steps <= 0:
        raise SpaceError(f"a Talos range needs finite ends that differ and steps > 0, got {value!r}")
    levels = sorted(np.arange(low, high, (high - low) / steps).tolist())
    whole = isinstance(low, int) and isinstance(high, int)
    if whole:
        levels = list(dict.fromkeys(int(v) for v in levels))
    if len(levels) == 1:
        return Categorical(levels)
    kind = Integer if whole else Float
    return kind(levels[0], levels[-1], levels=levels)


def parameter_from_json(data: dict[str, Any]) -> Parameter:
    """The parameter of :meth:`Parameter.to_json`'s output. Imports nothing; SpaceError where it is none."""
    kind, within, when = data.get("type"), data.get("within"), data.get("when")
    if kind == "categorical":
        return Categorical([decode(v) for v in data["values"]], ordered=data.get("ordered"), when=when)
    if kind not in RANGES:
        raise SpaceError(f"a stored parameter must be float, integer or categorical, got {kind!r}")
    levels, declared = data["levels"], {name: data.get(name) for name in ("step", "base", "when")}
    limits = None if within is None else tuple(within)
    return RANGES[kind](levels[0], levels[-1], levels=levels, log=data["log"], within=limits, **declared)
