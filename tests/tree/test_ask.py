"""Questions to a tree: answers, the evidence behind them, and rounds that settle them."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError, DesignError, RefineWarning, SpaceError, StoreError
from refine.report.pages.review import risk_of
from refine.tree.questions import questions as questions_of
from refine.utils.format import chance_words
from tests.reading import facts_of, numbers_in

SPACE = {"lr": refine.Float(1e-4, 10.0, levels=11, log=True), "layers": (1, 5), "opt": ["adam", "rms", "sgd"]}


def bowl(p):
    return 1 - 0.1 * (np.log10(p["lr"]) + 1) ** 2 - 0.04 * (p["layers"] - 2) ** 2 - 0.2 * (p["opt"] == "sgd")


def pipeline(p):
    if p["model"] == "svr":
        return 0.9 - 0.05 * abs(np.log10(p["C"]))
    return 0.95 - 0.03 * abs(p["depth"] - 4)


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: tree.add_round(SPACE, bowl, n=60, seed=1).run()


@pytest.fixture
def bowl_tree(tree, root):
    return tree


def test_a_bowl_is_answered_yes_and_no(bowl_tree):
    below = bowl_tree.ask("lr <= 1")
    assert (below.verdict, below.needed) == ("yes", 0)
    assert below.inside.trials + below.outside.trials == below.trials == 60
    assert below.cost_low <= below.cost <= below.cost_high < 0
    far_below = bowl_tree.ask(lr=(1e-4, 1e-3))
    assert far_below.verdict == "no"
    assert far_below.cost_low > 0
    assert far_below.cost_low < 0.4 < far_below.cost_high + 0.1  # two decades from the best: 0.1 * 2 ** 2
    assert far_below.outside.value == bowl_tree._best()["value"]
    assert far_below.outside.best["opt"] == bowl_tree._best()["opt"]


def test_the_worse_of_two_values_of_a_metric_is_not_as_good_as_the_better_one(tree):
    space = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21)}
    tree.add_round(space, lambda p: float(p["x"] > 0.5), n=40, seed=1).run()
    low = tree.ask("x <= 0.5")
    high = tree.ask("x > 0.5")
    assert (low.verdict, high.verdict) == ("no", "yes")
    assert low.epsilon < 0.5


def test_the_cost_of_a_side_without_a_value_is_limited_to_trials_that_finish(tree):
    def value(p):
        if p["x"] > 0.5:
            raise ValueError("too large")
        return 1 - (p["x"] - 0.5) ** 2 + 0.01 * p["y"]

    tree.add_round({"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21)}, value, n=60, seed=1).run()
    answer = tree.ask("x > 0.5")
    assert answer.probability < 0.5
    assert "finish" in facts_of(answer)["Cost"]
    assert "finish" not in facts_of(tree.ask("x <= 0.3"))["Cost"]


FULL = {"x": (0.0, 1.0, 6), "y": (0.0, 1.0, 6)}


def slope(p):
    return -((p["x"] - 0.4) ** 2) - 0.3 * (p["y"] - 0.2) ** 2


def test_nothing_is_in_doubt_once_every_configuration_was_run_without_noise(tree):
    round_ = tree.add_round(FULL, slope, n=36, seed=1, metric=refine.Goal("value", noise="none")).run()
    review = round_.propose()
    assert review.proposal.claim.probability == 1
    assert risk_of(review).chance == "none"
    lost = review.edit(x=(0.6, 1.0))
    assert lost.preview().probability == 0
    assert risk_of(lost).chance == "certain"
    assert f"{lost.preview().epsilon:.2g}" in facts_of(lost)["Risk"]
    low = tree.ask("x <= 0.4")
    high = tree.ask("x > 0.5")
    assert (low.verdict, low.probability, low.draws) == ("yes", 1, 0)
    assert (high.verdict, high.probability, high.draws) == ("no", 0, 0)
    assert (high.cost, high.cost_low, high.cost_high) == pytest.approx((0.04, 0.04, 0.04))
    assert numbers_in(facts_of(high)["Cost"]) == ["0.04"]  # without an interval
    rivals = [tree.ask("x <= 0.3", better="x == 0.4"), tree.ask("x == 0.2", better="x == 0.6")]
    assert [answer.verdict for answer in rivals] == ["no", "either"]
    assert "1 in 20" not in "".join(map(str, (review, lost, low, high, *rivals, tree.winner())))


@pytest.mark.parametrize(("n", "noise"), [(35, "none"), (36, "retraining")])
def test_a_configuration_left_or_noise_leaves_a_doubt(tree, n, noise):
    review = (
        tree.add_round(FULL, slope, n=n, seed=1, metric=refine.Goal("value", noise=noise)).run().propose()
    )
    assert 0 < review.preview().probability < 1
    assert 0 < tree.ask("x > 0.5").probability < 1


def test_a_failed_configuration_is_known_to_have_no_value(tree):
    def value(p):
        if p["x"] > 0.5:
            raise ValueError("too large")
        return slope(p)

    tree.add_round(FULL, value, n=36, seed=1, metric=refine.Goal("value", noise="none")).run()
    answer = tree.ask("x > 0.5")
    assert (answer.verdict, answer.probability) == ("no", 0)
    assert math.isnan(answer.cost)


def test_all_questions_of_a_study_have_one_tolerance(tree):
    """The space of the first round and a narrowed space."""

    def value(p):
        noise = np.random.default_rng(int(1e6 * bowl(p)) % 2**32).normal(0, 0.02)
        return bowl(p) + noise

    root = tree.add_round(SPACE, value, n=30, seed=1).run()
    root.branch({**SPACE, "lr": refine.Float(0.01, 10.0, levels=7, log=True)}, n=20, seed=2).run()
    wide = tree.ask("lr <= 0.001")
    narrow = tree.ask("lr >= 1", at="last")
    assert wide.round == root.id != narrow.round
    assert wide.epsilon == narrow.epsilon == tree.rounds[-1].propose().proposal.claim.epsilon


@pytest.mark.nightly
@pytest.mark.slow
def test_intervals_of_the_cost_hold_the_truth_after_learning_trials():
    """Trials that learn crowd near the best, and the ranks of a region far from it with them."""

    def value(p, trial):
        noise = np.random.default_rng(trial.seed).normal(0, 0.006)
        return 0.85 - 0.06 * (np.log10(p["lr"]) + 2) ** 2 - 2.5e-6 * (p["width"] - 96) ** 2 + noise

    space = {"lr": refine.Float(1e-4, 1.0, levels=9, log=True), "width": refine.Integer(16, 256, step=16)}
    hits = []
    for seed in range(5):
        tree = refine.Tree("learning", store="sqlite://")
        root = tree.add_round(space, value, n=20, seed=seed).run()
        root.branch(root.space, n=20, exploit=0.9, seed=seed).run()
        for question in ("lr <= 0.001", "lr >= 0.1"):
            answer = tree.ask(question)
            hits.append(answer.cost_low < 0.06 < answer.cost_high)  # the true cost
            assert answer.cost_high - answer.cost_low < 0.15
            assert answer.verdict in ("no", "probably not")
    assert sum(hits) >= 8


def test_a_side_shows_the_mean_of_its_best_configuration(tree):
    def value(p, trial):
        return bowl(p) + np.random.default_rng(trial.seed).normal(0, 0.05)

    tree.add_round(SPACE, value, n=40, seed=1).run()
    answer = tree.ask("lr <= 0.001")
    side = max(answer.inside, answer.outside, key=lambda part: part.runs)
    assert side.runs > 1
    assert f"best {side.mean:.3f} (mean of {side.runs} runs)" in str(answer)


def test_the_best_of_a_side_has_the_best_mean_over_its_runs(tree):
    lucky = {"lr": 0.1, "layers": 2, "opt": "adam"}
    table = []
    for i in range(24):
        params = {"lr": [0.001, 0.01, 1.0][i % 3], "layers": 1 + i % 4, "opt": ["adam", "rms"][i // 12]}
        table.append({**params, "value": 0.8 - 0.01 * i})
    table += [{**lucky, "value": 0.95}, {**lucky, "value": 0.25}]
    tree.add_runs(pd.DataFrame(table), value="value", space=refine.Space(SPACE), direction="maximize")
    side = tree.ask("opt == 'adam'").inside
    assert side.mean == pytest.approx(0.8)
    assert (side.best["lr"], side.runs) == ("0.001", 1)


def test_a_cost_has_no_digits_far_below_the_tolerance(bowl_tree):
    for question in ("lr <= 1", "layers >= 2", "opt != 'sgd'"):
        line = facts_of(bowl_tree.ask(question, epsilon=0.5))["Cost"]
        numbers = [word.strip("(),") for word in line.split()]
        costs = [number for number in numbers if number.replace(".", "").isdigit() and number != "90"]
        assert all(len(number) <= len("0.55") for number in costs)


def test_an_open_answer_says_its_side(tree):
    def peak(p):
        return -abs(p["x"] - 4) / 9 - p["y"] / 9

    tree.add_round({"x": (0, 9), "y": (0, 9)}, peak, n=10, seed=2, name="peak").run()
    questions = [
        f"{name} {relation} {bound}" for name in "xy" for relation in ("<=", ">=") for bound in range(1, 9)
    ]
    for question in questions:
        answer = tree.ask(question)
        if answer.verdict == "open" and abs(answer.probability - 0.5) > 0.16:
            leaning = "yes"
            if answer.probability < 0.5:
                leaning = "no"
            assert f"Open, leaning {leaning}:" in str(answer)
            return
    raise AssertionError("no question is open")


def test_the_answer_about_two_regions_names_the_better_one(bowl_tree):
    answer = bowl_tree.ask("opt == 'sgd'", better="opt == 'adam'")
    assert answer.verdict in ("no", "probably not")
    assert 0 < answer.cost_low < 0.2 < answer.cost_high + 0.1
    page = str(answer)
    assert chance_words(answer.probability) in page
    assert [line.split()[0] for line in page.splitlines()[4:6]] == ["First", "Second"]
    assert "the second" in str(questions_of(bowl_tree, suggest=False))


def test_two_regions_whose_bests_differ_by_less_than_the_tolerance_are_either(bowl_tree):
    answer = bowl_tree.ask("opt == 'rms'", better="opt == 'adam'", epsilon=0.3)
    assert (answer.verdict, answer.needed) == ("either", 0)
    assert "about 1 in 20" in str(answer)


def test_regions_of_several_conditions_stand_in_brackets(bowl_tree):
    answer = bowl_tree.ask("layers == 1 and opt == 'rms'", better="layers == 5 or opt == 'sgd'")
    first = "(layers == 1 and opt == 'rms')"
    second = "(layers == 5 or opt == 'sgd')"
    assert answer._page().title == f"Question: {first} against {second}"
    undecided = replace(answer, verdict="open", probability=0.5, tie=0.0)
    assert undecided._page().lead.text.startswith(f"Open: {first} or {second} may hold the better best, ")
    plain = replace(undecided, question="layers == 1", better="opt == 'sgd'")
    assert plain._page().lead.text.startswith("Open: layers == 1 or opt == 'sgd' may hold the better best, ")


def test_a_region_that_leads_by_about_the_tolerance_is_open(bowl_tree):
    strict = bowl_tree.ask("layers == 1", better="layers == 2", epsilon=0.0)
    assert strict.probability < 0.25
    answer = bowl_tree.ask("layers == 1", better="layers == 2", epsilon=strict.cost)
    assert 0.15 < answer.tie < 0.85
    assert answer.tie > strict.tie
    assert (answer.verdict, answer.settled) == ("open", False)
    assert answer.needed > 0


def test_a_question_of_three_parts_is_shown_without_added_parentheses(bowl_tree):
    question = "layers <= 1 and opt == 'adam' and lr <= 1 and (layers == 1 or lr <= 0.1)"
    answer = bowl_tree.ask(question)
    assert str(answer).splitlines()[0] == f"Question: {question}"


def test_a_page_leads_with_the_answer_and_rounds_the_chance(bowl_tree):
    answer = bowl_tree.ask("layers <= 1", given="opt == 'adam'")
    lines = str(answer).splitlines()
    assert lines[0] == "Question: layers <= 1, given opt == 'adam'"
    assert "1 in" in lines[1]
    assert "%" not in lines[1]
    assert answer.to_dict()["probability"] == answer.probability
    assert "opt == 'adam'" in facts_of(answer)["Evidence"]
    assert "model probability" in str(answer.why())


@pytest.fixture
def piped(tree):
    space = {
        "model": ["svr", "gbt"],
        "C": refine.Float(0.01, 100, levels=9, log=True, when="model == 'svr'"),
        "depth": refine.Integer(1, 8, when="model == 'gbt'"),
        "log_target": [False, True],
        "junk": (1, 6),
    }
    tree.add_round(space, pipeline, n=60, seed=1).run()
    return tree


def test_a_question_on_a_conditional_parameter_compares_configurations_that_have_it(piped):
    answer = piped.ask("C <= 0.1")
    assert answer.conditional == {"C": "model == 'svr'"}
    assert answer.given == "model == 'svr'"
    assert answer == piped.ask("C <= 0.1", given="model == 'svr'")
    assert answer.trials == int((piped["root"].trials["model"] == "svr").sum())
    assert f"with {answer.given}, so only such configurations" in facts_of(answer)["Condition"]
    assert set(answer.inside.best) == {"model", "C", "log_target", "junk"}


def test_a_conditional_parameter_named_by_the_given_condition_alone_is_not_explained(piped):
    answer = piped.ask("log_target == True", given="C >= 1")
    assert answer.outside.trials + answer.inside.trials == answer.trials < 60
    assert "Condition" not in facts_of(answer)


def test_parameters_of_two_models_compare_the_configurations_of_both(piped):
    answer = piped.ask("C >= 10 or depth == 4")
    assert answer.given == "model == 'svr' or model == 'gbt'"
    assert (answer.trials, answer.verdict) == (60, "yes")
    conditions = [cell.text for label, cell in answer._page().facts if label == "Condition"]
    assert conditions == ["C exists only with model == 'svr'", "depth exists only with model == 'gbt'"]


def test_a_question_that_names_the_condition_compares_with_all_configurations(piped):
    answer = piped.ask("model == 'svr' and C >= 0.1")
    assert (answer.given, answer.verdict, answer.trials) == (None, "no", 60)
    assert "other configurations count as outside" in facts_of(answer)["Condition"]


def test_a_value_of_a_parameter_is_compared_with_its_other_values(piped):
    answer = piped.ask("log_target", better="True")
    assert (answer.question, answer.better) == ("log_target == True", "log_target != True")
    assert answer.inside.trials + answer.outside.trials == 60
    by_model = piped.ask("model", better="gbt")
    assert (by_model.question, by_model.verdict) == ("model == 'gbt'", "yes")
    assert piped.ask("depth", better="4").given is None
    with pytest.raises(SpaceError, match="better: 'gtb' is not a choice of model; did you mean 'gbt'"):
        piped.ask("model", better="gtb")


def test_a_question_outside_the_language_is_shown_as_it_was_read(bowl_tree):
    answer = bowl_tree.ask("opt = adam", given="lr 0.001..1")
    assert (answer.question, answer.given) == ("opt == 'adam'", "0.001 <= lr <= 1")
    assert answer._page().title.startswith("Question, read as: opt == 'adam', ")
    assert answer.again()._page().title == answer._page().title
    canonical = bowl_tree.ask("opt=='adam'", given="0.001 <= lr <= 1")
    assert not canonical._reread
    assert canonical == answer


def test_a_value_that_the_objective_does_not_read_costs_nothing(tree):
    def scaled(p):
        if p["model"] == "svr":
            return 0.9 - 0.1 * (p["scaler"] == "none")
        return 0.95 - 0.03 * abs(p["depth"] - 4)

    space = {"model": ["svr", "gbt"], "depth": (1, 8), "scaler": ["none", "standard", "robust"]}
    tree.add_round(space, scaled, n=40, seed=1).run()
    answer = tree.ask("scaler == 'none'")
    assert answer.conditional == {}
    assert answer.inside.trials == int((tree["root"].trials["scaler"] == "none").sum())
    assert answer.verdict == "either"  # trees do not read the scaler
    assert tree.ask("scaler == 'none'", given="model == 'svr'").verdict == "no"


def test_the_tolerance_is_that_of_the_round_unless_given(bowl_tree):
    bowl_tree["root"]._epsilon = 0.5
    assert (bowl_tree.ask("layers <= 1").epsilon, bowl_tree.ask("layers <= 1").verdict) == (0.5, "either")
    strict = bowl_tree.ask("layers <= 1", epsilon=0.0)
    assert strict.epsilon == 0
    assert strict.probability < bowl_tree.ask("layers <= 1").probability


def test_an_answer_follows_marks_and_declarations(bowl_tree):
    before = bowl_tree.ask("lr <= 1")
    root = bowl_tree["root"]
    root.exclude([0, 1], "a broken disk")
    after = bowl_tree.ask("lr <= 1")
    assert after.trials == before.trials - 2
    root.exclude([0, 1], undo=True)
    assert bowl_tree.ask("lr <= 1") == before
    bowl_tree.add_round(SPACE, bowl, n=60, seed=1, metric=refine.Goal("value", noise="none"))
    assert bowl_tree["root"]._declared.noise == "none"
    declared = bowl_tree.ask("lr <= 1")
    assert declared.trials == before.trials
    assert declared.epsilon <= before.epsilon


def test_thin_evidence_is_named(tree):
    tree.add_round(SPACE, bowl, n=20, seed=1).run()
    answer = tree.ask("lr <= 0.0001")
    assert answer.inside.trials < 6
    assert ": few" in str(answer)


def test_constraints_count_feasible_values_alone(tree):
    def measured(p):
        return {"acc": 0.1 * p["x"] + 0.01 * p["y"], "latency": p["x"]}

    goal = refine.Goal("acc", subject_to=["latency <= 5"])
    tree.add_round({"x": (0, 9), "y": (0, 9)}, measured, n=40, metric=goal).run()
    answer = tree.ask("x >= 6")
    assert (answer.verdict, answer.inside.best) == ("no", None)
    assert math.isnan(answer.cost)
    assert "feasible" in facts_of(answer)["Inside"]
    assert "latency <= 5" in str(answer)


@pytest.mark.slow
def test_several_goals_ask_for_the_front(tree):
    def measured(p):
        return {"acc": 1 - 0.05 * (p["x"] - 3) ** 2, "size": p["x"] + p["y"]}

    goals = [refine.Goal("acc", "maximize"), refine.Goal("size", "minimize")]
    tree.add_round({"x": (0, 9), "y": (0, 9)}, measured, n=40, metric=goals).run()
    assert tree.ask("x <= 3").verdict == "yes"
    assert tree.ask("x >= 5").verdict == "no"
    assert "front" in str(tree.ask("x <= 3"))


@pytest.mark.slow
def test_goals_of_which_one_repeats_exactly_are_joined_by_configuration(tree):
    def measured(p):
        acc = 1 - 0.1 * (np.log10(p["lr"]) + 2) ** 2 - 1 / p["units"]
        return {"acc": acc, "ms": p["units"] * (1.5 if p["act"] == "gelu" else 1.0)}

    space = {
        "lr": refine.Float(1e-4, 1, levels=9, log=True),
        "units": refine.Integer(8, 128, step=8),
        "act": ["relu", "gelu"],
    }
    goals = [refine.Goal("acc"), refine.Goal("ms", "minimize")]
    root = tree.add_round(space, measured, metric=goals, n=60, seed=1).run()
    sources = {goal.noise.source for goal in (root.analyze(), *root.analyze().others)}
    assert sources == {"deterministic", "below_step"}  # the candidates of one goal include the trials
    cheap = tree.ask("act == 'relu'")
    dear = tree.ask("act == 'gelu'")  # costs more at equal accuracy
    assert dear.verdict == "no"
    assert cheap.probability > 0.5


def test_an_answer_about_several_goals_states_the_tolerance_of_each(tree):
    def measured(p):
        return {"acc": 1 - 0.05 * (p["x"] - 3) ** 2, "ms": p["x"] + p["y"]}

    goals = [refine.Goal("acc"), refine.Goal("ms", "minimize")]
    tree.add_round({"x": (0, 9), "y": (0, 9)}, measured, n=20, metric=goals, seed=1).run()
    answer = tree.ask("x <= 3", epsilon={"acc": 0.125, "ms": 2})
    assert answer.tolerances == {"acc": 0.125, "ms": 2}
    assert dict(answer.tolerance_sources) == {"acc": "given", "ms": "given"}
    (line,) = [line for line in str(answer).splitlines() if line.startswith("Tolerance")]
    assert line.split(maxsplit=1)[1] == "0.12 acc (as you asked) and 2 ms (as you asked)"


def test_a_question_asked_with_two_tolerances_is_listed_with_both(tree):
    tree.add_round(SPACE, bowl, n=20, seed=1).run()
    tree.ask("lr <= 0.01", epsilon=0.5)
    tree.ask("lr <= 0.01", epsilon=0.025)
    rows = [
        line.split() for line in str(questions_of(tree, suggest=False)).splitlines() if "lr <= 0.01" in line
    ]
    assert [row[3] for row in rows] == ["0.025", "0.5"]


def test_an_interval_from_no_difference_begins_with_zero(tree):
    tree.add_round({"x": (0, 9), "y": (0, 9)}, lambda p: float(p["x"]), n=60, seed=1).run()
    answer = replace(tree.ask("y <= 4"), cost_low=0.0, cost_high=2.0)
    assert "interval: 0 to " in facts_of(answer)["Cost"]


def test_a_minimized_metric_is_worse_above(tree):
    tree.add_round(SPACE, lambda p: -bowl(p), n=60, seed=1, direction="minimize", name="loss").run()
    answer = tree.ask("lr <= 0.001")
    assert (answer.verdict, answer.direction) == ("no", "minimize")
    assert answer.cost > 0
    assert answer.inside.value > answer.outside.value


def test_an_answer_is_about_the_first_space_unless_asked_at_a_round(bowl_tree):
    root = bowl_tree["root"]
    child = root.branch({**SPACE, "layers": (1, 2)}, n=20).run()
    answer = bowl_tree.ask("layers <= 1")
    assert (answer.round, answer.of_first, answer.trials) == (root.id, True, 80)
    narrowed = bowl_tree.ask("layers <= 1", at=child.id)
    assert (narrowed.round, narrowed.of_first) == (child.id, False)
    with pytest.raises(SpaceError, match="true for every configuration"):
        bowl_tree.ask("layers <= 2", at=child.id)


def test_a_wrong_value_is_refused_with_the_values_before_narrowing(bowl_tree):
    bowl_tree["root"].branch({**SPACE, "opt": ["adam"]}, n=20).run()
    assert bowl_tree.ask("opt == 'rms'").round == bowl_tree["root"].id
    with pytest.raises(SpaceError, match="adam, rms, sgd"):
        bowl_tree.ask("opt == 'adamw'")


def test_trials_of_other_rounds_are_counted_within_the_condition(bowl_tree):
    bowl_tree["root"].branch(SPACE, n=30).run()
    answer = bowl_tree.ask("layers <= 1", given="opt == 'sgd'")
    other = bowl_tree["root"]
    if answer.round == other.id:
        other = bowl_tree["last"]
    assert 0 < answer.earlier == int((other.trials["opt"] == "sgd").sum()) < answer.trials
    assert bowl_tree.ask("layers <= 1").earlier == len(other.trials)


def test_too_few_trials_are_an_error(tree):
    with pytest.raises(AnalysisError, match="no round"):
        tree.ask("lr <= 1")
    tree.add_round(SPACE, bowl, n=4, seed=1).run()
    with pytest.raises(AnalysisError):
        tree.ask("lr <= 1")


def test_a_wrong_question_is_refused_before_a_round_with_too_few_trials(tree):
    tree.add_round(SPACE, bowl, n=4, seed=1).run()
    with pytest.raises(SpaceError, match="did you mean 'layers'"):
        tree.ask("layer <= 1")
    with pytest.raises(SpaceError, match="not allowed"):
        tree.ask("open('secret').read()")


def test_settling_runs_new_configurations_of_both_sides_and_answers_again(bowl_tree):
    before = bowl_tree.ask("layers <= 1")
    root = bowl_tree[before.round]
    earlier = root.trials
    assert root.add(6, settle=before).n == 66
    assert root.add(6, settle="layers <= 1").n == 66  # planned already
    trials = root.run().trials
    assert trials["origin"].tolist()[60:] == ["given"] * 6
    assert trials.iloc[:60].equals(earlier)
    assert 0 < (trials["layers"][60:] <= 1).sum() < 6
    assert not trials.duplicated(list(SPACE)).any()
    after = before.again()
    assert (after.question, after.round, after.trials) == (before.question, root.id, 66)
    assert after.inside.trials > before.inside.trials


def test_a_question_names_the_number_of_trials(bowl_tree):
    answer = bowl_tree.ask("layers <= 1", epsilon=0.03)
    root = bowl_tree[answer.round]
    assert root.add(settle=answer).n == 60 + answer.needed > 60


def test_wrong_settling_is_refused_before_anything_is_planned(bowl_tree):
    answer = bowl_tree.ask("layers <= 1")
    root = bowl_tree["root"]
    child = root.branch(SPACE, n=5)
    for round_, n, settle, error, message in (
        (root, 0, answer, DesignError, "^n must be a whole number >= 1, got 0"),
        (root, 6, 3, DesignError, "^settle must be a question or an answer"),
        (root, 6, "layer <= 1", SpaceError, "did you mean 'layers'"),
        (child, 6, answer, DesignError, f"about round {root.id}, .*write tree"),
    ):
        with pytest.raises(error, match=message):
            round_.add(n, settle=settle)
    assert (root.n, child.n) == (60, 5)


def test_answers_after_settling_are_listed_by_their_author(bowl_tree):
    answer = bowl_tree.ask("layers <= 1", epsilon=0.03, author="mia")
    bowl_tree["root"].add(6, settle=answer).run()
    answer.again()
    (question,) = questions_of(bowl_tree, suggest=False).asked
    assert [(stored.trials, stored.author) for stored in question.answers] == [(60, "mia"), (66, "mia")]


def test_the_budget_limits_settling_and_the_answer_says_so(bowl_tree):
    bowl_tree.budget = bowl_tree.budget.spent + 2
    answer = bowl_tree.ask("layers <= 1", epsilon=0.03)
    root = bowl_tree[answer.round]
    assert answer.needed == 2 <= answer.advised
    with pytest.raises(DesignError, match="got 12; plan 2 or fewer"):
        root.add(12, settle=answer)
    root.add(settle=answer).run()
    assert answer.again().trials == answer.trials + 2
    questions = bowl_tree.ask()
    assert questions.suggested == ()
    assert [str(call) for call in questions.calls] == ["tree.winner()"]


def test_questions_with_trials_for_repeats_alone_lead_to_confirm(tree):
    def value(p, trial):
        return bowl(p) + 0.02 * np.random.default_rng(trial.seed).standard_normal()

    tree.add_round(
        SPACE, value, n=20, seed=1, budget=23, metric=refine.Goal("value", noise="retraining")
    ).run()
    questions = tree.ask()
    assert questions.suggested == ()
    assert "the budget leaves no trial" in questions.refusal
    assert [str(call) for call in questions.calls] == ["tree.confirm()"]


def test_questions_of_a_tree_without_a_round_lead_to_a_round(tree):
    assert [call.name for call in tree.ask().calls] == ["tree.add_round"]


def test_a_settled_question_plans_nothing_unless_a_number_is_given(bowl_tree):
    root = bowl_tree["root"]
    with pytest.warns(RefineWarning, match=r"'lr <= 1' is settled \(yes\): no trial is planned"):
        root.add(settle="lr <= 1")
    assert root.n == 60
    assert root.add(2, settle="lr <= 1").n == 62


def test_without_a_trial_inside_a_question_is_unknown_and_can_be_settled(tree):
    def value(p):
        return p["x"] + p["y"] / 10

    tree.add_round({"x": (0, 9), "y": (0, 9)}, value, n=12, seed=4).run()
    trials = tree["root"].trials
    untried = sorted(set(range(10)) - set(trials["y"][trials["x"] == 9]))
    answer = tree.ask(f"x == 9 and y in {untried}", epsilon=0.02)
    assert (answer.inside.ran, answer.verdict, answer.needed) == (0, "unknown", 6)
    assert "x == 9" in str(answer)
    tree["root"].add(6, settle=answer).run()
    assert answer.again().inside.ran > 0


@pytest.mark.slow
def test_a_small_region_is_answered_by_more_candidates(tree):
    space = {f"p{i}": (0.0, 1.0, 11) for i in range(8)}

    def bowl(p):
        return -sum((v - 0.5) ** 2 for v in p.values())

    tree.add_round(space, bowl, n=60, name="bowl").run()
    small = tree.ask("p0 <= 0.1 and p1 <= 0.1 and p2 <= 0.1")
    assert small.probability < 0.15
    assert small.verdict in ("no", "unknown")
    tiny = tree.ask(" and ".join(f"p{i} == 0" for i in range(6)))
    assert (tiny.verdict, tiny.needed) == ("unknown", 0)


@pytest.mark.slow
def test_questions_lists_asked_questions_with_their_answers_over_time(bowl_tree):
    first = bowl_tree.ask("layers <= 1", epsilon=0.03, author="mia", guess=0.1)
    bowl_tree.ask("lr <= 1", author="ben")
    bowl_tree.ask("lr <= 1", author="ben")
    bowl_tree["root"].add(6, settle=first).run()
    bowl_tree.ask("layers <= 1", epsilon=0.03, author="mia")
    listed = questions_of(bowl_tree, suggest=False)
    assert [q.question for q in listed.asked] == ["layers <= 1", "lr <= 1"]
    assert [len(q.answers) for q in listed.asked] == [2, 1]  # once per evidence
    before, after = listed.asked[0].answers
    assert (before.probability, before.guess, before.author) == (first.probability, 0.1, "mia")
    assert (before.trials, after.trials) == (60, 66)
    assert str(listed.asked[0].call) == "tree.ask('layers <= 1', epsilon=0.03)"
    assert "layers <= 1" in str(listed)
    assert "mia" in str(listed)
    with refine.Tree(bowl_tree._name, store=bowl_tree._url, create=False) as reopened:
        assert questions_of(reopened, suggest=False) == listed


@pytest.mark.slow
def test_a_track_record_calls_the_only_author_you_and_a_report_names_everybody(tree, tmp_path):
    first = tree.add_round(SPACE, bowl, n=60, seed=1).run()
    author = first._node.author

    def askers():
        return [
            cell.text.split()[0] for label, cell in tree.calibration()._page().facts if label == "Questions"
        ]

    tree.ask("layers <= 1", epsilon=0.03)
    assert askers() == ["you"]
    assert re.search(rf"Questions\W+{author} ", tree.report(tmp_path).read_text())
    tree.ask("layers <= 1", epsilon=0.03, author="mia")
    assert askers() == [author, "mia"]


def test_a_question_asked_before_trials_came_is_scored_by_them(bowl_tree):
    bowl_tree.ask("opt == 'sgd'", author="mia", guess=0.3)
    bowl_tree.ask("opt == 'sgd'", better="opt == 'adam'", author="agent:x")
    (question, rivals) = bowl_tree.calibration().questions
    assert (question.outcome, question.later_inside) == (None, 0)
    assert math.isnan(question.loss)
    bowl_tree.add_round(SPACE, bowl, n=90, seed=1).run()
    calibration = bowl_tree.calibration()
    question, rivals = calibration.questions
    assert min(question.later_inside, question.later_outside) >= 3
    assert question.later_inside + question.later_outside == 30
    assert (question.outcome, rivals.outcome) == (False, False)
    mia, agent = calibration.question_scores
    assert (mia.author, mia.asked, mia.decided, mia.guessed) == ("mia", 1, 1, 1)
    assert mia.guess_brier == pytest.approx(0.09)
    assert mia.brier == question.answer.probability**2 == mia.answer_brier
    assert (agent.author, agent.guessed) == ("agent:x", 0)


def test_no_question_is_suggested_twice(tree):
    def score(p):
        crowded = p["c"] == "z" and p["b"] > 5
        return 1 - (p["a"] - 0.7) ** 2 - 0.02 * abs(p["b"] - 3) - 0.05 * (p["c"] == "y") - 0.3 * crowded

    space = {"a": (0.0, 1.0, 11), "b": refine.Integer(1, 10), "c": ["x", "y", "z"]}
    root = tree.add_round(
        space, score, n=30, seed=5, metric=refine.Goal("value", noise="none"), name="o"
    ).run()
    root.propose().accept(n=20).run()
    suggested = [(question.question, question.given) for question in tree.ask().suggested]
    assert len(set(suggested)) == len(suggested) >= 2


@pytest.mark.slow
def test_suggested_questions_can_be_asked_as_they_are(tree):
    def rough(p):
        return bowl(p) + 0.04 * np.sin(997 * (p["lr"] + p["mom"]))

    tree.add_round({**SPACE, "mom": (0.0, 0.9, 10)}, rough, n=20, seed=1).run()
    suggested = tree.ask().suggested
    assert 1 <= len(suggested) <= 3
    for question in suggested:
        answer = tree.ask(question.question, given=question.given)
        assert answer.probability == pytest.approx(question.probability, abs=1e-9)
        assert (answer.inside.trials, answer.trials) == (question.trials, question.considered)


def test_questions_travel_with_an_export(bowl_tree, tmp_path):
    bowl_tree.ask("layers <= 1", author="mia", guess=0.2)
    questions = questions_of(bowl_tree, suggest=False).asked
    folder = bowl_tree.export(tmp_path / "study", reports=False)
    with refine.Tree.load(folder, store=tmp_path / "copy.db") as copy:
        assert questions_of(copy, suggest=False).asked == questions
        copy.ask("lr <= 1", author="ben")
        copy.export(tmp_path / "later", reports=False)
    for name in ("later", "study"):  # the second one holds nothing new
        with refine.Tree.load(tmp_path / name, store=bowl_tree._url) as loaded:
            assert [q.question for q in questions_of(loaded, suggest=False).asked] == [
                "lr <= 1",
                "layers <= 1",
            ]
    index = folder / "tree.json"
    index.write_text(index.read_text().replace('"guess": 0.2', '"author": 5'))
    with pytest.raises(StoreError, match="^.*questions must"):
        refine.Tree.load(folder, store=tmp_path / "other.db")


def test_nothing_is_suggested_before_there_is_evidence(tree):
    assert "no round" in tree.ask().refusal
    tree.add_round(SPACE, bowl, n=4, seed=1).run()
    assert tree.ask().suggested == ()
    with pytest.raises(AnalysisError, match="0 to 1, got 80"):
        tree.ask("lr <= 1", guess=80)


@pytest.mark.slow
def test_a_cut_that_loses_with_one_choice_of_an_uncut_parameter_is_suggested(tree):
    def crossed(p, trial):
        best = {"a": -3, "b": 0}[p["m"]]
        noise = 0.05 * np.random.default_rng(trial.seed).normal()
        return 1 - 0.1 * (np.log10(p["lr"]) - best) ** 2 + noise

    space = {"lr": SPACE["lr"], "m": ["a", "b"], "u": (0.0, 1.0, 11)}
    tree.add_round(
        space, crossed, n=30, seed=1, name="crossed", metric=refine.Goal("value", noise="retraining")
    ).run()
    tree["root"]._epsilon = 0.05
    (interaction,) = [q for q in tree.ask().suggested if q.kind == "interaction"]
    assert interaction.parameters == ("lr", "m")
    assert interaction.given in ("m == 'a'", "m == 'b'")
    assert interaction.probability < 0.15
    assert "m ==" in str(tree.ask())


@pytest.mark.slow
def test_a_round_of_given_configurations_leaves_a_tree_that_can_be_exported(bowl_tree, tmp_path, pictures):
    configurations = [
        {**dict.fromkeys(SPACE), **row}
        for row in bowl_tree["root"].trials[list(SPACE)].tail(4).to_dict("records")
    ]
    child = bowl_tree["root"].branch({**SPACE, "layers": (1, 3)}, n=4, given=configurations).run()
    for draw, names in (("density_2d", ["lr"]), ("levels", ["opt"]), ("pair", ["lr", "layers"])):
        with pytest.raises(AnalysisError, match="space-filling|untested"):
            getattr(child.plot, draw)(*names)
    bowl_tree.export(tmp_path / "folder")
    report = next((tmp_path / "folder" / child.id).glob("*.md")).read_text(encoding="utf-8")
    assert "*Figure " not in report


@pytest.mark.filterwarnings("error")
def test_a_huge_tolerance_is_answered_without_warnings(bowl_tree):
    assert bowl_tree.ask("lr <= 1", epsilon=1e308).verdict == "either"


def test_a_larger_number_of_trials_is_named_only_if_it_settles_no_fewer_questions(tree, root):
    answer = replace(tree.ask("layers <= 2"), verdict="open", needed=12, advised=12, obstacle="region")
    outlooks = {12: 0.2, 48: 0.5}, {12: 0.4, 48: 0.1}
    rising, falling = [facts_of(replace(answer, outlook=outlook))["To settle"] for outlook in outlooks]
    assert "and 48" in rising
    assert "48" not in falling


def test_the_list_of_questions_names_the_goals_of_tolerances(tree):
    goals = [refine.Goal("acc"), refine.Goal("ms", "minimize")]
    tree.add_round(
        {"x": (0, 9), "y": (0, 9)}, lambda p: {"acc": -p["x"], "ms": p["x"] + p["y"]}, n=20, metric=goals
    ).run()
    assert dict(tree.ask("x <= 3").tolerance_sources) == {"acc": "step", "ms": "step"}
    assert "in the first goal" in str(questions_of(tree, suggest=False))
    tree.ask("x <= 3", epsilon={"acc": 0.25, "ms": 2})
    assert "0.25 acc and 2 ms" in str(questions_of(tree, suggest=False))


def test_the_cost_of_a_region_in_which_every_trial_failed_counts_the_failures(tree):
    def objective(p):
        if p["x"] > 6:
            raise ValueError("diverged")
        return p["x"]

    tree.add_round({"x": (0, 9), "y": (0, 9)}, objective, n=40, seed=1).run()
    answer = tree.ask("x >= 7")
    assert answer.inside.trials == 0 < answer.inside.failed
    assert f"inside, all {answer.inside.failed} trials failed" in " ".join(str(answer).split())
