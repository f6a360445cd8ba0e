"""Mappings kept by their names are those that were given: values, types, missing names."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refine.trials.rows import Rows

# Few values of every kind: what matters is which kinds come together under one name.
VALUES = st.sampled_from(
    [None, True, False, 0, 1, 3, 2**70, 0.0, -0.0, 1.0, math.inf, "", "relu", [1], {"class": "a"}]
)
MAPPINGS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=6)


def _typed(mappings):
    return [sorted((n, type(v), repr(v)) for n, v in m.items()) for m in mappings]


@pytest.mark.slow
@given(MAPPINGS, MAPPINGS)
def test_what_comes_out_is_what_went_in(first, second):
    rows = Rows(first)
    rows.extend(second)
    every = [*first, *second]
    assert len(rows) == len(every)
    assert _typed(rows) == _typed(every)
    assert _typed(rows[i] for i in range(len(every))) == _typed(every)
    assert _typed(rows[1:5]) == _typed(every[1:5])
    assert set(rows.names) == {n for m in every for n in m}
    assert _typed(Rows.joined([rows, Rows(second)])) == _typed([*every, *second])


@pytest.mark.slow
@given(MAPPINGS, st.data())
def test_columns_masks_and_names(mappings, data):
    rows = Rows(mappings)
    for name in "abcd":
        found = rows.column(name)
        listed = found.tolist() if isinstance(found, np.ndarray) else found
        assert [(type(v), v) for v in listed] == [(type(m.get(name)), m.get(name)) for m in mappings]
    keep = data.draw(st.lists(st.booleans(), min_size=len(mappings), max_size=len(mappings)))
    chosen = [m for m, k in zip(mappings, keep, strict=True) if k]
    assert _typed(rows.chosen(keep)) == _typed(chosen)
    assert set(rows.chosen(keep).names) == {n for m in chosen for n in m}
    under = rows.under(["a", "e"], {"e": 7})
    assert _typed(under) == _typed([{**({"a": m["a"]} if "a" in m else {}), "e": 7} for m in mappings])


def test_they_take_a_fraction_of_the_memory_of_dictionaries():
    def mappings():
        return [{"lr": i / 7, "units": i % 5, "optimizer": "".join(["Ad", "am"])} for i in range(20_000)]

    tracemalloc.start()
    try:
        kept = Rows(mappings())
        small, _ = tracemalloc.get_traced_memory()
        every = mappings()
        both, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == len(every)
    assert small < (both - small) / 4
