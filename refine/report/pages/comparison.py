"""What a comparison of two rounds shows of itself."""

from __future__ import annotations

from dataclasses import replace

from refine.report.pages.difference import difference_grid, difference_line
from refine.report.pages.population import population_sentence, population_verdict
from refine.tree.comparison import Comparison
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Fold, Page, Text
from refine.utils.format import join, percent, score
from refine.utils.provided import page_for

_NO_POPULATIONS = (
    "Their trials can't be compared as populations: they are judged by different metrics, some were stopped early, or one "
    "has fewer than two finished space-filling trials."
)


@page_for(Comparison)
def comparison_page(found: Comparison) -> Page:
    """The best of both, what differs and whether the population improved; folded, everything side by side."""
    metric, populations = found.rounds[0].metric, found.populations
    space = (
        f"{difference_line(found.space)}: keeps {percent(found.volume_kept)}."
        if found.space
        else "Both search the same space."
    )
    facts: list[tuple[str, str | Cell]] = [
        ("Best", f"{metric} {score(found.best[0])}, then {score(found.best[1])}."),
        ("Space", space),
    ]
    if found.other:
        facts.append(
            ("Other", f"{join(list(found.other))} {'differs' if len(found.other) == 1 else 'differ'}.")
        )
    facts.append(
        ("Trials", _NO_POPULATIONS if populations is None else f"{population_verdict(populations)}.")
    )
    more = [(name, str(x), str(y), "") for name, (x, y) in found.other.items()]
    more.append((f"best observed {metric}", score(found.best[0]), score(found.best[1]), ""))
    more.append(("configurations", f"{found.n[0]:,}", f"{found.n[1]:,}", ""))
    grid = replace(
        difference_grid(found.space, found.a, found.b, tuple(more)), head=("what", found.a, found.b, "levels")
    )
    folds = [Fold("What differs", (grid,), "table")]
    if populations is not None:
        folds.append(
            Fold("The trials", (Text(population_sentence(populations, found.b, found.a)),), "trials")
        )
    calls = (Action("comparison.report", "reports"), Action("comparison.why"))
    return Page(f"{found.a} -> {found.b}", (Facts(tuple(facts)),), calls, tuple(folds))
