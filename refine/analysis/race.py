"""A race of runs under new seeds among the configurations that may be the winner. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from refine import stats
from refine.analysis.winner import Judged, Race, best_within

DECIDED = 0.95
"""Probability from which on the leader is called decided."""

_SEEN = 3
"""Runs under new seeds that the leader has before it is called decided: the posterior alone could be wrong."""

SHARE = 0.1
"""Share of the noise's deviation that counts as no loss where configurations run again until they can be told apart."""

_AGAIN = 3
"""Runs again after which retraining may be taken to change nothing."""


def race_of(
    judged: Judged,
    spent: Sequence[int],
    top: int,
    budget: int,
    batch: int,
    epsilon: float | None,
    planned: int = 0,
) -> Race:
    """How the race stands, and what runs next.

    The racers are the candidates with the best posterior means by the planned runs alone, so that going on with a race
    goes on among the same ones; a candidate that overtakes all of them meanwhile joins. Observed values choose nothing.

    Args:
        judged: The candidates, given all of their runs.
        spent: Per candidate how many runs under new seeds have ended, in whatever way.
        top: How many take part.
        budget: How many runs under new seeds there shall be at most.
        batch: How many come next at most.
        epsilon: Loss that counts as none; ``None`` where nobody said it.
        planned: How many of those runs the rounds had planned anyway, such as of a baseline: no race pays for them.
    """
    racers = judged.field.plausible(top)
    leader = int(np.argmax(judged.expected[: judged.field.eligible]))
    racers += [leader] if leader not in racers else []
    runs, tolerance = sum(spent) - planned, judged.tolerance(epsilon, SHARE)
    none = (0,) * len(racers)
    share = math.nan
    if judged.draws is not None:
        share = best_within(judged.draws[:, racers], racers.index(leader), tolerance)
    if noiseless(judged, racers, max(judged.noise.step, epsilon or 0.0)):
        verdict = "noise"
    elif (sure := share >= DECIDED or len(racers) == 1) and spent[leader] >= _SEEN:
        verdict = "decided"
    else:
        verdict = "budget" if runs >= budget else "open"
    following = none
    if verdict == "open":
        left = min(batch, budget - runs)
        wanted = min(left, _SEEN - spent[leader])
        following = (
            tuple(wanted if i == leader else 0 for i in racers)
            if sure
            else _following(judged, racers, spent, left)
        )
    return Race(tuple(racers), runs, verdict, share, tolerance, following)


def noiseless(judged: Judged, racers: Sequence[int], tolerated: float) -> bool:
    """Whether runs again show that retraining changes no more than what counts as no loss.

    What the planned runs alone say of the noise is not enough: it is too little at times.
    """
    if judged.noise.deterministic:
        return True
    planned = judged.field.candidates
    apart = np.array([v - planned[i].observed for i in racers for v in judged.fresh[i]])
    if apart.size < _AGAIN:
        return False
    noise = judged.noise
    sd = noise.sd if noise.source == "replicates" else float(np.sqrt(np.mean(apart**2) / 2))
    rounding = 1e-9 * max(abs(planned[i].observed) for i in racers)
    return sd <= max(tolerated, rounding)


def _following(judged: Judged, racers: Sequence[int], spent: Sequence[int], runs: int) -> tuple[int, ...]:
    if judged.draws is None or not math.isfinite(judged.noise.sd):  # turn by turn, until something is known
        given = [0] * len(racers)
        for _ in range(runs):
            i = min(range(len(racers)), key=lambda k: spent[racers[k]] + given[k])
            given[i] += 1
        return tuple(given)
    draws = judged.draws[:, racers]
    shared = stats.KnowledgeGradient()(draws.mean(axis=0), draws.var(axis=0), judged.variance, runs)
    return tuple(map(int, shared.runs))
