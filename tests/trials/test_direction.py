"""A metric that is named like a loss is never silently maximized."""

import inspect

import pandas as pd
import pytest

from refine.errors import AnalysisError, RefineWarning
from refine.trials.goal import ASK, direction_of


@pytest.mark.parametrize(
    "name", ["loss", "val_loss", "valLoss", "mean_squared_error", "RMSE", "test/nll", "latency_ms"]
)
def test_a_loss_without_a_direction_is_refused_or_recognised_by_its_name(name):
    message = f"metric '{name}' reads like something to minimize.*direction='minimize'"
    with pytest.raises(AnalysisError, match=message):
        direction_of(name, ASK)
    with pytest.warns(RefineWarning, match="minimize, by its name"):
        assert direction_of(name, None) == "minimize"
    assert direction_of(name, "maximize") == "maximize"


@pytest.mark.parametrize("name", ["acc", "val_accuracy", "neg_mean_squared_error", "R2", "f1-score"])
def test_a_score_is_maximized(name):
    assert direction_of(name, ASK) == "maximize"
    with pytest.warns(RefineWarning, match="maximize, by its name"):
        assert direction_of(name, None) == "maximize"


def test_a_metric_without_a_telling_name_is_maximized():
    assert direction_of("value", ASK) == "maximize"
    for name in ("value", "loss_accuracy"):
        with pytest.raises(AnalysisError, match="can't be told by its name"):
            direction_of(name, None)
    with pytest.raises(AnalysisError, match="did you mean 'minimize'"):
        direction_of("value", "minimise")


def test_rounds_and_tables_ask_before_anything_is_written(tree):
    frame = pd.DataFrame({"lr": [0.1, 0.2, 0.3] * 4, "loss": [1.0 + i for i in range(12)]})
    with pytest.raises(AnalysisError, match="to minimize"):
        tree.add_round({"x": (0.0, 1.0)}, lambda p: {"loss": p["x"]}, metric="loss", n=3)
    with pytest.raises(AnalysisError, match="to minimize"):
        tree.add_runs(frame, value="loss")
    assert not tree.rounds
    assert tree.add_runs(frame, value="loss", direction="minimize")._direction == "minimize"
    with pytest.warns(RefineWarning) as warned:  # at the line of whoever called the package
        tree.add_round({"x": (0, 5)}, lambda p: 1.0, metric="val_loss", direction=None, n=3)
    assert [(w.filename, w.lineno) for w in warned] == [(__file__, inspect.currentframe().f_lineno - 1)]


def test_a_number_that_a_function_called_error_returns_is_asked_about(tree):
    def rmse_error(params):
        return params["x"]

    with pytest.raises(AnalysisError, match="'rmse_error'"):
        tree.add_round({"x": (0.0, 1.0)}, rmse_error, n=4)
    assert len(tree) == 0
    for options in ({"direction": "minimize"}, {"name": "score"}):
        round_ = tree.add_round({"x": (0.0, 1.0)}, rmse_error, n=4, **options)
        assert round_._direction == options.get("direction", "maximize")
