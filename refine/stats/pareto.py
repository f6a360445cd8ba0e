"""Fronts of several goals: the undominated points, and the parts of a space that keep them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from refine.errors import AnalysisError
from refine.stats._common import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from refine.stats.posterior import Posterior

TARGETS = 8
"""Number of points of a draw's front that a path of boxes tracks: one byte per draw."""


def non_dominated(values: ArrayLike) -> BoolArray:
    """(n,) mask of undominated points of (n, goals) values; equal points are undominated together.

    A point is dominated by a point at least as good in every goal and better in one.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise AnalysisError(
            f"values: must be finite numbers of shape (n, goals), got shape {table.shape}; leave out trials "
            "without a value"
        )
    if not len(table):
        return np.zeros(0, dtype=np.bool_)
    points, group = np.unique(table, axis=0, return_inverse=True)
    # A dominating point has a larger sum. In the order of sums, each remaining point is therefore on the
    # front.
    remaining = np.argsort(-points.sum(axis=1), kind="stable")
    on = np.zeros(len(points), dtype=np.bool_)
    while remaining.size:
        best = remaining[0]
        remaining = remaining[1:]
        on[best] = True
        remaining = remaining[(points[remaining] > points[best]).any(axis=1)]
    return np.asarray(on[group.reshape(-1)])


def hypervolume(values: ArrayLike, reference: ArrayLike) -> float:
    """Volume between a (goals,) reference point and the front of (n, goals) points, with 2 or 3 goals.

    Points that are not better than the reference in every goal count nothing.
    """
    table = np.asarray(values, dtype=np.float64)
    corner = np.asarray(reference, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] not in (2, 3) or corner.shape != table.shape[1:]:
        raise AnalysisError(
            "values: must have shape (n, 2) or (n, 3) and a reference of as many goals, "
            f"got {table.shape} and {corner.shape}"
        )
    table = table[(table > corner).all(axis=1)]
    if not len(table):
        return 0.0
    table = np.unique(table[non_dominated(table)], axis=0)
    if table.shape[1] == 2:
        x, y = table.T  # x increases, so y decreases
        return float(np.sum((x - np.r_[corner[0], x[:-1]]) * (y - corner[1])))
    # Slices along the last goal, best first: the area of a slice is that of all points that reach its height.
    order = np.argsort(-table[:, 2], kind="stable")
    heights = np.r_[table[order, 2], corner[2]]
    areas = [hypervolume(table[order[: i + 1], :2], corner[:2]) for i in range(len(order))]
    return float(np.sum(np.array(areas) * (heights[:-1] - heights[1:])))


@dataclass(frozen=True, eq=False)
class Front:
    """Fronts of joint draws of several goals, and the candidates that represent their points.

    A candidate represents a point if it is, in the same draw, at most epsilon worse in every goal.
    """

    stands: NDArray[np.uint8]  # (points, ceil(c / 8)) bits: candidates that represent each point
    starts: IntArray  # (S,) number of the first point of each draw
    targets: BoolArray  # (S * TARGETS, c) candidates for a few points of each draw, spread along its front
    votes: FloatArray  # (c,) share of a draw's front that is this candidate, mean over the draws; sums to 1

    @property
    def draws(self) -> int:
        """Number of draws."""
        return int(self.starts.size)

    def kept(self, inside: BoolArray) -> BoolArray:
        """(S,) mask of draws with all points of the front represented by a candidate inside, (c,) bools."""
        standing = (self.stands & np.packbits(inside)).any(axis=1)
        return np.asarray(np.logical_and.reduceat(standing, self.starts))


def front_of(posteriors: Sequence[Posterior], epsilons: Sequence[float]) -> Front:
    """Fronts of draws of separate posteriors, one per goal, over the same candidates and with as many draws.

    `epsilons` are the tolerated losses per goal, in its own units.
    """
    scores = np.stack([p.scores for p in posteriors], axis=-1)
    draws, count = scores.shape[:2]
    stands = []
    starts = []
    targets = []
    votes = np.zeros(count)
    total = 0
    for draw in scores:
        on_front = np.flatnonzero(non_dominated(draw))
        bounds = np.stack(
            [
                p.lowest_within(draw[on_front, k], epsilon) - 1e-6  # single precision, as in Posterior.within
                for k, (p, epsilon) in enumerate(zip(posteriors, epsilons, strict=True))
            ],
            axis=-1,
        ).astype(np.float32)
        good = (draw[None] >= bounds[:, None]).all(axis=-1)
        stands.append(np.packbits(good, axis=1))
        starts.append(total)
        targets.append(good[_spread(draw[on_front])])
        votes[on_front] += 1.0 / (len(on_front) * draws)
        total += len(on_front)
    return Front(np.concatenate(stands), np.array(starts), np.concatenate(targets), votes)


def draws_represented(
    posteriors: Sequence[Posterior], epsilons: Sequence[float], first: BoolArray, second: BoolArray
) -> BoolArray:
    """(S,) mask of joint draws with the front of two parts represented by candidates of the first part.

    A candidate represents a point of the draw if the candidate is at most epsilon worse in all goals. Points
    of the first part represent themselves: only the front of the second part matters.

    Args:
        posteriors: Draws of each goal, over the same (c,) candidates.
        epsilons: Tolerated loss of each goal, in its own units.
        first: (c,) mask of the candidates that may represent a point.
        second: (c,) mask of the candidates to represent.
    """
    inside = [p.scores[:, first] for p in posteriors]
    outside = [p.scores[:, second] for p in posteriors]
    points = _near_front(outside)
    shields = _near_front(inside)
    bounds = [
        p.lowest_within(scores[points], epsilon) - 1e-6  # single precision, as in Posterior.within
        for p, scores, epsilon in zip(posteriors, outside, epsilons, strict=True)
    ]
    starts = np.r_[0, np.cumsum(points.sum(axis=1))]
    represented = np.zeros(len(shields), dtype=np.bool_)
    for draw, shield in enumerate(shields):
        covers: BoolArray = np.ones((1, 1), dtype=np.bool_)
        for bound, scores in zip(bounds, inside, strict=True):
            lowest = bound[starts[draw] : starts[draw + 1]].astype(np.float32)
            covers = covers & (scores[draw, shield] >= lowest[:, None])
        represented[draw] = covers.any(axis=1).all()
    return represented


def _near_front(goals: Sequence[NDArray[np.float32]]) -> BoolArray:
    """(S, c) mask of candidates not dominated by the best weighted sums of the draw: the front and some more.

    ``goals`` are (S, c) scores by goal.
    """
    near = np.ones(goals[0].shape, dtype=np.bool_)
    for weights in (*(np.eye(len(goals), dtype=np.float32) + 0.2), np.ones(len(goals), dtype=np.float32)):
        sums = sum(weight * scores for weight, scores in zip(weights, goals, strict=True))
        best = np.asarray(sums).argmax(axis=1)[:, None]
        better = np.zeros_like(near)
        equal = np.ones_like(near)
        for scores in goals:
            top = np.take_along_axis(scores, best, axis=1)
            better |= scores > top
            equal &= scores == top
        near &= better | equal
    return near


def _spread(points: FloatArray) -> IntArray:
    """Numbers of :data:`TARGETS` points of a front, far from each other; repeated for a smaller front."""
    chosen = [int(i) for i in points.argmax(axis=0)]
    away = np.min([((points - points[i]) ** 2).sum(axis=1) for i in chosen], axis=0)
    while len(chosen) < TARGETS:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen[:TARGETS])
