"""The runs of several rounds as arrays, on shared axes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from refine.analysis.metric_limits import metric_limits
from refine.space.categorical import Categorical
from refine.space.encoding import decode, value_key
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.trials.declared import NOTHING, Declared
from refine.trials.explosion import exploded, explosion_limit
from refine.trials.frame import (
    Records,
    degenerate_rows,
    infeasible_rows,
    may_be_best,
    names_read,
    table,
    value_column,
)
from refine.trials.goal import Goal
from refine.utils.arrays import Bools, Floats, Ints


class RanRound(NamedTuple):
    """A round whose trials are evidence."""

    id: str
    space: Space
    added: Mapping[str, Any]  # encoded values, in its trials, of parameters that a later round added
    records: Records  # its trials, replicates among them
    goal: Goal  # the goal; metric and direction agree with the other rounds'
    # hash of the baseline; ``None`` without one
    baseline: str | None = None
    # hash of a configuration -> planned seeds, if more than one
    seeds: Mapping[str, int] = MappingProxyType({})
    declared: Declared = NOTHING  # declared facts about its values


class Run(NamedTuple):
    """The planned run of a configuration."""

    round: str  # id of its round
    key: str  # hash of the configuration
    configuration: Mapping[str, Any]  # name -> encoded value
    known: Mapping[str, Any]  # the same with values of parameters added later
    read: frozenset[str] | None  # names of the parameters read; ``None`` for all
    value: float
    good: bool  # whether the run may be best
    infeasible: bool  # whether it has a value but breaks a metric constraint
    seconds: float  # duration

    @property
    def unread(self) -> tuple[str, ...]:
        """Names of the parameters that the run did not read."""
        if self.read is None:
            return ()
        return tuple(n for n in self.configuration if n not in self.read)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The planned runs of some rounds."""

    runs: Sequence[Run]  # in the order of rounds and trials
    X: Floats  # (runs, axes) positions, or codes of choices; an axis whose runs all agree is left out
    read: Bools  # (runs, axes) whether the value was read
    cardinalities: Sequence[int]  # per axis the number of choices, 0 where it is ordered
    # (runs,) values, larger is better; failed, pruned and degenerate runs have the worst one
    y: Floats
    good: Bools  # (runs,) runs that may be best
    infeasible: Bools  # (runs,) runs with a value that break a metric constraint
    group: Ints  # (runs,) numbers, equal for runs that agree on all values read
    # value, larger is better, below which runs exploded and count as failed; -inf if none did
    explosion_limit: float = -np.inf
    # values, larger is better, that the metric cannot pass
    limits: tuple[float, float] = (-np.inf, np.inf)

    @cached_property
    def rows_of(self) -> Mapping[str, Sequence[int]]:
        """Id of a round -> numbers of its runs."""
        rows: dict[str, list[int]] = {}
        for i, run in enumerate(self.runs):
            rows.setdefault(run.round, []).append(i)
        return rows


def evaluated(rounds: Sequence[RanRound]) -> Evaluated | None:
    """The planned runs of rounds with one metric and direction, oldest first.

    ``None`` without a trial that may be best.

    Planned trials are one sample, of any origin: given, space-filling, exploit, audit, adaptive and imported
    ones. Failed, pruned and degenerate trials have the worst value. A parameter that a round lacks counts as
    not read.
    """
    runs = [run for round_ in rounds for run in _planned_runs(round_)]
    good = np.array([run.good for run in runs], dtype=np.bool_)
    if not good.any():
        return None
    infeasible = np.array([run.infeasible for run in runs], dtype=np.bool_)
    X, read, cardinalities = _positions(runs, rounds)
    y = rounds[0].goal.sign * np.array([run.value for run in runs])
    limit = explosion_limit(y[good], rounds[-1].declared.scale)
    good &= ~exploded(y, limit)
    infeasible &= ~exploded(y, limit)
    y = np.where(good | infeasible, y, y[good].min())
    values_read = np.concatenate([np.where(read, X, 0.0), read], axis=1)
    group = np.unique(values_read, axis=0, return_inverse=True)[1].reshape(-1)
    goal = rounds[0].goal
    declared = rounds[-1].declared
    limits = metric_limits(str(goal.metric), goal.sign * y[good], declared.limits).facing(goal.sign)
    return Evaluated(
        runs=runs,
        X=X,
        read=read,
        cardinalities=cardinalities,
        y=y,
        good=good,
        infeasible=infeasible,
        group=group,
        explosion_limit=limit,
        limits=limits,
    )


def values_of(round_: RanRound) -> tuple[Floats, Bools, Bools]:
    """Values of a round's trials, replicates included, and masks of usable and of infeasible ones."""
    frame = table(round_.space, round_.records, round_.goal.metric)
    good = may_be_best(frame, round_.space, round_.goal.allow_degenerate)
    barred = infeasible_rows(frame)
    if not round_.goal.allow_degenerate:
        barred &= ~degenerate_rows(frame, round_.space)
    return value_column(frame), good, barred


def _planned_runs(round_: RanRound) -> list[Run]:
    """The planned runs of a round that have ended, at the full level of a fidelity."""
    values, good, infeasible = values_of(round_)
    columns = round_.records.columns
    runs = []
    for i, configuration in enumerate(round_.records.configurations):
        if columns["replicate"][i] or columns["state"][i] in ("running", "excluded", "cheap"):
            continue
        names = names_read(columns["read"][i])
        read = None
        if names is not None:
            read = frozenset(names) | frozenset(round_.added)
        values_by_name = {**round_.added, **configuration}
        runs.append(
            Run(
                round=round_.id,
                key=columns["key"][i],
                configuration=configuration,
                known=values_by_name,
                read=read,
                value=float(values[i]),
                good=bool(good[i]),
                infeasible=bool(infeasible[i]),
                seconds=float(columns["seconds"][i]),
            )
        )
    return runs


def _positions(runs: Sequence[Run], rounds: Sequence[RanRound]) -> tuple[Floats, Bools, list[int]]:
    """Positions on shared axes, a mask of values read, numbers of choices."""
    names = dict.fromkeys(name for round_ in rounds for name in [*round_.space, *round_.added])
    columns = []
    masks = []
    cardinalities = []
    for name in names:
        present = np.array([name in run.known for run in runs])
        values = [decode(run.known[name]) for run in runs if name in run.known]
        if len({value_key(v) for v in values}) < 2:
            continue  # a constant parameter has no axis
        parameters = [round_.space[name] for round_ in rounds if name in round_.space]
        positions, cardinality = _axis(parameters, values)
        column = np.zeros(len(runs))
        column[present] = positions
        columns.append(column)
        masks.append(present & np.array([run.read is None or name in run.read for run in runs]))
        cardinalities.append(cardinality)
    if not columns:
        return np.zeros((len(runs), 0)), np.zeros((len(runs), 0), dtype=np.bool_), []
    return np.column_stack(columns), np.column_stack(masks), cardinalities


def _axis(parameters: Sequence[Parameter], values: Sequence[Any]) -> tuple[Floats, int]:
    """Positions of a parameter's values in [0, 1] and 0, or codes and their number."""
    keys = [value_key(v) for v in values]
    varied = [p for p in parameters if not p.fixed] or list(parameters)
    ordered = all(p.ordered for p in varied)
    if ordered and all(p.numeric for p in parameters):
        x = np.array([float(v) for v in values])
        ranges = [p for p in varied if isinstance(p, Range)]
        if not ranges:
            x = np.unique(x, return_inverse=True)[1].reshape(-1).astype(float)
        elif any(p.log for p in ranges) and x.min() > 0:
            x = np.log(x)
        return (x - x.min()) / np.ptp(x), 0
    listed = [value_key(v) for p in parameters if isinstance(p, Categorical) for v in p.grid]
    order = {key: i for i, key in enumerate(dict.fromkeys([*listed, *sorted(keys)]))}
    codes = np.array([order[key] for key in keys], dtype=float)
    codes = np.unique(codes, return_inverse=True)[1].reshape(-1).astype(float)
    if ordered:
        return (codes / codes.max(), 0)
    return (codes, int(codes.max()) + 1)
