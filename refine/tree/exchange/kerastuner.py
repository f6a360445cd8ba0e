"""Trials of Keras Tuner, from the files of its project's folder; it need not be installed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.errors import AnalysisError
from refine.space.space import Space
from refine.tree.exchange.cells import json_of, number_of_text, settled
from refine.tree.exchange.imported import UNKNOWN_SEED, Run
from refine.tree.exchange.runs import Found, Reading

_STATES = {"COMPLETED": "complete", "FAILED": "failed", "INVALID": "failed"}
_DIRECTIONS = {"max": "maximize", "min": "minimize"}
_OWN = "tuner/"
"""How settings begin that the tuner makes for itself, such as the epochs of Hyperband."""


def read(asked: Reading) -> Found:
    """Ended trials of a project.

    The hyperparameters of its oracle become the space with their conditions; the metric that is the score of every trial is the
    value.

    Args:
        asked: Its ``source`` is the project's folder, or the ``oracle.json`` in it.

    Raises:
        AnalysisError: It is no such folder.
        SpaceError: It has a hyperparameter that a space can't have.
    """
    folder = Path(asked.source)
    folder = folder.parent if folder.name == "oracle.json" else folder
    oracle = folder / "oracle.json"
    if not oracle.is_file():
        raise AnalysisError(
            f"{folder}: has no oracle.json; give the project's folder, which is directory/project_name of the tuner"
        )
    data = json_of(oracle)
    parts = _of(oracle, data, "hyperparameters")
    entries = [
        e for e in parts.get("space") or () if not str(_of(oracle, e, "config").get("name")).startswith(_OWN)
    ]
    if not entries:
        raise AnalysisError(f"{oracle}: its oracle has no hyperparameter yet; run the tuner first")
    found = Found(space=Space.from_keras_tuner({"space": entries}))
    scores: list[tuple[float, Mapping[str, float]]] = []
    for path in sorted(folder.glob("trial_*/trial.json")):
        _add(found, path, scores)
    found.value = _value(scores)
    return found


def _add(
    found: Found,
    path: Path,
    scores: list[tuple[float, Mapping[str, float]]],
) -> None:
    trial = json_of(path)
    values = _of(path, _of(path, trial, "hyperparameters"), "values")
    measured = _of(path, _of(path, trial, "metrics"), "metrics")
    status = str(trial.get("status"))
    if status not in _STATES:
        found.left_out[status.lower()[:40]] += 1
        return
    curves = {name: _observed(path, each) for name, each in measured.items()}
    for name, each in measured.items():
        if (direction := _DIRECTIONS.get(str(each.get("direction")))) is not None:
            found.directions.setdefault(name, direction)
    best = trial.get("best_step")
    metrics = {n: c.get(best, list(c.values())[-1]) for n, c in curves.items() if c}
    score = number_of_text(trial.get("score"))
    if status == "COMPLETED" and score is not None:
        scores.append((score, metrics))
    found.runs.append(
        Run(
            had={str(n): settled(v) for n, v in values.items() if not str(n).startswith(_OWN)},
            state=_STATES[status],
            metrics=metrics,
            curve={n: list(c.values()) for n, c in curves.items() if len(c) > 1},
            seconds=0.0,
            seed=UNKNOWN_SEED,
            origin="",
            finished=time.time(),
            error=_reason(trial) if status != "COMPLETED" else None,
        )
    )


def _reason(trial: Mapping[str, Any]) -> str:
    return str(trial.get("message") or f"Keras Tuner: {trial.get('status')}")[-2000:]


def _observed(path: Path, each: Any) -> dict[Any, float]:
    """Step -> mean over the executions of a trial."""
    out = {}
    for row in _of(path, {"metric": each}, "metric").get("observations") or ():
        numbers = [number for v in row.get("value") or () if (number := number_of_text(v)) is not None]
        if numbers:
            out[row.get("step")] = math.fsum(numbers) / len(numbers)
    return out


def _value(scores: list[tuple[float, Mapping[str, float]]]) -> str | None:
    """The metric that is the score of every trial."""
    names = {n for _, metrics in scores for n in metrics}
    equal = [
        n
        for n in names
        if all(math.isclose(score, metrics.get(n, math.nan), rel_tol=1e-9) for score, metrics in scores)
    ]
    return equal[0] if len(equal) == 1 else None


def _of(path: Path, data: Any, name: str) -> Mapping[str, Any]:
    part = data.get(name) if isinstance(data, Mapping) else None
    if not isinstance(part, Mapping):
        raise AnalysisError(
            f"{path}: is no file of Keras Tuner: {name!r} must be an object, got {part!r:.60}"
        )
    return part
