"""Mappings kept by their names are those that were given: values, types, missing names."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refine.trials.rows import JsonRows

# Few values of every kind: what matters is which kinds come together under one name.
VALUES = st.sampled_from(
    [None, True, False, 0, 1, 3, 2**70, 0.0, -0.0, 1.0, math.inf, "", "relu", [1], {"class": "a"}]
)
MAPPINGS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=6)


def _typed(mappings):
    return [sorted((n, type(v), repr(v)) for n, v in m.items()) for m in mappings]


@pytest.mark.slow
@given(MAPPINGS, MAPPINGS)
def test_rows_survive_packing(first, second):
    rows = JsonRows(first)
    rows.extend(second)
    all_rows = [*first, *second]
    assert len(rows) == len(all_rows)
    assert _typed(rows) == _typed(all_rows)
    assert _typed(rows[i] for i in range(len(all_rows))) == _typed(all_rows)
    assert _typed(rows[1:5]) == _typed(all_rows[1:5])
    assert set(rows.names) == {n for m in all_rows for n in m}
    assert _typed(JsonRows.joined([rows, JsonRows(second)])) == _typed([*all_rows, *second])
