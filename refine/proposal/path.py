"""Levels kept at each risk: the path of boxes of a posterior, its restrictions, and equally good choices.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import configuration_keys, inside_of, reading
from refine.analysis.evidence import level_positions
from refine.proposal.posterior import NOT_READ, Surrogate
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Bools

# Risks whose proposals are listed next to each other.
RISKS = (0.05, 0.15, 0.3)

# A choice is worse than a kept choice if two conditions hold. First, its best value is the better one with at
# most this probability, or with the asked risk if that is larger.
_BETTER = 0.15
# Second, its best value is within epsilon of that of the kept choice with at most this probability.
_EQUAL = 0.5


class KeptLevels(NamedTuple):
    """Levels of a parameter kept at some risk."""

    kept: Bools  # (levels,) mask of the kept levels
    # (levels,) choices that are kept only because they cannot be told apart from other kept choices
    tied: Bools
    # number of the level that is kept only because a range needs two levels; -1 without such a level
    neighbour: int = -1

    @property
    def in_box(self) -> Bools:
        """(levels,) levels that the box itself keeps."""
        return self.kept & ~self.tied

    def joined(self, other: KeptLevels) -> KeptLevels:
        """The levels kept by either; tied are those that no box keeps."""
        tied = (self.tied | other.tied) & ~(self.in_box | other.in_box)
        if self.neighbour == other.neighbour:
            neighbour = self.neighbour
        else:
            neighbour = -1
        return KeptLevels(self.kept | other.kept, tied, neighbour)


@dataclass(frozen=True, eq=False)
class BoxPath:
    """Boxes by risk, each inside the boxes of smaller risks."""

    frontier: stats.Frontier  # the path
    surrogate: Surrogate  # the posterior behind it
    epsilon: float  # loss that counts as none, in units of the (first) metric
    axes: tuple[stats.Axis, ...]  # one axis per parameter
    ranges: frozenset[int]  # numbers of the parameters that are ranges, which keep at least two levels
    untried: tuple[Bools, ...]  # per parameter, levels that are kept for lack of a trial nearby
    max_risk: float  # the largest risk of the path

    def last(self, risk: float) -> int:
        """Number of the smallest box within a risk; 0 is the whole space."""
        return sum(box.risk <= risk for box in self.frontier.boxes) - 1

    def kept(self, risk: float, number: int | None = None) -> list[KeptLevels]:
        """Per parameter the levels kept at a risk, by the smallest box or by that of a ``number``."""
        if number is None:
            number = self.last(risk)
        box = self.frontier.boxes[number]
        masks = []
        neighbours = [-1] * len(box.keep)
        for j, mask in enumerate(box.keep):
            if j in self.ranges and mask.sum() == 1:
                masks.append(self._with_neighbour(j, number))
                neighbours[j] = int(np.flatnonzero(masks[j] & ~mask)[0])
            else:
                masks.append(mask)
        ties = [self._ties(j, masks, risk) for j in range(len(masks))]
        larger = min((other for other in (*RISKS, self.max_risk) if other > risk), default=None)
        if larger is not None:  # a tied level that a larger risk keeps is also kept at this risk
            for j, levels in enumerate(self.kept(larger, max(number, self.last(larger)))):
                ties[j] |= levels.tied & ~masks[j]
        parts = zip(masks, ties, neighbours, strict=True)
        return [KeptLevels(mask | tied, tied, neighbour) for mask, tied, neighbour in parts]

    def _with_neighbour(self, j: int, number: int) -> Bools:
        """The only level kept of a range, and the neighbour that the path dropped last."""
        path = [box.keep[j] for box in self.frontier.boxes[: number + 1]]
        before = next(mask for mask in reversed(path) if mask.sum() > 1)
        level = int(np.flatnonzero(path[-1])[0])
        near = [i for i in (level + 1, level - 1) if 0 <= i < before.size and before[i]]
        pair = path[-1].copy()
        pair[near[0]] = True
        return pair

    def _ties(self, j: int, masks: Sequence[Bools], risk: float) -> Bools:
        """Choices of parameter ``j`` dropped by the path although no kept choice is better.

        Choices are compared by their best values in each draw, among the candidates kept along the other
        axes. Dropping one of two equal choices loses nothing: the risk of a box does not tell equal from
        worse, and the dropped choice would be chosen by chance. With several goals a choice must be worse in
        one of them.

        Source: Gupta (1965), 'On some multiple decision (selection and ranking) rules', for keeping all
        choices that may be the best.
        """
        axis = self.axes[j]
        ties: Bools = np.zeros_like(masks[j])
        if not axis.unordered or masks[j].all():
            return ties
        level = self.surrogate.levels
        inside = np.ones(len(level), dtype=np.bool_)
        for other, mask in enumerate(masks):
            if other != j:
                inside &= mask[level[:, other]] | (level[:, other] == NOT_READ)
        members = {i: inside & (level[:, j] == i) for i in range(len(ties))}
        kept_choices = [i for i in np.flatnonzero(masks[j]).tolist() if members[i].any()]
        goals = self.surrogate.goals(self.epsilon)
        better = max(risk, _BETTER)
        for i in np.flatnonzero(~masks[j]).tolist():
            if members[i].any():
                ties[i] = bool(kept_choices) and all(
                    not _worse(posterior, epsilon, members[i], members[k], better)
                    for k in kept_choices
                    for posterior, epsilon in goals
                )
        return ties


def _worse(posterior: stats.Posterior, epsilon: float, choice: Bools, other: Bools, better: float) -> bool:
    """True if a set of candidates is worse than a second set: see ``_BETTER`` and ``_EQUAL``."""
    best = posterior.scores[:, choice].max(axis=1)
    other_best = posterior.scores[:, other].max(axis=1)
    if np.mean(best >= other_best) > better:
        return False
    within = best >= posterior.lowest_within(other_best, epsilon) - 1e-6  # single precision
    return bool(np.mean(within) <= _EQUAL)


def box_path_given(
    analysis: Analysis,
    surrogate: Surrogate,
    epsilon: float,
    risk: float,
    decided: Mapping[str, Parameter],
) -> BoxPath | None:
    """The path over the candidates that agree with the parameters already decided.

    ``None`` if too few candidates agree to state a probability, or with several goals.
    """
    inside = inside_of(surrogate.space.replace(decided), surrogate.space, surrogate.found, surrogate.columns)
    if not inside.all():
        if surrogate.front is not None or int(inside.sum()) < surrogate.fewest:
            return None
        surrogate = surrogate.inside(inside)
    return box_path_of(analysis, surrogate, epsilon, risk, frozenset(decided))


def box_path_of(
    analysis: Analysis,
    surrogate: Surrogate,
    epsilon: float,
    risk: float,
    decided: Collection[str] = (),
) -> BoxPath:
    """The path of boxes up to the largest risk that will be asked for.

    A parameter of ``decided``, or one that no trial reads, is not cut. The configuration with the best
    posterior mean is kept, also given repeats, and so are levels without trials.
    """
    evidence = analysis.parameters
    by_goal = (analysis, *analysis.others)
    ranges = frozenset(
        j for j, e in enumerate(evidence) if isinstance(e.parameter, Range) and e.parameter.size > 1
    )
    axes = tuple(
        stats.Axis(
            level_positions(e.parameter),
            unordered=not e.parameter.ordered,
            frozen=e.read == 0 or e.name in decided,
        )
        for e in evidence
    )
    tried = analysis.read_positions
    goals = zip(by_goal, (surrogate, *surrogate.others), strict=True)
    best = np.concatenate(
        [goal.read_positions[_best_rows(goal, goal_surrogate.posterior)] for goal, goal_surrogate in goals]
    )
    untried = tuple(
        stats.untried(axis, tried[np.isfinite(tried[:, j]), j]) & _possible(surrogate, j, axis)
        for j, axis in enumerate(axes)
    )
    walk = stats.RiskPath(
        limits=tuple(sorted({*RISKS, risk})), inside=surrogate.fewest, chance=surrogate.weights.chance
    )
    frontier = walk(
        surrogate.posterior,
        surrogate.candidates,
        axes,
        epsilon,
        keep=best,
        stays=untried,
        read=reading(evidence, surrogate.candidates),
        front=surrogate.front,
    )
    return BoxPath(
        frontier,
        surrogate,
        epsilon=epsilon,
        axes=axes,
        ranges=ranges,
        untried=untried,
        max_risk=max(*RISKS, risk),
    )


def _possible(surrogate: Surrogate, j: int, axis: stats.Axis) -> Bools:
    """(L,) mask of the levels of parameter ``j`` that a configuration has; all unless every cell is known."""
    if not surrogate.exhaustive:
        return np.ones(len(axis.levels), dtype=np.bool_)
    return np.asarray(np.isin(np.arange(len(axis.levels)), surrogate.levels[:, j]), dtype=np.bool_)


def _best_rows(analysis: Analysis, posterior: stats.Posterior) -> list[int]:
    """Rows of the configurations that every box keeps: the best posterior mean without and with repeats.

    A posterior mean, given the planned runs, counts as one run beside the repeats of its configuration.
    """
    best = int(posterior.best_known(1)[0])
    if analysis.replicates is None:
        return [best]
    positions, repeats = analysis.replicates
    repeats_of: dict[bytes, list[float]] = {}
    for key, repeat in zip(configuration_keys(analysis.parameters, positions), repeats, strict=True):
        repeats_of.setdefault(key, []).append(float(repeat))
    keys = configuration_keys(analysis.parameters, analysis.X[posterior.known])
    means = posterior.value(posterior.known_mean)
    expected = [np.mean([mean, *repeats_of.get(key, ())]) for key, mean in zip(keys, means, strict=True)]
    winner = int(posterior.known[int(np.argmax(expected))])
    return list(dict.fromkeys((best, winner)))
