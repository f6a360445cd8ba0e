"""The command line, a thin layer over the calls of Python."""

from __future__ import annotations

from typing import Annotated

import typer

# A module's commands are registered when it is imported; the order is that of the help.
from refine.ui.cli import running, viewing, deciding, asking, exchange, doctor  # noqa: F401  # isort: skip
from refine._version import VERSION
from refine.ui.cli.shared import app

__all__ = ["app", "main"]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(VERSION)
        raise typer.Exit


def main() -> None:
    """The console script."""
    app()
