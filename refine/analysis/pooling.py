"""What trials of earlier rounds are worth to a later one. Pure functions of nodes and records."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.errors import AnalysisError
from refine.space.encoding import decode, encode
from refine.space.space import Space, configuration_key, decode_configuration
from refine.trials.frame import Records
from refine.trials.round_record import Node

if TYPE_CHECKING:
    import pandas as pd


def added_since(space: Space, path: Sequence[Node]) -> list[dict[str, Any] | None]:
    """For every node of a path, root first, the encoded values that its trials had of what a later space has and it had not.

    ``None`` where its trials are no evidence: a parameter was added without saying what it was, or one that varied was dropped.
    """
    found: list[dict[str, Any] | None] = []
    said: dict[str, Any] = {}  # by the rounds after the one that is looked at, of which the last word counts
    for node in reversed(path):
        old = node.space
        lost = any(name not in space and not parameter.fixed for name, parameter in old.items())
        unknown = any(name not in old and name not in said for name in space)
        found.append(None if lost or unknown else {n: v for n, v in said.items() if n not in old})
        said = {**{n: encode(v) for n, v in node.previous.items()}, **said}
    return found[::-1]


def completed_keys(space: Space, path: Sequence[Node], records: Mapping[str, Records]) -> set[str]:
    """Keys of configurations inside ``space`` that earlier rounds have completed; ``path`` leads from the root to its own node."""
    keys: set[str] = set()
    for node, added in zip(path[:-1], added_since(space, path), strict=False):
        if added is None:
            continue
        found = records[node.id]
        done = found.configurations.chosen([s == "complete" for s in found.columns["state"]])
        for configuration in done.under(space, added):
            frozen = decode_configuration(configuration)
            if space.on_grid(frozen):
                keys.add(configuration_key(space.frozen(frozen)))
    return keys


def replicate_groups(records: Records) -> list[str]:
    """One label per trial, equal where configurations agree on everything that the objective read."""
    if _nothing_noted(records):
        return list(map(str, records.columns["key"]))
    out = []
    for configuration, read, key in zip(
        records.configurations, records.columns["read"], records.columns["key"], strict=True
    ):
        if read is None:
            out.append(str(key))
        else:
            names = _names(read)
            out.append(configuration_key({n: decode(configuration[n]) for n in names if n in configuration}))
    return out


NOISE = ("none", "retraining")  # what somebody can say about the noise of an objective


def noise_of(
    X: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    cardinalities: Sequence[int],
    groups: Sequence[Any] | None,
    fresh: Sequence[Any] | None,
    evidence: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    finished: npt.NDArray[np.float64],
    said: str | None = None,
) -> stats.Resolution:
    """What can be told apart: from runs again where there are enough, else from the space-filling trials, else from all.

    Runs that equal the first one of their configuration to the last bit tell that the objective is deterministic. For the
    size of the noise the planned run of a configuration that was run again takes no part: it was chosen for its value, so
    that it lies above what the configuration's seeds give.

    ``X``, (n, d), and ``y``, (n,), are of the space-filling trials; where nothing is tested, of all finished ones of the round.
    ``cardinalities`` are d numbers, 0 for an ordered column, k for an unordered one; ``groups`` n labels, equal for trials that
    agree on all that was read. ``fresh`` are values of runs again, a label of its configuration for each and, where known, the
    values of their planned runs. ``evidence``, positions and values of all trials, those of earlier rounds and those that were
    chosen for what they promise included, is asked where there are too few space-filling ones. Of all ``finished`` values
    larger is better. ``said`` is one of ``NOISE``, where somebody said it.
    """
    measure = stats.TopNoise()
    if said not in (None, *NOISE):
        raise AnalysisError(f"noise must be 'none', 'retraining' or None, which finds out, got {said!r}")
    runs, labels, *planned = ((), ()) if fresh is None else fresh
    again, labels = np.asarray(runs, dtype=float), list(labels)
    first = {
        label: value
        for values in planned
        for label, value in zip(labels, np.asarray(values, dtype=float), strict=True)
        if np.isfinite(value)
    }
    same = stats.repeats([*first.values(), *again], [*first, *labels])
    if groups is not None:
        same = same.joined(stats.repeats(y, list(groups)))
    floor = stats.floor_of(finished)
    if said == "none" or (said is None and same.deterministic):
        return stats.Resolution(0.0, stats.smallest_step(y), "deterministic", same.equal, floor=floor)
    sd, freedom = stats.within_groups(again, np.asarray(labels, dtype=object))
    if freedom >= measure.least:
        return stats.Resolution(sd, stats.smallest_step(y), "replicates", freedom, floor=floor)
    found = measure(X, y, cardinalities, groups)
    found = measure(*evidence, cardinalities) if np.isnan(found.sd) else found
    return found._replace(floor=floor)


COMPARED = 10  # best configurations whose differences on folds or validation examples are looked at


def fold_error_of(frame: pd.DataFrame, names: Sequence[str], y: npt.NDArray[np.float64]) -> float:
    """Standard error of the difference of two of the best configurations over folds; 0 where there are none.

    ``frame`` has columns ``name@1``, ``name@2``, ... of the scores by fold, of which the first of ``names`` that has such columns
    counts; ``y`` is -inf where a trial may not be called best.
    """
    best = [i for i in np.argsort(-y, kind="stable")[:COMPARED] if np.isfinite(y[i])]
    for name in names:
        titles = list(
            itertools.takewhile(frame.columns.__contains__, (f"{name}@{k}" for k in itertools.count(1)))
        )
        if len(titles) > 1:
            scores = frame[titles].iloc[best].to_numpy(dtype=float)
            return stats.fold_error(scores[np.isfinite(scores).all(axis=1)])
    return 0.0


def read_masks(space: Space, records: Records) -> dict[str, npt.NDArray[np.bool_]]:
    """Parameter -> whether each trial's objective read it; empty where no trial noted what it read.

    A trial that noted nothing counts as having read everything.
    """
    if _nothing_noted(records):
        return {}
    known = [None if read is None else set(_names(read)) for read in records.columns["read"]]
    return {n: np.array([read is None or n in read for read in known], dtype=np.bool_) for n in space}


def _nothing_noted(records: Records) -> bool:
    """Whether no trial says what it read."""
    return records.columns["read"].count(None) == len(records.columns["read"])


def _names(read: Any) -> list[str]:
    return list(json.loads(read)) if isinstance(read, str) else list(read)
