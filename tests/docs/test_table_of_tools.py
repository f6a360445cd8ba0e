"""README's table "Coming from another tool": each call works after ``import refine`` alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import refine
from refine.ui.cli import app

README = Path(__file__).parents[2] / "README.md"


def named():
    """The code of the table's second column, such as ``refine.optuna.review(study)``."""
    section = README.read_text("utf-8").split("## Coming from another tool")[1].split("\n## ")[0]
    cells = [line.split("|")[2] for line in section.splitlines() if line.startswith("|")]
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


NAMES = [code.partition("(")[0] for code in named() if code.startswith(("refine.", "tree."))]
COMMANDS = [code.split()[1] for code in named() if code.startswith("refine ")]


def test_the_table_names_calls_commands_and_nothing_else():
    assert len(NAMES) >= 6
    assert len(COMMANDS) >= 2
    rest = [code for code in named() if not code.startswith(("refine.", "tree.", "refine "))]
    assert rest in (["--multirun hydra/sweeper=refine", "Trainer"], ["--multirun hydra/sweeper=refine"])
    assert (README.parent / "hydra_plugins" / "refine_sweeper.py").exists()


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.keras if ".keras." in n else pytest.mark.slow) for n in NAMES],
)
def test_a_name_of_the_table_works_after_importing_refine_alone(name):
    code = f"import refine; tree = refine.Tree; print(callable({name}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_table_exists(name):
    import typer

    assert name in typer.main.get_command(app).commands


@pytest.mark.parametrize("name", ["datasets", "integrations", "optuna", "sklearn", "stats", "testing"])
def test_a_module_is_loaded_at_its_first_use(name):
    assert getattr(refine, name).__name__ == f"refine.{name}"
