"""The share of luck in the best value of a round, from replicates and predictions."""

import numpy as np
import pytest

import objectives
import refine
from refine.analysis.reason import Reason
from refine.errors import AnalysisError, ObjectiveError
from refine.run.running_trial import MOST_EXAMPLES, RunningTrial
from tests.reading import facts_of

RIGHT = np.arange(60) % 2


def classifier(params, trial):
    """All configurations classify 80 % rightly, but on 60 examples some seem better."""
    hit = np.random.random(60) < 0.8
    predicted = np.where(hit == RIGHT, 0.9, 0.1)
    trial.predicted(predicted, RIGHT)
    return {"val_acc": hit.mean(), "val_loss": 1.0, "lr": params["lr"]}


@pytest.mark.slow
def test_luck_of_seeds_and_luck_of_rows_are_estimated_separately(tree, space, tmp_path):
    round_ = tree.add_round(space, classifier, metric="val_acc", n=60, seed=1).run()
    optimism = round_.optimism()
    assert optimism.best == round_.best["value"] > 0.87
    assert optimism.seeds is None
    assert optimism.examples.models == 60
    assert optimism.examples.best == pytest.approx(optimism.best)
    assert optimism.examples.low <= 0.8 <= optimism.examples.high
    assert optimism.examples.value < 0.83
    assert [call.name for call in optimism._page().calls] == ["round.add"]
    round_.add(repeat=5, seeds=3).run()
    optimism = round_.optimism()
    replicates = round_.replicates.loc[round_.replicates["cell"] == round_.best["cell"], "value"]
    assert optimism.seeds.value == pytest.approx(replicates.mean())
    assert (optimism.seeds.runs, optimism.failed, optimism.seeds.freedom) == (3, 0, 10)
    assert optimism.components.groups == 5
    assert optimism.expected < optimism.best
    text = (round_.report(tmp_path).with_suffix("") / "details.md").read_text()
    assert "3 repeats" in text
    for value in (optimism.best, optimism.examples.value, optimism.seeds.value):
        assert f"| {value:.4f} |" in text
    assert f"{optimism.components.seed:.4f}" in text
    # The examples say which differences count.
    analysis = round_.analyze()
    # Models that err independently of each other, in a fifth of 60 rows at most: the two errors add up.
    assert 0.03 < analysis.noise.paired < np.sqrt(2 * 0.8 * 0.2 / 60)
    assert analysis.noise.epsilon >= max(analysis.noise.paired, 1 / 60)
    claim = round_.propose(keep=False).proposal.claim
    assert claim.epsilon == analysis.noise.epsilon
    if claim.epsilon_source == "examples":
        assert claim.epsilon == analysis.noise.paired
    loss = round_.analyze(metric="val_loss", direction="minimize")
    assert loss.noise.paired == 0.0


def test_less_is_better_too(tree, space):
    def loss(params):
        return params["lr"] + 0.2 * np.random.normal()

    round_ = tree.add_round(space, loss, direction="minimize", n=30).run()
    round_.add(repeat=4, seeds=3).run()
    optimism = round_.optimism()
    assert optimism.best == round_.trials["value"].min()
    assert optimism.seeds.low < optimism.seeds.value < optimism.seeds.high
    assert optimism.expected > optimism.best
    assert optimism.why_not == Reason("no_predictions")


def test_why_examples_say_nothing(tree, space):
    round_ = tree.add_round(space, classifier, metric="val_loss", direction="maximize", n=12)
    round_.run()
    assert round_.optimism().why_not == Reason("no_formula", {"metric": "val_loss"})
    round_._value = "max:val_acc"
    assert round_.optimism().why_not.code == "other_metric"

    def otherwise(params, trial):
        trial.predicted(np.full(60, 0.9), RIGHT)
        return {"val_acc": params["lr"]}

    other = tree.add_round(space, otherwise, metric="val_acc", n=12).run()
    assert other.optimism().why_not == Reason("not_reproduced", {"metric": "val_acc"})


@pytest.mark.slow
def test_predictions_survive_and_stay_small(tmp_path, space):
    def wide(params, trial):
        trial.predicted(np.tile(np.linspace(0, 1, 9000)[:, None], 4), np.arange(9000) % 4)
        return params["lr"]

    with refine.Tree("q", store=tmp_path / "a.db") as tree:
        round_ = tree.add_round(space, wide, n=3).run()
    with refine.Tree("q", store=tmp_path / "a.db") as tree:
        store = tree[round_.id]._context.store
        pk = tree[round_.id]._stored.pk
        examples = store.examples(pk, store.records([pk]).columns["key"])
        assert len(examples) == 3
        for e in examples.values():
            assert e.predictions.shape == (MOST_EXAMPLES, 4)
            assert (e.targets.shape, e.total) == ((MOST_EXAMPLES,), 9000)
            assert e.predictions[-1, 0] == 1
            assert e.targets[-1] == 8999 % 4


def test_scores_by_fold_of_a_deterministic_objective_correct_its_best_value(tree, space):
    def scores(params):
        return {"acc": [params["lr"] + np.sin(100 * params["lr"] + 9 * fold) for fold in range(5)]}

    round_ = tree.add_round(space, scores, n=30, seed=1, metric=refine.Goal("acc", noise="none")).run()
    optimism = round_.optimism()
    assert optimism.folds == tree.winner().new_data
    assert optimism.folds.value < optimism.best
    assert optimism.why_not is None
    page = optimism._page()
    assert "Replicates" not in facts_of(optimism)
    assert page.calls == ()


def test_wrong_options_of_optimism_are_refused(tree, space):
    trial = RunningTrial(0)
    with pytest.raises(ObjectiveError, match=r"got shapes \(3,\) and \(2,\)"):
        trial.predicted([1, 2, 3], [1, 2])
    with pytest.raises(ObjectiveError, match="below 60,000"):
        trial.predicted([1, np.nan], [1, 2])
    assert trial.examples is None
    with pytest.raises(AnalysisError, match="called best"):
        tree.add_round(space, objectives.bowl, n=3).optimism()
