"""Boxes shrink, stay nested and keep what they must."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine.errors import AnalysisError
from refine.stats import Axis, contains, grow, shrinking_boxes

TEN = np.arange(10) / 9


def smallest_box(points, axes, cover, keep=None):
    """The last box of the path that holds so many points."""
    return [box for box in shrinking_boxes(points, axes, keep) if box.covered >= cover - 1e-12][-1]


def test_empty_levels_go_first_and_for_free():
    points = np.column_stack([TEN[[2, 3, 4, 3]], [0, 0, 2, 2]])
    axes = [Axis(TEN), Axis(np.arange(4.0), unordered=True)]
    box = smallest_box(points, axes, cover=1.0)
    assert np.flatnonzero(box.keep[0]).tolist() == [2, 3, 4]
    assert np.flatnonzero(box.keep[1]).tolist() == [0, 2]
    assert box.kept == pytest.approx(0.3 * 0.5)
    assert box.covered == 1.0


def test_a_bump_at_the_end_does_not_shield_an_empty_stretch():
    points = TEN[[0] + [8] * 30 + [9] * 30][:, None]
    box = smallest_box(points, [Axis(TEN)], cover=0.95)
    assert np.flatnonzero(box.keep[0]).tolist() == [8, 9]


def test_frozen_axes_and_kept_points_stay():
    points = np.full((50, 2), TEN[5])
    axes = [Axis(TEN, frozen=True), Axis(TEN)]
    box = smallest_box(points, axes, 0.9, keep=[[0.0, TEN[2]]])
    assert box.keep[0].all()
    assert np.flatnonzero(box.keep[1]).tolist() == [2, 3, 4, 5]


def test_margin_and_grow_stop_at_the_ends():
    points = np.full((9, 1), TEN[1])
    box = smallest_box(points, [Axis(TEN)], 1.0)
    assert np.flatnonzero(grow(box, [Axis(TEN)], points, 2).keep[0]).tolist() == [0, 1, 2, 3]
    assert grow(box, [Axis(TEN)], points, 20).kept == pytest.approx(1.0)


def test_measure_replaces_counts():
    box = smallest_box(np.zeros((3, 1)), [Axis(np.arange(3.0), measure=np.array([8.0, 1.0, 1.0]))], 1.0)
    assert box.kept == pytest.approx(0.8)


def test_off_grid_points_count_for_the_nearest_level():
    box = smallest_box(np.array([[0.51], [0.58]]), [Axis(TEN)], 1.0)
    assert np.flatnonzero(box.keep[0]).tolist() == [5]
    assert contains(box, [Axis(TEN)], [[0.53], [0.9]]).tolist() == [True, False]


@settings(max_examples=40, deadline=None)
@given(some.integers(0, 10_000), some.floats(0.05, 1.0))
def test_paths_are_nested_and_cover_is_kept(seed, cover):
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.choice(TEN, 40) ** 2, rng.integers(0, 4, 40)])
    axes = [Axis(TEN), Axis(np.arange(4.0), unordered=True)]
    must = points[:2]
    path = list(shrinking_boxes(points, axes, must))
    for wide, tight in itertools.pairwise(path):
        assert all(np.all(w >= t) for w, t in zip(wide.keep, tight.keep, strict=True))
        assert tight.kept < wide.kept
        assert tight.covered <= wide.covered
    for box in path:
        held = np.flatnonzero(box.keep[0])
        assert np.all(np.diff(held) == 1)
        assert contains(box, axes, must).all()
        assert box.covered == pytest.approx(contains(box, axes, points).mean())
    assert smallest_box(points, axes, cover, must).covered >= cover - 1e-9


def test_errors():
    with pytest.raises(AnalysisError, match="at least one plausible optimum is needed"):
        smallest_box(np.ones((0, 1)), [Axis(TEN)], 0.9)
    with pytest.raises(AnalysisError, match=r"need shape \(n, 1\), one column per axis"):
        smallest_box(np.ones((2, 2)), [Axis(TEN)], 0.9)
    with pytest.raises(AnalysisError, match="levels: must increase strictly"):
        Axis(np.array([1.0, 0.0]))
    with pytest.raises(AnalysisError, match="measure: needs one positive share per level"):
        Axis(TEN, measure=np.zeros(10))
