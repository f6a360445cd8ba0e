"""A space as a function of an Optuna trial."""

from __future__ import annotations

from refine.space.code.expressions import in_dict, said
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
from refine.space.parameters import Integer, Parameter, Range


def optuna_code(space: Space) -> str:
    """``suggest(trial)``: parameters by name, conditions as ``if``; a configuration that breaks a constraint is pruned.

    Args:
        space: The space.
    """
    chosen = {n: choices_of(p, plain_or_none) for n, p in space.items() if not isinstance(p, Range)}
    spelling = in_dict("p", space.conditions)
    body = ["p = {}"]
    for name in in_order(space):
        condition = space.conditions.get(name)
        lines = [f"p[{name!r}] = {_call(name, space[name], chosen.get(name))}"]
        if condition is not None:
            lines = [f"if {said(condition, spelling, True)}:", *(f"    {line}" for line in lines)]
        body += lines
    for constraint in space.constraints:
        body += [
            f"if {said(constraint, spelling, False)}:",
            f"    raise optuna.TrialPruned({f'breaks {constraint}'!r})",
        ]
    body += [
        line
        for name, choices in chosen.items()
        if choices.stand
        for line in (f"if {name!r} in p:", f"    p[{name!r}] = VALUES[{name!r}][p[{name!r}]]")
    ]
    body += [
        f"p.setdefault({n!r}, {literal(space[n].otherwise)})"
        for n in space.conditions
        if space[n].otherwise is not ABSENT
    ]
    ordered = any(c and len(c.values) > 1 and space[n].ordered for n, c in chosen.items())
    notes = ["Optuna's choices have no order."] if ordered else []
    if space.constraints:
        notes.append("Optuna can't leave out what breaks a constraint: such a trial is drawn, and pruned.")
    head = heading(space, ["import optuna"], chosen, notes)
    return "\n".join([*head, "", "def suggest(trial):", *(f"    {line}" for line in [*body, "return p"]), ""])


def _call(name: str, parameter: Parameter, choices: Choices | None) -> str:
    if choices is not None:
        return (
            literal(choices.values[0])
            if parameter.fixed
            else f"trial.suggest_categorical({name!r}, {choices.text})"
        )
    assert isinstance(parameter, Range)
    kind = "int" if isinstance(parameter, Integer) else "float"
    ends = f"{name!r}, {parameter.low!r}, {parameter.high!r}"
    lattice = parameter.lattice
    if lattice is None:
        return f"trial.suggest_{kind}({ends}{', log=True' if parameter.log else ''})"
    if lattice.step is not None and not parameter.log:
        return f"trial.suggest_{kind}({ends}, step={parameter.step!r})"
    values = steps(parameter)
    about = f"{lattice_text(parameter)}; Optuna draws the place in the list"
    if values is None:  # more than anybody reads
        return after(
            f"trial.suggest_{kind}({ends}, step={parameter.step!r})", "the scale is logarithmic in refine"
        )
    return after(f"{values!r}[trial.suggest_int({name!r}, 0, {len(values) - 1})]", about)
