"""Huge but finite values count as diverged; a smooth loss over decades does not."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.report.pages.reasons import sentence
from refine.trials.explosion import exploded, explosion_limit

EXPLOSIONS = {
    "a million": lambda rng, n: np.full(n, 1e6),
    "a wide range": lambda rng, n: 10.0 ** rng.uniform(9, 38, n),
    "1e300": lambda rng, n: np.full(n, 1e300),
    "the largest float": lambda rng, n: np.full(n, 1.7e308),
}
SMOOTH = {
    "a bowl": lambda rng, n: (rng.uniform(-1, 1, (n, 3)) ** 2).sum(axis=1),
    "normal noise": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(1, size=n),
    "four decades": lambda rng, n: 10.0 ** rng.uniform(-4, 0, n),
    "eight decades": lambda rng, n: 10.0 ** rng.uniform(-4, 4, n),
    "error in rows": lambda rng, n: np.round(rng.beta(1, 5, n) * 300) / 300,
    "ties at the best": lambda rng, n: np.maximum(0.0, rng.normal(size=n)),
    "constant": lambda rng, n: np.full(n, 0.5),
}


@pytest.mark.parametrize("kind", EXPLOSIONS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_explosions_are_found_and_nothing_else(kind, share, rng):
    for n in (20, 40, 100):
        count = round(share * n)
        loss = np.r_[
            0.1 + (rng.uniform(-1, 1, (n - count, 3)) ** 2).sum(axis=1), EXPLOSIONS[kind](rng, count)
        ]
        exploding = exploded(-loss, explosion_limit(-loss))
        assert exploding.tolist() == [False] * (n - count) + [True] * count


@pytest.mark.parametrize("decades", [4, 6, 8])
@pytest.mark.parametrize("kind", ["even", "steep at one end", "steep at two ends"])
def test_a_tail_over_decades_without_a_gap_has_no_explosion(kind, decades):
    rng = np.random.default_rng(4)
    share = {
        "even": lambda n: rng.uniform(size=n),
        "steep at one end": lambda n: rng.uniform(size=n) ** 4,
        "steep at two ends": lambda n: rng.uniform(size=(n, 2)).max(axis=1) ** 6,
    }[kind]
    alarms = [
        explosion_limit(-(10.0 ** (decades * share(n)))) > -np.inf for n in (20, 40, 100) for _ in range(200)
    ]
    assert np.mean(alarms) <= 0.03


def test_a_large_loss_on_a_declared_log_scale_has_not_diverged(tree):
    def loss(params):
        return 10.0 ** (2 * (params["x"] - 2) ** 2 / 4 + 2 * abs(params["y"] - 0.3) - 4)

    space = {"x": (-8.0, 8.0, 65), "y": (0.0, 1.0, 33)}
    root = tree.add_round(
        space, loss, n=40, seed=1, metric=refine.Goal("value", "minimize", scale="log")
    ).run()
    analysis = root.analyze()
    assert root.trials["value"].max() > 1e30
    assert (analysis.n_exploded, analysis.explosion_limit) == (0, -np.inf)
    assert tree.winner().params["x"] == pytest.approx(2, abs=0.5)


@pytest.mark.parametrize("kind", SMOOTH)
def test_a_smooth_loss_has_no_explosion(kind):
    rng = np.random.default_rng(1)
    alarms = [explosion_limit(-SMOOTH[kind](rng, n)) > -np.inf for n in (20, 40, 100) for _ in range(200)]
    assert np.mean(alarms) <= 0.02


@pytest.mark.parametrize("scale", [2.0**-200, 2.0**-20, 2.0**20, 2.0**200])
def test_the_limit_follows_the_scale_and_the_offset(scale):
    rng = np.random.default_rng(2)
    loss = np.r_[0.1 + (rng.uniform(-1, 1, (30, 3)) ** 2).sum(axis=1), np.full(10, 1e9)]
    limit = explosion_limit(-loss)
    assert explosion_limit(-scale * loss) == pytest.approx(scale * limit)
    assert explosion_limit(3.0 - loss) == pytest.approx(3.0 + limit)


def test_fewer_than_ten_values_explode_never():
    assert explosion_limit([-1.0] * 5 + [-1e300] * 4) == -np.inf
    assert explosion_limit([]) == -np.inf


SPACE = refine.Space({"lr": refine.Float(1e-3, 10.0, 13, log=True), "depth": (1, 5)})


def loss_beyond(huge):
    """A loss whose training explodes at learning rates above 0.1."""

    def loss(params, trial):
        rng = np.random.default_rng(trial.seed)
        rate = np.log10(params["lr"])
        if rate > -1 + 1e-9:
            return float(huge(rng))
        return 0.1 + 0.05 * (rate + 1.5) ** 2 + 0.02 * params["depth"] + 0.003 * rng.normal()

    return loss


@pytest.mark.slow
@pytest.mark.parametrize("kind", EXPLOSIONS)
def test_a_round_with_explosions_still_narrows_and_says_so(tree, kind):
    loss = loss_beyond(lambda rng: EXPLOSIONS[kind](rng, 1)[0])
    root = tree.add_round(SPACE, loss, direction="minimize", n=40, seed=1).run()
    review = root.propose()
    blown = int((root.trials["value"] > 1e5).sum())
    assert review.proposal.analysis.n_exploded == review.proposal.analysis.states["diverged"] == blown > 5
    assert review.space["lr"].high <= 0.11
    assert review.proposal.claim.epsilon < 0.05
    (caution,) = review.proposal.analysis.cautions
    assert caution.to_json()["code"] == "exploded"
    assert caution.to_json()["values"]["n"] == blown
    assert review.checks()["infeasible"].verdict == "fail"
    assert sentence(caution) in str(review.why())
    winner = tree.winner()
    assert winner.params["lr"] <= 0.11
    assert 0.0 < winner.expected < 0.3
    assert str(winner)


def test_one_explosion_is_a_warning_of_the_check_failures():
    rng = np.random.default_rng(3)

    space = refine.Space({"x": (0.0, 1.0, 11)})
    frame = pd.DataFrame({"x": np.tile(space["x"].grid, 4)})
    values = (frame["x"] - 0.4) ** 2 + rng.normal(0, 0.02, 44)
    frame = frame.assign(value=np.where(np.arange(44) == 7, 1e30, values))
    analysis = refine.analyze(space, frame, direction="minimize")
    assert (analysis.n_exploded, analysis.states) == (1, {"complete": 43, "diverged": 1})
    assert np.isnan(analysis.table["value"][7])
    shifted = refine.analyze(space, frame.assign(value=values), direction="minimize")
    assert (shifted.n_exploded, shifted.explosion_limit) == (0, -np.inf)
