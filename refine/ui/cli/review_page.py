"""The command that opens the review page in a browser."""

from __future__ import annotations

import threading
import webbrowser
from typing import Annotated

import typer

from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    DECIDE,
    ObjectiveOption,
    RoundArgument,
    StoreArgument,
    TreeOption,
    app,
    chosen,
)

_TO = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0;url={url}">
<title>refine</title>
<a href="{url}">The review page</a>
"""


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
    objective: ObjectiveOption = None,
    command: Annotated[str | None, typer.Option(help="A program instead of --objective, as in run.")] = None,
) -> None:
    """Open the review page: densities, bounds to drag, a preview of the decision, and a button that runs a round. Ctrl-C ends it."""
    from refine.run.scratch import own_folder
    from refine.ui.web.background import Background
    from refine.ui.web.server import Server
    from refine.ui.web.session import Session

    with opened(store, name) as found:
        shown = chosen(found[which])
        background = Background(objective, command)
        session = Session(shown, risk, background=background)
        server = Server(session, port)
        # The analysis is made while the browser starts.
        threading.Thread(
            target=session.handle, args=({"type": "round", "round": shown.id},), daemon=True
        ).start()
        typer.echo(f"{server.url}\nCtrl-C ends it")
        with own_folder() as folder:
            if open_:
                # The arguments of a browser's process are everybody's to read, and the address is the key.
                page = folder / "review.html"
                page.write_text(_TO.format(url=server.url), encoding="utf-8")
                threading.Timer(0.5, webbrowser.open, [page.as_uri()]).start()
            try:
                server.run()
            finally:
                background.close()
