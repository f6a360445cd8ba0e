"""What a comparison of two rounds shows of itself."""

from __future__ import annotations

from refine.report.pages.population import population_sentence
from refine.space.edits import bounds_text, strip
from refine.tree.comparison import Comparison
from refine.utils.display import Block, Cell, Grid, Page, Text
from refine.utils.format import percent, score
from refine.utils.provided import page_for


@page_for(Comparison)
def comparison_page(found: Comparison) -> Page:
    """Parameters side by side, then settings, best values and populations."""
    metric = found.rounds[0].metric
    rows: list[tuple[str | Cell, ...]] = [
        (Cell(n, "strong"), bounds_text(p), bounds_text(q), strip(p, q))
        for n, (p, q) in found.space.changed.items()
    ]
    rows += [
        (Cell(n, "strong"), Cell("-", "faint"), bounds_text(p), "added") for n, p in found.space.added.items()
    ]
    rows += [
        (Cell(n, "strong"), bounds_text(p), Cell("-", "faint"), "removed")
        for n, p in found.space.removed.items()
    ]
    rows += [("constraint", "-", c, "added") for c in found.space.constraints_added]
    rows += [("constraint", c, "-", "removed") for c in found.space.constraints_removed]
    rows += [(name, str(x), str(y), "") for name, (x, y) in found.other.items()]
    rows.append((f"best {metric}", score(found.best[0]), score(found.best[1]), ""))
    rows.append(("configurations", f"{found.n[0]:,}", f"{found.n[1]:,}", ""))
    blocks: list[Block] = [Grid(("what", found.a, found.b, "levels"), tuple(rows))]
    blocks.append(Text(f"The second space keeps {percent(found.volume_kept)} of the first."))
    if found.populations is not None:
        blocks.append(Text(population_sentence(found.populations, found.b, found.a)))
    return Page(f"{found.a} -> {found.b}", tuple(blocks), ('.report("reports")',))
