"""Keras support: a fast ``fit``, helpers for model functions, and the objective.

Importing this package imports Keras and its backend, TensorFlow by default; ``import refine`` does not.
"""

# First: imports Keras and its backend, or names the missing package.
from refine.keras._backend import BACKEND as _BACKEND  # noqa: F401
from refine.keras._pruning import PruningCallback
from refine.keras.fit import fit
from refine.keras.layers import SHAPES, hidden_layers, layer_widths
from refine.keras.metrics import (
    balanced_accuracy,
    fmeasure,
    matthews,
)
from refine.keras.objective import KerasObjective
from refine.keras.optimizers import default_learning_rate, lr_normalizer

__all__ = [
    "SHAPES",
    "KerasObjective",
    "PruningCallback",
    "balanced_accuracy",
    "default_learning_rate",
    "fit",
    "fmeasure",
    "hidden_layers",
    "layer_widths",
    "lr_normalizer",
    "matthews",
]
