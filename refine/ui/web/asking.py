"""Questions about the space, and configurations of the person's own, on the review page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refine.design.space_filling import IMPORTED
from refine.errors import ReviewError
from refine.report.pages.answer import answer_page, question_text, suggestion_text
from refine.space.categorical import Categorical
from refine.space.literals import typed_value
from refine.tree.asking import Answer, ask
from refine.tree.questions import questions
from refine.tree.tree_record import TreeRecord
from refine.ui.web.messages import Content, Message
from refine.utils.display import Cell
from refine.utils.plain import plain

if TYPE_CHECKING:
    from refine.space.parameters import Parameter
    from refine.space.space import Space
    from refine.tree.context import Context
    from refine.tree.round import Round

# Earlier questions that the page lists.
_LISTED = 5
# Trials to add to a round, until the person types another number.
_GROWTH = 6


def answer_content(context: Context, message: Message) -> Content:
    """The answer to a question: verdict as a sentence with its tone, facts, and the trials that settle it.

    Raises:
        SpaceError: An expression is not of the language, or names an unknown parameter.
        AnalysisError: No round can be analysed.
    """
    answer = _answer(context, message)
    page = answer_page(answer)
    lead = page.lead or Cell("")
    return {
        "title": page.title,
        "text": lead.text,
        "tone": lead.tone,
        "facts": [{"name": name, "text": cell.text, "tone": ""} for name, cell in page.facts],
        "needed": answer.needed,
        "question": message["question"],
        "given": message.get("given"),
        "better": message.get("better"),
        "epsilon": message.get("epsilon"),
    }


def _answer(context: Context, message: Message) -> Answer:
    options = {"given": message.get("given") or None, "better": message.get("better") or None}
    return ask(TreeRecord._of(context), message["question"], epsilon=message.get("epsilon"), **options)


def settling_content(context: Context, message: Message) -> Content:
    """Plans the trials that settle a question; the id of their round."""
    answer = _answer(context, message)
    if not answer.needed:
        raise ReviewError(f"question {answer.question!r} is settled: no trial is needed")
    return {"round": TreeRecord._of(context)[answer.round].add(settle=answer).id}


def questions_content(context: Context, *, suggest: bool) -> Content:
    """Earlier questions, the newest first, and questions worth asking."""
    listed = questions(TreeRecord._of(context), suggest=suggest)
    earlier = []
    for q in listed.asked[:_LISTED]:
        options = {"given": q.given, "better": q.better, "epsilon": q.answers[-1].tolerance}
        earlier.append({"text": question_text(q), "question": q.question, **options, "reason": ""})
    suggested = [
        {
            "text": question_text(q),
            "question": q.question,
            "given": q.given,
            "better": None,
            "reason": suggestion_text(q),
        }
        for q in listed.suggested
    ]
    return {"asked": earlier, "suggested": suggested}


def start_content(round_: Round) -> dict[str, str]:
    """The best configuration of a round as texts, to begin one's own configurations with."""
    best = round_.best
    if best is None:
        return {}
    space = round_.space
    return {name: _text(space[name], best[name]) for name in space.varied if best[name] == best[name]}


def growth_content(round_: Round) -> Content | None:
    """A number of trials to add to a round, and the trials left; ``None`` if a round cannot grow."""
    remaining = round_._budget.left
    if round_._node.method == IMPORTED or remaining == 0:
        return None
    n = _GROWTH
    text = ""
    if remaining is not None:
        n = min(n, remaining)
        text = str(round_._budget)
    return {"n": n, "text": text, "chooses": not round_._node.adaptive}


def _text(parameter: Parameter, value: object) -> str:
    """A value as typed: the label of a choice, else the number."""
    if isinstance(parameter, Categorical):
        for label, level in zip(parameter.labels, parameter.grid, strict=True):
            if level == value or label == value:
                return label
    number = plain(value)
    if isinstance(number, float):
        return f"{number:.12g}"
    return str(number)


def configurations_of(space: Space, rows: Sequence[Mapping[str, str]]) -> list[dict[str, object]]:
    """Typed configurations as values by name; an empty text leaves a parameter out.

    Raises:
        ReviewError: A text is no value.
    """
    return [
        {name: _value(space[name], text) for name, text in row.items() if name in space and text.strip()}
        for row in rows
    ]


def _value(parameter: Parameter, text: str) -> Any:
    """The value of a typed text: a choice by its label, else as Python reads the text."""
    if isinstance(parameter, Categorical):
        labels = list(parameter.labels)
        if text.strip() in labels:
            return parameter.grid[labels.index(text.strip())]
    return typed_value(text)
