"""What the shell suggests runs as it stands: real stores, ids and edits."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import refine
from refine.ui.cli import app


def objective(p):
    return 1 - 0.1 * (p["lr"] - 2) ** 2 - 0.2 * (p["optimizer"] == "SGD")


def typed(line: str) -> str:
    found = CliRunner().invoke(app, shlex.split(line)[1:])
    assert found.exit_code == 0, f"{line}\n{found.output}"
    return found.stdout


def suggested(output: str) -> list[str]:
    return re.findall(r"^  (refine .*)$", output, flags=re.MULTILINE)


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = tmp_path / "a store's.db"  # needs quotes
    space = {"lr": (0.5, 5.0, 19), "optimizer": ["Adam", "Nadam, fast", "SGD"], "epochs": 150}
    with refine.Tree("fruit", store=path) as tree:
        tree.add_round(space, objective, n=40, seed=3).run(progress=False)
    with refine.Tree("other", store=path) as tree:
        tree.add_round({"x": (0.0, 1.0)}, objective, n=4)
    return shlex.quote(str(path))


@pytest.mark.slow
def test_what_is_suggested_runs_as_it_stands(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refine.ui.cli.shared.objective_for", lambda *_: {"objective": objective})
    done, todo = set(), [f"refine tree {store} --tree fruit"]
    while todo:
        line = todo.pop(0)
        command = line.split()[1]
        if command in done:  # one of each is enough, in the order in which they are suggested
            continue
        done.add(command)
        todo += suggested(typed(line))
    assert {"show", "analyze", "propose", "checks", "preview", "accept", "run"} <= done
    (after,) = suggested(typed(f"refine decline {store} root --tree fruit"))
    assert after.startswith(f"refine branch {store} ")
    assert "--edit" in after
    typed(after)
    with refine.Tree("fruit", store=shlex.split(store)[0], create=False) as tree:
        assert len(tree) == 3


@pytest.mark.slow
def test_an_error_suggests_what_runs(store: str) -> None:
    found = CliRunner().invoke(app, shlex.split(f"accept {store} last --tree fruit"))
    assert found.exit_code == 1
    after = re.search(r"look first: (refine propose .*)$", found.stderr.strip())[1]
    assert "STORE" not in after
    assert "Proposed for the next round:" in typed(after)


def test_a_command_is_never_broken(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a narrow terminal, and in a list."""
    from refine.utils.display import Cell, Items, Page, Text, to_rich, to_text

    long = "refine accept " + "x" * 200 + " --n 5"
    page = Page(
        "t", (Text("said. " * 20, call=long), Items(("one", Cell("two", call=long), "three"))), (long,)
    )
    assert to_text(page, 60).splitlines().count(f"  {long}") == 3
    from rich.console import Console

    console = Console(width=60, record=True, file=io.StringIO())
    console.print(to_rich(page), crop=False)
    assert console.export_text().splitlines().count(f"  {long}") == 3
