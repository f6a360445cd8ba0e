"""What an objective is called, which data and code it has: what a round and its trials record of it."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

from refine.errors import ObjectiveError
from refine.run.fingerprint import fingerprint
from refine.run.protocols import Objective, offers, text_of
from refine.trials.round_record import check_objective_name

# How the objective of a round begins that was imported without one, and of the rounds that came of it.
UNNAMED = "imported:"


def objective_name(objective: Objective) -> str:
    """The name that goes into a round's identity: ``objective.name``, else the qualified name."""
    if name := text_of(objective, "name"):
        return name
    target = getattr(objective, "func", objective)
    qualname = getattr(target, "__qualname__", type(target).__qualname__)
    module = getattr(target, "__module__", None) or type(target).__module__
    if "<lambda>" in qualname:
        # Nothing but its code tells one lambda from another.
        qualname = f"{qualname}-{_own_source(objective)[:8]}"
    return str(qualname) if module == "__main__" else f"{module}.{qualname}"


def check_name(name: str | None) -> str | None:
    """What a person calls an objective, if it is text. Raises ObjectiveError: it is not."""
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ObjectiveError(
            f"an objective's name must be a non-empty string, got {name!r}; leave it out for the function's own name; "
            "tag= names a round"
        )
    try:
        check_objective_name(name or "")
    except ValueError as error:
        raise ObjectiveError(str(error)) from None
    return name


def objective_data(objective: Objective) -> str | None:
    """The fingerprint of the objective's data, where it has one."""
    return text_of(objective, "fingerprint")


def objective_code(objective: Objective) -> str:
    """The fingerprint of the objective's code: its own, or see :func:`refine.run.fingerprint.fingerprint`."""
    code = text_of(objective, "code")
    return fingerprint(objective) if code is None else code


def _own_source(objective: Objective) -> str:
    """A digest of a lambda's own source, which is part of its name and never changes its way."""
    if (said := text_of(objective, "code")) is not None:
        return said
    target = inspect.unwrap(getattr(objective, "func", objective))
    if not (inspect.isroutine(target) or inspect.isclass(target)):
        target = type(target)
    code = getattr(target, "__code__", None)
    compiled = code.co_code + repr(code.co_consts).encode() if code else repr(target).encode()
    try:
        text = inspect.getsource(target).encode()
        if code is not None and code.co_name == "<lambda>":
            text += compiled  # two may stand in one line
    except (OSError, TypeError):
        text = compiled
    return hashlib.sha256(text).hexdigest()[:12]


def source_file(objective: Objective) -> str | None:
    """The file that the objective was written in; ``None`` in a notebook or at a prompt."""
    target: Any = objective
    for name in ("model", "func"):
        target = getattr(target, name) if offers(target, name) else target
    target = inspect.unwrap(target)
    if not (inspect.isroutine(target) or inspect.isclass(target)):
        target = type(target)
    try:
        found = inspect.getsourcefile(target)
    except TypeError:
        return None
    return found if found is not None and Path(found).exists() else None


def called(name: str, objective: Objective) -> dict[str, str]:
    """What is noted with a run of a round whose objective has no name: which one it was."""
    data = objective_data(objective) or "no fingerprint"
    return (
        {"objective": objective_name(objective), "objective data": data} if name.startswith(UNNAMED) else {}
    )
