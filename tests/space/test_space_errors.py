"""Bad input of a space raises a SpaceError with rule, value and fix; common cases are in tests/errors."""

import math

import numpy as np
import pandas as pd
import pytest

from refine import Categorical, Float, Integer, Space
from refine.errors import RefineError, SpaceError
from refine.space.constraints import Constraint
from refine.space.parsing import parameter_from_json

NAN = math.nan
THIRD = "the third entry of a range is its number of levels, a whole number, got"
TWO = "is ambiguous; for three choices write the list"
IMPORTABLE = "a choice must be a number, string, bool, None, tuple, or an importable class or function"


def refused(make):
    with pytest.raises(SpaceError) as caught:
        make()
    assert isinstance(caught.value, RefineError)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((3, 3), "low must be < high, got (3, 3); to fix the parameter give the value alone: 3"),
        ((0, math.inf), "high must be a finite number, got inf"),
        ((-1e308, 1e308), "the distance from low to high must be a finite number, got (-1e+308, 1e+308)"),
        ((0, 1.0, 1), "levels must be >= 2 so that both ends are levels, got 1"),
        (
            (0, 3, 9),
            f"(0, 3, 9) {TWO} [0, 3, 9], for a range from 0 to 3 write refine.Integer(0, 3, levels=4)",
        ),
        ((1.0, 0.5, 2.5), f"{THIRD} (1.0, 0.5, 2.5)"),
        ((), "a tuple is a range (low, high) or (low, high, levels) of numbers, got ()"),
        ((0.0, 1.0, 2_000_000_000), "levels must be <= 100,000, got 2e+09; give fewer: (low, high, levels)"),
        ([], "choices must not be empty, got []; give at least one value"),
        ((i for i in range(3)), "or a single value, got generator"),
        ([0.3, 0.1 + 0.2], "choices must differ, got 0.3 twice; leave one out"),
        (np.float64("-inf"), "a value must be finite, got -inf"),
        ([lambda x: x], "<lambda>: a choice must be importable, got a lambda; define it with `def`"),
        ([[].append], "list.append: a choice must be importable, but builtins:list.append leads to another"),
        ([b"a"], f"b'a': {IMPORTABLE}"),
    ],
    ids=lambda v: repr(v)[:20].partition(" at ")[0],
)
def test_a_wrong_entry_is_refused(value, text):
    message = refused(lambda: Space({"good": 1, "x": value}))
    assert message.startswith("x: ")
    assert text in message


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Float(0.1, 1, log=1), "log must be True or False, got 1"),
        (lambda: Float(0, 1, levels=True), "levels must be a whole number or a list of numbers, got True"),
        (lambda: Float(0, 1, levels=[0, "b", 1]), "levels must be finite numbers, got [0, 'b', 1]"),
        (lambda: Integer(0, 9, levels=[0, 4, 4, 9]), "each larger than the one before, got [0, 4, 4, 9]"),
        (
            lambda: Float(0, 1, levels=[0.1, 1]),
            "must begin at low and end at high, got [0.1, 1] for (0.0, 1.0)",
        ),
        (
            lambda: Float(1, 1 + 1e-13),
            "levels must differ in their first 12 digits, but 2 levels between 1.0",
        ),
        (lambda: Integer(0.5, 3), "an integer range needs integer ends, got 0.5; use Float for real numbers"),
        (
            lambda: Integer(0, 2**53 + 1),
            "must lie between -2**53 and 2**53, in which floats are exact, got 900719925474",
        ),
        (lambda: Integer(0, 10**400), "high must be a finite number, got 1000"),
        (
            lambda: Integer(1, 3, levels=4),
            "got 4 levels for the 3 integers from 1 to 3; use levels=3 or fewer",
        ),
        (
            lambda: Integer(0, 3, levels=[0, 1.5, 3]),
            "levels of an integer range must be integers, got [0, 1.5, 3]",
        ),
        (
            lambda: parameter_from_json({"type": "complex"}),
            "must be float, integer, categorical or fidelity, got 'complex'",
        ),
        (
            lambda: parameter_from_json({"type": "categorical", "values": [{"eval": "1"}]}),
            "a stored value must be a plain value, an import or a tuple, got {'eval': '1'}",
        ),
        (
            lambda: Categorical("a", "b"),
            "choices must be one list, got 2 arguments; write Categorical(['a', 'b'])",
        ),
        (lambda: Categorical("adam"), "choices must be a list, whose order is kept, got str; write ['adam']"),
        (
            lambda: Categorical([8, 16], True),
            "pass the other options by name, as in Categorical([8, 16], ordered=True)",
        ),
        (lambda: Categorical([1, 2], ordered="yes"), "ordered must be True, False or None, got 'yes'"),
        (lambda: Space({}), "a space needs at least one parameter, got none"),
        (lambda: Space([("a", 1)]), "a space needs a mapping of names to parameters, got list; write {"),
        (lambda: Space({1: [1]}), "a parameter's name must be a non-empty string, got 1"),
        (
            lambda: Space({"a": (0, 3)}, "a > 1"),
            "constraints must be a list of expressions, got the text 'a > 1'",
        ),
        (
            lambda: Space({"a": (0, 3)}, None),
            "constraints must be a list of expressions, got None; for none give []",
        ),
        (
            lambda: Space({"a": (0, 3)}, [3]),
            "a constraint must be an expression as text such as 'units > 4 or",
        ),
        (lambda: Space.from_json("{}"), "from_json takes the dictionary of to_json, got str"),
        (
            lambda: Space.from_talos({"a": (0, 1)}),
            "a: a Talos range is (start, end, steps) of numbers, got (0, 1)",
        ),
        (
            lambda: Space.from_talos({"a": (0, NAN, 2)}),
            "a: a Talos range needs finite ends that differ and steps > 0, got",
        ),
    ],
)
def test_a_wrong_parameter_or_space_is_refused(make, text):
    assert text in refused(make)


GRID = {"x": (1, 4), "s": ["a", "b"], "n": [None, 1, 2], "o": [math.log, math.exp]}
NUMBERS = "arithmetic and < <= > >= need numbers on both sides, got strings, None or other values"


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("x.real > 1", "x.real"),
        ("(lambda: 1)() == x", "(lambda: 1)()"),
        ("[i for i in x]", "[i for i in x]"),
        ("x & 1", "x & 1"),
        ("x > ...", "..."),
        ("max(x, key=abs) > 1", "max(x, key=abs)"),
    ],
)
def test_syntax_that_is_not_allowed(expression, part):
    message = refused(lambda: Space(GRID, [expression]))
    assert message.startswith(f"constraint {expression!r}: {part} ")
    assert message.endswith(" and, or, not, abs(), min(), max(), log(), log2(), log10(), sqrt()")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("x >", "must be one expression, but invalid syntax; allowed: parameters"),
        ("x = 1", "must be one expression, but invalid syntax; write == for ="),
        ("x > 1 && x < 3", "must be one expression, but invalid syntax; write and for &&"),
        ("__import__('os')", "unknown function __import__(); known: abs, min, max, log, log2, log10, sqrt"),
        ("mx(x, 2) > 2", "unknown function mx(); did you mean 'max'?"),
        ("log(x, 2) > 1", "log() takes one argument, got 2"),
        ("1 > 0", "must name at least one parameter"),
        ("x in [[1], 2]", "a list is allowed only after in, got [1]"),
        ("s in 'abc'", "in must be followed by a list, as in `units in [4, 8]`, got 'abc'"),
        ("s + 1 == 2", NUMBERS),
        ("n > 1", f"{NUMBERS}; compare these with ==, != or in, and check for None first: n is None or ..."),
    ],
)
def test_a_wrong_constraint_is_refused(expression, text):
    assert refused(lambda: Space(GRID, [expression])).startswith(f"constraint {expression!r}: {text}")


def test_a_constraint_nested_over_200_deep_is_refused():
    for expression in ("(" * 300 + "x" + ")" * 300, "+".join(["x"] * 5000)):
        assert refused(lambda text=expression: Constraint(text)).startswith("constraint '")
    wide = Constraint(" + ".join(["x"] * 198) + " > 1")  # what may be made can be used
    assert wide({"x": np.array([0, 1])}).tolist() == [False, True]
    for expression in ("not " * 400 + "x > 1", "+".join(["x"] * 600) + " > 1"):
        assert "nested 200 deep" in refused(lambda text=expression: Constraint(text))


SPACE = Space({"dropout": (0, 1.0, 3), "opt": ["adam", "sgd"]})


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SPACE.cell({"drop": 0, "opt": "adam"}), "unknown parameter 'drop'; did you mean 'dropout'?"),
        (lambda: SPACE.cell({}), "a configuration needs every parameter, missing: dropout, opt"),
        (
            lambda: SPACE.cell({"dropout": 0.3, "opt": "adam"}),
            "dropout: 0.3 is not a level; levels: 0, 0.5, 1",
        ),
        (
            lambda: SPACE.cell({"dropout": 0, "opt": "adm"}),
            "opt: 'adm' is not a choice of this parameter; did you mean",
        ),
        (lambda: SPACE.frozen({"dropout": NAN, "opt": "adam"}), "a value must be finite, got nan"),
        (lambda: SPACE.configuration(6), "a cell must be an integer >= 0 and < 6, got 6"),
        (lambda: SPACE.configuration(True), "a cell must be an integer >= 0 and < 6, got True"),
        (
            lambda: SPACE.contains(pd.DataFrame({"opt": ["adam"]})),
            "a column for every parameter, missing: dropout",
        ),
    ],
)
def test_a_wrong_configuration_or_table_is_refused(make, text):
    assert text in refused(make)
