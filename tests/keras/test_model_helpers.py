"""Helpers of model functions: hidden layers by shape, learning rates on one scale."""

import inspect
import math
import pathlib
import re

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refine.errors import ObjectiveError
from refine.keras import SHAPES, default_learning_rate, hidden_layers, layer_widths, lr_normalizer
from refine.run.configuration import Configuration

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "keras.md"


def test_the_docs_list_the_widths_of_every_shape():
    lines = DOCS.read_text().splitlines()
    (header,) = (line for line in lines if line.startswith("| shape |"))
    counts = [int(count) for count in re.findall(r"\d+", header)]
    rows = [re.findall(r"[^|]+", line) for line in lines if line.startswith("| `")]
    table = {row[0].strip().strip("`"): row[1:] for row in rows}
    for name in (*SHAPES, "0.3"):
        shape = name if name in SHAPES else float(name)
        for count, cell in zip(counts, table[name], strict=True):
            expected = ", ".join(map(str, layer_widths(shape, count, 64, 1)))
            assert cell.strip() == expected, (name, count)


@given(
    shape=st.one_of(st.sampled_from(SHAPES), st.floats(0, 0.99)),
    count=st.integers(0, 12),
    first=st.integers(1, 300),
    last=st.integers(1, 20),
)
def test_widths_are_sane(shape, count, first, last):
    widths = layer_widths(shape, count, first, last)
    assert len(widths) == count
    assert all(type(w) is int for w in widths)
    assert all(min(first, last) <= w <= max(2 * first, last) for w in widths)
    assert layer_widths(shape, np.int64(count), float(first), last) == widths
    if count == 1:
        assert widths == (first,)
    if shape in ("rhombus", "diamond", "hexagon", "brick"):
        assert widths == widths[::-1]
    if shape in ("funnel", "long_funnel", "stairs") and first >= last:
        assert list(widths) == sorted(widths, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("funel", 2, 8, 1), "got 'funel'; did you mean 'funnel'?"),
        (("brick", -1, 8, 1), "hidden_layers: must be a whole number of at least 0, got -1;"),
        (("brick", 1.5, 8, 1), "hidden_layers: must be a whole number of at least 0, got 1.5;"),
        (("brick", 2, 0, 1), "first_neuron: must be a whole number of at least 1, got 0;"),
        (("brick", 2, True, 1), "first_neuron: must be a whole number of at least 1, got True;"),
        (("brick", 2, 8, None), "last_neuron: must be a whole number of at least 1, got None;"),
        ((1.0, 2, 8, 1), "shape: a number must be at least 0 and below 1"),
        ((None, 2, 8, 1), "got None; or use one of brick, funnel"),
    ],
)
def test_wrong_layers_and_shapes_are_refused(arguments, text):
    with pytest.raises(ObjectiveError, match=re.escape(text)):
        layer_widths(*arguments)


FULL = {"hidden_layers": 2, "shape": "funnel", "first_neuron": 8, "dropout": 0.25, "activation": "elu"}


def test_hidden_layers_follow_the_article_and_read_nothing_unused():
    params = Configuration(FULL)
    model = keras.Sequential([keras.Input((3,))])
    hidden_layers(model, params, 1)
    dense, dropout, second, _ = model.layers
    assert (dense.units, second.units) == (8, 5)
    assert dense.activation is keras.activations.elu
    assert dropout.rate == 0.25
    assert dense.kernel_regularizer is None
    assert {"hidden_layers", "shape", "first_neuron", "dropout", "activation"} <= params.read
    without_layers = Configuration(FULL | {"hidden_layers": 0})
    hidden_layers(model, without_layers, 1)
    assert without_layers.read == {"hidden_layers"}  # nothing else is read without layers
    assert len(model.layers) == 4
    for wrong, values, text in (
        (model, FULL | {"dropout": 1}, "dropout: must be at least 0 and below 1, got 1"),
        ([], FULL, r"needs a keras\.Sequential model, got list; for other models use"),
    ):
        with pytest.raises(ObjectiveError, match=text):
            hidden_layers(wrong, values, 1)


@pytest.mark.parametrize("key", ["weight_regulizer", "weight_regularizer", "kernel_regularizer"])
def test_hidden_layers_take_regularizers_and_initializers(key):
    params = {"hidden_layers": 1, "shape": 0.2, "first_neuron": 4, "kernel_initializer": "normal", key: 0.01}
    model = keras.Sequential([keras.Input((3,))])
    hidden_layers(model, params, 1)
    (dense,) = model.layers
    assert isinstance(dense.kernel_initializer, keras.initializers.RandomNormal)
    assert float(dense.kernel_regularizer.l2) == pytest.approx(0.01)
    assert dense.activation is keras.activations.linear


ALL = sorted(
    name
    for name, value in vars(keras.optimizers).items()
    if inspect.isclass(value)
    and issubclass(value, keras.optimizers.Optimizer)
    and name not in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
)


@pytest.mark.parametrize("name", ALL)
def test_one_is_the_default(name):
    cls = getattr(keras.optimizers, name)
    default = cls().learning_rate
    for optimizer in (cls, cls(learning_rate=0.7), name, name.lower()):
        rate = lr_normalizer(1, optimizer)
        assert type(rate) is float
        assert cls(learning_rate=rate).learning_rate == default
        assert lr_normalizer(2.5, optimizer) == 2.5 * rate


def test_a_wrapped_or_inherited_optimizer_has_the_rate_of_its_class():
    inner = keras.optimizers.SGD(0.5)
    assert lr_normalizer(1, keras.optimizers.LossScaleOptimizer(inner)) == 0.01

    class Mine(keras.optimizers.Nadam):
        def __init__(self, **options):
            super().__init__(**options)

    assert default_learning_rate(Mine) == 0.001


@pytest.mark.parametrize("lr", [0, -1, math.nan, math.inf, "1", None, True])
def test_a_learning_rate_must_be_a_positive_number(lr):
    text = f"lr: must be a finite number above 0, got {lr!r}; 1 is the optimizer's default"
    with pytest.raises(ObjectiveError, match=re.escape(text)):
        lr_normalizer(lr, "adam")


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        ("RMSprob", "got 'RMSprob'; did you mean 'RMSprop'?"),
        (3, "must be an optimizer class, instance or name, got 3; for example"),
        (dict, "must be an optimizer class, instance or name, got <class 'dict'>"),
        (keras.optimizers.LossScaleOptimizer, "got LossScaleOptimizer without one; pass the"),
        ("LossScaleOptimizer", "got LossScaleOptimizer without one; pass the"),
        (keras.optimizers.Optimizer, "must have a default learning rate, got"),
    ],
)
def test_an_unknown_optimizer_is_refused(optimizer, text):
    with pytest.raises(ObjectiveError, match=re.escape(text)):
        lr_normalizer(1, optimizer)
