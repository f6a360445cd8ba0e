"""Makes the figures of the pages and a sample review page from ``refine.datasets.digits``, in seconds.

    python docs/pictures.py
    python docs/pictures.py --four-rounds four-rounds-output/four_rounds.db

The second command also remakes refine/datasets/breast_cancer.csv.gz from the store of
``examples/four_rounds.py``.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import refine
from refine import datasets
from refine.report import figures
from refine.report.figures.canvas import axes
from refine.report.figures.theme import tone

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
LIVE_PAGE = DOCS / "digits.html"
TABLE = DOCS.parent / "refine" / "datasets" / "breast_cancer.csv.gz"
MOST = 140_000  # bytes of a picture

# The article's dictionary, without its fixed parameters, and with names in place of functions.
DICTIONARY = {
    "lr": (0.5, 5, 10),
    "first_neuron": [4, 8, 16, 32, 64],
    "hidden_layers": [0, 1, 2],
    "batch_size": (2, 30, 10),
    "dropout": (0, 0.5, 5),
    "shape": ["brick", "long_funnel"],
    "optimizer": ["Adam", "Nadam", "RMSprop"],
    "losses": ["log_cosh", "binary_crossentropy"],
    "activation": ["relu", "elu"],
}


def save(name: str, ax: Any) -> None:
    """Writes a figure with as few colours as it needs: half the bytes."""
    path = IMAGES / f"{name}.png"
    figures.save(ax.flat[0] if isinstance(ax, np.ndarray) else ax, path)
    shrink(path)


def shrink(path: Path) -> None:
    """Writes a picture again with 128 colours, and smaller where many lines make it large."""
    with Image.open(path) as picture:
        full = picture.convert("RGB")
    full.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MOST:
        size = (full.width * 2 // 3, full.height * 2 // 3)
        full.resize(size, Image.Resampling.LANCZOS).quantize(48).save(path, optimize=True)


def readme_decision() -> None:
    """Draws the decision of README's ten lines, which the README begins with."""
    code = (DOCS.parent / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    with tempfile.TemporaryDirectory() as folder:
        study: dict[str, Any] = {"__name__": "__main__"}  # the id of the round, as in a script
        exec(code.replace("refine.db", f"{folder}/refine.db").replace("print(review)", ""), study)
        save("figure-decision", study["review"].plot())
        study["tree"].close()


def gallery(tree: refine.Tree) -> None:
    """Draws a picture of every figure."""
    first, second = tree["first"], tree["second"]
    review = first.propose(risk=0.05)
    new = review.space
    readme_decision()
    save("figure-correlation", first.plot.correlation())
    save("figure-density", first.plot.density("lr", new=new["lr"]))
    save("figure-density-2d", first.plot.density_2d("lr", new=new["lr"]))
    save("figure-levels", first.plot.levels("units", new=new["units"]))
    save("figure-isolation", second.plot.isolation("activation"))
    save("figure-pair", first.plot.pair("lr", "units", new=new))
    save("figure-failing", first.plot.failing())
    save("figure-cost", first.plot.cost())
    save("figure-best-so-far", first.plot.best_so_far())
    save("figure-edf", second.plot.edf())
    save("figure-curves", first.plot.curves())
    save("figure-tree", tree.plot.tree())
    save("figure-best-by-round", tree.plot.best_so_far())
    save("figure-reliability", tree.plot.reliability())


def live_page(tree: refine.Tree) -> None:
    """Writes the review page of the study as a file that opens without refine."""
    tree.report(LIVE_PAGE)


def benchmarks() -> None:
    """Pictures of docs/benchmarks.md, from the tables of its data pages."""
    with figures.themed(theme="light", plain=True):
        rows = table("running", "Bookkeeping per trial")
        save("benchmark-bookkeeping", bars([r[0] for r in rows], [float(r[3]) for r in rows], "ms per trial"))
        rows = table("keras", "Keras")
        save(
            "benchmark-keras",
            bars([r[0] for r in rows], [float(r[3]) for r in rows], "times as fast as model.fit"),
        )


def table(page: str, section: str) -> list[list[str]]:
    """Cells of the first table of a section."""
    text = (DOCS / "benchmarks" / f"{page}.md").read_text(encoding="utf-8").split(f"## {section}\n")[1]
    lines = list(
        itertools.takewhile(lambda line: line.startswith("|"), text[text.index("\n|") + 1 :].splitlines())
    )
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def bars(names: list[str], values: list[float], label: str) -> Any:
    """One bar a row, the first of them in colour where it is refine's."""
    ax = axes(None, 0.8 + 0.26 * len(names))
    colours = [tone().blue if "Optuna" not in name else tone().grey for name in names]
    ax.barh(range(len(names)), values, height=0.6, color=colours)
    for row, value in enumerate(values):
        ax.annotate(f"{value:,}", (value, row), (4, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.margins(x=0.12)
    ax.grid(axis="x")
    ax.set_xlabel(label)
    return ax


def four_rounds(store: Path, scratch: Path) -> None:
    """The table of the first of the finished four rounds."""
    copied = scratch / "four_rounds.db"
    shutil.copy(store, copied)
    with refine.Tree("four_rounds", store=copied, create=False) as tree:
        first = tree.rounds[0].trials
    table = first[[*DICTIONARY, "val_acc", "val_fmeasure", "degenerate", "seconds"]]
    unread = table["hidden_layers"] == 0
    table = table.assign(
        first_neuron=table["first_neuron"].astype("Int64").mask(unread), shape=table["shape"].mask(unread)
    )
    TABLE.write_bytes(
        gzip.compress(table.round(7).to_csv(index=False, lineterminator="\n").encode(), 9, mtime=0)
    )


def main(store: Path | None) -> None:
    """All pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if store is not None:
            four_rounds(store, Path(scratch))
        with datasets.digits(Path(scratch) / "digits.db") as tree:
            gallery(tree)
            live_page(tree)
    benchmarks()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--four-rounds", type=Path, help="the store that examples/four_rounds.py writes")
    main(parser.parse_args().four_rounds)
