"""Spaces of ConfigSpace and Keras Tuner, from what these libraries write: neither has to be installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.errors import SpaceError
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer, Parameter

_OPERATORS = {"EQ": "==", "NEQ": "!=", "LT": "<", "GT": ">"}


def of_configspace(source: Any) -> tuple[dict[str, Any], list[str]]:
    """Parameters and constraints of a ``ConfigSpace.ConfigurationSpace``.

    Uniform and normal hyperparameters become ranges (normal ones need bounds), ordinal ones ordered choices. All of its
    conditions are kept, and forbidden clauses become constraints.

    Args:
        source: The object, what its ``to_serialized_dict()`` gives, or the path of its JSON file.

    Raises:
        SpaceError: It is none of these, or holds what a space can't have.
    """
    data = _data(source, "to_serialized_dict", "hyperparameters", "a ConfigurationSpace")
    parameters = {
        h["name"]: _of("hyperparameter", h["name"], _configspace_parameter, h)
        for h in data["hyperparameters"]
    }
    when: dict[str, list[str]] = {}
    for condition in data.get("conditions", ()):
        when.setdefault(_child(condition), []).append(_condition(condition))
    constraints = [f"not ({_clause(f)})" for f in data.get("forbiddens", ())]
    return _under(parameters, when), constraints


def of_keras_tuner(source: Any) -> tuple[dict[str, Any], list[str]]:
    """The space of a ``keras_tuner.HyperParameters``, its ``conditional_scope``s as conditions.

    Args:
        source: The object, what its ``get_config()`` gives, or the path of a JSON file of either that or an oracle.

    Raises:
        SpaceError: It is none of these, or holds what a space can't have.
    """
    data = _data(source, "get_config", "space", "HyperParameters")
    parameters: dict[str, Parameter] = {}
    when: dict[str, list[str]] = {}
    for entry in data["space"]:
        config = entry["config"]
        name = config["name"]
        found = _of("hyperparameter", name, _keras_tuner_parameter, entry)
        if name in parameters and parameters[name] != found:
            raise SpaceError(
                f"{name}: the tuner has two hyperparameters of this name that differ; give them different names"
            )
        scopes = [s["config"] for s in config.get("conditions") or ()]
        text = " and ".join(_member(s["name"], s["values"]) for s in scopes)
        if name in parameters:  # in one scope or another
            text = "" if not text or not when.get(name) else f"({when[name][0]}) or ({text})"
        parameters[name] = found
        when[name] = [text] if text else []
    return _under(parameters, when), []


def _data(source: Any, method: str, key: str, what: str) -> Mapping[str, Any]:
    if isinstance(source, str | Path):
        try:
            source = json.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SpaceError(f"{source}: must be a JSON file of {what}, but {error}") from None
    elif callable(getattr(source, method, None)):
        source = getattr(source, method)()
    if isinstance(source, Mapping) and isinstance(source.get("hyperparameters"), Mapping):
        source = source["hyperparameters"]  # of an oracle
    if not isinstance(source, Mapping) or key not in source:
        raise SpaceError(
            f"this must be {what}, what its {method}() gives, or a JSON file of it, got {source!r:.80}"
        )
    return source


def _of(what: str, name: str, make: Any, data: Mapping[str, Any]) -> Parameter:
    try:
        return make(data)  # type: ignore[no-any-return]
    except SpaceError as error:
        raise SpaceError(f"{name}: {error}") from None
    except (KeyError, TypeError) as error:
        raise SpaceError(
            f"{name}: this {what} can't be read ({error!r}); write the parameter yourself"
        ) from None


def _under(parameters: Mapping[str, Parameter], when: Mapping[str, Sequence[str]]) -> dict[str, Parameter]:
    found = dict(parameters)
    for name, texts in when.items():
        if texts:
            found[name] = found[name].under(
                " and ".join(f"({t})" for t in texts) if len(texts) > 1 else texts[0]
            )
    return found


def _configspace_parameter(data: Mapping[str, Any]) -> Parameter:
    kind = data["type"]
    if kind in ("uniform_float", "normal_float", "beta_float"):
        return Float(data["lower"], data["upper"], log=bool(data.get("log")))
    if kind in ("uniform_int", "normal_int", "beta_int"):
        return Integer(data["lower"], data["upper"], log=bool(data.get("log")))
    if kind == "ordinal":
        return Categorical(data["sequence"] if "sequence" in data else data["values"], ordered=True)
    if kind == "categorical":
        return Categorical(data["choices"])
    if kind == "constant":
        return Categorical([data["value"]])
    raise SpaceError(f"a hyperparameter of ConfigSpace is a number, a choice or a constant, got {kind!r}")


def _child(condition: Mapping[str, Any]) -> str:
    return str(condition["child"] if "child" in condition else _child(condition["conditions"][0]))


def _condition(condition: Mapping[str, Any]) -> str:
    kind = condition["type"]
    if kind in ("AND", "OR"):
        return f" {kind.lower()} ".join(f"({_condition(c)})" for c in condition["conditions"])
    if kind == "IN":
        return _member(condition["parent"], condition["values"])
    if kind in _OPERATORS:
        return f"{condition['parent']} {_OPERATORS[kind]} {condition['value']!r}"
    raise SpaceError(f"a condition of ConfigSpace is EQ, NEQ, LT, GT, IN, AND or OR, got {kind!r}")


def _clause(clause: Mapping[str, Any]) -> str:
    kind = clause["type"]
    if kind == "AND":
        return " and ".join(f"({_clause(c)})" for c in clause["clauses"])
    if kind in ("IN", "MULTIVALUE") or "values" in clause:
        return _member(clause["name"], clause["values"])
    if kind in ("EQUALS", "EQ") and "value" in clause:
        return f"{clause['name']} == {clause['value']!r}"
    if kind in ("RELATION", "EQUALS", "LESS", "GREATER") or "left" in clause:
        sign = {"LESS": "<", "GREATER": ">"}.get(str(clause.get("lambda", kind)), "==")
        return f"{clause['left']} {sign} {clause['right']}"
    raise SpaceError(f"a forbidden clause can't be read, got {dict(clause)!r:.80}; write it as a constraint")


def _member(name: str, values: Sequence[Any]) -> str:
    texts = [repr(v) for v in values]
    return f"{name} == {texts[0]}" if len(texts) == 1 else f"{name} in [{', '.join(texts)}]"


def _keras_tuner_parameter(entry: Mapping[str, Any]) -> Parameter:
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
    lattice = cls(low, low * step if log else low + step, **{"base" if log else "step": step}).lattice
    assert lattice is not None
    last = lattice.between(low, high)[-1]  # the tuner leaves out an end that is no step
    return (
        cls(low, int(last) if kind == "Int" else last, **{"base" if log else "step": step})
        if last > low
        else Categorical([low])
    )
