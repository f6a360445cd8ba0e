"""A loss over orders of magnitude has a tolerance that is a factor of the best value."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.noise import decades_of
from refine.errors import AnalysisError
from refine.report.pages.proposal import factor_text

SPACE = refine.Space({"x": (0.0, 1.0, 41), "y": (0.0, 1.0, 11)})


def losses(decades, n=60, seed=0):
    """A bowl on a log scale: its best is about 1e-4."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame([SPACE.configuration(int(c)) for c in rng.integers(0, SPACE.size, n)])
    distance = np.sqrt((frame["x"] - 0.4) ** 2 + (frame["y"] - 0.5) ** 2)
    return frame.assign(loss=10.0 ** (-4 + 2 * decades * distance + 0.02 * rng.normal(size=n)))


def analysis_of(frame, scale=None):
    return refine.analyze(SPACE, frame, refine.Goal("loss", "minimize", scale=scale))


def test_the_tolerance_is_a_factor_of_the_best():
    frame = losses(decades=6)
    analysis = analysis_of(frame)
    best = frame["loss"].min()
    median = frame["loss"].median()
    assert median > 1000 * best
    assert analysis.noise.floor_source == "decades"
    assert 0.1 * best < analysis.noise.floor < 2 * best
    assert analysis_of(frame, scale="linear").noise.floor > 10 * best
    (caution,) = analysis.cautions
    assert (caution.code, caution.to_json()["values"]["metric"]) == ("decades", "loss")
    assert 1 < caution.to_json()["values"]["factor"] < 3


def test_a_loss_of_one_scale_is_linear_unless_declared():
    frame = losses(decades=0.5)
    assert analysis_of(frame).noise.floor_source == "range"
    assert not analysis_of(frame).cautions
    assert analysis_of(frame, scale="log").noise.floor_source == "decades"


def test_negative_values_have_no_decades():
    loss = np.r_[-1.0, 10.0 ** np.linspace(-4, 3, 30)]
    assert decades_of(loss) == 0.0
    with pytest.raises(AnalysisError, match="scale='log'"):
        decades_of(loss, "log")
    with pytest.raises(AnalysisError, match="scale"):
        decades_of(loss, "wide")


@pytest.mark.slow
def test_a_claim_about_decades_cuts_the_space():
    proposal = refine.propose(analysis_of(losses(decades=6)))
    assert proposal.claim.epsilon_source in ("decades", "residuals")
    assert proposal.claim.epsilon < 5e-4
    assert proposal.volume_kept < 0.5


def bowl(p, trial):
    """A loss of 1e-4 at best that rises by six decades, with a noise of a tenth of a decade."""
    distance = np.sqrt((p["x"] - 0.4) ** 2 + (p["y"] - 0.5) ** 2)
    return {"loss": 10.0 ** (-4 + 10 * distance + 0.1 * np.random.default_rng(trial.seed).normal())}


@pytest.fixture
def study(tmp_path):
    goal = refine.Goal("loss", "minimize", noise="retraining")
    with refine.Tree("decades", store=tmp_path / "refine.db") as tree:
        tree.add_round(SPACE, bowl, n=60, metric=goal).run()
        yield tree


def test_the_winner_of_a_loss_over_decades_is_positive_and_within_a_factor(study):
    winner = study.winner()
    low, high = winner.interval
    assert 0 < low <= winner.expected <= high
    assert high / low < 1000
    assert 3e-5 < winner.expected < 1e-2
    assert 1 < winner.factor < 3
    text = " ".join(str(winner).split())
    assert factor_text(winner.factor) in text
    assert "log10" in text
    assert "Expected 0.00 " not in text


def test_a_linear_scale_turns_the_factor_of_the_winner_off(tree):
    root = tree.add_round(
        SPACE, bowl, n=60, metric=refine.Goal("loss", "minimize", scale="linear", noise="retraining")
    )
    root.run()
    winner = tree.winner()
    assert np.isnan(winner.factor)
    assert "log10" not in str(winner)


def test_a_race_over_decades_uses_repeats_on_log10(study):
    winner = study.confirm(budget=6, top=3)
    assert winner.interval[0] > 0
    assert winner.race.verdict in ("noise", "decided", "budget")


def test_few_trials_over_decades_still_give_a_positive_expectation(tree):
    root = tree.add_round(
        SPACE, bowl, n=8, metric=refine.Goal("loss", "minimize", scale="log", noise="retraining")
    )
    root.run()
    winner = tree.winner()
    assert winner.expected > 0
    assert winner.interval[0] > 0
