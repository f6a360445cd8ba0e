"""The certificate of a winner: records, hold-out, and sentences for a paper."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError

SPACE = {"x": (0.0, 9.0, 19), "y": (0.0, 1.0, 5), "z": ["a", "b", "c"], "idle": (0, 5)}
POOR = {"x": 8.13, "y": 1.0, "z": "c", "idle": 2}


def truth(params):
    return 1.0 - 0.02 * (params["x"] - 4) ** 2 - 0.2 * params["y"] - 0.1 * (params["z"] == "c")


class Sealed:
    """A model with noise of its seed, whose hold-out is a little worse."""

    name = "sealed"
    fingerprint = "0123456789abcdef"

    def __call__(self, params, trial):
        return {"acc": truth(params) + np.random.default_rng(trial.seed).normal(0, 0.05)}

    def holdout(self, params, trial):
        return {"acc": truth(params) - 0.05 + np.random.default_rng(trial.seed).normal(0, 0.01)}


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    with refine.Tree("paper", store=tmp_path_factory.mktemp("winner") / "refine.db") as tree:
        root = tree.add_round(SPACE, Sealed(), metric="acc", n=40, baseline=POOR).run()
        child = root.propose(risk=0.15).accept(n=20, exploit=0.3).run()
        tree.confirm(budget=10)
        yield tree, root, child


def test_the_certificate_states_the_numbers_of_the_records(grown, tmp_path):
    tree, _, _child = grown
    won = tree.winner()
    text = won.report(tmp_path).read_text()
    assert (tmp_path / "paper-winner.md").exists()
    assert f"| {won.expected:.4f} |" in text
    assert f"{won.gain.expected:.4f}" in text
    origins = [o for r in tree.rounds for o in r.trials["origin"]]
    assert f"1 given, {origins.count('space_filling')} " in text
    replicates = sum(len(r.replicates) for r in tree.rounds)
    assert f"; {replicates} runs" in text
    assert "| 1 proposal, 0 openings" in text
    assert re.search(r"saw\? \| no \|", text)  # data of a hold-out
    assert re.search(r"bars \S+ \| 95 %", text)
    assert f"round.id == {won.round!r}" in text


@pytest.mark.slow
def test_the_report_of_a_tree_and_the_certificate_state_one_cost(grown, tmp_path):
    tree, _, _child = grown
    trials = sum(len(r.trials) for r in tree.rounds)
    repeats = sum(len(r.replicates) for r in tree.rounds)
    assert repeats
    cost = re.search(r"2 rounds with (.* of computing)\.", tree.report(tmp_path).read_text())[1]
    counts = f"{trials} trials and {repeats} repeats"
    assert cost.partition(", ")[0] == counts
    certificate = tree.winner().report(tmp_path).read_text()
    assert re.search(r"cost\? \| (.*) \|", certificate)[1] == cost


def test_an_opened_hold_out_is_in_the_certificate(grown, tmp_path):
    tree, _root, _child = grown
    won = tree.winner()
    home = next(r for r in tree.rounds if r.id == won.round)
    shown = tree.open_holdout(at=home, top=2, seeds=3)
    row = [c.key for c in home._recommend().candidates[:2]].index(won.candidates[0].key)
    text = won.report(tmp_path).read_text()
    assert re.search(rf"{shown.table['holdout'][row]:.4f}, .*\b3 models", text)
    assert "1 proposal, 1 opening" in text
    assert re.search(r"saw\? \| yes \|", text)


def test_a_round_has_one_of_its_own_and_html_is_one_file(grown, tmp_path):
    _, root, _ = grown
    page = root._recommend().report(tmp_path, html=True)
    assert page.name == f"1-{root.id}-winner.html"
    text = page.read_text()
    assert f"round <code>{root.id}</code>" in text
    assert "2 rounds; decisions: " in text  # trials of its child are evidence as well


@pytest.mark.slow
def test_the_report_of_the_tree_links_it(grown, tmp_path):
    tree, _, _ = grown
    tree.report(tmp_path, html=True)
    assert 'href="paper-winner.html"' in (tmp_path / "paper.html").read_text()
    assert (tmp_path / "paper-winner.html").exists()


def test_cheaper_configurations_that_are_nearly_as_good_are_named(tree, tmp_path, rng):
    frame = pd.DataFrame([(x, y) for x in range(10) for y in range(6)], columns=["x", "y"])
    value = 1 - 0.01 * (frame["x"] - 4) ** 2 + rng.normal(0, 0.01, len(frame))
    frame = frame.assign(value=value, seconds=1.0 + frame["y"])
    won = tree.add_runs(frame, {"x": (0, 9), "y": (0, 5)}, value="value")._recommend()
    assert won.cheaper or won.candidates[0].seconds == 1.0
    for other in won.cheaper:
        assert other.seconds <= 0.8 * won.candidates[0].seconds
        assert other.expected >= won.expected - won.tolerance
    assert ("cheaper" in won.report(tmp_path).read_text()) == bool(won.cheaper)


def test_a_certificate_without_a_baseline_or_a_posterior_says_so(tree, tmp_path):
    root = tree.add_round(SPACE, Sealed(), metric="acc", n=3).run()
    text = root._recommend().report(tmp_path).read_text()
    assert re.search(r"baseline\? \| no\b", text)
    assert "nan" not in text.lower().replace("finance", "")
    assert math.isnan(root._recommend().interval[0])


def test_a_winner_without_a_tree_has_no_records(grown):
    tree, _, _ = grown
    with pytest.raises(AnalysisError, match="without a tree"):
        replace(tree.winner(), _home=None).report("anywhere")


def test_imported_trials_are_counted_and_their_time_is_not_computing(tree, tmp_path):
    frame = pd.DataFrame({"x": np.arange(12) / 11, "value": np.arange(12) / 11, "seconds": 0.0})
    tree.add_runs(frame, {"x": (0.0, 1.0, 12)}, value="value")
    text = tree.report(tmp_path).read_text()
    assert "12 trials (12 imported)" in text
    assert "of computing" not in text
