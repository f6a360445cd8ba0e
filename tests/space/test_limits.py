"""Hard limits, declared and inferred, and ranges that go on past an end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine import Float, Integer, Space
from refine.errors import SpaceError
from refine.space.edits import edited, narrowed
from refine.space.limits import limit_of, widened
from refine.space.parsing import parameter_from_json


@pytest.mark.parametrize("within", [(0, 1), (0, None)])
@pytest.mark.parametrize("kind", [Float, Integer])
def test_declared_limits_survive_json_repr_and_edits(kind, within):
    parameter = kind(0, 1, within=within)
    assert parameter_from_json(parameter.to_json()) == parameter
    assert eval(repr(parameter), {kind.__name__: kind}) == parameter
    assert Space({"x": parameter}) != Space({"x": kind(0, 1)})
    wide = kind(0, 20, 5, within=(-5, 100))
    for new in (edited(wide, (0, 40)), edited(wide, (0, 40, 3)), narrowed(wide, [0, 1])):
        assert new.within == (-5, 100)
    assert edited(wide, kind(0, 500)).within is None


@pytest.mark.parametrize(
    ("within", "text"),
    [
        (
            1,
            (
                "within must be the hard limits (low, high), got 1; for example within=(0, 1), or "
                "within=(0, None)"
            ),
        ),
        (("a", 1), "a hard limit must be a finite number, or None for no limit, got within=('a', 1)"),
        ((0.1, 1), "(0, 0.5) must lie within its hard limits (0.1, 1); change the range, or declare wider"),
    ],
)
def test_wrong_hard_limits_are_refused(within, text):
    with pytest.raises(SpaceError) as caught:
        Float(0, 0.5, within=within)
    assert str(caught.value).startswith(text)
    with pytest.raises(SpaceError, match="hard limits"):
        edited(Integer(1, 4, within=(1, 8)), (1, 9))


@pytest.mark.parametrize(
    ("name", "old", "side", "expected"),
    [
        ("x", Float(0, 1), "high", None),  # a range that ends at 1 is no wall by that
        ("x", Float(0, 1), "low", (0, True, "sign")),
        ("lr", Float(1e-4, 1, log=True), "low", None),
        ("layers", Integer(1, 4), "low", (1, True, "sign")),
        ("dropout", Float(0, 0.5), "high", (1, False, "share")),
        ("subsample", Float(0.5, 0.9), "high", (1, True, "share")),
        ("dropout", Float(0, 0.5, within=(0, 0.6)), "high", (0.6, True, "declared")),
        ("dropout", Float(0, 0.5, within=(None, None)), "low", None),
    ],
)
def test_hard_limits_are_declared_or_inferred(name, old, side, expected):
    assert limit_of(name, old, side) == expected


@pytest.mark.parametrize(
    ("name", "old", "side", "levels"),
    [
        ("x", Float(0.5, 5, 10), "high", np.arange(0.5, 6, 0.5)),  # one step
        ("x", Float(2, 5, 4), "low", (1, 2, 3, 4, 5)),
        ("x", Float(0.5, 5, 4), "low", (0.05, 0.5, 2, 3.5, 5)),  # a positive range stays positive
        ("dropout", Float(0, 0.5, 6), "high", np.linspace(0, 0.6, 7)),
        ("dropout", Float(0, 0.9, 10), "high", (*np.linspace(0, 0.9, 10), 0.99)),
        ("dropout", Float(0, 0.55, 6, within=(0, 0.6)), "high", (*np.linspace(0, 0.55, 6), 0.6)),
        ("x", Float(0, 0.5, 6, within=(None, None)), "low", np.linspace(-0.1, 0.5, 7)),
        ("lr", Float(1e-5, 1e-3, 5, log=True), "high", (*np.geomspace(1e-5, 1e-3, 5), 3e-3)),
        ("lr", Float(5e-3, 0.5, 3, log=True), "high", (0.005, 0.05, 0.5, 1.5)),  # half a decade at most
        ("lr", Float(1e-5, 1e-3, 9, log=True), "high", (*np.geomspace(1e-5, 1e-3, 9), 2e-3, 3e-3)),
        ("layers", Integer(1, 4), "high", (1, 2, 3, 4, 5)),
        ("layers", Integer(1, 4), "low", None),
        ("units", Integer(1, 100, 3, log=True), "high", (1, 10, 100, 300)),
        ("units", Integer(4, 64, 5, log=True), "high", (4, 8, 16, 32, 64, 128)),
        ("units", Integer(64, 256, step=64), "high", (64, 128, 192, 256, 320)),
    ],
)
def test_a_widened_range_stops_at_its_hard_limit(name, old, side, levels):
    new = widened(name, old, old, side)
    if levels is None:
        assert new is None
        return
    assert new.grid == pytest.approx(levels, rel=1e-9, abs=1e-12)
    assert (type(new), new.log, new.within) == (type(old), old.log, old.within)


def test_levels_are_spread_over_the_kept_and_the_new_part_after_a_narrowing():
    old = Float(1e-5, 1e-3, 9, log=True)
    new = widened("lr", old, narrowed(old, [6, 7, 8]), "high")
    assert old.high < new.high <= old.high * 10**0.5
    assert sum(v > old.high for v in new.grid) >= new.size / 3


@settings(max_examples=60, deadline=None)
@given(
    some.floats(-1e3, 1e3), some.floats(0.01, 1e3), some.integers(2, 20), some.sampled_from(["low", "high"])
)
def test_a_wider_range_holds_the_old_one_and_passes_no_limit(low, width, size, side):
    old = Float(low, low + width, size)
    new = widened("x", old, old, side)
    limit = limit_of("x", old, side)
    if new is None:
        assert limit is not None
        assert limit.at in (old.low, old.high)
        return
    assert set(old.grid) < set(new.grid)
    step = (old.high - old.low) / (size - 1)
    assert (new.high - new.low) - (old.high - old.low) <= step * (1 + 1e-6)
    assert (new.low < old.low) is (side == "low")
    assert (new.high > old.high) is (side == "high")
    if limit is not None:
        assert new.high <= limit.at if side == "high" else new.low >= limit.at
