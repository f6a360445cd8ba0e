"""The posterior of the objective over the cells of a space, from the evidence of an analysis. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.believed import thoughts_of
from refine.analysis.conditions import inside_of, reading
from refine.analysis.evidence import ParameterEvidence, level_axis
from refine.design.space_filling import Uniform, draw, feasible
from refine.proposal.chance import Weights, calibration
from refine.proposal.new_data import on_new_data
from refine.space.space import Indices, Space
from refine.utils.arrays import Bools, Floats, Ints

_CANDIDATES = 4000
_ADDED = 100  # candidates added inside a part of the space that hardly a candidate lies in
_RUN = 200  # largest number of cells with trials among the candidates
LEAST_INSIDE = 20  # fewest candidates inside a box for a stated probability
NOT_READ = -1  # level number of a parameter that a candidate does not read
_FEWEST = 5
# Scores about the best over which the noise is measured, and the largest noise.
_NEAR = 0.3
_MOST_NOISE = 2.0
# Seed of candidates and draws. It is a constant, so that equal evidence gives equal boxes for any seed of the
# analysis.
_SEED = 0


def cardinalities_of(analysis: Analysis) -> list[int]:
    """Per parameter the number of its choices; 0 for an ordered parameter."""
    return [e.parameter.cardinality for e in analysis.parameters]


def known_enough(analysis: Analysis) -> bool:
    """True if there are at least five distinct configurations, which a posterior needs."""
    if not analysis.parameters or int(analysis.configurations.max()) + 1 < _FEWEST:
        return False
    read = reading(analysis.parameters, analysis.X)
    return read is None or len(np.unique(np.where(read, analysis.X, -1.0), axis=0)) >= _FEWEST


def posterior_of(
    analysis: Analysis,
    positions: Floats,
    exact: bool = False,
    model: stats.MixedPosterior | None = None,
) -> stats.Posterior:
    """The posterior of the objective over (c, parameters) cells, wherever they lie on the analysed axes.

    The objective is learned from finished trials. Failed trials teach a separate posterior, of failing:
    counted as the worst value they would pull down neighbouring cells, and the best often lies next to
    failures. A cell that fails in a draw has the worst score of the draw, like a cell that breaks a
    constraint.

    Args:
        analysis: The evidence.
        positions: Unit-scale positions of the cells.
        exact: Whether draws include the residuals of the models, if these are a property of the cells: a
            claim needs them. For the choice of the next trials they would be chance.
        model: Of the objective; by default :class:`refine.stats.MixedPosterior` as it is.
    """
    posterior, failing = _posteriors(analysis, positions, exact, model)
    if failing is None:
        return posterior
    return stats.constrained(posterior, [failing], learned_rows(analysis))


def log_improvement(analysis: Analysis, positions: Floats) -> Floats:
    """(c,) logarithm of the expected improvement on the best posterior mean, times the chance to finish.

    Source: Jones, Schonlau and Welch (1998) for expected improvement; Letham et al. (2019), 'Constrained
    Bayesian optimization with noisy experiments', for the improvement without noise; Gelbart, Snoek and Adams
    (2014), 'Bayesian optimization with unknown constraints', for the product.
    """
    from scipy.special import ndtr

    ahead, failing = _posteriors(analysis, positions, exact=False, model=MEANS)
    full = analysis.at_full[ahead.known]
    z = (ahead.mean - ahead.known_mean[full if full.any() else slice(None)].max()) / ahead.sd
    rise = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) + z * ndtr(z)
    improvement = np.log(ahead.sd) + np.log(np.maximum(rise, 1e-300))
    if failing is not None:
        improvement += np.log(np.maximum(failing.share_met(), 1e-300))
    return np.asarray(improvement)


def sampled_functions(analysis: Analysis, positions: Floats, seed: int, count: int) -> Floats:
    """(count, c) scores at (c, parameters) cells of functions drawn from the Gaussian processes.

    The kernels are drawn, too. A cell that fails in a draw has the worst score of the draw.

    Source: Thompson (1933), 'On the likelihood that one unknown probability exceeds another'.
    """
    draws = max(count, _FUNCTIONS.kernels)  # each kernel needs a draw
    model = replace(_FUNCTIONS, process_draws=draws, seed=seed % 2**31)
    scores = posterior_of(analysis, positions, model=model).scores
    return np.asarray(np.random.default_rng(seed).permutation(scores)[:count], dtype=np.float64)


def _posteriors(
    analysis: Analysis,
    positions: Floats,
    exact: bool,
    model: stats.MixedPosterior | None = None,
    claimed: bool = False,
) -> tuple[stats.Posterior, stats.Posterior | None]:
    """The posterior of the objective, and of finishing (1) or failing (-1); ``None`` if no trial failed.

    A ``claimed`` objective is that on new data, if trials have scores by validation row or by fold.
    """
    exact = exact and analysis.noise.deterministic
    evidence = analysis.parameters
    everywhere = reading(evidence, analysis.X), reading(evidence, positions)
    sizes = cardinalities_of(analysis)
    places = analysis.X, positions
    if analysis.levels is not None:
        # Claims are about the full level: every cell lies there.
        places = (
            np.column_stack([analysis.X, analysis.levels]),
            np.column_stack([positions, np.ones(len(positions))]),
        )
        everywhere = _with_level(everywhere[0]), _with_level(everywhere[1])
        sizes = [*sizes, 0]
    finished = learned_rows(analysis)
    rows = np.flatnonzero(finished)
    objective = model or stats.MixedPosterior()

    best_possible = analysis.limits.facing(analysis.sign)[1]

    def fitted(
        y: Floats,
        seed: int,
        own_rows: Ints,
        exact: bool = False,
        prior: tuple[Floats, Floats] | None = None,
        limit: float = np.inf,
        model_of: stats.MixedPosterior = objective,
    ) -> stats.Posterior:
        if everywhere[0] is None:
            read = None
        else:
            read = everywhere[0][own_rows]
        if prior is None:
            before = None
        else:
            before = (prior[0][own_rows], prior[1])
        posterior = replace(model_of, seed=model_of.seed + seed)(
            places[0][own_rows],
            y[own_rows],
            places[1],
            sizes,
            read,
            everywhere[1],
            prior=before,
            exact=exact,
        )
        posterior = posterior._replace(known=own_rows[posterior.known])
        if exact:
            return posterior.up_to(limit)
        return posterior

    feasibility = analysis.feasibility
    prior = _prior(analysis, positions)
    if feasibility is None:
        posterior = fitted(analysis.y, _SEED, rows, exact, prior, best_possible)
        if claimed and analysis.levels is None:
            posterior = on_new_data(posterior, analysis, positions, sizes)
    else:
        # A constraint that every trial meets, or without any known value, does not separate cells.
        informative = [slack for slack in feasibility.slack if (slack[rows] < 0).any()]
        slacks = [fitted(slack, _SEED + 1 + k, rows, exact) for k, slack in enumerate(informative)]
        met = np.asarray((feasibility.slack >= 0).all(axis=0), dtype=np.bool_)
        unconstrained = fitted(feasibility.measured, _SEED, rows, exact, prior, best_possible)
        if claimed:
            unconstrained = on_new_data(unconstrained, analysis, positions, sizes)
        posterior = stats.constrained(unconstrained, slacks, met)
    if finished.all():
        return posterior, None
    outcome = np.where(finished, 1.0, -1.0)
    failing = fitted(outcome, _SEED + _FAILING, np.arange(len(finished)), model_of=_of_failing(objective))
    return posterior, _with_known(failing, analysis.X[finished], positions) if exact else failing


def _with_level(read: Bools | None) -> Bools | None:
    """(n, parameters + 1) mask of what is read: the level of the fidelity, the last column, always is."""
    if read is None:
        return None
    return np.column_stack([read, np.ones(len(read), dtype=np.bool_)])


def _of_failing(model: stats.MixedPosterior) -> stats.MixedPosterior:
    """The model of failing, with as many draws as the model of the objective.

    A power tells nothing of two outcomes, so all draws learn ranks. A draw of the forest averages half of
    its trees: with a few trees, single cells among cells that always failed would finish by chance.
    """
    members = max(model.members, model.trees // 2)
    draws = model.process_draws + model.power_draws
    return replace(model, process_draws=draws, power_draws=0, power=False, members=members)


def learned_rows(analysis: Analysis) -> Bools:
    """(n,) mask of the trials behind the objective.

    The finished ones, or all if fewer than five configurations finished.
    """
    all_rows = np.ones(len(analysis.y), dtype=np.bool_)
    if analysis.failed is None or not analysis.failed.any():
        return all_rows
    finished = ~analysis.failed
    if len(np.unique(analysis.configurations[finished])) >= _FEWEST:
        return finished
    return all_rows


def _with_known(failing: stats.Posterior, finished: Floats, positions: Floats) -> stats.Posterior:
    """The posterior of failing, with certainty at cells that are known to finish."""
    finished_rows = {row.tobytes() for row in np.round(finished, 9) + 0.0}
    ran = np.array([row.tobytes() in finished_rows for row in np.round(positions, 9) + 0.0], dtype=np.bool_)
    scores = failing.scores.copy()
    scores[:, ran] = failing.knots[-1]
    return failing._replace(scores=scores)


def _prior(analysis: Analysis, positions: Floats) -> tuple[Floats, Floats] | None:
    """Prior means of the evidence and of cells by a declared belief.

    ``None`` without a belief, or if its weight is 0.
    """
    belief_check = analysis.belief
    if belief_check is None or belief_check.weight == 0:
        return None
    belief = belief_check.source.belief
    evidence = analysis.parameters
    trials, cells = (
        belief_check.weight * thoughts_of(belief, evidence, places).sum(axis=1)
        for places in (analysis.X, positions)
    )
    return trials, cells


# The model behind claims. With a quarter of its draws on values by a power, boxes on smooth peaks lose half
# as often, and are 1.4 times as large.
CLAIMED = stats.MixedPosterior(forest_draws=320, process_draws=160, power_draws=160, kernels=3)
# The model behind drawn functions.
_FUNCTIONS = stats.MixedPosterior(forest_draws=0, process_draws=0, power=True)
# The model behind expected improvements. Ten trials say little about the kernel: with five kernels, the next
# trial depended on the luck of their draw.
MEANS = replace(_FUNCTIONS, kernels=12)
_EXACT = 1e-9  # largest distance of equal positions
_FAILING = 1000  # added to the seed, for the posterior of failures

# Share of an axis: optima closer than this on every axis lie in one region.
_REACH = 0.2


class Region(NamedTuple):
    """A region outside a box that may hold the optimum."""

    levels: tuple[Bools, ...]  # per analysed parameter, the mask of the levels in the region
    probability: float  # stated chance that the region holds a value better by over epsilon than all inside
    outside: float  # the same chance for everything outside the box
    share: float  # share of the region in everything outside, by candidates


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The posterior over candidate cells of the analysed space."""

    space: Space  # the space
    posterior: stats.Posterior  # posterior over the candidates
    candidates: Floats  # (c, parameters) positions of the candidates
    columns: dict[str, npt.NDArray[Any]]  # name -> (c,) values of the candidates
    exhaustive: bool  # True if the candidates are all cells of the space
    found: tuple[ParameterEvidence, ...]  # evidence of the parameters, with their conditions
    # with several goals, the fronts of joint draws; ``posterior`` then belongs to the first goal
    front: stats.Front | None = None
    others: tuple[Surrogate, ...] = ()  # the surrogates of the further goals
    epsilons: tuple[float, ...] = ()  # per goal the loss that counts as none; empty for a single goal
    failing: Floats | None = (
        None  # (c,) probability that a trial of a candidate fails; ``None`` if none failed
    )
    # (c,) values, larger is better, and -inf without a usable one, if every configuration was run and repeats
    # are identical; else ``None``
    known: Floats | None = None
    weights: Weights = field(default_factory=lambda: calibration().noisy)  # of the stated chance

    @property
    def fewest(self) -> int:
        """Fewest candidates inside a box of which a probability can be stated."""
        if self.exhaustive:
            return 1
        return LEAST_INSIDE

    @cached_property
    def levels(self) -> Indices:
        """(c, parameters) level numbers of the candidates: see :func:`levels_at`."""
        return levels_at(self.found, self.candidates)

    def goals(self, epsilon: float) -> list[tuple[stats.Posterior, float]]:
        """The posterior and the tolerated loss of each goal; ``epsilon`` belongs to the first."""
        further = zip(self.others, self.epsilons[1:], strict=True)
        return [(self.posterior, epsilon), *((other.posterior, tolerance) for other, tolerance in further)]

    def joined(self, others: Sequence[Surrogate], epsilons: Sequence[float]) -> Surrogate:
        """The surrogate of several goals over the same candidates.

        ``epsilons`` are the tolerated losses, one per goal.
        """
        front = stats.front_of([self.posterior, *(other.posterior for other in others)], epsilons)
        return replace(self, front=front, others=tuple(others), epsilons=tuple(epsilons))

    def with_candidates(self, other: Surrogate) -> Surrogate:
        """The surrogate over its candidates and those of a surrogate with the same draws."""
        scores = np.concatenate([self.posterior.scores, other.posterior.scores], axis=1)
        mean = np.concatenate([self.posterior.mean, other.posterior.mean])
        columns = {name: np.concatenate([self.columns[name], other.columns[name]]) for name in self.columns}
        posterior = self.posterior._replace(scores=scores, mean=mean)
        candidates = np.concatenate([self.candidates, other.candidates])
        return replace(self, posterior=posterior, candidates=candidates, columns=columns)

    def inside(self, inside: Bools) -> Surrogate:
        """The surrogate of a single goal over a subset of its candidates."""
        scores = self.posterior.scores[:, inside]
        mean = self.posterior.mean[inside]
        posterior = self.posterior._replace(scores=scores, mean=mean)
        columns = {name: column[inside] for name, column in self.columns.items()}
        if self.failing is None:
            failing = None
        else:
            failing = self.failing[inside]
        candidates = self.candidates[inside]
        known = None
        if self.known is not None:
            known = self.known[inside]
        return replace(
            self,
            posterior=posterior,
            candidates=candidates,
            columns=columns,
            failing=failing,
            known=known,
        )

    @property
    def draws(self) -> int:
        """Number of draws behind a probability."""
        return len(self.posterior.scores)

    @cached_property
    def optima(self) -> Floats:
        """(draws, parameters) positions of the best candidate of every draw."""
        return self.candidates[self.posterior.scores.argmax(axis=1)]

    @cached_property
    def good(self) -> Callable[[float], Bools]:
        """A function of epsilon that gives (draws, c) candidates within epsilon of the best of their draw."""
        return cache(self.posterior.within)

    def good_at(self, j: int, epsilon: float) -> Floats:
        """(levels,) share of the draws with a value within epsilon of the best, by level of a parameter.

        NaN for a level without candidates.
        """
        e = self.found[j]
        good = self.good(epsilon)
        level = level_axis(e.parameter).index(self.candidates[:, j])
        by_level = (good[:, level == i] for i in range(e.parameter.size))
        return np.array([part.any(axis=1).mean() if part.size else math.nan for part in by_level])

    def probability(self, new: Space, epsilon: float) -> float:
        """Probability that the best value inside ``new`` is within epsilon of the best.

        NaN with too few candidates inside.

        With several goals: of a configuration inside for every point of the front, at most epsilon worse in
        each goal.
        """
        inside = inside_of(new, self.space, self.found, self.columns)
        if inside.all():
            return 1.0
        if self.known is not None and inside.any():
            return float(not known_difference(self.known, inside, ~inside) > epsilon)
        if int(inside.sum()) < self.fewest:
            return math.nan
        return self._chance_in(inside, self.keeping(inside, epsilon))

    def keeping(self, inside: Bools, epsilon: float) -> Bools:
        """(S,) mask of the draws with a value inside, (c,) mask, within epsilon of their best."""
        if self.front is not None:
            return self.front.kept(inside)
        return np.asarray(self.good(epsilon)[:, inside].any(axis=1))

    def chance_of(self, first: Bools, second: Bools, epsilons: Sequence[float]) -> float:
        """The stated chance that a first part holds a value within epsilon of the best of two: (c,) masks.

        With several goals: of a configuration for every point of their front, at most epsilon worse in each.
        """
        if self.others:
            posteriors = [self.posterior, *(other.posterior for other in self.others)]
            keeping = stats.draws_represented(posteriors, epsilons, first, second)
        else:
            scores = self.posterior.scores
            best, rival = (scores[:, part].max(axis=1).astype(float) for part in (first, second))
            # Single precision: the bound must not lie above the best itself.
            keeping = best >= self.posterior.lowest_within(np.maximum(best, rival), epsilons[0]) - 1e-6
        return self._chance_in(first, keeping)

    def _chance_in(self, part: Bools, keeping: Bools) -> float:
        """The stated chance of a part, (c,) mask, by (S,) draws that keep a value within epsilon of the best.

        The calibration is about values. The share of draws in which a candidate of the part finishes is
        stated as counted.
        """
        if self.failing is None:
            return float(self.chance(keeping))
        scores = self.posterior.scores
        worst = scores.min(axis=1)
        finishes = (scores[:, part].max(axis=1) > worst) | (scores.max(axis=1) == worst)
        if not finishes.any():
            return 0.0
        return float(finishes.mean() * self.chance(keeping[finishes], finishes))

    def chance(self, keeping: Bools, among: Bools | None = None) -> Floats:
        """The stated chance of (s, ...) draws that keep a value within epsilon of their best.

        ``among`` is an (S,) mask of those draws; ``None`` for all.
        """
        if among is None:
            among = np.ones(self.draws, dtype=np.bool_)
        ends = [draws.stop for draws in self.posterior.models]
        model = np.searchsorted(ends, np.arange(self.draws), "right")[among]
        by_model = [model == i for i in range(len(ends))]
        # A model without draws has the share of all draws.
        shares = [keeping[draws if draws.any() else slice(None)].mean(axis=0) for draws in by_model]
        return self.weights.chance(np.stack(shares, axis=-1))

    def failing_share(self, new: Space) -> float:
        """Expected share of failures among even trials inside ``new``.

        NaN if none failed, or with too few candidates inside.
        """
        inside = inside_of(new, self.space, self.found, self.columns)
        if self.failing is None or int(inside.sum()) < self.fewest:
            return math.nan
        return float(self.failing[inside].mean())

    def elsewhere(self, new: Space, epsilon: float) -> Region | None:
        """The likeliest region outside ``new``, along the axes cut by it.

        ``None`` if no draw has its best outside.

        Optima within ``_REACH`` of a central optimum form the region. With several goals, the region of the
        first goal.
        """
        inside = inside_of(new, self.space, self.found, self.columns)
        lost = ~self.good(epsilon)[:, inside].any(axis=1)
        if not lost.any():
            return None
        outside_chance = 1.0 - self._chance_in(inside, self.keeping(inside, epsilon))
        axes = [level_axis(e.parameter) for e in self.found]
        cut = [e.name in new and new[e.name] != e.parameter for e in self.found]
        optima = self.optima[lost]
        distance = np.abs(optima[:, None, cut] - optima[None, :, cut]).max(axis=2, initial=0.0)
        near = distance <= _REACH
        central = optima[near[near.sum(axis=1).argmax()]]
        region = ~inside
        levels = []
        for j, axis in enumerate(axes):
            spanned = axis.index(central[:, j])
            mask: Bools = np.full(len(axis.levels), not cut[j], dtype=np.bool_)
            mask[spanned if axis.unordered else slice(spanned.min(), spanned.max() + 1)] = True
            region &= mask[axis.index(self.candidates[:, j])]
            levels.append(mask)
        share = float(region.sum() / (~inside).sum())
        probability = outside_chance * len(central) / int(lost.sum())
        return Region(tuple(levels), probability, outside_chance, share)


def levels_at(parameters: Sequence[ParameterEvidence], positions: Floats) -> Indices:
    """(n, parameters) level numbers of positions; :data:`NOT_READ` if a parameter is not read there."""
    axes = [level_axis(e.parameter) for e in parameters]
    index = np.stack([axis.index(positions[:, j]) for j, axis in enumerate(axes)], axis=1)
    read = reading(parameters, positions)
    if read is None:
        return index
    return np.where(read, index, NOT_READ)


def known_difference(known: Floats, first: Bools, second: Bools) -> float:
    """Best known value of the second part of the candidates minus the best of the first; NaN without any."""
    with np.errstate(invalid="ignore"):
        return float(known[second].max(initial=-np.inf) - known[first].max(initial=-np.inf))


def surrogate_of(
    analysis: Analysis, extra: Indices | None = None, goals: Sequence[Analysis] = ()
) -> Surrogate | None:
    """The posterior of an analysis over its own space; ``None`` with fewer than five distinct configurations.

    Args:
        analysis: The analysis.
        extra: (k, parameters) level numbers of further candidates, for example of a region that even
            candidates hardly hit.
        goals: Analyses of all goals of the study. Surrogates of several goals can be joined only with equal
            candidates in equal order.
    """
    if not known_enough(analysis):
        return None
    space = analysis.space
    # With constraints, a part of a small grid may be the whole space.
    exist = feasible(space)
    rows = draw(Uniform(), space, max(1, min(_CANDIDATES, exist.low)), _SEED)
    for goal in goals or (analysis,):
        if goal.noise.deterministic:
            rows = _with_run(goal, rows)
    if extra is not None:
        rows = np.unique(np.concatenate([rows, extra]), axis=0)
    return _surrogate_over(analysis, rows, exist.exact and len(rows) == exist.count)


def further_candidates(analysis: Analysis, surrogate: Surrogate, rows: Indices) -> Surrogate | None:
    """The same draws as those of a surrogate, at further candidates.

    ``None`` if draws depend on the set of candidates: see :func:`_depends_on_candidates`.

    Args:
        analysis: The analysis of the surrogate.
        surrogate: The posterior over the candidates so far.
        rows: (k, parameters) level numbers; those of a candidate are left out.
    """
    if _depends_on_candidates(analysis):
        return None
    columns = [list(analysis.space).index(e.name) for e in analysis.parameters]
    existing = {row.tobytes() for row in surrogate.levels.astype(np.int64)}
    new = [row.tobytes() not in existing for row in rows[:, columns].astype(np.int64)]
    if not any(new):
        return None
    return _surrogate_over(analysis, np.unique(rows[new], axis=0), exhaustive=False)


def with_candidates_of(analysis: Analysis, surrogate: Surrogate, part: Space) -> Surrogate:
    """The surrogate with candidates from a part of the space that hardly a candidate lies in.

    The part may have levels of its own. Unchanged with several goals, or if no further configuration of the
    part lies in the analysed space.
    """
    if surrogate.others or surrogate.exhaustive or set(part) != set(surrogate.space):
        return surrogate
    rows = draw(Uniform(), part, max(1, min(_ADDED, feasible(part).low)), _SEED)
    columns = part.columns(rows)
    positions = _positions(analysis, columns)
    existing = {row.tobytes() for row in np.round(surrogate.candidates, 9) + 0.0}
    new = np.array([row.tobytes() not in existing for row in np.round(positions, 9) + 0.0], dtype=np.bool_)
    new &= ((positions > -_EXACT) & (np.isfinite(positions))).all(axis=1)
    ordered = np.array([e.parameter.ordered for e in analysis.parameters])
    new &= (positions[:, ordered] < 1 + _EXACT).all(axis=1)
    if not new.any():
        return surrogate
    added = {name: column[new] for name, column in columns.items()}
    if not _depends_on_candidates(analysis):
        return surrogate.with_candidates(_surrogate_at(analysis, added, exhaustive=False))
    joined = {name: np.concatenate([column, added[name]]) for name, column in surrogate.columns.items()}
    return _surrogate_at(analysis, joined, exhaustive=False)


def _depends_on_candidates(analysis: Analysis) -> bool:
    """True if draws depend on the set of candidates.

    Without noise, or with conditional parameters, metric constraints, failures, or scores by validation row.
    """
    return bool(
        analysis.noise.deterministic
        or analysis.new_data is not None
        or analysis.failed is not None
        or analysis.feasibility is not None
        or analysis.space.conditions
    )


def _positions(analysis: Analysis, columns: Mapping[str, Any]) -> Floats:
    """(c, parameters) positions on the analysed axes of configurations, name -> (c,) values."""
    return np.column_stack([analysis.space[e.name].unit(columns[e.name]) for e in analysis.parameters])


def _surrogate_over(analysis: Analysis, rows: Indices, exhaustive: bool) -> Surrogate:
    """The posterior over (c, parameters) level numbers."""
    return _surrogate_at(analysis, analysis.space.columns(rows), exhaustive)


def _surrogate_at(analysis: Analysis, columns: dict[str, Any], exhaustive: bool) -> Surrogate:
    """The posterior over configurations, name -> (c,) values."""
    positions = _positions(analysis, columns)
    posterior, failing = _posteriors(analysis, positions, exact=True, model=CLAIMED, claimed=True)
    chance = None
    if failing is not None:
        chance = _chances_to_fail(analysis, failing)
        posterior = stats.constrained(posterior, [failing], learned_rows(analysis))
    exact = analysis.noise.deterministic
    weights = calibration().exact if exact else calibration().noisy
    if not analysis.at_full.all():
        weights = weights.with_cheap_trials()
    surrogate = Surrogate(
        analysis.space,
        posterior,
        positions,
        columns,
        exhaustive,
        analysis.parameters,
        failing=chance,
        weights=weights,
    )
    if exhaustive and exact and analysis.new_data is None and not analysis.others:
        return replace(surrogate, known=_known(analysis, surrogate))
    return surrogate


def _known(analysis: Analysis, surrogate: Surrogate) -> Floats | None:
    """(c,) values of the candidates, -inf for a failed one; ``None`` if one of them was not run."""
    values = analysis.y.copy()
    if analysis.failed is not None:
        values[analysis.failed] = -np.inf
    if analysis.feasibility is not None:
        values[(analysis.feasibility.slack < 0).any(axis=0)] = -np.inf
    index_of = {row.tobytes(): i for i, row in enumerate(surrogate.levels)}
    read = surrogate.levels != NOT_READ
    known = np.full(len(surrogate.candidates), math.nan)
    full = analysis.at_full
    rows = levels_at(analysis.parameters, analysis.X)[full]
    for row, x, value in zip(rows, analysis.X[full], values[full], strict=True):
        i = index_of.get(row.tobytes())
        # A trial of an earlier round may lie between the levels.
        if i is not None and np.allclose(x[read[i]], surrogate.candidates[i][read[i]], rtol=0, atol=_EXACT):
            known[i] = value
    if np.isnan(known).any():
        return None
    return known


def _chances_to_fail(analysis: Analysis, failing: stats.Posterior) -> Floats:
    """(c,) probabilities that trials of the candidates fail.

    Draws lie nearer to the mean than the outcomes, so that too few pass the bound of the rarer outcome.
    The bound is therefore the score below which as large a share of the draws lies as of the even trials
    failed.
    """
    assert analysis.failed is not None
    even = analysis.origins == "even"
    if int(even.sum()) < _FEWEST:
        return 1.0 - failing.share_met()
    share = (int(analysis.failed[even].sum()) + 0.5) / (int(even.sum()) + 1)
    bound = np.quantile(failing.scores, share, method="lower")
    below = (failing.scores < bound).mean(axis=0)
    equal = (failing.scores == bound).mean(axis=0)
    return np.asarray(below + equal * (share - below.mean()) / equal.mean())


def noise_in_scores(analysis: Analysis, posterior: stats.Posterior, score: float) -> float:
    """The noise of retraining in scores, near a score.

    The residuals of the model if the noise is unknown or values are level.
    """
    slope = float(np.diff(posterior.value([score - _NEAR, score + _NEAR]))[0]) / (2 * _NEAR)
    if math.isfinite(analysis.noise.sd) and slope > 0:
        return min(_MOST_NOISE, analysis.noise.sd / slope)
    residuals = stats.left_over(analysis.X, analysis.y, cardinalities_of(analysis))
    return float(np.median(np.abs(residuals.score - residuals.expected) * residuals.share))


def _with_run(analysis: Analysis, rows: Indices) -> Indices:
    """Candidate cells together with the cells of the best trials, whose values are known."""
    space = analysis.space
    best = np.argsort(-analysis.y, kind="stable")[:_RUN]
    ran = np.zeros((len(best), len(space)), dtype=rows.dtype)
    for j, e in enumerate(analysis.parameters):
        ran[:, list(space).index(e.name)] = level_axis(e.parameter).index(analysis.X[best, j])
    ran = space.canonical(ran)
    return np.unique(np.concatenate([rows, ran[space.valid(ran)]]), axis=0)
