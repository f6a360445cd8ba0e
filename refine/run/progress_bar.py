"""The progress bar: on a terminal or in a notebook one line that changes, elsewhere lines of a log."""

from __future__ import annotations

import contextlib
import math
import sys
from collections import Counter
from typing import Any

from refine.trials.trial import State
from refine.utils.display import line

_LOG_SECONDS = 60  # least time between lines of progress outside of a terminal
_LOG_LINES = 10  # most of these lines, besides the first one


class _LogProgress:
    """A stream for the progress bar outside of a terminal: one line of a log whenever the bar changes."""

    def __init__(self) -> None:
        self.last = ""

    def write(self, text: str) -> None:
        text = text.strip()
        if text and text != self.last and sys.stderr is not None:
            sys.stderr.write(f"{text}\n")
            self.last = text

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()


class ProgressBar:
    """A progress bar, which several calls that run trials may share. A terminal that is gone ends no round.

    Args:
        title: First words of the bar.
        total: Trials at the end.
        ended: Trials that ended before.
        show: Whether to show anything. Nothing is shown without a standard error.
    """

    def __init__(self, title: str, total: int, ended: int = 0, *, show: bool) -> None:
        self.title = title
        self.total = total
        self.ended = ended
        self.show = show and sys.stderr is not None
        # Trials of all calls that share the bar.
        self.failures = Counter[State]()
        self.pruned = 0
        self.infeasible = 0
        self._bar: Any = None  # ``None`` before the start

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Shows the bar, unless the bar is shown already."""
        if self._bar is not None:
            return
        from tqdm.auto import tqdm

        in_notebook = "ipykernel" in sys.modules
        in_log = not in_notebook and (sys.stderr is None or not sys.stderr.isatty())
        self._bar = tqdm(
            total=self.total,
            initial=self.ended,
            desc=self.title,
            unit="trial",
            disable=not self.show,
            mininterval=_LOG_SECONDS if in_log else 0.2,
            maxinterval=math.inf if in_log else 10,  # no line of a watching thread
            miniters=max(1, self.total // _LOG_LINES) if in_log else None,
            dynamic_ncols=not in_log,
            file=_LogProgress() if in_log else None,
        )

    def close(self) -> None:
        """Ends the bar, as it stands."""
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.close()

    def finish(self) -> None:
        """Marks the work as complete, after fewer trials than the total."""
        if self._bar is not None:
            self._bar.total = self._bar.n  # shown by ``close``

    def say(self, text: str) -> None:
        """Shows a line above the bar."""
        if self.show:
            with contextlib.suppress(OSError):
                self._bar.write(line(text), file=sys.stderr)

    def advance(self, summary: str) -> None:
        """Counts one trial more, and shows ``summary`` at the end of the bar."""
        with contextlib.suppress(OSError):
            self._bar.set_postfix_str(summary, refresh=False)
            self._bar.update()
