"""The recorded sessions in the docs are what the program does: each is typed at a real terminal.

``REFINE_GOLDEN=1`` writes them into the pages anew. What must agree are the commands, questions and answers; figures may
differ with the versions of what is installed.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

import pytest
from recorder import Terminal

import refine

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"


def files_of(page: str) -> dict[str, str]:
    """The files that a page tells its reader to write: an HTML comment names each before its fence."""
    text = (DOCS / page).read_text()
    found = re.findall(r"<!-- file: (\S+) -->\n+```\w*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return dict(found)


def compare(page: str, terminal: Terminal) -> None:
    """The session on a page against the one just typed; written anew where that was asked for."""
    path = DOCS / page
    pattern = r"(<!-- session -->\n+```text\n)(.*?)(^```$)"
    text = path.read_text()
    found = re.search(pattern, text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, page
    if os.environ.get("REFINE_GOLDEN"):
        session = terminal.text.rstrip() + "\n"
        path.write_text(text[: found.start(2)] + session + text[found.end(2) :])
        return
    rest, at = squeezed(found[2]), 0
    for line in terminal.said:
        at = rest.find(squeezed(line)[:80], at)
        assert at >= 0, f"{page}: {line!r} is not in the recorded session; REFINE_GOLDEN=1 records it anew"


def squeezed(text: str) -> str:
    """One line, with ids and numbers alike: they may differ with versions."""
    return " ".join(re.sub(r"\b[0-9a-f]{12}\b|\d+(\.\d+)?", "#", text).split())


@pytest.fixture
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Terminal:
    for name, content in files_of(request.param).items():
        (tmp_path / name).write_text(content)
    return Terminal(tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("terminal", ["shell.md"], indirect=True)
def test_a_study_from_the_shell(terminal: Terminal) -> None:
    make = "refine run study.db --space space.toml --objective objective.py:score --n 120 --seed 7 --quiet"
    root = terminal.run(f'{make} --note "first look"')
    root = re.search(r"round ([0-9a-f]{12}) of", root)[1]
    other = Terminal(terminal.folder)  # what the page leaves out
    other.run(f"refine analyze study.db {root}")
    assert "Proposed for the next round:" in terminal.run(f"refine propose study.db {root}")
    other.run(f"refine checks study.db {root}")
    seen = other.run(f"refine preview study.db {root} --edit 'dropout=(0.2, 0.5)'")
    assert "The best trial (value" in seen
    accepted = terminal.run(
        f"refine accept study.db {root} --edit 'dropout=(0, 0.2)' --reject optimizer --note 'low dropout only' --n 60"
    )
    child = re.search(r"round ([0-9a-f]{12}) of", accepted)[1]
    other.run("refine run study.db --workers 2 --quiet")
    terminal.run(f"refine tag study.db {child} paper")
    assert "[paper]" in terminal.run("refine tree study.db")
    other.run(f"refine diff study.db {root} paper")
    other.run("refine calibration study.db")
    assert "10 equal to the bit" in terminal.run("refine replay study.db paper")
    paths = terminal.run("refine report study.db --html --out reports").split()
    assert all((terminal.folder / path).is_file() for path in paths)
    assert len(paths) == 3
    assert "no round or tag 'papr'" in other.run("refine show study.db papr", status=1)
    with refine.Tree("space", terminal.folder / "study.db", create=False) as tree:
        assert [r.id for r in tree.rounds] == [root, child]
        assert tree["paper"].space["dropout"].high == 0.2
    compare("shell.md", terminal)


START = """
import refine
from objective import score

space = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"], "epochs": 150}
with refine.Tree("study", store="study.db") as tree:
    tree.add_round(space, score, n=120, seed=7, note="first look")
"""
SCORE = """
def score(p):
    slow = 0.1 * (p["optimizer"] == "SGD")
    return 1 - 0.02 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"] - slow
"""


@pytest.mark.nightly
def test_a_guided_round(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(START)
    (tmp_path / "objective.py").write_text(SCORE)
    terminal = Terminal(tmp_path)
    terminal.run(
        "python start.py && refine guide study.db --objective objective.py:score --script calls.py",
        ("Which round?", ""),
        ("Run the 120 configurations", "y"),
        ("How many trials at a time?", "2"),
        ("A parameter to look at", "dropout"),
        ("A parameter to look at", ""),
        ("Which risk", ""),
        ("lr: 0.5 to 5 becomes", "a"),
        ("dropout: 0 to 0.5 becomes", "e"),
        ("dropout, now", "0.2, 0"),
        ("dropout, now", "0, 0.2"),
        ("Keep this edit?", "y"),
        ("optimizer: Adam, Nadam, SGD becomes", "r"),
        ("Another parameter to edit", ""),
        ("How many configurations", "30"),
        ("And now", "a"),
        ("Why?", "low dropout only"),
        ("Run the 30 configurations", "y"),
        ("How many trials at a time?", "2"),
    )
    with refine.Tree("study", terminal.folder / "study.db", create=False) as tree:
        root, child = tree.rounds
        assert (root.decisions[0].kind, child.node.note, child.n) == ("edited", "low dropout only", 30)
        assert len(child.trials) == 30
        before = [(r.id, r.n, len(r.trials)) for r in tree.rounds]
    # The script makes the very same calls on a store of its own.
    (terminal.folder / "study.db").rename(terminal.folder / "walked.db")
    for tail in ("-wal", "-shm"):
        (terminal.folder / f"study.db{tail}").unlink(missing_ok=True)
    Terminal(terminal.folder).run("python start.py && PYTHONPATH=. python calls.py")
    with refine.Tree("study", terminal.folder / "study.db", create=False) as tree:
        assert [(r.id, r.n, len(r.trials)) for r in tree.rounds] == before
    with sqlite3.connect(terminal.folder / "walked.db") as connection:
        assert connection.execute("SELECT count(*) FROM decision").fetchone() == (1,)
