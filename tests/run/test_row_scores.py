"""An objective returns scores by validation row as an array; their mean is the metric."""

import numpy as np
import pytest

from refine.errors import RefineWarning, RoundStoppedError

SPACE = {"x": (0.0, 1.0), "rows": (100, 400, 100)}
EASE = np.random.default_rng(0).random(400)


def run(tree, objective, **options):
    return tree.add_round({"x": (0.0, 1.0)}, objective, n=8, metric="acc", **options).run()


def totals(round_):
    return round_._context.store.row_totals(round_._stored.pk)


@pytest.mark.parametrize(
    ("scores", "rows"),
    [
        (lambda x: EASE[:40] < x, 40),
        (lambda x: [bool(ease < x) for ease in EASE], 400),
        (lambda x: EASE[:101] * x, 101),
    ],
)
def test_bools_and_more_than_a_hundred_numbers_are_scores_by_row(tree, scores, rows):
    round_ = run(tree, lambda p: {"acc": scores(p["x"])})
    assert totals(round_) == {"acc": rows}
    assert round_.trials["acc"].to_numpy() == pytest.approx([np.mean(scores(x)) for x in round_.trials["x"]])


@pytest.mark.parametrize("scores", [EASE[:100], list(EASE[:5]), EASE[:5] < 0.5])
def test_fewer_scores_are_scores_by_fold(tree, scores):
    round_ = run(tree, lambda _: {"acc": scores})
    assert totals(round_) == {}
    assert f"acc@{len(scores)}" in round_.trials.columns


def test_an_array_may_be_all_that_is_returned(tree):
    round_ = tree.add_round({"x": (0.0, 1.0)}, lambda p: p["x"] > EASE, n=8).run()
    assert totals(round_) == {"value": 400}


def test_a_trial_scored_on_other_rows_fails_with_the_numbers(tree):
    def objective(params):
        return {"acc": EASE[: 300 if params["x"] < 0.5 else 200] < 0.5}

    round_ = run(tree, objective)
    assert round_.trials["state"].iloc[0] == "complete"
    error = round_.failures["error"].iloc[0]
    assert "'acc' by row must be of the same validation rows in every trial of a round, got" in error


def test_a_round_that_is_resumed_expects_the_rows_of_its_first_trials(tree):
    rows = [300]

    def objective(params):
        return {"acc": EASE[: rows[0]] < params["x"]}

    round_ = tree.add_round({"x": (0.0, 1.0)}, objective, n=8, metric="acc", name="rows")
    round_.run(trials=3)
    rows[0] = 200
    with pytest.raises(RoundStoppedError, match="got 200 rows, and 300 in earlier trials"):
        round_.run()
    assert round_.trials["state"].tolist().count("complete") == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_makes_a_trial_diverge(tree, bad):
    with pytest.warns(RefineWarning, match="all returned NaN or infinity"):
        round_ = run(tree, lambda p: {"acc": np.where(EASE < 0.1, bad, p["x"])})
    assert set(round_.trials["state"]) == {"diverged"}
    assert totals(round_) == {}


def test_a_huge_array_is_stored_as_a_sample_and_counts_in_full(tree):
    scores = np.random.default_rng(1).random(30_000)
    round_ = run(tree, lambda p: {"acc": scores + p["x"]})
    assert totals(round_) == {"acc": 30_000}
    assert round_.trials["acc"].to_numpy() == pytest.approx(scores.mean() + round_.trials["x"].to_numpy())
