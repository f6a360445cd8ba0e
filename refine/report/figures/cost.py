"""Figure of the check 'cost': is there a cheaper trial that is as good?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.best_trials import cost_of
from refine.analysis.metric_view import MetricView
from refine.report.figures.look import style, tone
from refine.report.figures.metric_axis import hidden_note, metric_axis
from refine.report.figures.style import area_mark, axes, line_mark, shorten, thinned, title
from refine.utils.arrays import Floats
from refine.utils.format import duration, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_FACTOR = 20.0  # of longest to shortest time, from which on the axis is logarithmic


def cost(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """The metric against the time of every trial: what is better costs how much more.

    The line is the Pareto front: trials that no other beats in both. Marked are the best trial and the cheapest one
    within the noise of the best, one standard deviation of retraining. All of the round's finished trials that may
    be called best count, exploit trials too. Times of trials that ran beside each other are longer than alone.

    Args:
        analysis: Of :func:`refine.analyze`.
        ax: Axes to draw into; default those of a new figure.

    Raises:
        AnalysisError: No trial that may be called best has a time.
    """
    found = cost_of(analysis)
    x, y, best, cheapest, front, noise = found[:6]
    known = bool(np.isfinite(noise))
    view = MetricView(y, analysis.direction)
    with style():
        ax = axes(ax, 3.4)
        if known and noise > 0:
            ends = (y[best], y[best] - analysis.sign * noise)
            ax.axhspan(
                min(ends), max(ends), color=tone().light, alpha=0.45, linewidth=0, zorder=0, gid="noise"
            )
        few = thinned(view.inside(y))
        look: dict[str, Any] = {
            "markersize": 4 if len(few) > 100 else 6.5,
            "alpha": 0.5,
            "markeredgewidth": 0,
        }
        ax.plot(x[few], y[few], ".", color=tone().grey, rasterized=True, **look)
        ends_at = np.append(x[front], x.max())
        ax.plot(
            ends_at,
            np.append(y[front], y[front][-1]),
            color=tone().blue,
            drawstyle="steps-post",
            linewidth=1.6,
            gid="front",
        )
        ax.plot(x[front], y[front], "o", color=tone().blue, markersize=3.5, zorder=3)
        ax.plot(x[cheapest], y[cheapest], "D", color=tone().green, markersize=7, zorder=5, gid="cheapest")
        ax.plot(x[best], y[best], "o", color=tone().orange, markersize=6.5, zorder=6, gid="best")
        _time_axis(ax, x)
        metric_axis(ax, view, analysis.metric)
        ax.grid()
        words = "cheapest within noise" if known and noise > 0 else "cheapest as good"
        dot: dict[str, Any] = {"linewidth": 0, "markersize": 6}
        marks: list[Any] = [
            line_mark(f"best: {score(y[best])}, {duration(x[best])}", tone().orange, marker="o", **dot),
            line_mark(
                f"{words}: {score(y[cheapest])}, {duration(x[cheapest])}", tone().green, marker="D", **dot
            ),
            line_mark("Pareto front", tone().blue, linewidth=1.6),
        ]
        if known and noise > 0:
            marks.append(area_mark(f"noise ({score(noise)})", tone().light, alpha=0.6))
        notes = [hidden_note(view)] if hidden_note(view) else []
        notes += [f"{found.untimed:,} without a time"] if found.untimed else []
        notes += ["noise unknown"] if not known else []
        title(ax, f"{shorten(analysis.metric, 24)} against time", marks, note="; ".join(notes))
    return ax


def _time_axis(ax: Axes, x: Floats) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_xlabel("time of a trial")
    if x.max() > _FACTOR * x.min():
        ax.set_xscale("log")
        few = x.max() < 300 * x.min()
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("time of a trial (log scale)")
        pad = (x.max() / x.min()) ** 0.03
        ax.set_xlim(x.min() / pad, x.max() * pad)
    else:
        pad = 0.04 * float(np.ptp(x)) or 0.5 * float(x.max())
        ax.set_xlim(x.min() - pad, x.max() + pad)
    ax.xaxis.set_major_formatter(lambda v, _: duration(v))
