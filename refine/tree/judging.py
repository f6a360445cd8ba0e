"""The winner of a tree, the race that confirms a winner, and the judgement of two configurations.

The state of a race is in the store, so an interrupted race resumes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from refine.analysis.evaluated import RanRound
from refine.analysis.judgement import CONFIRM, Judgement, evened, judgement, race_of
from refine.analysis.winner import Candidate, Judged, Race, Winner
from refine.errors import AnalysisError, DesignError, ReviewError, did_you_mean
from refine.review.decision import check_author, check_note
from refine.run.holdout import HoldoutResult, Visit
from refine.run.machine import Machine
from refine.run.options import RunOptions
from refine.run.outcome import Task
from refine.run.progress_bar import ProgressBar
from refine.run.protocols import Objective
from refine.run.replicates import check_times, replicate_tasks
from refine.run.runner import TaskSource, run_round
from refine.space.encoding import decode, freeze, label
from refine.space.parameters import Parameter, Range
from refine.tree.context import Context
from refine.tree.overview import comparable
from refine.tree.round import Round
from refine.tree.round_record import RoundRecord
from refine.tree.running import holdout_opened
from refine.tree.tree_record import TreeRecord
from refine.tree.winner import Goals, field_in, ran, ranked_keys, study_noise
from refine.trials.budget import BudgetState
from refine.trials.frame import Records
from refine.trials.goal import check_epsilon
from refine.trials.round_record import StoredNode
from refine.utils.action import Action
from refine.utils.format import join, plural
from refine.utils.numbers import is_whole
from refine.utils.provided import provides

# Configurations by name: the winner, the best observed configuration, and the configuration to beat.
WORDS = ("winner", "best", "baseline")

# Configurations in a race, unless the caller gives a number.
RACERS = 5

# Repeats of a race in total, unless the caller gives a number.
REPEATS = 20

# A race is looked at about so often: starting workers takes seconds, and looking more often gained nothing
# in simulations.
_STAGES = 6

# A configuration: id of a round, a word of ``WORDS``, its values by name, or ``None`` for the usual one.
Which = str | Mapping[str, Any] | None

T = TypeVar("T")


def winner(self: TreeRecord) -> Winner | None:
    """The configuration to use; ``None`` before the first trial has finished.

    The winner has the best expected value (posterior mean) among all evaluated configurations, of any origin,
    given the trials and repeats of all rounds. Its ``expected`` is the value to expect on retraining. Rounds
    with another metric or direction than the oldest root are left out.

    Examples:
        >>> winner = tree.winner()
        >>> winner.params, winner.expected
        ({'dropout': 0.0, 'lr': 1.5}, 0.9998)
    """
    snapshot = self._at_once()
    entrants = _entrants_if_any(snapshot, snapshot._context)
    if entrants is None:
        return None
    found_winner = entrants.judged.winner(entrants.tree_label, entrants.epsilon)
    goals = tuple(metric for metric, _ in entrants.rounds[0][0].node.goals)
    return replace(found_winner, goals=goals, standing=entrants.outlook()).kept_in(self)


@provides("round.has_decided_winner")
def _has_decided_winner(round_: RoundRecord) -> bool:
    won = winner(TreeRecord._of(round_._context))
    return won is not None and won.is_decided


def confirm(
    self: TreeRecord,
    budget: int | None = None,
    top: int = RACERS,
    *,
    objective: Objective | None = None,
    machine: Machine | None = None,
) -> Winner:
    """Repeats the plausible winners under new seeds, until one is ahead or ``budget`` is spent.

    The configurations with the best expected values race: each repeat goes to the configuration with the
    largest expected improvement of the winner. The race ends early if the leader, repeated three times,
    loses no more than the tolerance with probability 0.95, or if repeats differ by no more than the
    tolerance: that of the goal of the latest round if set, otherwise that of proposals.

    Every repeat is a stored replicate of its round: a repeated call resumes the race. Near-copies do not
    race: configurations within one level of a better configuration in every parameter, with an equal
    expected value up to the noise.

    Args:
        budget: Number of repeats in total, existing ones included; default 20, or fewer if the budget of the
            tree has fewer left: :attr:`budget`.
        top: Number of configurations in the race.
        objective: As ``machine``: see :meth:`Round.run`.

    Raises:
        AnalysisError: No finished trial may be best.
        DesignError: ``budget`` or ``top`` is not a whole number >= 1, or the budget of the tree has fewer
            trials left.
        ObjectiveError: A round was reopened, and its objective is neither given nor importable.

    Examples:
        >>> print(tree.confirm(budget=20))
        Winner of tree example, out of 30 configurations
        ...
        Race        nothing to confirm: repeats gave identical values
        Next        tree.report('reports')
    """
    running = RunOptions(machine=self._context.machine(machine))
    check_times(top, REPEATS if budget is None else budget, "budget")
    entrants = _entrants(self, self._context)
    epsilon = entrants.epsilon
    total = entrants.repeats(self.budget, budget)
    leaders: list[int] = []

    def stage(judged: Judged, spent: Sequence[int], planned: int, batch: int) -> tuple[Race, _Shares, int]:
        race = race_of(
            judged, spent, top, total, batch=batch, epsilon=epsilon, planned=planned, near=entrants.near
        )
        leaders.append(judged.ranked[0])
        overtaken = len(leaders) > 1 and leaders[-1] != leaders[-2]
        if race.verdict == "open":
            following = race.following
        else:
            following = ()
        shares = list(zip(race.racers, following, strict=False))
        return race._replace(overtaken=overtaken), shares, race.runs

    batch = max(1, math.ceil(total / _STAGES))
    judged, race = entrants.race(batch, total, objective, running, stage)
    return judged.winner(entrants.tree_label, epsilon, race).kept_in(self)


def judge(
    self: TreeRecord,
    a: RoundRecord | str | Mapping[str, object] | None = None,
    b: RoundRecord | str | Mapping[str, object] | None = None,
    *,
    budget: int = 0,
    epsilon: float | None = None,
    objective: Objective | None = None,
    machine: Machine | None = None,
) -> Judgement:
    """Judges whether one configuration is better than another: KEEP, CONFIRM or DISCARD, with the evidence.

    The best of many trials is partly luck, so a single run decides nothing. Both configurations are
    compared by the posterior behind :meth:`winner`, and KEEP requires three repeats under new seeds.

    Args:
        a: The first configuration: enough of its values by name to identify it; a round, its id or a tag, for
            the best expected configuration of that round; ``"winner"``, ``"best"`` (observed) or
            ``"baseline"``. Default the winner.
        b: The configuration to compare with, given in the same ways. Default the baseline; without a
            baseline, or if ``a`` is the baseline, the best expected of the rounds before the first run of
            ``a``.
        budget: Number of repeats of both in total, existing ones included, until a verdict. Default no
            repeats.
        epsilon: Tolerance, in units of the metric; default as in :meth:`confirm`.
        objective: As ``machine``: see :meth:`confirm`.

    Raises:
        AnalysisError: A configuration has no value, or no finished trial may be best.
        DesignError: ``budget`` is not a whole number >= 0, or the budget of the tree has fewer trials left.
        NotFoundError: There is no such round.
        ObjectiveError: A round was reopened, and its objective is neither given nor importable.
        ReviewError: No trial or several trials match, or both configurations are the same.

    Examples:
        >>> tree.judge("winner", {"lr": 0.5, "dropout": 0.0}).verdict
        'KEEP'
    """
    if not is_whole(budget, 0):
        raise DesignError(f"budget must be a whole number >= 0, got {budget!r}")
    conflicting = [
        f"{name}=" for name, v in (("objective", objective), ("machine", machine)) if v is not None
    ]
    if not budget and conflicting:
        raise DesignError(
            f"judge runs nothing without budget=; leave {join(conflicting)} out, or give budget= as well"
        )
    check_epsilon(epsilon)
    pair: list[Which] = []
    for configuration in (a, b):
        if configuration is None or isinstance(configuration, Mapping) or configuration in WORDS:
            pair.append(configuration)  # type: ignore[arg-type]
        else:
            pair.append(self[configuration].id)  # type: ignore[index]
    running = RunOptions(machine=self._context.machine(machine))
    named = [configuration for configuration in pair if isinstance(configuration, Mapping)]
    entrants = _entrants(self, self._context if budget else self._context.at_once(), named)
    if epsilon is None:
        epsilon = entrants.epsilon
    tree_label = entrants.tree_label
    first = _number(entrants.trials, entrants.judged, pair[0] or "winner")
    second, incumbent = _beside(entrants.trials, entrants.judged, first, pair[1])
    if first == second:
        labels = entrants.judged.field.candidates[first].labels
        raise ReviewError(
            f"{tree_label}: both are the same configuration in all that was read: {_shown(labels)}; "
            "name another one"
        )

    def stage(
        judged: Judged, spent: Sequence[int], _planned: int, batch: int
    ) -> tuple[Judgement, _Shares, int]:
        verdict = judgement(judged, first, second, tree_label, incumbent, epsilon)
        runs = spent[first] + spent[second]
        count = 0
        if verdict.verdict == CONFIRM:
            count = min(batch, budget - runs)
        shares = evened([spent[first], spent[second]], count)
        return verdict, [(first, shares[0]), (second, shares[1])], runs

    if budget:
        spent_on_pair, _ = _spent_on(entrants.judged, entrants.trials)
        existing = spent_on_pair[first] + spent_on_pair[second]
        self.budget.check(max(0, budget - existing), tree_label, "repeat fewer", full=True)
    batch = max(2, math.ceil(budget / _STAGES))
    _, verdict = entrants.race(batch, budget, objective, running, stage)
    remaining = self._budget.full_left
    if remaining is None:
        return verdict
    return replace(verdict, affordable=len(verdict.a.replicates) + len(verdict.b.replicates) + remaining)


def open_holdout(
    self: TreeRecord,
    seeds: int = 3,
    *,
    at: Round | str | None = None,  # language: ok, a keyword of ask too
    top: int = 1,
    note: str = "",
    author: str | None = None,
    objective: Objective | None = None,
    machine: Machine | None = None,
) -> HoldoutResult:
    """Retrains the winner under new seeds and measures on rows unseen by every round.

    The opening is logged first. A repeated call with equal arguments resumes, or returns the earlier result.

    Args:
        seeds: Number of models per configuration.
        at: A round, or its name: retrains its best configurations instead of the winner of the tree.
        top: Number of configurations of the round.
        note: Reason, in your words.
        author: Default the user name.
        objective: As ``machine``: see :meth:`Round.run`.

    Raises:
        AnalysisError: No trial has finished that may be called best.
        DesignError: ``seeds`` or ``top`` is not a whole number >= 1, or ``top`` is given without a round.
        ObjectiveError: The objective has no hold-out.

    Warns:
        UserWarning: An earlier opening on the branch, with the bias of a second one.
    """
    check_times(top, seeds)
    visit = Visit(seeds, check_note(note), check_author(author))
    on = self._context.machine(machine)
    if at is not None:
        round_ = self[at]
        return holdout_opened(round_, lambda: ranked_keys(round_)[:top], visit, objective, on)
    if top != 1:
        raise DesignError(f"top={top} needs a round, got none; write tree.open_holdout(at='last', top={top})")
    won = winner(self)
    if won is None:
        raise _nothing_finished(self)
    key = won.candidates[0].key
    return holdout_opened(self[won.round], lambda: [key], visit, objective, on)


# Number of a candidate, and number of its runs.
_Shares = Sequence[tuple[int, int]]


class _Entrants(NamedTuple):
    """The candidates of a race with their evidence: the rounds of a tree and the trials in them."""

    context: Context
    rounds: Goals
    tree_label: str
    trials: list[RanRound]
    judged: Judged

    @property
    def epsilon(self) -> float | None:
        """Tolerance of the latest round; ``None`` if unset."""
        return self.rounds[-1][0].node.epsilon

    def repeats(self, state: BudgetState, budget: int | None) -> int:
        """Largest number of repeats of a race, existing repeats included.

        Raises DesignError: the remaining budget of the tree is smaller than ``budget``.
        """
        spent, planned = _spent_on(self.judged, self.trials)
        existing = sum(spent) - planned
        if budget is not None:
            fix = ""
            if state.full_left is not None:
                fix = f"repeat fewer, budget={existing + state.full_left}"
            state.check(max(0, budget - existing), self.tree_label, fix, full=True)
            return budget
        if state.full_left is None:
            return REPEATS
        return min(max(REPEATS, existing), existing + state.full_left)

    def outlook(self) -> Race | None:
        """The race as it stands after the present repeats; ``None`` without repeats."""
        spent, planned = _spent_on(self.judged, self.trials)
        repeats = sum(spent) - planned
        if not repeats:
            return None
        return race_of(
            self.judged,
            spent,
            RACERS,
            repeats + 1,
            batch=1,
            epsilon=self.epsilon,
            planned=planned,
            near=self.near,
        )

    def near(self, i: int, j: int) -> bool:
        """True if two candidates differ by at most one level per parameter that was read."""
        first = self.judged.field.candidates[i]
        second = self.judged.field.candidates[j]
        space = next(stored.node.space for stored, _ in self.rounds if stored.node.id == first.round)
        values = _values_read(first)
        second_values = _values_read(second)
        if set(values) != set(second_values):
            return False
        return all(
            _within_a_level(space.get(name), value, second_values[name]) for name, value in values.items()
        )

    def race(
        self,
        batch: int,
        total: int,
        objective: Objective | None,
        options: RunOptions,
        stage: Callable[[Judged, Sequence[int], int, int], tuple[T, _Shares, int]],
    ) -> tuple[Judged, T]:
        """Runs candidates under new seeds, batch by batch, until no run follows or a batch adds no run.

        Args:
            batch: Number of runs at a time; at least the number of workers.
            objective: The objective for reopened rounds.
            options: Run options.
            stage: A function that returns the standing, the next runs, and the number of runs. Its arguments
                are the candidates judged by all of their runs, the number of ended runs of each under new
                seeds, the number of these runs that the rounds had planned anyway, and the batch.
        """
        trials = self.trials
        judged = self.judged
        before = -1
        with ProgressBar(f"repeats of {self.tree_label}", total, show=options.machine.progress) as bar:
            options = replace(options, bar=bar)
            while True:
                stands, shares, runs = stage(
                    judged, *_spent_on(judged, trials), max(options.machine.workers, batch)
                )
                racers = [(judged.field.candidates[i], n) for i, n in shares if n]
                if not racers or runs == before:
                    bar.finish()
                    return judged, stands
                if before < 0:
                    bar.ended = runs
                before = runs
                self._repeat(racers, objective, options)
                trials = ran(self.context.store, self.rounds)
                judged = judged.field.judged(trials, study_noise(self.context.reader, self.rounds))

    def _repeat(
        self,
        racers: Sequence[tuple[Candidate, int]],
        objective: Objective | None,
        options: RunOptions,
    ) -> None:
        """Runs candidates under new seeds, each a number of times, in their rounds."""
        store = self.context.store
        for stored, goal in self.rounds:
            stored_racers = [(c, n) for c, n in racers if c.round == stored.node.id]
            if stored_racers:
                called = self.context.objective_of(stored.node, objective)
                source = TaskSource(choose=partial(_tasks, stored, racers=stored_racers, options=options))
                run_round(store, stored, called, goal, options, source=source, trials="repeats")


def _entrants(tree: TreeRecord, context: Context, named: Collection[Mapping[str, object]] = ()) -> _Entrants:
    """Candidates for the winner, and the configurations named by the caller."""
    entrants = _entrants_if_any(tree, context, named)
    if entrants is None:
        raise _nothing_finished(tree)
    return entrants


def _entrants_if_any(
    tree: TreeRecord, context: Context, named: Collection[Mapping[str, object]] = ()
) -> _Entrants | None:
    """As :func:`_entrants`; ``None`` if no trial may be best."""
    rounds: Goals = [(r._stored, r._goal) for r in comparable(tree.rounds)]
    trials = ran(context.reader, rounds)
    also = [place for values in named for place in _places(trials, values)]
    field = field_in(context.reader, rounds, trials, also=also)
    if field is None:
        return None
    return _Entrants(context, rounds, f"tree {tree._name}", trials, field.judged(trials))


def _nothing_finished(tree: TreeRecord) -> AnalysisError:
    return AnalysisError(
        f"tree {tree._name}: no trial has finished that may be called best; run a round first",
        Action("round.run"),
    )


def _spent_on(judged: Judged, rounds: list[RanRound]) -> tuple[list[int], int]:
    """Ended repeats of each candidate, in any state, and the number of planned runs."""
    spent = [0] * len(judged.field.candidates)
    planned = 0
    for round_ in rounds:
        columns = round_.records.columns
        rows = zip(columns["key"], columns["replicate"], columns["state"], strict=True)
        for key, replicate, state in rows:
            number = judged.field.places.get((round_.id, key))
            if replicate and state != "running" and number is not None:
                spent[number] += 1
                planned += replicate < round_.seeds.get(key, 1)
    return spent, planned


def _tasks(
    stored: StoredNode, records: Records, racers: Sequence[tuple[Candidate, int]], options: RunOptions
) -> list[Task]:
    tasks = []
    for candidate, count in racers:
        numbers = zip(records.columns["key"], records.columns["replicate"], strict=True)
        existing = max((number for key, number in numbers if key == candidate.key), default=0)
        tasks += replicate_tasks(stored.node, records, [candidate.key], existing + count, options.again)
    return tasks


def _places(rounds: Sequence[RanRound], values: Mapping[str, object]) -> list[tuple[str, str]]:
    """``(round, key)`` of the planned runs whose configuration has these values.

    Raises:
        ReviewError: No round has such a parameter, or no run has these values.
    """
    names = dict.fromkeys(name for round_ in rounds for name in round_.space)
    for name in values:
        if name not in names:
            raise ReviewError(f"unknown parameter {name!r}; {did_you_mean(name, names)}")
    texts = {name: _plain(value) for name, value in values.items()}
    places = [
        (round_.id, round_.records.columns["key"][i])
        for round_ in rounds
        for i, encoded in enumerate(round_.records.configurations)
        if not round_.records.columns["replicate"][i]
        and all(n in encoded and text == label(decode(encoded[n])) for n, text in texts.items())
    ]
    if not places:
        raise ReviewError(
            f"no trial ran {_shown(values)}; run it first",
            Action("round.add", given=[dict(values)]),
        )
    return places


def _values_read(candidate: Candidate) -> dict[str, object]:
    """The values of a candidate by name, without unread parameters."""
    return {
        name: decode(value) for name, value in candidate.configuration.items() if name not in candidate.unread
    }


def _within_a_level(parameter: Parameter | None, a: Any, b: Any) -> bool:
    """True if two values are equal, or at most one level of a range apart."""
    if not isinstance(parameter, Range) or isinstance(a, str) or isinstance(b, str):
        return bool(freeze(a) == freeze(b))
    grid = [float(v) for v in parameter.grid]
    positions = np.interp([float(a), float(b)], grid, range(len(grid)))
    return bool(abs(positions[0] - positions[1]) <= 1 + 1e-9)


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return label(freeze(value))


def _shown(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {_plain(value)}" for name, value in values.items())


def _number(rounds: Sequence[RanRound], judged: Judged, configuration: Which) -> int:
    """Number of a candidate.

    Raises:
        AnalysisError: The candidate has no value that may be called best.
        ReviewError: No such candidate.
    """
    field = judged.field
    if isinstance(configuration, Mapping):
        numbers = {field.places[place] for place in _places(rounds, configuration) if place in field.places}
        if len(numbers) > 1:
            raise ReviewError(
                f"{plural(len(numbers), 'configuration')} have {_shown(configuration)}; name more of the "
                "values, so that it is one"
            )
        if not numbers:
            raise AnalysisError(
                f"{_shown(configuration)}: has no value that may be called best, so that nothing can be "
                "compared"
            )
        return numbers.pop()
    if configuration == "winner":
        return judged.ranked[0]
    if configuration == "best":
        return field.best
    if configuration == "baseline":
        if field.baseline is None:
            raise ReviewError(
                "no round has a baseline with a value; give one", Action("tree.add_round", ..., baseline={})
            )
        return field.baseline
    best = _best_of(
        judged, {number for (round_id, _), number in field.places.items() if round_id == configuration}
    )
    if best is None:
        raise AnalysisError(
            f"round {configuration}: has no finished trial that may be called best; run it first",
            Action("round.run"),
        )
    return best


def _best_of(judged: Judged, numbers: set[int]) -> int | None:
    """The best expected of some candidates."""
    return next((i for i in judged.ranked if i in numbers), None)


def _beside(rounds: Sequence[RanRound], judged: Judged, a: int, configuration: Which) -> tuple[int, str]:
    """Number and kind of the incumbent: the baseline, else the best expected of earlier rounds."""
    if configuration is not None:
        return _number(rounds, judged, configuration), configuration if configuration in WORDS else "given"
    field = judged.field
    if field.baseline is not None and field.baseline != a:
        return field.baseline, "baseline"
    order = [round_.id for round_ in rounds]
    first = {number: order.index(round_id) for (round_id, _), number in reversed(list(field.places.items()))}
    best = _best_of(judged, {i for i, position in first.items() if position < first[a]})
    if best is None:
        raise ReviewError(
            "there is no baseline, and no configuration of an earlier round to compare with; name one",
            Action("tree.judge", ..., {"name": ...}),
        )
    return best, "incumbent"
