"""Samplers of Optuna: a space as distributions, and a session of asking and telling.

The study is kept in memory and can be built again from stored trials. Optuna is imported on first use.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from refine.design.samplers import quietly
from refine.design.space_filling import Uniform, draw
from refine.space.categorical import Categorical
from refine.space.encoding import round_significant, seed_of
from refine.space.parameters import Integer, Parameter, Range
from refine.space.space import Space, configuration_key
from refine.trials.frame import Records, barred_rows, table
from refine.trials.metric import Metric
from refine.trials.round_record import Node
from refine.trials.rows import JsonRows

_TRIES = 50  # configurations that a sampler may propose until one is allowed
_TRIES_GP = 5  # each of them fits the Gaussian process again
_WARM_START = 20  # complete trials from which a new CMA-ES takes its first mean and covariance


class Axis(NamedTuple):
    """A varied parameter in Optuna's terms."""

    distribution: Any
    to_optuna: Callable[[Any], Any]  # from a canonical value inside the space, or the label of a choice
    from_optuna: Callable[[Any], Any]  # to the canonical value


def axes(space: Space, ordered: bool = False) -> dict[str, Axis]:
    """The varied parameters of a space in Optuna's terms.

    Ranges lose their levels: a ``Float`` may take every number between its ends, an ``Integer`` every whole
    number. The values of a range with a step or a base are numbered. A choice of numbers becomes its
    position, which keeps their order. Other choices become their position as text, since Optuna keeps neither
    classes nor functions.

    Args:
        space: The space.
        ordered: True to number all choices, for samplers without categories.
    """
    return {name: _axis(space[name], ordered) for name in space.varied}


def _axis(parameter: Parameter, ordered: bool) -> Axis:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Categorical):
        index = parameter.index
        grid = parameter.grid
        if parameter.ordered or ordered:
            positions = IntDistribution(0, parameter.size - 1)
            return Axis(positions, index, lambda position: grid[int(position)])
        texts = CategoricalDistribution([str(i) for i in range(parameter.size)])
        return Axis(texts, lambda value: str(index(value)), lambda position: grid[int(position)])
    assert isinstance(parameter, Range)
    low = parameter.low
    high = parameter.high
    lattice = parameter.lattice
    if lattice is not None:
        last = round(lattice.place(high))
        # A value off the lattice, which a person may give, counts as its neighbour.
        return Axis(
            IntDistribution(0, last),
            lambda value: round(lattice.place(float(value))),
            lambda position: lattice.at(int(position)),
        )
    if isinstance(parameter, Integer):
        return Axis(IntDistribution(parameter.low, parameter.high, log=parameter.log), round, int)

    def clipped(value: float) -> float:
        return float(np.clip(value, low, high))

    # Converted back from its logarithm, a number may lie a rounding error beyond its bound.
    return Axis(
        FloatDistribution(low, high, log=parameter.log),
        clipped,
        lambda value: round_significant(clipped(value)),
    )


def configuration_of(
    space: Space, by_name: Mapping[str, Axis], params: Mapping[str, object]
) -> dict[str, object]:
    """The configuration, with canonical values, of parameters drawn from :func:`axes`.

    Parameters that are absent by the conditions of the space are left out.
    """
    values = {}
    for name, parameter in space.items():
        if name in params:
            values[name] = by_name[name].from_optuna(params[name])
        else:
            values[name] = parameter.grid[0]
    return space.frozen(values)


def params_of(
    space: Space, by_name: Mapping[str, Axis], configuration: Mapping[str, object]
) -> dict[str, object]:
    """The inverse of :func:`configuration_of`.

    Absent parameters are left out, so that a sampler learns about a parameter only from trials that have it.
    """
    present = space.has(configuration)
    return {name: axis.to_optuna(configuration[name]) for name, axis in by_name.items() if name in present}


class EndedTrial(NamedTuple):
    """An ended trial in a sampler's terms."""

    configuration: Mapping[str, Any]  # name -> canonical value, or label of a choice, inside the space
    state: str  # `"complete"`, `"pruned"` or `"failed"`
    value: float = math.nan  # final value, or the last one of a pruned trial; NaN without any
    series: Sequence[float] = ()  # values per epoch, for pruners of Optuna
    rungs: Mapping[str, float] = {}  # notes that a pruner of Optuna left on the trial


class SampledConfiguration(NamedTuple):
    """A configuration chosen by a sampler."""

    key: str  # hash of the configuration
    configuration: dict[str, Any]  # name -> canonical value
    cell: int | None  # number of its cell; `None` between levels
    shown: dict[str, Any]  # the trials that the sampler knew, as plain data


class SamplerSession:
    """The session of a round with a sampler, and with the round's pruner of Optuna, if any.

    An ask has its own seed, from the node's id and the number of the ask. Thus an interrupted round in one
    process asks for the configurations of an uninterrupted round.

    Args:
        node: The round.
        sampler: The sampler, if the design is an object.
        ended: Ended trials inside the space: those of earlier rounds, then those of this round in the order
            of ending.
        own: Number of trials in ``ended`` that belong to this round.
        asked: Number of configurations chosen by the sampler so far.
        pruner: A pruner of Optuna.
    """

    def __init__(
        self,
        node: Node,
        sampler: object,
        ended: Sequence[EndedTrial],
        in_round: int,
        n: int,
        pruner: object = None,
    ) -> None:
        import optuna

        self.own = in_round  # trials of the round that the study has
        self._node = node
        self._space = node.space
        if sampler is None:
            self._sampler_object = None
        else:
            self._sampler_object = copy.deepcopy(sampler)
        self._sequence: Any = None  # the one quasi-random sequence of the round
        self._ordered = node.method == "qmc"
        self._prunes = pruner is not None
        self._axes = axes(node.space, self._ordered)
        self._distributions = {name: axis.distribution for name, axis in self._axes.items()}
        self._earlier = len(ended) - in_round
        self._asked = n
        self._running: dict[str, Any] = {}  # key -> trial of Optuna
        with quietly():
            self._study = optuna.create_study(
                study_name=node.id, direction=node.direction, pruner=pruner or optuna.pruners.NopPruner()
            )
            frozen = [self._frozen(trial) for trial in ended]
            self._study.add_trials(frozen)
            complete = [trial for trial in frozen if trial.state == optuna.trial.TrialState.COMPLETE]
        self._warm_start = complete if len(complete) >= _WARM_START else None

    def ask(self, used: set[str] | frozenset[str]) -> SampledConfiguration:
        """The next configuration.

        If the sampler keeps proposing taken configurations, or breaks constraints, a cell of the grid is
        drawn.

        Args:
            used: Keys of configurations to avoid.

        Raises:
            DesignError: No configuration is left.
        """
        from optuna.trial import TrialState

        shown = {
            "ask": self._asked,
            "earlier": self._earlier,
            "told": self.own,
            "running": sorted(self._running),
        }
        if self._node.method == "gp":
            tries = _TRIES_GP
        else:
            tries = _TRIES
        if self._ordered:  # a sequence that begins again first comes to the configurations that have run
            tries += self._asked
        with quietly():
            for attempt in range(tries):
                self._study.sampler = self._sampler(seed_of(self._node.id, "ask", self._asked, attempt))
                trial = self._study.ask(self._distributions)
                configuration = configuration_of(self._space, self._axes, trial.params)
                key = configuration_key(configuration)
                if key not in used and not self._space.broken_constraints(configuration):
                    break
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                configuration, key, trial = self._any_cell(used)
                shown["evenly"] = True
        self._running[key] = trial
        self._asked += 1
        return SampledConfiguration(key, configuration, _cell(self._space, configuration), shown)

    def running(self, key: str) -> Any:
        """Optuna's trial of a running configuration.

        ``None`` if the study does not know the configuration.
        """
        return self._running.get(key)

    def follow(self, key: str, configuration: Mapping[str, object]) -> Any:
        """Adds a running configuration chosen without the sampler, and returns Optuna's trial."""
        with quietly():
            trial = self._enter(configuration)
        self._running[key] = trial
        return trial

    def tell(self, key: str, ended: EndedTrial) -> dict[str, float]:
        """Takes in an ended trial, whoever chose the trial, and returns the pruner's notes."""
        from optuna.trial import TrialState

        self.own += 1
        trial = self._running.pop(key, None)
        rebuilt = self._node.method in ("tpe", "gp") and not self._prunes
        with quietly():
            if trial is None or rebuilt:
                if (
                    trial is not None
                ):  # a resumed round has this trial with values rounded as stored, and so has this one
                    self._study.tell(trial, state=TrialState.FAIL)
                self._study.add_trial(self._frozen(ended))
                return {}
            if ended.state == "pruned" and not self._prunes and math.isfinite(ended.value):
                trial.report(ended.value, len(ended.series))
            if ended.state == "complete":
                value = ended.value
            else:
                value = None
            self._study.tell(trial, value, state=_state(ended.state))
            if self._prunes:
                notes = self._study.trials[trial.number].system_attrs
            else:
                notes = {}
        return {name: float(value) for name, value in notes.items() if name.startswith("completed_rung_")}

    def _frozen(self, ended: EndedTrial) -> Any:
        """An ended trial as Optuna stores it."""
        from optuna.trial import create_trial

        if self._prunes:
            reached = dict(enumerate(ended.series, 1))
        else:
            reached = {}
        if ended.state == "pruned" and not reached and math.isfinite(ended.value):
            reached = {max(1, len(ended.series)): ended.value}
        params = params_of(self._space, self._axes, ended.configuration)
        return create_trial(
            state=_state(ended.state),
            value=ended.value if ended.state == "complete" else None,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            intermediate_values={epoch: value for epoch, value in reached.items() if math.isfinite(value)},
            system_attrs=dict(ended.rungs),
        )

    def _enter(self, configuration: Mapping[str, object]) -> Any:
        """A trial of Optuna with the configuration."""
        self._study.enqueue_trial(params_of(self._space, self._axes, configuration))
        return self._study.ask(self._distributions)

    def _any_cell(self, used: set[str] | frozenset[str]) -> tuple[dict[str, object], str, object]:
        """A cell of the grid that is not taken: its configuration, key and trial of Optuna."""
        seed = seed_of(self._node.id, "ask", self._asked)
        row = draw(Uniform(), self._space, 1, seed, frozenset(used))[0]
        configuration = self._space.frozen(self._space.at(row))
        return configuration, configuration_key(configuration), self._enter(configuration)

    def _sampler(self, seed: int) -> Any:
        """The sampler for an ask."""
        from optuna import samplers

        method = self._node.method
        seed %= 2**31
        if self._sampler_object is not None:
            _reseed(self._sampler_object, seed)
            return self._sampler_object
        if method == "tpe":
            # Parameters under one condition are searched together, separately from those that all trials
            # have.
            conditional = bool(self._space.conditions)
            return samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, group=conditional)
        if method == "gp":
            return samplers.GPSampler(seed=seed)
        if method == "cmaes":
            # Optuna keeps the state of CMA-ES on the trials that were asked for; a new one begins at the best
            # trials.
            return samplers.CmaEsSampler(
                seed=seed, warn_independent_sampling=False, source_trials=self._warm_start
            )
        if self._sequence is None:
            seed = seed_of(self._node.id, "qmc") % 2**31
            self._sequence = samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
        return self._sequence


def _state(state: str) -> Any:
    from optuna.trial import TrialState

    return {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(state, TrialState.FAIL)


class OptunaPruning:
    """A running trial under a pruner of Optuna, in this process.

    Takes the place of :class:`refine.design.pruning.Limit`.
    """

    def __init__(self, metric: str, trial: Any) -> None:
        self.metric = metric
        self._trial = trial
        self._epoch = 0

    def session(self) -> OptunaPruning:
        """The object itself, since the trial runs once."""
        return self

    def behind(self, value: float) -> bool:
        """True if the pruner stops the trial after this epoch."""
        self._epoch += 1
        if not math.isfinite(value):
            return False
        with quietly():
            self._trial.report(value, self._epoch)
            return bool(self._trial.should_prune())


def ended_trials(
    space: Space, records: Records, configurations: JsonRows, metric: Metric, allow_degenerate: bool
) -> list[EndedTrial]:
    """Ended trials inside a space in a sampler's terms.

    A degenerate or infeasible trial counts as pruned without a value, which is worse than every value.

    Args:
        space: The space.
        records: The trials.
        configurations: Their configurations, in the parameters of ``space``.
        metric: The metric.
        allow_degenerate: True to treat degenerate models like the rest.
    """
    frame = table(space, records._replace(configurations=configurations), metric)
    if frame.empty:
        return []
    inside = space.contains(frame)
    barred = barred_rows(frame, space, allow_degenerate)
    columns = {name: frame[name].tolist() for name in space}
    curves = records.curves or [{}] * len(frame)
    trials = []
    for row in np.flatnonzero(inside).tolist():
        configuration = {name: column[row] for name, column in columns.items()}
        state = str(records.columns["state"][row])
        value = float(frame["value"].iloc[row])
        curve = curves[row].get(metric.name, ())
        trials.append(ended_trial(configuration, state, value, curve, bool(barred[row])))
    return trials


def ended_trial(
    configuration: Mapping[str, object],
    state: str,
    value: float | None,
    series: Sequence[float],
    barred: bool,
) -> EndedTrial:
    """A recorded trial in a sampler's terms; a ``barred`` one cannot be best."""
    if state == "pruned":
        finite = [value for value in series if math.isfinite(value)]
        return EndedTrial(configuration, "pruned", finite[-1] if finite else math.nan, series)
    if state != "complete" or value is None or not math.isfinite(value):
        return EndedTrial(configuration, "failed", math.nan, series)
    if barred:
        return EndedTrial(configuration, "pruned")
    return EndedTrial(configuration, "complete", value, series)


def _reseed(sampler: object, seed: int) -> None:
    """Seeds the generators of a sampler, and of the samplers inside it."""
    for value in vars(sampler).values():
        generator = getattr(value, "rng", None)
        if isinstance(generator, np.random.RandomState):
            generator.seed(seed)
        elif callable(getattr(value, "sample_independent", None)):
            _reseed(value, seed)


def _cell(space: Space, configuration: Mapping[str, object]) -> int | None:
    try:
        return space.cell(configuration)
    except ValueError:
        return None
