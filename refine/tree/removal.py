"""What of a tree can't be read, and taking things out of it for good: damaged rows, trials, rounds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from refine.errors import ReviewError
from refine.review.decision import check_author, check_note
from refine.store.removal import ROUND_REMOVED, Damaged, removal
from refine.tree.marks import numbers_of
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.utils.action import Action
from refine.utils.display import Shown
from refine.utils.format import plural


@dataclass(frozen=True, eq=False, repr=False)
class Damage(Shown):
    """What of a tree can't be read, and is left out wherever the tree is looked at. Prints itself.

    Attributes:
        tree: Name of the tree.
        rows: The damaged rows, round by round.
        removed: Whether they were removed.
    """

    tree: str
    rows: tuple[Damaged, ...]
    removed: bool = False

    def __len__(self) -> int:
        return len(self.rows)


def damage(self: TreeRecord) -> Damage:
    """What of the tree can't be read: written by hand, by a broken disk, or before refine refused it.

    Damaged trials are no trials: nothing counts them, analyses say so, and their round can't be run. A
    damaged round is left out, and so is everything that came from it. Prints itself.
    """
    context = self._context
    return Damage(context.name, tuple(context.store.damage(context.tree)))


def repair(self: TreeRecord, *, note: str = "", author: str | None = None) -> Damage:
    """Removes the rows of :meth:`damage` for good and logs the removal; the round repeats such trials.

    Settings that are no part of a round, such as its note, are set back, and everything else of it stays.

    Args:
        note: As ``author``, which is who does it: see :meth:`delete_trials`.

    Raises:
        RoundBusyError: A round that holds something damaged is being run.
    """
    why, who = check_note(note), check_author(author)
    store, tree = self._context.store, self._context.tree
    with ExitStack() as stack:
        for key, pk in dict.fromkeys((each.round, each.node) for each in store.damage(tree)):
            stack.enter_context(store.lease(pk, f"round {key}"))
        damaged = store.damage(tree)
        by_round: dict[str, list[str]] = {}
        for each in damaged:
            by_round.setdefault(each.round, []).append(f"{each.what}: {each.text}")
        entries = [
            removal("repaired", key, _with(why, "; ".join(texts)[:1000]), who)
            for key, texts in by_round.items()
        ]
        if damaged:
            store.remove_damaged(tree, damaged, entries)
    return Damage(self.name, tuple(damaged), removed=True)


def delete_trials(
    self: TreeRecord, which: Round | str, rows: Any, *, note: str = "", author: str | None = None
) -> int:
    """Removes trials of a round for good, with all of their attempts, and writes it into the log.

    The round runs them again when it goes on. Proposals that were made on them can't be accepted any more,
    since their evidence has changed. What was exported or merged before still has them, and merging it
    brings them back.

    Args:
        which: A round, or one of its names: see :meth:`round`.
        rows: Some of its ``trials``: ``found.trials[...]``, a True or False for each of them, or their
            numbers.
        note: Why, in your words; ``author`` is who does it, default the user name.

    Returns:
        How many were removed.

    Raises:
        ReviewError: The rows are none of the round's.
        RoundBusyError: The round is being run.
    """
    context, of = self._context, self.round(which)
    pk = context.stored(of.id).pk
    curves = of.goal.metric.curves
    count = len(context.reader.records([pk], curves=curves).metrics)
    why, who = check_note(note), check_author(author)
    with context.store.lease(pk, f"round {of.id}"):
        numbers = numbers_of(rows, count)
        if numbers:
            entry = removal("trials removed", of.id, _with(why, plural(len(numbers), "trial")), who)
            context.store.remove_trials(context.tree, pk, numbers, curves, entry)
    return len(numbers)


def delete_round(
    self: TreeRecord, which: Round | str, *, below: bool = False, note: str = "", author: str | None = None
) -> list[str]:
    """Removes a round for good, with its trials, proposals and decisions, and writes it into the log.

    The decision on its parent that led to it stays. What was exported or merged before still has the round.

    Args:
        which: A round, or one of its names: see :meth:`round`.
        below: Whether to remove the rounds that came from it too; without that, a round that has some is
            refused.
        note: As ``author``, which is who does it: see :meth:`delete_trials`.

    Raises:
        ReviewError: Rounds came from it, and ``below`` was not said.
        RoundBusyError: One of them is being run.
    """
    of, store, tree = self.round(which), self._context.store, self._context.tree
    why, who = check_note(note), check_author(author)
    chosen = {of.id: self._context.stored(of.id).pk}
    for other in store.nodes(tree).values():  # parents stand before children
        if other.node.parent in chosen:
            chosen[other.node.id] = other.pk
    if len(chosen) > 1 and not below:
        raise ReviewError(
            f"round {of.id}: {plural(len(chosen) - 1, 'round')} came from it, such as {list(chosen)[1]}, "
            "and can't be "
            "read without it; remove them too",
            Action("tree.delete_round", of.id, below=True),
        )
    with ExitStack() as stack:
        for key, pk in chosen.items():
            stack.enter_context(store.lease(pk, f"round {key}"))
        entries = [removal(ROUND_REMOVED, key, why, who) for key in chosen]
        store.remove_nodes(tree, list(chosen.values()), entries)
    return list(chosen)


def unlock(self: TreeRecord, which: Round | str, *, note: str = "", author: str | None = None) -> bool:
    """Lets a round be run that a process of another machine holds, and writes it into the log.

    For a machine that is gone, or whose clock was ahead: without this, its round is free a minute after its
    last sign of life. Should the process live all the same, it stops before it writes anything more.

    Args:
        which: A round, or one of its names: see :meth:`round`.
        note: As ``author``, which is who does it: see :meth:`delete_trials`.

    Raises:
        RoundBusyError: A living process of this machine runs it: stop that.
    """
    of, context = self.round(which), self._context
    entry = removal("unlocked", of.id, check_note(note), check_author(author))
    return context.store.unlock(context.tree, context.stored(of.id).pk, f"round {of.id}", entry) is not None


def _with(note: str, what: str) -> str:
    return f"{note} ({what})" if note else what
