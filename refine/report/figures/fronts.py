"""What no trial beats: the metric against time, and several goals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.analysis.best_trials import cost_of
from refine.analysis.metric_view import MetricView
from refine.errors import AnalysisError
from refine.report.figures.axes import hidden_note, log_ticks, metric_axis
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import shorten
from refine.report.figures.marks import area_mark, dot_mark, dots, line_mark, thinned
from refine.report.figures.theme import drawing, tone
from refine.stats.pareto import non_dominated
from refine.trials.frame import front_rows, infeasible_rows, metric_title
from refine.utils.arrays import Floats
from refine.utils.format import duration, score

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from refine.trials.goal import Goal

_FACTOR = 20.0  # of longest to shortest time, from which on the axis is logarithmic


@drawing
def cost(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """The metric against the time of every trial: what is better costs how much more.

    The line is the Pareto front: trials that no other beats in both. Marked are the best trial and the cheapest one
    within the noise of the best, one standard deviation of retraining. All of the round's finished trials that may
    be called best count, exploit trials too. Times of trials that ran beside each other are longer than alone.

    Raises:
        AnalysisError: No trial that may be called best has a time.
    """
    costs = cost_of(analysis)
    x, y, best, cheapest, on, noise = costs[:6]
    view, ax, c = MetricView(y, analysis.direction), axes(ax, 3.4), tone()
    few = thinned(view.inside(y))
    dots(ax, x[few], y[few])
    steps = np.append(x[on], x.max()), np.append(y[on], y[on][-1])
    ax.plot(*steps, color=c.blue, drawstyle="steps-post", linewidth=1.6, gid="front")
    ax.plot(x[on], y[on], "o", color=c.blue, markersize=3.5, zorder=3)
    ax.plot(x[cheapest], y[cheapest], "D", color=c.green, markersize=7, zorder=5, gid="cheapest")
    ax.plot(x[best], y[best], "o", color=c.orange, markersize=6.5, zorder=6, gid="best")
    words = "cheapest within noise" if noise > 0 else "cheapest as good"
    marks: list[Any] = [
        dot_mark(f"best: {score(y[best])}, {duration(x[best])}", c.orange),
        dot_mark(f"{words}: {score(y[cheapest])}, {duration(x[cheapest])}", c.green, "D"),
        line_mark("Pareto front", c.blue, linewidth=1.6),
    ]
    if noise > 0:
        ends = sorted((y[best], y[best] - analysis.sign * noise))
        ax.axhspan(*ends, color=c.light, alpha=0.45, linewidth=0, zorder=0, gid="noise")
        marks.append(area_mark(f"noise ({score(noise)})", c.light, alpha=0.6))
    _time_axis(ax, x)
    metric_axis(ax, view, analysis.metric)
    ax.grid()
    notes = [hidden_note(view), f"{costs.untimed:,} without a time" if costs.untimed else ""]
    notes += [] if np.isfinite(noise) else ["noise unknown"]
    title(ax, f"{shorten(analysis.metric, 24)} against time", marks, note="; ".join(filter(None, notes)))
    return ax


def _time_axis(ax: Axes, x: Floats) -> None:
    low, high = float(x.min()), float(x.max())
    if high > _FACTOR * low:
        log_ticks(ax, "x", low, high / 2)
        pad = (high / low) ** 0.03
        ax.set_xlim(low / pad, high * pad)
    else:
        pad = 0.04 * (high - low) or 0.5 * high
        ax.set_xlim(low - pad, high + pad)
    ax.set_xlabel("time of a trial" + (" (log scale)" if high > _FACTOR * low else ""))
    ax.xaxis.set_major_formatter(lambda v, _: duration(v))


@drawing
def front(frame: pd.DataFrame, goals: Sequence[Goal], space: Iterable[str], ax: Axes | None = None) -> Axes:
    """Every finished trial by its first two goals, with the front.

    The line is the front of the two goals shown. With three goals, trials that only the third one keeps on the front are
    marked as well. Crosses are trials that don't meet every metric constraint. ``space`` are names of parameters.

    Raises:
        AnalysisError: The round has one goal, or no trial has a value in every goal.
    """
    if len(goals) < 2:
        raise AnalysisError(
            "a front needs two or three goals, got one; tree.add_round(..., metric=[Goal(...), Goal(...)])"
        )
    names = list(space)
    best = front_rows(frame, goals, names)
    if not len(best):
        raise AnalysisError("no trial has a value in every goal yet; run the round first")
    first, second = goals[:2]
    columns = metric_title(second.metric.name, names), "value"
    values = np.column_stack([np.asarray(frame[c], dtype=float) for c in columns])
    on, broken = values[frame.index.isin(best.index)], infeasible_rows(frame)
    both = on[non_dominated(on * np.array([second.sign, first.sign]))]
    both = both[np.argsort(both[:, 0])]
    ax = axes(ax, 3.4)
    dots(ax, *values[~broken].T, markersize=6.5)
    text = f"front: {len(on)} of {len(frame)}"
    marks = [line_mark(text, tone().blue, marker="o", linewidth=1.2, markersize=4)]
    if broken.any():
        cross: dict[str, Any] = {"color": tone().orange, "marker": "x", "linewidth": 0, "markersize": 4}
        ax.plot(*values[broken].T, alpha=0.6, **cross)
        marks.append(line_mark("infeasible", **cross))
    # What a point of the front dominates lies on the worse side of it in the second goal.
    steps = "steps-pre" if second.sign > 0 else "steps-post"
    ax.plot(*both.T, color=tone().blue, linewidth=1.2, drawstyle=steps, gid="front")
    ax.plot(*on.T, "o", color=tone().blue, markersize=4, zorder=3)
    ax.set_xlabel(f"{shorten(str(second.metric), 30)} ({second.direction})")
    ax.set_ylabel(f"{shorten(str(first.metric), 24)} ({first.direction})")
    ax.grid()
    title(ax, f"{shorten(str(first.metric), 20)} against {shorten(str(second.metric), 20)}", marks)
    return ax
