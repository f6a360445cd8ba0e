"""A parameter that changes only the noise is told from one that changes the values."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import Sobol, draw
from tests.reading import reasons_of

pytestmark = pytest.mark.slow

SPACE = refine.Space({**dict.fromkeys("abc", (0.0, 1.0, 9)), "k": ["u", "v", "w"]})


def analysis(deviation, seed, middle=lambda frame: 0.0):
    frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, 120, seed)))
    value = -2 * (frame["a"] - 0.4) ** 2 - 0.3 * frame["c"] + middle(frame)
    noise = np.random.default_rng(seed).normal(size=120)
    return refine.analyze(SPACE, frame.assign(value=value + deviation(frame) * noise))


def test_most_parameters_that_change_the_noise_alone_are_named():
    noisy = [analysis(lambda frame: 0.03 + 0.5 * frame["b"], seed) for seed in range(15)]
    detected = [a for a in noisy if a["b"].matters]
    named = [a for a in detected if "only_spread" in reasons_of(a.findings["b"])]
    assert len(named) >= 0.6 * len(detected) > 0


def test_parameters_that_change_the_values_are_not_taken_for_noise():
    for seed in range(8):
        bowl = analysis(lambda frame: 0.1, seed, lambda frame: -2 * (frame["b"] - 0.5) ** 2)
        assert bowl["b"].matters
        assert not any(e.only_spread and e.matters for e in bowl.parameters)
