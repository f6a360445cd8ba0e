"""A space as a ``ConfigSpace.ConfigurationSpace``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refine.space.code.expressions import Clause, clauses_of
from refine.space.code.raytune import allowed
from refine.space.code.values import (
    Choices,
    Space,
    after,
    choices_of,
    heading,
    integers,
    lattice_text,
    listed,
    literal,
    plain,
    steps,
)
from refine.space.conditions import ABSENT
from refine.space.parameters import Integer, Parameter, Range

_TRIED = 4096


def configspace_code(space: Space) -> str:
    """``space()``: the space with its conditions and, as forbidden clauses, its constraints, as far as these can be said.

    Args:
        space: The space.
    """
    chosen = {n: choices_of(p, _takes) for n, p in space.items() if not isinstance(p, Range)}
    chosen |= {n: Choices(tuple(v), False) for n, p in space.items() if (v := steps(p)) is not None}
    lists = listed(space, lambda p: steps(p) if steps(p) is not None else integers(p))
    first = _legal(space)
    body = ["cs = ConfigurationSpace()", "h = {}"]
    for name, parameter in space.items():
        body.append(_hyperparameter(name, parameter, chosen.get(name), first.get(name)))
    body.append("cs.add(*h.values())")
    notes = []
    for name, condition in space.conditions.items():
        found = clauses_of(condition, True, lists, space)
        text = None if found is None else _condition(name, found, space, chosen)
        if text is None:
            notes.append(f"It can't be told when {name} is there: {condition}.")
        else:
            body.append(f"cs.add({text})")
    unsaid = []
    for constraint in space.constraints:
        broken = clauses_of(constraint, False, lists, space)
        if broken is None or any(c.values is None for clauses in broken for c in clauses):
            unsaid.append(constraint)
            continue
        body += [f"cs.add({_forbidden(clauses, space, chosen)})" for clauses in broken]
    if unsaid:
        notes.append("ConfigSpace can't say these constraints; ask allowed(config) instead:")
        notes += [f"  {c}" for c in unsaid]
    if any(p.otherwise is not ABSENT for p in space.values()):
        notes.append("ConfigSpace has no value for what is not there; refine's otherwise= is left out.")
    notes += (
        ["Look up what labels stand for: VALUES[name][config[name]]."]
        if any(c.stand for c in chosen.values())
        else []
    )
    head = heading(space, [_IMPORTS], chosen, notes)
    code = [*head, "", "def space():", *(f"    {line}" for line in [*body, "return cs"])]
    return "\n".join([*code, *(allowed(space, chosen) if unsaid else []), ""])


_IMPORTS = """from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    GreaterThanCondition,
    InCondition,
    LessThanCondition,
    OrConjunction,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)"""


def _takes(values: Sequence[Any]) -> bool:
    return any(plain(values, kinds) for kinds in ((bool,), (int, float), (str,)))


def _legal(space: Space) -> dict[str, int]:
    """Level numbers of a configuration that meets every constraint: the default one, which ConfigSpace wants legal."""
    if not space.constraints:
        return {}
    sizes = space.radices
    rows = np.stack([np.random.default_rng(0).integers(0, size, _TRIED) for size in sizes], axis=1)
    once = space.canonical(rows)
    found = np.flatnonzero(space.valid(once))
    return dict(zip(space, map(int, once[found[0]]), strict=True)) if len(found) else {}


def _hyperparameter(name: str, parameter: Parameter, choices: Choices | None, at: int | None) -> str:
    if choices is not None:
        start = ""
        if at is not None and not parameter.fixed:
            value = parameter.grid[at]
            place = choices.values.index(value) if isinstance(parameter, Range) else at
            start = f", default_value={literal(choices.values[place])}"
        if parameter.fixed:
            made = f"Constant({name!r}, {literal(choices.values[0])})"
        elif parameter.ordered:
            made = f"OrdinalHyperparameter({name!r}, {choices.text}{start})"
        else:
            made = f"CategoricalHyperparameter({name!r}, {choices.text}{start})"
        return after(f"h[{name!r}] = {made}", lattice_text(parameter) if isinstance(parameter, Range) else "")
    assert isinstance(parameter, Range)
    kind = "Integer" if isinstance(parameter, Integer) else "Float"
    start = "" if at is None else f", default_value={parameter.grid[at]!r}"
    log = ", log=True" if parameter.log else ""
    made = f"Uniform{kind}Hyperparameter({name!r}, {parameter.low!r}, {parameter.high!r}{start}{log})"
    lost = f"{lattice_text(parameter)} in refine" if parameter.lattice is not None else ""
    return after(f"h[{name!r}] = {made}", lost)


def _condition(
    name: str, clauses: list[list[Clause]], space: Space, chosen: dict[str, Choices]
) -> str | None:
    parts = []
    for each in clauses:
        members = [_member(name, c, space, chosen) for c in each]
        known = [m for m in members if m is not None]
        if len(known) < len(members):
            return None
        parts.append(known[0] if len(known) == 1 else f"AndConjunction({', '.join(known)})")
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else f"OrConjunction({', '.join(parts)})"


def _member(name: str, clause: Clause, space: Space, chosen: dict[str, Choices]) -> str | None:
    pair = f"h[{name!r}], h[{clause.name!r}]"
    if clause.values is None:
        bound = _beyond(clause, space[clause.name])
        if not space[clause.name].low <= bound <= space[clause.name].high:  # which ConfigSpace refuses
            return None
        return f"{'Less' if clause.sign.startswith('<') else 'Greater'}ThanCondition({pair}, {bound!r})"
    values = [literal(_values(clause.name, space, chosen)[i]) for i in clause.values]
    if len(values) == 1:
        return f"EqualsCondition({pair}, {values[0]})"
    return f"InCondition({pair}, [{', '.join(values)}])"


def _beyond(clause: Clause, parameter: Parameter) -> float:
    """The first number of which it is no longer true, since ConfigSpace has neither ``<=`` nor ``>=``."""
    less, equal, bound = clause.sign.startswith("<"), clause.sign.endswith("="), clause.bound
    if isinstance(parameter, Integer):
        whole = math.ceil(bound) if less else math.floor(bound)
        return whole + (1 if less else -1) if equal and whole == bound else whole
    return math.nextafter(bound, math.inf if less else -math.inf) if equal else bound


def _values(name: str, space: Space, chosen: dict[str, Choices]) -> Sequence[Any]:
    return chosen[name].values if name in chosen else integers(space[name]) or ()


def _forbidden(clauses: list[Clause], space: Space, chosen: dict[str, Choices]) -> str:
    texts = []
    for clause in clauses:
        assert clause.values is not None
        values = [literal(_values(clause.name, space, chosen)[i]) for i in clause.values]
        of = f"h[{clause.name!r}]"
        texts.append(
            f"ForbiddenEqualsClause({of}, {values[0]})"
            if len(values) == 1
            else f"ForbiddenInClause({of}, [{', '.join(values)}])"
        )
    return texts[0] if len(texts) == 1 else f"ForbiddenAndConjunction({', '.join(texts)})"
