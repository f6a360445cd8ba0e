"""Joint p-values keep their level, and looking again is paid for."""

from __future__ import annotations

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats.detection import cauchy_p, distinct, joined, looks_spent, stage_of


def test_one_p_value_is_itself():
    for p in (1e-12, 0.003, 0.4, 0.98):
        assert cauchy_p([p]) == pytest.approx(p, rel=1e-6)
        assert cauchy_p([p, p, p]) == pytest.approx(p, rel=1e-6)


@pytest.mark.slow
def test_the_level_holds_for_dependent_tests():
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    for correlation in (0.0, 0.5, 0.95):
        common = rng.normal(size=(20000, 1))
        z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(20000, 3))
        p = 2 * norm.sf(np.abs(z))
        joint = np.array([cauchy_p(row, [0.25, 0.25, 0.5]) for row in p])
        for level in (0.01, 0.05):
            assert np.mean(joint <= level) < 1.15 * level + 0.003


def test_one_small_p_value_is_enough_and_a_large_one_is_no_veto():
    assert cauchy_p([1e-6, 0.5, 0.5]) < 1e-5
    assert cauchy_p([1e-6, 1.0, 0.9]) < 1e-5
    assert cauchy_p([0.0, 0.3]) < 1e-12


def test_three_tests_of_a_parameter():
    found = joined(0.04, 0.03, 0.02)
    assert found.p < 3 * 0.02
    assert found.seen_by == "additive"
    assert joined(0.2, 0.01, 0.5).seen_by == "trend"
    # A test that was not made has no say.
    assert joined(0.02, 0.02, 1.0).p == joined(0.02, 0.02).p == pytest.approx(0.02)


def test_looks():
    assert [looks_spent(k) for k in (1, 2, 3)] == [1, 3, 6]
    assert stage_of([60], 60) == stage_of([60], 58) == stage_of([60, 70, 78], 78) == 1
    assert stage_of([60, 120], 120) == 2
    assert stage_of(range(30, 301, 30), 300) == 6
    # Before a plan's end every look costs more than the end does; after an earlier one's no more than that.
    assert [stage_of([300], n) for n in (250, 150, 60, 30)] == [3, 3, 5, 6]
    assert [stage_of([30, 300], n) for n in (30, 31, 60, 300)] == [1, 1, 6, 2]
    for plans, size in (([], 1), ([0], 1), ([10], 0)):
        with pytest.raises(AnalysisError, match="size"):
            stage_of(plans, size)
    with pytest.raises(AnalysisError, match="stage"):
        looks_spent(0)


def test_rows_given_again_are_one():
    rng = np.random.default_rng(1)
    x, y = rng.random((20, 2)), rng.normal(size=20)
    rows, score = distinct(np.tile(x, (3, 1)), np.tile(y, 3), [0, 0])
    assert rows.size == 20
    assert np.array_equal(np.argsort(score), np.argsort(y[rows % 20]))
    assert distinct(np.zeros((0, 2)), [], [0, 0])[0].size == 0


def test_errors():
    for p in ([], [1.2], [-0.1]):
        with pytest.raises(AnalysisError, match="p_values"):
            cauchy_p(p)
    with pytest.raises(AnalysisError, match="weights"):
        cauchy_p([0.1, 0.2], [1.0, 0.0])
