"""The headline of a review: the next thing to do in at most eight words, and the reason in one sentence."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from refine.analysis.conditions import unread_in
from refine.proposal.change import reaches_beyond
from refine.report.pages.checks import TONES, outlook_text
from refine.report.pages.reasons import fill, upper
from refine.review.checks import worth as worth_check
from refine.review.next_step import NextRound, accept_action
from refine.review.review import Review, advised_outlook, advised_round_of, budget_of, next_step
from refine.review.worth import CONFIRM, CONTINUE, PROBABLE, STOP, Worth
from refine.space.fidelity import full_trainings
from refine.space.parameters import Parameter, Range
from refine.trials.budget import BudgetState
from refine.utils.action import Action
from refine.utils.arrays import objects
from refine.utils.format import join, plural

MOST_WORDS = 8

# Code of a next step that creates no round of the next space -> headline and reason.
_STEPS = {
    "all_equal": (
        "Check the objective: all values are equal",
        "Every finished trial has the same {metric}, {value:score}.",
    ),
    "all_known": (
        "Stop and use the winner",
        "Every configuration was run, and repeats are identical.",
    ),
    "decide": ("Stop and use the winner", "Every configuration of the proposed space was run."),
    "exhausted": (
        "Repeat the best configurations",
        "Every configuration was run, and {runs} repeats show which configuration is best.",
    ),
    "last_repeats": (
        "Confirm the winner with {runs:repeat}",
        "The budget leaves no trial for another round, only repeats of the best.",
    ),
    "more": (
        "Run {more:more trial} in this space",
        "They would show an effect of {parameters:or} with probability {power:.2g}.",
    ),
    "nothing_read": (
        "Check the objective: it reads no parameter",
        "The objective uses none of the parameters {parameters:and}.",
    ),
    "settled": (
        "Repeat the best configurations",
        "Nothing is left to narrow, and {runs} repeats show which configuration is best.",
    ),
    "settled_exactly": ("Stop and use the winner", "Nothing is left to narrow, and repeats are identical."),
    "decided": ("Stop: repeats have decided the winner", "More repeats would not help."),
    "spent": ("Stop: the budget is spent", "No trial is left that could improve the winner."),
    "untested_yet": (
        "Run {n:evenly drawn trial}",
        "Results chose the trials so far, so nothing could be tested.",
    ),
}


class Headline(NamedTuple):
    """The next thing to do, as every surface states it."""

    text: str  # at most eight words, without a full stop: ``Run 11 more trials in this space``
    reason: str  # one sentence
    tone: str
    action: Action  # the call that does it

    @property
    def sentence(self) -> str:
        """Text and reason in a line."""
        return f"{self.text}. {self.reason}"


def headline_of(review: Review, planned: NextRound | None = None, worth: Worth | None = None) -> Headline:
    """The headline of a review with its edits.

    Args:
        review: The review.
        planned: The next round as the person set it; default the advice.
        worth: The outlook of ``planned``; ``None`` if the evidence does not cover its space.
    """
    if planned is None:
        planned = advised_round_of(review)
        worth = advised_outlook(review)
    if worth is not None and worth.verdict != CONTINUE:
        return _without_a_round(budget_of(review), worth)
    step = next_step(review)
    searches = worth is not None or step.reasons[0].code in ("decide", "search_on")
    if planned.n and (_changed(review) or searches) and step.action.name != "round.analyze":
        text = round_text(review, planned.n)
        return Headline(text, _reason_for_a_round(review, planned, worth), "good", accept_action(planned))
    reason = step.reasons[0]
    text, sentence = (fill(template, reason.values) for template in _STEPS[reason.code])
    return Headline(text, sentence, "warn", step.action)


def round_text(review: Review, n: int) -> str:
    """A round of ``n`` trials in the space of a review, in at most eight words.

    For example ``Narrow lr and alpha, then run 20 trials`` or ``Run 20 more trials in this space``.
    """
    changed = _changed(review)
    if not changed:
        return f"Run {plural(n, 'more trial')} in this space"
    verbs = {_verb(review.proposal.old.get(name), review.space[name]) for name in changed}
    verb = "Change"
    if len(verbs) == 1:
        verb = verbs.pop()
    run = f"then run {plural(n, 'trial')}"
    named = f"{verb} {join(changed)}, {run}"
    if len(named.split()) <= MOST_WORDS:
        return named
    return f"{verb} {plural(len(changed), 'parameter')}, {run}"


def _changed(review: Review) -> list[str]:
    """The parameters that a review changes and its space uses."""
    old = review.proposal.old
    unread = unread_in(review.space, review.proposal.analysis.parameters)
    return [name for name, p in review.space.items() if p != old.get(name) and name not in unread]


def _verb(old: Parameter | None, new: Parameter) -> str:
    """The kind of a change as a verb: a new value extends a parameter."""
    if old is None:
        return "Add"
    if isinstance(old, Range) and isinstance(new, Range):
        extended = reaches_beyond(old, new)
    else:
        extended = not np.all(old.contains(objects(new.grid)))
    if extended:
        return "Extend"
    return "Narrow"


def budget_text(budget: BudgetState, n: int, *, noisy: bool) -> str:
    """The uses of the trials left, without a full stop; empty without a budget.

    For example ``39 of 60 trials left: 20 for this round, 11 for later ones, 8 to confirm the winner``. With
    a fidelity, ``n`` and the other numbers count full trainings.
    """
    trials_left = budget.full_left
    if trials_left is None:
        return ""
    reserve = min(budget.reserve(noisy=noisy), trials_left - n)
    later = trials_left - n - reserve
    if n == trials_left:
        return f"{budget}: all for this round"
    parts = [f"{n:,} for this round"]
    if later > 0:
        parts.append(f"{later:,} for later ones")
    if reserve > 0:
        parts.append(f"{reserve:,} to confirm the winner")
    return f"{budget}: {', '.join(parts)}"


def budget_text_of(review: Review, planned: NextRound) -> str:
    """The uses of the trials left, of which a planned round takes some; empty without a budget."""
    cost = full_trainings(review.space, planned.n, planned.exploit)
    return budget_text(budget_of(review), cost, noisy=not review.proposal.analysis.noise.deterministic)


def _reason_for_a_round(review: Review, planned: NextRound, worth: Worth | None) -> str:
    if worth is not None and math.isfinite(worth.cost):
        return f"{upper(outlook_text(worth, named=True))}."
    if uses := budget_text_of(review, planned):
        return f"{upper(uses)}."
    if worth is None:
        return "The trials say too little about this space to forecast a gain."
    if worth.probability < PROBABLE:
        return f"Worth it if trials are cheap: {outlook_text(worth, named=True)}."
    return f"{upper(outlook_text(worth, named=True))}."


def _without_a_round(budget: BudgetState, worth: Worth) -> Headline:
    """The headline of a verdict to stop, or to confirm the winner first."""
    action = worth_check(worth).action
    assert action is not None
    reason = f"{upper(outlook_text(worth))}."
    if worth.verdict == CONFIRM:
        text = f"Confirm the winner with {plural(worth.repeats, 'repeat')}"
        if not worth.n and worth.left:
            reason = f"{upper(str(budget))}, kept to show which configuration is best."
        elif not worth.n:
            reason = "Every configuration was run, so only repeats can show the best one."
        return Headline(text, reason, TONES[CONFIRM], action)
    text = "Stop and use the winner"
    if worth.decided:
        text, _ = _STEPS["decided"]
    elif not worth.n and worth.left and budget.left is not None:
        text = "Stop: the budget is spent"
        reason = f"{upper(str(budget))}, none of them for another round."
        if not budget.left:
            reason = f"{upper(str(budget))}."
    elif not worth.n:
        text = "Stop: every configuration was run"
        reason = "Nothing is left to run in this space, so use the winner."
    return Headline(text, reason, TONES[STOP], action)
