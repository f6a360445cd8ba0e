"""Trials that were drawn evenly are told from those that results chose."""

import itertools

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.evenness import LEVEL, evenness

SPACE = refine.Space(
    {
        "rate": refine.Float(1e-4, 1, log=True),
        "units": refine.Integer(1, 500, log=True),
        "layers": refine.Integer(1, 4),
        "kind": refine.Categorical(["a", "b", "c"]),
    }
)


def drawn(seed, n=80):
    rng = np.random.default_rng(seed)
    rate = 10 ** rng.uniform(-4, 0, n)
    units = np.rint(np.exp(rng.uniform(np.log(0.5), np.log(500.5), n))).clip(1, 500).astype(int)
    layers = rng.integers(1, 5, n)
    kind = rng.choice(["a", "b", "c"], n)
    value = -((np.log10(rate) + 2) ** 2) + (kind == "b") + rng.normal(0, 0.3, n)
    return pd.DataFrame({"rate": rate, "units": units, "layers": layers, "kind": kind, "value": value})


@pytest.mark.slow
def test_even_draws_are_called_uneven_as_rarely_as_the_level_says():
    p = np.array([evenness(SPACE, drawn(seed), 1).p for seed in range(60)])
    assert np.mean(p <= LEVEL) <= 0.1
    assert (p > 1e-3).all()


def test_values_that_crowd_are_found_with_their_parameter():
    table = drawn(0)
    table["rate"] = table["rate"].clip(1e-3, 1e-1)
    crowding = evenness(SPACE, table, 1)
    assert crowding.p < 1e-3
    assert crowding.parameter == "rate"
    table = drawn(0)
    table.loc[:50, "kind"] = "b"
    assert evenness(SPACE, table, 1).parameter in ("kind", "")


def test_later_trials_that_are_better_are_found_by_their_order():
    table = drawn(1)
    order = np.argsort(table["value"].to_numpy() + np.random.default_rng(0).normal(0, 0.5, len(table)))
    crowding = evenness(SPACE, table.iloc[order].reset_index(drop=True), 1)
    assert crowding.p < 1e-3
    assert crowding.parameter == ""


@pytest.mark.parametrize("column", ["value", "rate"])
def test_a_table_sorted_by_a_parameter_counts_as_even(column):
    assert evenness(SPACE, drawn(2).sort_values(column, ignore_index=True), 1).p > LEVEL


def test_a_grid_is_even():
    space = refine.Space({"a": [1, 2, 3, 4], "b": refine.Float(0, 1, levels=5), "c": ["x", "y"]})
    rows = itertools.product([1, 2, 3, 4], np.linspace(0, 1, 5), ["x", "y"])
    table = pd.DataFrame(list(rows), columns=list("abc"))
    assert evenness(space, table.assign(value=table["a"] + table["b"]), 1).p == 1


def test_a_parameter_counts_where_its_condition_holds(rng):
    space = refine.Space({"kind": ["sgd", "adam"], "momentum": refine.Float(0, 0.9, when="kind == 'sgd'")})
    kind = rng.choice(["sgd", "adam"], 60)
    momentum = np.where(kind == "sgd", rng.uniform(0, 0.9, 60), np.nan)
    table = pd.DataFrame({"kind": kind, "momentum": momentum, "value": rng.normal(size=60)})
    assert evenness(space, table, 1).p > LEVEL
    crowded = table.assign(momentum=np.where(kind == "sgd", 0.8 + 0.1 * rng.random(60), np.nan))
    assert evenness(space, crowded, 1).parameter == "momentum"
