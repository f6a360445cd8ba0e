"""Commands for a person's questions and ideas: ask, questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from refine.ui.cli.shared import (
    LOOK,
    AuthorOption,
    EpsilonOption,
    Explained,
    Given,
    InTree,
    chosen,
    command,
    newest,
    option,
)
from refine.ui.cli.spelling import completed, quoted
from refine.utils.action import Action

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class Asked(Given):
    """A question about a part of the space."""

    question: Annotated[
        str,
        Argument(
            metavar="QUESTION",
            help="Give the question: 'num_layers <= 2', 'act = relu' or 'lr 0.003..0.3'.",
        ),
    ]
    given: str | None = option("Compare only configurations that meet this expression; default all.")
    better: str | None = option(
        "Compare with the best of this region instead of the best anywhere; or give a value of the "
        "parameter QUESTION."
    )
    epsilon: EpsilonOption = None
    author: AuthorOption = None

    @property
    def typed(self) -> str:
        """The question as typed, for the next command."""
        words = [quoted(self.question)]
        words += [f"--{name} {quoted(str(value))}" for name, value in self.options("question").items()]
        return " ".join(words)


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
) -> None:
    """Print whether the best value of a part of the space is as good as the best anywhere."""
    with target.tree() as tree:
        answer = newest(tree).ask(question.question, guess=guess, **question.options("question"))
        if settle is not None:
            round_ = chosen(tree[answer.round].add(settle, settle=answer))
            out.put(round_, Action("round.run"))
            return
        chosen(tree[answer.round])
        call = f"refine ask STORE {question.typed} --settle {answer.needed}"
        out.put(answer, *([completed(call)] if answer.needed else []))


@command(LOOK)
def questions(
    target: InTree,
    out: Explained,
    suggest: Annotated[
        bool, Option("--suggest/--no-suggest", help="Print questions worth asking; default on.")
    ] = True,
) -> None:
    """Print the questions asked so far with their answers, and up to three worth asking."""
    with target.tree() as tree:
        listed = newest(tree).questions(suggest=suggest)
        calls = []
        for suggested in listed.suggested:
            words = quoted(suggested.question)
            if suggested.given is not None:
                words += f" --given {quoted(suggested.given)}"
            calls.append(completed(f"refine ask STORE {words}"))
        out.put(listed, *calls)
