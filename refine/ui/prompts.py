"""Questions and answers: with a default each, asked again where an answer breaks a rule. The edge that talks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from refine.errors import RefineError, did_you_mean
from refine.utils.display import Page, Text, line, to_html, to_rich

if TYPE_CHECKING:
    from refine.tree.round import Round

T = TypeVar("T")

_PATIENCE = 5
"""So often Enter may be the answer where it means nothing."""


class Stopped(Exception):  # it says what happened, and is no error
    """The person wants to stop."""


class Back(Exception):  # the same
    """The person wants the question before this one again."""


def in_notebook() -> bool:
    """Whether output goes to a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


class Dialogue:
    """Asks, and shows.

    Args:
        ask: Gets a question and returns the answer; default ``input``.
        tell: Shows a page; default in the terminal's colours, or as HTML in a notebook.
    """

    def __init__(
        self, ask: Callable[[str], str] | None = None, tell: Callable[[Page], None] | None = None
    ) -> None:
        self._ask, self._tell = ask or input, tell or _show
        self.answered = 0
        """How many questions were answered so far."""

    def show(self, page: Page) -> None:
        """Shows a page, without what one could call next: the next question says that."""
        self._tell(replace(page, calls=()))

    def say(self, text: str, tone: str = "") -> None:
        """Shows a sentence."""
        self._tell(Page("", (Text(text, tone),)))

    def heading(self, name: str, text: str) -> None:
        """Shows a sentence about something, after an empty line."""
        self._tell(Page("", (Text(f"\n{line(name)}: {line(text)}", lines=True),)))

    def draw(self, found: Round, name: str) -> None:
        """Shows the density of a parameter, where pictures can be shown."""
        if in_notebook():
            from IPython.display import display

            display(found.plot.density(name))

    def text(self, question: str, default: str = "", names: Sequence[str] = ()) -> str:
        """A text; Enter gives the default.

        Args:
            question: The question.
            default: What Enter answers.
            names: Answers that mean themselves, even ``q`` and ``b``.

        Raises:
            Stopped: ``q`` was answered, or there is nobody to answer.
            Back: ``b`` was answered.
        """
        try:
            answer = self._ask(f"{question}{f' [{default}]' if default else ''}: ").strip()
        except (EOFError, KeyboardInterrupt):
            raise Stopped from None
        if answer.lower() == "q" and answer not in names:
            raise Stopped
        if answer.lower() in ("b", "back") and answer not in names:
            raise Back
        self.answered += 1
        return answer or default

    def until(self, question: str, default: str, meant: Callable[[str], T], names: Sequence[str] = ()) -> T:
        """An answer that means something, asked for until it does.

        Args:
            question: The question.
            default: What Enter answers.
            meant: What an answer means; raises a :class:`RefineError` or ``ValueError`` that says why it means nothing.
            names: Answers that mean themselves, even ``q`` and ``b``.

        Raises:
            Stopped: Enter was the answer some times where it means nothing: nobody is there who reads the question.
        """
        empty = 0
        while True:
            answer = self.text(question, default, names)
            try:
                return meant(answer)
            except (RefineError, ValueError) as error:
                self.say(str(error), "bad")
            empty = 0 if answer else empty + 1
            if empty == _PATIENCE:
                raise Stopped

    def yes(self, question: str, default: str = "y") -> bool:
        """Yes or no; where the default is empty, Enter says nothing and it is asked again."""

        def meant(answer: str) -> bool:
            if answer.lower() in ("y", "yes"):
                return True
            if answer.lower() in ("n", "no"):
                return False
            raise ValueError(f"answer y or n, got {answer!r}")

        return self.until(f"{question} y or n", default, meant)

    def letter(self, question: str, choices: Mapping[str, str], default: str) -> str:
        """One of a few letters; where the default is empty, one of them has to be typed."""
        told = ", ".join(f"{letter} = {what}" for letter, what in choices.items())

        def meant(answer: str) -> str:
            for letter, what in choices.items():
                if answer.lower() in (letter, what):
                    if letter == "q":
                        raise Stopped
                    return letter
            raise ValueError(f"answer one of {told}; got {answer!r}")

        return self.until(f"{question}; {told}", default, meant)

    def one_of(self, question: str, names: Sequence[str]) -> str:
        """One of some names, or nothing."""

        def meant(answer: str) -> str:
            if answer and answer not in names:
                raise ValueError(f"no parameter {answer!r}; {did_you_mean(answer, names)}")
            return answer

        return self.until(question, "", meant, names)

    def whole(self, question: str, default: int) -> int:
        """A whole number >= 1."""

        def meant(answer: str) -> int:
            if not answer.isdecimal() or int(answer) < 1:
                raise ValueError(f"a whole number >= 1 is needed, got {answer!r}")
            return int(answer)

        return self.until(question, str(default), meant)

    def share(self, question: str, default: float, low: float = 0.0) -> float:
        """A number >= ``low`` and < 1."""

        def meant(answer: str) -> float:
            try:
                found = float(answer)
            except ValueError:
                found = -1.0
            if not low <= found < 1:
                raise ValueError(f"a number >= {low} and < 1 is needed, got {answer!r}")
            return found

        return self.until(question, f"{default:g}", meant)


def _show(page: Page) -> None:
    if in_notebook():
        from IPython.display import HTML, display

        display(HTML(to_html(page)))
        return
    from rich.console import Console

    console: Any = Console(highlight=False, markup=False, emoji=False)
    console.print(to_rich(page))
    console.print()
