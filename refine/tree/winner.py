"""The winner of a round or a tree, read from the store."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from refine import stats
from refine.analysis.evaluated import RanRound, values_of
from refine.analysis.winner import Field, Winner, field_of
from refine.space.encoding import encode
from refine.store.reader import Reader, Snapshot
from refine.tree.lineage import read_noise, read_paired_error
from refine.tree.round_record import RoundRecord
from refine.trials.declared import Declared
from refine.trials.goal import Goal
from refine.trials.round_record import StoredNode, declared_for

# Rounds with what their trials are judged by, oldest first; metric and direction are the same for all.
Goals = Sequence[tuple[StoredNode, Goal]]


def recommend(self: RoundRecord) -> Winner | None:
    """The configuration of the round to use; ``None`` before the first trial has finished.

    The configuration has the best posterior mean among those evaluated in the round, of any origin, given the
    trials of the round and its ancestors. :attr:`best`, the best observed trial, overstates its
    configuration.

    Examples:
        >>> root.recommend().params
        {'dropout': 0.0, 'lr': 1.5}
    """
    snapshot = self._at_once()
    winner = winner_of(snapshot.context.reader, snapshot._judged_alike, f"round {self.id}", self.id)
    if winner is None:
        return None
    return winner.kept_in(self)


def winner_of(reader: Reader, rounds: Goals, label: str, only: str | None = None) -> Winner | None:
    """The winner; ``None`` if no trial may be best."""
    trials = ran(reader, rounds)
    field = field_in(reader, rounds, trials, only)
    if field is None:
        return None
    goals = tuple(metric for metric, _ in rounds[0][0].node.goals)
    return replace(field.judged(trials).winner(label, rounds[-1][0].node.epsilon), goals=goals)


def expected_of_best(self: RoundRecord) -> float:
    """Expected value of the best observed trial when retrained, as the winner of the tree states.

    In the metric's own sign; NaN if no trial may be called best.
    """
    context = self.context.at_once()
    if isinstance(context.reader, Snapshot):
        context.reader.together([stored.pk for stored in context.nodes.values()])
    rounds = sorted((self._other(node_id) for node_id in context.nodes), key=lambda r: r._stored.order)
    alike = [(r._stored, r.goal) for r in rounds if r._judged_by == self._judged_by]
    trials = ran(context.reader, alike)
    round_runs = next(r for r in trials if r.id == self.id)
    values, good, _ = values_of(round_runs)
    planned = good & ~np.asarray(round_runs.records.columns["replicate"], dtype=bool)
    if not planned.any():
        return math.nan
    best = int(np.argmax(np.where(planned, round_runs.goal.sign * values, -np.inf)))
    place = (self.id, round_runs.records.columns["key"][best])
    field = field_in(context.reader, alike, trials, also=[place])
    if field is None or place not in field.places:
        return math.nan
    return round_runs.goal.sign * float(field.judged(trials).expected[field.places[place]])


def ranked_keys(reader: Reader, rounds: Goals, only: str) -> list[str]:
    """Hashes of the candidates of a round for the winner, the best expected first."""
    trials = ran(reader, rounds)
    field = field_in(reader, rounds, trials, only)
    if field is None:
        return []
    return [field.candidates[i].key for i in field.judged(trials).ranked]


def ran(reader: Reader, rounds: Goals) -> list[RanRound]:
    """The trials of some rounds, replicates among them."""
    runs = []
    for stored, goal in rounds:
        off_design = reader.beside(stored.pk)
        runs.append(
            RanRound(
                stored.node.id,
                stored.node.space,
                _added(stored.node.id, stored.node.space, rounds),
                reader.records([stored.pk], curves=goal.metric.curves, replicates=True),
                goal,
                next((b.key for b in off_design if b.baseline), None),
                {b.key: b.seeds for b in off_design if b.seeds > 1},
                declared_in(rounds),
            )
        )
    return runs


def _added(round_id: str, space: Collection[str], rounds: Goals) -> dict[str, Any]:
    """Encoded values that the trials of a round had for parameters added in later rounds."""
    below = {round_id}
    added = dict[str, Any]()
    for stored, _ in rounds:  # oldest first, so parents before children
        if stored.node.parent in below:
            below.add(stored.node.id)
            for name, value in stored.node.previous.items():
                if name not in space:
                    added.setdefault(name, encode(value))
    return added


def field_in(
    reader: Reader,
    rounds: Goals,
    trials: Sequence[RanRound],
    only: str | None = None,
    also: Collection[tuple[str, str]] = (),
) -> Field | None:
    """See :func:`refine.analysis.winner.field_of`; with the noise of the study."""
    if not trials:
        return None
    noise = study_noise(reader, rounds)
    field = field_of(trials, only, also, noise)
    if field is None or noise is not None:
        return field
    best = field.candidates[field.best].round
    stored, goal = next(r for r in rounds if r[0].node.id == best)
    paired, source = read_paired_error(reader, stored.pk, stored.node.space, goal)
    return replace(field, noise=field.noise._replace(paired=paired, paired_source=source))


def study_noise(reader: Reader, rounds: Goals) -> stats.NoiseEstimate | None:
    """Noise as stated by the latest round that can be analysed; ``None`` without such a round."""
    by_id = {stored.node.id: stored for stored, _ in rounds}
    for stored, goal in reversed(rounds):
        path = [stored]
        while (parent := path[-1].node.parent) in by_id:
            path.append(by_id[parent])
        key = ("noise", tuple(above.pk for above in path), goal)
        noise = reader.computed(key, partial(read_noise, reader, path[::-1], goal))
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
