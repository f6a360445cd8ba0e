"""Evidence of all rounds of a tree about the space of a round, read from the store."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis, FirstRound, TrialSources, measured, resolution_of
from refine.analysis.believed import AttributedBelief
from refine.analysis.evenness import evenness
from refine.analysis.learning_curves import MOST, Epochs, TrialCurves, curves_of, enough_epochs, how_many
from refine.analysis.new_data import (
    COMPARED,
    MOST_TRIALS,
    Deviations,
    NewData,
    from_folds,
    from_rows,
    unit_positions,
)
from refine.analysis.noise import fold_error_of
from refine.analysis.optimism import MODELS, Optimism, Runs, optimism_of, paired_error_of, scores_of
from refine.analysis.pooling import Bridge, added_since, bridges_beside, read_masks, replicate_groups
from refine.analysis.reason import Reason
from refine.analysis.stopped import Stopping, stopping_of
from refine.design.pruning import forecasts
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError, did_you_mean
from refine.run.fingerprint import versions_of
from refine.space.space import Space
from refine.store.reader import Reader, Snapshot
from refine.tree.round_record import RoundRecord
from refine.trials.declared import Declared
from refine.trials.frame import (
    Records,
    best_first,
    configuration_table,
    joined_records,
    may_be_best,
    table,
    usable_values,
    value_column,
)
from refine.trials.goal import ASK, Goal, check_direction, goals_of
from refine.trials.metric import FUNCTION, Curve, Metric, Score, is_bare_nan
from refine.trials.metric_constraint import SECONDS
from refine.trials.replicates import (
    again,
    best_keys,
    finished_replicates,
    planned,
    scores_by_split,
    selected,
    with_planned,
)
from refine.trials.round_record import Node, StoredNode, believed_on, declared_for
from refine.trials.rows import JsonRows
from refine.trials.trial import SPACE_FILLING, Examples, RowScores, Scored
from refine.utils.action import Action
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


class Lineage(NamedTuple):
    """Trials that are informative about the space of the last round of a path.

    Attributes:
        sources: Trials of the last round, after those of preceding rounds on an equal space; of further
            ancestors, of descendants and of other branches, in the names of the space; repeats of the best
            configurations of all rounds; and the first round, if its trials are not among the first ones.
        until: Time at which the last trial of other branches had finished; ``None`` without such trials.
        branch_trials: Round id -> number of its trials that count, for every round of other branches.
        repeat_tables: The repeats as tables in the names of the space.
        codes: Fingerprints of the code behind the trials of ``sources.frame``, oldest first.
        damaged: Number of unreadable trials of the path.
    """

    sources: TrialSources
    until: float | None
    branch_trials: Mapping[str, int]
    repeat_tables: tuple[pd.DataFrame, ...]
    codes: tuple[str, ...]
    damaged: int


class Cutoff(NamedTuple):
    """The trials of other branches that count as evidence.

    Times alone do not identify trials: computers have clocks of their own, and a trial may be stored after a
    proposal with an earlier time. Numbers alone do not either: a load may store trials in another order.
    """

    until: float = math.inf  # trials that had finished by this time, in seconds since 1970
    # round id -> number of its trials; ``None`` if unknown, as in proposals stored by older versions
    branch_trials: Mapping[str, int] | None = None

    def applied(self, node_id: str, records: Records) -> Records:
        """The trials of a round that count, of all its trials in the order of storing.

        Those finished in time if their number is right, else as many as were stored first.
        """
        finished = records.columns["finished"]
        if self.until == math.inf and None not in finished:
            return records
        in_time = [time is not None and time <= self.until for time in finished]
        if self.branch_trials is not None:
            count = self.branch_trials.get(node_id, 0)
            if sum(in_time) != count:
                in_time = [number < count for number in range(len(finished))]
        return selected(records, in_time)


_NO_CUTOFF = Cutoff()


def lineage(
    reader: Reader,
    path: Sequence[StoredNode],
    goal: Goal,
    rounds: Collection[StoredNode] = (),
    cutoff: Cutoff = _NO_CUTOFF,
) -> Lineage:
    """Reads the trials of a round, of its ancestors, and of other branches.

    Args:
        reader: Reads the store.
        path: Rounds from the root to the round.
        goal: Goal of the trials.
        rounds: All rounds of the tree, parents first; without them, only the path counts.
        cutoff: The trials of other branches that count; default all.

    Raises:
        AnalysisError: No trial has such a metric.
    """
    nodes = [stored.node for stored in path]
    pks = [stored.pk for stored in path]
    if isinstance(reader, Snapshot):
        reader.together({*pks, *(stored.pk for stored in rounds)})
    metric = goal.metric
    space = nodes[-1].space
    curves = metric.curves
    first = _first_alike(nodes)  # rounds on the same space are one sample
    records = reader.records(pks[first:], curves=curves)  # ancestors come first
    _check_metric(records, metric)
    bridges = [None if added is None else Bridge(added, {}) for added in added_since(space, nodes)]
    earlier = _translated(reader, goal, space, zip(path[:first], bridges[:first], strict=True))
    branches = _Branches.of(reader, path, goal, rounds, cutoff)
    replicated = {pk: reader.records([pk], curves, replicates=True) for pk in pks}
    repeats = {pk: again(of_round) for pk, of_round in replicated.items()}
    translated = [
        bridge.translated(space, repeats[pk]) for pk, bridge in zip(pks, bridges, strict=True) if bridge
    ]
    first_round = None
    if first > 0:
        planned_first = reader.records(pks[:1], curves=curves)
        first_space = nodes[0].space
        first_round = FirstRound(
            first_space,
            table(first_space, planned_first, metric),
            replicate_groups(planned_first),
            goal.allow_degenerate,
        )
    frame = table(space, records, metric)
    if (frame["state"] == "pruned").any():
        frame = _forecast(frame, reader.records(pks[first:], curves=True).curves, goal)
    with_repeats = {**replicated, **branches.replicated}
    repeated_by_plan = {
        f"{pk} {extra.key}"
        for pk, runs in with_repeats.items()
        if any(runs.columns["replicate"])
        for extra in reader.beside(pk)
        if extra.seeds > 1
    }
    sources = TrialSources(
        frame=frame,
        earlier=earlier,
        elsewhere=branches.frame,
        pooled=sum(len(reader.records([pk], curves=curves).metrics) for pk in pks[first:-1]),
        read=read_masks(space, records),
        groups=replicate_groups(records),
        replicates=with_planned(finished_replicates(with_repeats, goal), repeated_by_plan)[:3],
        first_round=first_round,
    )
    return Lineage(
        sources=sources,
        until=branches.until,
        branch_trials=branches.counts,
        repeat_tables=tuple(
            table(space, runs, metric) for runs in [*translated, *branches.repeats] if runs.metrics
        ),
        codes=versions_of(records.columns["code"]),
        damaged=len(records.damaged) + sum(len(reader.records([pk]).damaged) for pk in pks[:first]),
    )


class _Branches(NamedTuple):
    """Trials of descendants and of other branches."""

    frame: pd.DataFrame | None  # in the names of the space; ``None`` without trials
    until: float | None  # time at which the last trial had finished; ``None`` without trials
    counts: Mapping[str, int]  # round id -> number of trials of the round
    replicated: Mapping[int, Records]  # row of a round with repeats -> trials of the round
    repeats: Sequence[Records]  # the repeats, in the names of the space

    @classmethod
    def of(
        cls,
        reader: Reader,
        path: Sequence[StoredNode],
        goal: Goal,
        rounds: Collection[StoredNode],
        cutoff: Cutoff,
    ) -> _Branches:
        """Those trials of other branches that count for the last round of a path: see :func:`lineage`."""
        space = path[-1].node.space
        bridges = bridges_beside([stored.node for stored in path], [stored.node for stored in rounds])
        used = [stored for stored in rounds if stored.node.id in bridges]
        curves = goal.metric.curves
        replicated = {}
        repeats = []
        counts = {}
        latest = -math.inf
        for stored in used:
            runs = cutoff.applied(stored.node.id, reader.records([stored.pk], curves, replicates=True))
            if runs.metrics:
                counts[stored.node.id] = len(runs.metrics)
            latest = max([latest, *runs.columns["finished"]])
            repeated = again(runs)
            if repeated.metrics:
                replicated[stored.pk] = runs
                repeats.append(bridges[stored.node.id].translated(space, repeated))
        if not math.isfinite(latest):
            return cls(None, None, {}, {}, [])
        pairs = [(stored, bridges[stored.node.id]) for stored in used]
        return cls(_translated(reader, goal, space, pairs, cutoff), latest, counts, replicated, repeats)


def _translated(
    reader: Reader,
    goal: Goal,
    space: Space,
    rounds: Iterable[tuple[StoredNode, Bridge | None]],
    cutoff: Cutoff = _NO_CUTOFF,
) -> pd.DataFrame | None:
    """The trials of some rounds in the names of a space, as one table; ``None`` without a round.

    A round whose bridge is ``None`` is left out. Stopped trials get forecasts from the trials of their round.
    """
    plain: list[Records] = []  # one table of all rounds takes much less time than a table per round
    frames = []
    for stored, bridge in rounds:
        if bridge is None:
            continue

        def runs(curves: bool, stored: StoredNode = stored) -> Records:
            records_of_round = reader.records([stored.pk], curves, replicates=True)
            return planned(cutoff.applied(stored.node.id, records_of_round))

        records = runs(goal.metric.curves)
        if "pruned" in records.columns["state"]:
            with_curves = runs(True)
            translated = bridge.translated(space, with_curves)
            frames.append(_forecast(table(space, translated, goal.metric), translated.curves, goal))
        else:
            plain.append(bridge.translated(space, records))
    if plain:
        frames.append(table(space, joined_records(plain), goal.metric))
    return _together(frames)


def _forecast(frame: pd.DataFrame, curves: Sequence[Curve], goal: Goal) -> pd.DataFrame:
    """A table of trials with the forecast final value of each pruned trial in ``forecast``."""
    series = [goal.sign * np.asarray(c.get(goal.metric.name, ()), dtype=float) for c in curves]
    values = np.where(frame["state"] == "pruned", np.nan, goal.sign * frame["value"])
    return frame.assign(forecast=goal.sign * forecasts(series, values))


def read_stopping(reader: Reader, stored: StoredNode, goal: Goal) -> Stopping | None:
    """Epochs saved and good trials lost by early stopping.

    ``None`` without it, or with a pruner of Optuna.
    """
    if stored.node.pruner is None or "optuna" in stored.node.pruner:
        return None
    records = reader.records([stored.pk], curves=True)
    shown = reader.shown(stored.pk)
    state = np.array(records.columns["state"])
    keys = records.columns["key"]
    values = np.nan_to_num(goal.sign * usable_values(records, goal), nan=-np.inf)
    ended = np.isin(state, ("complete", "pruned"))
    behind = np.array([bool(shown.get(key, {}).get("behind")) for key in keys])
    lengths = np.array([max(map(len, curve.values()), default=0) for curve in records.curves])
    return stopping_of(lengths[ended], np.where(state == "pruned", np.nan, values)[ended], behind[ended])


def _check_metric(records: Records, metric: Metric) -> None:
    """Raises AnalysisError if trials have metrics, but not the wanted one."""
    if (
        metric.function is not None
        or metric.name == SECONDS
        or any(metric.name in m and not is_bare_nan(m) for m in records.metrics)
    ):
        return
    names = dict.fromkeys(name for m in records.metrics if not is_bare_nan(m) for name in m)
    if names:
        if metric.reduction == FUNCTION:
            raise AnalysisError(
                f"metric {str(metric)!r} is a function that is not at hand, and no trial has its value "
                "stored; give it: analyze(metric=function)"
            )
        raise AnalysisError(f"unknown metric {metric.name!r}; {did_you_mean(metric.name, names)}")


class MetricCache(dict[tuple[int, Goal], Floats]):
    """Values of the trials of a round, by its row and goal, computed at the first request."""

    def of(self, reader: Reader, pk: int, goal: Goal) -> Floats:
        """(n,) values of the trials of a round, larger is better; -inf for trials that cannot be best."""
        if (pk, goal) not in self:
            records = reader.records([pk], curves=goal.metric.curves)
            values = goal.sign * usable_values(records, goal)
            self[pk, goal] = np.where(np.isfinite(values), values, -np.inf)
        return self[pk, goal]


def best_inside(reader: Reader, path: Sequence[StoredNode], goal: Goal, values: MetricCache) -> float:
    """Best value among trials of a path inside the last space; NaN without trials.

    Trials are asked from the best one on whether they lie inside, so that most of a long path is never
    looked at.

    Raises:
        AnalysisError: No trial has such a metric.
    """
    nodes = [stored.node for stored in path]
    pks = [stored.pk for stored in path]
    space = nodes[-1].space
    curves = goal.metric.curves
    if not np.isfinite(values.of(reader, pks[-1], goal)).any():
        _check_metric(reader.records(pks[_first_alike(nodes) :], curves=curves), goal.metric)
    used = [
        (pk, added) for pk, added in zip(pks, added_since(space, nodes), strict=True) if added is not None
    ]
    best = BestFirstTrials(reader, used, goal, values).best_in(space)
    if best is None:
        return math.nan
    return goal.sign * best[0]


class BestFirstTrials:
    """Trials of several rounds, best first, so that a search ends early."""

    def __init__(
        self,
        reader: Reader,
        used: Sequence[tuple[int, Mapping[str, object]]],
        goal: Goal,
        values: MetricCache,
    ) -> None:
        self._reader = reader
        self._used = used
        self._curves = goal.metric.curves
        parts = [values.of(reader, pk, goal) for pk, _ in used]
        self._values = np.concatenate(parts)
        self._starts = np.cumsum([0, *map(len, parts)])
        self._order = np.argsort(-self._values, kind="stable")[: np.isfinite(self._values).sum()]

    def best_in(self, space: Space) -> tuple[float, pd.DataFrame] | None:
        """Value (larger is better) and parameters of the best trial inside a space; ``None`` without one."""
        low = 0
        size = 32
        while low < len(self._order):
            rows = self._order[low : low + size]
            table_of = configuration_table(
                space, JsonRows.joined([self._configuration(space, i) for i in rows])
            )
            inside = space.contains(table_of)
            if inside.any():
                first = int(np.argmax(inside))
                return float(self._values[rows[first]]), table_of.iloc[[first]]
            low = low + size
            size = 8 * size
        return None

    def _configuration(self, space: Space, number: np.intp) -> JsonRows:
        part = int(np.searchsorted(self._starts, number, side="right")) - 1
        pk, added = self._used[part]
        configuration = self._reader.records([pk], curves=self._curves).configurations[
            number - self._starts[part]
        ]
        return JsonRows([configuration]).under(space, added)


def _first_alike(nodes: Sequence[Node]) -> int:
    """Index of the first node of the path from which all spaces equal the last one."""
    first = len(nodes) - 1
    while first and nodes[first - 1].space == nodes[-1].space and not nodes[first].previous:
        first -= 1
    return first


def analyze(
    self: RoundRecord,
    metric: str | Score | Goal | None = None,
    direction: str | None = None,
    seed: int = 0,
) -> Analysis:
    """Analyses the trials of the round, with all finished trials of the tree inside its space.

    Tests and intervals use the even trials of the round. The posterior behind proposals and answers uses
    every trial inside the space, whichever round ran it. A round of any size can be analysed if ten trials of
    the tree lie inside its space.

    Args:
        metric: Another metric than the one of the round, or a :class:`Goal` with its declarations; those of
            the round hold for what a goal does not declare, and for another metric the noise alone. Without
            ``metric``, further goals are analysed as well, in ``others``.
        direction: Another direction, of a metric that is no goal.
        seed: Seed of every bootstrap and permutation test.

    Raises:
        AnalysisError: Fewer than 10 finished trials inside the space, none of them of the round, an unknown
            metric, or a wrong declaration.

    Examples:
        >>> analysis = root.analyze()
        >>> analysis["lr"].correlation.estimate < -0.8, analysis["lr"].q < 0.01
        (True, True)
    """
    evidence = _Evidence.of(self)
    if metric is None and direction is None:
        first, *further = [evidence.analysis(goal, seed) for goal in self._goals]
        return first.with_goals(further)
    if isinstance(metric, Goal):
        (goal,) = goals_of(metric, ASK if direction is None else direction)
    else:
        chosen = self._subject(Metric.parse(metric or self._value, self._context.scores))
        goal = Goal(chosen, check_direction(direction or self._direction), self._node.allow_degenerate)
    return evidence.analysis(goal, seed)


def analyze_until(
    self: RoundRecord,
    until: float | None,
    seed: int = 0,
    without: Collection[str] = (),
    branch_trials: Mapping[str, int] | None = None,
) -> Analysis:
    """The analysis of a round by its goals, with the trials of other branches up to a time.

    Args:
        self: The round.
        until: As :attr:`Analysis.until`; ``None`` for no trial of other branches.
        branch_trials: As :attr:`Analysis.branch_trials`; ``None`` if unknown.
        seed: Seed of every bootstrap and permutation test.
        without: Ids of rounds whose trials do not count.
    """
    if until is None:
        cutoff = Cutoff(-math.inf)
    else:
        cutoff = Cutoff(until, branch_trials)
    evidence = _Evidence.of(self)._replace(cutoff=cutoff)
    rounds = [stored for stored in evidence.rounds if stored.node.id not in without]
    evidence = evidence._replace(rounds=rounds)
    first, *further_goals = [evidence.analysis(goal, seed) for goal in self._goals]
    return first.with_goals(further_goals)


class _Evidence(NamedTuple):
    """The rounds whose trials count for a round."""

    reader: Reader
    path: Sequence[StoredNode]  # from the root to the round
    rounds: Collection[StoredNode]  # all rounds of the tree, parents first
    cutoff: Cutoff = _NO_CUTOFF  # trials of other branches that count

    @classmethod
    def of(cls, round_: RoundRecord) -> _Evidence:
        """All trials of the tree, read once."""
        context = round_._context.at_once(round_._node)
        return cls(context.reader, context.path(round_._node), context.nodes.values())

    def analysis(self, goal: Goal, seed: int) -> Analysis:
        """The analysis of the round by one goal, whose declarations override what is stored."""
        reader = self.reader
        path = self.path
        node = path[-1].node
        evidence = lineage(reader, path, goal, self.rounds, self.cutoff)
        declared = Declared.nearest([_declared(path, goal), goal.declared])
        # One stage for each round, and more for rounds that grew.
        grown = [_growth(reader, stored.pk, goal.metric.curves) for stored in path]
        earlier_stages = sum(stats.stage_of(plans, plans[-1]) for plans, _ in grown[:-1])
        analysis = measured(
            node.space,
            evidence.sources,
            replace(goal, **declared._asdict()),
            seed=seed,
            stage=earlier_stages + stats.stage_of(*grown[-1]),
        )
        drawn = None
        if node.method == IMPORTED:
            drawn = evenness(node.space, analysis.table, analysis.sign)
        new_data = _read_new_data(reader, path, goal, analysis.noise.sd)
        return replace(
            analysis,
            codes=evidence.codes,
            new_data=analysis.new_data if new_data is None else new_data,
            until=evidence.until,
            branch_trials=evidence.branch_trials,
            n_damaged=evidence.damaged,
            noise=_with_examples(reader, path, goal, analysis.noise),
            drawn=drawn,
            replicates=_again(analysis, evidence.repeat_tables, goal.allow_degenerate),
            declared_belief=declared_on([stored.node for stored in path]),
        )


def _declared(path: Sequence[StoredNode], goal: Goal) -> Declared:
    """The declarations that hold for a goal: limits and scale are about the metric of the round."""
    declared = declared_for([stored.node for stored in path])
    if str(goal.metric) != path[-1].node.metric:
        return Declared(declared.noise)
    return declared


def _with_examples(
    reader: Reader, path: Sequence[StoredNode], goal: Goal, noise: stats.NoiseEstimate
) -> stats.NoiseEstimate:
    """The noise, with the paired error over folds or validation examples if the round stored them."""
    if noise.paired:
        return noise
    paired, source = read_paired_error(reader, path[-1].pk, path[-1].node.space, goal)
    return noise._replace(paired=paired, paired_source=source)


def read_noise(
    reader: Reader, path: Sequence[StoredNode], goal: Goal, rounds: Collection[StoredNode] = ()
) -> stats.NoiseEstimate | None:
    """Noise as the analysis of the last round of a path states; ``None`` with too few trials.

    ``rounds`` are all rounds of the tree, parents first.
    """
    try:
        sources = lineage(reader, path, goal, rounds).sources
        declared = _declared(path, goal)
        noise = resolution_of(path[-1].node.space, sources, replace(goal, **declared._asdict()))
    except AnalysisError:
        return None
    return _with_examples(reader, path, goal, noise)


def declared_on(path: Sequence[Node]) -> AttributedBelief | None:
    """Belief on the last round of a path, with author and round."""
    node = believed_on(path)
    if node is None or not node.belief:
        return None
    return AttributedBelief(node.belief, node.id, node.author)


def _again(
    analysis: Analysis, tables: Sequence[pd.DataFrame], allow_degenerate: bool
) -> tuple[Floats, Floats] | None:
    """Positions of the repeats on the analysed axes, and their values."""
    columns = [list(analysis.space).index(e.name) for e in analysis.parameters]
    positions = []
    values = []
    for frame in tables:
        usable = analysis.space.contains(frame) & may_be_best(frame, analysis.space, allow_degenerate)
        positions.append(analysis.space.unit(frame[usable])[:, columns])
        values.append(analysis.sign * value_column(frame[usable]))
    if not sum(map(len, values)):
        return None
    return np.concatenate(positions), np.concatenate(values)


def _growth(reader: Reader, pk: int, curves: bool) -> tuple[list[int], int]:
    """Space-filling trials of each plan of a round, in proportion, and the number of ended ones."""
    columns = reader.records([pk], curves=curves).columns
    ended = zip(columns["origin"], columns["state"], strict=True)
    even = np.cumsum([origin in SPACE_FILLING for origin, state in ended if state != "running"])
    if not even.size or not even[-1]:
        return [1], 1
    plans = [even[n - 1] if n <= even.size else even[-1] * n / even.size for n in reader.plans(pk)]
    return [max(1, round(plan)) for plan in plans], int(even[-1])


def _together(frames: Sequence[pd.DataFrame]) -> pd.DataFrame | None:
    import pandas as pd

    if frames:
        return pd.concat(frames, ignore_index=True)
    return None


# Curves, and chance.


def read_curves(
    reader: Reader, pk: int, space: Space, goal: Goal, noise: float | None = None, top: int | None = None
) -> tuple[TrialCurves, ...]:
    """Curves of the best trials of a round, best first, without trials that lack curves.

    Args:
        reader: Reads the store.
        pk: Row of the round.
        space: Space of the round.
        goal: Goal of the trials.
        noise: Standard deviation of the value on retraining; ``None`` if unknown.
        top: Number of trials; default the larger of 20 and a tenth of the trials, at most 100.
    """
    metric = goal.metric
    records = reader.records([pk], curves=metric.curves)
    ranked = best_first(table(space, records, metric), goal.direction, space, goal.allow_degenerate)
    best = ranked["value"].iloc[: how_many(len(ranked), top)]
    keys = [str(records.columns["key"][i]) for i in best.index]
    pairs = list(zip(keys, best.astype(float).tolist(), strict=True))
    return curves_of(pairs, reader.curves(pk, keys), metric, goal.direction, noise)


def read_reported_epochs(reader: Reader, pk: int, goal: Goal) -> int:
    """Epochs of the longest curve among the best 20 trials of a round, of any metric; 0 without curves."""
    keys = best_keys(reader.records([pk], curves=goal.metric.curves), goal, 20)
    curves = reader.curves(pk, keys).values()
    return max((len(series) for curve in curves for series in curve.values()), default=0)


def read_epochs(reader: Reader, pk: int, goal: Goal) -> Epochs | None:
    """Epochs after which the first 100 trials rank as at the end; ``None`` if all epochs are needed."""
    records = reader.records([pk], curves=goal.metric.curves)
    values = _key_values(records, goal.metric)
    states = dict(zip(records.columns["key"], records.columns["state"], strict=True))
    keys = [key for key in values if states[key] == "complete"][:MOST]
    curves = reader.curves(pk, keys)
    keys = [key for key in keys if key in curves and goal.metric.name in curves[key]]
    return enough_epochs([curves[key][goal.metric.name] for key in keys], [values[key] for key in keys])


def read_paired_error(reader: Reader, pk: int, space: Space, goal: Goal) -> tuple[float, str]:
    """Standard error of the difference between two top configurations, over folds or validation examples.

    Returns:
        The error and ``"folds"`` or ``"examples"``; 0 and an empty text if unknown.
    """
    if goal.metric.reduction != "last":
        return 0.0, ""
    records = reader.records([pk], curves=False)
    if f"{goal.metric.name}@2" in records.metrics.names:
        y = goal.sign * usable_values(records, goal)
        frame = table(space, records, goal.metric)
        if error := fold_error_of(frame, [goal.metric.name], np.where(np.isfinite(y), y, -np.inf)):
            return error, "folds"
    examples = _examples(reader, pk, best_keys(records, goal, COMPARED), goal.metric)
    if examples and (error := paired_error_of(examples, _key_values(records, goal.metric), goal.metric)):
        return error, "examples"
    return 0.0, ""


def _examples(reader: Reader, pk: int, keys: Sequence[str], metric: Metric) -> Scored:
    """Key -> scores by validation row, or predictions if no trial of the round has such scores."""
    if metric.reduction != "last":
        return {}
    return reader.row_scores(pk, keys, metric.name) or reader.examples(pk, keys)


def read_deviations(
    reader: Reader, goal: Goal, keys_by_round: Mapping[int, Sequence[str]], noise_sd: float = 0.0
) -> tuple[list[str], Deviations] | None:
    """Labels and deviations on new data of planned runs, by scores on the same validation rows or folds.

    ``None`` if fewer than two runs have such scores.

    Args:
        reader: Reads the store.
        goal: Goal of the trials.
        keys_by_round: Row of a round -> hashes of configurations. If rounds have different validation rows,
            those of the first one count.
        noise_sd: Noise of retraining: see :func:`refine.analysis.new_data.from_folds`.
    """
    metric = goal.metric
    if metric.reduction != "last":
        return None
    examples: dict[str, Examples | RowScores] = {}
    values: dict[str, float] = {}
    folds: dict[str, list[float]] = {}
    for pk, keys in keys_by_round.items():
        records = reader.records([pk], curves=False)
        scored = _examples(reader, pk, keys, metric)
        if scored:
            known_values = _key_values(records, metric)
            examples |= {f"{pk} {key}": content for key, content in scored.items()}
            values |= {f"{pk} {key}": known_values[key] for key in scored}
        elif f"{metric.name}@2" in records.metrics.names:
            chosen = set(keys)
            for metrics, key in zip(records.metrics, records.columns["key"], strict=True):
                if key in chosen:
                    folds[f"{pk} {key}"] = scores_by_split(metric.name, metrics)
    models = scores_of(examples, values, metric)
    if not isinstance(models, Reason):
        return models.labels, from_rows(models, goal.sign)
    length = max((len(scores) for scores in folds.values()), default=0)
    folds = {label: s for label, s in folds.items() if len(s) == length and np.isfinite(s).all()}
    if len(folds) < 2 or length < 2:
        return None
    return list(folds), from_folds(np.array(list(folds.values())), goal.sign, noise_sd)


def _has_scores(reader: Reader, pk: int, records: Records, metric: Metric) -> bool:
    """True if trials of a round may have scores by validation row or by fold."""
    if metric.reduction != "last":
        return False
    if f"{metric.name}@2" in records.metrics.names:
        return True
    return metric.name in reader.row_totals(pk) or reader.has_examples(pk)


def _read_new_data(reader: Reader, path: Sequence[StoredNode], goal: Goal, noise_sd: float) -> NewData | None:
    """Deviations on new data of the best trials of a path; ``None`` without scores by row or fold."""
    space = path[-1].node.space
    keys_by_round: dict[int, list[str]] = {}
    positions: dict[str, Floats] = {}
    values: dict[str, float] = {}
    added = added_since(space, [stored.node for stored in path])
    for stored, values_added in reversed([*zip(path, added, strict=True)]):
        if values_added is None:
            continue
        pk = stored.pk
        records = reader.records([pk], curves=goal.metric.curves)
        if not _has_scores(reader, pk, records, goal.metric):
            continue
        frame = table(space, Bridge(values_added, {}).translated(space, records), goal.metric)
        inside = set(np.array(records.columns["key"])[space.contains(frame)].tolist())
        keys_by_round[pk] = [key for key in best_keys(records, goal, MOST_TRIALS) if key in inside]
        labels = [f"{pk} {key}" for key in records.columns["key"]]
        positions |= dict(zip(labels, unit_positions(space, frame), strict=True))
        values |= dict(zip(labels, (goal.sign * frame["value"]).tolist(), strict=True))
    named_deviations = read_deviations(reader, goal, keys_by_round, noise_sd)
    if named_deviations is None:
        return None
    labels, deviations = named_deviations
    X = np.array([positions[label] for label in labels])
    return NewData(X, np.array([values[label] for label in labels]), deviations)


def read_optimism(reader: Reader, pk: int, goal: Goal, analysis: Analysis | None, seed: int) -> Optimism:
    """Share of luck in the best value of a round: see :meth:`refine.Round.optimism`.

    Raises:
        AnalysisError: No trial has finished that may be called best.
    """
    metric = goal.metric
    records = reader.records([pk], curves=metric.curves)
    keys = best_keys(records, goal)
    if not keys:
        raise AnalysisError(
            "no trial has finished that may be called best; run the round first", Action("round.run")
        )
    values = _key_values(records, metric)
    all_records = reader.records([pk], curves=metric.curves, replicates=True)
    ended = again(all_records).columns["key"].count(keys[0])
    examples = _examples(reader, pk, keys[:MODELS], metric)
    repeats = finished_replicates({pk: all_records}, goal)
    by_fold = None
    if not examples:
        by_fold = read_deviations(reader, goal, {pk: keys[:MODELS]})
    if by_fold is not None:
        labels, deviations = by_fold
        by_fold = [label.partition(" ")[2] for label in labels], deviations
    runs = Runs(keys, values, repeats, f"{pk} {keys[0]}", ended, examples, by_fold=by_fold)
    noise = None
    if analysis is not None:
        noise = analysis.noise
    return optimism_of(runs, metric, goal.sign, noise, seed)


def _key_values(records: Records, metric: Metric) -> dict[str, float]:
    curves = records.curves or [{}] * len(records.metrics)
    rows = zip(records.columns["key"], records.metrics, curves, records.columns["seconds"], strict=True)
    return {key: value for key, m, c, s in rows if (value := metric.of(m, c, s)) is not None}
