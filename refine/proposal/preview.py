"""Consequences of a decision: best trials kept, volume, risk, density and time of the next round. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import as_read, configuration_keys, different
from refine.analysis.reason import Reason
from refine.design.space_filling import feasible
from refine.errors import closest
from refine.proposal.alternatives import left_to_run, trial_seconds
from refine.proposal.proposal import Claim, Proposal
from refine.space.categorical import Categorical
from refine.space.encoding import value_key
from refine.space.space import Space
from refine.trials.frame import best_first
from refine.utils.arrays import Bools
from refine.utils.display import Shown

if TYPE_CHECKING:
    import pandas as pd

_TOP = 0.1
_LEAST_TOP = 10


class Expected(NamedTuple):
    """Expected values of the best trials on retraining, in the metric's own sign."""

    low: float  # the least and the most of those among the best 10 that lie outside
    high: float
    inside: float  # the best of the trials that lie inside
    loss: float  # how much better the best of those outside is than ``inside``; below 0 where it is worse
    exact: bool  # whether there is no noise, so that these are the values observed


@dataclass(frozen=True, repr=False)
class Preview(Shown):
    """Consequences of a space for the next round."""

    space: Space  # the space looked at
    volume_kept: float  # volume kept of the present space
    proposed_volume_kept: float  # the same of what was proposed
    # probability that the best value inside is within epsilon of the best in the present space; NaN where it
    # can't be stated
    probability: float
    proposed_probability: float  # the same of what was proposed
    epsilon: float  # loss that counts as none
    claim: Claim  # the claim for this space
    metric: str  # name of the metric
    top: int  # how many of the round's trials are its top: a tenth, at least 10
    top_kept: int  # how many of those lie inside
    best: float  # the best value of the round, and
    best_kept: float  # of its trials inside; NaN without one
    lost: tuple[int, ...]  # ranks of the trials among the best 10 that lie outside; 1 is the best
    n: int  # configurations of the next round: as many as asked for, or as are left
    exist: int  # configurations that the space has, or the best estimate
    left: int  # how many of them have not been run, to judge by the evidence
    hit: float  # probability that the next round hits the best 5 % of the space
    seconds: float  # estimated time of the next round; NaN where trials say nothing of it
    workers: int  # how many trials run at a time
    # values of choices that the present space does not have: they may be meant, or typing errors
    new_values: tuple[Reason, ...] = ()
    no_value: int = 0  # how many trials inside ended without a value
    # what trials outside and inside are expected to give again; ``None`` where none of the best 10 is
    # outside, or nothing can be expected
    expected: Expected | None = None
    edited: tuple[str, ...] = ()  # parameters that the person edited

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
        values = {"metric": self.metric, "best": self.best, "ranks": list(self.lost)}
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
    proposal: Proposal, analysis: Analysis, space: Space, n: int, workers: int, allow_degenerate: bool = False
) -> Preview:
    """Consequences of a space for a next round of at most ``n`` configurations, ``workers`` at a time."""
    ranked = best_first(analysis.table, analysis.direction, analysis.space, allow_degenerate)
    top = _top_of(len(ranked))
    inside = _inside(analysis, space, ranked)
    values = np.asarray(ranked["value"], dtype=float)
    exist = different(space, analysis.parameters, feasible(space).count)
    left = left_to_run(analysis, space)
    n = min(n, left)
    lost = analysis.table[~np.isfinite(np.asarray(analysis.table["value"], dtype=float))]
    claim = proposal.claim_for(space)
    return Preview(
        space=space,
        volume_kept=proposal.volume_of(space),
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
        lost=tuple(int(i) + 1 for i in np.flatnonzero(~inside[:10])),
        n=n,
        exist=exist,
        left=left,
        hit=float(stats.hit_probability(n, 0.05)),
        seconds=trial_seconds(analysis, space) * math.ceil(n / workers) if workers else math.nan,
        workers=workers,
        new_values=new_values(proposal.old, space, proposal.space),
        no_value=int(_inside(analysis, space, lost).sum()),
        expected=_expected(proposal, analysis, ranked, inside),
    )


def _expected(proposal: Proposal, analysis: Analysis, ranked: pd.DataFrame, inside: Bools) -> Expected | None:
    """Posterior expectations of the trials among the best 10 that lie outside, and of the trials inside."""
    posterior = proposal.posterior
    if posterior is None or inside[:10].all() or not inside.any():
        return None
    means = posterior.value(posterior.known_mean)
    varied = [name in analysis.space.varied for name in analysis.space]
    keys = configuration_keys(analysis.parameters, analysis.X[posterior.known])
    of_configuration = dict(zip(keys, means, strict=True))
    ranked_keys = configuration_keys(analysis.parameters, analysis.space.unit(ranked)[:, varied])
    value = np.asarray([of_configuration.get(key, math.nan) for key in ranked_keys])
    if analysis.noise.deterministic:
        value = analysis.sign * np.asarray(ranked["value"], dtype=float)
    outside_means = value[:10][~inside[:10]]
    inside_means = value[inside]
    if np.isnan(outside_means).all() or np.isnan(inside_means).all():
        return None
    best = float(np.nanmax(inside_means))
    best_outside = float(np.nanmax(outside_means))
    low, high = sorted((analysis.sign * float(np.nanmin(outside_means)), analysis.sign * best_outside))
    return Expected(low, high, analysis.sign * best, best_outside - best, analysis.noise.deterministic)


def kept_of_top(analysis: Analysis, space: Space, allow_degenerate: bool = False) -> tuple[int, int]:
    """Number of a round's top trials, and number of them inside a space of the same parameters."""
    ranked = best_first(analysis.table, analysis.direction, analysis.space, allow_degenerate)
    top = ranked.iloc[: _top_of(len(ranked))]
    return len(top), int(np.asarray(space.contains(top), dtype=bool).sum())


def _top_of(count: int) -> int:
    return min(count, max(_LEAST_TOP, math.ceil(_TOP * count)))


def _inside(analysis: Analysis, space: Space, table: pd.DataFrame) -> Bools:
    """(n,) trials inside a space.

    None if the space adds parameters, since a trial then has no place in it.
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
        if proposed is not None:
            let_in = proposed.get(name)
        else:
            let_in = None
        known_keys = {value_key(v) for p in (previous, let_in) if isinstance(p, Categorical) for v in p.grid}
        for label, value in zip(parameter.labels, parameter.grid, strict=True):
            if value_key(value) not in known_keys:
                similar = closest(label, previous.labels)
                reasons.append(Reason("new_value", {"parameter": name, "value": label, "meant": similar}))
    return tuple(reasons)
