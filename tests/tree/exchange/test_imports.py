"""Runs of other tools: what their own files say is what the root holds, and a bad file changes nothing."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError, RefineError, SpaceError
from tests.recipes import recipe

FIXTURES = Path(__file__).parents[2] / "fixtures" / "imports"
read = refine.Tree.read_runs


def unpacked(name, folder):
    with zipfile.ZipFile(FIXTURES / f"{name}.zip") as packed:
        packed.extractall(folder / name)
    return folder / name


# MLflow's table; one that it wrote is read in tests/trackers.


def mlflow_rows():
    """Rows as ``mlflow experiments csv`` writes them: all texts, empty where a run has nothing."""
    states = ["FINISHED"] * 34 + ["RUNNING", "FAILED", "FAILED", "KILLED", "KILLED", "FINISHED", "FINISHED"]
    rows = []
    for i, state in enumerate(states):
        rate, sgd = 10 ** (-4 + 3 * ((i * 7) % 40) / 40), i % 3 == 0
        row = {
            "run_id": f"id{i}",
            "status": state,
            "start_time": f"2024-05-01 10:00:{i:02}.500000+00:00",
            "end_time": "" if state == "RUNNING" else f"2024-05-01 10:01:{i:02}.500000+00:00",
            "params.batch_size": [32, 64, 128][i % 5 % 3],
            "params.dataset": "cifar",
            "params.layers": "[8, 8]" if i % 2 else "[8]",
            "params.lr": rate,
            "params.momentum": [0.9, 0.5][i % 2] if sgd else "",
            "params.optimizer.name": "sgd" if sgd else "adam",
            "params.output_dir": f"/home/ann/{i}",
            "params.seed": i,
            "params.size": "2" if i % 2 else "None",
            "metrics.epoch": 10,
            "metrics.loss": 0.1,
            "metrics.val_acc": 1 - abs(math.log10(rate) + 2.5) / 4,
            "tags.mlflow.parentRunId": "id40" if i < 23 else "",
        }
        if state == "FAILED" or i == 38:
            row |= {"metrics.epoch": "", "metrics.loss": "", "metrics.val_acc": ""}
        if i == 39:
            row["metrics.val_acc"] = "NaN"
        rows.append({k: str(v) for k, v in row.items()})
    return rows


def written(rows, path):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.mark.slow
def test_the_table_of_mlflow_is_looked_at_and_then_added(tree, tmp_path):
    rows = mlflow_rows()
    path = written(rows, tmp_path / "runs.csv")
    look = read(path, "mlflow")
    assert len(tree) == 0
    assert look.states == {"complete": 35, "failed": 2, "pruned": 1}
    assert set(look.results) == {"epoch", "loss", "val_acc"}
    assert look.space["momentum"].when is not None
    assert look.space["size"].grid == (2, None)
    assert set(look.space["layers"].grid) == {(8,), (8, 8)}
    assert set(look.space) == {"batch_size", "dataset", "layers", "lr", "momentum", "optimizer_name", "size"}
    for text in (
        "38 runs of MLflow",
        "left out: 1 running, 1 killed without a result, 1 parents of other runs, as of a search",
        "name one as value",
        "the seed of the runs: seed",
        "paths or addresses: output_dir",
    ):
        assert text in str(look)
    with pytest.raises(AnalysisError, match=r"have 3 results, .*; say which, as in value='epoch'"):
        tree.add_frame(look)
    root = tree.add_frame(look, metric="val_acc")
    assert root.metric == "val_acc"
    states = root.trials["state"].value_counts().to_dict()
    assert states == {"complete": 34, "diverged": 1, "failed": 2, "pruned": 1}
    assert set(root.failures.loc[root.failures["state"] == "failed", "error"]) == {"MLflow: FAILED"}
    by_seed = root.trials.set_index("seed")
    for i in (0, 5, 33):
        assert by_seed.loc[i, "lr"] == pytest.approx(float(rows[i]["params.lr"]), rel=1e-11)
        assert by_seed.loc[i, "value"] == float(rows[i]["metrics.val_acc"])
        assert by_seed.loc[i, "seconds"] == 60
    # A setting that a run had not is shown nowhere.
    assert (by_seed["momentum"].isna() == (by_seed["optimizer_name"] == "adam")).all()
    assert tree.add_frame(look, value="val_acc").id == root.id
    assert read(pd.read_csv(path), "mlflow").states == look.states
    assert len(tree) == 1


def test_what_a_table_does_not_say_can_be_said(tree, tmp_path):
    path = written([r for r in mlflow_rows()[:-1] if r["status"] == "FINISHED"], tmp_path / "runs.csv")
    look = read(path, "mlflow", parameters=["lr", "optimizer.name"])
    assert list(look.space) == ["lr", "optimizer_name"]
    assert look.dropped["dataset"] == "not among the parameters that were named"
    with pytest.raises(AnalysisError, match="'loss' reads like something to minimize"):
        tree.add_frame(look, value="loss")
    options = {"value": "loss", "direction": "minimize"}
    assert tree.add_frame(look, metric="cost", **options).metric == "cost"
    space = {"lr": refine.Float(1e-4, 0.1, log=True), "optimizer_name": ["sgd", "adam"]}
    assert tree.add_frame(look, space, **options).space == refine.Space(space)
    for said, error, text in (
        ({"metric": "val_acc"}, AnalysisError, "another column of that name"),
        ({"space": {"lr": (0.05, 0.06)}}, SpaceError, "rows of the frame outside the space"),
        ({"parameters": ["lr"]}, AnalysisError, "parameters is for reading, and these runs are read already"),
        ({"value": "los"}, AnalysisError, "value 'los' is no result of these runs; did you mean 'loss'"),
    ):
        with pytest.raises(error, match=text):
            tree.add_frame(look, **{**options, **said})
    with pytest.raises(SpaceError, match="no run has a setting 'lrr'; did you mean 'lr'"):
        read(path, "mlflow", parameters=["lrr"])


def test_the_recipe_for_runs_of_wandb(tree):
    states = ["finished"] * 8 + ["running", "crashed"]
    runs = [  # as wandb.Api().runs(...) gives them
        SimpleNamespace(
            state=state,
            config={"opt": {"name": "adam", "lr": i / 10}, "depth": i % 3},
            summary={} if state == "crashed" else {"acc": i / 8, "_runtime": 5},
        )
        for i, state in enumerate(states)
    ]
    frame = recipe("exchange.md", "Weights & Biases")["table_of"](runs, "acc")
    root = tree.add_frame(frame, value="acc")
    assert list(root.space) == ["depth", "opt_name", "opt_lr"]
    assert root.trials["state"].value_counts().to_dict() == {"complete": 8, "crashed": 1}
    assert root.trials["seconds"].sum() == 40


# Ray Tune and Keras Tuner.


@pytest.mark.parametrize("stored", [False, True])
def test_the_table_of_a_result_grid(tree, tmp_path, stored):
    rows = [
        {
            "acc": i / 12,
            "done": i != 11,
            "training_iteration": 3 if i < 9 else 1,
            "time_total_s": 2.0,
            "pid": 7,
            "config/opt/lr": 0.03 * i,
            "config/layers": [8] if i % 2 else [8, 8],
        }
        for i in range(12)
    ]
    source = pd.DataFrame(rows)
    if stored:
        source.to_csv(tmp_path / "runs.csv", index=False)
        source = tmp_path / "runs.csv"
    look = read(source, "raytune")
    assert (look.value, look.states) == ("acc", {"complete": 9, "pruned": 2})
    assert look.left_out == {"running, or left when Ray ended": 1}
    assert look.space["layers"].grid == ((8, 8), (8,))
    assert set(look.frame["seconds"]) == {2.0}
    assert tree.add_frame(look).trials["opt_lr"].tolist() == pytest.approx([0.03 * i for i in range(11)])


def test_a_project_of_keras_tuner_brings_its_conditions(tree, tmp_path):
    folder = unpacked("kerastuner", tmp_path)
    look = read(folder, "kerastuner")
    assert (look.value, look.direction) == ("val_mae", "minimize")
    assert str(look.space.conditions["momentum"]) == "optimizer == 'sgd'"
    assert look.space["units"].grid == (4, 8, 12, 16)
    root = tree.add_frame(look)
    trials = root.trials
    assert (trials["momentum"].isna() == (trials["optimizer"] == "adam")).all()
    failed = trials["state"].eq("failed")
    assert 0 < failed.sum() < 14
    assert (failed == trials["rate"].gt(0.004)).all()
    assert root.failures["error"].str.contains("rate too large").all()
    one = json.loads((folder / "trial_00" / "trial.json").read_text())
    assert one["score"] in set(trials["value"])
    assert read(folder / "oracle.json", "kerastuner").directions["val_loss"] == "minimize"


# Files that are not what they should be.

HEAD = "run_id,status,start_time,end_time,params.x,metrics.acc\n"
BAD = {
    "mlflow": [
        ("a.csv", "run_id,params.x\n1,2\n", "is no table as mlflow.search_runs"),
        ("a.csv", HEAD + "a,RUNNING,,,1,2\n", r"has no ended run \(1 running\)"),
        ("a.csv", HEAD + "a,FINISHED,,,,2\nb,FINISHED,,,,3\n", "no setting that could be a parameter"),
        (
            "a.csv",
            HEAD.replace("params.x", "params.a\0b") + "a,FINISHED,,,1,2\nb,FINISHED,,,2,2\n",
            "can't be stored",
        ),
    ],
    "kerastuner": [
        ("oracle.json", '{"hyperparameters": 3}', "is not what Keras Tuner writes"),
        ("oracle.json", '{"hyperparameters": {"space": []}}', "a space needs at least one parameter"),
        (
            "oracle.json",
            '{"hyperparameters": {"space": [{"class_name": "Odd", "config": {"name": "a"}}]}}',
            "a: ",
        ),
    ],
}


@pytest.mark.parametrize(
    ("kind", "name", "text", "says"), [(k, *case) for k, cases in BAD.items() for case in cases]
)
def test_a_bad_file_is_refused_and_nothing_is_added(tree, tmp_path, kind, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(RefineError, match=says):
        tree.add_frame(read(tmp_path / name, kind), value="acc")
    assert len(tree) == 0


def test_a_project_of_keras_tuner_may_have_been_written_into(tmp_path):
    tuner = unpacked("kerastuner", tmp_path)
    next(tuner.glob("*/trial.json")).write_text(
        '{"hyperparameters": {"values": {}}, "metrics": {"metrics": {"a": 3}}, "status": "COMPLETED"}'
    )
    with pytest.raises(AnalysisError, match="is not what Keras Tuner writes"):
        read(tuner, "kerastuner")


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ("runs.csv", "mlfow", "kind must be one of .*, got 'mlfow'; did you mean 'mlflow'"),
        ("no.csv", "mlflow", "can't be read: No such file"),
        ("http://localhost:5000", "mlflow", "a server is not read, .*; give mlflow.search_runs"),
        ("no", "kerastuner", "has no oracle.json; give the project's folder"),
    ],
)
def test_a_source_that_is_none_is_refused(source, kind, text):
    with pytest.raises(AnalysisError, match=text):
        read(source, kind)
