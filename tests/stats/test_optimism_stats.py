"""Optimism of the best value: noise, seeds, examples and effort, on populations with a known answer."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from refine.errors import AnalysisError
from refine.stats import (
    ExampleBootstrap,
    NewSeeds,
    Optimism,
    VarianceComponents,
    expected_best,
    paired_error,
    scorer,
)

N = 80
K = 5
R = 3
SD = 0.3


def gaussian(rng):
    return rng.normal(size=N), lambda i, shape: SD * rng.normal(size=shape)


def skewed(rng):
    """Most permutations are good and nearly alike, some fail badly; the noise is skewed towards worse."""
    truth = np.where(rng.random(N) < 0.2, -20.0, -0.5 * rng.exponential(size=N))
    return truth, lambda i, shape: SD * (1.0 - rng.exponential(size=shape))


@pytest.mark.parametrize(("population", "minimum"), [(gaussian, 0.92), (skewed, 0.88)])
def test_fresh_seeds_are_unbiased_and_their_interval_covers(population, minimum, rng):
    raw = []
    corrected = []
    covered = []
    for _ in range(600):
        truth, noise = population(rng)
        y = truth + noise(0, N)
        top = np.argsort(-y)[:K]
        groups = np.repeat(top, R)
        estimate = NewSeeds()(y[top[0]], truth[groups] + noise(0, K * R), groups, top[0])
        assert estimate.freedom == K * (R - 1)
        raw.append(estimate.best - truth[top[0]])
        corrected.append(estimate.value - truth[top[0]])
        covered.append(estimate.low <= truth[top[0]] <= estimate.high)
    assert np.mean(raw) > 0.15  # the curse
    assert abs(np.mean(corrected)) < 3 * SD / np.sqrt(R * 600)
    assert minimum <= np.mean(covered) <= 0.98


def test_new_seeds_of_the_winner_are_needed():
    estimate = NewSeeds()(1.0, [0.5], ["a"], "a")
    assert (estimate.value, estimate.runs, estimate.freedom) == (0.5, 1, 0)
    assert np.isnan(estimate.low)
    with pytest.raises(AnalysisError, match="winner: 'b'"):
        NewSeeds()(1.0, [0.5, 0.6], ["a", "a"], "b")


@pytest.mark.slow
@pytest.mark.parametrize("failures", [0.0, 0.2])
def test_the_example_bootstrap_corrects_the_winner(failures):
    """Accuracies of models on one split, chosen by it; some models are far worse, as failed ones are."""
    rng = np.random.default_rng(1)
    n = 100
    models = 60
    raw = []
    corrected = []
    covered = []
    for round_ in range(80):
        truth = 0.80 + 0.02 * rng.random(models)
        truth[rng.random(models) < failures] = 0.4
        right = rng.random((models, n)) < truth[:, None]
        predicted = np.where(right, 0.9, 0.1)[:, :, None]
        scores = scorer("acc", predicted, np.ones(n))
        optimism = ExampleBootstrap(resamples=100, seed=round_)(scores, n)
        true = truth[np.argmax(right.mean(axis=1))]
        assert optimism.best == pytest.approx(right.mean(axis=1).max())
        raw.append(optimism.best - true)
        corrected.append(optimism.value - true)
        covered.append(optimism.low <= true <= optimism.high)
    assert np.mean(raw) > 0.05
    assert abs(np.mean(corrected)) < np.mean(raw) / 3
    assert np.mean(covered) >= 0.93  # wide on purpose


REFERENCES = {
    "acc": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "matthews": sk.matthews_corrcoef,
    "fmeasure": sk.f1_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_of_weighted_examples_are_scikit_learns(name, classes):
    rng = np.random.default_rng(2)
    predicted = rng.random((3, 50, 1 if classes == 2 else classes))
    predicted[2] = 0.9 if classes == 2 else np.arange(classes)  # constant
    right = rng.integers(0, classes, 50)
    weights = rng.integers(0, 3, (4, 50)).astype(float)
    scores = scorer(name, predicted, right)(weights)
    assert scores.shape == (3, 4)
    averaged = name in ("fmeasure", "precision", "recall")
    options = {"zero_division": 0, "average": "binary" if classes == 2 else "macro"} if averaged else {}
    for m in range(3):
        picked = (predicted[m, :, 0] > 0.5).astype(int) if classes == 2 else predicted[m].argmax(axis=1)
        for b in range(4):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = REFERENCES[name](right, picked, sample_weight=weights[b], **options)
            assert scores[m, b] == pytest.approx(expected, abs=1e-9)


def test_scorers_exist_for_errors_of_quantities_and_not_for_unknown_metrics():
    predicted = np.array([[[1.0], [3.0]]])
    right = np.array([2.0, 5.0])
    weights = np.array([[1.0, 3.0]])
    assert scorer("mse", predicted, right)(weights) == pytest.approx(np.array([[(1 + 3 * 4) / 4]]))
    assert scorer("mae", predicted, right)(weights) == pytest.approx(np.array([[(1 + 3 * 2) / 4]]))
    assert scorer("loss", predicted, right) is None
    assert scorer("acc", predicted, [0.5, 1.0]) is None  # no classes
    assert scorer("acc", predicted, [0.0, 2.0]) is None  # two outputs would be needed
    assert scorer("mse", np.zeros((1, 2, 3)), right) is None


def test_the_paired_error_is_that_of_the_rows_on_which_models_differ():
    rng = np.random.default_rng(3)
    right = rng.random((2, 200)) < 0.9
    right[1] = right[0]
    swapped = rng.choice(200, 12, replace=False)
    right[1, swapped] = ~right[1, swapped]

    def accuracy(weights):
        return right.astype(float) @ weights.T / weights.sum(axis=1)

    difference = right[0].astype(float) - right[1]
    exact = difference.std() / np.sqrt(200)
    assert paired_error(accuracy, 200, resamples=4000) == pytest.approx(exact, rel=0.05)
    unpaired = np.sqrt(2) * right[0].std() / np.sqrt(200)
    assert exact < 0.7 * unpaired
    right[1] = right[0]
    assert paired_error(accuracy, 200) == 0.0
    with pytest.raises(AnalysisError, match="at least 10"):
        paired_error(accuracy, 9)


@pytest.mark.parametrize("skewed", [False, True])
def test_the_honest_best_is_nearly_unbiased(skewed):
    rng = np.random.default_rng(4)
    plain = []
    honest = []
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
    with pytest.raises(AnalysisError, match="at least one trial"):
        Optimism()([], 1.0)
    with pytest.raises(AnalysisError, match=">= 0, got -1"):
        Optimism()([1.0], -1)


def test_one_is_the_mean_and_all_is_the_best():
    y = np.random.default_rng(0).normal(size=500)
    assert expected_best(y, 1) == pytest.approx(y.mean())
    assert expected_best(y, 500) == y.max()
    # The best of m of the numbers 1 to n is m (n + 1) / (m + 1) on average.
    assert expected_best(np.arange(1, 100_001), 20) == pytest.approx(20 * 100_001 / 21)


def test_known_components_are_found(rng):
    groups = np.repeat(np.arange(300), 4)
    y = 2.0 * rng.normal(size=300)[groups] + 0.5 * rng.normal(size=1200)
    components = VarianceComponents()(y, groups)
    assert components.configuration == pytest.approx(2.0, rel=0.1)
    assert components.seed == pytest.approx(0.5, rel=0.06)
    assert np.isnan(components.split)
    assert (components.groups, components.runs) == (300, 1200)


def test_variance_of_splits_counts_if_it_changes_the_order():
    rng = np.random.default_rng(3)
    k = 200
    r = 3
    s = 5
    groups = np.repeat(np.arange(k), r)
    of_configuration = 0.6 * rng.normal(size=(k, s))  # how well a configuration does on a split
    common = 3.0 * rng.normal(size=s)  # how hard a split is for all: changes no order
    table = (of_configuration + common)[groups] + 0.4 * rng.normal(size=(k * r, s))
    components = VarianceComponents()(table.mean(axis=1), groups, table)
    assert components.split == pytest.approx(0.6 / np.sqrt(s), rel=0.1)
    assert components.seed == pytest.approx(0.4 / np.sqrt(s), rel=0.1)


def test_components_without_enough_runs_are_nan():
    components = VarianceComponents()([1.0, 2.0], ["a", "a"])
    assert np.isnan(components.configuration)
    assert components.seed == pytest.approx(np.sqrt(0.5))
    assert np.isnan(VarianceComponents()([], []).seed)
    with pytest.raises(AnalysisError, match=r"shape \(2"):
        VarianceComponents()([1.0, 2.0], [0, 1], [[1.0, 2.0]])
