"""Constraints: expressions over parameters, from a small whitelisted language.

``"hidden_layers > 0 or shape != 'funnel'"`` is parsed, checked against a whitelist of syntax and
evaluated with NumPy over whole columns. Nothing is ever passed to ``eval``.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError, did_you_mean

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "min": lambda *a: reduce(np.minimum, a),
    "max": lambda *a: reduce(np.maximum, a),
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
}
DEEPEST = 200
"""Expressions within each other. More than that, what checks and evaluates them can't follow, and less on older Pythons."""

_LANGUAGE = (
    "parameters, numbers, 'text', True, False, None, + - * / // % **, == != < <= > >=, in, not in, and, or, not, "
    + ", ".join(f"{name}()" for name in _FUNCTIONS)
)


@dataclass(frozen=True)
class Constraint:
    """A condition that every configuration of a space must meet.

    Args:
        expression: In the language above. Choices are compared by value or, for classes and functions, by
            label: ``optimizer == 'Adam'``.

    Attributes:
        expression: The expression in one canonical spelling; equality and hash go by it.
        names: The parameters it speaks of.

    Raises:
        SpaceError: The expression is no text, can't be parsed, or uses anything else.
    """

    expression: str
    names: frozenset[str] = field(init=False, compare=False, repr=False)
    _tree: ast.expr = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.expression, str) or not self.expression.strip():
            raise SpaceError(
                f"a constraint must be an expression as text such as 'units > 4 or depth < 3', got {self.expression!r}"
            )
        try:
            tree = ast.parse(self.expression.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError) as error:
            raise SpaceError(
                f"constraint {self.expression!r}: must be one expression, but {getattr(error, 'msg', error)}; "
                f"{_spelling(self.expression)}allowed: {_LANGUAGE}"
            ) from None
        if (deep := _depth(tree)) > DEEPEST:
            raise SpaceError(
                f"constraint {self.expression[:60]!r}...: may be nested {DEEPEST} deep, got {deep}; make several constraints "
                "of it, all of which have to hold"
            )
        names: set[str] = set()
        _check(tree, self.expression, names)
        if not names:
            raise SpaceError(f"constraint {self.expression!r}: must name at least one parameter")
        object.__setattr__(self, "expression", ast.unparse(tree))
        object.__setattr__(self, "names", frozenset(names))
        object.__setattr__(self, "_tree", tree)

    def __call__(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
        """Which rows meet the condition.

        Args:
            columns: One array of shape (n,) per parameter named: numbers, or objects.

        Returns:
            Mask of shape (n,).

        Raises:
            SpaceError: The expression compares things that can't be compared.
        """
        length = len(next(iter(columns.values())))
        try:
            with np.errstate(all="ignore"):
                found = _evaluate(self._tree, columns)
        except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise SpaceError(
                f"constraint {self.expression!r}: arithmetic and < <= > >= need numbers on both sides, but here are "
                "others, such as texts or None; compare those with ==, != or in"
            ) from error
        return np.broadcast_to(_truth(found), (length,)).copy()

    def __str__(self) -> str:
        return self.expression


def _depth(tree: ast.expr) -> int:
    """How many expressions stand within each other at most."""
    deep, level = 0, [tree]
    while level:
        deep += 1
        level = [x for node in level for x in ast.iter_child_nodes(node) if isinstance(x, ast.expr)]
    return deep


def _spelling(text: str) -> str:
    """How what other languages write is written here; empty where nothing of it is in a text."""
    for pattern, here in ((r"&&?", "and"), (r"\|\|?", "or"), (r"(?<![=!<>])=(?!=)", "==")):
        if found := re.search(pattern, text):
            return f"{found[0]} is written {here} here; "
    return ""


def _check(node: ast.expr, text: str, names: set[str]) -> None:
    def refuse(what: str) -> SpaceError:
        return SpaceError(f"constraint {text!r}: {what} is not allowed; allowed: {_LANGUAGE}")

    match node:
        case ast.Constant(value=value):
            if value is not None and not isinstance(value, bool | int | float | str):
                raise refuse(repr(value))
        case ast.Name(id=name):
            names.add(name)
        case ast.BoolOp(values=parts):
            for part in parts:
                _check(part, text, names)
        case ast.Tuple() | ast.List():
            raise SpaceError(f"constraint {text!r}: a list may stand only after in, got {ast.unparse(node)}")
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd(), operand=operand):
            _check(operand, text, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left, text, names)
            _check(right, text, names)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for how in ops:
                if not isinstance(how, ast.In | ast.NotIn | ast.Is | ast.IsNot) and type(how) not in _COMPARE:
                    raise refuse(type(how).__name__)
            _check(left, text, names)
            for how, one in zip(ops, comparators, strict=True):
                if not isinstance(how, ast.In | ast.NotIn):
                    _check(one, text, names)
                elif len(ops) == 1 and isinstance(one, ast.Tuple | ast.List):
                    for part in one.elts:
                        _check(part, text, names)
                else:
                    raise SpaceError(
                        f"constraint {text!r}: after in stands a list, as in `units in [4, 8]`, got {ast.unparse(one)}"
                    )
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            if name not in _FUNCTIONS:
                raise SpaceError(
                    f"constraint {text!r}: unknown function {name}(); {did_you_mean(name, _FUNCTIONS)}"
                )
            if not args or (len(args) > 1 and name not in ("min", "max")):
                takes = "one argument or more" if name in ("min", "max") else "one argument"
                raise SpaceError(f"constraint {text!r}: {name}() takes {takes}, got {len(args)}")
            for one in args:
                _check(one, text, names)
        case _:
            raise refuse(ast.unparse(node))


def _evaluate(node: ast.expr, columns: Mapping[str, npt.NDArray[Any]]) -> Any:
    match node:
        case ast.Constant(value=value):
            # As a float, so that no power of integers takes for ever.
            return np.float64(value) if isinstance(value, int) and not isinstance(value, bool) else value
        case ast.Name(id=name):
            return columns[name]
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return [_evaluate(e, columns) for e in elts]
        case ast.BoolOp(op=op, values=values):
            parts = [_truth(_evaluate(v, columns)) for v in values]
            return reduce(np.logical_and if isinstance(op, ast.And) else np.logical_or, parts)
        case ast.UnaryOp(op=op, operand=operand):
            inner = _evaluate(operand, columns)
            if isinstance(op, ast.Not):
                return np.logical_not(_truth(inner))
            return -inner if isinstance(op, ast.USub) else +inner
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_evaluate(left, columns), _evaluate(right, columns))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            found: Any = True
            before = _evaluate(left, columns)
            for how, node_after in zip(ops, comparators, strict=True):
                after = _evaluate(node_after, columns)
                found = np.logical_and(found, _compare(how, before, after))
                before = after
            return found
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_evaluate(a, columns) for a in args))
    raise TypeError(f"{ast.unparse(node)} has no value")


def _compare(op: ast.cmpop, before: Any, after: Any) -> Any:
    match op:
        case ast.In():
            return reduce(np.logical_or, [_equal(before, option) for option in after], np.False_)
        case ast.NotIn():
            return np.logical_not(_compare(ast.In(), before, after))
        case ast.Eq() | ast.Is():
            return _equal(before, after)
        case ast.NotEq() | ast.IsNot():
            return np.logical_not(_equal(before, after))
    return _COMPARE[type(op)](before, after)


def _equal(a: Any, b: Any) -> Any:
    # NumPy compares a text with a numeric column as one False; spell out what is meant.
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind in "biuf" and b.dtype.kind in "biuf":
        return a == b
    return np.equal(a.astype(object), b.astype(object)).astype(np.bool_)


def _truth(value: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(value).astype(np.bool_)
