"""The command for a person's questions: ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from refine.errors import ReviewError
from refine.ui.cli.shared import (
    LOOK,
    AuthorOption,
    EpsilonOption,
    Explained,
    Given,
    InTree,
    Output,
    chosen,
    command,
    newest,
    option,
)
from refine.ui.cli.spelling import completed, quoted
from refine.utils.action import Action
from refine.utils.format import join

if TYPE_CHECKING:
    import refine


@dataclass(frozen=True, kw_only=True)
class Asked(Given):
    """A question about a part of the space."""

    question: Annotated[
        str | None,
        Argument(
            metavar="QUESTION",
            help="Give the question: 'num_layers <= 2', 'act = relu', 'lr 0.003..0.3' or 'relu vs tanh'; "
            "default list the questions asked so far.",
        ),
    ] = None
    given: str | None = option("Compare only configurations that meet this expression; default all.")
    better: str | None = option(
        "Compare with the best of this region instead of the best anywhere; or give a value of the "
        "parameter QUESTION."
    )
    epsilon: EpsilonOption = None
    author: AuthorOption = None


@command(LOOK)
def ask(
    target: InTree,
    out: Explained,
    question: Asked,
    guess: Annotated[
        float | None, Option(min=0, max=1, help="Give your own chance of a yes, scored by later trials.")
    ] = None,
    settle: Annotated[
        int | None,
        Option(min=1, help="Plan this many trials near the bests of the two sides."),
    ] = None,
    suggest: Annotated[
        bool, Option("--suggest/--no-suggest", help="Print questions worth asking with the list; default on.")
    ] = True,
) -> None:
    """Print whether the best value of a part of the space is as good as the best anywhere.

    Without QUESTION, list the stored questions with their answers, and up to three worth asking.
    """
    with target.tree() as tree:
        if question.question is None:
            options = {**question.options(), "guess": guess, "settle": settle}
            if typed := [f"--{name}" for name, value in options.items() if value is not None]:
                raise ReviewError(
                    f"{join(typed)} needs a QUESTION, got none; for example refine ask STORE 'lr <= 0.1'"
                )
            _put_questions(out, newest(tree), suggest)
            return
        answer = newest(tree).ask(question.question, guess=guess, **question.options("question"))
        if settle is not None:
            round_ = chosen(tree[answer.round].add(settle, settle=answer))
            out.put(round_, Action("round.run"))
            return
        chosen(tree[answer.round])
        words = f"{quoted(question.question)} {question.typed('question')}".rstrip()
        call = f"refine ask STORE {words} --settle {answer.needed}"
        out.put(answer, *([completed(call)] if answer.needed else []))


def _put_questions(out: Output, tree: refine.Tree, suggest: bool) -> None:
    """Prints the stored questions, with calls to ask the suggested questions."""
    from refine.tree.questions import questions

    listed = questions(tree, suggest=suggest)
    calls = []
    for suggested in listed.suggested:
        words = quoted(suggested.question)
        if suggested.given is not None:
            words += f" --given {quoted(suggested.given)}"
        calls.append(completed(f"refine ask STORE {words}"))
    out.put(listed, *calls)
