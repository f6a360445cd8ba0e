"""Spaces of other libraries: from what they write, and from the libraries themselves where they are installed."""

import json

import pytest

from refine.errors import SpaceError
from refine.space.categorical import Categorical
from refine.space.encoding import freeze
from refine.space.parameters import Float, Integer
from refine.space.space import Space

CONFIGSPACE = {
    "name": None,
    "hyperparameters": [
        {"type": "categorical", "name": "kernel", "choices": ["linear", "poly", "rbf"]},
        {"type": "uniform_float", "name": "C", "lower": 0.001, "upper": 1000.0, "log": True},
        {"type": "uniform_int", "name": "degree", "lower": 2, "upper": 5, "log": False},
        {"type": "ordinal", "name": "size", "values": ["small", "large"]},
        {"type": "uniform_float", "name": "coef0", "lower": 0.0, "upper": 1.0, "log": False},
        {"type": "constant", "name": "tol", "value": 0.001},
    ],
    "conditions": [
        {"child": "degree", "parent": "kernel", "type": "EQ", "value": "poly"},
        {
            "type": "AND",
            "conditions": [
                {"child": "coef0", "parent": "kernel", "type": "IN", "values": ["poly", "rbf"]},
                {"child": "coef0", "parent": "C", "type": "GT", "value": 0.1},
            ],
        },
    ],
    "forbiddens": [
        {
            "type": "AND",
            "clauses": [
                {"name": "kernel", "type": "EQUALS", "value": "linear"},
                {"name": "size", "type": "IN", "values": ["large"]},
            ],
        }
    ],
}
EXPECTED = Space(
    {
        "kernel": ["linear", "poly", "rbf"],
        "C": Float(0.001, 1000, log=True),
        "degree": Integer(2, 5, when="kernel == 'poly'"),
        "size": Categorical(["small", "large"], ordered=True),
        "coef0": Float(0, 1, when="kernel in ['poly', 'rbf'] and C > 0.1"),
        "tol": 0.001,
    },
    ["not (kernel == 'linear' and size == 'large')"],
)


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


def test_a_configuration_space_with_its_conditions_and_forbidden_clauses(tmp_path):
    assert Space.from_configspace(CONFIGSPACE) == EXPECTED
    (tmp_path / "space.json").write_text(json.dumps(CONFIGSPACE))
    assert Space.from_configspace(tmp_path / "space.json") == EXPECTED


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
    with pytest.raises(SpaceError, match="this must be a ConfigurationSpace, what its to_serialized_dict"):
        Space.from_configspace({"a": 1})
    with pytest.raises(SpaceError, match="must be a JSON file of HyperParameters"):
        Space.from_keras_tuner(tmp_path / "none.json")


def test_the_real_configspace():
    cs = pytest.importorskip("ConfigSpace")
    space = cs.ConfigurationSpace()
    kernel = cs.CategoricalHyperparameter("kernel", ["linear", "poly", "rbf"])
    c = cs.UniformFloatHyperparameter("C", 0.001, 1000.0, log=True)
    degree = cs.UniformIntegerHyperparameter("degree", 2, 5)
    size = cs.OrdinalHyperparameter("size", ["small", "large"])
    coef0 = cs.UniformFloatHyperparameter("coef0", 0.0, 1.0)
    space.add([kernel, c, degree, size, coef0, cs.Constant("tol", 0.001)])
    space.add([cs.EqualsCondition(degree, kernel, "poly")])
    space.add(
        [
            cs.AndConjunction(
                cs.InCondition(coef0, kernel, ["poly", "rbf"]), cs.GreaterThanCondition(coef0, c, 0.1)
            )
        ]
    )
    space.add(
        [
            cs.ForbiddenAndConjunction(
                cs.ForbiddenEqualsClause(kernel, "linear"), cs.ForbiddenInClause(size, ["large"])
            )
        ]
    )
    found = Space.from_configspace(space)
    assert dict(found) == dict(EXPECTED)
    assert found.size == EXPECTED.size
    assert [str(c) for c in found.constraints] in (
        ["not (kernel == 'linear' and size == 'large')"],
        ["not (kernel == 'linear' and size in ['large'])"],
    )


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
