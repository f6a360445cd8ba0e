"""Training curves of real networks show what they were made to show."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers

import refine.keras
from refine.analysis.learning_curves import TrialCurves, trial_curves
from refine.trials.metric import Metric


def trained(
    cancer: Any, width: int, optimizer: Any, epochs: int, rows: int = 120, batch: int = 16
) -> TrialCurves:
    keras.utils.set_random_seed(1)
    hidden = layers.Dense(width, activation="relu")
    model = keras.Sequential([keras.Input((30,)), hidden, layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer, "binary_crossentropy", metrics=["acc"], jit_compile=False)
    curve = refine.keras.fit(
        model,
        cancer.x[:rows],
        cancer.y[:rows],
        validation_data=(cancer.x_val, cancer.y_val),
        epochs=epochs,
        batch_size=batch,
        verbose=0,
    ).history
    found = trial_curves(1, curve["val_acc"][-1], curve, Metric("val_acc"), "maximize")
    assert found is not None
    return found


@pytest.mark.nightly
def test_curves_of_real_networks(cancer: Any) -> None:
    wide = trained(cancer, 512, keras.optimizers.Adam(0.01), 60, rows=40)
    assert "overfitting" in wide.seen
    # As accurate at epoch 10 as at epoch 150; from there on only the loss on the validation rows changes, for the worse.
    long = trained(cancer, 16, keras.optimizers.Adam(0.003), 150)
    assert set(long.seen) == {"overfitting", "saturated"}
    steep = trained(cancer, 32, keras.optimizers.SGD(1.0, momentum=0.9), 30)
    assert "rising" in steep.seen
    few = trained(cancer, 32, keras.optimizers.SGD(0.002), 12)
    assert few.seen == ("improving",)
    fair = trained(cancer, 16, keras.optimizers.Adam(0.003), 20)
    assert not {"overfitting", "unsteady", "rising"} & set(fair.seen)
