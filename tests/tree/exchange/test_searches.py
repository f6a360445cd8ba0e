"""Imported searches: refine detects how trials were drawn, and runs no tests if a search chose them."""

import json
import math

import numpy as np
import optuna
import pytest

from refine.errors import AnalysisError
from refine.proposal.proposal import proposal_from_json, proposal_to_json
from refine.report.pages.reasons import sentence
from tests.reading import codes_of, facts_of


def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    y = trial.suggest_float("y", 1e-4, 1, log=True)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    return -((x - 0.3) ** 2) - 0.1 * (np.log10(y) + 2) ** 2 - 0.2 * (kind != "b")


def made(sampler, n=60):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=n)
    return study


@pytest.fixture(scope="module")
def tpe():
    return made(optuna.samplers.TPESampler(seed=0))


def table_of(study):
    return study.trials_dataframe(attrs=("params", "value")).rename(
        columns=lambda c: c.removeprefix("params_")
    )


@pytest.mark.slow
def test_trials_that_a_search_chose_are_judged_by_the_model_alone(tree, tpe, tmp_path):
    analysis = tree.add_runs(tpe, space_filling=False).analyze()
    assert (analysis.tested, analysis.n_space_filling) == (False, 0)
    assert codes_of(analysis.cautions) == ["untested"]
    assert all(math.isnan(e.p) and math.isnan(e.q) and not e.matters for e in analysis.parameters)
    assert not analysis.pairs
    assert {finding.verdict for finding in analysis.findings.values()} == {"untested"}
    review = tree.rounds[0].propose(risk=0.3)
    changed = [c for c in review.proposal.changes if c.kind != "keep"]
    assert changed
    assert all(c.reasons[0].code == "model_alone" for c in changed)
    assert review.space.contains(tree.rounds[0].trials.nlargest(1, "value")).all()
    assert "Caution" in facts_of(review.proposal)
    stored = json.loads(json.dumps(proposal_to_json(review.proposal)))
    assert all(c["q"] is None for c in stored["changes"])
    assert proposal_from_json(stored).digest == review.proposal.digest
    assert review.proposal.advice.n > 0
    text = str(analysis.why()) + str(review.why())
    assert "these 60 trials" in text
    assert "nan" not in text
    assert review.accept(n=12).n == 12
    report = tree.rounds[0].report(tmp_path / "reports")
    (details,) = report.parent.glob("*/details.md")
    written = report.read_text() + details.read_text()
    assert "these 60 trials" in written
    assert "<summary>Densities</summary>" not in written
    with pytest.raises(AnalysisError, match="^.*untested"):
        tree.rounds[0].plot.density("x")


@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, optuna.samplers.CmaEsSampler])
def test_notes_of_a_sampler_show_that_trials_were_chosen(tree, sampler):
    root = tree.add_runs(made(sampler(seed=1), n=16))
    assert (set(root.trials["origin"]), root.analyze().tested) == ({"adaptive"}, False)


def test_values_tell_a_search_from_random_draws_without_notes(tree, tpe):
    finding = tree.add_runs(table_of(tpe))
    assert not finding.analyze().tested
    assert finding.analyze().drawn.p < 0.001
    assert "import them with space_filling=True" in str(finding)  # the values cannot prove a search
    drawn = table_of(made(optuna.samplers.RandomSampler(seed=0)))
    random = tree.add_runs(drawn)
    assert set(random.trials["origin"]) == {"imported"}
    assert codes_of(random.analyze().cautions) == ["imported"]
    assert sentence(random.analyze().cautions[0]) in str(random)
    declared = tree.add_runs(drawn, space_filling=True).analyze()
    assert declared.cautions == ()
    assert [e.q for e in declared.parameters] == [e.q for e in random.analyze().parameters]
    with pytest.raises(AnalysisError, match="^space_filling must"):
        tree.add_runs(drawn, space_filling="yes")


def test_a_grid_says_so(tree):
    grid = {"x": [0, 0.3, 0.6, 0.9], "y": [1e-3, 1e-2], "kind": ["a", "b"]}
    root = tree.add_runs(made(optuna.samplers.GridSampler(grid, seed=0), n=16))
    assert (set(root.trials["origin"]), root.analyze().tested) == ({"space_filling"}, True)


def test_a_declared_sampling_counts_and_is_doubted_if_clearly_wrong(tree, tpe):
    analysis = tree.add_runs(tpe, space_filling=True).analyze()
    assert analysis.n_space_filling == 60
    assert codes_of(analysis.cautions) == ["uneven"]
