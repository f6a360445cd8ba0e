"""Traces that several models share: the same bits as without, for everything that counts as a value."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from keras import layers

import refine.keras
from refine.errors import RefineWarning
from refine.keras import KerasObjective, _fast, _plain, _session, fmeasure, hidden_layers
from refine.keras._epochs import Epochs
from refine.keras._plain import Plain

if TYPE_CHECKING:
    from collections.abc import Iterator

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
VALUES: list[dict[str, Any]] = [
    {"first_neuron": 9},
    {"dropout": 0.1},
    {"kernel_regularizer": 0.2},
    {"lr": 0.1},
    {"batch_size": 7},
    {"shape": "funnel"},
]
STRUCTURES: list[dict[str, Any]] = [
    {"hidden_layers": 1},
    {"dropout": 0.0},
    {"kernel_regularizer": None},
    {"activation": "elu"},
    {"optimizer": keras.optimizers.Adam},
    {"loss": keras.losses.log_cosh},
]


@pytest.fixture(autouse=True)
def _no_traces() -> Iterator[None]:
    _plain._traces.clear()
    yield
    _plain._traces.clear()


def model_of(params: dict[str, Any]) -> keras.Model:
    model = keras.Sequential([keras.Input((30,)), layers.Dense(4), layers.Dropout(params["dropout"])])
    hidden_layers(model, params, 1)
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(params["optimizer"](params["lr"]), params["loss"], metrics=["acc", fmeasure])
    return model


def train(cancer: Any, changed: dict[str, Any], seed: int = 1, **options: Any) -> tuple[Any, Any]:
    """History and weights of one training."""
    params = BASE | changed
    keras.utils.set_random_seed(seed)
    model = model_of(params)
    data = {"validation_data": (cancer.x_val, cancer.y_val), "batch_size": params["batch_size"]}
    history = refine.keras.fit(model, cancer.x, cancer.y, epochs=3, **data, **options)
    weights = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    return history.history, weights


def assert_same(found: Any, expected: Any) -> None:
    assert found[0] == expected[0]
    for mine, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.nightly
def test_values_share_a_trace_and_give_the_same_bits(cancer: Any) -> None:
    fresh = []
    for changed in VALUES:
        _plain._traces.clear()
        fresh.append(train(cancer, changed))
    _plain._traces.clear()
    train(cancer, {}, seed=9)
    known = list(_plain._traces)
    assert len(known) == 2  # the epochs and the scores
    for changed, expected in zip(VALUES, fresh, strict=True):
        assert_same(train(cancer, changed), expected)
    assert set(_plain._traces) == set(known)


@pytest.mark.nightly
def test_structures_have_traces_of_their_own(cancer: Any) -> None:
    train(cancer, {})
    for number, changed in enumerate(STRUCTURES):
        train(cancer, changed)
        assert len(_plain._traces) == 3 + number


def test_own_functions_are_never_shared(cancer: Any) -> None:
    losses = [lambda y, p: keras.ops.mean((y - p) ** 2), lambda y, p: 0 * keras.ops.mean((y - p) ** 2)]
    found = [train(cancer, {"loss": loss, "kernel_regularizer": None})[0]["loss"][-1] for loss in losses]
    assert found[0] > 0.01
    assert found[1] == 0
    assert not _plain._traces


def test_shared_penalties_differ_from_separate_ones(cancer: Any) -> None:
    def last(first: Any, second: Any) -> float:
        keras.utils.set_random_seed(1)
        hidden = [layers.Dense(3, kernel_regularizer=penalty) for penalty in (first, second)]
        model = keras.Sequential([keras.Input((30,)), *hidden, layers.Dense(1)])
        model.compile("sgd", "mse")
        loss = refine.keras.fit(model, cancer.x, cancer.y, epochs=1).history["loss"][-1]
        return float(loss)

    one = keras.regularizers.L2(0.1)
    last(one, one)
    separate = last(keras.regularizers.L2(0.1), keras.regularizers.L2(5.0))
    _plain._traces.clear()
    assert last(keras.regularizers.L2(0.1), keras.regularizers.L2(5.0)) == separate
    assert one.l2 == 0.1


def test_the_lean_step_is_the_step_of_keras(cancer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lean = train(cancer, {})
    monkeypatch.setattr(_fast, "unfit", lambda *_: "told so")
    with pytest.warns(RefineWarning, match="Keras' own step, because told so"):
        whole = train(cancer, {})
    for name, values in whole[0].items():
        np.testing.assert_allclose(lean[0][name], values, atol=1e-6, err_msg=name)
    for mine, other in zip(lean[1], whole[1], strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_callbacks_and_many_epochs_at_once_agree(cancer: Any) -> None:
    together = train(cancer, {})
    singly = train(cancer, {}, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: None)])
    for name, values in together[0].items():
        np.testing.assert_allclose(singly[0][name], values, atol=1e-6, err_msg=name)


def test_traces_are_few_and_hold_no_model(cancer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plain, "_most_traces", lambda: 3)
    references = []
    for changed in STRUCTURES[:3]:
        model = model_of(BASE | changed)
        references.append(weakref.ref(model))
        refine.keras.fit(model, cancer.x, cancer.y, epochs=1)
        del model
    assert 1 <= len(_plain._traces) <= 3
    keras.utils.clear_session()
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


def test_traces_that_had_to_go_are_freed(cancer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plain, "_most_traces", lambda: 2)
    model = model_of(BASE)
    refine.keras.fit(model, cancer.x, cancer.y, epochs=1)
    graphs = [weakref.ref(found.function.graph) for found in _plain._traces.values()]
    assert len(graphs) == 2
    del model
    _session._collect()  # out of the collector's sight from here on
    assert gc.get_freeze_count() > 0
    refine.keras.fit(model_of(BASE | STRUCTURES[1]), cancer.x, cancer.y, epochs=1)
    keras.utils.clear_session()
    _session._collect()
    assert graphs[-1]() is None  # the metrics' is part of the new one


def test_what_is_plain(cancer: Any) -> None:
    from refine.keras._data import rows

    data = rows(cancer.x, cancer.y)
    model = model_of(BASE)
    assert _plain.unfit(model, data, data) is None
    model.compile(keras.optimizers.Adam(clipnorm=1.0), "mse")
    assert "Adam does not update every weight" in str(_plain.unfit(model, data, data))
    model.compile(keras.optimizers.Adam(), "mse")
    assert "targets" in str(_plain.unfit(model, rows(cancer.x), None))
    monitored = Plain(model, data, None, None)
    assert Plain.standard
    assert set(dir(monitored)) >= {"train_epochs", "train_epoch", "validate", "finish", "trace"}
    assert hasattr(Epochs, "finish")


class Running:
    """A trial as objectives see it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def report(self, epoch: int, metrics: Any) -> None:
        pass


def test_trials_give_the_same_whatever_ran_before(cancer: Any) -> None:
    import tensorflow as tf

    def trained(x: Any, y: Any, x_val: Any, y_val: Any, params: Any) -> Any:
        noise = float(tf.random.uniform(()))  # its state lives in a kernel
        model = model_of(BASE | dict(params))
        history = refine.keras.fit(model, x, y, validation_data=[x_val, y_val], epochs=2)
        history.history["noise"] = [noise]
        return history, model

    objective = KerasObjective(trained, cancer.x, cancer.y, x_val=cancer.x_val, y_val=cancer.y_val)
    _session._seeds.clear()
    first = objective({}, Running(5))
    assert objective({"first_neuron": 9}, Running(6))["noise"] != first["noise"]
    assert objective({}, Running(5)) == first
    _plain._traces.clear()
    assert objective({}, Running(5)) == first
