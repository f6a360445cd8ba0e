"""What the floor exports, what importing it loads, and top sets."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import refine.stats
from refine.errors import AnalysisError
from refine.stats import top_mask

HEAVY = ("scipy.stats", "sklearn", "statsmodels", "tensorflow", "optuna", "matplotlib")


@pytest.mark.slow
def test_importing_costs_numpy_only():
    code = f"import sys, refine.stats; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_everything_exported_exists_is_documented_and_frozen():
    assert list(refine.stats.__all__) == sorted(refine.stats.__all__)
    for name in refine.stats.__all__:
        thing = getattr(refine.stats, name)
        assert thing.__doc__, name
        if dataclasses.is_dataclass(thing):
            assert thing.__dataclass_params__.frozen, name
        elif isinstance(thing, type):
            assert issubclass(thing, tuple), name


def test_top_mask_includes_ties():
    assert top_mask([3, 1, 3, 2, 3], 0.2).tolist() == [True, False, True, False, True]
    assert top_mask(np.arange(30), 0.1).sum() == 3
    assert top_mask([], 0.1).size == 0
    assert top_mask([1, 2], 1.0).all()
    with pytest.raises(AnalysisError, match=r"share: must lie in \(0, 1\], got 0"):
        top_mask([1], 0)
