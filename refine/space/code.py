"""Values as Python text, and a space as a function of an Optuna trial, to be pasted. Pure; Optuna doesn't have to be installed.

What is said of a parameter that a configuration has not is neither true nor false (:mod:`refine.space.constraints`), so a text
asks first whether it is there.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Any

from refine.space.categorical import Categorical
from refine.space.constraints import ROUNDING, Constraint
from refine.space.encoding import Reference, label
from refine.space.parameters import ABSENT, Integer, Parameter, Range
from refine.utils.format import plural

_MOST = 1000
"""Values that are written one by one."""


def optuna_code(
    space: Mapping[str, Parameter],
    constraints: Iterable[Constraint],
    conditions: Mapping[str, Constraint],
    size: int,
) -> str:
    """``suggest(trial)``: parameters by name, conditions as ``if``; a configuration that breaks a constraint is pruned.

    Args:
        space: The parameters.
        constraints: Over them.
        conditions: By the parameter's name, each after those of the parameters that it names.
        size: Configurations of the grid.
    """
    # Optuna keeps plain values alone: of others it chooses labels, which stand for the values.
    tables = {
        n: dict(zip(p.labels, p.grid, strict=True))
        for n, p in space.items()
        if isinstance(p, Categorical)
        and not all(isinstance(v, bool | int | float | str | None) for v in p.grid)
    }
    body = ["p = {}"]
    for name in [*(n for n in space if n not in conditions), *conditions]:
        drawn = f"p[{name!r}] = {_call(name, space[name], tables.get(name))}"
        if name in conditions:
            body += [f"if {_said(_tree(conditions[name]), conditions, True)}:", f"    {drawn}"]
        else:
            body.append(drawn)
    for constraint in constraints:
        body.append(f"if {_said(_tree(constraint), conditions, False)}:")
        body.append(f"    raise optuna.TrialPruned({f'breaks {constraint}'!r})")
    for name in tables:
        body += [f"if {name!r} in p:", f"    p[{name!r}] = VALUES[{name!r}][p[{name!r}]]"]
    stand_ins = {n: space[n].otherwise for n in conditions if space[n].otherwise is not ABSENT}
    body += [f"p.setdefault({n!r}, {literal(value)})" for n, value in stand_ins.items()]
    code = ["def suggest(trial):", *(f"    {line}" for line in [*body, "return p"])]

    before = " before constraints" if constraints else ""
    lines = [
        f"# A space of {plural(len(space), 'parameter')}, {size:,} configurations on refine's grid{before}."
    ]
    if any(isinstance(p, Range) for p in space.values()):
        lines.append("# A range may take every value between its ends here, not only its levels.")
    if any(isinstance(p, Categorical) and p.ordered and not p.fixed for p in space.values()):
        lines.append("# Optuna's choices have no order.")
    if constraints:
        lines.append("# Optuna can't leave out what breaks a constraint: such a trial is drawn, and pruned.")
    text = "\n".join(code)
    needed = modules([v for table in tables.values() for v in table.values()] + list(stand_ins.values()))
    needed |= {"math"} if "math.isclose(" in text else set()
    lines += [f"import {module}" for module in sorted(needed)]
    lines += ["import numpy as np"] if "np." in text else []
    lines += ["import optuna", ""]
    if tables:
        lines.append("VALUES = {")
        for name, table in tables.items():
            lines.append(f"    {name!r}: {{{', '.join(f'{a!r}: {literal(b)}' for a, b in table.items())}}},")
        lines += ["}", ""]
    return "\n".join([*lines, "", *code, ""])


def _call(name: str, parameter: Parameter, table: Mapping[str, Any] | None) -> str:
    if not isinstance(parameter, Range):
        choices = [literal(choice) for choice in (parameter.grid if table is None else table)]
        return (
            choices[0] if parameter.fixed else f"trial.suggest_categorical({name!r}, [{', '.join(choices)}])"
        )
    kind = "int" if isinstance(parameter, Integer) else "float"
    ends = f"{name!r}, {parameter.low!r}, {parameter.high!r}"
    lattice = parameter.lattice
    if lattice is None:
        return f"trial.suggest_{kind}({ends}{', log=True' if parameter.log else ''})"
    stepped = f"trial.suggest_{kind}({ends}, step={parameter.step!r})"
    if lattice.step is not None and not parameter.log:
        return stepped
    count = round(lattice.place(parameter.high)) - round(lattice.place(parameter.low)) + 1
    if count > _MOST:
        return f"{stepped}  # the scale is logarithmic in refine"
    kept = f"powers of {label(lattice.base)}" if lattice.step is None else f"steps of {label(lattice.step)}"
    values = lattice.between(parameter.low, parameter.high)
    return f"{values!r}[trial.suggest_int({name!r}, 0, {count - 1})]  # {kept}; Optuna draws the place in the list"


# Values as text.


def literal(value: Any) -> str:
    """A value as Python text; a class or function as where it is imported from."""
    if isinstance(value, Reference):
        return value.path.replace(":", ".")
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def modules(values: Iterable[Any]) -> set[str]:
    """Modules that their texts need."""
    needed: set[str] = set()
    for value in values:
        if isinstance(value, Reference):
            needed.add(value.path.partition(":")[0] if ":" in value.path else value.path.rpartition(".")[0])
        elif isinstance(value, tuple):
            needed |= modules(value)
    return needed


# Expressions as text.

_NUMPY = ("log", "log2", "log10", "sqrt")
_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.Is: "==",
    ast.NotEq: "!=",
    ast.IsNot: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def _tree(constraint: Constraint) -> ast.expr:
    return ast.parse(constraint.expression, mode="eval").body


def _said(node: ast.expr, conditional: Collection[str], true: bool) -> str:
    """The text that holds where an expression is ``true`` (or false), and not where it can't be told.

    ``conditional`` are the names of parameters that a configuration may not have.
    """
    match node:
        case ast.BoolOp(op=op, values=values):
            word = " and " if isinstance(op, ast.And) == true else " or "
            return word.join(f"({_said(v, conditional, true)})" for v in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _said(operand, conditional, not true)
    names = sorted({x.id for x in ast.walk(node) if isinstance(x, ast.Name)} & set(conditional))
    asked = [f"{n!r} in p" for n in names]
    text = ast.unparse(_Spelt().visit(ast.parse(ast.unparse(node), mode="eval").body))
    if not true:
        text = f"not ({text})"
    return " and ".join([*asked, f"({text})" if asked and true else text])


class _Spelt(ast.NodeTransformer):
    """An expression in the words of a text: names, functions, and comparisons that rounding must not change."""

    def visit_Name(self, node: ast.Name) -> ast.expr:  # ast's own name
        return ast.parse(f"p[{node.id!r}]", mode="eval").body

    def visit_Call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        name = f"np.{node.func.id}" if node.func.id in _NUMPY else node.func.id
        return ast.Call(ast.parse(name, mode="eval").body, [self.visit(x) for x in node.args], [])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        sides = [node.left, *node.comparators]
        calculated = any(isinstance(x, ast.BinOp | ast.Call) for x in sides)
        texts = [ast.unparse(self.visit(x)) for x in sides]
        pairs = zip(pairwise(texts), node.ops, strict=True)
        parts = [_compared(a, _SIGNS[type(op)], b, calculated) for (a, b), op in pairs]
        text = " and ".join(f"({p})" for p in parts) if len(parts) > 1 else parts[0]
        return ast.parse(text, mode="eval").body


def _compared(a: str, sign: str, b: str, calculated: bool) -> str:
    if b == "None" and sign in ("==", "!="):
        return f"{a} is {'not ' if sign == '!=' else ''}None"
    if not calculated or "in" in sign:
        return f"{a} {sign} {b}"
    equal = f"math.isclose({a}, {b}, rel_tol={ROUNDING!r}, abs_tol=1e-15)"
    if sign in ("==", "!="):
        return equal if sign == "==" else f"not {equal}"
    return f"({a} {sign} {b} {'or' if '=' in sign else 'and not'} {equal})"
