"""Studies that are simulated before their first trial: budgets, noise, small spaces and conditions."""

import json

import numpy as np
import pytest

import refine
from refine.review import rehearsal
from refine.stats.kernel import embed
from refine.stats.prior import drawn_function, fitted_process
from tests.reading import numbers_in

SPACE = {
    "lr": refine.Float(1e-4, 1, levels=9, log=True),
    "units": refine.Integer(16, 256, step=16),
    "optimizer": ["adam", "sgd"],
}


@pytest.fixture
def few_functions(monkeypatch):
    monkeypatch.setattr(rehearsal, "_FUNCTIONS", 4)
    monkeypatch.setattr(rehearsal, "SIZES", (20, 40))


@pytest.mark.slow
def test_learning_trials_reach_more_than_even_trials(few_functions):
    study = refine.rehearse(SPACE, budget=30)
    assert [size.trials for size in study.sizes] == [20, 30, 40]
    assert all(size.learning[1] > size.even[1] for size in study.sizes)
    assert study.sizes[0].learning[1] <= study.sizes[-1].learning[1] <= 1.0001


@pytest.mark.slow
def test_a_rehearsal_is_the_same_again_and_another_seed_differs(few_functions):
    first = refine.rehearse(SPACE, budget=12).to_json()
    assert refine.rehearse(refine.Space(SPACE), budget=12).to_json() == first
    assert json.loads(json.dumps(first, allow_nan=False))["first"] == 12
    assert refine.rehearse(SPACE, budget=12, seed=1).to_json() != first


@pytest.mark.slow
def test_a_size_has_the_same_numbers_beside_other_sizes(few_functions):
    sizes = {}
    for budget in (20, 16, 40):
        for size in refine.rehearse(SPACE, budget=budget).sizes:
            sizes.setdefault(size.trials, set()).add(size)
    assert {trials: len(rows) for trials, rows in sizes.items()} == {16: 1, 20: 1, 40: 1}


def test_a_rehearsal_is_data_with_the_version_of_its_schema(few_functions):
    data = json.loads(json.dumps(refine.rehearse(SPACE, budget=12).to_dict(), allow_nan=False))
    assert data.keys() > {"schema", "page"}


@pytest.mark.slow
def test_declared_equal_repeats_need_no_reserve(few_functions):
    study = refine.rehearse(SPACE, budget=20, noise="none")
    assert study.noise == 0
    assert {size.repeats for size in study.sizes} == {0}
    assert np.isnan(study.separable)
    assert "identical" in str(study.page().blocks)
    assert refine.rehearse(SPACE, budget=20).sizes[0].repeats == 3


@pytest.mark.slow
def test_conditional_and_constrained_spaces_are_rehearsed(few_functions):
    space = refine.Space(
        {
            "model": ["tree", "net"],
            "depth": refine.Integer(1, 12, when="model == 'tree'"),
            "units": refine.Categorical([8, 16, 32, 64], when="model == 'net'"),
            "rate": refine.Float(0, 1, levels=11),
            "epochs": 20,
        },
        constraints=["rate <= 0.8"],
    )
    study = refine.rehearse(space, budget=20)
    assert study.parameters == 4
    assert 0 < study.sizes[0].even[1] <= 1.0001


def test_sizes_beyond_the_configurations_of_the_space_are_left_out(few_functions):
    study = refine.rehearse({"a": refine.Float(0, 1, levels=9), "b": [1, 2, 3, 4]}, budget=12)
    assert study.configurations == 36
    assert [size.trials for size in study.sizes] == [12, 20]


@pytest.mark.parametrize(
    "wrong",
    [{"budget": 5}, {"budget": 10_000}, {"budget": True}, {"noise": 2}, {"noise": "no"}, {"noise": True}],
)
def test_impossible_studies_are_refused(wrong):
    with pytest.raises(refine.DesignError, match=next(iter(wrong))):
        refine.rehearse(SPACE, **wrong)


def test_trials_beyond_the_configurations_repeat_the_finalists(few_functions):
    space = {"a": [1, 2, 3, 4], "b": [1, 2]}
    noisy = refine.rehearse(space, budget=12)
    exact = refine.rehearse(space, budget=12, noise="none")
    assert [(size.trials, size.repeats) for size in noisy.sizes] == [(12, 4)]
    assert [(size.trials, size.repeats) for size in exact.sizes] == [(8, 0)]
    assert numbers_in(noisy.page().title) == ["8", "4"]
    assert numbers_in(exact.page().title) == ["8"]
    assert exact.page().calls[0].options["budget"] == 8


def test_a_space_of_one_configuration_is_refused():
    with pytest.raises(refine.DesignError, match="2 or more configurations"):
        refine.rehearse({"a": 1}, budget=12)


def test_drawn_functions_have_the_variance_of_the_prior():
    grid = np.linspace(0, 1, 5)[:, None]
    cells = embed(grid, np.ones((5, 1), dtype=bool), [0], [])
    values = [drawn_function(cells, np.random.default_rng(seed))(cells) for seed in range(400)]
    assert np.var(values, axis=0) == pytest.approx(np.ones(5), abs=0.25)
    assert abs(np.corrcoef(np.transpose(values))[0, 1]) > 0.6  # neighbours are alike


def test_a_fitted_process_is_sure_at_its_trials_and_unsure_beyond():
    x = np.linspace(0, 0.5, 12)[:, None]
    trials = embed(x, np.ones((12, 1), dtype=bool), [0], [])
    process = fitted_process(trials, 10 + np.sin(6 * x[:, 0]), np.random.default_rng(0))
    cells = embed(np.array([[0.25], [1.0]]), np.ones((2, 1), dtype=bool), [0], [])
    mean, sd = process(cells)
    assert mean[0] == pytest.approx(10 + np.sin(1.5), abs=0.1)
    assert sd[0] < 0.1 * sd[1]
