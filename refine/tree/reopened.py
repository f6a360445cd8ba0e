"""The objective of a reopened round: recognised if given, else imported by name if safe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from refine.errors import ObjectiveError
from refine.run.identity import (
    UNNAMED,
    may_be_same_function,
    objective_code,
    objective_data,
    objective_name,
    source_file,
)
from refine.run.protocols import Objective, text_of
from refine.store.reader import Reader
from refine.trials.round_record import Node, StoredNode
from refine.utils.objects import is_import_path, is_trusted, named_object


def recognised(reader: Reader, nodes: Iterable[StoredNode], name: str, objective: Objective) -> bool:
    """True if an objective is the recorded one under another name, from a script or its import.

    Args:
        reader: The store.
        nodes: The rounds that record the name.
        name: Their name of the objective.
        objective: The objective to compare.

    Returns:
        True if the names agree, and the rounds ran this file or this code, or ran nothing so far.
    """
    if not may_be_same_function(name, objective):
        return False
    if "." in name and name != objective_name(objective) and name.endswith(f".{objective_name(objective)}"):
        return True  # the recorded module has the name of the script's file
    rows = [stored.pk for stored in nodes]
    files = {
        environment["file"] for pk in rows for environment in reader.environments(pk) if "file" in environment
    }
    file = source_file(objective)
    if file is not None and Path(file).name in files:
        return True
    codes = _codes(reader, rows)
    return objective_code(objective) in codes or not (codes or files)


def ran_under(reader: Reader, nodes: Iterable[StoredNode], objective: Objective) -> bool:
    """True if rounds ran the code of an objective without a name of its own, under a given name.

    Args:
        reader: The store.
        nodes: The rounds that record the given name.
        objective: The objective to compare.
    """
    if text_of(objective, "name"):
        return False
    return objective_code(objective) in _codes(reader, [stored.pk for stored in nodes])


def found_again(reader: Reader, nodes: Iterable[StoredNode], node: Node) -> tuple[Objective | None, str]:
    """The objective of a round, found by the recorded name, if importable and with unchanged code.

    A module is imported from the import path, never from the working folder: see
    :func:`refine.utils.objects.is_trusted`. A script is never imported.

    Args:
        reader: The store.
        nodes: The rounds that record this objective.
        node: The round.

    Returns:
        The objective, or ``None`` and the reason, empty if nothing of that name is there.
    """
    if node.objective.startswith(UNNAMED):
        return None, ""
    recorded = list(nodes)
    codes = _codes(reader, [stored.pk for stored in recorded])
    changed = False
    for objective in _candidates(node.objective):
        if not callable(objective) or objective_data(objective) != node.data:
            continue
        same_name = objective_name(objective) == node.objective
        if not same_name and not recognised(reader, recorded, node.objective, objective):
            continue
        if not codes or objective_code(objective) in codes:
            return objective, ""
        changed = True
    return None, ", and its code has changed since" if changed else ""


def _candidates(name: str) -> Iterator[object]:
    """Objects of a recorded name: in this script or notebook, in loaded modules, in an importable module."""
    module, _, last = name.rpartition(".")
    yield getattr(sys.modules.get("__main__"), last, None)
    if not module:
        for loaded in list(sys.modules.values()):
            spec = getattr(loaded, "__spec__", None)
            if spec is None or spec.parent or not spec.has_location:
                continue
            if spec.submodule_search_locations is None:  # a single file, like a script
                yield getattr(loaded, last, None)
        return
    if not is_import_path(name) or module.partition(".")[0] in sys.stdlib_module_names:
        return
    if module in sys.modules or is_trusted(name):
        try:
            yield named_object(name)
        except ObjectiveError:
            return


def _codes(reader: Reader, rows: list[int]) -> set[str]:
    """Fingerprints of the code that rounds ran."""
    if rows:
        return set(filter(None, reader.records(rows).columns["code"]))
    return set()
