"""Pruned rounds of real Keras trainings: inside refine's fit, and by the callback in Keras' own."""

import keras
import numpy as np
import pytest

import refine
from nightly import few, nightly
from refine.design.pruning import Limit
from refine.errors import ObjectiveError
from refine.keras import KerasObjective, PruningCallback, fit
from refine.run.running_trial import RunningTrial, _running

SPACE = {"lr": refine.Float(0.00001, 0.1, levels=24, log=True), "epochs": 12}
PRUNER = refine.Pruner(keep=0.5, warmup=2, min_trials=6)


def _compiled(width, params):
    model = keras.Sequential([keras.layers.Input((width,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(params["lr"]), "binary_crossentropy", metrics=["acc"])
    return model


def _fast(x, y, x_val, y_val, params):
    model = _compiled(x.shape[1], params)
    return fit(model, x, y, validation_data=(x_val, y_val), epochs=params["epochs"]), model


def _slow(x, y, x_val, y_val, params):
    model = _compiled(x.shape[1], params)
    data = (x_val, y_val)
    options = {"epochs": params["epochs"], "verbose": 0, "callbacks": [PruningCallback()]}
    return model.fit(x, y, validation_data=data, **options), model


def _unchanged(x, y, x_val, y_val, params):
    model = _compiled(x.shape[1], params)
    return model.fit(x, y, validation_data=(x_val, y_val), epochs=params["epochs"], verbose=0), model


def _rows():
    x = np.random.default_rng(0).normal(size=(120, 6)).astype("float32")
    return x, (x[:, 0] + 0.5 * x[:, 1] > 0).astype("int32")


@pytest.mark.parametrize("model", few([_fast, _slow, _unchanged], 3))
def test_trainings_stop_when_they_are_behind(tree, model):
    objective = KerasObjective(model, *_rows(), accelerate=model is _unchanged)
    round_ = tree.add_round(
        SPACE, objective, metric="val_loss", direction="minimize", n=14, plan=refine.Plan(pruner=PRUNER)
    ).run()
    frame = round_.trials
    shown = round_._shown
    curves = round_._context.store.records([round_._stored.pk], curves=True).curves
    assert set(frame["state"]) == {"complete", "pruned"}
    for i, state in enumerate(frame["state"]):
        length = len(curves[i]["val_loss"])
        behind = shown["behind"][i]
        assert length == (behind if state == "pruned" else 12)
        assert state == "pruned" or shown["audited"][i] or behind is None or np.isnan(behind)


def test_a_training_outside_of_a_round_is_stopped_by_nothing():
    x, y = _rows()
    history, _ = _slow(x, y, x, y, {"lr": 0.001, "epochs": 3})
    assert len(history.history["loss"]) == 3


def test_several_splits_are_refused(tree):
    objective = KerasObjective(_fast, *_rows(), splits=2)
    round_ = tree.add_round(SPACE, objective, metric="val_acc", n=3, plan=refine.Plan(pruner=PRUNER))
    with pytest.raises(ObjectiveError, match="several splits"):
        round_.run()
    assert round_.trials.empty


class Own(keras.layers.Dense):
    """Keras' own layer under an unknown name."""


def _until_behind(layer, limit, epochs=400):
    """Epochs reported and trained of a training in a trial with that limit."""
    trial = RunningTrial(1, limit)
    token = _running.set(trial)
    try:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Input((6,)), layer(1, activation="sigmoid")])
        model.compile(keras.optimizers.SGD(0.01), "binary_crossentropy", metrics=["acc"])
        x, y = _rows()
        history = fit(model, x, y, validation_data=(x, y), epochs=epochs, batch_size=40)
    finally:
        _running.reset(token)
    return history.history, int(model.optimizer.iterations) / 3, trial.pruned


@pytest.mark.filterwarnings("ignore::refine.errors.RefineWarning")
@pytest.mark.parametrize("layer", [keras.layers.Dense, nightly(Own)])
def test_no_epoch_is_trained_in_vain(layer):
    free, trained, pruned = _until_behind(layer, None, epochs=120)
    assert (len(free["loss"]), trained, pruned) == (120, 120, False)
    # Met for 60 epochs, by the very value that is reached, and then missed.
    values = -np.asarray(free["val_loss"])
    met = Limit("val_loss", -1.0, 3, (*values[2:62], values[62] + 1e-9, *[0.0] * 400))
    history, trained, pruned = _until_behind(layer, met)
    assert (len(history["loss"]), trained, pruned) == (63, 63, True)
    assert history["val_loss"] == free["val_loss"][:63]
    other = Limit("val_f1", 1.0, 1, (2.0,) * 400)  # a metric that nobody logs
    assert _until_behind(layer, other, epochs=30)[1:] == (30, False)
