"""How large the house may be: what comes in makes room for itself."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LINES = {"refine": 54_000, "tests": 30_000, "benchmarks": 4_000, "docs/*.md": 5_500}
"""Files that git has -> their lines, all counted."""
CODE = 30_000
"""Lines of refine/ without docstrings, comments and blank ones."""


def files_of(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", pattern], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def code_lines(source: str) -> int:
    """Lines of a module as Python itself writes it, so whatever its format: no docstrings, comments or blank lines."""
    module = ast.parse(source)
    for node in ast.walk(module):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return len([line for line in ast.unparse(module).splitlines() if line])


def test_what_is_code():
    source = '"""One."""\n\n# Two.\ndef f(x):  # three\n    """Four.\n\n    Five."""\n    return (\n        x\n    )\n'
    assert code_lines(source) == 2


@pytest.mark.parametrize("pattern", LINES)
def test_a_folder_keeps_its_budget(pattern):
    counted = {path: path.read_bytes().count(b"\n") for path in files_of(pattern)}
    assert len(counted) > 10
    largest = sorted(counted, key=counted.__getitem__)[-5:]
    assert sum(counted.values()) <= LINES[pattern], (
        f"{pattern}: {sum(counted.values()):,} lines; the largest are {largest}"
    )


@pytest.mark.slow
def test_the_code_keeps_its_budget():
    counted = sum(code_lines(path.read_text("utf-8")) for path in files_of("refine/*.py"))
    assert 20_000 < counted <= CODE, f"{counted:,} lines of code"
