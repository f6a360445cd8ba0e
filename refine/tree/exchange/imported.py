"""Finished runs, wherever they come from, as a root round. Pure: plain data in, plain data out."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from refine.analysis.evenness import LEVEL, evenness
from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError
from refine.review.decision import user
from refine.run.identity import UNNAMED
from refine.space.categorical import Categorical
from refine.space.encoding import digest, dumps, round_significant, seed_of, value_key
from refine.space.space import Space, configuration_key, encode_configuration
from refine.store.rows import Part
from refine.trials.goal import sign_of
from refine.trials.round_record import Node

UNKNOWN_SEED = -1
"""Seed of a trial that was imported without one."""


class Run(NamedTuple):
    """One finished run.

    Attributes:
        had: Parameter -> frozen value; a parameter that the run had not is missing.
        state: One of the states of trials.
        metrics: Metric -> value.
        curve: Metric -> values per step.
        seconds: Wall time, 0 where unknown.
        seed: Its seed, or :data:`UNKNOWN_SEED`.
        origin: How it was drawn.
        finished: Seconds since the epoch.
        error: Why it failed, where that is known.
    """

    had: dict[str, Any]
    state: str
    metrics: dict[str, float]
    curve: dict[str, list[float]]
    seconds: float
    seed: int
    origin: str
    finished: float
    error: str | None = None


def origin_of(space_filling: bool | None) -> str:
    """The origin of imported trials: ``space_filling``, ``adaptive``, or ``imported`` where nobody said which.

    Raises:
        AnalysisError: Neither True, False nor None.
    """
    if space_filling is not None and not isinstance(space_filling, bool):
        raise AnalysisError(
            f"space_filling must be True (drawn at random or on a grid), False (by results) or None (not known), got {space_filling!r}"
        )
    return "imported" if space_filling is None else "space_filling" if space_filling else "adaptive"


def found_out(space: Space, runs: Sequence[Run], metric: str, direction: str) -> Sequence[Run]:
    """The same runs, as chosen by results where nobody said how they were drawn and their values are not even."""
    import pandas as pd

    if any(run.origin != "imported" for run in runs):
        return runs
    rows = [{**run.had, "value": run.metrics.get(metric, math.nan)} for run in runs]
    table = pd.DataFrame(rows, columns=[*space, "value"])
    for name, parameter in space.items():
        if isinstance(parameter, Categorical):  # as tables of trials show them
            table[name] = [
                parameter.labels[i] if i >= 0 else None
                for i in parameter.positions(table[name].to_numpy(dtype=object))
            ]
    if evenness(space, table, sign_of(direction)).p > LEVEL:
        return runs
    return [run._replace(origin="adaptive") for run in runs]


def part_of(
    space: Space,
    runs: Sequence[Run],
    *,
    metric: str,
    direction: str,
    subject_to: Sequence[str] = (),
    goals: Sequence[tuple[str, str]] = (),
    objective: str | None,
    data: str | None,
    note: str,
) -> Part:
    """The root that finished runs make, in their order; ``objective`` is the name of what gave them, ``data`` its fingerprint.

    Equal configurations are one planned run and its replicates; the first complete one is the planned run. A parameter
    that a run had not, although no condition of the space leaves it out, is recorded as not read, and stands at a level drawn
    from the run's other values, as in a round whose objective does not read it.
    """
    filled = [_filled(space, run) for run in runs]
    keys = [configuration_key(values) for values, _ in filled]
    content = [
        [
            key,
            r.origin,
            r.state,
            _rounded(r.metrics),
            sorted(r.had),
            {n: _plain(c) for n, c in r.curve.items()},
        ]
        for key, r in zip(keys, runs, strict=True)
    ]
    mark = digest(content, 16)
    now = time.time()
    node = Node(
        parent=None,
        space=space,
        method=IMPORTED,
        seed=0,
        objective=objective or f"{UNNAMED}{mark}",
        data=data,
        rows=mark,
        metric=metric,
        direction=direction,
        subject_to=tuple(subject_to),
        goals=tuple(goals),
        note=note,
        author=user(),
        created=now,
    )
    alike: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        alike.setdefault(key, []).append(i)
    replicate: dict[int, int] = {}
    for rows in alike.values():
        first = next((i for i in rows if runs[i].state == "complete"), rows[0])
        replicate |= {i: number for number, i in enumerate(sorted(rows, key=lambda i: i != first))}
    level = {n: {value_key(v): i for i, v in enumerate(p.grid)} for n, p in space.items()}
    trials = []
    for i, run in enumerate(runs):
        values, read = filled[i]
        there = space.has(values)
        at = [level[n].get(value_key(values[n])) if n in there else 0 for n in space]
        row: dict[str, Any] = {
            "key": keys[i],
            "replicate": replicate[i],
            "attempt": 0,
            "cell": None if None in at else str(space.number(at)),  # type: ignore[arg-type]
            "origin": run.origin,
            "seed": run.seed,
            "state": run.state,
            "configuration": dumps(encode_configuration(values)),
            "metrics": json.dumps(run.metrics),
            "seconds": run.seconds,
            "code": "",
            "read": None if read is None else dumps(read),
            "error": run.error,
            "finished": run.finished,
        }
        if run.curve:
            row["curve"] = [{"data": zlib.compress(json.dumps(run.curve).encode(), 6)}]
        trials.append(row)
    content_row = {
        "id": node.id,
        "content": dumps(node.identity()),
        "metric": metric,
        "direction": direction,
        "allow_degenerate": 0,
        "goals": dumps([list(goal) for goal in goals]) if goals else None,
        "subject_to": dumps(list(subject_to)) if subject_to else None,
        "scientific": dumps([]),
        "note": note,
        "author": node.author,
        "created": now,
    }
    return Part(content_row, {"plan": [{"n": len(alike), "created": now}], "trial": trials})


def _filled(space: Space, run: Run) -> tuple[dict[str, Any], list[str] | None]:
    """A whole configuration, and the names that the run had where it had not all."""
    if len(run.had) == len(space) and not space.conditions:
        return {n: run.had[n] for n in space}, None
    own = configuration_key(run.had)
    drawn = {n: p.grid[seed_of("imported", own, n) % p.size] for n, p in space.items()}
    whole = space.frozen({n: run.had.get(n, drawn[n]) for n in space})
    had = [n for n in space if n in run.had]
    return whole, None if set(whole) <= set(had) else had


def _rounded(metrics: Mapping[str, float]) -> dict[str, Any]:
    return {n: _plain([v])[0] for n, v in metrics.items()}


def _plain(values: Sequence[float]) -> list[Any]:
    return [round_significant(v) if math.isfinite(v) else str(v) for v in values]
