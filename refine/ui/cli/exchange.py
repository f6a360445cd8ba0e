"""Commands that bring and take: import, load, export, merge."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from refine.ui.cli.spelling import in_shell
from refine.utils.action import Action

if TYPE_CHECKING:
    import refine


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


class Kind(StrEnum):
    """Tools whose runs can be read."""

    WANDB = "wandb"
    MLFLOW = "mlflow"
    OPTUNA = "optuna"
    TENSORBOARD = "tensorboard"
    KERASTUNER = "kerastuner"
    RAYTUNE = "raytune"


@app.command("import", rich_help_panel=BRING)
def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="CSV file with one row per run, URL of an Optuna storage, or with --from what that tool wrote.",
        ),
    ],
    store: StoreArgument,
    name: Annotated[str, typer.Option("--tree", "-t", help="Name of the tree; made if need be.")],
    kind: Annotated[
        Kind | None,
        typer.Option("--from", help="Whose runs SOURCE holds; default a plain table, or Optuna's URL."),
    ] = None,
    value: Annotated[str | None, typer.Option(help="Column or result that is the value.")] = None,
    minimize: Annotated[
        bool | None,
        typer.Option("--minimize/--maximize", help="Whether smaller, or larger, values are better."),
    ] = None,
    parameters: Annotated[
        str | None, typer.Option(help="Columns or settings that are parameters, with commas between.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Optuna: name of the study, where there are several.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="MLflow: name of the experiment, where there are several.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="How the objective of later rounds calls the value.")
    ] = None,
    space_filling: Annotated[
        bool | None,
        typer.Option(
            "--space-filling/--not-space-filling",
            help="Whether runs were drawn at random or on a grid; default found out.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --from: say what is read, and add nothing.")
    ] = False,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Add finished runs of a CSV file, of an Optuna study or of another tool as a root round."""
    import refine
    from refine.trials.goal import ASK

    _check_options(source, kind, value, minimize, parameters, study, experiment, dry_run)
    names = None if parameters is None else [p.strip() for p in parameters.split(",")]
    direction = ASK if minimize is None else "minimize" if minimize else "maximize"
    optuna = kind is Kind.OPTUNA or (kind is None and "://" in source)
    if (
        kind is not None and not optuna
    ):  # read before the store is opened, so that a wrong path leaves no empty one behind
        runs = refine.Tree.read_runs(source, kind.value, experiment=experiment, parameters=names, value=value)
        if dry_run or not as_json:
            put(runs, as_json)
        if dry_run:
            return
        runs = runs.judged_by(value)
        with refine.Tree(name, store) as tree:
            found = tree.add_runs(
                runs, metric=metric, direction=direction, space_filling=space_filling, note=note
            )
            put(found, as_json, typed(store, "propose", found))
        return
    if optuna:
        with refine.Tree(name, store) as tree:
            number = None if value is None else int(value)
            found = tree.add_study(
                source, study, value=number, metric=metric, space_filling=space_filling, note=note
            )
            put(found, as_json, typed(store, "propose", found))
        return
    from refine.tree.exchange.dataframe import read_table

    frame = read_table(source)  # before the store, so that a wrong path leaves no empty one behind
    with refine.Tree(name, store) as tree:
        found = tree.add_frame(
            frame,
            parameters=names,
            value="value" if value is None else value,
            metric=metric,
            direction=direction,
            space_filling=space_filling,
            note=note,
        )
        put(found, as_json, typed(store, "propose", found))


def _check_options(
    source: str,
    kind: Kind | None,
    value: str | None,
    minimize: bool | None,
    parameters: str | None,
    study: str | None,
    experiment: str | None,
    dry_run: bool,
) -> None:
    """Refuses an option that the source has no use for.

    Raises:
        AnalysisError: One was given.
    """
    from refine.errors import AnalysisError

    optuna = kind is Kind.OPTUNA or (kind is None and "://" in source)
    whose = "an Optuna study" if optuna else "a CSV file" if kind is None else f"{kind.value}'s"
    number = value is None or value.isdecimal()
    only = {
        "--study": (study, optuna, "Optuna"),
        "--experiment": (experiment, kind is Kind.MLFLOW, "MLflow"),
        "--dry-run": (dry_run or None, kind is not None and not optuna, "the other tools of --from"),
        "--minimize": (minimize, not optuna, "tables and the other tools"),
        "--parameters": (parameters, not optuna, "tables and the other tools"),
        "--value, unless the number of an objective,": (
            value,
            not optuna or number,
            "tables and the other tools",
        ),
    }
    for option, (given, fits, what) in only.items():
        if given is not None and not fits:
            raise AnalysisError(f"{option} is for {what}, but the source is {whose}; leave it out")


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


@app.command(rich_help_panel=BRING)
def merge(
    store: StoreArgument,
    other: Annotated[
        str, typer.Argument(metavar="OTHER", help="Another store, or a folder that refine export wrote.")
    ],
    name: TreeOption = None,
    other_tree: Annotated[
        str | None,
        typer.Option(
            "--other-tree", help="Name of the tree in OTHER; default the same name, or the only one."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come of it; write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add what another tree, or an exported one, has and this one lacks."""
    import shlex

    from refine.errors import StoreError

    with opened(store, name) as found:
        if Path(other).is_dir():
            if other_tree is not None:
                raise StoreError("--other-tree names a tree of a store, but OTHER is a folder; leave it out")
            merged = found.merge(other, dry_run=dry_run)
        else:
            with _other(other, other_tree, found.name) as theirs:
                merged = found.merge(theirs, dry_run=dry_run)
        words = ["refine", "merge", store, other, *(["--tree", name] if name else [])]
        words += ["--other-tree", other_tree] if other_tree else []
        after = shlex.join(words) if dry_run else in_shell(Action("tree"))
        put(merged, as_json, after)


def _other(store: str, name: str | None, like: str) -> refine.Tree:
    """The tree of another store: that of a name, else the one that is called as ours, else the only one."""
    from refine.store.store import Store
    from refine.store.trees import check_exists

    if name is None:
        check_exists(store)
        database = Store(store)
        try:
            name = like if like in database.trees() else None
        finally:
            database.close()
    return opened(store, name)
