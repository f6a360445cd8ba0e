"""The command that opens the review page in a browser."""

from __future__ import annotations

import threading
import webbrowser
from typing import Annotated

import typer

from refine.ui.cli.opening import opened
from refine.ui.cli.shared import DECIDE, RoundArgument, StoreArgument, TreeOption, app


@app.command(rich_help_panel=DECIDE)
def review(
    store: StoreArgument,
    which: RoundArgument,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 for any that is free.")
    ] = 0,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Whether to open a browser.")] = True,
    risk: Annotated[float, typer.Option(help="Accepted probability of losing the best value.")] = 0.05,
    name: TreeOption = None,
) -> None:
    """Open the review page: densities, bounds to drag, and a preview of the decision. Ctrl-C ends it."""
    from refine.ui.web.server import Server
    from refine.ui.web.session import Session

    with opened(store, name) as found:
        shown = found[which]
        session = Session(shown, risk)
        server = Server(session, port)
        # The analysis is made while the browser starts.
        threading.Thread(
            target=session.handle, args=({"type": "round", "round": shown.id},), daemon=True
        ).start()
        typer.echo(f"{server.url}\nCtrl-C ends it")
        if open_:
            threading.Timer(0.5, webbrowser.open, [server.url]).start()
        server.run()
