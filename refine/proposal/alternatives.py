"""Further suggestions: flat parameters to fix at a cheap level, and the size of the next round. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import as_read, different, unread_in
from refine.analysis.evidence import ALPHA, ParameterEvidence, level_positions, level_values
from refine.analysis.reason import Reason
from refine.design.space_filling import feasible
from refine.proposal.posterior import Surrogate
from refine.space.encoding import encode, label
from refine.space.fidelity import fidelity_of
from refine.space.space import Space
from refine.utils.arrays import row_codes

_LEAST_SAVING = 0.05
_LEAST_TRIALS = 5
_HIT = 0.05
_SURE = 0.95
_MOST_FAILING = 0.5  # a larger expected share of failures makes no round larger
_AUDIT = 0.05  # share of audit trials in a round


@dataclass(frozen=True)
class Offer:
    """A parameter that could be fixed without loss at its cheapest level.

    Never part of the proposed space.
    """

    name: str
    value: Any  # the level offered
    saving: float  # saved share of the typical time of a trial
    probability: float  # stated probability that the fixed level keeps a value within epsilon of the best
    reason: Reason


@dataclass(frozen=True)
class Advice:
    """Advised size of the next round."""

    n: int  # advised number of configurations, at most those of the space
    hit: int  # number of even trials that hit the best 5 % of the space with probability 0.95
    seconds: float  # time of the n trials, one after the other; NaN without timed trials
    reason: Reason


def offers(analysis: Analysis, surrogate: Surrogate, epsilon: float, risk: float) -> tuple[Offer, ...]:
    """Flat parameters that could be fixed at their cheapest good level.

    Flat means equivalent: in at most a share ``risk`` of the posterior's draws does fixing the parameter at
    some level lose more than epsilon, with the other parameters free to compensate. The time of a trial must
    depend on the parameter.

    Source: Schuirmann (1987) for testing equivalence by intervals.
    """
    coupled = {k for pair in analysis.pairs if pair.q <= ALPHA for k in (pair.i, pair.j)}
    out = []
    for j, e in enumerate(analysis.parameters):
        cost = e.cost_q
        if not analysis.tested:
            cost = e.cost_p
        if e.matters or e.fails or j in coupled or cost > ALPHA or e.parameter.size < 2:
            continue
        cheapest, saving = _cheapest(e)
        if cheapest is None or saving < _LEAST_SAVING:
            continue
        holds = np.nan_to_num(surrogate.good_at(j, epsilon))
        if holds.min() < 1 - risk:
            continue
        value = e.parameter.grid[cheapest]
        measured = {"epsilon": epsilon, "saving": saving, "level": label(value), "value": encode(value)}
        claim = stats.share_of_draws(holds[cheapest] * surrogate.draws, surrogate.draws)
        reason = Reason("flat", {"parameter": e.name, **measured})
        out.append(Offer(e.name, value, saving, claim, reason))
    return tuple(out)


def _cheapest(e: ParameterEvidence) -> tuple[int | None, float]:
    """The level with the fastest trials, and the saved share of the median time."""
    timed_levels = [
        (v.seconds, i)
        for i, v in enumerate(e.levels)
        if v.timed >= _LEAST_TRIALS and math.isfinite(v.seconds)
    ]
    if len(timed_levels) < 2:
        return None, 0.0
    typical = float(np.median([s for s, _ in timed_levels]))
    seconds, level = min(timed_levels)
    return level, 1 - seconds / typical if typical > 0 else 0.0


def trial_seconds(analysis: Analysis, space: Space, full_share: float = 1.0) -> float:
    """Mean seconds of a trial inside ``space``, or of all trials if fewer than five are timed there.

    NaN without timed trials. With a fidelity, ``full_share`` of the trials run at its full level, and seconds
    are taken to grow with the level.
    """
    table = analysis.table
    if "seconds" in table:
        seconds = np.asarray(table["seconds"], dtype=float)
    else:
        seconds = np.full(len(table), np.nan)
    timed = np.isfinite(seconds) & (seconds > 0)  # imported runs without times have 0
    if all(name in analysis.space for name in space):
        inside = timed & np.asarray(space.contains(as_read(space, analysis.parameters, table)), dtype=bool)
        if inside.sum() >= _LEAST_TRIALS:
            timed = inside
    if not timed.any():
        return math.nan
    named = fidelity_of(space)
    if named is None:
        return float(seconds[timed].mean())
    name, fidelity = named
    cost = np.asarray(table[name], dtype=float)[timed] / fidelity.full
    return float(seconds[timed].sum() / cost.sum() * fidelity.mean_cost_of(full_share))


def left_to_run(analysis: Analysis, space: Space) -> int:
    """Number of configurations of a space that neither the round nor its ancestors ran.

    Trials of other branches do not count: a child skips the configurations of its ancestors alone. Of a space
    with other parameters, all configurations are left.
    """
    ran = np.ones(len(analysis.X), dtype=np.bool_)
    if analysis.from_branches is not None:
        ran = ~analysis.from_branches
    X = analysis.read_positions
    exist = feasible(space).high
    for j, e in enumerate(analysis.parameters):
        if e.name not in space:
            return exist
        kept_positions = level_positions(e.parameter)[space[e.name].contains(level_values(e.parameter))]
        unread = np.isnan(X[:, j])
        positions, level = np.unique(analysis.X[:, j], return_inverse=True)
        inside = np.asarray((np.abs(positions[:, None] - kept_positions) < 1e-9).any(axis=1))
        ran &= unread | inside[level]
    done = int(np.unique(row_codes(np.nan_to_num(X[ran], nan=-1.0))).size)
    return max(0, different(space, analysis.parameters, exist) - done)


def advice(analysis: Analysis, space: Space, remaining: int, failing: float = math.nan) -> Advice:
    """Advised size of a round on a space with ``remaining`` configurations to run.

    ``failing`` is the expected share of failures among even trials, NaN if unknown: the round grows by the
    failures.
    """
    if math.isnan(failing):
        failing = 0.0
    counted = min(failing, _MOST_FAILING)
    hit = math.ceil(math.log(1 - _SURE) / math.log(1 - _HIT))
    advised = math.ceil(hit / (1 - _AUDIT) / (1 - counted) / 10) * 10
    n = min(advised, remaining)
    seconds = n * trial_seconds(analysis, space)
    counts = {"hit": hit, "hit_share": _HIT, "probability": _SURE}
    parameters = len(analysis.parameters) - len(unread_in(space, analysis.parameters))
    sizes = {"wanted": advised, "n": n, "left": remaining, "size": space.size}
    failures = {"failing": failing, "counted": counted}
    reason = Reason("size", {**counts, "parameters": parameters, **sizes, **failures})
    return Advice(n, hit, seconds, reason)
