"""Spaces of Keras Tuner, from what it writes: it doesn't have to be installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.errors import SpaceError
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer, Parameter


def of_keras_tuner(source: Any) -> dict[str, Any]:
    """The parameters of a ``keras_tuner.HyperParameters``, its ``conditional_scope``s as conditions.

    Args:
        source: The object, what its ``get_config()`` gives, or the path of a JSON file of either that or an oracle.

    Raises:
        SpaceError: It is none of these, or holds what a space can't have.
    """
    parameters: dict[str, Parameter] = {}
    when: dict[str, str] = {}
    for entry in _data(source):
        config = entry["config"]
        name = config["name"]
        try:
            parameter = _parameter(entry)
        except SpaceError as error:
            raise SpaceError(f"{name}: {error}") from None
        except (KeyError, TypeError) as error:
            raise SpaceError(
                f"{name}: this hyperparameter can't be read ({error!r}); write the parameter yourself"
            ) from None
        if parameters.get(name, parameter) != parameter:
            raise SpaceError(
                f"{name}: the tuner has two hyperparameters of this name that differ; give them different names"
            )
        scopes = [s["config"] for s in config.get("conditions") or ()]
        text = " and ".join(
            f"{s['name']} in {s['values']!r}"
            if len(s["values"]) > 1
            else f"{s['name']} == {s['values'][0]!r}"
            for s in scopes
        )
        if name in parameters:  # in one scope or another
            text = f"({when[name]}) or ({text})" if text and when[name] else ""
        parameters[name], when[name] = parameter, text
    return {name: p.under(when[name]) if when[name] else p for name, p in parameters.items()}


def _data(source: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(source, str | Path):
        try:
            source = json.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SpaceError(f"{source}: must be a JSON file of HyperParameters, but {error}") from None
    elif callable(getattr(source, "get_config", None)):
        source = source.get_config()
    if isinstance(source, Mapping) and isinstance(source.get("hyperparameters"), Mapping):
        source = source["hyperparameters"]  # of an oracle
    if not isinstance(source, Mapping) or "space" not in source:
        raise SpaceError(
            f"this must be HyperParameters, what its get_config() gives, or a JSON file of it, got {source!r:.80}"
        )
    entries: Sequence[Mapping[str, Any]] = source["space"]
    return entries


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    kind, config = entry["class_name"].rpartition(">")[2], entry["config"]
    if kind == "Boolean":
        return Categorical([False, True])
    if kind == "Fixed":
        return Categorical([config["value"]])
    if kind == "Choice":
        ordered = bool(config.get("ordered"))
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in config["values"])
        return Categorical(config["values"], ordered=ordered if ordered != numeric else None)
    low, high, step = config["min_value"], config["max_value"], config.get("step")
    log = config.get("sampling") in ("log", "reverse_log")
    cls: Any = Integer if kind == "Int" else Float
    if step is None or (kind == "Int" and step == 1 and not log):
        return cls(low, high, log=log)
    # With a logarithmic sampling the tuner's step is a factor.
    spaced = {"base" if log else "step": step}
    lattice = cls(low, low * step if log else low + step, **spaced).lattice
    last = lattice.between(low, high)[-1]  # the tuner leaves out an end that is no step
    return cls(low, last, **spaced) if last > low else Categorical([low])
