"""What each parameter has to do with the metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.finding import MATTERS
from refine.report.figures.look import points, style, tone
from refine.report.figures.style import area_mark, axes, label_letters, line_mark, shorten, title, wrapped
from refine.utils.format import p_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refine.analysis.analysis import Analysis
    from refine.analysis.evidence import ParameterEvidence


def correlation(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Ranked chart of what each parameter has to do with the metric.

    Parameters with an order show Spearman's rank correlation, those without the square root of epsilon
    squared, which has no sign, as a hatched bar with a diamond; both with 95 % intervals. Parameters with
    q <= 0.1 are coloured.

    Args:
        analysis: Of :func:`refine.analyze`.
        ax: Axes to draw into; default those of a new figure.
    """
    shown = analysis.ranked
    with style():
        ax = axes(ax, 1.5 + 0.3 * max(1, len(shown)))
        for row, e in enumerate(shown):
            _effect_row(ax, row, e, analysis.findings[e.name].verdict == MATTERS)
        ax.axvline(0, color=tone().grey, linewidth=1)
        ax.set_yticks(range(len(shown)), [wrapped(e.name, label_letters(26)) for e in shown])
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_xlim(-1.02, 1.02)
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(f"rank correlation with {shorten(analysis.metric)}; without an order: √ε², no sign")
        marks: list[Any] = [line_mark("ordered", tone().ink, marker="o", linewidth=1.4)]
        if any(e.association for e in shown):
            marks.append(line_mark("unordered", tone().ink, marker="D", linewidth=1.4))
        marks += [area_mark("q ≤ 0.1", tone().blue, alpha=0.45), area_mark("no effect seen", tone().light)]
        title(
            ax,
            f"What {shorten(analysis.metric, 18)} depends on ({analysis.n_space_filling:,} trials, 95 % intervals)",
            marks,
        )
    return ax


def _effect_row(ax: Axes, row: int, e: ParameterEvidence, matters: bool) -> None:
    color = tone().blue if matters else tone().light
    edge = tone().blue if matters else tone().grey
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
        fontsize=points(8),
        color=tone().ink if matters else tone().grey,
    )
