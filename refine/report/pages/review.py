"""What a review shows of itself: the proposal, what the person changed of it, and what to do next."""

from __future__ import annotations

import math

from refine.analysis.conditions import declared
from refine.proposal.change import Change
from refine.proposal.rescaling import Rescaling, by_magnitude
from refine.report.pages.belief import belief_block
from refine.report.pages.noise import noise_clause
from refine.report.pages.proposal import branch_sentence, proposal_page, within_text
from refine.report.pages.reasons import next_sentence, sentence
from refine.report.pages.space import as_choices
from refine.report.pages.worth import TONES, worth_action, worth_sentence
from refine.review.review import Review
from refine.review.suggestions import Suggestion
from refine.space.edits import bounds_text
from refine.space.literals import python_text
from refine.space.parameters import Parameter, Range, levels_text
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Grid, Page, Text
from refine.utils.format import join, number, percent, plural, probability
from refine.utils.provided import page_for


@page_for(Review)
def review_page(review: Review) -> Page:
    """The proposal as a table, what you changed of it, and what to do next."""
    step = review.next_step
    blocks: list[Block] = [Text(next_sentence(step.reasons), "strong", step.action)]
    if review._worth is not None:
        tone, action = TONES[review._worth.verdict], worth_action(review._worth)
        blocks.append(Text(worth_sentence(review._worth), tone, action))
    blocks.append(Text(f"Noise: {noise_clause(review.analysis.noise, review.analysis.metric)}."))
    blocks += proposal_page(review.proposal).blocks
    if total := total_sentence(review):
        blocks.append(Text(total))
    if review.analysis.belief is not None:
        blocks.append(belief_block(review.analysis.belief))
    if review.edits or review.rejected:
        blocks += _changes(review)
    blocks += suggestion_blocks(review)
    blocks += _conditions(review)
    blocks += _scales(review)
    blocks += [Text(f"Caution: {sentence(c)}", "warn") for c in review.analysis.cautions]
    bounds = {"name": (Symbol("low"), Symbol("high"))}
    calls = (
        Action("review.options"),
        Action("review.checks"),
        Action("review.rehearse", rounds=..., n=...),
        Action("review.preview", bounds),
        Action("review.edit", bounds),
        Action("review.reject", Symbol("name")),
        Action("review.accept", note=..., n=...),
        Action("review.decline", note=...),
    )
    return Page(f"Review of round {review.round.id}", tuple(blocks), calls)


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
    found: list[Block] = [
        Grid(("parameter", "you", "proposed", "yours", "its levels"), tuple(rows)),
        *([Text(followed, "warn")] if followed else []),
        Text(f"Your space keeps {percent(review.volume_kept)} of the present one; {_claimed(review)}."),
    ]
    hints = [as_choices(n, space[n]) for n, (a, _) in edited.items() if isinstance(a, Range)]
    seen = review.preview()
    found += [Text(text, "warn") for text in (*filter(None, hints), *map(sentence, seen.new_values))]
    if seen.warning is not None:
        found.append(Text(sentence(seen.warning), "bad" if seen.throws else "warn"))
    return found


def _levels(parameter: Parameter) -> str:
    """The levels that an edit makes, where its bounds don't say them."""
    return levels_text(parameter.grid) if isinstance(parameter, Range) else ""


def _claimed(review: Review) -> str:
    claim = review.claim
    if math.isnan(claim.probability):
        return "the risk can't be stated: too few of the candidate configurations lie inside"
    return f"with probability {probability(claim.probability)} the best inside is {within_text(claim)} the best in the present space"
