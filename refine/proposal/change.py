"""A proposed change of a parameter: bounds, extended ends, reasons, and reopened narrowings. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import unread_in
from refine.analysis.evidence import ALPHA, GOOD, ParameterEvidence, level_positions
from refine.analysis.finding import condition_of, mean_ratio, piled_up
from refine.analysis.reason import Reason
from refine.design.space_filling import feasible
from refine.proposal.path import KeptLevels
from refine.space.categorical import Categorical
from refine.space.edits import refined
from refine.space.encoding import label
from refine.space.limits import limit_of, widened
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.trials.frame import front_rows
from refine.trials.goal import Goal
from refine.utils.arrays import Bools, Floats

# Certainty of a change -> upper end of its risk. These are the steps of refine.utils.format.CHANCE_STEPS, so
# that the word agrees with the printed chance.
SURE = {"sure": 0.05, "likely": 0.15}

KINDS = ("narrow", "drop", "widen", "reopen", "fix", "leave", "keep")


@dataclass(frozen=True)
class Change:
    """The proposed change of one parameter.

    Examples:
        >>> change = root.propose().proposal.changes[0]
        >>> change.name, change.kind, change.new.high, change.sure, change.reasons[0].code
        ('lr', 'narrow', 2.0, 'sure', 'trend')
    """

    name: str  # name of the parameter
    # ``"narrow"`` (a range), ``"drop"`` (choices), ``"widen"`` (a range, past an end), ``"reopen"`` (an
    # earlier narrowing was refuted), ``"fix"`` (no kept configuration reads the parameter), ``"leave"`` (no
    # kept configuration has the parameter, by its declared condition; the range stays, in case the condition
    # is met again), or ``"keep"``
    kind: str
    old: Parameter  # the parameter now
    new: Parameter  # the parameter proposed; equal to ``old`` for ``"keep"``
    # share of the old range or choices that is kept; 1 for ``"fix"`` and ``"leave"``, which do not count
    volume_kept: float
    q: float  # adjusted p-value of no effect
    reasons: tuple[Reason, ...]  # see :data:`refine.analysis.reason.CODES`
    # probability that this change alone loses more than epsilon; NaN if unknown
    risk: float = math.nan

    @property
    def sure(self) -> str:
        """Certainty of losing nothing by this change alone: ``"sure"``, ``"likely"`` or ``"open"``.

        See :data:`SURE`.
        """
        if math.isnan(self.risk):
            return "open"
        return next((word for word, max_risk in SURE.items() if self.risk < max_risk), "open")


def without_unread(analysis: Analysis, changes: Sequence[Change], space: Space) -> tuple[Change, ...]:
    """The changes, with unread parameters of the proposed space neither narrowed nor widened.

    A parameter with a declared condition is left unchanged: the new space has no configuration with it. A
    parameter without a condition is fixed, to spend no grid on it: at its value of the best trial, or at its
    first level with configurations.
    """
    unread = unread_in(space, analysis.parameters)
    out = []
    for change in changes:
        if change.name in unread:
            kind = "leave"
            new = change.old
            code = "not_there_in_box"
            if change.old.when is None:
                kind = "fix"
                code = "not_read_in_box"
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
    """The changes, with dropped values reopened if an audit trial is better by more than epsilon.

    Parameters with their value of the best audit trial outside the analysed or the proposed space get a
    change of kind ``"reopen"``. Their new levels are those of ``outer``, the space of the audit trials.
    """
    values = analysis.sign * np.asarray(analysis.outside["value"], dtype=float)
    inside = float(analysis.y.max())
    if outer is None or not len(values) or values.max() <= inside + epsilon:
        return tuple(changes)
    best = analysis.outside.iloc[int(values.argmax())]
    by_name = {change.name: change for change in changes}
    for name, parameter in analysis.space.items():
        if name in by_name:
            proposed = by_name[name].new
        else:
            proposed = parameter
        contains_best = bool(proposed.contains([best[name]])[0])
        if name not in outer or (contains_best and parameter.contains([best[name]])[0]):
            continue
        # A range that is extended far enough already keeps its bounds, with the refutation as the better
        # reason.
        if contains_best:
            new = proposed
        else:
            new = _reopened_at(proposed, outer[name], best[name])
        measured = {"reached": analysis.sign * float(values.max()), "inside": analysis.sign * inside}
        values_of_reason = {"parameter": name, "value": label(best[name]), **measured, "epsilon": epsilon}
        if name in by_name:
            q = by_name[name].q
        else:
            q = np.nan
        volume_kept = parameter.volume_kept(new)
        by_name[name] = Change(
            name,
            "reopen",
            old=parameter,
            new=new,
            volume_kept=volume_kept,
            q=float(q),
            reasons=(Reason("refuted", values_of_reason),),
        )
    return tuple(by_name[name] for name in analysis.space if name in by_name)


def _reopened_at(inner: Parameter, outer: Parameter, value: Any) -> Parameter:
    """The parameter ``inner`` with ``value``, a level of ``outer``, added."""
    if isinstance(inner, Range) and isinstance(outer, Range):
        number = float(value)
        if number < inner.low:
            levels = [number, *inner.grid]
        else:
            levels = [*inner.grid, number]
        gap = abs(float(inner.scale(levels[1])) - float(inner.scale(levels[0])))
        if number > inner.high:
            gap = abs(float(inner.scale(levels[-1])) - float(inner.scale(levels[-2])))
        span = float(outer.scale(outer.high)) - float(outer.scale(outer.low))
        parts = max(1, round(gap / (span / (outer.size - 1))))
        # The levels up to the new end get the spacing of the outer space; existing levels stay.
        if number < inner.low:
            grid = [*refined(inner, levels[:2], parts).grid, *inner.grid[1:]]
        else:
            grid = [*inner.grid[:-1], *refined(inner, levels[-2:], parts).grid]
        return inner.with_levels(grid)
    level = outer.grid[int(np.argmax(outer.column(np.arange(outer.size)) == value))]
    if not isinstance(outer, Categorical):
        return Categorical([*inner.grid, level])
    if outer.ordered and set(inner.grid) <= set(outer.grid):
        return outer.like([v for v in outer.grid if v in inner.grid or v == level])
    return outer.like([*inner.grid, level])


def short_of_failures(evidence: ParameterEvidence, new: Range, neighbour: int) -> Range:
    """The range without its neighbour level, if every trial at the neighbour failed.

    A range needs two levels, so a single kept level keeps a neighbour. The levels between the two stay: the
    failures may begin anywhere between them.

    Args:
        evidence: The evidence on the parameter.
        new: The range proposed.
        neighbour: Number of the level that is kept only as a neighbour; -1 without such a level.
    """
    if neighbour < 0 or evidence.levels[neighbour].bad < 1 or evidence.levels[neighbour].bad_q > ALPHA:
        return new
    end = float(evidence.parameter.grid[neighbour])
    above = [v for v in new.grid if v > end]
    below = [v for v in new.grid if v < end]
    grid = max(above, below, key=len)
    if len(grid) > 1:
        return new.with_levels(grid)
    return new


def reaches_beyond(old: Parameter, new: Parameter) -> bool:
    """True if a range reaches beyond its old ends."""
    if isinstance(old, Range) and isinstance(new, Range):
        return bool(new.low < old.low or new.high > old.high)
    return False


# A trend leads beyond an end if this share of the posterior's draws have their best value at the end. With
# the range narrowed onto the end, the smaller share NEAR is enough, and the box does not cut the end off.
BEYOND = 0.5
NEAR = 0.25


class Widening(NamedTuple):
    """A range, extended if the optimum may lie beyond an end."""

    # the range; unchanged if it is not extended
    new: Range
    reasons: tuple[Reason, ...]  # of the extension, and of a limit that stops it


def beyond(
    analysis: Analysis,
    e: ParameterEvidence,
    new: Range,
    optima: Floats | None,
    first: Analysis,
) -> Widening:
    """A range continued by one step past the ends at which the best trials lie.

    Either the best trials pile up at an end by test, or values improve towards the end: the parameter matters
    (false alarms are those of the tests), and many draws of the posterior have their best value at the very
    end. With an optimum at four fifths of the range few draws do (5 to 40 % in simulated rounds of 40
    trials), with an optimum at the end or beyond most do (45 to 98 %). Neither is enough: the best trials
    themselves must lie at the end (`Edge.best`), or a trend over the bad part of a range would open an end
    far from all good values.

    A further goal that improves without end is no reason by itself: a model becomes cheaper with ever fewer
    units. For such a goal a range is continued only if the points of the front nearest to the end are no
    worse than the median trial in the first goal. The new end comes from :func:`refine.space.limits.widened`.

    Args:
        analysis: The analysis of the goal with the clearest effect of the parameter.
        e: Evidence of the parameter, a range.
        new: The part of the range that is kept.
        optima: (draws,) positions of every draw's best value; ``None`` without a posterior.
        first: Analysis of the first goal.
    """
    old = e.parameter
    assert isinstance(old, Range)
    reason_of_end = {edge.side: piled_up(e, edge, q) for edge, q in e.piled_up}
    side = _improves_towards(analysis, e)
    ends_with_best = [edge.side for edge in e.edges if edge.best]
    if side in ends_with_best and side not in reason_of_end and optima is not None:
        at_end = stats.Axis(level_positions(old)).index(optima) == (old.size - 1 if side == "high" else 0)
        share = float(at_end.mean())
        if share >= NEAR:
            new = _up_to_end(old, new, side)
        if side == "high":
            onto = new.low > old.low
        else:
            onto = new.high < old.high
        if share >= BEYOND or (onto and share >= NEAR):
            level = e.levels[-1 if side == "high" else 0].label
            values = {"parameter": e.name, "metric": analysis.metric, "side": side, "level": level, "q": e.q}
            reason_of_end[side] = Reason("improves_to_end", values)
    reasons: list[Reason] = []
    for end, reason in reason_of_end.items():
        if (new.high < old.high) if end == "high" else (new.low > old.low):
            continue  # the end is cut off
        if first is not analysis and not _useful(first, e.name, end):
            goals = {"metric": analysis.metric, "first": first.metric}
            reasons.append(Reason("useless_beyond", {"parameter": e.name, "side": end, **goals}))
            continue
        wider = widened(e.name, old, new, end)
        reasons += [reason] if wider is not None or reason.code == "piled_up" else []
        if wider is not None:
            reasons.append(_opened(e.name, old, wider, end))
        reasons += _limited(e.name, old, wider, end)
        new = wider or new
    return Widening(new, tuple(reasons))


def _opened(name: str, old: Range, wider: Range, side: str) -> Reason:
    """The passed end of a continued range and its new end; no trial was run beyond the passed end."""
    if side == "high":
        end = old.high
        new_end = wider.high
    else:
        end = old.low
        new_end = wider.low
    return Reason("opened", {"parameter": name, "side": side, "end": label(end), "to": label(new_end)})


def _useful(first: Analysis, name: str, side: str) -> bool:
    """True if points of the front nearest to an end are no worse than the median trial in the first goal."""
    goals = [Goal(goal_analysis.metric, goal_analysis.direction) for goal_analysis in (first, *first.others)]
    front = front_rows(first.table, goals, first.space).dropna(subset=[name])
    if front.empty:
        return True
    nearest = front[name] == (front[name].max() if side == "high" else front[name].min())
    reached = front.loc[nearest].iloc[:, 0].median()
    return bool(first.sign * reached >= first.sign * first.table["value"].median())


def _improves_towards(analysis: Analysis, e: ParameterEvidence) -> str:
    """The end to which the trend of a parameter with an effect leads; empty without a trend."""
    finding = analysis.findings[e.name]
    if finding.shape not in ("rises", "falls") or finding.few_at:
        return ""
    if (finding.shape == "rises") == (analysis.sign > 0):
        return "high"
    return "low"


def _up_to_end(old: Range, new: Range, side: str) -> Range:
    """The kept part of a range, extended by the old levels up to one of its ends."""
    if side == "high" and new.high < old.high:
        return old.with_levels([*new.grid, *(v for v in old.grid if v > new.high)])
    if side == "low" and new.low > old.low:
        return old.with_levels([*(v for v in old.grid if v < new.low), *new.grid])
    return new


def _limited(name: str, old: Range, wider: Range | None, side: str) -> list[Reason]:
    """The limit that stops a range; empty without one."""
    limit = limit_of(name, old, side)
    if limit is None:
        return []
    if wider is not None:
        if side == "high":
            edge = old.high
            new_end = wider.high
        else:
            edge = old.low
            new_end = wider.low
        near = not limit.closed and abs(new_end - limit.at) < 0.5 * abs(limit.at - edge)
        if new_end != limit.at and not near:
            return []
    values = {"parameter": name, "side": side, "limit": label(float(limit.at)), "why": limit.why}
    return [Reason("limited", {**values, "widened": wider is not None})]


_EFFECTS = ("trend", "no_trend", "choices", "only_spread", "coupled")
_FAILS = ("fails_at", "fails_towards")
_QUIET = ("never_read", "not_seen", "too_few", "constant", "read_in")

# Relative frequency below which good trials are hardly ever found at a level.
HARDLY = 0.05


def reasons_of(
    analysis: Analysis,
    evidence: ParameterEvidence,
    kind: str,
    new: Parameter,
    ends: Sequence[Reason] = (),
    *,
    untried: Bools | None = None,
    levels: KeptLevels | None = None,
) -> tuple[Reason, ...]:
    """The reasons for a change of a parameter to ``new``, or for keeping it.

    Args:
        analysis: The analysis of the goal with the clearest effect of the parameter.
        evidence: The evidence on the parameter.
        kind: One of :data:`KINDS`.
        new: The parameter proposed.
        ends: Reasons for extending the range past an end, or for not extending it.
        untried: (levels,) levels that are kept because no trial is informative about them.
        levels: The levels kept, and which of them are ties; ``None`` without a posterior.
    """
    finding = analysis.findings[evidence.name]
    effects = finding.of(*_EFFECTS, *_FAILS)
    kept_anyway = _kept_anyway(evidence, untried, levels)
    if kind == "keep":
        uncut = Reason("all_plausible")
        if not analysis.tested and evidence.read != 0:
            return (uncut, *kept_anyway)
        if not effects:
            return finding.of(*_QUIET)
        return (*effects, *ends, uncut, *kept_anyway)
    reasons = [*finding.of(*_EFFECTS, "read_in", *_FAILS), *ends]
    return (*reasons, *_contrast(evidence, new, analysis.tested), *kept_anyway)


def _kept_anyway(e: ParameterEvidence, untried: Bools | None, levels: KeptLevels | None) -> list[Reason]:
    """Levels kept for another reason than their values: untried levels, and equally good choices."""
    reasons = []
    if untried is not None and untried.any():
        labels = [level.label for level, only in zip(e.levels, untried, strict=True) if only]
        reasons.append(Reason("not_tried", {"parameter": e.name, "levels": labels}))
    if levels is not None and levels.tied.any():
        tied = [level.label for level, is_tied in zip(e.levels, levels.tied, strict=True) if is_tied]
        in_box_labels = [level.label for level, in_box in zip(e.levels, levels.in_box, strict=True) if in_box]
        reasons.append(Reason("as_good", {"parameter": e.name, "levels": tied, "others": in_box_labels}))
    return reasons


def _contrast(e: ParameterEvidence, new: Parameter, tested: bool) -> list[Reason]:
    """Relative frequency of good trials in the kept and in the dropped levels.

    Empty if nothing is dropped.
    """
    inside = [bool(new.contains([v])[0]) for v in e.parameter.grid]
    kept_levels = [v for v, i in zip(e.levels, inside, strict=True) if i]
    dropped_levels = [v for v, i in zip(e.levels, inside, strict=True) if not i]
    if not kept_levels or not dropped_levels:
        return []
    dropped_labels = [v.label for v in dropped_levels]
    if tested and not any(v.n for v in dropped_levels):
        # Trials without a value that the failure test left out count too.
        no_value = bool(e.apart or any(v.bad == v.bad for v in dropped_levels))
        return [Reason("untried", {"go": dropped_labels, "no_value": no_value})]
    kept_ratio = mean_ratio(kept_levels)
    dropped_ratio = mean_ratio(dropped_levels)
    shown = {
        "bounds": [new.low, new.high] if isinstance(new, Range) else None,
        "stay": [v.label for v in kept_levels],
        "go": dropped_labels,
    }
    if not tested:
        return [Reason("model_alone", shown)]
    counts = {"n_here": sum(v.n for v in kept_levels), "n_there": sum(v.n for v in dropped_levels)}
    values = {"share": GOOD, **shown, "here": kept_ratio, "there": dropped_ratio, **counts}
    # Ratios are printed with two digits: equal digits are no contrast.
    equal = f"{kept_ratio:.2g}" == f"{dropped_ratio:.2g}"
    if kept_ratio <= dropped_ratio or equal or kept_ratio < HARDLY:
        return [Reason("model_only", values)]
    return [Reason("contrast", values)]
