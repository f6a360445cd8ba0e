"""Spaces of other libraries: from what they write, and from the libraries themselves where they are installed."""

import json

import pytest

from refine.errors import SpaceError
from refine.space.categorical import Categorical
from refine.space.encoding import freeze
from refine.space.parameters import Float, Integer
from refine.space.space import Space


def entry(kind, name, conditions=(), **config):
    scopes = [{"class_name": "Parent", "config": {"name": n, "values": v}} for n, v in conditions]
    return {"class_name": kind, "config": {"name": name, "default": None, "conditions": scopes, **config}}


KERAS_TUNER = {
    "space": [
        entry("Choice", "model", values=["mlp", "cnn"], ordered=False),
        entry("Int", "units", [("model", ["mlp"])], min_value=8, max_value=70, step=8, sampling="linear"),
        entry("Int", "filters", [("model", ["cnn"])], min_value=16, max_value=128, step=2, sampling="log"),
        entry("Boolean", "norm", [("model", ["cnn"]), ("filters", [64, 128])]),
        entry("Float", "lr", min_value=1e-4, max_value=1e-2, step=None, sampling="log"),
        entry("Fixed", "epochs", value=3),
    ],
    "values": {},
}


def test_conditional_scopes_of_a_tuner(tmp_path):
    expected = Space(
        {
            "model": ["mlp", "cnn"],
            "units": Integer(8, 64, step=8, when="model == 'mlp'"),
            "filters": Integer(16, 128, base=2, when="model == 'cnn'"),
            "norm": Categorical([False, True], when="model == 'cnn' and filters in [64, 128]"),
            "lr": Float(1e-4, 1e-2, log=True),
            "epochs": 3,
        }
    )
    assert Space.from_keras_tuner(KERAS_TUNER) == expected
    (tmp_path / "oracle.json").write_text(json.dumps({"ongoing_trials": {}, "hyperparameters": KERAS_TUNER}))
    assert Space.from_keras_tuner(str(tmp_path / "oracle.json")) == expected


def test_what_is_no_such_space_is_an_error(tmp_path):
    with pytest.raises(SpaceError, match=r"this must be HyperParameters, what its get_config\(\) gives"):
        Space.from_keras_tuner({"a": 1})
    with pytest.raises(SpaceError, match="must be a JSON file of HyperParameters"):
        Space.from_keras_tuner(tmp_path / "none.json")


def test_the_real_keras_tuner():
    tuner = pytest.importorskip("keras_tuner")
    hp = tuner.HyperParameters()
    hp.Choice("model", ["mlp", "cnn"])
    with hp.conditional_scope("model", ["mlp"]):
        hp.Int("units", 8, 64, step=8)
    with hp.conditional_scope("model", ["cnn"]):
        hp.Int("filters", 16, 128, step=2, sampling="log")
        hp.Boolean("norm")
    found = Space.from_keras_tuner(hp)
    assert found["units"] == Integer(8, 64, step=8, when="model == 'mlp'")
    assert found["filters"] == Integer(16, 128, base=2, when="model == 'cnn'")
    assert found["norm"] == Categorical([False, True], when="model == 'cnn'")
    assert found.size == 8 + 4 * 2


@pytest.mark.slow
def test_branches_of_a_study_are_conditions(tmp_path):
    optuna = pytest.importorskip("optuna")
    import refine

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        if trial.suggest_categorical("classifier", ["SVC", "RandomForest"]) == "SVC":
            return trial.suggest_float("C", 1e-3, 1e3, log=True) ** 0.1
        depth = trial.suggest_int("depth", 2, 32, log=True)
        return depth + (trial.suggest_float("leaf", 0.1, 0.5) if depth > 4 else 0.0)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, n_trials=60)
    root = refine.Tree("study", store=str(tmp_path / "s.db")).add_study(study, space_filling=True)
    space = root.space
    assert space["C"].when == "classifier == 'SVC'"
    assert space["depth"].when == "classifier == 'RandomForest'"
    assert space["leaf"].when.startswith("depth >= ")
    trials = root.trials
    svc = trials["classifier"] == "SVC"
    assert trials["C"].notna().tolist() == svc.tolist()
    assert trials["depth"].notna().tolist() == (~svc).tolist()
    assert trials["leaf"].notna().tolist() == (trials["depth"] > 4).tolist()
    found = root.analyze()
    assert found["C"].n == trials["C"].notna().sum()
    again = {
        tuple(sorted(freeze(t.params[n]) for n in t.params if n != "classifier"))
        for t in root.to_optuna().trials
    }
    assert again == {
        tuple(sorted(freeze(t.params[n]) for n in t.params if n != "classifier")) for t in study.trials
    }
