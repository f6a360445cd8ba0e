"""Ids, cells, seeds and proposals agree on the newest Python and with the oldest packages (`make test`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.elsewhere import missing

HERE = Path(__file__).parent


def said_by(python, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    command = [str(python), "-W", "ignore", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def identities_here():
    return said_by(sys.executable, str(HERE / "identities.py"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "other"),
    [
        (".venv-backends", "import sys; print(sys.version_info[:2] > (3, 11))"),
        (".venv-oldest", "import numpy; print(numpy.__version__ == '2.0.0')"),
    ],
    ids=["newest Python", "oldest packages"],
)
def test_ids_and_proposals_are_the_same(identities_here, folder, other):
    python = HERE.parent / folder / "bin" / "python"
    if not python.exists() or said_by(python, "-c", other).strip() != "True":
        missing(f"{folder}, with another Python or the oldest packages: make {folder}/.ready installs it")
    assert identities_here.count('"proposal": "') == 4
    assert said_by(python, str(HERE / "identities.py")) == identities_here
