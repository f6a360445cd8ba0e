"""The winner of a round or a tree, read from the store."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from refine import stats
from refine.analysis.evaluated import RanRound
from refine.analysis.new_data import MOST_TRIALS, Deviations
from refine.analysis.pooling import comparable_with
from refine.analysis.winner import Field, Judged, RetrainedValues, Winner, field_of
from refine.space.encoding import encode
from refine.store.reader import Reader, Snapshot
from refine.tree.lineage import read_deviations, read_noise, read_paired_error
from refine.tree.round_record import RoundRecord
from refine.trials.declared import Declared
from refine.trials.goal import Goal
from refine.trials.round_record import StoredNode, declared_for

# Rounds with their goals, oldest first; metric and direction are the same for all.
Goals = Sequence[tuple[StoredNode, Goal]]


def recommend(self: RoundRecord) -> Winner | None:
    """The configuration of the round to use; ``None`` before the first trial has finished.

    The configuration has the best posterior mean among those evaluated in the round, of any origin, given the
    trials of all comparable rounds of the tree: see :func:`comparable_rounds`. :attr:`best`, the best
    observed trial, overstates its configuration.

    Examples:
        >>> root._recommend().params
        {'dropout': 0.0, 'lr': 1.5}
    """
    judged = _judged_within(self._at_once())
    if judged is None:
        return None
    goals = tuple(metric for metric, _ in self._node.goals)
    return replace(judged.winner(f"round {self.id}", self._epsilon), goals=goals).kept_in(self)


def expected_of_best(self: RoundRecord) -> float:
    """Expected value of the best observed trial when retrained, as the winner of the round states.

    In the metric's own sign; NaN if no trial may be called best.
    """
    judged = _judged_within(self._at_once())
    if judged is None:
        return math.nan
    return judged.field.goal.sign * float(judged.expected[judged.field.best])


def retrained_values(self: RoundRecord) -> RetrainedValues | None:
    """Configurations of the round, and of rounds judged together with it, with their expected values.

    Columns are those of the round. ``None`` before the first trial has finished.
    """
    judged = _judged_beside(self._at_once())
    if judged is None:
        return None
    return judged.retrained(self.space)


def ranked_keys(round_: RoundRecord) -> list[str]:
    """Hashes of the configurations of a round that may win, the best expected first."""
    judged = _judged_within(round_._at_once())
    if judged is None:
        return []
    return [judged.field.candidates[i].key for i in judged.ranked]


def comparable_rounds(round_: RoundRecord) -> Goals:
    """The rounds of the tree whose trials are evidence for the winner of a round, oldest first.

    They have the same metric, direction, constraints and goals, and run the same objective on the same data
    under the same declaration of noise.
    """
    nodes = [stored.node for stored in round_._context.nodes.values()]
    alike = comparable_with(round_._node, nodes)
    rounds = [round_._other(node.id) for node in nodes if node.id in alike]
    return [(r._stored, r._goal) for r in rounds if r._judged_by == round_._judged_by]


# Most trials of the rounds whose configurations are judged together.
_TOGETHER = 1000


def _judged_within(round_: RoundRecord) -> Judged | None:
    """The configurations of a round that may win, given all runs; ``None`` without one."""
    judged = _judged_beside(round_)
    if judged is None:
        return None
    return judged.within_round(round_.id)


def _judged_beside(round_: RoundRecord) -> Judged | None:
    """The configurations of a round and of consecutive rounds that may win; ``None`` without one.

    Consecutive rounds share the work: their configurations are judged together, by the trials of every
    comparable round.
    """
    reader = round_._context.reader
    node = round_._node
    key: tuple[object, ...] = (round_._judged_by, node.objective, node.data, node.allow_degenerate)
    if node.steered:
        key = (*key, node.id)
    rounds = reader.computed(("comparable", *key), partial(comparable_rounds, round_))
    together = next(ids for ids in _groups(reader, rounds) if round_.id in ids)
    return reader.computed(
        ("judged", *key, together), partial(_judged_together, reader, rounds, frozenset(together))
    )


def _judged_together(reader: Reader, rounds: Goals, together: frozenset[str]) -> Judged | None:
    if isinstance(reader, Snapshot):
        reader.together([stored.pk for stored, _ in rounds])
    trials = ran(reader, rounds)
    field = field_in(reader, rounds, trials, only=together)
    if field is None:
        return None
    return field.judged(trials)


def _groups(reader: Reader, rounds: Goals) -> list[tuple[str, ...]]:
    """Ids of consecutive rounds that are judged together: 1,000 trials at most, unless a round has more."""
    groups: list[tuple[str, ...]] = []
    trials = math.inf
    for stored, goal in rounds:
        count = len(reader.records([stored.pk], curves=goal.metric.curves, replicates=True).metrics)
        if trials + count > _TOGETHER:
            groups.append(())
            trials = 0
        groups[-1] = (*groups[-1], stored.node.id)
        trials += count
    return groups


def ran(reader: Reader, rounds: Goals) -> list[RanRound]:
    """The trials of some rounds, replicates among them."""
    if not rounds:
        return []
    declared = declared_in(rounds)
    added = _added(rounds)
    runs = []
    for stored, goal in rounds:
        off_design = reader.beside(stored.pk)
        runs.append(
            RanRound(
                id=stored.node.id,
                space=stored.node.space,
                added=added.get(stored.node.id, {}),
                records=reader.records([stored.pk], curves=goal.metric.curves, replicates=True),
                goal=goal,
                baseline=next((b.key for b in off_design if b.baseline), None),
                seeds={b.key: b.seeds for b in off_design if b.seeds > 1},
                declared=declared,
            )
        )
    return runs


def _added(rounds: Goals) -> dict[str, dict[str, object]]:
    """Id of a round -> encoded values that its trials had for parameters added in later rounds."""
    by_id = {stored.node.id: stored.node for stored, _ in rounds}
    added: dict[str, dict[str, object]] = {}
    for stored, _ in rounds:  # oldest first: the earliest declaration counts
        previous = {name: encode(value) for name, value in stored.node.previous.items()}
        above = by_id.get(stored.node.parent or "")
        while previous and above is not None:
            values = added.setdefault(above.id, {})
            for name, value in previous.items():
                if name not in above.space:
                    values.setdefault(name, value)
            above = by_id.get(above.parent or "")
    return added


def field_in(
    reader: Reader,
    rounds: Goals,
    trials: Sequence[RanRound],
    only: Collection[str] | None = None,
    also: Collection[tuple[str, str]] = (),
) -> Field | None:
    """See :func:`refine.analysis.winner.field_of`; with the noise of the study."""
    if not trials:
        return None
    noise = study_noise(reader, rounds)
    field = field_of(trials, only, also, noise)
    if field is None:
        return None
    field = replace(field, deviations=_deviations(reader, rounds, field))
    if noise is not None:
        return field
    best = field.candidates[field.best].round
    stored, goal = next(r for r in rounds if r[0].node.id == best)
    paired, source = read_paired_error(reader, stored.pk, stored.node.space, goal)
    return replace(field, noise=field.noise._replace(paired=paired, paired_source=source))


def _deviations(reader: Reader, rounds: Goals, field: Field) -> Deviations | None:
    """Deviations of the candidates on new data, by scores on the same rows or folds."""
    numbers: dict[str, int] = {}
    pks = {stored.node.id: stored.pk for stored, _ in rounds}
    best_first = np.argsort([-field.goal.sign * candidate.observed for candidate in field.candidates])
    keys_by_round: dict[int, list[str]] = {}
    for i in best_first[:MOST_TRIALS].tolist():
        candidate = field.candidates[i]
        pk = pks[candidate.round]
        keys_by_round.setdefault(pk, []).append(candidate.key)
        numbers[f"{pk} {candidate.key}"] = i
    named_deviations = read_deviations(reader, field.goal, keys_by_round, field.noise.sd)
    if named_deviations is None:
        return None
    labels, deviations = named_deviations
    draws = np.full((len(deviations.draws), len(field.candidates)), np.nan)
    draws[:, [numbers[label] for label in labels]] = deviations.draws
    return deviations._replace(draws=draws)


def study_noise(reader: Reader, rounds: Goals) -> stats.NoiseEstimate | None:
    """Noise as stated by the latest round that can be analysed; ``None`` without such a round."""
    by_id = {stored.node.id: stored for stored, _ in rounds}
    pks = tuple(stored.pk for stored, _ in rounds)
    for stored, goal in reversed(rounds):
        path = [stored]
        while (parent := path[-1].node.parent) in by_id:
            path.append(by_id[parent])
        key = ("noise", stored.pk, pks, goal)
        noise = reader.computed(key, partial(read_noise, reader, path[::-1], goal, list(by_id.values())))
        if noise is not None:
            return noise
    if rounds and declared_in(rounds).noise == "none":
        return stats.NoiseEstimate(0.0, 0.0, "deterministic", 0, freedom=math.inf)
    return None


def declared_in(rounds: Goals) -> Declared:
    """The declarations that hold on the latest of some rounds."""
    by_id = {stored.node.id: stored.node for stored, _ in rounds}
    path = [rounds[-1][0].node]
    while (parent := path[-1].parent) in by_id:
        path.append(by_id[parent])
    return declared_for(path[::-1])
