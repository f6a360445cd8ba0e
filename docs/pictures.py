"""Makes the figures of the pages from the recorded study in docs/data, in seconds.

    python docs/pictures.py
    python docs/pictures.py --four-rounds four-rounds-output/four_rounds.db

The second also remakes what comes from the store that ``examples/four_rounds.py`` writes: docs/four-rounds.md with its
figures, docs/data/breast_cancer.csv, and the training curves of its third round. ``make bench-proposals`` makes the
figures of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from rich.console import Console
from study import DATA

import refine
from refine.report import figures

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
TABLE = DOCS / "data" / "breast_cancer.csv"
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


def terminal(name: str, shown: Any, title: str, width: int = 112) -> None:
    """Writes what a terminal shows as SVG without embedded fonts."""
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(shown)
    text = console.export_svg(title=title, unique_id=name)
    text = re.sub(r"@font-face \{.*?\}", "", text, flags=re.DOTALL)
    text = text.replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")
    (IMAGES / f"{name}.svg").write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")


def gallery(tree: refine.Tree) -> None:
    """One picture of every figure, and the review that the first page shows."""
    first, second = tree["first"], tree["second"]
    review = first.propose(risk=0.05)
    new = review.space
    terminal("review", review, "review = first.propose(risk=0.05); review")

    save("figure-correlation", first.plot.correlation())
    save("figure-parallel", first.plot.parallel(new=new))
    save("figure-density", first.plot.density("lr", new=new["lr"]))
    save("figure-density-2d", first.plot.density_2d("lr", new=new["lr"]))
    save("figure-levels", first.plot.levels("units", new=new["units"]))
    save("figure-close-up", first.plot.close_up("lr", 0.007, 1.2, new=new["lr"]))
    save("figure-isolation", second.plot.isolation("activation"))
    save("figure-pair", first.plot.pair("lr", "units", new=new))
    save("figure-bars", first.plot.bars("lr", "activation", "units"))
    save("figure-edges", first.plot.edges())
    save("figure-failing", first.plot.failing())
    save("figure-cost", first.plot.cost())
    save("figure-gain", second.plot.gain())
    save("figure-best-so-far", first.plot.best_so_far())
    save("figure-edf", second.plot.edf())
    save("figure-curves", first.plot.curves())
    save("figure-tree", tree.plot.tree())
    save("figure-best-by-round", tree.plot.best_so_far())
    save("figure-reliability", tree.plot.reliability())


def experiment() -> None:
    """The figures of the article, from the trials of its first round."""
    frame, space = pd.read_csv(TABLE), refine.Space.from_talos(DICTIONARY)
    reads = {name: frame[name].notna().to_numpy() for name in space}
    filled = frame.fillna({"first_neuron": 4, "shape": "brick"})
    found = refine.analyze(space, filled, value="val_acc", read=reads)
    save("experiment-correlation", figures.correlation(found))
    save("experiment-dropout", figures.density(found, "dropout"))
    save("experiment-dropout-accuracy", figures.density_2d(found, "dropout"))
    save("experiment-lr", figures.close_up(found, "lr", 0.5, 2.3))
    save("experiment-losses", figures.bars(found, "lr", "losses"))
    save("experiment-grid", figures.bars(found, "lr", "losses", "hidden_layers"))
    save("experiment-edges", figures.edges(found))


def four_rounds(store: Path, scratch: Path) -> None:
    """Files made from the finished four rounds: report, table, training curves."""
    copied = scratch / "four_rounds.db"
    shutil.copy(store, copied)
    with refine.Tree("four_rounds", store=copied, create=False) as tree:
        shutil.rmtree(DOCS / "four-rounds", ignore_errors=True)
        tree.report(DOCS, winner="be974bf8902b")
        for path in (DOCS / "four-rounds").glob("*.png"):
            shrink(path)
        save("experiment-curves", tree["8604e888f366"].plot.curves())
        first = tree["f330586ab4cd"].trials
    table = first[[*DICTIONARY, "val_acc", "val_fmeasure", "degenerate", "seconds"]]
    unread = table["hidden_layers"] == 0
    table = table.assign(
        first_neuron=table["first_neuron"].astype("Int64").mask(unread), shape=table["shape"].mask(unread)
    )
    table.round(7).to_csv(TABLE, index=False, lineterminator="\n")


def main(store: Path | None) -> None:
    """All pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if store is not None:
            four_rounds(store, Path(scratch))
        with refine.Tree.load(DATA, store=Path(scratch) / "digits.db") as tree:
            gallery(tree)
    experiment()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--four-rounds", type=Path, help="the store that examples/four_rounds.py writes")
    main(parser.parse_args().four_rounds)
