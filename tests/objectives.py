"""Objectives that tests run, importable by workers."""

import functools
import math
import os
import random
import time
from pathlib import Path


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


def learner(params, trial):
    """Climbs to its own height over 20 epochs, and stops when it should be pruned."""
    reached = 0.0
    for epoch in range(20):
        reached = height(params) * (1 - 0.8 ** (epoch + 1))
        trial.report(epoch, {"acc": reached})
        if epoch < 19 and trial.should_prune():
            break
    return {"acc": reached}


def height(params):
    return 1.0 - 0.1 * abs(params["lr"] - 1.5) - params["dropout"] - 0.2 * (params["optimizer"] == "SGD")


def never_stops(params, trial):
    """Reports, and never asks whether to stop."""
    for epoch in range(20):
        trial.report(epoch, {"acc": height(params) * (1 - 0.8 ** (epoch + 1))})
    return {"acc": height(params) * (1 - 0.8**20)}


def layered(params):
    """`units` is read only where there is a second layer."""
    if params["layers"] == 1:
        return -((params["lr"] - 1.4) ** 2)
    return 0.5 - (params["lr"] - 1.4) ** 2 - abs(params["units"] - 32) / 64


def where(params):
    """The process that runs it."""

    return {"value": bowl(params), "process": float(os.getpid())}


def network(params):
    """A wide network is better, and slower."""
    bump = 0.05 * (math.log10(params["lr"]) + 2) ** 2
    accuracy = 0.9 - bump + 0.03 * math.log2(params["units"] / 8) - 0.02 * params["dropout"]
    latency = 0.5 + params["units"] / 16 * (1.5 if params["act"] == "gelu" else 1)
    return {"val_acc": accuracy, "latency_ms": latency}


class Waits:
    """Says in a folder that it has begun, and waits there as long as a file says so."""

    name = "waits"

    def __init__(self, folder):
        self.folder = Path(folder)

    def __call__(self, params):
        with (self.folder / "begun").open("a") as log:
            log.write(f"{params['x']}\n")
        while (self.folder / "wait").exists():
            time.sleep(0.01)
        time.sleep(0.05)
        return params["x"] + random.random()


def named(objective, name):
    """An objective under a name of its own, by which a reopened round recognises the objective."""
    called = functools.partial(objective)
    called.name = name
    return called
