"""Trials of other rounds as evidence on the space of a round. Pure functions of nodes and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from refine.space.encoding import decode, encode
from refine.space.space import Space, configuration_key, decode_configuration
from refine.trials.frame import Records, names_read
from refine.trials.replicates import selected
from refine.trials.round_record import Node
from refine.utils.arrays import Bools


def added_since(space: Space, path: Sequence[Node]) -> list[dict[str, Any] | None]:
    """Per node of a path, root first, its trials' encoded values of parameters added later.

    ``None`` if its trials are no evidence: a parameter was added without a previous value, or a varied one
    was dropped.
    """
    bridges: list[dict[str, object] | None] = []
    declared: dict[str, object] = {}  # previous values declared by later rounds; the latest one counts
    for node in reversed(path):
        old = node.space
        lost = any(name not in space and not parameter.fixed for name, parameter in old.items())
        unknown = any(name not in old and name not in declared for name in space)
        bridges.append(None if lost or unknown else {n: v for n, v in declared.items() if n not in old})
        declared = {**{n: encode(v) for n, v in node.previous.items()}, **declared}
    return bridges[::-1]


class Bridge(NamedTuple):
    """The trials of a round in the parameters of another round."""

    added: Mapping[str, Any]  # encoded values of the parameters that the trials lack
    required: Mapping[str, Any]  # encoded values, required of the trials, of parameters missing in the space

    def translated(self, space: Space, records: Records) -> Records:
        """The trials under the names of a space, without trials that lack a required value."""
        if self.required:
            columns = [records.configurations.column(name) for name in self.required]
            values = list(self.required.values())
            records = selected(records, [list(row) == values for row in zip(*columns, strict=True)])
        return records._replace(configurations=records.configurations.under(space, self.added))


def comparable_with(last: Node, nodes: Sequence[Node]) -> set[str]:
    """Ids of the nodes with equal objective, data and declared noise.

    ``nodes`` are the nodes of a tree, parents first.
    """
    noise: dict[str | None, str | None] = {}  # id -> declared noise that holds on the round
    for node in nodes:
        noise[node.id] = node.declared.noise or noise.get(node.parent)
    return {
        node.id
        for node in nodes
        if (node.objective, node.data) == (last.objective, last.data) and noise[node.id] == noise[last.id]
    }


def bridges_beside(path: Sequence[Node], nodes: Sequence[Node]) -> dict[str, Bridge]:
    """Id of a round on a branch -> translation of its trials for the last round of a path.

    A branch counts if objective, data and declared noise are equal. A parameter missing in the branch needs a
    previous value, declared on the path. A parameter missing in the space needs a previous value declared on
    the path of the branch, and trials with that value count; or a fixed value inherited by both rounds.

    Args:
        path: Nodes from the root to the round.
        nodes: Nodes of the tree, parents first.
    """
    if not nodes:
        return {}
    last = path[-1]
    alike = comparable_with(last, nodes)
    ancestors = {node.id: node for node in path}
    nearest: dict[str | None, Node | None] = {}  # id -> the nearest round that is on both paths
    previous: dict[str | None, Mapping[str, object]] = {}  # id -> previous values declared on its path
    for node in nodes:
        nearest[node.id] = ancestors.get(node.id, nearest.get(node.parent))
        previous[node.id] = previous.get(node.parent, {})
        if node.previous:
            declared = {name: encode(value) for name, value in node.previous.items()}
            previous[node.id] = {**previous[node.id], **declared}
    bridges = {}
    for node in nodes:
        if node.id in alike and node.id not in ancestors:
            bridge = _bridge(last, node, nearest[node.id], previous[last.id], previous[node.id])
            if bridge is not None:
                bridges[node.id] = bridge
    return bridges


def _bridge(
    last: Node,
    branch: Node,
    common: Node | None,
    previous: Mapping[str, object],
    previous_of_branch: Mapping[str, object],
) -> Bridge | None:
    """The bridge from a branch to the last round of a path; ``None`` if its trials are no evidence."""
    missing = [name for name in last.space if name not in branch.space]
    if any(name not in previous for name in missing):
        return None
    required = {}
    for name, parameter in branch.space.items():
        if name in last.space:
            continue
        if name in previous_of_branch:
            required[name] = previous_of_branch[name]
        elif not parameter.fixed or common is None or common.space.get(name) != parameter:
            return None
    return Bridge({name: previous[name] for name in missing}, required)


def completed_keys(space: Space, path: Sequence[Node], records: Mapping[str, Records]) -> set[str]:
    """Keys of configurations inside ``space`` that earlier rounds have completed.

    ``path`` leads from the root to the node of the space.
    """
    keys: set[str] = set()
    for node, added in zip(path[:-1], added_since(space, path), strict=False):
        if added is None:
            continue
        trials = records[node.id]
        done = trials.configurations.chosen([s in ("complete", "cheap") for s in trials.columns["state"]])
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
        names = names_read(read)
        if names is None:
            out.append(str(key))
        else:
            out.append(configuration_key({n: decode(configuration[n]) for n in names if n in configuration}))
    return out


def read_masks(space: Space, records: Records) -> dict[str, Bools]:
    """Parameter -> mask of trials that read it; empty if no trial noted its reads.

    A trial without a note counts as having read everything.
    """
    if _nothing_noted(records):
        return {}
    reads = [names_read(stored) for stored in records.columns["read"]]
    return {n: np.array([read is None or n in read for read in reads], dtype=np.bool_) for n in space}


def _nothing_noted(records: Records) -> bool:
    """Whether no trial noted its reads."""
    return records.columns["read"].count(None) == len(records.columns["read"])
