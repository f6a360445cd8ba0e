"""Objects that people name in a shell: an objective or a space by module, file and name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from refine.errors import ObjectiveError, did_you_mean


def found_object(where: str, what: str = "objective") -> Any:
    """The object at ``module:name`` or ``path/to/file.py:name``.

    Args:
        where: Where it is found. The working folder is looked in as well.
        what: What it is, for the error.

    Raises:
        ObjectiveError: There is no such module, file or name, or importing it raises.
    """
    place, sign, name = where.rpartition(":")
    if not sign or not place or not name:
        raise ObjectiveError(f"{what}: give it as module:name or path/to/file.py:name, got {where!r}")
    module = _module(place, what)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [n for n in vars(module) if not n.startswith("_")]
            raise ObjectiveError(f"{what}: {place} has no {name!r}; {did_you_mean(name, known)}")
        found = getattr(found, part)
    return found


def named_object(name: str) -> Any:
    """The objective that a round recorded by its qualified name, such as ``"package.module.function"``.

    Raises:
        ObjectiveError: It can't be imported by that name.
    """
    module, _, last = name.rpartition(".")
    if not module:
        raise ObjectiveError(
            f"objective {name!r} was defined in a script or notebook, so it can't be found by its name; say where it is: "
            f"--objective path/to/script.py:{name}"
        )
    try:
        return found_object(f"{module}:{last}")
    except ObjectiveError as error:
        raise ObjectiveError(f"{error}; say where it is: --objective module:name") from None


def _module(place: str, what: str) -> Any:
    path = Path(place)
    as_file = path.suffix == ".py" or path.is_file()
    if as_file and not path.is_file():
        raise ObjectiveError(f"{what}: no such file {place!r}; give module:name or path/to/file.py:name")
    # Workers get the same path, so that they import it by the same name.
    folder = str(path.resolve().parent if as_file else Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = path.stem if as_file else place
    try:
        found = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and error.name != name:
            raise ObjectiveError(f"{what}: importing {place!r} fails: {error}") from error
        raise ObjectiveError(
            f"{what}: no module {place!r} here or among what is installed; give module:name or path/to/file.py:name"
        ) from None
    except Exception as error:
        raise ObjectiveError(f"{what}: importing {place!r} fails: {type(error).__name__}: {error}") from error
    file = getattr(found, "__file__", None)
    if as_file and (file is None or Path(file).resolve() != path.resolve()):
        raise ObjectiveError(
            f"{what}: {place!r} would be imported as {name!r}, which is another module ({file}); rename the file"
        )
    return found
