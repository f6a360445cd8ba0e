"""What goes on with real libraries in .venv-backends; those that `make test` does not install are tried where they are there."""

from pathlib import Path

import pytest

from tests.elsewhere import TESTS, run_there

THERE = Path(__file__).with_name("there_elsewhere.py")
IN_CI = ("optuna_dashboard",)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["optuna_dashboard"])
def test_it_goes_on_there(library):
    run_there(library, *TESTS, f"{THERE}::test_{library}", in_ci=library in IN_CI)
