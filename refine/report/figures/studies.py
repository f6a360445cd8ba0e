"""Figure of two studies: what every shared parameter has to do with what is better, in both."""

from __future__ import annotations

from typing import Any

import numpy as np

from refine.report.figures.look import points, style, tone
from refine.report.figures.style import axes, label_letters, line_mark, shorten, title, wrapped
from refine.tree.studies import StudyComparison
from refine.utils.format import percent

WORDS = {"alike": "alike", "partly": "partly alike", "apart": "apart", "unknown": "matters in neither"}


def studies(found: StudyComparison, ax: Any = None) -> Any:
    """Effects in both studies with 95 % intervals, a row per parameter, the most alike first; pale where it isn't seen to matter.

    Args:
        found: Of :meth:`refine.Tree.compare`.
        ax: Axes to draw into; default those of a new figure.
    """
    rows = found.parameters
    with style():
        ax = axes(ax, 1.6 + 0.42 * len(rows))
        for at, row in enumerate(rows):
            for side, color, shift in ((row.first, tone().blue, -0.15), (row.second, tone().orange, 0.15)):
                pale = 1.0 if side.matters else 0.35
                marker = "o" if row.ordered else "D"
                if np.isfinite(side.low) and np.isfinite(side.high):
                    ax.plot([side.low, side.high], [at + shift] * 2, color=color, linewidth=1.6, alpha=pale)
                if np.isfinite(side.effect):
                    ax.plot(side.effect, at + shift, marker, color=color, markersize=5, alpha=pale)
            note = (
                WORDS[row.verdict]
                if row.verdict == "unknown"
                else f"{WORDS[row.verdict]} ({percent(row.overlap)})"
            )
            ax.text(
                1.015,
                at,
                note,
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize=points(8),
                color=tone().grey,
            )
        ax.axvline(0, color=tone().grey, linewidth=1)
        ax.set_yticks(range(len(rows)), [wrapped(row.name, label_letters(26)) for row in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(-1.02, 1.02)
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("rank correlation with what is better (◆ without an order: √ε², no sign)")
        marks = [
            line_mark(shorten(name, 24), color, marker="o", linewidth=1.6)
            for name, color in zip(found.names, (tone().blue, tone().orange), strict=True)
        ]
        title(ax, "Which parameters behave alike", marks)
    return ax
