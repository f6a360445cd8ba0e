"""Components of variance on data with known ones."""

from __future__ import annotations

import numpy as np
import pytest

from refine.errors import AnalysisError
from refine.stats import VarianceComponents


def test_known_components_are_found():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(300), 4)
    y = 2.0 * rng.normal(size=300)[groups] + 0.5 * rng.normal(size=1200)
    found = VarianceComponents()(y, groups)
    assert found.configuration == pytest.approx(2.0, rel=0.1)
    assert found.seed == pytest.approx(0.5, rel=0.06)
    assert np.isnan(found.split)
    assert (found.groups, found.runs) == (300, 1200)


def test_unequal_groups_are_weighed():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(400), rng.integers(1, 6, 400))
    y = 1.0 * rng.normal(size=400)[groups] + 1.0 * rng.normal(size=len(groups))
    found = VarianceComponents()(y, groups)
    assert found.configuration == pytest.approx(1.0, rel=0.12)
    assert found.seed == pytest.approx(1.0, rel=0.08)


def test_equal_configurations_differ_by_nothing():
    rng = np.random.default_rng(2)
    sds = [
        VarianceComponents()(rng.normal(size=12), np.repeat([0, 1, 2, 3], 3)).configuration
        for _ in range(200)
    ]
    assert min(sds) == 0
    assert np.mean(np.square(sds)) < 0.2


def test_what_splits_do_to_the_order_of_configurations():
    rng = np.random.default_rng(3)
    k, r, s = 200, 3, 5
    groups = np.repeat(np.arange(k), r)
    own = 0.6 * rng.normal(size=(k, s))  # how well a configuration does on a split
    common = 3.0 * rng.normal(size=s)  # how hard a split is for all: changes no order
    table = (own + common)[groups] + 0.4 * rng.normal(size=(k * r, s))
    found = VarianceComponents()(table.mean(axis=1), groups, table)
    assert found.split == pytest.approx(0.6 / np.sqrt(s), rel=0.1)
    assert found.seed == pytest.approx(0.4 / np.sqrt(s), rel=0.1)


def test_what_cannot_be_told():
    one = VarianceComponents()([1.0, 2.0], ["a", "a"])
    assert np.isnan(one.configuration)
    assert one.seed == pytest.approx(np.sqrt(0.5))
    assert np.isnan(VarianceComponents()([], []).seed)
    with pytest.raises(
        AnalysisError, match=r"splits: needs one finite value per run and split, shape \(2, s\)"
    ):
        VarianceComponents()([1.0, 2.0], [0, 1], [[1.0, 2.0]])
