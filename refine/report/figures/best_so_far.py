"""Every trial's value, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine.analysis.metric_view import MetricView
from refine.errors import AnalysisError
from refine.report.figures.look import style, tone
from refine.report.figures.metric_axis import hidden_note, metric_axis
from refine.report.figures.style import axes, dot_mark, line_mark, shorten, thinned, title
from refine.trials.goal import check_direction, sign_of
from refine.utils.format import score

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def best_so_far(
    table: pd.DataFrame,
    direction: str,
    metric: str = "value",
    ax: Axes | None = None,
    candidates: npt.ArrayLike | None = None,
) -> Axes:
    """Every trial's value in the table's order, and the best up to each.

    Args:
        table: Trials, with ``value`` and, optionally, ``state``.
        direction: ``"maximize"`` or ``"minimize"``.
        metric: How to call the value.
        ax: Axes to draw into; default those of a new figure.
        candidates: (n,) mask of the trials that may be called best; default all that have a value.

    Raises:
        AnalysisError: No trial has a value, or ``direction`` is neither.
    """
    from matplotlib.ticker import MaxNLocator

    check_direction(direction)
    y = np.asarray(table["value"], dtype=float)
    finished = np.isfinite(y)
    if "state" in table:
        finished &= (table["state"] == "complete").to_numpy()
    may_win = finished if candidates is None else finished & np.asarray(candidates, dtype=np.bool_)
    if not may_win.any():
        raise AnalysisError("best_so_far: no trial has a value yet; run the round first")
    at = np.arange(1, len(y) + 1)
    sign = sign_of(direction)
    best = sign * np.maximum.accumulate(np.where(may_win, sign * y, -np.inf))
    view = MetricView(y[finished], direction)
    with style():
        ax = axes(ax, 2.8)
        few = thinned(finished & view.inside(y))
        size = 4 if len(few) > 100 else 6.5
        ax.plot(
            at[few],
            y[few],
            ".",
            color=tone().grey,
            alpha=0.6,
            markersize=size,
            markeredgewidth=0,
            rasterized=True,
        )
        drawn = np.isfinite(best)
        ax.step(at[drawn], best[drawn], where="post", color=tone().blue, linewidth=2)
        last = float(best[-1])
        first = int(np.argmax(best == last))
        ax.plot(at[first], last, "o", color=tone().orange, markersize=6, zorder=5)
        marks = [
            line_mark("best so far", tone().blue, linewidth=2),
            dot_mark(f"{score(last)} at trial {at[first]:,}", tone().orange),
            dot_mark("trial", tone().grey, "."),
        ]
        if not finished.all():
            bad = at[thinned(~finished)]
            # Crosses that would cover each other become strokes.
            dense = len(bad) > 80
            look: dict[str, Any] = {"marker": "|" if dense else "x", "color": tone().ink, "linewidth": 0}
            look |= {"markersize": 4, "markeredgewidth": 0.6 if dense else 0.9}
            ax.plot(
                bad, np.full(len(bad), 0.02 if sign > 0 else 0.98), transform=ax.get_xaxis_transform(), **look
            )
            marks.append(line_mark(f"without a value ({(~finished).sum():,})", **look))
        ax.set_xlim(0.5 - 0.01 * len(y), len(y) + 0.5 + 0.01 * len(y))
        metric_axis(ax, view, metric)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y")
        ax.set_xlabel("trial")
        title(ax, f"Best {shorten(metric, 40)} so far", marks, note=hidden_note(view))
    return ax
