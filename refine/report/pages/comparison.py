"""What comparisons show of themselves: two rounds, their populations."""

from __future__ import annotations

from refine.analysis.population import RoundComparison
from refine.report.pages.space import Row, difference_grid, difference_line
from refine.tree.comparison import Comparison
from refine.utils.action import Action
from refine.utils.display import Facts, Fold, Page, Text
from refine.utils.format import join, p_value, percent, score
from refine.utils.provided import page_for

_NO_POPULATIONS = (
    "Their trials can't be compared as populations: they are judged by different metrics, some were stopped early, or one "
    "has fewer than two finished space-filling trials."
)


@page_for(Comparison)
def comparison_page(found: Comparison) -> Page:
    """The best of both, what differs and whether the population improved; folded, everything side by side."""
    metric, populations, best = found.rounds[0].metric, found.populations, [score(v) for v in found.best]
    space, population = "Both search the same space.", _NO_POPULATIONS
    if found.space:
        space = f"{difference_line(found.space)}: keeps {percent(found.volume_kept)}."
    if populations is not None:
        population = f"{population_verdict(populations)}."
    facts = [("Best", f"{metric} {best[0]}, then {best[1]}."), ("Space", space)]
    if found.other:
        facts.append(
            ("Other", f"{join(list(found.other))} {'differs' if len(found.other) == 1 else 'differ'}.")
        )
    facts.append(("Trials", population))
    more: list[Row] = [(name, str(x), str(y), "") for name, (x, y) in found.other.items()]
    more += [(f"best observed {metric}", *best, ""), ("configurations", *(f"{n:,}" for n in found.n), "")]
    grid = difference_grid(found.space, ("what", found.a, found.b, "levels"), tuple(more))
    folds = [Fold("What differs", (grid,), "table")]
    if populations is not None:
        said = Text(population_sentence(populations, found.b, found.a))
        folds.append(Fold("The trials", (said,), "trials"))
    calls = (Action("comparison.report", "reports"), Action("comparison.why"))
    return Page(f"{found.a} -> {found.b}", (Facts(tuple(facts)),), calls, tuple(folds))


CAUTION = (
    "This round's space was chosen after its parent's trials were seen; the trials compared here were drawn after that "
    "choice, without looking at results. The parent's were not drawn again, and configurations that had run before were left "
    "out, so what the parent found best does not count for this round. A better population is no proof of a better best "
    "trial."
)
"""What the comparison does not say."""

_POPULATIONS = {
    "better": "The population improved",
    "worse": "The population got worse",
    "unclear": "No improvement of the population is seen",
}


def population_sentence(
    found: RoundComparison, child: str = "this round", parent: str = "its parent's"
) -> str:
    """The probability with its interval, the distance with its p-value, and what follows, of rounds under these names."""
    c = found.comparison
    return (
        f"A trial of {child} beats one of {parent} with probability {c.better:.2f} (95 % interval {c.low:.2f} to "
        f"{c.high:.2f}); the distributions differ by at most {c.ks:.2f} (Kolmogorov-Smirnov, p {p_value(c.ks_p)}). "
        f"{population_verdict(found)}."
    )


def population_verdict(found: RoundComparison) -> str:
    """What follows, in a few words."""
    spread = ", but its spread differs" if found.verdict == "unclear" and found.spread_differs else ""
    return f"{_POPULATIONS[found.verdict]}{spread}"
