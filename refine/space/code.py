"""Values as Python text, and a space as a function of an Optuna trial, to be pasted. Pure; Optuna doesn't have to be installed.

What is said of a parameter that a configuration has not is neither true nor false (:mod:`refine.space.constraints`), so a text
asks first whether it is there.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from refine.space.categorical import Categorical
from refine.space.conditions import ABSENT
from refine.space.constraints import ROUNDING, Constraint
from refine.space.encoding import Reference, label
from refine.space.parameters import Integer, Parameter, Range
from refine.utils.format import plural

Space = Any
"""A :class:`refine.Space`, whose module leads here."""

_MOST = 1000
"""Values that are written one by one."""


def optuna_code(space: Space) -> str:
    """``suggest(trial)``: parameters by name, conditions as ``if``; a configuration that breaks a constraint is pruned.

    Args:
        space: The space.
    """
    chosen = {n: _choices(p) for n, p in space.items() if not isinstance(p, Range)}
    body = ["p = {}"]
    for name in [*(n for n in space if n not in space.conditions), *space.conditions]:
        condition = space.conditions.get(name)
        lines = [f"p[{name!r}] = {_call(name, space[name], chosen.get(name))}"]
        if condition is not None:
            lines = [
                f"if {_said(_tree(condition), space.conditions, True)}:",
                *(f"    {line}" for line in lines),
            ]
        body += lines
    for constraint in space.constraints:
        body += [
            f"if {_said(_tree(constraint), space.conditions, False)}:",
            f"    raise optuna.TrialPruned({f'breaks {constraint}'!r})",
        ]
    for name, choices in chosen.items():
        if choices.stand:
            body += [f"if {name!r} in p:", f"    p[{name!r}] = VALUES[{name!r}][p[{name!r}]]"]
    body += [
        f"p.setdefault({n!r}, {literal(space[n].otherwise)})"
        for n in space.conditions
        if space[n].otherwise is not ABSENT
    ]
    code = [
        *_heading(space, chosen),
        "",
        "def suggest(trial):",
        *(f"    {line}" for line in [*body, "return p"]),
    ]
    return "\n".join([*code, ""])


def _call(name: str, parameter: Parameter, choices: _Choices | None) -> str:
    if choices is not None:
        if parameter.fixed:
            return literal(choices.values[0])
        return f"trial.suggest_categorical({name!r}, [{', '.join(map(literal, choices.values))}])"
    assert isinstance(parameter, Range)
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


class _Choices(NamedTuple):
    """What Optuna chooses from: the values, or labels that stand for the values of ``VALUES``."""

    values: tuple[Any, ...]
    stand: bool


def _choices(parameter: Parameter) -> _Choices:
    if all(isinstance(v, bool | int | float | str | None) for v in parameter.grid):
        return _Choices(tuple(parameter.grid), False)
    labels = parameter.labels if isinstance(parameter, Categorical) else tuple(map(label, parameter.grid))
    return _Choices(tuple(labels), True)


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


def _heading(space: Space, chosen: dict[str, _Choices]) -> list[str]:
    """What it is, what is lost, what it imports, and what labels stand for."""
    values = [v for name, c in chosen.items() if c.stand for v in space[name].grid]
    values += [p.otherwise for p in space.values() if p.otherwise is not ABSENT]
    asked = [_calculates(c) for c in (*space.constraints, *space.conditions.values())]
    needed = modules(values) | ({"math"} if any(math for math, _ in asked) else set())
    size = f"{plural(len(space), 'parameter')}, {space.size:,} configurations on refine's grid"
    lines = [f"# A space of {size}{' before constraints' if space.constraints else ''}."]
    if any(isinstance(p, Range) for p in space.values()):
        lines.append("# A range may take every value between its ends here, not only its levels.")
    if any(len(c.values) > 1 and space[n].ordered for n, c in chosen.items()):
        lines.append("# Optuna's choices have no order.")
    if space.constraints:
        lines.append("# Optuna can't leave out what breaks a constraint: such a trial is drawn, and pruned.")
    lines += [f"import {module}" for module in sorted(needed)]
    lines += ["import numpy as np"] if any(numpy for _, numpy in asked) else []
    lines += ["import optuna", ""]
    pairs = {n: zip(c.values, space[n].grid, strict=True) for n, c in chosen.items() if c.stand}
    tables = [
        f"    {n!r}: {{{', '.join(f'{a!r}: {literal(b)}' for a, b in each)}}}," for n, each in pairs.items()
    ]
    return [*lines, "VALUES = {", *tables, "}", ""] if tables else lines


# Expressions as text.

_NUMPY = ("log", "log2", "log10", "sqrt")
_OPERATORS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def _tree(constraint: Constraint) -> ast.expr:
    return ast.parse(constraint.expression, mode="eval").body


def _said(node: ast.expr, conditional: Collection[str], true: bool) -> str:
    """The text that is true where an expression is true, or where it is false, and not where it can't be told.

    Args:
        node: The expression.
        conditional: Names of parameters that a configuration may not have.
        true: Whether it is to be true, or false.
    """
    match node:
        case ast.BoolOp(op=op, values=values):
            word = " and " if isinstance(op, ast.And) == true else " or "
            return word.join(f"({_said(v, conditional, true)})" for v in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _said(operand, conditional, not true)
    called = {id(x.func) for x in ast.walk(node) if isinstance(x, ast.Call)}
    names = sorted({x.id for x in ast.walk(node) if isinstance(x, ast.Name) and id(x) not in called})
    asked = [f"{n!r} in p" for n in names if n in conditional]
    text = ast.unparse(_Spelt().visit(ast.parse(ast.unparse(node), mode="eval").body))
    return " and ".join([*asked, text if true and not asked else f"({text})" if true else f"not ({text})"])


def _calculates(constraint: Constraint) -> tuple[bool, bool]:
    """Whether its text needs ``math``, and ``np``."""
    nodes = list(ast.walk(_tree(constraint)))
    close = any(isinstance(x, ast.Compare) and _arithmetic(x) for x in nodes)
    return close, any(
        isinstance(x, ast.Call) and isinstance(x.func, ast.Name) and x.func.id in _NUMPY for x in nodes
    )


def _arithmetic(node: ast.Compare) -> bool:
    sides = [node.left, *node.comparators]
    return any(isinstance(x, ast.BinOp | ast.Call) for x in sides) and all(
        type(op) in _OPERATORS for op in node.ops
    )


class _Spelt(ast.NodeTransformer):
    """An expression in the words of a text: names, functions, and comparisons that rounding must not change."""

    def visit_Name(self, node: ast.Name) -> ast.expr:  # ast's own name
        return ast.parse(f"p[{node.id!r}]", mode="eval").body

    def visit_Call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        name = f"np.{node.func.id}" if node.func.id in _NUMPY else node.func.id
        called = ast.parse(name, mode="eval").body
        return ast.Call(called, [self.visit(x) for x in node.args], [])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        close = _arithmetic(node)
        sides = [self.visit(x) for x in (node.left, *node.comparators)]
        parts = [
            _compared(ast.unparse(a), op, ast.unparse(b), close)
            for (a, b), op in zip(pairwise(sides), node.ops, strict=True)
        ]
        return ast.parse(
            " and ".join(f"({p})" for p in parts) if len(parts) > 1 else parts[0], mode="eval"
        ).body


def _compared(a: str, op: ast.cmpop, b: str, close: bool) -> str:
    if isinstance(op, ast.In | ast.NotIn):
        return f"{a} {'in' if isinstance(op, ast.In) else 'not in'} {b}"
    if isinstance(op, ast.Is | ast.IsNot):
        same = isinstance(op, ast.Is)
        return (
            f"{a} {'is' if same else 'is not'} None" if b == "None" else f"{a} {'==' if same else '!='} {b}"
        )
    sign = _OPERATORS[type(op)]
    if not close:
        return f"{a} {sign} {b}"
    equal = f"math.isclose({a}, {b}, rel_tol={ROUNDING!r}, abs_tol=1e-15)"
    match sign:
        case "==":
            return equal
        case "!=":
            return f"not {equal}"
        case "<=" | ">=":
            return f"({a} {sign} {b} or {equal})"
    return f"({a} {sign} {b} and not {equal})"
