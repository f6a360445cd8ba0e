"""The recipes of a space for libraries that only .venv-backends has: their draws lie in the space."""

import pytest

import refine
from tests.elsewhere import library
from tests.recipes import recipe

pytestmark = [pytest.mark.slow, pytest.mark.elsewhere]

PLAIN = refine.Space(
    {
        "optimizer": ["adam", "sgd"],
        "momentum": refine.Float(0.1, 0.9, when="optimizer == 'sgd'"),
        "lr": refine.Float(1e-4, 0.1, log=True),
        "depth": refine.Integer(1, 6),
        "decay": refine.Float(0.0, 1.0, when="optimizer == 'sgd' and depth > 2"),
        "batch": [16, 32, 64],
        "epochs": 10,
    }
)


def test_configspace_draws_from_the_space():
    library("ConfigSpace", ".venv-backends")
    drawn = recipe("tools.md", "ConfigSpace", space=PLAIN, refine=refine)["config_space"]
    for configuration in drawn.sample_configuration(100):
        params = {n: v.item() if hasattr(v, "item") else v for n, v in dict(configuration).items()}
        assert PLAIN.holds({n: params[n] for n in PLAIN.has(params)})


def test_keras_tuner_draws_from_the_space():
    keras_tuner = library("keras_tuner", ".venv-backends")
    declare = recipe("tools.md", "Keras Tuner space", space=PLAIN, refine=refine)["declare"]
    declare(hp := keras_tuner.HyperParameters())
    assert {h.name for h in hp.space} == set(PLAIN)
    assert PLAIN.holds(declare(hp))


def test_ray_tune_draws_from_the_space():
    library("ray.tune", ".venv-backends")
    from ray.tune.search.variant_generator import generate_variants

    param_space = recipe("tools.md", "Ray Tune space", space=PLAIN, refine=refine)["param_space"]
    for _ in range(50):
        ((_, config),) = generate_variants(param_space)
        assert PLAIN.holds({n: config[n] for n in PLAIN.has(config)})


def test_a_round_runs_on_ray(tmp_path, monkeypatch):
    library("ray", ".venv-backends").shutdown()
    monkeypatch.chdir(tmp_path)
    assert set(recipe("running.md", "Ray")["root"].trials["state"]) == {"complete"}
