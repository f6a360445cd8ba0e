"""Runs of Weights & Biases: the table that its page exports, and what ``wandb.Api().runs(...)`` gives, as JSON or CSV."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.errors import AnalysisError, SpaceError, did_you_mean
from refine.tree.exchange.cells import (
    MISSING,
    flat,
    json_lines,
    json_of,
    moment_of,
    number_of_text,
    numbers_of,
    plain_name,
    rows_of,
    seconds_of,
    structure_of,
    value_of,
)
from refine.tree.exchange.imported import UNKNOWN_SEED, Run
from refine.tree.exchange.runs import KILLED, Found, Reading
from refine.trials.goal import reads_like_a_metric

_STATES = {"finished": "complete", "failed": "failed", "crashed": "crashed", "killed": KILLED}
_OPEN = ("running", "pending", "preempting", "preempted")

_FIRST = [
    "Name",
    "State",
    "Notes",
    "User",
    "Tags",
    "Created",
    "Runtime",
    "Sweep",
    "Agent",
    "Group",
    "Host",
    "Hostname",
    "ID",
    "Id",
    "Job",
    "Updated",
    "Commit",
    "GitHub",
    "Description",
    "Entity",
    "Project",
    "Report",
    "Url",
    "URL",
]
_ALSO = (
    "Job Type",
    "Host Name",
    "End Time",
    "Start Time",
    "GPU Type",
    "GPU Count",
    "CPU Count",
    "Python Version",
)
_OWN = frozenset([*_FIRST, *_ALSO])
"""Columns of the page's table that are W&B's own."""

_LOGGED = re.compile(
    r"^(train|training|val|valid|validation|test|eval|evaluation|best|final|perf|media|charts)[/.]", re.I
)
_COUNTERS = frozenset(["epoch", "step", "global_step", "iteration", "iter", "trainer/global_step"])
_SYSTEM = ("system/", "system.", "gradients/", "parameters/", "_")

_GUESS = (
    "W&B's table does not say which columns are config and which are results: numbers whose names read like results, such as "
    "loss or val/..., are results, and the rest are parameters; say which are with parameters=[...] if that is wrong"
)


def read(asked: Reading) -> Found:
    """Ended runs of an export.

    Args:
        asked: Its ``source`` is a CSV or JSON file.

    Raises:
        AnalysisError: It is neither, or holds no runs of W&B.
    """
    path = Path(asked.source)
    if path.suffix.lower() == ".jsonl":
        return _of_objects(path, json_lines(path))
    if path.suffix.lower() == ".json":
        data = json_of(path)
        return _of_objects(path, data.get("runs") if isinstance(data, Mapping) else data)
    columns, rows = rows_of(path)
    if "config" in columns and "summary" in columns:
        return _of_objects(path, list(rows))
    if "State" not in columns and "Name" not in columns:
        raise AnalysisError(
            f"{path}: is no export of W&B: a table of runs has the columns Name and State; any other table of runs comes in "
            "by tree.add_frame"
        )
    return _of_table(columns, list(rows), asked)


# The table of a project's page.


def _of_table(columns: Sequence[str], rows: list[dict[str, str]], asked: Reading) -> Found:
    found = Found()
    cells = {c: [value_of(row[c]) for row in rows] for c in columns if c not in _OWN}
    for name in columns:
        if name in _OWN:
            found.dropped[name] = "W&B's own"
        elif name.startswith(_SYSTEM):
            found.dropped[name] = "the tool's own"
        elif all(v is MISSING for v in cells[name]):
            found.dropped[name] = "it has no value"
    known = [c for c in cells if c not in found.dropped]
    for name in asked.parameters or ():
        if plain_name(name) not in map(plain_name, known) and not any(
            name.startswith(f"{c}.") for c in known
        ):
            raise SpaceError(f"parameters: no run has a setting {name!r}; {did_you_mean(name, known)}")
    results = [c for c in known if _is_result(c, cells[c], asked)]
    settings = [c for c in known if c not in results]
    if asked.parameters is None:
        found.cautions = (_GUESS,)
    for i, row in enumerate(rows):
        had = flat({c: cells[c][i] for c in settings if cells[c][i] is not MISSING})
        metrics = numbers_of({c: cells[c][i] for c in results if cells[c][i] is not MISSING})
        _add(found, row.get("State") or "finished", had, metrics, row.get("Runtime"), row.get("Created"))
    return found


def _is_result(name: str, values: Iterable[Any], asked: Reading) -> bool:
    if name == asked.value:
        return True
    there = [v for v in values if v is not MISSING]
    if any(number_of_text(v) is None for v in there):
        return False
    if asked.parameters is not None:
        return plain_name(name) not in map(plain_name, asked.parameters)
    if name.lower() in _COUNTERS or _LOGGED.match(name):
        return True
    return reads_like_a_metric(name) and (len(set(map(str, there))) > 1 or len(there) == 1)


# What the API gives.


def _of_objects(path: Path, data: Any) -> Found:
    """Runs with a ``config`` and a ``summary`` each, as objects or as their texts."""
    if not isinstance(data, list) or not all(isinstance(run, Mapping) for run in data):
        raise AnalysisError(
            f"{path}: must hold a list of runs, each with its config and summary, as {{'name': run.name, 'state': run.state, "
            "'config': run.config, 'summary': dict(run.summary)}, got something else"
        )
    found = Found()
    for number, run in enumerate(data, 1):
        config = _mapping(run.get("config", run.get("json_config")))
        summary = _mapping(
            next((run[k] for k in ("summary", "summary_metrics", "summaryMetrics") if k in run), None)
        )
        if config is None or summary is None:
            raise AnalysisError(
                f"{path}: run {number} must have a config and a summary, both of names and values, got "
                f"{', '.join(map(str, run)) or 'nothing'}"
            )
        plain = {
            k: v["value"] if isinstance(v, Mapping) and set(v) <= {"value", "desc"} and v else v
            for k, v in config.items()
        }
        metrics = numbers_of({k: v for k, v in flat(summary).items() if not k.startswith(_SYSTEM)})
        created = run.get("created_at", run.get("createdAt"))
        _add(found, run.get("state") or "finished", flat(plain), metrics, summary.get("_runtime"), created)
    return found


def _mapping(data: Any) -> Mapping[str, Any] | None:
    if isinstance(data, str):
        data = structure_of(data)
    return data if isinstance(data, Mapping) else None


def _add(
    found: Found, state: Any, had: dict[str, Any], metrics: dict[str, float], runtime: Any, created: Any
) -> None:
    word = str(state).strip().lower()
    if word not in _STATES:
        found.left_out[word if word in _OPEN else f"in the state {word[:40]!r}, which is unknown"] += 1
        return
    seconds = seconds_of(runtime) if runtime is not None else 0.0
    began = moment_of(created) if created else None
    error = f"W&B: {word}" if _STATES[word] in ("failed", "crashed") else None
    found.runs.append(
        Run(
            had=had,
            state=_STATES[word],
            metrics=metrics,
            curve={},
            seconds=seconds,
            seed=UNKNOWN_SEED,
            origin="",
            finished=time.time() if began is None else began + seconds,
            error=error,
        )
    )
