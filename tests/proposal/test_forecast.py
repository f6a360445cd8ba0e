"""Forecasts of a round, made before the round runs."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import Uniform, draw
from refine.errors import AnalysisError
from refine.proposal.forecast import forecast
from refine.space.space import configuration_key
from refine.stats import Forecast
from refine.stats.simulation import LEVELS

SPACE = refine.Space(
    {"x": (0.0, 1.0, 21), "z": (0.0, 1.0, 21), "kind": ["a", "b", "c"], "junk": (1, 9), "epochs": 20}
)
BOX = SPACE.replace({"x": refine.Float(0.5, 1.0, 11), "kind": refine.Categorical(["a", "b"])})
MADE = Forecast((0.05, 0.25, 0.5, 0.75, 0.95), (1.0, 2.0, 3.0, 4.0, 5.0), (7.0, 8.0, 8.0, 8.0, 9.0), 30)


def trials(space, n, seed, sign=1.0):
    """A bump in x, a slope in z, a bad choice, and noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(space.columns(draw(Uniform(), space, n, seed)))
    signal = -2 * (frame["x"] - 0.7) ** 2 + 0.5 * frame["z"] - 0.5 * (frame["kind"] == "c")
    return frame.assign(value=sign * (signal + rng.normal(0, 0.1, n)))


@pytest.fixture(scope="module")
def analysis():
    return refine.analyze(SPACE, trials(SPACE, 60, 0))


@pytest.mark.slow
def test_a_minimised_metric_is_its_mirror_image(analysis):
    mirrored = refine.analyze(SPACE, trials(SPACE, 60, 0, sign=-1.0), direction="minimize")
    up, down = (forecast(analysed, BOX, 40, 1) for analysed in (analysis, mirrored))
    assert down.levels == up.levels == LEVELS
    assert np.allclose(down.median, -np.array(up.median)[::-1], rtol=1e-6)
    assert np.allclose(down.best, -np.array(up.best)[::-1], rtol=1e-6)
    assert np.quantile(down.best, 0.5) < np.quantile(down.median, 0.5)


@pytest.mark.slow
def test_a_forecast_is_repeatable_and_survives_json(analysis):
    first = forecast(analysis, BOX, 40, 1)
    assert first == forecast(analysis, BOX, 40, 1)
    assert first != forecast(analysis, BOX, 40, 2)
    assert Forecast.from_json(first.to_json()) == first
    assert all(v == float(f"{v:.9g}") for v in (*first.median, *first.best))
    assert list(first.median) == sorted(first.median)
    assert list(first.best) == sorted(first.best)


@pytest.mark.slow
def test_cells_that_will_not_run_are_left_out(analysis):
    tiny = refine.Space({**SPACE, "z": 0.5, "junk": 1, "kind": "a"})
    rows = draw(Uniform(), tiny, tiny.size, 0)
    cells = [tiny.at(row) for row in rows]
    best = {configuration_key(tiny.frozen(cell)) for cell in cells if abs(cell["x"] - 0.7) < 0.3}
    of_all, without_best = (forecast(analysis, tiny, 5, 1, frozenset(skip)) for skip in (set(), best))
    assert without_best.quantile("median", 0.5) < of_all.quantile("median", 0.5)
    all_run = frozenset(configuration_key(tiny.frozen(cell)) for cell in cells)
    assert forecast(analysis, tiny, 5, 1, all_run) is None


def test_no_forecast_is_made_without_evidence(analysis):
    for space in (
        refine.Space({**SPACE, "l2": (0.0, 1.0, 3)}),  # a parameter more
        refine.Space({n: p for n, p in SPACE.items() if n != "junk"}),  # one less
        refine.Space({**SPACE, "epochs": 30}),  # another fixed value
        SPACE.replace({"kind": refine.Categorical(["d", "e"])}),  # choices never tried
    ):
        assert forecast(analysis, space, 40, 1) is None
    assert forecast(analysis, BOX, 0, 1) is None


@pytest.mark.slow
def test_forecasts_of_a_bounded_metric_stay_in_its_bounds():
    frame = trials(SPACE, 60, 3)
    frame["value"] = (frame["value"] + 0.2).clip(0, 1)  # a saturated share
    bounded = forecast(refine.analyze(SPACE, frame), BOX, 40, 1)
    assert bounded.median[0] >= 0
    assert bounded.best[-1] <= 1
    constant = forecast(refine.analyze(SPACE, frame.assign(value=0.5)), BOX, 40, 1)
    assert set(constant.median) == set(constant.best) == {0.5}
    assert constant.percentile("best", 0.5) == pytest.approx(0.5)


def test_percentiles_and_intervals_are_interpolated_between_levels():
    for level, value in zip(MADE.levels, MADE.median, strict=True):
        assert MADE.percentile("median", value) == pytest.approx(level)
    assert MADE.percentile("median", 3.5) == pytest.approx(0.625)
    assert (MADE.percentile("median", 0.9), MADE.percentile("median", 5.1)) == (0.0, 1.0)
    assert MADE.percentile("best", 8.0) == pytest.approx(0.5)  # ties: the middle of their levels
    assert MADE.percentile("best", 7.5) == pytest.approx(0.15)
    assert MADE.interval("median", 0.9) == (1.0, 5.0)
    assert MADE.interval("best", 0.5) == (8.0, 8.0)
    assert MADE.interval("median", 0.7) == pytest.approx((1.5, 4.5))
    with pytest.raises(AnalysisError, match=r"levels 0.05 and 0.95"):
        MADE.interval("median", 0.99)


def test_rounding_in_single_precision_is_not_a_difference():
    value = float(np.float32(135 / 137))
    next_value = float(np.nextafter(np.float32(value), np.float32(0)))
    constant = Forecast((0.05, 0.25, 0.5, 0.75, 0.95), (value,) * 5, (value,) * 5, 30)
    assert value != next_value
    assert constant.percentile("best", next_value) == pytest.approx(0.5)
    assert constant.holds("best", 0.5, next_value)
    assert not constant.holds("best", 0.9, value - 1 / 137)
    assert constant.percentile("best", value - 1 / 137) == 0
