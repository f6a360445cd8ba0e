"""A round grows in steps, without a child: by even trials and by trials that the model chooses."""

import time
from contextlib import ExitStack, suppress

import pandas as pd
import pytest

import refine
from refine.errors import DesignError, ReviewError, RoundBusyError

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}


def smooth(params):
    return 1 - 0.02 * (params["lr"] - 1.4) ** 2 - 0.2 * params["dropout"]


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: tree.add_round(SPACE, smooth, n=20, seed=7, noise="retraining").run()


def origins(round_):
    return round_.trials["origin"].value_counts().to_dict()


def test_even_trials_continue_the_design(root, tree):
    root.grow(6)
    planned_at_once = tree.add_round(SPACE, smooth, n=26, seed=7)
    assert planned_at_once.id == root.id
    assert origins(root) == {"space_filling": 26}
    assert root.trials["cell"].tolist() == [str(cell) for cell in root.cells()]


def test_learning_trials_are_added_to_the_round(root):
    review = root.propose()
    root.grow(6, exploit=1.0)
    assert origins(root) == {"space_filling": 20, "exploit": 6}
    assert root.n == 26
    assert not root.children
    learned = root.trials[root.trials["origin"] == "exploit"]
    assert learned["value"].median() > root.trials["value"].median()
    assert root.propose().proposal.evidence != review.proposal.evidence


@pytest.mark.slow
def test_a_grown_round_grows_again_and_has_nothing_left_to_run(root):
    root.grow(4, exploit=0.5).grow(4, exploit=0.5)
    assert origins(root) == {"space_filling": 24, "exploit": 4}
    assert len(root.run().trials) == root.n == 28
    assert len(root.trials["cell"].dropna().unique()) == 24


def test_a_child_grows_by_the_asked_number_of_trials(root):
    child = root.branch({"lr": (0.5, 2.5, 5), "dropout": (0.0, 0.5, 6)}, n=5)
    child.run().grow(3, exploit=1.0)
    assert origins(child) == {"space_filling": 5, "exploit": 3}
    child.grow(2)
    assert origins(child) == {"space_filling": 7, "exploit": 3}


def test_a_child_with_a_share_of_learning_trials_keeps_its_share(root):
    child = root.branch(SPACE, n=8, exploit=0.5).run()
    child.grow(4)
    assert origins(child) == {"space_filling": 6, "exploit": 6}
    child.grow(4, exploit=1.0)
    assert origins(child) == {"space_filling": 6, "exploit": 10}


def test_a_wrong_number_and_a_wrong_share_are_refused(root):
    with pytest.raises(DesignError, match="^n must"):
        root.grow(0)
    with pytest.raises(ReviewError, match="^exploit must"):
        root.grow(6, exploit=2)
    assert len(root.trials) == 20


@pytest.mark.parametrize("exploit", [None, 1.0])
def test_more_trials_than_configurations_left_are_refused_before_one_runs(root, exploit):
    with pytest.raises(DesignError, match="left"):
        root.grow(41, exploit=exploit)
    assert root.n == len(root.trials) == 20


def test_a_refused_growth_or_idea_is_not_planned_while_the_round_runs(tree):
    def interrupting(params):
        with pytest.raises(RoundBusyError):
            tree.rounds[0].grow(2)
        with pytest.raises(RoundBusyError):
            tree.rounds[0].try_out([{"lr": 1.3, "dropout": 0.0}])
        return smooth(params)

    root = tree.add_round(SPACE, interrupting, n=6, seed=3, noise="retraining").run()
    assert root.n == len(root.trials) == 6


def slow_at_high_rates(params):
    time.sleep(0.0004 * params["lr"] ** 3)
    return 1 - 0.02 * (params["lr"] - 2.75) ** 2 - 0.2 * params["dropout"]


@pytest.mark.slow
def test_learning_trials_per_second_prefer_fast_configurations(tree):
    rates = {}
    for per in ("trial", "second"):
        root = tree.add_round(SPACE, slow_at_high_rates, n=20, seed=7, name=per, noise="retraining")
        root.run().grow(6, exploit=1.0, per=per)
        rates[per] = root.trials["lr"][root.trials["origin"] == "exploit"].mean()
    assert rates["second"] < rates["trial"]


def test_a_wrong_unit_is_refused_before_anything_is_planned(root):
    with pytest.raises(DesignError, match="per"):
        root.grow(2, per="hour")
    assert root.n == 20


def test_growing_beyond_the_space_names_the_number_left(tree):
    root = tree.add_round({"x": [1, 2, 3, 4]}, lambda p: p["x"], n=3).run()
    with pytest.raises(
        DesignError, match="got 2, but 4 exist and 3 ran or are planned; ask for n=1 or fewer"
    ):
        root.grow(2)


class Contested:
    """An objective whose data is looked up twice; another call takes the round at the second time."""

    def __init__(self):
        self.looks = None
        self.take = None

    @property
    def fingerprint(self):
        if self.looks is not None:
            self.looks += 1
            if self.looks == 2:
                self.take()
        return "data"

    def __call__(self, params):
        return smooth(params)


@pytest.mark.parametrize(
    "call",
    [
        lambda r, o: r.grow(2, objective=o),
        lambda r, o: r.grow(2, exploit=1.0, objective=o),
        lambda r, o: r.try_out([{"lr": 1.3, "dropout": 0.0}], objective=o),
    ],
    ids=["grow evenly", "grow by the model", "try_out"],
)
def test_a_round_that_another_call_takes_in_that_moment_gets_no_plan(tree, call):
    objective = Contested()
    root = tree.add_round(SPACE, objective, n=20, seed=7, noise="retraining")
    root.run()
    with ExitStack() as stack:
        objective.looks = 0
        objective.take = lambda: stack.enter_context(tree._context.store.lease(root._stored.pk, "round"))
        with suppress(RoundBusyError):
            call(root, objective)
        objective.looks = None
    assert root.n == len(root.trials)


def test_a_larger_size_is_not_planned_while_another_call_runs_the_round(root, tree):
    with tree._context.store.lease(root._stored.pk, "round"), pytest.raises(RoundBusyError):
        root.run(n=25)
    assert root.n == 20


def test_progress_of_an_addition_is_one_bar(root, capsys):
    root.grow(5, exploit=0.6, machine=refine.Machine())
    lines = capsys.readouterr().err.splitlines()
    assert "20/25" in lines[0]
    assert "25/25" in lines[-1]
    assert sum("100%" in line for line in lines) == 1


def test_progress_of_an_addition_counts_the_infeasible_trials_of_all_batches(tree, capsys):
    tree.machine = refine.Machine()  # shows progress

    def outgrown(params):
        return {"value": params["x"], "size": 9.0 * (len(root.trials) >= 12)}

    root = tree.add_round(
        {"x": (0.0, 1.0, 40)}, outgrown, n=12, seed=3, subject_to=["size <= 5"], noise="retraining"
    )
    root.run()
    root.grow(3, exploit=1.0)
    assert "3 infeasible" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("call", [lambda round_: round_.run(n=100), lambda round_: round_.grow(100)])
def test_a_larger_size_of_an_imported_round_is_refused_as_such(tree, call):
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0], "value": [0.1, 0.2, 0.3]})
    imported = tree.add_runs(rows, space={"x": (0.0, 9.0, 19)})
    with pytest.raises(DesignError, match="imported round has nothing to run"):
        call(imported)
    assert imported.n == 3
