"""The expression language of constraints: what it means. What it refuses is in test_space_errors.py."""

import ast
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine import Space
from refine.design.space_filling import feasible
from refine.errors import SpaceError
from refine.space.constraints import Constraint

GRID = {
    "units": [4, 8, 16],
    "depth": (0, 3),
    "shape": ["brick", "funnel"],
    "norm": [None, True, 2],
    "rate": (0, 1.0, 3),
}


@pytest.mark.parametrize(
    ("expression", "meaning"),
    [
        ("depth > 0 or shape != 'funnel'", lambda p: p["depth"] > 0 or p["shape"] != "funnel"),
        ("units * depth <= 16 and rate < 1", lambda p: p["units"] * p["depth"] <= 16 and p["rate"] < 1),
        ("depth < units / 4 < 4", lambda p: p["depth"] < p["units"] / 4 < 4),
        ("shape not in ('funnel', 'long')", lambda p: p["shape"] not in ("funnel", "long")),
        ("norm is not None and norm != 2", lambda p: p["norm"] is True),
        ("norm in [None, 2] and norm != None", lambda p: p["norm"] == 2),
        ("units // 3 == 2 or units ** -1 < 0.2", lambda p: p["units"] > 4),
        ("units ** 40 > 0", lambda p: p["units"] ** 40 > 0),  # no overflow of integers
        ("-depth + +units - 1 > 5", lambda p: -p["depth"] + p["units"] - 1 > 5),
        ("log2(units) + sqrt(abs(-depth)) >= 4", lambda p: math.log2(p["units"]) + p["depth"] ** 0.5 >= 4),
        ("min(units, 4 * depth) == units", lambda p: p["units"] <= 4 * p["depth"]),
        ("max(depth, 1, rate) > 1", lambda p: max(p["depth"], 1, p["rate"]) > 1),
        ("log10(depth) > 0", lambda p: p["depth"] > 1),  # log of zero is -inf, no warning
        ("1 / depth > 0.4", lambda p: p["depth"] == 0 or 1 / p["depth"] > 0.4),  # 1 / 0 is inf
        ("shape == depth or units == 4", lambda p: p["units"] == 4),  # a text never equals a number
    ],
)
def test_every_permutation_is_judged_as_python_would(expression, meaning):
    space = Space(GRID, [expression])
    configurations = [space.configuration(cell) for cell in range(space.size)]
    expected = [bool(meaning(p)) for p in configurations]
    rows = np.array([space.indices(cell) for cell in range(space.size)])
    assert space.valid(rows).tolist() == expected
    assert space.contains(pd.DataFrame(configurations)).tolist() == expected
    assert feasible(space).count == sum(expected)


def test_equal_constraints_have_one_spelling():
    assert Constraint("a>1   and(b <2)") == Constraint("a > 1 and b < 2")
    assert hash(Constraint("a>1")) == hash(Constraint("a > 1"))
    assert str(Constraint(" a>1 ")) == "a > 1"
    assert Constraint("a > 1 or shape == 'x'").names == {"a", "shape"}
    assert Constraint('x == "a"') == Constraint("x == 'a'")


def test_order_and_repetition_of_constraints_do_not_matter():
    grid = {"a": (0, 3), "b": (0, 3)}
    space = Space(grid, ["a > 1", "b > 1"])
    assert space == Space(grid, ["b>1", "a>1", "a > 1"])
    assert [str(c) for c in space.constraints] == ["a > 1", "b > 1"]
    assert space != Space(grid, ["a > 1"])
    assert space == Space(grid, space.constraints)


def test_powers_of_constants_do_not_run_for_ever():
    space = Space({"a": (0, 3)}, ["a < 9 ** 9 ** 9 ** 9"])
    assert feasible(space).count == 4


@settings(max_examples=60, deadline=None)
@given(some.text("ab1.()<>=+-*/ ,[]'andornti_\\\n:{}", max_size=30))
def test_any_text_is_a_constraint_or_an_error_of_ours(text):
    try:
        constraint = Constraint(text)
    except SpaceError as error:
        constraint = None
        refusal = str(error)
    if constraint is None:
        assert refusal.startswith(("constraint ", "a constraint "))
        return
    names = {n.id for n in ast.walk(ast.parse(str(constraint))) if isinstance(n, ast.Name)}
    assert Constraint(str(constraint)) == constraint
    assert constraint.names <= names


def test_an_or_keeps_none_from_being_calculated_with():
    space = Space(
        {"max_depth": [3, 5, None], "leaves": [8, 31, 63]}, ["max_depth is None or leaves <= 2 ** max_depth"]
    )
    met = space.valid(np.array([space.indices(cell) for cell in range(space.size)]))
    allowed = [tuple(space.configuration(cell).values()) for cell in np.flatnonzero(met)]
    assert allowed == [(3, 8), (5, 8), (5, 31), (None, 8), (None, 31), (None, 63)]
    also = Space(dict(space), ["not (max_depth is not None and leaves > 2 ** max_depth)"])
    assert (also.valid(np.array([also.indices(c) for c in range(also.size)])) == met).all()
    frame = pd.DataFrame({"max_depth": [4, None], "leaves": [31, 31]})
    assert space.contains(frame).tolist() == [False, True]


@pytest.mark.parametrize(
    ("expression", "holds"),
    [("a + b == 0.3", True), ("a + b > 0.3", False), ("a + b in [0.3, 7]", True), ("tiny > 0", True)],
)
def test_numbers_that_differ_by_rounding_alone_are_equal(expression, holds):
    space = Space({"a": [0.1, 1], "b": [0.2, 1], "tiny": [1e-13, 1]}, [expression])
    assert space.valid(np.zeros((1, 3), dtype=int)).tolist() == [holds]
