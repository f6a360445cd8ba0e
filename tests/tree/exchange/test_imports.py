"""Runs of other tools: what the recipes of the docs make of them is what the root holds."""

import json
import math
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError, RefineWarning, ReviewError
from refine.tree.exchange.talos import read_run, to_talos
from tests.recipes import recipe

FIXTURES = Path(__file__).parents[2] / "fixtures" / "imports"


def table_of(title, *source):
    return recipe("tools.md", title)["table_of"](*source)


def test_runs_of_mlflow(tree, tmp_path):
    states = ["FINISHED"] * 34 + ["RUNNING", "FAILED", "KILLED"]
    rows = []
    for i, state in enumerate(states):
        rate = 10 ** (-4 + 3 * ((i * 7) % 40) / 40)
        sgd = i % 3 == 0
        settings = {"layers": "[8, 8]" if i % 2 else "[8]", "lr": str(rate), "output_dir": f"/home/ann/{i}"}
        settings |= {"momentum": str([0.9, 0.5][i % 2]), "optimizer": "sgd"} if sgd else {"optimizer": "adam"}
        begun, ended = (f"2024-05-01 10:0{minute}:{i:02}.500000+00:00" for minute in (0, 1))
        row = {"run_id": f"id{i}", "status": state, "start_time": begun, "metrics.loss": 0.1}
        row["end_time"] = "" if state == "RUNNING" else ended
        row["metrics.val_acc"] = math.nan if state == "FAILED" else 1 - abs(math.log10(rate) + 2.5) / 4
        rows.append(row | {f"params.{name}": value for name, value in settings.items()})
    pd.DataFrame(rows[::-1]).to_csv(tmp_path / "runs.csv", index=False)
    frame = table_of("MLflow", pd.read_csv(tmp_path / "runs.csv"))
    names = ["layers", "lr", "momentum", "optimizer"]
    root = tree.add_runs(frame, value="val_acc", parameters=names)
    assert str(root.space["momentum"].when) == "optimizer == 'sgd'"
    assert set(root.space["layers"].grid) == {(8,), (8, 8)}
    trials = root.trials
    assert trials["state"].value_counts().to_dict() == {"complete": 34, "failed": 1, "pruned": 1}
    assert trials["lr"].iloc[5] == pytest.approx(float(rows[5]["params.lr"]), rel=1e-11)
    assert trials["value"].iloc[5] == rows[5]["metrics.val_acc"]
    assert set(trials["seconds"]) == {60}
    # A setting that a run had not is shown nowhere.
    assert (trials["momentum"].isna() == (trials["optimizer"] == "adam")).all()
    assert set(trials["loss"].dropna()) == {0.1}


def test_runs_of_wandb(tree):
    states = ["finished"] * 8 + ["running", "crashed"]
    runs = [  # as wandb.Api().runs(...) gives them
        SimpleNamespace(
            state=state,
            config={"opt": {"name": "adam", "lr": i / 10}, "depth": i % 3},
            summary={} if state == "crashed" else {"acc": i / 8, "_runtime": 5},
        )
        for i, state in enumerate(states)
    ]
    root = tree.add_runs(table_of("Weights & Biases", runs, "acc"), value="acc")
    assert list(root.space) == ["depth", "opt_name", "opt_lr"]
    assert root.trials["state"].value_counts().to_dict() == {"complete": 8, "crashed": 1}
    assert root.trials["seconds"].sum() == 40


def test_runs_of_ray_tune(tree):
    rows = [{"acc": i / 12, "done": i != 11, "training_iteration": 3 if i < 9 else 1} for i in range(12)]
    for i, row in enumerate(rows):
        row |= {"time_total_s": 2.0, "config/opt/lr": 0.03 * i, "config/layers": [8] if i % 2 else [8, 8]}
    frame = table_of("Ray Tune", pd.DataFrame(rows))
    root = tree.add_runs(frame, value="acc", parameters=["opt_lr", "layers"])
    assert root.trials["state"].value_counts().to_dict() == {"complete": 9, "pruned": 2}
    assert root.space["layers"].grid == ((8, 8), (8,))
    assert set(root.trials["seconds"]) == {2.0}
    assert root.trials["opt_lr"].tolist() == pytest.approx([0.03 * i for i in range(11)])


def test_a_project_of_keras_tuner_becomes_a_root_with_its_failures(tree, tmp_path):
    """A project of Keras Tuner 1.4.8: four random trials on ``val_mae``; rates above 0.004 fail."""
    with zipfile.ZipFile(FIXTURES / "kerastuner.zip") as packed:
        packed.extractall(tmp_path)
    root = tree.add_runs(table_of("Keras Tuner", tmp_path), direction="minimize")
    trials = root.trials
    assert set(root.space) == {"layers", "momentum", "optimizer", "rate", "units"}
    failed = trials["state"].eq("failed")
    assert 0 < failed.sum() < len(trials) == 4
    assert (failed == trials["rate"].gt(0.004)).all()
    assert root.failures["error"].str.contains("rate too large").all()
    trial = json.loads((tmp_path / "trial_00" / "trial.json").read_text())
    assert trial["score"] in set(trials["value"])


def test_a_run_of_talos_and_a_decision_for_it(tree, tmp_path):
    """A run of Talos 2.0.10 (see ``sweep.py``) with its audit of the file that ``to_talos`` wrote."""
    with zipfile.ZipFile(FIXTURES / "talos.zip") as packed:
        packed.extractall(tmp_path)
    run = tmp_path / "run"
    trials = tmp_path / "run" / "round_data.jsonl"
    lines = trials.read_text().splitlines(keepends=True)
    audit = (run / "audit.jsonl").rename(tmp_path / "audit.jsonl")
    trials.write_text("".join(lines[:13]).rstrip("\n"))
    finished, _ = read_run(run)
    assert len(finished.runs) == 13  # the last without a line break, but whole
    trials.write_text("".join(lines[:13])[:-2])  # as a running sweep is read
    with pytest.warns(RefineWarning, match="half of a record"):
        root = tree.add_runs(run, note="before", metric=refine.Goal("val_loss", "minimize", noise="none"))
    assert root._declared.noise == "none"
    searched = {"lr": (5.0, 0.5, 6), "units": [4, 8, 16], "layers": (1, 4, 3), "activation": ["relu", "tanh"]}
    assert root.space == refine.Space.from_talos({name: searched[name] for name in sorted(searched)})
    assert (root._value, root._direction, set(root.trials["origin"])) == (
        "val_loss",
        "minimize",
        {"imported"},
    )
    assert root._node.note.startswith("before; Talos 2.0.10, small, identity ")
    record = json.loads(lines[3])
    trial = root.trials.iloc[3]
    assert (trial["value"], trial["seed"]) == (record["row"]["val_loss"], record["seed"])
    assert finished.runs[3].curve["val_loss"] == record["history"]["val_loss"]
    narrower = {"activation": ["relu"], "layers": (1, 2), "lr": (2.0, 5.0, 5), "units": [8, 16]}
    interventions = json.loads(to_talos(root.branch(narrower, n=3), run).read_text())
    assert [{**step, "source": "intervention_file"} for step in interventions] == json.loads(
        audit.read_text()
    )["interventions"]
    assert all(json.loads(line)["params"]["units"] in (8, 16) for line in lines[12:])  # it did so
    trials.write_text("".join(lines))
    audit.rename(run / "audit.jsonl")
    assert set(tree.add_runs(run).trials["origin"]) == {"adaptive"}
    for call, message in (
        (lambda: tree.add_runs(run, value="val_los"), "did you mean 'val_loss'"),
        (lambda: tree.add_runs(tmp_path), "is not a run directory of Talos 2: FileNotFoundError"),
        (lambda: to_talos(root, run), "neither other parameters nor constraints"),
    ):
        with pytest.raises((AnalysisError, ReviewError), match=message):
            call()
    for broken in ({"params": {}}, {"row": {**record["row"], "end": "x"}}, {"history": {"val_loss": "x"}}):
        trials.write_text(json.dumps({**record, **broken}) + "\n")
        with pytest.raises(AnalysisError, match="Talos 2: (KeyError|ValueError)"):
            tree.add_runs(run)
