"""What each parameter has to do with the metric, in one study and in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refine.analysis.finding import MATTERS
from refine.report.figures.canvas import axes, title
from refine.report.figures.labels import beside_rows, shorten
from refine.report.figures.marks import area_mark, beside, interval, line_mark, named_rows
from refine.report.figures.theme import drawing, tone
from refine.utils.format import p_value, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from refine.analysis.analysis import Analysis
    from refine.analysis.evidence import ParameterEvidence
    from refine.tree.comparison import StudyComparison

WORDS = {"alike": "alike", "partly": "partly alike", "apart": "apart", "unknown": "matters in neither"}


@drawing
def correlation(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Ranked chart of what each parameter has to do with the metric.

    Parameters with an order show Spearman's rank correlation, those without the square root of epsilon
    squared, which has no sign, as a hatched bar with a diamond; both with 95 % intervals. Parameters with
    q <= 0.1 are coloured.
    """
    shown = analysis.ranked
    ax = axes(ax, 1.5 + 0.3 * max(1, len(shown)))
    for row, e in enumerate(shown):
        _effect(ax, row, e, analysis.findings[e.name].verdict == MATTERS)
    metric = shorten(analysis.metric)
    _effect_axis(
        ax, [e.name for e in shown], f"rank correlation with {metric}; without an order: √ε², no sign"
    )
    marks: list[Any] = [line_mark("ordered", marker="o", linewidth=1.4)]
    if any(e.association for e in shown):
        marks.append(line_mark("unordered", marker="D", linewidth=1.4))
    marks += [area_mark("q ≤ 0.1", tone().blue, alpha=0.45), area_mark("no effect seen", tone().light)]
    trials = f"{analysis.n_space_filling:,} trials, 95 % intervals"
    title(ax, f"What {shorten(analysis.metric, 18)} depends on ({trials})", marks)
    return ax


def _effect(ax: Axes, row: int, e: ParameterEvidence, matters: bool) -> None:
    color, edge = (tone().blue, tone().blue) if matters else (tone().light, tone().grey)
    if e.correlation is not None:
        (at, low, high), marker, hatch = e.correlation[:3], "o", None
    else:
        assert e.association is not None
        at, marker, hatch = e.effect, "D", "////"
        low, high = (float(np.sqrt(max(0.0, v))) for v in (e.association.low, e.association.high))
    if np.isfinite(at):
        ax.barh(row, at, height=0.56, color=color, alpha=0.45, hatch=hatch, edgecolor=edge, linewidth=0)
        ax.plot(at, row, marker, color=edge, markersize=5)
        interval(ax, low, high, row, edge)
    note = "never read" if e.read == 0 else f"q {p_value(e.q)}"
    beside(ax, row, note, tone().ink if matters else tone().grey)


def _effect_axis(ax: Axes, names: Sequence[str], label: str) -> None:
    ax.axvline(0, color=tone().grey, linewidth=1)
    named_rows(ax, [beside_rows(name) for name in names])
    ax.set_xlim(-1.02, 1.02)
    ax.set_xlabel(label)


@drawing
def studies(comparison: StudyComparison, ax: Any = None) -> Any:
    """Effects in both studies with 95 % intervals, a row per parameter, the most alike first; pale where it isn't seen to matter."""
    rows, colours = comparison.parameters, (tone().blue, tone().orange)
    ax = axes(ax, 1.6 + 0.42 * len(rows))
    for at, row in enumerate(rows):
        for side, color, place in zip((row.first, row.second), colours, (at - 0.15, at + 0.15), strict=True):
            pale = 1.0 if side.matters else 0.35
            interval(ax, side.low, side.high, place, color, alpha=pale)
            if np.isfinite(side.effect):
                ax.plot(
                    side.effect, place, "o" if row.ordered else "D", color=color, markersize=5, alpha=pale
                )
        overlap = "" if row.verdict == "unknown" else f" ({percent(row.overlap)})"
        beside(ax, at, f"{WORDS[row.verdict]}{overlap}")
    label = "rank correlation with what is better (◆ without an order: √ε², no sign)"
    _effect_axis(ax, [row.name for row in rows], label)
    names = zip(comparison.names, colours, strict=True)
    marks = [line_mark(shorten(name, 24), color, marker="o", linewidth=1.6) for name, color in names]
    title(ax, "Which parameters behave alike", marks)
    return ax
