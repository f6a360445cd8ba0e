"""Findings: one verdict per parameter, with its reasons. Pure.

Reports, pages, JSON, shell and figures show these verdicts; none of them decides again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from refine.analysis.evidence import ALPHA, GOOD, ActiveWhere, LevelEvidence, ParameterEvidence
from refine.analysis.reason import Reason
from refine.space.limits import widened
from refine.space.parameters import Range

if TYPE_CHECKING:
    from refine import stats

MATTERS = "matters"
FAILS = "fails"
COUPLED = "coupled"
NOT_SEEN = "not_seen"
CANNOT_BE_JUDGED = "cannot_be_judged"
NEVER_READ = "never_read"
UNTESTED = "untested"

# In this order: a parameter with an effect may also fail at some levels.
VERDICTS = (MATTERS, FAILS, COUPLED, NOT_SEEN, CANNOT_BE_JUDGED, NEVER_READ, UNTESTED)

_LEAST = 5  # fewest trials at a level, or an end, to judge it

_MOST_SHOWN = 4


class Finding(NamedTuple):
    """The finding on one parameter."""

    name: str
    # ``"matters"``; ``"fails"``: no effect, but trials fail more often at some of its levels; ``"coupled"``:
    # no effect alone, but with others among the best trials; ``"not_seen"``; ``"cannot_be_judged"``: no
    # effect seen among too few good trials; ``"never_read"``; ``"untested"``
    verdict: str
    # ``"rises"``, ``"falls"``, ``"inside"`` (an effect without a clear direction), ``"choices"`` or
    # ``"none"``
    shape: str = "none"
    # the end, ``"low"`` or ``"high"``, with few of the best trials although the metric improves towards it
    few_at: str = ""
    rich: tuple[int, ...] = ()  # numbers of the levels at which the best trials are over-represented
    open_ends: tuple[str, ...] = ()  # ends at which the best trials pile up and the range could go on
    partners: tuple[str, ...] = ()  # parameters coupled with it among the best trials
    reasons: tuple[Reason, ...] = ()  # reasons of the verdict, in reading order

    def of(self, *codes: str) -> tuple[Reason, ...]:
        """Reasons with these codes."""
        return tuple(r for r in self.reasons if r.code in codes)


class Whole(NamedTuple):
    """Facts on the round as a whole that findings need."""

    metric: str  # name of the metric
    sign: float  # 1 to maximize, -1 to minimize
    constant: bool  # whether every trial has the same value
    degenerate: bool  # whether any trial is degenerate
    constrained: bool = False  # whether any trial breaks a metric constraint
    tested: bool = True  # whether anything was tested


def finding_of(e: ParameterEvidence, partners: Sequence[str], about: Whole) -> Finding:
    """The finding on a parameter with its coupled partners among the best trials."""
    if e.read == 0 and e.parameter.when is None:
        return Finding(e.name, NEVER_READ, reasons=(_about(e, "never_read"),))
    if not about.tested:
        return Finding(e.name, UNTESTED)
    ends = _open_ends(e)
    rich = _rich(e)
    verdict = _verdict(e, partners)
    shape = "none"
    few_at = ""
    reasons: list[Reason] = []
    if e.matters:
        shape, few_at = _shape(e, about.sign)
        reasons.append(_effect(e, about, shape, few_at))
        if e.only_spread:
            reasons.append(_about(e, "only_spread", metric=about.metric))
    elif partners:
        reasons.append(_about(e, "coupled", q=e.q, partners=partners))
    elif not e.fails:
        reasons.append(_quiet(e, about))
    if 0 < e.read < 1:
        reasons.append(_about(e, "read_in", n=e.n, share=e.read, condition=condition_of(e)))
    if rich:
        levels = [e.levels[i].label for i in rich]
        times = max(e.levels[i].ratio for i in rich)
        reasons.append(_about(e, "rich", share=GOOD, levels=levels, times=times))
    if e.fails:
        reasons.append(_failing(e, about))
    reasons += [piled_up(e, edge, q) for edge, q in e.piled_up if edge.side in ends]
    if e.matters and partners:
        reasons.append(_about(e, "depends_on", partners=partners))
    return Finding(
        name=e.name,
        verdict=verdict,
        shape=shape,
        few_at=few_at,
        rich=rich,
        open_ends=ends,
        partners=tuple(partners),
        reasons=tuple(reasons),
    )


def condition_of(e: ParameterEvidence) -> dict[str, object] | str | None:
    """A condition as the value of a reason."""
    condition = e.condition
    if isinstance(condition, ActiveWhere):
        return condition.expression
    if condition is None:
        return None
    return {"parameter": condition.name, "levels": condition.labels}


def coupled_with(name: str, names: Sequence[str], pairs: Sequence[stats.Pair]) -> list[str]:
    """Parameters coupled with it among the best trials (q <= 0.1).

    ``names`` are all parameters, as pairs number them.
    """
    coupled = [{names[pair.i], names[pair.j]} for pair in pairs if pair.q <= ALPHA]
    return sorted(other for pair in coupled if name in pair for other in pair - {name})


def piled_up(e: ParameterEvidence, edge: stats.Edge, q: float) -> Reason:
    """The reason 'the best trials pile up at an end', with its adjusted p-value."""
    level = e.levels[-1 if edge.side == "high" else 0].label
    counts = {"count": edge.top_count, "of": edge.top_n, "share": edge.share}
    return _about(e, "piled_up", side=edge.side, level=level, **counts, q=q)


def mean_ratio(levels: Sequence[LevelEvidence]) -> float:
    """Frequency of the good trials at some levels relative to all trials, weighted by trials.

    NaN without any.
    """
    ratios = [(v.ratio, v.n) for v in levels if v.n and v.ratio == v.ratio]
    total = sum(n for _, n in ratios)
    if total:
        return sum(r * n for r, n in ratios) / total
    return float("nan")


def _about(e: ParameterEvidence, code: str, **values: object) -> Reason:
    return Reason(code, {"parameter": e.name, **values})


def _verdict(e: ParameterEvidence, partners: Sequence[str]) -> str:
    if e.matters:
        return MATTERS
    if e.fails:
        return FAILS
    if partners:
        return COUPLED
    if e.good < e.needed:
        return CANNOT_BE_JUDGED
    return NOT_SEEN


def _shape(e: ParameterEvidence, sign: float) -> tuple[str, str]:
    """The shape of an effect on the metric, and the end at which the trend turns."""
    c = e.correlation
    if c is None:
        return "choices", ""
    if c.low < 0 < c.high:
        # An optimum inside the range, or an effect that the other parameters hide: both look like this.
        return "inside", ""
    high = (c.estimate > 0) == (sign > 0)
    fifth = len(e.levels) // 5
    if high:
        end_levels = e.levels[-fifth:]
    else:
        end_levels = e.levels[:fifth]
    turns = len(e.levels) >= 5 and sum(v.n for v in end_levels) >= _LEAST and mean_ratio(end_levels) < 0.5
    shape = "rises" if c.estimate > 0 else "falls"
    if not turns:
        return shape, ""
    return shape, "high" if high else "low"


def _effect(e: ParameterEvidence, about: Whole, shape: str, few_at: str) -> Reason:
    c = e.correlation
    a = e.association
    if c is not None and shape == "inside":
        if e.seen_by == "additive":
            seen_by = "additive"
        else:
            seen_by = "importance"
        return _about(e, "no_trend", metric=about.metric, estimate=c.estimate, q=e.q, seen_by=seen_by)
    if c is not None:
        rank = {"estimate": c.estimate, "low": c.low, "high": c.high, "q": e.q}
        if about.sign > 0:
            direction = "maximize"
        else:
            direction = "minimize"
        values = {"metric": about.metric, "direction": direction, "way": shape, "few_at": few_at}
        return _about(e, "trend", **values, **rank)
    assert a is not None
    judged = sorted((v for v in e.levels if v.n), key=lambda v: -about.sign * v.median)
    if len(judged) <= _MOST_SHOWN:
        shown = judged
    else:
        shown = [judged[0], judged[-1]]
    # A finding of the parameter's own test is reported as such.
    if e.seen_by == "importance" and 3 * a.p <= ALPHA:
        seen_by = "trend"
    else:
        seen_by = e.seen_by
    medians = [[v.label, v.median] for v in shown]
    return _about(e, "choices", effect=a.effect, q=e.q, seen_by=seen_by, medians=medians)


def _quiet(e: ParameterEvidence, about: Whole) -> Reason:
    if about.constant:
        return _about(e, "constant", metric=about.metric)
    c = e.correlation
    a = e.association
    values: dict[str, float] = {"q": e.q, "alpha": ALPHA}
    if c is not None:
        values |= {"estimate": c.estimate, "low": c.low, "high": c.high}
    elif a is not None:
        values["effect"] = a.effect
    if e.good < e.needed:
        return _about(e, "too_few", **values, good=e.good, needed=e.needed)
    return _about(e, "not_seen", **values)


def _rich(e: ParameterEvidence) -> tuple[int, ...]:
    """Levels at which the good trials are more frequent than overall."""
    if not e.matters or not e.parameter.ordered:
        return ()
    return tuple(i for i, v in enumerate(e.levels) if v.n >= _LEAST and v.ratio_low > 1)


def _open_ends(e: ParameterEvidence) -> tuple[str, ...]:
    """Ends at which the best trials pile up, except natural limits such as a rate of 0."""
    p = e.parameter
    sides = [edge.side for edge, _ in e.piled_up]
    return tuple(s for s in sides if isinstance(p, Range) and widened(e.name, p, p, s) is not None)


def _failing(e: ParameterEvidence, about: Whole) -> Reason:
    """Levels or ends where trials fail, are degenerate or infeasible more often."""
    values: dict[str, object] = {"degenerate": about.degenerate, "apart": e.apart}
    if about.constrained:
        values["constrained"] = True
    bad = [v for v in e.levels if v.bad_q <= ALPHA]
    if not bad and e.bad is not None:  # each level has too few trials, but all together show a trend
        if e.bad.higher > 0.5:
            way = "higher"
        else:
            way = "lower"
        trend = {"below": e.bad.below, "above": e.bad.above, "q": e.bad_trend_q}
        return _about(e, "fails_towards", **values, way=way, **trend)
    worst = sorted(bad, key=lambda v: -v.bad)[:_MOST_SHOWN]
    return _about(e, "fails_at", **values, levels=[[v.label, v.bad] for v in worst], q=worst[0].bad_q)
