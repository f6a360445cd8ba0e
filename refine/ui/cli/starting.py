"""Commands of the first minutes: init writes files that run, demo shows a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refine.ui.cli.shared import RUN, app

_FILES = ("space.toml", "objective.py")


@app.command(rich_help_panel=RUN)
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where; made if need be.")] = Path(),
) -> None:
    """Write space.toml and objective.py that run, to put your own in their place."""
    from importlib import resources

    from refine.errors import StoreError

    if there := [name for name in _FILES if (folder / name).exists()]:
        raise StoreError(
            f"{folder / there[0]} is there already, and is left as it is; init another folder: refine init study"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        (folder / name).write_text(
            resources.files("refine.ui.starter").joinpath(name).read_text("utf-8"), "utf-8"
        )
        typer.echo(str(folder / name))
    at = "" if folder == Path() else f"cd {folder} && "
    typer.echo(
        f"\n{at}refine run study.db --space space.toml --objective objective.py:score --metric val_acc -n 60"
    )


@app.command(rich_help_panel=RUN)
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the store and the picture.")] = Path(
        "refine-demo"
    ),
) -> None:
    """Run two rounds on a packaged objective, with the decision between them; half a minute, without TensorFlow."""
    from importlib import resources

    import refine
    from refine.space.files import read_space
    from refine.ui.starter.objective import score
    from refine.ui.story import two_rounds

    out.mkdir(parents=True, exist_ok=True)
    with (
        resources.as_file(resources.files("refine.ui.starter") / "space.toml") as space,
        refine.Tree("demo", out / "refine.db") as tree,
    ):
        root = tree.add_round(read_space(str(space)), score, metric="val_acc", n=80)
        two_rounds(tree, root, out, 40)
