"""The worth of another round, on real trials of cheap objectives."""

import math
from dataclasses import replace

import numpy as np
import pytest

import refine
from refine import datasets
from refine.errors import AnalysisError, DesignError, ReviewError
from refine.report.pages.checks import figure, outlook_text
from refine.report.pages.headline import headline_of
from refine.report.pages.proposal import CLAIMED_DATA
from refine.review.review import advised_round_of
from refine.review.worth import verdict_of
from refine.utils.format import difference
from tests.reading import facts_of

SPACE = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21), "kind": ["a", "b", "c"]}


def bowl_of(params):
    return 1 - (params["x"] - 0.65) ** 2 - (params["y"] - 0.3) ** 2 - 0.05 * (params["kind"] != "b")


def bowl(params, trial):
    return bowl_of(params) + np.random.default_rng(trial.seed).normal(0, 0.003)


def flat(params, trial):
    rng = np.random.default_rng(trial.seed)
    return 0 * (params["x"] + params["y"] + len(params["kind"])) + rng.normal(0, 1)


def small(params):
    return -abs(params["x"] - 2) - abs(params["y"] - 1)


def ran(tree, objective, n, seed=3, **options):
    return tree.add_round(SPACE, objective, n=n, seed=seed, **options).run()


@pytest.fixture(scope="module")
def coarse():
    """A review after 30 trials of a bowl."""
    with refine.Tree("coarse", store="sqlite://") as opened:
        root = ran(opened, bowl, 30, seed=5)
        root._epsilon = 0.004
        yield root.propose()


@pytest.mark.slow
def test_a_coarse_search_of_a_bowl_gets_the_verdict_continue(coarse):
    assert 1 - bowl_of(coarse.round._recommend().params) > 0.02  # there is something to find
    worth = coarse.worth(exploit=0.5)
    assert (worth.verdict, worth.epsilon) == ("CONTINUE", 0.004)
    assert worth.low < worth.gain < worth.high
    assert worth.probability > 0.25
    assert coarse.worth(1).gain < worth.gain


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "n", "epsilon"), [(bowl, 100, 0.05), (flat, 60, None)])
def test_a_bowl_that_was_searched_well_is_over_and_noise_is_not_worth_a_round(tree, objective, n, epsilon):
    review = ran(tree, objective, n).propose(epsilon=epsilon)
    worth = review.worth()
    if objective is bowl:
        assert worth.verdict in ("STOP", "CONFIRM")
        assert worth.probability < 0.15
    else:
        assert worth.probability < 0.3  # noise is told from a gain in about 4 of 5 simulated rounds
        assert worth.noise == pytest.approx(1.0, abs=0.4)
        check = review.checks()["worth"]
        verdict = "pass" if worth.verdict == "CONTINUE" else "warn"
        assert (check.verdict, check.code) == (verdict, worth.verdict.lower())
        words = {"CONTINUE": "Go on", "CONFIRM": "Confirm first", "STOP": "Stop here"}
        assert figure(check) == words[worth.verdict]


@pytest.mark.slow
def test_a_space_that_was_run_whole_gets_the_verdict_stop(tree):
    review = tree.add_round({"x": (0, 4), "y": (0, 4)}, small, n=25, seed=3).run().propose()
    worth = review.worth()
    assert (worth.verdict, worth.n, worth.left, worth.probability) == ("STOP", 0, 0, 0.0)
    assert review._page().lead.text.startswith(headline_of(review).text)


def test_confirming_settles_what_it_asked_for():
    assert verdict_of(0.04, gain=0.001, repeat_gain=0.01, noise=0.02) == "CONFIRM"
    assert verdict_of(0.04, gain=0.001, repeat_gain=0.0015, noise=0.02) == "STOP"
    assert verdict_of(0.04, gain=0.02, repeat_gain=0.01, noise=0.02) == "STOP"
    assert verdict_of(0.2, gain=0.02, repeat_gain=0.03, noise=0.02) == "CONTINUE"
    assert verdict_of(0.09, gain=0.02, repeat_gain=0.01, noise=0.02) == "STOP"
    assert verdict_of(0.04, gain=0.0, repeat_gain=0.01, noise=math.nan) == "CONFIRM"


@pytest.mark.slow
def test_a_price_says_what_a_round_must_bring(coarse):
    gain = coarse.worth().gain
    assert math.isnan(coarse.worth().cost)
    cheap, dear = (coarse.worth(price=gain * share / advised_round_of(coarse).n) for share in (0.5, 2))
    assert (cheap.verdict, dear.verdict) == ("CONTINUE", "STOP")
    assert (cheap.gain, cheap.cost) == (gain, pytest.approx(gain / 2))
    assert all(text in str(dear) for text in ("STOP: ", difference(dear.cost)))
    assert verdict_of(0.9, gain=0.01, repeat_gain=0.02, noise=0.1, cost=0.015) == "CONFIRM"
    for bad in (-1, math.inf, math.nan, "1", True):
        with pytest.raises(ReviewError, match="number >= 0,"):
            coarse.worth(price=bad)


@pytest.mark.slow
def test_no_gain_passes_what_the_metric_can_reach(tree):
    def accuracy(params, trial):
        rng = np.random.default_rng(trial.seed)
        return {"accuracy": 1 - abs(params["x"] - 0.65) * 0.02 - 0.01 * rng.random() ** 2}

    root = ran(tree, accuracy, 40, name="accuracy", metric="accuracy")
    review = root.propose()
    best = tree.winner().expected
    assert review.worth().high <= 1 - best + 0.02


@pytest.mark.slow
def test_an_edit_that_cuts_all_good_trials_off_does_not_pay(tree):
    """Eleven parameters without noise: the case of a gain that stayed at 73 % whatever was edited."""
    weights = 0.05 * np.array([4, 1, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0, 0])
    optimum = np.random.default_rng(1).uniform(0.2, 0.8, 11)

    def rmse(params):
        x = np.array([params[f"p{i}"] for i in range(11)])
        return float(np.sqrt(0.01 + (weights * (x - optimum) ** 2).sum()))

    space = {f"p{i}": (0.0, 1.0, 9) for i in range(11)}
    review = tree.add_round(space, rmse, n=60, seed=1, direction="minimize").run().propose()
    bounds = (0.0, 0.125) if optimum[0] > 0.5 else (0.875, 1.0)
    edited = review.edit(p0=bounds)
    assert edited.preview().top_kept == 0
    outlook = edited.worth()
    assert outlook.probability < review.worth().probability
    assert outlook.verdict != "CONTINUE"
    assert outlook.high < review.round.best["value"] - 0.1  # no configuration reaches less than 0.1


def test_a_round_gains_only_beyond_the_best_of_earlier_rounds(tree):
    root = ran(tree, bowl_of, 40, metric=refine.Goal("value", noise="none"))
    far = root.propose().edit(x=(0.0, 0.2), kind=["a"]).accept(n=12).run()
    review = far.propose()
    assert far.best["value"] < root.best["value"] - 0.1
    outlook = review.worth()
    assert (outlook.verdict, outlook.gain) == ("STOP", 0.0)
    assert 0 <= outlook.low <= outlook.high


def test_a_gain_above_no_tolerance_is_something(coarse):
    outlook = replace(coarse.worth(), epsilon=0.0, probability=0.6)
    last_words = {
        outlook_text(replace(outlook, verdict=verdict)).split()[-1] for verdict in ("CONTINUE", "STOP")
    }
    assert len(last_words) == 2  # something, anything


@pytest.mark.slow
def test_repeats_lower_the_worth_of_more_repeats():
    def noisy(params, trial):
        return bowl(params, trial) + np.random.default_rng(trial.seed + 1).normal(0, 0.15)

    # In a single study, repeats may also show that the best was lucky: then more of them are worth it.
    before = []
    after = []
    for seed in range(4):
        with refine.Tree(f"noisy {seed}", store="sqlite://") as tree:
            root = ran(tree, noisy, 40, seed=seed, name="noisy")
            before.append(root.propose().worth().again)
            tree.confirm(budget=30)
            review = root.propose()
            positions, values = review.proposal.analysis.replicates
            assert len(positions) == len(values) > 5
            after.append(review.worth().again)
    assert sum(after) < sum(before), (before, after)


@pytest.mark.slow
def test_a_minimum_is_worth_what_the_maximum_is(tree):
    up = ran(tree, bowl, 24, name="up").propose().worth()
    with refine.Tree("down", store="sqlite://") as other:
        down = ran(other, lambda p, trial: -bowl(p, trial), 24, name="up", direction="minimize").propose()
        worth = down.worth()
    assert (worth.probability, worth.gain) == pytest.approx((up.probability, up.gain))


@pytest.mark.slow
def test_the_worth_follows_edits_and_is_unknown_for_new_choices(coarse):
    bad = coarse.edit(x=(0.0, 0.1), y=(0.9, 1.0))
    assert bad.worth().gain < coarse.worth().gain
    assert bad.checks()["worth"].values["gain"] == pytest.approx(bad.worth().gain)
    unknown = coarse.edit(kind=refine.Categorical(["d", "e", "f"]))
    with pytest.raises(AnalysisError, match="space"):
        unknown.worth()
    assert unknown.checks()["worth"].verdict == "unknown"
    assert "CONTINUE" not in str(unknown)
    with pytest.raises(DesignError, match="^n must"):
        coarse.worth(0)
    with pytest.raises(ReviewError, match="^exploit must"):
        coarse.worth(exploit=1.5)


@pytest.mark.slow
def test_the_outlook_is_about_new_data_if_scores_by_row_are_known(tree):
    def by_row(params):
        tastes = np.random.default_rng(0).normal(size=120)
        return {"score": bowl_of(params) + tastes * (params["x"] - 0.5)}

    def mean_alone(params):
        return {"score": float(by_row(params)["score"].mean())}

    outlooks = []
    for objective in (by_row, mean_alone):
        round_ = ran(tree, objective, 30, metric=refine.Goal("score", noise="none"), name="rows")
        outlooks.append(round_.propose(epsilon=0.01).worth(n=20))
        tree.delete(round_, note="the next objective starts anew")
    scored, plain = outlooks
    assert (scored.data, plain.data) == ("rows", "")
    assert facts_of(scored)["Gain"].endswith(CLAIMED_DATA["rows"])
    assert CLAIMED_DATA["rows"] not in facts_of(plain)["Gain"]
    assert scored.high - scored.low > plain.high - plain.low


def saturating(params, trial):
    """A loss that levels off at 0, with bad values that are orders of magnitude larger."""
    loss = np.exp(6 * (bowl_of(params) - 1) * -1) - 1
    return loss + np.random.default_rng(trial.seed).normal(0, 0.002)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4])
def test_a_loss_that_levels_off_promises_no_gain_beyond_its_best(tree, seed):
    round_ = ran(tree, saturating, 40, seed=seed, direction="minimize")
    worth = round_.propose().worth(n=30, exploit=0.5)
    possible = np.exp(6 * (1 - bowl_of(round_._recommend().params))) - 1
    assert worth.gain < 2 * possible + worth.epsilon


def test_a_round_without_noise_takes_nothing_away_and_leaves_losses_positive(tree):
    def loss(p):
        return (math.log10(p["lr"]) + 3) ** 2 + p["m"]

    space = {"lr": refine.Float(1e-9, 1e3, levels=25, log=True), "m": (0.0, 1.0, 11)}
    root = tree.add_round(space, loss, n=50, metric=refine.Goal("value", "minimize", noise="none")).run()
    worth = root.propose().worth()
    assert 0 <= worth.low <= worth.gain <= worth.high < root.best["value"]

    def peak(p):
        if p["y"] > 0.5:
            raise ValueError("fails in half of the space")
        return -((p["x"] - 0.5) ** 2)

    plane = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21)}
    peaked = tree.add_round(plane, peak, n=60, metric=refine.Goal("value", noise="none"), name="peak").run()
    worth = peaked.propose().worth()
    assert 0 <= worth.low <= worth.gain <= worth.high


def test_gain_of_losses_over_decades_does_not_reach_zero(tree):
    def loss(p):
        return {"mse": 0.1 * 10.0 ** (p["x"] * (1 + p["y"]) + abs(p["z"] - 0.4)) + p["y"] ** 2}

    space = dict.fromkeys("xyz", (0.0, 1.0, 9))
    goal = refine.Goal("mse", "minimize", scale="log", noise="none")
    root = tree.add_round(space, loss, metric=goal, n=20, seed=2)
    worth = root.run().propose().worth(n=20)
    assert 0 < worth.high < root.best["value"]


@pytest.mark.slow
def test_gain_of_a_noisy_metric_does_not_pass_its_limit():
    review = datasets.digits().rounds[0].propose()
    worth = review.worth(n=150)
    assert 0 < worth.gain < worth.high <= 1 - 0.95


def test_simulated_losses_over_decades_do_not_pass_a_declared_limit(tree):
    def loss(p):
        return 0.1 + 10.0 ** (2 * p["x"] * (1 + p["y"]) + abs(p["z"] - 0.4) - 2)

    space = dict.fromkeys("xyz", (0.0, 1.0, 9))
    goal = refine.Goal("value", "minimize", scale="log", limits=(0.1, None), noise="none")
    root = tree.add_round(space, loss, n=20, metric=goal, seed=2).run()
    worth = root.propose().worth(n=20)
    assert 0 < worth.gain < worth.high <= root.best["value"] - 0.1


def test_two_noisy_values_up_to_the_limit_leave_a_gain_open(tree):
    def step(p, trial):
        return 0.5 + 0.5 * (p["x"] + p["y"] + np.random.default_rng(trial.seed).normal(0, 0.3) > 1.4)

    space = dict.fromkeys("xy", (0.0, 1.0, 11))
    root = tree.add_round(
        space, step, n=40, seed=1, metric=refine.Goal("value", noise="retraining", limits=(0, 1))
    )
    worth = root.run().propose(epsilon=0.01).worth()
    assert worth.gain > 0
    assert worth.probability > 0.05
