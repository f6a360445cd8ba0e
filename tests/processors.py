"""Prints draws of posteriors, and ids, cells, proposals and answers of the studies named, as JSON.

With the same packages they are equal on every processor, whatever its kernels of linear algebra.
"""

import hashlib
import json
import sys

import numpy as np

import refine
from refine import stats
from refine.proposal.proposal import proposal_to_json

SPACES = {
    "numbers": {"x": (0.0, 1.0, 11), "k": (1, 8), "rate": refine.Float(1e-4, 1e-1, levels=7, log=True)},
    "choices": {"a": list("uvwxy"), "b": list("rst"), "x": (0.0, 2.0, 21), "k": [1, 2, 4, 8, 16]},
    "wide": {f"x{i}": (0.0, 1.0, 6) for i in range(6)},
    "conditional": {
        "rate": refine.Float(1e-4, 1e-1, levels=4, log=True),
        "units": refine.Integer(8, 32, step=8),
        "optimizer": ["sgd", "adam", None],
        "momentum": refine.Float(0.0, 0.9, 4, when="optimizer == 'sgd'"),
    },
    "failing": {"x": (-2.0, 2.0, 9), "units": [4, 8, 16, 32], "act": ["relu", "elu", None]},
    "steps": {"x": (0.0, 1.0, 21), "layers": (0, 4), "act": ["relu", "elu"]},
}


def objective_of(name):
    """An objective in arithmetic that all machines round alike."""

    def objective(params):
        value = 0.0
        for number, (key, setting) in enumerate(sorted(params.items())):
            if isinstance(setting, str) or setting is None:
                value += len(str(setting)) / 8
            else:
                place = setting / 32 if key in ("units", "k") else setting
                value -= (place - (number + 2) / 8) * (place - (number + 2) / 8) / (number + 1)
        if name == "failing" and params["x"] > 1 and params["act"] == "elu":
            raise ArithmeticError("diverged")
        return round(value * 40) / 40 if name == "steps" else value

    objective.name = "exact"
    return objective


def shortened(data):
    """The digest of plain data, without times."""

    def timeless(part):
        if isinstance(part, dict):
            return {key: timeless(value) for key, value in part.items() if key not in ("seconds", "until")}
        return [timeless(value) for value in part] if isinstance(part, list) else part

    return hashlib.sha256(json.dumps(timeless(data), sort_keys=True, default=str).encode()).hexdigest()[:12]


def study(name):
    """A round with learning trials, the proposal, two children, an answer and the winner."""
    with refine.Tree(name, store=":memory:") as tree:
        root = tree.add_round(
            SPACES[name], objective_of(name), n=14, seed=3, metric=refine.Goal("value", noise="retraining")
        )
        root.run()
        first = root.propose(risk=0.1)
        changed = next(change for change in first.proposal.changes if change.old.numeric)
        levels = changed.old.grid[: max(2, changed.old.size // 2)]
        edits = {changed.name: (levels[0], levels[-1])}
        child = first.edit(**edits).accept("edited", n=3, exploit=0, plan=refine.Plan(audit=0))
        root.add(17).run()
        root.add(3, exploit=1.0).run()
        second = root.propose(risk=0.05)
        grandchild = second.accept("as proposed", n=6, exploit=0.5, plan=refine.Plan(audit=0.2))
        grandchild.run()
        answer = tree.ask(**edits)
        return {
            "ids": [round_.id for round_ in tree.rounds],
            "cells": [child._cells(), root.trials["cell"].tolist(), grandchild.trials["cell"].tolist()],
            "proposals": [shortened(proposal_to_json(review.proposal)) for review in (first, second)],
            "answer": [answer.verdict, f"{answer.probability:.6g}", f"{answer.cost:.6g}", answer.needed],
            "winner": tree.winner().params,
        }


def draws(seed):
    """The digest of the draws of a posterior, and the boxes on its path."""
    rng = np.random.default_rng(seed)
    dimensions = 3 + seed
    positions, cells = (rng.integers(0, 8, (count, dimensions)) / 7 for count in (14 + 10 * seed, 400))
    if seed == 0:  # equal eigenvalues: the values say nothing about two of the parameters
        positions[:, :2] = 0.0
    values = -np.sum((positions - 0.4) ** 2 * np.arange(dimensions), axis=1)
    model = stats.MixedPosterior(process_draws=160, power_draws=160, kernels=3)
    posterior = model(positions, values, cells, [0] * dimensions, exact=seed == 2)
    axes = [stats.Axis(np.arange(8) / 7)] * dimensions
    path = stats.RiskPath()(posterior, cells, axes, epsilon=0.01)
    boxes = [[round(box.kept, 9), round(box.risk, 9), round(box.covered, 9)] for box in path.boxes]
    return [hashlib.sha256(posterior.scores.tobytes()).hexdigest()[:12], boxes]


def main():
    """Prints."""
    out = {"draws": [draws(seed) for seed in range(3)], **{name: study(name) for name in sys.argv[1:]}}
    json.dump(out, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
