"""The words of the screens that a study prints, each recorded as a whole in one file.

Numbers are masked. ``REFINE_GOLDEN=1`` writes the file again; read the difference before committing it.
"""

import os
import re
import sys
from pathlib import Path

import pytest

import refine
from refine.utils.display import to_text

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import words

pytestmark = pytest.mark.slow  # a study of two rounds, with simulated rounds

GOLDEN = Path(__file__).parent / "golden" / "screens.txt"


def screens(tree, round_):
    review = round_.propose()
    return {
        "review": review,
        "review.why()": review.why(),
        "review.worth()": review.worth(),
        "review.checks()": review.checks(),
        "review.preview()": review.preview(),
        "review.edit(units=[32, 64, 128]).preview()": review.edit(units=[32, 64, 128]).preview(),
        "tree": tree,
        "tree.ask('dropout <= 0.2')": tree.ask("dropout <= 0.2"),
        "tree.winner()": tree.winner(),
        "tree.winner().why()": tree.winner().why(),
    }


def masked(text):
    """A text without its numbers, ids and durations, and with one space or two between words."""
    text = re.sub(r"(?<!\.)\b(?=\d*[a-f])[0-9a-f]{8}(?:[0-9a-f]{4})?\b", "ID", text)
    text = re.sub(r"(?:about )?(?:under 0\.01 s|\b\d[\d,.]* (?:s|min \d+ s|h \d+ min)\b)", "TIME", text)
    text = re.sub(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?", "0", text)
    text = re.sub("─+", "─", text)
    return re.sub(r" {2,}", "  ", text)


def test_the_words_of_every_screen_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    with refine.Tree("network", store=tmp_path / "network.db") as tree:
        root = tree.add_round(words.NETWORK, words.network, metric="val_acc", n=40, seed=3, budget=200)
        root.run()
        root.propose().accept("narrower", n=30, exploit=0.0).run()
        shown = screens(tree, root)
        text = "".join(
            f"== print({name})\n{masked(to_text(screen._page(), 1000))}\n\n" for name, screen in shown.items()
        )
    if os.environ.get("REFINE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
