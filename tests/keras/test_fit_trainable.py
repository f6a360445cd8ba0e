"""`refine.keras.fit` if layers are frozen, or the model is compiled again, between or during trainings."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import refine.keras
from nightly import few
from refine.errors import RefineWarning
from refine.keras import _notices, _trainable

Fit = Callable[..., Any]
FROZEN = "layer.trainable has changed since the first training"


@pytest.fixture(autouse=True)
def _warn_in_every_test(monkeypatch):
    monkeypatch.setattr(_notices, "warned_texts", set())


def two_layers(optimizer):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(1)])
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def train(fit, model, **options):
    """Losses of two epochs on 60 rows in their order."""
    x = np.random.RandomState(0).normal(size=(60, 4)).astype("float32")
    history = fit(model, x, x[:, :1], epochs=2, shuffle=False, verbose=0, **options)
    return [float(loss) for loss in history.history["loss"]]


def both(training):
    """Asserts that a training gives the same losses and weights with Keras' fit and with refine's."""
    expected_losses, expected = training(keras.Model.fit)
    losses, model = training(refine.keras.fit)
    assert losses == pytest.approx(expected_losses, rel=1e-5)
    for weight, expected_weight in zip(model.get_weights(), expected.get_weights(), strict=True):
        assert weight == pytest.approx(expected_weight, abs=1e-5)


def test_freezing_between_two_fits_has_no_effect_as_in_keras_and_warns():
    def training(fit):
        model = two_layers("adam")
        first = train(fit, model)
        model.layers[0].trainable = False
        second = train(fit, model)
        assert not model.layers[0].trainable  # the user's flag is left alone
        return first + second, model

    with pytest.warns(RefineWarning, match=f"{FROZEN},"):
        both(training)


def test_freezing_takes_effect_after_compile_and_before_the_first_fit():
    def compiled_again(fit):
        model = two_layers("adam")
        train(fit, model)
        model.layers[0].trainable = False
        model.compile("adam", "mse", jit_compile=False)
        return train(fit, model), model

    def frozen_first(fit):
        model = two_layers("adam")
        model.layers[0].trainable = False
        return train(fit, model), model

    both(compiled_again)
    both(frozen_first)


def test_unfreezing_between_two_fits_has_no_effect_as_in_keras():
    def training(fit):
        model = two_layers("adam")
        model.layers[0].trainable = False
        first = train(fit, model)
        model.layers[0].trainable = True
        return first + train(fit, model), model

    with pytest.warns(RefineWarning, match=FROZEN):
        both(training)


def test_an_optimizer_built_for_other_variables_is_left_to_keras():
    def training(fit):
        model = two_layers("adam")
        train(fit, model)
        model.layers[0].trainable = False
        model.compile(model.optimizer, "mse", jit_compile=False)
        return train(fit, model), model

    with pytest.warns(RefineWarning, match="model.fit"):
        both(training)


def test_a_trace_of_keras_is_continued_by_keras():
    def training(fit):
        model = two_layers("adam")
        first = train(keras.Model.fit, model)
        model.layers[0].trainable = False
        return first + train(fit, model), model

    with pytest.warns(RefineWarning, match="model.fit"):
        both(training)


class Acting(keras.callbacks.Callback):
    """Calls ``change`` of the model in one hook, of epochs in the first or second one."""

    def __init__(self, hook, change, epoch=0):
        super().__init__()

        def act(*arguments, **_):
            epochs = [argument for argument in arguments if isinstance(argument, int)]
            if not epochs or epochs == [epoch]:
                change(self.model)

        setattr(self, hook, act)


def freeze(model):
    model.layers[0].trainable = False


def compile_again(model):
    model.compile("sgd", "mae", jit_compile=False)


@pytest.mark.parametrize(
    "moment",
    few([("on_epoch_begin", 1), ("on_train_begin", 0), ("on_epoch_begin", 0), ("on_epoch_end", 0)]),
)
def test_freezing_in_a_callback_acts_as_in_keras(moment):
    hook, epoch = moment

    def training(fit):
        model = two_layers("sgd")
        return train(fit, model, callbacks=[Acting(hook, freeze, epoch)]), model

    both(training)


@pytest.mark.parametrize("hook", few(["on_epoch_end", "on_train_begin", "on_epoch_begin"]))
def test_compiling_in_a_callback_ends_training_as_in_keras(hook):
    for fit in (keras.Model.fit, refine.keras.fit):
        with pytest.raises(TypeError):
            train(fit, two_layers("sgd"), callbacks=[Acting(hook, compile_again)])
    with pytest.raises(TypeError, match="callback"):
        train(refine.keras.fit, two_layers("sgd"), callbacks=[Acting(hook, compile_again)])


def test_compiling_after_the_last_epoch_is_allowed_as_in_keras():
    def training(fit):
        model = two_layers("sgd")
        return train(fit, model, callbacks=[Acting("on_epoch_end", compile_again, epoch=1)]), model

    both(training)


def test_trained_models_are_freed():
    model = two_layers("adam")
    train(refine.keras.fit, model)
    assert model in _trainable._first_trainings
    alive = weakref.ref(model)
    del model
    keras.utils.clear_session(free_memory=False)
    gc.unfreeze()
    gc.collect()
    assert alive() is None
