"""The posterior finds the optimum, follows a prior mean, and ignores irrelevant changes."""

import numpy as np
import pytest

from refine import stats
from refine.errors import AnalysisError
from refine.stats.posterior import FrozenResiduals, LeaveOneOut, MixedPosterior, scored

SMALL = MixedPosterior(forest_draws=40, process_draws=40, trees=40, kernels=2, features=200)
CARD = [3, 0, 0, 0]


def _truth(x):
    return -((x[:, 1] - 0.3) ** 2) - (x[:, 2] - 1.0) ** 2 + 0.5 * (x[:, 0] == 1)


def _bowl(n, seed, noise=0.05):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 8, (n, 4)) / 7
    x[:, 0] = rng.integers(0, 3, n)
    return x, _truth(x) + noise * rng.normal(size=n)


def _same(first, second):
    assert np.array_equal(first.scores, second.scores)
    assert np.array_equal(first.mean, second.mean)


@pytest.mark.slow
def test_draws_gather_at_the_optimum():
    x, y = _bowl(120, 0)
    cells = _bowl(800, 1)[0]
    posterior = SMALL(x, y, cells, CARD)
    assert posterior.scores.shape == (80, 800)
    assert posterior.scores.dtype == np.float32
    assert posterior.forest == 40
    best = cells[posterior.scores.argmax(axis=1)]
    assert np.mean(best[:, 0] == 1) > 0.9
    assert np.mean(best[:, 2] > 0.7) > 0.9
    assert np.corrcoef(posterior.mean, _truth(cells))[0, 1] > 0.9


def test_order_shift_scale_and_monotone_transforms_change_nothing():
    x, y = _bowl(70, 4)
    cells = _bowl(200, 5)[0]
    plain = SMALL(x, y, cells, CARD)
    order = np.random.default_rng(0).permutation(70)
    _same(plain, SMALL(x[order], y[order], cells, CARD))
    _same(plain, SMALL(x, 1000.0 + 3.0 * y, cells, CARD))
    _same(plain, SMALL(x, np.exp(2 * y), cells, CARD))


def test_one_absurd_value_changes_nothing_but_its_row():
    x, y = _bowl(70, 6)
    cells = _bowl(200, 7)[0]
    best = int(y.argmax())
    worst = int(y.argmin())
    z = y.copy()
    z[best] = 1e9
    z[worst] = -1e9
    plain = SMALL(x, y, cells, CARD)
    odd = SMALL(x, z, cells, CARD)
    _same(plain, odd)
    top = plain.scores.max(axis=1)
    assert np.allclose(plain.value(top[top < plain.knots[-2]]), odd.value(top[top < odd.knots[-2]]))
    assert odd.value(4.0) < 10.0


@pytest.mark.slow
def test_rows_given_twice_count_once():
    x, y = _bowl(60, 8)
    cells = _bowl(200, 9)[0]
    once = scored(x, y)
    thrice = scored(np.tile(x, (4, 1)), np.tile(y, 4))
    assert np.allclose(once.score, thrice.score)
    assert np.array_equal(x[once.rows], np.tile(x, (4, 1))[thrice.rows])
    _same(SMALL(x, y, cells, CARD), SMALL(np.tile(x, (4, 1)), np.tile(y, 4), cells, CARD))


def test_draws_within_epsilon_contain_the_best_cell():
    x, y = _bowl(60, 10)
    posterior = SMALL(x, y, _bowl(200, 11)[0], CARD)
    values = posterior.value(posterior.scores)
    for epsilon in (0.0, 0.02, 0.3):
        inside = posterior.within(epsilon)
        assert np.all(inside[np.arange(80), posterior.scores.argmax(axis=1)])
        direct = values >= values.max(axis=1, keepdims=True) - epsilon
        assert np.mean(direct != inside) < 1e-3
    assert posterior.within(1e9).all()
    with pytest.raises(AnalysisError, match="epsilon"):
        posterior.within(-1.0)


def test_a_parameter_that_was_not_read_has_no_influence():
    rng = np.random.default_rng(14)
    x = np.column_stack([rng.integers(0, 2, 100), rng.random(100)]).astype(float)
    read = np.column_stack([np.ones(100, bool), x[:, 0] == 1])
    y = np.where(x[:, 0] == 1, 1.0 - (x[:, 1] - 0.8) ** 2, 0.5) + 0.01 * rng.normal(size=100)
    cells = np.column_stack([np.repeat([0.0, 1.0], 50), np.tile(np.linspace(0, 1, 50), 2)])
    read_cells = np.column_stack([np.ones(100, bool), cells[:, 0] == 1])
    posterior = SMALL(x, y, cells, [2, 0], read, read_cells)
    # All cells that don't read the second parameter are one and the same.
    assert np.ptp(posterior.scores[:, :50], axis=1).max() < 1e-3
    assert abs(cells[posterior.mean.argmax(), 1] - 0.8) < 0.15
    other = x.copy()
    other[~read[:, 1], 1] = 0.123
    _same(posterior, SMALL(other, y, cells, [2, 0], read, read_cells))
    with pytest.raises(AnalysisError, match="read"):
        SMALL(x, y, cells, [2, 0], read[:50], read_cells)


def _left(deviation):
    rng = np.random.default_rng(0)
    expected = rng.normal(size=400)
    near = np.full((300, 400), 0.01)
    return LeaveOneOut(expected + deviation * rng.normal(size=400), expected, np.zeros(400), near)


def test_the_deviation_is_the_error_of_good_predictions_less_their_variance():
    """Less the variance that draws have already."""
    measure = FrozenResiduals()
    assert measure.deviation(_left(0.5)) == pytest.approx(0.5, abs=0.05)
    assert measure.deviation(_left(0.5)._replace(variance=np.full(400, 0.16))) == pytest.approx(0.3, abs=0.08)
    assert measure.deviation(_left(0.1)._replace(variance=np.ones(400))) == 0.0


@pytest.mark.slow
def test_cells_that_were_run_have_their_values_in_every_draw():
    """And the best mean of what was run is the best value seen."""
    axis = np.arange(12) / 11
    cells = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    y = cells[:, 0] + 0.15 * np.random.default_rng(1).normal(size=len(cells))
    run = np.random.default_rng(2).permutation(len(cells))[:50]
    posterior = stats.MixedPosterior()(cells[run], y[run], cells, [0, 0], exact=True)
    assert np.ptp(posterior.scores[:, run], axis=0).max() == 0
    assert posterior.value(posterior.scores[0, run]) == pytest.approx(y[run])
    assert run[posterior.best_known(1)[0]] == run[y[run].argmax()]
    assert posterior.scores.shape == (640, len(cells))


def sample(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, 3))
    y = -8 * (X[:, 0] - 0.3) ** 2 - X[:, 1] + 0.1 * rng.normal(size=n)
    return X, y


def bump(X, center, height=1.0):
    return -height * np.sum((X[:, :2] - center) ** 2, axis=1)


@pytest.mark.slow
def test_trials_are_more_probable_under_a_right_belief_of_any_height():
    for seed in range(2):
        X, y = sample(seed=seed)
        for height in (0.5, 5.0):
            thoughts = (bump(X, center, height) for center in ((0.3, 0), (1, 1)))
            good, wrong = (stats.PriorEvidence()(X, y, thought, [0, 0, 0]) for thought in thoughts)
            assert good > height > -height > wrong


def test_smooth_values_judge_a_narrow_belief_by_its_place_and_not_by_its_curvature():
    rng = np.random.default_rng(0)
    wrong = []
    right = []
    for _ in range(6):
        X = rng.random((40, 2))
        y = -((X[:, 0] - 0.9) ** 2) - (X[:, 1] - 0.2) ** 2
        for center, ratios in ((0.1, wrong), (0.85, right)):
            thought = 0.6 * np.exp(-(((X[:, 0] - center) / 0.1) ** 2))
            ratios.append(stats.PriorEvidence()(X, y, thought, [0, 0]))
    assert max(wrong) < 1
    assert min(right) > 0


@pytest.mark.slow
def test_the_opposite_has_the_opposite_ratio_and_the_order_of_rows_says_nothing():
    X, y = sample()
    assert stats.PriorEvidence()(X, y, np.full(60, 2.0), [0, 0, 0]) == 0
    thought = bump(X, (1, 1))
    log_ratio = stats.PriorEvidence()(X, y, thought, [0, 0, 0])
    assert stats.PriorEvidence()(X, y, -thought, [0, 0, 0]) == pytest.approx(-log_ratio)
    rows = np.random.default_rng(1).permutation(60)
    assert stats.PriorEvidence()(X[rows], y[rows], thought[rows], [0, 0, 0]) == pytest.approx(log_ratio)


def test_means_and_deviations_alone_are_those_of_draws(rng):
    X = rng.random((40, 2))
    cells = rng.random((50, 2))
    y = np.sin(4 * X[:, 0]) + 0.1 * rng.standard_normal(40)
    drawn = MixedPosterior(forest_draws=0, process_draws=4000, power=True)(X, y, cells, [0, 0])
    alone = MixedPosterior(forest_draws=0, process_draws=0, power=True)(X, y, cells, [0, 0])
    assert alone.scores.shape == (0, 50)
    np.testing.assert_allclose(alone.mean, drawn.mean, atol=1e-9)
    np.testing.assert_allclose(alone.sd, drawn.scores.std(axis=0), atol=0.05)
    with pytest.raises(AnalysisError, match="exact: .* forest_draws and process_draws"):
        MixedPosterior(forest_draws=0, process_draws=0)(X, y, cells, [0, 0], exact=True)


@pytest.mark.parametrize("worst", [-1e12, -3e38, -1e300])
def test_a_power_keeps_the_best_values_distinct_for_any_worst_value(worst):
    X = np.arange(20.0)[:, None] / 19
    y = np.r_[worst, -1e9, np.linspace(0, 1, 18)]
    scores = scored(X, y, power=True)
    assert (np.diff(scores.knots) > 0).all()
    assert np.ptp(scores.knots[-9:]) > 0.5


def _smooth_peak(seed):
    """Trials and cells of a peak in four dimensions that few trials come near to."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(40, 4))
    cells = rng.uniform(size=(300, 4))
    return x, np.exp(-8 * ((x - 0.5) ** 2).sum(axis=1)) + 0.01 * rng.normal(size=40), cells


def test_draws_on_values_expect_more_beyond_the_best_trial_than_draws_on_ranks():
    x, y, cells = _smooth_peak(0)
    on_ranks = MixedPosterior(forest_draws=0, process_draws=200)(x, y, cells, [0] * 4)
    mixed = MixedPosterior(forest_draws=0, process_draws=100, power_draws=100)(x, y, cells, [0] * 4)
    assert mixed.scores.shape == on_ranks.scores.shape
    best = [np.quantile(p.value(p.scores.max(axis=1)), 0.9) for p in (on_ranks, mixed)]
    assert best[1] > best[0]
    assert np.corrcoef(mixed.mean, on_ranks.mean)[0, 1] > 0.95  # they agree about what is known


def test_power_draws_follow_a_prior_mean_and_stay_out_of_exact_posteriors():
    x, y, cells = _smooth_peak(1)
    model = MixedPosterior(forest_draws=100, process_draws=50, power_draws=50)
    prior = 2.0 * x[:, 0], 2.0 * cells[:, 0]
    slope = np.polyfit(cells[:, 0], model(x, y, cells, [0] * 4, prior=prior).scores[150:].mean(axis=0), 1)[0]
    without = np.polyfit(cells[:, 0], model(x, y, cells, [0] * 4).scores[150:].mean(axis=0), 1)[0]
    assert slope > without
    exact = model(x, y, np.concatenate([cells, x]), [0] * 4, exact=True)
    assert len(exact.scores) == 200
    assert np.ptp(exact.scores[:, 300:], axis=0).max() == 0


@pytest.mark.parametrize("options", [{"forest_draws": 0, "process_draws": 0}, {"power": True}])
def test_power_draws_need_draws_on_ranks(options):
    with pytest.raises(AnalysisError, match="power_draws="):
        MixedPosterior(power_draws=10, **options)
