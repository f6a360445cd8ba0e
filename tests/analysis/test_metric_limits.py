"""Limits of a metric: declared, known by name, or by steps of k / n; never guessed from the values seen."""

import math

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.metric_limits import metric_limits
from refine.errors import AnalysisError

SHARES = np.array([0.71, 0.83, 0.934, 0.9871])


@pytest.mark.parametrize("name", ["accuracy", "val_acc", "test/AUC", "f1", "top1", "val.mean_iou accuracy"])
def test_a_share_ends_at_one(name):
    assert metric_limits(name, SHARES) == (0.0, 1.0, "name")
    assert metric_limits(name, 100 * SHARES) == (0.0, 100.0, "name")


@pytest.mark.parametrize("name", ["rmse", "val_mae", "log_loss", "cross-entropy", "eval/brier"])
def test_an_error_ends_at_zero(name):
    limits = metric_limits(name, SHARES)
    assert limits == (0.0, math.inf, "name")
    assert limits.facing(-1.0) == (-math.inf, 0.0)


@pytest.mark.parametrize("name", ["value", "score", "return", "speedup", "loss", "log_likelihood", "energy"])
@pytest.mark.parametrize("values", [SHARES, -SHARES, 1 + SHARES])
def test_values_alone_show_no_limit(name, values):
    assert metric_limits(name, values) == (-math.inf, math.inf, "")


def test_shares_of_rows_end_at_one():
    rows = np.arange(60, 90) / 97
    assert metric_limits("value", np.repeat(rows, 3)) == (0.0, 1.0, "steps")
    assert metric_limits("value", np.repeat(rows + 0.001, 3)).source == ""


@pytest.mark.parametrize("count", [2, 6, 10, 100, 200, 1000])
def test_few_steps_or_few_decimals_are_not_shares_of_rows(count):
    values = np.repeat(np.arange(count // 2, count) / count, 3)
    assert metric_limits("value", values) == (-math.inf, math.inf, "")
    assert metric_limits("accuracy", values).high == 1.0


def test_a_limit_that_a_value_passes_is_none():
    assert metric_limits("r2", np.array([-3.0, 0.4])).high == 1.0
    assert metric_limits("rmse", np.array([-3.0, 0.4])).source == ""


def test_a_declared_limit_decides():
    space = refine.Space({"x": (0.0, 1.0, 41)})
    frame = pd.DataFrame({"x": np.linspace(0, 1, 41)})
    frame = frame.assign(accuracy=0.9 - (frame["x"] - 0.3) ** 2)

    def limits(declared):
        return refine.analyze(space, frame, refine.Goal("accuracy", limits=declared)).limits

    assert limits(None) == (0.0, 1.0, "name")
    assert limits((0, 2)) == (0.0, 2.0, "declared")
    assert limits((None, None)) == (-math.inf, math.inf, "declared")
    for wrong in ((1, 0), (0,), "01", (0, "1"), 3):
        with pytest.raises(AnalysisError, match="limits"):
            limits(wrong)
