"""A space as a function of Keras Tuner's ``HyperParameters``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refine.space.code.expressions import Spelling, clauses_of, said
from refine.space.code.raytune import allowed
from refine.space.code.values import (
    Choices,
    Space,
    after,
    choices_of,
    heading,
    in_order,
    integers,
    lattice_text,
    listed,
    literal,
    plain,
    steps,
)
from refine.space.conditions import ABSENT
from refine.space.parameters import Integer, Parameter, Range

_NONE = "Keras Tuner has no constraints: raise keras_tuner.errors.FailedTrialError in build() where not allowed(p)."


def kerastuner_code(space: Space) -> str:
    """``declare(hp)``: values by name, conditions as its conditional scopes; constraints as a function, since it has none.

    Args:
        space: The space.
    """
    chosen = {n: choices_of(p, _takes) for n, p in space.items() if not isinstance(p, Range)}
    lists = listed(space, _plain_values)
    body, unsaid = ["p = {}"], list[str]()
    spelling = Spelling(lambda n: f"p[{n!r}]", lambda n: f"p[{n!r}] is not None", space.conditions)
    for name in in_order(space):
        call, comment = _call(name, space[name], chosen.get(name))
        line = after(f"p[{name!r}] = {call}", comment)
        scopes = _scopes(space, name, lists, chosen)
        if scopes is None:
            unsaid.append(
                f"The tuner draws {name} always, and isn't told that it is there only when {space[name].when}."
            )
            met = said(space.conditions[name], spelling, True)
            line += f"\nif not ({met}):\n    p[{name!r}] = None"
        for scope in reversed(scopes or []):
            line = f"with {scope}:\n" + "\n".join(f"    {part}" for part in line.split("\n"))
        body += line.split("\n")
    body += [
        line
        for name in space.conditions
        if space[name].otherwise is not ABSENT
        for line in (f"if p[{name!r}] is None:", f"    p[{name!r}] = {literal(space[name].otherwise)}")
    ]
    notes = [*([_NONE] if space.constraints else []), *unsaid]
    notes += ["What a configuration has not is left out."] if space.conditions else []
    notes += (
        ["Look up what labels stand for: VALUES[name][p[name]]."]
        if any(c.stand for c in chosen.values())
        else []
    )
    last = "return {name: value for name, value in p.items() if value is not None}"
    head = heading(space, [], chosen, notes)
    code = [*head, "", "def declare(hp):", *(f"    {line}" for line in [*body, last])]
    return "\n".join([*code, *allowed(space, chosen), ""])


def _scopes(space: Space, name: str, lists: dict[str, Any], chosen: dict[str, Choices]) -> list[str] | None:
    """The scopes that it stands in, the outermost first; ``None`` where the tuner can't say them."""
    condition = space.conditions.get(name)
    if condition is None:
        return []
    found = clauses_of(condition, True, lists, space)
    if found is None or len(found) != 1 or len(found[0]) != 1 or found[0][0].values is None:
        return None
    name, kept = found[0][0].name, found[0][0].values
    above = _scopes(space, name, lists, chosen)  # a scope stands within those of what it names
    if above is None:
        return None
    values = chosen[name].values if name in chosen else tuple(_plain_values(space[name]) or ())
    return [*above, f"hp.conditional_scope({name!r}, [{', '.join(literal(values[i]) for i in kept)}])"]


def _plain_values(parameter: Parameter) -> Sequence[Any] | None:
    """All values of a range, if they are few."""
    return integers(parameter) or steps(parameter)


def _takes(values: Sequence[Any]) -> bool:
    return any(plain(values, kinds) for kinds in ((bool,), (int,), (float,), (str,)))


def _call(name: str, parameter: Parameter, choices: Choices | None) -> tuple[str, str]:
    if choices is not None:
        if parameter.fixed:
            return f"hp.Fixed({name!r}, {literal(choices.values[0])})", ""
        numbers = plain(choices.values, (int, float))
        order = "" if parameter.ordered == numbers else f", ordered={parameter.ordered}"
        if order and not numbers:
            return f"hp.Choice({name!r}, {choices.text})", "Keras Tuner orders numbers alone"
        return f"hp.Choice({name!r}, {choices.text}{order})", ""
    assert isinstance(parameter, Range)
    kind = "Int" if isinstance(parameter, Integer) else "Float"
    ends = f"{name!r}, {parameter.low!r}, {parameter.high!r}"
    lattice = parameter.lattice
    if lattice is None:
        return f"hp.{kind}({ends}{', sampling=' + repr('log') if parameter.log else ''})", ""
    if lattice.base is not None:
        return f"hp.{kind}({ends}, step={parameter.base!r}, sampling='log')", lattice_text(parameter)
    lost = "the scale is logarithmic in refine" if parameter.log else ""
    return f"hp.{kind}({ends}, step={parameter.step!r})", lost
