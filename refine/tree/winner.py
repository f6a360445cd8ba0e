"""Which configuration to hand over, of a round or of a tree, read from the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from refine.analysis.evaluated import RanRound
from refine.analysis.winner import Field, Winner, field_of
from refine.space.encoding import encode
from refine.store.reader import Reader
from refine.tree.reading import read_paired_error
from refine.trials.goal import Goal
from refine.trials.round_record import StoredNode

Goals = Sequence[tuple[StoredNode, Goal]]
"""Rounds with what their trials are judged by, oldest first; metric and direction are the same for all."""


def ran(reader: Reader, rounds: Goals) -> list[RanRound]:
    """The trials of some rounds, replicates among them.

    Args:
        reader: Where trials are read.
        rounds: The rounds.
    """
    return [_ran(reader, rounds, stored, goal) for stored, goal in rounds]


def _ran(reader: Reader, rounds: Goals, stored: StoredNode, goal: Goal) -> RanRound:
    beside = reader.beside(stored.pk)
    return RanRound(
        stored.node.id,
        stored.node.space,
        _added(stored, rounds),
        reader.records([stored.pk], curves=goal.metric.curves, replicates=True),
        goal,
        next((b.key for b in beside if b.baseline), None),
        {b.key: b.seeds for b in beside if b.seeds > 1},
    )


def _added(found: StoredNode, rounds: Goals) -> dict[str, Any]:
    """Encoded values that a round's trials had of parameters that were added below it; the first that was said."""
    below, added = {found.node.id}, dict[str, Any]()
    for each, _ in rounds:  # oldest first, so parents before children
        if each.node.parent in below:
            below.add(each.node.id)
            for name, value in each.node.previous.items():
                if name not in found.node.space:
                    added.setdefault(name, encode(value))
    return added


def field_in(
    reader: Reader,
    rounds: Goals,
    found: Sequence[RanRound],
    only: str | None = None,
    also: Collection[tuple[str, str]] = (),
) -> Field | None:
    """See :func:`refine.analysis.winner.field_of`; with what folds or validation rows of the best trial's round tell apart.

    Args:
        reader: Where trials are read.
        rounds: Whose trials are evidence.
        found: Their trials.
        only: Id of the round whose configurations may be handed over; default all.
        also: ``(round, key)`` of runs that are candidates however many others are better.
    """
    field = field_of(found, only, also) if found else None
    if field is None:
        return None
    best = field.candidates[field.best].round
    stored, goal = next(r for r in rounds if r[0].node.id == best)
    paired, source = read_paired_error(reader, stored.pk, stored.node.space, goal)
    return replace(field, noise=field.noise._replace(paired=paired, paired_source=source))


def ranked_keys(reader: Reader, rounds: Goals, only: str) -> list[str]:
    """Hashes of a round's configurations that may be handed over, the best expected first; none where there is none.

    Args:
        reader: Where trials are read.
        rounds: Whose trials are evidence.
        only: Id of the round.
    """
    found = ran(reader, rounds)
    field = field_of(found, only) if found else None
    return [] if field is None else [field.candidates[i].key for i in field.judged(found).ranked]


def winner_of(
    reader: Reader, rounds: Goals, of: str, epsilon: float | None, only: str | None = None
) -> Winner | None:
    """The configuration to hand over; ``None`` where no trial may be called best.

    Args:
        reader: Where trials are read.
        rounds: Whose trials are evidence.
        of: What it is the winner of, as it is shown.
        epsilon: Loss that counts as none; ``None`` for what the trials can tell apart.
        only: Id of the round whose configurations may be handed over; default all.
    """
    found = ran(reader, rounds)
    field = field_in(reader, rounds, found, only)
    if field is None:
        return None
    goals = tuple(metric for metric, _ in rounds[0][0].node.goals)
    return replace(field.judged(found).winner(of, epsilon), goals=goals)
