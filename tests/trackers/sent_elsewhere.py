"""Records that arrive at real trackers. Run by test_trackers.py in the environment of the trackers."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pandas as pd
import pytest

import refine
from refine.errors import RefineWarning
from refine.report.trackers import MLflow, TensorBoard
from tests.recipes import recipe

SPACE = refine.Space({"lr": refine.Float(0.5, 2.0, 12), "layers": [1, 2], "optimizer": ["Adam", "SGD"]})


def objective(params, trial):
    """Reports three epochs; fails for SGD with two layers."""
    if params["layers"] == 2 and params["optimizer"] == "SGD":
        raise ValueError("no such pair")
    height = 1 - (params["lr"] - 1.5) ** 2
    for epoch in range(3):
        trial.report(epoch, {"acc": height * (1 - 0.5 ** (epoch + 1))})
    return {"acc": height, "size": 10.0 * params["layers"]}


def slow(params):
    """Takes long enough for a server to die meanwhile."""
    time.sleep(0.1)
    return {"acc": -abs(params["lr"] - 1)}


@pytest.fixture
def server(tmp_path):
    """A real MLflow server on a free port, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [f"--backend-store-uri=sqlite:///{tmp_path}/m.db", f"--artifacts-destination={tmp_path}/files"]
    options = ["--host=127.0.0.1", f"--port={port}", "--workers=1", *places]
    command = [sys.executable, "-m", "mlflow", "server", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **quiet)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise RuntimeError("the MLflow server does not come up")
        yield running, url
    finally:
        if running.poll() is None:
            stop(running)


def stop(running):
    """Kills the server and what it has started."""
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def test_mlflow(server, tmp_path):
    """MLflow gets a run per trial, is read back, and its death costs no trial."""
    import mlflow as library

    running, url = server
    with refine.Tree("study", tmp_path / "t.db") as tree:
        round_ = tree.add_round(
            SPACE, objective, metric=refine.Goal("acc", noise="retraining"), n=24, seed=3, note="first look"
        )
        tracker = MLflow(url, patience=120)
        round_.run(machine=refine.Machine(track=tracker, progress=False))
        tracker.send(round_)  # sent twice, there once
        client = library.MlflowClient(url)
        trials = round_.trials
        place = client.get_experiment_by_name("study").experiment_id
        runs = client.search_runs([place], max_results=1000)
        above = next(r for r in runs if r.data.tags.get("refine.id") == round_.id)
        below = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == above.info.run_id]
        assert (len(runs), len(below)) == (25, 24)
        assert above.data.tags["refine.note"] == "first look"
        failed = [r for r in below if r.info.status == "FAILED"]
        assert len(failed) == (trials["state"] == "failed").sum() > 0
        values = {r.data.tags["refine.seed"]: r.data.metrics.get("refine.value", math.nan) for r in below}
        expected = dict(zip(trials["seed"].astype(str), trials["value"], strict=True))
        assert values == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
        assert {len(client.get_metric_history(r.info.run_id, "acc")) for r in below if r not in failed} == {3}
        assert any(f.path.endswith(".md") for f in client.list_artifacts(above.info.run_id, "report"))
        assert set(below[0].data.params) == {"lr", "layers", "optimizer"}
        is_read_back(url, client, tmp_path, trials)
        # The server dies in the middle of a round.
        second_round = tree.add_round(
            SPACE, slow, metric=refine.Goal("acc", noise="retraining"), n=20, seed=4
        )
        stopping = refine.Machine(
            track=MLflow(url, patience=3),
            on_trial=lambda trial: stop(running) if trial.ended == 5 else None,
            progress=False,
        )
        with pytest.warns(RefineWarning, match="may be missing") as warned:
            second_round.run(machine=stopping)
        assert len([w for w in warned if issubclass(w.category, RefineWarning)]) == 1
        assert (second_round.trials["state"] == "complete").sum() == 20


def is_read_back(url, client, folder, trials):
    """Imports the table of the server's runs, and its file."""
    import mlflow as library

    experiment = client.get_experiment_by_name("study").experiment_id
    for status in ("RUNNING", "KILLED"):
        run = client.create_run(experiment)
        client.log_param(run.info.run_id, "lr", 1.0)
        if status != "RUNNING":
            client.set_terminated(run.info.run_id, status)
    library.set_tracking_uri(url)
    library.search_runs([experiment]).to_csv(folder / "runs.csv", index=False)
    table_of = recipe("tools.md", "MLflow")["table_of"]
    served, stored = map(table_of, (library.search_runs([experiment]), pd.read_csv(folder / "runs.csv")))
    options = {"value": "acc", "parameters": list(SPACE)}
    with refine.Tree("back", folder / "b.db") as back:
        root = back.add_runs(served[served["lr"].notna() & served["acc"].notna()], **options)
        same_round = back.add_runs(stored[stored["lr"].notna() & stored["acc"].notna()], **options)
        assert same_round.id == root.id  # the same runs are the same root
        done = (frame[frame["state"] == "complete"].set_index(list(SPACE)) for frame in (trials, root.trials))
        sent, read_back = (frame["acc"].sort_index() for frame in done)
        assert sent.equals(read_back)


def test_wandb(tmp_path):
    """W&B writes a run per trial offline, by the recipe of the docs."""
    os.environ.update(WANDB_SILENT="true", WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    with refine.Tree("study", tmp_path / "t.db") as tree:
        round_ = tree.add_round(SPACE, objective, metric="acc", n=5, seed=3)
        round_.run(machine=refine.Machine(on_trial=recipe("running.md", "wandb")["to_wandb"], progress=False))
        rows = {row["seed"]: row for row in round_.trials.fillna({"acc": 0}).to_dict("records")}
    files = list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 5
    for file in files:
        data = file.read_bytes()  # protocol buffers, with texts and numbers as JSON
        (row,) = [row for seed, row in rows.items() if str(seed).encode() in data]
        assert round_.id.encode() in data
        assert row["state"].encode() in data
        assert row["state"] != "complete" or repr(row["acc"]).encode() in data


def test_trackio(tmp_path):
    """Trackio holds a run per trial, by the recipe of the docs."""
    os.environ["TRACKIO_DIR"] = str(tmp_path / "trackio")
    with refine.Tree("study", tmp_path / "t.db") as tree:
        round_ = tree.add_round(SPACE, objective, metric="acc", n=3, seed=3)
        round_.run(
            machine=refine.Machine(on_trial=recipe("running.md", "trackio")["to_trackio"], progress=False)
        )
        import trackio as library

        runs = [run.config for run in library.Api().runs("study")]
        assert sorted(run["seed"] for run in runs) == sorted(round_.trials["seed"])
        assert {run["_Group"] for run in runs} == {round_.id}


def test_tensorboard(tmp_path):
    """TensorBoard reads records by Python and by the shell, and so do imports."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from typer.testing import CliRunner

    from refine.ui.cli import app

    events = tmp_path / "events"

    def files(round_):
        return list((events / round_.id).rglob("events.out*"))

    def stored(round_):
        return sorted((round(t.lr, 5), round(t.value, 5)) for t in round_.trials.itertuples())

    with refine.Tree("study", tmp_path / "t.db") as tree, refine.Tree("back", tmp_path / "b.db") as back:
        round_ = tree.add_round(SPACE, slow, metric="acc", n=4, seed=3)
        arguments = ["--objective", f"{__file__}:slow", "--set", f"machine.track=tensorboard={events}"]
        assert (
            CliRunner().invoke(app, ["run", str(tmp_path / "t.db"), round_.id, "-q", *arguments]).exit_code
            == 0
        )
        read = []
        for file in files(round_):
            trial = EventAccumulator(str(file.parent))
            trial.Reload()
            start = trial.summary_metadata["_hparams_/session_start_info"].plugin_data.content
            lr = HParamsPluginData.FromString(start).session_start_info.hparams["lr"].number_value
            read.append((round(lr, 5), round(trial.Scalars("refine.value")[-1].value, 5)))
        assert sorted(read) == stored(round_)
        TensorBoard(events, report=False).send(round_)
        assert len(files(round_)) == 4  # sent twice, there once
        frame = recipe("tools.md", "TensorBoard")["table_of"](events / round_.id)
        root = back.add_runs(frame[[*SPACE, "refine.value"]], value="refine.value")
        assert stored(root) == stored(round_)
