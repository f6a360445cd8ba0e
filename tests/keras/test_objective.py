"""The article's model function as an objective: data, determinism, results, errors, memory."""

import functools
import gc
import json
import pathlib
import pickle
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import refine.keras
from refine.errors import ObjectiveError
from refine.keras import KerasObjective, fmeasure, hidden_layers, lr_normalizer

PARAMS = {
    "lr": 2.0,
    "first_neuron": 6,
    "hidden_layers": 1,
    "batch_size": 16,
    "epochs": 3,
    "dropout": 0.2,
    "shape": "funnel",
    "optimizer": keras.optimizers.Nadam,
    "losses": "binary_crossentropy",
    "activation": "relu",
    "last_activation": "sigmoid",
    "fast": True,
}


class Trial:
    """The trial that refine passes to an objective."""

    def __init__(self, seed=5):
        self.seed = seed
        self.curve = []

    def report(self, epoch, metrics):
        self.curve.append((epoch, dict(metrics)))


def document(x_train, y_train, x_val, y_val, params):
    """The article's model, with the names of Keras 3."""
    model = keras.Sequential([keras.Input((x_train.shape[1],))])
    model.add(layers.Dense(10, activation=params["activation"], kernel_initializer="normal"))
    model.add(layers.Dropout(params["dropout"]))
    hidden_layers(model, params, 1)
    model.add(layers.Dense(1, activation=params["last_activation"], kernel_initializer="normal"))
    rate = lr_normalizer(params["lr"], params["optimizer"])
    model.compile(params["optimizer"](learning_rate=rate), params["losses"], metrics=["acc", fmeasure])
    train = functools.partial(refine.keras.fit, model) if params["fast"] else model.fit
    validation = [x_val, y_val] if params["fast"] else (x_val, y_val)
    options = {"batch_size": params["batch_size"], "epochs": params["epochs"], "verbose": 0}
    return train(x_train, y_train, validation_data=validation, **options), model


@pytest.fixture(scope="module")
def data():
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return x[:200], y[:200]


def given(*outcome):
    """A model function that returns what it was given."""

    def model(x_train, y_train, x_val, y_val, params):
        return outcome if len(outcome) != 1 else outcome[0]

    return model


def scaler():
    from sklearn.preprocessing import StandardScaler

    return StandardScaler()


@pytest.mark.parametrize("fast", [True, pytest.param(False, marks=pytest.mark.nightly)])
def test_the_document_runs(fast, data):
    objective = KerasObjective(document, *data, preprocess=scaler())
    trial = Trial()
    metrics = objective(PARAMS | {"fast": fast}, trial)
    names = {"loss", "acc", "fmeasure", "val_loss", "val_acc", "val_fmeasure"}
    assert set(metrics) == names | {"degenerate"}
    assert [epoch for epoch, _ in trial.curve] == [0, 1, 2]
    assert all(set(values) == names for _, values in trial.curve)
    assert {k: v for k, v in metrics.items() if k != "degenerate"} == trial.curve[-1][1]
    assert all(type(value) is float for value in metrics.values())
    second_trial = Trial()
    assert objective(PARAMS | {"fast": fast}, second_trial) == metrics
    assert second_trial.curve == trial.curve
    if fast:  # the other way is slow
        assert objective(PARAMS | {"fast": fast}, Trial(6)) != metrics


SCRIPT = """
import json, sys
sys.path.insert(0, {here!r})
import test_objective as t
from sklearn.datasets import load_breast_cancer
x, y = load_breast_cancer(return_X_y=True)
objective = t.KerasObjective(t.document, x[:200], y[:200], preprocess=t.scaler())
objective.prepare(1)
result = objective(t.PARAMS, t.Trial())
print(json.dumps([objective.name, objective.fingerprint, objective.code, result]))
"""


@pytest.mark.nightly
def test_fresh_process_and_pickled_worker_give_the_same_bits(data):
    import cloudpickle

    objective = KerasObjective(document, *data, preprocess=scaler())
    objective(PARAMS | {"first_neuron": 3}, Trial(1))
    metrics = objective(PARAMS, Trial())
    script = SCRIPT.format(here=str(pathlib.Path(__file__).parent))
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    name, fingerprint, code, metrics_there = json.loads(process.stdout.strip().splitlines()[-1])
    assert metrics_there == metrics
    assert (fingerprint, code) == (objective.fingerprint, objective.code)
    assert name == "test_objective.document"
    copy = pickle.loads(cloudpickle.dumps(objective))
    assert copy(PARAMS, Trial()) == metrics
    assert copy.fingerprint == objective.fingerprint


def test_functions_of_a_notebook_travel_by_value(data):
    import cloudpickle

    space = {"__name__": "__main__"}
    exec("def net(x_train, y_train, x_val, y_val, params): return {'a': [len(x_val)]}, None", space)
    objective = KerasObjective(space["net"], *data)
    assert objective.name == "net"
    assert re.fullmatch("[0-9a-f]{12}", objective.code)
    copy = pickle.loads(cloudpickle.dumps(objective))
    assert copy({}, Trial()) == {"a": 60.0}


@pytest.mark.parametrize("fast", [True, pytest.param(False, marks=pytest.mark.nightly)])
def test_a_trial_leaves_no_model_in_memory(fast, data):
    from tensorflow.python.framework import func_graph, ops

    def kept():
        gc.collect()
        kinds = (func_graph.FuncGraph, keras.Model)
        return sum(isinstance(o, kinds) for o in gc.get_objects()), len(ops.gradient_registry.list())

    objective = KerasObjective(document, *data, preprocess=scaler())
    before = kept()
    objective(PARAMS | {"epochs": 1, "fast": fast}, Trial())
    assert kept() == before


def received(objective):
    parts = []

    def model(x_train, y_train, x_val, y_val, params):
        parts.extend([x_train, y_train, x_val, y_val])
        return {"a": [1]}, None

    objective.model = model
    objective({}, Trial())
    return tuple(parts)


def test_preprocess_is_fitted_on_training_rows_only(data):
    transformer = scaler()
    objective = KerasObjective(document, *data, preprocess=transformer)
    x_train, _, x_val, _ = received(objective)
    np.testing.assert_allclose(x_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(x_train.std(axis=0), 1, atol=1e-4)
    assert abs(x_val.mean(axis=0)).max() > 1e-3
    assert not hasattr(transformer, "mean_")


def test_split_is_stratified_seeded_and_complete():
    y = np.repeat([0, 1, 2], [60, 30, 10])
    x = np.arange(100.0)[:, None]
    rare = np.array([0] * 9 + [1])
    assert received(KerasObjective(document, x[:10], rare, val_split=0.5))[3].max() == 0  # stays to train
    plain = received(KerasObjective(document, x, np.arange(100)))[3]  # quantities
    assert len(plain) == 30
    for targets in (y, y.astype(float), y[:, None], np.eye(3)[y]):
        x_train, _, x_val, _ = received(KerasObjective(document, x, targets))
        picked = x_val[:, 0].astype(int)
        assert np.bincount(y[picked]).tolist() == [18, 9, 3]
        assert sorted([*picked, *x_train[:, 0].astype(int)]) == list(range(100))
    rows_val = received(KerasObjective(document, x, y))[2]
    other = received(KerasObjective(document, x, y, split_seed=1))[2]
    assert (received(KerasObjective(document, x, y))[2] == rows_val).all()
    assert not (other == rows_val).all()


def test_several_inputs_are_split_and_validation_data_are_left_whole():
    x = {"a": np.zeros((10, 2)), "b": np.ones((10, 3))}
    x_train, y_train, x_val, _ = received(KerasObjective(document, x, np.arange(10.0)))
    assert x_train["a"].shape == (7, 2)
    assert x_val["b"].shape == (3, 3)
    assert y_train.dtype == np.float32
    given_val = KerasObjective(document, np.zeros((4, 1)), [0, 1, 0, 1], x_val=np.ones((2, 1)), y_val=[1, 0])
    parts = received(given_val)
    assert [len(part) for part in parts] == [4, 4, 2, 2]
    with pytest.raises(ValueError, match="read-only"):
        parts[0][0] = 1


def test_fingerprint_depends_on_data_and_split_alone(data):
    x, y = data
    base = KerasObjective(document, x, y).fingerprint
    assert KerasObjective(given(1), x.copy(order="F"), y, name="other").fingerprint == base
    assert KerasObjective(document, x.astype(">f8"), y).fingerprint == base
    changed = x.copy()
    changed[3, 3] += 1
    variants = [
        KerasObjective(document, changed, y),
        KerasObjective(document, x, y, split_seed=1),
        KerasObjective(document, x, y, val_split=0.2),
        KerasObjective(document, x, y, preprocess=scaler()),
        KerasObjective(document, x[:100], y[:100], x_val=x[100:], y_val=y[100:]),
    ]
    assert len({base, *(o.fingerprint for o in variants)}) == 6


X = np.zeros((10, 2))
Y = np.arange(10) % 2


def constant(bias, weight=0.0, out=1):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(out, activation="sigmoid")])
    kernel = np.full((2, out), weight)
    kernel[:, 1:] = 0
    model.set_weights([kernel, np.full(out, bias)])
    return given({"a": [1.0]}, model)


@pytest.mark.parametrize(
    ("model", "y", "flag"),
    [
        (constant(-1), Y, 1.0),
        (constant(-9, 0.5), Y, 1.0),  # the outputs differ, the predicted class doesn't
        (constant(0, 5), Y, 0.0),
        (constant(-9, 0.5), Y * 0.37, 0.0),  # a quantity
        (constant(-9), Y * 0.37, 1.0),
        (constant(0, 5, 2), np.eye(2)[Y], 0.0),
        (constant(0, 0, 2), np.eye(2)[Y], 1.0),
    ],
)
def test_degenerate_models_are_flagged(model, y, flag):
    x = np.random.RandomState(0).normal(size=(10, 2))
    assert KerasObjective(model, x, y, val_split=0.5)({}, Trial())["degenerate"] == flag


def test_threads_that_come_too_late_warn_once(data):
    objective = KerasObjective(document, *data)
    keras.ops.ones(1)
    objective.prepare(1)
    with pytest.warns(RuntimeWarning, match="1 and 1 threads"):
        objective.prepare(3)
    objective.prepare(3)
    with pytest.raises(ObjectiveError, match="least 1, got 0; 1"):
        objective.prepare(0)


def test_the_dtype_policy_of_the_person_survives(data):
    objective = KerasObjective(given({"a": [1]}, None), *data)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        objective({}, Trial())
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


def test_an_objective_prints_its_name_rows_splits_and_backend(data):
    objective = KerasObjective(document, *data)
    rows = "140 training and 60 validation rows"
    assert repr(objective) == f"KerasObjective({objective.name!r}, {rows}, {objective.backend})"
    several = KerasObjective(document, *data, splits=3)
    assert repr(several) == f"KerasObjective({objective.name!r}, {rows}, 3 splits, {objective.backend})"
