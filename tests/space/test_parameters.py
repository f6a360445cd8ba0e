"""Float, Int and Choice, and the notation they are written in."""

import enum
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine import Categorical, Float, Integer, Space
from refine.space import parameters
from refine.space.encoding import value_key
from refine.space.parsing import parameter_from_json, parse, parse_talos

FAST = settings(max_examples=40, deadline=None)


@pytest.mark.parametrize(
    ("written", "parameter"),
    [
        ((0.5, 5, 10), Float(0.5, 5, 10)),
        ((0, 0.5, 5), Float(0, 0.5, 5)),
        ((0, 1.0), Float(0, 1)),
        ((1, 5), Integer(1, 5)),
        ((0, 10, 6.0), Integer(0, 10, 6)),
        (np.array([4, 8]), Categorical([4, 8])),
        (150, Categorical([150])),
        (None, Categorical([None])),
        (math.log, Categorical([math.log])),
    ],
)
def test_a_parameter_is_made_from_its_notation(written, parameter):
    parsed = parse(written)
    assert parsed == parameter
    assert type(parsed) is type(parameter)
    assert parsed.grid == parameter.grid


@pytest.mark.parametrize(
    ("written", "levels"),
    [
        ((0, 0.5, 5), (0, 0.125, 0.25, 0.375, 0.5)),
        ((2, 30, 10), (2, 5, 8, 11, 14, 18, 21, 24, 27, 30)),
        ((1, 21), (1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 21)),
        (Float(0, 1, [0, 0.1, 1]), (0, 0.1, 1)),
        (Float(1e-4, 1, 5, log=True), (1e-4, 1e-3, 1e-2, 0.1, 1)),
        (Integer(1, 6, 5, log=True), (1, 2, 3, 4, 6)),
        (Integer(1, 1000, 4, log=True), (1, 10, 100, 1000)),
    ],
)
def test_levels_are_spread_evenly_on_their_scale(written, levels):
    assert parse(written).grid == levels


@FAST
@given(some.integers(-1000, 1000), some.integers(1, 3000), some.data())
def test_int_levels_are_distinct_integers_between_both_ends(low, width, data):
    count = data.draw(some.integers(2, min(width + 1, 300)))
    log = low > 0 and data.draw(some.booleans())
    grid = Integer(low, low + width, count, log=log).grid
    assert len(grid) == count
    assert (grid[0], grid[-1]) == (low, low + width)
    assert all(a < b for a, b in itertools.pairwise(grid))
    assert all(type(v) is int for v in grid)


def test_numbers_are_canonical():
    assert Float(0, 0.3, 4).grid == (0, 0.1, 0.2, 0.3)  # not 0.30000000000000004
    assert Float(0.1 + 0.2, 1, 2) == Float(0.3, 1, 2)
    assert str(Float(-0.0, 1, 2).low) == "0.0"
    assert Integer(1.0, 3.0).grid == (1, 2, 3)
    kind = enum.StrEnum("kind", {"A": "a"})
    assert type(Categorical([kind.A]).grid[0]) is str
    numbers = [np.int8(3), np.float32(0.5), np.True_, np.str_("a")]
    assert [type(v) for v in Categorical(numbers).grid] == [int, float, bool, str]


def test_order_of_choices():
    assert Categorical([4, 8.5]).ordered
    unordered = ([4, True], [4, None], ["a"], [4, "8"], [math.log], [(1, 2), (3, 4)])
    assert not any(Categorical(values).ordered for values in unordered)
    assert Categorical([8, 4]).grid == (4, 8)  # numbers go by their order
    assert Categorical(["b", "a"]).grid == ("b", "a")


SIZES = Categorical(["small", "medium", "large"], ordered=True)
CODES = Categorical([7, 3, 5], ordered=False)


def test_a_declared_order_is_used_and_stored():
    assert [(p.ordered, p.numeric) for p in (SIZES, CODES)] == [(True, False), (False, True)]
    assert SIZES.unit(["small", "large", "huge"])[:2].tolist() == [1 / 6, 5 / 6]
    assert CODES.unit([3, 7]).tolist() == [0, 2]
    assert CODES.column(np.array([0])).tolist() == [3]
    for parameter, plain in ((SIZES, ["small", "medium", "large"]), (CODES, [3, 5, 7])):
        assert parameter_from_json(parameter.to_json()) == parameter != Categorical(plain)
        assert repr(parameter) == f"Categorical({plain!r}, ordered={parameter.ordered})"
    assert SIZES.describe().startswith("ordered ")
    assert SIZES.describe().endswith(": small, medium, large")


def test_an_order_that_follows_from_the_values_makes_no_other_parameter():
    assert Categorical([4, 8], ordered=True) == Categorical([4, 8])
    assert Categorical(["a", "b"], ordered=False).to_json() == Categorical(["a", "b"]).to_json()
    assert Categorical(["a"], ordered=True) == Categorical(["a"])  # a fixed value has no order


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (Categorical([1]), Categorical([True]), False),
        (Categorical([1, 2]), Categorical([1.0, 2.0]), False),
        (Categorical([1, 2]), Categorical([2, 1]), True),
        (Categorical([[1, 2], 3]), Categorical([(1, 2), 3]), True),
        (Float(0, 1), Float(0.0, 1.0, 11), True),
        (Float(0, 1, 3), Float(0, 1, 4), False),
        (Float(0, 1, 3), Float(0, 1, [0, 0.5, 1]), True),
        (Float(1, 2, 2), Float(1, 2, 2, log=True), False),
    ],
)
def test_parameters_are_equal_if_their_content_is_equal(a, b, equal):
    assert (a == b) is equal
    assert (a.to_json() == b.to_json() and repr(a.to_json()) == repr(b.to_json())) is equal
    if equal:
        assert hash(a) == hash(b)


def test_labels_tell_values_apart():
    assert Categorical([1, "1"]).labels == ("1", "'1'")
    assert Categorical([None, "None"]).labels == ("None", "'None'")
    assert Categorical([0.1234567, 0.12345671]).labels == ("0.1234567", "0.12345671")
    assert Categorical([math.log, np.log]).labels == ("math.log", "numpy.log")


def test_functions_in_tuples_are_themselves_where_at_hand():
    assert Space({"a": [1, (1, math.sin)]}).configuration(1) == {"a": (1, math.sin)}


def test_looking_up_every_level_makes_the_keys_of_the_levels_once(monkeypatch):
    keyed_levels = []

    def counted(level):
        keyed_levels.append(level)
        return value_key(level)

    monkeypatch.setattr(parameters, "value_key", counted)
    parameter = Float(0.0, 1.0, levels=1001)
    assert [parameter.index(level) for level in parameter.grid] == list(range(1001))
    assert len(keyed_levels) == 2 * 1001  # the levels, and the values that are looked up


def test_index_finds_levels_to_12_digits():
    tenths = Float(0, 1, 11)
    assert tenths.index(0.1 + 0.2) == 3
    assert tenths.index(np.float64(0.7)) == 7
    assert Integer(0, 5).index(3.0) == 3
    assert Categorical(["a", math.log]).index(math.log) == 1
    assert Categorical(["a", math.log]).index("log") == 1
    assert Categorical([4, 8]).index(8.0) == 1
    assert Categorical([True, 1]).index(1) == 1


def test_ranges_contain_the_numbers_between_their_ends():
    values = [-0.1, -1e-12, 0, 0.33, 1, 1 + 1e-12, 1.001, math.nan, math.inf]
    assert Float(0, 1).contains(values).tolist() == [False, True, True, True, True, True, False, False, False]
    assert Integer(0, 5).contains([0, 2.5, 5, 6]).tolist() == [True, True, True, False]
    assert Float(0, 1).contains(["0.5", "2", "x", None, ""]).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("choices", "values", "inside"),
    [
        (["a", None], ["a", "b", None, "None", math.nan, pd.NA, pd.NaT], "1011111"),
        ([4, 8], [4, 8.0, 5, math.nan], "1100"),
        (["a", "b"], [None, math.nan], "00"),
        ([4, 0.1234567], ["4", "4.0", "0.1234567", "0.123457", "5", ""], "111100"),
        ([True, False], [True, "False", 1, "1", "no"], "11000"),
        ([math.log], [math.log, "log", "math.exp", math.exp], "1100"),
    ],
)
def test_choices_contain_values_and_labels(choices, values, inside):
    contained = Categorical(choices).contains(np.array(values, object))
    assert "".join(str(int(v)) for v in contained) == inside


def test_positions_on_the_unit_interval_follow_the_scale():
    assert Float(0, 4).unit([0, 1, 4, 5]).tolist()[:3] == [0, 0.25, 1]
    assert math.isnan(Float(0, 4).unit([5])[0])
    assert Float(1e-4, 1, log=True).unit([1e-4, 1e-2, 1]) == pytest.approx([0, 0.5, 1])
    assert Integer(1, 4).unit([1, 2, 4]) == pytest.approx([0.125, 0.375, 0.875])
    assert Categorical([4, 8]).unit([4, 8]).tolist() == [0.25, 0.75]
    unordered = Categorical(["a", "b", "c"]).unit(["c", "a", "x"])
    assert unordered[:2].tolist() == [2, 0]
    assert math.isnan(unordered[2])


@pytest.mark.parametrize(
    ("old", "new", "share"),
    [
        (Float(0, 1), Float(0, 0.5), 0.5),
        (Float(0, 1), Float(0.5, 2), 0.5),
        (Float(0, 1), Float(2, 3), 0),
        (Float(1e-4, 1, log=True), Float(1e-2, 1, log=True), 0.5),
        (Float(1e-4, 1, log=True), Float(0, 1e-2), 0.5),  # zero has no logarithm
        (Integer(1, 10), Integer(1, 5), 0.5),  # every integer owns as much
        (Integer(1, 10), Categorical([3]), 0.1),
        (Categorical([1, 2, 3, 4]), Categorical([2]), 0.25),
        (Categorical([1, 2, 3, 4]), Integer(2, 3), 0.5),
        (Categorical(["a", "b"]), Categorical(["b", "c"]), 0.5),
        (Categorical(["a", "b"]), Float(0, 1), 0),
    ],
)
def test_share_kept_is_measured_on_the_declared_scale(old, new, share):
    assert old.volume_kept(new) == pytest.approx(share)


@pytest.mark.parametrize(
    ("written", "levels"),
    [
        ((0.5, 5, 10), tuple(np.arange(0.5, 5, 0.45).round(12))),
        ((0, 3, 10), (0, 1, 2)),
        ((5.0, 0.5, 3), (2, 3.5, 5)),
        ((0, 10, 1), (0,)),
        ([3, 4], (3, 4)),
        (150, (150,)),
    ],
)
def test_talos_leaves_out_the_upper_end(written, levels):
    parameter = parse_talos(written)
    assert parameter.grid == levels
    if isinstance(written, tuple) and len(levels) > 1:
        assert type(parameter) is (Integer if all(isinstance(v, int) for v in written[:2]) else Float)
