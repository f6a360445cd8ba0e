"""The budget of a study: what it counts, what it refuses, and what it advises."""

import contextlib
import sqlite3
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

import refine
from refine.errors import DesignError
from refine.review.checks import Check, Checks
from refine.review.review import advised_round_of, next_step
from refine.store.budget import write_claim
from refine.trials.budget import BudgetState, checked_budget, first_size, raised, seconds_of
from refine.utils.action import Action
from tests.reading import facts_of, warnings_of

SPACE = {"x": (0.0, 9.0, 40), "y": (0.0, 1.0, 20), "c": ["a", "b", "d"]}


def truth(params):
    return 1.0 - 0.01 * abs(params["x"] - 4) + 0.02 * (params["c"] == "b")


def noisy(params, trial):
    return truth(params) + np.random.default_rng(trial.seed).normal(0, 0.01)


def failing(params):
    if params["c"] == "a":
        raise ValueError("never trains")
    return truth(params)


@pytest.mark.parametrize(
    ("budget", "stored"),
    [
        (60, 60),
        ("60", 60),
        ("8 h", "8 h"),
        (" 1 h 30 min", "1 h 30 min"),
        ("1h30m", "1h30m"),
        ("2 hours", "2 hours"),
        (timedelta(hours=2), "2 h"),
        (timedelta(seconds=0.1), "0.1 s"),
        (timedelta(minutes=100), "6000 s"),
        (timedelta(days=100_000), "2400000 h"),
        (None, None),
    ],
)
def test_a_budget_is_trials_or_a_training_time(budget, stored):
    assert checked_budget(budget) == stored


@pytest.mark.parametrize(
    "budget",
    [0, True, 2.5, "", "8 weeks", timedelta(0), [60], "9" * 5000, "9" * 99 + " h"],
)
def test_any_other_budget_is_refused(budget, tree):
    with pytest.raises(DesignError, match="trials >= 1"):
        tree.budget = budget


def test_a_budget_of_time_needs_the_size_of_the_first_round(tree):
    with pytest.raises(DesignError, match="needs the size of the first round, got budget='2 h' without n="):
        tree.add_round({"x": (0.0, 9.0, 19)}, truth, budget="2 h")
    assert not tree.rounds


def test_a_budget_of_thousands_of_digits_is_refused(tree):
    with pytest.raises(DesignError, match="1,000,000,000,000"):
        tree.budget = 10**5000


def test_a_budget_is_kept_in_the_store_and_can_be_removed(tmp_path):
    with refine.Tree("study", store=tmp_path / "a.db") as tree:
        assert tree.budget.limit is None
        assert tree.budget.left is None
        tree.budget = 60
    with refine.Tree("study", store=tmp_path / "a.db") as tree:
        assert tree.budget.limit == 60
        tree.budget = None
        assert tree.budget.limit is None


def test_every_trial_counts_once_failed_ones_and_repeats_too(tree):
    first = tree.add_round(SPACE, failing, n=18, budget=60).run()
    assert {"failed", "complete"} == set(first.trials["state"])
    repeats = len(first.replicates)
    assert repeats == 3
    assert tree.budget.spent == 18 + repeats
    assert tree.budget.repeats == repeats
    first.add(given=[{"x": 4.0, "y": 0.5, "c": "b"}]).run()
    assert tree.budget.spent == 19 + repeats
    assert tree.budget.left == 60 - 19 - repeats


def test_imported_trials_are_free_but_their_repeats_are_paid(tree):
    import pandas as pd

    rows = [{"x": x, "value": truth({"x": x, "c": "b"})} for x in np.linspace(0, 9, 12)]
    imported = tree.add_runs(
        pd.DataFrame(rows), space={"x": (0.0, 9.0, 12)}, objective=lambda p: 1.0 - p["x"]
    )
    tree.budget = 20
    assert tree.budget.spent == 0
    imported.add(repeat=1, seeds=2).run()
    assert tree.budget.spent == 2


def test_a_round_that_exceeds_the_budget_is_refused_before_anything_is_written(tree):
    with pytest.raises(DesignError, match=r"allows 60 more trials .* got 70; ask for n=60 or fewer") as error:
        tree.add_round(SPACE, noisy, n=70, budget=60)
    assert "tree.budget = 70" in str(error.value)
    assert len(tree) == 0
    assert tree.budget.limit is None


def test_an_extension_and_a_repeat_are_refused_too(tree):
    first = tree.add_round(
        SPACE, noisy, n=12, budget=15, metric=refine.Goal("value", noise="retraining")
    ).run()
    with pytest.raises(DesignError, match="3 more trials .*n=15"):
        first.run(n=20)
    with pytest.raises(DesignError, match="got 4; plan fewer repeats"):
        first.add(repeat=2, seeds=2).run()
    assert tree.budget.spent == 12
    first.add(repeat=1, seeds=3).run()
    assert tree.budget.left == 0
    tree.budget = 20
    assert first.run(n=16).n == 16


def test_noise_is_not_measured_with_trials_that_the_budget_lacks(tree, capfd):
    first = tree.add_round(SPACE, noisy, n=12, budget=12).run()
    assert len(first.replicates) == 0
    assert "not measured" in capfd.readouterr().err


def test_noise_runs_are_announced_without_a_progress_bar(tree, capfd):
    tree.add_round(SPACE, noisy, n=12, budget=20).run()
    assert "measure noise" in capfd.readouterr().err


def test_two_coordinators_claim_no_trial_twice(tmp_path):
    store = tmp_path / "a.db"
    with refine.Tree("study", store=store) as first, refine.Tree("study", store=store) as two:
        configurations = []

        def other(params):
            if not configurations:
                configurations.append(two.budget.running)
                with pytest.raises(DesignError, match="4 more trials"):
                    two.add_round(SPACE, noisy, n=5, seed=2)
                second = two.add_round(SPACE, noisy, n=4, seed=2)
                configurations.append(len(second.run().trials))
            return truth(params)

        first.add_round(SPACE, other, n=8, budget=12).run()
        assert configurations == [8, 4]
        assert first.budget == BudgetState(12, 12, 0, 0, first.budget.seconds)


def test_a_budget_set_during_a_run_counts_the_running_trials(tree):
    running = []

    def setting(params):
        if not running:
            tree.budget = 10
            running.append(tree.budget.running)
            with pytest.raises(DesignError, match="2 more trials"):
                tree.add_round(SPACE, noisy, n=3, seed=2)
        return truth(params)

    tree.add_round(SPACE, setting, n=8, metric=refine.Goal("value", noise="retraining")).run()
    assert running == [8]
    assert tree.budget.left == 2


def test_a_call_that_ends_early_gives_its_claim_back(tree):
    first = tree.add_round(SPACE, noisy, n=10, budget=12)
    first.run(trials=4)
    assert (tree.budget.spent, tree.budget.running, tree.budget.left) == (4, 0, 8)


def test_a_training_time_stops_a_run_and_then_refuses_one(tree, capsys):
    tree.machine = refine.Machine()  # shows progress

    def slow(params, trial):
        end = np.random.default_rng(trial.seed).random()
        import time

        time.sleep(0.02)
        return end

    first = tree.add_round(SPACE, slow, n=40, budget="0.1 s").run()
    assert 1 <= len(first.trials) < 40
    assert "; raise " in capsys.readouterr().err
    assert tree.budget.seconds_left == 0
    with pytest.raises(DesignError, match=r"0.1 s"):
        first.run()


def test_a_budget_never_falls_below_the_spent_trials(tree):
    tree.add_round(SPACE, noisy, n=12, budget=20, metric=refine.Goal("value", noise="retraining")).run()
    with pytest.raises(DesignError, match="got 5"):
        tree.budget = 5
    tree.add_round(SPACE, noisy, n=12, budget=15)
    assert tree.budget.limit == 20


def test_the_first_round_takes_a_third_of_the_budget(tree):
    assert [first_size(n) for n in (12, 30, 60, 100)] == [12, 12, 20, 33]
    first = tree.add_round(SPACE, noisy, budget=90)
    assert first.n == 30
    first.run(trials=2)
    assert tree.add_round(SPACE, noisy, budget=90).id == first.id


def test_budgets_of_one_kind_only_rise():
    assert raised(None, 60) == 60
    assert raised(60, None) == 60
    assert raised(60, 30) == 60
    assert raised("8 h", "90 min") == "8 h"
    assert raised("8 h", 60) == 60


def test_a_seventh_of_the_budget_is_kept_for_confirming_a_noisy_winner():
    state = BudgetState(60, 36, 0, 3, 90.0)
    assert state.reserve() == 6
    assert state.for_rounds() == 18
    assert state.for_rounds(noisy=False) == 24
    assert BudgetState("8 h", 10, 0, 0, 3600.0).left == 70
    for text in ("90 min", "1.5 Hours", "1h30m", "1 hr 30 minutes", "5400 seconds", "0.0625 days"):
        assert seconds_of(text) == 5400
    assert seconds_of("90 minute s") == seconds_of("3 months") == 0


@pytest.fixture(scope="session")
def first_round():
    """Of a study of 60 trials."""
    return lambda tree: tree.add_round(SPACE, noisy, budget=60, seed=3).run()


@pytest.mark.slow
def test_advice_fits_into_the_budget_from_the_first_call_to_the_last(root, tree):
    review = root.propose()
    sizes = []
    while advised_round_of(review).n:
        n_left = tree.budget.left
        advised = advised_round_of(review)
        assert advised.n <= n_left - tree.budget.reserve()
        assert review.worth().n <= advised.n
        assert f" {advised.n} trials" in review._page().lead.text
        sizes.append(advised.n)
        child = review.accept().run()
        assert child.n == advised.n
        review = child.propose()
    assert sum(sizes) >= 30
    assert next_step(review).action.name == "tree.confirm"
    assert "accept" not in str(review._page().calls[0])
    before = tree.budget.left
    assert before == tree.budget.reserve()
    tree.confirm()
    assert 0 <= tree.budget.left < before


def test_a_later_round_under_a_budget_mostly_learns(root):
    advised = advised_round_of(root.propose())
    assert advised.n - advised.even > advised.even


def test_a_size_beyond_the_budget_is_refused_when_it_is_accepted(root, tree):
    with pytest.raises(DesignError, match="budget"):
        root.propose().accept(n=60)
    assert len(tree) == 1


def test_confirm_uses_the_trials_left_and_refuses_more(tree):
    first = tree.add_round(SPACE, noisy, n=20, budget=26).run()
    worst = first.trials.sort_values("value").iloc[0]
    spent = tree.budget.repeats
    n_left = tree.budget.left
    with pytest.raises(DesignError, match=f"allows {n_left} more trials .* budget={spent + n_left},"):
        tree.confirm(budget=spent + n_left + 1)
    with pytest.raises(DesignError, match="budget"):
        tree.judge("winner", {"x": worst["x"], "c": worst["c"]}, budget=40)
    assert tree.budget.left == n_left
    won = tree.confirm()
    assert won.race.runs <= spent + n_left
    assert tree.budget.left >= 0


@pytest.mark.slow
def test_after_repeats_have_decided_the_winner_no_surface_asks_to_confirm(tree):
    metric = refine.Goal("value", noise="retraining", epsilon=0.03)
    root = tree.add_round(SPACE, noisy, n=34, budget=40, metric=metric).run()
    assert str(root.propose()._page().calls[0]) == "tree.confirm()"
    confirmed = tree.confirm()
    assert confirmed.is_decided
    assert tree.budget.left
    review = root.propose()
    assert review.worth().decided
    assert next_step(review).reasons[0].code == "decided"
    for page in (review._page(), confirmed._page(), tree.winner()._page(), tree._page()):
        assert page.calls
        assert "confirm" not in " ".join(map(str, page.calls))


def test_a_noisy_winner_that_ran_once_is_not_handed_over_silently(tree):
    tree.add_round(SPACE, noisy, n=20, budget=24, metric=refine.Goal("value", noise="retraining")).run()
    assert len(warnings_of(tree.winner())) == 1
    assert str(tree.winner()._page().calls[0]) == "tree.confirm()"
    tree.rounds[0].add(repeat=1, seeds=4).run()
    spent = tree.winner()._page()
    assert spent.calls == ()


@pytest.mark.slow
def test_autopilot_spends_the_rest_of_the_budget(tree):
    first = tree.add_round(
        SPACE, truth, n=10, budget=16, metric=refine.Goal("value", noise="none"), name="truth"
    )
    last = refine.autopilot(tree)
    assert (last.parent.id, last.n) == (first.id, 6)
    assert tree.budget.left == 0
    with pytest.raises(DesignError, match="0 more"):
        refine.autopilot(first, budget=20)
    tree.budget = 18
    assert refine.autopilot(tree).id == last.id
    assert tree.budget.spent == 18


def test_an_exported_study_keeps_its_budget(tree, tmp_path):
    tree.add_round(SPACE, noisy, n=3, budget=30).run()
    folder = tree.export(tmp_path / "folder", reports=False)
    with refine.Tree.load(folder, store=tmp_path / "copy.db") as copy:
        assert copy.budget.limit == 30
        assert copy.budget.spent == 3


def test_a_copied_result_is_not_paid_for(tree):
    small = {"x": (0.0, 9.0, 5), "c": ["a", "b"]}
    tree.add_round(small, truth, n=8, budget=20, metric=refine.Goal("value", noise="none")).run()
    second = tree.add_round(small, truth, n=8, seed=1, metric=refine.Goal("value", noise="none")).run()
    copied = second.trials["seconds"].isin(tree.rounds[0].trials["seconds"]).sum()
    assert copied >= 6
    assert tree.budget.spent == 16 - copied


@pytest.mark.slow
def test_a_paid_round_is_advised_if_the_verdict_without_a_budget_is_stop(tree):
    first = tree.add_round(SPACE, truth, n=80, metric=refine.Goal("value", noise="none")).run()
    free = first.propose(keep=False)
    assert free.worth().verdict == "STOP"
    tree.budget = 100
    paid = first.propose(keep=False)
    assert paid.worth().verdict == "CONTINUE"
    assert str(paid._page().calls[0]) == "review.accept(n=20, exploit=0.9)"
    tree.budget = 80
    spent = first.propose(keep=False)
    assert spent.worth().verdict == "STOP"
    assert str(spent._page().calls[0]) == "tree.winner()"


def test_a_check_advises_no_more_repeats_than_are_left():
    check = Check("noise", "unknown", "unknown", {}, np.nan, action=Action("round.add", repeat=5, seeds=3))
    checks = Checks("1a2b", (check,))
    calls = [str(checks.within(n_left)["noise"].action) for n_left in (None, 15, 7, 2)]
    assert calls == [
        "round.add(repeat=5, seeds=3).run()",
        "round.add(repeat=5, seeds=3).run()",
        "round.add(repeat=2, seeds=3).run()",
        "None",
    ]


def test_a_judgement_asks_for_no_repeats_that_the_budget_lacks(tree):
    first = tree.add_round(SPACE, noisy, n=20, metric=refine.Goal("value", noise="retraining")).run()
    second, third = first.trials.sort_values("value").iloc[[-2, -3]].to_dict("records")
    pair = [{"x": trial["x"], "c": trial["c"]} for trial in (second, third)]
    assert tree.judge(*pair)._page().calls[0].name == "tree.judge"
    tree.budget = 21
    assert tree.judge(*pair)._page().calls[0].name == "judgement.why"


def test_the_claim_of_a_dead_process_does_not_count(tree):
    first = tree.add_round(SPACE, noisy, n=10, budget=12, metric=refine.Goal("value", noise="retraining"))
    store = tree._context.store
    store._written(lambda connection: write_claim(connection, tree._context.tree, first._stored.pk, 10))
    assert tree.budget.running == 0
    assert len(first.run().trials) == 10


def test_a_tree_as_json_has_its_budget(tree):
    assert tree.to_dict()["budget"] is None
    tree.budget = 60
    assert tree.to_dict()["budget"]["text"].startswith("60 of 60")


def test_a_round_grows_only_within_the_budget(tree):
    first = tree.add_round(
        SPACE, noisy, n=20, budget=24, metric=refine.Goal("value", noise="retraining")
    ).run()
    with pytest.raises(DesignError, match="4 more trials"):
        first.add(6, exploit=1.0).run()
    assert len(first.trials) == 20
    assert len(first.add(4).run().trials) == 24


def test_a_long_training_time_counts_any_number_of_instant_trials():
    state = BudgetState("900000000000 s", spent=10, seconds=1e-300)
    assert state.left == 10**12
    assert str(state).endswith("about 1,000,000,000,000 trials")


def test_a_tree_suggests_a_proposal_then_confirm_then_the_winner(tree):
    first = tree.add_round(
        SPACE, noisy, n=20, budget=60, metric=refine.Goal("value", noise="retraining")
    ).run()
    assert str(tree._page().calls[0]) == f"tree[{first.id!r}].propose(risk=0.05)"
    first.run(n=51)
    assert tree.budget.left == tree.budget.reserve() == 9
    assert str(tree._page().calls[0]) == "tree.confirm()"
    first.add(repeat=3, seeds=3).run()
    assert tree.budget.left == 0
    assert str(tree._page().calls[0]) == "tree.winner()"


@pytest.mark.slow
def test_trials_kept_to_confirm_are_used_only_if_asked_for_and_with_one_warning(tree, recwarn):
    first = tree.add_round(
        SPACE, noisy, n=20, budget=60, metric=refine.Goal("value", noise="retraining")
    ).run()
    first.run(n=50)
    assert tree.budget.for_rounds() == 1
    answer = tree.ask("y <= 0.3", epsilon=1e-4)
    assert (answer.verdict, answer.needed) == ("open", 1)
    assert first.add(settle=answer).n == 51
    assert not recwarn.list
    first.add(7, settle=answer)
    (warning,) = recwarn.list
    message = "7 trials would use 6 of the 9 kept to confirm the winner; ask for 1 or fewer"
    assert message in str(warning.message)
    first.run()
    recwarn.clear()
    first.propose(keep=False).accept(n=2)
    (warning,) = recwarn.list
    assert "confirm the winner" in str(warning.message)


def test_a_doubtful_winner_with_repeats_states_its_runs_and_a_call_within_the_reserve(tree):
    root = tree.add_round(
        SPACE, noisy, n=20, budget=60, metric=refine.Goal("value", noise="retraining")
    ).run()
    root.add(repeat=1, seeds=2).run()
    won = replace(root._recommend(), budget=tree.budget)
    doubtful = replace(won, candidates=(won.candidates[0]._replace(replicates=(0.9, 0.91)),))
    doubtful = replace(doubtful, within=0.6, within_rows=0.6)
    page = doubtful._page()
    assert facts_of(doubtful)["Runs"] == "3: the planned run and 2 repeats"
    assert "20 configurations" in facts_of(doubtful)["Doubt"]
    reserve_text = "; 7 kept to confirm the winner"
    assert tree.budget.reserve_text() == reserve_text
    assert str(page.calls[0]) == "tree.confirm(budget=9)"
    assert replace(doubtful, within_rows=0.95)._page().calls == ()


def test_a_round_without_space_filling_trials_is_not_called_unfinished(tree):
    root = tree.add_round(SPACE, noisy, n=20, metric=refine.Goal("value", noise="retraining")).run()
    root.propose().accept(n=4, exploit=1.0, plan=refine.Plan(audit=0.0))
    page = str(tree.calibration().why())
    assert "0 of 0" not in page


def test_a_training_time_beyond_the_space_counts_its_configurations_instead_of_trials(tmp_path, capsys):
    with refine.Tree("study", store=tmp_path / "refine.db") as tree:
        tree.add_round(SPACE, truth, n=10, budget="8 h").run()
        assert "2,400" in capsys.readouterr().err
        state = tree.budget
        assert state.left > state.configurations == 2400
        assert "2,400" in str(state)
        assert state.reserve() == 360 - state.repeats


def test_a_budget_of_time_is_read_in_a_tree_whose_only_round_is_damaged(tmp_path):
    path = tmp_path / "refine.db"
    with refine.Tree("study", store=path) as tree:
        tree.add_round(SPACE, truth, n=10, budget="8 h").run()
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE node SET content = '{'")
        assert tree.rounds == ()
        assert tree.budget.configurations is None
        assert "of 8 h left" in str(tree.budget)
        assert str(tree.budget) in tree.budget._repr_html_()


def test_running_trials_of_a_round_count_once_when_the_round_is_extended(tree):
    refused = []

    def extending(params):
        if not refused:
            with pytest.raises(DesignError, match="20 more trials .* got 21; ask for n=20 or fewer") as error:
                tree.add_round(SPACE, extending, n=21)
            refused.append(error.value)
            tree.add_round(SPACE, extending, n=20)
        return truth(params)

    first = tree.add_round(SPACE, extending, n=10, budget=20, metric=refine.Goal("value", noise="retraining"))
    assert len(first.run().trials) == 10
    assert first.n == 20
    first.run()
    assert (tree.budget.spent, tree.budget.left) == (20, 0)


def test_running_repeats_count_next_to_the_trials_of_a_larger_plan(tree):
    calls = []

    def extending(params):
        calls.append(params)
        if len(calls) == 11:  # the first of eight repeats
            with pytest.raises(DesignError, match="2 more trials .* got 3"):
                tree.add_round(SPACE, extending, n=13)
        return truth(params)

    first = tree.add_round(
        SPACE, extending, n=10, budget=20, metric=refine.Goal("value", noise="retraining")
    ).run()
    first.add(repeat=4, seeds=2).run()
    assert (first.n, tree.budget.spent) == (10, 18)
    assert set(first.replicates["state"]) == {"complete"}


def test_the_configurations_of_a_space_are_counted_once_for_a_budget_of_time(tree, monkeypatch):
    counted = []
    valid = refine.Space.valid
    monkeypatch.setattr(
        refine.Space, "valid", lambda space, *a, **k: counted.append(space.digest) or valid(space, *a, **k)
    )
    space = refine.Space({**SPACE, "z": (0.0, 1.0, 5)}, constraints=["x + y + z <= 7.125"])
    root = tree.add_round(
        space, truth, n=10, budget="8 h", metric=refine.Goal("value", noise="retraining")
    ).run()
    root.branch({**SPACE, "z": (0.0, 0.5, 5)}, n=5)
    counted.clear()
    states = [tree.budget for _ in range(5)]
    assert len({state.configurations for state in states}) == 1
    assert states[0].configurations > 2400
    assert not counted  # the design of the round counted them before


def test_trackers_and_listeners_hear_nothing_of_a_run_that_the_budget_refuses(tree):
    class Tracker:
        calls = ()

        def start(self, record):
            self.calls += ("start",)

        def trial(self, trial):
            self.calls += ("trial",)

        def end(self, record):
            self.calls += ("end",)

    tracker = Tracker()
    root = tree.add_round(SPACE, truth, n=3, budget=6)
    with pytest.raises(DesignError, match="the budget allows 6 more trials"):
        root.run(
            n=10, machine=refine.Machine(on_round=lambda _: tracker.end(_), track=tracker, progress=False)
        )
    assert tracker.calls == ()
    root.run(machine=refine.Machine(track=tracker, progress=False))
    assert tracker.calls == ("start", "trial", "trial", "trial", "end")
    root.run(machine=refine.Machine(track=tracker, progress=False))
    assert tracker.calls[5:] == ("start", "end")


def test_a_budget_pays_for_every_attempt_of_the_trials_that_rerun_repeats(tree):
    root = tree.add_round(
        SPACE, failing, n=12, budget=40, seed=1, metric=refine.Goal("value", noise="retraining")
    ).run()
    failed = int((root.trials["state"] == "failed").sum())
    for attempts in (1, 2):
        with contextlib.suppress(refine.errors.RoundStoppedError):
            root.run(rerun="failed")
        assert tree.budget.spent == 12 + attempts * failed
    assert len(root.trials) == 12


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        ("0.05 h", "2 min 4 s of 3 min left"),
        ("1.5 h", "1 h 29 min of 1 h 30 min left"),
        ("8 h", "7 h 59 min of 8 h left"),
    ],
)
def test_a_budget_of_a_fraction_of_a_unit_is_printed_in_the_unit_of_the_time_left(budget, text):
    state = BudgetState(limit=budget, seconds=56.0)
    assert str(state) == text
