"""The trials of rounds at hand: read once, and again only where others have come. Answers what the page asks about trials.

Nothing here waits for an analysis: a trial is shown while the proposal of a large round is still being made.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refine.errors import ReviewError
from refine.tree.marks import marks_frame
from refine.trials.frame import Records, table
from refine.trials.rows import Rows
from refine.ui.web.trials import (
    Noted,
    Query,
    Sheet,
    found_rows,
    history_bytes,
    history_content,
    list_content,
    part_content,
    query_of,
    rows_of,
    trial_content,
)
from refine.ui.web.view import view_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from refine.analysis.analysis import Analysis
    from refine.store.marks import Mark
    from refine.tree.round import Round

Answer = dict[str, Any]

_MOST = 3  # rounds whose trials are at hand


class Desk:
    """The trials of the rounds that a page looks at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: list[tuple[tuple[str, str], Sheet]] = []  # the one asked for last at the end
        self._noted: tuple[Sheet, int, Sheet] | None = None  # with what was noted about its trials since
        self._listed: tuple[Sheet, Query, npt.NDArray[np.int64]] | None = None

    def sheet(self, found: Round, version: str) -> Sheet:
        """The trials of a round with what is noted about them.

        Args:
            found: The round.
            version: What its evidence is made of: with another one they are read again.
        """
        with self._lock:
            key = found.id, version
            sheet = next((s for k, s in self._read if k == key), None) or read_sheet(found)
            self._read = [*((k, s) for k, s in self._read if k[0] != found.id), (key, sheet)][-_MOST:]
            reader, pk = found.context.reader, found._stored.pk
            last = reader.last_marks(found.context.tree).get(pk)
            if last is None:
                return sheet
            if self._noted is None or self._noted[:2] != (sheet, last):
                self._noted = sheet, last, replace(sheet, marks=noted(sheet, reader.marks(pk)))
            return self._noted[2]

    def numbers(self, sheet: Sheet, analysis: Analysis) -> bytes:
        """The numbers of the trials that are drawn, as uint32 in their order.

        Raises:
            ReviewError: Others than those have come.
        """
        found = rows_of(sheet, analysis)
        if found is None:
            raise ReviewError("the trials have changed since this page was drawn; look again")
        return found.tobytes()

    def part(self, sheet: Sheet, message: Mapping[str, Any]) -> Answer:
        """Some rows of the list: see :func:`refine.ui.web.trials.part_content`."""
        query, offset = query_of(sheet, message), message.get("offset", 0)
        if offset < 0:
            raise ReviewError(f"offset must be a whole number >= 0, got {offset!r}")
        known = self._listed
        if known is None or known[0] is not sheet or known[1] != query:
            known = self._listed = sheet, query, found_rows(sheet, query)
        return part_content(sheet, known[2], offset)


def read_sheet(found: Round) -> Sheet:
    """Reads the trials of a round."""
    records = found.context.reader.records([found._stored.pk], curves=found._metric.curves)
    frame = table(found.space, records, found._metric)
    columns = {name: records.columns[name] for name in ("key", "attempt", "error")}
    return Sheet(frame, columns, found.space, found.goal)


def noted(sheet: Sheet, marks: Sequence[Mark]) -> dict[int, Noted]:
    """Number -> what holds now of what was noted about that trial.

    Args:
        sheet: The trials.
        marks: What was noted about them, oldest first.
    """
    rows = marks_frame(marks, Records(Rows(), Rows(), (), dict(sheet.columns)))
    texts = rows["excluded"].astype(object).where(rows["excluded"].notna(), None)
    return {
        int(i): Noted(bool(starred), str(note), excluded, str(author))
        for i, starred, note, excluded, author in zip(
            rows.index, rows["starred"], rows["note"], texts, rows["author"], strict=True
        )
    }


def listed(sheet: Sheet) -> Answer:
    """The head of the list: see :func:`refine.ui.web.trials.list_content`."""
    return list_content(sheet)


def trial(found: Round, sheet: Sheet, number: int) -> Answer:
    """One trial in full, with its learning curve.

    Raises:
        ReviewError: There is no such trial.
    """
    check_number(found, sheet, number)
    key = sheet.columns["key"][number]
    return trial_content(sheet, number, found.context.reader.curves(found._stored.pk, [key]).get(key))


def check_number(found: Round, sheet: Sheet, number: int) -> None:
    """Raises ReviewError unless a round has a trial of that number."""
    n = len(sheet.frame)
    if not 0 <= number < n:
        raise ReviewError(f"round {found.id} has no trial {number!r}; it has {n:,}, numbered from 0")


def mark(found: Round, sheet: Sheet, message: Mapping[str, Any]) -> None:
    """Notes one thing about a trial: a star, a note, or that no analysis may use it.

    Args:
        found: The round.
        sheet: Its trials.
        message: ``number`` and ``key`` of the trial, and ``do``: ``"star"``, ``"unstar"``, ``"note"``, ``"exclude"`` or
            ``"include"``, the last three with a ``text``.

    Raises:
        ReviewError: There is no such trial, the number is another one's by now, or a reason is missing.
    """
    number, do, text = message["number"], message["do"], message.get("text", "")
    check_number(found, sheet, number)
    if message["key"] != sheet.columns["key"][number]:
        raise ReviewError(f"trial {number} of round {found.id} is another one by now; look again")
    if do in ("star", "unstar"):
        found.star([number], do == "star")
    elif do == "note":
        found.annotate([number], text)
    elif do == "exclude":
        found.exclude([number], text)
    else:
        found.include([number], text)


def said(message: Mapping[str, Any]) -> str:
    """What a mark did, in words."""
    return {
        "exclude": f"Trial {message['number']:,} is excluded: no analysis uses it from now on.",
        "include": f"Trial {message['number']:,} counts again.",
    }.get(str(message["do"]), "Noted.")


def history(sheet: Sheet) -> Answer:
    """The axes of the history: see :func:`refine.ui.web.trials.history_content`."""
    return history_content(sheet, view_of(sheet.scores[sheet.usable], sheet.metric, sheet.goal.direction))


def past(sheet: Sheet) -> bytes:
    """The history itself: see :func:`refine.ui.web.trials.history_bytes`."""
    return history_bytes(sheet)
