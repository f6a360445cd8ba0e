"""PED-ANOVA: against Optuna, under the null, and where a correlation is blind."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from refine.errors import AnalysisError
from refine.stats import (
    PedAnova,
    Spearman,
    benjamini_hochberg,
    joined,
    permutations_needed,
)


@pytest.mark.skipif(
    int(optuna.__version__.split(".")[0]) < 5,
    reason="earlier versions of Optuna's evaluator give other values",
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("top", "region"), [(0.1, 1.0), (0.2, 0.5)])
@pytest.mark.parametrize("n", [40, 201])
def test_raw_value_is_optunas(n, top, region):
    optuna = pytest.importorskip("optuna")
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(n)
    steps, real, choice = rng.integers(0, 7, n), rng.random(n), rng.integers(0, 4, n)
    y = np.round(-((real - 0.5) ** 2) * 4 + 0.3 * steps + (choice == 2) + rng.normal(size=n), 1)
    space = {
        "steps": IntDistribution(0, 6),
        "real": FloatDistribution(0, 1),
        "choice": CategoricalDistribution(list("abcd")),
    }
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={"steps": int(s), "real": float(r), "choice": "abcd"[c]},
                distributions=space,
                value=float(v),
            )
            for s, r, c, v in zip(steps, real, choice, y, strict=True)
        ]
    )
    theirs = optuna.importance.PedAnovaImportanceEvaluator(
        target_quantile=top, region_quantile=region
    ).evaluate(study)
    measure = PedAnova(top=top, region=region, permutations=19, resamples=10)
    levels = np.arange(7) / 6
    assert measure(steps / 6, y, levels=levels).raw == pytest.approx(theirs["steps"], rel=1e-6)
    assert measure(real, y).raw == pytest.approx(theirs["real"], rel=1e-6)
    assert measure(choice, y, 4).raw == pytest.approx(theirs["choice"], rel=1e-6)


def test_null_parameters_have_no_importance_and_uniform_p():
    rng = np.random.default_rng(0)
    results = [
        PedAnova(permutations=199, resamples=50, seed=i)(rng.integers(0, 8, 100) / 7, rng.random(100))
        for i in range(200)
    ]
    p = np.array([result.p for result in results])
    assert np.mean(p <= 0.05) <= 0.09
    assert np.mean(p) == pytest.approx(0.5, abs=0.07)
    estimates = np.array([result.estimate for result in results])
    assert abs(estimates.mean()) < 3 * estimates.std() / np.sqrt(200)


def test_an_interior_optimum_escapes_the_correlation_only():
    rng = np.random.default_rng(1)
    found_by_trend = found_by_both = 0
    for seed in range(25):
        x = rng.random((240, 4))
        y = -((x[:, 0] - 0.5) ** 2) + 0.15 * rng.normal(size=240)
        trend = [Spearman(resamples=1)(x[:, j], y).p for j in range(4)]
        best = [PedAnova(resamples=1, seed=seed)(x[:, j], y).p for j in range(4)]
        both = [joined(*p).p for p in zip(best, trend, strict=True)]
        found_by_both += benjamini_hochberg(both)[0] <= 0.1
        found_by_trend += benjamini_hochberg(trend)[0] <= 0.1
    assert found_by_trend <= 6
    # 17 of these 25; twice the smaller p-value sees 18, and the additive test, which a round adds, is not in here.
    assert found_by_both >= 15


def test_nothing_to_tell_apart():
    for x, y in (([0.5] * 20, range(20)), (range(20), [1.0] * 20), ([0.1, 0.2], [1, 2]), ([], [])):
        result = PedAnova(permutations=19)(np.array(list(x)) / 20, list(y))
        assert (result.estimate, result.p) == (0.0, 1.0)


def test_the_interval_holds_the_large_sample_value():
    rng = np.random.default_rng(4)

    def draw(n):
        x = rng.integers(0, 10, n) / 9
        return x, -((x - 0.4) ** 2) + 0.1 * rng.normal(size=n)

    truth = PedAnova(permutations=49, resamples=10)(*draw(100_000)).estimate
    held = 0
    for seed in range(60):
        result = PedAnova(permutations=99, resamples=200, seed=seed)(*draw(300))
        held += result.low <= truth <= result.high
    assert held >= 50


def test_enough_permutations_for_the_smallest_level():
    assert permutations_needed(8, 0.1 / 30) == 9600
    assert permutations_needed(2, 0.1) == 999
    with pytest.raises(AnalysisError, match=r"alpha: must lie strictly between 0 and 1, got 0"):
        permutations_needed(8, 0)


def test_top_must_be_inside_the_region():
    with pytest.raises(AnalysisError, match=r"region: must be above top \(0.3\) and at most 1"):
        PedAnova(top=0.3, region=0.2)
    with pytest.raises(AnalysisError, match="levels: must increase strictly"):
        PedAnova()(np.linspace(0, 1, 20), np.arange(20), levels=[1, 0])
