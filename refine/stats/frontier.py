"""Which levels may go at which risk: one path of nested boxes, each with the probability of what it loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refine.errors import AnalysisError
from refine.stats._common import BoolArray, FloatArray, IntArray, check_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from refine.stats.box import Axis
    from refine.stats.posterior import Posterior

Bits = NDArray[np.uint8]
_COUNT = np.array([bin(i).count("1") for i in range(256)], dtype=np.uint8)


class RiskBox(NamedTuple):
    """A part of a space and what it risks.

    Attributes:
        keep: one (L,) bool array per axis: which levels stay.
        kept: product over the axes of the measure that stays, in (0, 1].
        risk: posterior probability that the best value inside is worse than the best anywhere by more than epsilon.
        top: share of the draws whose very best candidates are inside.
    """

    keep: tuple[BoolArray, ...]
    kept: float
    risk: float
    top: float


class Frontier(NamedTuple):
    """Nested boxes, from the whole space down; their risks increase.

    Attributes:
        boxes: the boxes, the whole space first.
        epsilon: tolerated loss, in units of the metric.
        draws: number of draws S; no risk but that of the whole space, 0, is below 1 / (2 (S + 1)).
    """

    boxes: tuple[RiskBox, ...]
    epsilon: float
    draws: int

    def at(self, risk: float) -> RiskBox:
        """The smallest box of the path whose risk is accepted.

        Args:
            risk: accepted probability of losing more than epsilon, in (0, 1).

        Raises:
            AnalysisError: `risk` isn't in (0, 1).
        """
        check_share(risk, "risk")
        return [box for box in self.boxes if box.risk <= risk][-1]

    def menu(self, risks: Sequence[float] = (0.01, 0.05, 0.15, 0.3)) -> tuple[RiskBox, ...]:
        """The boxes for several risks, each inside the one before."""
        return tuple(self.at(risk) for risk in sorted(risks))


@dataclass(frozen=True, slots=True)
class RiskPath:
    """Shrink the space again and again by what raises the probability of a loss least per log-volume.

    Every draw has its set of good candidates, those within epsilon of its best. A draw is lost when none of them is inside.
    A step takes levels off either end of an ordered axis, or one choice of an unordered one. Steps are compared by the draws
    that they lose and, with a smaller weight, by the draws whose very best candidates they lose, which decides while the
    first number is 0.

    Source: our own; greedy as in the Patient Rule Induction Method, Friedman and Fisher (1999).

    Attributes:
        guide: weight of a lost draw's very best against that of a lost draw.
        share: of the candidates that are a draw's very best.
        most: risk at which the path ends.
    """

    guide: float = 0.2
    share: float = 0.002
    most: float = 0.5

    def __post_init__(self) -> None:
        check_share(self.share, "share")
        check_share(self.most, "most")
        if not 0.0 <= self.guide < np.inf:
            raise AnalysisError(f"guide: must be a number >= 0, got {self.guide!r}")

    def __call__(
        self,
        posterior: Posterior,
        candidates: ArrayLike,
        axes: Sequence[Axis],
        epsilon: float,
        keep: ArrayLike | None = None,
        stays: Sequence[ArrayLike | None] | None = None,
    ) -> Frontier:
        """Walk the path.

        Args:
            posterior: of `MixedPosterior`, over the candidates.
            candidates: (c, d) positions or codes of the candidates.
            axes: d axes; nothing is dropped from a frozen one.
            epsilon: tolerated loss >= 0, in units of the metric.
            keep: (r, d) points that must stay inside, such as the best by posterior mean.
            stays: per axis (L,) bools of levels that are never dropped, such as those without trials; None for none.

        Raises:
            AnalysisError: if shapes differ or epsilon is negative or NaN.
        """
        index = levels_of(candidates, axes)
        if index.shape[0] != posterior.scores.shape[1]:
            raise AnalysisError(
                f"candidates: need one row per candidate of the posterior, got {index.shape[0]} and "
                f"{posterior.scores.shape[1]}"
            )
        good = posterior.within(epsilon)
        wanted = max(1, round(self.share * index.shape[0]))
        cut = np.partition(posterior.scores, -wanted, axis=1)[:, -wanted]
        state = _State(good, posterior.scores >= cut[:, None], index, axes, keep, stays)
        draws = good.shape[0]
        boxes = [RiskBox(state.masks(), 1.0, 0.0, 1.0)]
        while state.step(self.guide):
            risk = (draws - state.alive + 0.5) / (draws + 1)
            boxes.append(RiskBox(state.masks(), state.volume(), risk, state.on_top / draws))
            if risk > self.most:
                break
        return Frontier(tuple(boxes), float(epsilon), draws)


def risk_of(posterior: Posterior, inside: ArrayLike, epsilon: float) -> float:
    """Posterior probability that some of the candidates hold nothing within epsilon of the best of all.

    Args:
        posterior: of `MixedPosterior`.
        inside: (c,) bools, whether the candidate stays.
        epsilon: tolerated loss >= 0, in units of the metric.

    Returns:
        (draws that lose + 1/2) / (draws + 1); 0 where all candidates stay.

    Raises:
        AnalysisError: if shapes differ or epsilon is negative or NaN.
    """
    kept = np.asarray(inside, dtype=np.bool_)
    if kept.shape != posterior.scores.shape[1:]:
        raise AnalysisError(f"inside: needs shape {posterior.scores.shape[1:]}, got {kept.shape}")
    if kept.all():
        return 0.0
    good = posterior.within(epsilon)
    lost = int(np.count_nonzero(~good[:, kept].any(axis=1)))
    return (lost + 0.5) / (good.shape[0] + 1)


def untried(axis: Axis, x: ArrayLike, reach: float = 0.1) -> BoolArray:
    """Levels of which no trial tells anything.

    Args:
        axis: the axis.
        x: (n,) positions or codes of the trials.
        reach: an ordered level counts as tried if a trial is so near, in units of the axis's range. Between tried levels
            a level of an ordered axis is known by its neighbours.

    Returns:
        (L,) bools: choices without a trial; of an ordered axis, levels beyond all trials.
    """
    tried = np.asarray(x, dtype=np.float64)
    levels = np.asarray(axis.levels, dtype=np.float64)
    if tried.size == 0:
        return np.ones(levels.size, dtype=np.bool_)
    if axis.unordered:
        return ~np.isin(np.arange(levels.size), axis.index(tried))
    slack = reach * float(levels[-1] - levels[0]) + 1e-12
    return np.asarray((levels < tried.min() - slack) | (levels > tried.max() + slack))


def levels_of(X: ArrayLike, axes: Sequence[Axis]) -> IntArray:
    """(n, d) level numbers of positions or codes.

    Raises:
        AnalysisError: X needs one column per axis.
    """
    table = np.asarray(X, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(axes):
        raise AnalysisError(f"X: needs shape (n, {len(axes)}), one column per axis, got {table.shape}")
    return np.stack([axis.index(table[:, j]) for j, axis in enumerate(axes)], axis=1)


_Option = tuple[float, float, IntArray]


class _State:
    """The box so far. A candidate's draws are bits: those it is good in, then those it is the very best of."""

    def __init__(
        self,
        good: BoolArray,
        top: BoolArray,
        index: IntArray,
        axes: Sequence[Axis],
        keep: ArrayLike | None,
        stays: Sequence[ArrayLike | None] | None,
    ) -> None:
        useful = np.flatnonzero(good.any(axis=0) | top.any(axis=0))
        parts = [np.packbits(part[:, useful].T, axis=1) for part in (good, top)]
        self.bits: Bits = np.ascontiguousarray(np.concatenate(parts, axis=1))
        self.half = parts[0].shape[1]
        self.index = index[useful]
        self.axes = axes
        self.shares = [axis.shares() for axis in axes]
        self.keep = [np.ones(share.size, dtype=np.bool_) for share in self.shares]
        self.forced = [np.zeros(share.size, dtype=np.bool_) for share in self.shares]
        if keep is not None:
            for must, levels in zip(self.forced, levels_of(keep, axes).T, strict=True):
                must[levels] = True
        for must, more in zip(self.forced, stays or [None] * len(axes), strict=True):
            if more is not None:
                must |= np.asarray(more, dtype=np.bool_)
        self.alive, self.on_top = good.shape[0], top.shape[0]

    def masks(self) -> tuple[BoolArray, ...]:
        return tuple(mask.copy() for mask in self.keep)

    def volume(self) -> float:
        return float(np.prod([s[mask].sum() for s, mask in zip(self.shares, self.keep, strict=True)]))

    def step(self, guide: float) -> bool:
        """Take the best step; whether there was one."""
        best: tuple[float, float, int, IntArray] | None = None
        for j, axis in enumerate(self.axes):
            if axis.frozen or self.keep[j].sum() < 2 or self.forced[j][self.keep[j]].all():
                continue
            for lost, gain, dropped in self._options(j, guide):
                rating = (lost / gain, -gain)
                if best is None or rating < best[:2]:
                    best = (*rating, j, dropped)
        if best is None:
            return False
        _, _, j, dropped = best
        self.keep[j][dropped] = False
        inside = self.keep[j][self.index[:, j]]
        self.index, self.bits = self.index[inside], self.bits[inside]
        held = np.bitwise_or.reduce(self.bits, axis=0) if len(self.bits) else np.zeros(2 * self.half, np.uint8)
        self.alive, self.on_top = (int(v) for v in self._count(held[None, :])[0])
        return self.alive > 0

    def _count(self, held: Bits) -> IntArray:
        """(m, 2) numbers of draws that still have a good, and one of their very best, candidates."""
        count = _COUNT[held]
        return np.stack(
            [count[:, : self.half].sum(axis=1), count[:, self.half :].sum(axis=1)], axis=1
        ).astype(np.int64)

    def _options(self, j: int, guide: float) -> Iterator[_Option]:
        levels = np.flatnonzero(self.keep[j])
        share = self.shares[j]
        total = share[levels].sum()
        held = self._by_level(j, levels)
        below = np.bitwise_or.accumulate(held, axis=0)
        above = np.bitwise_or.accumulate(held[::-1], axis=0)[::-1]
        weight = np.array([1.0, guide])
        now = np.array([self.alive, self.on_top])
        if self.axes[j].unordered:
            nothing = np.zeros_like(held[:1])
            others = np.concatenate([nothing, below[:-1]]) | np.concatenate([above[1:], nothing])
            lost = (now - self._count(others)) @ weight
            gain = -np.log1p(-share[levels] / total)
            for i in np.flatnonzero(~self.forced[j][levels]):
                yield float(lost[i]), float(gain[i]), levels[i : i + 1]
            return
        for order, rest in ((levels, above[1:]), (levels[::-1], below[-2::-1])):
            stop = order.size - 1
            musts = np.flatnonzero(self.forced[j][order])
            if musts.size:
                stop = min(stop, int(musts[0]))
            if stop == 0:
                continue
            lost = (now - self._count(rest[:stop])) @ weight
            gain = -np.log1p(-np.cumsum(share[order[:stop]]) / total)
            # Longer cuts compete too, so that a small bump at the very end doesn't shield an empty stretch.
            cut = int(np.lexsort((-gain, lost / gain))[0])
            yield float(lost[cut]), float(gain[cut]), order[: cut + 1]

    def _by_level(self, j: int, levels: IntArray) -> Bits:
        """(levels, bytes) union of the candidates' bits at every level."""
        out = np.zeros((levels.size, self.bits.shape[1]), dtype=np.uint8)
        at = self.index[:, j]
        if not at.size:
            return out
        order = np.argsort(at, kind="stable")
        seen, start = np.unique(at[order], return_index=True)
        out[np.searchsorted(levels, seen)] = np.bitwise_or.reduceat(self.bits[order], start, axis=0)
        return out
