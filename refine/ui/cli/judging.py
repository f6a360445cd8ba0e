"""The command that judges one configuration beside another."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refine.errors import ReviewError
from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    LOOK,
    NO,
    OPEN,
    AllOption,
    JsonOption,
    ObjectiveOption,
    StoreArgument,
    ThreadsOption,
    TimeoutOption,
    TreeOption,
    WhyOption,
    WorkersOption,
    app,
    objective_for,
    only_json,
    put,
    put_json,
)
from refine.ui.cli.spelling import completed

if TYPE_CHECKING:
    from refine.analysis.judgement import Judgement

_HELP = "a round, 'winner', 'best', 'baseline', or values, as 'lr=0.1 units=64'"


def _configuration(text: str | None) -> Any:
    """A configuration as it is typed: values by name, else a round or a word."""
    from refine.space.literals import typed_pairs

    if text is None or "=" not in text:
        return text
    try:
        words = shlex.split(text)
    except ValueError:
        raise ReviewError(
            f"a quote has no partner in {text!r}; write values as in 'lr=0.1 units=64', those with spaces in quotes"
        ) from None
    return typed_pairs(words, "judge")


def _next(a: str | None, b: str | None, epsilon: float | None, found: Judgement) -> list[str]:
    """What to type next, where more runs are expected to decide."""
    from refine.report.pages.judgement import runs_needed

    if not (needed := runs_needed(found)):
        return []
    words = [shlex.quote(which) for which in (a, b) if which is not None]
    words += [f"--budget {needed}", *([] if epsilon is None else [f"--epsilon {epsilon:g}"])]
    return [completed(f"refine judge STORE {' '.join(words)}")]


@app.command(rich_help_panel=LOOK)
def judge(
    store: StoreArgument,
    a: Annotated[
        str | None,
        typer.Argument(metavar="CONFIG", help=f"Which configuration: {_HELP}; default the winner."),
    ] = None,
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="OTHER", help="What with; default the baseline, else the best of earlier rounds."
        ),
    ] = None,
    budget: Annotated[
        int,
        typer.Option(
            min=0,
            help="Run both under new seeds until it is decided, up to so many runs in all; default none.",
        ),
    ] = 0,
    epsilon: Annotated[float | None, typer.Option(help="Difference that counts as none.")] = None,
    objective: ObjectiveOption = None,
    workers: WorkersOption = 1,
    threads: ThreadsOption = 1,
    timeout: TimeoutOption = None,
    why: WhyOption = False,
    whole: AllOption = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a configuration is better than another: KEEP (exit code 0), DISCARD (3) or CONFIRM (4)."""
    from refine.analysis.judgement import CONFIRM, DISCARD

    if not budget and (objective is not None or timeout is not None or (workers, threads) != (1, 1)):
        raise ReviewError(
            "check runs nothing without --budget, so that --objective, --workers, --threads and --timeout would say nothing; "
            "give --budget as well"
        )
    pair = _configuration(a), _configuration(b)
    with opened(store, name) as tree:
        with only_json(as_json):
            found = tree.judge(*pair, epsilon=epsilon)
            if budget:
                given: dict[str, Any] = {"workers": workers, "threads": threads, "timeout": timeout}
                given |= objective_for(tree[found.a.round], objective)
                found = tree.judge(*pair, epsilon=epsilon, budget=budget, progress=False, **given)
        if as_json:
            put_json(found.to_dict())
        else:
            put(found, False, *_next(a, b, epsilon, found), why=why, whole=whole)
    if found.verdict in (DISCARD, CONFIRM):
        raise typer.Exit(NO if found.verdict == DISCARD else OPEN)
