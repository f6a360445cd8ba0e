"""Constraints and conditions: expressions in a small whitelisted language.

Expressions are parsed, checked against a whitelist of syntax and evaluated with NumPy over whole columns,
without ``eval``. ``and`` and ``or`` short-circuit per row: ``depth is None or leaves <= 2 ** depth`` never
calculates with ``None``. Numbers that differ by rounding alone are equal. The value of an expression on an
absent parameter is unknown (Kleene's logic).
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.errors import SpaceError, did_you_mean
from refine.space.encoding import bare
from refine.utils.arrays import Bools, Column
from refine.utils.numbers import is_real, is_whole

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
"""Largest depth of nested expressions that can be checked and evaluated (less on older Pythons)."""

_LANGUAGE = (
    "parameters, numbers, 'text', True, False, None, + - * / // % **, == != < <= > >=, in, not in, and, or, "
    "not, " + ", ".join(f"{name}()" for name in _FUNCTIONS)
)

ROUNDING = 1e-9  # numbers are equal if they differ by at most this share of the larger one ...
_NIL = 1e-15  # ... or by at most this: 0.1 + 0.2 - 0.3 equals 0, and 1e-12 is above 0


# Operators of other languages -> those of the language.
_FOREIGN = ((r"&&?", "and"), (r"\|\|?", "or"), (r"(?<![=!<>])=(?!=)", "=="))


def one_of(name: str, values: Iterable[object]) -> str:
    """The expression for frozen values of a parameter: ``model == 'svr'``, ``model in ['svr', 'gbt']``."""
    texts = [repr(bare(value)) for value in values]
    if len(texts) == 1:
        return f"{name} == {texts[0]}"
    return f"{name} in [{', '.join(texts)}]"


@dataclass(frozen=True)
class Constraint:
    """A condition that every configuration of a space must meet.

    Choices are compared by value or, for classes and functions, by label: ``optimizer == 'Adam'``.

    Raises:
        SpaceError: The expression is not a string, can't be parsed, or uses syntax outside the language.
    """

    expression: str  # in its canonical spelling, which decides equality and hash
    names: frozenset[str] = field(
        init=False, compare=False, repr=False
    )  # of the parameters in the expression
    _tree: ast.expr = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.expression, str) or not self.expression.strip():
            raise SpaceError(
                "a constraint must be an expression as text such as 'units > 4 or depth < 3', got "
                f"{self.expression!r}"
            )
        try:
            tree = ast.parse(self.expression.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError) as error:
            hint = ""
            for pattern, python in _FOREIGN:
                foreign = re.search(pattern, self.expression)
                if foreign and not hint:
                    hint = f"write {python} for {foreign[0]}; "
            raise SpaceError(
                f"constraint {self.expression!r}: must be one expression, but "
                f"{getattr(error, 'msg', error)}; {hint}allowed: {_LANGUAGE}"
            ) from None
        deep = 0
        level: list[ast.expr] = [tree]
        while level:
            deep += 1
            level = [x for node in level for x in ast.iter_child_nodes(node) if isinstance(x, ast.expr)]
        if deep > DEEPEST:
            raise SpaceError(
                f"constraint {self.expression[:60]!r}...: may be nested {DEEPEST} deep, got {deep}; split it "
                "into several constraints, which must all hold"
            )
        _check(tree, self.expression)
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
        if not names:
            raise SpaceError(f"constraint {self.expression!r}: must name at least one parameter")
        object.__setattr__(self, "expression", ast.unparse(tree))
        object.__setattr__(self, "names", frozenset(names))
        object.__setattr__(self, "_tree", tree)

    def __call__(
        self,
        columns: Mapping[str, Column],
        present: Mapping[str, Bools] | None = None,
        unknown: bool = True,
    ) -> Bools:
        """Mask, (n,), of the rows that meet the condition.

        Args:
            columns: One array, (n,), per parameter in the expression: numbers, or objects.
            present: Masks of the rows that have a parameter; all rows have parameters not listed.
            unknown: The answer for rows in which the value is unknown, because a parameter is absent.

        Raises:
            SpaceError: The expression compares values that can't be compared.
        """
        length = len(next(iter(columns.values())))
        try:
            with np.errstate(all="ignore"):
                true, false = _decided(self._tree, _OperandTable(columns, present or {}, length))
        except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
            objects = [name for name in sorted(self.names) if columns[name].dtype == object]
            hint = ""
            if with_none := [name for name in objects if any(v is None for v in columns[name])]:
                hint = f", and check for None first: {with_none[0]} is None or ..."
            raise SpaceError(
                f"constraint {self.expression!r}: arithmetic and < <= > >= need numbers on both sides, got "
                f"strings, None or other values; compare these with ==, != or in{hint}"
            ) from error
        if unknown:
            return ~false
        return true

    def __str__(self) -> str:
        return self.expression


def _check(node: ast.expr, text: str) -> None:
    """Raises SpaceError if part of an expression is outside the language."""
    parts: list[ast.expr] = []
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str()) | ast.Name():
            pass
        case ast.BoolOp(values=parts):
            pass
        case ast.Tuple() | ast.List():
            raise SpaceError(f"constraint {text!r}: a list is allowed only after in, got {ast.unparse(node)}")
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd(), operand=operand):
            parts = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            parts = [left, right]
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            parts = [left]
            for comparison, compared in zip(ops, comparators, strict=True):
                if not isinstance(comparison, ast.In | ast.NotIn):
                    parts.append(compared)
                elif len(ops) == 1 and isinstance(compared, ast.Tuple | ast.List):
                    parts += compared.elts
                else:
                    raise SpaceError(
                        f"constraint {text!r}: in must be followed by a list, as in `units in [4, 8]`, got "
                        f"{ast.unparse(compared)}"
                    )
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]):
            if name not in _FUNCTIONS:
                raise SpaceError(
                    f"constraint {text!r}: unknown function {name}(); {did_you_mean(name, _FUNCTIONS)}"
                )
            if not parts or (len(parts) > 1 and name not in ("min", "max")):
                if name in ("min", "max"):
                    takes = "one argument or more"
                else:
                    takes = "one argument"
                raise SpaceError(f"constraint {text!r}: {name}() takes {takes}, got {len(parts)}")
        case _:
            raise SpaceError(f"constraint {text!r}: {ast.unparse(node)} is not allowed; allowed: {_LANGUAGE}")
    for part in parts:
        _check(part, text)


class _OperandTable(NamedTuple):
    """The rows on which an expression is evaluated: (n,) values by name, and masks of absent parameters."""

    columns: Mapping[str, npt.NDArray[Any]]
    present: Mapping[str, Bools]
    n: int

    def where(self, mask: Bools) -> _OperandTable:
        """The rows of a mask."""
        if mask.all():
            return self
        return _OperandTable(
            {name: column[mask] for name, column in self.columns.items()},
            {name: column[mask] for name, column in self.present.items()},
            int(mask.sum()),
        )


# Masks of the rows in which an expression is true, and false; in other rows it is unknown.
_Decided = tuple[Bools, Bools]


def _decided(node: ast.expr, rows: _OperandTable) -> _Decided:
    match node:
        case ast.BoolOp(op=op, values=values):
            return _joined(values, rows, isinstance(op, ast.And))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            true, false = _decided(operand, rows)
            return false, true
    defined = np.ones(rows.n, dtype=np.bool_)
    for name_node in ast.walk(node):
        if isinstance(name_node, ast.Name) and name_node.id in rows.present:
            defined &= rows.present[name_node.id]
    true = np.zeros_like(defined)
    false = np.zeros_like(defined)
    if defined.any():
        met = np.broadcast_to(
            np.asarray(_evaluate(node, rows.where(defined))).astype(np.bool_), (int(defined.sum()),)
        )
        true[defined] = met
        false[defined] = ~met
    return true, false


def _joined(parts: Sequence[ast.expr], rows: _OperandTable, conjunction: bool) -> _Decided:
    """Parts joined by ``and`` (``conjunction``) or ``or``; a part sees only the rows still undecided."""
    # A false part decides a conjunction, a true part a disjunction.
    decided = np.zeros(rows.n, dtype=np.bool_)
    other = np.ones(rows.n, dtype=np.bool_)
    for part in parts:
        undecided = ~decided
        if not undecided.any():
            break
        true, false = _decided(part, rows.where(undecided))
        other[undecided] &= true if conjunction else false
        decided[undecided] |= false if conjunction else true
    if conjunction:
        return (other, decided)
    return (decided, other)


def _evaluate(node: ast.expr, rows: _OperandTable) -> Any:
    match node:
        case ast.Constant(value=value):
            # A float: a power of integers could take forever.
            if is_whole(value, 0):
                return np.float64(value)
            return value
        case ast.Name(id=name):
            return _numbers(rows.columns[name])
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return [_evaluate(e, rows) for e in elts]
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return _decided(node, rows)[0]
        case ast.UnaryOp(op=op, operand=operand):
            inner = _evaluate(operand, rows)
            if isinstance(op, ast.USub):
                return -inner
            return +inner
        case ast.BinOp(left=left, op=op, right=right):
            numbers = _evaluate(left, rows), _evaluate(right, rows)
            if any(isinstance(value, str) for value in numbers):  # '%999999999d' % 1 is a text of 1 GB
                raise TypeError("arithmetic needs numbers")
            return _BINARY[type(op)](*numbers)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            met: Any = True
            before = _evaluate(left, rows)
            for comparison, node_after in zip(ops, comparators, strict=True):
                after = _evaluate(node_after, rows)
                met = np.logical_and(met, _compare(comparison, before, after))
                before = after
            return met
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_evaluate(a, rows) for a in args))
    raise TypeError(f"{ast.unparse(node)} has no value")


def _numbers(column: Column) -> Column:
    """A column of objects as floats, if all objects are numbers."""
    if column.dtype == object and all(map(is_real, column)):
        return column.astype(float)
    return column


def _compare(op: ast.cmpop, before: Any, after: Any) -> Any:
    if isinstance(op, ast.In | ast.NotIn):
        equal = reduce(np.logical_or, [_equal(before, option) for option in after], np.False_)
    else:
        equal = _equal(before, after)
    if isinstance(op, ast.NotIn | ast.NotEq | ast.IsNot):
        return np.logical_not(equal)
    if type(op) not in _COMPARE:
        return equal
    ordered = _COMPARE[type(op)](before, after)
    if isinstance(op, ast.LtE | ast.GtE):
        return np.logical_or(ordered, equal)
    return np.logical_and(ordered, np.logical_not(equal))


def _equal(a: object, b: object) -> Any:
    # NumPy compares a string with a numeric column to a single False, so objects are compared one by one.
    a = np.asarray(a)
    b = np.asarray(b)
    if a.dtype.kind in "biuf" and b.dtype.kind in "biuf":
        a = a.astype(float)
        b = b.astype(float)
        slack = ROUNDING * np.maximum(np.abs(a), np.abs(b)) + _NIL
        return (a == b) | (np.abs(a - b) <= np.where(np.isfinite(slack), slack, 0.0))
    return np.equal(a.astype(object), b.astype(object)).astype(np.bool_)


# Conditions: constraints that decide which configurations have a parameter.


def condition_of(expression: Any) -> Constraint:
    """The condition of a parameter, from the text of ``when=``; raises SpaceError for an invalid one."""
    try:
        return Constraint(expression)
    except SpaceError as error:
        text = str(error)
        if text.startswith("a constraint must be"):
            text = text.replace("a constraint must be", "when= must be", 1)
            text = text.replace("'units > 4 or depth < 3'", "\"optimizer == 'sgd'\"", 1)
        raise SpaceError(text.replace("constraint ", "when ", 1)) from None


def ordered_conditions(whens: Mapping[str, str | None]) -> dict[str, Constraint]:
    """The conditions of a space, each after the conditions of the parameters that it names.

    Raises:
        SpaceError: A condition names an unknown parameter or its own, or conditions form a circle.
    """
    conditions = {name: condition_of(when) for name, when in whens.items() if when is not None}
    for name, condition in conditions.items():
        for other in sorted(condition.names - set(whens)):
            raise SpaceError(
                f"{name}: when {str(condition)!r}: unknown parameter {other!r}; {did_you_mean(other, whens)}"
            )
        if name in condition.names:
            raise SpaceError(
                f"{name}: when {str(condition)!r}: a condition must not name its own parameter; limit "
                "values with a constraint"
            )
    sorter = TopologicalSorter[str](dict.fromkeys(conditions, ()))
    for name, condition in conditions.items():
        sorter.add(name, *(condition.names & set(conditions)))
    try:
        return {name: conditions[name] for name in sorter.static_order()}
    except CycleError as error:
        circle = ", ".join(dict.fromkeys(error.args[1]))
        raise SpaceError(
            f"conditions must not form a circle, got one of {circle}; remove one of these conditions"
        ) from None


def joined(conditions: Mapping[str, Constraint]) -> list[set[str]]:
    """Groups of parameters joined by conditions; parameters of different groups are independent."""
    groups: list[set[str]] = []
    for name, condition in conditions.items():
        group = {name, *condition.names}
        unrelated = [other for other in groups if not other & group]
        groups = [*unrelated, group.union(*(other for other in groups if other & group))]
    return groups
