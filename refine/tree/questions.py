"""The questions of a tree: asked questions with answers over time, and questions worth asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from refine.errors import RefineError
from refine.proposal.suggested import SuggestedQuestion, suggested_questions
from refine.review.next_step import trials_for_rounds
from refine.tree.overview import comparable
from refine.tree.proposing import propose
from refine.tree.question_evidence import analysed, posterior_about
from refine.tree.tree_record import TreeRecord
from refine.trials.stored_answer import StoredAnswer
from refine.utils.action import Action
from refine.utils.display import Shown
from refine.utils.plain import plain
from refine.utils.types import JsonObject

_SPENT = "the budget leaves no trial to settle a question"


@dataclass(frozen=True)
class AskedQuestion:
    """A question with the answers over time."""

    question: str  # the expression
    given: str | None  # condition within which it was asked; ``None`` without one
    better: str | None  # the other region; ``None`` without one
    answers: tuple[StoredAnswer, ...]  # oldest first

    @property
    def call(self) -> Action:
        """The call to ask the question again."""
        tolerance = self.answers[-1].tolerance
        options = {"given": self.given, "better": self.better, "epsilon": tolerance}
        return Action("tree.ask", self.question, **{n: v for n, v in options.items() if v is not None})


@dataclass(frozen=True, repr=False)
class Questions(Shown):
    """Questions to a tree.

    Examples:
        >>> answer = tree.ask("dropout <= 0.2", author="mia")
        >>> [(q.question, q.answers[-1].verdict) for q in tree.ask().asked]
        [('dropout <= 0.2', 'yes')]
    """

    tree: str  # name of the tree
    asked: tuple[AskedQuestion, ...]  # the newest first
    suggested: tuple[SuggestedQuestion, ...]  # at most three; their answers would change a decision
    refusal: str  # the reason why nothing can be suggested; empty otherwise
    calls: tuple[Action, ...]  # next calls: the suggested questions, or the step that is possible without any

    def _data(self) -> JsonObject:
        return {
            "tree": self.tree,
            "asked": [{**_plain(q), "call": str(q.call)} for q in self.asked],
            "suggested": [{**_plain(q), "call": str(call_of(q))} for q in self.suggested],
            "refusal": self.refusal,
            "calls": [str(call) for call in self.calls],
        }


def _plain(value: object) -> Mapping[str, object]:
    data: Mapping[str, object] = plain(value)
    return data


def call_of(suggested: SuggestedQuestion) -> Action:
    """The call to ask a suggested question."""
    if suggested.given is None:
        return Action("tree.ask", suggested.question)
    return Action("tree.ask", suggested.question, given=suggested.given)


def questions(self: TreeRecord, *, suggest: bool = True) -> Questions:
    """The asked questions with their answers over time, and up to three questions worth asking.

    The answer to a suggested question would change a decision on the newest proposal. The question is about
    an unsure cut, about a hardly tried region with a chance of the best value, or about a cut with a likely
    loss within a condition on an uncut parameter. The suggestions take as long as a proposal.

    Args:
        suggest: Whether to suggest questions.

    """
    listed = Questions(self._name, asked_questions(self), (), "", (Action("tree.ask", ...),))
    if not suggest:
        return listed
    budget = self._budget
    if budget.left == 0:
        return replace(listed, refusal=_SPENT, calls=(Action("tree.winner"),))
    snapshot = self._at_once()
    refusal = f"tree {self._name!r} has no round yet"
    calls: tuple[Action, ...] = (Action("tree.add_round", ...),)
    for round_ in comparable(snapshot.rounds)[::-1]:
        try:
            analysis = analysed(round_)
            if trials_for_rounds(analysis, budget) == 0:
                return replace(listed, refusal=_SPENT, calls=(Action("tree.confirm"),))
            proposal = propose(round_, keep=False).proposal
        except RefineError as error:
            refusal = str(error)
            calls = (Action("round.run"),)
            continue
        suggested = suggested_questions(posterior_about(analysis), proposal)
        return replace(listed, suggested=suggested, calls=tuple(map(call_of, suggested)) or listed.calls)
    return replace(listed, refusal=refusal, calls=calls)


def asked_questions(tree: TreeRecord) -> tuple[AskedQuestion, ...]:
    """The stored questions of a tree with their answers, the newest first."""
    answers: dict[tuple[Any, ...], list[StoredAnswer]] = {}
    for answer in tree._context.store.answers(tree._context.tree):
        of_question = answers.setdefault(answer.key, [])
        if not of_question or of_question[-1].evidence != answer.evidence or answer.guess is not None:
            of_question.append(answer)
    newest_first = sorted(answers.values(), key=lambda of_question: -of_question[-1].created)
    return tuple(AskedQuestion(a[0].question, a[0].given, a[0].better, tuple(a)) for a in newest_first)
