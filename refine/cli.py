"""The command line: thin, over the same calls as in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import refine
from refine.errors import NotFound, RefineError


class _Commands(TyperGroup):
    """Errors of refine and of the file system are one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of our output went away, which is no error of ours
        except (RefineError, OSError) as error:
            typer.echo(f"error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Commands,
    help="Look into a store of refinement trees, and bring finished runs into it.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StoreArgument = Annotated[
    str, typer.Argument(metavar="STORE", help="URL of a store, or path of a SQLite file.")
]
_ROUND_HELP = "Id of a round, the beginning of one, or a tag."
RoundArgument = Annotated[str, typer.Argument(metavar="ROUND", help=_ROUND_HELP)]
OtherArgument = Annotated[str, typer.Argument(metavar="OTHER", help=_ROUND_HELP)]
TreeOption = Annotated[
    str | None, typer.Option("--tree", "-t", help="Name of the tree, where there are several.")
]


def _open(store: str, name: str | None) -> refine.Tree:
    from refine.store import Store, _url

    url = _url(store)
    file = url.database if url.get_backend_name() == "sqlite" else None
    # Opening creates; who only looks must not leave an empty store behind.
    if file is not None and not Path(file).is_file():
        raise NotFound(f"store {store}: no such file; give the path or URL of a store that exists")
    if name is None:
        database = Store(store)
        names, shown = database.trees(), database.name
        database.close()
        if len(names) != 1:
            known = ", ".join(names) or "none"
            raise NotFound(f"store {shown}: holds {len(names)} trees ({known}); name one with --tree")
        name = names[0]
    return refine.Tree(name, store, create=False)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(refine.__version__)
        raise typer.Exit


@app.command()
def tree(store: StoreArgument, name: TreeOption = None) -> None:
    """Print the tree with best values and decisions."""
    with _open(store, name) as opened:
        _print(str(opened))


@app.command()
def show(store: StoreArgument, which: RoundArgument, name: TreeOption = None) -> None:
    """Print a round: space, states, best permutation, and what mattered."""
    from refine.errors import AnalysisError

    with _open(store, name) as opened:
        found = opened[which]
        _print(str(found))
        if found.best is not None:
            varied = [*found.space.varied, "value", "seconds"]
            _print("\nbest permutation\n" + found.best[varied].to_string())
        try:
            _print("\n" + str(found.analyze()))
        except AnalysisError as error:
            _print(f"\nno analysis: {error}")


@app.command()
def report(
    store: StoreArgument,
    which: Annotated[
        str | None, typer.Argument(metavar="ROUND", help="Id or tag of a round; default every round.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for markdown and figures.")] = Path(
        "reports"
    ),
    name: TreeOption = None,
) -> None:
    """Write a round, or every round, as markdown with figures."""
    with _open(store, name) as opened:
        for found in opened.rounds if which is None else (opened[which],):
            _print(str(found.report(out)))


@app.command()
def diff(store: StoreArgument, first: RoundArgument, second: OtherArgument, name: TreeOption = None) -> None:
    """Print what differs between two rounds."""
    with _open(store, name) as opened:
        _print(str(opened.diff(first, second)))


@app.command()
def ledger(store: StoreArgument, name: TreeOption = None) -> None:
    """Print what proposals forecast, what their children showed, and what was refuted."""
    with _open(store, name) as opened:
        _print(str(opened.ledger()))


@app.command()
def export(
    store: StoreArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the bundle.")] = Path("export"),
    name: TreeOption = None,
) -> None:
    """Write every round as plain text for git: node.json, trials.csv and its report."""
    with _open(store, name) as opened:
        _print(str(opened.export(out)))


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="CSV file with one row per run, or URL of an Optuna storage."),
    ],
    store: StoreArgument,
    name: Annotated[str, typer.Option("--tree", "-t", help="Name of the tree; made if need be.")],
    value: Annotated[str | None, typer.Option(help="CSV: column of the value.")] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="CSV: smaller values are better.")] = False,
    parameters: Annotated[
        str | None, typer.Option(help="CSV: columns that are parameters, with commas between.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="URL: name of the study, where there are several.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="How the objective of later rounds calls the value.")
    ] = None,
    even: Annotated[
        bool | None,
        typer.Option(
            "--even/--not-even", help="Whether runs were drawn at random or on a grid; default unknown."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Add finished runs of a CSV file, or an Optuna study, as a root round."""
    from refine.errors import AnalysisError

    url = "://" in source
    csv_only = {"--value": value, "--minimize": minimize or None, "--parameters": parameters}
    wrong = [k for k, v in (csv_only if url else {"--study": study}).items() if v is not None]
    if wrong:
        kind, other = ("an Optuna storage", "CSV files") if url else ("a CSV file", "Optuna storages")
        raise AnalysisError(f"{wrong[0]} is for {other}, but the source is {kind}; leave it out")
    if url:
        with refine.Tree(name, store) as opened:
            found = opened.add_study(source, study, metric=metric, even=even, note=note)
            _print(str(found))
        return
    from refine.frame_import import read_table

    frame = read_table(source)  # before the store, so that a wrong path leaves no empty one behind
    with refine.Tree(name, store) as opened:
        found = opened.add_frame(
            frame,
            parameters=None if parameters is None else [p.strip() for p in parameters.split(",")],
            value="value" if value is None else value,
            metric=metric,
            direction="minimize" if minimize else "maximize",
            even=even,
            note=note,
        )
        _print(str(found))


@app.command()
def load(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What refine export wrote.")],
    store: StoreArgument,
    name: Annotated[
        str | None, typer.Option("--tree", "-t", help="Name of the tree; default as it was called.")
    ] = None,
) -> None:
    """Read an exported tree into a store."""
    with refine.Tree.load(folder, store, name) as opened:
        _print(str(opened))


def _print(text: str) -> None:
    from rich.console import Console

    # Values come from people and objectives: nothing in them is markup, and tables keep their lines.
    Console(soft_wrap=True, highlight=False, markup=False, emoji=False).print(text)


def main() -> None:
    """The console script."""
    app()
