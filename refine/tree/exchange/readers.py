"""Finished runs of other tools: an adapter for each, from the table or the files that it gives. Nothing is unpickled or run."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from refine.errors import AnalysisError, NotFoundError, StoreError
from refine.space.space import Space
from refine.store.validity import BROKEN, said
from refine.trials.goal import reads_like_a_metric
from refine.utils.extras import load

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.I)
_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}
_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)")


class Record(NamedTuple):
    """One run as its tool tells of it.

    Attributes:
        params: Setting -> value, nested ones by their keys joined with dots.
        metrics: Result -> its last value.
        state: ``complete``, ``pruned``, ``failed``, ``crashed``; ``killed`` of one that was stopped from outside. Any other says why
            it is left out.
        seconds: Wall time, 0 where unknown.
        error: Why it failed, where the tool keeps that.
        curve: Result -> values per step.
    """

    params: dict[str, Any]
    metrics: dict[str, float]
    state: str
    seconds: float = 0.0
    error: str | None = None
    curve: Mapping[str, list[float]] = {}


class Found(NamedTuple):
    """What an adapter gives: the runs, what else the tool says, and whether which columns are results was guessed."""

    records: list[Record]
    space: Space | None = None
    value: str | None = None
    directions: Mapping[str, str] = {}
    guessed: bool = False


class Asked(NamedTuple):
    """What an adapter is asked for: a table, file, folder or URL, and what the person said of it."""

    source: Any
    experiment: str | None = None
    is_parameter: Callable[[str], bool] | None = None


def _mlflow(asked: Asked) -> Found:
    """What ``mlflow.search_runs`` gives, as a table, as its CSV file, or of a server or store."""
    import pandas as pd

    source = asked.source
    remote = isinstance(source, str) and ("://" in source or source.startswith(("file:", "sqlite:")))
    if remote or (not isinstance(source, pd.DataFrame) and Path(source).is_dir()):
        frame = _of_server(source, asked.experiment)
    elif asked.experiment is not None:
        raise AnalysisError(f"experiment is for a server or store, got {asked.experiment!r}; leave it out")
    else:
        frame = _table(source)
    if not {"run_id", "status", "start_time"} <= set(frame) or not any(
        c.startswith("metrics.") for c in frame
    ):
        raise AnalysisError(
            f"{source!s:.200}: is no table of MLflow's runs, whose columns are run_id, status, params.NAME and metrics.NAME; any "
            "other table of runs comes in by tree.add_frame"
        )
    if len(set(frame.get("experiment_id", ()))) > 1:
        raise AnalysisError(f"{source!s:.200}: holds runs of several experiments; name one: experiment=")
    times = [
        pd.to_datetime(frame[c].replace("", None), utc=True, format="ISO8601")
        for c in ("start_time", "end_time")
    ]
    frame = frame.assign(seconds=(times[1] - times[0]).dt.total_seconds(), start_time=times[0])
    # Servers and tables have no order to rely on, and the same runs are the same root.
    frame = frame.sort_values(["start_time", "run_id"])[sorted(frame)]
    parents = set(frame.get("tags.mlflow.parentRunId", ()))
    states = {"FINISHED": "complete", "FAILED": "failed", "KILLED": "killed"}
    records = []
    for row in frame.to_dict("records"):
        state = states.get(row["status"], str(row["status"]).lower())
        records.append(
            Record(
                flat(_values(_part(row, "params."))),
                {n: v for n, v in numbers_of(_part(row, "metrics.")).items() if not math.isnan(v)},
                "parents of other runs, as of a search" if row["run_id"] in parents else state,
                row["seconds"],
                "MLflow: FAILED" if state == "failed" else None,
            )
        )
    return Found(records)


def _of_server(source: Any, experiment: str | None) -> Any:
    mlflow = load("mlflow", f"reading {without_secret(str(source))}", AnalysisError)
    local = re.sub(r"^(sqlite:///|file:(//)?)", "", str(source))
    if "://" not in local and not Path(local).exists():  # opening a store would make it
        raise NotFoundError(f"{source}: there is no such store; give the URL of one that exists")
    before = mlflow.get_tracking_uri()
    with _environment(MLFLOW_HTTP_REQUEST_MAX_RETRIES="1", MLFLOW_ALLOW_FILE_STORE="true"):
        try:
            mlflow.set_tracking_uri(str(source))
            named = (
                {"search_all_experiments": True} if experiment is None else {"experiment_names": [experiment]}
            )
            frame = mlflow.search_runs(**named)
        except Exception as error:  # noqa: BLE001  # servers and drivers raise what they like
            reason = without_secret(str(error).strip().partition("\n")[0] or type(error).__name__)
            raise StoreError(
                f"{without_secret(str(source))}: MLflow can't read it: {reason}; check the URL"
            ) from None
        finally:
            mlflow.set_tracking_uri(before)
    if frame.empty:
        hint = "" if experiment is None else f" in an experiment {experiment!r}"
        raise NotFoundError(f"{without_secret(str(source))}: has no run{hint}; check the name")
    return frame


@contextmanager
def _environment(**defaults: str) -> Iterator[None]:
    """What the person has not set of the environment: few retries, and stores in folders, which newer MLflow refuses."""
    added = [name for name in defaults if name not in os.environ]
    os.environ.update({name: defaults[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


_WANDB = re.compile(
    r"Name|State|Notes|User|Tags|Created|Runtime|Sweep|Agent|Group|Host.*|I[dD]|Job( Type)?|Updated|Commit|GitHub|Description|Entity|"
    r"Project|Report|U(rl|RL)|(End|Start) Time|[GC]PU (Type|Count)|Python Version|system[/.].*|gradients/.*|parameters/.*|_.*"
)
"""Columns of W&B's table that are its own."""


def _wandb(asked: Asked) -> Found:
    """The table that a project's page exports, or ``config`` and ``summary`` of ``wandb.Api().runs(...)``, as JSON, table or CSV."""
    frame = _table(asked.source)
    states = {"finished": "complete", "failed": "failed", "crashed": "crashed", "killed": "killed"}
    logged = {n for n in frame if _is_logged(n, frame[n], asked.is_parameter)}
    records = []
    for row in frame.to_dict("records"):
        if "config" in frame:
            params, results = flat(_mapping(row["config"])), flat(_mapping(row.get("summary")))
        elif "State" in frame or "Name" in frame:
            results = {n: v for n, v in row.items() if n in logged}
            own = {n: v for n, v in row.items() if n not in logged and not _WANDB.fullmatch(n)}
            params = flat(_values(own))
        else:
            raise AnalysisError(
                f"{asked.source!s:.200}: is no export of W&B: a table of runs has the columns Name and State; any other table of "
                "runs comes in by tree.add_frame"
            )
        told = str(row.get("State", row.get("state", "finished"))).lower()
        state = states.get(told, told)
        metrics = {n: v for n, v in numbers_of(results).items() if not _WANDB.fullmatch(n)}
        seconds = number_of(results.get("_runtime", row.get("Runtime")))
        error = f"W&B: {told}" if state in ("failed", "crashed") else None
        records.append(Record(params, metrics, state, seconds or 0.0, error))
    return Found(records, guessed="config" not in frame and asked.is_parameter is None)


def _is_logged(name: str, column: Any, is_parameter: Callable[[str], bool] | None) -> bool:
    """Whether a column of the table, which does not say, is a result: numbers under a result's name, or no named parameter."""
    cells = [v for v in column if not _is_missing(v)]
    if not cells or any(number_of(v) is None for v in cells) or _WANDB.fullmatch(name):
        return False
    if is_parameter is not None:
        return not is_parameter(name)
    return "/" in name or name.lower() in ("epoch", "step", "global_step") or reads_like_a_metric(name)


def _tensorboard(asked: Asked) -> Found:
    """Folders with events of the HParams plugin, the scalars of them and of those below, such as ``validation/loss``."""
    load("tensorboard", "reading event files", AnalysisError)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.util.tensor_util import make_ndarray

    folder = Path(asked.source)
    sessions: dict[Path, Any] = {}
    curves: dict[Path, dict[str, list[float]]] = {}
    for place in sorted({p.parent for p in folder.rglob("*tfevents*")}):
        events = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0}).Reload()
        notes = events.summary_metadata
        start, end = (
            HParamsPluginData.FromString(notes[name].plugin_data.content)
            if name in notes
            else HParamsPluginData()
            for name in ("_hparams_/session_start_info", "_hparams_/session_end_info")
        )
        if start.HasField("session_start_info"):
            sessions[place] = (start.session_start_info, end.session_end_info)
        owner = next((p for p in (place, *place.parents) if p in sessions), place)
        head = "" if owner == place else f"{place.relative_to(owner).as_posix()}/"
        curve = {n: [e.value for e in events.Scalars(n)] for n in events.Tags()["scalars"]}
        for name in events.Tags()["tensors"]:
            if notes[name].plugin_data.plugin_name == "scalars":
                curve[name] = [make_ndarray(e.tensor_proto).item() for e in events.Tensors(name)]
        curves.setdefault(owner, {}).update({f"{head}{n}": c for n, c in curve.items()})
    if not sessions:
        raise AnalysisError(
            f"{folder}: no event file in it holds hyperparameters, which TensorBoard's tab HPARAMS shows"
        )
    settings = {
        place: {
            n: getattr(v, v.WhichOneof("kind"))
            for n, v in sorted(start.hparams.items())
            if v.WhichOneof("kind")
        }
        for place, (start, _) in sessions.items()
    }
    real = {n for s in settings.values() for n, v in s.items() if not isinstance(v, float) or v % 1}
    records = []
    for place, (start, end) in sessions.items():
        state = {1: "complete", 2: "failed"}.get(end.status, "without an end: running, or killed")
        params = {
            n: v if n in real else int(v) for n, v in settings[place].items()
        }  # the plugin keeps all numbers as real ones
        metrics = {n: c[-1] for n, c in curves[place].items()}
        seconds = max(0.0, end.end_time_secs - start.start_time_secs)
        error = "TensorBoard: STATUS_FAILURE" if state == "failed" else None
        records.append(Record(params, metrics, state, seconds, error, curves[place]))
    return Found(records)


def _kerastuner(asked: Asked) -> Found:
    """A project's folder: the oracle's space with its conditions, and the metric that is the score of every trial."""
    folder = Path(asked.source)
    folder = folder.parent if folder.name == "oracle.json" else folder
    if not (folder / "oracle.json").is_file():
        raise AnalysisError(
            f"{folder}: has no oracle.json; give the project's folder, which is directory/project_name of the tuner"
        )
    entries = _json(folder / "oracle.json")["hyperparameters"]["space"]
    space = Space.from_keras_tuner(
        {"space": [e for e in entries if not e["config"]["name"].startswith("tuner/")]}
    )
    states = {"COMPLETED": "complete", "FAILED": "failed", "INVALID": "failed"}
    records: list[Record] = []
    directions: dict[str, str] = {}
    scores: dict[str, list[bool]] = {}
    for trial in map(_json, sorted(folder.glob("trial_*/trial.json"))):
        measured = trial["metrics"]["metrics"]
        curves = {
            n: {o["step"]: math.fsum(o["value"]) / len(o["value"]) for o in m["observations"]}
            for n, m in measured.items()
        }
        directions |= {
            n: f"{m['direction']}imize" for n, m in measured.items() if m.get("direction") in ("max", "min")
        }
        metrics = {n: c.get(trial.get("best_step"), [*c.values()][-1]) for n, c in curves.items() if c}
        state = states.get(trial["status"], trial["status"].lower())
        if state == "complete":
            for name, number in metrics.items():
                scores.setdefault(name, []).append(math.isclose(number, trial["score"], rel_tol=1e-9))
        params = {
            n: settled(v) for n, v in trial["hyperparameters"]["values"].items() if not n.startswith("tuner/")
        }
        error = (
            (trial.get("message") or f"Keras Tuner: {trial['status']}")[-2000:] if state == "failed" else None
        )
        records.append(
            Record(params, metrics, state, error=error, curve={n: [*c.values()] for n, c in curves.items()})
        )
    values = [name for name, equal in scores.items() if all(equal)]
    value = values[0] if len(values) == 1 else None
    return Found(records, space, value, directions)


_RAY = re.compile(
    r"timestamp|checkpoint_dir_name|done|training_iteration|trial_id|date|time_(this_iter_s|total_s|since_restore)|pid|hostname|node_ip|iterations_since_restore|"
    r"should_checkpoint|experiment_(id|tag)|(episodes|timesteps)_.*|warmup_time|logdir"
)
"""What Ray itself adds to every report."""


def _raytune(asked: Asked) -> Found:
    """What ``ResultGrid.get_dataframe()`` gives, or the experiment's folder, which also has failures and every report.

    Ray marks a trial that its scheduler stopped like one that ended by itself. One with fewer reports than the longest counts as
    pruned, unless one of its own parameters is the number of its reports, as of epochs.
    """
    trials: list[tuple[dict[str, Any], list[dict[str, Any]], str | None]] = []
    if hasattr(asked.source, "to_dict"):
        for row in asked.source.to_dict("records"):
            results = {n: v for n, v in row.items() if not n.startswith("config/")}
            trials.append((flat(_part(row, "config/")), [{"done": True, **results}], None))
    else:
        for place in sorted(p.parent for p in Path(asked.source).glob("*/params.json")):
            lines = _text(place / "result.json").splitlines() if (place / "result.json").is_file() else []
            reports = [report for line in lines if (report := _report(line))]
            error = _text(place / "error.txt")[-2000:] if (place / "error.txt").is_file() else None
            trials.append((flat(_json(place / "params.json")), reports, error))
    if not trials:
        raise AnalysisError(
            f"{asked.source!s:.200}: holds no trials; give the experiment's folder, in which each trial has a folder with params.json"
        )
    counts = [max((r.get("training_iteration", 0) for r in reports), default=0) for _, reports, _ in trials]
    records = []
    for (params, reports, error), count in zip(trials, counts, strict=True):
        curve: dict[str, list[float]] = {}
        for report in reports:
            results = flat({n: v for n, v in report.items() if n != "config"}, "/")
            for name, number in numbers_of(results).items():
                if not _RAY.fullmatch(name):
                    curve.setdefault(name, []).append(number)
        last = reports[-1] if reports else {}
        metrics = {n: c[-1] for n, c in curve.items()}
        lengths = [v for v in params.values() if not isinstance(v, bool)]
        if error is not None:
            state = "failed"
        elif not last.get("done"):
            state = "running, or left when Ray ended"
        else:
            state = "pruned" if 0 < count < max(counts) and count not in lengths else "complete"
        records.append(Record(params, metrics, state, last.get("time_total_s", 0.0), error, curve))
    return Found(records)


def _report(line: str) -> Any:
    """A line of reports; the last one is cut off where a process died."""
    try:
        return json.loads(line)
    except BROKEN:
        return None


READERS: Mapping[str, tuple[str, Callable[[Asked], Found]]] = {
    "wandb": ("W&B", _wandb),
    "mlflow": ("MLflow", _mlflow),
    "tensorboard": ("TensorBoard", _tensorboard),
    "kerastuner": ("Keras Tuner", _kerastuner),
    "raytune": ("Ray Tune", _raytune),
}
"""Kind -> what the tool is called, and its adapter."""


# Files, tables and their cells.


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AnalysisError(f"{path}: can't be read: {reason}; check the path") from None


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except BROKEN as error:
        raise AnalysisError(f"{path}: is no JSON: {said(error)}; export it again") from None


def _table(source: Any) -> Any:
    """A table as it was given, or of a CSV file, all cells as texts, or of a JSON file."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source.rename(columns=str)
    path = Path(source)
    if path.suffix == ".json":
        data = _json(path)
        if not isinstance(data, list) or not all(isinstance(run, dict) for run in data):
            raise AnalysisError(f"{path}: must hold a list of runs, got {data!r:.60}")
        return pd.DataFrame(data, dtype=object)
    try:
        columns, *lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    except (csv.Error, *BROKEN) as error:
        raise AnalysisError(f"{path}: is no table with commas between columns: {said(error)}") from None
    if twice := [c for i, c in enumerate(columns) if c in columns[:i]]:
        raise AnalysisError(f"{path}: columns must differ in name, got {twice[0]!r} twice; rename one")
    lines = [line for line in lines if line]
    if odd := next((len(line) for line in lines if len(line) != len(columns)), None):
        raise AnalysisError(
            f"{path}: every row must have {len(columns)} cells, as the first, got {odd}; export it again"
        )
    return pd.DataFrame(lines, columns=columns, dtype=object)


def _part(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {n.removeprefix(prefix): v for n, v in row.items() if n.startswith(prefix)}


def _is_missing(cell: Any) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())


def _values(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Cells of a row as the values that were written there, without empty ones."""
    return {n: value_of(v) if isinstance(v, str) else v for n, v in cells.items() if not _is_missing(v)}


def value_of(text: str) -> Any:
    """A cell as the value that was written there: a number, bool, ``None``, list as a tuple, mapping, or the text."""
    plain = text.strip()
    if plain.lower() in _CONSTANTS:
        return _CONSTANTS[plain.lower()]
    if re.fullmatch(r"[+-]?\d{1,300}", plain):
        return int(plain)
    if _NUMBER.fullmatch(plain):
        return float(plain)
    return settled(_structure(plain, text)) if plain[:1] in ("[", "(", "{") else text


def _structure(text: str, otherwise: Any) -> Any:
    """A list or mapping as JSON or Python writes it."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(
                re.sub(r"(?<=[:\[(,]\s)(nan|-?inf)(?=[,}\])])", r"'\1'", text)
                if read is ast.literal_eval
                else text
            )
        except (*BROKEN, SyntaxError, MemoryError):
            pass
    return otherwise


def _mapping(data: Any) -> Mapping[str, Any]:
    data = _structure(data, None) if isinstance(data, str) else data
    if not isinstance(data, Mapping):
        raise AnalysisError(
            f"each run must have a config and a summary, both of names and values, got {data!r:.60}; export it again"
        )
    return data


def settled(value: Any) -> Any:
    """Lists as tuples, which are choices."""
    return tuple(map(settled, value)) if isinstance(value, list | tuple) else value


def flat(data: Mapping[str, Any], between: str = ".", above: str = "") -> dict[str, Any]:
    """Nested settings with the keys of each joined: ``{"optimizer": {"lr": 1}}`` is ``{"optimizer.lr": 1}``."""
    out: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{above}{between}{key}" if above else str(key)
        if isinstance(value, Mapping):
            out |= flat(value, between, name)
        else:
            out[name] = str(value) if "{" in str(value) else settled(value)
    return out


def number_of(value: Any) -> float | None:
    """A number, also as its text, ``"NaN"`` among them; ``None`` of anything else."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else None
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def numbers_of(data: Mapping[str, Any]) -> dict[str, float]:
    """Those of some values that are numbers."""
    return {name: number for name, v in data.items() if (number := number_of(v)) is not None}


def without_secret(text: str) -> str:
    """A URL without the name and password that it may hold."""
    return _SECRET.sub("***", text)
