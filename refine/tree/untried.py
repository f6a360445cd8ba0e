"""Configurations of a person that a round has not run yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refine.analysis.pooling import Bridge, added_since, bridges_beside
from refine.errors import SpaceError
from refine.space.categorical import surface
from refine.space.encoding import label
from refine.space.space import Space, configuration_key, decode_configuration
from refine.tree.round_record import RoundRecord
from refine.trials.replicates import best_keys
from refine.trials.trial import FAILED, State
from refine.utils.action import Action
from refine.utils.warning import warn


def untried(round_: RoundRecord, configurations: Sequence[Mapping[str, object]]) -> list[Mapping[str, Any]]:
    """The configurations of a person that a round may run; warns of those that ran before.

    A configuration with a trial in the round is left out; a warning names the call to repeat the
    configuration, if there is one: not if values repeat exactly, or the trial may not be called best. A
    configuration inside the space that completed in another round, and is evidence here, stays with a
    warning, or is left out if values are declared to repeat exactly.
    """
    to_run = _without_trial(round_, {configuration_key(c): c for c in configurations})
    elsewhere = _ended_before(round_, to_run)
    if elsewhere:
        to_run = _without_repeats(round_, to_run, elsewhere)
    return list(to_run.values())


# Hash of a configuration -> its values.
_Configurations = Mapping[str, Mapping[str, Any]]


def _without_trial(round_: RoundRecord, configurations: _Configurations) -> _Configurations:
    """The configurations without a trial in a round; warns of the others."""
    columns = round_._context.store.records([round_._stored.pk]).columns
    states = dict(zip(columns["key"], columns["state"], strict=True))
    ended = {key: states[key] for key in configurations if key in states}
    if ended:
        _warn_of_ended(round_, configurations, ended)
    return {key: c for key, c in configurations.items() if key not in states}


def _ended_before(round_: RoundRecord, configurations: _Configurations) -> dict[str, str]:
    """Hash of a configuration that completed in another round -> id of the round, the latest of the path.

    Rounds count if their trials are evidence for the round: see
    :func:`refine.analysis.pooling.bridges_beside` and :func:`refine.analysis.pooling.added_since`. Trials
    outside the space of the round are left out, because they do not count in the round.
    """
    context = round_._context
    space = round_.space
    inside = {key for key, c in configurations.items() if space.holds(c)}
    if not inside:
        return {}
    nodes = context.nodes
    path = [stored.node for stored in context.path(round_._node)]
    bridges = bridges_beside(path, [stored.node for stored in nodes.values()])
    for node, added in zip(path[:-1], added_since(space, path), strict=False):
        if added is not None:
            bridges[node.id] = Bridge(added, {})
    rounds: dict[str, str] = {}
    for node_id, bridge in bridges.items():
        records = bridge.translated(space, context.store.records([nodes[node_id].pk]))
        for encoded, state in zip(records.configurations, records.columns["state"], strict=True):
            if state == State.COMPLETE:
                key = _key_in(space, encoded)
                if key in inside:
                    rounds[key] = node_id
    return rounds


def _key_in(space: Space, encoded: Mapping[str, object]) -> str:
    """The hash of an encoded configuration in a space; empty if the space does not have it."""
    try:
        return configuration_key(space.frozen(decode_configuration(encoded)))
    except SpaceError:
        return ""


def _without_repeats(
    round_: RoundRecord, configurations: _Configurations, rounds: Mapping[str, str]
) -> _Configurations:
    """The configurations to run, after a warning of those that completed in other rounds.

    Args:
        round_: The round.
        configurations: Hash of each configuration -> its values.
        rounds: Hash of a configuration -> id of the round that completed it.
    """
    text = _shown(round_, configurations, list(rounds))
    ran = f"round {round_.id}: {text} ran already in round {next(iter(rounds.values()))}, and counts here too"
    if round_._declared.noise != "none":
        warn(f"{ran}; the new trial is a repeat, which the budget pays")
        return configurations
    warn(f"{ran}; values are declared to repeat exactly, so nothing is repeated")
    return {key: c for key, c in configurations.items() if key not in rounds}


def _shown(round_: RoundRecord, configurations: _Configurations, keys: Sequence[str]) -> str:
    """The first of some configurations in words, and the number of the others."""
    text = ", ".join(f"{name} {label(value)}" for name, value in _varied(round_, configurations[keys[0]]))
    if len(keys) > 1:
        text += f" and {len(keys) - 1} further"
    return text


def _varied(round_: RoundRecord, configuration: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and values of the parameters of a configuration that vary."""
    return [(name, configuration[name]) for name in round_.space.varied if name in configuration]


def _warn_of_ended(round_: RoundRecord, configurations: _Configurations, ended: Mapping[str, str]) -> None:
    """Warns of configurations that ran already (key -> state), with the call that repeats the first one."""
    key, state = next(iter(ended.items()))
    values = {name: surface(value) for name, value in _varied(round_, configurations[key])}
    text = _shown(round_, configurations, list(ended))
    ran = f"round {round_.id}: {text} ran already ({state}) and is not planned again"
    if state == State.COMPLETE and round_._declared.noise == "none":
        warn(f"{ran}; values are declared to repeat exactly")
        return
    ranked = best_keys(round_._context.store.records([round_._stored.pk], curves=True), round_._goal)
    if state in (*FAILED, State.PRUNED, State.EXCLUDED):
        repeat = Action("round.run", rerun=str(state))
    elif key not in ranked:
        warn(f"{ran}; the trial may not be called best, so no repeat counts")
        return
    elif key == ranked[0]:
        repeat = Action("round.add", repeat=1, seeds=3)
    else:
        repeat = Action("tree.judge", values, "best", budget=6)
    warn(f"{ran}; repeat the trial", repeat)
