"""Section of a report about coupled parameters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from refine.analysis.evidence import ALPHA
from refine.report import figures
from refine.report.markdown.rendering import drawn
from refine.report.markdown.round_facts import Facts, changed_bounds
from refine.report.markdown.text import slug, values_table
from refine.utils.format import p_value, plural, signed

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = 3
"""Pairs that are drawn, the clearest; the others stand in the table only."""


def pairs(facts: Facts, where: Path) -> dict[str, Any] | None:
    """Coupled parameters as a table and pictures of the clearest; ``None`` without any."""
    analysis = facts.analysis
    if analysis is None:
        return None
    names = [e.name for e in analysis.parameters]
    found = sorted(
        (p for p in analysis.pairs if p.q <= ALPHA), key=lambda p: (round(p.q, 3), -abs(p.statistic))
    )
    if not found:
        return None
    rows = []
    for p in found:
        ordered = all(analysis.parameters[k].parameter.ordered for k in (p.i, p.j))
        rows.append(
            [
                names[p.i],
                names[p.j],
                "rank correlation" if ordered else "Cramér's V",
                signed(p.statistic) if ordered else f"{p.statistic:.2f}",
                p_value(p.q).removeprefix("= "),
            ]
        )
    new, word = changed_bounds(facts)
    taken: set[str] = set()
    pictures = []
    for p in found[:PICTURES]:
        a, b = names[p.i], names[p.j]
        path = f"{facts.stem}/pair-{slug(f'{a}-{b}', taken)}.png"
        draw = partial(figures.pair, analysis, a, b, new, word)
        pictures.append(drawn(f"{a} and {b}: median {analysis.metric} by level", where, path, draw))
    legend = [
        f"The pictures show the median {analysis.metric} of the finished space-filling trials at every two levels, the lighter "
        "the better, and where the best ones lie. One or two trials at a place say little."
    ]
    if any(names[k] in new for p in found[:PICTURES] for k in (p.i, p.j)):
        legend.append(f"What is {word} is framed.")
    if len(found) > PICTURES:
        legend.append(f"{plural(len(found) - PICTURES, 'more pair')} of the table: not drawn.")
    return {
        "table": values_table(["parameter", "and", "measure", "among the best", "q"], rows),
        "pictures": pictures,
        "legend": " ".join(legend),
    }
