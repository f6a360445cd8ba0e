"""Sends rounds to real trackers; run in the environment that has them. Prints what arrived there as JSON."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import refine
from refine.errors import RefineWarning
from refine.report.trackers import MLflow, TensorBoard
from tests.recipes import recipe

SPACE = refine.Space({"lr": refine.Float(0.5, 2.0, 12), "layers": [1, 2], "optimizer": ["Adam", "SGD"]})


def objective(params: Any, trial: Any) -> dict[str, float]:
    """Reports three epochs; fails for SGD with two layers."""
    if params["layers"] == 2 and params["optimizer"] == "SGD":
        raise ValueError("no such pair")
    height = 1 - (params["lr"] - 1.5) ** 2
    for epoch in range(3):
        trial.report(epoch, {"acc": height * (1 - 0.5 ** (epoch + 1))})
    return {"acc": height, "size": 10.0 * params["layers"]}


def slow(params: Any) -> dict[str, float]:
    """Takes long enough for a server to die meanwhile."""
    time.sleep(0.1)
    return {"acc": -abs(params["lr"] - 1)}


def server(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A real MLflow server on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder}/m.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    running = subprocess.Popen(
        [*command, *store],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(1200):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5)
            return running, url
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the MLflow server does not come up")


def stop(running: subprocess.Popen[bytes]) -> None:
    """Kills the server and what it has started."""
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def mlflow(folder: Path) -> dict[str, Any]:
    """What a server holds after a round, after its being sent again, and what a server that dies costs."""
    from mlflow import MlflowClient

    folder.mkdir()
    running, url = server(folder)
    try:
        with refine.Tree("study", folder / "t.db") as tree:
            found = tree.add_round(SPACE, objective, metric="acc", n=24, seed=3, note="first look")
            tracker = MLflow(url, patience=120)
            found.run(progress=False, check_noise=False, track=tracker)
            tracker.send(found)
            client = MlflowClient(url)
            place = client.get_experiment_by_name("study").experiment_id
            runs = client.search_runs([place], max_results=1000)
            above = next(r for r in runs if r.data.tags.get("refine.id") == found.id)
            below = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == above.info.run_id]
            values = {r.data.tags["refine.seed"]: r.data.metrics.get("refine.value") for r in below}
            trials = found.trials
            done = {
                "runs": len(runs),
                "below": len(below),
                "tags": above.data.tags,
                "failed": sum(r.info.status == "FAILED" for r in below),
                "should_fail": int((trials["state"] == "failed").sum()),
                "values_equal": all(
                    (math.isnan(v) and values[str(s)] is None) or values[str(s)] == v
                    for s, v in zip(trials["seed"], trials["value"], strict=True)
                ),
                "params": below[0].data.params,
                "steps": [
                    len(client.get_metric_history(r.info.run_id, "acc"))
                    for r in below
                    if r.info.status != "FAILED"
                ],
                "files": sorted(f.path for f in client.list_artifacts(above.info.run_id, "report")),
            }
            done["back"] = read_back(url, client, folder, trials)
            # The server dies in the middle of a round.
            more = tree.add_round(SPACE, slow, metric="acc", n=20, seed=4)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                began = time.monotonic()
                more.run(
                    progress=False,
                    check_noise=False,
                    track=MLflow(url, patience=3),
                    on_trial=lambda trial: stop(running) if trial.ended == 5 else None,
                )
                done["waited"] = time.monotonic() - began
            done["complete"] = int((more.trials["state"] == "complete").sum())
            done["told"] = [str(w.message) for w in told if issubclass(w.category, RefineWarning)]
    finally:
        if running.poll() is None:
            stop(running)
    return done


def read_back(url: str, client: Any, folder: Path, trials: Any) -> dict[str, Any]:
    """What is imported of the server's runs and of a table of them."""
    import mlflow as library

    experiment = client.get_experiment_by_name("study").experiment_id
    for status in ("RUNNING", "KILLED"):
        run = client.create_run(experiment)
        client.log_param(run.info.run_id, "lr", 1.0)
        if status != "RUNNING":
            client.set_terminated(run.info.run_id, status)
    library.set_tracking_uri(url)
    library.search_runs([experiment]).to_csv(folder / "runs.csv", index=False)
    looks = [
        refine.Tree.read_runs(url, "mlflow", experiment="study", value="acc"),
        refine.Tree.read_runs(folder / "runs.csv", "mlflow", value="acc"),
    ]
    back = refine.Tree("back", folder / "b.db")
    root = back.add_runs(looks[0])
    ours = trials[trials["state"] == "complete"].set_index(["lr", "layers", "optimizer"])["acc"]
    theirs = root.trials[root.trials["state"] == "complete"].set_index(["lr", "layers", "optimizer"])["acc"]
    again = back.add_runs(looks[1])  # the same runs are the same root
    errors = []
    for source, name in (
        (url, "studdy"),
        ("sqlite:///nothing.db", None),
        ("http://ann:hunter2@127.0.0.1:9", None),
    ):
        try:
            refine.Tree.read_runs(source, "mlflow", experiment=name)
        except refine.errors.RefineError as error:
            errors.append(str(error))
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # for writing
    old = library.MlflowClient(f"file:{folder}/mlruns")
    place = old.create_experiment("old")
    for i in range(4):
        run = old.create_run(place).info.run_id
        old.log_param(run, "lr", i / 10)
        old.log_metric(run, "acc", i)
        old.set_terminated(run)
    del os.environ["MLFLOW_ALLOW_FILE_STORE"]
    paths = (f"file:{folder}/mlruns", f"file://{folder}/mlruns", str(folder / "mlruns"))
    folders = [refine.Tree.read_runs(p, "mlflow", experiment="old").states["complete"] for p in paths]
    return {
        "folders": folders,
        "states": [dict(look.states) for look in looks],
        "left_out": [dict(look.left_out) for look in looks],
        "spaces_equal": looks[0].space == looks[1].space,
        "roots_equal": again.id == root.id,
        "values_equal": ours.sort_index().equals(theirs.sort_index()),
        "errors": errors,
    }


def written(file: Path) -> Iterator[bytes]:
    """The records of a file of wandb: after a header of 7 bytes LevelDB's log, in blocks of 32 KB."""
    data, at, parts = file.read_bytes(), 7, b""
    while at < len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def wandb(folder: Path) -> dict[str, Any]:
    """What wandb wrote offline by the recipe of the docs."""
    folder.mkdir()
    os.environ.update(WANDB_SILENT="true", WANDB_MODE="offline", WANDB_DIR=str(folder))
    with refine.Tree("study", folder / "t.db") as tree:
        found = tree.add_round(SPACE, objective, metric="acc", n=5, seed=3)
        found.run(progress=False, on_trial=recipe("running.md", "wandb")["to_wandb"])
        from wandb.proto import wandb_internal_pb2

        runs = []
        for file in folder.glob("wandb/offline-run-*/run-*.wandb"):
            run: dict[str, Any] = {"config": {}, "summary": {}, "epochs": 0}
            for data in written(file):
                record = wandb_internal_pb2.Record()
                record.ParseFromString(data)
                run["epochs"] += record.HasField("history")
                if record.HasField("run"):
                    run["group"] = record.run.run_group
                parts = {"config": record.run.config, "summary": record.summary}
                for name, part in parts.items():
                    run[name] |= {u.key: json.loads(u.value_json) for u in part.update}
            runs.append(run)
        rows = found.trials[["seed", "state", "lr", "acc"]].fillna(0).to_dict("records")
        return {"round": found.id, "runs": runs, "rows": rows}


def trackio(folder: Path) -> dict[str, Any]:
    """What Trackio keeps by the recipe of the docs."""
    folder.mkdir()
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    with refine.Tree("study", folder / "t.db") as tree:
        found = tree.add_round(SPACE, objective, metric="acc", n=3, seed=3)
        found.run(progress=False, on_trial=recipe("running.md", "trackio")["to_trackio"])
        import trackio as library

        runs = [{**run.config} for run in library.Api().runs("study")]
        return {"round": found.id, "runs": runs, "seeds": found.trials["seed"].tolist()}


def tensorboard(folder: Path) -> dict[str, Any]:
    """What TensorBoard reads, and what is there after the shell has tracked."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from typer.testing import CliRunner

    from refine.ui.cli import app

    folder.mkdir()
    place, events = folder / "t.db", folder / "events"
    with refine.Tree("study", place) as tree:
        found = tree.add_round(SPACE, slow, metric="acc", n=8, seed=3)
        found.run(progress=False, track=TensorBoard(events))
        read = []
        for file in (events / found.id).rglob("events.out*"):
            there = EventAccumulator(str(file.parent))
            there.Reload()
            start = there.summary_metadata["_hparams_/session_start_info"].plugin_data.content
            lr = HParamsPluginData.FromString(start).session_start_info.hparams["lr"].number_value
            read.append([round(lr, 5), round(there.Scalars("refine.value")[-1].value, 5)])
        TensorBoard(events).send(found)
        again = len(list((events / found.id).rglob("events.out*")))
        stored = [[round(t.lr, 5), round(t.value, 5)] for t in found.trials.itertuples()]
        look = refine.Tree.read_runs(events / found.id, "tensorboard")
        back = refine.Tree("back", folder / "b.db").add_runs(look)
        imported = [[round(t.lr, 5), round(t.value, 5)] for t in back.trials.itertuples()]
        (events / "odd").mkdir()
        (events / "odd" / "events.out.tfevents.1").write_bytes(b"no events")
        try:
            refine.Tree.read_runs(events / "odd", "tensorboard")
        except refine.errors.RefineError as error:
            refused = str(error)
        other = tree.add_round(SPACE, slow, metric="acc", n=8, seed=4)
        command = [
            "run",
            str(place),
            other.id,
            "-q",
            "--objective",
            f"{__file__}:slow",
            "--track",
            f"tensorboard={events}",
        ]
        done = CliRunner().invoke(app, command)
        shell = [done.exit_code, len(list((events / other.id).rglob("events.out*")))]
        return {
            "read": sorted(read),
            "stored": sorted(stored),
            "again": again,
            "shell": shell,
            "imported": sorted(imported),
            "space": back.space.to_json(),
            "states": dict(look.states),
            "refused": refused,
        }


if __name__ == "__main__":
    where = Path(sys.argv[2])
    print(
        json.dumps(
            {"mlflow": mlflow, "tensorboard": tensorboard, "trackio": trackio, "wandb": wandb}[sys.argv[1]](
                where
            )
        )
    )
