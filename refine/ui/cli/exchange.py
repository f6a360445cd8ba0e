"""Commands that import and export."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from refine.errors import StoreError
from refine.ui.cli.shared import (
    BRING,
    Beside,
    Given,
    InTree,
    Keywords,
    NoteOption,
    Output,
    StoreArgument,
    chosen,
    command,
    direction_of,
    newest,
    option,
    started,
)
from refine.utils.format import join

if TYPE_CHECKING:
    import refine
    from refine.tree.round import Round


@command(BRING)
def export(
    target: InTree,
    second_study: Beside,
    out: Output,
    folder: Annotated[
        Path | None, Option("--out", "-o", help="Write the bundle into this folder; default export.")
    ] = None,
    reports: Annotated[
        bool,
        Option(
            " /--no-reports",
            show_default=False,
            help="Leave reports out; those of large rounds take memory.",
        ),
    ] = True,
    page: Annotated[
        Path | None,
        Option(help="Write the review page instead: one HTML file that opens offline."),
    ] = None,
    backup: Annotated[
        Path | None,
        Option(help="Copy the whole SQLite store into this new file instead, also during a run."),
    ] = None,
) -> None:
    """Export every round as plain text for git: node.json, trials.csv and a report."""
    from refine.store.store import Store, check_exists

    if backup and (page or folder or not reports or second_study.other or second_study.other_tree):
        raise StoreError(
            "--backup copies the store instead of a tree; leave --page, --out, --no-reports and a second "
            "study out"
        )
    if page and (folder or not reports):
        raise StoreError("--page writes one file instead of a bundle; leave --out and --no-reports out")
    if not page and (second_study.other or second_study.other_tree):
        raise StoreError(
            "export writes one tree into the folder of --out: write --out FOLDER; a second study (OTHER, "
            "--other-tree) needs --page"
        )
    if page and not str(page).endswith(".html"):
        raise StoreError(f"--page writes a file whose name ends in .html, got {page!r}")
    if backup:
        check_exists(target.store)
        with closing(Store(target.store, create=False)) as database:
            database.backup(backup)
        out.path(backup)
        return
    with target.tree() as tree, second_study.opened(tree, target.store) as other:
        out.path(
            tree.report(page, beside=other) if page else tree.export(folder or "export", reports=reports)
        )


@dataclass(frozen=True, kw_only=True)
class Imported(Given):
    """Kind and meaning of the imported runs."""

    value: str | None = option("Name the column or result that is the value.")
    minimize: bool | None = option("Prefer smaller, or larger, values.", "--minimize/--maximize")
    parameters: str | None = option("Name the parameters: columns or settings, comma-separated.")
    study_name: str | None = option("Name the Optuna study; required if the storage holds several.")
    metric: str | None = option("Name the value in the objective of later rounds.")
    space_filling: bool | None = option(
        "Treat runs as drawn at random or on a grid, or as chosen by results; default by a test.",
        "--space-filling/--not-space-filling",
    )

    def keywords(self) -> Keywords:
        """Keywords of the call that imports the source."""
        value: Any = self.value
        if value is not None and value.isdecimal():
            value = int(value)
        names = None
        if self.parameters is not None:
            names = [p.strip() for p in self.parameters.split(",")]
        return {
            "value": value,
            "parameters": names,
            "study_name": self.study_name,
            "metric": self.metric,
            "space_filling": self.space_filling,
            **direction_of(self.minimize),
        }


@command(BRING, "import")
def import_(
    source: Annotated[
        str,
        Argument(
            metavar="SOURCE",
            help="Import this CSV, Parquet or JSON-lines file (one row per run), Optuna storage (URL) or "
            "journal, run directory of Talos, or folder that refine export wrote.",
        ),
    ],
    store: StoreArgument,
    out: Output,
    name: Annotated[
        str | None,
        Option(
            "--tree",
            "-t",
            help="Import into this tree, created if missing; default the name of the store's folder, or of "
            "the exported tree.",
        ),
    ] = None,
    *,
    imported: Imported,
    note: NoteOption = "",
) -> None:
    """Import finished runs as a root round, or an exported tree with all its rounds."""
    import refine
    from refine.tree.exchange.imports import read_runs

    InTree(store=store, name=name)
    if (Path(source) / "tree.json").exists():
        if typed := [f"--{name.replace('_', '-')}" for name in (*imported.options(), *["note"] * bool(note))]:
            raise StoreError(f"{source} is an exported tree and takes only --tree, got {join(typed)}")
        with refine.Tree.load(source, store, name) as loaded:
            out.put(newest(loaded))
        return
    # Read the source before opening the store: a wrong path leaves no empty store behind.
    runs = read_runs(source)

    def add(tree: refine.Tree) -> Round:
        return tree.add_runs(runs, note=note, **imported.keywords())

    with started(store, name, add) as root:
        out.put(chosen(root))
