"""A range that is good at its low end, over decades, is offered on a logarithmic scale; others are not."""

from __future__ import annotations

import math

import pytest

import refine
from refine.proposal.rescaling import by_magnitude

LINEAR = refine.Float(1e-4, 0.1, levels=12)


def reviewed(objective, x, n=60):
    space = {"x": x, "d": (0.0, 0.5, 6)}
    root = refine.Tree("q", store="sqlite://").add_round(
        space, lambda p: objective(p["x"]) - 0.1 * p["d"], n=n, seed=1
    )
    return root.run(progress=False).propose(risk=0.05)


def offered(review):
    (change,) = [c for c in review.proposal.changes if c.name == "x"]
    return by_magnitude(review.analysis, change)


def by_decades(x):
    return -abs(math.log10(x) + 3.2)


@pytest.mark.slow
def test_what_is_good_at_the_low_end_of_decades_is_offered_by_magnitude():
    review = reviewed(by_decades, LINEAR)
    found = offered(review)
    assert found.new.log
    assert (found.new.low, found.new.high) == (review.space["x"].low, review.space["x"].high)
    assert found.factor >= 10
    assert found.crowded >= found.good / 2
    text = str(review.why())
    assert "on a logarithmic scale have the levels" in " ".join(text.split())
    # The call that it prints is one that can be made, and the child finds what the levels before could not tell apart.
    child = review.edit(x=found.new).accept(n=24, note="by magnitude").run(progress=False)
    assert child.space["x"].log
    assert abs(math.log10(child.best["x"]) + 3.2) < 0.3 < abs(math.log10(review.round.best["x"]) + 3.2)


@pytest.mark.parametrize(
    ("objective", "x"),
    [
        (lambda x: -((x - 0.04) ** 2), LINEAR),  # good in the middle of the scale
        (lambda x: -((x - 0.1) ** 2), LINEAR),  # good at its high end
        (by_decades, refine.Float(1e-4, 0.1, levels=12, log=True)),
        (
            by_decades,
            refine.Float(1e-4, 0.1, levels=[1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1]),
        ),  # by magnitude already
        (lambda x: -abs(x - 23) / 30, refine.Integer(1, 100, levels=12)),
        (lambda x: -x, refine.Float(0.0, 1.0, levels=12)),  # zero has no magnitude
        (lambda x: 0.0, LINEAR),  # nothing is known of it
    ],
)
def test_nothing_is_offered_elsewhere(objective, x):
    review = reviewed(objective, x, n=40)
    assert offered(review) is None
    assert "logarithmic" not in str(review.details)
