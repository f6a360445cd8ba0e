"""The best trials' curves, from the store to the report and the figure."""

import math

import numpy as np
import pytest

from refine.analysis.learning_curves import enough_epochs, trial_curves
from refine.tree.lineage import read_curves
from refine.trials.metric import Metric


def learns(params, trial):
    """Overfits from half time on where there is no dropout; better the smaller lr is."""
    for epoch in range(40):
        remaining = math.exp(-epoch / 6)
        late = max(0, epoch - 20) / 20 * (params["dropout"] == 0)
        jitter = 0.004 * math.sin(7.0 * epoch + params["lr"])
        losses = {
            "loss": 0.1 + 0.5 * remaining + jitter,
            "val_loss": 0.2 + 0.5 * remaining + 0.2 * late + jitter,
        }
        val_acc = 0.95 - 0.3 * remaining - 0.01 * params["lr"] + 0.1 * jitter
        trial.report(epoch, {**losses, "acc": 1 - 0.3 * remaining, "val_acc": val_acc})
    return {"epochs": 40}


def known(round_, top=None):
    return read_curves(*round_._judged, None, top)


def test_the_best_are_read_best_first(tree, space):
    round_ = tree.add_round(space, learns, metric="val_acc", n=60).run()
    curves = known(round_)
    assert len(curves) == 20
    assert [c.rank for c in curves] == list(range(1, 21))
    assert [c.value for c in curves] == sorted(round_.trials["value"], reverse=True)[:20]
    for c in curves:
        assert c.score.validation[-1] == c.value
        assert len(c.loss.training) == len(c.score.training) == 40
    assert len(known(round_, 3)) == 3
    round_._value = "val_loss"
    round_._direction = "minimize"
    worst = known(round_, 1)[0]
    assert not any(worst.score)  # the metric is drawn as a loss
    assert worst.value == round_.trials["value"].min() == worst.loss.validation[-1]


def test_fewer_epochs_that_rank_alike_are_enough(rng):
    ends = rng.uniform(0.5, 1.0, 40)
    t = np.arange(1, 81)
    steady = [end * (1 - 0.9**t) for end in ends]
    late = [c + np.where(t < 25, rng.normal(0, 0.2), 0) for c in steady]
    assert enough_epochs(steady, ends) == (10, 80, pytest.approx(1), 40)
    assert enough_epochs(late, ends) == (30, 80, pytest.approx(1), 40)
    assert enough_epochs([rng.permuted(c) for c in steady], ends) is None
    assert enough_epochs(steady[:19], ends[:19]) is None


def test_curves_of_training_and_validation_are_paired():
    curve = {"loss": [1.0] * 9, "acc": [0.5] * 9, "val_acc": [0.4] * 9, "f": [math.nan] * 9}

    def score(metric):
        return trial_curves(1, 0.5, curve, Metric.parse(metric), "maximize").score

    assert score("val_acc") == score("max:acc") == ((0.5,) * 9, (0.4,) * 9)
    assert score("other") == score("loss") == score("function:a.b") == ((), ())
    assert [len(part) for part in score("f")] == [9, 0]
    assert trial_curves(1, 0.5, {"other": [1.0]}, Metric("val_acc"), "maximize") is None
