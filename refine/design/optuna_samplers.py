"""A space as Optuna's distributions; asks and tells: a sampler proposes configurations inside it, given what earlier ones gave.

The study is kept in memory and can be built again from stored trials. Optuna is imported when it is used.
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
from refine.trials.rows import Rows

_TRIES = 50
_TRIES_GP = 5  # each of them fits the process anew
# So many finished trials a new CMA-ES takes its first mean and covariance from.
_WARM_START = 20


class Axis(NamedTuple):
    """A varied parameter as Optuna has it."""

    distribution: Any  # what Optuna draws from
    # what Optuna calls a canonical value, or the label of a choice, that lies inside the space
    param: Callable[[Any], Any]
    value: Callable[[Any], Any]  # the canonical value of what Optuna drew


def axes(space: Space, ordered: bool = False) -> dict[str, Axis]:
    """The varied parameters of a space; fixed ones are left out.

    Ranges lose their levels: a ``Float`` may take every number between its ends, an ``Integer`` every whole one. Of a range
    with a step or a base, its values are numbered. A choice of numbers becomes the number of its place in the list, so that its
    order is not lost, and any other choice the text of that number, since Optuna keeps neither classes nor functions; with
    ``ordered``, for samplers that know no categories, a number too.
    """
    return {name: _axis(space[name], ordered) for name in space.varied}


def _axis(parameter: Parameter, ordered: bool) -> Axis:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Categorical):
        index, grid = parameter.index, parameter.grid
        if parameter.ordered or ordered:
            return Axis(IntDistribution(0, parameter.size - 1), index, lambda p: grid[int(p)])
        places = CategoricalDistribution([str(i) for i in range(parameter.size)])
        return Axis(places, lambda v: str(index(v)), lambda p: grid[int(p)])
    assert isinstance(parameter, Range)
    low, high, lattice = parameter.low, parameter.high, parameter.lattice
    if lattice is not None:
        last = round(lattice.place(high))
        # A value that somebody gave off the step counts as its neighbour.
        return Axis(
            IntDistribution(0, last), lambda v: round(lattice.place(float(v))), lambda p: lattice.at(int(p))
        )
    if isinstance(parameter, Integer):
        return Axis(IntDistribution(parameter.low, parameter.high, log=parameter.log), round, int)

    def clipped(value: float) -> float:
        return float(np.clip(value, low, high))

    # Back from a logarithm a number may lie a rounding beyond its bound.
    return Axis(
        FloatDistribution(low, high, log=parameter.log), clipped, lambda p: round_significant(clipped(p))
    )


def configuration_of(space: Space, known: Mapping[str, Axis], params: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, with canonical values, of what was drawn from :func:`axes`, without what its conditions leave out."""
    drawn = {n: known[n].value(params[n]) if n in params else p.grid[0] for n, p in space.items()}
    return space.frozen(drawn)


def params_of(space: Space, known: Mapping[str, Axis], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of :func:`configuration_of`.

    What the configuration has not is left out, so that a sampler learns of a parameter from trials that had it.
    """
    there = space.has(configuration)
    return {n: axis.param(configuration[n]) for n, axis in known.items() if n in there}


class EndedTrial(NamedTuple):
    """An ended trial, as a sampler gets it."""

    configuration: Mapping[str, Any]  # name -> canonical value, or label of a choice, inside the space
    state: str  # `"complete"`, `"pruned"` or `"failed"`
    value: float = math.nan  # final value, or what a pruned trial had reached; NaN where there is none
    series: Sequence[float] = ()  # values per epoch, where pruners of Optuna are to see them
    rungs: Mapping[str, float] = {}  # what a pruner of Optuna noted on the trial


class Asked(NamedTuple):
    """What a sampler asks for."""

    key: str  # hash of the configuration
    configuration: dict[str, Any]  # name -> canonical value
    cell: int | None  # number of its cell; `None` between levels
    shown: dict[str, Any]  # what the sampler knew; plain data


class Conversation:
    """One round's conversation with a sampler, and with a pruner of Optuna where there is one.

    Every ask is seeded from the node's id and the number of the ask, so that a round in one process that was interrupted asks
    for the same as one that was not.

    Args:
        node: The round.
        sampler: The object, where the design is one.
        ended: Ended trials inside the space: those of earlier rounds, then the round's own in the order of ending.
        own: How many of them are the round's own.
        asked: How many configurations the sampler has asked for by now.
        pruner: A pruner of Optuna.
    """

    def __init__(
        self, node: Node, sampler: Any, ended: Sequence[EndedTrial], own: int, asked: int, pruner: Any = None
    ) -> None:
        import optuna

        self._node, self._space = node, node.space
        self._given = None if sampler is None else copy.deepcopy(sampler)
        self._kept: Any = None
        self._ordered = node.method == "qmc"
        self._whole = pruner is not None
        self._axes = axes(node.space, self._ordered)
        self._distributions = {name: axis.distribution for name, axis in self._axes.items()}
        self._earlier, self._own, self._asked = len(ended) - own, own, asked
        self._running: dict[str, Any] = {}
        with quietly():
            self._study = optuna.create_study(
                study_name=node.id, direction=node.direction, pruner=pruner or optuna.pruners.NopPruner()
            )
            frozen = [self._frozen(t) for t in ended]
            self._study.add_trials(frozen)
            done = [f for f in frozen if f.state == optuna.trial.TrialState.COMPLETE]
        self._source = done if len(done) >= _WARM_START else None

    def ask(self, taken: set[str] | frozenset[str]) -> Asked:
        """The next configuration: inside bounds and constraints, and with none of the keys taken; else DesignError."""
        from optuna.trial import TrialState

        running = sorted(self._running)
        shown = {"ask": self._asked, "earlier": self._earlier, "told": self._own, "running": running}
        tries = _TRIES_GP if self._node.method == "gp" else _TRIES
        # A sequence that is begun again first comes to the configurations that have run.
        tries += self._asked if self._ordered else 0
        with quietly():
            for attempt in range(tries):
                self._study.sampler = self._sampler(seed_of(self._node.id, "ask", self._asked, attempt))
                trial = self._study.ask(self._distributions)
                configuration = configuration_of(self._space, self._axes, trial.params)
                key = configuration_key(configuration)
                if key not in taken and not self._space.broken_constraints(configuration):
                    break
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                configuration, key, trial = self._any(taken)
                shown["evenly"] = True
        self._running[key] = trial
        self._asked += 1
        return Asked(key, configuration, _cell(self._space, configuration), shown)

    @property
    def own(self) -> int:
        """How many of the round's trials the study has."""
        return self._own

    def running(self, key: str) -> Any:
        """Optuna's trial of a configuration that is running; ``None`` if the study doesn't know it."""
        return self._running.get(key)

    def follow(self, key: str, configuration: Mapping[str, Any]) -> Any:
        """Lets the study know of a configuration that somebody else chose; returns Optuna's trial."""
        with quietly():
            trial = self._enter(configuration)
        self._running[key] = trial
        return trial

    def tell(self, key: str, ended: EndedTrial) -> dict[str, float]:
        """How a trial ended, whoever chose it; returns what a pruner noted on it."""
        from optuna.trial import TrialState

        self._own += 1
        trial = self._running.pop(key, None)
        with quietly():
            if trial is None or (self._node.method in ("tpe", "gp") and not self._whole):
                if trial is not None:  # as a resumed round gives it: with values rounded as they are stored
                    self._study.tell(trial, state=TrialState.FAIL)
                self._study.add_trial(self._frozen(ended))
                return {}
            if ended.state == "pruned" and not self._whole and math.isfinite(ended.value):
                trial.report(ended.value, len(ended.series))
            value = ended.value if ended.state == "complete" else None
            self._study.tell(trial, value, state=_state(ended.state))
            noted = self._study.trials[trial.number].system_attrs if self._whole else {}
        return {name: float(v) for name, v in noted.items() if name.startswith("completed_rung_")}

    def _frozen(self, ended: EndedTrial) -> Any:
        from optuna.trial import create_trial

        reached = dict(enumerate(ended.series, 1)) if self._whole else {}
        if ended.state == "pruned" and not reached and math.isfinite(ended.value):
            reached = {max(1, len(ended.series)): ended.value}
        params = params_of(self._space, self._axes, ended.configuration)
        return create_trial(
            state=_state(ended.state),
            value=ended.value if ended.state == "complete" else None,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            intermediate_values={step: v for step, v in reached.items() if math.isfinite(v)},
            system_attrs=dict(ended.rungs),
        )

    def _enter(self, configuration: Mapping[str, Any]) -> Any:
        self._study.enqueue_trial(params_of(self._space, self._axes, configuration))
        return self._study.ask(self._distributions)

    def _any(self, taken: set[str] | frozenset[str]) -> tuple[dict[str, Any], str, Any]:
        """Any cell of the grid, where the sampler keeps asking for what can't be had."""
        seed = seed_of(self._node.id, "ask", self._asked)
        row = draw(Uniform(), self._space, 1, seed, frozenset(taken))[0]
        configuration = self._space.frozen(self._space.at(row))
        return configuration, configuration_key(configuration), self._enter(configuration)

    def _sampler(self, seed: int) -> Any:
        from optuna import samplers

        method, seed = self._node.method, seed % 2**31
        if self._given is not None:
            _reseed(self._given, seed)
            return self._given
        if method == "tpe":
            # Parameters under one condition are searched together, apart from those that all trials have.
            apart = bool(self._space.conditions)
            return samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, group=apart)
        if method == "gp":
            return samplers.GPSampler(seed=seed)
        if method == "cmaes":
            # Its state travels with the trials it has asked for; one that begins anew begins where the best are.
            return samplers.CmaEsSampler(
                seed=seed, warn_independent_sampling=False, source_trials=self._source
            )
        if self._kept is None:
            # One sequence for the whole round.
            seed = seed_of(self._node.id, "qmc") % 2**31
            self._kept = samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
        return self._kept


def _state(state: str) -> Any:
    from optuna.trial import TrialState

    return {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(state, TrialState.FAIL)


class OptunaRace:
    """A running trial before a pruner of Optuna, in this process: stands in for :class:`refine.design.pruning.Limit`."""

    def __init__(self, metric: str, trial: Any) -> None:
        self.metric, self._trial, self._epoch = metric, trial, 0

    def session(self) -> OptunaRace:
        """Itself: there is one run."""
        return self

    def behind(self, value: float) -> bool:
        """Whether the pruner says so after this epoch."""
        self._epoch += 1
        if not math.isfinite(value):
            return False
        with quietly():
            self._trial.report(value, self._epoch)
            return bool(self._trial.should_prune())


def ended_trials(
    space: Space, records: Records, configurations: Rows, metric: Metric, allow_degenerate: bool
) -> list[EndedTrial]:
    """Ended trials inside a space as a sampler gets them; ``configurations`` are theirs in the names of this space.

    A degenerate or infeasible model counts as pruned without having reached anything: worse than every value, whatever its own.
    """
    frame = table(space, records._replace(configurations=configurations), metric)
    if frame.empty:
        return []
    inside = space.contains(frame)
    flat = barred_rows(frame, space, allow_degenerate)
    columns = {name: frame[name].tolist() for name in space}
    curves = records.curves or [{}] * len(frame)
    found = []
    for i in np.flatnonzero(inside).tolist():
        configuration = {name: column[i] for name, column in columns.items()}
        state, value = str(records.columns["state"][i]), float(frame["value"].iloc[i])
        found.append(ended_trial(configuration, state, value, curves[i].get(metric.name, ()), bool(flat[i])))
    return found


def ended_trial(
    configuration: Mapping[str, Any], state: str, value: float | None, series: Sequence[float], flat: bool
) -> EndedTrial:
    """An ended trial, from how it was recorded; ``flat`` is one that can't be best."""
    if state == "pruned":
        finite = [v for v in series if math.isfinite(v)]
        return EndedTrial(configuration, "pruned", finite[-1] if finite else math.nan, series)
    if state != "complete" or value is None or not math.isfinite(value):
        return EndedTrial(configuration, "failed", math.nan, series)
    if flat:
        return EndedTrial(configuration, "pruned")
    return EndedTrial(configuration, "complete", value, series)


def _reseed(sampler: Any, seed: int) -> None:
    """Seeds the generators of a sampler and of the samplers inside it."""
    for value in vars(sampler).values():
        generator = getattr(value, "rng", None)
        if isinstance(generator, np.random.RandomState):
            generator.seed(seed)
        elif callable(getattr(value, "sample_independent", None)):
            _reseed(value, seed)


def _cell(space: Space, configuration: Mapping[str, Any]) -> int | None:
    try:
        return space.cell(configuration)
    except ValueError:
        return None
