"""The public contract of Keras objectives, over one with plain data and one that is split again."""

import keras
import pytest
from test_objective import document

from nightly import nightly
from refine.keras import KerasObjective
from refine.testing import ObjectiveContract

SPACE = {
    "lr": [0.5, 2.0],
    "first_neuron": [6],
    "hidden_layers": [1],
    "batch_size": [16],
    "epochs": 2,
    "dropout": (0.0, 0.2, 2),
    "shape": "funnel",
    "optimizer": keras.optimizers.Nadam,
    "losses": "binary_crossentropy",
    "activation": ["relu", "tanh"],
    "last_activation": "sigmoid",
    "fast": True,
}


@pytest.mark.parametrize("splits", [1, nightly(2)])
class TestDocument(ObjectiveContract):
    n = 2

    @pytest.fixture(autouse=True)
    def _made(self, cancer, splits):
        self.make = lambda: KerasObjective(document, cancer.x, cancer.y, splits=splits)

    def objective(self):
        return self.make()

    def space(self):
        return SPACE
