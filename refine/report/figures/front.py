"""Figure of several goals: which trials no other one beats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.errors import AnalysisError
from refine.report.figures.look import style, tone
from refine.report.figures.style import axes, line_mark, shorten, title
from refine.stats.pareto import non_dominated
from refine.trials.frame import front_rows, infeasible_rows, metric_title

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from refine.trials.goal import Goal


def front(frame: pd.DataFrame, goals: Sequence[Goal], space: Iterable[str], ax: Axes | None = None) -> Axes:
    """Every finished trial by its first two goals, with the front.

    The line is the front of the two goals shown. With three goals, trials that only the third one keeps on the front are
    marked as well. Crosses are trials that don't meet every metric constraint.

    Args:
        frame: One row per trial.
        goals: Two or three goals.
        space: Names of parameters.
        ax: Axes to draw into; default those of a new figure.

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
    columns = ["value", metric_title(second.metric.name, names)]
    points = np.column_stack([np.asarray(frame[c], dtype=float) for c in columns])
    on = points[frame.index.isin(best.index)]
    broken = infeasible_rows(frame)
    signs = np.array([first.sign, second.sign])
    both = on[non_dominated(on * signs)]
    both = both[np.argsort(both[:, 1])]
    with style():
        ax = axes(ax, 3.4)
        dot: dict[str, Any] = {"markersize": 6.5, "alpha": 0.5, "markeredgewidth": 0, "rasterized": True}
        ax.plot(points[~broken, 1], points[~broken, 0], ".", color=tone().grey, **dot)
        marks = [
            line_mark(
                f"front: {len(on)} of {len(frame)}", tone().blue, marker="o", linewidth=1.2, markersize=4
            )
        ]
        if broken.any():
            ax.plot(points[broken, 1], points[broken, 0], "x", color=tone().orange, markersize=4, alpha=0.6)
            marks.append(line_mark("infeasible", tone().orange, marker="x", linewidth=0, markersize=4))
        ax.plot(
            both[:, 1],
            both[:, 0],
            color=tone().blue,
            linewidth=1.2,
            drawstyle=_steps(second.sign),
            gid="front",
        )
        ax.plot(on[:, 1], on[:, 0], "o", color=tone().blue, markersize=4, zorder=3)
        ax.set_ylabel(f"{shorten(str(first.metric), 24)} ({first.direction})")
        ax.set_xlabel(f"{shorten(str(second.metric), 30)} ({second.direction})")
        ax.grid()
        title(ax, f"{shorten(str(first.metric), 20)} against {shorten(str(second.metric), 20)}", marks)
    return ax


def _steps(sign: float) -> str:
    """What a point of the front dominates lies on the worse side of it in the second goal."""
    return "steps-pre" if sign > 0 else "steps-post"
