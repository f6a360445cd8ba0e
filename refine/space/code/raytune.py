"""A space as a dictionary of Ray Tune."""

from __future__ import annotations

from collections.abc import Mapping

from refine.space.code.expressions import Spelling, in_dict, said
from refine.space.code.values import (
    Choices,
    Space,
    after,
    choices_of,
    heading,
    in_order,
    lattice_text,
    literal,
    plain_or_none,
    steps,
)
from refine.space.conditions import ABSENT
from refine.space.encoding import Reference
from refine.space.parameters import Integer, Parameter, Range

_NONE = "Ray Tune has no constraints: begin the trainable with `if not allowed(config): ...`."
_ABSENT = (
    "What a configuration has not is None. Ray's own sampler alone follows conditions; searchers refuse them: for these write "
    "the parameter without its sample_from."
)


def raytune_code(space: Space) -> str:
    """``space``, a dictionary for ``param_space=``; constraints as a function, since Ray Tune has none.

    Args:
        space: The space.
    """
    chosen = {n: choices_of(p, plain_or_none) for n, p in space.items() if not isinstance(p, Range)}
    conditional = space.conditions
    spelling = Spelling(
        lambda n: f"spec.config[{n!r}]", lambda n: f"spec.config[{n!r}] is not None", conditional
    )
    lines = []
    for name in in_order(space):
        parameter = space[name]
        domain, comment = _domain(parameter, chosen.get(name))
        if name in conditional:
            drawn = domain if parameter.fixed else f"{domain}.sample()"
            met = said(conditional[name], spelling, True)
            domain = f"tune.sample_from(lambda spec: {drawn} if {met} else {_otherwise(parameter)})"
        lines.append(after(f"    {name!r}: {domain},", comment))
    notes = [_NONE] if space.constraints else []
    notes += [_ABSENT] if conditional else []
    notes += (
        ["Ray Tune's choices have no order."]
        if any(len(c.values) > 1 and space[n].ordered for n, c in chosen.items())
        else []
    )
    notes += (
        ["Look up what labels stand for: VALUES[name][config[name]]."]
        if any(c.stand for c in chosen.values())
        else []
    )
    head = heading(space, ["from ray import tune"], chosen, notes)
    return "\n".join([*head, "space = {", *lines, "}", *allowed(space, chosen), ""])


def allowed(space: Space, chosen: Mapping[str, Choices]) -> list[str]:
    """A function that says whether a configuration meets every constraint; nothing where there is none.

    Args:
        space: The space.
        chosen: What its choices are, by name.
    """
    if not space.constraints:
        return []
    spelling = in_dict("p", space.conditions)
    lines = [
        line
        for constraint in space.constraints
        for line in (
            f"    if {said(constraint, spelling, False)}:",
            f"        return False  # breaks {constraint}",
        )
    ]
    there = ["    p = {name: value for name, value in config.items() if value is not None}"]
    if not any(None in p.grid for p in space.values()):
        return ["", "", "def allowed(config):", *there, *_bare(space, chosen), *lines, "    return True"]
    absent = [
        f"    if not ({said(c, spelling, True)}):\n        p.pop({n!r}, None)"
        for n, c in space.conditions.items()
    ]
    copied = ["    p = dict(config)", *_bare(space, chosen)]
    return ["", "", "def allowed(config):", *copied, *absent, *lines, "    return True"]


def _bare(space: Space, chosen: Mapping[str, Choices]) -> list[str]:
    """Lines that put values in the place of their labels, where constraints are about these."""
    lines = []
    for name, choices in chosen.items():
        held = {
            a: v
            for a, v in zip(choices.values, space[name].grid, strict=True)
            if not isinstance(v, Reference | tuple)
        }
        if choices.stand and held:
            pairs = ", ".join(f"{a!r}: {literal(v)}" for a, v in held.items())
            lines += [
                f"    if {name!r} in p:",
                f"        p[{name!r}] = {{{pairs}}}.get(p[{name!r}], p[{name!r}])",
            ]
    return lines


def _otherwise(parameter: Parameter) -> str:
    return "None" if parameter.otherwise is ABSENT else literal(parameter.otherwise)


def _domain(parameter: Parameter, choices: Choices | None) -> tuple[str, str]:
    """What it is drawn from, and a comment."""
    if choices is not None:
        return (literal(choices.values[0]) if parameter.fixed else f"tune.choice({choices.text})"), ""
    assert isinstance(parameter, Range)
    if parameter.lattice is not None:
        values = steps(parameter)
        about = lattice_text(parameter)
        if values is not None:
            return f"tune.choice({values!r})", about
        q = f"{parameter.low!r}, {parameter.high!r}, {parameter.step!r}"
        return (
            f"tune.{'qrandint' if isinstance(parameter, Integer) else 'quniform'}({q})",
            f"{about}, counted from 0",
        )
    log = "log" if parameter.log else ""
    if isinstance(parameter, Integer):
        return f"tune.{log}randint({parameter.low!r}, {parameter.high + 1!r})", "the upper end is left out"
    return f"tune.{log}uniform({parameter.low!r}, {parameter.high!r})", ""
