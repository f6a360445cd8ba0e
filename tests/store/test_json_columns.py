"""Texts of JSON decoded by column are what they are decoded one by one."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refine.space.encoding import dumps
from refine.store.json_columns import level_rows, number_rows

SPACE = {
    "act": ["relu", "élu, or not", "a:b"],
    "lr": [0.1, 1e-30, 2],
    "ref": [{"ref": "m:A"}, None, True],
    "z": [1, 2],
}


def plain(i):
    return {name: values[i * (j + 1) % len(values)] for j, (name, values) in enumerate(SPACE.items())}


def typed(rows):
    return [[(k, type(v), v) for k, v in row.items()] for row in rows]


def test_configurations_and_metrics_are_read_exactly_as_json():
    rows = [{**plain(i), "act": "relu"} for i in range(40)]
    assert typed(level_rows([dumps(row) for row in rows])) == typed(rows)
    assert typed(level_rows(['{"lr": 0.1, "n":2}'] * 20)) == typed([{"lr": 0.1, "n": 2}] * 20)
    values = [{"value": i / 7, "n": i, "odd": [1, 0.5, math.inf][i % 3]} for i in range(40)]
    assert typed(number_rows([json.dumps(v) for v in values])) == typed(values)


ODD = (
    '{"a":1}',
    '{"a":1,"c":2}',
    '{"a":1,"a":2}',
    '{"a":1,"b":[2,3]}',
    '{"a":1,"b":2},{"a":1,"b":2}',
    '{"a":1,"b":2}}',
    '{"a":1,"b":"\\ud800"}',
    '{"a":1,"b":Infinity}',
    '{"a":1,"b":' + "9" * 400 + "}",
    '{"a":1,"b":}',
    '"a":1,"b":2}',
    '{"a":1,\0{"b":2}',
    "",
    "[1,2]",
    "{}",
)
SCALARS = st.integers(-9, 9) | st.floats(allow_nan=False) | st.booleans() | st.none() | st.text(max_size=3)
ROWS = st.dictionaries(st.sampled_from(["a", "b", ",", '"', "c:"]), SCALARS, max_size=3)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    st.lists(ROWS, min_size=1, max_size=3),
    st.lists(st.sampled_from(ODD) | st.text('{}[]",:\\ \0a1', max_size=8), max_size=2),
)
def test_a_column_of_json_is_read_exactly_or_not_at_all(kinds, broken):
    texts = [json.dumps(kinds[i % len(kinds)]) for i in range(20)]
    for some in (texts, broken[:1] + texts + broken[1:]):
        for read in (level_rows, number_rows):
            if (values := read(some)) is not None:
                assert typed(values) == typed(map(json.loads, some))
