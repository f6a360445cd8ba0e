"""No cell of an exported trials.csv is a spreadsheet formula, and every text reads back unchanged."""

import csv

import pandas as pd

import refine
from refine.tree.exchange.dataframe import read_table

KINDS = ["=cmd|' /C calc'!A0", "+1", "-funnel", "@sum", "'=quoted", "plain", "'plain"]


def by_kind(params):
    return {"score": float(len(params["kind"])) + params["x"]}


def test_cells_that_begin_like_a_formula_are_text_and_are_restored(tree, tmp_path):
    space = {"kind": KINDS, "x": (-3.0, 3.0, 7)}
    root = tree.add_round(space, by_kind, metric=refine.Goal("score", noise="retraining"), n=40, seed=1).run()
    path = tree.export(tmp_path / "out", reports=False) / root.id / "trials.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    for row in rows:
        assert row["kind"][0] not in "=+-@"
        assert row["x"][0] != "'"  # numbers stay numbers, the negative ones too
    assert read_table(path)["kind"].tolist() == root.trials["kind"].tolist()
    copy = refine.Tree("copy", store=tmp_path / "copy.db")
    for read in (read_table(path), pd.read_csv(path)):
        imported = copy.add_runs(read, root.space, metric="score")
        assert sorted(imported.trials["kind"]) == sorted(root.trials["kind"])
