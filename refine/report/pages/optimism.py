"""What the optimism of a best value shows of itself."""

from __future__ import annotations

import numpy as np

from refine.analysis.optimism import Optimism
from refine.report.pages.reasons import sentence
from refine.utils.action import Action
from refine.utils.display import Cell, Items, Page
from refine.utils.format import plural, score
from refine.utils.provided import page_for


@page_for(Optimism)
def optimism_page(found: Optimism) -> Page:
    """The best value, and what it is worth by each correction."""
    lines: list[str | Cell] = []
    if np.isfinite(found.expected):
        lines.append(f"expected when trained again, by the noise alone: {score(found.expected)}")
    if found.seeds is None:
        lines.append("new seeds: not run again yet")
    else:
        s = found.seeds
        runs = f"{plural(s.runs, 'run')}, {found.failed} without a usable model"
        lines.append(f"new seeds: {score(s.value)} (95 % interval {score(s.low)} to {score(s.high)}, {runs})")
    if found.examples is not None:
        e = found.examples
        of = f"best of {plural(e.models, 'model')} on {plural(e.examples, 'example')} {score(e.best)}"
        lines.append(
            f"other examples: {score(e.value)} (95 % interval {score(e.low)} to {score(e.high)}, {of})"
        )
    elif found.why_not is not None:
        lines.append(f"other examples: not known. {sentence(found.why_not)}")
    calls = (Action("round.replicate", top=5, seeds=3),) if found.seeds is None else ()
    return Page(f"best observed {found.metric} {score(found.best)}", (Items(tuple(lines)),), calls)
