"""The exceptions of refine.

Every error states the rule, the value that broke it and what to do instead::

    RefineError
    ├── SpaceError          a space, parameter, constraint or configuration
    ├── DesignError         the number of cells, or the design
    ├── ObjectiveError      an objective that cannot be called, or returns nonsense
    │   └── RoundStoppedError  a round stopped early: its first trials all failed alike, or no worker is left
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


def shown(text: str) -> str:
    """A text whose control characters are seen and do nothing: names, notes and values come from others.

    A terminal obeys escapes, and letters that turn the direction of writing make a text look like another
    one.
    """
    return _OBEYED.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if found[0] < "\u0100" else f"\\u{ord(found[0]):04x}", text
    )


def unseen(data: str) -> str:
    """JSON with such characters escaped as JSON does; where they stand in texts, it means the same."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", data)


class Hinted(Exception):  # warnings derive from it as well
    """A message that may name what to do next, as data: whoever shows it spells that their way.

    Args:
        text: The message.
        actions: What to do, each an :class:`refine.utils.action.Action`; said behind the text and a colon.
    """

    def __init__(self, text: object = "", *actions: object) -> None:
        super().__init__(text, *actions)

    @property
    def actions(self) -> tuple[object, ...]:
        """What to do next."""
        return self.args[1:]

    def spelled(self, spell: Callable[[Any], str] = str) -> str:
        """The message, with its actions spelled by a function; by default as Python's calls."""
        actions = " or ".join(filter(None, map(spell, self.actions)))
        return shown(": ".join(filter(None, (str(self.args[0]), actions))))

    def __str__(self) -> str:
        return self.spelled()


class RefineError(Hinted):
    """Base of everything refine raises on purpose."""


class SpaceError(RefineError, ValueError):
    """A parameter, space, constraint or configuration breaks a rule of its notation."""


class DesignError(RefineError, ValueError):
    """A design was asked for cells that it can't give."""


class ObjectiveError(RefineError, RuntimeError):
    """An objective can't be called, or returned something that is no outcome."""


class RefineWarning(Hinted, RuntimeWarning, UserWarning):
    """Something of this package that a person should know of, and that stops nothing."""


class RoundStoppedError(ObjectiveError):
    """A round stopped early: its first trials all failed in the same way, or its executor or workers broke."""


class AnalysisError(RefineError, ValueError):
    """Evidence is missing or malformed, or an option of the analysis is."""


class ReviewError(RefineError, ValueError):
    """An edit names something unknown, or a decision can't be taken."""


class UnknownNameError(RefineError, ValueError, KeyError):
    """A name that is looked up in something that has none of that name."""


class StoreError(RefineError, RuntimeError):
    """A store can't be opened, read or written."""


class NotFoundError(StoreError, LookupError):
    """No tree, round or tag of that name is in the store."""


class RoundBusyError(StoreError):
    """Another living process holds the lease on this round."""


def unstorable(text: str) -> str:
    """What no store takes of a text, as the tail of an error; empty where it takes all."""
    bad = next((letter for letter in text if letter == "\0" or "\ud800" <= letter <= "\udfff"), "")
    return f"holds {bad!r}, which can't be stored; leave that letter out" if bad else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of an error about an unknown name.

    Args:
        name: What was given.
        known: What would have been right.

    Returns:
        ``"did you mean 'dropout'?"`` where something known is close, else the list of what is known.
    """
    names = [str(k) for k in known]
    close = closest(name, names)
    return f"did you mean {close!r}?" if close else f"known: {', '.join(names) if names else 'none'}"


def closest(name: str, known: Iterable[str]) -> str:
    """What is known and looks most like a name that was given; empty where nothing does."""
    given, plain = str(name).lower(), {k.lower(): k for k in reversed([str(k) for k in known])}
    close = difflib.get_close_matches(given, plain, n=1, cutoff=0.6)
    close = close or [k for k in plain if len(given) > 2 and k.startswith(given)]
    return plain[close[0]] if close else ""
