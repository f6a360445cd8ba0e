"""The command that serves a tree to an assistant."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from refine.ui.cli.opening import opened
from refine.ui.cli.shared import DECIDE, ObjectiveOption, StoreArgument, TreeOption, app, objective_for


@app.command(rich_help_panel=DECIDE)
def mcp(
    store: StoreArgument,
    name: TreeOption = None,
    agent: Annotated[
        str, typer.Option(help="What the assistant is called; it signs as agent:NAME.")
    ] = "assistant",
    budget: Annotated[int, typer.Option(min=0, help="How many trials it may run.")] = 0,
    may_accept: Annotated[
        bool, typer.Option("--may-accept", help="Whether it may decide; without it, it suggests.")
    ] = False,
    objective: ObjectiveOption = None,
    command: Annotated[str | None, typer.Option(help="A program instead of --objective, as in run.")] = None,
) -> None:
    """Serve the tree to an assistant by the Model Context Protocol, on standard input and output.

    It looks, suggests edits with a reason, and runs planned trials within the budget. Accepting stays with a person.
    """
    from refine.run.command import Command
    from refine.ui.assistant import Assistant
    from refine.ui.mcp import server_of

    def run_by(found: Any) -> dict[str, Any]:
        return {"objective": Command(command)} if command is not None else objective_for(found, objective)

    with opened(store, name):
        pass  # what can't be opened is said before anything is served
    made = Assistant(lambda: opened(store, name), agent, budget, may_accept, run_by)
    server_of(made).run("stdio")
