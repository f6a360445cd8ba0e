"""From an old parameter to a new one: a person's edit, or the levels that evidence leaves. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from refine.errors import ReviewError, SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import Reference, freeze, label, round_significant, value_key
from refine.space.parameters import Float, Integer, Parameter, Range, number_of
from refine.space.parsing import level_count, parse
from refine.space.space import Space
from refine.utils.action import Action, Symbol


def edit_space(space: Space, old: Space, edits: Mapping[str, Any]) -> Space:
    """A space with a person's edits.

    Args:
        space: What is edited, usually a proposed space.
        old: The space the round ran on; its spacing is kept by ``(low, high)``.
        edits: Name -> ``(low, high)``, ``(low, high, levels)``, a list, a fixed value, or a parameter.

    Raises:
        ReviewError: A name that the space does not have, or an edit that breaks a rule of the notation.
    """
    changes = {}
    for name, value in edits.items():
        if name not in space:
            raise ReviewError(
                f"edit: unknown parameter {name!r}; {did_you_mean(name, space)}; to add a parameter",
                Action("round.branch", Symbol("space"), previous=...),
            )
        try:
            changes[name] = edited(old.get(name, space[name]), value)
        except SpaceError as error:
            raise ReviewError(f"edit: {name}: {error}") from None
    return space.replace(changes)


def edited(old: Parameter, value: Any) -> Parameter:
    """One edited parameter.

    ``(low, high)`` keeps the old spacing as nearly as both ends allow and the old kind and scale, and of an
    ordered choice what lies between two of its values;
    ``(low, high, levels)`` sets the number of levels; bounds beyond the old ones widen.

    Raises:
        SpaceError: The notation is broken.
    """
    bounds = (
        isinstance(value, tuple) and len(value) in (2, 3) and all(number_of(v) is not None for v in value)
    )
    if (
        bounds
        and len(value) == 2
        and isinstance(old, Categorical)
        and old.ordered
        and old.numeric
        and set(value) <= set(old.grid)
    ):
        return Categorical([v for v in old.grid if value[0] <= v <= value[1]] or list(value))
    if isinstance(old, Range) and not isinstance(value, Parameter):
        _check_numbers(value)
    if (
        bounds
        and isinstance(old, Categorical)
        and (old.declared_order is not None or all(isinstance(v, str | bool | Reference) for v in old.grid))
    ):
        raise SpaceError(
            f"a choice has no bounds, got {value!r}; write a list of some of {', '.join(old.labels)}"
        )
    if not bounds or not isinstance(old, Range):
        new = parse(_by_label(old, value))
        if not isinstance(new, Categorical) or not isinstance(old, Categorical):
            return new
        says = new if isinstance(value, Parameter) else old
        if set(new.grid) <= set(old.grid) and not (says is new and new.ordered):
            # The order of writing makes no other space.
            return says.like([v for v in old.grid if v in new.grid])
        return says.like(new.grid)
    low, high = value[:2]
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return Float(low, high)  # raises, with the text of the notation
    within = old.within
    whole = isinstance(old, Integer) and float(low).is_integer() and float(high).is_integer()
    log = old.log
    if log and low <= 0:
        kind = "Integer" if whole else "Float"
        raise SpaceError(
            f"low must be > 0 on a logarithmic scale, got {value!r}; start above zero, or write "
            f"refine.{kind}({low}, {high}) for a linear one"
        )
    if len(value) == 3:
        count = level_count(value)
        if whole:
            return Integer(int(low), int(high), count, log=log, within=within)
        return Float(low, high, count, log=log, within=within)
    width = math.log(high / low) if log else high - low
    span = math.log(old.high / old.low) if log else old.high - old.low
    count = max(2, round(width / (span / (old.size - 1))) + 1)
    if whole:
        most = int(high) - int(low) + 1
        return Integer(int(low), int(high), min(count, most), log=log, within=within)
    return Float(low, high, count, log=log, within=within)


def _check_numbers(value: Any) -> None:
    """What a range becomes must be numbers: a name would be a typing error that no trial ever shows."""
    many = isinstance(value, list | tuple | set | frozenset)
    for v in value if many else [value]:
        if v is None or isinstance(v, str | bool):
            what = f"the text {v!r}" if isinstance(v, str) else repr(v)
            whole = f"{what} in {value!r}" if many else what
            raise SpaceError(f"a range takes numbers, got {whole}; write (low, high), [numbers] or a number")


def _by_label(old: Parameter, value: Any) -> Any:
    """``value`` with labels of classes and functions, as tables show them, in place of which those are meant."""
    if not isinstance(old, Categorical):
        return value
    meant = {
        t: v
        for t, v in zip(old.labels, old.grid, strict=True)
        if isinstance(v, Reference) and t not in old.grid
    }
    texts = [v for v in (value if isinstance(value, list | tuple) else [value]) if isinstance(v, str)]
    spelled = {t.lower(): t for t in old.labels}
    for text in texts:
        if text not in old.labels and text.lower() in spelled:
            raise SpaceError(
                f"{text!r} is none of the choices; {did_you_mean(text, old.labels)} else write refine.Categorical([{text!r}])"
            )
    if isinstance(value, tuple):
        return tuple(meant.get(v, v) if isinstance(v, str) else v for v in value)
    if isinstance(value, list):
        return [as_before(old, meant.get(v, v) if isinstance(v, str) else v) for v in value]
    return as_before(old, meant.get(value, value) if isinstance(value, str) else value)


def as_before(old: Categorical, value: Any) -> Any:
    """A value that a table shows like one of the choices is that one: the text "8" is no other choice beside 8."""
    try:
        frozen = freeze(value)
        if value_key(frozen) in {value_key(v) for v in old.grid}:
            return value
        shown = label(frozen)
    except SpaceError:
        return value  # what it can't be is said where it is made a choice
    return old.grid[old.labels.index(shown)] if shown in old.labels else value


def narrowed(old: Parameter, keep: Sequence[int], between: bool = False) -> Parameter:
    """The parameter that is left of some levels.

    Args:
        old: The parameter.
        keep: Level numbers that stay, increasing; of an ordered parameter a contiguous run. A single level of
            a range keeps a neighbour, so that no range collapses to a point.
        between: Whether trials lie between levels; then a bound goes midway between the last level kept and
            the first one dropped.

    Returns:
        The narrowed parameter. A range gets levels inserted between its old ones, so that the number of
        levels stays about the same and the grid gets finer where the space got narrower.
    """
    kept = list(keep)
    if not isinstance(old, Range):
        assert isinstance(old, Categorical)
        return old.like([old.grid[i] for i in kept])
    if len(kept) == 1:
        kept = [kept[0], kept[0] + 1] if kept[0] + 1 < old.size else [kept[0] - 1, kept[0]]
    levels: list[float] = [old.grid[i] for i in kept]
    if between and isinstance(old, Float):
        if kept[0] > 0:
            levels.insert(0, _midway(old, old.grid[kept[0] - 1], levels[0]))
        if kept[-1] < old.size - 1:
            levels.append(_midway(old, levels[-1], old.grid[kept[-1] + 1]))
    parts = max(1, (old.size - 1) // (len(levels) - 1))
    return refined(old, levels, parts)


def _midway(old: Range, a: float, b: float) -> float:
    """The middle of two levels on the declared scale."""
    return round_significant(math.sqrt(a) * math.sqrt(b) if old.log else a / 2 + b / 2)


def refined(old: Range, levels: Sequence[float], parts: int) -> Parameter:
    """Every gap between ``levels`` cut into up to ``parts`` on the old one's scale; integers permitting."""
    out: list[float] = [levels[0]]
    for a, b in pairwise(levels):
        for step in range(1, parts):
            share = step / parts
            at = a * (b / a) ** share if old.log else a + (b - a) * share
            at = math.floor(at + 0.5) if isinstance(old, Integer) else round_significant(at)
            if out[-1] < at < b:
                out.append(at)
        out.append(b)
    return between_levels(old, out)


def between_levels(old: Range, levels: Sequence[float]) -> Range:
    """A range of ``old``'s kind, scale and limits with these levels."""
    kind = type(old)
    return kind(levels[0], levels[-1], levels=levels, log=old.log, within=old.within)  # type: ignore[call-arg]


def bounds_text(parameter: Parameter) -> str:
    """How a parameter is named in tables: ``0 to 0.2``, ``Adam, Nadam``, ``150``."""
    if isinstance(parameter, Range):
        return f"{label(parameter.low)} to {label(parameter.high)}"
    assert isinstance(parameter, Categorical)
    return ", ".join(parameter.labels)


def strip(old: Parameter, new: Parameter, most: int = 12) -> str:
    """Old levels as squares, filled where they stay; ``+`` where the new one goes beyond: ``■■■□□□``.

    Args:
        old: The parameter now.
        new: The parameter after a change.
        most: Squares; more levels share them, and one is filled where any of its levels stays.
    """
    stay = np.asarray([bool(new.contains([v])[0]) for v in old.grid])
    squares = "".join("■" if part.any() else "□" for part in np.array_split(stay, min(most, old.size)))
    if isinstance(old, Range) and isinstance(new, Range):
        return f"{'+' * (new.low < old.low)}{squares}{'+' * (new.high > old.high)}"
    return squares + "+" * (not all(old.contains([v])[0] for v in new.grid))


def on_levels(parameter: Parameter, positions: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether all unit-scale positions are those of levels."""
    if not isinstance(parameter, Float):
        return True
    grid = parameter.unit(np.asarray(parameter.grid))
    nearest = np.abs(positions[:, None] - grid[None, :]).min(axis=1) if len(positions) else np.zeros(1)
    return bool(nearest.max() < 1e-6)
