"""What a comparison of two rounds shows of itself."""

from __future__ import annotations

from dataclasses import replace

from refine.report.pages.difference import difference_grid
from refine.report.pages.population import population_sentence
from refine.tree.comparison import Comparison
from refine.utils.action import Action
from refine.utils.display import Block, Page, Text
from refine.utils.format import percent, score
from refine.utils.provided import page_for


@page_for(Comparison)
def comparison_page(found: Comparison) -> Page:
    """Parameters side by side, then settings, best values and populations."""
    metric = found.rounds[0].metric
    more = [(name, str(x), str(y), "") for name, (x, y) in found.other.items()]
    more.append((f"best observed {metric}", score(found.best[0]), score(found.best[1]), ""))
    more.append(("configurations", f"{found.n[0]:,}", f"{found.n[1]:,}", ""))
    grid = replace(
        difference_grid(found.space, found.a, found.b, tuple(more)), head=("what", found.a, found.b, "levels")
    )
    blocks: list[Block] = [grid]
    blocks.append(Text(f"The second space keeps {percent(found.volume_kept)} of the first."))
    if found.populations is not None:
        blocks.append(Text(population_sentence(found.populations, found.b, found.a)))
    return Page(f"{found.a} -> {found.b}", tuple(blocks), (Action("comparison.report", "reports"),))
