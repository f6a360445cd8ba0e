"""Deviation on new data: rows and folds are drawn again for all models together."""

import numpy as np
import pytest

from refine import stats
from refine.errors import AnalysisError
from refine.stats import deviations_at, fold_deviations, row_deviations
from refine.stats.optimism import row_means

ROWS = 400


def scores_of(models, seed=0):
    return np.random.default_rng(seed).normal(size=(models, ROWS))


def deviations_on_axis(x, deviations, cells):
    """Deviations at cells of one axis."""
    return deviations_at(np.array(x)[:, None], deviations, np.array(cells)[:, None], [0])


def test_the_deviation_on_new_rows_is_the_standard_error_of_the_mean():
    scores = scores_of(3)
    draws = row_deviations(row_means(scores), ROWS, ROWS)
    error = scores.std(axis=1) / np.sqrt(ROWS)
    assert draws.shape == (640, 3)
    assert draws.std(axis=0) == pytest.approx(error, rel=0.1)
    assert np.abs(draws.mean(axis=0)) == pytest.approx([0, 0, 0], abs=0.2 * error.max())


def test_models_that_agree_on_most_rows_deviate_together():
    scores = np.repeat(scores_of(1), 2, axis=0)
    scores[1, :20] *= -1
    draws = row_deviations(row_means(scores), ROWS, ROWS)
    assert np.std(draws[:, 0] - draws[:, 1]) < 0.6 * np.std(draws[:, 0])
    assert np.corrcoef(draws.T)[0, 1] > 0.8


def test_a_sample_of_the_rows_counts_as_all_rows():
    full = row_deviations(row_means(scores_of(2)), ROWS, ROWS)
    sampled = row_deviations(row_means(scores_of(2)), ROWS, 4 * ROWS)
    assert sampled == pytest.approx(full / 2)


def test_many_rows_give_the_draws_in_blocks():
    scores = np.random.default_rng(0).normal(size=(2, 50_000))
    draws = row_deviations(row_means(scores), 50_000, 50_000, draws=100)
    assert draws.std(axis=0) == pytest.approx(scores.std(axis=1) / np.sqrt(50_000), rel=0.2)


def test_the_deviation_of_folds_allows_for_shared_training_rows():
    scores = np.random.default_rng(1).normal(size=(1, 40))
    draws = fold_deviations(scores, draws=4000)
    variance = scores.var(ddof=1) * (1 / 40 + 1 / 39)
    assert draws.std() == pytest.approx(np.sqrt(variance), rel=0.1)


def test_few_folds_deviate_with_heavy_tails():
    three = fold_deviations([[0.0, 1.0, 2.0]], draws=4000)
    thirty = fold_deviations([np.arange(30.0)], draws=4000)
    tails = [np.quantile(d, 0.999) / np.quantile(d, 0.75) for d in (three, thirty)]
    assert tails[0] > 3 * tails[1]


def test_a_cell_deviates_as_its_neighbours_do():
    x = np.linspace(0, 1, 30)
    phases = np.random.default_rng(0).normal(size=(640, 2))
    deviations = phases[:, :1] * np.sin(4 * x) + phases[:, 1:] * np.cos(4 * x)
    cells = np.array([0.117, 0.5001, 0.93])
    expected = phases[:, :1] * np.sin(4 * cells) + phases[:, 1:] * np.cos(4 * cells)
    assert deviations_on_axis(x, deviations, cells) == pytest.approx(expected, abs=0.1)


def test_a_deviation_that_neighbours_do_not_share_is_not_carried_over():
    x = np.linspace(0, 1, 30)
    separate = np.random.default_rng(0).normal(size=(640, 30))
    carried = deviations_on_axis(x, separate, [0.117, 0.93])
    assert carried.std() < 0.4


def test_models_with_equal_scores_do_not_deviate():
    shift = deviations_on_axis([0.0, 0.5, 1.0], np.zeros((20, 3)), [0.2])
    assert not shift.any()


def test_too_few_rows_or_folds_are_refused():
    with pytest.raises(AnalysisError, match="at least 10 rows"):
        row_deviations(row_means(np.zeros((2, 5))), 5, 5)
    with pytest.raises(AnalysisError, match="at least 2 folds"):
        fold_deviations(np.zeros((3, 1)))
    with pytest.raises(AnalysisError, match="finite"):
        fold_deviations([[0.5, np.nan]])
    assert stats.LEAST_ROWS == 10


def test_unordered_and_unread_parameters_tell_cells_apart():
    choices = np.repeat(np.arange(3.0), 10)
    x = np.column_stack([np.linspace(0, 1, 30), choices])
    read = np.column_stack([choices != 2, np.ones(30, dtype=bool)])
    by_choice = np.random.default_rng(0).normal(size=(640, 3))
    cells = np.array([[0.5, 0.0], [0.5, 1.0], [0.5, 2.0]])
    carried = deviations_at(
        x, by_choice[:, choices.astype(int)], cells, [0, 3], read, cells[:, 1:] != [[2, 9]]
    )
    assert carried == pytest.approx(by_choice, abs=0.2)
