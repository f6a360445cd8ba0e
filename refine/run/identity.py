"""The name, data and code of an objective, as a round and its trials record them."""

from __future__ import annotations

import hashlib
import inspect
import types
from pathlib import Path
from typing import Any

from refine.errors import ObjectiveError
from refine.run.fingerprint import bytecode_text, constant_text, fingerprint
from refine.run.protocols import Objective, offers, text_of
from refine.trials.round_record import check_objective_name

# Prefix of the recorded objective of a round that was imported without an objective, and of its children.
UNNAMED = "imported:"


def objective_name(objective: Objective) -> str:
    """The name in a round's identity: ``objective.name``, else the qualified name."""
    if name := text_of(objective, "name"):
        return name
    target = getattr(objective, "func", objective)
    qualname = getattr(target, "__qualname__", type(target).__qualname__)
    module = _module_of(objective)
    if "<lambda>" in qualname:
        # Lambdas differ in their code alone.
        qualname = f"{qualname}-{_own_source(objective)[:8]}"
    if module == "__main__":
        return str(qualname)
    return f"{module}.{qualname}"


def may_be_same_function(name: str, objective: Objective) -> bool:
    """Compares a recorded name with a function, from a script or imported from the script's file.

    A script's own function is recorded without a module; a function imported from the file has a module.

    Args:
        name: The recorded name: ``"objective"`` from the script ``train.py``, ``"train.objective"`` if
            imported.
        objective: The function of the other kind.

    Returns:
        True if the names agree. Two scripts may use one name: compare the file or the code as well.
    """
    if text_of(objective, "name"):
        return False
    own_name = objective_name(objective)
    module = _module_of(objective)
    if module != "__main__":
        return name == own_name.removeprefix(f"{module}.")
    file = source_file(objective)
    if file is None:
        return False
    imported_name = f"{Path(file).stem}.{own_name}"
    return name == imported_name or name.endswith(f".{imported_name}")


def check_name(name: str | None) -> str | None:
    """The name given to an objective by a person. Raises ObjectiveError: not a text, or empty."""
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ObjectiveError(
            f"an objective's name must be a non-empty string, got {name!r}; leave it out for the function's "
            "own name; tag= names a round"
        )
    try:
        check_objective_name(name or "")
    except ValueError as error:
        raise ObjectiveError(str(error)) from None
    return name


def objective_data(objective: Objective) -> str | None:
    """The fingerprint of the objective's data; ``None`` without a fingerprint."""
    return text_of(objective, "fingerprint")


def objective_code(objective: Objective) -> str:
    """The objective's member ``code``, or :func:`refine.run.fingerprint.fingerprint`."""
    code = text_of(objective, "code")
    if code is None:
        return fingerprint(objective)
    return code


def _own_source(objective: Objective) -> str:
    """A digest of a lambda's source. The digest is part of recorded names and must not change."""
    declared = text_of(objective, "code")
    if declared is not None:
        return declared
    target = _definition(getattr(objective, "func", objective))
    code = getattr(target, "__code__", None)
    if code:
        compiled = code.co_code + repr(tuple(map(_as_in_every_process, code.co_consts))).encode()
    else:
        compiled = repr(target).encode()
    try:
        text = inspect.getsource(target).encode()
        if code is not None and code.co_name == "<lambda>":
            text += compiled  # a line may hold two lambdas
    except (OSError, TypeError):
        text = compiled
    return hashlib.sha256(text).hexdigest()[:12]


def _definition(target: Any) -> Any:
    """A function or class without its wrappers; the class of another object."""
    target = inspect.unwrap(target)
    if inspect.isroutine(target) or inspect.isclass(target):
        return target
    return type(target)


def _as_in_every_process(constant: object) -> object:
    """A constant of a lambda, or its text if ``repr`` differs between processes.

    The ``repr`` of inner code has an address, and the order of texts in a set depends on the hash seed.
    """
    if isinstance(constant, types.CodeType):
        return bytecode_text(constant)
    if isinstance(constant, frozenset) and not all(isinstance(member, int | float) for member in constant):
        return constant_text(constant)
    return constant


def source_file(objective: Objective) -> str | None:
    """The file with the objective's source; ``None`` in a notebook or at a prompt."""
    target: Any = objective
    for name in ("model", "func"):
        if offers(target, name):
            target = getattr(target, name)
    try:
        file = inspect.getsourcefile(_definition(target))
    except TypeError:
        return None
    if file is not None and Path(file).exists():
        return file
    return None


def called(name: str, objective: Objective) -> dict[str, str]:
    """Facts noted with a run, by which a later run recognises the objective of the round.

    Args:
        name: The recorded name of the round's objective.
        objective: The objective to run.

    Returns:
        Its file, if the name has no module; its name and data, if the round was imported without an
        objective.
    """
    noted = {}
    if name.startswith(UNNAMED):
        noted["objective"] = objective_name(objective)
        noted["objective data"] = objective_data(objective) or "no fingerprint"
    own_name = objective_name(objective)
    from_script = _module_of(objective) == "__main__" and own_name in (name, noted.get("objective"))
    if from_script or may_be_same_function(name, objective):
        file = source_file(objective)
        if file is not None:
            noted["file"] = Path(file).name
    return noted


def _module_of(objective: Objective) -> str:
    target = getattr(objective, "func", objective)
    return getattr(target, "__module__", None) or type(target).__module__
