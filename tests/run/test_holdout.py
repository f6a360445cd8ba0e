"""Opening a hold-out: sealed, logged, and a warning from the second time on."""

import signal

import pytest

import objectives
import refine
from refine.errors import AnalysisError, DesignError, ObjectiveError


class Sealed:
    """Validation flatters by its luck; the hold-out doesn't."""

    name = "sealed"

    def __init__(self):
        self.calls = []

    def __call__(self, params, trial):
        return {"acc": objectives.bowl(params) + trial.seed % 100 / 100, "other": 1.0}

    def holdout(self, params, trial):
        self.calls.append(trial.seed)
        return {"acc": objectives.bowl(params), "seen": 1.0}


@pytest.fixture
def round_(tree, space):
    return tree.add_round(space, Sealed(), metric=refine.Goal("acc", noise="retraining"), n=16, seed=1).run()


def test_opening_trains_the_best_again_and_is_logged(tree, round_):
    best = round_._recommend().candidates[:2]
    opening = tree.open_holdout(at=round_, top=2, seeds=3, note="for the paper", author="ann")
    assert opening.table["lr"].tolist() == [c.params["lr"] for c in best]
    assert opening.table["validation"].tolist() == [c.observed for c in best]
    assert opening.table["runs"].tolist() == [3, 3]
    truth = [objectives.bowl(row) for _, row in opening.table.iterrows()]
    assert opening.table["holdout"].tolist() == pytest.approx(truth)
    assert opening.runs["replicate"].tolist() == [1, 2, 3] * 2
    assert not {*opening.runs["seed"]} & {*round_.trials["seed"]}
    assert str(opening).startswith(f"hold-out of round {round_.id}, opened by ann on ")
    assert opening.to_dict()["schema"] == 1
    log = tree.log()
    assert log[["event", "round", "author", "note"]].to_numpy().tolist()[1:] == [
        ["hold-out opened", round_.id, "ann", "for the paper"]
    ]
    assert "hold" not in " ".join(round_.trials.columns)
    assert len(round_.trials) == 16
    assert round_.replicates.empty
    calls = len(round_._objective.calls)
    second_opening = tree.open_holdout(at=round_, top=2, seeds=3, author="bob")  # is no second look
    assert second_opening.table.equals(opening.table)
    assert (second_opening.author, len(round_._objective.calls)) == ("ann", calls)
    with refine.Tree("question", store=tree._url) as reopened:
        (stored,) = reopened[round_.id]._holdout_results
        assert stored.table.equals(opening.table)
        assert stored.runs.equals(opening.runs)
        with pytest.raises(ObjectiveError, match="objective"):
            reopened.open_holdout(at=round_.id)


def test_a_killed_opening_is_logged_and_resumes(tree, round_, monkeypatch):
    measure = Sealed.holdout
    limit = 3

    def killed(self, params, trial):
        if len(self.calls) == limit:
            for _ in range(2):  # Ctrl-C twice, which stops at once
                signal.raise_signal(signal.SIGINT)
        return measure(self, params, trial)

    with monkeypatch.context() as patch:
        patch.setattr(Sealed, "holdout", killed)
        with pytest.raises(KeyboardInterrupt):
            tree.open_holdout(at=round_, top=2, seeds=2)
    assert len(tree.log()) == 2
    assert round_._holdout_results[0].table["runs"].sum() == 3
    assert tree.open_holdout(at=round_, top=2, seeds=2).table["runs"].tolist() == [2, 2]
    assert len(round_._objective.calls) == 4


@pytest.mark.slow
def test_the_second_opening_on_a_branch_says_what_it_costs(tree, round_, space):
    child = round_.branch(space, n=12).run()
    sibling = round_.branch({**space, "junk": 1}, n=5).run()
    tree.open_holdout(at=child, top=1, seeds=1, author="ann")
    tree.open_holdout(at=sibling, top=1, seeds=1)  # no path leads through both
    text = (
        rf"round {round_.id}: the hold-out was opened 2 times before on this branch, last by .* at round "
        rf"{sibling.id}\. With this opening 4 configurations will have been measured on the same rows: "
        r"choosing among "
        r"them by it overstates the winner by up to 1\.0 standard errors"
    )
    with pytest.warns(UserWarning, match=text):
        tree.open_holdout(at=round_, top=2, seeds=1)
    with pytest.warns(UserWarning, match="2 times"):
        tree.open_holdout(at=child, top=3, seeds=1)


@pytest.mark.slow
def test_the_hold_out_measures_the_recommendation_and_not_the_baseline(tree, space):
    poor = {n: p.grid[0] for n, p in space.items()}
    round_ = tree.add_round(space, Sealed(), metric="acc", n=30, seed=1, baseline=poor).run()
    round_.add(repeat=4, seeds=3).run()
    opening = tree.open_holdout(at=round_, top=1, seeds=1)
    assert opening.table["lr"].tolist() == [round_._recommend().params["lr"]]
    assert opening.table["lr"].tolist() != [poor["lr"]]


def test_wrong_openings_of_the_hold_out_are_refused(tree, space, round_):
    plain = tree.add_round(space, objectives.bowl, n=5).run()
    with pytest.raises(ObjectiveError, match=r"KerasObjective\(..."):
        tree.open_holdout(at=plain)
    with pytest.raises(DesignError, match="number >= 1, got 0"):
        tree.open_holdout(at=round_, top=0)
    assert len(tree.log()) == 2  # nothing was opened
    not_run = tree.add_round(space, Sealed(), metric="acc", n=5, seed=2)
    with pytest.raises(AnalysisError, match="called best"):
        tree.open_holdout(at=not_run)
    round_._value = "other"
    with pytest.raises(AnalysisError, match="'other'.*acc, seen"):
        tree.open_holdout(at=round_)


@pytest.mark.slow
def test_trial_that_is_removed_after_an_opening_stays_in_its_result(tree, round_, tmp_path):
    best = round_._recommend().candidates[0]
    opening = tree.open_holdout(at=round_, top=2, seeds=2)
    trials = round_.trials
    tree.delete(round_, trials[(trials[list(best.params)] == list(best.params.values())).all(axis=1)])
    (stored,) = round_._holdout_results
    assert stored.table["removed"].tolist() == [True, False]
    assert stored.table["holdout"].tolist() == opening.table["holdout"].tolist()
    assert stored.table["validation"].isna().tolist() == [True, False]
    (details,) = round_.report(tmp_path / "report").parent.glob("*/details.md")
    for text in (str(stored), details.read_text()):
        assert "trial was removed" in text
    tree.export(tmp_path / "backup")
    with refine.Tree.load(tmp_path / "backup", store="sqlite://") as back:
        assert back[round_.id]._holdout_results[0].table.equals(stored.table)
