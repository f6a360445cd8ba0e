"""A round, question by question, in a terminal or a notebook. It asks, and calls what anybody would call."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from refine.errors import AnalysisError, RefineError, ReviewError, did_you_mean
from refine.proposal.change import Change
from refine.report.markdown.script import objective_line
from refine.report.pages.proposal import why
from refine.review.checks import FAIL
from refine.review.review import Review
from refine.run.identity import UNNAMED, objective_data, objective_name
from refine.run.protocols import Objective
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text
from refine.space.literals import python_symbols, typed_value
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.utils.action import Action, Symbol
from refine.utils.display import Page, Shown, Text, line, to_html, to_rich
from refine.utils.files import write_whole
from refine.utils.format import join, probability

T = TypeVar("T")

_STEPS = 7
_SAFE = 0.8
"""Probability of keeping the best below which a decision takes more than Enter."""

_PATIENCE = 5
"""So often Enter may be the answer where it means nothing."""


@dataclass(frozen=True, eq=False, repr=False)
class Guided(Shown):
    """What a guided walk left behind.

    Attributes:
        round: The round that it ended at: the child, or the one decided upon where there is none.
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
    name: str | None = None,
    script: str | Path | None = None,
    ask: Callable[[str], str] | None = None,
    tell: Callable[[Page], None] | None = None,
) -> Guided:
    """Walks a person through a round: run, look, question the proposal, decide, run what comes of it.

    Answers have a default in square brackets, taken by Enter, unless they would throw away the best trial or risk more than was
    accepted: those are typed. ``b`` goes a step back, until something was run or decided. ``q`` stops; what was
    decided by then stays, and nothing else. It leaves behind exactly what the same calls would: nodes, decisions, and their script.

    Args:
        tree: The tree.
        round: The round to begin with, or one of its names; default asks.
        objective: What rounds call, where it isn't known in this process.
        name: The name that the rounds were added with, where one was given.
        script: A file that the script goes to; default none, it is in what is returned.
        ask: Gets a question and returns the answer; default ``input``.
        tell: Shows a page; default in the terminal's colours, or as HTML in a notebook.

    Returns:
        The round that it ended at, and the script.

    Raises:
        ReviewError: The tree has no round yet, or is none.
        NotFoundError: It has no such round.

    Examples:
        >>> walked = refine.guide(tree, root, ask=lambda question: "q", tell=lambda page: None)
        >>> walked.round.id == root.id
        True
    """
    if not isinstance(tree, Tree):
        raise ReviewError(
            f"guide walks through a tree, got {type(tree).__name__}; write refine.guide(tree, round)"
        )
    if not len(tree):
        raise ReviewError(
            f"guide: tree {tree.name!r} has no round yet; begin with",
            Action("tree.add_round", Symbol("space"), Symbol("objective"), n=100),
        )
    walk = _Walk(tree, _Dialogue(ask or input, tell or _show), objective, name)
    first = None if round is None else tree.round(round)
    try:
        walk.through(first)
    except _Stopped:
        walk.dialogue.say("Stopped. What was decided stays; nothing else was written.", "warn")
    finally:  # what was called was called, however it ended
        if script is not None:
            write_whole(Path(script), [walk.text])
    walked = Guided(walk.at, walk.text)
    walk.dialogue.show(walked.page())
    return walked


# Questions, asked again where an answer breaks a rule.


class _Stopped(Exception):
    """The person wants to stop."""


class _Back(Exception):
    """The person wants the question before this one again."""


class _Dialogue:
    """Asks, and shows; ``answered`` counts the answers."""

    def __init__(self, ask: Callable[[str], str], tell: Callable[[Page], None]) -> None:
        self._ask, self._tell, self.answered = ask, tell, 0

    def show(self, page: Page) -> None:
        """Shows a page, without what one could call next: the next question says that."""
        self._tell(replace(page, calls=()))

    def say(self, text: str, tone: str = "", *, lines: bool = False) -> None:
        self._tell(Page("", (Text(text, tone, lines=lines),)))

    def text(self, question: str, default: str = "", names: Iterable[str] = ()) -> str:
        """A text; Enter gives the default. ``names`` mean themselves, even ``q`` and ``b``, which stop and go back."""
        try:
            answer = self._ask(f"{question}{f' [{default}]' if default else ''}: ").strip()
        except (EOFError, KeyboardInterrupt):
            raise _Stopped from None
        if answer not in names:
            if answer.lower() == "q":
                raise _Stopped
            if answer.lower() in ("b", "back"):
                raise _Back
        self.answered += 1
        return answer or default

    def until(self, question: str, default: str, meant: Callable[[str], T], names: Iterable[str] = ()) -> T:
        """What an answer means, asked for until it means something; Enter again and again, where it never does, stops."""
        empty = 0
        while empty < _PATIENCE:
            answer = self.text(question, default, names)
            try:
                return meant(answer)
            except (RefineError, ValueError) as error:
                self.say(str(error), "bad")
            empty = 0 if answer else empty + 1
        raise _Stopped

    def yes(self, question: str, default: str = "y") -> bool:
        """Yes or no; where the default is empty, one of them has to be typed."""
        words = {"y": True, "yes": True, "n": False, "no": False}
        return self.until(f"{question} y or n", default, _among(words, "answer y or n,"))

    def letter(self, question: str, choices: Mapping[str, str], default: str) -> str:
        """One of a few letters; where the default is empty, one of them has to be typed."""
        listed = ", ".join(f"{letter} = {what}" for letter, what in choices.items())

        words = {word: letter for letter, what in choices.items() for word in (letter, what)}
        meant = _among(words, f"answer one of {listed};")
        if (letter := self.until(f"{question}; {listed}", default, meant)) == "q":
            raise _Stopped
        return letter

    def one_of(self, question: str, names: list[str]) -> str:
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


def _among(words: Mapping[str, T], rule: str) -> Callable[[str], T]:
    """What an answer means that is one of a few words."""

    def meant(answer: str) -> T:
        if answer.lower() not in words:
            raise ValueError(f"{rule} got {answer!r}")
        return words[answer.lower()]

    return meant


def _risk(answer: str) -> float:
    try:
        risk = float(answer)
    except ValueError:
        risk = -1.0
    if not 0.01 <= risk < 1:
        raise ValueError(f"a number >= 0.01 and < 1 is needed, got {answer!r}")
    return risk


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _show(page: Page) -> None:
    if _in_notebook():
        from IPython.display import HTML, display

        display(HTML(to_html(page)))
        return
    from rich.console import Console

    console: Any = Console(highlight=False, markup=False, emoji=False)
    console.print(to_rich(page))
    console.print()


# The walk.


@dataclass(frozen=True)
class _Step:
    """One thing to answer: its number, from 1, what it is about, and what asks and says whether the walk goes on."""

    number: int
    title: str
    ask: Callable[[], bool]


class _Walk:
    """One walk: where it is, and what it called."""

    def __init__(
        self, tree: Tree, dialogue: _Dialogue, objective: Objective | None, name: str | None
    ) -> None:
        self.tree, self.dialogue, self.objective, self.name = tree, dialogue, objective, name
        self.script = ["import refine", "", f"tree = refine.Tree({tree.name!r}, store={tree.store!r})"]
        self.at = tree.rounds[-1]
        self.given = False  # whether the script has the objective
        self.stays = False  # whether the step did what can't be taken back
        self.steps: list[_Step] = []
        self.review: Review | None = None
        self.risk = 0.05

    @property
    def text(self) -> str:
        """The script."""
        return "\n".join(self.script) + "\n"

    def through(self, first: Round | None) -> None:
        """Asks step by step; ``b`` gives the step before again, with everything as it was then."""
        self.dialogue.say("Enter takes the answer in brackets, b goes a step back, q stops.", "faint")
        self.steps = [
            _Step(1, "the round", lambda: self.choose(first)),
            _Step(2, "run it", lambda: self.run("round", self.at)),
            _Step(3, "what it taught", self.look),
            _Step(4, "the risk", self.propose),
        ]
        past: list[tuple[int, tuple[Any, ...]]] = []
        at = 0
        while at < len(self.steps):
            step, now, answered = self.steps[at], self._state(), self.dialogue.answered
            self.dialogue.say(f"Step {step.number} of {_STEPS}: {step.title}", "faint")
            self.stays = False
            try:
                goes_on = step.ask()
            except _Back:
                if self.dialogue.answered == answered:  # else back to the first question of this step
                    if not past:
                        self.dialogue.say(
                            "There is nothing to go back to: what was run and decided stays.", "warn"
                        )
                    at, now = past.pop() if past else (at, now)
                self._set(now)
                continue
            if self.stays:
                past.clear()
            elif self.dialogue.answered > answered:
                past.append((at, now))
            if not goes_on:
                return
            at += 1

    def _state(self) -> tuple[Any, ...]:
        return self.at, self.review, self.risk, self.given, list(self.script), list(self.steps)

    def _set(self, state: tuple[Any, ...]) -> None:
        self.at, self.review, self.risk, self.given, script, steps = state
        self.script, self.steps = list(script), list(steps)

    def choose(self, first: Round | None) -> bool:
        """Asks for the round, where none was given."""
        if first is None:
            self.dialogue.show(self.tree.page())
            names = [*self.tree.tags, *(["b"] if any(r.id.startswith("b") for r in self.tree.rounds) else [])]
            question = "Which round? last, root, its path such as 1.2, a tag, or its id"
            first = self.dialogue.until(question, self.at.id, lambda text: self.tree[text], names)
        self.at = first
        self.script.append(f'round = tree["{first.id}"]')
        return True

    def run(self, name: str, found: Round) -> bool:
        """Offers to run what is left of a round, which the script calls by a name."""
        self.dialogue.show(found.page())
        left = found.n - len(found.trials)
        if left <= 0 or not self.dialogue.yes(f"Run the {left:,} configurations that are left now?"):
            return True
        given = found.objective or self.objective
        if given is None:
            self.dialogue.say(
                "Its objective is not known in this process; give it: refine.guide(tree, objective=...), or run the round "
                f"where it is: tree[{found.id!r}].run().",
                "warn",
            )
            return True
        workers = self.dialogue.whole("How many trials at a time?", 1)
        options = [f"workers={workers}"] if workers > 1 else []
        if not self.given:
            called = self.name or _other_name(found, given)
            options += ["objective=objective", *([f"name={called!r}"] if called else [])]
            has_data = objective_data(given) is not None
            self.script.insert(1, objective_line(objective_name(given), given, has_data))
            self.given = True
        self.stays = True
        try:
            if found.objective is not None:
                found.run(workers)
            else:
                found.run(workers, objective=given, name=self.name)
        finally:  # stopped by Ctrl-C it has begun as well
            self.script.append(f"{name}.run({', '.join(options)})")
        self.dialogue.show(found.page())
        return True

    def look(self) -> bool:
        """Shows what the round taught, and why of the parameters that are asked for."""
        try:
            analysis = self.at.analyze()
        except AnalysisError as error:
            self.dialogue.say(f"Nothing can be proposed yet: {error}", "warn")
            return False
        page = analysis.page()
        self.dialogue.show(page)
        names = [e.name for e in analysis.parameters]
        while name := self.dialogue.one_of("A parameter to look at, or Enter to go on", names):
            self.dialogue.show(page.why(name))
            if _in_notebook():
                from IPython.display import display

                display(self.at.plot.density(name))
        return True

    def propose(self) -> bool:
        """Opens a proposal, and makes a step of every change."""
        self.risk = self.dialogue.until("Which risk of losing the best value do you accept?", "0.05", _risk)
        review = self.review = self.at.propose(risk=self.risk)
        self.script.append(f"review = round.propose(risk={self.risk!r})")
        self.dialogue.show(review.page())
        self.dialogue.show(review.checks().page())
        changes = [c for c in review.proposal.changes if c.kind != "keep"]
        self.steps = [
            *self.steps[:4],
            *(
                _Step(5, f"the changes, {i} of {len(changes)}", partial(self.question, change))
                for i, change in enumerate(changes, 1)
            ),
            _Step(5, "other changes", self.others),
            _Step(6, "the decision", self.decide),
            _Step(7, "run what came of it", lambda: self.run("child", self.at)),
        ]
        return True

    def question(self, change: Change) -> bool:
        """Asks about one proposed change; Enter accepts it where that throws nothing away."""
        review = self._reviewed
        self.dialogue.say(f"\n{line(change.name)}: {line(why(change))}", lines=True)
        if danger := self._lost_by(change):
            self.dialogue.say(f"Enter accepts nothing here, since {danger}.", "warn")
        answer = self.dialogue.letter(
            f"{change.name}: {bounds_text(change.old)} becomes {bounds_text(change.new)} ({change.kind})",
            {"a": "accept", "e": "edit", "r": "reject"},
            "" if danger else "a",
        )
        if answer == "r":
            self.review = review.reject(change.name)
            self.script.append(f"review = {Action('review.reject', change.name)}")
        elif answer == "e":
            self.review = self.edit(review, change.name)
        return True

    def others(self) -> bool:
        """Takes any other edit."""
        names = list(self._reviewed.proposal.old)
        question = f"Another parameter to edit, such as {names[0]}, or Enter to go on"
        while name := self.dialogue.one_of(question, names):
            self.review = self.edit(self._reviewed, name)
        return True

    @property
    def _reviewed(self) -> Review:
        assert self.review is not None
        return self.review

    def _lost_by(self, change: Change) -> str:
        """What a change throws away by itself; empty where that is nothing."""
        best = self._reviewed.analysis.best[change.name]
        leaves = change.old.contains([best])[0] and not change.new.contains([best])[0]
        if leaves and self._reviewed.preview().throws:
            return "the best trial lies outside"
        if change.risk > self.risk:
            return f"it alone loses more than is accepted, with probability {probability(change.risk)}"
        return ""

    def _lost_in(self, review: Review, throws: bool, *more: str) -> str:
        """What a decision throws away, and more; empty where that is nothing."""
        chance = review.claim.probability
        lost = ["the best trial lies outside"] if throws else []
        if math.isnan(chance):
            lost.append("the probability that the best is kept can't be stated")
        elif chance < _SAFE:
            lost.append(f"the best is kept with probability {probability(chance)} only")
        return join([*lost, *more])

    def edit(self, review: Review, name: str) -> Review:
        """Asks for a value until it is one that can be and stays."""
        now, old = bounds_text(review.space[name]), review.proposal.old[name]
        labels = old.labels if isinstance(old, Categorical) else ()
        question = (
            f"{name}, now {now}: (low, high), (low, high, levels), [choices], one value, or Enter to leave it"
        )
        while text := self.dialogue.text(question, names=labels):
            try:
                value = typed_value(text)
                edited = review.edit({name: value})
                seen = edited.preview()
                self.dialogue.show(Page(f"{name}: {bounds_text(edited.space[name])}", seen.page().blocks))
            except RefineError as error:
                self.dialogue.say(str(error), "bad")
                continue
            if self.dialogue.yes("Keep this edit?", "" if self._lost_in(edited, seen.throws) else "y"):
                self.script.append(f"review = {Action('review.edit', python_symbols({name: value}))}")
                return edited
        return review

    def decide(self) -> bool:
        """Previews everything, asks for size and reason, and accepts or declines."""
        review, size = self._reviewed, "How many configurations in the next round?"
        n = self.dialogue.whole(size, review.advised)
        seen = review.preview(n=n)
        self.dialogue.show(seen.page())
        fails = ["a check fails"] if any(c.verdict == FAIL for c in review.checks().checks) else []
        if danger := self._lost_in(review, seen.throws, *fails):
            self.dialogue.say(f"Enter decides nothing here, since {danger}.", "warn")
        choices = {"a": "accept", "d": "decline", "b": "back", "q": "quit"}
        answer = self.dialogue.letter("And now", choices, "" if danger else "a")
        note = self.dialogue.text("Why? A note for whoever reads the tree")
        self.stays = True
        if answer == "d":
            review.decline(note)
            self.script.append(f"review.decline(note={note!r})")
            self.dialogue.say("Declined; the space stays as it is.")
            return False
        while True:
            try:
                child = review.accept(note, n=n)
            except RefineError as error:
                self.dialogue.say(str(error), "bad")
                n = self.dialogue.whole(size, review.round.n)
                continue
            self.script.append(f"child = review.accept(note={note!r}, n={n})")
            self.at = child
            return True


def _other_name(found: Round, given: Objective) -> str | None:
    """The name that a round was added with, where it is not its objective's own."""
    name = found.node.objective
    return None if name.startswith(UNNAMED) or name == objective_name(given) else name
