"""Checks of arguments that must be numbers."""

import math

import numpy as np
import pytest

from refine.utils.numbers import is_real, is_whole


@pytest.mark.parametrize("value", [True, 1.0, "1", None, np.int64(1), math.nan])
def test_only_an_int_is_a_whole_number(value):
    assert not is_whole(value)


def test_both_bounds_of_a_whole_number_are_allowed():
    assert [n for n in range(5) if is_whole(n, 1, 3)] == [1, 2, 3]
    assert not is_whole(0)
    assert is_whole(10**400)


@pytest.mark.parametrize(("value", "real"), [(1, True), (math.nan, True), (False, False), ("1", False)])
def test_bools_and_texts_are_not_real_numbers(value, real):
    assert is_real(value) == real
