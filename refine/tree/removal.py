"""What of a tree can't be read, and taking things out of it for good: damaged rows, trials, rounds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from refine.errors import ReviewError
from refine.review.decision import check_author, check_note
from refine.store.removal import Damaged, removal
from refine.tree.context import Context
from refine.trials.round_record import StoredNode
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


def damage_of(context: Context) -> Damage:
    """What of a tree can't be read."""
    return Damage(context.name, tuple(context.store.damage(context.tree)))


def repair(context: Context, note: str, author: str | None) -> Damage:
    """Removes what can't be read, under the leases of its rounds."""
    why, who = check_note(note), check_author(author)
    with ExitStack() as stack:
        for key, pk in dict.fromkeys((each.round, each.node) for each in context.store.damage(context.tree)):
            stack.enter_context(context.store.lease(pk, f"round {key}"))
        found = context.store.damage(context.tree)
        by_round: dict[str, list[Damaged]] = {}
        for each in found:
            by_round.setdefault(each.round, []).append(each)
        entries = [
            removal("repaired", key, _with(why, "; ".join(f"{d.what}: {d.text}" for d in rows)[:1000]), who)
            for key, rows in by_round.items()
        ]
        if found:
            context.store.remove_damaged(context.tree, found, entries)
    return Damage(context.name, tuple(found), removed=True)


def delete_trials(
    context: Context, stored: StoredNode, count: int, curves: bool, rows: Any, note: str, author: str | None
) -> int:
    """Removes trials of a round: see :meth:`refine.Tree.delete_trials`."""
    why, who = check_note(note), check_author(author)
    with context.store.lease(stored.pk, f"round {stored.node.id}"):
        numbers = numbers_of(rows, count)
        if numbers:
            entry = removal("trials removed", stored.node.id, _with(why, plural(len(numbers), "trial")), who)
            context.store.remove_trials(context.tree, stored.pk, numbers, curves, entry)
    return len(numbers)


def numbers_of(rows: Any, count: int) -> list[int]:
    """Which of a round's trials are meant, as numbers in order.

    Raises:
        ReviewError: That can't be told, or there is no such trial.
    """
    import pandas as pd

    rule = (
        "rows are some of round.trials: round.trials[...], a True or False for each of them, or their numbers"
    )
    array = np.asarray(rows.index if isinstance(rows, pd.DataFrame) else rows)
    if array.ndim == 1 and not array.size:
        return []
    if array.ndim != 1 or array.dtype.kind not in "bi":
        raise ReviewError(f"{rule}, got {type(rows).__name__}")
    if array.dtype.kind == "b":
        if len(array) != count:
            raise ReviewError(f"{rule}; got {len(array):,} answers for {plural(count, 'trial')}")
        array = np.flatnonzero(array)
    if array.min() < 0 or array.max() >= count:
        raise ReviewError(
            f"{rule}; got number {array.max() if array.max() >= count else array.min()} of {plural(count, 'trial')}"
        )
    return sorted({int(i) for i in array})


def delete_round(
    context: Context, stored: StoredNode, below: bool, note: str, author: str | None
) -> list[str]:
    """Removes a round, with those that came from it where ``below`` is said: see :meth:`refine.Tree.delete_round`."""
    why, who = check_note(note), check_author(author)
    nodes = context.store.nodes(context.tree)
    chosen = [stored]
    for other in nodes.values():  # parents stand before children
        if other.node.parent in {each.node.id for each in chosen}:
            chosen.append(other)
    if len(chosen) > 1 and not below:
        raise ReviewError(
            f"round {stored.node.id}: {plural(len(chosen) - 1, 'round')} came from it, such as {chosen[1].node.id}, and can't be "
            "read without it; remove them too",
            Action("tree.delete_round", stored.node.id, below=True),
        )
    with ExitStack() as stack:
        for each in chosen:
            stack.enter_context(context.store.lease(each.pk, f"round {each.node.id}"))
        entries = [removal("round removed", each.node.id, why, who) for each in chosen]
        context.store.remove_nodes(context.tree, [each.pk for each in chosen], entries)
    return [each.node.id for each in chosen]


def unlock(context: Context, stored: StoredNode, note: str, author: str | None) -> bool:
    """Takes the right to run a round away from a process that is gone: see :meth:`refine.Tree.unlock`."""
    key = stored.node.id
    entry = removal("unlocked", key, check_note(note), check_author(author))
    return context.store.unlock(context.tree, stored.pk, f"round {key}", entry) is not None


def _with(note: str, what: str) -> str:
    return f"{note} ({what})" if note else what


def log_rows(context: Context) -> Sequence[tuple[float, str, str, str, str, str]]:
    """Removals as rows of the log."""
    return [(r.created, r.event, r.round, "", r.author, r.note) for r in context.store.removals(context.tree)]
