"""Configurations that a person adds to a round count as given."""

import warnings

import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError, DesignError, RefineWarning, SpaceError
from refine.ui.cli.spelling import in_shell

SPACE = {"x": (0.0, 9.0, 19), "z": ["a", "b"], "fixed": 3}


def value(p):
    return 1 - 0.02 * (p["x"] - 4.1) ** 2 - 0.1 * (p["z"] == "b")


@pytest.fixture
def round_(tree):
    return tree.add_round(SPACE, value, n=20, seed=3).run()


def test_ideas_count_as_given(round_):
    before = round_.trials
    round_.add(given=[{"x": 4.1, "z": "a"}, {"x": 12.0, "z": "a"}]).run()
    trials = round_.trials
    assert trials.iloc[:20].equals(before)
    assert trials["origin"].tolist()[20:] == ["given"] * 2
    assert trials["x"].tolist()[20:] == [4.1, 12.0]
    assert round_.n == 22
    assert round_.best["x"] == 4.1
    assert round_.analyze().n_space_filling == 20
    assert round_._recommend().params["x"] == 4.1


def test_a_best_trial_of_ones_own_outside_the_range_is_not_called_an_audit_trial(tree):
    rising = tree.add_round(SPACE, lambda p: p["x"], n=20, seed=3).run()
    rising.add(given=[{"x": 12.0, "z": "a"}]).run()
    assert "x = 12 and z = a (outside this space)" in str(rising)


def test_ideas_make_room_for_no_further_trial(tree):
    root = tree.add_round({"a": (0.0, 1.0, 21), "b": (0.0, 1.0, 21)}, lambda p: p["a"] - p["b"], n=12, seed=1)
    child = (
        root.run().propose().edit(a=(0.5, 1.0)).accept(n=10, exploit=0.9, plan=refine.Plan(audit=0.0)).run()
    )
    child.add(given=[{"a": 0.61, "b": 0.5}, {"a": 0.62, "b": 0.5}, {"a": 0.63, "b": 0.5}]).run()
    assert child.trials["origin"].value_counts().to_dict() == {"exploit": 9, "given": 3, "space_filling": 1}
    assert len(child.trials) == child.n


def test_an_idea_given_twice_runs_once(round_):
    idea = {"x": 4.1, "z": "a"}
    round_.add(given=[idea, idea]).run()
    assert len(round_.trials) == round_.n == 21


def test_an_idea_that_ran_is_named_with_the_call_that_repeats_it(round_, tree):
    idea = {"x": 8.7, "z": "b"}
    round_.add(given=[idea]).run()
    with pytest.warns(RefineWarning, match="x 8.7, z b ran already .*; repeat the trial") as warned:
        round_.add(given=[idea]).run()
    assert len(round_.trials) == 21
    (repeat,) = warned[0].message.actions
    assert str(repeat) == "tree.judge({'x': 8.7, 'z': 'b'}, 'best', budget=6)"
    assert in_shell(repeat) == "refine judge STORE 'x=8.7 z=b' best --budget 6"
    judgement = tree.judge(*repeat.arguments, **repeat.options)
    assert judgement.a.configuration["x"] == 8.7


def test_the_best_idea_is_repeated_by_add_and_a_failed_one_by_a_rerun(tree):
    def broken(params):
        return 1 / (params["x"] - 9.0)

    root = tree.add_round(
        {"x": (0.0, 8.0, 17)}, broken, n=12, seed=3, metric=refine.Goal("value", noise="retraining")
    ).run()
    root.add(given=[{"x": 9.0}, {"x": 10.0}]).run()
    calls = []
    for x in (9.0, 10.0):
        with pytest.warns(RefineWarning, match=f"x {x:g} ran already") as warned:
            root.add(given=[{"x": x}]).run()
        calls += map(str, warned[0].message.actions)
    assert calls == ["round.run(rerun='failed')", "round.add(repeat=1, seeds=3).run()"]


def test_no_comparison_is_advised_for_an_idea_that_may_not_be_called_best(tree):
    def sized(params):
        return {"value": params["x"], "size": params["x"]}

    root = tree.add_round(
        {"x": (0.0, 8.0, 17)},
        sized,
        n=12,
        seed=3,
        metric=refine.Goal("value", subject_to=["size <= 10"], noise="retraining"),
    )
    root.run()
    root.add(given=[{"x": 5.1}, {"x": 12.0}]).run()
    root.exclude(root.trials.index[root.trials["x"] == 5.1], reason="a broken machine")
    with pytest.warns(RefineWarning, match=r"x 5.1 ran already \(excluded\)") as warned:
        root.add(given=[{"x": 5.1}]).run()
    assert [str(call) for call in warned[0].message.actions] == ["round.run(rerun='excluded')"]
    with pytest.warns(RefineWarning, match="x 12 ran already .* may not be called best") as warned:
        root.add(given=[{"x": 12.0}]).run()
    assert not warned[0].message.actions
    with pytest.raises(AnalysisError, match="no value that may be called best"):
        tree.judge({"x": 12.0}, "best", budget=6)


def test_no_repeat_is_advised_for_an_idea_of_a_round_that_repeats_exactly(tree):
    root = tree.add_round(SPACE, value, n=12, seed=3, metric=refine.Goal("value", noise="none")).run()
    idea = {"x": 4.1, "z": "a"}
    root.add(given=[idea]).run()
    with pytest.warns(RefineWarning, match="declared to repeat exactly") as warned:
        root.add(given=[idea]).run()
    assert not warned[0].message.actions


def test_an_idea_that_ran_in_the_parent_round_is_repeated_with_a_warning(round_):
    idea = {"x": 4.1, "z": "a"}
    round_.add(given=[idea]).run()
    child = round_.branch({**SPACE, "x": (2.0, 6.0, 9)}, n=5)
    with pytest.warns(RefineWarning, match=f"x 4.1, z a ran already in round {round_.id}, .* is a repeat"):
        child.add(given=[idea]).run()
    assert child.trials["x"].tolist()[0] == 4.1


def test_an_idea_that_ran_in_the_parent_round_is_skipped_if_values_repeat_exactly(tree):
    root = tree.add_round(SPACE, value, n=12, seed=3, metric=refine.Goal("value", noise="none")).run()
    inside = root.trials[root.trials["x"].between(2.0, 6.0)]
    ran = inside[["x", "z", "fixed"]].to_dict("records")[0]
    child = root.branch({**SPACE, "x": (2.0, 6.0, 9)}, n=5)
    with pytest.warns(RefineWarning, match=f"ran already in round {root.id}, .* nothing is repeated"):
        child.add(given=[ran, {"x": 4.1, "z": "a"}]).run()
    assert child.trials["x"].tolist()[0] == 4.1
    assert len(child.trials) == child.n == 6


def test_an_idea_that_ran_on_another_branch_is_repeated_with_a_warning(round_):
    idea = {"x": 4.1, "z": "a"}
    first, second = (round_.branch({**SPACE, "x": (2.0, high, 9)}, n=3) for high in (6.0, 7.0))
    first.add(given=[idea]).run()
    with pytest.warns(RefineWarning, match=f"ran already in round {first.id}, .* is a repeat"):
        second.add(given=[idea]).run()
    assert second.trials["x"].tolist()[0] == 4.1


def test_an_idea_that_ran_before_a_parameter_was_added_is_repeated_with_a_warning(round_):
    idea = {"x": 4.1, "z": "a"}
    round_.add(given=[idea]).run()
    wider = round_.branch({**SPACE, "l2": (0.0, 1.0, 3)}, previous={"l2": 0.0}, n=3)
    with pytest.warns(RefineWarning, match=f"ran already in round {round_.id}, .* is a repeat"):
        wider.add(given=[{**idea, "l2": 0.0}]).run()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wider.add(given=[{**idea, "l2": 0.5}]).run()
    assert wider.trials["l2"][wider.trials["origin"] == "given"].tolist() == [0.0, 0.5]


def test_an_idea_outside_the_space_counts_only_where_it_ran(tree):
    idea = {"x": 8.1, "z": "a"}
    root = tree.add_round(SPACE, value, n=12, seed=3, metric=refine.Goal("value", noise="none")).run()
    root.add(given=[idea]).run()
    child = root.branch({**SPACE, "x": (2.0, 6.0, 9)}, n=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        child.add(given=[idea]).run()
    assert child.trials["x"].tolist()[0] == 8.1


def test_an_idea_known_from_another_branch_plans_no_trial_if_values_repeat_exactly(tree):
    idea = {"x": 4.1, "z": "a"}
    root = tree.add_round(SPACE, value, n=20, seed=3, metric=refine.Goal("value", noise="none")).run()
    first = root.branch({**SPACE, "x": (2.0, 7.0, 11)}, n=5).add(given=[idea]).run()
    child = root.branch({**SPACE, "x": (2.0, 6.0, 9)}, n=8, exploit=0.5)
    planned = child._context.store.beside(child._stored.pk)
    with pytest.warns(RefineWarning, match=f"ran already in round {first.id}, .* nothing is repeated"):
        child.add(given=[idea])
    assert child.n == 8
    assert len(child._context.store.beside(child._stored.pk)) == len(planned)


def test_an_idea_planned_by_another_process_is_planned_once(tmp_path):
    idea = {"x": 4.1, "z": "a"}
    with (
        refine.Tree("t", store=tmp_path / "t.db") as tree,
        refine.Tree("t", store=tmp_path / "t.db") as other,
    ):
        root = tree.add_round(SPACE, value, n=12).run(trials=2)
        other["root"].add(given=[idea])
        assert root.add(given=[idea]).n == 13
        assert root.run(trials=1).trials["origin"].tolist() == ["space_filling", "space_filling", "given"]


def test_ideas_run_before_the_rest_of_an_unfinished_round(tree):
    root = tree.add_round(SPACE, value, n=20, seed=3).run(trials=5)
    root.add(given=[{"x": 4.1, "z": "a"}]).run(trials=1)
    assert len(root.trials) == 6
    assert root.best["x"] == 4.1
    assert len(root.run().trials) == 21


def test_wrong_ideas_are_refused_before_anything_is_written(round_):
    for wrong, error, message in (
        ([{"x": 4.1}], SpaceError, "missing: z"),
        ([{"x": 4.1, "z": "a"}, {"x": "fast", "z": "a"}], SpaceError, r"given\[1\]"),
        ({"x": 4.1, "z": "a"}, SpaceError, "put it in"),
        ([{"x": 4.1, "z": "A"}], SpaceError, "'A' is not a choice of z; did you mean 'a'"),
    ):
        with pytest.raises(error, match=message):
            round_.add(given=wrong).run()
    assert round_.n == len(round_.trials) == 20


def test_a_reopened_round_takes_its_objective(tmp_path):
    with refine.Tree("t", store=tmp_path / "t.db") as tree:
        tree.add_round(SPACE, value, n=12).run()
    with refine.Tree("t", store=tmp_path / "t.db") as tree:
        round_ = tree["root"].add(given=[{"x": 4.1, "z": "a"}]).run(objective=value)
        assert round_.best["x"] == 4.1


def test_a_refused_idea_is_not_planned_in_an_imported_round(tree):
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0], "value": [0.1, 0.2, 0.3]})
    imported = tree.add_runs(rows, space={"x": (0.0, 9.0, 19)})
    with pytest.raises(DesignError, match="imported round"):
        imported.add(given=[{"x": 4.1}]).run()
    assert imported.n == 3


def test_ideas_beyond_the_budget_are_refused_with_the_number_that_fits(tree):
    root = tree.add_round(
        SPACE, value, n=6, seed=3, budget=7, metric=refine.Goal("value", noise="retraining")
    ).run()
    with pytest.raises(DesignError, match="got 2; add 1 or fewer"):
        root.add(given=[{"x": 4.1, "z": "a"}, {"x": 4.2, "z": "a"}]).run()
    assert root.n == 6
