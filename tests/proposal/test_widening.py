"""Ranges whose optimum lies beyond: rounds arrive there, and ends without a trend stay."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import Sobol, draw
from refine.report.pages.proposal import why


def rounds_towards(optimum: float, seed: int, noise: float = 0.1) -> list[refine.Parameter]:
    """The range of lr in three rounds of 40, each on what was proposed on the one before."""
    rng = np.random.default_rng(seed)
    space = refine.Space(
        {
            "lr": refine.Float(1e-5, 1e-3, levels=9, log=True),
            "dropout": (0.0, 0.5, 6),
            "kind": ["a", "b", "c"],
        }
    )
    earlier, found = [], []
    for look in (1, 2, 3):
        found.append(space["lr"])
        frame = pd.DataFrame(space.columns(draw(Sobol(), space, min(40, space.size), seed * 10 + look)))
        value = -0.1 * (np.log10(frame["lr"]) - optimum) ** 2 - 0.3 * frame["dropout"]
        frame["value"] = value + rng.normal(0, noise, len(frame))
        if look < 3:
            past = pd.concat(earlier) if earlier else None
            space = refine.propose(refine.analyze(space, frame, earlier=past, look=look)).space
        earlier.append(frame)
    return found


@pytest.mark.slow
def test_an_optimum_two_decades_beyond_is_reached_by_the_third_round():
    arrived = 0
    for seed in range(6):
        levels = np.log10(np.asarray(rounds_towards(-1.0, seed)[-1].grid))
        arrived += bool(np.abs(levels + 1.0).min() <= np.diff(levels).max())
        assert levels[-1] <= 3  # no further than a round of two decades overshoots
    assert arrived >= 5  # 9 of 10 are wanted


def analysis_of(value, seed=0, **parameters):
    space = refine.Space({"z": (0.0, 1.0, 12), **parameters})
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 60, seed)))
    rng = np.random.default_rng(seed)
    return refine.analyze(space, frame.assign(value=value(frame) + rng.normal(0, 0.05, len(frame))))


@pytest.mark.slow
def test_a_trend_is_not_narrowed_onto_an_open_end():
    for seed in range(3):
        proposal = refine.propose(analysis_of(lambda f: f["x"], seed, x=(0.0, 1.0, 9)))
        change = proposal["x"]
        assert change.kind == "widen"
        assert change.new.high == pytest.approx(2.0)
        assert "the optimum may be beyond" in why(change)


def test_a_declared_limit_holds_and_an_inferred_one_is_said():
    declared = refine.propose(analysis_of(lambda f: f["x"], x=refine.Float(0, 1, 9, within=(0, 1))))["x"]
    assert declared.new.high == 1
    assert "its declared limit" in why(declared)
    share = refine.propose(analysis_of(lambda f: f["dropout"], dropout=(0.0, 0.5, 6)))["dropout"]
    assert 0.5 < share.new.high < 1
    assert "a limit inferred" in why(share)


@pytest.mark.slow
def test_an_optimum_inside_widens_nothing():
    for seed in range(3):
        proposal = refine.propose(analysis_of(lambda f: -((f["x"] - 0.5) ** 2), seed, x=(0.0, 1.0, 9)))
        assert all(change.kind != "widen" for change in proposal.changes)
