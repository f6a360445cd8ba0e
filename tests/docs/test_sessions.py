"""The recorded sessions in the docs are what the program does: each is typed at a real terminal.

``REFINE_GOLDEN=1`` writes them into the pages again. Commands, questions and answers must agree; figures may
differ with the installed versions.
"""

import os
import re
from pathlib import Path

import pytest
from recorder import Terminal

import refine

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"


def files_of(page):
    """The files that a page tells its reader to write: an HTML comment names each before its fence."""
    text = (DOCS / page).read_text()
    files = re.findall(r"<!-- file: (\S+) -->\n+```\w*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return dict(files)


def compare(page, terminal):
    """The session on a page against the one just typed; written anew where that was asked for."""
    path = DOCS / page
    pattern = r"(<!-- session -->\n+```text\n)(.*?)(^```$)"
    text = path.read_text()
    match = re.search(pattern, text, flags=re.MULTILINE | re.DOTALL)
    assert match is not None, page
    if os.environ.get("REFINE_GOLDEN"):
        session = terminal.text.rstrip() + "\n"
        path.write_text(text[: match.start(2)] + session + text[match.end(2) :])
        return
    page_text = squeezed(match[2])
    position = 0
    for line in terminal.said:
        position = page_text.find(squeezed(line)[:80], position)
        assert position >= 0, (
            f"{page}: {line!r} is not in the recorded session; REFINE_GOLDEN=1 records it anew"
        )


def squeezed(text):
    """One line, with ids and numbers alike: they may differ with versions."""
    return " ".join(re.sub(r"\b[0-9a-f]{12}\b|\d+(\.\d+)?", "#", text).split())


@pytest.fixture
def terminal(tmp_path, request):
    folder = tmp_path / "study"  # which names the tree
    folder.mkdir()
    for name, content in files_of(request.param).items():
        (folder / name).write_text(content)
    return Terminal(folder)


@pytest.mark.nightly
@pytest.mark.parametrize("terminal", ["shell.md"], indirect=True)
def test_commands_of_the_shell_page_print_what_it_shows(terminal):
    make = "refine run study.db --space space.toml --objective objective.py:score --n 120"
    make += " --set round.seed=7 --quiet"
    root = terminal.run(f'{make} --set round.note="first look"')
    root = re.search(r"round ([0-9a-f]{12}) of", root)[1]
    assert re.search("^ +refine accept study.db ", terminal.run("refine propose study.db"), re.MULTILINE)
    accepted = terminal.run(
        "refine accept study.db --edit 'dropout=(0, 0.2)' --reject optimizer --note 'low dropout only' --n 60"
    )
    child = re.search(r"round ([0-9a-f]{12}) of", accepted)[1]
    other = Terminal(terminal.folder)  # what the page leaves out
    other.run("refine run study.db --objective objective.py:score --workers 2 --quiet")
    terminal.run(f"refine tag study.db {child} paper")
    assert "[paper]" in terminal.run("refine show study.db")
    replayed = terminal.run("refine replay study.db paper --objective objective.py:score")
    assert "10 equal" in replayed
    paths = terminal.run("refine report study.db --html --out reports").split()
    assert all((terminal.folder / path).is_file() for path in paths)
    assert len(paths) == 3
    assert "'papr'" in other.run("refine show study.db papr", status=1)
    with refine.Tree("study", terminal.folder / "study.db", create=False) as tree:
        assert [r.id for r in tree.rounds] == [root, child]
        assert tree["paper"].space["dropout"].high == 0.2
    compare("shell.md", terminal)
