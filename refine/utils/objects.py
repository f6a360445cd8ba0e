"""Objects by name: what people type, by module, file and name; what a store says, by import path alone."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from refine.errors import ObjectiveError, did_you_mean

# Folders that are on the import path because somebody typed a file or module in them.
_typed: set[str] = set()


def found_object(where: str, what: str = "objective") -> Any:
    """The object at ``module:name`` or ``path/to/file.py:name``; the working folder is looked in as well. ``what`` is said in errors.

    Raises:
        ObjectiveError: There is no such module, file or name, or importing it raises.
    """
    place, sign, name = where.rpartition(":")
    if not sign or not place or not name:
        raise ObjectiveError(f"{what}: give it as module:name or path/to/file.py:name, got {where!r}")
    return _attribute(_module(place, what), place, name, what)


def _attribute(module: Any, place: str, name: str, what: str) -> Any:
    target = module
    for part in name.split("."):
        if not hasattr(target, part):
            known = [n for n in vars(module) if not n.startswith("_")]
            raise ObjectiveError(f"{what}: {place} has no {name!r}; {did_you_mean(name, known)}")
        target = getattr(target, part)
    return target


def is_import_path(name: str) -> bool:
    """Whether a text that a store holds may be imported: identifiers with dots between them, so never a file."""
    return all(part.isidentifier() for part in name.split("."))


def is_installed(name: str) -> bool:
    """Whether the module of a recorded name is on the import path, without what was typed; imports nothing."""
    path = [folder for folder in sys.path if folder not in _typed]
    return is_import_path(name) and PathFinder.find_spec(name.partition(".")[0], path) is not None


def is_trusted(name: str) -> bool:
    """Whether a recorded name would be imported from a folder that the user chose; imports nothing.

    Chosen are installed packages, folders of ``PYTHONPATH``, and the folder of the script that runs. The working folder
    of a prompt or notebook is not: what lies there may have come with the store.
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
    """The objective that a round recorded by its qualified name, such as ``"package.module.function"``.

    A store may come from others: what it names is looked for on the import path, never among files or in the working folder.

    Raises:
        ObjectiveError: It can't be imported by that name.
    """
    module, _, last = name.rpartition(".")
    if not module or not is_import_path(name):
        raise ObjectiveError(
            f"objective {name!r} was defined in a script or notebook, so it can't be found by its name; say where it is: "
            f"--objective path/to/script.py:{last}"
        )
    file = f"{module.rpartition('.')[2]}.py"
    try:
        return _attribute(
            _imported(module, module, "objective", "on the import path"), module, last, "objective"
        )
    except ObjectiveError as error:
        raise ObjectiveError(f"{error}; say where it is: --objective {file}:{last}") from None


def _module(place: str, what: str) -> Any:
    path = Path(place)
    as_file = path.suffix == ".py" or path.is_file()
    if as_file and not path.is_file():
        raise ObjectiveError(f"{what}: no such file {place!r}; give module:name or path/to/file.py:name")
    # Workers get the same path, so that they import it by the same name.
    folder = str(path.resolve().parent if as_file else Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
        _typed.add(folder)
    name = path.stem if as_file else place
    found = _imported(name, place, what, "here or among what is installed")
    file = getattr(found, "__file__", None)
    if as_file and (file is None or Path(file).resolve() != path.resolve()):
        raise ObjectiveError(
            f"{what}: {place!r} would be imported as {name!r}, which is another module ({file}); rename the file"
        )
    return found


def _imported(name: str, place: str, what: str, where: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and error.name != name:
            raise ObjectiveError(f"{what}: importing {place!r} fails: {error}") from error
        raise ObjectiveError(
            f"{what}: no module {place!r} {where}; give module:name or path/to/file.py:name"
        ) from None
    except Exception as error:
        raise ObjectiveError(f"{what}: importing {place!r} fails: {type(error).__name__}: {error}") from error
