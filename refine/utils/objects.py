"""Objects by name: typed names by module, file and name; stored names by import path only."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from refine.errors import ObjectiveError, did_you_mean

# Folders added to the import path because a user typed the name of a file or module in the folder.
_typed: set[str] = set()


def found_object(location: str, role: str = "objective") -> Any:
    """The object at ``module:name`` or ``path/to/file.py:name``; the working folder is searched as well.

    Args:
        location: The typed name.
        role: The use of the object, for errors.

    Raises:
        ObjectiveError: There is no such module, file or name, or its import raises.
    """
    place, sign, name = location.rpartition(":")
    if not sign or not place or not name:
        raise ObjectiveError(f"{role}: give it as module:name or path/to/file.py:name, got {location!r}")
    return _attribute(_module(place, role), place, name, role)


def _attribute(module: object, place: str, name: str, role: str) -> Any:
    target = module
    for part in name.split("."):
        if not hasattr(target, part):
            public_names = [
                public_name
                for public_name, value in vars(module).items()
                if not public_name.startswith("_") and not _is_imported(value, module)
            ]
            raise ObjectiveError(f"{role}: {place} has no {name!r}; {did_you_mean(name, public_names)}")
        target = getattr(target, part)
    return target


def _is_imported(value: object, module: object) -> bool:
    """True for a module, function, class or type that a module imported."""
    if isinstance(value, ModuleType) or type(value).__module__ in ("__future__", "typing"):
        return True
    is_definition = inspect.isroutine(value) or inspect.isclass(value)
    return is_definition and getattr(value, "__module__", None) != getattr(module, "__name__", None)


def is_import_path(name: str) -> bool:
    """True if a stored text may be imported: dotted identifiers, never a file."""
    return all(part.isidentifier() for part in name.split("."))


def is_installed(name: str) -> bool:
    """True if a stored name's module is on the import path, typed folders excluded; imports nothing."""
    path = [folder for folder in sys.path if folder not in _typed]
    return is_import_path(name) and PathFinder.find_spec(name.partition(".")[0], path) is not None


def is_trusted(name: str) -> bool:
    """True if a stored name would be imported from a folder chosen by the user; imports no module.

    Chosen are installed packages, folders of ``PYTHONPATH``, and the folder of the running script. The
    working folder of a prompt or notebook is not chosen: its files may have come with the store.
    """
    if not is_import_path(name):
        return False
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    chosen = {
        str(Path(folder).resolve()) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder
    }
    if script is not None:
        chosen.add(str(Path(script).resolve().parent))
    working = str(Path.cwd())
    path = [
        folder
        for folder in sys.path
        if str(Path(folder).resolve()) in chosen - {""} or folder not in ("", working)
    ]
    top = name.partition(".")[0]
    trusted = PathFinder.find_spec(top, path)
    imported = PathFinder.find_spec(top)
    return trusted is not None and imported is not None and trusted.origin == imported.origin


def named_object(name: str) -> Any:
    """The objective that a round stored by its qualified name, such as ``"package.module.function"``.

    A store may come from other people: stored names are searched on the import path, never among files or in
    the working folder.

    Raises:
        ObjectiveError: The name can't be imported.
    """
    module, _, last = name.rpartition(".")
    if not module or not is_import_path(name):
        raise ObjectiveError(
            f"objective {name!r} was defined in a script or notebook, so it can't be imported by name; "
            f"give its place: --objective path/to/script.py:{last}"
        )
    file = f"{module.rpartition('.')[2]}.py"
    try:
        return _attribute(
            _imported(module, module, "objective", "on the import path"), module, last, "objective"
        )
    except ObjectiveError as error:
        raise ObjectiveError(f"{error}; give its place: --objective {file}:{last}") from None


def _module(place: str, role: str) -> Any:
    path = Path(place)
    as_file = path.suffix == ".py" or path.is_file()
    if as_file and not path.is_file():
        raise ObjectiveError(f"{role}: no such file {place!r}; give module:name or path/to/file.py:name")
    # Workers get the same import path, so that the module has the same name there.
    folder = str(path.resolve().parent if as_file else Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
        _typed.add(folder)
    if as_file:
        name = path.stem
    else:
        name = place
    module = _imported(name, place, role, "in the working folder or among installed packages")
    file = getattr(module, "__file__", None)
    if as_file and (file is None or Path(file).resolve() != path.resolve()):
        raise ObjectiveError(
            f"{role}: {place!r} would be imported as {name!r}, which is another module ({file}); rename the "
            "file"
        )
    return module


def _imported(name: str, place: str, role: str, searched: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and error.name != name:
            raise ObjectiveError(f"{role}: importing {place!r} fails: {error}") from error
        raise ObjectiveError(
            f"{role}: no module {place!r} {searched}; give module:name or path/to/file.py:name"
        ) from None
    except Exception as error:
        raise ObjectiveError(f"{role}: importing {place!r} fails: {type(error).__name__}: {error}") from error
