"""A function that calls `model.fit`, unchanged, through the fast loop: in trials and nowhere else."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers
from test_objective import Trial

import refine.keras
from refine.errors import ObjectiveError
from refine.keras import KerasObjective
from refine.keras.fit import accelerated

X = np.random.RandomState(0).normal(size=(90, 4)).astype("float32")
Y = (X[:, 0] + 0.3 * X[:, 1] > 0).astype("float32")


def network(dropout=0.0):
    hidden = [layers.Dense(5, activation="relu"), layers.Dropout(dropout)]
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["acc"], jit_compile=False)
    return model


def unchanged(x_train, y_train, x_val, y_val, params):
    """As one writes it: `model.fit`, by position and by name."""
    model = network(params["dropout"])
    options = {"epochs": params["epochs"], "shuffle": params["shuffle"]}
    return model.fit(x_train, y_train, 16, verbose=0, validation_data=(x_val, y_val), **options), model


def by_hand(x_train, y_train, x_val, y_val, params):
    model = network(params["dropout"])
    options = {"validation_data": [x_val, y_val], "epochs": params["epochs"], "shuffle": params["shuffle"]}
    return refine.keras.fit(model, x_train, y_train, batch_size=16, **options), model


def run(function, params, **options):
    trial = Trial()
    return KerasObjective(function, X, Y, **options)(params, trial), [metrics for _, metrics in trial.curve]


def test_an_accelerated_fit_is_the_fast_loop_to_the_bit():
    params = {"dropout": 0.2, "epochs": 3, "shuffle": False}
    metrics, curve = run(unchanged, params, accelerate=True)
    assert metrics.pop("accelerated") == 1.0
    assert (metrics, curve) == run(by_hand, params)
    with pytest.raises(KeyError):
        run(unchanged, {}, accelerate=True)
    # Keras' own, whatever happened in the trial.
    slow, expected = run(unchanged, params)
    assert slow.keys() == metrics.keys()
    for fast_value, slow_value in zip(curve, expected, strict=True):
        assert fast_value == pytest.approx(slow_value, rel=1e-5, abs=1e-5)


def test_splits_hold_out_and_best_model_go_through_it_too():
    params = {"dropout": 0.0, "epochs": 2, "shuffle": True}
    objective = KerasObjective(unchanged, X, Y, accelerate=True, splits=2, holdout=0.2)
    assert objective(params, Trial())["accelerated"] == 1.0
    assert objective.holdout(params, Trial())["accelerated"] == 1.0
    model, _ = objective.trained(params, Trial())
    assert isinstance(model, keras.Model)
    copy = pickle.loads(pickle.dumps(objective))
    assert copy.accelerate
    assert copy(params, Trial()) == objective(params, Trial())


def test_acceleration_changes_the_code_and_not_the_round():
    plain = KerasObjective(unchanged, X, Y)
    fast = KerasObjective(unchanged, X, Y, accelerate=True)
    assert (plain.name, plain.fingerprint) == (fast.name, fast.fingerprint)
    assert fast.code == plain.code + "-accelerated"
    with pytest.raises(ObjectiveError, match=r"\"compiled\", got"):
        KerasObjective(unchanged, X, Y, accelerate="yes")


class Seen(keras.Sequential):
    """Notes whether Keras' own loop runs it: nothing else asks for that function."""

    by_keras = False

    def make_train_function(self, force=False):
        self.by_keras = True
        return super().make_train_function(force)


@pytest.mark.filterwarnings("ignore::refine.errors.RefineWarning")
def test_other_threads_have_keras_own():
    def ran_by_keras():
        model = Seen([keras.Input((4,)), layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=False)
        model.fit(X, Y, verbose=0)
        return model.by_keras

    with accelerated(), ThreadPoolExecutor(1) as pool:
        assert (pool.submit(ran_by_keras).result(), ran_by_keras()) == (True, False)


@pytest.mark.filterwarnings("ignore::refine.errors.RefineWarning")
@pytest.mark.parametrize("steps", [None, 1])
def test_a_custom_fit_is_kept_and_its_inner_fit_is_accelerated(steps):
    class Mine(keras.Sequential):
        calls = 0

        def fit(self, *args, **kwargs):
            self.calls += 1
            return super().fit(*args, **kwargs)

    def function(x_train, y_train, x_val, y_val, params):
        model = Mine([keras.Input((4,)), layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=False)
        data = [x_val, y_val]  # as in the article
        history = model.fit(x_train, y_train, verbose=0, steps_per_epoch=steps, validation_data=data)
        assert model.calls == 1
        return history, model

    assert run(function, {}, accelerate=True)[0]["accelerated"] == float(steps is None)
