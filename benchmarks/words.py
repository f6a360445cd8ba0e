"""How much a person reads first: lines, words and numbers of every glance, of reports before their folds, and of the page's first screen.

    python benchmarks/words.py     README's ten lines and a study of three rounds: a minute

The page is left out without Chromium. `tests/report/test_words.py` and `tests/ui/web/test_acting.py` hold :data:`BUDGETS`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import refine
from refine.review.review import advised_outlook
from refine.ui.web.server import Server
from refine.ui.web.session import Session
from refine.utils.display import Shown, to_text

QUIET = refine.Machine(progress=False)

ROOT = Path(__file__).parents[1]
COLUMNS = 80


class Budget(NamedTuple):
    """The most that may be read, at 80 columns."""

    lines: int
    words: int


BUDGETS = {
    "worth": Budget(12, 80),
    "winner": Budget(12, 140),
    "review": Budget(17, 140),
    "options": Budget(17, 140),
    "preview": Budget(15, 140),
    **dict.fromkeys(["calibration", "comparison", "judgement", "optimism"], Budget(15, 140)),
    **dict.fromkeys(["analysis", "checks", "tree"], Budget(20, 140)),
    **dict.fromkeys(["report", "tree's report", "certificate"], Budget(330, 600)),
    "page": Budget(60, 250),
}
SCREEN = (1440, 900)
"""Pixels of the page's first screen."""

# Words that are seen without scrolling, a line for every height at which there are some; what lies under the page's foot isn't.
SEEN = """() => {
  const lines = new Map();
  const see = (element, box, word) => {
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    const top = document.elementFromPoint(x, y);
    if (box.width < 2 || !element.checkVisibility() || !top) return;
    if (Boolean(top.closest(".refine-bar")) !== Boolean(element.closest(".refine-bar"))) return;
    if (getComputedStyle(element).clipPath !== "none") return;
    const line = Math.round(y / 8);
    lines.set(line, [...(lines.get(line) ?? []), word]);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (walker.nextNode()) {
    const node = walker.currentNode;
    for (const { index, 0: word } of node.data.matchAll(/\\S+/g)) {
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      see(node.parentElement, range.getBoundingClientRect(), word);
    }
  }
  for (const field of document.querySelectorAll("input:not([type=range], [type=checkbox]), textarea")) {
    see(field, field.getBoundingClientRect(), field.value || field.placeholder);
  }
  return [...lines].sort(([a], [b]) => a - b).map(([, words]) => words.join(" ")).join("\\n");
}"""


class Count(NamedTuple):
    """What there is to read: lines, words, and the numbers among these."""

    lines: int
    words: int
    numbers: int


def counted(text: str) -> Count:
    """Lines, words and numbers of a text; a word has a letter or a digit."""
    words = [word for word in text.split() if re.search(r"\w", word)]
    return Count(len(text.splitlines()), len(words), sum(bool(re.search(r"\d", word)) for word in words))


def unfolded(markdown: str) -> str:
    """A report before its folds: without what stands in details, and without pictures."""
    text, folds = markdown, 1
    while folds:  # the innermost first
        text, folds = re.subn(r"<details>(?:(?!<details>).)*?</details>", "", text, flags=re.DOTALL)
    return re.sub(r"!\[[^\]]*\]\([^)]*\)|^\|[-| ]+\|$", "", text, flags=re.MULTILINE)


def glances(tree: refine.Tree, found: Any) -> dict[str, Shown]:
    """Everything that is printed of a round, by what it is called in :data:`BUDGETS`."""
    review = found.propose(keep=False)
    shown = {
        "review": review,
        "analysis": review.proposal.analysis,
        "winner": tree.winner(),
        "checks": review.checks(),
        "tree": tree,
        "options": review.options(),
        "calibration": tree.calibration(),
        "comparison": tree.diff(tree.rounds[0], found),
        "judgement": tree.judge("winner", tree.winner().candidates[1].params),
        "preview": review.preview(),
        "optimism": found.optimism(),
    }
    return shown | ({} if advised_outlook(review) is None else {"worth": review.worth()})


def reports_of(tree: refine.Tree, found: Any, folder: Path) -> dict[str, str]:
    """The markdown of every report, by what it is called in :data:`BUDGETS`."""
    paths = {
        "report": found.report(folder),
        "tree's report": tree.report(folder),
        "certificate": tree.winner().report(folder),
    }
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}


def first_screen(found: refine.Round) -> str | None:
    """What is seen of a round's page without scrolling; ``None`` where no browser is installed."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, Server(Session(found)).running() as server:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": SCREEN[0], "height": SCREEN[1]})
        page.goto(server.url)
        tiles = page.locator(".refine-strip dd")
        tiles.first.wait_for(timeout=120_000)  # it waits for an analysis
        seen: str = page.evaluate(SEEN)
        browser.close()
    return seen


def ten_lines(folder: Path) -> refine.Tree:
    """The tree that README's ten lines make."""
    code = re.search(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert code is not None
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        space: dict[str, Any] = {}
        exec(code[1], space)
    tree: refine.Tree = refine.Tree("example", store=folder / "refine.db")
    return tree


def network(params: Mapping[str, Any], trial: Any) -> dict[str, float]:
    """A noisy score of seven parameters, of which four matter and one makes trials fail."""
    lr = np.log10(params["lr"])
    if lr > -0.6:
        raise ValueError("the loss is NaN")
    noise = np.random.default_rng(trial.seed).normal(0, 0.004)
    wide = 0.02 * np.log2(params["units"] / 8) - 0.0001 * params["units"]
    kind = {"adam": 0.0, "nadam": -0.002, "sgd": -0.05, "rmsprop": -0.01}[params["optimizer"]]
    value = float(0.95 - 0.03 * (lr + 2.5) ** 2 + wide + kind - 0.1 * (params["dropout"] - 0.1) ** 2 + noise)
    return {"val_acc": value}


NETWORK = {
    "lr": refine.Float(1e-4, 1.0, levels=9, log=True),
    "units": [8, 16, 32, 64, 128],
    "dropout": (0.0, 0.5, 6),
    "optimizer": ["adam", "nadam", "sgd", "rmsprop"],
    "momentum": (0.0, 0.9, 4),
    "clip": [True, False],
    "epochs": 30,
}


def three_rounds(folder: Path, n: int = 60) -> refine.Tree:
    """A study of three rounds, each accepted as proposed."""
    tree = refine.Tree("network", store=folder / "network.db")
    found = tree.add_round(NETWORK, network, metric="val_acc", n=n, seed=3, note="what matters").run(
        machine=QUIET
    )
    for note in ("narrower", "narrower still"):
        found = found.propose().accept(note, n=n, exploit=0.0).run(machine=QUIET)
    return tree


def main() -> None:
    """Prints a table."""
    os.environ["LOGNAME"] = "ada"
    print(f"{'':24}{'lines':>6}{'words':>7}{'numbers':>9}   budget")
    with tempfile.TemporaryDirectory() as scratch:
        for name, make in {"README's ten lines": ten_lines, "three rounds": three_rounds}.items():
            with make(Path(scratch)) as tree:
                print(name)
                found = tree.rounds[-1]
                texts = {what: to_text(each._page(), COLUMNS) for what, each in glances(tree, found).items()}
                reports = reports_of(tree, found, Path(scratch) / name)
                texts |= {what: unfolded(report) for what, report in reports.items()}
                texts |= {"page": seen} if (seen := first_screen(found)) else {}
                for what, text in texts.items():
                    count, budget = counted(text), BUDGETS[what]
                    over = count.words > budget.words or count.lines > budget.lines
                    most = f"{budget.lines} lines, {budget.words} words{'  OVER' if over else ''}"
                    print(f"  {what:22}{count.lines:>6}{count.words:>7}{count.numbers:>9}   {most}")


if __name__ == "__main__":
    main()
