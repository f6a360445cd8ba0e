"""A shell for these tests: the first word of a call may be a whole line, the others stand as they are."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from refine.ui.cli import app

REFINE = Path(sys.executable).with_name("refine")


def words(line, *arguments):
    return [*shlex.split(line), *map(str, arguments)]


def run(line, *arguments, typed=None):
    return CliRunner().invoke(app, words(line, *arguments), input=typed)


def good(line, *arguments):
    result = run(line, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def data(line, *arguments):
    return json.loads(good(line, *arguments, "--json"))


def refused(line, *arguments):
    """The error, which is one line."""
    result = run(line, *arguments)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").rstrip("\n")


def process(folder, line, *arguments, **options):
    """The same by the installed script."""
    options = {"capture_output": True, "text": True, "timeout": 300, "check": False, **options}
    return subprocess.run([str(REFINE), *words(line, *arguments)], cwd=folder, **options)
