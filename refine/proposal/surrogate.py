"""What the objective may look like over the cells of a space, and which levels may go at which risk. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.believed import thought_of
from refine.analysis.conditions import inside_of, reading
from refine.analysis.evaluated import natural_limits
from refine.analysis.evidence import ALPHA, ParameterEvidence, level_axis, level_positions
from refine.design.space_filling import Uniform, draw, feasible
from refine.space.parameters import Parameter, Range
from refine.space.space import Indices, Space
from refine.utils.arrays import Bools, Floats

MENU = (0.01, 0.05, 0.15, 0.3)
"""Risks that are listed beside each other."""

_CANDIDATES = 4000
_RUN = 200  # most cells of trials among the candidates
_LEAST_INSIDE = 20
_FEWEST = 5
_FLAT = 0.95
_SEED = 0
"""Of candidates and draws. A constant of the method: equal evidence gives equal boxes, whatever the analysis's seed."""


def cardinalities_of(analysis: Analysis) -> list[int]:
    """Per parameter 0 where it is ordered, else its number of choices."""
    return [0 if e.parameter.ordered else e.parameter.size for e in analysis.parameters]


def known_enough(analysis: Analysis) -> bool:
    """Whether there are enough different configurations for a posterior."""
    if not analysis.parameters or int(analysis.configurations.max()) + 1 < _FEWEST:
        return False
    read = reading(analysis.parameters, analysis.X)
    return read is None or len(np.unique(np.where(read, analysis.X, -1.0), axis=0)) >= _FEWEST


def posterior_of(analysis: Analysis, positions: Floats, exact: bool = False) -> stats.Posterior:
    """The posterior over (c, parameters) cells, wherever they lie on the analysed axes.

    ``exact`` says whether draws hold what models leave over, if that is a property of the cells: a claim needs it. To choose
    what runs next it would be chance.
    """
    exact = exact and analysis.noise.deterministic
    found = analysis.parameters
    read = reading(found, analysis.X), reading(found, positions)
    sizes = cardinalities_of(analysis)

    def of(y: Floats, seed: int, prior: tuple[Floats, Floats] | None = None) -> stats.Posterior:
        drawn = stats.MixedPosterior(seed=seed)(analysis.X, y, positions, sizes, *read, prior, exact=exact)
        return drawn.up_to(natural_limits(y)[1]) if exact else drawn

    feasibility, prior = analysis.feasibility, _prior(analysis, positions)
    if feasibility is None:
        return of(analysis.y, _SEED, prior)
    # A constraint that every trial meets, or none knows of, tells no cells apart.
    telling = [slack for slack in feasibility.slack if (slack < 0).any()]
    limits = [of(slack, _SEED + 1 + k) for k, slack in enumerate(telling)]
    met = np.asarray((feasibility.slack >= 0).all(axis=0), dtype=np.bool_)
    return stats.constrained(of(feasibility.measured, _SEED, prior), limits, met)


def _prior(analysis: Analysis, positions: Floats) -> tuple[Floats, Floats] | None:
    """What a belief that still weighs something says of the evidence and of cells; ``None`` without one."""
    held = analysis.belief
    if held is None or held.weight == 0:
        return None
    of, found = held.said.belief, analysis.parameters
    at, cells = (held.weight * thought_of(of, found, where) for where in (analysis.X, positions))
    return at, cells


_REACH = 0.2
"""Of an axis: optima that are nearer than this on every one lie in one region."""


class Region(NamedTuple):
    """Where the best may lie outside a box."""

    levels: tuple[Bools, ...]  # per analysed parameter, which of its levels the region spans
    probability: float  # of draws whose best lies there, by more than epsilon above all inside
    outside: float  # the same of all that lies outside the box
    share: float  # of what lies outside, as measured by candidates


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The posterior over candidate cells of the analysed space."""

    space: Space  # the space
    posterior: stats.Posterior  # of the candidates
    candidates: Floats  # (c, parameters) their positions
    columns: dict[str, npt.NDArray[Any]]  # name -> (c,) their values
    exhaustive: bool  # whether they are all the cells there are
    found: tuple[ParameterEvidence, ...]  # evidence of the parameters, which says where they are read
    # of several goals, the fronts of joint draws; ``posterior`` is the first goal's then
    front: stats.Front | None = None
    others: tuple[Surrogate, ...] = ()  # the surrogates of the further goals

    def joined(self, others: Sequence[Surrogate], epsilons: Sequence[float]) -> Surrogate:
        """The surrogate of several goals, over the same candidates; ``epsilons`` are per goal the loss that counts as none."""
        front = stats.front_of([self.posterior, *(other.posterior for other in others)], epsilons)
        return replace(self, front=front, others=tuple(others))

    def inside(self, inside: Bools) -> Surrogate:
        """The surrogate over some of its candidates, of one goal."""
        scores, mean = self.posterior.scores[:, inside], self.posterior.mean[inside]
        posterior = self.posterior._replace(scores=scores, mean=mean)
        columns = {name: column[inside] for name, column in self.columns.items()}
        return replace(self, posterior=posterior, candidates=self.candidates[inside], columns=columns)

    @property
    def draws(self) -> int:
        """Number of draws that a probability is counted in."""
        return len(self.posterior.scores)

    @cached_property
    def optima(self) -> Floats:
        """(draws, parameters) positions of every draw's best candidate."""
        return self.candidates[self.posterior.scores.argmax(axis=1)]

    @cached_property
    def _good(self) -> dict[float, Bools]:
        return {}

    def good(self, epsilon: float) -> Bools:
        """(draws, c) whether a candidate is within epsilon of the best of a draw."""
        if epsilon not in self._good:
            self._good[epsilon] = self.posterior.within(epsilon)
        return self._good[epsilon]

    def flat(self, j: int, epsilon: float) -> bool:
        """Whether the draws can't tell the levels of a parameter apart: nearly all have a value within epsilon of the best at each."""
        level = level_axis(self.found[j].parameter).index(self.candidates[:, j])
        good = self.good(epsilon)
        return min(good[:, level == i].any(axis=1).mean() for i in np.unique(level)) >= _FLAT

    def probability(self, new: Space, epsilon: float) -> float:
        """Probability that the best value inside ``new`` is within epsilon of the best; NaN where it can't be told.

        Of several goals: that every point of the front has a configuration inside that is at most epsilon worse in each.
        """
        inside = inside_of(new, self.space, self.found, self.columns)
        if inside.all():
            return 1.0
        if int(inside.sum()) < _LEAST_INSIDE and not self.exhaustive:
            return math.nan
        if self.front is not None:
            return stats.share_of_draws(self.front.kept(inside), self.draws)
        good = self.good(epsilon)
        return stats.share_of_draws(np.count_nonzero(good[:, inside].any(axis=1)), len(good))

    def elsewhere(self, new: Space, epsilon: float) -> Region | None:
        """The likeliest region outside ``new``, along the parameters that it cuts; ``None`` where no draw has its best there.

        The optima within ``_REACH`` of one of them count as one region. Of several goals it is the first one's.
        """
        inside = inside_of(new, self.space, self.found, self.columns)
        lost = ~self.good(epsilon)[:, inside].any(axis=1)
        if not lost.any():
            return None
        axes = [level_axis(e.parameter) for e in self.found]
        cut = [e.name in new and new[e.name] != e.parameter for e in self.found]
        optima = self.optima[lost]
        apart = np.abs(optima[:, None, cut] - optima[None, :, cut]).max(axis=2, initial=0.0)
        near = apart <= _REACH
        there = optima[near[near.sum(axis=1).argmax()]]
        region, levels = ~inside, []
        for j, axis in enumerate(axes):
            at = axis.index(there[:, j])
            mask: Bools = np.full(len(axis.levels), not cut[j], dtype=np.bool_)
            mask[at if axis.unordered else slice(at.min(), at.max() + 1)] = True
            region &= mask[axis.index(self.candidates[:, j])]
            levels.append(mask)
        share = float(region.sum() / (~inside).sum())
        return Region(tuple(levels), len(there) / self.draws, float(lost.mean()), share)


def surrogate_of(analysis: Analysis) -> Surrogate | None:
    """The posterior of an analysis over its own space; ``None`` under five different configurations."""
    if not known_enough(analysis):
        return None
    space, names = analysis.space, [e.name for e in analysis.parameters]
    # With constraints a part of a small grid may be all there is.
    exist = feasible(space)
    rows = draw(Uniform(), space, max(1, min(_CANDIDATES, exist.low)), _SEED)
    if analysis.noise.deterministic:
        rows = _with_run(analysis, rows)
    columns = space.columns(rows)
    positions = np.column_stack([space[n].unit(columns[n]) for n in names])
    exhaustive = exist.exact and len(rows) == exist.count
    posterior = posterior_of(analysis, positions, exact=True)
    return Surrogate(space, posterior, positions, columns, exhaustive, analysis.parameters)


def _with_run(analysis: Analysis, rows: Indices) -> Indices:
    """Candidate cells, and the cells of the best trials that are not among them: what is known to be there is no guess."""
    space, best = analysis.space, np.argsort(-analysis.y, kind="stable")[:_RUN]
    ran = np.zeros((len(best), len(space)), dtype=rows.dtype)
    for j, e in enumerate(analysis.parameters):
        ran[:, list(space).index(e.name)] = level_axis(e.parameter).index(analysis.X[best, j])
    ran = space.canonical(ran)
    return np.unique(np.concatenate([rows, ran[space.valid(ran)]]), axis=0)


@dataclass(frozen=True, eq=False)
class Menu:
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


def menu_given(
    analysis: Analysis,
    surrogate: Surrogate,
    epsilon: float,
    risk: float,
    eligible: Collection[str],
    decided: Mapping[str, Parameter],
) -> Menu | None:
    """As :func:`menu_of`, of what is left where a person decided on some parameters; ``None`` where hardly a candidate is."""
    inside = inside_of(surrogate.space.replace(decided), surrogate.space, surrogate.found, surrogate.columns)
    if not inside.all():
        if surrogate.front is not None or int(inside.sum()) < (1 if surrogate.exhaustive else _LEAST_INSIDE):
            return None
        surrogate = surrogate.inside(inside)
    return menu_of(analysis, surrogate, epsilon, risk, eligible, frozenset(decided))


def menu_of(
    analysis: Analysis,
    surrogate: Surrogate,
    epsilon: float,
    risk: float,
    eligible: Collection[str] = (),
    decided: Collection[str] = (),
) -> Menu:
    """Which levels stay, by risk, up to the largest that will be asked for.

    Nothing is dropped of a parameter unless it, or a pair it belongs to, was seen to matter, now or (``eligible``) earlier, or nothing
    could be tested; nor of what is decided. The best configuration by posterior mean stays, and so do levels without trials. What
    only a coupling lets in is narrowed with its partner or not at all.
    """
    found, looks = analysis.parameters, (analysis, *analysis.others)
    level = ALPHA / len(looks)  # every goal is another chance to be seen
    pairs = tuple(dict.fromkeys((p.i, p.j) for look in looks for p in look.pairs if p.q <= level))
    seen = {e.name for look in looks for e in look.parameters if e.q <= level or e.fails}
    alone = frozenset(
        j for j, e in enumerate(found) if e.name in seen or e.name in eligible or not analysis.tested
    )
    ranges = frozenset(
        j for j, e in enumerate(found) if isinstance(e.parameter, Range) and e.parameter.size > 1
    )
    coupled = {k for pair in pairs for k in pair}
    frozen = {j for j, e in enumerate(found) if not (j in alone or j in coupled) or e.read == 0}
    frozen |= {j for j, e in enumerate(found) if e.name in decided}
    if surrogate.front is None:
        frozen |= {j for j in range(len(found)) if j not in frozen and surrogate.flat(j, epsilon)}
    known = analysis.read_positions
    each = zip(looks, (surrogate, *surrogate.others), strict=True)
    best = np.concatenate([a.read_positions[s.posterior.best_known(1)] for a, s in each])
    read = reading(found, surrogate.candidates)
    walk = stats.RiskPath(most=max(*MENU, risk), inside=1 if surrogate.exhaustive else _LEAST_INSIDE)
    while True:
        axes = [
            stats.Axis(level_positions(e.parameter), unordered=not e.parameter.ordered, frozen=j in frozen)
            for j, e in enumerate(found)
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
            return Menu(path, pairs, ranges, alone, stays)
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
