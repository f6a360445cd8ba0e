"""Reports are read in three minutes: at most 900 words on a round, 600 on a tree, and tables for programs."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import refine
from refine.report.markdown.rendering import rendered, summary_of
from refine.report.pages.calibration import calibration_page

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import words

pytestmark = pytest.mark.slow  # a study of two rounds with its reports

SPACE = {
    "lr": refine.Float(1e-4, 1.0, 13, log=True),
    "depth": refine.Integer(1, 8, 8),
    "act": ["relu", "tanh", "gelu"],
    "dropout": (0.0, 0.5, 6),
    "wd": refine.Float(1e-6, 1e-2, 9, log=True),
    "batch": [32, 64, 128, 256],
    "warmup": (0.0, 0.2, 5),
    "clip": [0.5, 1.0, 5.0],
}


def network(p, trial):
    if p["depth"] == 8 and p["lr"] > 0.1:
        raise MemoryError("out of memory")
    noise = np.random.default_rng(trial.seed).normal(0, 0.01)
    good = 0.02 * np.log10(p["lr"] / 0.003) ** 2 + 0.01 * abs(p["depth"] - 4) + 0.03 * (p["act"] == "tanh")
    return {"val_acc": 0.9 - good - 0.05 * p["dropout"] - 0.001 * p["warmup"] + noise}


@pytest.fixture(scope="module")
def tree():
    with refine.Tree("network", store="sqlite://") as opened:
        root = opened.add_round(SPACE, network, metric="val_acc", n=20, seed=3, budget=60)
        root.run().propose().accept("as advised", n=20).run().propose()
        yield opened


@pytest.fixture(scope="module")
def reports(tree, tmp_path_factory):
    """Paths of the reports of the decided round, its child, the tree and the winner."""
    folder = tmp_path_factory.mktemp("reports")
    first, child = [round_.report(folder) for round_ in tree.rounds]
    return {
        "report": first,
        "child": child,
        "tree's report": tree.report(folder),
        "certificate": tree.winner().report(folder),
    }


def test_reports_of_two_rounds_and_forty_trials_are_short(reports):
    text = {name: path.read_text(encoding="utf-8") for name, path in reports.items()}
    for name, most in {"report": 900, "child": 900, "tree's report": 600}.items():
        assert words.counted(text[name]).words <= most


def test_reports_are_summaries_before_their_folds(tree, reports):
    text = {name: path.read_text(encoding="utf-8") for name, path in reports.items()}
    decided = (
        tree.rounds[0].propose(keep=False).proposal.analysis
    )  # the evidence of the decision, not of later trials
    record = calibration_page(tree.calibration(), named=True)
    pages = decided._page(), tree.winner()._page(), record
    for page, name in zip(pages, ("report", "tree's report", "tree's report"), strict=True):
        assert rendered([summary_of(page)]) in text[name]
    for name, heads in {
        "report": ["Winner", "The decision", "Evidence"],
        "tree's report": ["Winner", "The decisions", "Evidence"],
        "certificate": ["Evidence"],
    }.items():
        before_folds = words.unfolded(text[name])
        assert words.counted(before_folds).words <= words.BUDGETS[name].words
        assert re.findall("^## (.*)$", before_folds, re.MULTILINE) == heads
        assert re.search(r"^\*\*Winner\b", before_folds.split("## Evidence")[0], re.MULTILINE)
        assert "<summary>Reproduce" in text[name].split("## Evidence")[1]


def test_a_report_links_every_number_and_a_table_of_its_trials(tree, reports):
    path = reports["child"]
    text = path.read_text(encoding="utf-8")
    assert f"({path.stem}/details.md)" in text
    details = (path.with_suffix("") / "details.md").read_text(encoding="utf-8")
    assert details.count("<summary>") > text.count("<summary>")
    trials = pd.read_csv(path.with_suffix("") / "trials.csv", index_col=0)
    assert trials["value"].tolist() == pytest.approx(tree.rounds[-1].trials["value"].tolist(), nan_ok=True)


def test_a_report_in_one_file_holds_its_details(tree, tmp_path):
    path = tree.rounds[-1].report(tmp_path, html=True)
    assert "<summary>Details</summary>" in path.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
