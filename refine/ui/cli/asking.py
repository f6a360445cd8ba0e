"""Commands for a person's questions and ideas: ask, questions, settle, try."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from refine.errors import SpaceError
from refine.space.encoding import label
from refine.ui.cli.shared import (
    LOOK,
    ROUND_HELP,
    RUN,
    AuthorOption,
    EpsilonOption,
    Explained,
    Given,
    InTree,
    Limited,
    Output,
    QuietOption,
    chosen,
    command,
    newest,
    option,
)
from refine.ui.cli.spelling import completed, quoted, with_objective, words_of
from refine.utils.action import Action
from refine.utils.display import Page, Text
from refine.utils.format import score

if TYPE_CHECKING:
    from refine.tree.round import Round


@dataclass(frozen=True, kw_only=True)
class Asked(Given):
    """A question about a part of the space."""

    question: Annotated[
        str,
        Argument(
            metavar="QUESTION",
            help="Give the question, an expression over parameters, for example 'num_layers <= 2'.",
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
        int | None, Option(min=1, help="Create a round of this many trials near the bests of the two sides.")
    ] = None,
) -> None:
    """Print whether the best value of a part of the space is as good as the best anywhere."""
    with target.tree() as tree:
        answer = newest(tree).ask(question.question, guess=guess, **question.options("question"))
        if settle is not None:
            child = chosen(answer.settle(settle))
            out.put(child, Action(f"tree[{child.id!r}].run"))
            return
        chosen(tree[answer.round])
        call = with_objective(f"refine settle STORE {question.typed} --within {answer.needed}")
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


@command(RUN)
def settle(
    target: InTree,
    out: Explained,
    question: Asked,
    execution: Limited,
    within: Annotated[
        int | None,
        Option(min=1, help="Run at most this many trials; default 12, or what the budget leaves for rounds."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Run trials near the bests of the two sides of a question until settled, and print the answer."""
    with target.tree() as tree:
        answer = newest(tree).ask(question.question, **question.options("question"))
        with out.alone():
            if not answer.settled:
                options = execution.on(chosen(tree[answer.round]), progress=not quiet)
                answer = answer.settle_within(within, **options)
        out.put(answer)


@command(RUN, "try")
def try_out(
    target: InTree,
    out: Output,
    configurations: Annotated[
        list[str],
        Argument(
            metavar="CONFIG...",
            help="Run these configurations: values as 'lr=0.1 units=64', or JSON as '{\"lr\": 0.1}'.",
        ),
    ],
    execution: Limited,
    round_name: Annotated[str, Option("--round", "-r", help=f"{ROUND_HELP} Default the newest.")] = "last",
    quiet: QuietOption = False,
) -> None:
    """Run configurations of your own in a round now, in addition to its plan."""
    from refine.space.user_configurations import given_configuration  # numpy is not needed for --help

    typed = [_configuration(text) for text in configurations]
    with target.tree() as tree:
        round_ = chosen(tree[round_name])
        chosen_values = [
            given_configuration(round_.space, values, f"configuration {text!r}")
            for text, values in zip(configurations, typed, strict=True)
        ]
        with out.alone():
            round_.try_out(chosen_values, **execution.on(round_, progress=not quiet))
        results = [_result(round_, values) for values in chosen_values]

        def page() -> Page:
            below = round_.page()
            return replace(below, blocks=(*map(Text, results), *below.blocks))

        out.put(chosen(round_), page=page)


def _result(round_: Round, configuration: Mapping[str, object]) -> str:
    """The value of a configuration that ran, or its state without a value."""
    trials = round_.trials
    for name, value in configuration.items():
        trials = trials[trials[name] == value]
    settings = [f"{name} {label(value)}" for name, value in configuration.items()]
    text = f"{', '.join(settings)}: "
    values = trials["value"].dropna()
    if len(values):
        return f"{text}{round_.metric} {score(float(values.iloc[-1]))}"
    if trials.empty:
        return f"{text}not run"
    return f"{text}{trials['state'].iloc[-1]}"


def _configuration(text: str) -> dict[str, Any]:
    """A typed configuration: values by name, or a JSON object.

    Raises:
        ReviewError: A quote has no partner.
        SpaceError: The text is neither.
    """
    from refine.space.literals import typed_pairs

    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SpaceError(
                f"a configuration must be values as 'lr=0.1 units=64', or a JSON object, got {text!r:.80}: "
                f"{error}"
            ) from None
        return dict(values)
    return dict(typed_pairs(words_of(text), "try"))
