"""Where runs of a race go."""

from __future__ import annotations

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats import KnowledgeGradient


def test_runs_go_to_those_that_may_lead():
    found = KnowledgeGradient()([1.0, 0.9, -5.0], [0.1, 0.1, 0.1], 0.2, 10)
    assert found.runs.sum() == 10
    assert found.runs[2] == 0
    assert min(found.runs[:2]) >= 3
    assert found.gain > 0


def test_what_is_known_exactly_gets_none():
    assert KnowledgeGradient()([1.0, 0.9], [0.0, 0.1], 0.2, 6).runs.tolist() == [0, 6]


def test_noise_of_nothing_needs_one_run_each():
    assert KnowledgeGradient()([1.0, 0.9], [0.1, 0.1], 0.0, 2).runs.tolist() == [1, 1]


def test_where_nothing_is_gained_the_least_known_is_run():
    found = KnowledgeGradient()([100.0, 0.0, 0.0], [0.1, 0.1, 0.3], 0.1, 2)
    assert found.gain == 0
    assert found.runs[2] >= 1
    assert KnowledgeGradient()([1.0], [0.1], 0.1, 3).runs.tolist() == [3]


def test_shift_and_scale_change_nothing():
    mean, variance = np.array([1.0, 0.8, 0.3]), np.array([0.05, 0.1, 0.2])
    here = KnowledgeGradient()(mean, variance, 0.1, 9)
    there = KnowledgeGradient()(10 * mean + 3, 100 * variance, 10.0, 9)
    assert here.runs.tolist() == there.runs.tolist()
    assert there.gain == pytest.approx(10 * here.gain)


@pytest.mark.slow
def test_it_beats_equal_shares():
    rng = np.random.default_rng(0)
    lost = {"equal": 0.0, "gradient": 0.0}
    for _ in range(300):
        prior = -0.3 * np.arange(6)
        truth = prior + rng.standard_normal(6)
        told = truth[:, None] + rng.standard_normal((6, 24))
        for rule in lost:
            spent = np.zeros(6, dtype=int)
            for _ in range(6):
                variance = 1 / (1 + spent)
                mean = variance * (prior + np.array([told[i, : spent[i]].sum() for i in range(6)]))
                equal = np.full(6, 1) if spent.sum() % 6 == 0 else np.r_[1, 1, 1, 1, 0, 0]
                spent = spent + (
                    KnowledgeGradient()(mean, variance, 1.0, 4).runs
                    if rule == "gradient"
                    else np.where(spent.sum() < 24, equal, 0)
                )
                if spent.sum() >= 24:
                    break
            variance = 1 / (1 + spent)
            mean = variance * (prior + np.array([told[i, : spent[i]].sum() for i in range(6)]))
            lost[rule] += truth.max() - truth[mean.argmax()]
    assert lost["gradient"] < 0.8 * lost["equal"]


def test_bad_input_is_refused():
    with pytest.raises(AnalysisError, match="an alternative or more"):
        KnowledgeGradient()([], [], 0.1, 1)
    with pytest.raises(AnalysisError, match="variances >= 0"):
        KnowledgeGradient()([1.0], [-1.0], 0.1, 1)
    with pytest.raises(AnalysisError, match="one entry per trial"):
        KnowledgeGradient()([1.0, 2.0], [1.0], 0.1, 1)
