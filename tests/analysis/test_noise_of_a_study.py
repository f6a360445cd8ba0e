"""One noise and one tolerance per study: proposal, winner, race, judge and checks state the same."""

import math

import numpy as np
import pandas as pd
import pytest

import refine
from refine import stats
from refine.analysis.noise import equal_repeats, noise_of, pooled_noise
from refine.errors import AnalysisError, RefineWarning

SPACE = refine.Space({"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 6)})


def noisy(params, trial):
    rng = np.random.default_rng(trial.seed)
    return 0.9 - (params["x"] - 0.4) ** 2 - 0.1 * params["y"] + 0.02 * rng.normal()


@pytest.fixture
def study():
    with refine.Tree("noisy", store="sqlite://") as tree:
        yield tree, tree.add_round(SPACE, noisy, n=40, seed=1).run()


@pytest.mark.slow
def test_all_screens_state_one_tolerance(study):
    tree, root = study
    review = root.propose()
    claim = review.proposal.claim
    winner = tree.winner()
    best = next(c for c in winner.candidates if c.key != winner.candidates[0].key)
    judgement = tree.judge("winner", dict(best.params))
    assert claim.epsilon > 0
    assert winner.epsilon == review.worth().epsilon == judgement.epsilon == pytest.approx(claim.epsilon)
    assert winner.epsilon_source == claim.epsilon_source
    confirmed = tree.confirm(budget=6)
    tolerance = root.propose().proposal.claim.epsilon
    assert confirmed.epsilon == confirmed.race.tolerance == pytest.approx(tolerance)
    assert tree.winner().epsilon == pytest.approx(tolerance)


@pytest.mark.slow
def test_the_check_of_luck_and_the_winner_expect_the_same_value(study):
    tree, root = study
    luck = root.propose().checks()["optimism"]._asdict()["values"]
    best = tree.winner().best_observed
    assert luck["best"] == pytest.approx(best.observed)
    assert luck["expected"] == pytest.approx(best.expected)


def table(n, sd, seed=0):
    """Evenly drawn trials."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, 2))
    frame = pd.DataFrame({"x": x[:, 0], "y": x[:, 1]})
    values = -((x - 0.5) ** 2).sum(axis=1) + sd * rng.normal(size=n)
    return frame.assign(value=values, origin="space_filling")


def exploited(n, sd):
    """Trials near the optimum that a model placed."""
    rng = np.random.default_rng(1)
    x = (0.5 + 0.02 * rng.normal(size=(n, 2))).clip(0, 1)
    frame = pd.DataFrame({"x": x[:, 0], "y": x[:, 1]})
    return frame.assign(value=sd * rng.normal(size=n), origin="exploit")


PLANE = refine.Space({"x": (0.0, 1.0), "y": (0.0, 1.0)})


@pytest.mark.parametrize("sd", [0.02, 0.1])
def test_trials_that_cluster_show_the_noise_near_the_best(sd):
    trials = pd.concat([table(30, sd), exploited(60, sd)], ignore_index=True)
    assert 0.5 * sd < refine.analyze(PLANE, trials).noise.sd < 1.5 * sd


def test_noise_that_grows_with_the_loss_is_that_of_the_best():
    rng = np.random.default_rng(3)
    frame = table(60, 0.0)
    sd = 0.01 - 0.5 * frame["value"]
    frame["value"] = frame["value"] + sd * rng.normal(size=60)
    assert refine.analyze(PLANE, frame).noise.sd < 0.6 * sd.median()


def test_a_round_that_learns_keeps_noise_and_tolerance_of_its_study(tree):
    def rising(params, trial):
        """Flat near the best: a small region holds nothing but noise of 0.02."""
        noise = np.random.default_rng(trial.seed).normal(0, 0.02)
        return 1 - abs(params["x"] - 0.8) ** 2 - 0.3 * (params["kind"] == "b") + noise

    space = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21), "kind": ["a", "b"]}
    root = tree.add_round(space, rising, n=30, seed=0, metric=refine.Goal("value", noise="retraining")).run()
    child = root.branch({"x": (0.6, 1.0, 9), "y": (0.0, 1.0, 21), "kind": ["a", "b"]}, n=10, exploit=1.0)
    child.run()
    first = root.analyze().noise
    second = child.analyze().noise
    assert second.sd == pytest.approx(first.sd, rel=0.15)
    assert second.epsilon == pytest.approx(first.epsilon, rel=0.15)


def test_the_tolerance_stays_after_a_first_round_of_few_even_trials(tree):
    belief = {"x": refine.Near(0.4, within=0.1)}
    root = tree.add_round(
        SPACE,
        noisy,
        n=16,
        plan=refine.Plan(belief=belief),
        seed=2,
        metric=refine.Goal("value", noise="retraining"),
    ).run()
    assert 0 < (root.trials["origin"] == "space_filling").sum() < 10
    first = root.analyze().noise
    child = root.branch({"x": (0.3, 0.5, 11), "y": (0.0, 0.4, 6)}, n=11, exploit=1.0)
    second = child.run().analyze().noise
    assert second.floor >= first.floor
    assert second.epsilon >= first.epsilon


def test_a_round_that_learns_is_analysed_after_all_trials_of_its_first_round_are_excluded(tree):
    root = tree.add_round(SPACE, noisy, n=12, seed=2, metric=refine.Goal("value", noise="retraining")).run()
    child = root.propose().edit(x=(0.0, 0.8)).accept(n=16, exploit=0.6)
    child.run()
    root.exclude(range(12), "a wrong version of the data")
    analysis = child.analyze()
    assert 0 < analysis.n_few_even < 10
    assert analysis.noise.epsilon > 0


def test_degenerate_trials_do_not_enlarge_the_tolerance():
    frame = table(30, 0.02).assign(degenerate=0)
    constant = frame.head(20).assign(value=-5.0, degenerate=1)
    with_constant = pd.concat([frame, constant], ignore_index=True)
    tolerance = refine.analyze(PLANE, frame).noise.floor
    assert refine.analyze(PLANE, with_constant).noise.floor == pytest.approx(tolerance)


def test_failed_trials_do_not_enlarge_the_noise():
    frame = table(11, 0.01)
    lost = table(25, 0.0, seed=5).assign(value=np.nan, state="failed")
    frame = pd.concat([frame.assign(state="complete"), lost], ignore_index=True)
    noise = refine.analyze(PLANE, frame).noise
    assert math.isnan(noise.sd)  # 11 values do not show it
    assert noise.epsilon == noise.floor > 0
    assert noise.epsilon_source == "range"


def test_repeats_residuals_and_prior_are_pooled_by_their_precision():
    residual = stats.NoiseEstimate(0.02, 0.0, "residuals", 40)
    alone = pooled_noise([], residual, 5, floor=0.05)
    of_two_repeats = pooled_noise([(0.1, 2)], residual, 5, floor=0.05)
    of_many_repeats = pooled_noise([(0.1, 200)], residual, 5, floor=0.05)
    assert 0.02 < alone.sd < of_two_repeats.sd < of_many_repeats.sd == pytest.approx(0.1, rel=0.05)
    assert alone.freedom < of_two_repeats.freedom < of_many_repeats.freedom
    assert [noise.source for noise in (alone, of_two_repeats, of_many_repeats)] == [
        "residuals",
        "residuals",
        "replicates",
    ]
    many_parameters = pooled_noise([], residual, 30, floor=0.05)  # residuals of an overfitted model
    assert many_parameters.sd > alone.sd
    assert many_parameters.freedom < alone.freedom


def test_few_trials_say_less_about_the_noise():
    of_24 = pooled_noise([], stats.NoiseEstimate(0.1, 0.0, "residuals", 24), 5, floor=0.05)
    of_200 = pooled_noise([], stats.NoiseEstimate(0.1, 0.0, "residuals", 200), 5, floor=0.05)
    assert of_24.freedom < of_200.freedom
    assert of_24.sd < 0.16  # residuals of a rough truth are not too small


def test_repeats_alone_give_an_unbiased_estimate(rng):
    unknown = stats.NoiseEstimate(math.nan, 0.0, "none", 0)
    logs = []
    for _ in range(400):
        runs = 0.05 * rng.normal(size=5)
        logs.append(math.log(pooled_noise([(float(runs.std(ddof=1)), 4)], unknown, 3, floor=0.0).sd))
    assert math.exp(np.mean(logs)) == pytest.approx(0.05, rel=0.1)


def test_three_equal_repeats_of_a_metric_in_steps_show_noise_below_one_row(rng):
    X = rng.uniform(size=(40, 2))
    y = np.round(rng.uniform(0.6, 0.9, 40) * 50) / 50
    best = [float(y.max())]

    def noise(count, values=y):
        repeats = ([*best] * count, ["a"] * count, [*best] * count)
        return noise_of(values, None, repeats, (X, values, [0, 0]))

    three_repeats = noise(3)
    assert (three_repeats.source, three_repeats.n, three_repeats.deterministic) == ("below_step", 3, False)
    assert 0 < three_repeats.sd < three_repeats.step == pytest.approx(1 / 50)
    assert noise(6).deterministic
    assert noise(3, y + 1e-3 * rng.uniform(size=40)).source != "below_step"


def test_equal_repeats_of_a_continuous_metric_show_no_noise():
    assert equal_repeats(stats.ReplicateAgreement(3, 0), 0.0, 0.1).deterministic


def test_a_declaration_of_the_noise_is_one_of_two():
    equal = (np.zeros((3, 1)), np.zeros(3), [0])
    with pytest.raises(AnalysisError, match="noise"):
        noise_of(np.zeros(3), None, None, equal, "some")


def test_copied_rows_count_once_with_one_warning():
    frame = table(40, 0.05)
    copied = pd.concat([frame, frame.iloc[:3]], ignore_index=True)
    with pytest.warns(RefineWarning, match="3 rows of 43") as caught:
        twice = refine.analyze(PLANE, copied)
    once = refine.analyze(PLANE, frame)
    assert len(caught) == 1
    assert (twice.digest, twice.noise, twice.n_space_filling) == (once.digest, once.noise, 40)
    other_times = copied.assign(seconds=np.arange(43.0))
    assert refine.analyze(PLANE, other_times).n_space_filling == 43
