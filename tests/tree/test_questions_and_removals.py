"""Questions while other processes remove the rounds behind them."""

import numpy as np
import pytest

import refine
from refine.errors import AnalysisError, RoundBusyError
from refine.tree.questions import questions as questions_of

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
        root = tree.add_round(
            SPACE, score, n=24, seed=1, metric=refine.Goal("value", noise="retraining")
        ).run()
        for seed in (2, 3):
            root.branch(SPACE, n=12, seed=seed).run()
        yield tree, other


@pytest.mark.slow
def test_a_question_outlives_a_round_of_its_evidence(study, score):
    tree, other = study
    answer = tree.ask(QUESTION, epsilon=0.05)
    root = tree[answer.round]
    other.delete(tree.rounds[-1].id)
    score.ran.clear()
    renewed = answer.again()
    assert renewed.round == answer.round
    assert renewed.trials < answer.trials
    n = root.n
    assert root.add(3, settle=answer).n == root.add(3, settle=renewed).n == n + 3
    assert not score.ran
    assert [stored.trials for stored in questions_of(tree, suggest=False).asked[0].answers] == [
        answer.trials,
        renewed.trials,
    ]


def test_a_question_about_a_tree_without_rounds_gives_an_error_and_stays(study, score):
    tree, other = study
    answer = tree.ask(QUESTION, epsilon=0.05)
    other.delete(tree.rounds[0].id, below=True)
    score.ran.clear()
    with pytest.raises(AnalysisError, match="has no round yet"):
        answer.again()
    assert not score.ran
    assert len(tree) == 0
    assert questions_of(tree, suggest=False).asked[0].answers[-1].probability == answer.probability


@pytest.mark.slow
def test_a_round_that_is_removed_while_a_question_is_settled_costs_no_trial(study, score):
    tree, other = study
    answer = tree.ask(QUESTION, epsilon=0.05)
    branch = tree.rounds[1].id
    assert branch != answer.round
    before = len(score.ran)

    def removing():
        with pytest.raises(RoundBusyError, match="is being run"):
            other.delete(answer.round, below=True)
        other.delete(branch)

    score.act = removing
    tree[answer.round].add(9, settle=answer).run()
    later = answer.again()
    assert len({*score.ran[before:]}) == len(score.ran) - before == 9
    configurations = [tuple(row) for r in tree.rounds for row in r.trials[list(SPACE)].to_numpy()]
    assert len(configurations) == later.trials == 24 + 12 + 9
    assert len({*configurations}) == len(configurations)
    assert answer.again().trials == later.trials
