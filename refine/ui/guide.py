"""A walk through a round by questions, in a terminal or a notebook; its script repeats the calls."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from refine.errors import AnalysisError, RefineError, ReviewError
from refine.proposal.suggested import region_text
from refine.report.markdown.script import objective_line
from refine.review.checks import FAIL
from refine.review.next_step import accept_action
from refine.review.review import Review
from refine.run.identity import UNNAMED, objective_data, objective_name
from refine.run.protocols import Objective
from refine.space.edits import bounds_text
from refine.space.literals import python_symbols, typed_pairs, typed_value
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.utils.action import Action, Symbol
from refine.utils.display import Page, Shown, Text, to_html, to_rich
from refine.utils.format import chance_words, join

T = TypeVar("T")

# Probability of keeping the best value; below it, Enter alone does not decide.
_SAFE = 0.8

# Invalid answers after which the walk stops.
_TRIES = 20


@dataclass(frozen=True, eq=False, repr=False)
class Guided(Shown):
    """The outcome of a guided walk: last round and script.

    Attributes:
        round: The last round: the child, or the reviewed round if no child was created.
        script: Python that makes the same calls.
    """

    round: Round
    script: str

    def page(self) -> Page:
        """The script."""
        return Page("The same as Python", (Text(self.script, lines=True),))


def guide(
    tree: Tree,
    round: Round | str | None = None,  # noqa: A002  # what it is called everywhere
    *,
    objective: Objective | None = None,
    ask: Callable[[str], str] | None = None,
    tell: Callable[[Page], None] | None = None,
) -> Guided:
    """Walks a person through a round: run, analyze, question the proposal, decide, run the child.

    Enter takes the answer in square brackets. A decision that cuts off the best trial or exceeds the accepted
    risk has no such answer. ``q`` stops. The walk stores the same data as the calls in Python.

    Args:
        tree: The tree.
        round: The round to begin with, or one of its names; default asks.
        objective: The objective of the rounds, if this process does not know it.
        ask: Gets a question and returns the answer; default ``input``.
        tell: Shows a page; default in the terminal's colours, or as HTML in a notebook.

    Returns:
        The last round and the script.

    Raises:
        ReviewError: The tree is not a tree, or has no round yet.
        NotFoundError: The tree has no such round.

    Examples:
        >>> walked = refine.guide(tree, root, ask=lambda question: "q", tell=lambda page: None)
        >>> walked.round.id == root.id
        True
    """
    if not isinstance(tree, Tree):
        raise ReviewError(f"guide needs a tree, got {type(tree).__name__}; write refine.guide(tree, round)")
    if not len(tree):
        raise ReviewError(
            f"guide needs a tree with a round, tree {tree.name!r} has none; begin with",
            Action("tree.add_round", Symbol("space"), Symbol("objective"), n=100),
        )
    first = None
    if round is not None:
        first = tree.round(round)
    walk = _Walk(tree, ask or input, tell or _show, objective)
    try:
        walk.through(first)
    except _Stopped:
        walk.say("Stopped: decisions so far are stored, nothing else was written.", "warn")
    walked = Guided(walk.at, "\n".join(walk.script) + "\n")
    walk.show(walked.page())
    return walked


class _Stopped(Exception):
    """The person wants to stop."""


def _whole(answer: str) -> int:
    if not answer.isdecimal() or int(answer) < 1:
        raise ValueError(f"a whole number >= 1 is needed, got {answer!r}")
    return int(answer)


def _show(page: Page) -> None:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if type(shell).__name__ == "ZMQInteractiveShell":  # a notebook's
        from IPython.display import HTML, display

        display(HTML(to_html(page)))
        return
    from rich.console import Console

    console: Any = Console(highlight=False, markup=False, emoji=False)
    console.print(to_rich(page))
    console.print()


@dataclass
class _Walk:
    """The state of a walk: tree, present round and script."""

    tree: Tree
    ask: Callable[[str], str]
    display: Callable[[Page], None]
    objective: Objective | None

    def __post_init__(self) -> None:
        self.script = [
            "import refine",
            "",
            f"tree = refine.Tree({self.tree.name!r}, store={self.tree.store!r})",
        ]
        self.at = self.tree.rounds[-1]

    def show(self, page: Page) -> None:
        """Shows a page without its next calls: the next question replaces them."""
        self.display(replace(page, calls=()))

    def say(self, text: str, tone: str = "") -> None:
        self.display(Page("", (Text(text, tone, lines=True),)))

    def answer(self, question: str, parse: Callable[[str], T], default: str = "") -> T:
        """Asks until an answer is valid and returns it parsed; Enter takes the default, ``q`` stops."""
        for _ in range(_TRIES):
            try:
                text = self.ask(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
            except (EOFError, KeyboardInterrupt):
                break
            if text.lower() == "q":
                break
            try:
                return parse(text)
            except (RefineError, ValueError) as error:
                self.say(str(error), "bad")
        raise _Stopped

    def letter(self, question: str, words: str, default: str) -> str:
        """The first letter of the answered word; with an empty default, the person must type a word."""
        letters = {word[0]: word for word in words.split()}
        listed = ", ".join(f"{letter} = {word}" for letter, word in letters.items())

        def parse(answer: str) -> str:
            if answer.lower() not in (*letters, *letters.values()):
                raise ValueError(f"answer one of {listed}; got {answer!r}")
            return answer[0].lower()

        return self.answer(f"{question}; {listed}", parse, default)

    def through(self, first: Round | None) -> None:
        """Takes the steps in order."""
        self.say("Enter takes the answer in brackets, q stops.", "faint")
        if first is None:
            self.show(self.tree.page())
            question = "Which round? last, root, its path such as 1.2, a tag, or its id"
            first = self.answer(question, lambda text: self.tree[text], self.at.id)
        self.at = first
        self.script.append(f'round = tree["{first.id}"]')
        self.run("round")
        if self.look() and self.decide(self.changed(self.propose())):
            self.run("child")

    def run(self, called: str) -> None:
        """Offers to run the remaining trials of the round, whose name in the script is ``called``."""
        self.show(self.at.page())
        remaining = self.at.n - len(self.at.trials)
        question = f"Run the remaining {remaining:,} configurations now?"
        if remaining <= 0 or self.letter(question, "yes no", "y") == "n":
            return
        objective = self.at.objective or self.objective
        if objective is None:
            self.say(
                "The objective is not known here. Give it: refine.guide(tree, objective=...) in Python, "
                "refine guide STORE --objective module:name in a shell.",
                "warn",
            )
            return
        workers = self.answer("Number of trials that run at a time?", _whole, "1")
        name = objective_name(objective)
        recorded = self.at.node.objective
        named: dict[str, Any] = {}
        if recorded != name and not recorded.startswith(UNNAMED):
            named["objective_name"] = recorded
        source = objective_line(name, objective, objective_data(objective) is not None)
        if source not in self.script:
            self.script.insert(1, source)
        call = Action(f"{called}.run", workers=workers, objective=Symbol("objective"), **named)
        self.script.append(str(call))
        self.at.run(workers, objective=objective, **named)
        self.show(self.at.page())

    def look(self) -> bool:
        """Shows the analysis; on request reasons, and answers to questions. Returns whether to propose."""
        try:
            analysis = self.at.analyze()
        except AnalysisError as error:
            self.say(f"Nothing can be proposed yet: {error}", "warn")
            return False
        page = analysis.page()
        self.show(page)
        first = analysis.ranked[0]
        lower_half = np.arange(first.parameter.size) < (first.parameter.size + 1) // 2
        example = region_text(first.name, first.parameter, lower_half)

        def parse(text: str) -> Page | None:
            if not text:
                return None
            if any(sign in text for sign in "<>=") or " in " in text:
                answer = self.tree.ask(text)
                self.script.append(f"print({Action('tree.ask', text)})")
                return answer.page()
            return page.why(text)

        question = f"See the evidence on which parameter? Or a question, such as {example}; Enter continues"
        while shown := self.answer(question, parse):
            self.show(shown)
        return True

    def propose(self) -> Review:
        """Makes and shows a proposal."""
        question = "Accepted risk of cutting off the best value?"
        review = self.answer(question, lambda text: self.at.propose(risk=float(text)), "0.05")
        self.script.append(f"review = round.propose(risk={review.proposal.risk!r})")
        self.show(review.page())
        self.show(review.checks().page())
        return review

    def changed(self, review: Review) -> Review:
        """Asks about every proposed change."""
        page = review.page()
        forms = "a = accept, r = reject, else (low, high), (low, high, levels), [choices] or a value"
        for c in review.proposal.changes:
            if c.kind != "keep":
                self.show(page.why(c.name))
                becomes = f"{c.name}: {bounds_text(c.old)} becomes {bounds_text(c.new)} ({c.kind})"
                review = self.edited(review, f"{becomes}; {forms}", c.name, "a")
        return review

    def edited(self, review: Review, question: str, name: str = "", default: str = "") -> Review:
        """Sets a parameter: ``name``, or the parameter in the answer; the default keeps the review."""

        def parse(text: str) -> tuple[Review, Action | None]:
            if text == default or (name and text == "accept"):
                return review, None
            if name and text in ("r", "reject"):
                return review.reject(name), Action("review.reject", name)
            if name:
                edits = {name: typed_value(text)}
            else:
                edits = typed_pairs([text], "edit")
            edited = review.edit(edits)
            title = join([f"{n}: {bounds_text(edited.space[n])}" for n in edits])
            self.show(replace(edited.preview().page(), title=title))
            return edited, Action("review.edit", python_symbols(edits))

        edited, call = self.answer(question, parse, default)
        if call is not None:
            self.script.append(f"review = {call}")
        return edited

    def decide(self, review: Review) -> bool:
        """Previews the decision, takes edits, accepts or declines; returns whether a child was created."""
        first_call = next(iter(review.page().calls), None)
        if first_call is not None:
            self.say(f"Recommended next: {first_call}")
        if not review.advised_round.n:
            self.say(f"No trial is left for another round: {review.budget}.", "warn")
            return False
        size = self.answer("How many configurations in the next round?", _whole, str(review.advised_round.n))
        preview = review.preview(n=size)
        chance = review.claim.probability
        self.show(preview.page())
        dangers = {
            "the best trial is cut off": preview.throws,
            "the risk is unknown": math.isnan(chance),
            f"the risk is {chance_words(1 - chance)}": chance < _SAFE,
            "a check fails": any(check.verdict == FAIL for check in review.checks().checks),
        }
        if danger := join([text for text, applies in dangers.items() if applies]):
            self.say(f"Enter decides nothing here, since {danger}.", "warn")
        answer = self.letter("And now", "accept decline edit quit", "" if danger else "a")
        if answer == "e":
            edit = f"Another edit, for example {next(iter(review.space))}=(0, 1), or Enter for none"
            return self.decide(self.edited(review, edit))
        note = self.answer("Reason for the decision (optional)", str)
        if answer == "d":
            review.decline(note)
            self.script.append(f"review.decline(note={note!r})")
            return False
        planned = review._next_round(preview.n)
        accept = Action("review.accept", note=note, **accept_action(planned).options)
        self.at = review.accept(**accept.options)
        self.script.append(f"child = {accept}")
        return True
