"""What a best value is worth when it is trained again, by the noise alone."""

from __future__ import annotations

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats import Optimism


@pytest.mark.parametrize("skewed", [False, True])
def test_the_honest_best_is_nearly_unbiased(skewed):
    rng = np.random.default_rng(4)
    plain, honest = [], []
    for seed in range(150):
        truth = rng.normal(size=100)
        if skewed:
            truth[rng.random(100) < 0.2] = -30.0
        y = truth + rng.normal(size=100)
        result = Optimism(seed=seed)(y, 1.0)
        plain.append(result.best - truth[y.argmax()])
        honest.append(result.honest - truth[y.argmax()])
    assert np.mean(plain) > 1.3
    assert abs(np.mean(honest)) < 0.4


def test_optimism_needs_values_and_a_noise():
    assert Optimism()([1.0, 2.0, 3.0], 0.0) == (3.0, 0.0, 3.0, 3)
    assert Optimism()([1.0] * 50, 0.5).expected > 0.5
    with pytest.raises(AnalysisError, match="at least one trial is needed"):
        Optimism()([], 1.0)
    with pytest.raises(AnalysisError, match="sd: must be finite and >= 0, got -1"):
        Optimism()([1.0], -1)
