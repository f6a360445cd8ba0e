"""The command that prints a space, or writes it as code for Optuna."""

from __future__ import annotations

from typing import Annotated

import typer

from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    LOOK,
    JsonOption,
    RoundArgument,
    StoreArgument,
    TreeOption,
    app,
    put,
)


@app.command(rich_help_panel=LOOK)
def space(
    store: StoreArgument,
    which: RoundArgument,
    code: Annotated[bool, typer.Option("--code", help="As Python for Optuna, to be pasted.")] = False,
    proposed: Annotated[
        bool, typer.Option("--proposed", help="What was last proposed on it instead.")
    ] = False,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the space of a round, or write it as code for Optuna."""
    from refine.errors import ReviewError

    with opened(store, name) as tree:
        found = tree[which]
        shown = found.space
        if proposed:
            kept = found._proposals
            if not kept:
                raise ReviewError(
                    f"round {found.id}: nothing was proposed on it yet; refine propose makes a proposal"
                )
            shown = kept[-1].space
        if code:
            if as_json:
                raise ReviewError("--code writes Python and --json writes JSON; leave one of them out")
            typer.echo(shown.to_code(), nl=False)
        else:
            put(shown, as_json)
