"""Figures, one function each. They draw what was measured and measure nothing.

Every function but :func:`curves`, which needs several, takes ``ax=None`` and returns the axes; a new figure is made outside pyplot, so that drawing
neither opens windows nor touches anybody's settings. :func:`save` writes one as PNG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine.errors import AnalysisError
from refine.figures_curves import curves
from refine.figures_density import density, density_2d
from refine.figures_ledger import reliability
from refine.figures_pairs import pair
from refine.figures_population import edf
from refine.figures_style import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    View,
    axes,
    save,
    shorten,
    style,
    thinned,
    title,
    wrapped,
)
from refine.trials import check_direction
from refine.words import p_value, score

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from refine.analysis import Analysis
    from refine.parameter_evidence import ParameterEvidence

__all__ = [
    "best_so_far",
    "correlation",
    "curves",
    "density",
    "density_2d",
    "edf",
    "pair",
    "reliability",
    "save",
]

Floats = npt.NDArray[np.float64]


def correlation(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Ranked chart of what each parameter has to do with the metric.

    Parameters with an order show Spearman's rank correlation, those without the square root of epsilon
    squared, which has no sign, as a hatched bar with a diamond; both with 95 % intervals. Parameters with
    q <= 0.1 are coloured.

    Args:
        analysis: Of :func:`refine.analyze`.
        ax: Axes to draw into; default those of a new figure.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = analysis.ranked
    with style():
        ax = axes(ax, 1.5 + 0.3 * max(1, len(shown)))
        for row, e in enumerate(shown):
            _effect_row(ax, row, e)
        ax.axvline(0, color=GREY, linewidth=1)
        ax.set_yticks(range(len(shown)), [wrapped(e.name, 26) for e in shown])
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_xlim(-1.02, 1.02)
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(f"rank correlation with {shorten(analysis.metric)}; without an order: √ε², no sign")
        marks: list[Any] = [Line2D([], [], color=INK, marker="o", linewidth=1.4, label="ordered")]
        if any(e.association for e in shown):
            marks.append(Line2D([], [], color=INK, marker="D", linewidth=1.4, label="unordered"))
        marks += [
            Patch(color=BLUE, alpha=0.45, label="q ≤ 0.1"),
            Patch(color=LIGHT, label="not seen to matter"),
        ]
        title(ax, f"What {analysis.metric} depends on ({analysis.n_even:,} trials, 95 % intervals)", marks)
    return ax


def _effect_row(ax: Axes, row: int, e: ParameterEvidence) -> None:
    color = BLUE if e.matters else LIGHT
    edge = BLUE if e.matters else GREY
    if e.correlation is not None:
        at, low, high = e.correlation.estimate, e.correlation.low, e.correlation.high
        marker, hatch = "o", None
    else:
        assert e.association is not None
        at = e.effect
        low, high = (float(np.sqrt(max(0.0, v))) for v in (e.association.low, e.association.high))
        marker, hatch = "D", "////"
    if np.isfinite(at):
        ax.barh(row, at, height=0.56, color=color, alpha=0.45, hatch=hatch, edgecolor=edge, linewidth=0)
        ax.plot(at, row, marker, color=edge, markersize=5)
        if np.isfinite(low) and np.isfinite(high):
            ax.plot([low, high], [row, row], color=edge, linewidth=1.6, solid_capstyle="butt")
    note = "never read" if e.read == 0 else f"q {p_value(e.q)}"
    ax.text(
        1.015,
        row,
        note,
        transform=ax.get_yaxis_transform(),
        va="center",
        fontsize=8,
        color=INK if e.matters else GREY,
    )


def best_so_far(
    table: pd.DataFrame,
    direction: str,
    metric: str = "value",
    ax: Axes | None = None,
    worthy: npt.ArrayLike | None = None,
) -> Axes:
    """Every trial's value in the table's order, and the best up to each.

    Args:
        table: Trials, with ``value`` and, optionally, ``state``.
        direction: ``"maximize"`` or ``"minimize"``.
        metric: How to call the value.
        ax: Axes to draw into; default those of a new figure.
        worthy: (n,) mask of the trials that may be called best; default all that have a value.

    Raises:
        AnalysisError: No trial has a value, or ``direction`` is neither.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    check_direction(direction)
    y = np.asarray(table["value"], dtype=float)
    finished = np.isfinite(y)
    if "state" in table:
        finished &= (table["state"] == "complete").to_numpy()
    may_win = finished if worthy is None else finished & np.asarray(worthy, dtype=np.bool_)
    if not may_win.any():
        raise AnalysisError("best_so_far: no trial has a value yet; run the round first")
    at = np.arange(1, len(y) + 1)
    better = np.maximum if direction == "maximize" else np.minimum
    worst = -np.inf if direction == "maximize" else np.inf
    best = better.accumulate(np.where(may_win, y, worst))
    view = View(y[finished], direction)
    with style():
        ax = axes(ax, 2.8)
        few = thinned(finished & view.inside(y))
        ax.plot(at[few], y[few], ".", color=GREY, alpha=0.6, markersize=4, markeredgewidth=0, rasterized=True)
        drawn = np.isfinite(best)
        ax.step(at[drawn], best[drawn], where="post", color=BLUE, linewidth=2)
        last = float(best[-1])
        first = int(np.argmax(best == last))
        ax.plot(at[first], last, "o", color=ORANGE, markersize=6, zorder=5)
        marks = [
            Line2D([], [], color=BLUE, linewidth=2, label="best so far"),
            Line2D(
                [], [], color=ORANGE, marker="o", linewidth=0, label=f"{score(last)} at trial {at[first]:,}"
            ),
            Line2D([], [], color=GREY, marker=".", linewidth=0, label="trial"),
        ]
        if not finished.all():
            bad = at[~finished]
            ax.plot(
                bad,
                np.full(len(bad), 0.02 if direction == "maximize" else 0.98),
                "x",
                color=INK,
                markersize=4,
                markeredgewidth=0.9,
                transform=ax.get_xaxis_transform(),
            )
            marks.append(
                Line2D(
                    [],
                    [],
                    color=INK,
                    marker="x",
                    markersize=4,
                    linewidth=0,
                    label=f"without a value ({len(bad):,})",
                )
            )
        ax.set_xlim(0.5 - 0.01 * len(y), len(y) + 0.5 + 0.01 * len(y))
        ax.set_ylim(view.low, view.high)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y")
        ax.set_xlabel("trial")
        ax.set_ylabel(shorten(metric))
        title(ax, f"Best {metric} so far", marks, note=view.note)
    return ax
