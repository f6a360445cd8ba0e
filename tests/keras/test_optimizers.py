"""1 on the normalised scale is Keras' own default, for every optimizer that Keras has."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

import keras
import pytest

from refine.errors import ObjectiveError
from refine.keras import default_learning_rate, lr_normalizer

ALL = sorted(
    name
    for name, value in vars(keras.optimizers).items()
    if inspect.isclass(value)
    and issubclass(value, keras.optimizers.Optimizer)
    and name not in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
)


def test_the_list_is_not_empty() -> None:
    assert {"Adam", "Nadam", "RMSprop", "Ftrl", "Lion", "SGD"} <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_one_is_the_default(name: str) -> None:
    cls = getattr(keras.optimizers, name)
    default = cls().learning_rate
    for given in (cls, cls(learning_rate=0.7), name, name.lower()):
        rate = lr_normalizer(1, given)
        assert type(rate) is float
        assert cls(learning_rate=rate).learning_rate == default
        assert lr_normalizer(2.5, given) == 2.5 * rate


def test_wrappers_and_subclasses() -> None:
    inner = keras.optimizers.SGD(0.5)
    assert lr_normalizer(1, keras.optimizers.LossScaleOptimizer(inner)) == 0.01

    class Mine(keras.optimizers.Nadam):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)

    assert default_learning_rate(Mine) == 0.001


@pytest.mark.parametrize("lr", [0, -1, math.nan, math.inf, "1", None, True])
def test_bad_rates(lr: Any) -> None:
    text = f"lr: must be a finite number above 0, got {lr!r}; 1 is the optimizer's default"
    with pytest.raises(ObjectiveError, match=re.escape(text)):
        lr_normalizer(lr, "adam")


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        ("RMSprob", "got 'RMSprob'; did you mean 'RMSprop'?"),
        (3, "must be an optimizer class, instance or name, got 3; for example"),
        (dict, "must be an optimizer class, instance or name, got <class 'dict'>"),
        (keras.optimizers.LossScaleOptimizer, "got LossScaleOptimizer, which has none; pass the"),
        ("LossScaleOptimizer", "got LossScaleOptimizer, which has none; pass the"),
        (keras.optimizers.Optimizer, "must have a default learning rate, got"),
    ],
)
def test_bad_optimizers(optimizer: Any, text: str) -> None:
    with pytest.raises(ObjectiveError, match=re.escape(text)):
        lr_normalizer(1, optimizer)
