"""Damage of a tree, and removal of damaged rows, trials and rounds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from refine.errors import ReviewError
from refine.review.decision import check_author, check_note
from refine.store.removal import ROUND_REMOVED, Damaged, removal
from refine.tree.excluding import numbers_of
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.utils.action import Action
from refine.utils.display import Shown
from refine.utils.format import plural


@dataclass(frozen=True, eq=False, repr=False)
class Damage(Shown):
    """Unreadable rows of a tree, left out everywhere. Prints itself.

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
    """Rows of the tree that cannot be read: edited by hand, or damaged by a disk. Prints itself.

    Damaged trials count nowhere, and their round cannot be run; analyses mention damaged trials. A damaged
    round is left out, with its descendants.
    """
    context = self._context
    return Damage(context.name, tuple(context.store.damage(context.tree)))


def repair(self: TreeRecord, *, note: str = "", author: str | None = None) -> Damage:
    """Removes the rows of :meth:`damage` for good and logs the removal; the round repeats such trials.

    Damaged settings outside the identity of a round, such as a note, return to their defaults.

    Args:
        note: As ``author``: see :meth:`delete_trials`.

    Raises:
        RoundBusyError: A round with damaged rows is being run.
    """
    note_text = check_note(note)
    remover = check_author(author)
    store = self._context.store
    tree = self._context.tree
    with ExitStack() as stack:
        for key, pk in dict.fromkeys((row.round, row.node) for row in store.damage(tree)):
            stack.enter_context(store.lease(pk, f"round {key}"))
        damaged = store.damage(tree)
        by_round: dict[str, list[str]] = {}
        for row in damaged:
            by_round.setdefault(row.round, []).append(f"{row.what}: {row.text}")
        entries = [
            removal("repaired", key, _with(note_text, "; ".join(texts)[:1000]), remover)
            for key, texts in by_round.items()
        ]
        if damaged:
            store.remove_damaged(tree, damaged, entries)
    return Damage(self.name, tuple(damaged), removed=True)


def delete_trials(
    self: TreeRecord, which: Round | str, rows: object, *, note: str = "", author: str | None = None
) -> int:
    """Removes trials of a round for good, with their attempts, and logs the removal.

    The next run of the round repeats the trials. Proposals on the old evidence can no longer be accepted.
    Earlier exports keep the trials, and loading such an export restores them.

    Args:
        which: A round, or one of its names: see :meth:`round`.
        rows: Rows of ``round.trials``, a mask over the rows, or their numbers.
        note: Reason, in your words; ``author`` defaults to the user name.

    Returns:
        Number of removed trials.

    Raises:
        ReviewError: The rows do not belong to the round.
        RoundBusyError: The round is being run.
    """
    context = self._context
    round_ = self.round(which)
    pk = context.stored(round_.id).pk
    curves = round_.goal.metric.curves
    count = len(context.reader.records([pk], curves=curves).metrics)
    note_text = check_note(note)
    remover = check_author(author)
    with context.store.lease(pk, f"round {round_.id}"):
        numbers = numbers_of(rows, count)
        if numbers:
            entry = removal(
                "trials removed", round_.id, _with(note_text, plural(len(numbers), "trial")), remover
            )
            context.store.remove_trials(context.tree, pk, numbers, curves, entry)
    return len(numbers)


def delete_round(
    self: TreeRecord, which: Round | str, *, below: bool = False, note: str = "", author: str | None = None
) -> list[str]:
    """Removes a round for good, with its trials, proposals and decisions, and logs the removal.

    The parent keeps its decision. Earlier exports keep the round.

    Args:
        which: A round, or one of its names: see :meth:`round`.
        below: Whether to remove the descendants too; required if the round has children.
        note: As ``author``: see :meth:`delete_trials`.

    Returns:
        Ids of the removed rounds.

    Raises:
        ReviewError: The round has children, and ``below`` is false.
        RoundBusyError: A round to remove is being run.
    """
    round_ = self.round(which)
    store = self._context.store
    tree = self._context.tree
    note_text = check_note(note)
    remover = check_author(author)
    chosen = {round_.id: self._context.stored(round_.id).pk}
    for other in store.nodes(tree).values():  # parents stand before children
        if other.node.parent in chosen:
            chosen[other.node.id] = other.pk
    if len(chosen) > 1 and not below:
        raise ReviewError(
            f"round {round_.id}: {plural(len(chosen) - 1, 'round')} came from it, such as "
            f"{list(chosen)[1]}, and can't be read without it; remove them too",
            Action("tree.delete_round", round_.id, below=True),
        )
    with ExitStack() as stack:
        for key, pk in chosen.items():
            stack.enter_context(store.lease(pk, f"round {key}"))
        entries = [removal(ROUND_REMOVED, key, note_text, remover) for key in chosen]
        store.remove_nodes(tree, list(chosen.values()), entries)
    return list(chosen)


def _with(note: str, subject: str) -> str:
    if note:
        return f"{note} ({subject})"
    return subject
