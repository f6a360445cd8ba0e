"""Commands that import and export: import, load, export, backup."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from refine.errors import AnalysisError, StoreError
from refine.ui.cli.shared import (
    BRING,
    Beside,
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
from refine.ui.cli.spelling import STORE, remember

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
) -> None:
    """Export every round as plain text for git: node.json, trials.csv and a report."""
    if page and (folder or not reports):
        raise StoreError("--page writes one file instead of a bundle; leave --out and --no-reports out")
    if not page and (second_study.other or second_study.other_tree):
        raise StoreError(
            "export writes one tree into the folder of --out: write --out FOLDER; a second study (OTHER, "
            "--other-tree) needs --page"
        )
    with target.tree() as tree, second_study.opened(tree, target.store) as other:
        out.path(
            tree.export_page(page, beside=other) if page else tree.export(folder or "export", reports=reports)
        )


class Origin(StrEnum):
    """The program that made imported runs, if their files do not tell."""

    TALOS = "talos"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Kind and meaning of the imported runs."""

    from_: Origin | None = option("Read SOURCE as a run directory of Talos 2.", "--from")
    journal: bool = option("Read SOURCE as a journal file of Optuna.", "--journal", default=False)
    value: str | None = option("Name the column or result that is the value.")
    minimize: bool | None = option("Prefer smaller, or larger, values.", "--minimize/--maximize")
    parameters: str | None = option("Name the parameters: columns or settings, comma-separated.")
    study: str | None = option("Name the Optuna study; required if the storage holds several.")
    metric: str | None = option("Name the value in the objective of later rounds.")
    space_filling: bool | None = option(
        "Treat runs as drawn at random or on a grid, or as chosen by results; default by a test.",
        "--space-filling/--not-space-filling",
    )

    def kind_of(self, source: str) -> str:
        """The kind of the source. Raises AnalysisError: an option is for another kind."""
        optuna = self.journal or "://" in source
        kind = _TABLE
        if self.from_ is not None:
            kind = _TALOS
        elif optuna:
            kind = _STUDY
        by_name = self.value
        if by_name is not None and by_name.isdecimal():
            by_name = None
        refused = {
            "--minimize": (self.minimize, kind == _STUDY),
            "--parameters": (self.parameters, kind != _TABLE),
            "--metric": (self.metric, kind == _TALOS),
            "--value, unless the number of an objective,": (by_name, kind == _STUDY),
            "--study": (self.study, kind == _TALOS or not optuna),
            "--journal": (self.journal or None, kind == _TALOS),
        }
        for flag, (typed, wrong) in refused.items():
            if wrong and typed is not None:
                fitting = "tables"
                if flag in ("--study", "--journal"):
                    fitting = "Optuna"
                raise AnalysisError(f"{flag} is for {fitting}, but the source is {kind}; leave it out")
        return kind

    def keywords(self, kind: str) -> Keywords:
        """Keywords of the call that imports a source of this kind."""
        keywords: Keywords = {"space_filling": self.space_filling, **direction_of(self.minimize)}
        if kind != _TALOS:
            keywords["metric"] = self.metric
        return keywords


_TALOS = "a run of Talos"
_STUDY = "an Optuna study"
_TABLE = "a table"


@command(BRING, "import")
def import_(
    source: Annotated[
        str,
        Argument(
            metavar="SOURCE",
            help="Import this CSV or Parquet file (one row per run), Optuna storage (URL), or run "
            "directory (--from).",
        ),
    ],
    store: StoreArgument,
    out: Output,
    name: Annotated[
        str | None,
        Option(
            "--tree",
            "-t",
            help="Import into this tree, created if missing; default the name of the store's folder.",
        ),
    ] = None,
    *,
    imported: Imported,
    note: NoteOption = "",
) -> None:
    """Import finished runs as a root round: a CSV or Parquet file, an Optuna study, or a Talos run."""
    from refine.tree.exchange.dataframe import read_table
    from refine.tree.exchange.talos import read_run

    kind = imported.kind_of(source)
    value = imported.value
    InTree(store=store, name=name)
    names = None
    if imported.parameters is not None:
        names = [p.strip() for p in imported.parameters.split(",")]
    keywords = {**imported.keywords(kind), "note": note}
    # Read the source before opening the store: a wrong path leaves no empty store behind.
    frame: Any = None
    if kind == _TALOS:
        frame = read_run(source, value)
    elif kind == _TABLE:
        frame = read_table(source)

    def add(tree: refine.Tree) -> Round:
        if kind == _TALOS:
            return tree.add_talos(source, value=value, **keywords)
        if kind == _STUDY:
            number = None if value is None else int(value)
            return tree.add_study(source, imported.study, value=number, **keywords)
        return tree.add_frame(frame, parameters=names, value=value or "value", **keywords)

    with started(store, name, add) as root:
        out.put(chosen(root))


@command(BRING)
def load(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="Read this folder, which refine export wrote.")],
    store: StoreArgument,
    out: Output,
    name: Annotated[
        str | None, Option("--tree", "-t", help="Name the tree; default its name at the export.")
    ] = None,
) -> None:
    """Load an exported tree into a store."""
    import refine

    remember(STORE, store)
    with refine.Tree.load(folder, store, name) as tree:
        out.put(newest(tree))


@command(BRING)
def backup(
    store: StoreArgument,
    out: Output,
    file: Annotated[Path, Argument(metavar="FILE", help="Write this new file.")],
) -> None:
    """Back up a SQLite store into a file, also while it is written to."""
    from refine.store.store import Store, check_exists

    check_exists(store)
    with closing(Store(store, create=False)) as database:
        database.backup(file)
    out.path(file)
