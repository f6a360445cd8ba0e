"""Finished runs of other tools: an adapter for each, from the table or the files that it gives. Nothing is unpickled or run."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from refine.errors import AnalysisError
from refine.space.space import Space
from refine.store.validity import BROKEN, said
from refine.tree.exchange.dataframe import read_table

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.I)
_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}


class Record(NamedTuple):
    """One run as its tool tells of it.

    Attributes:
        params: Setting -> value, nested ones by their keys joined with dots.
        metrics: Result -> its last value.
        state: ``complete``, ``pruned``, ``failed``; ``killed`` of one that was stopped from outside. Any other says why it is left out.
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
    """What an adapter gives: the runs, and what else the tool says."""

    records: list[Record]
    space: Space | None = None
    value: str | None = None
    directions: Mapping[str, str] = {}


def _mlflow(source: Any) -> Found:
    """What ``mlflow.search_runs`` gives, as a table or as its CSV file."""
    import pandas as pd

    if isinstance(source, str) and "://" in source:
        raise AnalysisError(
            "mlflow: a server is not read; give what mlflow.search_runs(...) gives, or the file that mlflow experiments csv writes"
        )
    frame: Any
    if isinstance(source, pd.DataFrame):
        frame = source.rename(columns=str)
    else:
        frame = read_table(source, dtype=str, keep_default_na=False)
    if not {"run_id", "status", "start_time"} <= set(frame) or not any(
        c.startswith("metrics.") for c in frame
    ):
        raise AnalysisError(
            f"{source!s:.200}: is no table of MLflow's runs, whose columns are run_id, status, params.NAME and metrics.NAME; any "
            "other table of runs comes in by tree.add_frame"
        )
    if len(set(frame.get("experiment_id", ()))) > 1:
        raise AnalysisError(f"{source!s:.200}: holds runs of several experiments; give those of one")
    times = [
        pd.to_datetime(frame[c].replace("", None), utc=True, format="ISO8601")
        for c in ("start_time", "end_time")
    ]
    frame = frame.assign(seconds=(times[1] - times[0]).dt.total_seconds(), start_time=times[0])
    # The table has no order to rely on, and the same runs are the same root.
    frame = frame.sort_values(["start_time", "run_id"])[sorted(frame)]
    parents = set(frame.get("tags.mlflow.parentRunId", ()))
    states = {"FINISHED": "complete", "FAILED": "failed", "KILLED": "killed"}
    records = []
    for row in frame.to_dict("records"):
        written = {n: str(v) for n, v in _part(row, "params.").items() if v is not None and v == v}
        state = states.get(row["status"], str(row["status"]).lower())
        records.append(
            Record(
                flat({n: value_of(text) for n, text in written.items() if text.strip()}),
                {n: v for n, v in numbers_of(_part(row, "metrics.")).items() if not math.isnan(v)},
                "parents of other runs, as of a search" if row["run_id"] in parents else state,
                row["seconds"],
                "MLflow: FAILED" if state == "failed" else None,
            )
        )
    return Found(records)


def _kerastuner(source: Any) -> Found:
    """A project's folder: the oracle's space with its conditions, and the metric that is the score of every trial."""
    folder = Path(source)
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


def _raytune(source: Any) -> Found:
    """What ``ResultGrid.get_dataframe()`` gives, or the experiment's folder, which also has failures and every report.

    Ray marks a trial that its scheduler stopped like one that ended by itself. One with fewer reports than the longest counts as
    pruned, unless one of its own parameters is the number of its reports, as of epochs.
    """
    trials: list[tuple[dict[str, Any], list[dict[str, Any]], str | None]] = []
    if hasattr(source, "to_dict"):
        for row in source.to_dict("records"):
            results = {n: v for n, v in row.items() if not n.startswith("config/")}
            trials.append((flat(_part(row, "config/")), [{"done": True, **results}], None))
    else:
        for place in sorted(p.parent for p in Path(source).glob("*/params.json")):
            lines = _text(place / "result.json").splitlines() if (place / "result.json").is_file() else []
            reports = [report for line in lines if (report := _report(line))]
            error = _text(place / "error.txt")[-2000:] if (place / "error.txt").is_file() else None
            trials.append((flat(_json(place / "params.json")), reports, error))
    if not trials:
        raise AnalysisError(
            f"{source!s:.200}: holds no trials; give the experiment's folder, in which each trial has a folder with params.json"
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


READERS: Mapping[str, tuple[str, Callable[[Any], Found]]] = {
    "mlflow": ("MLflow", _mlflow),
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


def _part(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {n.removeprefix(prefix): v for n, v in row.items() if n.startswith(prefix)}


def value_of(text: str) -> Any:
    """A cell as the value that was written there: a number, bool, ``None``, list as a tuple, mapping, or the text."""
    plain = text.strip()
    if plain.lower() in _CONSTANTS:
        return _CONSTANTS[plain.lower()]
    if re.fullmatch(r"[+-]?\d{1,300}", plain):
        return int(plain)
    if _NUMBER.fullmatch(plain):
        return float(plain)
    return settled(_structure(plain)) if plain[:1] in ("[", "(", "{") else text


def _structure(text: str) -> Any:
    """A list or mapping as JSON or Python writes it, else the text."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (*BROKEN, SyntaxError, MemoryError):
            pass
    return text


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
