"""The page of a review: verdict, changes, risk and next calls; in folds the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refine.analysis.conditions import as_read, declared, unread_in
from refine.proposal.alternatives import left_to_run
from refine.proposal.change import Change
from refine.report.pages.analysis import best_clause, shared_facts, trials_clause, weak_text
from refine.report.pages.checks import failed_text, verdict_cell, worth_page
from refine.report.pages.preview import kept_view
from refine.report.pages.proposal import (
    ChangeView,
    RiskView,
    arrow_cell,
    blind_spot_share,
    blind_spot_text,
    change_view,
    changes_grid,
    cuts_off,
    next_text,
    nothing_cell,
    proposal_folds,
    risk_view,
    safe_text,
    short_bounds,
    unchanged_facts,
    unseen_facts,
    within_text,
)
from refine.report.pages.reasons import (
    before_limits,
    belief_block,
    belief_facts,
    limit_texts,
    noise_of_goals,
    sentence,
)
from refine.report.pages.space import as_choices
from refine.review.checks import worth as worth_check
from refine.review.decision import Suggestion
from refine.review.next_step import accept_action
from refine.review.review import Review
from refine.review.worth import CONTINUE
from refine.space.edits import bounds_text, level_text
from refine.space.literals import python_text
from refine.space.parameters import Range, levels_text
from refine.trials.frame import front_rows
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Fact, Facts, Fold, Grid, Page, Row, Text
from refine.utils.format import chance_cell, join, percent
from refine.utils.provided import page_for

_ALL_RUN = ("exhausted", "all_known")  # codes of next steps after which no configuration is left
_IN_BUDGET = ("search_on", "last_repeats", "spent")  # codes of next steps whose numbers the line Budget has


@page_for(Review)
def review_page(review: Review) -> Page:
    """The verdict, the changes with your edits, their risk, and the next calls."""
    proposal = review.original
    followed = {c.name: c for c in review.followed}
    decided = {*review.edited, *review.rejected}
    unread = unread_in(review.space, review.analysis.parameters)
    # An edit may bring a condition back: its parameters are used again, and unchanged.
    used_again = {c.name for c in proposal.changes if c.kind == "leave" and c.name not in unread}
    touched = [
        c for c in proposal.changes if c.name in decided or (c.kind != "keep" and c.name not in used_again)
    ]
    views = change_views(review)
    worth = review._worth
    lead = None
    heading = "Search next:"
    if worth is not None:
        lead = verdict_cell(worth)
        if worth.verdict != CONTINUE:
            heading = "If you go on anyway, search only:"
    all_run = _all_run(review)
    if all_run:
        heading = "Nothing is left to run here. The evidence would keep:"
    elif _over(review) and review.budget.left is not None:
        heading = "With more trials, search only:"
    reason = review.next_step.reasons[0]
    facts: list[Fact] = []
    if reason.code not in _ALL_RUN:
        facts.append(("", nothing_cell(proposal)))
    if reason.code not in _IN_BUDGET or review.budget.left is None:
        facts.append(("", sentence(reason)))
    blocks: list[Block] = []
    if touched:
        if any(c.kind in ("widen", "reopen") for c in touched):
            heading = heading.replace(" only", "")
        rows = [_row(review, views[c.name], followed.get(c.name)) for c in touched]
        blocks = [changes_grid(rows, heading)]
        facts = [*unchanged_facts(proposal, touched), *risk_facts(review)]
    if all_run:
        text = "To go on, extend the space or add levels between those run:"
        facts.append(("", Cell(text, call=Action("review.edit", Symbol("name=...")))))
    facts += standing_facts(review)
    checks = review.checks()
    if failed := failed_text(checks):
        facts.append(("", Cell(failed, "bad")))
    facts += [("", note) for note in notes_on_edits(review)]
    for i, s in enumerate(review.suggestions, 1):
        text = f"{s.decision.author} suggests {_suggested_text(s)}:"
        facts.append(("", Cell(text, call=Action("review.take", i))))
    title = f"Round {review.round.id[:8]}: {trials_clause(review.analysis)}, {best_clause(review.analysis)}."
    budget = _budget_text(review)
    evidence = proposal_folds(proposal, views, limit_texts(review.analysis))
    folds = [fold for fold in evidence if fold.about not in used_again]
    if budget:  # instead of a size that ignores the budget
        folds = [fold for fold in folds if fold.about != "n"]
        folds.append(Fold("Size", [Text(f"{budget}.")], "n"))
    folds += _folds(review)
    return Page(title, [*blocks, Facts(facts)], _calls(review, touched), folds, lead)


def _calls(review: Review, touched: Sequence[Change]) -> list[Action]:
    """The next calls: the call advised by the verdict comes first."""
    edits = _example(review, [c.name for c in touched if c.kind != "leave" and c.name not in review.rejected])
    if review.original.calls:  # a search without a tree: its caller knows the next call
        return [*review.original.calls, *edits, Action("review.why")]
    go_on = review.next_step.action
    if touched and not _over(review) and review.advised_round.n:
        go_on = accept_action(review.advised_round)
    advised = review._worth and worth_check(review._worth).action
    calls = [go_on, *edits, Action("review.options")]
    searches_on = review._worth and review._worth.verdict == CONTINUE
    if searches_on and not touched and review.next_step.reasons[0].code == "more":
        calls.insert(0, accept_action(review.advised_round))  # the trials that the first line is about
    if advised:
        calls = [advised, go_on, *edits]
    if _over(review):
        calls = [call for call in calls if call.name != "review.accept"]
    if _all_run(review):  # an edit of the proposed changes leaves nothing to run either
        calls = [call for call in calls if call not in edits]
    return list(dict.fromkeys([*calls, Action("review.why")]))


def _over(review: Review) -> bool:
    """True if no trial is left for another round: of the space, or of the budget."""
    return review._worth is not None and not review._worth.n


def _all_run(review: Review) -> bool:
    """True if every configuration was run, of the present space and of the next one."""
    return _over(review) and not left_to_run(review.analysis, review.original.old)


def change_views(review: Review) -> dict[str, ChangeView]:
    """The view of every proposed change, without edits."""
    epsilon = review.original.claim.epsilon
    return {c.name: change_view(c, epsilon, weak_text(review.analysis, c)) for c in review.original.changes}


def _row(review: Review, view: ChangeView, followed: Change | None) -> Row:
    """The present state of a change: proposed, edited, rejected, or relaxed after a related edit."""
    change = view.change
    name = change.name
    old = change.old
    decided = review.space[name]
    text = "unchanged"
    tone = "faint"
    if decided != old:
        text = next_text(old, decided)
        tone = "good"
    start = Cell(name, "strong"), short_bounds(old)
    if followed is not None:
        return *start, arrow_cell(text, "warn"), "relaxed with your edit", ""
    if name not in review.edited and name not in review.rejected:
        return view.row
    status = "edited"
    if name in review.rejected:
        status = "rejected"
    if change.kind != "keep":
        status += f" (proposed: {next_text(old, change.new)})"
    return *start, arrow_cell(text, tone), status, "yours"


class ShortFact(NamedTuple):
    """A fact as a number with a few words below, for a tile."""

    about: str  # label of the whole fact
    name: str
    number: str
    text: str
    full: Cell


def short_facts(review: Review) -> list[ShortFact]:
    """The facts Risk, Kept and, if a region may have been missed, Blind spot in short."""
    risk = risk_of(review)
    top_trials = kept_view(review.preview())
    risk_cell = Cell(risk.text, top_trials.cell.tone)
    facts = [
        ShortFact("Risk", "Chance to lose", risk.chance, risk.loss, risk_cell),
        ShortFact("Kept", "Top trials kept", top_trials.fraction, top_trials.brief, top_trials.cell),
    ]
    claim = review.proposal.claim
    if share := blind_spot_share(claim):
        text = "of the space: a better region this small may have been missed"
        facts.append(ShortFact("Blind spot", "Blind spot", f"< {share}", text, Cell(blind_spot_text(claim))))
    return facts


def risk_of(review: Review) -> RiskView:
    """The risk of a review as it stands."""
    asked_risk = math.nan
    if review.space == review.original.space:
        asked_risk = review.original.risk
    return risk_view(review.proposal.claim, asked_risk, cuts_off(review.original.old, review.space))


def chance_text(review: Review) -> str:
    """The chance to lose in a few words, or the reason why no chance is stated."""
    risk = risk_of(review)
    if risk.headline == risk.text:
        return risk.loss
    return f"{risk.chance} chance to lose"


def risk_facts(review: Review) -> list[Fact]:
    """The facts Risk, Front, Kept, Blind spot and Noise of a review as it stands."""
    top_trials = kept_view(review.preview()).cell
    facts: list[Fact] = [("Risk", Cell(risk_of(review).text, top_trials.tone))]
    if len(review.round.goals) > 1:
        analysis = review.analysis
        front = front_rows(analysis.table, review.round.goals, analysis.space)
        kept_points = np.count_nonzero(
            review.space.contains(as_read(review.space, analysis.parameters, front))
        )
        facts.append(("Front", f"{kept_points:,} of {len(front):,} points kept"))
    facts += [("Kept", top_trials), *unseen_facts(review.proposal.claim)]
    if review.analysis.noise.deterministic:
        facts.append(("Noise", noise_of_goals(review.analysis)))
    return facts


def standing_facts(review: Review) -> list[Fact]:
    """The facts that no edit changes: budget, belief and cautions."""
    facts = [*belief_facts(review.analysis.belief), *shared_facts(review.analysis)]
    if budget := _budget_text(review):
        return [("Budget", budget), *facts]
    return facts


def _budget_text(review: Review) -> str:
    """The remaining trials, the next round and the reserve; empty without a budget."""
    budget = review.budget
    if budget.left is None:
        return ""
    planned = review.advised_round
    text = str(budget)
    if planned.n and not _over(review):
        counts = {
            "even": planned.even,
            "exploit": round(planned.exploit * planned.n),
            "audit": round(planned.audit * planned.n),
        }
        shares = join([f"{count} {kind}" for kind, count in counts.items() if count])
        text += f"; next: {planned.n} ({shares})"
    return text + budget.reserve_text(noisy=not review.analysis.noise.deterministic)


def notes_on_edits(review: Review) -> list[Cell]:
    """Possible slips of an edit."""
    hints = [as_choices(n, review.space[n]) for n, (a, _) in review.edited.items() if isinstance(a, Range)]
    unread = unread_in(review.space, review.analysis.parameters)
    for name in sorted({*review.edits, *review.rejected}.intersection(unread)):
        condition = review.space[name].when
        hints.append(f"{name} is not used: no configuration kept meets {condition}." if condition else "")
    if review.edits:
        hints += map(sentence, review.preview().new_values)
    return [Cell(text, "warn") for text in hints if text]


def _example(review: Review, touched: list[str]) -> list[Action]:
    """An edit of a range that keeps one more level than proposed, or a rejection if no range changes."""
    for name in reversed(touched):
        old = review.original.old[name]
        new = review.space[name]
        if not (isinstance(old, Range) and isinstance(new, Range)):
            continue
        above = [v for v in old.grid if v > new.high][:1]
        below = [v for v in old.grid if v < new.low][-1:]
        if above or below:
            ends = [*below, new.high]
            if above:
                ends = [new.low, *above]
            return [Action("review.edit", {name: tuple(Symbol(level_text(old, v)) for v in ends)})]
    return [Action("review.reject", name) for name in touched[-1:]]


def _folds(review: Review) -> list[Fold]:
    step = review.next_step
    analysis = review.analysis
    first, *further = map(sentence, step.reasons)
    folds = [Fold("Next step", [Text(first, "", step.action), *map(Text, further)], "next")]
    if review._worth is not None:
        about = worth_page(review._worth)
        folds.append(Fold("Another round", [Text(about.title), *about.blocks], "worth"))
    suggestions: list[Block] = []
    if review.suggestions:
        legend = (
            f"risk: that the best inside is not {within_text(review.original.claim)} the best in the present "
            "space, for all on the same evidence."
        )
        suggestions = [suggestions_grid(review), Text(legend, "faint", Action("review.take", 1))]
    folds += _condition_folds(review)
    folds += [
        Fold("Noise", [Text(f"Noise: {noise_of_goals(analysis)}.")], "noise"),
        Fold("Your changes", _changes(review), "edits"),
        Fold("Suggestions", suggestions, "suggestions"),
        Fold("Belief", [belief_block(belief) for belief in (analysis.belief,) if belief], "belief"),
        Fold("Caution", [Text(sentence(c), "warn") for c in analysis.cautions], "caution"),
    ]
    return [fold for fold in folds if fold.blocks]


def followed_sentence(review: Review) -> str:
    """The changes that were relaxed because they depended on an edited or rejected one.

    Empty without relaxed changes.
    """
    if not review.followed:
        return ""
    decided = join([*review.edited, *review.rejected])
    relaxed = join([f"{c.name} to {bounds_text(c.new)}" for c in review.followed])
    return f"Without the proposed change of {decided}, the evidence supports less: relaxed {relaxed}."


def suggestions_grid(review: Review) -> Grid:
    """A row for the proposal, and a row per suggestion with share kept and risk."""
    proposal = review.original
    proposed_risk = chance_cell(1 - proposal.claim.probability)
    rows = [("", "the proposal", "", percent(proposal.volume_kept), proposed_risk, "")]
    for i, s in enumerate(review.suggestions, 1):
        numbers = percent(s.volume_kept), chance_cell(1 - s.probability)
        rows.append((str(i), s.decision.author, _suggested_text(s), *numbers, f'"{s.decision.note}"'))
    head = ("", "suggested by", "change to the proposal", "space kept", "risk", "reason")
    return Grid(head, rows, right=(3,), wide=(5,))


def _suggested_text(suggestion: Suggestion) -> str:
    """The parameters in which a suggestion differs from the proposal: ``dropout 0 to 0.2``."""
    return (
        join([f"{n} {bounds_text(new)}" for n, (_, new) in suggestion.differs.items()]) or "as proposed now"
    )


def _condition_folds(review: Review) -> list[Fold]:
    """Conditions shown by the trials, with the edits to declare them."""
    parameters = review.analysis.parameters
    folds = []
    for e in parameters:
        name = e.name
        if name in review.space and (new := declared(e, parameters, review.space[name])):
            text = (
                f"The objective read {name} only if {new.when}. Declare this condition, and no "
                f"configuration is run for values of {name} that nothing uses:"
            )
            call = Action("review.edit", **{name: Symbol(python_text(new))})
            folds.append(Fold(f"{name}: a condition to declare", [Text(text, "faint", call)], name))
    return folds


def _changes(review: Review) -> list[Block]:
    """A table of edits, rejections and the changes relaxed by them; empty without decisions."""
    if not (review.edits or review.rejected):
        return []
    decided = dict.fromkeys(review.edited, "edited") | dict.fromkeys(review.rejected, "rejected")
    rows = []
    for name, kind in (decided | {c.name: "relaxed" for c in review.followed}).items():
        new = review.space[name]
        # The levels that an edit makes, unless the bounds say them.
        levels = ""
        if isinstance(new, Range):
            levels = levels_text(new.grid)
        rows.append((name, kind, bounds_text(review.original.space[name]), bounds_text(new), levels))
    share = f"{percent(review.volume_kept)} of the present one{before_limits(review.proposal.old)}"
    kept_text = f"Your space keeps {share}."
    blocks: list[Block] = [
        Grid(("parameter", "decision", "proposed", "yours", "levels"), rows),
        Text(f"{kept_text} {safe_text(review.claim)}"),
    ]
    if followed := followed_sentence(review):
        blocks.insert(1, Text(followed, "warn"))
    return blocks
