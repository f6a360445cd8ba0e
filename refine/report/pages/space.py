"""Pages and tables of a space, of the difference of two spaces, and of the comparison of two rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refine.analysis.population import RoundComparison
from refine.report.pages.reasons import before_limits, upper
from refine.space.categorical import Categorical
from refine.space.edits import bounds_text, strip
from refine.space.parameters import Parameter
from refine.space.space import Space, SpaceDiff
from refine.tree.comparison import Comparison
from refine.utils.action import Action, Symbol
from refine.utils.display import Cell, Facts, Fold, Grid, Page, Row, Text
from refine.utils.format import inflected, join, p_value, percent, plural, score
from refine.utils.provided import page_for

if TYPE_CHECKING:
    from refine.proposal.proposal import Proposal
    from refine.review.decision import Decision


@page_for(Space)
def space_page(space: Space) -> Page:
    """The parameters with their actual levels, the constraints and the size."""
    size = f"{space.size:,} configurations{' before constraints' * bool(space.constraints)}"
    hints = [
        Text(text, "faint")
        for n, p in space.items()
        if (text := as_choices(n, p)) and any(v % 1 for v in p.grid)  # whole numbers are probably choices
    ]
    add = Action("tree.add_round", Symbol("space"), Symbol("objective"), n=200)
    return Page(size, [space_grid(space), *hints], [add])


def as_choices(name: str, parameter: Parameter) -> str:
    """A hint for a list of two numbers, which may be meant as a range; empty for any other parameter."""
    if not (isinstance(parameter, Categorical) and parameter.numeric and parameter.size == 2):
        return ""
    low, high = parameter.labels
    return f"{name}: a list means choices, here only {low} and {high}; for a range write ({low}, {high})"


def space_grid(space: Space) -> Grid:
    """The parameters with their levels; then the constraints."""
    rows: list[Row] = []
    for name, parameter in space.items():
        kind, _, levels = parameter.describe().partition(": ")
        if not parameter.fixed and name not in space.varied:
            levels = f"not used: no configuration meets {parameter.when}"
        rows.append((Cell(name, "strong"), kind, levels))
    rows += [(Cell("constraint", "faint"), "", str(c)) for c in space.constraints]
    return Grid(("parameter", "kind", "levels"), rows)


_NOTHING = Cell("-", "faint")


def _bounds_or(missing: str | Cell, parameter: Parameter | None) -> str | Cell:
    """The bounds of a parameter; ``missing`` if the space lacks the parameter."""
    if parameter is None:
        return missing
    return bounds_text(parameter)


def difference_rows(diff: SpaceDiff) -> list[Row]:
    """The changes from one space to another: parameters, then constraints."""
    rows: list[Row] = [
        (Cell(n, "strong"), bounds_text(p), bounds_text(q), strip(p, q)) for n, (p, q) in diff.changed.items()
    ]
    rows += [(Cell(n, "strong"), _NOTHING, bounds_text(p), "added") for n, p in diff.added.items()]
    rows += [(Cell(n, "strong"), bounds_text(p), _NOTHING, "removed") for n, p in diff.removed.items()]
    rows += [("constraint", _NOTHING, c, "added") for c in diff.constraints_added]
    rows += [("constraint", c, _NOTHING, "removed") for c in diff.constraints_removed]
    return rows


def difference_line(diff: SpaceDiff) -> str:
    """The changes from one space to another in a line: ``dropout 0 to 0.2; +l2 0 to 0.1; -epochs``."""
    parts = [f"{name} {text}" for name, (_, p) in diff.changed.items() if (text := bounds_text(p))]
    parts += [f"+{name} {bounds_text(p)}" for name, p in diff.added.items()]
    parts += [f"-{name}" for name in diff.removed]
    return "; ".join(parts) or "same space"


def decision_grid(old: Space, decision: Decision, proposal: Proposal | None) -> Grid | None:
    """Proposed and decided values of the changed parameters; ``None`` without changes.

    ``proposal`` is ``None`` for a branch without a proposal.
    """
    new = decision.space
    if new is None:
        return None
    rows: list[Row] = []
    for name in dict.fromkeys([*old, *new]):
        before = old.get(name)
        after = new.get(name)
        proposed = before
        if proposal is not None:
            proposed = proposal.space.get(name)
        if before == after and proposed in (None, before):
            continue
        levels = ""
        if before is not None and after is not None:
            levels = strip(before, after)
        proposed_text = _bounds_or(_NOTHING, None if proposed == before else proposed)
        cells = _bounds_or(_NOTHING, before), proposed_text, _bounds_or("removed", after), levels
        rows.append((Cell(name, "strong"), *cells, _status(name, decision, proposal, old)))
    if rows:
        return Grid(("parameter", "before", "proposed", "decided", "levels", "how"), rows)
    return None


def _status(name: str, decision: Decision, proposal: Proposal | None, old: Space) -> str:
    """The origin of a parameter's decided values in a word or two."""
    if proposal is None and name not in old:
        return "added"
    if proposal is None and name not in (decision.space or ()):
        return "removed"
    if proposal is None:
        return "changed"
    if name in decision.edits:
        return "edited"
    if name in decision.rejected:
        return "rejected"
    if name in decision.followed:
        return "relaxed with an edit"
    return "as proposed"


def front_text(count: int) -> str:
    """The number of trials on the front of a round, and the meaning of a front."""
    return (
        f"{plural(count, 'trial')} on the front: no other trial of this round is at least as good in every "
        "goal and better in one."
    )


def _not_comparable(comparison: Comparison) -> str:
    """The reason why the trials of two rounds are not compared."""
    first, second = comparison.rounds
    if first._judged_by != second._judged_by:
        return "not comparable: the metrics differ"
    if any("pruned" in set(round_.trials["state"]) for round_ in comparison.rounds):
        return "not comparable: some trials were stopped early"
    return "not comparable: a round has fewer than two finished evenly drawn trials"


@page_for(Comparison)
def comparison_page(comparison: Comparison) -> Page:
    """The best values of both rounds, their differences, and the improvement of the population."""
    metric = comparison.rounds[0]._value
    populations = comparison.populations
    best = [score(v) for v in comparison.best]
    space = "the same for both"
    if comparison.space:
        share = f"{percent(comparison.volume_kept)}{before_limits(comparison.rounds[0].space)}"
        space = f"{difference_line(comparison.space)}; keeps {share}"
    facts = [("Best", f"{metric} {best[0]}, then {best[1]}"), ("Space", space)]
    if comparison.other:
        differ = inflected(len(comparison.other), "differs", "differ")
        facts.append(("Other", f"{join(list(comparison.other))} {differ}."))
    rows = difference_rows(comparison.space)
    rows += [(name, str(x), str(y), "") for name, (x, y) in comparison.other.items()]
    rows.append((f"best observed {metric}", *best, ""))
    rows.append(("configurations", *(f"{n:,}" for n in comparison.n), ""))
    grid = Grid(("what", comparison.a, comparison.b, "levels"), rows)
    folds = [Fold("Differences", [grid], "table")]
    if populations is None:
        facts.append(("Trials", _not_comparable(comparison)))
    else:
        facts.append(("Trials", population_verdict(populations)))
        population_text = Text(population_sentence(populations, comparison.b, comparison.a))
        folds.append(Fold("Trials", [population_text], "trials"))
    calls = [Action("comparison.report", "reports"), Action("comparison.why")]
    return Page(f"{comparison.a} -> {comparison.b}", [Facts(facts)], calls, folds)


# The limits of the comparison.
CAUTION = (
    "This round's space was chosen after its parent's trials had run; its own trials were drawn after that "
    "choice, without looking at results. Configurations that the parent had run were not drawn again, so the "
    "parent's best trials do not count for this round. A better population does not prove a better best "
    "trial."
)

_POPULATIONS = {
    "better": "the population improved",
    "worse": "the population got worse",
    "unclear": "no improvement of the population was detected",
}


def population_sentence(
    comparison: RoundComparison, child: str = "this round", parent: str = "its parent's"
) -> str:
    """The comparison of two rounds' trials under these names: probability, distance, verdict."""
    return f"{beats_sentence(comparison, child, parent)} {upper(population_verdict(comparison))}."


def beats_sentence(comparison: RoundComparison, child: str, parent: str) -> str:
    """The probability that a trial of one round beats a trial of the other, and their distance."""
    c = comparison.comparison
    return (
        f"A trial of {child} beats one of {parent} with probability {c.better:.2f} (95 % interval "
        f"{c.low:.2f} to {c.high:.2f}); the distributions differ by at most {c.ks:.2f} (Kolmogorov-Smirnov, "
        f"p {p_value(c.ks_p)})."
    )


def population_verdict(comparison: RoundComparison) -> str:
    """The verdict on two populations in a few words."""
    text = _POPULATIONS[comparison.verdict]
    if comparison.verdict == "unclear" and comparison.spread_differs:
        text += ", but its spread differs"
    return text
