"""`fit(compiled=True)`: one program that XLA compiles for all networks of a structure."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import psutil
import pytest
from keras import layers

from nightly import few
from refine.design.pruning import Limit
from refine.errors import ObjectiveError, RefineWarning
from refine.keras import KerasObjective, _plain, fit, fmeasure
from refine.keras._notices import heard_anew
from refine.run.objective import RunningTrial, _running

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(103, 6)).astype("float32")
Y = (X[:, 0] + RNG.normal(size=103) > 0).astype("float32")
EPOCHS = 3


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    _plain._traces.clear()
    with heard_anew():
        yield
    _plain._traces.clear()


def network(
    *,
    widths: tuple[int, ...] = (5, 9),
    activation: Any = "elu",
    dropout: float = 0.3,
    optimizer: Any = "nadam",
    loss: Any = "binary_crossentropy",
    outputs: int = 1,
    last: str = "sigmoid",
    penalty: Any = None,
    metrics: Any = ("acc", fmeasure),
) -> Any:
    """A dense network without XLA in `model.fit`, whose random numbers are others."""
    model = keras.Sequential([keras.Input((6,))])
    for width in widths:
        model.add(layers.Dense(width, activation=activation, kernel_regularizer=penalty))
        if dropout:
            model.add(layers.Dropout(dropout))
    model.add(layers.Dense(outputs, activation=last))
    model.compile(
        optimizer() if callable(optimizer) else optimizer, loss, metrics=list(metrics), jit_compile=False
    )
    return model


def trained(options: dict[str, Any], way: Any, **arguments: Any) -> tuple[dict[str, Any], list[Any]]:
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    model = network(**options)
    arguments = {"batch_size": 7, "epochs": EPOCHS, "shuffle": False, "verbose": 0} | arguments
    y = arguments.pop("y", Y)
    if "validation_data" not in arguments:
        arguments["validation_data"] = (X[80:], y[80:])
    if way == "keras":
        history = model.fit(X[:80], y[:80], **arguments)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RefineWarning)
            history = fit(model, X[:80], y[:80], compiled=way, **arguments)
    state = [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]
    return history.history, state


def programs() -> int:
    """How many compiled programs are kept."""
    return sum(key[0] in ("many", "train") and key[1] is not None for key in _plain._traces)


CASES: dict[str, dict[str, Any]] = {
    "no hidden dropout": {"dropout": 0.0},
    "dropout": {},
    "one hidden": {"widths": (12,)},
    "three hidden, tanh": {"widths": (3, 8, 17), "activation": "tanh"},
    "sigmoid inside": {"activation": "sigmoid", "optimizer": "adam"},
    "weight decay": {"optimizer": lambda: keras.optimizers.AdamW(weight_decay=0.05)},
    "momentum": {"optimizer": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)},
    "schedule": {"optimizer": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.8)
    )},
    "ftrl": {"optimizer": "ftrl"},
    "l2": {"penalty": keras.regularizers.L2(0.02)},
    "l1": {"penalty": keras.regularizers.L1(0.02)},
    "auc": {"metrics": ("AUC",)},
}  # fmt: skip


@pytest.mark.parametrize("name", few(CASES))
def test_it_gives_what_keras_gives(name: str) -> None:
    expected = trained(CASES[name], "keras")
    found = trained(CASES[name], True)
    assert programs() == 1
    assert list(found[0]) == list(expected[0])
    for metric, values in expected[0].items():
        np.testing.assert_allclose(found[0][metric], values, rtol=1e-5, atol=1e-5, err_msg=metric)
    for mine, theirs in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "arguments",
    few(
        [
            {"batch_size": 1},
            {"batch_size": 64},
            {"batch_size": 80},
            {"validation_data": None},
            {"sample_weight": RNG.uniform(0.2, 3, 80)},
            {"class_weight": {0: 1.0, 1: 4.0}},
            {"initial_epoch": 1},
        ],
        3,
    ),
    ids=str,
)
def test_arguments_mean_what_they_mean_in_keras(arguments: dict[str, Any]) -> None:
    expected = trained({}, "keras", **arguments)
    if arguments.get("batch_size") == 80:
        with pytest.raises(RefineWarning, match="batches of up to 64 rows"):
            trained({}, True, **arguments)
        return
    found = trained({}, True, **arguments)
    assert programs() == 1
    for metric, values in expected[0].items():
        np.testing.assert_allclose(found[0][metric], values, rtol=1e-5, atol=1e-5, err_msg=metric)


@pytest.mark.nightly
def test_several_classes() -> None:
    y = RNG.integers(0, 3, 103)
    options = {
        "outputs": 3,
        "last": "softmax",
        "loss": "sparse_categorical_crossentropy",
        "metrics": ("acc",),
    }
    expected, found = (trained(options, way, y=y)[0] for way in ("keras", True))
    for metric, values in expected.items():
        np.testing.assert_allclose(found[metric], values, rtol=1e-5, atol=1e-5, err_msg=metric)


@pytest.mark.nightly
def test_metrics_are_the_same_numbers() -> None:
    """Counts are exact, so that two trials with as many hits are tied whichever way they were trained."""
    plain, found = (trained({"optimizer": "sgd"}, way)[0] for way in (False, True))
    for name in ("acc", "val_acc", "fmeasure", "val_fmeasure"):
        assert found[name] == plain[name]


@pytest.mark.nightly
def test_one_program_serves_common_activations_losses_and_optimizers(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = [
        {"activation": keras.activations.relu, "optimizer": "adam", "loss": "log_cosh"},
        {
            "activation": "tanh",
            "optimizer": keras.optimizers.RMSprop,
            "loss": keras.losses.mean_squared_error,
        },
        {"activation": "elu", "optimizer": lambda: keras.optimizers.Nadam(0.01)},
        {"activation": "relu", "optimizer": "rmsprop", "dropout": 0.1},
    ]
    for options in tried:
        expected, found = (trained(options | {"widths": (4,)}, way) for way in ("keras", True))
        for metric, values in expected[0].items():
            np.testing.assert_allclose(found[0][metric], values, rtol=1e-5, atol=1e-5, err_msg=metric)
        for mine, theirs in zip(found[1], expected[1], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    assert programs() == 1
    trained({"widths": (4,), "optimizer": lambda: keras.optimizers.Adam(beta_1=0.8)}, True)
    assert programs() == 2
    # They stay until memory is short.
    monkeypatch.setattr(_plain, "_MOST_WHEN_SHORT", 2)
    memory = psutil.virtual_memory()
    for share, full in ((0.5, False), (0.2, True)):
        given = memory._replace(available=int(share * memory.total))
        monkeypatch.setattr(psutil, "virtual_memory", lambda given=given: given)
        assert _plain._is_full() == full


@pytest.mark.nightly
def test_one_program_serves_a_structure_and_leaves_no_trace_in_results() -> None:
    alone = trained({"widths": (5, 7)}, True)
    trained({"widths": (2, 8), "dropout": 0.1, "optimizer": lambda: keras.optimizers.Nadam(0.1)}, True)
    assert programs() == 1
    again = trained({"widths": (5, 7)}, True)
    assert again[0] == alone[0]
    _plain._traces.clear()
    trained({"widths": (2, 8), "activation": "relu", "optimizer": "adam", "loss": "mse"}, True)
    assert trained({"widths": (5, 7)}, True)[0] == alone[0]
    trained({"widths": (5, 9)}, True)  # wider than 8
    assert programs() == 2


@pytest.mark.nightly
def test_epochs_beyond_one_call_go_on() -> None:
    plain, found = (trained({"optimizer": "sgd"}, way, epochs=70, batch_size=40) for way in (False, True))
    assert len(found[0]["loss"]) == 70
    np.testing.assert_allclose(found[0]["loss"], plain[0]["loss"], rtol=1e-4)


@pytest.mark.nightly
def test_rows_are_shuffled_as_without_it() -> None:
    plain, found = (trained({"dropout": 0.0}, way, shuffle=True) for way in (False, True))
    np.testing.assert_allclose(found[0]["loss"], plain[0]["loss"], rtol=1e-5)


@pytest.mark.nightly
def test_a_trial_that_is_behind_stops() -> None:
    lengths = []
    for way in (True, False):
        limit = Limit("val_acc", 1.0, 2, (-1.0, -1.0, 2.0, 2.0, 2.0, 2.0))
        token = _running.set(RunningTrial(1, limit))
        try:
            lengths.append(len(trained({}, way, epochs=6)[0]["val_acc"]))
        finally:
            _running.reset(token)
    assert programs() == 1
    assert lengths[0] == lengths[1] < 6


class Shifted(layers.Dense):
    """A layer of one's own."""


def softmax_inside() -> Any:
    return network(activation="softmax")


def wide() -> Any:
    return network(widths=(200, 4))


def normalised() -> Any:
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    return model


def own_layer() -> Any:
    model = keras.Sequential([keras.Input((6,)), Shifted(4), layers.Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (softmax_inside, "treat columns one by one"),
        (wide, "layers of up to 128 units"),
        (normalised, "no Sequential model of at least two Dense layers"),
        (own_layer, "nothing is known of layer Shifted"),
    ],
)
def test_what_can_not_be_compiled_says_so_and_is_trained(build: Any, why: str) -> None:
    with pytest.warns(RefineWarning, match=why):
        history = fit(build(), X, Y, epochs=2, compiled=True).history
    assert np.isfinite(history["loss"]).all()
    assert len(history["loss"]) == 2


def test_callbacks_between_epochs_say_so() -> None:
    with pytest.warns(RefineWarning, match="not compiled, because callbacks"):
        fit(network(), X, Y, epochs=2, compiled=True, callbacks=[keras.callbacks.TerminateOnNaN()])


def unchanged(x: Any, y: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    """A person's own function."""
    model = network(widths=(int(params["units"]),))
    history = model.fit(x, y, validation_data=(x_val, y_val), epochs=2, batch_size=16, verbose=0)
    return history, model


def changed(x: Any, y: Any, x_val: Any, y_val: Any, params: Any) -> Any:
    """The same with `refine.keras.fit`."""
    model = network(widths=(int(params["units"]),))
    history = fit(model, x, y, validation_data=(x_val, y_val), epochs=2, batch_size=16)
    return history, model


@pytest.mark.nightly
def test_an_objective_asks_for_it() -> None:
    objective = KerasObjective(unchanged, X, Y, accelerate="compiled")
    found = objective({"units": 4}, RunningTrial(5, None))
    assert found["accelerated"] == 1.0
    assert programs() == 1
    called = KerasObjective(changed, X, Y, accelerate="compiled")
    assert called({"units": 4}, RunningTrial(5, None)) == found
    assert programs() == 1
    assert objective.code.endswith("-compiled")
    assert KerasObjective(unchanged, X, Y, accelerate=True).code.endswith("-accelerated")
    with pytest.raises(ObjectiveError, match=r'accelerate: must be True, False or "compiled", got \'xla\''):
        KerasObjective(unchanged, X, Y, accelerate="xla")
