"""`refine.keras.fit` means what `Model.fit` means: same losses, metrics and weights, up to rounding, or it says why slower."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import pytest
from keras import layers

import refine.keras
from nightly import few
from refine.keras import _notices, _rowwise
from refine.testing import keras_models
from refine.testing._keras_parts import Averaged, network, table
from refine.testing.keras_fit import Examples, ModelCase, compare_fits
from refine.testing.keras_models import model_cases


@pytest.fixture(autouse=True)
def _said_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is announced here may be announced again elsewhere."""
    monkeypatch.setattr(_notices, "said", set())


@pytest.mark.parametrize("case", few(model_cases(short=True), 5), ids=lambda case: case.name)
def test_models_are_trained_as_by_keras_or_it_is_said_why_slower(case: ModelCase) -> None:
    comparison = compare_fits(case)
    assert comparison.is_equal, comparison
    assert comparison.way == case.way, comparison
    assert bool(comparison.reason) == (comparison.way != "fast")


def test_there_are_150_models_of_different_names() -> None:
    names = [case.name for case in model_cases()]
    assert len(set(names)) == len(names) >= 150


@pytest.mark.nightly
def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = ModelCase("mixed rows", partial(network, Averaged), table)
    monkeypatch.setattr(_rowwise, "_KNOWN_LAYERS", _rowwise._KNOWN_LAYERS | {Averaged})
    comparison = compare_fits(case)
    assert comparison.way == "fast"
    assert not comparison.is_equal
    built = iter([network(), network(metrics=["mse"])])
    other = replace(case, build=lambda: next(built))
    assert math.isinf(compare_fits(other).history)


@pytest.mark.nightly
def test_the_command_prints_a_table_and_counts_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [ModelCase("right", network, table), ModelCase("wrong way", network, table, "step")]
    monkeypatch.setattr(keras_models, "model_cases", lambda *, short: cases[: 1 + (not short)])
    assert keras_models.main(["--epochs", "1"]) == 1
    printed = capsys.readouterr().out
    assert "| wrong way | fast **not step and equal** |" in printed
    assert "2 models, 1 of them not as they should be" in printed
    assert keras_models.main(["--short", "--epochs", "1", "right"]) == 0


def test_every_layer_loss_and_metric_of_the_lists_exists() -> None:
    """A name that Keras no longer has would silently be slow."""
    for module, names in (
        (keras.layers, _rowwise._LAYERS),
        (keras.losses, _rowwise._LOSSES),
        (keras.metrics, _rowwise._METRICS),
    ):
        assert not [name for name in names.split() if not hasattr(module, name)]
    functions: Any = {f.__name__ for f in _rowwise._KNOWN_FUNCTIONS}
    assert functions >= set(_rowwise._FUNCTIONS.split())


def dense(*hidden: Any, jit: bool = False, **options: Any) -> Any:
    model = keras.Sequential([keras.Input((30,)), layers.Dense(6, activation="relu"), *hidden])
    model.add(layers.Dense(1, activation="sigmoid"))
    options = {"loss": "binary_crossentropy", "optimizer": "adam", "metrics": ["acc"]} | options
    model.compile(jit_compile="auto" if jit else False, **options)
    return model


def unbuilt() -> Any:
    model = keras.Sequential([layers.Dense(3), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", jit_compile=False)
    return model


def same(build: Any, examples: Any, way: str = "fast", **options: Any) -> None:
    """A case that is made here is trained as by Keras."""
    given = {"batch_size": 25, **options}
    if examples.x_val is None:
        given.setdefault("validation_data", None)
    comparison = compare_fits(ModelCase("here", build, lambda: examples, options=lambda: given), epochs=2)
    assert comparison.is_equal, comparison
    assert comparison.way == way


def test_default_compile_uses_xla_and_agrees(cancer: Any) -> None:
    same(partial(dense, jit=True), Examples(*cancer))


def test_a_second_fit_continues(cancer: Any) -> None:
    keras.utils.set_random_seed(3)
    model = unbuilt()
    options = {"shuffle": False, "epochs": 2}
    first = refine.keras.fit(model, cancer.x, cancer.y, **options)
    second = refine.keras.fit(model, cancer.x, cancer.y, **options)
    keras.utils.set_random_seed(3)
    theirs = unbuilt()
    whole = theirs.fit(cancer.x, cancer.y, verbose=0, **options | {"epochs": 4})
    assert [*first.history["loss"], *second.history["loss"]] == pytest.approx(whole.history["loss"], rel=1e-5)
    assert int(model.optimizer.iterations) == 4 * 4
    assert all(type(value) is float for value in first.history["loss"])
    assert second.epoch == [0, 1]
    assert second.params.keys() == whole.params.keys()
