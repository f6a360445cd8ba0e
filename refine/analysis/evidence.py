"""Evidence on each parameter of a round. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.space.categorical import Categorical
from refine.space.parameters import Parameter
from refine.trials.goal import turned
from refine.utils.arrays import Bools, Column, Floats, Ints, objects, order_of
from refine.utils.format import number

if TYPE_CHECKING:
    import pandas as pd


GOOD = 0.2  # share of the trials that counts as good in densities, edges and pairs

# An end is a reason to widen if it holds so many times its share of the best trials: among thousands of
# trials any small lead is significant.
RICH = 1.25

ALPHA = 0.1  # false discovery rate below which a parameter may be narrowed


_LEAST_SPREAD = 20  # configurations needed to test how much values vary
_SPREAD_LEVEL = 0.02  # level of that test


class LevelEvidence(NamedTuple):
    """Evidence on one level of one parameter."""

    label: str  # the level as shown
    n: int  # space-filling trials at the level that finished or were pruned
    # median value, in the metric's own sign; NaN without trials, or if the median is a pruned trial's
    median: float
    low: float  # ends of its 95 % interval
    high: float
    ratio: float  # density of good trials over density of all; above 1 means over-represented
    ratio_low: float  # ends of its 90 % interval
    ratio_high: float
    bad: float  # share of the ended trials at the level without a usable model
    bad_p: float  # p-value of 'no more frequent than at the other levels'; 1 if less frequent
    seconds: float  # median duration of a finished trial
    timed: int  # finished trials behind ``seconds``; a pruned trial is none
    bad_q: float = 1.0  # ``bad_p`` adjusted; 1 without tests


class ReadWhere(NamedTuple):
    """A condition concluded from the values read."""

    name: str  # the parent parameter
    # numbers of the parent's levels at which all trials read the parameter; at the others, none does
    levels: tuple[int, ...]
    labels: tuple[str, ...]  # those levels as tables show them

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters in the condition."""
        return (self.name,)

    def at(self, levels: Mapping[str, npt.NDArray[np.integer[Any]]]) -> Bools:
        """(n,) mask of reading, by the level numbers of the parameters in the condition."""
        return np.isin(levels[self.name], self.levels)


class ActiveWhere(NamedTuple):
    """A declared condition on several parameters."""

    names: tuple[str, ...]  # the varied parameters in the condition, directly or through their own conditions
    expression: str  # the condition
    sizes: tuple[int, ...]  # numbers of their levels
    active: tuple[bool, ...]  # the answer for every combination of levels, the last parameter's fastest

    def at(self, levels: Mapping[str, npt.NDArray[np.integer[Any]]]) -> Bools:
        """(n,) mask of active configurations, by the level numbers of the parameters in the condition."""
        cells = np.ravel_multi_index(tuple(levels[n] for n in self.names), self.sizes)
        return np.asarray(self.active, dtype=np.bool_)[cells]


class ParameterEvidence(NamedTuple):
    """Evidence on one parameter of a round."""

    name: str  # its name
    parameter: Parameter  # the parameter
    # Spearman's rank correlation with the metric, in the metric's own sign; ``None`` for an unordered
    # parameter
    correlation: stats.Correlation | None
    # Kruskal-Wallis test over the choices; ``None`` for an ordered parameter
    association: stats.Association | None
    # PED-ANOVA importance for being among the best fifth of all trials. For a parameter that only some trials
    # read, the importance within these, weighted by their share.
    importance: stats.Importance
    # P-value of 'does not matter', NaN without tests: rank test, importance and additive model joined, half
    # of the weight on the last; see :func:`refine.stats.joined`
    p: float
    # ``p`` after Benjamini-Hochberg over all parameters of the round; NaN until adjusted, and without tests
    q: float
    # pile-up tests at the low and the high end; empty for an unordered parameter
    edges: tuple[stats.Edge, ...]
    # their p-values after Benjamini-Hochberg over all edges of the round; NaN until adjusted
    edge_q: tuple[float, ...]
    levels: tuple[LevelEvidence, ...]  # evidence per level
    read: float  # share of trials that read the parameter; NaN if unknown
    # the test that found the effect: ``"trend"``, ``"importance"``, or ``"additive"`` if the first two did
    # not
    seen_by: str = "trend"
    # whether the tests of the values' level find nothing, while the values vary more at some levels
    only_spread: bool = False
    # space-filling configurations behind the tests: trials that read the parameter and finished or were
    # pruned, replicates counted once
    n: int = 0
    good: int = 0  # configurations among the best fifth
    needed: int = 0  # good trials needed to judge a parameter in this round
    cost_p: float = 1.0  # p-value of 'the parameter has no effect on duration'
    cost_q: float = np.nan  # ``cost_p`` adjusted; NaN without tests
    # trend of the share of unusable trials along the parameter; ``None`` if unordered, or without tests
    bad: stats.Trend | None = None
    bad_trend_q: float = np.nan  # the p-value of ``bad`` adjusted; NaN without ``bad``
    # ended trials left out of ``bad``, in all and by level: they lie at a level of another parameter where
    # everything fails
    apart: int = 0
    # the condition under which trials use the parameter; ``None`` if all do, or if no condition separates
    # them
    condition: ReadWhere | ActiveWhere | None = None

    @property
    def piled_up(self) -> tuple[tuple[stats.Edge, float], ...]:
        """Ends at which the best trials pile up and the very best lie, each with its q.

        The optimum may be beyond.
        """
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
        """The smallest adjusted p-value of the levels' failure rates and of the trend."""
        failure_q = [level.bad_q for level in self.levels]
        if self.bad is not None:
            failure_q.append(self.bad_trend_q)
        return min(failure_q, default=1.0)

    @property
    def matters(self) -> bool:
        """Whether the parameter may be narrowed on this evidence: q <= 0.1."""
        return self.q <= ALPHA

    @property
    def effect(self) -> float:
        """Size of the effect in [0, 1]: ``|rho|``, or the square root of epsilon squared."""
        if self.correlation is not None:
            if np.isfinite(self.correlation.estimate):
                return abs(self.correlation.estimate)
            return 0.0
        if self.association is not None:
            effect = self.association.effect
        else:
            effect = np.nan
        if np.isfinite(effect):
            return float(np.sqrt(max(0.0, effect)))
        return 0.0


class EvidenceTable(NamedTuple):
    """Trials inside a space as a table and as arrays."""

    table: pd.DataFrame
    X: Floats  # (n, d) unit-scale positions of the parameters that vary
    y: Floats  # (n,) values; pruned trials have their forecast, else the worst finished value
    finished: Bools
    failed: Bools
    space_filling: Bools
    mask: Bools  # mask over the given table
    degenerate: Bools  # finished with a value, but cannot be best
    pruned: Bools  # without a usable value; infeasible trials included
    forecast: Bools  # pruned trials with a forecast
    infeasible: Bools
    measured: Floats  # ``y`` with the measured values of infeasible trials
    cheap: Bools  # trials below the full level of the fidelity, with a forecast of their full value
    lost: Bools  # see :func:`without_ruled_out`
    absent: Bools  # trials that lack the parameter under test

    @property
    def measurable(self) -> Bools:
        """Trials that finished with a value, infeasible and cheap ones included."""
        return self.finished | self.infeasible | self.cheap

    @property
    def informative(self) -> Bools:
        """Trials that are informative about where to search: finished, failed and pruned ones."""
        return self.finished | self.failed | self.pruned

    @property
    def ranked(self) -> Bools:
        """Space-filling trials with a rank: finished, stopped and infeasible ones."""
        return (self.finished | self.pruned) & self.space_filling

    @property
    def ended(self) -> Bools:
        """Space-filling trials that ended in any state.

        Failures already explained by another parameter are left out.
        """
        return self.informative & self.space_filling & ~self.absent & ~self.lost

    @property
    def unusable(self) -> Bools:
        """Trials without a value, or with a degenerate or infeasible model."""
        return self.failed | self.degenerate | self.infeasible

    @property
    def seconds(self) -> Floats:
        """Durations of trials; NaN if not measured."""
        return np.asarray(self.table.get("seconds", np.full(len(self.y), np.nan)), dtype=float)


class TestSample(NamedTuple):
    """The sample of one test, and results shared by all parameters tested on the sample."""

    at: Ints  # (n,) row numbers in a canonical order
    others: Floats  # (n, d) positions of all parameters
    y: Floats  # (n,) values, larger is better
    alone: Ints  # (m,) number of one trial per configuration
    score: Floats  # (m,) mean normal scores of the configurations' values
    # (m,) the same for measured values, infeasible trials included: the metric's own behaviour
    shown: Floats
    plain: Floats  # (n,) measured values behind ``shown``
    additive: Floats  # (d,) p-values of all parameters in a model without interactions


class TestSamples:
    """Test samples, built once per distinct set of trials.

    ``cardinalities`` are numbers of choices, 0 for ordered columns; ``sign`` is 1 to maximize, -1 to
    minimize; ``seed`` is for every bootstrap and permutation test; ``permutations`` counts the null
    permutations of the importance.
    """

    def __init__(
        self, rows: EvidenceTable, cardinalities: Sequence[int], sign: float, seed: int, permutations: int
    ) -> None:
        self.sign = sign
        self.seed = seed
        self.permutations = permutations
        self._rows, self._sizes, self._known = rows, cardinalities, dict[bytes, TestSample]()

    def of(self, mask: Bools) -> TestSample:
        """The sample of the rows that a mask selects."""
        key = mask.tobytes()
        if key not in self._known:
            rows = self._rows
            row_numbers = np.flatnonzero(mask)
            row_numbers = row_numbers[
                order_of(rows.X[row_numbers], rows.y[row_numbers])
            ]  # draws must not depend on the order of rows
            positions = rows.X[row_numbers]
            y = self.sign * rows.y[row_numbers]
            plain = self.sign * rows.measured[row_numbers]
            # Rows given twice are no more evidence: tests see every configuration once, with the mean score
            # of its values.
            alone, score = once(positions, y, self._sizes)
            if rows.infeasible.any():
                shown = again(positions, y, plain, self._sizes)
            else:
                shown = score
            additive = stats.AdditiveTest()(positions[alone], shown, self._sizes)
            self._known[key] = TestSample(
                at=row_numbers,
                others=positions,
                y=y,
                alone=alone,
                score=score,
                shown=shown,
                plain=plain,
                additive=additive,
            )
        return self._known[key]


def evidence_of(
    parameter: Parameter, name: str, column: int, rows: EvidenceTable, read: Bools | None, tests: TestSamples
) -> ParameterEvidence:
    """All measurements on one parameter, a column of ``rows.X``, before adjustment for other parameters.

    The sample is the space-filling trials that finished or were pruned, without trials known not to have read
    the parameter: an unread value changes no result.
    """
    tested = rows.ranked
    sign = tests.sign
    seed = tests.seed
    k = parameter.size
    # A trial that raised may have read little: trials with a value show the reading.
    if read is None or not rows.finished.any():
        share = np.nan
    else:
        share = float(read[rows.finished].mean())
    if read is not None and 0 < share < 1:
        tested = tested & read
    sample = tests.of(tested)
    rows_tested = sample.at
    alone = sample.alone
    score = sample.score
    x = rows.X[rows_tested, column]
    positions = level_positions(parameter)
    if parameter.ordered:
        choices = 0
        grid = positions
    else:
        choices = k
        grid = None
    importance = local = stats.PedAnova(top=GOOD, permutations=tests.permutations, seed=seed)(
        x[alone], score, choices, grid
    )
    if len(rows_tested) < rows.ranked.sum() and read is not None:
        whole = tests.of(rows.ranked)
        configurations = np.take(whole.at, whole.alone)
        importance = stats.PedAnova(top=GOOD, seed=seed)(
            rows.X[configurations, column], whole.score, choices, grid, read[configurations]
        )
    correlation = association = bad = None
    edges: tuple[stats.Edge, ...] = ()
    if parameter.ordered:
        spearman = stats.Spearman(seed=seed)(x[alone], sample.shown)
        low, high = turned(spearman.low, spearman.high, sign)
        correlation = spearman._replace(estimate=sign * spearman.estimate, low=low, high=high)
        edges = stats.Boundary(top=GOOD)(x[alone], score, positions)
        bad = stats.RateTrend()(rows.X[rows.ended, column], rows.unusable[rows.ended])
        trend = spearman.p
    else:
        association = stats.KruskalWallis(seed=seed)(x[alone], sample.shown, k)
        trend = association.p
    joint = stats.joined(local.p, trend, float(sample.additive[column]))
    # A finding of the parameter's own test is reported as such.
    by_itself = 2 * min(joint.p_importance, joint.p_trend) <= ALPHA
    return ParameterEvidence(
        name=name,
        parameter=parameter,
        correlation=correlation,
        association=association,
        importance=importance,
        p=joint.p,
        q=np.nan,
        edges=edges,
        edge_q=(np.nan,) * len(edges),
        levels=_levels(parameter, column, rows, x, sample, sign),
        read=share,
        n=len(alone),
        good=int(stats.top_mask(score, GOOD).sum()) if len(alone) else 0,
        seen_by=stats.joined(local.p, trend).seen_by if by_itself else joint.seen_by,
        only_spread=_only_spread(
            parameter, x[alone], sample.shown, max(0.0, min(trend, sample.additive[column]))
        ),
        cost_p=_cost(parameter, column, rows),
        bad=bad,
        apart=int(rows._replace(lost=np.zeros_like(rows.lost)).ended.sum() - rows.ended.sum()),
    )


def once(X: Floats, y: Floats, cardinalities: Sequence[int]) -> tuple[Ints, Floats]:
    """Row numbers of different configurations, in their order, and the mean normal scores of their values."""
    row_numbers, score = stats.distinct(X, y, cardinalities)
    order = np.argsort(row_numbers)
    return row_numbers[order], score[order]


def again(X: Floats, y: Floats, other_values: Floats, cardinalities: Sequence[int]) -> Floats:
    """Mean normal scores of other values of the configurations that :func:`once` selects, in its order."""
    order = np.argsort(stats.distinct(X, y, cardinalities)[0])
    return np.asarray(stats.distinct(X, other_values, cardinalities)[1][order])


def _levels(
    parameter: Parameter, column: int, rows: EvidenceTable, x: Floats, tested: TestSample, sign: float
) -> tuple[LevelEvidence, ...]:
    pruned = rows.pruned[tested.at] & ~rows.infeasible[tested.at]
    axis = level_axis(parameter)
    k = parameter.size
    y = tested.y
    unknown = np.full(k, np.nan)
    ratio = stats.Ratio(axis.levels, unknown, unknown, unknown, np.zeros(k))
    if len(x):
        ratio = stats.DensityRatio()(x, stats.top_mask(y, GOOD), axis.levels, unordered=axis.unordered)
    medians = level_medians(axis.index(x), tested.plain, k, sign, pruned)
    ended = rows.ended
    bad = rows.unusable
    rates = stats.LevelRates()(axis.index(rows.X[ended, column]), bad[ended], k)
    if ended.any():
        overall = float(bad[ended].mean())
    else:
        overall = 0.0
    level_numbers = axis.index(rows.X[:, column])
    finished = rows.finished & ~rows.absent
    seconds = rows.seconds
    levels = []
    for i, (label, level, rate) in enumerate(zip(level_labels(parameter), medians, rates, strict=True)):
        durations = seconds[(level_numbers == i) & finished]
        typical = np.nan
        if durations.size and np.isfinite(durations).all():
            typical = float(np.median(durations))
        bad_p = 1.0
        if rate.rate > overall:
            bad_p = rate.p
        levels.append(
            LevelEvidence(
                label=label,
                n=level.n,
                median=level.median,
                low=level.low,
                high=level.high,
                ratio=float(ratio.ratio[i]),
                ratio_low=float(ratio.low[i]),
                ratio_high=float(ratio.high[i]),
                bad=rate.rate,
                bad_p=bad_p,
                seconds=typical,
                timed=durations.size,
            )
        )
    return tuple(levels)


def level_medians(
    codes: npt.NDArray[np.intp], y: Floats, k: int, sign: float, pruned: Bools
) -> Sequence[stats.Level]:
    """Medians per level in the metric's own sign.

    NaN if a median or an end of its interval is a pruned trial.
    """
    if not pruned.any():
        return stats.LevelSummary()(codes, sign * y, k)
    worst = float(y.min())
    # So far below that even the middle between it and the best value is below the worst.
    below = np.where(pruned, worst - (float(y.max()) - worst) - 1.0, y)

    def known(value: float) -> float:
        if sign * value >= worst:
            return value
        return np.nan

    summary = stats.LevelSummary()(codes, sign * below, k)
    return [v._replace(median=known(v.median), low=known(v.low), high=known(v.high)) for v in summary]


def _only_spread(parameter: Parameter, x: Floats, score: Floats, level_p: float) -> bool:
    """Whether values vary more at some levels of a parameter, without a detected effect on their middle.

    Such a parameter can place the best trials, which are lucky where the noise is large: a finding of the
    best trials alone is then one of the noise.

    Source: Brown and Forsythe (1974), 'Robust tests for the equality of variances', on ranks.
    """
    if len(x) < _LEAST_SPREAD or not level_p > ALPHA:
        return False
    deviation = np.abs(score - np.median(score))
    if parameter.ordered:
        p = stats.Spearman(resamples=1)(x, deviation).p
    else:
        p = stats.KruskalWallis(resamples=1)(x, deviation, parameter.size).p
    return bool(p <= _SPREAD_LEVEL)


def _cost(parameter: Parameter, column: int, rows: EvidenceTable) -> float:
    """P-value of 'the parameter has no effect on the duration of a finished trial'."""
    timed = np.flatnonzero(rows.finished & ~rows.absent & np.isfinite(rows.seconds))
    if timed.size < 10:
        return 1.0
    x = rows.X[timed, column]
    seconds = rows.seconds[timed]
    order = np.lexsort((seconds, x))  # draws must not depend on the order of rows
    if parameter.ordered:
        return stats.Spearman(resamples=1)(x[order], seconds[order]).p
    return stats.KruskalWallis(resamples=1)(x[order], seconds[order], parameter.size).p


def adjusted(evidence: Sequence[ParameterEvidence], spent: float) -> tuple[ParameterEvidence, ...]:
    """Evidence with q-values, adjusted over all parameters of the round.

    Parameters, edges, durations and failures are four families of tests, adjusted separately. ``spent`` is
    the factor by which earlier looks at the branch raise the q-values.
    """
    effect_q = _q_values([[e.p] for e in evidence], spent)
    edge_q = _q_values([[edge.p for edge in e.edges] for e in evidence], spent)
    cost_q = _q_values([[e.cost_p] for e in evidence], spent)
    level_p = [[level.bad_p for level in e.levels] for e in evidence]
    trend_p = [[] if e.bad is None else [e.bad.p] for e in evidence]
    failure_q = _q_values([*level_p, *trend_p], spent)
    needed = stats.good_trials_to_judge(max(1, len(evidence)), ALPHA)
    complete = []
    for i, e in enumerate(evidence):
        levels = [level._replace(bad_q=q) for level, q in zip(e.levels, failure_q[i], strict=True)]
        trend_q = failure_q[len(evidence) + i]
        complete.append(
            e._replace(
                q=effect_q[i][0],
                edge_q=tuple(edge_q[i]),
                levels=tuple(levels),
                bad_trend_q=trend_q[0] if trend_q else np.nan,
                cost_q=cost_q[i][0],
                needed=needed,
            )
        )
    return tuple(complete)


def _q_values(p_values: Sequence[Sequence[float]], spent: float) -> list[list[float]]:
    """Benjamini-Hochberg q-values of one family of tests, at most 1, in the shape of ``p_values``."""
    family = [p for of_parameter in p_values for p in of_parameter]
    if not family:
        return [[] for _ in p_values]
    q = [min(1.0, spent * float(value)) for value in stats.benjamini_hochberg(family)]
    ends = np.cumsum([len(of_parameter) for of_parameter in p_values])
    return [q[end - len(p) : end] for end, p in zip(ends.tolist(), p_values, strict=True)]


def untested(evidence: Sequence[ParameterEvidence]) -> tuple[ParameterEvidence, ...]:
    """Evidence of a round whose trials were chosen by their results: no test of effects, no q-value."""
    needed = stats.good_trials_to_judge(max(1, len(evidence)), ALPHA)
    return tuple(
        e._replace(p=np.nan, q=np.nan, edges=(), edge_q=(), bad=None, needed=needed) for e in evidence
    )


def read_where(read: Bools, parents: Mapping[str, tuple[Parameter, Floats]]) -> ReadWhere | None:
    """Levels of a parameter at which every trial ``read`` a second parameter, and no trial elsewhere does.

    ``None`` without such levels. ``parents`` is name -> parameter and (n,) unit-scale positions.
    """
    for name, (parameter, x) in parents.items():
        if parameter.size > 12:
            continue
        level = level_axis(parameter).index(x)
        levels_read = set(level[read].tolist())
        levels_unread = set(level[~read].tolist())
        if levels_read and levels_unread and not levels_read & levels_unread:
            levels = tuple(sorted(levels_read))
            labels = level_labels(parameter)
            return ReadWhere(name, levels, tuple(labels[i] for i in levels))
    return None


def level_labels(parameter: Parameter) -> tuple[str, ...]:
    """The levels of a parameter as tables show them."""
    if isinstance(parameter, Categorical):
        return parameter.labels
    return tuple(number(v, 6) for v in parameter.grid)


def level_positions(parameter: Parameter) -> Floats:
    """Unit-scale positions of the levels, or the codes of an unordered choice."""
    return parameter.unit(level_values(parameter))


def level_values(parameter: Parameter) -> Column:
    """The levels of a parameter as a column."""
    return objects(parameter.grid)


def level_axis(parameter: Parameter) -> stats.Axis:
    """The levels of a parameter as an axis of :mod:`refine.stats`."""
    return stats.Axis(level_positions(parameter), unordered=not parameter.ordered)


def couplings(
    X: Floats, y: Floats, cardinalities: Sequence[int], read: Bools, seed: int
) -> tuple[stats.Pair, ...]:
    """Tests of all pairs that some trials read together.

    Configurations that differ in unread values only count once. ``X``, ``y`` and ``cardinalities`` are as in
    :mod:`refine.stats`, ``read`` is (n, d).
    """
    test = stats.Interactions(top=GOOD, seed=seed)
    pairs_by_columns: dict[tuple[int, int], stats.Pair] = {}

    def within(rows: Bools, columns: list[int]) -> list[stats.Pair]:
        kinds = [cardinalities[k] for k in columns]
        distinct, score = once(X[rows][:, columns], y[rows], kinds)
        pairs = test(X[rows][distinct][:, columns], score, kinds)
        return [p._replace(i=columns[p.i], j=columns[p.j]) for p in pairs]

    always = [j for j in range(len(cardinalities)) if read[:, j].all()]
    for pair in within(np.ones(len(y), dtype=np.bool_), always):
        pairs_by_columns[pair.i, pair.j] = pair
    for j in (j for j in range(len(cardinalities)) if read[:, j].any() and j not in always):
        rows = read[:, j]
        read_along = [k for k in range(len(cardinalities)) if read[rows, k].all() and np.ptp(X[rows, k]) > 0]
        for pair in within(rows, read_along):
            if j in (pair.i, pair.j):
                pairs_by_columns.setdefault((pair.i, pair.j), pair)
    ordered = [pairs_by_columns[pair_columns] for pair_columns in sorted(pairs_by_columns)]
    q = stats.benjamini_hochberg([p.p for p in ordered]) if ordered else ()
    return tuple(p._replace(q=float(adjusted)) for p, adjusted in zip(ordered, q, strict=True))


_LEAST = 5  # fewest trials at a level to rule it out
_ALPHA = 0.01


def without_ruled_out(
    rows: EvidenceTable, parameters: Sequence[Parameter], absent: Sequence[Bools]
) -> list[EvidenceTable]:
    """Tables per parameter, without failures explained by ruled-out levels of further parameters.

    A level is ruled out if 5 or more trials ended at the level without a usable model, Fisher's p <= 0.01:
    trials at the level fail for any values of further parameters, and would hide effects of these parameters.
    ``absent`` says per parameter which trials lack the parameter by its condition.
    """
    tables = [rows._replace(absent=lacking) for lacking in absent]
    lost = np.zeros((len(parameters), len(rows.y)), dtype=np.bool_)
    for mask, own_rows, parameter, x in zip(lost, tables, parameters, rows.X.T, strict=True):
        codes = level_axis(parameter).index(x)
        ended = own_rows.ended
        rates = stats.LevelRates()(codes[ended], rows.unusable[ended], parameter.size)
        levels = [r.level for r in rates if r.n >= _LEAST and r.hits == r.n and r.p <= _ALPHA]
        mask[:] = np.isin(codes, levels) & ~own_rows.absent
    return [
        own_rows._replace(lost=np.any(np.delete(lost, j, axis=0), axis=0))
        for j, own_rows in enumerate(tables)
    ]
