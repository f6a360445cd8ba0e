"""The outlook of trials that settle a question."""

import re

import numpy as np
import pytest

import refine
from refine.proposal.settling import ENOUGH, NOISE, REGION, Outlook
from tests.reading import facts_of

QUESTIONS = ("x >= 5", "x <= 3", "y <= 4", "y >= 2")


def slope(p):
    return -((p["x"] - 4) ** 2) / 20 - p["y"] / 20


def noisy_slope(p, trial):
    return slope(p) + np.random.default_rng(trial.seed).normal(0, 0.3)


@pytest.fixture(scope="module")
def noisy():
    tree = refine.Tree("noisy", store="sqlite://")
    tree.add_round({"x": (0, 9), "y": (0, 9)}, noisy_slope, n=30, seed=1).run()
    return tree


def test_a_difference_below_the_noise_is_named_as_hidden_by_it(noisy):
    answer = noisy.ask("x >= 5")
    assert (answer.verdict, answer.obstacle) == ("open", NOISE)
    assert max(answer.outlook.values()) < ENOUGH
    outlook = facts_of(answer)["To settle"]
    assert "1 in 5" in outlook
    assert "noise" in outlook


@pytest.mark.parametrize("better", [None, "x <= 3"])
def test_the_tolerance_advised_against_noise_settles_the_question(noisy, better):
    answer = noisy.ask("x >= 5", better=better)
    assert answer.obstacle == NOISE
    advised = re.search(r"epsilon ([\d.]+) can be answered", " ".join(str(answer).split()))
    assert noisy.ask("x >= 5", better=better, epsilon=float(advised.group(1))).settled


@pytest.mark.slow
def test_unrelated_values_leave_too_many_places_for_the_bests():
    table = np.random.default_rng(0).normal(size=(10, 10, 10, 10))

    def unrelated(p):
        return float(table[p["a"], p["b"], p["c"], p["d"]])

    tree = refine.Tree("unrelated", store="sqlite://")
    tree.add_round(dict.fromkeys("abcd", (0, 9)), unrelated, n=30, seed=1).run()
    answer = tree.ask("a >= 5")
    assert (answer.needed, answer.obstacle) == (12, REGION)


def test_trials_are_named_for_open_questions_alone(noisy):
    for question in QUESTIONS:
        answer = noisy.ask(question, epsilon=0.1)
        assert (answer.needed == 0) == answer.settled
        assert (not answer.outlook) == answer.settled


def test_an_enough_number_is_the_smallest_that_settles_half():
    outlook = Outlook({6: 0.2, 12: 0.4, 24: 0.6, 48: 0.7}, 0.8)
    assert (outlook.needed(), outlook.obstacle()) == (24, "")
    assert (outlook.needed(12), outlook.obstacle(12)) == (12, NOISE)
    assert (outlook.needed(0), outlook.needed(7)) == (0, 6)
    assert Outlook({6: 0.1, 48: 0.3}, 0.3).obstacle() == REGION


def test_the_budget_limits_the_simulated_numbers(noisy):
    tree = refine.Tree("limited", store="sqlite://")
    tree.add_round({"x": (0, 9), "y": (0, 9)}, noisy_slope, n=30, budget=45, seed=1).run()
    answer = tree.ask("x >= 5")
    assert max(answer.outlook) <= 45 - 30
    assert answer.needed in answer.outlook
