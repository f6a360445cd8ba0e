"""The recorded metrics and the weights of a model are of one epoch."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import layers

import refine.keras
from nightly import few, nightly
from refine.errors import RefineWarning
from refine.keras import KerasObjective, _notices
from refine.run.running_trial import RunningTrial


@pytest.fixture(autouse=True)
def _say_again(monkeypatch):
    monkeypatch.setattr(_notices, "warned_texts", set())


def trained(x, y, x_val, y_val, params):
    """A network that gets worse after a while, under the callbacks that are asked for."""
    model = keras.Sequential([keras.Input((30,)), layers.Dense(8), layers.Dense(1, activation="sigmoid")])
    optimizer = keras.optimizers.SGD(params.get("lr", 3.0), momentum=0.9, use_ema=params.get("ema", False))
    model.compile(optimizer, "binary_crossentropy", metrics=["acc"], jit_compile=False)
    fit = partial(refine.keras.fit, model) if params["fast"] else partial(model.fit, verbose=0)
    history = fit(
        x,
        y,
        validation_data=(x_val, y_val),
        epochs=6,
        validation_freq=params.get("freq", 1),
        callbacks=[make() for make in params["callbacks"]],
    )
    return (history.history if params.get("plain") else history), model


restoring = partial(keras.callbacks.EarlyStopping, "val_loss", patience=6, restore_best_weights=True)


def run(cancer, **params):
    objective = KerasObjective(trained, cancer.x, cancer.y, x_val=cancer.x_val, y_val=cancer.y_val)
    trial = RunningTrial(3)
    model, metrics = objective.trained({"callbacks": (), **params}, trial)
    return metrics, trial, model


@pytest.mark.filterwarnings("ignore:Early stopping conditioned on metric")  # between validations
@pytest.mark.filterwarnings("ignore:refine.keras.fit. running Keras' own step, because validation_freq")
@pytest.mark.parametrize(
    "params",
    few(
        [
            {"fast": True},
            {"fast": False},
            {"fast": True, "freq": 2},
            {"fast": False, "freq": 2},
            {"fast": True, "plain": True},
        ]
    ),
    ids=str,
)
def test_the_recorded_epoch_is_the_one_whose_weights_are_kept(params, cancer):
    metrics, trial, model = run(cancer, callbacks=(restoring,), **params)
    evaluated = model.evaluate(cancer.x_val, cancer.y_val, verbose=0, return_dict=True)
    assert metrics["val_acc"] == pytest.approx(evaluated["acc"], abs=1e-6)
    assert metrics["val_loss"] == pytest.approx(evaluated["loss"], rel=1e-4)
    curve = trial._curve
    best = int(np.nanargmin(curve["val_loss"]))
    # Or this would show nothing.
    assert metrics["val_loss"] == curve["val_loss"][best] != curve["val_loss"][-1]
    if "freq" not in params:
        assert metrics["acc"] == curve["acc"][best]


class Halves(keras.callbacks.Callback):
    """Changes weights when an epoch has been measured."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])


class AtTheEnd(Halves):
    """Changes weights when training has ended."""

    def on_epoch_end(self, epoch, logs=None):
        pass

    def on_train_end(self, logs=None):
        Halves.on_epoch_end(self, 0)


@pytest.mark.parametrize("fast", [True, nightly(False)])
@pytest.mark.parametrize(
    ("params", "culprit"),
    [
        ({"callbacks": (Halves,)}, "Halves"),
        ({"callbacks": (restoring, AtTheEnd)}, "AtTheEnd"),
        ({"ema": True}, r"SGD\(use_ema=True\)"),
    ],
    ids=["epoch end", "after restoring", "average"],
)
@pytest.mark.filterwarnings("ignore:refine.keras.fit. running Keras' own step")
def test_a_callback_that_changes_weights_after_an_epoch_is_named(params, culprit, fast, cancer):
    with pytest.warns(RefineWarning, match=f"{culprit} changed"):
        run(cancer, fast=fast, **params)
