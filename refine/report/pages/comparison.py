"""What comparisons show of themselves: two rounds, their populations, two studies."""

from __future__ import annotations

from refine.analysis.population import RoundComparison
from refine.report.figures.matters import studies
from refine.report.pages.space import Row, difference_grid, difference_line
from refine.tree.comparison import Comparison, SharedParameter, Side, StudyComparison
from refine.utils.action import Action
from refine.utils.display import Block, Cell, Facts, Fold, Grid, Page, Text
from refine.utils.format import join, number, p_value, percent, score, signed
from refine.utils.provided import page_for, provides

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


_STUDIES = {
    "alike": Cell("alike", "good"),
    "partly": Cell("partly alike", ""),
    "apart": Cell("apart", "warn"),
    "unknown": Cell("matters in neither", "faint"),
}


@page_for(StudyComparison)
def studies_page(found: StudyComparison) -> Page:
    """A row per shared parameter: its effect and where the best value lies in both studies, and what that comes to."""
    a, b = found.names
    head = ("parameter", f"effect: {a}", f"effect: {b}", f"best: {a}", f"best: {b}", "overlap", "verdict")
    rows = tuple(_shared_row(row) for row in found.parameters)
    about = (
        f"effect: rank correlation with what is better, with its 95 % interval; of a choice without a sign. best: where the "
        f"posterior's draws have the best value, the middle and 80 % of them; overlap: what the draws of both have in common. "
        f"{a} is judged by {' '.join(found.metrics[0])}, {b} by {' '.join(found.metrics[1])}."
    )
    alone = [
        Text(f"only in {n}: {join(only)}") for n, only in zip(found.names, found.only, strict=True) if only
    ]
    blocks: tuple[Block, ...] = (Grid(head, rows, right=(5,)), Text(about, "faint"), *alone)
    return Page(f"{a} and {b}", blocks, (Action("comparison.plot"),))


def _shared_row(row: SharedParameter) -> tuple[str | Cell, ...]:
    sides = (row.first, row.second)
    effects = [Cell(_effect(s), "" if s.matters else "faint") for s in sides]
    verdict = percent(row.overlap), _STUDIES[row.verdict]
    return Cell(row.name, "strong"), *effects, *map(_best, sides), *verdict


def _effect(side: Side) -> str:
    return f"{signed(side.effect)} ({signed(side.low)} to {signed(side.high)})"


def _best(side: Side) -> str:
    if len(side.best) == 3:
        middle, low, high = (number(v, 3) for v in side.best)
        return f"{middle} ({low} to {high})"
    name, share = side.best
    return f"{name} ({percent(share)})"


provides("studies.plot")(studies)
