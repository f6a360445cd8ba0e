"""Ends of a range beyond which the optimum may be, and the range continued past them. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ParameterEvidence, level_positions
from refine.analysis.finding import piled_up
from refine.analysis.reason import Reason
from refine.space.encoding import label
from refine.space.limits import limit_of, widened
from refine.space.parameters import Range
from refine.trials.front import front_rows
from refine.trials.goal import Goal

BEYOND = 0.5
"""The range goes on past an end at which this share of the draws of the posterior have their best value, ..."""

NEAR = 0.25
"""... and past one with this share where the range would be narrowed onto it; a box doesn't cut such an end off."""


class Widening(NamedTuple):
    """A range after looking at its ends.

    Attributes:
        new: The range, continued where the optimum may be beyond; what was given where nothing was to be done.
        reasons: Why it goes on, and which limit stops it.
    """

    new: Range
    reasons: tuple[Reason, ...]


def beyond(
    analysis: Analysis,
    e: ParameterEvidence,
    new: Range,
    optima: npt.NDArray[np.float64] | None,
    first: Analysis,
) -> Widening:
    """A range continued past the ends at which the best trials pile up, or up to which the values improve.

    A trend counts where the parameter matters (so that its false alarms are those of the tests), and the posterior says
    whether it leads beyond: an optimum beyond shows as draws whose best value lies at the very end. With it at four fifths
    of the range few draws do (5 to 40 % in simulated rounds of 40 trials), with it at the end or beyond most (45 to 98 %).

    What only makes a further goal better, as ever fewer units make a model cheaper, has no end. For the sake of such a goal a range
    goes on where the points of the front nearest to that end are no worse than the median trial in the first goal.

    Args:
        analysis: What was measured, of the goal in which the parameter is seen the clearest.
        e: The part about this parameter.
        new: What is left of its range.
        optima: (draws,) its position at every draw's best value; ``None`` without a posterior.
        first: The first goal's analysis, which is ``analysis`` itself where there is one goal.
    """
    old = e.parameter
    assert isinstance(old, Range)
    why = {edge.side: piled_up(e, edge, q) for edge, q in e.piled_up}
    side = _improves_towards(analysis, e)
    if side and side not in why and optima is not None:
        end = stats.Axis(level_positions(old)).index(optima) == (old.size - 1 if side == "high" else 0)
        share = float(end.mean())
        if share >= NEAR:
            new = _up_to_end(old, new, side)
        onto = new.low > old.low if side == "high" else new.high < old.high
        if share >= BEYOND or (onto and share >= NEAR):
            why[side] = _trend(analysis, e, side)
    reasons: list[Reason] = []
    for at, reason in why.items():
        if (new.high < old.high) if at == "high" else (new.low > old.low):
            continue  # that end leaves
        if first is not analysis and not _useful(first, e.name, at):
            goals = {"metric": analysis.metric, "first": first.metric}
            reasons.append(Reason("useless_beyond", {"parameter": e.name, "side": at, **goals}))
            continue
        wider = widened(e.name, old, new, at)
        reasons += [reason] if wider is not None or reason.code == "piled_up" else []
        reasons += _limited(e.name, old, wider, at)
        new = wider or new
    return Widening(new, tuple(reasons))


def _useful(first: Analysis, name: str, side: str) -> bool:
    """Whether the points of the front nearest to an end are no worse than the median trial in the first goal."""
    goals = [Goal(look.metric, look.direction) for look in (first, *first.others)]
    front = front_rows(first.table, goals, first.space).dropna(subset=[name])
    if front.empty:
        return True
    nearest = front[name] == (front[name].max() if side == "high" else front[name].min())
    reached = front.loc[nearest].iloc[:, 0].median()
    return bool(first.sign * reached >= first.sign * first.table["value"].median())


def _improves_towards(analysis: Analysis, e: ParameterEvidence) -> str:
    """The end that the trend of a parameter that matters leads to; empty where none does."""
    found = analysis.findings[e.name]
    if found.shape not in ("rises", "falls") or found.few_at:
        return ""
    return "high" if (found.shape == "rises") == (analysis.sign > 0) else "low"


def _up_to_end(old: Range, new: Range, side: str) -> Range:
    """What is left of a range, and the levels from there up to one of its ends."""
    if side == "high" and new.high < old.high:
        return old.with_levels([*new.grid, *(v for v in old.grid if v > new.high)])
    if side == "low" and new.low > old.low:
        return old.with_levels([*(v for v in old.grid if v < new.low), *new.grid])
    return new


def _trend(analysis: Analysis, e: ParameterEvidence, side: str) -> Reason:
    level = e.levels[-1 if side == "high" else 0].label
    return Reason(
        "improves_to_end",
        {"parameter": e.name, "metric": analysis.metric, "side": side, "level": level, "q": e.q},
    )


def _limited(name: str, old: Range, wider: Range | None, side: str) -> list[Reason]:
    """The limit that stops a range, where it does."""
    limit = limit_of(name, old, side)
    if limit is None:
        return []
    far = None if wider is None else wider.high if side == "high" else wider.low
    short = (
        far is None
        or far == limit.at
        or (
            not limit.closed
            and abs(far - limit.at) < 0.5 * abs(limit.at - (old.high if side == "high" else old.low))
        )
    )
    if not short:
        return []
    values = {"parameter": name, "side": side, "limit": label(float(limit.at)), "why": limit.why}
    return [Reason("limited", {**values, "widened": wider is not None})]
