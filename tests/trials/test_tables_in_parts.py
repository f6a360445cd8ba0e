"""A table that is made in parts is the table that is made at once."""

import math

import pandas as pd
import pytest

from refine.space.space import Space
from refine.trials.frame import Records, table, tables
from refine.trials.metric import Metric
from refine.trials.rows import JsonRows

SPACE = Space({"x": (0.0, 1.0, 5), "k": (0, 9), "c": ["a", "b"], "o": [1, 2, 4], "fixed": 3})

ROW = {"x": 0.5, "k": 1, "c": "a", "o": 2, "fixed": 3}
CONFIGURATIONS = {
    "of one kind": [ROW] * 7,
    "whole numbers first": [{**ROW, "x": i if i < 4 else 0.25, "k": i} for i in range(7)],
    "none among numbers": [{**ROW, "x": None if i == 5 else 0.5, "k": i} for i in range(7)],
    "a number beyond 64 bits": [{**ROW, "k": {2: 2**63, 6: 2**70}.get(i, -i)} for i in range(7)],
    "floats among ordered choices": [{**ROW, "o": 2.0 if i == 6 else 2} for i in range(7)],
}
METRICS = [{"acc": 0.5}, {}, {"acc": math.nan, "loss": 1}, {"loss": 2.5, "x": 3.0}]
METRICS += [{"acc": 1.0}, {}, {"odd": math.inf}]


def records(configurations, cells, indices):
    columns = {
        "state": ["complete" if i % 3 else "failed" for i in indices],
        "seconds": [0.5 * i for i in indices],
        "seed": list(indices),
        "cell": [cells[i] for i in indices],
        "origin": ["space_filling" for _ in indices],
    }
    return Records(
        JsonRows([configurations[i] for i in indices]), JsonRows([METRICS[i] for i in indices]), (), columns
    )


@pytest.mark.parametrize("kind", CONFIGURATIONS)
@pytest.mark.parametrize("size", [1, 3])
def test_parts_are_written_as_the_whole_is(kind, size):
    configurations = CONFIGURATIONS[kind]
    cells = [None, None, "4", "1", None, "12", None]
    complete = table(SPACE, records(configurations, cells, range(7)), Metric.parse("acc"))

    def read():
        for first in range(0, 7, size):
            yield records(configurations, cells, range(first, min(first + size, 7)))

    parts = list(tables(SPACE, read, Metric.parse("acc")))
    text = "".join(p.to_csv(index=False, header=i == 0) for i, p in enumerate(parts))
    assert text == complete.to_csv(index=False)
    assert [list(p.columns) for p in parts] == [list(complete.columns)] * len(parts)
    joined = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(joined[["x", "k", "o", "value"]], complete[["x", "k", "o", "value"]])


def test_a_round_without_trials_has_no_parts():
    assert list(tables(SPACE, lambda: iter(()), Metric.parse("acc"))) == []
