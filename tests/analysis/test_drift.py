"""Values that change with the order of the trials are seen."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.drift import drift_of
from refine.review.checks import ChecksContext, checks_of

SPACE = refine.Space({"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 11), "kind": ["a", "b", "c"]})


def analysis_of(drift, seed, direction="maximize", n=60):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame([SPACE.configuration(int(c)) for c in rng.integers(0, SPACE.size, n)])
    value = -((frame["x"] - 0.4) ** 2) - 0.2 * frame["y"] * (frame["kind"] == "a")
    scale = value.max() - value.median()
    value = value + 0.05 * scale * rng.normal(size=n) + drift * scale * np.arange(n) / n
    sign = 1 if direction == "maximize" else -1
    return refine.analyze(SPACE, frame.assign(value=sign * value), direction=direction)


@pytest.mark.slow
def test_a_drift_is_seen_and_chance_is_not():
    assert not any(drift_of(analysis_of(0.0, seed)).seen for seed in range(10))
    assert sum(drift_of(analysis_of(0.4, seed)).seen for seed in range(10)) >= 8


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_positive_correlation_means_that_later_trials_are_better(direction):
    drift = drift_of(analysis_of(1.0, 0, direction))
    assert drift.seen
    assert drift.correlation > 0.5


def test_the_check_warns_of_a_drift_and_fails_by_a_large_one():
    def check(analysis):
        drift_check = checks_of("abc", analysis, ChecksContext(None, "", (), float("nan"), False))["drift"]
        return drift_check.verdict, drift_check.code

    assert check(analysis_of(1.0, 0)) == ("fail", "seen")
    assert check(analysis_of(0.2, 0)) == ("warn", "seen")
    assert check(analysis_of(0.0, 0)) == ("pass", "none")
    assert check(analysis_of(1.0, 0, n=15)) == ("unknown", "unknown")  # too few trials
