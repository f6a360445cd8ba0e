"""Talos 2: run directories as finished runs, decisions as interventions. Executes nothing from the files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from refine.analysis.finished_runs import UNKNOWN_SEED, FinishedRuns, Run, inferred, origin_of
from refine.errors import AnalysisError, RefineError, ReviewError, did_you_mean
from refine.space.encoding import Reference, digest, freeze
from refine.space.parameters import Parameter, Range
from refine.space.parsing import parse_talos
from refine.space.space import Space
from refine.tree.round_record import RoundRecord
from refine.trials.goal import direction_of
from refine.trials.trial import State, ended_state
from refine.utils.warning import warn

_TAG = "__talos_type__"
_OWN = ("start", "end", "duration", "execution_time", "round_epochs")
# Search strategies that don't look at results.
_EVEN = ("GridStrategy", "RandomStrategy", "LegacyStrategy")


def read_run(
    folder: str | Path,
    value: str | None = None,
    direction: str | None = None,
    space_filling: bool | None = None,
) -> tuple[FinishedRuns, str]:
    """Finished runs of a run directory, and a line on its source: see :meth:`refine.Tree.add_runs`."""
    about_file, trials_file, audit_file = (
        Path(folder) / name for name in ("metadata.json", "round_data.jsonl", "audit.jsonl")
    )
    try:
        about = _plain(json.loads(about_file.read_text("utf-8")))
        *lines, last = trials_file.read_text("utf-8").split("\n")
        complete = False  # a last line without a line break may still be being written
        with suppress(ValueError):
            complete = isinstance(json.loads(last), dict)
        if complete:
            lines.append(last)
        elif last:
            warn(
                f"{trials_file}: half of a record at its end is left out; import it again when the sweep "
                "has written the rest"
            )
        records = [_plain(json.loads(line)) for line in lines]
        steered = audit_file.exists() and '"interventions":[{' in audit_file.read_text("utf-8")
        even = not steered and about["identity"]["strategy"]["class"]["qualname"] in _EVEN
        if isinstance(about["objective"], dict):
            goal = about["objective"]
        else:
            goal = {"metric": about["objective"]}
        metric = str(value or goal["metric"])
        if even:
            origin = "imported"
        else:
            origin = "adaptive"
        runs = [_run(record, metric, origin) for record in records]
        version = about["environment"]["packages"]["talos"]
        data = digest(about["identity"]["data"])
        source = (
            f"Talos {version}, {about['experiment_name']}, identity {about['identity_hash'][:12]}, "
            f"data {data}"
        )
        values_by_name = {name: [run.had[name] for run in runs] for name in about["params"]}
    except RefineError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnalysisError(
            f"{folder}: is not a run directory of Talos 2: {type(error).__name__} {error}; check the "
            "path (an exported tree has a tree.json)"
        ) from None
    metric_names = dict.fromkeys(name for run in runs for name in run.metrics)
    if metric not in metric_names:
        raise AnalysisError(
            f"{folder}: no finished run has a result {metric!r}; {did_you_mean(metric, metric_names)}"
        )
    if space_filling is not None:
        runs = [run._replace(origin=origin_of(space_filling)) for run in runs]
    if direction is None and metric == goal["metric"]:
        direction = {"min": "minimize", "max": "maximize"}.get(goal.get("direction", ""))
    space = Space(
        {name: _parameter(about["params"][name], values) for name, values in values_by_name.items()}
    )
    return FinishedRuns(space, runs, metric, direction_of(metric, direction)), source


def _run(record: Mapping[str, Any], metric: str, origin: str) -> Run:
    row = record["row"]
    seed = record["seed"]
    other = {*_OWN, *record["parameter_columns"].values()}
    metrics = {n: float(v) for n, v in row.items() if isinstance(v, int | float) and n not in other}
    curve = {n: [float(v) for v in series] for n, series in record["history"].items() if series}
    configuration = {n: freeze(v) for n, v in record["params"].items()}
    if seed is None or seed >= 2**31:
        known_seed = UNKNOWN_SEED
    else:
        known_seed = seed
    ended = datetime.fromisoformat(row["end"]).timestamp()
    return Run(
        configuration,
        ended_state(State.COMPLETE, metrics.get(metric, math.nan)),
        metrics=metrics,
        curve=curve,
        seconds=row["duration"],
        seed=known_seed,
        origin=origin,
        finished=ended,
    )


def to_talos(round_: RoundRecord, folder: str | Path) -> Path:
    """Writes the decision behind this round as ``interventions.json`` for a running sweep of Talos 2.

    Bounds become ``keep_between``, choices that went ``remove_is``, values beyond the old bounds
    ``inject_value``. The round is the child of one that :meth:`refine.Tree.add_runs` read. Returns the
    file.

    Args:
        round_: The round.
        folder: The sweep's run directory.

    Raises:
        ReviewError: It has no parent, or other parameters or constraints, or choices that are no numbers or
            texts.
    """
    if round_.parent is None:
        old = None
    else:
        old = round_.parent.space
    new = round_.space
    odd = any(isinstance(v, tuple | Reference) for p in new.values() for v in p.grid)
    if old is None or odd or (set(old), old.constraints) != (set(new), new.constraints):
        raise ReviewError(
            f"round {round_.id}: Talos takes what a decision changed of a parent's bounds, of numbers and "
            "texts, not of tuples or functions, and neither other parameters nor constraints"
        )
    path = Path(folder) / "interventions.json"
    steps = [step for name in old for step in _steps(name, old[name], new[name])]
    path.write_text(json.dumps(steps, indent=1), encoding="utf-8")
    return path


def _steps(name: str, old: Parameter, new: Parameter) -> list[dict[str, object]]:
    """Interventions that turn a parameter of Talos into the new parameter."""
    if old == new:
        return []
    dropped, added = (
        [v for v in parameter.grid if not other.contains([v])[0]]
        for parameter, other in ((old, new), (new, old))
    )
    steps: list[dict[str, object]] = [{"op": "inject_value", "value": v} for v in added]
    if isinstance(old, Range):
        slack = 1e-9 * (old.high - old.low)  # Talos' own levels aren't rounded
        steps += [{"op": "keep_between", "lower": new.grid[0] - slack, "upper": new.grid[-1] + slack}]
    else:
        steps += [{"op": "remove_is", "value": v} for v in dropped]
    return [{"param": name, **step} for step in steps]


def _parameter(domain: object, ran: list[Any]) -> Parameter:
    """The parameter of a domain, extended to values that ran outside."""
    import pandas as pd

    parameter = parse_talos(domain)
    inside = all(parameter.contains([v])[0] for v in ran)
    if inside:
        return parameter
    return inferred(pd.Series([*parameter.grid, *ran]))


def _plain(data: object) -> Any:
    """Values from Talos as plain data; classes and functions become names."""
    if isinstance(data, list):
        return [_plain(v) for v in data]
    if not isinstance(data, Mapping):
        return data
    if (kind := data.get(_TAG)) == "callable":
        return Reference(f"{data['module']}.{data['qualname']}")
    if kind in ("float", "numpy_scalar"):
        if kind == "float":
            return float(data["value"])
        return _plain(data["value"])
    if kind == "tuple":
        return tuple(_plain(data["items"]))
    return {name: _plain(v) for name, v in data.items()}
