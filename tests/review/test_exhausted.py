"""Reviews of spaces with no configuration left to run."""

import math

from refine.review.review import next_step
from refine.trials.goal import Goal
from tests.reading import reasons_of


def wave(p):
    return math.sin(9 * p["x"]) - (p["x"] - 0.6) ** 2


def test_a_wholly_run_range_without_noise_is_searched_between_its_levels(tree):
    root = tree.add_round({"x": (0.0, 1.0, 11)}, wave, budget=40, seed=1).run()
    review = root.propose()
    assert next_step(review).reasons[0].code == "decide"
    assert review.proposal.claim.certain
    assert set(review.space["x"].grid) - set(root.space["x"].grid)
    assert review.worth().n == reasons_of(next_step(review))["decide"]["n"] > 0


def test_a_cut_to_configurations_that_all_ran_suggests_no_round(tree):
    root = tree.add_round(
        {"x": (0, 10)}, lambda p: p["x"] * (7 - p["x"]), budget=40, metric=Goal("value", noise="none"), seed=1
    )
    review = root.run().propose()
    assert next_step(review).reasons[0].code == "decide"
    assert review.worth().n == reasons_of(next_step(review))["decide"]["n"] == 0
    for text in (str(review), str(review.why())):
        assert "accept" not in text
    assert str(next_step(review).action) == "tree.winner()"


def test_a_wholly_run_space_with_noise_asks_for_repeats(tree):
    def noisy(p, trial):
        return wave(p) + trial.seed % 100 / 100

    root = tree.add_round({"x": (0.0, 1.0, 11)}, noisy, n=11, seed=1).run()
    review = root.propose()
    assert next_step(review).reasons[0].code == "exhausted"


def test_a_wholly_run_space_offers_the_winner_or_new_levels_and_states_no_risk(tree):
    root = tree.add_round(
        {"x": list(range(1, 13)), "flag": ["on", "off"]},
        lambda p: -((p["x"] - 3) ** 2) - 0.5 * (p["flag"] == "on") - p["x"] * 7.3 % 1,
        n=24,
        metric=Goal("value", noise="none"),
        seed=1,
    ).run()
    review = root.propose()
    assert review.proposal.claim.certain
    assert review.space["x"].size < 12
    text = str(review)
    assert "no risk" in text
    assert "low risk" not in text
    assert "search only" not in text
    assert "add levels between those run: review.edit(name=...)" in text
    assert "review.accept" not in text
    assert "review.reject" not in text
    options = str(review.options())
    assert "none" in options
    assert "1 in 20" not in options
