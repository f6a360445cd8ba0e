"""Exclusion of trials from every analysis, and inclusion again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from refine.errors import ReviewError
from refine.review.decision import check_author, check_note
from refine.store.exclusions import Mark
from refine.tree.context import Context
from refine.tree.round_record import RoundRecord
from refine.utils.format import plural

_EVENTS = {True: "trials excluded", False: "trials included", None: "note on trials"}


def exclude(
    self: RoundRecord, rows: object, reason: str = "", *, undo: bool = False, author: str | None = None
) -> int:
    """Excludes trials from every analysis of the round and its descendants, or includes them again.

    Excluded trials stay in the store and in :attr:`trials`, in the state ``"excluded"`` and without a value;
    reports and the log name author and reason. Only ``run(rerun="excluded")`` repeats an excluded
    configuration.

    Args:
        rows: Rows of :attr:`trials`, a mask over the rows, or their labels.
        reason: The reason, required to exclude; a surprising value alone is not one.
        undo: Whether to include the trials again; the log keeps both.
        author: Default the user name.

    Returns:
        Number of trials.

    Raises:
        ReviewError: Unknown trials, or an empty reason.

    Examples:
        >>> root.exclude(root.trials["lr"] > 4.5, "the clock ran wrong", author="mia")
        3
        >>> root.trials["state"].value_counts().to_dict()
        {'complete': 27, 'excluded': 3}
    """
    columns = self._context.store.records([self._stored.pk], curves=self._metric.curves).columns
    keys = columns["key"]
    attempts = columns["attempt"]
    trials = [(keys[i], int(attempts[i])) for i in numbers_of(rows, len(keys))]
    return mark_trials(self, trials, not undo, reason, author)


def mark_trials(
    round_: RoundRecord,
    trials: Sequence[tuple[str, int]],
    excluded: bool,
    reason: str,
    author: str | None = None,
) -> int:
    """Stores that trials, identified by key and attempt, are excluded or included; returns their number."""
    marked_by = check_author(author)
    note = check_note(reason)
    if excluded and not note.strip():
        raise ReviewError("an exclusion needs a reason, which reports show; write reason='...'")
    marks = [Mark(key, attempt, excluded, note, marked_by) for key, attempt in trials]
    round_._context.store.add_marks(round_._stored.pk, marks)
    return len(marks)


class Exclusion(NamedTuple):
    """Exclusion of a trial from every analysis."""

    reason: str  # reason, in a person's words
    author: str  # author of the exclusion


def exclusions_of(marks: Sequence[Mark], columns: Mapping[str, Sequence[object]]) -> dict[int, Exclusion]:
    """Number of an excluded planned trial -> the exclusion; ``marks`` are sorted, oldest first."""
    last: dict[tuple[object, object], Mark] = {}
    for mark in marks:
        if mark.excluded is not None:
            last[mark.key, mark.attempt] = mark
    exclusions: dict[int, Exclusion] = {}
    if not last:
        return exclusions
    for i, trial in enumerate(zip(columns["key"], columns["attempt"], strict=True)):
        latest = last.get(trial)
        if latest is not None and latest.excluded:
            exclusions[i] = Exclusion(latest.note or "", latest.author)
    return exclusions


def numbers_of(rows: object, count: int) -> list[int]:
    """Sorted numbers of the selected trials.

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
            f"{rule}; got number {array.max() if array.max() >= count else array.min()} of "
            f"{plural(count, 'trial')}"
        )
    return sorted({int(i) for i in array})


def log_rows(context: Context) -> Iterator[tuple[float, str, str, str, str, str]]:
    """Exclusions and inclusions as rows of the log, one row per call, and notes of version 0.1.0."""
    for stored in context.nodes.values():
        for (created, excluded, note, author), marks in groupby(
            context.reader.marks(stored.pk), key=lambda m: (m.created, m.excluded, m.note, m.author)
        ):
            counted = plural(len(list(marks)), "trial")
            yield (
                created,
                _EVENTS[excluded],
                stored.node.id,
                "",
                author,
                f"{note} ({counted})" if note else counted,
            )
