"""Edited and narrowed parameters: a user's edit, or the levels kept by a proposal. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from refine.errors import ReviewError, SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import LABEL_DIGITS, Reference, freeze, label, round_significant, value_key
from refine.space.fidelity import Fidelity
from refine.space.parameters import (
    Float,
    Integer,
    Parameter,
    Range,
    checked_levels,
    is_finite,
    number_of,
)
from refine.space.parsing import check_no_list, level_count, parse
from refine.space.rounding import cut
from refine.space.space import Space
from refine.utils.action import Action, Symbol
from refine.utils.format import number

_SAME = 1e-6  # relative difference below which a typed number is a level


def edit_space(space: Space, old: Space, edits: Mapping[str, object]) -> Space:
    """A space, usually a proposed one, with a user's edits.

    Args:
        space: The space to edit.
        old: The space of the round; ``(low, high)`` keeps its levels and spacing.
        edits: Name -> ``(low, high)``, ``(low, high, levels)``, a list, a fixed value, or a parameter: see
            :func:`edited`.

    Raises:
        ReviewError: An unknown name, or an edit that breaks a rule of the notation.
    """
    changes = {}
    for name, value in edits.items():
        if name not in space:
            raise ReviewError(
                f"edit: unknown parameter {name!r} ({did_you_mean(name, space)}); to add a parameter",
                Action("round.branch", Symbol("space"), previous=...),
            )
        try:
            changes[name] = edited(old.get(name, space[name]), value, space[name])
        except SpaceError as error:
            raise ReviewError(f"edit: {name}: {error}") from None
    return space.replace(changes)


def edited(old: Parameter, value: object, replaced: Parameter | None = None) -> Parameter:
    """One edited parameter.

    - ``(low, high)`` keeps the kind, the scale, the old levels between the bounds (so that earlier trials
      stay on the grid) and the old spacing beyond them. A narrower range gets finer levels, about as many as
      before. Bounds beyond the old ones widen the range. Of an ordered choice, the bounds keep the values
      between them.
    - ``(low, high, levels)`` sets the number of levels as well.
    - A list gives choices, a single value fixes the parameter, and a parameter replaces it. A conditional
      range that is given without ``levels`` keeps the old levels, like ``(low, high)``.
    - A number that equals a level in the digits in which levels are printed, or in more digits, is
      this level: 0.00215 or 0.00215443 for the level 0.00215443469003. So are the bounds of a conditional
      range given without ``levels``; other numbers inside a given parameter are left as they are.

    Args:
        old: The parameter that trials were run on.
        value: The edit.
        replaced: The parameter that the edit replaces, for example a proposed one; default ``old``. The
            result has at least as many levels as ``now`` has between the same bounds.

    Raises:
        SpaceError: The edit breaks a rule of the notation.
    """
    if (
        isinstance(old, Categorical)
        and isinstance(value, tuple)
        and len(value) > 2
        and all(choice in old.grid for choice in value)
    ):
        value = list(value)  # a shell reads 16,32,64 as a tuple
    ranges = [parameter for parameter in (old, replaced) if isinstance(parameter, Range)]
    new = _edited(old, _as_levels(value, ranges), replaced)
    # A parameter without a condition of its own keeps the old condition.
    if old.when is not None and new.when is None:
        return new.under(old.when)
    return new


def _as_levels(value: object, ranges: Sequence[Range]) -> Any:
    """``value`` with every number replaced by the level that is printed as this number, if there is one."""
    if not ranges or isinstance(value, Parameter):
        return value
    if isinstance(value, tuple) and len(value) == 3:  # (low, high, number of levels)
        return (*(_printed_level(part, ranges) for part in value[:2]), value[2])
    if isinstance(value, tuple | list):
        return type(value)(_printed_level(part, ranges) for part in value)
    return _printed_level(value, ranges)


def _printed_level(value: Any, ranges: Sequence[Range]) -> Any:
    if not is_finite(value):
        return value
    levels = []
    for parameter in ranges:
        if value in parameter.grid:
            return value
        digits = range(_printed_digits(parameter), LABEL_DIGITS + 1)
        levels += [v for v in parameter.grid if math.isclose(v, value, rel_tol=_SAME)]
        levels += [v for v in parameter.grid if any(float(f"{v:.{d}g}") == value for d in digits)]
    return min(levels, key=lambda level: abs(level - value), default=value)


def _keeps_old_levels(old: Range, value: object) -> bool:
    """True for a conditional range without levels, of the kind and scale of ``old``."""
    if not isinstance(value, Range) or type(old) is not type(value):
        return False
    if old.when is None and value.when is None:
        return False
    same_scale = (old.log, old.step, old.base) == (value.log, value.step, value.base)
    return same_scale and value.default_levels


def _edited(old: Parameter, value: Any, replaced: Parameter | None) -> Parameter:
    bounds = (
        isinstance(value, tuple) and len(value) in (2, 3) and all(number_of(v) is not None for v in value)
    )
    if isinstance(old, Categorical):
        return _edited_choices(old, value, bounds=bounds)
    if not isinstance(old, Range):
        return parse(value)
    if _keeps_old_levels(old, value):
        within = old.within if value.within is None else value.within
        bounds_given = tuple(_printed_level(end, [old]) for end in (value.low, value.high))
        return _edited(replace(old, levels=old.grid, within=within, when=value.when), bounds_given, replaced)
    if not isinstance(value, Parameter):
        _check_numbers(value)
    if isinstance(old, Integer) and not isinstance(value, Parameter):
        _check_whole(value)
    if bounds:
        return _with_bounds(old, value, replaced)
    return parse(value)


def _edited_choices(old: Categorical, value: Any, *, bounds: bool) -> Parameter:
    """The edited choices, in their old order; ``bounds`` is true if the value is a tuple of numbers."""
    if bounds:
        if len(value) == 2 and old.ordered and old.numeric and set(value) <= set(old.grid):
            return Categorical([v for v in old.grid if value[0] <= v <= value[1]] or list(value))
        if old.declared_order is not None or all(isinstance(v, str | bool | Reference) for v in old.grid):
            raise SpaceError(
                f"choices have no bounds, got {value!r}; write a list of choices: {', '.join(old.labels)}"
            )
    new = parse(_by_label(old, value))
    if not isinstance(new, Categorical):
        return new
    declared_by = old
    if isinstance(value, Parameter):
        declared_by = new
    if set(new.grid) <= set(old.grid) and not (declared_by is new and new.ordered):
        # The order of writing does not change the space.
        return declared_by.like([v for v in old.grid if v in new.grid])
    return declared_by.like(new.grid)


def new_choices(old: Parameter, value: object, edited_to: Parameter) -> list[str]:
    """Choices in words that an edit adds; none if a parameter declares the choices.

    Args:
        old: The parameter before the edit.
        value: The edit in the notation of the person.
        edited_to: The parameter after the edit.
    """
    if isinstance(value, Parameter) or not isinstance(edited_to, Categorical):
        return []
    if not isinstance(old, Categorical):
        return []
    words = [choice for choice in edited_to.grid if isinstance(choice, str)]
    return [word for word in words if old.labelled(word) is None]


def _with_bounds(old: Range, value: tuple[Any, ...], replaced: Parameter | None) -> Parameter:
    """A range of the kind and scale of ``old`` with the bounds, and perhaps the levels, of ``value``."""
    low, high = value[:2]
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return Float(low, high)  # raises the error of the notation
    integral = isinstance(old, Integer)
    kind = Integer if integral else Float
    if old.log and low <= 0:
        raise SpaceError(
            f"low must be > 0 on a logarithmic scale, got {value!r}; start above zero, or write "
            f"refine.{kind.__name__}({low}, {high}) for a linear one"
        )
    lattice = old.lattice
    if lattice is not None:
        lattice.check([low, high])
        low = lattice.nearest(low)
        high = lattice.nearest(high)
    if integral:
        low = int(low)
        high = int(high)
    if len(value) == 3:
        check_no_list(value, integral)
        return kind(low, high, level_count(value), **old.declared)  # type: ignore[arg-type]
    levels = _with_old_levels(old, low, high, integral)
    new = kind(low, high, levels, **old.declared)  # type: ignore[arg-type]
    parts = 1
    if old.low <= low and high <= old.high:
        parts = max(1, round((old.size - 1) / (new.size - 1)))
    if isinstance(replaced, Range):
        levels_between = sum(low <= v <= high for v in replaced.grid)
        if levels_between > new.size:
            parts = max(parts, math.ceil((levels_between - 1) / (new.size - 1)))
    return refined(new, new.grid, parts)


def _with_old_levels(old: Range, low: float, high: float, integral: bool) -> list[float]:
    """Both bounds, the old levels between, and levels at the old spacing in gaps."""
    ends = [round_significant(float(low)), round_significant(float(high))]
    inside = [v for v in old.grid if ends[0] < v < ends[1]]
    # Checked before levels are made: a bound far too large would exhaust memory.
    checked_levels(old.gaps(low, high) + 1)
    levels: list[float] = [low]
    for a, b in pairwise([low, *inside, high]):
        if not (a in old.grid and b in old.grid):
            levels += _between(old, a, b, old.gaps(a, b), integral)
        levels.append(b)
    return levels


def _between(old: Range, a: float, b: float, parts: int, integral: bool) -> list[float]:
    """Up to ``parts - 1`` levels in a gap: round numbers, or admissible values of the old step or base."""
    lattice = old.lattice
    if lattice is None:
        return cut(a, b, parts, old.log, integral)
    inner = lattice.between(a, b)[1:-1]
    if not inner or parts == 1:
        return []
    positions = np.asarray(old.scale(np.asarray(inner)), dtype=float)
    targets = np.linspace(float(old.scale(a)), float(old.scale(b)), parts + 1)[1:-1]
    return [inner[i] for i in sorted({int(np.abs(positions - w).argmin()) for w in targets})]


def _check_whole(value: Any) -> None:
    """Raises SpaceError unless a range of whole numbers keeps them: an objective would get 1.5 layers."""
    is_collection = isinstance(value, list | tuple)
    for v in value if is_collection else [value]:
        if is_finite(v) and not float(v).is_integer():
            fix = f"round {v}"
            if isinstance(value, tuple):
                fix = f"round the ends, or write refine.Float({value[0]}, {value[1]})"
            raise SpaceError(f"a range of whole numbers takes whole numbers, got {value!r}; {fix}")


def _check_numbers(value: Any) -> None:
    """Raises SpaceError unless a range becomes numbers: a string would be an undetected typing error."""
    is_collection = isinstance(value, list | tuple | set | frozenset)
    for v in value if is_collection else [value]:
        if v is None or isinstance(v, str | bool) or (is_collection and number_of(v) is None):
            if isinstance(v, str):
                shown = f"the string {v!r}"
            else:
                shown = repr(v)
            if is_collection:
                shown += f" in {value!r}"
            raise SpaceError(f"a range takes numbers, got {shown}; write (low, high), [numbers] or a number")


def _by_label(old: Categorical, value: object) -> Any:
    """``value`` with labels of classes and functions replaced by these classes and functions."""
    value_of_label = {
        t: v
        for t, v in zip(old.labels, old.grid, strict=True)
        if isinstance(v, Reference) and t not in old.grid
    }
    spelled = {t.lower(): t for t in old.labels}

    def resolved(part: object) -> Any:
        if isinstance(part, str) and part not in old.labels and part.lower() in spelled:
            raise SpaceError(
                f"{part!r} is not a choice of this parameter ({did_you_mean(part, old.labels)}); to add a "
                f"new choice, write refine.Categorical([{part!r}])"
            )
        if isinstance(part, str):
            return value_of_label.get(part, part)
        return part

    if isinstance(value, tuple):
        return tuple(map(resolved, value))
    if isinstance(value, list):
        return [as_before(old, resolved(part)) for part in value]
    return as_before(old, resolved(value))


def as_before(old: Categorical, value: object) -> Any:
    """The existing choice with the label of ``value``, if any: the string '8' stands for the choice 8."""
    try:
        frozen = freeze(value)
        if value_key(frozen) in {value_key(v) for v in old.grid}:
            return value
        shown = label(frozen)
    except SpaceError:
        return value  # `Categorical` raises the error
    level = old.labelled(shown)
    if level is None:
        return value
    return old.grid[level]


def narrowed(old: Parameter, keep: Sequence[int], between: bool = False) -> Parameter:
    """The parameter with only the levels numbered ``keep``, increasing; contiguous for an ordered parameter.

    A range gets levels inserted between the kept ones, so that the number of levels stays about the same. A
    single level of a range keeps a neighbour, since a range can't be a point. If trials lie ``between``
    levels, a bound goes midway between the last level kept and the first one dropped.
    """
    kept_levels = list(keep)
    if not isinstance(old, Range):
        assert isinstance(old, Categorical)
        return old.like([old.grid[i] for i in kept_levels])
    if len(kept_levels) == 1:
        if kept_levels[0] + 1 < old.size:
            kept_levels = [kept_levels[0], kept_levels[0] + 1]
        else:
            kept_levels = [kept_levels[0] - 1, kept_levels[0]]
    levels: list[float] = [old.grid[i] for i in kept_levels]
    if between and isinstance(old, Float):
        if kept_levels[0] > 0:
            before = _between(old, old.grid[kept_levels[0] - 1], levels[0], 2, False)
        else:
            before = []
        if kept_levels[-1] < old.size - 1:
            after = _between(old, levels[-1], old.grid[kept_levels[-1] + 1], 2, False)
        else:
            after = []
        levels = [*before, *levels, *after]
    parts = max(1, (old.size - 1) // (len(levels) - 1))
    return refined(old, levels, parts)


def refined(old: Range, levels: Sequence[float], parts: int) -> Range:
    """Cuts every gap between ``levels`` into up to ``parts``, by round numbers or values of the old step."""
    integral = isinstance(old, Integer)
    inner = [[*_between(old, a, b, parts, integral), b] for a, b in pairwise(levels)]
    return old.with_levels([levels[0], *(v for part in inner for v in part)])


def level_text(parameter: Parameter, value: Any) -> str:
    """A level of a range in the fewest digits, at least 3, that distinguish its levels; a choice's label.

    Whole numbers have all digits.
    """
    if not isinstance(parameter, Range):
        return label(value)
    if isinstance(parameter, Integer) and float(value).is_integer():
        return str(int(value))
    return number(float(value), _printed_digits(parameter))


def _printed_digits(parameter: Range) -> int:
    levels = np.unique(np.asarray(parameter.grid, dtype=float))
    enough = (d for d in range(3, LABEL_DIGITS) if len({number(v, d) for v in levels}) == len(levels))
    return next(enough, LABEL_DIGITS)


def bounds_text(parameter: Parameter) -> str:
    """The text of a parameter in tables: ``0 to 0.2``, ``Adam, Nadam``, ``150``."""
    if isinstance(parameter, Range):
        return f"{level_text(parameter, parameter.low)} to {level_text(parameter, parameter.high)}"
    if isinstance(parameter, Fidelity):
        return ", ".join(map(label, parameter.levels))
    assert isinstance(parameter, Categorical)
    return ", ".join(parameter.labels)


def strip(old: Parameter, new: Parameter) -> str:
    """Old levels as squares, filled if kept; ``+`` for an extension: ``■■■□□□``.

    At most 12 squares: a square of several levels is filled if any of these is kept.
    """
    kept_mask = np.asarray([bool(new.contains([v])[0]) for v in old.grid])
    parts = np.array_split(kept_mask, min(12, old.size))
    squares = "".join("■" if part.any() else "□" for part in parts)
    if isinstance(old, Range) and isinstance(new, Range):
        return f"{'+' * (new.low < old.low)}{squares}{'+' * (new.high > old.high)}"
    return squares + "+" * (not all(old.contains([v])[0] for v in new.grid))


def on_levels(parameter: Parameter, positions: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """True if all unit-scale positions are positions of levels."""
    if not isinstance(parameter, Float):
        return True
    grid = parameter.unit(np.asarray(parameter.grid))
    distances = np.abs(np.unique(positions)[:, None] - grid[None, :]).min(axis=1)
    return bool((distances < 1e-6).all())
