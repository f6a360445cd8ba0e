"""Trials of earlier rounds as evidence for a later one. Pure functions of nodes and records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from refine.space.encoding import decode, encode
from refine.space.space import Space, configuration_key, decode_configuration
from refine.trials.frame import Records
from refine.trials.round_record import Node


def added_since(space: Space, path: Sequence[Node]) -> list[dict[str, Any] | None]:
    """Per node of a path, root first, its trials' encoded values of parameters added later.

    ``None`` if its trials are no evidence: a parameter was added without a previous value, or a varied one
    was dropped.
    """
    bridges: list[dict[str, Any] | None] = []
    declared: dict[str, Any] = {}  # previous values declared by later rounds; the latest one counts
    for node in reversed(path):
        old = node.space
        lost = any(name not in space and not parameter.fixed for name, parameter in old.items())
        unknown = any(name not in old and name not in declared for name in space)
        bridges.append(None if lost or unknown else {n: v for n, v in declared.items() if n not in old})
        declared = {**{n: encode(v) for n, v in node.previous.items()}, **declared}
    return bridges[::-1]


def completed_keys(space: Space, path: Sequence[Node], records: Mapping[str, Records]) -> set[str]:
    """Keys of configurations inside ``space`` that earlier rounds have completed.

    ``path`` leads from the root to the node of the space.
    """
    keys: set[str] = set()
    for node, added in zip(path[:-1], added_since(space, path), strict=False):
        if added is None:
            continue
        trials = records[node.id]
        done = trials.configurations.chosen([s == "complete" for s in trials.columns["state"]])
        for configuration in done.under(space, added):
            frozen = decode_configuration(configuration)
            if space.on_grid(frozen):
                keys.add(configuration_key(space.frozen(frozen)))
    return keys


def replicate_groups(records: Records) -> list[str]:
    """One label per trial, equal for configurations that agree on all values read."""
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


def read_masks(space: Space, records: Records) -> dict[str, npt.NDArray[np.bool_]]:
    """Parameter -> mask of trials that read it; empty if no trial noted its reads.

    A trial without a note counts as having read everything.
    """
    if _nothing_noted(records):
        return {}
    names_read = [None if read is None else set(_names(read)) for read in records.columns["read"]]
    return {n: np.array([read is None or n in read for read in names_read], dtype=np.bool_) for n in space}


def _nothing_noted(records: Records) -> bool:
    """Whether no trial noted its reads."""
    return records.columns["read"].count(None) == len(records.columns["read"])


def _names(read: Any) -> list[str]:
    if isinstance(read, str):
        return list(json.loads(read))
    return list(read)
