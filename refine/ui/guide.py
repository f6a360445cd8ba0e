"""A round, question by question, in a terminal or a notebook. It asks, and calls what anybody would call."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from refine.errors import AnalysisError, RefineError, ReviewError
from refine.proposal.change import Change
from refine.proposal.preview import Preview
from refine.report.markdown.script import objective_line
from refine.report.pages.proposal import why
from refine.report.pages.reasons import times
from refine.review.checks import FAIL
from refine.review.review import Review
from refine.run.identity import UNNAMED, objective_data, objective_name
from refine.run.protocols import Objective
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text
from refine.space.literals import python_symbols, typed_value
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.ui.prompts import Back, Dialogue, Stopped
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Grid, Page, Shown, Text
from refine.utils.files import write_whole
from refine.utils.format import join, percent, probability, score


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


@dataclass
class _Script:
    """The calls made so far, as Python."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        self.lines.append(line)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


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
    walk = _Walk(tree, Dialogue(ask, tell), objective, name)
    found = None if round is None else tree.round(round)
    try:
        walk.through(found)
    except Stopped:
        walk.dialogue.say("Stopped. What was decided stays; nothing else was written.", "warn")
    finally:  # what was called was called, however it ended
        if script is not None:
            write_whole(Path(script), [walk.script.text()])
    ended = Guided(walk.at, walk.script.text())
    walk.dialogue.show(ended.page())
    return ended


@dataclass(frozen=True)
class _Step:
    """One thing to answer.

    Attributes:
        number: Which of the walk's steps it belongs to, from 1.
        title: What it is about.
        ask: Asks, and says whether the walk goes on.
    """

    number: int
    title: str
    ask: Callable[[], bool]


_STEPS = 7
_SAFE = 0.8
"""Probability of keeping the best below which a decision takes more than Enter."""


class _Walk:
    """One walk: where it is, and what it called."""

    def __init__(self, tree: Tree, dialogue: Dialogue, objective: Objective | None, name: str | None) -> None:
        self.tree, self.dialogue, self.objective, self.name = tree, dialogue, objective, name
        self.script = _Script(["import refine"])
        self.at = tree.rounds[-1]
        self.given = False  # whether the script has the objective
        self.stays = False  # whether the step did what can't be taken back
        self.steps: list[_Step] = []
        self.review: Review | None = None
        self.risk = 0.05

    def through(self, found: Round | None) -> None:
        """Asks step by step; ``b`` gives the step before again, with everything as it was then."""
        self.script.add("")
        self.script.add(f"tree = refine.Tree({self.tree.name!r}, store={self.tree.store!r})")
        self.dialogue.say("Enter takes the answer in brackets, b goes a step back, q stops.", "faint")
        self.steps = [
            _Step(1, "the round", lambda: self.choose(found)),
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
            except Back:
                if self.dialogue.answered > answered:  # back to the first question of this step
                    self._set(now)
                    continue
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
        return self.at, self.review, self.risk, self.given, list(self.script.lines), list(self.steps)

    def _set(self, state: tuple[Any, ...]) -> None:
        self.at, self.review, self.risk, self.given, lines, steps = state
        self.script.lines, self.steps = list(lines), list(steps)

    def choose(self, found: Round | None) -> bool:
        """Asks for the round, where none was given."""
        if found is None:
            self.dialogue.show(self.tree.page())
            found = self.dialogue.until(
                "Which round? last, root, its path such as 1.2, a tag, or its id",
                self.at.id,
                lambda text: self.tree[text],
                [*self.tree.tags, *(["b"] if any(r.id.startswith("b") for r in self.tree.rounds) else [])],
            )
        self.at = found
        self.script.add(f'round = tree["{found.id}"]')
        return True

    # Running.

    def run(self, name: str, found: Round) -> bool:
        """Offers to run what is left of a round."""
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
        at_a_time = f"workers={workers}" if workers > 1 else ""
        called = self.name or _other_name(found, given)
        handed = "" if self.given else "objective=objective" + (f", name={called!r}" if called else "")
        if not self.given:
            self.script.lines.insert(
                1, objective_line(objective_name(given), given, objective_data(given) is not None)
            )
            self.given = True
        self.stays = True
        try:
            if found.objective is not None:
                found.run(workers)
            else:
                found.run(workers, objective=given, name=self.name)
        finally:  # stopped by Ctrl-C it has begun as well
            self.script.add(f"{name}.run({', '.join(a for a in (at_a_time, handed) if a)})")
        self.dialogue.show(found.page())
        return True

    # Looking.

    def look(self) -> bool:
        """Shows what the round taught."""
        found = self.at
        try:
            analysis = found.analyze()
        except AnalysisError as error:
            self.dialogue.say(f"Nothing can be proposed yet: {error}", "warn")
            return False
        self.dialogue.show(analysis.page())
        names = [e.name for e in analysis.parameters]
        while name := self.dialogue.one_of("A parameter to look at, or Enter to go on", names):
            self.dialogue.show(_levels(analysis[name]))
            self.dialogue.draw(found, name)
        return True

    def propose(self) -> bool:
        """Opens a proposal, and makes a step of every change."""
        question = "Which risk of losing the best value do you accept?"
        self.risk = self.dialogue.share(question, 0.05, low=0.01)
        review = self.at.propose(risk=self.risk)
        self.script.add(f"review = round.propose(risk={self.risk!r})")
        self.dialogue.show(review.page())
        self.dialogue.show(review.checks().page())
        self.review = review
        changes = [c for c in review.proposal.changes if c.kind != "keep"]
        each = [
            _Step(5, f"the changes, {i} of {len(changes)}", partial(self.question, change))
            for i, change in enumerate(changes, 1)
        ]
        rest = [
            _Step(5, "other changes", self.others),
            _Step(6, "the decision", self.decide),
            _Step(7, "run what came of it", lambda: self.run("child", self.at)),
        ]
        self.steps = [*self.steps[:4], *each, *rest]
        return True

    # Questioning.

    def question(self, change: Change) -> bool:
        """Asks about one proposed change; Enter accepts it where that throws nothing away."""
        review = self._reviewed
        self.dialogue.heading(change.name, why(change))
        if danger := self._lost_by(change):
            self.dialogue.say(f"Enter accepts nothing here, since {danger}.", "warn")
        answer = self.dialogue.letter(
            f"{change.name}: {bounds_text(change.old)} becomes {bounds_text(change.new)} ({change.kind})",
            {"a": "accept", "e": "edit", "r": "reject"},
            "" if danger else "a",
        )
        if answer == "r":
            self.review = review.reject(change.name)
            self.script.add(f"review = {Action('review.reject', change.name)}")
        elif answer == "e":
            self.review = self.edit(review, change.name)
        return True

    def others(self) -> bool:
        """Takes any other edit."""
        old = self._reviewed.proposal.old
        while name := self.dialogue.one_of(
            f"Another parameter to edit, such as {next(iter(old))}, or Enter to go on", list(old)
        ):
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

    def _lost_in(self, review: Review, seen: Preview) -> str:
        """What a decision throws away; empty where that is nothing."""
        kept = review.claim.probability
        return join(
            [
                *(["the best trial lies outside"] if seen.throws else []),
                *(["the probability that the best is kept can't be stated"] if math.isnan(kept) else []),
                *([f"the best is kept with probability {probability(kept)} only"] if kept < _SAFE else []),
            ]
        )

    def edit(self, review: Review, name: str) -> Review:
        """Asks for a value until it is one that can be and stays."""
        now, old = bounds_text(review.space[name]), review.proposal.old[name]
        labels = old.labels if isinstance(old, Categorical) else ()
        while True:
            text = self.dialogue.text(
                f"{name}, now {now}: (low, high), (low, high, levels), [choices], one value, or Enter to leave it",
                names=labels,
            )
            if not text:
                return review
            try:
                value = typed_value(text)
                edited = review.edit({name: value})
                seen = edited.preview()
                self.dialogue.show(Page(f"{name}: {bounds_text(edited.space[name])}", seen.page().blocks))
            except RefineError as error:
                self.dialogue.say(str(error), "bad")
                continue
            if self.dialogue.yes("Keep this edit?", "" if self._lost_in(edited, seen) else "y"):
                self.script.add(f"review = {Action('review.edit', python_symbols({name: value}))}")
                return edited

    # Deciding.

    def decide(self) -> bool:
        """Previews everything, asks for size and reason, and accepts or declines."""
        review = self._reviewed
        n = self.dialogue.whole("How many configurations in the next round?", review.advised)
        seen = review.preview(n=n)
        self.dialogue.show(seen.page())
        failed = [c for c in review.checks().checks if c.verdict == FAIL]
        danger = join([*filter(None, [self._lost_in(review, seen)]), *(["a check fails"] if failed else [])])
        if danger:
            self.dialogue.say(f"Enter decides nothing here, since {danger}.", "warn")
        choices = {"a": "accept", "d": "decline", "b": "back", "q": "quit"}
        answer = self.dialogue.letter("And now", choices, "" if danger else "a")
        note = self.dialogue.text("Why? A note for whoever reads the tree")
        self.stays = True
        if answer == "d":
            review.decline(note)
            self.script.add(f"review.decline(note={note!r})")
            self.dialogue.say("Declined; the space stays as it is.")
            return False
        while True:
            try:
                child = review.accept(note, n=n)
            except RefineError as error:
                self.dialogue.say(str(error), "bad")
                n = self.dialogue.whole("How many configurations in the next round?", review.round.n)
                continue
            self.script.add(f"child = review.accept(note={note!r}, n={n})")
            self.at = child
            return True


def _other_name(found: Round, given: Objective) -> str | None:
    """The name that a round was added with, where it is not its objective's own."""
    name = found.node.objective
    return None if name.startswith(UNNAMED) or name == objective_name(given) else name


def _levels(evidence: Any) -> Page:
    """What is known of every level of a parameter."""
    rows = tuple(
        (
            v.label,
            f"{v.n:,}",
            score(v.median),
            Cell(times(v.ratio), "good" if v.ratio_low > 1 else "bad" if v.ratio_high < 1 else ""),
            percent(v.bad) if v.bad else "-",
        )
        for v in evidence.levels
    )
    head = (evidence.name, "trials", "median", "among the best", "without a value")
    return Page(f"{evidence.name}, level by level", (Grid(head, rows, right=(1, 2, 3, 4)),))
