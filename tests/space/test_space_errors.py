"""Every bad input of a space, with the whole text of its SpaceError: the rule, the value, what to write instead."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from refine import Categorical, Float, Integer, Space
from refine.errors import RefineError, SpaceError
from refine.space.constraints import Constraint
from refine.space.parsing import parameter_from_json


class Thing:
    pass


NAN, INF = math.nan, math.inf
GIVE = "levels must be >= 2 so that both ends are levels, got {}; to fix the parameter give the value alone"
THIRD = "the third entry of a range is its number of levels, a whole number, got"
TUPLE = "a tuple is a range (low, high) or (low, high, levels) of numbers, got"
TWO = "may mean two things; for three choices write the list"
EMPTY = "choices must not be empty, got []; give at least one value"
LIST = "choices must be a list, whose order is kept, got {}; write [...]"
ONE_OF = (
    "a parameter is a range (low, high), a list of choices [...] or one value, got {}; write one of these"
)
TWICE = "choices must differ, got {} twice; leave one out"
IMPORTABLE = (
    "a choice must be a number, string, bool, None, tuple, or a class or function that can be imported again; "
    "this is an instance of {}; give its class, or a name that the objective looks up"
)
AGAIN = "a choice must be importable again, but"
TOP = "at the top level of a module"
ABOVE_0 = "low must be > 0 on a logarithmic scale, got {}; start above zero or leave log out"
LEVELS = "levels must be a whole number or a list of numbers, got"
LARGER = "levels must be two or more, each larger than the one before, got"
CLOSER = "the distance from low to high must be a finite number, got {}; bring them closer"
LANGUAGE = (
    "allowed: parameters, numbers, 'text', True, False, None, + - * / // % **, == != < <= > >=, in, not in, and, or, "
    "not, abs(), min(), max(), log(), log2(), log10(), sqrt()"
)
FUNCTIONS = "known: abs, min, max, log, log2, log10, sqrt"


def text_of(make):
    with pytest.raises(SpaceError) as caught:
        make()
    assert isinstance(caught.value, RefineError)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


# Entries of a parameter dictionary: each text begins with the name of the parameter.

ENTRIES = [
    ((0.5, 0.2), "low must be < high, got (0.5, 0.2); swap them?"),
    ((3, 3), "low must be < high, got (3, 3); to fix the parameter give the value alone: 3"),
    ((0, INF), "high must be a finite number, got inf"),
    ((-1e308, 1e308), CLOSER.format("(-1e+308, 1e+308)")),
    ((0, 1.0, 1), GIVE.format(1)),
    (
        (0, 3, 9),
        f"(0, 3, 9) {TWO} [0, 3, 9], for a range from 0 to 3 write refine.Integer(0, 3, levels=4)",
    ),
    (
        (0.1, 1, 10),
        f"(0.1, 1, 10) {TWO} [0.1, 1, 10], for a range from 0.1 to 1 write refine.Float(0.1, 1, levels=10)",
    ),
    (
        (0, 1.0, 2.5),
        f"(0, 1.0, 2.5) {TWO} [0, 1.0, 2.5], for a range from 0 to 1.0 write refine.Float(0, 1.0, levels=10)",
    ),
    ((1.0, 0.5, 2.5), f"{THIRD} (1.0, 0.5, 2.5)"),
    ((0, 9, "3"), f"{THIRD} (0, 9, '3')"),
    (
        (0.1, 1, "log"),
        f"{THIRD} (0.1, 1, 'log'); a logarithmic scale is refine.Float(low, high, log=True)",
    ),
    ((), f"{TUPLE} (); for choices write a list [...]"),
    (("a", "b"), f"{TUPLE} ('a', 'b'); for choices write a list ['a', 'b']"),
    ((0.0, 1.0, 2_000_000_000), "levels must be <= 100,000, got 2e+09; give fewer: (low, high, levels)"),
    ([], EMPTY),
    ({1, 2}, LIST.format("set")),
    ({"a": 1}, ONE_OF.format("the dictionary {'a': 1}")),
    ((i for i in range(3)), ONE_OF.format("generator")),
    (Float, "a parameter is more than its kind, got Float alone; write Float(low, high)"),
    ([1, 2, 1], TWICE.format(1)),
    ([0.3, 0.1 + 0.2], TWICE.format(0.3)),
    ([[1, 2], (1, 2.0)], TWICE.format("(1, 2)")),
    (np.float64("-inf"), "a value must be finite, got -inf"),
    ([lambda x: x], f"<lambda>: {AGAIN} it is a lambda; define it with `def` {TOP}"),
    (
        [[].append],
        f"list.append: {AGAIN} builtins:list.append leads to another object; give it a name {TOP}",
    ),
    ([b"a"], f"b'a': {IMPORTABLE.format('bytes')}"),
]


@pytest.mark.parametrize(
    ("value", "text"),
    ENTRIES,
    ids=lambda v: None if isinstance(v, str) else repr(v).partition(" at 0x")[0][:30],
)
def test_entries(value, text):
    assert text_of(lambda: Space({"good": 1, "x": value})) == f"x: {text}"


def test_an_instance_is_shown_and_its_class_named():
    thing = Thing()
    assert text_of(lambda: Space({"x": [thing]})) == f"x: {thing!r}: {IMPORTABLE.format('Thing')}"


# Parameters by their classes.


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Float("a", 1), "low must be a finite number, got 'a'"),
        (lambda: Float(0, 1, log=True), ABOVE_0.format(0)),
        (lambda: Float(0.1, 1, log=1), "log must be True or False, got 1"),
        (lambda: Float(1e-300, 1e300, log=True), CLOSER.format("(1e-300, 1e+300)")),
        (lambda: Float(0, 1, levels=True), f"{LEVELS} True"),
        (lambda: Integer(1, 3, levels=2.0), f"{LEVELS} 2.0"),
        (lambda: Float(0, 1, levels=[0, "b", 1]), "levels must be finite numbers, got [0, 'b', 1]"),
        (lambda: Integer(0, 9, levels=[0, 4, 4, 9]), f"{LARGER} [0, 4, 4, 9]"),
        (
            lambda: Float(0, 1, levels=[0.1, 1]),
            "levels must begin at low and end at high, got [0.1, 1] for (0.0, 1.0)",
        ),
        (
            lambda: Float(1, 1 + 1e-13),
            "levels must differ in their first 12 digits, but 2 levels between 1.0 and 1.0000000000001 do not; ask for fewer",
        ),
        (lambda: Integer(0.5, 3), "an integer range needs integer ends, got 0.5; use Float for real numbers"),
        (
            lambda: Integer(0, 2**53 + 1),
            "an integer range must lie within -2**53 and 2**53, where floats are exact, got 9007199254740993; use Float",
        ),
        (lambda: Integer(0, 10**400), f"high must be a finite number, got {10**400}"),
        (
            lambda: Integer(1, 3, levels=4),
            "levels must be <= the number of integers, got 4 levels for the 3 integers from 1 to 3; use levels=3 or less",
        ),
        (
            lambda: Integer(0, 3, levels=[0, 1.5, 3]),
            "levels of an integer range must be integers, got [0, 1.5, 3]; use Float",
        ),
        (lambda: Categorical("abc"), LIST.format("str")),
        (
            lambda: parameter_from_json({"type": "complex"}),
            "a stored parameter must be float, integer or categorical, got 'complex'",
        ),
        (
            lambda: parameter_from_json({"type": "categorical", "values": [{"eval": "1"}]}),
            "a stored value must be plain, an import or a tuple, got {'eval': '1'}",
        ),
    ],
)
def test_parameters(make, text):
    assert text_of(make) == text


# Spaces.

MAPPING = (
    'a space needs a mapping of names to parameters, got {}; write {{"dropout": (0, 0.5), "units": [8, 16]}}'
)
RESERVED = "this name is reserved for the table of trials (state, value, seconds, seed, cell, origin); rename the parameter"
EXPRESSION = "a constraint must be an expression as text such as 'units > 4 or depth < 3', got"
TALOS = "a: a Talos range needs finite low < high and steps > 0, got"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Space({}), "a space needs at least one parameter, got none"),
        (lambda: Space([("a", 1)]), MAPPING.format("list")),
        (lambda: Space({1: [1]}), "a parameter's name must be a text that is not empty, got 1"),
        (lambda: Space({"state": [1]}), f"state: {RESERVED}"),
        (
            lambda: Space({"a": (0, 3)}, "a > 1"),
            "constraints must be a list of expressions, got the text 'a > 1'; put it in [...]",
        ),
        (
            lambda: Space({"a": (0, 3)}, None),
            "constraints must be a list of expressions, got None; for none give []",
        ),
        (lambda: Space({"a": (0, 3)}, [3]), f"{EXPRESSION} 3"),
        (
            lambda: Space({"dropout": (0, 3), "units": 4}, ["drop_out > 1"]),
            "constraint 'drop_out > 1': unknown parameter 'drop_out'; did you mean 'dropout'?",
        ),
        (
            lambda: Space({"units": 4, "act": ["relu", "elu"]}, ["act == relu"]),
            "constraint 'act == relu': unknown parameter 'relu'; a text stands in quotes",
        ),
        (
            lambda: Space({"a": 1}).contains({"a": 1}),
            "contains needs a table, one row per configuration, got dict; of one configuration pd.DataFrame([configuration])",
        ),
        (
            lambda: Space.from_json("{}"),
            "from_json needs the dictionary that to_json gives, got str; of a text json.loads(text)",
        ),
        (
            lambda: Space.from_talos({"a": (0, 1)}),
            "a: a Talos range is (low, high, steps) of numbers, got (0, 1)",
        ),
        (lambda: Space.from_talos({"a": (0, NAN, 2)}), f"{TALOS} (0, nan, 2)"),
        (lambda: Space.from_talos({"a": []}), f"a: {EMPTY}"),
    ],
)
def test_spaces(make, text):
    assert text_of(make) == text


# Constraints.

GRID = {"x": (1, 4), "s": ["a", "b"], "n": [None, 1, 2], "o": [math.log, math.exp]}
NUMBERS = (
    "arithmetic and < <= > >= need numbers on both sides, but here are others, such as texts or None; compare those "
    "with ==, != or in"
)
INVALID = "must be one expression, but invalid syntax; "
REFUSED = """
    x.real > 1 -> x.real
    (lambda: 1)() == x -> (lambda: 1)()
    [i for i in x] -> [i for i in x]
    (y := x) > 1 -> (y := x)
    x if s == 'a' else x -> x if s == 'a' else x
    x & 1 -> x & 1
    f'{x}' == 'a' -> f'{x}'
    x > ... -> ...
    max(x, key=abs) > 1 -> max(x, key=abs)
    x.max() > 1 -> x.max()
"""


@pytest.mark.parametrize("case", [line.strip() for line in REFUSED.strip().splitlines()])
def test_syntax_that_is_not_allowed(case):
    expression, _, part = case.partition(" -> ")
    told = f"constraint {expression!r}: {part} is not allowed; {LANGUAGE}"
    assert text_of(lambda: Space(GRID, [expression])) == told


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("x >", f"{INVALID}{LANGUAGE}"),
        ("x = 1", f"{INVALID}= is written == here; {LANGUAGE}"),
        ("x > 1 && x < 3", f"{INVALID}&& is written and here; {LANGUAGE}"),
        ("__import__('os')", f"unknown function __import__(); {FUNCTIONS}"),
        ("mx(x, 2) > 2", "unknown function mx(); did you mean 'max'?"),
        ("log(x, 2) > 1", "log() takes one argument, got 2"),
        ("min() > x", "min() takes one argument or more, got 0"),
        ("1 > 0", "must name at least one parameter"),
        ("x in [[1], 2]", "a list may stand only after in, got [1]"),
        ("s in 'abc'", "after in stands a list, as in `units in [4, 8]`, got 'abc'"),
        ("x > 'a'", NUMBERS),
        ("s + 1 == 2", NUMBERS),
        ("o < 1", NUMBERS),
        ("n > 1", f"{NUMBERS}, and ask for None first: n is None or ..."),
    ],
)
def test_constraints(expression, text):
    assert text_of(lambda: Space(GRID, [expression])) == f"constraint {expression!r}: {text}"


def test_constraints_that_nest_too_deeply():
    for expression in ("(" * 300 + "x" + ")" * 300, "+".join(["x"] * 5000)):
        assert text_of(lambda text=expression: Constraint(text)).startswith("constraint '")
    wide = Constraint(" + ".join(["x"] * 198) + " > 1")  # what may be made can be used
    assert wide({"x": np.array([0, 1])}).tolist() == [False, True]
    for expression in ("not " * 400 + "x > 1", "+".join(["x"] * 600) + " > 1"):
        with pytest.raises(SpaceError, match="may be nested 200 deep"):
            Constraint(expression)


# Configurations, cells and tables.

SPACE = Space({"dropout": (0, 1.0, 3), "opt": ["adam", "sgd"]})


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SPACE.cell({"drop": 0, "opt": "adam"}), "unknown parameter 'drop'; did you mean 'dropout'?"),
        (lambda: SPACE.cell({}), "a configuration needs every parameter, missing: dropout, opt"),
        (lambda: SPACE.cell({"dropout": 0.3, "opt": "adam"}), "dropout: 0.3 is no level; levels: 0, 0.5, 1"),
        (
            lambda: SPACE.cell({"dropout": 0, "opt": "adm"}),
            "opt: 'adm' is none of the choices; did you mean 'adam'?",
        ),
        (lambda: SPACE.frozen({"dropout": NAN, "opt": "adam"}), "a value must be finite, got nan"),
        (lambda: SPACE.configuration(6), "a cell must be an integer >= 0 and < 6, got 6"),
        (lambda: SPACE.configuration(True), "a cell must be an integer >= 0 and < 6, got True"),
        (
            lambda: SPACE.contains(pd.DataFrame({"opt": ["adam"]})),
            "the table needs a column for every parameter, missing: dropout",
        ),
    ],
)
def test_configurations_and_tables(make, text):
    assert text_of(make) == text
