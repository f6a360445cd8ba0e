"""Trials that settle a question, and the outlook of such trials, simulated on drawn functions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.analysis.conditions import reading
from refine.analysis.evidence import level_axis
from refine.proposal.posterior import NOT_READ, Surrogate
from refine.proposal.question import Evidence
from refine.space.space import Indices
from refine.stats.simulation import gains_of
from refine.utils.arrays import Bools, Floats, rounded
from refine.utils.threads import one_thread

SIZES = (6, 12, 24, 48)
"""Numbers of trials that are simulated."""
SURE = 0.9
"""Model probability of a yes, or of a no, from which on a question counts as settled."""
SURE_OF_TWO = 0.85
"""The same for the better one of two regions, and for a tie."""
ENOUGH = 0.42
"""Share of simulated rounds from which on trials count as enough: 13 of 17 real rounds settled."""
NOISE = "noise"
"""Obstacle: values repeat too badly."""
REGION = "region"
"""Obstacle: the bests may lie in too many places."""

_BATCH = 0.25  # share of an axis: a chosen cell covers draws whose best lies closer than about this
_BATCHES = 12  # two batches, for a question that no number of trials is likely to settle
_TRUTHS = 64  # number of drawn functions that serve as the truth
_CELLS = 200  # largest number of candidates that may be best


class Outlook(NamedTuple):
    """Simulated rounds of trials near the bests of the two sides of a question."""

    shares: Mapping[int, float]  # trials -> share of the rounds that settle the question
    exact: float  # the share for the largest possible number of trials if values had no noise

    def needed(self, available: int | None = None) -> int:
        """Smallest number of trials that is :data:`ENOUGH`, else 12; at most ``available``."""
        possible = [n for n in self.shares if available is None or n <= available]
        enough = [n for n in possible if self.shares[n] >= ENOUGH]
        if enough:
            return min(enough)
        return min(_BATCHES, max(possible, default=0))

    def obstacle(self, available: int | None = None) -> str:
        """The reason why no possible number of trials is :data:`ENOUGH`; empty if one is."""
        if any(share >= ENOUGH for n, share in self.shares.items() if available is None or n <= available):
            return ""
        if self.exact >= ENOUGH:
            return NOISE
        return REGION


@one_thread
def outlook_of(
    evidence: Evidence,
    sides: tuple[Bools, Bools],
    cells: Sequence[int],
    epsilon: float,
    *,
    of_two: bool = False,
    available: int | None = None,
) -> Outlook:
    """Simulates rounds at the first of some cells.

    In turn a drawn function is the truth. Its values at the cells, with noise, move all functions.

    Args:
        evidence: The posterior and the trials.
        sides: (c,) masks of the candidates inside and outside.
        cells: Candidates to run, best first, as from :func:`contenders`.
        epsilon: Tolerance, in units of the metric.
        of_two: Whether the question is about the better one of two regions.
        available: Largest number of trials, simulated as well; ``None`` without a limit.
    """
    surrogate = evidence.surrogate
    posterior = surrogate.posterior
    noise = float(np.nan_to_num(evidence.analysis.noise.sd))
    processes = posterior.scores[posterior.forest % len(posterior.scores) :]
    columns = _columns(processes, sides, cells)
    # A candidate that fails in a draw has the worst score of the draw.
    values = posterior.value(processes[:, columns])
    inside, outside = (side[columns] for side in sides)
    limit = SURE
    if of_two:
        limit = SURE_OF_TWO
    ran = np.searchsorted(columns, cells)

    def settled(n: int, sd: float) -> float:
        """The share of the rounds of ``n`` trials that settle the question."""
        rng = np.random.default_rng(n)
        chosen = ran[:n]
        truths = values[rng.permutation(len(values))[:_TRUTHS]][:, chosen]
        shape = len(values), len(chosen)
        gains = gains_of(values, chosen, np.full(len(chosen), sd**2))
        count = 0
        for truth in truths:
            measured = truth + sd * (rng.standard_normal(len(chosen)) - rng.standard_normal(shape))
            moved = values + (measured - values[:, chosen]) @ gains
            difference = moved[:, outside].max(axis=1) - moved[:, inside].max(axis=1)
            lost = [np.mean(difference > epsilon), np.mean(difference < -epsilon)]
            held, held_outside = (float(surrogate.weights.chance(np.full(3, 1 - share))) for share in lost)
            answers = [held, 1 - held]
            if of_two:
                answers = [1 - held_outside, 1 - held, held + held_outside - 1]
            count += bool(max(answers) >= limit)
        return count / len(truths)

    sizes = {min(n, len(cells)) for n in (*SIZES, available or SIZES[0])}
    largest = max(n for n in sizes if n <= (available or len(cells)))
    return Outlook({n: settled(n, noise) for n in sorted(sizes)}, settled(largest, 0.0))


def _columns(values: npt.NDArray[np.float32], sides: tuple[Bools, Bools], cells: Sequence[int]) -> Indices:
    """(k,) numbers of some cells, and of the best candidates of functions on either side, ascending."""
    tops = [np.flatnonzero(side)[values[:, side].argmax(axis=1)] for side in sides]
    best = np.unique(np.concatenate(tops))
    if len(best) > _CELLS:
        best = np.random.default_rng(0).choice(best, _CELLS, replace=False)
    return np.union1d(best, np.asarray(cells, dtype=np.int64))


def contenders(
    evidence: Evidence, inside: Bools, outside: Bools, n: int, epsilon: float, tried: Bools
) -> list[int]:
    """Numbers of candidates to run, at most ``n``, alternately inside and outside, near the bests.

    Inside, the candidates are the best of drawn functions with a best inside within epsilon of the best;
    outside, of drawn functions with a better best outside. A chosen cell stands for the neighbours: a batch
    is diverse.

    Args:
        evidence: The posterior and the trials.
        inside: (c,) mask of candidates.
        outside: (c,) mask of candidates to compare with.
        n: Number of cells.
        epsilon: Tolerance, in units of the metric.
        tried: (c,) mask of candidates that ran.
    """
    surrogate = evidence.surrogate
    scores = surrogate.posterior.scores
    top_inside = scores[:, inside].max(axis=1).astype(float)
    top_outside = scores[:, outside].max(axis=1).astype(float)
    bound = surrogate.posterior.lowest_within(np.maximum(top_inside, top_outside), epsilon) - 1e-6
    supporting = top_inside >= bound
    first = _spread_bests(surrogate, inside & ~tried, supporting, n)
    second = _spread_bests(surrogate, outside & ~tried, ~supporting, n)
    alternating = [cell for pair in zip_longest(first, second) for cell in pair]
    return [cell for cell in alternating if cell is not None][:n]


def _spread_bests(surrogate: Surrogate, part: Bools, draws: Bools, n: int) -> list[int]:
    """Up to ``n`` candidates of a part: the best of many draws, at a distance.

    ``draws`` are the draws to vote; without a draw, all draws vote.
    """
    numbers = np.flatnonzero(part)
    if not len(numbers):
        return []
    if not draws.any():
        draws = np.ones_like(draws)
    best = numbers[surrogate.posterior.scores[np.ix_(draws, part)].argmax(axis=1)]
    cells, votes = np.unique(best, return_counts=True)
    positions = _on_axes(surrogate, cells)
    distance = np.abs(positions[:, None] - positions[None]).sum(axis=2)
    near = np.exp(-((distance / _BATCH) ** 2))
    uncovered = votes.astype(float)
    chosen: list[int] = []
    while len(chosen) < min(n, len(cells)):
        support = rounded(near @ uncovered)
        support[chosen] = -1.0
        k = int(support.argmax())
        chosen.append(k)
        uncovered = uncovered * (1.0 - near[k])
    return [int(cells[k]) for k in chosen]


def _on_axes(surrogate: Surrogate, cells: Any) -> Floats:
    """(k, columns) positions of candidates in which two choices of an unordered parameter are 1 apart."""
    parts = []
    for j, e in enumerate(surrogate.found):
        position = surrogate.candidates[cells, j]
        if e.parameter.ordered:
            parts.append(position[:, None])
        else:
            parts.append(0.5 * (position[:, None] == np.arange(e.parameter.size)[None]))
    return np.concatenate(parts, axis=1)


def ran_candidates(evidence: Evidence) -> Bools:
    """(c,) mask of the candidates equal to a trial in the parameters read."""
    analysis = evidence.analysis
    surrogate = evidence.surrogate
    axes = [level_axis(e.parameter) for e in analysis.parameters]
    levels = np.stack([axis.index(analysis.X[:, j]) for j, axis in enumerate(axes)], axis=1)
    read = reading(analysis.parameters, analysis.X)
    if read is not None:
        levels = np.where(read, levels, NOT_READ)
    ran = {row.tobytes() for row in np.ascontiguousarray(levels, dtype=np.int64)}
    rows = np.ascontiguousarray(surrogate.levels, dtype=np.int64)
    return np.array([row.tobytes() in ran for row in rows], dtype=np.bool_)


def level_rows(surrogate: Surrogate, cells: Sequence[int]) -> Indices:
    """(k, parameters) level numbers of candidates in the order of the space."""
    space = surrogate.space
    rows = np.zeros((len(cells), len(space)), dtype=np.int64)
    names = list(space)
    for j, e in enumerate(surrogate.found):
        rows[:, names.index(e.name)] = level_axis(e.parameter).index(surrogate.candidates[list(cells), j])
    return space.canonical(rows)
