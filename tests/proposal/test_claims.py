"""Claims are true as often as they are printed: a dozen closed-form surfaces whose optimum is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from surfaces import SURFACES, claims

import refine
from refine.design.space_filling import Sobol, draw
from refine.utils.format import CHANCE_STEPS

PRINTED = {CHANCE_STEPS[0][1]: 1 / 20, CHANCE_STEPS[1][1]: 1 / 8, CHANCE_STEPS[2][1]: 1 / 5}
"""Step of the printed scheme -> the share of such claims that may be false."""


def false_claims(all_claims):
    """Step -> how many of its claims were false, and how many there are."""
    counts = {}
    for claim in all_claims:
        false, total = counts.get(claim.printed, (0, 0))
        counts[claim.printed] = (false + claim.lost, total + 1)
    return counts


def check_steps(all_claims):
    """Each printed share lies in the 95 % interval of the observed share, or above it."""
    for step, (false, total) in false_claims(all_claims).items():
        if step in PRINTED:
            # Clopper and Pearson: exact, since Wilson's interval of one false claim in one excludes 0.2.
            low = binomtest(false, total).proportion_ci(0.95).low
            wrong = sorted({claim.surface for claim in all_claims if claim.lost and claim.printed == step})
            assert low <= PRINTED[step], f"{step}: {false} of {total} were false, on {', '.join(wrong)}"


@pytest.mark.slow
def test_printed_chances_hold_on_two_surfaces():
    check_surfaces(list(SURFACES)[::7])


@pytest.mark.nightly
@pytest.mark.slow
def test_printed_chances_hold_on_the_other_surfaces():
    check_surfaces([name for i, name in enumerate(SURFACES) if i % 7])


def check_surfaces(names):
    """Check one round of each surface: its claims hold, and most of them are about narrowed spaces."""
    all_claims = [claim for name in names for claim in claims(name, seed=1)]
    check_steps(all_claims)
    narrowed = [claim for claim in all_claims if claim.share_kept < 0.5]
    assert len(narrowed) >= len(all_claims) / 2  # a claim about the whole space is always true


@pytest.mark.nightly
def test_printed_chances_hold_over_many_rounds():
    check_steps([claim for name in SURFACES for seed in range(2, 10) for claim in claims(name, seed)])


@pytest.mark.nightly
@pytest.mark.parametrize("name", SURFACES)
def test_no_surface_is_lost_more_often_than_printed(name):
    check_steps([claim for seed in range(2, 6) for claim in claims(name, seed)])


@pytest.mark.parametrize("seed", [4, 7])
def test_few_trials_keep_the_foot_of_a_wall(seed):
    space = refine.Space({"rate": (0.0, 1.0, 11), "other": (0.0, 1.0, 11)})
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 14, seed)))
    rate = frame["rate"].to_numpy(float)
    noise = 0.1 * np.random.default_rng(seed).normal(size=14)
    # The best lies at the foot, by as much as the noise. A lead of half of the noise may be cut off.
    frame["value"] = -40.0 * np.maximum(0.0, 0.5 - rate) - rate + noise
    proposal = refine.propose(refine.analyze(space, frame, seed=seed))
    low, foot = proposal.space["rate"].contains(np.array([0.1, 0.5]))
    assert not low
    assert foot
