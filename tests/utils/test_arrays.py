"""Rows in order, by one number for each."""

import numpy as np

from refine.space.categorical import Categorical
from refine.utils.arrays import order_of, row_codes


def test_rows_are_numbered_and_ordered_as_they_compare(rng):
    for n, d, levels in ((0, 3, 2), (1, 0, 1), (400, 0, 1), (400, 3, 4), (2000, 30, 9), (300, 12, 10**6)):
        X = rng.integers(-levels, levels, size=(n, d)) / 7
        y = rng.integers(0, 9, size=n).astype(float)
        assert order_of(X, y).tolist() == np.lexsort((*X.T, y)).tolist()
        if n and d:
            _, number = np.unique(X, axis=0, return_inverse=True)
            assert np.unique(row_codes(X), return_inverse=True)[1].tolist() == number.reshape(-1).tolist()


def test_many_numbers_are_the_levels_that_each_of_them_is():
    for grid in ([1, 2, 4], [0.1, 0.25, 3.0], [0, 1.5], [1, 1.0000000001]):
        parameter = Categorical(grid)
        for values in (np.array([*grid, 7, grid[0]] * 400), np.array([*grid, np.nan, -0.0] * 400)):
            some = [int(parameter.positions(values[i : i + 1])[0]) for i in range(len(grid) + 2)]
            assert parameter.positions(values).tolist() == some * 400
    for choices in (["relu", "elu"], [1, 2, 8], [None, "a"], [True, False]):  # and texts those of choices
        parameter = Categorical(choices)
        texts = [*parameter.labels, "none of them", "1.0"] * 2
        some = [int(parameter.positions([text, 5])[0]) for text in texts]
        assert parameter.positions(texts).tolist() == some
