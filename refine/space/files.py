"""A space in a file: TOML or JSON, or an object of a Python module."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.errors import SpaceError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import Reference
from refine.space.fidelity import Fidelity
from refine.space.parameters import Parameter
from refine.space.parsing import RANGES, parse
from refine.space.space import Space, space_of
from refine.utils.objects import found_object

_RANGE = ("low", "high", "levels", "log", "type", "within", "step", "base", "when")
_CHOICES = ("values", "ordered", "when")
# The rest of a project file, which the command line reads.
_OF_PROJECT = ("budget", "program", "goal", "round", "machine")


def read_space(source: str) -> Space:
    """The space of ``space.toml``, ``space.json`` or ``module:name``, a :class:`Space` or a mapping.

    A file has a table ``parameters`` and, optionally, a list ``constraints``. A parameter is

    - a list of choices, or ``{ values = ["small", "large"], ordered = true }`` with a declared order,
    - a fixed value,
    - a range ``{ low = 0.0, high = 0.5, levels = 6, log = false, type = "float" }``; ``low`` and ``high`` are
      required, and two whole numbers make integers. ``step``, ``base``, ``within`` and ``when`` are those of
      :class:`Float`,
    - a class or function, ``{ import = "keras.optimizers.Adam" }``.

    The output of ``space.to_json()`` is read as well. Other tables of a project file are ignored.

    Raises:
        SpaceError: The file can't be read, or does not describe a space.
        ObjectiveError: There is no such module or name.
    """
    path = Path(source)
    if path.suffix not in (".toml", ".json"):
        if ":" not in source:
            raise SpaceError(f"a space is a .toml or .json file, or module:name, got {source!r}")
        return space_of(found_object(source, "space"))
    return space_of_file(file_data(path, f"space {source}"), f"space {source}")


def space_of_file(data: object, prefix: str) -> Space:
    """The space in the content of a file; SpaceError, which starts with ``prefix``, if it is not a space."""
    try:
        return _space(data)
    except SpaceError as error:
        raise SpaceError(f"{prefix}: {error}") from None


def file_data(path: Path, prefix: str) -> Any:
    """The content of a TOML or JSON file; SpaceError, which starts with ``prefix``, if unreadable."""
    if path.exists() and not path.is_file():  # reading a pipe might never end
        raise SpaceError(f"{prefix}: can't be read: it is not a file")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return json.loads(text)
    except FileNotFoundError:
        raise SpaceError(
            f"{prefix}: no such file; give the path of a .toml or .json file that exists"
        ) from None
    except OSError as error:
        raise SpaceError(f"{prefix}: can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # invalid TOML or JSON, encoding, or too many digits
        raise SpaceError(f"{prefix}: is not {path.suffix[1:].upper()}: {error}") from None


def _space(data: object) -> Space:
    if not isinstance(data, Mapping) or "parameters" not in data:
        raise SpaceError("must have a table [parameters], with a line for every parameter")
    unknown = [name for name in data if name not in ("parameters", "constraints", *_OF_PROJECT)]
    if unknown:
        raise SpaceError(
            f"{unknown[0]!r} is not an allowed key (parameters, constraints); put parameters below "
            "[parameters]"
        )
    parameters = data["parameters"]
    if isinstance(parameters, list):
        constraints = data.get("constraints", [])
        return Space.from_json({"parameters": parameters, "constraints": constraints})
    if not isinstance(parameters, Mapping):
        raise SpaceError("parameters must be a table of names")
    return Space(
        {name: _parameter(name, value) for name, value in parameters.items()}, data.get("constraints", ())
    )


def _parameter(name: str, value: object) -> Any:
    try:
        if isinstance(value, Mapping) and "values" in value:
            _check_keys(value, _CHOICES, "choices have")
            if not isinstance(value["values"], list):
                raise SpaceError(f"values must be a list, got {value['values']!r}")
            choices = [_value(v) for v in value["values"]]
            return Categorical(choices, ordered=value.get("ordered"), when=value.get("when"))
        if isinstance(value, Mapping) and "fidelity" in value:
            _check_keys(value, ("fidelity",), "a fidelity has")
            if not isinstance(value["fidelity"], list):
                raise SpaceError(f"fidelity must be a list of levels, got {value['fidelity']!r}")
            return Fidelity(*value["fidelity"])
        if isinstance(value, Mapping) and "import" not in value:
            return _range(value)
        if isinstance(value, list):
            return parse([_value(v) for v in value])
        return parse(_value(value))
    except SpaceError as error:
        raise SpaceError(f"{name}: {error}") from None


def _check_keys(value: Mapping[str, object], allowed: tuple[str, ...], prefix: str) -> None:
    for key in value:
        if key not in allowed:
            raise SpaceError(f"{prefix} {', '.join(allowed)}, got {key!r}; {did_you_mean(key, allowed)}")


def _range(value: Mapping[str, Any]) -> Parameter:
    _check_keys(value, _RANGE, "a range has")
    if "low" not in value or "high" not in value:
        raise SpaceError(f"a range needs low and high, got {dict(value)}")
    integral = all(isinstance(value[end], int) for end in ("low", "high"))
    kind = value.get("type", "integer" if integral else "float")
    if kind not in list(RANGES):
        raise SpaceError(f"type must be 'float' or 'integer', got {kind!r}")
    options = {key: value[key] for key in ("levels", "log", "step", "base", "when") if key in value}
    within = value.get("within")
    if isinstance(within, list):  # TOML has no null: an infinite limit means none
        within = tuple(None if isinstance(v, float) and math.isinf(v) else v for v in within)
    return RANGES[kind](value["low"], value["high"], within=within, **options)


def _value(value: object) -> Any:
    if isinstance(value, Mapping):
        if set(value) != {"import"} or not isinstance(value["import"], str):
            raise SpaceError(f'write a class or function as {{ import = "module.name" }}, got {dict(value)}')
        return Reference(value["import"]).resolve()
    if isinstance(value, list):
        return tuple(_value(v) for v in value)
    return value
