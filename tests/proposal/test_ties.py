"""Choices that are equally good are kept, and worse ones are dropped."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import Sobol, draw
from refine.proposal.path import RISKS

SPACE = refine.Space({"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]})


def readme(frame):
    return 1 - 0.02 * (frame["lr"] - 1.4) ** 2 - 0.2 * frame["dropout"] - 0.1 * (frame["optimizer"] == "SGD")


def proposal(value, seed, space=SPACE, n=120, noise=0.0):
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, n, seed)))
    rng = np.random.default_rng(seed)
    frame["value"] = value(frame) + noise * rng.normal(size=n)
    return refine.propose(refine.analyze(space, frame))


SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 12))]


@pytest.mark.parametrize("seed", SEEDS)
def test_two_identical_choices_are_kept_and_a_worse_third_is_dropped(seed):
    change = proposal(readme, seed)["optimizer"]
    assert change.new.grid == ("Adam", "Nadam")


def test_a_choice_that_only_a_tie_keeps_is_named_in_the_reasons():
    changes = [proposal(readme, seed, noise=0.02)["optimizer"] for seed in range(4)]
    named = [r.to_json()["values"] for c in changes for r in c.reasons if r.code == "as_good"]
    assert named
    assert all(sorted([*values["levels"], *values["others"]]) == ["Adam", "Nadam"] for values in named)


@pytest.mark.slow
def test_noise_does_not_tell_identical_choices_apart():
    grids = [proposal(readme, seed, noise=0.02)["optimizer"].new.grid for seed in range(12)]
    assert sum({"Adam", "Nadam"} <= set(grid) for grid in grids) >= 9
    assert all("SGD" not in grid for grid in grids)


@pytest.mark.slow
def test_more_risk_never_keeps_a_choice_that_less_risk_drops():
    space = SPACE.replace({"optimizer": refine.Categorical([f"o{i}" for i in range(8)])})

    def value(frame):
        return readme(frame) - 0.01 * frame["optimizer"].str[1:].astype(int)

    for seed in range(4):
        cautious = proposal(value, seed, space, noise=0.02)
        grids = [set(cautious.at(risk)["optimizer"].new.grid) for risk in RISKS]
        assert all(narrower <= wider for wider, narrower in pairwise(grids))
        assert "o0" in grids[-1]
        assert len(grids[0]) < 8


def test_the_best_configuration_given_its_repeats_is_kept():
    space = refine.Space({"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)})
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 60, 0)))
    noise = np.random.default_rng(0).normal(0, 0.01, len(frame))
    frame["value"] = -((frame["x"] - 0.2) ** 2) + noise
    analysis = refine.analyze(space, frame)
    repeated = frame[frame["x"] >= 0.8].iloc[:1]
    positions = np.repeat(space.unit(repeated), 4, axis=0)
    better = replace(analysis, replicates=(positions, np.full(4, 0.5)))
    worse = replace(analysis, replicates=(positions, np.full(4, -0.5)))
    unrepeated = refine.propose(analysis).space
    assert not unrepeated.contains(repeated).any()
    assert refine.propose(better).space.contains(repeated).all()
    assert refine.propose(worse).space == unrepeated
