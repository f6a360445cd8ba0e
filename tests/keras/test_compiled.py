"""`fit(compiled=True)`: one program that XLA compiles for all networks of a structure."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from nightly import few
from refine.design.pruning import Limit
from refine.errors import RefineWarning
from refine.keras import KerasObjective, _traces, fit, fmeasure
from refine.keras._notices import heard_anew
from refine.run.running_trial import RunningTrial, _running

RNG = np.random.default_rng(0)
X = RNG.normal(size=(103, 6)).astype("float32")
Y = (X[:, 0] + RNG.normal(size=103) > 0).astype("float32")


@pytest.fixture(autouse=True)
def _alone():
    _traces._traces.clear()
    with heard_anew():
        yield
    _traces._traces.clear()


def network(
    *,
    widths=(5, 9),
    activation="elu",
    dropout=0.0,
    optimizer="nadam",
    loss="binary_crossentropy",
    outputs=1,
    last="sigmoid",
    penalty=None,
    metrics=("acc", fmeasure),
):
    """A dense network without XLA in `model.fit`, which rounds in another way."""
    model = keras.Sequential([keras.Input((6,))])
    for width in widths:
        model.add(layers.Dense(width, activation=activation, kernel_regularizer=penalty))
        if dropout:
            model.add(layers.Dropout(dropout))
    model.add(layers.Dense(outputs, activation=last))
    optimizer_object = optimizer() if callable(optimizer) else optimizer
    model.compile(optimizer_object, loss, metrics=list(metrics), jit_compile=False)
    return model


def trained(options, way, **arguments):
    """Curves and state of a training by ``"keras"``, compiled (True) or not (False)."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    model = network(**options)
    y = arguments.pop("y", Y)
    arguments = {
        "batch_size": 7,
        "epochs": 3,
        "shuffle": False,
        "verbose": 0,
        "validation_data": (X[80:], y[80:]),
    } | arguments
    if way == "keras":
        history = model.fit(X[:80], y[:80], **arguments)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RefineWarning)
            history = fit(model, X[:80], y[:80], compiled=way, **arguments)
    return history.history, [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def assert_equal(options, **arguments):
    """The compiled program gives what Keras gives."""
    (curves, state), (expected, weights) = (trained(options, way, **arguments) for way in (True, "keras"))
    assert list(curves) == list(expected)
    for metric, values in expected.items():
        np.testing.assert_allclose(curves[metric], values, rtol=1e-5, atol=1e-5, err_msg=metric)
    for value, weight in zip(state, weights, strict=True):
        np.testing.assert_allclose(value, weight, rtol=1e-5, atol=1e-5)


def programs():
    """The number of compiled programs in memory."""
    return sum(key[0] == "compiled" for key in _traces._traces)


SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.8)
CASES = {
    "chosen by number": ({}, {"sample_weight": RNG.uniform(0.2, 3, 80)}),
    "one hidden, weights of classes": ({"widths": (12,)}, {"class_weight": {0: 1.0, 1: 4.0}}),
    "three hidden, tanh": ({"widths": (3, 8, 17), "activation": "tanh"}, {"validation_data": None}),
    "sigmoid inside": ({"activation": "sigmoid", "optimizer": "adam"}, {"batch_size": 64}),
    "weight decay": ({"optimizer": lambda: keras.optimizers.AdamW(weight_decay=0.05)}, {"batch_size": 1}),
    "momentum": (
        {"optimizer": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)},
        {"initial_epoch": 1},
    ),
    "schedule": ({"optimizer": lambda: keras.optimizers.Adam(SCHEDULE)}, {}),
    "ftrl, l2": ({"optimizer": "ftrl", "penalty": keras.regularizers.L2(0.02)}, {}),
    "auc, l1": ({"metrics": ("AUC",), "penalty": keras.regularizers.L1(0.02)}, {}),
    "several classes": (
        {"outputs": 3, "last": "softmax", "loss": "sparse_categorical_crossentropy", "metrics": ("acc",)},
        {"y": RNG.integers(0, 3, 103)},
    ),
}


@pytest.mark.parametrize("name", few(CASES, 10))
def test_a_compiled_fit_gives_the_values_of_keras(name):
    options, arguments = CASES[name]
    assert_equal(options, **arguments)
    assert programs() == 1


@pytest.mark.nightly
def test_one_program_serves_a_structure_and_leaves_no_trace_in_results():
    """Dropout draws from the seed, at the rate that was given; rows are shuffled as without compiling."""
    alone = trained({"dropout": 0.3}, True)
    changed = {"widths": (2, 12), "dropout": 0.1, "optimizer": lambda: keras.optimizers.Nadam(0.1)}
    trained(changed, True)
    assert trained({"dropout": 0.3}, True)[0] == alone[0]
    still = {"optimizer": lambda: keras.optimizers.RMSprop(1e-12), "dropout": 0.4, "activation": "relu"}
    losses = [trained(still, way, epochs=70)[0]["loss"] for way in ("keras", True)]
    assert programs() == 1
    assert len(losses[1]) == 70  # more than one call has
    error = np.std(losses) / 70**0.5
    assert abs(np.mean(losses[0]) - np.mean(losses[1])) < 4 * error
    assert np.std(losses[1]) == pytest.approx(np.std(losses[0]), rel=0.5)


@pytest.mark.nightly
def test_a_trial_that_is_behind_stops():
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


def sequential(*inner):
    model = keras.Sequential([keras.Input((6,)), *inner, layers.Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    ("build", "options", "reason"),
    [
        (lambda: network(activation="softmax"), {}, "treat columns one by one"),
        (lambda: network(widths=(200, 4)), {}, "layers of up to 128 units"),
        (network, {"batch_size": 80}, "batches of up to 64 rows"),
        (
            lambda: sequential(layers.Dense(4), layers.BatchNormalization()),
            {},
            "not a Sequential model of at least two Dense layers",
        ),
        (lambda: sequential(Shifted(4)), {}, "layer Shifted is not in the list of known layers"),
        (network, {"verbose": 2}, "not compiled, because callbacks"),
    ],
)
def test_a_model_that_cannot_be_compiled_is_trained_with_a_warning(build, options, reason):
    with pytest.warns(RefineWarning, match=reason):
        history = fit(build(), X, Y, epochs=2, compiled=True, **options).history
    assert np.isfinite(history["loss"]).all()
    assert len(history["loss"]) == 2


def unchanged(x, y, x_val, y_val, params):
    """A person's own function."""
    model = network(widths=(int(params["units"]),))
    history = model.fit(x, y, validation_data=(x_val, y_val), epochs=2, batch_size=16, verbose=0)
    return history, model


def changed(x, y, x_val, y_val, params):
    """The same with `refine.keras.fit`."""
    model = network(widths=(int(params["units"]),))
    history = fit(model, x, y, validation_data=(x_val, y_val), epochs=2, batch_size=16)
    return history, model


@pytest.mark.nightly
def test_an_objective_can_ask_for_compiled_fits():
    objective = KerasObjective(unchanged, X, Y, accelerate="compiled")
    metrics = objective({"units": 4}, RunningTrial(5, None))
    assert metrics["accelerated"] == 1.0
    called = KerasObjective(changed, X, Y, accelerate="compiled")
    assert called({"units": 4}, RunningTrial(5, None)) == metrics
    assert programs() == 1
    assert objective.code.endswith("-compiled")
