"""Consequences of a decision: best trials kept, volume, risk, density and time of the next round. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import as_read, configuration_keys, different
from refine.analysis.evidence import GOOD
from refine.analysis.reason import Reason
from refine.analysis.winner import RetrainedValues
from refine.design.space_filling import feasible
from refine.errors import closest
from refine.proposal.alternatives import left_to_run, trial_seconds
from refine.proposal.proposal import Claim, Proposal, claim_for, volume_of
from refine.space.categorical import Categorical
from refine.space.encoding import value_key
from refine.space.space import Space
from refine.trials.frame import best_first
from refine.utils.arrays import Bools
from refine.utils.display import Shown

if TYPE_CHECKING:
    import pandas as pd

_MOST_TOP = 10


class Expected(NamedTuple):
    """Expected values of the best trials on retraining, in the metric's own sign."""

    low: float  # smallest and largest expected value of the top trials that lie outside
    high: float
    inside: float  # best expected value of the trials inside
    loss: float  # advantage of the best trial outside over ``inside``; below 0 for a disadvantage
    exact: bool  # values have no noise, so these are the observed values


@dataclass(frozen=True, repr=False)
class Preview(Shown):
    """Consequences of a space for the next round."""

    space: Space  # the space in question
    volume_kept: float  # volume kept of the present space
    proposed_volume_kept: float  # volume that the proposed space keeps
    # probability that the best value inside is within epsilon of the best in the present space; NaN if
    # unknown
    probability: float
    proposed_probability: float  # the same probability for the proposed space
    epsilon: float  # loss that counts as none
    claim: Claim  # the claim for this space
    metric: str  # name of the metric
    top: int  # number of top trials of the round: the best fifth, at most 10
    top_kept: int  # number of top trials inside
    best: float  # best value of the round
    best_kept: float  # best value of the trials inside; NaN without any
    lost: tuple[int, ...]  # ranks of the top trials that lie outside; 1 is the best
    n: int  # configurations of the next round: the number asked for, or the number left if smaller
    exist: int  # number of configurations in the space, or its estimate
    left: int  # number of those that have not run, by the evidence
    hit: float  # probability that the next round hits the best 5 % of the space
    seconds: float  # estimated time of the next round; NaN without timed trials
    workers: int  # number of trials at a time
    # choices that the present space lacks: new values, or typing errors
    new_values: tuple[Reason, ...] = ()
    no_value: int = 0  # number of trials inside that ended without a value
    # expected values of the best trials on retraining; ``None`` if no top trial lies outside, or if unknown
    expected: Expected | None = None
    edited: tuple[str, ...] = ()  # parameters that the person edited
    as_proposed: tuple[str, ...] = ()  # further parameters that change, as the proposal says

    @property
    def throws(self) -> bool:
        """True if the best is lost.

        The best trial lies outside, and no trial inside is, or is expected to be, as good.
        """
        lost = 1 in self.lost and self.best_kept != self.best
        return lost and not (self.expected is not None and self.expected.loss <= self.epsilon)

    @property
    def warning(self) -> Reason | None:
        """The loss among the best trials as a reason; ``None`` without a loss."""
        values = {"metric": self.metric, "best": self.best, "ranks": list(self.lost), "top": self.top}
        if self.expected is not None:
            values |= {name: getattr(self.expected, name) for name in ("low", "high", "inside", "exact")}
            values["tie"] = bool(0 < self.expected.loss <= self.epsilon)
        if 1 in self.lost and self.best_kept != self.best:
            return Reason("best_lost", {**values, "best_kept": self.best_kept, "no_value": self.no_value})
        if 1 in self.lost:
            return Reason("best_outside", values)
        if self.lost:
            return Reason("some_outside", values)
        return None


def preview_of(
    proposal: Proposal,
    space: Space,
    n: int,
    workers: int,
    retrained: Callable[[], RetrainedValues | None] = lambda: None,
    allow_degenerate: bool = False,
    full_share: float = 1.0,
) -> Preview:
    """Consequences of a space for a next round of at most ``n`` configurations, ``workers`` at a time.

    ``full_share`` is the share of trials at the full level of a fidelity. ``retrained`` gives the expected
    values of the configurations run so far; asked if a top trial is cut off.
    """
    analysis = proposal.analysis
    ranked = best_first(analysis.table, analysis.direction, analysis.space, allow_degenerate)
    top = _top_of(len(ranked))
    inside = _inside(analysis, space, ranked)
    values = np.asarray(ranked["value"], dtype=float)
    exist = different(space, analysis.parameters, feasible(space).count)
    left = left_to_run(analysis, space)
    n = min(n, left)
    lost = analysis.table[~np.isfinite(np.asarray(analysis.table["value"], dtype=float))]
    claim = claim_for(proposal, space)
    expected = None
    if inside.any() and not inside[:top].all() and (retrained_values := retrained()):
        expected = _expected(analysis, ranked, inside, top, retrained_values)
    return Preview(
        space=space,
        volume_kept=volume_of(proposal, space),
        proposed_volume_kept=proposal.volume_kept,
        probability=claim.probability,
        proposed_probability=proposal.claim.probability,
        epsilon=claim.epsilon,
        claim=claim,
        metric=analysis.metric,
        top=top,
        top_kept=int(inside[:top].sum()),
        best=float(values[0]) if len(values) else math.nan,
        best_kept=float(values[inside][0]) if inside.any() else math.nan,
        lost=tuple(int(i) + 1 for i in np.flatnonzero(~inside[:top])),
        n=n,
        exist=exist,
        left=left,
        hit=float(stats.hit_probability(n, 0.05)),
        seconds=trial_seconds(analysis, space, full_share) * math.ceil(n / workers) if workers else math.nan,
        workers=workers,
        new_values=new_values(proposal.old, space, proposal.space),
        no_value=int(_inside(analysis, space, lost).sum()),
        expected=expected,
    )


def _expected(
    analysis: Analysis, ranked: pd.DataFrame, inside: Bools, top: int, retrained: RetrainedValues
) -> Expected | None:
    """Expected values of those of ``top`` best trials that lie outside, and of the trials inside.

    ``None`` if they are unknown.
    """
    value_of = dict(zip(_keys(analysis, retrained.table), retrained.values, strict=True))
    value = np.asarray([value_of.get(key, math.nan) for key in _keys(analysis, ranked)])
    outside_means = value[:top][~inside[:top]]
    inside_means = value[inside]
    if np.isnan(outside_means).all() or np.isnan(inside_means).all():
        return None
    best = float(np.nanmax(inside_means))
    best_outside = float(np.nanmax(outside_means))
    low, high = sorted((analysis.sign * float(np.nanmin(outside_means)), analysis.sign * best_outside))
    return Expected(low, high, analysis.sign * best, best_outside - best, analysis.noise.deterministic)


def _keys(analysis: Analysis, table: pd.DataFrame) -> list[bytes]:
    """Keys of configurations: equal if they differ in unread values alone."""
    varied = [name in analysis.space.varied for name in analysis.space]
    return configuration_keys(analysis.parameters, analysis.space.unit(table)[:, varied])


def kept_of_top(analysis: Analysis, space: Space, allow_degenerate: bool = False) -> tuple[int, int]:
    """Number of a round's top trials, and number of them inside a space of the same parameters."""
    ranked = best_first(analysis.table, analysis.direction, analysis.space, allow_degenerate)
    top = ranked.iloc[: _top_of(len(ranked))]
    return len(top), int(np.asarray(space.contains(top), dtype=bool).sum())


def _top_of(count: int) -> int:
    """Number of top trials among a number of trials, as the figures mark them."""
    return min(_MOST_TOP, math.ceil(GOOD * count))


def _inside(analysis: Analysis, space: Space, table: pd.DataFrame) -> Bools:
    """(n,) trials inside a space.

    No trial lies inside a space that adds parameters: a trial then has no place there.
    """
    if not len(table) or any(name not in analysis.space for name in space):
        return np.zeros(len(table), dtype=np.bool_)
    return np.asarray(space.contains(as_read(space, analysis.parameters, table)), dtype=np.bool_)


def new_values(old: Space, new: Space, proposed: Space | None = None) -> tuple[Reason, ...]:
    """Choices that neither the old space nor the proposed one has: new values, or typing errors."""
    reasons = []
    for name, parameter in new.items():
        previous = old.get(name)
        if not isinstance(previous, Categorical) or not isinstance(parameter, Categorical):
            continue
        suggested = None
        if proposed is not None:
            suggested = proposed.get(name)
        offered = [p for p in (previous, suggested) if isinstance(p, Categorical)]
        known_keys = {value_key(v) for p in offered for v in p.grid}
        for label, value in zip(parameter.labels, parameter.grid, strict=True):
            if value_key(value) not in known_keys:
                similar = closest(label, previous.labels)
                reasons.append(Reason("new_value", {"parameter": name, "value": label, "meant": similar}))
    return tuple(reasons)
