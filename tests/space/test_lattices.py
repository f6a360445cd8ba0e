"""Steps and powers are declared, stored, and kept by every derived range; levels may be typed freely."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine.errors import ReviewError, SpaceError
from refine.space.edits import edit_space, edited, narrowed
from refine.space.limits import widened
from refine.space.parameters import Float, Integer
from refine.space.parsing import parameter_from_json
from refine.space.rounding import round_levels
from refine.space.space import Space

UNITS = Integer(8, 128, step=8)
POWERS = Integer(16, 512, base=2)
SHARE = Float(0.1, 0.9, step=0.05)


def test_a_step_gives_its_multiples_and_a_base_its_powers():
    assert UNITS.grid == tuple(range(8, 129, 8))
    assert POWERS.grid == (16, 32, 64, 128, 256, 512)
    assert POWERS.log
    assert SHARE.grid == tuple(round(0.1 + 0.05 * k, 2) for k in range(17))
    assert Float(1e-5, 1e-1, base=10).grid == (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    assert Integer(8, 800, step=8).size == 100  # all of them, since they were asked for
    assert Integer(8, 800, step=8, levels=5).grid == (8, 208, 408, 600, 800)
    assert all(v % 8 == 0 for v in Integer(8, 4096, step=8, log=True).grid)
    assert Integer(8, 4096, step=8, log=True).size == 10
    assert Integer(8, 128, step=8, levels=[8, 64, 128]).grid == (8, 64, 128)


@pytest.mark.parametrize(
    "parameter",
    [
        UNITS,
        POWERS,
        SHARE,
        Integer(8, 800, step=8, levels=5),
        Integer(0, 10**6, step=1, levels=11),
        Float(1, 4, base=2),
    ],
)
def test_a_lattice_is_stored_and_spelled(parameter):
    assert parameter_from_json(json.loads(json.dumps(parameter.to_json()))) == parameter
    assert eval(repr(parameter), {"Float": Float, "Integer": Integer}) == parameter


def test_ids_of_ranges_without_one_are_as_they_were():
    assert Float(0, 1, 3).to_json() == {"type": "float", "levels": [0.0, 0.5, 1.0], "log": False}
    stored = {"type": "float", "levels": [1e-4, 0.000215443469003, 0.1], "log": True}
    assert parameter_from_json(stored).to_json() == stored  # levels of an earlier rule are what they were
    assert Integer(8, 128, levels=list(UNITS.grid)) != UNITS  # what it may become differs


@pytest.mark.parametrize(
    ("kind", "low", "high", "options", "text"),
    [
        (Integer, 8, 130, {"step": 8}, "high: 130 must be on the step of 8 from 8; the nearest are 128 and"),
        (Integer, 16, 500, {"base": 2}, "high: 500 must be on the powers of 2 from 16; the nearest are 256"),
        (Float, 0.1, 0.9, {"step": 0.1, "levels": [0.1, 0.25, 0.9]}, "levels: 0.25 must be on the step of"),
        (Integer, 8, 128, {"step": 8, "base": 2}, "a range takes step= or base=, got step=8 and base=2;"),
        (Integer, 8, 128, {"step": 0}, "step must be a number > 0, got 0; for example step=8"),
        (Float, 1, 2, {"base": 1}, "base must be a number > 1, got 1; for example base=2"),
        (Integer, 1, 9, {"step": 0.5}, "step of an integer range must be a whole number, got 0.5; use Float"),
        (Float, 0, 1, {"base": 2}, "low must be > 0 for powers of a base, got 0; start above zero, or use"),
        (Integer, 8, 32, {"step": 8, "levels": 9}, "levels must be <= the number of values, got 9 levels"),
        (Float, 0, 1, {"step": 1e-7}, "levels must be <= 100,000, got 10,000,001 of the step of 1e-07"),
    ],
)
def test_wrong_steps_are_refused(kind, low, high, options, text):
    with pytest.raises(SpaceError) as caught:
        kind(low, high, **options)
    assert str(caught.value).startswith(text)


def test_an_edit_off_the_step_names_the_nearest_values():
    space = Space({"units": UNITS})
    with pytest.raises(ReviewError, match="8 from 8;"):
        edit_space(space, space, {"units": (10, 64)})
    assert edited(UNITS, (16, 64)) == Integer(16, 64, step=8)
    assert edited(UNITS, (16, 160)) == Integer(16, 160, step=8)
    assert edited(UNITS, (16, 64, 3)).grid == (16, 40, 64)
    assert edited(POWERS, (4, 64)) == Integer(4, 64, base=2)
    thin = Integer(8, 808, step=8, levels=11)
    assert edited(thin, (8, 328)).grid == tuple(range(8, 329, 40))  # on the step


@settings(max_examples=30, deadline=None)
@given(some.integers(1, 9), some.integers(3, 40), some.integers(2, 12), some.data())
def test_a_proposed_range_stays_on_the_step(step, places, levels, data):
    old = Integer(step, step * places, step=step, levels=min(levels, places))
    first = data.draw(some.integers(0, old.size - 2))
    last = data.draw(some.integers(first, old.size - 1))
    new = narrowed(old, range(first, last + 1))
    assert (type(new), new.step) == (Integer, step)
    assert all(v % step == 0 for v in new.grid)
    wider = widened("units", old, new, "high") if last == old.size - 1 else None
    assert wider is None or (wider.step == step and all(v % step == 0 for v in wider.grid))


def test_a_range_is_widened_along_its_powers_and_within_its_limits():
    assert widened("units", POWERS, POWERS, "low").grid == (8, 16, 32, 64, 128, 256, 512)
    limited = Integer(16, 64, base=2, within=(8, 100))
    assert widened("units", limited, limited, "high") is None  # 128 is beyond the limit
    assert widened("units", limited, limited, "low").grid == (8, 16, 32, 64)


# Levels that nobody stated.


@pytest.mark.parametrize(
    ("parameter", "levels"),
    [
        (Float(1e-4, 0.1, log=True), (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1)),
        (Float(1e-5, 0.1, log=True), (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1)),
        (Float(0, 0.5), tuple(round(0.05 * k, 2) for k in range(11))),
        (Float(0, 0.99), (*(round(0.1 * k, 1) for k in range(10)), 0.99)),
        (Integer(1, 1000, log=True), (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
        (Integer(0, 100), tuple(range(0, 101, 10))),
    ],
)
def test_levels_are_round_numbers(parameter, levels):
    assert parameter.grid == levels


@settings(max_examples=60, deadline=None)
@given(some.floats(-1e6, 1e6), some.floats(1e-3, 1e6), some.booleans(), some.booleans())
def test_a_range_has_about_ten_levels_for_any_ends(low, width, log, integer):
    low, width = (round(low), max(30, round(width))) if integer else (low, width)
    low = abs(low) + (1 if integer else 1e-3) if log else low
    levels = round_levels(low, low + width, log, integer)
    assert (levels[0], levels[-1]) == (low, low + width)
    assert all(a < b for a, b in pairwise(levels))
    assert 5 <= len(levels) <= 20
    assert not integer or all(v == int(v) for v in levels)
