"""What a review shows of itself: what changes, whether it is safe and worth it, what to type; and, folded, why."""

from __future__ import annotations

from refine.analysis.conditions import declared
from refine.proposal.change import Change
from refine.proposal.proposal import Proposal
from refine.report.pages.analysis import best_text, caution_facts
from refine.report.pages.checks import TONES, short_worth, worth_page
from refine.report.pages.proposal import (
    NOTHING,
    branch_text,
    change_row,
    changes_grid,
    next_text,
    proposal_folds,
    safe_text,
    short_bounds,
    stays_facts,
    within_text,
)
from refine.report.pages.reasons import belief_block, belief_facts, next_sentence, noise_clause, sentence
from refine.report.pages.space import as_choices
from refine.review.decision import Suggestion
from refine.review.next_step import accept_action
from refine.review.review import Review
from refine.space.edits import bounds_text, level_text
from refine.space.literals import python_text
from refine.space.parameters import Range, levels_text
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Facts, Fold, Grid, Page, Text
from refine.utils.format import join, percent, plural, probability
from refine.utils.provided import page_for


@page_for(Review)
def review_page(review: Review) -> Page:
    """What is proposed, with what you changed of it; whether it is safe, whether it is worth it, and what to type."""
    proposal, followed = review.proposal, {c.name: c for c in review.followed}
    decided = {*review.edited, *review.rejected}
    touched = [c for c in proposal.changes if c.kind != "keep" or c.name in decided]
    step, worth = review.next_step, review._worth
    facts: list[tuple[str, str | Cell]] = [("", NOTHING)]
    blocks: list[Block] = []
    if touched:
        blocks.append(changes_grid([_row(review, c, followed.get(c.name)) for c in touched]))
        facts = [*stays_facts(proposal, touched), ("Safe?", safe_cell(review))]
    if worth is not None:
        facts.append(("Worth?", Cell(short_worth(worth, "as much"), TONES[worth.verdict])))
    if branch := branch_text(review.branch_claim):
        facts.append(("Branch", branch))
    facts += [("", text) for text in (*_said_of_edits(review), *_suggested(review))]
    facts += [*belief_facts(review.analysis.belief), *caution_facts(review.analysis)]
    if not touched:
        facts.append(("", sentence(step.reasons[0])))
    instead = () if worth is None or proposal.calls else worth_page(worth).calls
    calls = (
        *(proposal.calls or (accept_action(review.advised_round) if touched else step.action,)),
        *_example(review, [c.name for c in touched]),
        *(instead or (Action("review.options"),)),
        Action("review.why"),
    )
    trials = plural(sum(review.analysis.states.values()), "trial")
    title = f"Round {review.round.id[:8]}: {trials}. {best_text(review.analysis)}"
    return Page(title, (*blocks, Facts(tuple(facts))), calls, (*proposal_folds(proposal), *_folds(review)))


def _row(review: Review, change: Change, followed: Change | None) -> tuple[str | Cell, ...]:
    """One change as it stands: proposed, edited or rejected, or gone back with another one that was."""
    name, old, yours = change.name, change.old, review.space[change.name]
    start = Cell(name, "strong"), short_bounds(old), "->"
    if followed is not None:
        new = Cell("stays" if yours == old else next_text(old, yours), "warn")
        return *start, new, "goes back with yours", ""
    if name not in review.edited and name not in review.rejected:
        return change_row(change)
    said = "rejected" if name in review.rejected else "edited"
    was = "" if change.kind == "keep" else f"; proposed {next_text(old, change.new)}"
    new = Cell("stays", "faint") if yours == old else Cell(next_text(old, yours), "good")
    return *start, new, f"{said}{was}", "yours"


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
    step, analysis = review.next_step, review.analysis
    folds = [Fold("What to do next", (Text(next_sentence(step.reasons), "", step.action),), "next")]
    if review._worth is not None:
        about = worth_page(review._worth)
        folds.append(Fold("Another round", (Text(about.title), *about.blocks), "worth"))
    more: dict[tuple[str, str], list[Block]] = {
        ("The noise", "noise"): [Text(f"Noise: {noise_clause(analysis.noise, analysis.metric)}.")],
        ("What you changed", "edits"): _changes(review),
        ("What others suggest", "suggestions"): _suggestions(review),
        ("What is believed", "belief"): [] if analysis.belief is None else [belief_block(analysis.belief)],
        ("What could be declared", "offers"): [*_conditions(review)],
        ("Caution", "caution"): [Text(sentence(c), "warn") for c in analysis.cautions],
    }
    return [*folds, *(Fold(title, tuple(blocks), about) for (title, about), blocks in more.items() if blocks)]


def followed_sentence(review: Review) -> str:
    """Which changes went back with what was edited or rejected; empty where none did."""
    if not review.followed:
        return ""
    decided = join([*review.edited, *review.rejected])
    back = [f"{c.name} to {bounds_text(c.new)}" for c in review.followed]
    goes = "goes" if len(back) == 1 else "go"
    return f"Without what was proposed for {decided}, {join(back)} {goes} back: the rest alone doesn't support more."


def _suggestions(review: Review) -> list[Block]:
    """What others suggest, with its claim beside that of the proposal; nothing where nobody does."""
    suggestions, claim = review.suggestions, review.proposal.claim
    if not suggestions:
        return []
    rows = [
        ("", "the proposal", "", percent(review.proposal.volume_kept), probability(claim.probability), "")
    ]
    for i, s in enumerate(suggestions, 1):
        numbers = percent(s.volume_kept), probability(s.probability)
        rows.append((str(i), s.decision.author, suggested_text(s), *numbers, f'"{s.decision.note}"'))
    head = ("", "suggested by", "instead of what is proposed", "keeps", "probability", "why")
    legend = f"probability: that the best inside is {within_text(claim)} the best in the present space, of each on the same evidence."
    return [Grid(head, tuple(rows), right=(3,), wide=(5,)), Text(legend, "faint", Action("review.take", 1))]


def suggested_text(suggestion: Suggestion) -> str:
    """Where a suggestion differs from what is proposed now: ``dropout 0 to 0.2``."""
    return (
        join([f"{n} {bounds_text(new)}" for n, (_, new) in suggestion.differs.items()]) or "as proposed now"
    )


def _conditions(review: Review) -> list[Block]:
    """Conditions that the trials showed, to declare for the next round."""
    parameters, space = review.analysis.parameters, review.space
    declarations = {e.name: declared(e, parameters, space[e.name]) for e in parameters if e.name in space}
    return [
        Text(
            f"The objective read {name} only where {new.when}. Declared as its condition, it is absent elsewhere "
            "and no configuration is run for its values there.",
            "faint",
            Action("review.edit", **{name: Symbol(python_text(new))}),
        )
        for name, new in declarations.items()
        if new is not None
    ]


def _changes(review: Review) -> list[Block]:
    """What was edited and rejected, and what goes back with that; nothing where nothing was."""
    space, proposed = review.space, review.proposal.space
    yours = {
        **{n: ("edited", b) for n, (_, b) in review.edited.items()},
        **{n: ("rejected", space[n]) for n in review.rejected},
        **{c.name: ("follows", c.new) for c in review.followed},
    }
    if not (review.edits or review.rejected):
        return []
    rows = []
    for name, (how, new) in yours.items():
        # The levels that an edit makes, where its bounds don't say them.
        levels = levels_text(new.grid) if isinstance(new, Range) else ""
        rows.append((name, how, bounds_text(proposed[name]), bounds_text(new), levels))
    followed = followed_sentence(review)
    return [
        Grid(("parameter", "you", "proposed", "yours", "its levels"), tuple(rows)),
        *([Text(followed, "warn")] if followed else []),
        Text(f"Your space keeps {percent(review.volume_kept)} of the present one. {safe_text(review.claim)}"),
    ]


def suggestion_text(suggestion: Suggestion, machine: Proposal) -> str:
    """What somebody suggests and keeps, beside what the machine proposes."""

    def keeps(volume: float, share: float) -> str:
        return f"keeps {percent(volume)}, probability {probability(share)}"

    beside = keeps(machine.volume_kept, machine.claim.probability)
    return f"{suggested_text(suggestion)}: {keeps(suggestion.volume_kept, suggestion.probability)} (proposed: {beside})"
