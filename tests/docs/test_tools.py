"""Each recipe of docs/tools.md runs on a small dump, and the next space lies inside the searched one."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import refine
from tests.recipes import recipe

FIXTURES = Path(__file__).parents[1] / "fixtures" / "imports"
PAGE = "tools.md"


def accuracy(lr, units, optimizer):
    return 0.95 - 0.1 * (math.log10(lr) + 2) ** 2 - 0.1 * (optimizer == "sgd") - abs(units - 64) / 2000


@pytest.fixture
def configurations():
    """Forty random configurations with their accuracy."""
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(40):
        lr = float(10 ** draw.uniform(-4, 0))
        units = int(draw.integers(8, 129))
        optimizer = ["adam", "sgd"][draw.integers(2)]
        rows.append({"lr": lr, "units": units, "optimizer": optimizer})
    return [{**row, "val_acc": accuracy(**row)} for row in rows]


def decided(runs, tmp_path, value="val_acc", direction="maximize", **keywords):
    """The proposed space, which keeps the best learning rate and is smaller."""
    names = ["lr", "units", "optimizer"]
    with refine.Tree("finished", store=tmp_path / "finished.db") as tree:
        root = tree.add_runs(runs, value=value, parameters=names, direction=direction, **keywords)
        review = root.propose()
        assert review.space["lr"].low < 0.01 < review.space["lr"].high
        assert review.space["lr"].high < root.space["lr"].high
        return review.space


def space_code(title, name, space):
    return recipe(PAGE, title, space=space)[name]


def test_a_study_of_optuna_continues_in_the_decided_space(configurations, tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(
        study_name="cancer", storage="sqlite:///study.db", direction="maximize", sampler=sampler
    )

    def objective(trial):
        lr = trial.suggest_float("lr", 1e-4, 1, log=True)
        units = trial.suggest_int("units", 8, 128)
        return accuracy(lr, units, trial.suggest_categorical("optimizer", ["adam", "sgd"]))

    study.optimize(objective, n_trials=40)
    names = recipe(PAGE, "Continue Optuna", objective=objective)
    space = names["review"].space
    later = [trial.params for trial in names["study"].trials[40:]]
    assert len(later) == 20
    assert all(space["lr"].low <= params["lr"] <= space["lr"].high for params in later)


def test_a_summary_of_ax_becomes_a_table_and_the_space_its_parameters(configurations, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = []
    for i, row in enumerate(configurations):
        head = {
            "trial_index": i,
            "arm_name": f"{i}_0",
            "trial_status": "COMPLETED",
            "generation_node": "Sobol",
        }
        rows.append({**head, **row})
    rows.append({**rows[0], "trial_index": 40, "trial_status": "FAILED", "val_acc": math.nan, "lr": 0.5})
    rows.append({**rows[0], "trial_index": 41, "trial_status": "RUNNING", "val_acc": math.nan})
    pd.DataFrame(rows).to_csv("ax.csv", index=False)
    runs = recipe(PAGE, "Ax dump")["runs"]
    assert runs["state"].value_counts().to_dict() == {"complete": 40, "failed": 1}
    space = decided(runs, tmp_path)
    parameters = {p["name"]: p for p in space_code("Ax space", "parameters", space)}
    assert parameters["lr"]["bounds"] == [space["lr"].low, space["lr"].high]
    assert parameters["lr"]["log_scale"]
    assert parameters["units"]["value_type"] == "int"
    assert parameters["optimizer"]["type"] in ("fixed", "choice")


def test_a_csv_of_wandb_becomes_a_table_and_the_space_a_sweep(configurations, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"Name": f"run-{i}", "State": "finished", "Runtime": 5, **row} for i, row in enumerate(configurations)
    ]
    pd.DataFrame(rows).rename(columns={"val_acc": "val/acc"}).to_csv("wandb_export.csv", index=False)
    space = decided(recipe(PAGE, "W&B dump")["runs"], tmp_path, value="val/acc")
    sweep = space_code("W&B space", "sweep", space)
    assert sweep["parameters"]["lr"]["distribution"] == "log_uniform_values"
    assert sweep["parameters"]["lr"]["max"] == space["lr"].high
    assert sweep["parameters"]["units"]["distribution"] == "int_uniform"
    assert set(sweep["parameters"]["optimizer"]["values"]) <= {"adam", "sgd"}
    json.dumps(sweep)


def test_a_result_of_scikit_optimize_becomes_a_table(tmp_path):
    """Forty random points of scikit-optimize 0.10.2: the parts of its result that the recipe reads."""
    dump = json.loads((FIXTURES / "skopt.json").read_text())
    result = SimpleNamespace(**{**dump, "space": SimpleNamespace(**dump["space"])})
    runs = recipe(PAGE, "scikit-optimize dump", result=result)["runs"]
    space = decided(runs, tmp_path, value="value", direction="minimize")
    pytest.importorskip("skopt")
    dimensions = space_code("scikit-optimize space", "dimensions", space)
    assert [dimension.name for dimension in dimensions] == list(space)


def test_observations_of_sigopt_become_a_table(configurations, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    observations = []
    for i, row in enumerate(configurations):
        assignments = {name: row[name] for name in ("lr", "units", "optimizer")}
        values = [{"name": "val_acc", "value": row["val_acc"], "value_stddev": None}]
        observations.append(
            {
                "object": "observation",
                "id": str(i),
                "assignments": assignments,
                "values": values,
                "failed": False,
            }
        )
    observations.append({**observations[0], "id": "40", "values": [], "failed": True})
    answer = {"object": "pagination", "count": 41, "data": observations, "paging": {}}
    Path("observations.json").write_text(json.dumps(answer))
    runs = recipe(PAGE, "SigOpt dump")["runs"]
    assert runs["state"].tolist() == ["complete"] * 40 + ["failed"]
    decided(runs, tmp_path)


def test_runs_of_mlflow_continue_in_a_round_with_the_same_tracker(configurations, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    with refine.Tree("finished", store=tmp_path / "finished.db") as tree:
        runs = pd.DataFrame(configurations)
        root = tree.add_runs(runs, value="val_acc", parameters=["lr", "units", "optimizer"])

        def objective(params):
            return {"val_acc": accuracy(params["lr"], params["units"], params["optimizer"])}

        recipe(PAGE, "Continue MLflow", review=root.propose(), objective=objective)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    assert len(mlflow.search_runs(experiment_names=["cancer"])) >= 20
