"""The exceptions of refine.

Every error states the rule, the value that broke it and what to do instead::

    RefineError
    ├── SpaceError          a space, parameter, constraint or configuration
    ├── DesignError         the number of cells, or the design
    ├── ObjectiveError      an objective that cannot be called, or returns nonsense
    │   └── RoundStoppedError  its first trials failed alike, the first returned None, or no worker is left
    ├── AnalysisError       evidence that cannot be analysed
    ├── ReviewError         an edit or a decision that cannot be made
    ├── UnknownNameError    an unknown name, for example space["drpout"]; also a KeyError
    └── StoreError          a store that cannot be opened, read or written
        ├── NotFoundError   no such tree, round or tag
        └── RoundBusyError  another process is running this round

All of them can be caught as ``RefineError``; each is a ``ValueError`` or a ``RuntimeError`` as well,
so code that knows nothing of refine treats them sensibly.

Examples:
    >>> try:
    ...     refine.Float(0.5, 0.2)
    ... except refine.SpaceError as error:
    ...     print(error)
    low must be < high, got (0.5, 0.2); swap them?
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

# All but the tab and the line break that a terminal obeys, what turns the direction of writing or breaks
# lines unseen, and halves of letters, which no terminal or file takes.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Messages quote arguments of any length: a run of more letters without a space loses its middle, and so does
# a longer line. Rule and fix stand at the two ends of a line.
_LONGEST_RUN = 500
_RUN = re.compile(rf"\S{{{_LONGEST_RUN + 1},}}")
_LONGEST_LINE = 3000
_ENDS = 60, 1000  # letters kept at both ends of a run, and of a line


def clipped(text: str) -> str:
    """A message without the middle of very long arguments, for example of a path of 20,000 letters."""

    def without_middle(part: str, end: int) -> str:
        return f"{part[:end]}...{part[-end:]}"

    lines = [_RUN.sub(lambda run: without_middle(run[0], _ENDS[0]), line) for line in text.split("\n")]
    return "\n".join(without_middle(line, _ENDS[1]) if len(line) > _LONGEST_LINE else line for line in lines)


def shown(text: str) -> str:
    """A text with its control characters escaped: names, notes and values may come from other people.

    A terminal obeys escape sequences, and characters for the direction of writing change the look of a text.
    """
    return _OBEYED.sub(
        lambda letter: f"\\x{ord(letter[0]):02x}" if letter[0] < "\u0100" else f"\\u{ord(letter[0]):04x}",
        text,
    )


def unseen(data: str) -> str:
    """JSON with control characters escaped, with an equal meaning."""
    return _OBEYED.sub(lambda letter: f"\\u{ord(letter[0]):04x}", data)


class Hinted(Exception):  # warnings derive from it as well
    """A message with next steps as data; each front end spells them in its own way.

    Args:
        text: The message.
        actions: Next steps, each an :class:`refine.utils.action.Action`; printed after the text and a colon.
    """

    def __init__(self, text: object = "", *actions: object) -> None:
        super().__init__(text, *actions)

    @property
    def actions(self) -> tuple[object, ...]:
        """The next steps."""
        return self.args[1:]

    def spelled(self, spell: Callable[[Any], str] = str) -> str:
        """The message, with next steps spelled by a function; by default as calls in Python."""
        actions = " or ".join(filter(None, map(spell, self.actions)))
        return shown(": ".join(filter(None, (clipped(str(self.args[0])), actions))))

    def __str__(self) -> str:
        return self.spelled()


class RefineError(Hinted):
    """Base of all errors that refine raises on purpose."""


class SpaceError(RefineError, ValueError):
    """A parameter, space, constraint or configuration breaks a rule of its notation."""


class DesignError(RefineError, ValueError):
    """A design cannot give the requested cells, or an option is out of range."""


class ObjectiveError(RefineError, RuntimeError):
    """An objective cannot be called, or returned an invalid outcome."""


class RefineWarning(Hinted, RuntimeWarning, UserWarning):
    """A warning of this package; the call continues."""


class RoundStoppedError(ObjectiveError):
    """A round stopped early: its first trials failed alike or returned None, or its workers broke."""


class AnalysisError(RefineError, ValueError):
    """Evidence is missing or malformed, or an option of the analysis is invalid."""


class ReviewError(RefineError, ValueError):
    """An edit names an unknown parameter, or a decision cannot be taken."""


class UnknownNameError(RefineError, ValueError, KeyError):
    """A name that does not exist."""


class StoreError(RefineError, RuntimeError):
    """A store cannot be opened, read or written."""


class NotFoundError(StoreError, LookupError):
    """The store has no tree, round or tag of that name."""


class RoundBusyError(StoreError):
    """Another living process holds the lease on this round."""


def unstorable(text: str) -> str:
    """The reason why a text cannot be stored, as the tail of an error; empty if it can."""
    bad = next((letter for letter in text if letter == "\0" or "\ud800" <= letter <= "\udfff"), "")
    if bad:
        return f"holds {bad!r}, which can't be stored; leave that letter out"
    return ""


def first_line(error: object) -> str:
    """The first line of an error's message; the name of its class without a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The tail of an error about an unknown name.

    Args:
        name: The unknown name.
        names: The known names.

    Returns:
        ``"did you mean 'dropout'?"`` if a known name is close, otherwise the list of known names.
    """
    texts = list(map(str, names))
    if close := closest(name, texts):
        return f"did you mean {close!r}?"
    return f"known: {', '.join(texts) or 'none'}"


def closest(name: str, names: Iterable[str]) -> str:
    """The known name that looks most like a name; empty if none is close."""
    typed = str(name).lower()
    by_lower = {text.lower(): text for text in reversed(list(map(str, names)))}
    close = difflib.get_close_matches(typed, by_lower, n=1, cutoff=0.6)
    close = close or [key for key in by_lower if len(typed) > 2 and key.startswith(typed)]
    if close:
        return by_lower[close[0]]
    return ""
