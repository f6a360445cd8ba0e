"""What a review shows of itself: what changes, whether it is safe and worth it, what to type; and, folded, why."""

from __future__ import annotations

from refine.analysis.conditions import declared
from refine.proposal.change import Change
from refine.proposal.proposal import Proposal
from refine.proposal.rescaling import Rescaling, by_magnitude
from refine.report.pages.analysis import best_text, caution_facts
from refine.report.pages.belief import belief_block
from refine.report.pages.noise import noise_clause
from refine.report.pages.proposal import (
    branch_sentence,
    branch_text,
    change_row,
    changes_grid,
    next_text,
    nothing_text,
    proposal_folds,
    safe_text,
    short_bounds,
    stays_facts,
    within_text,
)
from refine.report.pages.reasons import next_sentence, sentence
from refine.report.pages.space import as_choices
from refine.report.pages.worth import TONES, short_worth, worth_action, worth_page
from refine.review.review import Review
from refine.review.suggestions import Suggestion
from refine.space.edits import bounds_text, level_text
from refine.space.literals import python_text
from refine.space.parameters import Parameter, Range, levels_text
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Facts, Fold, Grid, Page, Text
from refine.utils.format import join, number, percent, plural, probability
from refine.utils.provided import page_for


@page_for(Review)
def review_page(review: Review) -> Page:
    """What is proposed, with what you changed of it; whether it is safe, whether it is worth it, and what to type."""
    proposal = review.proposal
    changes = {c.name: c for c in proposal.changes}
    touched = [
        n for n, c in changes.items() if c.kind != "keep" or n in review.edited or n in review.rejected
    ]
    followed = {c.name: c for c in review.followed}
    step = review.next_step
    facts: list[tuple[str, str | Cell]] = []
    blocks: list[Block] = []
    if touched:
        blocks.append(changes_grid([_row(review, changes[name], followed.get(name)) for name in touched]))
        facts += stays_facts(proposal, [changes[name] for name in touched])
        facts.append(("Safe?", safe_cell(review)))
    else:
        facts.append(("", nothing_text()))
    if review._worth is not None:
        facts.append(("Worth?", Cell(short_worth(review._worth, "as much"), TONES[review._worth.verdict])))
    facts += [("Branch", text) for text in branch_facts(review)]
    facts += [("", text) for text in (*_said_of_edits(review), *_suggested(review))]
    facts += caution_facts(review.analysis)
    accept = Action("review.accept", n=review.advised) if touched else step.action
    if not touched:
        facts.append(("", sentence(step.reasons[0])))
    instead = None if review._worth is None else worth_action(review._worth)
    more = (instead or Action("review.options"), Action("review.why"))
    return Page(
        _headline(review),
        (*blocks, Facts(tuple(facts))),
        (accept, *_example(review, touched), *more),
        (*proposal_folds(proposal), *_folds(review)),
    )


def _headline(review: Review) -> str:
    """The round, its trials and its best."""
    trials = plural(sum(review.analysis.states.values()), "trial")
    return f"Round {review.round.id[:8]}: {trials}. {best_text(review.analysis)}"


def _row(review: Review, change: Change, followed: Change | None) -> tuple[str | Cell, ...]:
    """One change as it stands: proposed, edited or rejected, or gone back with another one that was."""
    name, yours = change.name, review.space[change.name]
    if followed is not None:
        new = Cell("stays" if yours == change.old else next_text(change.old, yours), "warn")
        return Cell(name, "strong"), short_bounds(change.old), "->", new, "goes back with yours", ""
    if name not in review.edited and name not in review.rejected:
        return change_row(change)
    said = "rejected" if name in review.rejected else "edited"
    was = "" if change.kind == "keep" else f"; proposed {next_text(change.old, change.new)}"
    new = Cell("stays", "faint") if yours == change.old else Cell(next_text(change.old, yours), "good")
    return Cell(name, "strong"), short_bounds(change.old), "->", new, f"{said}{was}", "yours"


def safe_cell(review: Review) -> Cell:
    """The chance of a loss, and what of the best leaves, with what is expected of it."""
    seen = review.preview()
    stays = "" if 1 in seen.lost else f" The best {'trial stays' if seen.lost else f'{seen.top} stay'}."
    leaves = "" if seen.warning is None else f" {sentence(seen.warning)}"
    same = " Runs again are equal: no noise." if review.analysis.noise.deterministic else ""
    return Cell(f"{safe_text(review.claim)}{same}{stays}{leaves}", "bad" if seen.throws else "")


def _said_of_edits(review: Review) -> list[Cell]:
    """What may be a slip of an edit."""
    hints = [as_choices(n, review.space[n]) for n, (a, _) in review.edited.items() if isinstance(a, Range)]
    values = review.preview().new_values if review.edits else ()
    return [Cell(text, "warn") for text in (*filter(None, hints), *map(sentence, values))]


def _suggested(review: Review) -> list[Cell]:
    """What others suggest, in a line each."""
    return [
        Cell(f"{s.decision.author} suggests {suggested_text(s)}:", call=Action("review.take", i))
        for i, s in enumerate(review.suggestions, 1)
    ]


def _example(review: Review, touched: list[str]) -> list[Action]:
    """An edit that lets in a level more than is proposed; of choices their rejection."""
    for name in reversed(touched):
        old, new = review.proposal.old[name], review.space[name]
        if not (isinstance(old, Range) and isinstance(new, Range)):
            continue
        above = [v for v in old.grid if v > new.high]
        below = [v for v in old.grid if v < new.low]
        if above or below:
            low, high = (new.low, above[0]) if above else (below[-1], new.high)
            return [Action("review.edit", {name: tuple(Symbol(level_text(old, v)) for v in (low, high))})]
    return [Action("review.reject", name) for name in touched[-1:]]


def _folds(review: Review) -> list[Fold]:
    """What a review knows beside its proposal."""
    step, found = review.next_step, []
    found.append(Fold("What to do next", (Text(next_sentence(step.reasons), "", step.action),), "next"))
    if review._worth is not None:
        found += worth_page(review._worth).folds
    noise = f"Noise: {noise_clause(review.analysis.noise, review.analysis.metric)}."
    found.append(Fold("The noise", (Text(noise),), "noise"))
    if review.edits or review.rejected:
        found.append(Fold("What you changed", tuple(_changes(review)), "edits"))
    if review.suggestions:
        found.append(Fold("What others suggest", tuple(suggestion_blocks(review)), "suggestions"))
    if review.analysis.belief is not None:
        found.append(Fold("What is believed", (belief_block(review.analysis.belief),), "belief"))
    offers = [*_conditions(review), *_scales(review)]
    if offers:
        found.append(Fold("What could be declared", tuple(offers), "offers"))
    if total := total_sentence(review):
        found.append(Fold("What the branch claims", (Text(total),), "branch"))
    cautions = [sentence(c) for c in review.analysis.cautions]
    if cautions:
        found.append(Fold("Caution", tuple(Text(text, "warn") for text in cautions), "caution"))
    return found


def total_sentence(review: Review) -> str:
    """What this claim and earlier ones come to together; empty where it is the first, or that can't be stated."""
    claim = review.branch_claim
    return branch_sentence(claim) if claim is not None and claim.claims > 1 else ""


def followed_sentence(review: Review) -> str:
    """Which changes went back with what was edited or rejected; empty where none did."""
    decided = join([*review.edited, *review.rejected])
    back = [f"{c.name} to {bounds_text(c.new)}" for c in review.followed]
    return (
        f"Without what was proposed for {decided}, {join(back)} {'goes' if len(back) == 1 else 'go'} back: the rest alone doesn't support more."
        if back
        else ""
    )


def branch_facts(review: Review) -> list[str]:
    """What this claim and earlier ones come to together, in short; nothing where it is the first, or that can't be stated."""
    claim = review.branch_claim
    return [] if claim is None or claim.claims < 2 else [branch_text(claim)]


def suggestion_blocks(review: Review) -> list[Block]:
    """What others suggest, with its claim beside that of the proposal; nothing where nobody does."""
    found = review.suggestions
    if not found:
        return []
    claim = review.proposal.claim
    rows = [
        ("", "the proposal", "", percent(review.proposal.volume_kept), probability(claim.probability), "")
    ]
    rows += [
        (
            str(i),
            each.decision.author,
            suggested_text(each),
            percent(each.volume_kept),
            probability(each.probability),
            each.decision.note,
        )
        for i, each in enumerate(found, 1)
    ]
    head = ("", "suggested by", "instead of what is proposed", "keeps", "probability", "why")
    return [
        Grid(head, tuple(rows), right=(3,), wide=(5,)),
        Text(
            "probability: that the best inside is "
            f"{within_text(claim)} the best in the present space, of each on the same evidence.",
            "faint",
            Action("review.take", 1),
        ),
    ]


def suggested_text(found: Suggestion) -> str:
    """Where a suggestion differs from what is proposed now: ``dropout 0 to 0.2``."""
    return join([f"{n} {bounds_text(new)}" for n, (_, new) in found.differs.items()]) or "as proposed now"


def _conditions(review: Review) -> list[Block]:
    """Conditions that the trials showed, to declare for the next round."""
    found, space = review.analysis.parameters, review.space
    blocks: list[Block] = []
    for e in found:
        new = declared(e, found, space[e.name]) if e.name in space else None
        if new is not None:
            blocks.append(
                Text(
                    f"The objective read {e.name} only where {new.when}. Declared as its condition, it is absent elsewhere "
                    "and no configuration is run for its values there.",
                    "faint",
                    Action("review.edit", **{e.name: Symbol(python_text(new))}),
                )
            )
    return blocks


def _scales(review: Review) -> list[Block]:
    """Ranges that the trials showed to be told apart by magnitude, on a logarithmic scale, to take for the next round."""
    blocks: list[Block] = []
    for change in review.proposal.changes:
        found = by_magnitude(review.analysis, change)
        if found is not None and review.space.get(change.name) == change.new:
            text, call = scale_offer(change, found)
            blocks.append(Text(text, "faint", call))
    return blocks


def scale_offer(change: Change, found: Rescaling) -> tuple[str, Action]:
    """Why a range is offered on a logarithmic scale, and the call that takes it."""
    text = (
        f"{change.name}: {found.crowded} of the {plural(found.good, 'good trial')} in what is proposed lie in its lowest tenth, and it spans "
        f"a factor of {number(found.factor, 3)}, so that levels that are even by value can't tell them apart. The same bounds on a logarithmic scale have "
        f"the levels {levels_text(found.new.grid)}:"
    )
    return text, Action("review.edit", **{change.name: Symbol(python_text(found.new))})


def _changes(review: Review) -> list[Block]:
    space, proposed, edited = review.space, review.proposal.space, review.edited
    rows = [(n, "edited", bounds_text(a), bounds_text(b), _levels(b)) for n, (a, b) in edited.items()]
    rows += [
        (n, "rejected", bounds_text(proposed[n]), bounds_text(space[n]), _levels(space[n]))
        for n in review.rejected
    ]
    rows += [
        (c.name, "follows", bounds_text(proposed[c.name]), bounds_text(c.new), _levels(c.new))
        for c in review.followed
    ]
    followed = followed_sentence(review)
    return [
        Grid(("parameter", "you", "proposed", "yours", "its levels"), tuple(rows)),
        *([Text(followed, "warn")] if followed else []),
        Text(f"Your space keeps {percent(review.volume_kept)} of the present one. {safe_text(review.claim)}"),
    ]


def _levels(parameter: Parameter) -> str:
    """The levels that an edit makes, where its bounds don't say them."""
    return levels_text(parameter.grid) if isinstance(parameter, Range) else ""


def suggestion_text(found: Suggestion, machine: Proposal) -> str:
    """What somebody suggests and keeps, beside what the machine proposes.

    Args:
        found: The suggestion.
        machine: The proposal.
    """

    def keeps(volume: float, share: float) -> str:
        return f"keeps {percent(volume)}, probability {probability(share)}"

    beside = keeps(machine.volume_kept, machine.claim.probability)
    return f"{suggested_text(found)}: {keeps(found.volume_kept, found.probability)} (proposed: {beside})"
