"""Objectives of the tests of bringing and taking."""

import math

import numpy as np

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"], "epochs": 150}


def trained(params):
    return {"acc": 1 - (math.log10(params["rate"]) + 2.5) ** 2 / 10}


def another(params):
    return {"acc": 0.5}


def curves(params, trial):
    """Fails, diverges, or reports a curve and predictions; the optimizer is read by some only."""
    if params["lr"] > 4.6:
        raise ValueError("lr <script> | too large")
    if params["lr"] < 0.6:
        return {"acc": math.nan, "odd": math.inf}
    if params["dropout"] > 0.2:
        params["optimizer"]
    for epoch in range(3):
        trial.report(epoch, {"acc": params["lr"] * (epoch + 1) / 3, "loss": math.nan if epoch == 1 else 0.1})
    rng = np.random.default_rng(trial.seed)
    trial.predicted(rng.random((5, 2)), [0, 1, 0, 1, 1], total=9)
    return {"acc": params["lr"] + rng.normal() * 0.01}
