"""Integrations with real libraries in .venv-backends; libraries outside `make test` run only if installed."""

from pathlib import Path

import pytest

from nightly import nightly
from tests.elsewhere import TESTS, run_there

THERE = Path(__file__).with_name("there_elsewhere.py")
BIG = [nightly(library) for library in ("lightning", "transformers")]
"""PyTorch is large: `make backends BACKENDS='jax torch lightning transformers accelerate'`."""


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("library", ["optuna_dashboard", "keras", *BIG])
def test_studies_of_other_libraries_continue_there(library):
    small = library in ("optuna_dashboard", "keras")
    run_there(library, *TESTS, f"{THERE}::test_{library}", in_ci=small, KERAS_BACKEND="jax")
