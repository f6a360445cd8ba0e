"""What runs in .venv-backends, which has libraries that the tests' own environment has not."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-backends" / "bin" / "python"
TESTS = ("-m", "pytest", "-q", "-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-W", "ignore")
"""Begins the command of tests there."""


def run_there(library: str, *command: str, in_ci: bool = True, **environment: str) -> str:
    """What a command of that Python printed; skips where the library is missing, which it must not be ``in_ci``."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        what = [str(PYTHON), *words]
        return subprocess.run(what, env=given, capture_output=True, text=True, timeout=600, check=False)

    has = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({library!r}) is None)"
    if not PYTHON.exists() or run("-c", has).returncode:
        if in_ci and os.environ.get("CI"):
            pytest.fail(f"CI must have {library}: make backends installs it")
        pytest.skip(f"{library} is not in .venv-backends: make backends")
    done = run(*command)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout
