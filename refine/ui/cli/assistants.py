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
    http: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve HTTP on 127.0.0.1 instead, for who has the token that is printed; 0 for any port that is free.",
        ),
    ] = None,
) -> None:
    """Serve the tree to an assistant by the Model Context Protocol, on standard input and output or on loopback HTTP.

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
    if http is None:
        server_of(made).run("stdio")
        return
    from refine.ui.mcp_http import HttpServer

    server = HttpServer(made, http)
    typer.echo(f"{server.url}\nAuthorization: Bearer {server.token}\nCtrl-C ends it")
    server.run()
