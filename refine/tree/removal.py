"""Damage of a tree, and removal of damaged rows, trials and rounds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import overload

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


def repair(self: TreeRecord, *, dry_run: bool = False, note: str = "", author: str | None = None) -> Damage:
    """Removes rows that cannot be read, edited by hand or damaged by a disk, and logs the removal.

    Damaged trials count nowhere, and their round cannot be run; after the repair, the round repeats such
    trials. A damaged round is left out, with its descendants.

    Damaged settings outside the identity of a round, such as a note, return to their defaults.

    Args:
        dry_run: Whether to list the rows without removing any.
        note: Reason, in your words; ``author`` defaults to the user name.

    Raises:
        RoundBusyError: A round with damaged rows is being run.
    """
    note_text = check_note(note)
    remover = check_author(author)
    store = self._context.store
    tree = self._context.tree
    if dry_run:
        return Damage(self._name, tuple(store.damage(tree)))
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
    return Damage(self._name, tuple(damaged), removed=True)


@overload
def delete(
    self: TreeRecord,
    key: Round | str,
    rows: None = None,
    *,
    below: bool = False,
    note: str = "",
    author: str | None = None,
) -> list[str]: ...


@overload
def delete(
    self: TreeRecord, key: Round | str, rows: object, *, note: str = "", author: str | None = None
) -> int: ...


def delete(
    self: TreeRecord,
    key: Round | str,
    rows: object = None,
    *,
    below: bool = False,
    note: str = "",
    author: str | None = None,
) -> list[str] | int:
    """Removes a round, or some of its trials, for good, and logs the removal.

    A round leaves with its trials, proposals and decisions; the parent keeps its decision. The next run of
    a round repeats removed trials, and proposals on the old evidence can no longer be accepted. Earlier
    exports keep what was removed, and loading such an export restores it.

    Args:
        key: A round, or one of its names, as in ``tree[name]``.
        rows: Rows of ``round.trials``, a mask over the rows, or their numbers; default the whole round.
        below: Whether to remove the descendants too; required for a round with children.
        note: Reason, in your words; ``author`` defaults to the user name.

    Returns:
        Ids of the removed rounds; with ``rows``, the number of removed trials.

    Raises:
        ReviewError: The rows do not belong to the round; or the round has children, and ``below`` is false.
        RoundBusyError: A round to remove is being run.
    """
    round_ = self[key]
    note_text = check_note(note)
    remover = check_author(author)
    if rows is None:
        return _without_round(self, round_, note_text, remover, below=below)
    return _without_trials(round_, rows, note_text, remover)


def _without_trials(round_: Round, rows: object, note: str, remover: str) -> int:
    context = round_._context
    pk = context.stored(round_.id).pk
    curves = round_._goal.metric.curves
    count = len(context.reader.records([pk], curves=curves).metrics)
    with context.store.lease(pk, f"round {round_.id}"):
        numbers = numbers_of(rows, count)
        if numbers:
            entry = removal("trials removed", round_.id, _with(note, plural(len(numbers), "trial")), remover)
            context.store.remove_trials(context.tree, pk, numbers, curves, entry)
    return len(numbers)


def _without_round(tree: TreeRecord, round_: Round, note: str, remover: str, *, below: bool) -> list[str]:
    context = tree._context
    store = context.store
    chosen = {round_.id: context.stored(round_.id).pk}
    for other in store.nodes(context.tree).values():  # parents stand before children
        if other.node.parent in chosen:
            chosen[other.node.id] = other.pk
    if len(chosen) > 1 and not below:
        raise ReviewError(
            f"round {round_.id}: {plural(len(chosen) - 1, 'round')} came from it, such as "
            f"{list(chosen)[1]}, and can't be read without it; remove them too",
            Action("tree.delete", round_.id, below=True),
        )
    with ExitStack() as stack:
        for key, pk in chosen.items():
            stack.enter_context(store.lease(pk, f"round {key}"))
        entries = [removal(ROUND_REMOVED, key, note, remover) for key in chosen]
        store.remove_nodes(context.tree, list(chosen.values()), entries)
    return list(chosen)


def _with(note: str, subject: str) -> str:
    if note:
        return f"{note} ({subject})"
    return subject
