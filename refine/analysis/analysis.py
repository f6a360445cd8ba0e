"""The analysis: all measurements on a round's evidence. A pure function of a space and a table."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.believed import AttributedBelief, BeliefCheck, believed_of
from refine.analysis.conditions import active_where, reading
from refine.analysis.evenness import Evenness, drawn_reason
from refine.analysis.evidence import (
    ALPHA,
    EvidenceTable,
    ParameterEvidence,
    TestSamples,
    adjusted,
    couplings,
    evidence_of,
    level_axis,
    read_where,
    untested,
    without_ruled_out,
)
from refine.analysis.fidelity import (
    Bridges,
    bridged,
    cheap_rows,
    level_positions_of,
    with_cheap_states,
    with_forecasts,
)
from refine.analysis.finding import Finding, Whole, coupled_with, finding_of
from refine.analysis.metric_limits import MetricLimits, metric_limits
from refine.analysis.new_data import NewData, new_data_of
from refine.analysis.noise import decades_of, fold_error_of, from_decades, log_of_repeats, noise_of
from refine.analysis.reason import Reason
from refine.errors import AnalysisError, UnknownNameError, did_you_mean
from refine.space.belief import belief_of
from refine.space.encoding import check_seed
from refine.space.parameters import Parameter, Range
from refine.space.space import Space, space_of
from refine.trials.declared import Limits
from refine.trials.explosion import exploded, explosion_limit
from refine.trials.frame import (
    barred_rows,
    degenerate_rows,
    infeasible_rows,
    slacks,
    space_filling,
    value_column,
)
from refine.trials.goal import Goal, check_direction, sign_of
from refine.trials.metric import Metric
from refine.trials.metric_constraint import FEASIBLE, MetricConstraint
from refine.trials.trial import AUDITS, EXCLUDED, FAILED, STATES, State
from refine.utils.action import Action
from refine.utils.arrays import Bools, Floats, as_pandas, order_of, row_codes
from refine.utils.display import Shown
from refine.utils.format import join, plural
from refine.utils.keywords import helped
from refine.utils.numbers import is_whole
from refine.utils.plain import plain
from refine.utils.threads import one_thread
from refine.utils.types import JsonObject
from refine.utils.warning import warn

if TYPE_CHECKING:
    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame


# Fewest finished space-filling trials for tests, and fewest finished trials of all rounds for an analysis
# without tests.
LEAST = 10

# Most null permutations of an importance. The number needed grows with the square of the depth of a round; at
# depth 20 and beyond, effects are found by the tests without permutations.
_MOST_PERMUTATIONS = 100_000

# Word for the origin of a trial in :attr:`Analysis.origins`; other origins keep their names.
_ORIGIN_WORDS = {"space_filling": "even", "exploit": "learning", "adaptive": "learning", "probe": "audit"}


@dataclass(frozen=True, eq=False)
class Feasibility:
    """Trials against metric constraints."""

    constraints: tuple[MetricConstraint, ...]  # the constraints
    met: tuple[int, ...]  # per constraint, the number of the round's own finished trials that meet it
    feasible: int  # number of trials that meet all constraints
    finished: int  # number of finished trials
    # (n,) values of all evidence, larger is better, infeasible trials included; the worst value if unknown
    measured: Floats
    # (constraints, n) slack of each trial, negative if a constraint is broken; the least slack if unknown
    slack: Floats

    def with_more(self, measured: Floats, slack: Floats) -> Feasibility:
        """The same with more evidence: (m,) values and (constraints, m) slack, NaN if unknown.

        The added trials do not count as the round's own.
        """
        return replace(
            self,
            measured=_known(np.concatenate([self.measured, measured])),
            slack=_known(np.concatenate([self.slack, slack], axis=1)),
        )


def _known(values: Floats) -> Floats:
    """Values with the least value of a row in place of its unknown ones."""
    return np.asarray(np.where(np.isnan(values), np.nanmin(values, axis=-1, keepdims=True), values))


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Shown):
    """All measurements on a round's evidence.

    P-values, intervals and levels use space-filling trials only, of the round and of earlier rounds on an
    equal space. Pruned trials rank by their forecast, or without one with the worst trials. With fewer
    than ten such trials, nothing is tested: p-values are NaN, and levels hold no trial.

    The evidence on the optimum (``X``, ``y``, ``origins``) holds the trials of the tree inside the space, of
    any origin: of the round, of ancestors, descendants and other branches. Trials under a different
    objective, data or declared noise stay out. Pruned trials have their forecast; failed, degenerate and
    infeasible trials have the worst value.

    Trials count if finished by the moment of the analysis. ``digest`` identifies the evidence. ``until`` is
    the time at which the last trial of a branch had finished, and ``branch_trials`` counts the trials of each
    branch: an analysis of these trials gives equal results.

    Examples:
        >>> analysis = root.analyze()
        >>> [e.name for e in analysis.parameters if e.q <= 0.05], dict(analysis.states)
        (['lr', 'dropout'], {'complete': 30})
    """

    space: Space  # the analysed space
    metric: str  # name of the metric, for display
    direction: str  # ``"maximize"`` or ``"minimize"``
    seed: int  # seed of every bootstrap and permutation test
    states: dict[str, int]  # state -> number of the round's own trials
    n_space_filling: int  # finished space-filling trials behind the tests; 0 if nothing is tested
    n_pooled: int  # trials of earlier rounds on the same space among them
    n_earlier: int  # other finished trials of earlier rounds inside the space
    n_elsewhere: int  # finished trials inside the space of descendants and of other branches
    # different configurations that finished and were drawn evenly over the whole space, in this or an earlier
    # round
    n_even: int
    n_few_even: int  # evenly drawn trials that are too few for a test; 0 if there are enough, or none
    # stage of the branch; q-values are multiplied by stage (stage + 1) / 2
    stage: int
    # evidence on every parameter that varies, in the space's order
    parameters: tuple[ParameterEvidence, ...]
    # couplings among the best trials, of parameters that are read; ``i`` and ``j`` number ``parameters``
    pairs: tuple[stats.Pair, ...]
    # noise between repeats with its source, and the smallest step of the metric
    noise: stats.NoiseEstimate
    covered: float  # probability that the round hit the best 1 % of the grid
    best: pd.Series  # table row of the round's best trial; a degenerate one if all are
    table: pd.DataFrame = field(repr=False)  # the round's own trials inside the space
    # finished audit trials outside the space, of the round and of earlier rounds on the same space
    outside: pd.DataFrame = field(repr=False)
    X: Floats = field(repr=False)  # unit-scale positions of all evidence, shape (n, parameters)
    y: Floats = field(repr=False)  # values of all evidence, higher is better, shape (n,)
    # (n,) origin of all evidence: ``"even"``, ``"given"``, ``"learning"``, ``"audit"`` or ``"imported"``
    origins: npt.NDArray[np.str_] = field(repr=False)
    digest: str  # hash of the evidence
    # (n,) evidence from descendants and other branches, whose configurations a child of the round may repeat;
    # ``None`` without such trials
    from_branches: Bools | None = field(default=None, repr=False)
    # time at which the last trial of another branch had finished, in seconds since 1970; ``None`` without one
    until: float | None = None
    # round id -> number of its stored trials at the moment of the analysis, for rounds of other branches
    branch_trials: Mapping[str, int] = field(default_factory=dict)
    # (n,) evidence that failed, diverged or is degenerate, with a stand-in value in ``y``; ``None`` without
    # any
    failed: Bools | None = field(default=None, repr=False)
    # (n,) evidence of the round itself; ``None`` if unknown
    own: Bools | None = field(default=None, repr=False)
    # fingerprints of the objective's code, if known; several make a caution
    codes: tuple[str, ...] = ()
    # imported trials among ``n_space_filling`` that look even but are not declared as such
    n_imported: int = 0
    # replicates: (k, parameters) unit-scale positions and (k,) values, larger is better; ``None`` without
    # any. They inform the winner.
    replicates: tuple[Floats, Floats] | None = field(default=None, repr=False)
    # stored trials of the round and its ancestors that cannot be read, and are left out
    n_damaged: int = 0
    # the evidence against metric constraints; ``None`` without constraints
    feasibility: Feasibility | None = None
    # with several goals, the analyses of the further goals on the same trials
    others: tuple[Analysis, ...] = ()
    # space-filling trials in the sample that is tested, if there are more than 200,000 trials; 0 without a
    # sample. Counts, and the best trial, are of all trials.
    n_sampled: int = 0
    drawn: Evenness | None = None  # evenness of imported trials; ``None`` for other trials
    # a declared belief about the place of the best value; no test uses it
    declared_belief: AttributedBelief | None = None
    # trials of the round itself with a huge but finite value, which count as diverged; and the limit, larger
    # is better, below which a value counts as exploded, -inf without such trials
    n_exploded: int = 0
    explosion_limit: float = -np.inf
    # lowest and highest possible value of the metric, as declared; ``None`` if nothing was
    declared_limits: Limits | None = None
    n_outside: int = 0  # trials of ``outside`` that are of the round itself
    # deviation of trials on new data; ``None`` if no trial has scores by validation row or by fold
    new_data: NewData | None = field(default=None, repr=False)
    # (n,) positions of the evidence on the fidelity, 0 for its cheapest and 1 for its full level; ``None``
    # without a fidelity. Values in ``y`` of cheap trials are forecasts of full values.
    levels: Floats | None = field(default=None, repr=False)
    bridges: Bridges | None = field(default=None, repr=False)  # between levels of the fidelity

    def with_goals(self, others: Sequence[Analysis]) -> Analysis:
        """The analysis of several goals at once, in which this one is the first goal's."""
        if not others:
            return self
        digests = [self.digest, *(other.digest for other in others)]
        digest = hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]
        return replace(self, others=tuple(others), digest=digest)

    @property
    def evidence(self) -> dict[str, int]:
        """Origin -> number of trials behind the analysis, replicates included."""
        counts = {
            str(origin): int(n)
            for origin, n in zip(*np.unique(self.origins, return_counts=True), strict=True)
        }
        if self.replicates is not None:
            counts["replicate"] = len(self.replicates[1])
        return counts

    def __getitem__(self, name: str) -> ParameterEvidence:
        for evidence in self.parameters:
            if evidence.name == name:
                return evidence
        if name in list(self.space):
            fixed = ", which has one value"
        else:
            fixed = ""
        names = [e.name for e in self.parameters]
        raise UnknownNameError(f"no evidence for parameter {name!r}{fixed}; {did_you_mean(name, names)}")

    @property
    def at_full(self) -> Bools:
        """(n,) mask of the evidence at the full level of the fidelity; all of it without one."""
        if self.levels is None:
            return np.ones(len(self.y), dtype=np.bool_)
        return np.asarray(self.levels == 1.0, dtype=np.bool_)

    @property
    def subject_to(self) -> tuple[str, ...]:
        """The metric constraints, as texts."""
        if self.feasibility is None:
            return ()
        return tuple(map(str, self.feasibility.constraints))

    @property
    def tested(self) -> bool:
        """True if effects are tested. Otherwise a proposal rests on the posterior alone."""
        return self.n_space_filling > 0

    @property
    def sign(self) -> float:
        """1 to maximize, -1 to minimize."""
        return sign_of(self.direction)

    @cached_property
    def read_positions(self) -> Floats:
        """``X`` with NaN for values that were not read by the condition of their parameter."""
        X = self.X.copy()
        read = reading(self.parameters, self.X)
        if read is not None:
            X[~read] = np.nan
        return X

    @cached_property
    def configurations(self) -> npt.NDArray[np.intp]:
        """A number per row of ``X``, equal for equal configurations: shape (n,)."""
        return np.unique(row_codes(self.X), return_inverse=True)[1].reshape(-1)

    @cached_property
    def belief(self) -> BeliefCheck | None:
        """The declared belief against this evidence, with its present weight; ``None`` without a belief."""
        if self.declared_belief is None:
            return None
        return believed_of(self.declared_belief, self.space, self.parameters, self.X, self.y)

    def _data(self) -> JsonObject:
        """The measurements without the tables behind them."""
        names = (
            "metric direction states n_space_filling n_pooled n_earlier stage covered best never_read "
            "cautions"
        )
        noise = {k: getattr(self.noise, k) for k in ("epsilon", "epsilon_source")}
        findings = self.findings
        return {
            **{name: plain(getattr(self, name)) for name in names.split()},
            "noise": {**plain(self.noise), **plain(noise)},
            "parameters": [
                {**plain(e), "effect": plain(e.effect), "finding": plain(findings[e.name])}
                for e in self.ranked
            ],
            "pairs": [
                {**plain(p), "i": self.parameters[p.i].name, "j": self.parameters[p.j].name}
                for p in self.pairs
            ],
            "evidence": self.digest,
        }

    @property
    def ranked(self) -> tuple[ParameterEvidence, ...]:
        """Parameters in the printed order: smallest q first, larger effects first among equals."""
        return tuple(
            sorted(self.parameters, key=lambda e: (round(e.q, 3), -e.effect) if self.tested else (0.0, 0.0))
        )

    @cached_property
    def findings(self) -> dict[str, Finding]:
        """The finding on every parameter by name, in the order of :attr:`ranked`."""
        names = [e.name for e in self.parameters]
        degenerate = bool(degenerate_rows(self.table, self.space).any())
        constrained = self.feasibility is not None and self.feasibility.feasible < self.feasibility.finished
        about = Whole(self.metric, self.sign, bool(np.ptp(self.y) == 0), degenerate, constrained, self.tested)
        partners = {name: coupled_with(name, names, self.pairs) for name in names}
        return {e.name: finding_of(e, partners[e.name], about) for e in self.ranked}

    @property
    def cautions(self) -> tuple[Reason, ...]:
        """Reservations: imported, exploded or unreadable trials, or several versions of the code."""
        cautions = []
        origin = "adaptive"
        n = self.states.get("complete", 0)
        if self.tested:
            origin = "space_filling"
            n = self.n_imported
            if n:
                origin = "imported"
        drawing = drawn_reason(origin, n, self.n_space_filling, self.drawn)
        if self.n_few_even:
            drawing = Reason("few_even", {"n": self.n_few_even, "least": LEAST})
        if drawing is not None:
            cautions.append(drawing)
        if self.n_sampled:
            cautions.append(Reason("sampled", {"n": self.n_sampled, "of": self.n_space_filling}))
        if self.n_exploded:
            if self.sign > 0:
                way = "below"
            else:
                way = "above"
            limit = self.sign * self.explosion_limit
            values = {"n": self.n_exploded, "metric": self.metric, "way": way, "limit": limit}
            cautions.append(Reason("exploded", values))
        if self.noise.floor_source == "decades":
            factor = self.factor_of(self.noise.floor)
            cautions.append(Reason("decades", {"metric": self.metric, "factor": factor}))
        if self.n_damaged:
            cautions.append(Reason("damaged", {"n": self.n_damaged}))
        if len(self.codes) > 1:
            cautions.append(Reason("code", {"codes": list(self.codes)}))
        return tuple(cautions)

    def factor_of(self, epsilon: float) -> float:
        """A tolerance as a factor of the best loss; NaN if losses are not compared on a log scale."""
        if self.noise.floor_source != "decades":
            return math.nan
        return 1 + epsilon / float(np.abs(self.y).min())

    @cached_property
    def limits(self) -> MetricLimits:
        """The values that the metric cannot pass, with the source of that knowledge."""
        return metric_limits(self.metric, self.sign * self.y, self.declared_limits)

    @cached_property
    def validation_rows(self) -> int:
        """Number of rows of the validation set, if the metric is a share of them; 0 if unknown.

        A formula of the parameters has steps, too: few of them, or the steps of a range.
        """
        step = self.noise.step
        values = self.y[np.isfinite(self.y)]
        share = any(word in self.metric.lower() for word in ("acc", "err"))  # other metrics do not count rows
        if not (share and step > 0) or self.noise.paired_source == "folds" or np.abs(values).max() > 1:
            return 0
        count = round(1 / step)
        grids = [e.parameter.grid for e in self.parameters if isinstance(e.parameter, Range)]
        gaps = [np.diff(np.asarray(grid, dtype=float)).min() for grid in grids if len(grid) > 1]
        # A range with levels one step apart may cause the steps of the metric.
        if count < _FEWEST_ROWS or any(np.isclose(gap, step) for gap in gaps):
            return 0
        error = np.abs(values * count - np.rint(values * count)).max()
        if error <= 1e-6 * max(count, 1000) and abs(step * count - 1) < 0.01 / count + 1e-4:
            return count
        return 0

    @property
    def one_split(self) -> bool:
        """Whether the metric counts rows of one validation set, without scores by fold or by example."""
        return self.validation_rows > 0 and not self.noise.paired

    @property
    def never_read(self) -> tuple[str, ...]:
        """Parameters that no trial read, though it had them."""
        return tuple(e.name for e in self.parameters if e.read == 0 and e.parameter.when is None)


# Fewest rows of a validation set that are inferred from the steps of a metric.
_FEWEST_ROWS = 30


class FirstRound(NamedTuple):
    """Trials of the first round of a branch, for the noise of a later round with few evenly drawn ones."""

    space: Space
    frame: pd.DataFrame  # columns as in :func:`analyze`
    groups: Sequence[Any] | None = None  # one label per row, equal for replicates
    allow_degenerate: bool = False  # as in :func:`analyze`


class TrialSources(NamedTuple):
    """The tables of an analysis, as in :func:`analyze`."""

    frame: pd.DataFrame
    earlier: pd.DataFrame | None = None
    # trials of later rounds and of other branches, used like ``earlier``
    elsewhere: pd.DataFrame | None = None
    pooled: int = 0
    read: Mapping[str, npt.ArrayLike] | None = None
    groups: Sequence[Any] | None = None
    replicates: Sequence[object] | None = None
    # its evenly drawn trials show noise and tolerance if ``frame`` has fewer than 10
    first_round: FirstRound | None = None


def _checked(sources: TrialSources, value: str) -> TrialSources:
    """The tables, with ``earlier`` and ``elsewhere`` as pandas tables; AnalysisError for a wrong type."""
    count = len(sources.frame)
    if not is_whole(sources.pooled, 0, count):
        raise AnalysisError(
            f"pooled must be a whole number from 0 to {count}, the number of rows of earlier rounds at the "
            f"head of the table, got {sources.pooled!r}"
        )
    if sources.read is not None and not isinstance(sources.read, Mapping):
        raise AnalysisError(
            "read must be a mapping of parameters to masks of the rows, got "
            f"{type(sources.read).__name__}; for example read={{'lr': True}}"
        )
    groups = sources.groups
    if groups is not None and not (np.iterable(groups) and len(list(groups)) == count):
        raise AnalysisError(
            f"groups must be a label for each of the {count} rows, got {groups!r:.40}; equal labels mark "
            "replicates of one configuration"
        )
    if sources.replicates is not None:
        _check_replicates(sources.replicates)
    return sources._replace(
        earlier=_further_table(sources.earlier, "earlier", value),
        elsewhere=_further_table(sources.elsewhere, "elsewhere", value),
    )


def _further_table(table: pd.DataFrame | None, role: str, value: str) -> pd.DataFrame | None:
    """A table next to the table of the round; AnalysisError if it is not a table or lacks the value."""
    if table is None:
        return None
    try:
        table = as_pandas(table, AnalysisError)
    except AnalysisError as error:
        raise AnalysisError(f"{role}: {error}") from None
    if value not in table:
        raise AnalysisError(f"{role}: needs the columns of the table, got none named {value!r}; add it")
    return table


def _check_replicates(replicates: Sequence[Any]) -> None:
    """Raises AnalysisError unless ``replicates`` are two or three sequences of one length."""
    try:
        values, labels, *planned = replicates
        sizes = {len(np.asarray(part, dtype=float)) for part in (values, *planned)} | {len(labels)}
    except (TypeError, ValueError):
        sizes = set()
    if len(sizes) != 1 or len(planned) > 1:
        raise AnalysisError(
            "replicates must be values, labels of their configurations and, if known, values of the planned "
            f"runs, as many each, got {replicates!r:.40}; for example ([0.91, 0.92], ['a', 'a'])"
        )


@one_thread
@helped
def analyze(
    space: Space | Mapping[str, object],
    frame: IntoFrame,
    value: str | Goal = "value",
    direction: str = "maximize",
    seed: int = 0,
    *,
    metric: str | None = None,
    earlier: pd.DataFrame | None = None,
    pooled: int = 0,
    stage: int = 1,
    read: Mapping[str, npt.ArrayLike] | None = None,
    groups: Sequence[object] | None = None,
    replicates: Sequence[object] | None = None,
    belief: Mapping[str, object] | None = None,
    by_row: npt.ArrayLike | None = None,
) -> Analysis:
    """Measures a table of finished runs over a space: effects, failures, noise, couplings.

    Pure: equal arguments give equal results.

    Args:
        space: The space, or its mapping; rows outside are left out.
        frame: One row per trial: a column per parameter, one for the value and, optionally, ``state``
            (default: complete), ``origin`` (default: space_filling), ``seconds`` and ``forecast``, the
            forecast final value of a pruned trial.
        value: Name of the value's column, or a :class:`refine.Goal` on that column, whose constraints are on
            other columns. Without ``noise`` of the goal, ``groups`` and ``replicates`` show the noise.
            Without ``limits``, those of metrics are known by name, such as of an accuracy or an rmse, and for
            shares of rows. Without ``scale``, minimized losses are compared by factors if no value is
            negative or 0 and the median is more than 20 times the best; the tolerance is then a factor of the
            best.
        direction: ``"maximize"`` or ``"minimize"``, of a value that is no goal.
        seed: Seed of every bootstrap and permutation test.
        metric: Displayed name of the metric; default the name of the value.
        earlier: Trials of other rounds, in the columns of ``frame``: evidence on the optimum, never tested.
        pooled: Number of rows at the head of ``frame`` from earlier rounds on an equal space. No selection
            took place in between, so the space-filling trials of earlier rounds are tested as well.
        stage: Stage of the branch, from 1; a round and a growth of a round count one stage, see
            :func:`refine.stats.stage_of`. The q-values of stage k are multiplied by k (k + 1) / 2, so
            repeated testing does not add up to false alarms.
        read: Parameter -> mask of the rows of ``frame`` whose trial read the parameter, or a single bool.
        groups: One label per row of ``frame``, equal for replicates of one configuration.
        replicates: Values of replicates of good configurations, the labels of the configurations and, if
            known, the values of the planned runs; used for the noise only.
        belief: A belief about the place of the best value, see :class:`refine.Plan`. Beliefs shape
            proposals, not tests.
        by_row: (trials, validation rows) scores of the rows of ``frame``, whose mean is the value; NaN for a
            trial without scores. Claims are then about new data. Default: scores by fold, in columns
            ``value@1``, ``value@2``, ..., if there are any.

    Raises:
        AnalysisError: An argument has the wrong type, or a column is missing; or fewer than 10 finished
            trials lie inside the space, trials of ``earlier`` included; or the round itself has no finished
            trial.

    Examples:
        >>> analysis = refine.analyze({"lr": (0.5, 5.0), "dropout": (0.0, 0.5)}, root.trials, value="value")
        >>> analysis.n_space_filling
        30
    """
    space = space_of(space)
    column: Any = value
    if isinstance(value, Goal):
        column = str(value.metric)
    for keyword, text in (("value", column), ("metric", metric)):
        if text is not None and not isinstance(text, str):
            raise AnalysisError(f"{keyword} must be text, got {text!r:.40}; for example {keyword}='acc'")
    check_direction(direction)
    if not isinstance(value, Goal):
        goal = Goal(Metric(value), direction)
    elif direction in ("maximize", value.direction):
        goal = value
    else:
        raise AnalysisError(
            f"direction={direction!r}: the goal has its own, {value.direction!r}; leave it out"
        )
    if metric is not None:
        goal = replace(goal, metric=goal.metric._replace(name=metric, reduction="last"))
    sources = TrialSources(
        as_pandas(frame, AnalysisError),
        earlier=earlier,
        pooled=pooled,
        read=read,
        groups=groups,
        replicates=replicates,
    )
    return measured(
        space,
        sources,
        goal,
        column=column,
        seed=seed,
        stage=stage,
        belief=belief,
        by_row=by_row,
    )


@one_thread
def measured(
    space: Space,
    sources: TrialSources,
    goal: Goal,
    *,
    column: str = "value",
    seed: int = 0,
    stage: int = 1,
    belief: Mapping[str, object] | None = None,
    by_row: npt.ArrayLike | None = None,
) -> Analysis:
    """The analysis of some tables; arguments and errors as for :func:`analyze`.

    ``column`` holds the values, and may be named otherwise than the metric of the goal.
    """
    seed = check_seed(seed, 0)
    direction = goal.direction
    allow_degenerate = goal.allow_degenerate
    constraints = goal.metric.subject_to
    if not is_whole(stage):
        raise AnalysisError(
            f"stage must be a whole number >= 1, the stage of looking at its branch, got {stage!r}"
        )
    if belief is None:
        declared_belief = None
    else:
        declared_belief = AttributedBelief(belief_of(belief, space))
    sources = _checked(sources, column)
    tables = _tables_of(space, sources, column, goal)
    rows = tables.rows
    of_round = tables.own
    sign = tables.sign
    cardinalities = tables.cardinalities
    names = list(space.varied)
    parameters = [space[n] for n in space.varied]
    n_even = _n_even(tables, parameters)
    X, y, place, unusable = _evidence(tables.parts, sign)
    spent = stats.looks_spent(stage)
    permutations = min(_MOST_PERMUTATIONS, stats.permutations_needed(max(1, len(names)), ALPHA / spent))
    masks = {n: tables.read[n][rows.mask] for n in names if n in tables.read}
    active = space.active_in(rows.table)
    # A parameter that a configuration lacks was not read, even if a value stood in its place.
    masks |= {n: masks[n] & active[n] if n in masks else active[n] for n in names if n in active}
    tests = TestSamples(rows, cardinalities, sign, seed, permutations)
    all_rows = np.ones(len(rows.y), dtype=np.bool_)
    tables_by_parameter = without_ruled_out(rows, parameters, [~active.get(n, all_rows) for n in names])
    evidence = [
        evidence_of(space[n], n, j, tables_by_parameter[j], masks.get(n), tests) for j, n in enumerate(names)
    ]
    # A trial that raised may have read little: trials with a value show the reading.
    positions = {n: (space[n], rows.X[rows.finished, j]) for j, n in enumerate(names)}
    for j, e in enumerate(evidence):
        if e.name in active:
            evidence[j] = e._replace(condition=active_where(space, e.name))
        elif 0 < e.read < 1:
            other_positions = {n: v for n, v in positions.items() if n != e.name}
            evidence[j] = e._replace(condition=read_where(masks[e.name][rows.finished], other_positions))
    X_ranked, y_ranked, order_ranked = _in_order(rows, rows.ranked, sign)
    read_columns = [masks.get(n, all_rows)[rows.ranked][order_ranked] for n in names]
    read_ranked = np.reshape(read_columns, (len(names), len(y_ranked))).T
    pairs = couplings(X_ranked, y_ranked, cardinalities, read_ranked, seed)
    counts = _counts(rows, of_round, sign)
    n_tested = counts["n_space_filling"]
    n_few_even = int((rows.measurable & tables.even).sum()) - n_tested
    names_of_value = [column, str(goal.metric)]
    resolution = _resolution(tables, names_of_value, sources, goal)
    new_data = new_data_of(
        space, sources.frame, names_of_value, sign, allow_degenerate, by_row, noise_sd=resolution.sd
    )
    if by_row is not None and new_data is not None:
        resolution = resolution._replace(paired=new_data.paired_error, paired_source="examples")
    # With exact values, a forecast would pass for one in spite of its error.
    if not resolution.deterministic:
        X, y, place, unusable = _evidence(tables.parts, sign, forecasts=True)
    levels = _levels(space, tables.parts, place)
    columns = [X, y] if levels is None else [X, y, levels]
    digest = hashlib.sha256(
        np.round(np.column_stack(columns), 12).tobytes() + space.digest.encode()
    ).hexdigest()
    analysis = Analysis(
        space=space,
        metric=str(goal.metric),
        direction=direction,
        seed=seed,
        **counts,
        n_earlier=sum(int(part.finished.sum()) for part in tables.path_parts[1:]),
        n_elsewhere=sum(int(part.finished.sum()) for part in tables.parts[len(tables.path_parts) :]),
        n_even=n_even,
        stage=stage,
        parameters=adjusted(evidence, spent) if n_tested else untested(evidence),
        pairs=tuple(p._replace(q=min(1.0, p.q * spent)) for p in pairs) if n_tested else (),
        noise=resolution,
        n_few_even=n_few_even,
        covered=stats.hit_probability(n_tested or n_few_even, 0.01),
        outside=_outside(space, tables.frame, column, allow_degenerate),
        n_outside=len(_outside(space, tables.whole_frame[tables.n_pooled :], column, allow_degenerate)),
        X=X,
        y=y,
        origins=np.concatenate([origin_words(p.table)[p.informative] for p in tables.parts])[place],
        from_branches=_from_branches(tables, place),
        digest=digest[:16],
        failed=unusable if unusable.any() else None,
        own=_own(tables)[place],
        feasibility=(
            _feasibility(tables.parts, of_round, place, space, constraints, sign) if constraints else None
        ),
        declared_belief=declared_belief,
        n_exploded=tables.n_exploded,
        explosion_limit=tables.explosion_limit,
        declared_limits=goal.limits,
        new_data=new_data,
        levels=levels,
        bridges=tables.bridges,
    )
    if tables.sampled:
        analysis = _of_all(analysis, tables, column, allow_degenerate)
    if tables.n_excluded is not None:
        analysis = replace(analysis, states={**analysis.states, EXCLUDED: tables.n_excluded})
    return analysis


@one_thread
def resolution_of(space: Space, sources: TrialSources, goal: Goal) -> stats.NoiseEstimate:
    """The noise of an analysis alone, without tests; errors as for :func:`analyze`."""
    tables = _tables_of(space, sources, "value", goal)
    return _resolution(tables, ["value", str(goal.metric)], sources, goal)


class _Tables(NamedTuple):
    """The trials of an analysis as arrays, checked and cleaned."""

    frame: pd.DataFrame  # trials that are analysed: exploded ones have diverged, excluded ones are left out
    whole_frame: pd.DataFrame  # ``frame`` before a sample was drawn
    sampled: bool  # True if a sample was drawn from a very large table
    rows: EvidenceTable  # those of ``frame`` inside the space
    even: Bools  # (rows,) whether a trial was drawn evenly, also if too few were for a test
    own: Bools  # (rows,) whether a trial is of the round itself
    # ``rows`` first, then trials of earlier rounds on other spaces and of other branches, if there are any
    parts: tuple[EvidenceTable, ...]
    n_path_parts: int  # number of ``parts``, the first ones, that hold the round and earlier rounds
    read: Mapping[str, Bools]  # parameter -> (frame,) whether a trial read it; empty if unknown
    groups: Sequence[Any] | None  # labels of ``frame``, equal for replicates
    sign: float  # 1 to maximize, -1 to minimize
    cardinalities: list[int]  # per parameter 0 if it is ordered, else its number of choices
    n_pooled: int  # rows at the head of ``whole_frame`` that are of earlier rounds
    n_excluded: int | None  # excluded trials of the round itself; ``None`` if none of any round is
    n_exploded: int  # trials of the round itself with an exploded value
    explosion_limit: float  # see :attr:`Analysis.explosion_limit`
    bridges: Bridges | None  # between levels of the fidelity

    @property
    def path_parts(self) -> tuple[EvidenceTable, ...]:
        """The trials of the round and of earlier rounds, from which this space was chosen."""
        return self.parts[: self.n_path_parts]


def _tables_of(space: Space, sources: TrialSources, value: str, goal: Goal) -> _Tables:
    """Checks and cleans the tables of an analysis, whose values are in the column ``value``."""
    allow_degenerate = goal.allow_degenerate
    constraints = goal.metric.subject_to
    sign = goal.sign
    frame = sources.frame
    pooled = sources.pooled
    groups = sources.groups
    if value not in frame.columns:
        columns = [str(c) for c in frame.columns]
        raise AnalysisError(f"value {value!r} is not a column of the table; {did_you_mean(value, columns)}")
    frame = _judged(frame, space, constraints)
    other_tables = [t for t in (sources.earlier, sources.elsewhere) if t is not None]
    other_tables = [_judged(table, space, constraints) for table in other_tables]
    frame, *other_tables = (with_cheap_states(space, table, value) for table in (frame, *other_tables))
    finished = [sign * _finished_values(table, value) for table in (frame, *other_tables)]
    limit = explosion_limit(np.concatenate(finished), goal.scale)
    n_exploded = 0
    if np.isfinite(limit):
        frame, blown = _without_exploded(frame, value, sign, limit)
        n_exploded = int(blown[pooled:].sum())
        other_tables = [_without_exploded(table, value, sign, limit)[0] for table in other_tables]
    bridges = bridged(space, (frame, *other_tables), value, sign)
    frame, *other_tables = (with_forecasts(table, bridges) for table in (frame, *other_tables))
    read_masks = {n: _read_mask(n, mask, len(frame)) for n, mask in (sources.read or {}).items()}
    excluded = np.zeros(len(frame), dtype=np.bool_)
    if "state" in frame:
        excluded = np.asarray(frame["state"] == EXCLUDED, dtype=np.bool_)
    copied = _copied_rows(frame, value)
    usable = ~excluded & ~copied
    all_trials = frame
    chosen = np.flatnonzero(usable)
    if not usable.all():
        all_trials = frame[usable].reset_index(drop=True)
    sample = sample_of(all_trials, space, MOST)
    if sample is not None:
        chosen = chosen[sample]
    other_tables = [_sampled(table, space) for table in other_tables]
    n_pooled = int(usable[:pooled].sum())
    n_excluded = int(excluded[pooled:].sum())
    if len(chosen) < len(frame):
        frame = frame.iloc[chosen].reset_index(drop=True)
        pooled = int((chosen < pooled).sum())
        read_masks = {n: mask[chosen] for n, mask in read_masks.items()}
        if groups is not None:
            groups = [groups[i] for i in chosen.tolist()]
    rows = _inside(space, frame, value, allow_degenerate, sign)
    parts = (rows, *(_inside(space, table, value, allow_degenerate, sign) for table in other_tables))
    of_round = np.flatnonzero(rows.mask) >= pooled
    _check_feasible(rows, of_round, space, constraints)
    even = rows.space_filling
    if int((rows.measurable & even).sum()) < LEAST:
        _check_enough(parts, len(frame), space)
        rows = rows._replace(space_filling=np.zeros(len(rows.y), dtype=np.bool_))
        parts = (rows, *parts[1:])
    if not rows.finished[of_round].any():
        raise AnalysisError(
            "an analysis needs at least 1 finished trial of the round itself, got 0; run the round first",
            Action("round.run"),
        )
    return _Tables(
        frame=frame,
        whole_frame=all_trials,
        sampled=sample is not None,
        rows=rows,
        even=even,
        own=of_round,
        parts=parts,
        n_path_parts=1 + (sources.earlier is not None),
        read=read_masks,
        groups=groups,
        sign=sign,
        cardinalities=[space[n].cardinality for n in space.varied],
        n_pooled=n_pooled,
        n_excluded=n_excluded if excluded.any() else None,
        n_exploded=n_exploded,
        explosion_limit=limit,
        bridges=bridges,
    )


def _sampled(frame: pd.DataFrame, space: Space) -> pd.DataFrame:
    """A table, or a sample of a table of more than :data:`MOST` trials."""
    sample = sample_of(frame, space, MOST)
    if sample is None:
        return frame
    return frame[sample].reset_index(drop=True)


def _resolution(
    tables: _Tables,
    metrics: Sequence[str],
    sources: TrialSources,
    goal: Goal,
) -> stats.NoiseEstimate:
    """The noise by the trials of an analysis.

    Trials that a search chose lie close together near the best value: their residuals are too small, and so
    is the distance from the median to the best. If the round has few evenly drawn trials, those of the first
    round of the branch count instead; if the first round has few of them, too, all of its trials do.

    Args:
        tables: The trials.
        metrics: Names under which scores by fold may stand.
        sources: Where the trials come from.
        goal: The goal with its declarations.
    """
    rows = tables.rows
    sign = tables.sign
    even = (rows.finished | rows.cheap) & rows.space_filling
    drawn_evenly = bool(even.any())
    if not drawn_evenly:
        even = rows.finished
    sample = _sample_of(rows, even, tables.groups, tables.cardinalities, sign)
    even_y = sign * rows.y[even & ~rows.degenerate]
    first_y = np.zeros(0)
    if not drawn_evenly and sources.first_round is not None:
        space, frame, groups, allow_degenerate = sources.first_round
        frame = with_forecasts(with_cheap_states(space, frame, "value"), tables.bridges)
        first_rows = _inside(space, frame, "value", allow_degenerate, sign)
        first_even = (first_rows.finished | first_rows.cheap) & first_rows.space_filling
        drawn_evenly = int(first_even.sum()) >= LEAST
        if not drawn_evenly:
            first_even = first_rows.finished
        if first_even.any():  # all trials of the first round may have failed, or be excluded
            cardinalities = [space[n].cardinality for n in space.varied]
            sample = _sample_of(first_rows, first_even, groups, cardinalities, sign)
            first_y = sign * first_rows.y[first_even & ~first_rows.degenerate]
    _, y, labels, _ = sample
    usable = [part.finished & ~part.degenerate for part in tables.parts]
    finished_X = _selected([part.X for part in tables.parts], usable)
    finished_y = sign * _selected([part.y for part in tables.parts], usable)
    # Trials of other branches gather where values are good: the spread of the values is that of the path.
    n_path = sum(int(mask.sum()) for mask in usable[: tables.n_path_parts])
    spread = finished_y
    if n_path >= LEAST:
        spread = finished_y[:n_path]
    if first_y.size:
        even_y = first_y
    elif not drawn_evenly or not even_y.size:
        even_y = spread
    losses = -finished_y
    if sources.replicates is not None and goal.scale is None:  # repeats of 0 or less rule out factors
        repeats = np.asarray(sources.replicates[0], dtype=float)
        losses = np.concatenate([losses, repeats[np.isfinite(repeats)]])
    spread_of_losses = -spread
    if not (losses > 0).all():
        spread_of_losses = losses
    decades = 0.0
    if sign < 0 or goal.scale is not None:
        decades = decades_of(spread_of_losses, goal.scale, -even_y)
    if decades > 0:
        on_log_scale = noise_of(
            -np.log10(-y),
            labels,
            log_of_repeats(sources.replicates),
            (finished_X, -np.log10(-finished_y), tables.cardinalities),
            goal.noise,
        )._replace(floor=stats.floor_of(-np.log10(-spread), -np.log10(-even_y)))
        resolution = from_decades(on_log_scale, float(-finished_y.max()))
    else:
        finished = (finished_X, finished_y, tables.cardinalities)
        resolution = noise_of(y, labels, sources.replicates, finished, goal.noise)
        resolution = resolution._replace(floor=stats.floor_of(spread, even_y))
    judged = np.where(rows.finished & ~rows.degenerate, sign * rows.y, -np.inf)
    paired = fold_error_of(rows.table, metrics, judged)
    return resolution._replace(paired=paired, paired_source="folds" if paired else "")


def _counts(rows: EvidenceTable, of_round: Bools, sign: float) -> dict[str, Any]:
    """Fields of :class:`Analysis` about all trials: the table of the round itself, its best trial, counts.

    ``of_round`` is the mask of the round's own trials.
    """
    table = rows.table[of_round].reset_index(drop=True)
    finished = rows.finished[of_round]
    states = {"complete": int(finished.sum())}
    if "state" in table:
        numbers = table["state"].value_counts().to_dict()
        states = {s: int(numbers[s]) for s in STATES if s in numbers}
    eligible = finished & ~rows.degenerate[of_round]
    if not eligible.any():
        eligible = finished
    best = int(np.argmax(np.where(eligible, sign * rows.y[of_round], -np.inf)))
    tested = rows.measurable & rows.space_filling
    imported = 0
    if "origin" in rows.table:
        imported = int((rows.table["origin"][rows.finished & rows.space_filling] == "imported").sum())
    return {
        "table": table,
        "states": states,
        "best": table.iloc[best],
        "n_space_filling": int(tested.sum()),
        "n_pooled": int((tested & ~of_round).sum()),
        "n_imported": imported,
    }


def _of_all(part: Analysis, tables: _Tables, value: str, allow_degenerate: bool) -> Analysis:
    """An analysis of a sample, completed by the best trial, the table and the counts of all trials."""
    rows = _inside(part.space, tables.whole_frame, value, allow_degenerate, part.sign)
    of_round = np.flatnonzero(rows.mask) >= tables.n_pooled
    counts = _counts(rows, of_round, part.sign)
    n_even = counts["n_space_filling"]
    feasibility = part.feasibility
    if feasibility is not None:
        met = slacks(rows.table[of_round & rows.measurable], part.space, feasibility.constraints) >= 0
        feasibility = replace(feasibility, **_counted(met))
    content = f"{part.digest} {len(tables.whole_frame)} {counts['best']['value']!r}"
    return replace(
        part,
        **counts,
        n_even=n_even,
        covered=stats.hit_probability(n_even, 0.01),
        digest=hashlib.sha256(content.encode()).hexdigest()[:16],
        n_sampled=part.n_space_filling,
        feasibility=feasibility,
    )


def _counted(met: Bools) -> dict[str, Any]:
    """Numbers of trials that meet (constraints, n) constraints, as attributes of :class:`Feasibility`."""
    met_each = tuple(int(n) for n in met.sum(axis=1))
    return {"met": met_each, "feasible": int(met.all(axis=0).sum()), "finished": met.shape[1]}


def _check_feasible(
    rows: EvidenceTable, of_round: Bools, space: Space, constraints: Sequence[MetricConstraint]
) -> None:
    """Raises AnalysisError if trials of the round itself finished and none meets all constraints."""
    if rows.finished[of_round].any() or not rows.infeasible[of_round].any():
        return
    broken = rows.infeasible & of_round
    shown = slacks(rows.table[broken], space, constraints)
    hardest = int(np.argmin((shown >= 0).mean(axis=1)))
    constraint = constraints[hardest]
    closest = constraint.bound + (1.0 if constraint.relation == ">=" else -1.0) * float(
        np.nanmax(shown[hardest])
    )
    named = join([f"'{c}'" for c in constraints])
    raise AnalysisError(
        f"none of {plural(int(broken.sum()), 'finished trial')} meets {named}; the "
        f"closest to '{constraint}' has {closest:.6g}. What drives it is shown by",
        Action("round.analyze", constraint.name, "minimize" if constraint.relation == "<=" else "maximize"),
    )


def _check_enough(parts: Sequence[EvidenceTable], count: int, space: Space) -> None:
    """Raises AnalysisError if the rounds together have too few finished trials inside the space.

    Args:
        parts: Trials of the round, then trials of other rounds.
        count: Number of trials of the round, outside the space included.
        space: The space of the round.
    """
    rows = parts[0]
    n = int(rows.measurable.sum())
    n_others = sum(int(part.measurable.sum()) for part in parts[1:])
    if n + n_others >= LEAST:
        return
    if not count and not n_others:
        raise AnalysisError(
            f"an analysis needs at least {LEAST} finished trials inside the space, and no trial has run; run "
            "the round first",
            Action("round.run"),
        )
    if not count:
        raise AnalysisError(
            f"the round has not run yet: an analysis needs at least {LEAST} finished trials inside the "
            f"space, other rounds have {n_others}; run the round first",
            Action("round.run"),
        )
    outside = count - int(rows.mask.sum())
    unfinished = int((~rows.finished).sum())
    lost = [f"{outside:,} outside"] * (outside > 0) + [f"{unfinished:,} without a value"] * (unfinished > 0)
    reason = ""
    if lost:
        reason = f" ({', '.join(lost)})"
    missing = LEAST - n - n_others
    fix = f"run {missing} more configurations"
    if outside > count / 2:
        fix = f"check the bounds of the space, or {fix}"
    if len(parts) > 1:
        reason += f" and {n_others} of other rounds"
        fix += ", here or in another round of the tree that reaches into the space"
    calls = []
    if rows.failed.any():
        fix += "; look at the failures first"
        calls.append(Action("round.failures"))
    if space.size <= n:
        reason = f", which are all configurations of the space{reason}"
        fix = "start a round with more levels, or use the best configuration"
        calls = [Action("tree.winner")]
    raise AnalysisError(
        f"an analysis needs at least {LEAST} finished trials inside the space, got {n} of "
        f"{plural(count, 'row')}{reason}; {fix}",
        *calls,
    )


class _Sample(NamedTuple):
    """Trials of one round, in a canonical order."""

    X: Floats  # (n, d) positions
    y: Floats  # (n,) values, larger is better
    labels: list[Any] | None  # n labels, equal for replicates; ``None`` if unknown
    cardinalities: list[int]  # per parameter 0 if it is ordered, else its number of choices


def _sample_of(
    rows: EvidenceTable, mask: Bools, groups: Sequence[object] | None, cardinalities: list[int], sign: float
) -> _Sample:
    """Some rows; ``groups`` are labels of the table behind ``rows``."""
    X, y, order = _in_order(rows, mask, sign)
    labels = None
    if groups is not None:
        labels = np.asarray(groups, dtype=object)[rows.mask][mask][order].tolist()
    return _Sample(X, y, labels, cardinalities)


def _in_order(rows: EvidenceTable, mask: Bools, sign: float) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Positions and values of some rows in a canonical order, larger is better, and that order."""
    X = rows.X[mask]
    y = sign * rows.y[mask]
    order = order_of(X, y)
    return X[order], y[order], order


def _selected(arrays: Sequence[Floats], masks: Sequence[Bools]) -> Floats:
    """The selected rows of several arrays, one array after the other."""
    return np.concatenate([array[mask] for array, mask in zip(arrays, masks, strict=True)])


def _evidence(
    parts: Sequence[EvidenceTable], sign: float, forecasts: bool = False
) -> tuple[Floats, Floats, npt.NDArray[np.intp], Bools]:
    """Positions and values for the surrogate, in a canonical order; that order; a mask of failed trials.

    A trial that failed, cannot be best, or was stopped early (without ``forecasts``), counts as the worst
    value.
    """
    X = np.concatenate([part.X[part.informative] for part in parts])
    values = [
        np.where(part.finished | part.cheap | (part.forecast & forecasts), sign * part.y, np.nan)[
            part.informative
        ]
        for part in parts
    ]
    y = np.concatenate(values)
    degenerate = np.concatenate([part.degenerate[part.informative] for part in parts])
    y = np.where(np.isnan(y) | degenerate, np.nanmin(y), y)
    unusable = np.concatenate([part.failed[part.informative] for part in parts]) | degenerate
    order = order_of(X, y)
    return X[order], y[order], order, unusable[order]


def _levels(space: Space, parts: Sequence[EvidenceTable], place: npt.NDArray[np.intp]) -> Floats | None:
    """Positions of the evidence on the fidelity, in the order of :func:`_evidence`; ``None`` without one."""
    positions = [level_positions_of(space, part.table) for part in parts]
    found = [p[part.informative] for p, part in zip(positions, parts, strict=True) if p is not None]
    return np.concatenate(found)[place] if found else None


def _own(tables: _Tables) -> Bools:
    """Mask of the round's own trials in the evidence of :func:`_evidence`, before it is ordered."""
    counts = [int(part.informative.sum()) for part in tables.parts]
    own = np.zeros(sum(counts), dtype=np.bool_)
    own[: counts[0]] = tables.own[tables.rows.informative]
    return own


def _from_branches(tables: _Tables, place: npt.NDArray[np.intp]) -> Bools | None:
    """Mask of the evidence from descendants and other branches, in the order ``place``."""
    if tables.n_path_parts == len(tables.parts):
        return None
    sizes = [int(part.informative.sum()) for part in tables.parts]
    mask: Bools = place >= sum(sizes[: tables.n_path_parts])
    return mask


def origin_words(frame: pd.DataFrame) -> npt.NDArray[np.str_]:
    """(n,) words of :attr:`Analysis.origins` for a table of trials; even without a column ``origin``."""
    if "origin" not in frame:
        return np.full(len(frame), "even")
    words = [_ORIGIN_WORDS.get(origin, str(origin)) for origin in frame["origin"].tolist()]
    return np.array(words, dtype=np.str_)


def _feasibility(
    parts: Sequence[EvidenceTable],
    of_round: Bools,
    order: npt.NDArray[np.intp],
    space: Space,
    constraints: Sequence[MetricConstraint],
    sign: float,
) -> Feasibility:
    """The constraints' side of the evidence of :func:`_evidence`, in its order."""
    shown = [
        np.where(part.measurable & ~part.degenerate, sign * value_column(part.table), np.nan)
        for part in parts
    ]
    margins = [slacks(part.table, space, constraints) for part in parts]
    informative = [part.informative for part in parts]
    measured = _selected(shown, informative)
    slack = np.concatenate([m[:, t] for m, t in zip(margins, informative, strict=True)], axis=1)
    met = margins[0][:, of_round & parts[0].measurable] >= 0
    return Feasibility(
        constraints=tuple(constraints),
        measured=_known(measured)[order],
        slack=_known(slack)[:, order],
        **_counted(met),
    )


def _n_even(tables: _Tables, parameters: Sequence[Parameter]) -> int:
    """Number of different configurations drawn evenly over the whole space.

    Earlier rounds count if they reach everywhere: a space that was widened since has levels outside their
    reach.
    """
    rows, *earlier = tables.path_parts
    even = [rows.X[rows.measurable & tables.even]]
    even += [part.X[part.measurable & part.space_filling] for part in earlier]
    numbered = enumerate(parameters)
    if len(even) > 1 and any(stats.untried(level_axis(p), even[1][:, j]).any() for j, p in numbered):
        even = even[:1]
    return len(np.unique(np.concatenate(even), axis=0))


def _judged(frame: pd.DataFrame, space: Space, constraints: Sequence[MetricConstraint]) -> pd.DataFrame:
    """The table with a column for trials that meet all constraints."""
    if not constraints or (FEASIBLE in frame and frame[FEASIBLE].dtype == bool):
        return frame
    met = np.asarray((slacks(frame, space, constraints) >= 0).all(axis=0), dtype=np.bool_)
    return frame.assign(**{FEASIBLE: met})


def _read_mask(name: str, read: npt.ArrayLike, count: int) -> Bools:
    mask = np.asarray(read)
    if mask.shape not in ((), (count,)) or not np.isin(mask, (0, 1)).all():
        raise AnalysisError(
            f"read: {name}: needs one answer, True or False, for all trials or for each of the {count} rows"
        )
    return np.broadcast_to(mask.astype(np.bool_), (count,))


def _outside(space: Space, frame: pd.DataFrame, value: str, allow_degenerate: bool) -> pd.DataFrame:
    """Finished audit trials that may be best."""
    outside = frame.assign(value=frame[value])
    if "origin" not in outside:
        return outside.iloc[:0]
    keep = outside["origin"].isin(AUDITS) & np.isfinite(value_column(outside))
    if "state" in outside:
        keep &= outside["state"] == "complete"
    keep &= ~barred_rows(outside, space, allow_degenerate)
    outside = outside[keep]
    return outside[~space.contains(outside)].reset_index(drop=True)


def _numbers(frame: pd.DataFrame, column: str, name: str) -> Floats:
    """A column of numbers; AnalysisError, with the user's name of the column, if the column holds text."""
    try:
        return np.asarray(frame[column], dtype=float)
    except (TypeError, ValueError):
        raise AnalysisError(
            f"value {name!r} must be a column of numbers, got text in it; convert it first"
        ) from None


def _copied_rows(frame: pd.DataFrame, value: str) -> Bools:
    """(n,) mask of rows equal to an earlier row in all columns: copies, as in overlapping exports.

    A repeat has another seed or time. Copies count once; a warning gives their number.
    """
    try:
        copied = frame.duplicated().to_numpy()
    except TypeError:  # a column of lists or dictionaries
        copied = frame.astype(str).duplicated().to_numpy()
    copied = copied & np.isfinite(_numbers(frame, value, value))
    if copied.any():
        warn(
            f"analyze: {plural(int(copied.sum()), 'row')} of {len(frame):,} equal another row in every "
            "column and count once; give repeats a seed or a time of their own"
        )
    return np.asarray(copied)


def _finished_values(frame: pd.DataFrame, value: str) -> Floats:
    """Values of the complete trials, without NaN."""
    values = _numbers(frame, value, value)
    finished = np.isfinite(values)
    if "state" in frame:
        finished &= (frame["state"] == "complete").to_numpy()
    return values[finished]


def _without_exploded(
    frame: pd.DataFrame, value: str, sign: float, limit: float
) -> tuple[pd.DataFrame, Bools]:
    """The table with exploded values as NaN and their trials as diverged, and the (n,) mask of these."""
    values = _numbers(frame, value, value)
    state = np.where(np.isfinite(values), "complete", "failed")
    if "state" in frame:
        state = frame["state"].to_numpy(dtype=object)
    blown = exploded(sign * values, limit) & (state == "complete")
    changed = {value: np.where(blown, np.nan, values), "state": np.where(blown, State.DIVERGED, state)}
    return frame.assign(**changed), np.asarray(blown)


def _inside(
    space: Space, frame: pd.DataFrame, value: str, allow_degenerate: bool, sign: float
) -> EvidenceTable:
    mask = space.contains(frame)
    table = frame[mask].reset_index(drop=True)
    if value != "value":
        table = table.assign(value=table[value])
    y = _numbers(table, "value", value)
    finished = np.isfinite(y)
    failed = ~finished
    pruned = np.zeros(len(table), dtype=np.bool_)
    if "state" in table:
        finished &= (table["state"] == "complete").to_numpy()
        failed = table["state"].isin(FAILED).to_numpy()
        pruned = table["state"].isin(("pruned", "cheap")).to_numpy()
    infeasible = infeasible_rows(table) & finished
    finished = finished & ~infeasible
    failed = failed & ~infeasible
    behind = pruned | infeasible
    if sign > 0:
        worst = min
    else:
        worst = max
    measured = y
    if infeasible.any():
        measured = np.where(pruned & finished.any(), worst(y[finished | infeasible]), y)
    forecast = np.where(
        pruned & finished.any(), np.asarray(table.get("forecast", np.nan), dtype=float), np.nan
    )
    if behind.any() and finished.any():
        y = np.where(np.isfinite(forecast), forecast, np.where(behind, worst(y[finished]), y))
    else:
        behind = infeasible
    degenerate = finished & ~np.bool_(allow_degenerate) & degenerate_rows(table, space)
    return EvidenceTable(
        table=table,
        X=space.unit(table)[:, [n in space.varied for n in space]],
        y=y,
        finished=finished,
        failed=failed,
        space_filling=space_filling(table),
        mask=mask,
        degenerate=degenerate,
        pruned=behind,
        forecast=np.isfinite(forecast),
        infeasible=infeasible,
        measured=measured if infeasible.any() else y,
        cheap=cheap_rows(table) & np.isfinite(y) & finished.any(),
        lost=np.zeros(len(y), dtype=np.bool_),
        absent=np.zeros(len(y), dtype=np.bool_),
    )


# Most trials of an analysis. A rank correlation is then known to 0.004, and a share of good trials at one of
# ten levels to 1 % of itself; more trials only cost time.
MOST = 200_000


def sample_of(frame: pd.DataFrame, parameters: Iterable[str], limit: int) -> Bools | None:
    """Mask of at most ``limit`` rows of a table of trials; ``None`` for all rows.

    The configuration decides, so replicates stay together, results play no role, and a growing table keeps
    most of its sample.
    """
    if len(frame) <= limit:
        return None
    import pandas as pd

    names = [name for name in parameters if name in frame]
    mixed = pd.util.hash_pandas_object(frame[names], index=False).to_numpy()
    # The smallest hashes, completed to whole groups of equal configurations.
    return np.asarray(mixed < np.partition(mixed, limit)[limit], dtype=np.bool_)
