"""A round, question by question, in a terminal or a notebook. It asks, and calls what anybody would call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from refine.errors import AnalysisError, RefineError, ReviewError
from refine.report.markdown.script import objective_line
from refine.report.pages.proposal import why
from refine.report.pages.reasons import times
from refine.review.checklist import Checks
from refine.review.review import Review
from refine.run.identity import UNNAMED, objective_data, objective_name
from refine.run.protocols import Objective
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text
from refine.space.literals import python_symbols, typed_value
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.ui.prompts import Dialogue, Stopped
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Grid, Page, Shown, Text, without_sentences
from refine.utils.files import write_whole
from refine.utils.format import percent, score


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

    Every answer has a default in square brackets, taken by Enter. ``q`` at any question stops; what was decided by then
    stays, and nothing else. It leaves behind exactly what the same calls would: nodes, decisions, and their script.

    Args:
        tree: The tree.
        round: The round to begin with, its id or a tag; default asks.
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
    found = None if round is None else tree._own(round)
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


class _Walk:
    """One walk: where it is, and what it called."""

    def __init__(self, tree: Tree, dialogue: Dialogue, objective: Objective | None, name: str | None) -> None:
        self.tree, self.dialogue, self.objective, self.name = tree, dialogue, objective, name
        self.script = _Script(["import refine"])
        self.at = tree.rounds[-1]
        self.given = False  # whether the script has the objective

    def through(self, found: Round | None) -> None:
        self.script.add("")
        self.script.add(f"tree = refine.Tree({self.tree.name!r}, store={self.tree.store!r})")
        self.dialogue.say("Enter takes the answer in brackets, q stops.", "faint")
        if found is None:
            self.dialogue.show(self.tree.page())
            found = self.dialogue.until(
                "Which round? Its id, or the beginning of one, or a tag",
                self.at.id,
                lambda text: self.tree[text],
            )
        self.at = found
        self.script.add(f'round = tree["{found.id}"]')
        self.run("round", found)
        review = self.proposal(found)
        if review is None:
            return
        review = self.changes(review)
        child = self.decision(review)
        if child is not None:
            self.at = child
            self.run("child", child)

    # Running.

    def run(self, name: str, found: Round) -> None:
        """Offers to run what is left of a round."""
        self.dialogue.show(found.page())
        left = found.n - len(found.trials)
        if left <= 0 or not self.dialogue.yes(f"Run the {left:,} configurations that are left now?"):
            return
        given = found.objective or self.objective
        if given is None:
            self.dialogue.say(
                "Its objective is not known in this process; give it: refine.guide(tree, objective=...), or run the round "
                f"where it is: tree[{found.id!r}].run().",
                "warn",
            )
            return
        workers = self.dialogue.whole("How many trials at a time?", 1)
        at_a_time = f"workers={workers}" if workers > 1 else ""
        called = self.name or _other_name(found, given)
        handed = "" if self.given else "objective=objective" + (f", name={called!r}" if called else "")
        if not self.given:
            self.script.lines.insert(
                1, objective_line(objective_name(given), given, objective_data(given) is not None)
            )
            self.given = True
        try:
            if found.objective is not None:
                found.run(workers)
            else:
                found.run(workers, objective=given, name=self.name)
        finally:  # stopped by Ctrl-C it has begun as well
            self.script.add(f"{name}.run({', '.join(a for a in (at_a_time, handed) if a)})")
        self.dialogue.show(found.page())

    # Looking.

    def proposal(self, found: Round) -> Review | None:
        """Shows what the round taught, and opens a proposal."""
        try:
            analysis = found.analyze()
        except AnalysisError as error:
            self.dialogue.say(f"Nothing can be proposed yet: {error}", "warn")
            return None
        self.dialogue.show(analysis.page())
        names = [e.name for e in analysis.parameters]
        while name := self.dialogue.one_of("A parameter to look at, or Enter to go on", names):
            self.dialogue.show(_levels(analysis[name]))
            self.dialogue.draw(found, name)
        risk = self.dialogue.share("Which risk of losing the best value do you accept?", 0.05, low=0.01)
        review = found.propose(risk=risk)
        self.script.add(f"review = round.propose(risk={risk!r})")
        self.dialogue.show(_in_short(review.page()))
        self.dialogue.show(_to_heed(review.checks()))
        return review

    # Questioning.

    def changes(self, review: Review) -> Review:
        """Goes through the proposed changes, then takes any other edit."""
        proposal = review.proposal
        for change in (c for c in proposal.changes if c.kind != "keep"):
            self.dialogue.heading(change.name, why(change))
            question = (
                f"{change.name}: {bounds_text(change.old)} becomes {bounds_text(change.new)} ({change.kind})"
            )
            answer = self.dialogue.letter(question, {"a": "accept", "e": "edit", "r": "reject"}, "a")
            if answer == "r":
                review = review.reject(change.name)
                self.script.add(f"review = {Action('review.reject', change.name)}")
            elif answer == "e":
                review = self.edit(review, change.name)
        while name := self.dialogue.one_of(
            f"Another parameter to edit, such as {next(iter(proposal.old))}, or Enter to go on",
            list(proposal.old),
        ):
            review = self.edit(review, name)
        return review

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
                self.dialogue.show(
                    Page(f"{name}: {bounds_text(edited.space[name])}", edited.preview().page().blocks)
                )
            except RefineError as error:
                self.dialogue.say(str(error), "bad")
                continue
            if self.dialogue.yes("Keep this edit?"):
                self.script.add(f"review = {Action('review.edit', python_symbols({name: value}))}")
                return edited

    # Deciding.

    def decision(self, review: Review) -> Round | None:
        """Previews everything, asks for size and reason, and accepts or declines."""
        advised = review.proposal.advice
        n = self.dialogue.whole(
            "How many configurations in the next round?",
            advised.n if advised and advised.n else review.round.n,
        )
        self.dialogue.show(review.preview(n=n).page())
        answer = self.dialogue.letter("And now", {"a": "accept", "d": "decline", "q": "quit"}, "a")
        note = self.dialogue.text("Why? A note for whoever reads the tree")
        if answer == "d":
            review.decline(note)
            self.script.add(f"review.decline(note={note!r})")
            self.dialogue.say("Declined; the space stays as it is.")
            return None
        while True:
            try:
                child = review.accept(note, n=n)
            except RefineError as error:
                self.dialogue.say(str(error), "bad")
                n = self.dialogue.whole("How many configurations in the next round?", review.round.n)
                continue
            self.script.add(f"child = review.accept(note={note!r}, n={n})")
            return child


def _other_name(found: Round, given: Objective) -> str | None:
    """The name that a round was added with, where it is not its objective's own."""
    name = found.node.objective
    return None if name.startswith(UNNAMED) or name == objective_name(given) else name


def _in_short(page: Page) -> Page:
    """A page whose tables leave out their sentences: those come with the questions."""
    # What to do next, whether another round is worth it, and the claim.
    blocks = list(takewhile(lambda b: isinstance(b, Text), page.blocks))
    grids = [b for b in page.blocks if isinstance(b, Grid)]
    return Page(page.title, (*blocks, *map(without_sentences, grids)))


def _to_heed(checks: Checks) -> Page:
    """The checks that do not pass."""
    shown = replace(checks, checks=tuple(c for c in checks.checks if c.verdict != "pass"))
    return Page(checks.page().title, shown.page().blocks if shown.checks else ())


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
