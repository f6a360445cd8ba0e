"""The page of a review: verdict, changes, risk and next calls; in folds the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refine.analysis.conditions import as_read, declared, unread_in
from refine.proposal.alternatives import left_to_run
from refine.proposal.change import Change
from refine.proposal.proposal import calls_of, claim_for
from refine.report.pages.analysis import best_clause, fidelity_facts, shared_facts, trials_clause, weak_text
from refine.report.pages.checks import failed_text, worth_page
from refine.report.pages.headline import Headline, budget_text_of, headline_of
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
from refine.review.decision import Suggestion
from refine.review.next_step import accept_action
from refine.review.review import (
    Review,
    advised_outlook,
    advised_round_of,
    budget_of,
    edits_of,
    next_step,
    suggestions_of,
)
from refine.review.worth import CONTINUE
from refine.space.edits import bounds_text, level_text
from refine.space.encoding import label
from refine.space.fidelity import fidelity_of
from refine.space.literals import python_text
from refine.space.parameters import Range, levels_text
from refine.trials.frame import front_rows
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Fact, Facts, Fold, Grid, Page, Row, Text, as_cell
from refine.utils.format import chance_cell, join, percent
from refine.utils.provided import page_for

_ALL_RUN = ("exhausted", "all_known")  # codes of next steps after which no configuration is left
_FEW = 2  # most changes with a line each under a budget


@page_for(Review)
def review_page(review: Review) -> Page:
    """The headline, the changes with your edits, their risk, and the next calls.

    With a budget the page has few lines: what is left out is in the folds.
    """
    proposal = review.proposal
    budgeted = budget_of(review).left is not None
    relaxed = {c.name: c for c in edits_of(review).relaxed}
    decided = edits_of(review).names
    analysis = proposal.analysis
    unread = unread_in(review.space, analysis.parameters)
    # An edit may bring a condition back: its parameters are used again, and unchanged.
    used_again = {c.name for c in proposal.changes if c.kind == "leave" and c.name not in unread}
    touched = [
        c for c in proposal.changes if c.name in decided or (c.kind != "keep" and c.name not in used_again)
    ]
    views = change_views(review)
    headline = headline_of(review)
    facts: list[Fact] = []
    blocks: list[Block] = []
    if _over(review) and budgeted and not decided:
        touched = []  # a change that no trial is left for
    elif touched:
        shown = touched
        if budgeted and not decided:
            shown = [c for c in touched if c.kind != "leave"]
        rows = [_row(review, views[c.name], relaxed.get(c.name)) for c in shown]
        if budgeted and not decided and len(rows) > _FEW:
            facts.append(("Search", "; ".join(_brief_change(*row) for row in rows)))
        else:
            blocks.append(changes_grid(rows, _heading(review, touched)))
        if budgeted:
            facts += _brief_risk_facts(review)
        else:
            facts += [*unchanged_facts(proposal, touched), *risk_facts(review)]
    else:
        facts += nothing_facts(review)
    if _all_run(review):
        text = "To go on, extend the space or add levels between those run:"
        facts.append(("", Cell(text, call=Action("review.edit", Symbol("name=...")))))
    facts += standing_facts(review)
    checks = review.checks()
    if failed := failed_text(checks):
        facts.append(("", Cell(failed, "bad")))
    facts += [("", note) for note in notes_on_edits(review)]
    for i, s in enumerate(suggestions_of(review), 1):
        text = f"{s.decision.author} suggests {_suggested_text(s)}:"
        facts.append(("", Cell(text, call=Action("review.edit", i))))
    title = f"Round {review.round.id[:8]}: {trials_clause(analysis)}, {best_clause(analysis)}."
    evidence = proposal_folds(proposal, views, limit_texts(analysis))
    folds = [fold for fold in evidence if fold.about not in used_again]
    if budgeted:  # instead of a size that ignores the budget
        folds = [fold for fold in folds if fold.about != "n"]
        folds.append(Fold("Size", [Text(_size_text(review))], "n"))
    folds += _folds(review)
    lead = Cell(headline.sentence, headline.tone)
    return Page(title, [*blocks, Facts(facts)], _calls(review, headline, touched), folds, lead)


def nothing_facts(review: Review) -> list[Fact]:
    """That nothing can be cut, and the cut at the next larger risk.

    Empty if the proposal changes a range or choice, or if every configuration was run.
    """
    proposal = review.proposal
    changes = any(c.kind not in ("keep", "leave") for c in proposal.changes)
    if changes or next_step(review).reasons[0].code in _ALL_RUN:
        return []
    return [("", nothing_cell(proposal))]


def _heading(review: Review, touched: Sequence[Change]) -> str:
    """The line above the changes; empty if the headline names them already."""
    worth = advised_outlook(review)
    extended = any(c.kind in ("widen", "reopen") for c in touched)
    only = " only" * (not extended)
    if _all_run(review):
        return "Nothing is left to run here. The evidence would keep:"
    if budget_of(review).left is not None and _over(review):
        return f"With more trials, search{only}:"
    if worth is not None and worth.verdict != CONTINUE:
        return f"If you go on anyway, search{only}:"
    return ""


def _brief_change(name: str | Cell, _: str | Cell, new: str | Cell, *__: str | Cell) -> str:
    """A row of the changes in a few words: ``lr 0.001 to 0.01``."""
    return f"{as_cell(name).text} {as_cell(new).text.removeprefix('-> ')}"


def _calls(review: Review, headline: Headline, touched: Sequence[Change]) -> list[Action]:
    """The next calls: the call of the headline comes first."""
    rejected = edits_of(review).rejected
    edits = _example(review, [c.name for c in touched if c.kind != "leave" and c.name not in rejected])
    if calls_of(review.proposal):  # a search without a tree: its caller knows the next call
        return [*calls_of(review.proposal), *edits, Action("review.why")]
    go_on = next_step(review).action
    if touched and advised_round_of(review).n:
        go_on = accept_action(advised_round_of(review))
    calls = [headline.action]
    if go_on.name != "review.accept" or not _over(review):
        calls.append(go_on)
    if not _all_run(review):  # else an edit of the proposed changes leaves nothing to run either
        calls += edits
    if headline.action.name == "review.accept" and budget_of(review).left is None:
        calls.append(Action("review.options"))
    return list(dict.fromkeys([*calls, Action("review.why")]))


def _over(review: Review) -> bool:
    """True if no trial is left for another round: of the space, or of the budget."""
    worth = advised_outlook(review)
    return worth is not None and not worth.n


def _all_run(review: Review) -> bool:
    """True if every configuration was run, of the present space and of the next one."""
    return _over(review) and not left_to_run(review.proposal.analysis, review.proposal.old)


def change_views(review: Review) -> dict[str, ChangeView]:
    """The view of every proposed change, without edits."""
    proposal = review.proposal
    epsilon = proposal.claim.epsilon
    return {c.name: change_view(c, epsilon, weak_text(proposal.analysis, c)) for c in proposal.changes}


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
    if name not in edits_of(review).names:
        return view.row
    status = "edited"
    if name in edits_of(review).rejected:
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
    preview = review.preview()
    top_trials = kept_view(preview)
    risk_cell = Cell(risk.text, top_trials.cell.tone)
    facts = [
        ShortFact("Risk", "Risk", risk.chance, risk.loss, risk_cell),
        ShortFact("Kept", "Top trials kept", top_trials.fraction, top_trials.brief, top_trials.cell),
    ]
    if share := blind_spot_share(preview.claim):
        text = "of the space: a better region this small may have been missed"
        full = Cell(blind_spot_text(preview.claim))
        facts.append(ShortFact("Blind spot", "Blind spot", f"< {share}", text, full))
    return facts


def risk_of(review: Review) -> RiskView:
    """The risk of a review as it stands."""
    proposal = review.proposal
    asked_risk = math.nan
    if review.space == proposal.space:
        asked_risk = proposal.risk
    return risk_view(claim_for(proposal, review.space), asked_risk, cuts_off(proposal.old, review.space))


def chance_text(review: Review) -> str:
    """The risk in a few words, or the reason why no risk is stated."""
    risk = risk_of(review)
    if risk.headline == risk.text:
        return risk.loss
    return f"risk {risk.chance}"


def risk_facts(review: Review) -> list[Fact]:
    """The facts Risk, Front, Kept, Blind spot and Noise of a review as it stands."""
    preview = review.preview()
    top_trials = kept_view(preview).cell
    facts: list[Fact] = [("Risk", Cell(risk_of(review).text, top_trials.tone))]
    facts += _front_facts(review)
    facts += [("Kept", top_trials), *unseen_facts(preview.claim)]
    analysis = review.proposal.analysis
    if analysis.noise.deterministic:
        facts.append(("Noise", noise_of_goals(analysis)))
    return facts


def _brief_risk_facts(review: Review) -> list[Fact]:
    """The facts Risk, Front and Kept, a line each."""
    risk = risk_of(review)
    text = risk.text
    if risk.headline != risk.text:
        text = f"{risk.headline} {risk.loss}"
    top_trials = kept_view(review.preview())
    tone = top_trials.cell.tone
    return [("Risk", Cell(text, tone)), *_front_facts(review), ("Kept", Cell(top_trials.sentence, tone))]


def _front_facts(review: Review) -> list[Fact]:
    """The points of the front that are kept; empty with a single goal."""
    if len(review.round._goals) == 1:
        return []
    analysis = review.proposal.analysis
    front = front_rows(analysis.table, review.round._goals, analysis.space)
    kept_points = np.count_nonzero(review.space.contains(as_read(review.space, analysis.parameters, front)))
    return [("Front", f"{kept_points:,} of {len(front):,} points kept")]


def standing_facts(review: Review) -> list[Fact]:
    """The facts that no edit changes: fidelity, belief and cautions."""
    analysis = review.proposal.analysis
    facts = [*fidelity_facts(analysis), *belief_facts(analysis.belief)]
    if budget_of(review).left is None:
        return [*facts, *shared_facts(analysis)]
    # Under a budget most trials are chosen by results, as advised.
    return [*facts, *shared_facts(analysis, without=("few_even", "untested"))]


def _size_text(review: Review) -> str:
    """The uses of the trials left in the budget, and the kinds of trials of the next round."""
    planned = advised_round_of(review)
    uses = budget_text_of(review, planned)
    counts = {
        "even": planned.even,
        "exploit": round(planned.exploit * planned.n),
        "audit": round(planned.audit * planned.n),
    }
    if named := fidelity_of(review.space):
        name, fidelity = named
        counts = {
            f"even at {name} {label(fidelity.cheap)}": planned.even,
            f"exploit at {label(fidelity.full)}": counts["exploit"],
        }
    shares = join([f"{count} {kind}" for kind, count in counts.items() if count])
    if named:
        return f"{uses}. The next round has {shares}."
    if not shares:
        return f"{uses}."
    return f"{uses}. The next round has {shares} trials."


def notes_on_edits(review: Review) -> list[Cell]:
    """Possible slips of an edit."""
    edits = edits_of(review)
    hints = [as_choices(n, review.space[n]) for n, (a, _) in edits.changed.items() if isinstance(a, Range)]
    unread = unread_in(review.space, review.proposal.analysis.parameters)
    for name in sorted({*edits.typed, *edits.rejected}.intersection(unread)):
        condition = review.space[name].when
        hints.append(f"{name} is not used: no configuration kept meets {condition}." if condition else "")
    if edits.typed:
        hints += map(sentence, review.preview().new_values)
    return [Cell(text, "warn") for text in hints if text]


def _example(review: Review, touched: list[str]) -> list[Action]:
    """An edit of a range that keeps one more level than proposed, or a rejection if no range changes."""
    for name in reversed(touched):
        old = review.proposal.old[name]
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
    step = next_step(review)
    analysis = review.proposal.analysis
    first, *further = map(sentence, step.reasons)
    folds = [Fold("Next step", [Text(first, "", step.action), *map(Text, further)], "next")]
    if worth := advised_outlook(review):
        about = worth_page(worth)
        folds.append(Fold("Another round", [Text(about.title), *about.blocks], "worth"))
    suggestions: list[Block] = []
    if suggestions_of(review):
        legend = (
            f"risk: that the best inside is not {within_text(review.proposal.claim)} the best in the present "
            "space, for all on the same evidence."
        )
        suggestions = [suggestions_grid(review), Text(legend, "faint", Action("review.edit", 1))]
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
    edits = edits_of(review)
    if not edits.relaxed:
        return ""
    relaxed = join([f"{c.name} to {bounds_text(c.new)}" for c in edits.relaxed])
    proposed = [change.name for change in review.proposal.changes if change.kind != "keep"]
    decided = "After your edits"
    if undone := [name for name in edits.names if name in proposed]:
        decided = f"Without the proposed change of {join(undone)}"
    return f"{decided}, less can be cut: relaxed {relaxed}."


def suggestions_grid(review: Review) -> Grid:
    """A row for the proposal, and a row per suggestion with share kept and risk."""
    proposal = review.proposal
    proposed_risk = chance_cell(1 - proposal.claim.probability)
    rows = [("", "the proposal", "", percent(proposal.volume_kept), proposed_risk, "")]
    for i, s in enumerate(suggestions_of(review), 1):
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
    parameters = review.proposal.analysis.parameters
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
    edits = edits_of(review)
    if not (edits.typed or edits.rejected):
        return []
    decided = dict.fromkeys(edits.changed, "edited") | dict.fromkeys(edits.rejected, "rejected")
    rows = []
    for name, kind in (decided | {c.name: "relaxed" for c in edits.relaxed}).items():
        new = review.space[name]
        # The levels that an edit makes, unless the bounds say them.
        levels = ""
        if isinstance(new, Range):
            levels = levels_text(new.grid)
        rows.append((name, kind, bounds_text(review.proposal.space[name]), bounds_text(new), levels))
    preview = review.preview()
    share = f"{percent(preview.volume_kept)} of the present one{before_limits(review.proposal.old)}"
    kept_text = f"Your space keeps {share}."
    blocks: list[Block] = [
        Grid(("parameter", "decision", "proposed", "yours", "levels"), rows),
        Text(f"{kept_text} {safe_text(preview.claim)}"),
    ]
    if followed := followed_sentence(review):
        blocks.insert(1, Text(followed, "warn"))
    return blocks
