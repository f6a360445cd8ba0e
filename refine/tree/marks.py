"""Marks of people on a round and its trials: epsilon, stars, notes and exclusions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from refine.errors import ReviewError
from refine.proposal.proposal import check_epsilon
from refine.review.decision import check_author, check_note
from refine.store.marks import Mark
from refine.tree.context import Context
from refine.tree.round_record import RoundRecord
from refine.trials.frame import Records
from refine.utils.format import plural

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R", bound=RoundRecord)
_EVENTS = {True: "trials excluded", False: "trials included"}


def set_epsilon(self: R, epsilon: float | None) -> R:
    """Sets the tolerance: a smaller loss counts as none in proposals on this round and later children.

    Args:
        epsilon: In units of the metric; ``None`` returns to the default: see
            :attr:`refine.stats.NoiseEstimate.epsilon`.

    Raises:
        AnalysisError: No number >= 0.

    Examples:
        >>> root.set_epsilon(0.01).propose().claim.epsilon
        0.01
    """
    self.context.stored(self.id)
    self.context.store.set_epsilon(self.context.tree, self.id, check_epsilon(epsilon))
    return self


def exclude(self: RoundRecord, rows: object, reason: str, *, author: str | None = None) -> int:
    """Excludes trials from every analysis of the round and its descendants.

    Excluded trials stay in the store and in :attr:`trials`, in the state ``"excluded"`` and without a value;
    reports and the log name author and reason. Only ``run(rerun="excluded")`` repeats an excluded
    configuration.

    Args:
        rows: Rows of :attr:`trials`, a mask over the rows, or their labels.
        reason: The reason; a surprising value alone is not one.
        author: Default the user name.

    Returns:
        Number of excluded trials.

    Raises:
        ReviewError: Unknown trials, or an empty reason.

    Examples:
        >>> root.exclude(root.trials["lr"] > 4.5, "the clock ran wrong", author="mia")
        3
        >>> root.trials["state"].value_counts().to_dict()
        {'complete': 27, 'excluded': 3}
    """
    return _mark(self, rows, author, excluded=True, note=reason)


def include(self: RoundRecord, rows: object, reason: str = "", *, author: str | None = None) -> int:
    """Undoes :meth:`exclude`, with the same arguments and errors; the log keeps both. Returns the count."""
    return _mark(self, rows, author, excluded=False, note=reason)


def star(self: RoundRecord, rows: object, starred: bool = True, *, author: str | None = None) -> int:
    """Stars trials (``rows`` as in :meth:`exclude`), or removes the star. Changes no analysis."""
    return _mark(self, rows, author, starred=bool(starred))


def annotate(self: RoundRecord, rows: object, note: str, *, author: str | None = None) -> int:
    """Writes a note on trials (``rows`` as in :meth:`exclude`); an empty note removes the old one.

    Changes no analysis. A note that is no text is a ReviewError.
    """
    return _mark(self, rows, author, note=check_note(note))


def _mark(round_: RoundRecord, rows: Any, author: str | None, **changes: Any) -> int:
    columns = round_.context.store.records([round_._stored.pk], curves=round_._metric.curves).columns
    keys = columns["key"]
    attempts = columns["attempt"]
    return mark_trials(
        round_, [(keys[i], int(attempts[i])) for i in numbers_of(rows, len(keys))], author, **changes
    )


def mark_trials(
    round_: RoundRecord,
    trials: Sequence[tuple[str, int]],
    author: str | None = None,
    *,
    excluded: bool | None = None,
    starred: bool | None = None,
    note: str | None = None,
) -> int:
    """Stores a mark for trials, identified by key and attempt; returns the number of trials."""
    marked_by = check_author(author)
    if note is None:
        reason = None
    else:
        reason = check_note(note)
    if excluded and not (reason and reason.strip()):
        raise ReviewError("an exclusion needs a reason, which reports show; write reason='...'")
    marks = [Mark(key, attempt, excluded, starred, reason, marked_by) for key, attempt in trials]
    round_.context.store.add_marks(round_._stored.pk, marks)
    return len(marks)


class TrialAnnotation(NamedTuple):
    """Current marks of a trial."""

    starred: bool = False
    note: str = ""
    excluded: str | None = None  # reason of the exclusion from analyses; ``None`` if not excluded
    author: str = ""  # author of the latest mark
    time: float = 0.0  # and when, in seconds since 1970


def noted(marks: Sequence[Mark], columns: Mapping[str, Sequence[object]]) -> dict[int, TrialAnnotation]:
    """Number of a planned trial -> its current marks; ``marks`` are sorted, oldest first."""
    number = {trial: i for i, trial in enumerate(zip(columns["key"], columns["attempt"], strict=True))}
    annotations: dict[int, TrialAnnotation] = {}
    for mark in (m for m in marks if (m.key, m.attempt) in number):
        changes: dict[str, Any] = {"note": mark.note or ""}
        if mark.excluded is not None:
            changes = {"excluded": mark.note if mark.excluded else None}
        elif mark.starred is not None:
            changes = {"starred": mark.starred}
        row = number[mark.key, mark.attempt]
        annotations[row] = annotations.get(row, TrialAnnotation())._replace(
            **changes, author=mark.author, time=mark.created
        )
    return {i: n for i, n in sorted(annotations.items()) if n.starred or n.note or n.excluded is not None}


def marks_frame(marks: Sequence[Mark], records: Records) -> pd.DataFrame:
    """Current marks of the planned trials: see :attr:`refine.Round.marks`."""
    import pandas as pd

    annotations = noted(marks, records.columns)
    frame = pd.DataFrame(
        list(annotations.values()), index=list(annotations), columns=list(TrialAnnotation._fields)
    )
    return frame.assign(time=pd.to_datetime(frame["time"], unit="s", utc=True).dt.floor("s"))


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
    """Exclusions and inclusions as rows of the log, one row per call."""
    for stored in context.nodes.values():
        exclusions = [m for m in context.reader.marks(stored.pk) if m.excluded is not None]
        for (created, excluded, note, author), marks in groupby(
            exclusions, key=lambda m: (m.created, bool(m.excluded), m.note, m.author)
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
