"""The winner: the evaluated configuration with the best posterior mean. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.evaluated import Evaluated, RanRound, Run, evaluated, values_of
from refine.analysis.new_data import (
    MOST_FACTOR,
    Deviations,
    OnNewData,
    off_log_scale,
    on_log_scale,
    on_new_data,
    relative_deviations,
)
from refine.analysis.noise import decades_of, equal_repeats, from_decades, show_no_noise
from refine.errors import AnalysisError
from refine.space.encoding import decode, label, thaw
from refine.space.space import Space
from refine.trials.budget import NO_BUDGET, BudgetState
from refine.trials.explosion import exploded
from refine.trials.frame import configuration_table
from refine.trials.goal import Goal
from refine.trials.rows import JsonRows
from refine.utils.action import Action
from refine.utils.arrays import Bools, Floats, Ints
from refine.utils.display import Shown
from refine.utils.plain import plain
from refine.utils.provided import provided
from refine.utils.threads import one_thread
from refine.utils.types import JsonObject

if TYPE_CHECKING:
    import pandas as pd

_EVALUATED = stats.MixedPosterior(forest_draws=80, process_draws=720)
_OWN_DRAWS = 160
# Part of the noise's standard deviation that may belong to a configuration and returns on retraining.
_FROZEN = 0.5

# Standard deviations from the draws beyond which runs inform on their own configuration alone.
_UNEXPECTED = 3

_PLANNED_FREEDOM = 4  # degrees of freedom that a noise is worth at least
_MOST_EXPONENT = 400  # binary exponent from which values are scaled
FEWEST = 5  # fewest configurations for a posterior

_MOST = 1000
_SHOWN = 5
_SEED = 0

_CHEAPER = 0.8  # share of the winner's time that counts as cheaper


class Candidate(NamedTuple):
    """An evaluated configuration and its expected value, in the metric's own sign."""

    round: str  # id of the first round that ran the configuration
    key: str  # hash of the configuration in that round
    configuration: Mapping[str, Any]  # name -> encoded value
    observed: float  # value of the planned run; the mean if several trials agree on all values read
    replicates: tuple[float, ...] = ()  # values of the replicates
    # posterior mean of the configuration's mean over seeds; the mean of all runs without a posterior
    expected: float = math.nan
    # ends of its 95 % interval, wide enough to hold ``observed``; NaN without a posterior
    low: float = math.nan
    high: float = math.nan
    # model probability that the configuration is the best of all evaluated ones; NaN without a posterior
    probability: float = math.nan
    unread: tuple[str, ...] = ()  # names of the parameters that the trial did not read
    seconds: float = math.nan  # mean duration of the planned runs; NaN without measured times

    @property
    def params(self) -> dict[str, Any]:
        """The configuration as the objective received it; references are imported."""
        return {name: thaw(decode(value)) for name, value in self.configuration.items()}

    @property
    def labels(self) -> dict[str, str]:
        """The configuration as tables show it: ``-`` for a value that was not read."""
        return {
            name: "-" if name in self.unread else label(decode(value))
            for name, value in self.configuration.items()
        }


class Gain(NamedTuple):
    """The winner compared with the baseline. Differences are larger if the winner is better."""

    baseline: Candidate  # the baseline
    expected: float  # posterior mean of the difference of the means over seeds
    low: float  # ends of its 95 % interval; NaN without a posterior
    high: float
    probability: float  # model probability that the winner is better; NaN without a posterior
    same: bool  # whether the winner is the baseline

    @property
    def verdict(self) -> str:
        """``"better"`` or ``"worse"`` if the interval lies on one side of 0; else ``"open"``; ``"same"``."""
        if self.same:
            return "same"
        if self.low > 0:
            return "better"
        if self.high < 0:
            return "worse"
        return "open"


class Race(NamedTuple):
    """The state of a race."""

    racers: tuple[int, ...]  # numbers of the candidates in the race
    runs: int  # replicates so far, in any state
    # ``"decided"``: the leader is the best or loses at most ``tolerance`` with probability 0.95, given three
    # replicates of its own; ``"noise"``: repeats differ by no more than the tolerance; ``"budget"``: the
    # budget is spent; ``"open"``
    verdict: str
    # model probability that the leader is the best or loses at most the tolerance; NaN without a posterior
    probability: float
    tolerance: float  # tolerance in units of the metric
    following: tuple[int, ...]  # next replicates per racer
    # configurations that do not race although they are among the best: near-copies of a better racer, whose
    # difference noise hides
    copies: int = 0
    overtaken: bool = False  # whether the last batch of replicates changed the leader


@dataclass(frozen=True, eq=False, repr=False)
class Winner(Shown):
    """The configuration to use, with its expected value in the metric's own sign.

    The winner has the best posterior mean of all evaluated configurations; the best observed trial is partly
    luck. For a deterministic objective the winner is the best observed configuration: a repeat gives the same
    value.
    """

    of: str  # name of its tree, or id of its round
    metric: str  # name of the metric
    direction: str  # ``"maximize"`` or ``"minimize"``
    # the configurations with the best posterior means, best first; the first one is the winner
    candidates: tuple[Candidate, ...]
    best_observed: Candidate  # the configuration of the best observed trial
    best_value: float  # the value of that trial
    evaluated: int  # number of different configurations with a value, in the round or tree of the winner
    noise: stats.NoiseEstimate  # noise between repeats, and the smallest step of the metric
    # model probability that the winner is the best of all evaluated or loses less than ``epsilon``, on new
    # data if scores by row or fold are known; NaN without a posterior
    within: float
    # the same on the present validation rows, as far as repeats can settle it
    within_rows: float
    # tolerance in units of the metric, one for the study: see :meth:`refine.stats.NoiseEstimate.tolerance`
    epsilon: float
    epsilon_source: str = "none"  # source of the tolerance
    race: Race | None = None  # state of the race that confirmed the winner; ``None`` without a race
    # comparison with the baseline; ``None`` without a baseline that has a value
    gain: Gain | None = None
    tolerance: float = 0.0  # the tolerance of ``cheaper``: ``epsilon``
    # configurations that should lose at most the tolerance and take at most 80 % of the winner's time, best
    # expected first
    cheaper: tuple[Candidate, ...] = ()
    goals: tuple[str, ...] = ()  # metrics of further goals, which play no role in the choice
    # ``epsilon`` as a factor of the best loss, if losses are compared on a log scale; else NaN
    factor: float = math.nan
    # value on new data; ``None`` if the winner has no scores by validation row or by fold
    new_data: OnNewData | None = None
    _home: Any = None  # the tree or round of the winner
    budget: BudgetState = NO_BUDGET  # budget of the tree when the winner was made
    standing: Race | None = None  # the race as it stands, if the winner was read again after repeats
    # keywords that a repeat needs: ``objective`` after an import without one
    needs: Mapping[str, object] = field(default_factory=dict)

    @property
    def round(self) -> str:
        """Id of the first round that ran the winner."""
        return self.candidates[0].round

    @property
    def params(self) -> dict[str, Any]:
        """The configuration as the objective received it; references are imported."""
        return self.candidates[0].params

    @property
    def expected(self) -> float:
        """Expected value when the winner is retrained."""
        return self.candidates[0].expected

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the winner's mean over seeds, wide enough to hold its planned run.

        NaN without a posterior.
        """
        return self.candidates[0].low, self.candidates[0].high

    @property
    def observed(self) -> float:
        """Value of the winner's planned run."""
        return self.candidates[0].observed

    @property
    def is_decided(self) -> bool:
        """True if repeats have decided the race: more of them would hardly change the winner."""
        races = [race for race in (self.race, self.standing) if race is not None]
        return any(race.verdict in ("decided", "noise") for race in races)

    def kept_in(self, home: Any) -> Winner:
        """A copy of the winner that knows its tree or round, for :meth:`report`."""
        needs = home._needs(*{c.round for c in self.candidates})
        return replace(self, _home=home, budget=home._budget, needs=needs)

    def report(self, folder: str | Path, *, html: bool = False) -> Path:
        """Writes the winner's certificate.

        Its expected value with the evidence, its history, and how to train it again.

        Answers to a reproducibility checklist come from the records.

        Args:
            folder: Created if missing; receives ``<tree>-winner.md``, or ``<number>-<id>-winner.md`` for a
                round.
            html: Whether to write one self-contained HTML file instead.

        Returns:
            The file. An AnalysisError says if the winner was made without a tree.
        """
        if self._home is None:
            raise AnalysisError(
                "this winner was made without a tree, so that there are no records to report; ask a tree",
                Action("tree.winner"),
            )
        written: Path = provided("winner.report")(self, self._home, Path(folder), html)
        return written

    def _data(self) -> JsonObject:
        names = ("round", "expected", "interval", "observed", "is_best_observed")
        content = {name: getattr(self, name) for name in names}
        first = {"configuration": plain(self.candidates[0].configuration)}
        return {**plain(content), **first, **super()._data()}

    @property
    def is_best_observed(self) -> bool:
        """Whether the winner is the configuration of the best observed trial."""
        return self.candidates[0][:2] == self.best_observed[:2]  # round and key


class RetrainedValues(NamedTuple):
    """Evaluated configurations and their expected values when retrained, as winners state them."""

    table: pd.DataFrame  # (c, parameters) configurations, as columns of a space
    values: Floats  # (c,) expected values, larger is better


class PlannedPosterior(NamedTuple):
    """Draws of a model given the planned runs alone, before any noise is added."""

    draws: Floats  # (draws, candidates) of the model, larger is better; the forest's draws come first
    forest: int  # number of draws of the forest
    planned: Floats  # (candidates,) means of the planned runs, larger is better
    counts: Ints  # (candidates,) number of planned runs

    def with_noise(self, sd: float) -> Floats:
        """(draws, candidates) means over seeds; ``sd`` is the noise of one run.

        Draws at evaluated configurations are combined with the configurations' own planned runs. The model
        takes residuals for noise, but a part of a residual may belong to the configuration and return on
        retraining. So a draw of the process receives noise, and a sixth of the draws lie half way between the
        process and the configuration's own runs, with their standard error. The forest, which pulls the best
        towards the middle, has a twelfth of the draws.
        """
        rng = np.random.default_rng(_SEED)
        trees = self.draws[: self.forest]
        process = self.draws[self.forest :]
        frozen = _FROZEN * sd * rng.standard_normal(process.shape)
        between = (self.planned + process.mean(axis=0)) / 2
        own_draws = between + sd / np.sqrt(self.counts) * rng.standard_normal((_OWN_DRAWS, self.planned.size))
        return np.concatenate([trees, process + frozen, own_draws])


@dataclass(frozen=True, eq=False)
class Field:
    """The evaluated configurations, with draws of their means over seeds given the planned runs alone."""

    goal: Goal  # the goal of the trials
    # candidates in the order of rounds and trials; of many, the best 1,000 by their planned runs
    candidates: tuple[Candidate, ...]
    # (draws, candidates) means, larger is better; ``None`` with too few configurations
    draws: Floats | None
    noise: stats.NoiseEstimate  # noise between repeats
    evaluated: int  # number of different configurations with a value
    best: int  # number of the candidate with the best observed trial
    best_value: float  # the value of that trial
    # ``(round, key)`` of every run of theirs -> number of the candidate
    places: Mapping[tuple[str, str], int]
    # number of the baseline among the candidates; ``None`` without one that has a value
    baseline: int | None
    eligible: int  # number of candidates that may win: the first ones; a baseline that may not comes last
    limits: tuple[float, float]  # see :attr:`refine.analysis.evaluated.Evaluated.limits`; larger is better
    alike: stats.ReplicateAgreement  # comparison of runs that agree on all values read
    # a power of two near the values where their squares would overflow or vanish, else 1
    unit: float = 1.0
    # value, larger is better, below which runs exploded and count as failed; -inf if none did
    explosion_limit: float = -math.inf
    posterior: PlannedPosterior | None = None  # source of ``draws``; ``None`` without one
    on_log: bool = False  # whether losses are compared on a log scale: see :func:`on_log_scale`
    evidence: Evaluated | None = None  # the runs that the draws are given
    # deviations of the candidates on new data; ``None`` without scores by row or fold
    deviations: Deviations | None = None

    def given_noise(self, noise: stats.NoiseEstimate) -> Field:
        """The same candidates with draws for another noise, as :func:`field_of` returns for that noise."""
        if self.posterior is None:
            return replace(self, noise=noise)
        sd = self.unit * self.scaled_sd(noise, self.posterior.draws / self.unit)
        draws = self.unscaled(self.posterior.with_noise(sd))
        return replace(self, noise=noise, draws=draws if self.on_log else np.clip(draws, *self.limits))

    def scaled(self, values: Floats) -> Floats:
        """Values, larger is better, on the scale on which they are compared.

        On a log scale, a repeat may have a loss of 0 or less, in a race that began without one.
        """
        if self.on_log:
            return on_log_scale(np.minimum(values, -abs(self.best_value) / MOST_FACTOR))
        return values

    def unscaled(self, values: Floats) -> Floats:
        """The inverse of :meth:`scaled`."""
        if self.on_log:
            return off_log_scale(values)
        return values

    def scaled_sd(self, noise: stats.NoiseEstimate, draws: Floats) -> float:
        """The noise on the scale of the draws, by the factor near the best value; theirs if it is unknown."""
        if not math.isfinite(noise.sd):
            return float(np.std(draws))
        if self.on_log:
            return math.log10(1 + noise.sd / abs(self.best_value))
        return noise.sd / self.unit

    @cached_property
    def shift(self) -> Floats | None:
        """(draws, candidates) deviations on new data, on the scale of the comparison.

        The shift of the median candidate is taken off: it moves no candidate past another. 0 for a candidate
        without scores by row or fold; ``None`` if no candidate has them.
        """
        if self.deviations is None:
            return None
        observed = np.array([self.goal.sign * candidate.observed for candidate in self.candidates])
        return np.nan_to_num(relative_deviations(observed, self.deviations.draws, on_log=self.on_log))

    def plausible(self, top: int) -> list[int]:
        """Numbers of the ``top`` candidates by the posterior of the planned runs alone, best first.

        Replicates play no role, so a resumed race continues with the same candidates.
        """
        judged = np.array([self.goal.sign * c.observed for c in self.candidates])
        if self.draws is not None:
            judged = self.scaled(self.draws).mean(axis=0)
        return [int(i) for i in np.argsort(-judged[: self.eligible], kind="stable")[:top]]

    def judged(self, rounds: Sequence[RanRound], noise: stats.NoiseEstimate | None = None) -> Judged:
        """The candidates, given all of their runs.

        Args:
            rounds: The rounds with their replicates, which may have become more.
            noise: The noise of the study, given these replicates; default the noise of the field.
        """
        if noise is not None:
            return self.given_noise(noise).judged(rounds)
        noise = self.noise
        sign = self.goal.sign
        unit = self.unit
        repeat_values, agreement = self._values_of_replicates(rounds)
        scaled = [self.scaled(sign * np.array(runs, dtype=float)) / unit for runs in repeat_values]
        draws = self.draws
        variance = math.nan
        if show_no_noise(agreement, np.array([c.observed for c in self.candidates])):
            noise = equal_repeats(agreement, noise.step, noise.floor)._replace(
                paired=noise.paired, paired_source=noise.paired_source
            )
        elif not math.isfinite(noise.sd):
            candidates = [i for i, values in enumerate(scaled) for _ in values]
            sd, freedom = stats.within_groups(np.concatenate(scaled), candidates)
            if freedom:
                sd *= unit
                if self.on_log:
                    sd = abs(self.best_value) * (10.0**sd - 1)
                noise = noise._replace(sd=sd, source="replicates", n=freedom, freedom=float(freedom))
        if noise.deterministic:
            # A repeat gives the observed value: nothing is estimated, and the best observed configuration
            # wins.
            draws = None
        if draws is not None:
            draws = self.scaled(draws) / unit
            sd = self.scaled_sd(noise, draws)
            # The mean of a scaled inverse chi-square posterior exceeds the square of the estimate if little
            # is known: Gelman et al. (2013), 'Bayesian Data Analysis', section 2.6.
            variance = sd**2
            if math.isfinite(noise.freedom):
                known_freedom = max(noise.freedom, _PLANNED_FREEDOM)
                variance *= known_freedom / (known_freedom - 2)
        if draws is not None and any(repeat_values):
            counts = np.array([len(runs) for runs in repeat_values])
            means = np.array([values.mean() if values.size else 0.0 for values in scaled])
            # Two kinds of runs inform on their own configuration alone: those of the baseline, which may lie
            # where forest and processes disagree most, and those that no draw expects.
            alone = counts * (means - draws.mean(axis=0)) ** 2 > _UNEXPECTED**2 * (
                counts * draws.var(axis=0) + variance
            )
            alone |= np.arange(len(repeat_values)) == self.baseline
            draws = _conditioned(draws, means, np.where(alone, 0, counts), variance)
            for i in np.flatnonzero(alone)[:, None]:
                draws[:, i] = _conditioned(draws[:, i], means[i], counts[i], variance)
            if not self.on_log:
                draws = np.clip(draws, self.limits[0] / unit, self.limits[1] / unit)
        if draws is not None:
            draws = self.unscaled(draws * unit)
        return Judged(self, tuple(map(tuple, repeat_values)), draws, noise, variance)

    def _values_of_replicates(
        self, rounds: Sequence[RanRound]
    ) -> tuple[list[list[float]], stats.ReplicateAgreement]:
        """Replicates' values per candidate, in the metric's own sign, and the comparison of repeats."""
        repeat_values: list[list[float]] = [[] for _ in self.candidates]
        agreement = self.alike
        for round_ in rounds:
            columns = round_.records.columns
            if not any(columns["replicate"]):
                continue
            values, good, _ = values_of(round_)
            good &= ~exploded(self.goal.sign * values, self.explosion_limit)
            order = np.flatnonzero(good)[np.argsort(np.asarray(columns["replicate"])[good], kind="stable")]
            agreement = agreement.joined(stats.repeats(values[order], [columns["key"][i] for i in order]))
            for i, (key, replicate) in enumerate(zip(columns["key"], columns["replicate"], strict=True)):
                number = self.places.get((round_.id, key))
                if replicate and good[i] and number is not None:
                    repeat_values[number].append(float(values[i]))
        return repeat_values, agreement


@dataclass(frozen=True, eq=False)
class Judged:
    """The candidates, given all of their runs."""

    field: Field  # the candidates
    # per candidate the values of its replicates, in the metric's own sign
    replicates: tuple[tuple[float, ...], ...]
    # (draws, candidates) means over seeds, larger is better; ``None`` without a posterior
    draws: Floats | None
    noise: stats.NoiseEstimate  # noise between repeats
    # of a single run, as the draws take it, in squares of :attr:`Field.unit`; NaN if there is no posterior
    variance: float

    def within_round(self, round_id: str) -> Judged | None:
        """The candidates of a round, with their first runs in the round; ``None`` without a candidate."""
        field = self.field
        evidence = field.evidence
        assert evidence is not None
        rows: dict[int, int] = {}  # number of the candidate -> its first run in the round
        best = -1
        with_value = [i for i in evidence.rows_of.get(round_id, ()) if evidence.good[i]]
        for i in with_value:
            run = evidence.runs[i]
            number = field.places.get((run.round, run.key))
            if number is not None:
                rows.setdefault(number, i)
                if best < 0 or evidence.y[i] > evidence.y[best]:
                    best = i
        if not rows:
            return None
        numbers = list(rows)
        eligible = len(numbers)
        if field.baseline is not None and field.baseline not in rows:
            numbers.append(field.baseline)
        candidates = [field.candidates[number] for number in numbers]
        for k, i in enumerate(rows.values()):
            run = evidence.runs[i]
            candidates[k] = candidates[k]._replace(
                round=run.round, key=run.key, configuration=run.configuration, unread=run.unread
            )
        place = {number: k for k, number in enumerate(numbers)}
        best_run = evidence.runs[best]
        baseline = None
        if field.baseline is not None:
            baseline = place[field.baseline]
        deviations = field.deviations
        if deviations is not None:
            deviations = deviations._replace(draws=deviations.draws[:, numbers])
        draws = self.draws
        if draws is not None:
            draws = np.ascontiguousarray(draws[:, numbers])  # sums depend on the layout in the last digit
        restricted = replace(
            field,
            candidates=tuple(candidates),
            draws=None,
            evaluated=len(np.unique(evidence.group[with_value])),
            best=place[field.places[best_run.round, best_run.key]],
            best_value=float(field.goal.sign * evidence.y[best]),
            places={run: place[number] for run, number in field.places.items() if number in place},
            baseline=baseline,
            eligible=eligible,
            posterior=None,
            deviations=deviations,
        )
        return replace(
            self,
            field=restricted,
            replicates=tuple(self.replicates[number] for number in numbers),
            draws=draws,
        )

    @property
    def expected(self) -> Floats:
        """(candidates,) expected values, larger is better; geometric means on log10."""
        field = self.field
        if self.draws is not None:
            return field.unscaled(np.asarray(field.scaled(self.draws).mean(axis=0)))
        sign = field.goal.sign
        runs = zip(field.candidates, self.replicates, strict=True)
        means = [
            float(field.scaled(sign * np.array(repeat_values or (c.observed,))).mean())
            for c, repeat_values in runs
        ]
        return field.unscaled(np.array(means))

    def retrained(self, space: Space) -> RetrainedValues:
        """The configurations that may win as columns of a space, with their expected values."""
        eligible = self.field.eligible
        configurations = JsonRows([dict(c.configuration) for c in self.field.candidates[:eligible]])
        return RetrainedValues(configuration_table(space, configurations), self.expected[:eligible])

    @cached_property
    def on_new_data(self) -> Floats | None:
        """(draws, candidates) means over seeds on new data; on the validation rows without scores by row.

        ``None`` without a posterior, unless the scores by row or fold are known.
        """
        field = self.field
        if field.shift is None:
            return self.draws
        values = field.scaled(self.expected)[None]
        if self.draws is not None:
            values = field.scaled(self.draws)
        count = max(len(values), len(field.shift))
        drawn, shift = (rows[np.arange(count) % len(rows)] for rows in (values, field.shift))
        return field.unscaled(drawn + shift)

    @property
    def ranked(self) -> list[int]:
        """Numbers of the candidates that may win, the best expected first."""
        return [int(i) for i in np.argsort(-self.expected[: self.field.eligible], kind="stable")]

    def tolerance(self, epsilon: float | None) -> float:
        """The tolerance: see :meth:`refine.stats.NoiseEstimate.tolerance`; 0 if unknown."""
        loss = self.noise.tolerance(epsilon)[0]
        if math.isfinite(loss):
            return loss
        return 0.0

    def within(self, draws: Floats | None, rivals: Sequence[int], i: int, epsilon: float) -> float:
        """Model probability that candidate ``i`` loses at most epsilon against the best of its rivals.

        ``draws`` are :attr:`draws`, on the validation rows that repeats share, or :attr:`on_new_data`; NaN
        for ``None``.
        """
        if draws is None:
            return math.nan
        field = self.field
        slack = epsilon
        if field.on_log:
            slack = math.log10(1 + epsilon / abs(field.best_value))
        return best_within(field.scaled(draws[:, list(rivals)]), list(rivals).index(i), slack)

    def winner(self, label: str, epsilon: float | None, race: Race | None = None) -> Winner:
        """The winner of a tree or round named ``label``; ``race`` is the state of its race, if any."""
        field = self.field
        expected = self.expected
        order = self.ranked
        tolerated = self.tolerance(epsilon)
        return Winner(
            of=label,
            metric=str(field.goal.metric),
            direction=field.goal.direction,
            candidates=tuple(self.told(i, expected) for i in order[:_SHOWN]),
            best_observed=self.told(field.best, expected),
            best_value=field.best_value,
            evaluated=field.evaluated,
            noise=self.noise,
            within=self.within(self.on_new_data, range(field.eligible), order[0], tolerated),
            within_rows=self.within(self.draws, range(field.eligible), order[0], tolerated),
            epsilon=tolerated,
            epsilon_source=self.noise.tolerance(epsilon)[1],
            factor=1 + tolerated / abs(field.best_value) if field.on_log else math.nan,
            race=race,
            gain=self._gain(order[0], expected),
            tolerance=tolerated,
            cheaper=self._cheaper(order, expected, tolerated),
            new_data=self._on_new_data(order[0], expected),
        )

    def _on_new_data(self, i: int, expected: Floats) -> OnNewData | None:
        """Value of candidate ``i``, the best one, on new data; ``None`` without its scores by row or fold."""
        field = self.field
        if field.deviations is None:
            return None
        drawn = None
        if self.draws is not None:
            drawn = self.draws[:, i]
        return on_new_data(expected[: field.eligible], field.deviations, i, field.goal.sign, drawn)

    def _cheaper(self, order: Sequence[int], expected: Floats, tolerance: float) -> tuple[Candidate, ...]:
        """Candidates that are nearly as good as the first one and take much less time."""
        seconds = [self.field.candidates[i].seconds for i in order]
        fast = [i for i, time in zip(order, seconds, strict=True) if time <= _CHEAPER * seconds[0]]
        near = [i for i in fast if expected[i] >= expected[order[0]] - tolerance]
        return tuple(self.told(i, expected) for i in near[:_SHOWN])

    def _gain(self, i: int, expected: Floats) -> Gain | None:
        """A candidate compared with the baseline; ``None`` without a baseline."""
        b = self.field.baseline
        if b is None:
            return None
        baseline = self.told(b, expected)
        difference = float(expected[i] - expected[b])
        draws = self.on_new_data
        if self.noise.deterministic and i != b and draws is None:
            return Gain(baseline, difference, difference, difference, float(difference > 0), same=False)
        if i == b or draws is None:
            return Gain(baseline, difference, *(math.nan,) * 3, same=i == b)
        drawn = draws[:, i] - draws[:, b]
        low, high = np.quantile(drawn, (0.025, 0.975))
        share = stats.share_of_draws(np.count_nonzero(drawn > 0), len(drawn))
        return Gain(baseline, difference, float(low), float(high), share, same=False)

    def told(self, i: int, expected: Floats) -> Candidate:
        """Candidate ``i`` completed by its expected value, interval and probability."""
        sign = self.field.goal.sign
        candidate = self.field.candidates[i]._replace(
            replicates=self.replicates[i], expected=sign * float(expected[i])
        )
        if i < self.field.eligible:
            share = self.within(self.on_new_data, range(self.field.eligible), i, 0.0)
            candidate = candidate._replace(probability=share)
        if self.draws is None:
            return candidate
        low, high = sorted(sign * np.quantile(self.draws[:, i], (0.025, 0.975)))
        # If neighbours and the configuration's own run disagree, the interval holds both: the model may be
        # wrong.
        low = min(low, candidate.observed)
        high = max(high, candidate.observed)
        return candidate._replace(low=float(low), high=float(high))


def best_within(draws: Floats, i: int, epsilon: float) -> float:
    """Share of (draws, candidates), larger is better, in which candidate ``i`` loses at most epsilon."""
    top = draws.max(axis=1)
    slack = epsilon + 1e-9 * float(np.ptp(draws))
    return stats.share_of_draws(np.count_nonzero(draws[:, i] >= top - slack), len(draws))


def _conditioned(draws: Floats, means: Floats, counts: Ints, variance: float) -> Floats:
    """Draws given the means of further runs; related candidates move along.

    See :func:`refine.stats.conditioned`.
    """
    repeated = np.flatnonzero(counts)
    error = variance / counts[repeated]
    chance = np.random.default_rng(_SEED).standard_normal((len(draws), len(repeated))) * np.sqrt(error)
    chance -= chance.mean(axis=0)
    return stats.conditioned(draws, repeated, means[repeated] + chance, error)


def _unit_of(y: Floats) -> float:
    """A power of two near the largest value if squares of values would overflow or vanish, else 1."""
    exponent = int(np.frexp(np.abs(y).max())[1])
    if abs(exponent) > _MOST_EXPONENT:
        return float(np.ldexp(1.0, exponent))
    return 1.0


@one_thread
def field_of(
    rounds: Sequence[RanRound],
    only: Collection[str] | None,
    also: Collection[tuple[str, str]],
    noise: stats.NoiseEstimate | None,
) -> Field | None:
    """The evaluated configurations, with a posterior of their means; ``None`` without a candidate.

    Args:
        rounds: Rounds of one metric and direction, oldest first.
        only: Ids of the rounds whose configurations may win; ``None`` for all.
        also: ``(round, key)`` of runs that are candidates in any case.
        noise: The noise of the study; ``None`` for the noise by residuals of the runs.
    """
    evidence = evaluated(rounds)
    if evidence is None:
        return None
    runs = evidence.runs
    good = evidence.good
    group = evidence.group
    sign = rounds[0].goal.sign
    X = evidence.X
    read = evidence.read
    y = evidence.y
    cardinalities = evidence.cardinalities
    allowed = good
    if only is not None:
        allowed = good & np.array([run.round in only for run in runs], dtype=np.bool_)
    if not allowed.any():
        return None
    firsts, best = _firsts(group, allowed, y)
    for i in map(int, np.flatnonzero(allowed) if also else ()):
        if (runs[i].round, runs[i].key) in also and group[i] not in group[firsts]:
            firsts.append(i)
    eligible = len(firsts)
    baseline = _baseline(runs, rounds, good)
    if baseline is not None and group[baseline] not in group[firsts]:
        firsts = [*firsts, baseline]
    number = {int(group[i]): k for k, i in enumerate(firsts)}
    counts = np.maximum(np.bincount(group[good], minlength=group.max() + 1), 1)
    observed = sign * np.bincount(group[good], y[good], group.max() + 1) / counts
    on_log = _compared_on_log(evidence, rounds[-1], noise)
    if on_log:
        scaled = on_log_scale(y)
    else:
        scaled = y
    if noise is None:
        if read.all():
            masked = None
        else:
            masked = read[good]
        noise = stats.TopNoise()(X[good], scaled[good], cardinalities, read=masked)
        noise = noise._replace(floor=stats.floor_of(scaled[good]))
        if on_log:
            noise = from_decades(noise, -float(y[good].max()))
    seconds = _seconds(evidence)
    if on_log:
        unit = 1.0
    else:
        unit = _unit_of(y[good])
    planned_posterior = None
    if group.max() + 1 >= FEWEST:
        # A failed run at the worst value would pull down its neighbours, which may be the best.
        learned = good | evidence.infeasible
        if len(np.unique(group[learned])) < FEWEST:
            learned = np.ones_like(good)
        masks = (None, None) if read.all() else (read[learned], read[firsts])
        posterior = _EVALUATED(X[learned], scaled[learned], X[firsts], cardinalities, *masks)
        planned = sign * observed[group[firsts]]
        planned_posterior = PlannedPosterior(
            posterior.value(posterior.scores),
            posterior.forest,
            on_log_scale(planned) if on_log else planned,
            counts[group[firsts]],
        )
    field = Field(
        goal=rounds[0].goal,
        candidates=tuple(
            Candidate(
                *runs[i][:3], float(observed[group[i]]), unread=runs[i].unread, seconds=seconds[group[i]]
            )
            for i in firsts
        ),
        draws=None,
        noise=noise,
        evaluated=len(np.unique(group[good])),
        best=number[int(group[best])],
        best_value=float(sign * y[best]),
        places={run[:2]: number[g] for run, g in zip(runs, group.tolist(), strict=True) if g in number},
        baseline=None if baseline is None else number[int(group[baseline])],
        eligible=eligible,
        limits=evidence.limits,
        explosion_limit=evidence.explosion_limit,
        unit=unit,
        alike=stats.repeats(y[good], group[good].tolist()),
        posterior=planned_posterior,
        on_log=on_log,
        evidence=evidence,
    )
    return field.given_noise(noise)


def _compared_on_log(evidence: Evaluated, last: RanRound, noise: stats.NoiseEstimate | None) -> bool:
    """Whether losses are compared on a log scale: as the noise of the study says, else by their values."""
    judged = evidence.y[evidence.good | evidence.infeasible]
    if last.goal.sign > 0 or not judged.max() < 0:
        return False
    if noise is not None:
        return noise.floor_source == "decades"
    return decades_of(-evidence.y[evidence.good], last.declared.scale) > 0


def _baseline(runs: Sequence[Run], rounds: Sequence[RanRound], good: Bools) -> int | None:
    """The run of the latest declared baseline with a value; ``None`` without one."""
    order = {(round_.id, round_.baseline): k for k, round_ in enumerate(rounds) if round_.baseline}
    declared = [i for i, run in enumerate(runs) if good[i] and (run.round, run.key) in order]
    return max(declared, key=lambda i: order[runs[i].round, runs[i].key], default=None)


def _seconds(evidence: Evaluated) -> Floats:
    """(groups,) mean duration of the runs of a configuration; NaN without measured times."""
    seconds = np.array([run.seconds for run in evidence.runs])
    timed = evidence.good & np.isfinite(seconds)
    total, count = (
        np.bincount(evidence.group[timed], w, evidence.group.max() + 1) for w in (seconds[timed], None)
    )
    return np.divide(total, count, out=np.full(total.size, np.nan), where=count > 0)


def _firsts(group: Ints, allowed: Bools, y: Floats) -> tuple[list[int], int]:
    """The first row of every configuration that may win, in order, and the row of the best trial."""
    rows = np.flatnonzero(allowed)
    best = int(rows[np.argmax(y[rows])])
    firsts: dict[int, int] = {}
    for i in rows:
        firsts.setdefault(int(group[i]), int(i))
    if len(firsts) > _MOST:
        top = np.zeros(int(group.max()) + 1) - np.inf
        np.maximum.at(top, group[rows], y[rows])
        keep = set(sorted(firsts, key=lambda g: -top[g])[:_MOST])
        firsts = {g: i for g, i in firsts.items() if g in keep}
    return list(firsts.values()), best
