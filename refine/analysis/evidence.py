"""What a round taught about each of its parameters. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.space.categorical import Categorical
from refine.space.parameters import Parameter
from refine.utils.arrays import Bools, Floats, order_of
from refine.utils.format import number

if TYPE_CHECKING:
    import pandas as pd


GOOD = 0.2  # share of the trials that counts as good in densities, edges and pairs

# An end is a reason to widen where it holds so many times its share of the best trials: among thousands of trials any
# small lead is significant.
RICH = 1.25

ALPHA = 0.1  # false discovery rate below which a parameter may be narrowed


class LevelEvidence(NamedTuple):
    """What is known about one level of one parameter."""

    label: str  # the level as shown
    n: int  # space-filling trials at the level that finished or were pruned
    # median value there, in the metric's own sign; NaN without trials, or where it is a pruned one's
    median: float
    low: float  # ends of its 95 % interval
    high: float
    ratio: float  # density of good trials over density of all; above 1 means over-represented
    ratio_low: float  # ends of its 90 % interval
    ratio_high: float
    bad: float  # share of the ended trials there that gave no value or a degenerate model
    # adjusted p-value of 'that is no more frequent there than elsewhere'; 1 where it is less frequent
    bad_q: float
    seconds: float  # median time of a finished trial there


class ReadWhere(NamedTuple):
    """When a parameter is read."""

    name: str  # another parameter
    # numbers of its levels at which all trials read the parameter, while at the others none does
    levels: tuple[int, ...]
    labels: tuple[str, ...]  # those levels as tables show them

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that it depends on."""
        return (self.name,)

    def at(self, levels: Mapping[str, npt.NDArray[np.integer[Any]]]) -> Bools:
        """Where the parameter is read, by the numbers of levels of those that it depends on, (n,) each."""
        return np.isin(levels[self.name], self.levels)


class ActiveWhere(NamedTuple):
    """When configurations have a parameter, declared by a condition on several others."""

    names: tuple[str, ...]  # the others that vary, directly or through their own conditions
    expression: str  # the condition
    sizes: tuple[int, ...]  # how many levels each of them has
    active: tuple[bool, ...]  # the answer for every combination of their levels, the last one's fastest

    def at(self, levels: Mapping[str, npt.NDArray[np.integer[Any]]]) -> Bools:
        """Where it is active, by the numbers of levels of those that it depends on, (n,) each."""
        cells = np.ravel_multi_index(tuple(levels[n] for n in self.names), self.sizes)
        return np.asarray(self.active, dtype=np.bool_)[cells]


class ParameterEvidence(NamedTuple):
    """What a round taught about one parameter."""

    name: str  # the parameter's
    parameter: Parameter  # the parameter
    # Spearman's rank correlation with the metric, in the metric's own sign; ``None`` where the parameter has
    # no order
    correlation: stats.Correlation | None
    association: stats.Association | None  # kruskal-Wallis over its choices; ``None`` where it has an order
    # PED-ANOVA importance for being among the best fifth of all trials. Of a parameter that only some of them
    # read, it is judged within these, and weighs as much as they are.
    importance: stats.Importance
    # P-value of 'does not matter', NaN where nothing is tested: the rank test's, the importance's and the
    # additive model's joined, half of the weight on the last; see :func:`refine.stats.joined`
    p: float
    q: float  # the same after Benjamini-Hochberg over all parameters of the round
    edges: tuple[stats.Edge, ...]  # pile-up tests at the low and the high end; empty where there is no order
    edge_q: tuple[float, ...]  # their p-values after Benjamini-Hochberg over all edges of the round
    levels: tuple[LevelEvidence, ...]  # evidence per level
    read: float  # share of trials in which the objective read the parameter; NaN where it wasn't noted
    # which test saw it: ``"trend"``, ``"importance"``, or ``"additive"`` where those two did not
    seen_by: str = "trend"
    # space-filling configurations behind the tests: those whose trials read the parameter and finished or
    # were pruned. One that ran several times counts once.
    n: int = 0
    good: int = 0  # how many of them are among the best fifth
    needed: int = 0  # how many good trials it takes to judge a parameter in this round
    cost_q: float = 1.0  # adjusted p-value of 'the time of a trial does not depend on it'
    # how the share of trials that gave no value or a degenerate model changes along it, with its adjusted
    # p-value; ``None`` where it has no order
    bad: stats.Trend | None = None
    # ended trials that ``bad`` leaves out, here and by level: everything fails at their level of another
    apart: int = 0
    # P-value of 'does nothing beside the others' on all space-filling trials inside, those of earlier rounds
    # among them: it only confirms what was seen earlier, since those rounds chose the space
    pooled_p: float = 1.0
    # what the trials that read it, or that have it by a declared condition, have in common; ``None`` where
    # that are all or nothing tells the trials apart
    condition: ReadWhere | ActiveWhere | None = None

    @property
    def piled_up(self) -> tuple[tuple[stats.Edge, float], ...]:
        """Ends at which the best trials pile up and the very best lie, each with its q: the optimum may be beyond."""
        return tuple(
            (edge, q)
            for edge, q in zip(self.edges, self.edge_q, strict=True)
            if edge.peak and edge.best and q <= ALPHA and edge.top_count >= RICH * edge.share * edge.top_n
        )

    @property
    def fails(self) -> bool:
        """Whether trials fail or are degenerate more often at some level, or towards an end: q <= 0.1."""
        return self.bad_q <= ALPHA

    @property
    def bad_q(self) -> float:
        """The smallest adjusted p-value of its levels and of the trend along it."""
        return min((*(v.bad_q for v in self.levels), *([self.bad.p] if self.bad else [])), default=1.0)

    @property
    def matters(self) -> bool:
        """Whether the parameter may be narrowed on this evidence: q <= 0.1."""
        return self.q <= ALPHA

    @property
    def effect(self) -> float:
        """Size of the effect in [0, 1]: ``|rho|``, or the square root of epsilon squared."""
        if self.correlation is not None:
            return abs(self.correlation.estimate) if np.isfinite(self.correlation.estimate) else 0.0
        effect = self.association.effect if self.association is not None else np.nan
        return float(np.sqrt(max(0.0, effect))) if np.isfinite(effect) else 0.0


class EvidenceTable(NamedTuple):
    """Trials inside a space, as arrays beside their table."""

    table: pd.DataFrame
    X: Floats  # (n, d) unit-scale positions of the parameters that vary
    y: Floats  # for tests pruned trials stand here with their forecast, else with the worst finished value
    finished: Bools
    failed: Bools
    space_filling: Bools
    mask: Bools  # which rows of the given table they are
    degenerate: Bools  # have a value, and are finished, but can't be best
    pruned: Bools  # have no value; infeasible ones are among them
    forecast: Bools  # pruned ones of which it is forecast what they would have reached
    infeasible: Bools
    measured: Floats  # ``y`` with what infeasible trials showed
    lost: Bools  # see :func:`without_ruled_out`
    absent: Bools  # have not the parameter that is looked at

    @property
    def measurable(self) -> Bools:
        """Trials that finished with a value, infeasible ones among them."""
        return self.finished | self.infeasible

    @property
    def informative(self) -> Bools:
        """Trials that tell where to look or where not: finished, failed and pruned ones."""
        return self.finished | self.failed | self.pruned

    @property
    def ranked(self) -> Bools:
        """Space-filling trials that have a rank: finished ones, those that were stopped for being behind, infeasible ones."""
        return (self.finished | self.pruned) & self.space_filling

    @property
    def ended(self) -> Bools:
        """Space-filling trials that ended, in whatever way, without those that are lost for a reason that is known."""
        return self.informative & self.space_filling & ~self.absent & ~self.lost

    @property
    def unusable(self) -> Bools:
        """Trials that gave no value, or a degenerate or infeasible model."""
        return self.failed | self.degenerate | self.infeasible

    @property
    def seconds(self) -> Floats:
        """How long trials took; NaN where nobody measured it."""
        return np.asarray(self.table.get("seconds", np.full(len(self.y), np.nan)), dtype=float)


class TestSample(NamedTuple):
    """Trials that a parameter is tested on, and what is the same for every parameter that is tested on them."""

    at: npt.NDArray[np.int64]  # (n,) their rows, in an order that does not depend on the table's
    others: Floats  # (n, d) positions of all parameters
    y: Floats  # (n,) values, larger is better
    alone: npt.NDArray[np.int64]  # (m,) numbers of one trial per configuration
    score: Floats  # (m,) mean normal scores of the configurations' values
    # (m,) the same of what they showed, infeasible ones included: what the metric does, whether it counts or
    # not
    shown: Floats
    plain: Floats  # (n,) values of which ``shown`` are the scores
    additive: Floats  # (d,) p-values of all parameters in a model without interactions


class TestSamples:
    """Makes what parameters are tested on, once for all that read the same trials inside the space.

    ``cardinalities`` are numbers of choices, 0 where ordered; ``sign`` is 1 to maximize, -1 to minimize; ``seed`` that of every
    bootstrap and permutation test; ``permutations`` those of the importance's null.
    """

    def __init__(
        self, rows: EvidenceTable, cardinalities: Sequence[int], sign: float, seed: int, permutations: int
    ) -> None:
        self.sign, self.seed, self.permutations = sign, seed, permutations
        self._rows, self._sizes, self._known = rows, cardinalities, dict[bytes, TestSample]()

    def of(self, mask: Bools) -> TestSample:
        """The sample of the rows that a mask selects."""
        key = mask.tobytes()
        if key not in self._known:
            rows = self._rows
            at = np.flatnonzero(mask)
            at = at[order_of(rows.X[at], rows.y[at])]  # draws must not depend on the order of rows
            others, y, plain = (
                rows.X[at],
                self.sign * rows.y[at],
                self.sign * rows.measured[at],
            )
            # Rows given twice are no more evidence: tests see every configuration once, with the mean score of its values.
            alone, score = once(others, y, self._sizes)
            shown = again(others, y, plain, self._sizes) if rows.infeasible.any() else score
            additive = stats.AdditiveTest()(others[alone], shown, self._sizes)
            self._known[key] = TestSample(at, others, y, alone, score, shown, plain, additive)
        return self._known[key]


def evidence_of(
    parameter: Parameter, name: str, column: int, rows: EvidenceTable, read: Bools | None, tests: TestSamples
) -> ParameterEvidence:
    """Everything measured on one parameter, in a column of ``rows.X``, adjustments for other parameters apart.

    Tested are the space-filling trials that finished or were pruned, and read it if that was noted (``read``): what the others
    have there can't have changed anything.
    """
    tested, sign, seed, k = rows.ranked, tests.sign, tests.seed, parameter.size
    # A trial that raised may have read little: only those with a value tell what is read.
    share = np.nan if read is None or not rows.finished.any() else float(read[rows.finished].mean())
    if read is not None and 0 < share < 1:
        tested = tested & read
    same = tests.of(tested)
    at, alone, score = same.at, same.alone, same.score
    x, positions = rows.X[at, column], level_positions(parameter)
    choices, grid = (0, positions) if parameter.ordered else (k, None)
    importance = local = stats.PedAnova(top=GOOD, permutations=tests.permutations, seed=seed)(
        x[alone], score, choices, grid
    )
    if len(at) < rows.ranked.sum() and read is not None:
        every = tests.of(rows.ranked)
        configurations = np.take(every.at, every.alone)
        importance = stats.PedAnova(top=GOOD, seed=seed)(
            rows.X[configurations, column], every.score, choices, grid, read[configurations]
        )
    correlation = association = bad = None
    edges: tuple[stats.Edge, ...] = ()
    if parameter.ordered:
        found = stats.Spearman(seed=seed)(x[alone], same.shown)
        low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
        correlation = found._replace(estimate=sign * found.estimate, low=low, high=high)
        edges = stats.Boundary(top=GOOD)(x[alone], score, positions)
        bad = stats.RateTrend()(rows.X[rows.ended, column], rows.unusable[rows.ended])
        trend = found.p
    else:
        association = stats.KruskalWallis(seed=seed)(x[alone], same.shown, k)
        trend = association.p
    seen = stats.joined(local.p, trend, float(same.additive[column]))
    # What a test of the parameter alone sees as well is reported as that test's.
    by_itself = 2 * min(seen.p_importance, seen.p_trend) <= ALPHA
    return ParameterEvidence(
        name=name,
        parameter=parameter,
        correlation=correlation,
        association=association,
        importance=importance,
        p=seen.p,
        q=np.nan,
        edges=edges,
        edge_q=(),
        levels=_levels(parameter, column, rows, x, same, sign),
        read=share,
        n=len(alone),
        good=int(stats.top_mask(score, GOOD).sum()) if len(alone) else 0,
        seen_by=stats.joined(local.p, trend).seen_by if by_itself else seen.seen_by,
        cost_q=_cost(parameter, column, rows),
        bad=bad,
        apart=int(rows._replace(lost=np.zeros_like(rows.lost)).ended.sum() - rows.ended.sum()),
    )


def once(X: Floats, y: Floats, cardinalities: Sequence[int]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Row numbers of different configurations, in their order, and the mean normal scores of their values."""
    found, score = stats.distinct(X, y, cardinalities)
    order = np.argsort(found)
    return found[order], score[order]


def again(X: Floats, y: Floats, others: Floats, cardinalities: Sequence[int]) -> Floats:
    """Mean normal scores of other values of the configurations that :func:`once` gives for ``y``, in its order."""
    order = np.argsort(stats.distinct(X, y, cardinalities)[0])
    return np.asarray(stats.distinct(X, others, cardinalities)[1][order])


def _levels(
    parameter: Parameter, column: int, rows: EvidenceTable, x: Floats, tested: TestSample, sign: float
) -> tuple[LevelEvidence, ...]:
    pruned = rows.pruned[tested.at] & ~rows.infeasible[tested.at]
    axis, k, y = level_axis(parameter), parameter.size, tested.y
    unknown = np.full(k, np.nan)
    ratio = stats.Ratio(axis.levels, unknown, unknown, unknown, np.zeros(k))
    if len(x):
        ratio = stats.DensityRatio()(x, stats.top_mask(y, GOOD), axis.levels, unordered=axis.unordered)
    medians = level_medians(axis.index(x), tested.plain, k, sign, pruned)
    ended, bad = rows.ended, rows.unusable
    rates = stats.LevelRates()(axis.index(rows.X[ended, column]), bad[ended], k)
    overall = float(bad[ended].mean()) if ended.any() else 0.0
    everyone, finished, seconds = axis.index(rows.X[:, column]), rows.finished & ~rows.absent, rows.seconds
    out = []
    for i, (label, level, rate) in enumerate(zip(level_labels(parameter), medians, rates, strict=True)):
        time = seconds[(everyone == i) & finished]
        typical = float(np.median(time)) if time.size and np.isfinite(time).all() else np.nan
        frequent, low, high = (float(each[i]) for each in (ratio.ratio, ratio.low, ratio.high))
        bad_p = rate.p if rate.rate > overall else 1.0
        known = level.n, level.median, level.low, level.high
        out.append(LevelEvidence(label, *known, frequent, low, high, rate.rate, bad_p, typical))
    return tuple(out)


def level_medians(
    codes: npt.NDArray[np.intp], y: Floats, k: int, sign: float, pruned: Bools
) -> Sequence[stats.Level]:
    """Medians per level in the metric's own sign; NaN where a median, or an end of its interval, is a pruned trial."""
    if not pruned.any():
        return stats.LevelSummary()(codes, sign * y, k)
    worst = float(y.min())
    # So far below that even the middle of it and the best value is below the worst.
    below = np.where(pruned, worst - (float(y.max()) - worst) - 1.0, y)

    def known(value: float) -> float:
        return value if sign * value >= worst else np.nan

    found = stats.LevelSummary()(codes, sign * below, k)
    return [v._replace(median=known(v.median), low=known(v.low), high=known(v.high)) for v in found]


def _cost(parameter: Parameter, column: int, rows: EvidenceTable) -> float:
    """P-value of 'the time of a finished trial does not depend on it'."""
    timed = np.flatnonzero(rows.finished & ~rows.absent & np.isfinite(rows.seconds))
    if timed.size < 10:
        return 1.0
    x, seconds = rows.X[timed, column], rows.seconds[timed]
    order = np.lexsort((seconds, x))  # draws must not depend on the order of rows
    if parameter.ordered:
        return stats.Spearman(resamples=1)(x[order], seconds[order]).p
    return stats.KruskalWallis(resamples=1)(x[order], seconds[order], parameter.size).p


def adjusted(found: Sequence[ParameterEvidence], spent: float) -> tuple[ParameterEvidence, ...]:
    """Evidence with q-values: Benjamini and Hochberg over the parameters (edges, levels) of the round, times what looks have ``spent``."""

    def q(p_values: Sequence[float]) -> list[float]:
        raw = stats.benjamini_hochberg(p_values) if len(p_values) else np.zeros(0)
        return [min(1.0, spent * float(v)) for v in raw]

    q_of = q([e.p for e in found])
    edge = iter(q([edge.p for e in found for edge in e.edges]))
    trends = [e.bad.p for e in found if e.bad]
    bad_q = q([*(v.bad_q for e in found for v in e.levels), *trends])
    bad, trend = iter(bad_q), iter(bad_q[len(bad_q) - len(trends) :])
    cost = q([e.cost_q for e in found])
    needed = stats.good_trials_to_judge(max(1, len(found)), ALPHA)
    return tuple(
        e._replace(
            q=q_of[i],
            edge_q=tuple(next(edge) for _ in e.edges),
            levels=tuple(v._replace(bad_q=next(bad)) for v in e.levels),
            bad=e.bad._replace(p=next(trend)) if e.bad else None,
            cost_q=cost[i],
            needed=needed,
        )
        for i, e in enumerate(found)
    )


def untested(found: Sequence[ParameterEvidence]) -> tuple[ParameterEvidence, ...]:
    """Evidence of all parameters where no trial can be tested on: without a p-value."""
    needed = stats.good_trials_to_judge(max(1, len(found)), ALPHA)
    return tuple(e._replace(p=np.nan, q=np.nan, edges=(), edge_q=(), bad=None, needed=needed) for e in found)


def read_where(read: Bools, others: Mapping[str, tuple[Parameter, Floats]]) -> ReadWhere | None:
    """Levels of one parameter at which all trials ``read`` another, while at its others none does; ``None`` where there is none.

    ``others`` are name -> parameter and (n,) unit-scale positions.
    """
    for name, (parameter, x) in others.items():
        if parameter.size > 12:
            continue
        level = level_axis(parameter).index(x)
        yes, no = set(level[read].tolist()), set(level[~read].tolist())
        if yes and no and not yes & no:
            at = tuple(sorted(yes))
            labels = level_labels(parameter)
            return ReadWhere(name, at, tuple(labels[i] for i in at))
    return None


def level_labels(parameter: Parameter) -> tuple[str, ...]:
    """The levels of a parameter as tables show them."""
    if isinstance(parameter, Categorical):
        return parameter.labels
    return tuple(number(v, 6) for v in parameter.grid)


def level_positions(parameter: Parameter) -> Floats:
    """Unit-scale positions of the levels, or the codes of an unordered choice."""
    return parameter.unit(level_values(parameter))


def level_values(parameter: Parameter) -> npt.NDArray[Any]:
    """The levels of a parameter as a column."""
    values = np.empty(parameter.size, dtype=object)
    values[:] = parameter.grid
    return values


def level_axis(parameter: Parameter) -> stats.Axis:
    """The levels of a parameter as statistics want them."""
    return stats.Axis(level_positions(parameter), unordered=not parameter.ordered)


def couplings(
    X: Floats, y: Floats, cardinalities: Sequence[int], read: Bools, seed: int
) -> tuple[stats.Pair, ...]:
    """Tests of all pairs that some trials read together; configurations that differ in what is not read count once.

    ``X``, ``y`` and ``cardinalities`` are as in :mod:`refine.stats`, ``read`` is (n, d).
    """
    test = stats.Interactions(top=GOOD, seed=seed)
    found: dict[tuple[int, int], stats.Pair] = {}

    def within(rows: Bools, columns: list[int]) -> list[stats.Pair]:
        kinds = [cardinalities[k] for k in columns]
        distinct, score = once(X[rows][:, columns], y[rows], kinds)
        pairs = test(X[rows][distinct][:, columns], score, kinds)
        return [p._replace(i=columns[p.i], j=columns[p.j]) for p in pairs]

    always = [j for j in range(len(cardinalities)) if read[:, j].all()]
    for pair in within(np.ones(len(y), dtype=np.bool_), always):
        found[pair.i, pair.j] = pair
    for j in (j for j in range(len(cardinalities)) if read[:, j].any() and j not in always):
        rows = read[:, j]
        beside = [k for k in range(len(cardinalities)) if read[rows, k].all() and np.ptp(X[rows, k]) > 0]
        for pair in within(rows, beside):
            if j in (pair.i, pair.j):
                found.setdefault((pair.i, pair.j), pair)
    ordered = [found[at] for at in sorted(found)]
    q = stats.benjamini_hochberg([p.p for p in ordered]) if ordered else ()
    return tuple(p._replace(q=float(adjusted)) for p, adjusted in zip(ordered, q, strict=True))


_LEAST = 5  # trials at a level before it is ruled out
_ALPHA = 0.01


def without_ruled_out(
    rows: EvidenceTable, parameters: Sequence[Parameter], absent: Sequence[Bools]
) -> list[EvidenceTable]:
    """EvidenceTable for every parameter, in which trials at levels of the others that are ruled out don't count as failures.

    A level is ruled out where 5 or more trials ended and none gave a usable model, Fisher's p <= 0.01. What fails there
    fails whatever the other parameters are, and would drown what they have to do with it. ``absent`` says of each parameter which
    trials have it not by its condition.
    """
    each = [rows._replace(absent=gone) for gone in absent]
    lost = np.zeros((len(parameters), len(rows.y)), dtype=np.bool_)
    for mask, mine, parameter, x in zip(lost, each, parameters, rows.X.T, strict=True):
        codes, ended = level_axis(parameter).index(x), mine.ended
        rates = stats.LevelRates()(codes[ended], rows.unusable[ended], parameter.size)
        levels = [r.level for r in rates if r.n >= _LEAST and r.hits == r.n and r.p <= _ALPHA]
        mask[:] = np.isin(codes, levels) & ~mine.absent
    return [mine._replace(lost=np.any(np.delete(lost, j, axis=0), axis=0)) for j, mine in enumerate(each)]
