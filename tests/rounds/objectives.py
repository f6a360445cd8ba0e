"""Objectives that tests run, importable by workers."""

from __future__ import annotations

import math


def bowl(params):
    """Best at lr = 1.4, dropout = 0; SGD is worse; `junk` is never read."""
    loss = (params["lr"] - 1.4) ** 2 + 2 * params["dropout"] + 2 * (params["optimizer"] == "SGD")
    return -loss


def metrics(params, trial):
    """Reports a curve, and returns its last values with one metric more."""
    for epoch in range(5):
        trial.report(epoch, {"loss": params["lr"] / (epoch + 1), "acc": math.sin(epoch + params["lr"])})
    return {"acc": math.sin(4 + params["lr"]), "seed": float(trial.seed)}


def broken(params):
    raise KeyError("learning_rate")


def sometimes(params):
    """Raises, gives NaN, or a number."""
    if params["lr"] < 1:
        raise ValueError(f"lr {params['lr']} is too small")
    return math.nan if params["lr"] > 4 else params["lr"]


def where(params):
    """The process that runs it."""
    import os

    return {"value": bowl(params), "process": float(os.getpid())}
