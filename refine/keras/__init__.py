"""Keras at the edge of refine: a fast ``fit``, the helpers of the model function, and the objective.

Importing this package imports Keras and TensorFlow; ``import refine`` does not import it.
"""

import os

# TensorFlow greets every process with CPU notes on stderr; hundreds of workers would drown the
# progress bar. Whoever wants them sets the variable before.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from refine.keras.fit import fit
from refine.keras.layers import SHAPES, hidden_layers, layer_widths
from refine.keras.metrics import (
    BalancedAccuracy,
    FBeta,
    FMeasure,
    Matthews,
    Precision,
    Recall,
    balanced_accuracy,
    fbeta,
    fmeasure,
    matthews,
    precision,
    recall,
)
from refine.keras.objective import KerasObjective
from refine.keras.optimizers import default_learning_rate, lr_normalizer

__all__ = [
    "SHAPES",
    "BalancedAccuracy",
    "FBeta",
    "FMeasure",
    "KerasObjective",
    "Matthews",
    "Precision",
    "Recall",
    "balanced_accuracy",
    "default_learning_rate",
    "fbeta",
    "fit",
    "fmeasure",
    "hidden_layers",
    "layer_widths",
    "lr_normalizer",
    "matthews",
    "precision",
    "recall",
]
