"""The reliability figure: rows for a few forecasts, a curve for many."""

import pytest
from looks import inside, legend
from scipy.stats import norm

from refine.errors import AnalysisError
from refine.report import figures
from refine.report.figures.theme import tone
from refine.review.calibration import Calibration, ChildOutcome, Entry
from refine.review.decision import Decision
from refine.stats import Forecast
from refine.stats.simulation import LEVELS
from tests.reading import numbers_in


def _ledger(places, direction="maximize", spread=0.02):
    """Entries whose median lies so many forecast deviations above the forecast's median; best likewise."""
    sign = 1.0 if direction == "maximize" else -1.0
    entries = []
    for i, place in enumerate(places):
        base = sign * (0.9 + 0.01 * i)
        quantiles = tuple(float(v) for v in base + spread * norm.ppf(LEVELS))
        best = tuple(float(v) + sign * 0.05 for v in quantiles)
        forecast = Forecast(LEVELS, quantiles, best, 3)
        median = base + sign * place * spread
        space_filling = (median - sign * 0.01, median, base + sign * (0.05 + 0.5 * spread))
        d = Decision(
            kind="accepted",
            proposal="x",
            space=None,
            edits={},
            rejected=(),
            child=f"{i:012x}",
            note="",
            author="ann",
            forecast=forecast,
        )
        entries.append(Entry("root", d, None, ChildOutcome(3, 3, space_filling, float("nan"), (), direction)))
    return Calibration("q", tuple(entries))


def _points(ax, color):
    return [line for line in ax.lines if line.get_markeredgecolor() == color and len(line.get_xdata()) == 1]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_every_scored_forecast_is_a_row(direction):
    ax = figures.reliability(_ledger([0.0, 1.0, -2.5], direction))
    assert [t.get_text() for t in ax.get_yticklabels()] == [f"{i:012x}" for i in range(3)]
    medians = _points(ax, tone().blue)
    # Better is to the right whatever the direction; 1 is half the 90 % interval.
    assert [float(p.get_xdata()[0]) for p in medians] == pytest.approx(
        [0, 1 / norm.ppf(0.95), -2.5 / norm.ppf(0.95)], abs=1e-6
    )
    assert [p.get_markerfacecolor() for p in medians] == [tone().blue, tone().blue, "white"]
    assert [p.get_markerfacecolor() for p in _points(ax, "#D55E00")] == ["#D55E00"] * 3
    low, high = ax.get_xlim()
    assert all(low < p.get_xdata()[0] < high for p in medians)
    assert numbers_in(legend(ax)[-1]) == ["90"]  # percent of the interval
    inside(ax)


def test_a_ledger_without_scores_has_no_figure():
    with pytest.raises(AnalysisError, match="^reliability:"):
        figures.reliability(Calibration("q", ()))
