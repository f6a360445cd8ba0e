"""Which cells: without replacement, prefix-stable, balanced, within constraints; and how many there are."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine import Float, Space
from refine.design.space_filling import (
    Feasible,
    Sobol,
    Uniform,
    design_named,
    draw,
    feasible,
    how_many,
)
from refine.errors import DesignError
from refine.space.space import configuration_key

FAST = settings(max_examples=20, deadline=None)
BOTH = pytest.mark.parametrize("design", [Sobol(), Uniform()], ids=lambda d: d.method)
FIVES = Space({f"p{i}": (0, 1.0, 5) for i in range(40)})


def grid(*radices):
    return Space({f"p{i}": list(range(r)) for i, r in enumerate(radices)})


def cells_of(space, rows):
    return [space.number(row) for row in rows]


small = some.lists(some.integers(1, 7), min_size=1, max_size=5).filter(lambda r: math.prod(r) <= 3000)
seeds = some.integers(0, 2**31 - 1)


# Every design.


@pytest.mark.slow
@BOTH
@FAST
@given(radices=small, seed=seeds)
def test_the_whole_grid_comes_exactly_once(design, radices, seed):
    space = grid(*radices)
    rows = draw(design, space, space.size, seed)
    assert rows.shape == (space.size, len(space))
    assert sorted(cells_of(space, rows)) == list(range(space.size))


@pytest.mark.slow
@BOTH
@FAST
@given(radices=small, seed=seeds, data=some.data())
def test_the_first_cells_of_more_are_the_cells_of_fewer(design, radices, seed, data):
    space = grid(*radices)
    more = data.draw(some.integers(0, space.size))
    fewer = data.draw(some.integers(0, more))
    rows = draw(design, space, more, seed)
    assert np.array_equal(draw(design, space, fewer, seed), rows[:fewer])


@BOTH
def test_prefixes_hold_across_blocks_and_in_spaces_beyond_64_bits(design):
    rows = draw(design, FIVES, 2500, seed=3)
    assert np.array_equal(draw(design, FIVES, 200, seed=3), rows[:200])
    assert np.array_equal(draw(design, FIVES, 1025, seed=3), rows[:1025])
    assert len(set(cells_of(FIVES, rows))) == 2500


GOLDEN = Space(
    {"lr": Float(1e-4, 1, 5, log=True), "units": [4, 8, 16], "act": ["relu", "elu"], "n": (2, 30, 10)}
)


@pytest.mark.parametrize(
    ("method", "first"), [("sobol", [229, 13, 106, 211, 270]), ("uniform", [131, 8, 113, 164, 121])]
)
def test_golden_cells(method, first):
    """Rounds in files of today are drawn again tomorrow: these cells must never change."""
    assert cells_of(GOLDEN, draw(design_named(method), GOLDEN, 5, seed=7)) == first


# Balance.


@pytest.mark.parametrize("seed", range(2))
def test_sobol_balances_every_axis(seed):
    space = grid(3, 5, 7, 10, 2, 4)
    n = 256
    rows = draw(Sobol(), space, n, seed)
    for j, radix in enumerate(space.radices):
        counts = np.bincount(rows[:, j], minlength=radix)
        assert abs(counts - n / radix).max() <= 4, (j, counts)


def _pair_imbalance(rows, radices):
    total = 0.0
    for a, b in itertools.combinations(range(len(radices)), 2):
        counts = np.bincount(rows[:, a] * radices[b] + rows[:, b], minlength=radices[a] * radices[b])
        total += float(((counts - len(rows) / len(counts)) ** 2).sum())
    return total


def test_sobol_balances_pairs_better_than_chance():
    space = grid(4, 4, 5, 5, 8, 8)
    sobol = [_pair_imbalance(draw(Sobol(), space, 256, seed), space.radices) for seed in range(5)]
    uniform = [_pair_imbalance(draw(Uniform(), space, 256, seed), space.radices) for seed in range(5)]
    assert max(sobol) < min(uniform)
    assert np.mean(sobol) < 0.5 * np.mean(uniform)


# Large.


@pytest.mark.slow
@BOTH
def test_many_cells_of_a_huge_grid_take_little_memory(design):
    n = 10_000
    draw(design, FIVES, 10, seed=1)  # what is imported is not the design's
    tracemalloc.start()
    try:
        rows = draw(design, FIVES, n, seed=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows.shape == (n, 40)
    assert len({row.tobytes() for row in rows}) == n
    assert peak * (100_000 / n) < 100e6


# Constraints and skipping.


@BOTH
@FAST
@given(seed=seeds, data=some.data())
def test_constraints_are_met_and_n_valid_cells_delivered(design, seed, data):
    space = Space({"a": (0, 5), "b": (0, 5), "c": ["x", "y", "z"]}, ["a + b < 6 or c == 'x'", "a != b"])
    exist = feasible(space)
    expected = {
        cell
        for cell in range(space.size)
        if (p := space.configuration(cell))["a"] != p["b"] and (p["a"] + p["b"] < 6 or p["c"] == "x")
    }
    assert exist == Feasible(len(expected), len(expected), len(expected), exact=True)
    n = data.draw(some.integers(1, exist.count))
    cells = cells_of(space, draw(design, space, n, seed))
    assert len(set(cells)) == n
    assert set(cells) <= expected


@BOTH
def test_all_that_meet_a_constraint_can_be_had_but_no_more(design):
    space = Space({"a": (0, 9), "b": (0, 9)}, ["a == b"])
    assert sorted(cells_of(space, draw(design, space, 10, seed=0))) == [11 * i for i in range(10)]
    with pytest.raises(DesignError) as caught:
        draw(design, space, 11, seed=0)
    assert str(caught.value) == (
        "11 configurations were asked for, but only 10 that meet the constraints and have not been run were found; "
        "that is all there are; ask for fewer or relax a constraint"
    )


@BOTH
def test_skipped_permutations_are_passed_over(design):
    space = grid(4, 5, 3)
    rows = draw(design, space, 60, seed=2)
    keys = [configuration_key(space.frozen(space.at(row))) for row in rows]
    rest = draw(design, space, 40, seed=2, skip=frozenset(keys[:20]))
    assert np.array_equal(rest, rows[20:])
    with pytest.raises(DesignError, match="41 configurations were asked for, but only 40"):
        draw(design, space, 41, seed=2, skip=frozenset(keys[:20]))


# How many exist.


def test_the_count_is_exact_up_to_a_million_cells():
    space = Space({"a": (0, 999, 1000), "b": (0, 999, 1000)}, ["a < b"])
    assert space.size == 1_000_000
    assert feasible(space) == (499_500, 499_500, 499_500, True)


@pytest.mark.parametrize("seed", range(2))
def test_beyond_a_million_an_interval_holds_the_truth(seed):
    space = Space({"a": (0, 1999, 2000), "b": (0, 1999, 2000)}, ["a < b"])
    exist = feasible(space, seed)
    assert not exist.exact
    assert exist.low < 2000 * 1999 // 2 < exist.high
    assert exist.low < exist.count < exist.high
    assert exist.high - exist.low < 0.01 * space.size
    assert str(exist) == f"about {exist.count:.3g} (95 % interval {exist.low:.3g} to {exist.high:.3g})"


# How many are asked for.

ONE = Space({"a": (0, 9), "b": (0, 9)})
HALF = Space({"a": (0, 9), "b": (0, 9)}, ["a < b"])


@pytest.mark.parametrize(
    ("space", "n", "downsample", "taken", "expected"),
    [
        (ONE, 100, None, 0, 100),
        (ONE, np.int64(7), None, 0, 7),
        (ONE, None, 0.25, 0, 25),
        (ONE, None, np.float64(0.25), 20, 20),
        (ONE, None, 0.0001, 0, 1),
        (HALF, 5, None, 40, 5),
        (FIVES, None, 1e-24, 0, 9095),
    ],
)
def test_how_many(space, n, downsample, taken, expected):
    found = how_many(space, n, downsample, taken)
    assert found == expected
    assert type(found) is int


SAY = "say how many configurations to run: n (a number) or downsample (a share), got"
SHARE = "downsample must be a share > 0 and <= 1, got"
HUNDRED = "0.01 runs one in a hundred, n= takes a number"
FEWER = "ask for fewer, or give ranges more levels"


@pytest.mark.parametrize(
    ("n", "downsample", "taken", "text"),
    [
        (None, None, 0, f"{SAY} none"),
        (10, 0.1, 0, f"{SAY} both"),
        (0, None, 0, "n must be >= 1, got 0"),
        (46, None, 0, f"n must be <= the number of configurations left, got 46, but 45 exist; {FEWER}"),
        (
            6,
            None,
            40,
            f"n must be <= the number of configurations left, got 6, but 45 exist, of which 40 were run by earlier "
            f"rounds; {FEWER}",
        ),
        (0.1, None, 0, "n must be a whole number, got 0.1; for a share use downsample="),
        (True, None, 0, "n must be a whole number, got True; for a share use downsample="),
        (None, 0, 0, f"{SHARE} 0; {HUNDRED}"),
        (None, 1.5, 0, f"{SHARE} 1.5; {HUNDRED}"),
        (None, math.nan, 0, f"{SHARE} nan; {HUNDRED}"),
        (None, "1 %", 0, f"{SHARE} '1 %'; {HUNDRED}"),
        (None, 0.5, 45, "no configuration is left to run: 45 exist, 45 were run"),
    ],
)
def test_what_cannot_be_asked_for(n, downsample, taken, text):
    with pytest.raises(DesignError) as caught:
        how_many(HALF, n, downsample, taken)
    assert str(caught.value) == text


def test_sobol_has_a_last_dimension():
    space = Space({f"p{i}": [0, 1] for i in range(21_202)})
    with pytest.raises(DesignError) as caught:
        next(Sobol().blocks(space, 0))
    assert str(caught.value) == (
        "design 'sobol' has at most 21201 dimensions, got 21202 varied parameters; use design='uniform'"
    )
