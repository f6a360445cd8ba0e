"""The best of fewer trials against brute force and closed forms."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine.errors import AnalysisError
from refine.stats import expected_best


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(some.lists(some.floats(-5, 5), min_size=1, max_size=9), some.data())
def test_the_mean_is_over_all_subsets(y, data):
    m = data.draw(some.integers(1, len(y)))
    subsets = [max(part) for part in combinations(y, m)]
    assert expected_best(y, m) == pytest.approx(np.mean(subsets), abs=1e-12)


def test_one_is_the_mean_and_all_is_the_best():
    y = np.random.default_rng(0).normal(size=500)
    assert expected_best(y, 1) == pytest.approx(y.mean())
    assert expected_best(y, 500) == y.max()
    # The best of m of the numbers 1 to n is m (n + 1) / (m + 1) on average.
    assert expected_best(np.arange(1, 100_001), 20) == pytest.approx(20 * 100_001 / 21)


def test_it_is_unbiased():
    rng = np.random.default_rng(1)
    found = [expected_best(rng.random(12), 5) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(5 / 6, abs=0.004)


def test_refusals():
    with pytest.raises(AnalysisError, match="m: must be <= the number of trials, got the best of 4 of 3"):
        expected_best([1, 2, 3], 4)
    with pytest.raises(AnalysisError, match="m: must be a whole number >= 1, got 0"):
        expected_best([1], 0)
    with pytest.raises(AnalysisError, match="every value must be finite"):
        expected_best([1, np.nan], 1)
