"""Beliefs as they are written in a shell or a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.errors import SpaceError
from refine.space.belief import Near

_FORMS = (
    "'lr=near 1e-3 x3' (within a factor of 3), 'dropout=near 0.2 +-0.1', 'optimizer=adam:0.7,sgd:0.2', or a .toml or .json file "
    "with lr = {near = 1e-3, within_factor = 3} and optimizer = {adam = 0.7}"
)


def typed_belief(texts: Sequence[str], option: str) -> dict[str, Any]:
    """The belief that somebody types, a parameter at a time, or in a file.

    Args:
        texts: Each ``NAME=near VALUE xFACTOR``, ``NAME=near VALUE +-WIDTH``, ``NAME=CHOICE:WEIGHT,CHOICE:WEIGHT``, or the path of
            a ``.toml`` or ``.json`` file. ``none`` alone takes back what was believed.
        option: How to call them in errors.

    Raises:
        SpaceError: Another form, a file that can't be read, or a parameter twice.
    """
    if list(texts) == ["none"]:
        return {}
    found: dict[str, Any] = {}
    for text in texts:
        more = _read(Path(text), option) if text.endswith((".toml", ".json")) else _typed(text, option)
        if twice := found.keys() & more.keys():
            raise SpaceError(f"{option}: {min(twice)} is given twice; leave one of them out")
        found |= more
    return found


def _typed(text: str, option: str) -> dict[str, Any]:
    name, equals, said = (part.strip() for part in text.partition("="))
    words = said.split()
    if not (name and equals and said):
        raise SpaceError(f"{option}: got {text!r}; write {_FORMS}")
    try:
        if words[0] == "near" and len(words) == 3:
            for mark, width in (("+-", "within"), ("x", "within_factor")):
                if words[2].startswith(mark):
                    return {name: Near(float(words[1]), **{width: float(words[2].removeprefix(mark))})}
        if words[0] != "near" and ":" in said:
            pairs = [part.rpartition(":") for part in said.split(",")]
            return {name: {choice.strip(): float(weight) for choice, _, weight in pairs}}
    except ValueError as error:
        if isinstance(error, SpaceError):
            raise SpaceError(f"{option}: {name}: {error}") from None
    raise SpaceError(f"{option}: {name}: got {said!r}; write {_FORMS}")


def _read(path: Path, option: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise SpaceError(f"{option}: {path}: can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise SpaceError(f"{option}: {path}: is no {path.suffix[1:].upper()}: {error}") from None
    if not isinstance(data, Mapping) or not all(isinstance(said, Mapping) for said in data.values()):
        raise SpaceError(f"{option}: {path}: must map parameters to tables; such as {_FORMS}")
    return {name: _plain(name, said, option) for name, said in data.items()}


def _plain(name: str, said: Mapping[str, Any], option: str) -> Any:
    if "near" not in said:
        return dict(said)
    unknown = sorted(said.keys() - {"near", "within", "within_factor"})
    if unknown:
        raise SpaceError(
            f"{option}: {name}: near goes with within or within_factor, got {unknown[0]!r}; leave it out"
        )
    try:
        return Near(said["near"], **{k: v for k, v in said.items() if k != "near"})
    except SpaceError as error:
        raise SpaceError(f"{option}: {name}: {error}") from None
