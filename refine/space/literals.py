"""What people type: values in Python's notation, names as they are, objectives by where they are found."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from refine.errors import ObjectiveError, ReviewError, did_you_mean


def typed_value(text: str) -> Any:
    """A value as it is typed.

    Python's notation of numbers, texts, ``True``, ``None``, tuples and lists means what it means in Python; brackets
    around a tuple, and quotes around names, may be left out.

    ===========================  ============================
    ``0.1``, ``None``, ``True``  a fixed value
    ``(0, 0.2)`` or ``0, 0.2``   bounds
    ``[8, 16]``                  choices
    ``Adam``                     the text, or the label, Adam
    ``Adam, SGD``                choices
    ``[Adam, SGD]``              choices
    ===========================  ============================

    Raises:
        ReviewError: A bracket or a quote has no partner.
    """
    text = text.strip()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    parts = _parts(text)
    if len(parts) == 1 and text[:1] + text[-1:] in ("[]", "()"):
        inside = [typed_value(part) for part in _parts(text[1:-1]) if part.strip()]
        return inside if text[0] == "[" else tuple(inside)
    if len(parts) > 1:
        return [typed_value(part) for part in parts if part.strip()]
    return text


_PAIRS = {")": "(", "]": "[", "}": "{"}


def _parts(text: str) -> list[str]:
    """A text cut at the commas outside brackets and quotes.

    Raises:
        ReviewError: A bracket or a quote has no partner.
    """
    parts, opened, quote = [""], [""], ""
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and not text[at - 1 : at].isalnum():  # an apostrophe inside a word is none
            quote = letter
        elif letter in "([{":
            opened.append(letter)
        elif letter in _PAIRS and opened.pop() != _PAIRS[letter]:
            raise _unpaired(text, letter)
        if letter == "," and not quote and len(opened) == 1:
            parts.append("")
        else:
            parts[-1] += letter
    if quote or len(opened) > 1:
        raise _unpaired(text, quote or opened[-1])
    return parts


def _unpaired(text: str, letter: str) -> ReviewError:
    return ReviewError(
        f"{letter} has no partner in {text!r}; write (low, high), [a, b, ...] or one value, such as (0, 0.2), [8, 16], "
        "Adam; a text with a lone bracket stands in quotes"
    )


def typed_pairs(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """Name -> value, of texts such as ``dropout=(0, 0.2)``.

    Args:
        pairs: What was typed.
        option: The option that it was typed for, for the error.

    Raises:
        ReviewError: One of them is no pair, or its value can't be read.
    """
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ReviewError(f"{option} takes name=value, such as {option} 'dropout=(0, 0.2)', got {pair!r}")
        try:
            found[name.strip()] = typed_value(value)
        except ReviewError as error:
            raise ReviewError(f"{option} {name.strip()}: {error}") from None
    return found


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
