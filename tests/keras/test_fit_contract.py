"""`refine.keras.fit` equals `Model.fit` up to rounding in losses, metrics and weights, or warns."""

import math
from dataclasses import replace
from functools import partial

import keras
import pytest
from contract_models import CASES, batch_f1, network, table
from keras import layers

import refine.keras
from refine.keras import _eligible, _notices
from refine.testing.keras_fit import ModelCase, compare_fits


@pytest.fixture(autouse=True)
def _said_apart(monkeypatch):
    """Warnings of these tests may be raised again in other tests."""
    monkeypatch.setattr(_notices, "warned_texts", set())


DAILY = (
    "document: elu, log_cosh, nadam",
    "layer: BatchNormalization",
    "metric: F1 of a batch",
    "mask: Masking, per step",
    "fit: stopped as an epoch begins",
)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[] if case.name in DAILY else pytest.mark.nightly)
        for case in CASES
    ],
)
def test_models_are_trained_as_by_keras_and_slower_ways_have_a_reason(case):
    comparison = compare_fits(case)
    assert comparison.is_equal, comparison
    assert comparison.way == case.way, comparison
    assert bool(comparison.reason) == (comparison.way != "fast")


@pytest.mark.nightly
def test_a_difference_is_found(monkeypatch):
    case = ModelCase("mixed rows", lambda: network(metrics=[batch_f1]), table)
    monkeypatch.setattr(_eligible, "_KNOWN_FUNCTIONS", _eligible._KNOWN_FUNCTIONS | {batch_f1})
    comparison = compare_fits(case)
    assert comparison.way == "fast"
    assert not comparison.is_equal
    built = iter([network(), network(metrics=["mse"])])
    other = replace(case, build=lambda: next(built))
    assert math.isinf(compare_fits(other).history)


def test_every_layer_loss_and_metric_of_the_lists_exists():
    """A name that Keras no longer has would silently be slow."""
    assert not [name for name in _eligible._LAYERS.split() if not hasattr(keras.layers, name)]
    classes = {kind.__name__ for kind in _eligible._KNOWN_CLASSES}
    assert classes >= set(_eligible._CLASSES.split())
    functions = {f.__name__ for f in _eligible._KNOWN_FUNCTIONS}
    assert functions >= set(_eligible._FUNCTIONS.split())


def unbuilt():
    model = keras.Sequential([layers.Dense(3), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", jit_compile=False)
    return model


def test_default_compile_uses_xla_and_agrees():
    comparison = compare_fits(ModelCase("XLA", partial(network, jit_compile="auto"), table))
    assert comparison.is_equal, comparison
    assert comparison.way == "fast"


def test_a_second_fit_continues(cancer):
    keras.utils.set_random_seed(3)
    model = unbuilt()
    options = {"shuffle": False, "epochs": 2}
    first = refine.keras.fit(model, cancer.x, cancer.y, **options)
    second = refine.keras.fit(model, cancer.x, cancer.y, **options)
    keras.utils.set_random_seed(3)
    reference = unbuilt()
    reference_history = reference.fit(cancer.x, cancer.y, verbose=0, **options | {"epochs": 4})
    assert [*first.history["loss"], *second.history["loss"]] == pytest.approx(
        reference_history.history["loss"], rel=1e-5
    )
    assert int(model.optimizer.iterations) == 4 * 4
    assert all(type(value) is float for value in first.history["loss"])
    assert second.epoch == [0, 1]
    assert second.params.keys() == reference_history.params.keys()
