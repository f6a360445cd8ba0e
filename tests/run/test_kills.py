"""Random faults, as in the 20 minutes of ``make chaos``: every table equals that of a calm round."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


def _chaos(options):
    words = [sys.executable, str(CHAOS), *options.split()]
    process = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert process.returncode == 0, process.stdout + process.stderr[-4000:]
    assert "undisturbed rounds: True" in process.stdout
    return process.stdout


def test_programs_end_with_their_round_while_a_page_and_an_assistant_are_at_work():
    options = "--store sqlite --objective command --beside page assistant --events 3 --n 12"
    assert _chaos(options).startswith("3 faults ")


def test_kills_stops_and_restarts_of_all_leave_the_tables_of_calm_rounds(postgresql):
    assert _chaos("--events 6 --rounds 2 --n 15 --seed 3").startswith("6 faults ")
