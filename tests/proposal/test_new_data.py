"""Claims about new data: the rows of the validation set are a sample, and draws carry its deviation."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError
from refine.proposal.posterior import surrogate_of
from refine.report.pages.proposal import CLAIMED_DATA
from refine.report.pages.review import risk_of
from tests.reading import facts_of, numbers_in

ROWS = 60
SPACE = refine.Space({"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 11)})
EVERY = pd.DataFrame([(x, y) for x in SPACE["x"].grid for y in SPACE["y"].grid], columns=["x", "y"])


def truth(frame):
    """Mean score on all rows there are."""
    return 0.8 - 0.4 * (frame["x"] - 0.5) ** 2 - 0.1 * (frame["y"] - 0.5) ** 2


def by_row(frame, seed):
    """Scores on a sample of rows, each of which favours other values of x."""
    tastes = np.random.default_rng(seed).normal(size=(ROWS, 3))
    x = frame["x"].to_numpy()
    shapes = np.stack([x - 0.5, np.cos(6 * x), np.sin(6 * x)])
    return truth(frame).to_numpy()[:, None] + 0.3 * shapes.T @ tastes.T


def round_of(seed, n=40):
    """Trials with their scores by row."""
    cells = np.random.default_rng([seed, 1]).choice(len(EVERY), n, replace=False)
    frame = EVERY.iloc[cells].reset_index(drop=True)
    scores = by_row(frame, seed)
    return frame.assign(value=scores.mean(axis=1)), scores


def analyses(seed, noise=None):
    """The analyses of a round without and with its scores by row."""
    frame, scores = round_of(seed)
    goal = refine.Goal("value", noise=noise)
    return [refine.analyze(SPACE, frame, goal, by_row=rows) for rows in (None, scores)]


def lost(proposal):
    best = truth(EVERY)
    return best.max() - best[proposal.space.contains(EVERY)].max() > proposal.claim.epsilon


@pytest.mark.slow
def test_claims_hold_on_new_data_if_the_scores_by_row_are_known():
    count = {"means": 0, "rows": 0}
    for seed in range(10):
        plain, scored = analyses(seed)
        epsilon = plain.noise.epsilon
        count["means"] += lost(refine.propose(plain, epsilon=epsilon))
        count["rows"] += lost(refine.propose(scored, epsilon=epsilon))
    assert count["means"] >= 3
    assert count["rows"] <= 1


@pytest.mark.parametrize("noise", [None, "none"])
def test_a_box_is_less_sure_to_hold_the_best_of_new_data(noise):
    plain, scored = analyses(3, noise=noise)
    box = refine.propose(plain, risk=0.05).space
    epsilon = plain.noise.epsilon
    sure, unsure = [surrogate_of(a).probability(box, epsilon) for a in (plain, scored)]
    assert sure >= 0.95
    assert unsure < sure - 0.03


def test_draws_on_new_data_keep_the_expected_values():
    plain, scored = [surrogate_of(a).posterior for a in analyses(3)]
    means = [p.value(p.scores).mean(axis=0) for p in (plain, scored)]
    assert means[1] == pytest.approx(means[0], abs=0.03)
    assert scored.value(scored.mean) == pytest.approx(plain.value(plain.mean), abs=1e-6)
    spread = [p.value(p.scores).std(axis=0).mean() for p in (plain, scored)]
    assert spread[1] > 1.2 * spread[0]


def test_no_draw_passes_the_limit_of_the_metric():
    frame, scores = round_of(0)
    analysis = refine.analyze(SPACE, frame, refine.Goal("value", limits=(None, 0.85)), by_row=scores)
    posterior = surrogate_of(analysis).posterior
    assert posterior.value(posterior.scores).max() <= 0.85 + 1e-6


def test_a_factor_that_all_losses_over_decades_share_moves_no_claim():
    frame = round_of(0)[0]
    scale = 10.0 ** (-4 + 8 * (frame["x"].to_numpy() - 0.5) ** 2)
    losses = scale[:, None] * np.random.default_rng(0).exponential(size=ROWS)
    frame["value"] = losses.mean(axis=1)
    goal = refine.Goal("value", "minimize", scale="log")
    plain, scored = [refine.analyze(SPACE, frame, goal, by_row=rows) for rows in (None, losses)]
    posterior = surrogate_of(scored).posterior
    assert (posterior.value(posterior.scores) < 0).all()
    assert refine.propose(scored).claim.probability == refine.propose(plain).claim.probability


def test_draws_of_losses_over_decades_differ_near_the_best_loss():
    frame = round_of(0)[0]
    scale = 10.0 ** (-6 + 24 * (frame["x"].to_numpy() - 0.5) ** 2)
    losses = scale[:, None] * np.random.default_rng(0).exponential(size=(len(frame), ROWS))
    frame["value"] = losses.mean(axis=1)
    analysis = refine.analyze(SPACE, frame, refine.Goal("value", "minimize", scale="log"), by_row=losses)
    posterior = surrogate_of(analysis).posterior
    scores = posterior.scores[posterior.forest :]  # trees tie
    ties = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1)
    assert ties.mean() < 1.1


def test_the_tolerance_is_the_standard_error_over_the_rows():
    frame, scores = round_of(0)
    noise = refine.analyze(SPACE, frame, by_row=scores).noise
    best = scores[np.argsort(-frame["value"].to_numpy())[:10]]
    i, j = np.triu_indices(10, 1)
    errors = (best[i] - best[j]).std(axis=1) / np.sqrt(ROWS)
    assert noise.paired_source == "examples"
    assert noise.paired == pytest.approx(np.median(errors), rel=0.1)


def test_equal_scores_give_the_claim_of_the_means():
    frame, _ = round_of(0)
    repeated = np.repeat(frame["value"].to_numpy()[:, None], ROWS, axis=1)
    plain = refine.propose(refine.analyze(SPACE, frame))
    scored = refine.propose(refine.analyze(SPACE, frame, by_row=repeated))
    assert scored.claim.probability == pytest.approx(plain.claim.probability, abs=0.01)


def test_folds_of_a_table_make_a_claim_about_new_data():
    frame, scores = round_of(3)
    folds = {f"value@{k + 1}": scores[:, k::5].mean(axis=1) for k in range(5)}
    analysis = refine.analyze(SPACE, frame.assign(**folds))
    assert (analysis.new_data.deviations.source, analysis.new_data.deviations.n) == ("folds", 5)
    assert refine.analyze(SPACE, frame).new_data is None


def test_a_trial_without_scores_is_left_out():
    frame, scores = round_of(0)
    scores[:4] = np.nan
    assert len(refine.analyze(SPACE, frame, by_row=scores).new_data.X) == 36


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda scores: scores[:10], r"a row per trial .* got shape \(10, 60\) for 40 trials"),
        (lambda scores: scores[:, :5], "at least 10"),
        (lambda scores: scores[:, 0], "got shape"),
        (lambda scores: scores + 0.1, "must be its value, got"),
    ],
)
def test_scores_that_do_not_belong_to_the_values_are_refused(change, text):
    frame, scores = round_of(0)
    with pytest.raises(AnalysisError, match=text):
        refine.analyze(SPACE, frame, by_row=change(scores))


def objective(params):
    return by_row(pd.DataFrame([params]), 3)[0].repeat(2)


@pytest.fixture(scope="module")
def first_round():
    return lambda tree: tree.add_round(
        SPACE, objective, name="rows", n=40, metric=refine.Goal("value", noise="none")
    ).run()


@pytest.fixture(scope="module")
def study(first_round):
    """A round with scores by row, to which no test adds anything."""
    with refine.Tree("rows", store="sqlite://") as tree:
        first_round(tree)
        yield tree


def test_the_screen_names_new_data(study):
    review = study.rounds[0].propose()
    assert review.proposal.claim.data == "rows"
    assert risk_of(review).loss.endswith(CLAIMED_DATA["rows"])
    on_new_data = facts_of(study.winner())["New data"]
    assert numbers_in(on_new_data)[-1] == "120"
    assert any("draw" in text and "rows" in text for text in review._page().texts("claim"))


def test_chances_and_gains_on_new_data_are_explained_below_their_numbers(study):
    assert CLAIMED_DATA["rows"].split()[-1] in facts_of(study.rounds[0].propose().worth())["Interval"]
    assert len(study.winner()._page().texts("candidates")) == 1
    exact = replace(study.winner(), new_data=None)
    assert exact._page().texts("candidates") == []


def test_the_value_of_the_winner_on_new_data_is_less_its_luck(study):
    winner = study.winner()
    on_new = winner.new_data
    assert on_new.value < winner.observed
    assert on_new.low < on_new.value < on_new.high
    assert study.rounds[0]._recommend().new_data == on_new
    assert winner.interval == pytest.approx((math.nan, math.nan), nan_ok=True)


def test_a_child_uses_the_scores_of_its_ancestors(root):
    child = root.propose().accept(n=10, exploit=0, plan=refine.Plan(audit=0))
    child.run()
    analysis = child.analyze()
    assert len(analysis.new_data.X) > 10
    assert analysis.new_data.X.shape[1] == len(analysis.parameters)


def test_the_best_value_is_corrected_by_the_scores_by_row(study):
    examples = study.rounds[0].optimism().examples
    assert examples.examples == 120
    assert examples.value < examples.best


def test_an_answer_names_the_data_that_it_is_about(study):
    answer = study.ask("x >= 0.5")
    assert answer.data == "rows"
    assert "rows" in str(answer.why())


def predicting(params, trial):
    """Passes predictions of 200 rows on, of which more are right near x = 0.5."""
    ease = np.random.default_rng(0).random(200)
    right = np.random.default_rng(1).integers(0, 2, 200)
    hit = ease < 0.9 - (params["x"] - 0.5) ** 2
    trial.predicted(np.where(hit == right, 0.9, 0.1), right)
    return {"val_acc": hit.mean()}


def test_stored_predictions_make_a_claim_about_new_data(tree):
    root = tree.add_round(SPACE, predicting, metric=refine.Goal("val_acc", noise="none"), n=30)
    proposal = root.run().propose().proposal
    assert proposal.claim.data == "rows"
    assert tree.winner().new_data.n == 200


def test_a_search_of_scikit_learn_makes_claims_about_new_data():
    from sklearn.datasets import load_wine
    from sklearn.neighbors import KNeighborsClassifier

    from refine.sklearn import RefineSearchCV

    space = {"n_neighbors": (1, 30), "weights": ["uniform", "distance"]}
    search = RefineSearchCV(KNeighborsClassifier(), space, n=20, rounds=1, cv=4, random_state=0)
    review = search.fit(*load_wine(return_X_y=True)).propose()
    assert review.proposal.claim.data == "folds"
    assert search.tree_.winner().new_data.n == 4


def failing_beyond(params):
    """Fails for a large x; has a parameter that exists for one choice only, and two metrics by row."""
    if params["x"] > 0.8:
        raise MemoryError("too large")
    ease = np.random.default_rng(0).random(150)
    hit = ease < 0.9 - (params["x"] - 0.4) ** 2 - 0.1 * params.get("momentum", 0.0)
    return {"acc": hit, "loss": ease * (1 + params["x"]), "ms": 10 * params["x"]}


@pytest.mark.parametrize(
    "judged",
    [
        refine.Goal("acc", subject_to=["ms <= 6"], noise="none"),
        [refine.Goal("acc", noise="none"), refine.Goal("loss", "minimize")],
    ],
)
def test_failures_conditions_constraints_and_goals_go_with_scores_by_row(tree, judged):
    momentum = refine.Float(0.0, 1.0, 6, when="optimizer == 'sgd'")
    space = {"x": (0.0, 1.0), "optimizer": ["sgd", "adam"], "momentum": momentum}
    root = tree.add_round(space, failing_beyond, n=40, metric=judged)
    claim = root.run().propose().proposal.claim
    assert claim.data == "rows"
    assert 0.9 < claim.probability <= 1
