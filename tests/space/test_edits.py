"""From an old parameter to a new one: a person's edit, the levels evidence leaves, a wider range."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine import Categorical, Float, Integer, Space
from refine.errors import ReviewError, SpaceError
from refine.space.edits import bounds_text, edit_space, edited, narrowed, new_choices

FAST = settings(max_examples=40, deadline=None)
LOG = Float(1e-4, 1, 5, log=True)


def test_edits_keep_a_declared_order():
    sizes = Categorical(["small", "medium", "large"], ordered=True)
    two = Categorical(["small", "large"], ordered=True)
    assert edited(sizes, ["large", "small"]) == two  # the order is the old one's, not that of writing
    assert not edited(sizes, Categorical(["small", "large"])).ordered  # given as a parameter, it says itself
    assert edited(sizes, ["small", "large", "huge"]).ordered is True
    assert narrowed(sizes, [0, 2]) == two
    assert narrowed(sizes, [0]) == Categorical(["small"])
    codes = Categorical([3, 5, 7], ordered=False)
    assert edited(codes, [7, 3]) == Categorical([3, 7], ordered=False)
    with pytest.raises(SpaceError, match="choices: 3, 5, 7"):
        edited(codes, (3, 5))


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        # (low, high) keeps the levels between, adds finer ones, and keeps the spacing beyond, with both ends.
        (Float(0, 0.5, 6), (0, 0.2), Float(0, 0.2, 5)),
        # Earlier trials stay on the grid.
        (Float(0, 0.5, 6), (0, 0.25), Float(0, 0.25, [0, 0.05, 0.1, 0.15, 0.2, 0.225, 0.25])),
        (Float(0, 0.5, 6), (0, 0.4), Float(0, 0.4, 5)),  # as many levels as before, or nearly
        (Float(0, 0.5, 6), (0, 1), Float(0, 1, 11)),  # beyond the old bounds: wider
        (Integer(0, 10), (2, 5), Integer(2, 5, 4)),
        (LOG, (1e-4, 1e-2), Float(1e-4, 1e-2, [1e-4, 3e-4, 1e-3, 3e-3, 1e-2], log=True)),
        # (low, high, levels) sets the number of levels.
        (Float(0, 0.5, 6), (0, 0.2, 9), Float(0, 0.2, 9)),
        (Float(0, 0.5, 6), (0, 1, 5), Float(0, 1, 5)),  # two ints, but a Float stays one
        (LOG, (1e-3, 1e-1, 5), Float(1e-3, 1e-1, 5, log=True)),
        # A list sets choices, a scalar fixes, a parameter is itself.
        (Float(0, 0.5, 6), [0, 0.3], Categorical([0, 0.3])),
        (Float(0, 0.5, 6), 0.2, Categorical([0.2])),
        (Categorical([4, 8]), (0, 1.0, 3), Float(0, 1, 3)),
        (Categorical([4, 8, 16, 32, 64]), (8, 32), Categorical([8, 16, 32])),
        (Categorical([4, 8, 16, 32, 64]), (8, 30), Integer(8, 30)),  # 30 is none of them: as in a new space
        # What a table shows like one of the choices is that one; a choice of its own has to say so.
        (Categorical(["1", "2", "auto"]), [1, "auto"], Categorical(["1", "auto"])),
        (Categorical([1, "1", "a"]), ["1", 1], Categorical([1, "1"])),
        (Categorical(["1", "2"]), Categorical([1]), Categorical([1])),
    ],
)
def test_edits_are_values_lists_or_bounds(old, value, new):
    result = edited(old, value)
    assert result == new
    assert result.grid == new.grid


RATES = Float(1e-3, 1, 10, log=True)  # 0.001, 0.00215443469003, 0.00464158883361, ...
CLOSE = Float(0.1, 0.1009, [0.1, 0.1001, 0.1004, 0.1009])


@pytest.mark.parametrize(
    ("old", "value", "grid"),
    [
        (RATES, (0.00215443, 0.01), RATES.grid[1:4]),  # as labels print it
        (RATES, (0.00215, 0.01), RATES.grid[1:4]),  # as tables print it
        (RATES, (0.0021544346, 0.01), RATES.grid[1:4]),  # in more digits
        (RATES, (0.00215443, 0.1, 3), (RATES.grid[1], 0.0146779926762, 0.1)),
        (RATES, [0.00464, 0.01], RATES.grid[2:4]),
        (RATES, 0.00464159, RATES.grid[2:3]),
        (CLOSE, (0.1, 0.1004), (0.1, 0.1001, 0.1004)),  # a level itself
        (Integer(1, 10**7, [1, 1234567, 10**7]), (1, 1.23e6), (1, 1234567)),
    ],
)
def test_a_typed_number_that_is_a_level_as_printed_is_this_level(old, value, grid):
    levels = edited(old, value).grid
    assert (levels[0], levels[-1]) == (grid[0], grid[-1])
    assert set(grid) <= set(levels)  # a narrower range has finer levels, too


@pytest.mark.parametrize("low", [0.002, 0.0021, 0.00216, 0.002155])
def test_a_typed_number_that_is_not_a_printed_level_stays_unchanged(low):
    assert edited(RATES, (low, 0.01)).low == low


def test_levels_that_are_printed_in_four_digits_are_not_taken_for_three():
    assert edited(CLOSE, [0.1005]).grid == (0.1005,)
    assert edited(Float(0.2, 0.3, [0.2, 0.2503, 0.2504, 0.3]), (0.25, 0.3)).low == 0.25


def test_a_typed_bound_of_the_proposal_is_the_level_of_the_proposal():
    proposed = narrowed(RATES, [3, 4])
    inserted = proposed.grid[1]
    assert inserted not in RATES.grid
    assert edited(RATES, (float(f"{inserted:.3g}"), 0.1), proposed).low == inserted


def test_a_parameter_object_in_an_edit_stays_unchanged():
    assert edited(RATES, Float(0.00215443, 0.1, 3, log=True)).low == 0.00215443


def test_a_printed_bound_of_a_conditional_range_is_its_level():
    rates = Float(1e-3, 1, 10, log=True, when="optimizer == 'sgd'")
    edited_range = edited(rates, Float(0.00215443, 1, log=True, when="optimizer == 'sgd'"))
    assert edited_range.grid == rates.grid[1:]


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ((0.5, 5.0), "got (0.5, 5.0); round the ends, or write refine.Float(0.5, 5.0)"),
        ((0.5, 5.5, 3), "got (0.5, 5.5, 3); round the ends, or write refine.Float(0.5, 5.5)"),
        ([2, 2.5], "got [2, 2.5]; round 2.5"),
        (2.5, "got 2.5; round 2.5"),
    ],
)
def test_a_range_of_whole_numbers_keeps_whole_numbers(value, fix):
    with pytest.raises(SpaceError, match=re.escape(f"takes whole numbers, {fix}")):
        edited(Integer(0, 10), value)
    assert edited(Integer(0, 10), Float(0.5, 5.5, 3)) == Float(0.5, 5.5, 3)
    assert edited(Integer(0, 10), (2.0, 5.0)) == Integer(2, 5, 4)


MOMENTUM = Float(0, 0.9, 7, when="optimizer == 'sgd'")


@pytest.mark.parametrize(
    ("value", "grid", "condition"),
    [
        (Float(0.3, 0.9), Float(0.3, 0.9, 9).grid, "optimizer == 'sgd'"),
        (Float(0, 0.9, when="optimizer != 'adam'"), MOMENTUM.grid, "optimizer != 'adam'"),
        (Float(0, 0.9, 2, when="optimizer != 'adam'"), (0, 0.9), "optimizer != 'adam'"),
        (Float(0, 0.9, 10), Float(0, 0.9, 10).grid, "optimizer == 'sgd'"),  # the default number, but stated
    ],
)
def test_a_conditional_range_without_levels_keeps_the_old_levels(value, grid, condition):
    new = edited(MOMENTUM, value)
    assert new.grid == grid
    assert new.when == condition


def test_a_condition_can_be_added_by_an_edit_without_the_levels():
    new = edited(RATES, Float(1e-3, 1, log=True, when="optimizer == 'sgd'"))
    assert new.grid == RATES.grid
    assert new.when == "optimizer == 'sgd'"


def test_three_present_choices_in_a_tuple_are_choices():
    units = Categorical([8, 16, 32, 64])
    assert edited(units, (16, 32, 64)) == Categorical([16, 32, 64])
    with pytest.raises(SpaceError, match="ambiguous"):
        edited(units, (16, 32, 65))


def test_edit_space_changes_only_the_named_parameters():
    old = Space(
        {"dropout": (0, 0.5, 6), "lr": LOG, "act": ["relu", "elu"]}, ["dropout < 0.4 or act == 'elu'"]
    )
    proposed = old.replace({"dropout": (0, 0.3, 31), "lr": Float(1e-2, 1, 9, log=True)})
    new = edit_space(proposed, old, {"dropout": (0, 0.2), "act": "relu"})
    assert new["dropout"] == Float(0, 0.2, 21)  # no fewer levels than the proposal has there
    assert edit_space(old, old, {"dropout": (0, 0.2)})["dropout"] == Float(0, 0.2, 5)
    assert edit_space(proposed, old, {"dropout": (0, 0.2, 3)})["dropout"] == Float(0, 0.2, 3)  # unless asked
    assert new["act"] == Categorical(["relu"])
    assert new["lr"] == proposed["lr"]
    assert new.constraints == old.constraints
    assert edit_space(proposed, old, {}) == proposed


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("dropout", (0, math.nan), "dropout: high must be a finite number, got nan"),
        ("dropout", (0, 0.2, 2.5), "dropout: (0, 0.2, 2.5) is ambiguous; for three choices write"),
        ("act", [], "act: choices must not be empty, got []; give at least one value"),
        ("act", {"relu"}, "act: choices must be a list, whose order is kept, got set; write [...]"),
        ("lr", (0, 0.1), "lr: low must be > 0 on a logarithmic scale, got (0, 0.1); start above zero, or"),
        (
            "dropout",
            ["a", "b"],
            "dropout: a range takes numbers, got the string 'a' in ['a', 'b']; write (low",
        ),
        ("dropout", [(0.0, 0.5)], "dropout: a range takes numbers, got (0.0, 0.5) in [(0.0, 0.5)]; write"),
        ("dropout", [0.1, None], "dropout: a range takes numbers, got None in [0.1, None]; write (low, high"),
    ],
)
def test_edits_that_cannot_be_made(name, value, text):
    space = Space({"dropout": (0, 0.5, 6), "act": ["relu", "elu"], "lr": LOG})
    with pytest.raises(ReviewError) as caught:
        edit_space(space, space, {name: value})
    assert str(caught.value).startswith(f"edit: {text}")


# The levels that evidence leaves.

grids = some.lists(some.integers(-300, 300), min_size=2, max_size=12, unique=True).map(sorted)


@some.composite
def ranges(draw):
    kind = draw(some.sampled_from(["float", "log", "int", "int log", "space_filling"]))
    if kind == "space_filling":
        low = draw(some.floats(-100, 100))
        return Float(low, low + draw(some.floats(0.01, 100)), draw(some.integers(2, 15)))
    levels = draw(grids)
    if "log" in kind:
        levels = [v - levels[0] + 1 for v in levels]
    if "int" not in kind:
        levels = [v / 7 for v in levels]
    return (Integer if "int" in kind else Float)(levels[0], levels[-1], levels, log="log" in kind)


@some.composite
def ranges_and_runs(draw):
    old = draw(ranges())
    first = draw(some.integers(0, old.size - 1))
    return old, list(range(first, draw(some.integers(first, old.size - 1)) + 1))


@FAST
@given(ranges_and_runs(), some.booleans())
def test_a_narrowed_range_lies_inside_its_parent(case, between):
    old, keep = case
    new = narrowed(old, keep, between)
    assert type(new) is type(old)
    assert new.log == old.log
    assert old.low <= new.low < new.high <= old.high  # inside, and never a point
    assert bool(np.all(old.contains(np.array(new.grid))))
    assert {old.grid[i] for i in keep} <= set(new.grid)  # levels of the parent stay levels
    assert 0 < old.volume_kept(new) <= 1
    assert new.size <= max(old.size + 2, 2)


@FAST
@given(ranges())
def test_keeping_everything_changes_nothing(old):
    all_levels = range(old.size)
    assert narrowed(old, all_levels) == old
    assert narrowed(old, all_levels, between=True) == old


@pytest.mark.parametrize(
    ("old", "keep", "between", "levels"),
    [
        (Float(0, 1, 5), [1, 2], False, (0.25, 0.3125, 0.375, 0.4375, 0.5)),
        (Float(0, 1, 5), [1, 2], True, (0.125, 0.25, 0.5, 0.625)),  # midway to what was dropped
        (Float(0, 1, 5), [2], False, (0.5, 0.5625, 0.625, 0.6875, 0.75)),  # never a point
        (LOG, [0, 1, 2], False, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)),
        (Integer(0, 10), [2, 3, 4], False, (2, 3, 4)),  # no integers between
        (Integer(0, 100, 11), [2, 3], False, (20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30)),
        (Integer(1, 1000, 4, log=True), [0, 1], False, (1, 2, 5, 10)),
        (Categorical(["a", "b", "c"]), [0, 2], False, ("a", "c")),
        (Categorical([4, 8, 16]), [1], True, (8,)),
    ],
)
def test_a_narrowed_parameter_keeps_its_type_and_scale(old, keep, between, levels):
    new = narrowed(old, keep, between)
    assert type(new) is type(old)
    if isinstance(old, Categorical):
        assert new.grid == levels
    else:
        assert new.grid == pytest.approx(levels, rel=1e-11)


def test_an_edit_may_name_a_class_as_tables_show_it(lookalike):
    o = lookalike.optimizers
    space = Space({"optimizer": [o.Adam, o.Nadam, o.RMSprop]})
    for value in (["Adam", "Nadam"], [o.Adam, "Nadam"]):
        assert edit_space(space, space, {"optimizer": value}) == Space({"optimizer": [o.Adam, o.Nadam]})
    assert edit_space(space, space, {"optimizer": "Adam"}) == Space({"optimizer": o.Adam})


def test_bounds_of_whole_numbers_have_all_digits():
    space = Space({"units": (4, 1_000_000, 3), "budget": (1, 2_000_001, 5), "scale": (1.0, 1e6, 3)})
    assert [bounds_text(p) for p in space.values()] == ["4 to 1000000", "1 to 2000001", "1 to 1e+06"]


def test_only_choices_in_words_that_are_not_declared_are_new():
    old = Categorical(["adam", "sgd"])
    assert new_choices(old, ["adam", "zz"], edited(old, ["adam", "zz"])) == ["zz"]
    assert new_choices(old, "zz", edited(old, "zz")) == ["zz"]
    assert new_choices(old, "sgd", edited(old, "sgd")) == []
    declared = Categorical(["zz"])
    assert new_choices(old, declared, edited(old, declared)) == []
    assert new_choices(Float(0, 1), (0, 1), Float(0, 1)) == []
    assert new_choices(Categorical([1, 2]), [3], Categorical([3])) == []  # a number is not misspelled
