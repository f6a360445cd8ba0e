"""Random kill -9 of coordinator and workers during a Keras round; ``benchmarks/kills.py`` with fewer kills."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_random_kills_of_a_keras_round_leave_the_table_of_a_calm_one():
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    command = [sys.executable, str(script), "--kills", "2", "--n", "8"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stdout + found.stderr[-4000:]
    assert found.stdout.startswith("2 kills -9: ")
    assert "identical to the undisturbed round: True" in found.stdout
