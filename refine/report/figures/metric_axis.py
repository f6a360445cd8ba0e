"""The axis that shows a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refine.report.figures.style import shorten, wrapped
from refine.utils.format import number, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine.analysis.metric_view import MetricView


def metric_axis(ax: Axes, view: MetricView, metric: str, side: str = "y") -> None:
    """Scale, limits, ticks and label of the axis that shows the metric.

    Args:
        ax: The axes.
        view: Which part of the values is shown.
        metric: How to call it.
        side: ``"x"`` or ``"y"``: which axis.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    axis = ax.xaxis if side == "x" else ax.yaxis
    if view.log:
        (ax.set_xscale if side == "x" else ax.set_yscale)("log")
        few = view.high < 150 * view.low
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        axis.set_major_formatter(lambda v, _: number(v))
        axis.set_minor_formatter(NullFormatter())
    (ax.set_xlim if side == "x" else ax.set_ylim)(view.low, view.high)
    how = " (log scale)" if view.log else ""
    text = f"{shorten(metric, 60 - len(how))}{how}"
    axis.set_label_text(text if side == "x" else wrapped(text, 28))


def hidden_note(view: MetricView) -> str:
    """``12 trials below 0.91 not shown``, or nothing."""
    if not view.hidden:
        return ""
    end = view.low if view.side == "below" else view.high
    return f"{plural(view.hidden, 'trial')} {view.side} {number(end)} not shown"
