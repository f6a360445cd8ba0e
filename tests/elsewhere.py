"""Optional libraries, and runs in .venv-backends, which has libraries that the tests' environment lacks."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-backends" / "bin" / "python"
TESTS = ("-m", "pytest", "-q", "-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-W", "ignore")
"""Begins the command of tests there."""
RAY = pytest.param("Ray", marks=pytest.mark.elsewhere)
"""A case that needs Ray, which only .venv-backends has."""


def missing(need):
    """Skips a test whose machine lacks what it needs; CI must have it."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {need}")
    pytest.skip(f"needs {need}")


def library(name, environment=""):
    """Imports a module that CI must have, everywhere or in one environment; elsewhere a test is skipped."""
    if os.environ.get("CI") and sys.prefix.endswith(environment):
        return importlib.import_module(name)
    return pytest.importorskip(name)


def run_there(package, *command, in_ci=True, **environment):
    """Output of a command of that Python; skips if the package is missing, which fails if ``in_ci``."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}

    def run(*words):
        command = [str(PYTHON), *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600, check=False)

    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    if not PYTHON.exists() or run("-c", probe).returncode:
        if in_ci:
            missing(f"{package} in .venv-backends: make backends installs it")
        pytest.skip(f"{package} is not in .venv-backends: make backends BACKENDS='jax {package}'")
    done = run(*command)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout
