"""More trials are planned in a round: even ones, trials chosen by the model, and repeats."""

import time

import pandas as pd
import pytest

import refine
from refine.errors import DesignError, ReviewError, RoundBusyError

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}


def smooth(params):
    return 1 - 0.02 * (params["lr"] - 1.4) ** 2 - 0.2 * params["dropout"]


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: tree.add_round(
        SPACE, smooth, n=20, seed=7, metric=refine.Goal("value", noise="retraining")
    ).run()


def origins(round_):
    return round_.trials["origin"].value_counts().to_dict()


def test_even_trials_continue_the_design(root, tree):
    root.add(6).run()
    planned_at_once = tree.add_round(SPACE, smooth, n=26, seed=7)
    assert planned_at_once.id == root.id
    assert origins(root) == {"space_filling": 26}
    assert root.trials["cell"].tolist() == [str(cell) for cell in root._cells()]


def test_learning_trials_are_added_to_the_round(root):
    review = root.propose()
    root.add(6, exploit=1.0).run()
    assert origins(root) == {"space_filling": 20, "exploit": 6}
    assert root.n == 26
    assert not root.children
    learned = root.trials[root.trials["origin"] == "exploit"]
    assert learned["value"].median() > root.trials["value"].median()
    assert root.propose().proposal.evidence.digest != review.proposal.evidence.digest


@pytest.mark.slow
def test_a_larger_round_grows_again_and_has_nothing_left_to_run(root):
    root.add(4, exploit=0.5).run().add(4, exploit=0.5).run()
    assert origins(root) == {"space_filling": 24, "exploit": 4}
    assert len(root.run().trials) == root.n == 28
    assert len(root.trials["cell"].dropna().unique()) == 24


def test_a_child_grows_by_the_asked_number_of_trials(root):
    child = root.branch({"lr": (0.5, 2.5, 5), "dropout": (0.0, 0.5, 6)}, n=5)
    child.run().add(3, exploit=1.0).run()
    assert origins(child) == {"space_filling": 5, "exploit": 3}
    child.add(2).run()
    assert origins(child) == {"space_filling": 7, "exploit": 3}


def test_a_child_with_a_share_of_learning_trials_keeps_its_share(root):
    child = root.branch(SPACE, n=8, exploit=0.5).run()
    child.add(4).run()
    assert origins(child) == {"space_filling": 6, "exploit": 6}
    child.add(4, exploit=1.0).run()
    assert origins(child) == {"space_filling": 6, "exploit": 10}


def test_a_wrong_number_and_a_wrong_share_are_refused(root):
    with pytest.raises(DesignError, match="^n must"):
        root.add(0).run()
    with pytest.raises(ReviewError, match="^exploit must"):
        root.add(6, exploit=2).run()
    assert len(root.trials) == 20


@pytest.mark.parametrize("exploit", [None, 1.0])
def test_more_trials_than_configurations_left_are_refused_before_one_runs(root, exploit):
    with pytest.raises(DesignError, match="left"):
        root.add(41, exploit=exploit).run()
    assert root.n == len(root.trials) == 20


def test_a_refused_growth_or_idea_is_not_planned_while_the_round_runs(tree):
    def interrupting(params):
        with pytest.raises(RoundBusyError):
            tree.rounds[0].add(2).run()
        with pytest.raises(RoundBusyError):
            tree.rounds[0].add(given=[{"lr": 1.3, "dropout": 0.0}]).run()
        return smooth(params)

    root = tree.add_round(
        SPACE, interrupting, n=6, seed=3, metric=refine.Goal("value", noise="retraining")
    ).run()
    assert root.n == len(root.trials) == 6


def slow_at_high_rates(params):
    time.sleep(0.0004 * params["lr"] ** 3)
    return 1 - 0.02 * (params["lr"] - 2.75) ** 2 - 0.2 * params["dropout"]


@pytest.mark.slow
def test_learning_trials_per_second_prefer_fast_configurations(tree):
    rates = {}
    for per in ("trial", "second"):
        root = tree.add_round(
            SPACE, slow_at_high_rates, n=20, seed=7, name=per, metric=refine.Goal("value", noise="retraining")
        )
        root.run().add(6, exploit=1.0, per=per).run()
        rates[per] = root.trials["lr"][root.trials["origin"] == "exploit"].mean()
    assert rates["second"] < rates["trial"]


def test_a_tree_with_trials_left_to_run_leads_to_the_call_that_runs_them(tree):
    root = tree.add_round(SPACE, smooth, n=4, metric=refine.Goal("value", noise="none")).run()
    assert tree._page().calls[0].name.endswith(".propose")
    root.add(3)
    calls = [call.name for call in tree._page().calls]
    assert calls == [f"tree[{root.id!r}].run", "tree.winner", "tree.report"]  # 4 trials allow no proposal


def test_a_wrong_unit_is_refused_before_anything_is_planned(root):
    with pytest.raises(DesignError, match="per"):
        root.add(2, per="hour").run()
    assert root.n == 20


def test_growing_beyond_the_space_names_the_number_left(tree):
    root = tree.add_round({"x": [1, 2, 3, 4]}, lambda p: p["x"], n=3).run()
    with pytest.raises(
        DesignError, match="got 2, but 4 exist and 3 ran or are planned; ask for n=1 or fewer"
    ):
        root.add(2).run()


def test_a_larger_size_is_not_planned_while_another_call_runs_the_round(root, tree):
    with tree._context.store.lease(root._stored.pk, "round"):
        for call in (lambda: root.run(n=25), lambda: root.add(5), lambda: root.add(repeat=1)):
            with pytest.raises(RoundBusyError):
                call()
    assert root.n == 20


def test_progress_of_an_addition_is_one_bar(root, capsys):
    root.add(5, exploit=0.6).run(machine=refine.Machine())
    lines = capsys.readouterr().err.splitlines()
    assert "20/25" in lines[0]
    assert "25/25" in lines[-1]
    assert sum("100%" in line for line in lines) == 1


def test_planned_trials_of_all_kinds_run_after_reopening(tmp_path):
    store = tmp_path / "t.db"
    with refine.Tree("t", store=store) as tree:
        root = tree.add_round(
            SPACE, smooth, n=12, seed=7, metric=refine.Goal("value", noise="retraining")
        ).run()
        assert root.add(2).add(3, exploit=1.0).add(given=[{"lr": 1.41, "dropout": 0.0}]).add(repeat=2) is root
        assert (root.n, len(root.trials), len(root.replicates)) == (18, 12, 0)
    with refine.Tree("t", store=store) as tree:
        root = tree["root"].run(objective=smooth, trials=2)
        assert len(root.trials) + len(root.replicates) == 14
        root.run(objective=smooth, trials=5)
        assert (len(root.trials), len(root.replicates)) == (18, 1)
        root.run(objective=smooth)
        assert origins(root) == {"space_filling": 14, "exploit": 3, "given": 1}
        assert len(root.replicates) == 6
        assert len(root.run(objective=smooth).replicates) == 6


def test_learning_trials_are_planned_before_the_first_trial_and_drawn_evenly_without_evidence(tree):
    root = tree.add_round(SPACE, smooth, n=2, seed=7, metric=refine.Goal("value", noise="retraining")).add(
        3, exploit=1.0
    )
    assert root.n == 5
    assert origins(root.run()) == {"space_filling": 2, "exploit": 3}
    assert not root.trials.duplicated(list(SPACE)).any()


def test_a_call_plans_trials_of_one_kind(root):
    for options, named in (
        ({}, "none"),
        ({"given": []}, "none"),
        ({"n": 3, "repeat": 2}, "repeat= and n="),
        ({"given": [{"lr": 1.0, "dropout": 0.0}], "repeat": 2}, "given= and repeat="),
        ({"settle": "lr <= 1", "exploit": 0.5}, "settle= and exploit="),
        ({"given": [{"lr": 1.0, "dropout": 0.0}], "exploit": 1.0}, "given= and exploit="),
    ):
        with pytest.raises(DesignError, match=named):
            root.add(**options)
    assert root.n == 20


def test_repeats_beyond_the_budget_are_refused(tree):
    root = tree.add_round(
        SPACE, smooth, n=12, seed=7, budget=15, metric=refine.Goal("value", noise="retraining")
    ).run()
    with pytest.raises(DesignError, match="got 6; plan fewer repeats, or raise the budget"):
        root.add(repeat=2)
    assert len(root.add(repeat=1).run().replicates) == 3
    assert tree.budget.left == 0


def test_additions_are_exported_and_loaded(root, tree, tmp_path):
    root.add(4, exploit=1.0, per="second").add(repeat=1)
    tree.export(tmp_path / "folder")
    with refine.Tree.load(tmp_path / "folder", store=tmp_path / "other.db") as loaded:
        assert loaded["root"]._stored.additions == root._stored.additions
        assert len(loaded["root"]._stored.additions) == 2
        reloaded = loaded["root"].run(objective=smooth)
        assert origins(reloaded) == {"space_filling": 20, "exploit": 4}
        assert len(reloaded.replicates) == 3


def test_repeats_of_imported_trials_run(tree):
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0], "value": [0.1, 0.2, 0.3]})
    imported = tree.add_runs(rows, space={"x": (0.0, 9.0, 19)}).add(repeat=1)
    assert imported.run(objective=lambda p: p["x"]).replicates["x"].tolist() == [3.0] * 3


@pytest.mark.parametrize("call", [lambda round_: round_.run(n=100), lambda round_: round_.add(100)])
def test_a_larger_size_of_an_imported_round_is_refused_as_such(tree, call):
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0], "value": [0.1, 0.2, 0.3]})
    imported = tree.add_runs(rows, space={"x": (0.0, 9.0, 19)})
    with pytest.raises(DesignError, match="imported round has nothing to run"):
        call(imported)
    assert imported.n == 3
