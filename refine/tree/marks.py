"""What people note about trials of a round: stars, notes, and which ones no analysis may use, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from refine.errors import ReviewError
from refine.review.decision import check_author, check_note
from refine.store.marks import Mark
from refine.tree.context import Context
from refine.tree.removal import numbers_of
from refine.trials.frame import Records
from refine.trials.round_record import StoredNode
from refine.utils.format import plural

if TYPE_CHECKING:
    import pandas as pd

_EVENTS = {True: "trials excluded", False: "trials included"}


def mark_trials(
    context: Context,
    stored: StoredNode,
    records: Records,
    rows: Any,
    *,
    excluded: bool | None = None,
    starred: bool | None = None,
    note: str | None = None,
    author: str | None = None,
) -> int:
    """Notes one thing about trials of a round; how many they are.

    Args:
        context: Of the tree.
        stored: The round.
        records: Its planned trials.
        rows: Which of them: see :meth:`refine.Tree.delete_trials`.
        excluded: Whether analyses leave them out.
        starred: Whether they have a star.
        note: Why, or what is noted.
        author: Who says so; default the user's name.

    Raises:
        ReviewError: There is no such trial, the reason of an exclusion is missing, or a text is none.
    """
    who = check_author(author)
    why = None if note is None else check_note(note)
    if excluded and not (why and why.strip()):
        raise ReviewError("an exclusion needs a reason, which reports show; write reason='...'")
    keys, attempts = records.columns["key"], records.columns["attempt"]
    numbers = numbers_of(rows, len(keys))
    marks = [Mark(keys[i], int(attempts[i]), excluded, starred, why, who) for i in numbers]
    context.store.add_marks(stored.pk, marks)
    return len(marks)


def marks_frame(marks: Sequence[Mark], records: Records) -> pd.DataFrame:
    """What holds now: see :attr:`refine.Round.marks`."""
    import pandas as pd

    columns = records.columns
    number = {which: i for i, which in enumerate(zip(columns["key"], columns["attempt"], strict=True))}
    found: dict[int, dict[str, Any]] = {}
    for mark in marks:  # oldest first
        at = number.get((mark.key, mark.attempt))
        if at is None:
            continue
        row = found.setdefault(at, {"starred": False, "note": "", "excluded": None})
        if mark.excluded is not None:
            row["excluded"] = mark.note if mark.excluded else None
        elif mark.starred is not None:
            row["starred"] = mark.starred
        else:
            row["note"] = mark.note or ""
        row |= {"author": mark.author, "time": mark.created}
    kept = {
        i: row
        for i, row in sorted(found.items())
        if row["starred"] or row["note"] or row["excluded"] is not None
    }
    frame = pd.DataFrame(
        list(kept.values()), index=list(kept), columns=["starred", "note", "excluded", "author", "time"]
    )
    return frame.assign(time=pd.to_datetime(frame["time"], unit="s", utc=True).dt.floor("s"))


def log_rows(context: Context) -> Iterator[tuple[float, str, str, str, str, str]]:
    """What was excluded and included again as rows of the log, a row for what was said at once."""
    for stored in context.nodes.values():
        said = [m for m in context.reader.marks(stored.pk) if m.excluded is not None]
        for (created, excluded, note, author), marks in groupby(
            said, key=lambda m: (m.created, bool(m.excluded), m.note, m.author)
        ):
            what = plural(len(list(marks)), "trial")
            yield created, _EVENTS[excluded], stored.node.id, "", author, f"{note} ({what})" if note else what
