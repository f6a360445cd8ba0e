"""PED-ANOVA: against Optuna, under the null, and where a correlation is blind."""

import numpy as np
import optuna
import pytest

from refine.errors import AnalysisError
from refine.stats import PedAnova, Spearman, benjamini_hochberg, joined, permutations_needed

newer = pytest.mark.skipif(int(optuna.__version__.split(".")[0]) < 5, reason="Optuna 4 gives other values")
STEPS = optuna.distributions.IntDistribution(0, 10)
CHOICE = optuna.distributions.CategoricalDistribution([0, 1, 2])
REAL = optuna.distributions.FloatDistribution(0, 1)


def optunas(rows, y, top, region=1.0):
    """Raw values by Optuna of trials that have the parameters of each row, name -> (value, distribution)."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    for row, value in zip(rows, y, strict=True):
        params, distributions = ({name: pair[k] for name, pair in row.items()} for k in (0, 1))
        trial = optuna.trial.create_trial(params=params, distributions=distributions, value=float(value))
        study.add_trial(trial)
    evaluate = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=top, region_quantile=region)
    return evaluate.evaluate(study)


@newer
@pytest.mark.slow  # of CI's environments, those of fast tests of statistics have Optuna 4
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("top", "region"), [(0.1, 1.0), (0.2, 0.5)])
@pytest.mark.parametrize("n", [40, 201])
def test_raw_value_is_optunas(n, top, region):
    rng = np.random.default_rng(n)
    steps = rng.integers(0, 11, n)
    real = rng.random(n)
    choice = rng.integers(0, 3, n)
    y = np.round(-((real - 0.5) ** 2) * 4 + 0.3 * steps + (choice == 2) + rng.normal(size=n), 1)
    triples = zip(steps.tolist(), real.tolist(), choice.tolist(), strict=True)
    rows = [{"s": (s, STEPS), "r": (r, REAL), "c": (c, CHOICE)} for s, r, c in triples]
    reference = optunas(rows, y, top, region)
    measure = PedAnova(top=top, region=region, permutations=19, resamples=10)
    assert measure(steps / 10, y, levels=np.arange(11) / 10).raw == pytest.approx(reference["s"], rel=1e-6)
    assert measure(real, y).raw == pytest.approx(reference["r"], rel=1e-6)
    assert measure(choice, y, 3).raw == pytest.approx(reference["c"], rel=1e-6)


def _two_regimes(n=400, seed=0):
    """c chooses the regime; under "bad" the value follows x, under "good", which is better, y."""
    rng = np.random.default_rng(seed)
    bad = rng.random(n) < 0.5
    x, y = rng.integers(0, 11, (2, n)) / 10
    value = np.where(bad, -2 - 4 * (x - 0.5) ** 2, -4 * (y - 0.3) ** 2) + 0.01 * rng.normal(size=n)
    return bad, x, y, value


@newer
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_raw_value_of_a_conditional_parameter_is_optunas():
    bad, x, y, value = _two_regimes()
    rows = [
        {"c": (int(b), CHOICE), **({"x": (round(10 * s), STEPS)} if b else {"y": (round(10 * t), STEPS)})}
        for b, s, t in zip(bad, x, y, strict=True)
    ]
    reference = optunas(rows, value, 0.1)
    measure = PedAnova(permutations=19, resamples=10)
    levels = np.arange(11) / 10
    assert measure(x, value, levels=levels, read=bad).raw == reference["x"] == 0.0
    assert measure(y, value, levels=levels, read=~bad).raw == pytest.approx(reference["y"], rel=1e-6)
    assert measure(bad.astype(float), value, 3).raw == pytest.approx(reference["c"], rel=1e-6)


def test_a_choice_and_its_conditional_parameter_share_importance_as_the_best_trials_do():
    bad, x, y, value = _two_regimes()
    levels = np.arange(11) / 10
    measure = PedAnova(top=0.2)
    of_x, of_y = (measure(v, value, levels=levels, read=r) for v, r in ((x, bad), (y, ~bad)))
    of_c = measure(bad.astype(float), value, 2)
    of_unread = measure(y, value, levels=levels, read=bad)
    assert (of_x.estimate, of_x.p, of_unread.top) == (0.0, 1.0, 0)
    # The regime is half of what y decides: one level of two, not two of eleven.
    assert of_y.low > of_c.high > of_c.low > 0
    assert of_y.p == 0.001
    # All that reads it, and half of the trials beside that don't: as important within, and half of the
    # trials.
    alone = measure(y[~bad], value[~bad], levels=levels)
    ties = np.where(bad, value.min(), value)
    half = PedAnova(top=0.2 * np.mean(~bad))(y, ties, levels=levels, read=~bad)
    assert half.raw == pytest.approx(alone.raw * np.mean(~bad))
    # Where both regimes are as good, each parameter is as important within its own.
    even = np.where(bad, -4 * (x - 0.5) ** 2, -4 * (y - 0.3) ** 2)
    of_regime, of_conditional = (measure(v, even, levels=levels, read=r) for v, r in ((x, bad), (y, ~bad)))
    assert of_regime.low > 0 < of_conditional.low
    assert of_regime.estimate == pytest.approx(of_conditional.estimate, rel=0.5)
    assert measure(bad.astype(float), even, 2).estimate < 0.01


@pytest.mark.slow
def test_null_parameters_have_no_importance_and_uniform_p(rng):
    results = [
        PedAnova(permutations=199, resamples=50, seed=i)(rng.integers(0, 8, 100) / 7, rng.random(100))
        for i in range(200)
    ]
    p = np.array([result.p for result in results])
    assert np.mean(p <= 0.05) <= 0.09
    assert np.mean(p) == pytest.approx(0.5, abs=0.07)
    estimates = np.array([result.estimate for result in results])
    assert abs(estimates.mean()) < 3 * estimates.std() / np.sqrt(200)


@pytest.mark.slow
def test_an_interior_optimum_escapes_the_correlation_only():
    rng = np.random.default_rng(1)
    found_by_trend = found_by_both = 0
    for seed in range(25):
        x = rng.random((240, 4))
        y = -((x[:, 0] - 0.5) ** 2) + 0.15 * rng.normal(size=240)
        trend = [Spearman(resamples=1)(x[:, j], y).p for j in range(4)]
        best = [PedAnova(resamples=1, seed=seed)(x[:, j], y).p for j in range(4)]
        p_values = [joined(*p).p for p in zip(best, trend, strict=True)]
        found_by_both += benjamini_hochberg(p_values)[0] <= 0.1
        found_by_trend += benjamini_hochberg(trend)[0] <= 0.1
    assert found_by_trend <= 6
    # 17 of these 25; twice the smaller p-value sees 18, and the additive test, which a round adds, is
    # not in here.
    assert found_by_both >= 15


def test_constant_data_have_no_importance():
    for x, y in (([0.5] * 20, range(20)), (range(20), [1.0] * 20), ([0.1, 0.2], [1, 2]), ([], [])):
        result = PedAnova(permutations=19)(np.array(list(x)) / 20, list(y))
        assert (result.estimate, result.p) == (0.0, 1.0)


def test_permutations_are_enough_for_the_smallest_level():
    assert permutations_needed(8, 0.1 / 30) == 9600
    assert permutations_needed(2, 0.1) == 999
    with pytest.raises(AnalysisError, match=r"between 0 and 1, got 0"):
        permutations_needed(8, 0)
