"""The headline of a review: what to do in at most eight words, why, and a first screen of twelve lines."""

import pytest

import refine
from refine.report.pages.headline import _STEPS, MOST_WORDS, budget_text, headline_of, round_text
from refine.report.pages.reasons import fill
from refine.review.next_step import NextRound
from refine.trials.budget import BudgetState
from refine.utils.display import to_text

SPACE = {"lr": (0.0, 1.0, 11), "alpha": (0.0, 1.0, 11), "depth": (1, 8), "act": ["relu", "tanh", "gelu"]}


def bowl(p):
    return 1 - (p["lr"] - 0.3) ** 2 - 0.1 * (p["act"] == "tanh")


@pytest.fixture(scope="module")
def review():
    with refine.Tree("bowl", store="sqlite://") as tree:
        yield (
            tree.add_round(SPACE, bowl, n=20, budget=60, seed=1, metric=refine.Goal("value", noise="none"))
            .run()
            .propose(keep=False)
        )


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ({}, "Run 12 more trials in this space"),
        ({"lr": (0.2, 0.4)}, "Narrow lr, then run 12 trials"),
        ({"lr": (0.2, 0.4), "alpha": (0.0, 0.5)}, "Narrow lr and alpha, then run 12 trials"),
        ({"lr": (0.2, 2.0)}, "Extend lr, then run 12 trials"),
        ({"depth": (1, 12)}, "Extend depth, then run 12 trials"),
        ({"lr": (0.2, 2.0), "act": ["relu"]}, "Change lr and act, then run 12 trials"),
        (
            {"lr": (0.2, 0.4), "alpha": (0.0, 0.5), "act": ["relu"]},
            "Narrow 3 parameters, then run 12 trials",
        ),
    ],
)
def test_a_round_is_named_in_at_most_eight_words(review, edits, text):
    names = [change.name for change in review.proposal.changes]
    edited = review.edit({**{name: review.proposal.old[name] for name in names}, **edits})
    assert round_text(edited, 12) == text
    assert len(text.split()) <= MOST_WORDS


@pytest.mark.parametrize("code", _STEPS)
def test_other_steps_are_named_in_at_most_eight_words_and_one_sentence(code):
    values = {"n": 120, "more": 120, "runs": 15, "power": 0.8, "metric": "val_acc", "value": 0.5}
    text, reason = (fill(template, {**values, "parameters": ["lr", "alpha"]}) for template in _STEPS[code])
    assert len(text.split()) <= MOST_WORDS
    assert ". " not in reason
    assert reason.endswith(".")


@pytest.mark.parametrize(
    ("spent", "n", "noisy", "text"),
    [
        (21, 20, True, "39 of 60 trials left: 20 for this round, 10 for later ones, 9 to confirm the winner"),
        (40, 11, True, "20 of 60 trials left: 11 for this round, 9 to confirm the winner"),
        (43, 17, False, "17 of 60 trials left: all for this round"),
    ],
)
def test_a_budget_states_the_uses_of_the_trials_left(spent, n, noisy, text):
    assert budget_text(BudgetState(limit=60, spent=spent), n, noisy=noisy) == text


def test_a_budget_never_goes_on_and_doubts_in_one_breath(review):
    flat = review.worth(n=10)
    assert flat.verdict == "CONTINUE"
    headline = headline_of(review, NextRound(10, 0.0, 0.0), flat)
    assert "unlikely" not in headline.sentence
    assert "left:" in headline.reason


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 40, 60])
def test_a_study_with_a_budget_prints_at_most_twelve_lines(n):
    with refine.Tree("bowl", store="sqlite://") as tree:
        round_ = tree.add_round(
            SPACE, bowl, n=n, budget=60, seed=1, metric=refine.Goal("value", noise="none")
        ).run()
        text = to_text(round_.propose(keep=False)._page(), 80)
    assert len(text.splitlines()) <= 12, text
