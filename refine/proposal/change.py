"""One proposed change, and the changes that a refuted narrowing asks for. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.conditions import unread_in
from refine.analysis.finding import condition_of
from refine.analysis.reason import Reason
from refine.design.space_filling import feasible
from refine.space.categorical import Categorical
from refine.space.edits import refined
from refine.space.encoding import label
from refine.space.parameters import Parameter, Range
from refine.space.space import Space

SURE = {"sure": 0.02, "likely": 0.1}
"""How sure a change is -> up to which risk."""

KINDS = ("narrow", "drop", "widen", "reopen", "fix", "leave", "keep")


@dataclass(frozen=True)
class Change:
    """What is proposed for one parameter.

    Attributes:
        name: The parameter's.
        kind: ``"narrow"`` (a range), ``"drop"`` (choices), ``"widen"`` (past an end), ``"reopen"`` (an earlier
            narrowing was refuted), ``"fix"`` (nothing that stays reads it), ``"leave"`` (nothing that stays has it, by its
            declared condition: as it is now, it would be back with what it depends on) or ``"keep"``.
        old: The parameter now.
        new: The parameter proposed; equal to ``old`` for ``"keep"``.
        volume_kept: measure(new within old) / measure(old) on this axis; 1 where it is fixed or leaves, since it is not counted.
        q: Adjusted p-value of 'does not matter'.
        reasons: Why; see :data:`refine.analysis.reason.CODES`.
        risk: Probability that this change alone, with everything else as it is, loses more than epsilon; NaN where
            that can't be stated.

    Examples:
        >>> change = root.propose().proposal.changes[0]
        >>> change.name, change.kind, change.new.high, change.sure, change.reasons[0].code
        ('lr', 'narrow', 2.0, 'sure', 'trend')
    """

    name: str
    kind: str
    old: Parameter
    new: Parameter
    volume_kept: float
    q: float
    reasons: tuple[Reason, ...]
    risk: float = math.nan

    @property
    def sure(self) -> str:
        """How sure it is that this change alone loses nothing: ``"sure"``, ``"likely"`` or ``"open"``; see :data:`SURE`."""
        if math.isnan(self.risk):
            return "open"
        return next((word for word, most in SURE.items() if self.risk <= most), "open")


def without_unread(analysis: Analysis, changes: Sequence[Change], space: Space) -> tuple[Change, ...]:
    """The changes without those of parameters that nothing of the proposed space reads: neither narrowed nor widened.

    One with a declared condition leaves: it stays under it as it is, and no configuration has it. Another one is fixed, so that no grid is
    spent on it, at its value of the best trial, or its first level with which configurations exist.

    Args:
        analysis: What was measured.
        changes: What is proposed without that.
        space: The space proposed without that.
    """
    unread = unread_in(space, analysis.parameters)
    out = []
    for change in changes:
        if change.name in unread:
            kind, new, code = "leave", change.old, "not_there_in_box"
            if change.old.when is None:
                kind, code = "fix", "not_read_in_box"
                new = _fixed(change.old, change.name, analysis, space) or change.new
            values = {"parameter": change.name, "condition": condition_of(analysis[change.name])}
            if kind == "leave" or new != change.new:
                change = replace(change, kind=kind, new=new, volume_kept=1.0, reasons=(Reason(code, values),))
        out.append(change)
    return tuple(out)


def _fixed(old: Parameter, name: str, analysis: Analysis, space: Space) -> Parameter | None:
    best = analysis.best[name]
    column = old.column(np.arange(old.size))
    for i in sorted(range(old.size), key=lambda i: column[i] != best):
        new = Categorical([old.grid[i]])
        if not space.constraints or feasible(space.replace({name: new})).high:
            return new
    return None


def reopened(
    analysis: Analysis, changes: Sequence[Change], epsilon: float, outer: Space | None
) -> tuple[Change, ...]:
    """The changes with those values let in again that an audit trial showed to be better.

    Args:
        analysis: With the round's audit trials in ``outside``.
        changes: What is proposed without them.
        epsilon: An audit trial must beat the best value inside by more than this.
        outer: The space in which audit trials were drawn; its levels are what is let in.

    Returns:
        The same changes, or changes of kind ``"reopen"`` for every parameter whose value of the best such
        audit trial lies outside the space analysed, or outside what is proposed.
    """
    values = analysis.sign * np.asarray(analysis.outside["value"], dtype=float)
    inside = float(analysis.y.max())
    if outer is None or not len(values) or values.max() <= inside + epsilon:
        return tuple(changes)
    best = analysis.outside.iloc[int(values.argmax())]
    found = {change.name: change for change in changes}
    for name, parameter in analysis.space.items():
        now = found[name].new if name in found else parameter
        there = bool(now.contains([best[name]])[0])
        if name not in outer or (there and parameter.contains([best[name]])[0]):
            continue
        # What is widened so far already is refuted all the same, and that is the better reason.
        new = now if there else _let_in(now, outer[name], best[name])
        measured = {"reached": analysis.sign * float(values.max()), "inside": analysis.sign * inside}
        at = {"parameter": name, "value": label(best[name]), **measured, "epsilon": epsilon}
        q = found[name].q if name in found else np.nan
        kept = parameter.volume_kept(new)
        found[name] = Change(name, "reopen", parameter, new, kept, float(q), (Reason("refuted", at),))
    return tuple(found[name] for name in analysis.space if name in found)


def _let_in(now: Parameter, outer: Parameter, value: Any) -> Parameter:
    """``now`` and ``value``, a level of ``outer``."""
    if isinstance(now, Range) and isinstance(outer, Range):
        at = float(value)
        levels = [at, *now.grid] if at < now.low else [*now.grid, at]
        gap = abs(float(now.scale(levels[1])) - float(now.scale(levels[0])))
        if at > now.high:
            gap = abs(float(now.scale(levels[-1])) - float(now.scale(levels[-2])))
        span = float(outer.scale(outer.high)) - float(outer.scale(outer.low))
        parts = max(1, round(gap / (span / (outer.size - 1))))
        # The new gap gets the outer space's spacing; the levels there are stay.
        edge = refined(now, levels[:2], parts) if at < now.low else refined(now, levels[-2:], parts)
        grid = [*edge.grid, *now.grid[1:]] if at < now.low else [*now.grid[:-1], *edge.grid]
        return now.with_levels(grid)
    level = outer.grid[int(np.argmax(outer.column(np.arange(outer.size)) == value))]
    if not isinstance(outer, Categorical):
        return Categorical([*now.grid, level])
    if outer.ordered and set(now.grid) <= set(outer.grid):
        return outer.like([v for v in outer.grid if v in now.grid or v == level])
    return outer.like([*now.grid, level])
