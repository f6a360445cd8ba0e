"""The trials of rounds at hand: read once, and again only where others have come. Answers what the page asks about trials.

Nothing here waits for an analysis: a trial is shown while the proposal of a large round is still being made.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refine.errors import ReviewError
from refine.trials.frame import table
from refine.ui.web.trials import (
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
    from refine.tree.round import Round

Answer = dict[str, Any]

_MOST = 3  # rounds whose trials are at hand


class Desk:
    """The trials of the rounds that a page looks at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sheets: list[tuple[tuple[str, str], Sheet]] = []  # the one asked for last at the end
        self._listed: tuple[Sheet, Query, npt.NDArray[np.int64]] | None = None

    def sheet(self, found: Round, version: str) -> Sheet:
        """The trials of a round.

        Args:
            found: The round.
            version: What its evidence is made of: with another one they are read again.
        """
        with self._lock:
            key = found.id, version
            sheet = next((s for k, s in self._sheets if k == key), None) or read_sheet(found)
            self._sheets = [*((k, s) for k, s in self._sheets if k[0] != found.id), (key, sheet)][-_MOST:]
            return sheet

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
        if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
            raise ReviewError(f"offset must be a whole number >= 0, got {offset!r}")
        known = self._listed
        if known is None or known[0] is not sheet or known[1] != query:
            known = self._listed = sheet, query, found_rows(sheet, query)
        return part_content(sheet, known[2], offset)


def read_sheet(found: Round) -> Sheet:
    """Reads the trials of a round."""
    records = found.context.reader.records([found._stored.pk], curves=found._metric.curves)
    frame = table(found.space, records, found._metric)
    return Sheet(frame, records.columns["key"], records.columns["error"], found.space, found.goal)


def listed(sheet: Sheet) -> Answer:
    """The head of the list: see :func:`refine.ui.web.trials.list_content`."""
    return list_content(sheet)


def trial(found: Round, sheet: Sheet, number: Any) -> Answer:
    """One trial in full, with its learning curve.

    Raises:
        ReviewError: There is no such trial.
    """
    n = len(sheet.frame)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < n:
        raise ReviewError(f"round {found.id} has no trial {number!r}; it has {n:,}, numbered from 0")
    key = sheet.keys[number]
    return trial_content(sheet, number, found.context.reader.curves(found._stored.pk, [key]).get(key))


def history(sheet: Sheet) -> Answer:
    """The axes of the history: see :func:`refine.ui.web.trials.history_content`."""
    return history_content(sheet, view_of(sheet.scores[sheet.usable], sheet.metric, sheet.goal.direction))


def past(sheet: Sheet) -> bytes:
    """The history itself: see :func:`refine.ui.web.trials.history_bytes`."""
    return history_bytes(sheet)
