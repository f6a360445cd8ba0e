"""Trials of Ray Tune, from the files of an experiment's folder; Ray need not be installed, and nothing is unpickled."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.errors import AnalysisError
from refine.tree.exchange.cells import (
    MISSING,
    flat,
    json_lines,
    json_of,
    moment_of,
    number_of_text,
    path_text,
    rows_of,
    seconds_of,
    value_of,
)
from refine.tree.exchange.imported import UNKNOWN_SEED, Run
from refine.tree.exchange.runs import Found, Reading

_STATES = {"TERMINATED": "complete", "ERROR": "failed"}
_OWN = frozenset(
    [
        "timestamp",
        "checkpoint_dir_name",
        "done",
        "training_iteration",
        "trial_id",
        "date",
        "time_this_iter_s",
        "time_total_s",
        "pid",
        "hostname",
        "node_ip",
        "time_since_restore",
        "iterations_since_restore",
        "should_checkpoint",
        "experiment_id",
        "experiment_tag",
        "episodes_total",
        "timesteps_total",
        "timesteps_since_restore",
        "warmup_time",
    ]
)
"""What Ray itself adds to every report."""


def read(asked: Reading) -> Found:
    """Ended trials of an experiment.

    Ray marks a trial that its scheduler stopped like one that ended by itself. One with fewer reports than the longest counts as
    pruned, unless one of its own parameters is the number of its reports, as of epochs.

    Args:
        asked: Its ``source`` is the experiment's folder.

    Raises:
        AnalysisError: It is no such folder.
    """
    folder = Path(asked.source)
    places = sorted({p.parent for name in ("params.json", "result.json") for p in folder.glob(f"*/{name}")})
    if not places:
        deeper = next(iter(sorted(folder.glob("*/*/params.json"))), None)
        hint = f"; it may be {deeper.parent.parent}" if deeper else ""
        raise AnalysisError(
            f"{folder}: holds no trials; give the experiment's folder, in which each trial has a folder with params.json{hint}"
        )
    states = _states(folder)
    found = Found()
    for place in places:
        state = states.get(place.name, "")
        if state in _STATES or (not states and _ended(place)):
            found.runs.append(
                _run(place, _STATES.get(state, "failed" if (place / "error.txt").is_file() else "complete"))
            )
        else:
            found.left_out[state.lower()[:40] or "without a state: running, or left when Ray ended"] += 1
    unseen = [state for name, state in states.items() if name not in {p.name for p in places}]
    for state in unseen:
        found.left_out[f"{state.lower()[:40]}, without a folder"] += 1
    found.runs = _pruned(found.runs)
    return found


def _states(folder: Path) -> dict[str, str]:
    """Trial's folder -> state, of the latest state of the experiment."""
    files = sorted(folder.glob("experiment_state-*.json"))
    if not files:
        return {}
    data = json_of(files[-1])
    trials = data.get("trial_data") if isinstance(data, Mapping) else None
    if not isinstance(trials, list):
        raise AnalysisError(
            f"{files[-1]}: is no state of an experiment: 'trial_data' must be a list, got {trials!r:.60}"
        )
    out = {}
    for entry in trials:
        text = entry[0] if isinstance(entry, list) and entry else entry
        try:
            trial = json.loads(text) if isinstance(text, str) else text
        except (ValueError, RecursionError):
            trial = None
        if not isinstance(trial, Mapping) or "status" not in trial:
            raise AnalysisError(
                f"{files[-1]}: is no state of an experiment: a trial of it has no status, got {text!r:.60}"
            )
        name = trial.get("relative_logdir") or trial.get("logdir") or trial.get("trial_id")
        out[Path(str(name)).name] = str(trial["status"])
    return out


def _ended(place: Path) -> bool:
    """Whether a trial of an experiment without a state ended: it failed, or said that it was done."""
    rows = _reports(place)
    return (place / "error.txt").is_file() or bool(rows and rows[-1].get("done") in (True, "True"))


def _reports(place: Path) -> list[Mapping[str, Any]]:
    if (place / "result.json").is_file() and (place / "result.json").stat().st_size:
        rows = json_lines(place / "result.json")
        if bad := next((row for row in rows if not isinstance(row, Mapping)), None):
            raise AnalysisError(f"{place / 'result.json'}: each line must be an object, got {bad!r:.60}")
        return rows
    if (place / "progress.csv").is_file():
        _, lines = rows_of(place / "progress.csv")
        return [{k: v for k, text in row.items() if (v := value_of(text)) is not MISSING} for row in lines]
    return []


def _run(place: Path, state: str) -> Run:
    rows = _reports(place)
    params = json_of(place / "params.json") if (place / "params.json").is_file() else None
    config = params if params is not None else (rows[-1].get("config") if rows else {})
    if not isinstance(config, Mapping):
        raise AnalysisError(f"{place / 'params.json'}: must be an object of parameters, got {config!r:.60}")
    curves: dict[str, list[float]] = {}
    for row in rows:
        for name, value in flat({k: v for k, v in row.items() if k != "config"}, "/").items():
            if (
                name not in _OWN
                and not name.startswith("config/")
                and (number := number_of_text(value)) is not None
            ):
                curves.setdefault(name, []).append(number)
    last = rows[-1] if rows else {}
    ended = moment_of(last.get("timestamp", ""))
    return Run(
        had=flat(config),
        state=state,
        metrics={n: c[-1] for n, c in curves.items()},
        curve={n: c for n, c in curves.items() if len(c) > 1},
        seconds=seconds_of(last.get("time_total_s", 0.0)),
        seed=UNKNOWN_SEED,
        origin="",
        finished=time.time() if ended is None else ended,
        error=_reason(place) if state == "failed" else None,
    )


def _reason(place: Path) -> str:
    file = place / "error.txt"
    return path_text(file)[-2000:] if file.is_file() else "Ray Tune: ERROR"


def _pruned(runs: Sequence[Run]) -> list[Run]:
    """Runs, with those that were stopped early marked."""
    reports = [max((len(c) for c in run.curve.values()), default=min(1, len(run.metrics))) for run in runs]
    most = max(reports, default=0)
    own = [any(_is(v, n) for v in run.had.values()) for run, n in zip(runs, reports, strict=True)]
    return [
        run._replace(state="pruned") if run.state == "complete" and 0 < n < most and not mine else run
        for run, n, mine in zip(runs, reports, own, strict=True)
    ]


def _is(value: Any, count: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isclose(value, count)
