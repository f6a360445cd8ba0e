"""Commands that bring and take: import, load, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refine.ui.cli.opening import opened
from refine.ui.cli.shared import (
    BRING,
    JsonOption,
    NoteOption,
    StoreArgument,
    TreeOption,
    app,
    put,
    put_path,
    typed,
)


@app.command(rich_help_panel=BRING)
def export(
    store: StoreArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the bundle.")] = Path("export"),
    safe_csv: Annotated[
        bool,
        typer.Option(
            "--safe-csv", help="No formulas in trials.csv: an apostrophe before texts such as =1+1."
        ),
    ] = False,
    reports: Annotated[
        bool,
        typer.Option(" /--no-reports", help="Leave reports out, which take memory where rounds are large."),
    ] = True,
    name: TreeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every round as plain text for git: node.json, trials.csv and its report."""
    with opened(store, name) as found:
        put_path(found.export(out, safe_csv=safe_csv, reports=reports), as_json)


@app.command("import", rich_help_panel=BRING)
def import_(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="CSV file with one row per run, or URL of an Optuna storage."),
    ],
    store: StoreArgument,
    name: Annotated[str, typer.Option("--tree", "-t", help="Name of the tree; made if need be.")],
    value: Annotated[str | None, typer.Option(help="CSV: column of the value.")] = None,
    minimize: Annotated[
        bool | None,
        typer.Option("--minimize/--maximize", help="CSV: smaller, or larger, values are better."),
    ] = None,
    parameters: Annotated[
        str | None, typer.Option(help="CSV: columns that are parameters, with commas between.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="URL: name of the study, where there are several.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="How the objective of later rounds calls the value.")
    ] = None,
    space_filling: Annotated[
        bool | None,
        typer.Option(
            "--space-filling/--not-space-filling",
            help="Whether runs were drawn at random or on a grid; default unknown.",
        ),
    ] = None,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Add finished runs of a CSV file, or an Optuna study, as a root round."""
    import refine
    from refine.errors import AnalysisError

    url = "://" in source
    csv_only = {"--value": value, "--minimize": minimize, "--parameters": parameters}
    wrong = [k for k, v in (csv_only if url else {"--study": study}).items() if v is not None]
    if wrong:
        kind, other = ("an Optuna storage", "CSV files") if url else ("a CSV file", "Optuna storages")
        raise AnalysisError(f"{wrong[0]} is for {other}, but the source is {kind}; leave it out")
    if url:
        with refine.Tree(name, store) as tree:
            found = tree.add_study(source, study, metric=metric, space_filling=space_filling, note=note)
            put(found, as_json, typed(store, "propose", found))
        return
    from refine.tree.exchange.dataframe import read_table
    from refine.trials.goal import ASK

    frame = read_table(source)  # before the store, so that a wrong path leaves no empty one behind
    with refine.Tree(name, store) as tree:
        found = tree.add_frame(
            frame,
            parameters=None if parameters is None else [p.strip() for p in parameters.split(",")],
            value="value" if value is None else value,
            metric=metric,
            direction=ASK if minimize is None else "minimize" if minimize else "maximize",
            space_filling=space_filling,
            note=note,
        )
        put(found, as_json, typed(store, "propose", found))


@app.command(rich_help_panel=BRING)
def load(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What refine export wrote.")],
    store: StoreArgument,
    name: Annotated[
        str | None, typer.Option("--tree", "-t", help="Name of the tree; default as it was called.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read an exported tree into a store."""
    import refine

    with refine.Tree.load(folder, store, name) as found:
        put(found, as_json)
