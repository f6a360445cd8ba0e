"""Which levels may go at which risk: the path of boxes that is read off a posterior, and what binds it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import inside_of, reading
from refine.analysis.evidence import ALPHA, level_positions
from refine.proposal.posterior import LEAST_INSIDE, Surrogate
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Bools

# Risks that are listed beside each other.
RISKS = (0.01, 0.05, 0.15, 0.3)


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes by risk, each inside those of smaller risks."""

    frontier: stats.Frontier  # the path of boxes
    couplings: tuple[tuple[int, int], ...]  # pairs of parameter numbers that are coupled
    ranges: frozenset[int]  # numbers of the parameters that are ranges: at least two levels of theirs stay
    alone: frozenset[int]  # numbers of the parameters that may be narrowed without a partner
    untried: tuple[Bools, ...]  # per parameter, which levels stay because no trial tells anything of them

    def levels(self, risk: float) -> list[Bools]:
        """Per parameter, which levels stay at that risk."""
        box = self.frontier.at(risk)
        halves = _halves(box.keep, self.couplings, self.alone)
        return [
            np.ones_like(mask)
            if j in halves
            else self._two(j, risk)
            if j in self.ranges and mask.sum() == 1
            else mask
            for j, mask in enumerate(box.keep)
        ]

    def _two(self, j: int, risk: float) -> Bools:
        """The level of a range that stays alone, and its neighbour that stayed longest."""
        kept = [box.keep[j] for box in self.frontier.boxes if box.risk <= risk]
        before = next(mask for mask in reversed(kept) if mask.sum() > 1)
        level = int(np.flatnonzero(kept[-1])[0])
        near = [at for at in (level + 1, level - 1) if 0 <= at < before.size and before[at]]
        pair = kept[-1].copy()
        pair[near[0]] = True
        return pair


def boxes_given(
    analysis: Analysis,
    surrogate: Surrogate,
    epsilon: float,
    risk: float,
    eligible: Collection[str],
    decided: Mapping[str, Parameter],
) -> Boxes | None:
    """As :func:`boxes_of`, of what is left where a person decided on some parameters; ``None`` where hardly a candidate is."""
    inside = inside_of(surrogate.space.replace(decided), surrogate.space, surrogate.found, surrogate.columns)
    if not inside.all():
        if surrogate.front is not None or int(inside.sum()) < (1 if surrogate.exhaustive else LEAST_INSIDE):
            return None
        surrogate = surrogate.inside(inside)
    return boxes_of(analysis, surrogate, epsilon, risk, eligible, frozenset(decided))


def boxes_of(
    analysis: Analysis,
    surrogate: Surrogate,
    epsilon: float,
    risk: float,
    eligible: Collection[str] = (),
    decided: Collection[str] = (),
) -> Boxes:
    """Which levels stay, by risk, up to the largest that will be asked for.

    Nothing is dropped of a parameter unless it, or a pair it belongs to, was seen to matter, now or (``eligible``) earlier, or nothing
    could be tested; nor of what is decided. The best configuration by posterior mean stays, and so do levels without trials. What
    only a coupling lets in is narrowed with its partner or not at all.
    """
    evidence, by_goal = analysis.parameters, (analysis, *analysis.others)
    level = ALPHA / len(by_goal)  # every goal is another chance to be seen
    pairs = tuple(dict.fromkeys((p.i, p.j) for each in by_goal for p in each.pairs if p.q <= level))
    seen = {e.name for each in by_goal for e in each.parameters if e.q <= level or e.fails}
    alone = frozenset(
        j for j, e in enumerate(evidence) if e.name in seen or e.name in eligible or not analysis.tested
    )
    ranges = frozenset(
        j for j, e in enumerate(evidence) if isinstance(e.parameter, Range) and e.parameter.size > 1
    )
    coupled = {k for pair in pairs for k in pair}
    frozen = {j for j, e in enumerate(evidence) if not (j in alone or j in coupled) or e.read == 0}
    frozen |= {j for j, e in enumerate(evidence) if e.name in decided}
    if surrogate.front is None:
        frozen |= {j for j in range(len(evidence)) if j not in frozen and surrogate.flat(j, epsilon)}
    known = analysis.read_positions
    each = zip(by_goal, (surrogate, *surrogate.others), strict=True)
    best = np.concatenate([a.read_positions[s.posterior.best_known(1)] for a, s in each])
    read = reading(evidence, surrogate.candidates)
    walk = stats.RiskPath(most=max(*RISKS, risk), inside=1 if surrogate.exhaustive else LEAST_INSIDE)
    while True:
        axes = [
            stats.Axis(level_positions(e.parameter), unordered=not e.parameter.ordered, frozen=j in frozen)
            for j, e in enumerate(evidence)
        ]
        stays = tuple(stats.untried(axis, known[np.isfinite(known[:, j]), j]) for j, axis in enumerate(axes))
        path = walk(
            surrogate.posterior,
            surrogate.candidates,
            axes,
            epsilon,
            keep=best,
            stays=stays,
            read=read,
            front=surrogate.front,
        )
        # What is cut alone at the largest risk is cut with its partner at none.
        halves = _halves(path.boxes[-1].keep, pairs, alone)
        if not halves:
            return Boxes(path, pairs, ranges, alone, stays)
        frozen |= halves


def _halves(keep: Sequence[Bools], couplings: Sequence[tuple[int, int]], alone: Collection[int]) -> set[int]:
    """Parameters that are cut while their partner is not, and that may not be cut alone."""
    cut = {j for j, mask in enumerate(keep) if not mask.all()}
    halves: set[int] = set()
    for k in cut.difference(alone):
        partners = {j for pair in couplings if k in pair for j in pair if j != k}
        if not partners & cut:
            halves.add(k)
    return halves
