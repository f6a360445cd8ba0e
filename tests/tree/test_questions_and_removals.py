"""Questions while other processes remove the rounds behind them."""

import numpy as np
import pytest

import refine
from refine.errors import AnalysisError, NotFoundError, RefineWarning, RoundBusyError

SPACE = {"lr": refine.Float(1e-4, 10.0, levels=11, log=True), "layers": (1, 5), "opt": ["adam", "rms", "sgd"]}
QUESTION = "layers >= 3"


class Score:
    """A noisy objective that keeps its configurations, and acts once while a trial runs."""

    def __init__(self):
        self.ran = []
        self.act = None

    def __call__(self, p, trial):
        self.ran.append(tuple(p.items()))
        if self.act is not None:
            act = self.act
            self.act = None
            act()
        noise = np.random.default_rng(trial.seed).normal(0, 0.3)
        return 1 - 0.1 * (np.log10(p["lr"]) + 1) ** 2 - 0.04 * (p["layers"] - 2) ** 2 + noise


@pytest.fixture
def score():
    return Score()


@pytest.fixture
def study(tmp_path, score):
    """A tree of a root and two children, opened twice."""
    store = tmp_path / "a.db"
    with refine.Tree("study", store=store) as tree, refine.Tree("study", store=store) as other:
        root = tree.add_round(SPACE, score, n=24, seed=1, noise="retraining").run()
        for seed in (2, 3):
            root.branch(SPACE, n=12, seed=seed).run()
        yield tree, other


@pytest.mark.slow
def test_a_question_outlives_the_round_that_answered_it(study, score):
    tree, other = study
    answer = tree.ask(QUESTION, epsilon=0.05)
    assert answer.round == tree.rounds[-1].id
    other.delete_round(answer.round)
    score.ran.clear()
    renewed = answer.again()
    assert renewed.round == tree.rounds[-1].id
    assert renewed.trials < answer.trials
    settling = answer.settle(3)
    assert settling.parent.id == renewed.round
    assert (answer.settle(3).id, renewed.settle(3).id) == (settling.id, settling.id)
    assert not score.ran
    assert [stored.trials for stored in tree.questions(suggest=False).asked[0].answers] == [
        answer.trials,
        renewed.trials,
    ]
    other.delete_round(settling.id)
    with pytest.raises(NotFoundError, match="was removed"):
        settling.run()
    assert answer.settle(3).id == settling.id
    assert not score.ran


def test_a_question_about_a_tree_without_rounds_gives_an_error_and_stays(study, score):
    tree, other = study
    answer = tree.ask(QUESTION, epsilon=0.05)
    other.delete_round(tree.rounds[0].id, below=True)
    score.ran.clear()
    calls = (answer.again, answer.settle, lambda: answer.settle_within(6))
    for call in calls:
        with pytest.raises(AnalysisError, match="has no round yet"):
            call()
    assert not score.ran
    assert len(tree) == 0
    assert tree.questions(suggest=False).asked[0].answers[-1].probability == answer.probability


@pytest.mark.slow
def test_a_round_that_is_removed_while_a_question_is_settled_costs_no_trial(study, score):
    tree, other = study
    answer = tree.ask(QUESTION, epsilon=0.05)
    branch = tree.rounds[1].id
    assert branch != answer.round
    before = len(score.ran)

    def removing():
        for refused in (other.rounds[-1].id, tree.rounds[0].id):
            with pytest.raises(RoundBusyError, match="is being run"):
                other.delete_round(refused, below=True)
        other.delete_round(branch)

    score.act = removing
    later = answer.settle_within(9)
    assert len({*score.ran[before:]}) == len(score.ran) - before == len(tree.rounds[-1].trials) == 9
    configurations = [tuple(row) for r in tree.rounds for row in r.trials[list(SPACE)].to_numpy()]
    assert len(configurations) == later.trials == 24 + 12 + 9
    assert not {*configurations[-9:]} & {*configurations[:-9]}
    assert answer.again().trials == later.trials


@pytest.mark.slow
def test_a_warning_counts_the_trials_that_ran_though_evidence_was_removed(study, score):
    tree, other = study
    answer = tree.ask(QUESTION, epsilon=0.05)
    other.delete_round(tree.rounds[1].id)
    tree.budget = tree.budget_state.spent + 3
    with pytest.warns(RefineWarning) as warned:
        answer.settle_within(6)
    assert "open after 3 further trials: the budget is spent" in str(warned[-1].message)
