"""Sentences about trials are true: failures, configurations that do not exist, and rounds that grew."""

import math
import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.finding import CANNOT_BE_JUDGED, NOT_SEEN
from refine.analysis.reason import Reason
from refine.design.space_filling import Sobol, draw
from refine.errors import DesignError, RefineWarning
from refine.proposal.change import Change
from refine.report.markdown.rendering import rendered
from refine.report.markdown.round import decisions_parts, gather
from refine.report.markdown.script import reproduce
from refine.report.pages.analysis import weak_text
from refine.report.pages.calibration import outcome_text
from refine.report.pages.checks import says
from refine.report.pages.proposal import claim_sentence
from refine.report.pages.reasons import noise_text, sentences, short_reason, top_trials_cut
from refine.review.calibration import DecisionComparison, SpaceResult
from refine.review.review import advised_round_of
from refine.stats import NoiseEstimate
from refine.utils.format import coarse, score, signed
from tests.reading import facts_of, numbers_in, reasons_of

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import words

from refine.report.pages.winner import known_grid
from refine.utils.display import to_text

SPACE = refine.Space(
    {
        "lr": refine.Float(1e-4, 10.0, levels=11, log=True),
        "kind": ["relu", "tanh", "gelu"],
        "units": [8, 16, 32, 64],
        "batch": [16, 32],
    },
    ["batch >= 32 or units <= 32"],
)


def train(p, trial):
    if p["kind"] == "gelu":
        raise RuntimeError("no such activation")
    if p["lr"] > 0.5 and p["units"] != 8:
        raise FloatingPointError("overflow")
    noise = np.random.default_rng(trial.seed).normal(0, 0.01)
    return 1 - (math.log10(p["lr"]) + 1.5) ** 2 / 20 + 0.01 * (p["kind"] == "relu") + noise


def hill(p):
    return -abs(p["x"] - 0.7) + 0.001 * p["y"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with refine.Tree("truth", store=tmp_path_factory.mktemp("truth") / "refine.db") as tree:
        yield tree.add_round(SPACE, train, n=120, seed=3).run()


@pytest.mark.slow
def test_a_level_where_all_failed_was_tried(root):
    count = int((root.trials["kind"] == "gelu").sum())
    assert count > 10
    review = root.propose()
    assert review.space["kind"].grid == ("relu", "tanh")  # nothing but what always fails leaves
    reasons = reasons_of(review.proposal["kind"])
    assert ["gelu", 1.0] in reasons["fails_at"]["levels"]
    assert (reasons["untried"]["go"], reasons["untried"]["no_value"]) == (["gelu"], True)
    match = re.search(
        r" and none of the (\d+) trials kept gave a value\.",
        str(review.preview(kind=["gelu"])).replace("\n", " "),
    )
    space = review.edit(kind=["gelu"]).preview().space
    # A trial is inside whatever stands at the parameters that it did not read.
    assert int(np.sum(space.contains(root.trials))) <= int(match[1]) <= count


def test_failures_are_seen_behind_a_choice_that_always_fails(root):
    analysis = root.analyze()
    assert analysis["kind"].fails
    assert analysis["lr"].fails
    assert analysis["lr"].bad.below == 0.0
    count = int((root.trials["kind"] == "gelu").sum())
    assert analysis["lr"].apart == count
    (reason,) = analysis.findings["lr"].of("fails_at", "fails_towards")
    assert dict(reason.values)["apart"] == count
    assert dict(root.checks()["infeasible"].values)["parameters"] == ["lr", "kind", "units"]
    # What always fails is asked of its own parameter alone.
    assert max(level.bad for level in analysis["kind"].levels) == 1.0
    assert not analysis["batch"].fails


def test_an_edit_without_a_configuration_is_named(root):
    review = root.propose().edit(batch=[16], units=[64])
    assert review.preview().exist == review.preview().n == 0
    with pytest.raises(DesignError, match="no configuration meets the constraint 'batch >= 32 or units <="):
        review.accept(note="none")


def test_a_parameter_named_nearly_like_another_one_is_asked_about(root):
    with pytest.warns(RefineWarning, match="branch adds a parameter 'unit'; did you mean 'units'"):
        root.branch({**SPACE, "unit": 8}, n=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        root.branch({**SPACE, "unit": 9}, n=3, previous={"unit": 9})
        root.branch({**SPACE, "depth": 2}, n=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "direction", "way", "few_at"),
    [
        (hill, "maximize", "rises", "high"),
        (lambda p: -hill(p), "minimize", "falls", "high"),
        (lambda p: p["x"], "maximize", "rises", ""),
    ],
)
def test_a_peak_inside_is_not_called_a_rise(tree, objective, direction, way, few_at):
    space = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 5)}
    round_ = tree.add_round(space, objective, n=100, direction=direction, name="hill").run()
    trend = reasons_of(round_.propose().proposal["x"])["trend"]
    assert (trend["way"], trend["few_at"]) == (way, few_at)


@pytest.mark.slow
def test_a_round_that_grew_is_reproduced_as_it_was(tree, tmp_path, monkeypatch):
    space = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21)}
    root = tree.add_round(space, hill, n=60, name="hill").run()
    child = root.propose().edit(x=(0.3, 0.7)).accept(note="around", n=20, plan=refine.Plan(audit=0.2)).run()
    child.run(n=60)
    columns = ["x", "y", "origin", "value"]
    before = child.trials[columns].sort_values(columns).reset_index(drop=True)
    assert set(before["origin"]) == {"space_filling", "audit", "probe"}
    monkeypatch.chdir(tmp_path)
    lines = [line for line in reproduce(child).splitlines() if not line.startswith("from your_script")]
    namespace = {"objective": hill}
    exec("\n".join(lines), namespace)
    reproduced = namespace["round"].trials[columns].sort_values(columns).reset_index(drop=True)
    assert reproduced.equals(before)
    namespace["tree"].close()


@pytest.mark.slow
def test_an_earlier_acceptance_is_not_hidden_by_a_later_decline(tree):
    rng = np.random.default_rng(1)
    space = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 5)}
    round_ = tree.add_round(space, lambda p: p["x"] + 0.01 * rng.random(), n=30).run()
    child = round_.propose().accept(note="yes", n=5)
    round_.propose().decline(note="no")
    text = rendered(decisions_parts(gather(round_)))
    assert len(re.findall(r"^### \d", text, re.MULTILINE)) == 2
    assert f"`{child.id}`" in text


@pytest.mark.slow
@pytest.mark.parametrize(("edge", "first"), [(0.95, "3.7x"), (0.55, "failures")])
def test_failures_at_a_few_of_the_levels_that_go_do_not_explain_the_others(tree, edge, first):
    def objective(p):
        if p["x"] > edge:
            raise ValueError("diverges")
        return -((p["x"] - 0.3) ** 2) + 0.01 * p["y"]

    round_ = tree.add_round({"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}, objective, n=80, seed=1)
    assert short_reason(round_.run().propose().proposal.changes[0]).split()[0] == first


def change_of(reasons, new, old=("Adam", "Nadam", "SGD")):
    categories = refine.Categorical(list(old))
    return Change(
        name="optimizer",
        kind="drop",
        old=categories,
        new=refine.Categorical(list(new)),
        volume_kept=0.5,
        q=0.01,
        reasons=tuple(reasons),
        risk=0.01,
    )


def choices(**medians):
    values = {"parameter": "optimizer", "effect": 0.3, "q": 0.001, "seen_by": "trend"}
    return Reason("choices", {**values, "medians": [[label, m] for label, m in medians.items()]})


DENSITY = Reason("contrast", {"here": 1.4, "there": 0.8, "share": 0.2})


def test_a_dropped_choice_with_a_better_median_is_not_called_worse():
    reasons = [choices(Nadam=0.8998, Adam=0.8923, SGD=0.7958), DENSITY]
    assert short_reason(change_of(reasons, ["Adam"])).startswith("1.4x ")  # the density, no median
    assert short_reason(change_of(reasons, ["Adam", "Nadam"])) == "SGD 0.097 worse"
    # Smaller is better: the best median is the first one all the same.
    losses = [choices(Nadam=0.1, Adam=0.11, SGD=0.2)]
    assert short_reason(change_of(losses, ["Nadam", "Adam"])) == "SGD 0.09 worse"


def test_choices_within_the_tolerance_are_called_equal():
    pair = ("Adam", "Nadam")
    reasons = [choices(Adam=0.9, Nadam=0.895)]
    assert "worse" not in short_reason(change_of(reasons, ["Adam"], pair), epsilon=0.01)
    assert short_reason(change_of(reasons, ["Adam"], pair), epsilon=0.001) == "Nadam 0.005 worse"


@pytest.mark.parametrize(
    ("direction", "way", "mark"),
    [("minimize", "falls", " (better)"), ("minimize", "rises", " (worse)"), ("maximize", "rises", "")],
)
def test_a_trend_of_a_minimised_metric_says_whether_it_is_good(direction, way, mark):
    old = refine.Float(0.0, 1.0, levels=5)
    values = {"parameter": "lr", "metric": "rmse", "direction": direction, "way": way, "few_at": ""}
    trend = Reason("trend", {**values, "estimate": 0.9, "low": 0.8, "high": 0.95, "q": 0.001})
    change = Change(
        name="lr",
        kind="narrow",
        old=old,
        new=refine.Float(0.0, 0.5, levels=3),
        volume_kept=0.5,
        q=0.001,
        reasons=(trend,),
        risk=0.01,
    )
    assert short_reason(change).partition(" lr")[2] == mark


def test_an_effect_without_an_estimate_is_left_out():
    values = {"effect": math.nan, "q": 1.0, "parameter": "flag"}
    text = sentences([Reason("not_seen", values)])
    assert "nan" not in text
    assert "q = 1." in text


def test_noise_of_a_large_metric_has_two_digits():
    noise = NoiseEstimate(1538930.74, 0.0, "replicates", 8)
    assert noise_text(noise).startswith("1.5e+06 between repeats")


def test_noise_from_repeats_counts_degrees_of_freedom():
    noise = NoiseEstimate(0.0059, 0.0, "replicates", 10)
    assert noise_text(noise) == "0.0059 between repeats (standard deviation, 10 degrees of freedom)"


@pytest.mark.slow
def test_why_of_the_winner_names_the_winner_among_the_candidates(root):
    text = str(root._recommend().why())
    assert not text.splitlines()[0].endswith(":")
    assert "Evidence" in text


@pytest.mark.slow
def test_an_audit_trial_that_is_best_is_called_one(tree):
    space = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 5)}
    study = tree.add_round(space, lambda p: p["x"] + 0.001 * p["y"], n=40, seed=1).run()
    child = (
        study.propose()
        .edit(x=(0.0, 0.5))
        .accept("wrong", n=20, exploit=0.0, plan=refine.Plan(audit=0.4))
        .run()
    )
    assert child.best["x"] > 0.5
    assert re.search(r"\bbest\b.*\baudit\b", str(child))


def test_the_two_values_expected_when_retrained_name_their_trials(tree):
    def noisy(p, trial):
        return p["x"] + 0.4 * np.random.default_rng(trial.seed).normal()

    root = tree.add_round(
        {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 5)},
        noisy,
        n=30,
        metric=refine.Goal("value", noise="retraining"),
        seed=2,
    )
    root.run()
    root.add(repeat=3, seeds=2).run()
    winner = tree.winner()
    optimism = root.optimism()
    assert winner.expected != optimism.expected
    assert not winner.is_best_observed
    assert f"{winner.expected:.2f}" in facts_of(winner)["Expected"]
    assert "Expected" not in facts_of(optimism)
    assert score(optimism.expected) in str(optimism)


def test_a_decision_is_not_called_worse_if_both_spaces_held_the_best():
    kept_more = DecisionComparison(0.9, SpaceResult(0.1, 0.9), SpaceResult(0.4, 0.9), 5, 0.01)
    assert outcome_text(kept_more) == "both spaces held the best value"
    lost = DecisionComparison(0.9, SpaceResult(0.1, 0.9), SpaceResult(0.1, 0.7), 5, 0.01)
    assert outcome_text(lost) == "the decision cut off the best value, the proposal kept it"


@pytest.mark.nightly
@pytest.mark.slow
def test_a_proposal_to_narrow_is_not_called_one_that_cannot_be_judged(tmp_path):
    with words.three_rounds(tmp_path) as study:
        for round_ in study.rounds:
            review = round_.propose(keep=False)
            verdicts = {name: f.verdict for name, f in review.proposal.analysis.findings.items()}
            for change in review.proposal.changes:
                if change.kind == "narrow" and verdicts[change.name] in (CANNOT_BE_JUDGED, NOT_SEEN):
                    weak = weak_text(review.proposal.analysis, change)
                    assert review._page().texts(change.name)[0] == weak != ""


@pytest.mark.parametrize("tie", [True, False])
def test_top_trials_cut_off_are_called_a_tie_only_within_the_tolerance(tie):
    values = {"ranks": [1, 2, 4], "low": 0.951, "high": 0.958, "inside": 0.957, "exact": False, "tie": tie}
    text = top_trials_cut(values)
    assert numbers_in(text) == ["10", "3", "0.9510", "0.9580", "0.9570"]
    assert ("tie" in text.split()) == tie


@pytest.mark.slow
def test_a_preview_ties_a_lost_best_trial_with_a_kept_one_only_within_the_tolerance(root):
    review = root.propose()
    preview = review.edit(lr=(1e-4, 1e-3)).preview()
    loss = preview.expected.loss
    finer = replace(preview, epsilon=0.5 * loss).warning
    coarser = replace(preview, epsilon=2 * loss).warning
    assert loss > 0
    assert not dict(finer.values)["tie"]
    assert dict(coarser.values)["tie"]


def test_an_effect_without_a_trend_is_not_called_an_optimum_inside_the_range(tree):
    height = dict(zip("abcdefghij", (0.0, 0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4, 0.5), strict=True))
    space = {"kind": list(height), "x": (0.0, 1.0, 11)}

    def high_at_zero(p):
        return height[p["kind"]] - 0.1 * p["x"]

    root = tree.add_round(space, high_at_zero, n=60, seed=0).run()
    analysis = root.analyze()
    assert (analysis.findings["x"].verdict, analysis.findings["x"].shape) == ("matters", "inside")
    assert not re.search(r"\bx .*\b(best|rises|falls)\b", str(analysis))


@pytest.mark.parametrize("value", [-0.0, -1e-13])
def test_a_value_that_rounds_to_zero_has_no_sign(value):
    assert score(value) == "0.0000"
    assert coarse([value, 0.5]) == ["0.00", "0.50"]
    assert signed(value) == "+0.00"


@pytest.mark.parametrize("above", [0.0, 0.1])
def test_a_best_observed_trial_that_ties_with_the_winner_is_not_called_worse(root, above):
    winner = root._recommend()
    first, second = winner.candidates[:2]
    tied = replace(winner, best_observed=second, best_value=first.observed + above)
    assert not tied.is_best_observed
    assert ("worse" in known_grid(tied).rows[-1][-1]) == bool(above)


def test_an_analysis_calls_no_place_best_that_the_best_trial_contradicts(tree):
    def with_a_spike(p):
        spike = 2.0 * (p["kind"] == "b" and p["x"] == 0.9)
        return spike - abs(p["x"] - 0.3) - 0.2 * (p["kind"] == "b")

    space = {"x": (0.0, 1.0, 11), "kind": ["a", "b"], "y": (0.0, 1.0, 8)}
    root = tree.add_round(space, with_a_spike, n=176, metric=refine.Goal("value", noise="none")).run()
    assert (root.best["kind"], root.best["x"]) == ("b", 0.9)
    text = str(root.analyze())
    assert re.search(r"\bkind .*\bmedian\b", text)
    assert re.search(r"\bx .*\btop\b.* 0\.2 to 0\.\d", text)


def test_the_place_of_the_best_follows_the_declared_order_of_choices(tree):
    size = refine.Categorical([False, "tiny", "half", True], ordered=True)
    height = {False: 0.1, "tiny": 0.8, "half": 0.8, True: 0.0}

    def high_in_the_middle(p):
        return height[p["size"]] + 0.02 * p["x"]

    root = tree.add_round(
        {"size": size, "x": (0.0, 1.0, 41)},
        high_in_the_middle,
        n=80,
        metric=refine.Goal("value", noise="none"),
    )
    analysis = root.run().analyze()
    assert analysis.findings["size"].rich == (1, 2)
    assert re.search(r"\bsize .*\bbest\b.*\btiny\b.*\bhalf\b", str(analysis))


FLAT = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}


def flat(p):
    return round(-((p["x"] - 0.5) ** 2), 1) + 0 * p["y"]


def test_a_check_gives_the_budget_as_the_only_reason_for_another_round():
    with refine.Tree("spent", store="sqlite://") as tree:
        root = tree.add_round(
            FLAT, flat, n=30, budget=60, seed=1, metric=refine.Goal("value", noise="none")
        ).run()
        review = root.propose()
        assert review.worth().probability < 0.2
        text = says(review.checks()["worth"])
        assert text.startswith(f"{tree.budget}: {advised_round_of(review).n} ")


def test_the_chance_to_hit_the_best_is_that_of_evenly_drawn_trials():
    with refine.Tree("hit", store="sqlite://") as tree:
        root = tree.add_round(FLAT, flat, n=30, seed=1, metric=refine.Goal("value", noise="none")).run()
        details = to_text(root.propose().preview(n=11)._page().why())
    assert details.splitlines()[-1].split()[1:4] == ["11", "evenly", "drawn"]


def test_a_limit_of_another_metric_stands_after_the_best_value():
    def measured(p):
        return {"mse": 0.01 + p["x"], "ms": p["y"]}

    with refine.Tree("limited", store="sqlite://") as tree:
        goal = refine.Goal("mse", "minimize", subject_to=["ms <= 0.5"], noise="none")
        root = tree.add_round(FLAT, measured, n=20, seed=1, metric=goal).run()
        words_of_title = str(root.propose()).splitlines()[0].split()
    assert words_of_title[words_of_title.index("mse") + 2] == "with"


def test_few_failures_are_not_said_to_have_no_cause():
    def sometimes(p):
        if p["x"] > 0.6 and p["y"] > 0.5:
            raise ValueError("too large")
        return p["y"]

    with refine.Tree("few", store="sqlite://") as tree:
        root = tree.add_round(FLAT, sometimes, n=20, seed=1, metric=refine.Goal("value", noise="none")).run()
        sentence = says(root.checks()["infeasible"])
    assert "shown" in sentence.split()


def test_a_gain_up_to_the_limit_of_a_metric_has_no_interval():
    with refine.Tree("limit", store="sqlite://") as tree:
        root = tree.add_round(
            FLAT, lambda p: p["x"], n=30, seed=1, metric=refine.Goal("value", noise="none", limits=(0, 1))
        )
        outlook = root.run().propose().worth(n=10)
    assert "interval" in str(outlook)
    assert "interval" not in str(replace(outlook, low=0.25, high=0.25))


def test_the_share_kept_of_a_constrained_space_is_said_to_be_one_before_constraints():
    parameters = {"x": (0, 19), "y": (0, 19), "z": refine.Integer(0, 4, when="y >= 1")}
    space = refine.Space(parameters, ["x + y <= 8"])
    frame = pd.DataFrame(space.columns(draw(Sobol(), space, 40, 1)))
    analysis = refine.analyze(
        space, frame.assign(value=frame["x"] - frame["y"]), refine.Goal("value", noise="none")
    )
    proposal = refine.propose(analysis)
    assert proposal.volume_kept < 1
    claim = claim_sentence(proposal)
    for text in (claim, str(proposal.why())):
        assert re.search(r"\d % .*\bbefore .*\bconstraints .*\bconditions\b", text)


def test_shares_of_a_constrained_space_are_those_before_constraints(tree):
    space = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}
    limited = refine.Space(space, constraints=["x + y < 1.5"])
    root = tree.add_round(limited, lambda p: p["x"], n=60, seed=1).run()
    review = root.propose().edit(x=(0.5, 1.0))
    child = review.accept(n=5)
    texts = [review.proposal._page().title, str(review.preview().why()), str(review.why())]
    texts.append(str(tree.diff(root, child)))
    assert all("before constraints" in text for text in texts)
