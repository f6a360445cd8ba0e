"""`refine.keras.fit` beside `Model.fit`: the shortened contract of models, and that it finds differences."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import pytest

from nightly import few
from refine.keras import _known, _notices
from refine.testing import keras_models
from refine.testing.keras_fit import ModelCase, compare_fits
from refine.testing.keras_models import model_cases
from refine.testing.keras_parts import Averaged, network, table


@pytest.fixture(autouse=True)
def _said_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is announced here may be announced again elsewhere."""
    monkeypatch.setattr(_notices, "said", set())


@pytest.mark.parametrize("case", few(model_cases(short=True)), ids=lambda case: case.name)
def test_models_are_trained_as_by_keras_or_it_is_said_why_slower(case: ModelCase) -> None:
    found = compare_fits(case)
    assert found.is_equal, found
    assert found.way == case.way, found
    assert bool(found.reason) == (found.way != "fast")


def test_there_are_150_models_of_different_names() -> None:
    names = [case.name for case in model_cases()]
    assert len(set(names)) == len(names) >= 150


@pytest.mark.nightly
def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = ModelCase("mixed rows", partial(network, Averaged), table)
    monkeypatch.setattr(_known, "_KNOWN_LAYERS", _known._KNOWN_LAYERS | {Averaged})
    found = compare_fits(case)
    assert found.way == "fast"
    assert not found.is_equal
    built = iter([network(), network(metrics=["mse"])])
    other = replace(case, build=lambda: next(built))
    assert math.isinf(compare_fits(other).history)


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
        (keras.layers, _known._LAYERS),
        (keras.losses, _known._LOSSES),
        (keras.metrics, _known._METRICS),
    ):
        assert not [name for name in names.split() if not hasattr(module, name)]
    functions: Any = {f.__name__ for f in _known._KNOWN_FUNCTIONS}
    assert functions >= set(_known._FUNCTIONS.split())
