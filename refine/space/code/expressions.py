"""Conditions and constraints as Python text, and as the clauses that other libraries know. Pure.

What is said of a parameter that a configuration has not is neither true nor false (:mod:`refine.space.constraints`), so a text
asks first whether it is there.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from refine.space.constraints import ROUNDING, Constraint
from refine.space.parameters import Parameter
from refine.utils.arrays import Bools

_NUMPY = ("log", "log2", "log10", "sqrt")
_OPERATORS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MOST_CLAUSES = 64
_MOST_VALUES = 1000


class Spelling(NamedTuple):
    """How a text says a parameter.

    Attributes:
        value: Name -> the expression of its value.
        there: Name -> the expression that says whether a configuration has it.
        conditional: Names of those that a configuration may not have.
    """

    value: Callable[[str], str]
    there: Callable[[str], str]
    conditional: Collection[str]


def in_dict(variable: str, conditional: Collection[str]) -> Spelling:
    """Values in a dictionary that holds nothing of what is not there."""
    return Spelling(lambda n: f"{variable}[{n!r}]", lambda n: f"{n!r} in {variable}", conditional)


def said(constraint: Constraint, spelling: Spelling, true: bool) -> str:
    """The text that is true where an expression is true, or where it is false, and not where it can't be told.

    Args:
        constraint: The expression.
        spelling: How parameters are said.
        true: Whether it is to be true, or false.
    """
    return _said(_tree(constraint), spelling, true)


def _tree(constraint: Constraint) -> ast.expr:
    return ast.parse(constraint.expression, mode="eval").body


def _said(node: ast.expr, spelling: Spelling, true: bool) -> str:
    match node:
        case ast.BoolOp(op=op, values=values):
            word = " and " if isinstance(op, ast.And) == true else " or "
            return word.join(f"({_said(v, spelling, true)})" for v in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _said(operand, spelling, not true)
    names = sorted(_names(node))
    asked = [spelling.there(n) for n in names if n in spelling.conditional]
    text = ast.unparse(_Spelt(spelling).visit(ast.parse(ast.unparse(node), mode="eval").body))
    return " and ".join([*asked, text if true and not asked else f"({text})" if true else f"not ({text})"])


def _names(node: ast.AST) -> set[str]:
    called = {id(x.func) for x in ast.walk(node) if isinstance(x, ast.Call)}
    return {x.id for x in ast.walk(node) if isinstance(x, ast.Name) and id(x) not in called}


def calculates(constraint: Constraint) -> tuple[bool, bool]:
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

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling

    def visit_Name(self, node: ast.Name) -> ast.expr:  # ast's own name
        return ast.parse(self._spelling.value(node.id), mode="eval").body

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


class Clause(NamedTuple):
    """Something said of one parameter.

    Attributes:
        name: The parameter.
        values: Of one with a list of values: those of which it is true, as places in that list. Else ``None``.
        sign: Of a number between two ends: ``"<"``, ``"<="``, ``">"`` or ``">="``.
        bound: The number beside the sign.
    """

    name: str
    values: tuple[int, ...] | None
    sign: str = ""
    bound: float = 0.0


Clauses = list[list[Clause]]
"""One of these must hold, and of it all."""


def clauses_of(
    constraint: Constraint, true: bool, lists: Mapping[str, Bools], parameters: Mapping[str, Parameter]
) -> Clauses | None:
    """An expression as clauses on single parameters; ``None`` where it can't be said so.

    Args:
        constraint: The expression.
        true: Where it is true, or where it is false.
        lists: Name -> values, as constraints see them, of parameters that have a list of values.
        parameters: All of them.
    """
    return _clauses(_tree(constraint), true, lists, parameters)


def _clauses(
    node: ast.expr, true: bool, lists: Mapping[str, Bools], parameters: Mapping[str, Parameter]
) -> Clauses | None:
    names = _names(node)
    if len(names) == 1 and (name := next(iter(names))) in lists:
        told = Constraint(ast.unparse(node))({name: lists[name]})
        places = tuple(int(i) for i in np.flatnonzero(told == true))
        return [[Clause(name, places)]] if places else []
    match node:
        case ast.BoolOp(op=op, values=values):
            parts = [_clauses(v, true, lists, parameters) for v in values]
            if any(p is None for p in parts):
                return None
            known = [p for p in parts if p is not None]
            if isinstance(op, ast.And) != true:
                return [clause for p in known for clause in p]
            if np.prod([len(p) for p in known]) > _MOST_CLAUSES:
                return None
            return [[c for part in chosen for c in part] for chosen in product(*known)]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _clauses(operand, not true, lists, parameters)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return _bound(left, _OPERATORS[type(op)], right, true)
    return None


def _bound(left: ast.expr, sign: str, right: ast.expr, true: bool) -> Clauses | None:
    """A number on one side, and a parameter on the other."""
    if isinstance(right, ast.Name):
        left, right, sign = right, left, _TURNED.get(sign, "")
    try:
        bound = float(ast.literal_eval(right))
    except (ValueError, TypeError):
        return None
    if not isinstance(left, ast.Name) or sign not in _TURNED:
        return None
    return [[Clause(left.id, None, sign if true else _OPPOSITE[sign], bound)]]
