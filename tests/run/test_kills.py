"""Faults at random, as ``make chaos`` makes them for twenty minutes: after a few of them every table is that of calm rounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


def _chaos(*options):
    found = subprocess.run(
        [sys.executable, str(CHAOS), *options], capture_output=True, text=True, timeout=600, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr[-4000:]
    assert "identical to undisturbed rounds: True" in found.stdout
    return found.stdout


def test_random_kills_of_a_keras_round_leave_the_table_of_a_calm_one():
    options = ["--store", "sqlite", "--objective", "keras", "--faults", "kill", "--events", "2", "--n", "8"]
    assert _chaos(*options).startswith("2 faults ")


def test_kills_stops_and_restarts_of_all_leave_the_tables_of_calm_rounds(postgresql):
    assert _chaos("--events", "6", "--rounds", "2", "--n", "15", "--seed", "3").startswith("6 faults ")
