"""Traces that several models share: the same bits as without, for everything that counts as a value."""

import gc
import weakref

import keras
import numpy as np
import psutil
import pytest
from keras import layers

import refine.keras
from refine.keras import KerasObjective, _session, _traces, fmeasure, hidden_layers
from refine.run.running_trial import RunningTrial

BASE = {
    "first_neuron": 6,
    "hidden_layers": 2,
    "shape": "brick",
    "dropout": 0.3,
    "kernel_regularizer": 0.01,
    "activation": "relu",
    "lr": 0.01,
    "batch_size": 25,
    "optimizer": keras.optimizers.Nadam,
    "loss": "binary_crossentropy",
}
VALUES = [
    {"first_neuron": 9, "dropout": 0.1, "lr": 0.1},
    {"kernel_regularizer": 0.2, "batch_size": 7, "shape": "funnel"},
]
STRUCTURES = [
    {"hidden_layers": 1},
    {"dropout": 0.0},
    {"kernel_regularizer": None},
    {"activation": "elu"},
    {"optimizer": keras.optimizers.Adam},
    {"loss": keras.losses.log_cosh},
]


@pytest.fixture(autouse=True)
def _no_traces():
    _traces._traces.clear()
    yield
    _traces._traces.clear()


def model_of(params):
    model = keras.Sequential([keras.Input((30,)), layers.Dense(4), layers.Dropout(params["dropout"])])
    hidden_layers(model, params, 1)
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(params["optimizer"](params["lr"]), params["loss"], metrics=["acc", fmeasure])
    return model


def train(cancer, changed, seed=1, **options):
    """History and weights of one training."""
    params = BASE | changed
    keras.utils.set_random_seed(seed)
    model = model_of(params)
    data = {"validation_data": (cancer.x_val, cancer.y_val), "batch_size": params["batch_size"]}
    history = refine.keras.fit(model, cancer.x, cancer.y, epochs=3, **data, **options)
    weights = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    return history.history, weights


@pytest.mark.nightly
def test_values_share_a_trace_and_give_the_same_bits(cancer):
    trained = []
    for changed in VALUES:
        _traces._traces.clear()
        trained.append(train(cancer, changed))
    _traces._traces.clear()
    train(cancer, {}, seed=9)
    for changed, (curves, weights) in zip(VALUES, trained, strict=True):
        shared = train(cancer, changed)
        assert shared[0] == curves
        assert all(
            np.array_equal(shared_weight, weight)
            for shared_weight, weight in zip(shared[1], weights, strict=True)
        )
    assert len(_traces._traces) == 1


def test_own_functions_are_never_shared(cancer):
    losses = [lambda y, p: keras.ops.mean((y - p) ** 2), lambda y, p: 0 * keras.ops.mean((y - p) ** 2)]
    last = [train(cancer, {"loss": loss, "kernel_regularizer": None})[0]["loss"][-1] for loss in losses]
    assert last[0] > 0.01
    assert last[1] == 0
    assert not _traces._traces


def test_options_that_keras_leaves_out_of_a_configuration_count():
    model, other_model = (
        model_of(BASE | {"loss": keras.losses.CosineSimilarity(axis=axis)}) for axis in (-1, 0)
    )
    shapes = _traces.open_shapes(model)
    structure = _traces.structure
    assert structure(model, shapes) == structure(model, shapes) != structure(other_model, shapes)


def test_traces_are_few_hold_no_model_and_are_freed(cancer, monkeypatch):
    monkeypatch.setattr(_traces, "_MOST", 2)
    monkeypatch.setattr(_traces, "_MOST_WHEN_SHORT", 1)
    memory = psutil.virtual_memory()
    share = [0.5]
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: memory._replace(available=int(share[0] * memory.total))
    )
    models = []
    graphs = []
    for number, changed in enumerate(STRUCTURES[:3]):
        share[0] = 0.5 if number < 2 else 0.2
        model = model_of(BASE | changed)
        models.append(weakref.ref(model))
        refine.keras.fit(model, cancer.x, cancer.y, epochs=1)
        assert len(_traces._traces) == (1, 2, 1)[number]
        graphs += [weakref.ref(trace.function.graph) for trace in _traces._traces.values()]
        del model
        gc.collect()
        gc.freeze()  # out of the collector's sight from here on
    assert gc.get_freeze_count() > 0
    keras.utils.clear_session()
    gc.collect()
    assert [reference() for reference in models] == [None] * 3
    assert graphs[0]() is None
    assert graphs[-1]() is not None


def test_earlier_trials_change_no_value_of_a_trial(cancer):
    import tensorflow as tf

    def trained(x, y, x_val, y_val, params):
        noise = float(tf.random.uniform(()))  # its state lives in a kernel
        model = model_of(BASE | dict(params))
        history = refine.keras.fit(model, x, y, validation_data=[x_val, y_val], epochs=2)
        history.history["noise"] = [noise]
        return history, model

    objective = KerasObjective(trained, cancer.x, cancer.y, x_val=cancer.x_val, y_val=cancer.y_val)
    _session._seeds.clear()
    first = objective({}, RunningTrial(5))
    assert objective({"first_neuron": 9}, RunningTrial(6))["noise"] != first["noise"]
    assert objective({}, RunningTrial(5)) == first
    _traces._traces.clear()
    assert objective({}, RunningTrial(5)) == first
