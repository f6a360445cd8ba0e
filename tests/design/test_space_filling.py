"""Cells of designs: without replacement, prefix-stable, balanced, within constraints; and their number."""

import itertools
import re

import numpy as np
import pytest

from refine import Float, Space
from refine.design.space_filling import Sobol, Uniform, design_named, draw, feasible, how_many
from refine.errors import DesignError
from refine.space.space import configuration_key

BOTH = pytest.mark.parametrize("design", [Sobol(), Uniform()], ids=lambda d: d.method)
FIVES = Space({f"p{i}": (0, 1.0, 5) for i in range(40)})


def grid(*radices):
    return Space({f"p{i}": list(range(r)) for i, r in enumerate(radices)})


def cells_of(space, rows):
    return [space.number(row) for row in rows]


@BOTH
def test_prefixes_hold_across_blocks_and_in_spaces_beyond_64_bits(design):
    rows = draw(design, FIVES, 2500, seed=3)
    assert np.array_equal(draw(design, FIVES, 200, seed=3), rows[:200])
    assert np.array_equal(draw(design, FIVES, 1025, seed=3), rows[:1025])
    assert len(set(cells_of(FIVES, rows))) == 2500


SPACES = (
    Space({"x": (0.0, 1.0, 5), "n": (1, 6), "act": ["relu", "elu", None]}),
    Space({"x": (0.0, 1.0, 5), "n": (1, 6), "one": 3}, ["x > 0.1 or n < 3"]),
    Space({"act": ["relu", "elu"], "alpha": Float(0.5, 1.5, 5, when="act == 'elu'"), "n": (1, 6)}),
)


@BOTH
def test_every_cell_is_drawn_once_and_finished_cells_are_skipped(design):
    for space in (*SPACES, FIVES):
        n = min(feasible(space).low, 200)
        cells = cells_of(space, rows := draw(design, space, n, seed=2))
        assert len(set(cells)) == n
        assert space.valid(rows).all()
        assert cells == cells_of(space, draw(design, space, n, seed=2))
        skip = frozenset(configuration_key(space.frozen(space.configuration(c))) for c in cells[3:6])
        assert cells_of(space, draw(design, space, n - 3, 2, skip)) == [*cells[:3], *cells[6:]]
    assert cells != cells_of(space, draw(design, space, n, seed=4))


GOLDEN = Space(
    {"lr": Float(1e-4, 1, 5, log=True), "units": [4, 8, 16], "act": ["relu", "elu"], "n": (2, 30, 10)}
)


@pytest.mark.parametrize(
    ("method", "first"), [("sobol", [229, 13, 106, 211, 270]), ("uniform", [131, 8, 113, 164, 121])]
)
def test_a_design_draws_the_recorded_cells(method, first):
    """Rounds in files of today are drawn again tomorrow: these cells must never change."""
    assert cells_of(GOLDEN, draw(design_named(method), GOLDEN, 5, seed=7)) == first


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


@BOTH
def test_a_design_gives_every_configuration_that_meets_a_constraint(design):
    space = Space({"a": (0, 9), "b": (0, 9)}, ["a == b"])
    assert sorted(cells_of(space, draw(design, space, 10, seed=0))) == [11 * i for i in range(10)]
    message = (
        "11 configurations were asked for, but only 10 that meet the constraints and have not been run "
        "were found"
    )
    with pytest.raises(DesignError, match=f"{message};"):
        draw(design, space, 11, seed=0)


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


ONE = Space({"a": (0, 9), "b": (0, 9)})
HALF = Space({"a": (0, 9), "b": (0, 9)}, ["a < b"])


@pytest.mark.parametrize(
    ("space", "n", "downsample", "used", "expected"),
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
def test_a_size_is_a_number_or_a_share_of_the_grid(space, n, downsample, used, expected):
    count = how_many(space, n, downsample, used)
    assert count == expected
    assert type(count) is int


@pytest.mark.parametrize(
    ("n", "downsample", "used", "text"),
    [
        (10, 0.1, 0, "pass n= (a number of configurations) or downsample= (a share of them), got both"),
        (
            46,
            None,
            0,
            "n must be <= the number of configurations left, got 46, but 45 exist; ask for n=45 or fewer, or",
        ),
        (6, None, 40, "left, got 6, but 45 exist and 40 ran or are planned; ask for n=5 or fewer, or"),
        (48, None, -2, "left, got 48, but 45 exist and 2 outside the grid are given; ask for n=47 or fewer"),
        (True, None, 0, "n must be a whole number, got True; for a share use downsample="),
        (None, 0, 0, "downsample must be a share > 0 and <= 1, got 0; 0.01 runs one in a hundred"),
        (None, "1 %", 0, "downsample must be a share > 0 and <= 1, got '1 %'"),
        (None, 0.5, 45, "no configuration is left to run: 45 exist, 45 were run"),
    ],
)
def test_wrong_sizes_and_unknown_designs_are_refused(n, downsample, used, text):
    with pytest.raises(DesignError, match=re.escape(text)):
        how_many(HALF, n, downsample, used)


def test_sobol_has_a_last_dimension():
    space = Space({f"p{i}": [0, 1] for i in range(21_202)})
    message = "design 'sobol' has at most 21201 dimensions, got 21202 varied parameters; use design='uniform'"
    with pytest.raises(DesignError, match=message):
        next(Sobol().blocks(space, 0))
