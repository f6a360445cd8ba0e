"""Prints ids, seeds, cells, digests and proposals of one study as JSON, equal on every Python and package."""

import json
import sys

import refine
from refine.proposal.proposal import proposal_to_json

SPACES = {
    "numbers": {"x": (0.0, 1.0, 11), "k": (1, 8), "rate": refine.Float(1e-4, 1e-1, levels=7, log=True)},
    "mixed": {
        "x": (-2.0, 2.0, 9),
        "units": [4, 8, 16, 32],
        "layers": (0, 2),
        "act": ["relu", "elu", None],
        "fixed": 3,
    },
}


def objective(params):
    """Exact in binary arithmetic but for a division, which all machines round alike."""
    x = float(params["x"])
    third = params.get("k", params.get("units", 0)) / 64
    value = 1 - (x - 0.5) * (x - 0.5) + third - (0.25 if params.get("act") == "elu" else 0)
    if params.get("layers") == 1:
        value += 0.125
    return {"value": value, "loss": -value / 3}


def described(round_):
    """The identity of a round, and the values of its trials."""
    trials = round_.trials
    return {
        "id": round_.id,
        "space": round_.space.digest,
        "seeds": trials["seed"].tolist(),
        "cells": trials["cell"].dropna().tolist(),
        "values": [value.hex() for value in trials["value"].tolist()],
    }


def timeless(data):
    """Plain data without what was measured of time."""
    if isinstance(data, dict):
        return {key: timeless(value) for key, value in data.items() if key != "seconds"}
    return [timeless(value) for value in data] if isinstance(data, list) else data


def main():
    """Prints."""
    out = {}
    for name, space in SPACES.items():
        for design in ("sobol", "uniform"):
            with refine.Tree(name, store=":memory:") as tree:
                root = tree.add_round(
                    space, objective, n=120, seed=3, plan=refine.Plan(design=design), name="exact"
                )
                root.run()
                review = root.propose(risk=0.05)
                child = review.accept("as proposed", n=12)
                child.run()
                next_review = child.propose(risk=0.05)
                out[f"{name} {design}"] = {
                    "root": described(root),
                    "proposal": review.proposal.digest,
                    "proposed": timeless(proposal_to_json(review.proposal)),
                    "child": described(child),
                    "next proposal": next_review.proposal.digest,
                    "next": timeless(proposal_to_json(next_review.proposal)),
                }
    json.dump(out, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
