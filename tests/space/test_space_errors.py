"""Every bad input of a space, with the whole text of its SpaceError: the rule, the value, what to write instead."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from refine import Categorical, Float, Integer, Space
from refine.errors import RefineError, SpaceError
from refine.space.constraints import Constraint
from refine.space.parsing import parameter_from_json


class Thing:
    pass


def local():
    class Inside:
        pass

    return Inside


NAN, INF = math.nan, math.inf
GIVE = "to fix the parameter give the value alone"
IMPORTABLE = (
    "a choice must be a number, string, bool, None, tuple, or a class or function that can be imported again; "
    "this is an instance of"
)
ONE_OF = "a parameter is a range (low, high), a list of choices [...] or one value, got"
LOOKS_UP = "give its class, or a name that the objective looks up"
LANGUAGE = (
    "allowed: parameters, numbers, 'text', True, False, None, + - * / // % **, == != < <= > >=, in, not in, and, or, "
    "not, abs(), min(), max(), log(), log2(), log10(), sqrt()"
)


def text_of(make):
    with pytest.raises(SpaceError) as caught:
        make()
    assert isinstance(caught.value, RefineError)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


# Entries of a parameter dictionary: each text begins with the name of the parameter.

ENTRIES = [
    # Ranges.
    ((0.5, 0.2), "low must be < high, got (0.5, 0.2); swap them?"),
    ((5, 2, 3), "low must be < high, got (5, 2); swap them?"),
    ((0.5, 0.5), f"low must be < high, got (0.5, 0.5); {GIVE}: 0.5"),
    ((3, 3), f"low must be < high, got (3, 3); {GIVE}: 3"),
    ((NAN, 1), "low must be a finite number, got nan"),
    ((0.0, NAN), "high must be a finite number, got nan"),
    ((0, INF), "high must be a finite number, got inf"),
    ((-INF, 0.0), "low must be a finite number, got -inf"),
    (
        (-1e308, 1e308),
        "the distance from low to high must be a finite number, got (-1e+308, 1e+308); bring them closer",
    ),
    ((0, 1.0, 1), f"levels must be >= 2 so that both ends are levels, got 1; {GIVE}"),
    ((0, 9, 0), f"levels must be >= 2 so that both ends are levels, got 0; {GIVE}"),
    ((0, 9, -3), f"levels must be >= 2 so that both ends are levels, got -3; {GIVE}"),
    (
        (0, 3, 9),
        "(0, 3, 9) may mean two things; for three choices write the list [0, 3, 9], for a range from 0 to 3 write "
        "refine.Integer(0, 3, levels=4)",
    ),
    (
        (0.1, 1, 10),
        "(0.1, 1, 10) may mean two things; for three choices write the list [0.1, 1, 10], for a range from 0.1 to 1 write "
        "refine.Float(0.1, 1, levels=10)",
    ),
    (
        (0, 1.0, 2.5),
        "(0, 1.0, 2.5) may mean two things; for three choices write the list [0, 1.0, 2.5], for a range from 0 to 1.0 write "
        "refine.Float(0, 1.0, levels=10)",
    ),
    (
        (1.0, 0.5, 2.5),
        "the third entry of a range is its number of levels, a whole number, got (1.0, 0.5, 2.5)",
    ),
    ((0, 1.0, NAN), "the third entry of a range is its number of levels, a whole number, got (0, 1.0, nan)"),
    ((0, 9, INF), "the third entry of a range is its number of levels, a whole number, got (0, 9, inf)"),
    ((0, 9, True), "the third entry of a range is its number of levels, a whole number, got (0, 9, True)"),
    ((0, 9, "3"), "the third entry of a range is its number of levels, a whole number, got (0, 9, '3')"),
    (
        (),
        "a tuple is a range (low, high) or (low, high, levels) of numbers, got (); for choices write a list [...]",
    ),
    (
        (1,),
        "a tuple is a range (low, high) or (low, high, levels) of numbers, got (1,); for choices write a list [1]",
    ),
    (
        (1, 2, 3, 4),
        "a tuple is a range (low, high) or (low, high, levels) of numbers, got (1, 2, 3, 4); for choices write a "
        "list [1, 2, 3, 4]",
    ),
    (
        ("a", "b"),
        "a tuple is a range (low, high) or (low, high, levels) of numbers, got ('a', 'b'); for choices write a "
        "list ['a', 'b']",
    ),
    (
        (False, True),
        "a tuple is a range (low, high) or (low, high, levels) of numbers, got (False, True); for choices write a "
        "list [False, True]",
    ),
    (
        (1j, 2),
        "a tuple is a range (low, high) or (low, high, levels) of numbers, got (1j, 2); for choices write a list [1j, 2]",
    ),
    # Choices.
    ([], "choices must not be empty, got []; give at least one value"),
    (range(0), "choices must not be empty, got []; give at least one value"),
    (np.array([]), "choices must not be empty, got []; give at least one value"),
    ({1, 2}, "choices must be a list, whose order is kept, got set; write [...]"),
    (frozenset([1]), "choices must be a list, whose order is kept, got frozenset; write [...]"),
    ({"a": 1}, f"{ONE_OF} the dictionary {{'a': 1}}; write one of these"),
    ((i for i in range(3)), f"{ONE_OF} generator; write one of these"),
    ({"a": 1}.keys(), f"{ONE_OF} dict_keys; write one of these"),
    (Float, "a parameter is more than its kind, got Float alone; write Float(low, high)"),
    (Categorical, "a parameter is more than its kind, got Categorical alone; write Categorical([...])"),
    (
        (0.1, 1, "log"),
        "the third entry of a range is its number of levels, a whole number, got (0.1, 1, 'log'); a logarithmic scale is "
        "refine.Float(low, high, log=True)",
    ),
    (
        (0.1, 1, 21, "log"),
        "a tuple is a range (low, high) or (low, high, levels) of numbers, got (0.1, 1, 21, 'log'); for choices write a list "
        "[0.1, 1, 21, 'log']; a logarithmic scale is refine.Float(low, high, log=True)",
    ),
    ((0.0, 1.0, 2_000_000_000), "levels must be <= 100,000, got 2e+09; give fewer: (low, high, levels)"),
    ([1, 2, 1], "choices must differ, got 1 twice; leave one out"),
    ([4, 4.0], "choices must differ, got 4 twice; leave one out"),
    ([0.0, -0.0], "choices must differ, got 0 twice; leave one out"),
    ([0.3, 0.1 + 0.2], "choices must differ, got 0.3 twice; leave one out"),
    (["a", "b", "a"], "choices must differ, got a twice; leave one out"),
    ([None, None], "choices must differ, got None twice; leave one out"),
    ([math.log, math.log], "choices must differ, got log twice; leave one out"),
    ([[1, 2], (1, 2.0)], "choices must differ, got (1, 2) twice; leave one out"),
    ([1, NAN], "a value must be finite, got nan"),
    ([1, INF], "a value must be finite, got inf"),
    ([(1, NAN)], "a value must be finite, got nan"),
    (NAN, "a value must be finite, got nan"),
    (np.float64("-inf"), "a value must be finite, got -inf"),
    # Objects that can't be imported again.
    (
        [lambda x: x],
        "<lambda>: a choice must be importable again, but it is a lambda; define it with `def` at the top level of a "
        "module",
    ),
    (
        [local()],
        "local.<locals>.Inside: a choice must be importable again, but it is defined inside a function; define it "
        "with `def` at the top level of a module",
    ),
    (
        [[].append],
        "list.append: a choice must be importable again, but builtins:list.append leads to another object; give it a "
        "name at the top level of a module",
    ),
    ([partial(int)], f"functools.partial(<class 'int'>): {IMPORTABLE} partial; {LOOKS_UP}"),
    ([b"a"], f"b'a': {IMPORTABLE} bytes; {LOOKS_UP}"),
    (1j, f"1j: {IMPORTABLE} complex; {LOOKS_UP}"),
    ([{1: 2}], f"{{1: 2}}: {IMPORTABLE} dict; {LOOKS_UP}"),
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
    assert text_of(lambda: Space({"x": [thing]})) == f"x: {thing!r}: {IMPORTABLE} Thing; {LOOKS_UP}"


# Parameters by their classes.


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Float(1, 0), "low must be < high, got (1, 0); swap them?"),
        (lambda: Float("a", 1), "low must be a finite number, got 'a'"),
        (lambda: Float(0, None), "high must be a finite number, got None"),
        (lambda: Float(False, True), "low must be a finite number, got False"),
        (lambda: Float(np.complex128(1), 2), "low must be a finite number, got np.complex128(1+0j)"),
        (
            lambda: Float(0, 1, log=True),
            "low must be > 0 on a logarithmic scale, got 0; start above zero or leave log out",
        ),
        (
            lambda: Float(-1.5, 1, log=True),
            "low must be > 0 on a logarithmic scale, got -1.5; start above zero or leave log out",
        ),
        (
            lambda: Integer(0, 10, log=True),
            "low must be > 0 on a logarithmic scale, got 0; start above zero or leave log out",
        ),
        (lambda: Float(0.1, 1, log=1), "log must be True or False, got 1"),
        (lambda: Float(0, 1, log="yes"), "log must be True or False, got 'yes'"),
        (
            lambda: Float(1e-300, 1e300, log=True),
            "the distance from low to high must be a finite number, got (1e-300, 1e+300); bring them closer",
        ),
        (lambda: Float(0, 1, levels=1), f"levels must be >= 2 so that both ends are levels, got 1; {GIVE}"),
        (lambda: Float(0, 1, levels=True), "levels must be a whole number or a list of numbers, got True"),
        (lambda: Float(0, 1, levels=3.0), "levels must be a whole number or a list of numbers, got 3.0"),
        (lambda: Float(0, 1, levels="3"), "levels must be a whole number or a list of numbers, got '3'"),
        (lambda: Float(0, 1, levels=[0, NAN, 1]), "levels must be finite numbers, got [0, nan, 1]"),
        (lambda: Float(0, 1, levels=[0, "b", 1]), "levels must be finite numbers, got [0, 'b', 1]"),
        (
            lambda: Float(0, 1, levels=[0]),
            "levels must be two or more, each larger than the one before, got [0]",
        ),
        (
            lambda: Float(0, 1, levels=[0, 0.7, 0.3, 1]),
            "levels must be two or more, each larger than the one before, got [0, 0.7, 0.3, 1]",
        ),
        (
            lambda: Integer(0, 9, levels=[0, 4, 4, 9]),
            "levels must be two or more, each larger than the one before, got [0, 4, 4, 9]",
        ),
        (
            lambda: Float(0, 1, levels=[0.1, 1]),
            "levels must begin at low and end at high, got [0.1, 1] for (0.0, 1.0)",
        ),
        (
            lambda: Integer(0, 9, levels=[0, 8]),
            "levels must begin at low and end at high, got [0, 8] for (0, 9)",
        ),
        (
            lambda: Float(1, 1 + 1e-13),
            "levels must differ in their first 12 digits, but 2 levels between 1.0 and 1.0000000000001 do not; ask "
            "for fewer",
        ),
        (lambda: Integer(0.5, 3), "an integer range needs integer ends, got 0.5; use Float for real numbers"),
        (lambda: Integer(0, NAN), "high must be a finite number, got nan"),
        (
            lambda: Integer(0, 2**53 + 1),
            "an integer range must lie within -2**53 and 2**53, where floats are exact, got 9007199254740993; use "
            "Float",
        ),
        (lambda: Integer(0, 10**400), f"high must be a finite number, got {10**400}"),
        (
            lambda: Integer(1, 3, levels=4),
            "levels must be <= the number of integers, got 4 levels for the 3 integers from 1 to 3; use levels=3 or "
            "less",
        ),
        (lambda: Integer(1, 3, levels=2.0), "levels must be a whole number or a list of numbers, got 2.0"),
        (
            lambda: Integer(0, 3, levels=[0, 1.5, 3]),
            "levels of an integer range must be integers, got [0, 1.5, 3]; use Float",
        ),
        (lambda: Categorical([]), "choices must not be empty, got []; give at least one value"),
        (lambda: Categorical("abc"), "choices must be a list, whose order is kept, got str; write [...]"),
        (lambda: Categorical(3), "choices must be a list, whose order is kept, got int; write [...]"),
        (lambda: Categorical({"a"}), "choices must be a list, whose order is kept, got set; write [...]"),
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


WRITE = 'write {"dropout": (0, 0.5), "units": [8, 16]}'
RESERVED = "this name is reserved for the table of trials (state, value, seconds, seed, cell, origin)"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Space({}), "a space needs at least one parameter, got none"),
        (lambda: Space([("a", 1)]), f"a space needs a mapping of names to parameters, got list; {WRITE}"),
        (lambda: Space("a"), f"a space needs a mapping of names to parameters, got str; {WRITE}"),
        (lambda: Space(None), f"a space needs a mapping of names to parameters, got NoneType; {WRITE}"),
        (lambda: Space({1: [1]}), "a parameter's name must be a text that is not empty, got 1"),
        (lambda: Space({"": [1]}), "a parameter's name must be a text that is not empty, got ''"),
        (lambda: Space({" ": [1]}), "a parameter's name must be a text that is not empty, got ' '"),
        (lambda: Space({None: [1]}), "a parameter's name must be a text that is not empty, got None"),
        *[
            (partial(Space, {name: [1]}), f"{name}: {RESERVED}; rename the parameter")
            for name in ("state", "value", "seconds", "seed", "cell", "origin")
        ],
        (
            lambda: Space({"a": (0, 3)}, "a > 1"),
            "constraints must be a list of expressions, got the text 'a > 1'; put it in [...]",
        ),
        (
            lambda: Space({"a": (0, 3)}, None),
            "constraints must be a list of expressions, got None; for none give []",
        ),
        (
            lambda: Space({"a": (0, 3)}, [3]),
            "a constraint must be an expression as text such as 'units > 4 or depth < 3', got 3",
        ),
        (
            lambda: Space({"a": (0, 3)}, ["  "]),
            "a constraint must be an expression as text such as 'units > 4 or depth < 3', got '  '",
        ),
        (
            lambda: Space({"dropout": (0, 3), "units": 4}, ["drop_out > 1"]),
            "constraint 'drop_out > 1': unknown parameter 'drop_out'; did you mean 'dropout'?",
        ),
        (
            lambda: Space({"dropout": (0, 3), "units": 4}, ["units > 1", "lr > 1"]),
            "constraint 'lr > 1': unknown parameter 'lr'; known: dropout, units",
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
        (lambda: Space.from_talos([1]), f"a space needs a mapping of names to parameters, got list; {WRITE}"),
        (
            lambda: Space.from_talos({"a": (0, 1)}),
            "a: a Talos range is (low, high, steps) of numbers, got (0, 1)",
        ),
        (
            lambda: Space.from_talos({"a": (0, "1", 3)}),
            "a: a Talos range is (low, high, steps) of numbers, got (0, '1', 3)",
        ),
        (
            lambda: Space.from_talos({"a": (1, 0, 3)}),
            "a: a Talos range needs finite low < high and steps > 0, got (1, 0, 3)",
        ),
        (
            lambda: Space.from_talos({"a": (0, 1, 0)}),
            "a: a Talos range needs finite low < high and steps > 0, got (0, 1, 0)",
        ),
        (
            lambda: Space.from_talos({"a": (0, NAN, 2)}),
            "a: a Talos range needs finite low < high and steps > 0, got (0, nan, 2)",
        ),
        (
            lambda: Space.from_talos({"a": (0, 1, INF)}),
            "a: a Talos range needs finite low < high and steps > 0, got (0, 1, inf)",
        ),
        (
            lambda: Space.from_talos({"a": []}),
            "a: choices must not be empty, got []; give at least one value",
        ),
        (lambda: Space.from_talos({"seed": [1]}), f"seed: {RESERVED}; rename the parameter"),
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


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("x.real > 1", "x.real"),
        ("x.__class__ == 1", "x.__class__"),
        ("(lambda: 1)() == x", "(lambda: 1)()"),
        ("lambda: x", "lambda: x"),
        ("[i for i in x]", "[i for i in x]"),
        ("{i for i in x}", "{i for i in x}"),
        ("all(i > 1 for i in x)", None),
        ("(y := x) > 1", "(y := x)"),
        ("x[0] > 1", "x[0]"),
        ("x if s == 'a' else x", "x if s == 'a' else x"),
        ("x & 1", "x & 1"),
        ("~x > 1", "~x"),
        ("x << 2 > 1", "x << 2"),
        ("x @ x > 1", "x @ x"),
        ("f'{x}' == 'a'", "f'{x}'"),
        ("{x: 1}", "{x: 1}"),
        ("x > b'a'", "b'a'"),
        ("x > 1j", "1j"),
        ("x > ...", "..."),
        ("max(*[x]) > 1", "*[x]"),
        ("max(x, key=abs) > 1", "max(x, key=abs)"),
        ("x.max() > 1", "x.max()"),
        ("abs(x)(1)", "abs(x)(1)"),
        ("await x", "await x"),
    ],
)
def test_syntax_that_is_not_allowed(expression, refused):
    expected = (
        f"constraint {expression!r}: {refused} is not allowed; {LANGUAGE}"
        if refused
        else f"constraint {expression!r}: unknown function all(); known: abs, min, max, log, log2, log10, sqrt"
    )
    assert text_of(lambda: Space(GRID, [expression])) == expected


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("x >", f"must be one expression, but invalid syntax; {LANGUAGE}"),
        ("x > 1; x < 2", f"must be one expression, but invalid syntax; {LANGUAGE}"),
        ("x = 1", f"must be one expression, but invalid syntax; = is written == here; {LANGUAGE}"),
        ("x > 1 && x < 3", f"must be one expression, but invalid syntax; && is written and here; {LANGUAGE}"),
        ("x > 1 || x < 3", f"must be one expression, but invalid syntax; || is written or here; {LANGUAGE}"),
        ("import os", f"must be one expression, but invalid syntax; {LANGUAGE}"),
        ("exec('1')", "unknown function exec(); known: abs, min, max, log, log2, log10, sqrt"),
        ("__import__('os')", "unknown function __import__(); known: abs, min, max, log, log2, log10, sqrt"),
        ("mx(x, 2) > 2", "unknown function mx(); did you mean 'max'?"),
        ("log(x, 2) > 1", "log() takes one argument, got 2"),
        ("abs() > x", "abs() takes one argument, got 0"),
        ("min() > x", "min() takes one argument or more, got 0"),
        ("1 > 0", "must name at least one parameter"),
        ("x == [1, 2]", "a list may stand only after in, got [1, 2]"),
        ("(x, 1) == x", "a list may stand only after in, got (x, 1)"),
        ("x in [[1], 2]", "a list may stand only after in, got [1]"),
        ("s in 'abc'", "after in stands a list, as in `units in [4, 8]`, got 'abc'"),
        ("x in s", "after in stands a list, as in `units in [4, 8]`, got s"),
        ("x > 'a'", NUMBERS),
        ("s > 1", NUMBERS),
        ("x < s", NUMBERS),
        ("s + 1 == 2", NUMBERS),
        ("-s == 1", NUMBERS),
        ("n > 1", f"{NUMBERS}, and ask for None first: n is None or ..."),
        ("o < 1", NUMBERS),
        ("abs(s) == 1", NUMBERS),
        ("log2(n) == 1", f"{NUMBERS}, and ask for None first: n is None or ..."),
        ("min(x, s) == 1", NUMBERS),
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
        (
            lambda: SPACE.cell({"drop": 0, "opt": "adam"}),
            "unknown parameter 'drop'; did you mean 'dropout'?",
        ),
        (
            lambda: SPACE.cell({"dropout": 0, "opt": "adam", "lr": 1}),
            "unknown parameter 'lr'; known: dropout, opt",
        ),
        (lambda: SPACE.cell({"opt": "adam"}), "a configuration needs every parameter, missing: dropout"),
        (lambda: SPACE.cell({}), "a configuration needs every parameter, missing: dropout, opt"),
        (
            lambda: SPACE.cell({"dropout": 0.3, "opt": "adam"}),
            "dropout: 0.3 is no level; levels: 0, 0.5, 1",
        ),
        (
            lambda: SPACE.cell({"dropout": "0.5", "opt": "adam"}),
            "dropout: '0.5' is no level; levels: 0, 0.5, 1",
        ),
        (
            lambda: SPACE.cell({"dropout": 0, "opt": "adm"}),
            "opt: 'adm' is none of the choices; did you mean 'adam'?",
        ),
        (
            lambda: SPACE.cell({"dropout": 0, "opt": None}),
            "opt: None is none of the choices; known: adam, sgd",
        ),
        (lambda: SPACE.frozen({"dropout": NAN, "opt": "adam"}), "a value must be finite, got nan"),
        (lambda: SPACE.configuration(6), "a cell must be an integer >= 0 and < 6, got 6"),
        (lambda: SPACE.configuration(-1), "a cell must be an integer >= 0 and < 6, got -1"),
        (lambda: SPACE.configuration(True), "a cell must be an integer >= 0 and < 6, got True"),
        (lambda: SPACE.configuration(1.0), "a cell must be an integer >= 0 and < 6, got 1.0"),
        (lambda: SPACE.configuration("1"), "a cell must be an integer >= 0 and < 6, got '1'"),
        (
            lambda: SPACE.contains(pd.DataFrame({"opt": ["adam"]})),
            "the table needs a column for every parameter, missing: dropout",
        ),
    ],
)
def test_permutations_and_tables(make, text):
    assert text_of(make) == text
